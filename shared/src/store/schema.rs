//! The tables as queries see them. What each column means stands in `migrations/`.

diesel::table! {
    parties (id) {
        id -> BigInt,
        name -> Text,
    }
}

diesel::table! {
    // The database's key is `order_id`; every other table refers to `id`.
    jobs (id) {
        order_id -> BigInt,
        id -> Text,
        kind -> Text,
        guest -> BigInt,
        owner -> BigInt,
        status -> Text,
        status_at -> BigInt,
        attempt -> BigInt,
        session -> Nullable<Text>,
        lease_until -> Nullable<BigInt>,
        failures -> BigInt,
        checkpoint_round -> Nullable<BigInt>,
        digests -> Text,
        report -> Text,
        created_at -> BigInt,
        deadline_at -> BigInt,
    }
}

diesel::table! {
    requests (job) {
        job -> Text,
        spec -> Text,
        echo -> Text,
        creator -> Nullable<Text>,
    }
}

diesel::table! {
    checkpoints (job) {
        job -> Text,
        sealed -> Binary,
    }
}

diesel::table! {
    models (id) {
        id -> BigInt,
        job -> Text,
    }
}

diesel::table! {
    model_parts (model, party) {
        model -> BigInt,
        party -> BigInt,
        sealed -> Binary,
    }
}

diesel::table! {
    results (job) {
        job -> Text,
        scores -> Text,
    }
}

diesel::table! {
    sealed_results (job) {
        job -> Text,
        sealed -> Binary,
    }
}

diesel::table! {
    dead_letters (id) {
        id -> BigInt,
        queue -> Text,
        reason -> Text,
        bytes -> BigInt,
        seen_at -> BigInt,
        job -> Nullable<Text>,
    }
}

diesel::table! {
    submissions (owner, idempotency_key) {
        owner -> BigInt,
        idempotency_key -> Text,
        request_hash -> Binary,
        job -> Text,
    }
}

diesel::table! {
    users (email) {
        email -> Text,
        password -> Text,
        party -> Nullable<BigInt>,
        created_at -> BigInt,
        disabled_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    participants (party, order_id) {
        party -> BigInt,
        order_id -> BigInt,
    }
}

diesel::table! {
    panels (number) {
        number -> BigInt,
        id -> Text,
        name -> Text,
        creator -> Text,
        client_sealed -> Bool,
        job -> Text,
        worker_key -> Nullable<Binary>,
        api_key -> Nullable<Binary>,
        created_at -> BigInt,
        updated_at -> BigInt,
        deleted_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    panel_participants (panel, position) {
        panel -> BigInt,
        position -> BigInt,
        email -> Text,
    }
}

diesel::table! {
    panel_runs (panel, round) {
        panel -> BigInt,
        round -> BigInt,
        job -> Text,
    }
}

diesel::table! {
    inputs (job, position) {
        job -> Text,
        position -> BigInt,
        protection -> Text,
        matrix_rows -> BigInt,
        matrix_columns -> BigInt,
        bundle -> Nullable<Binary>,
        filled_at -> BigInt,
    }
}

diesel::table! {
    uploads (id) {
        id -> Text,
        panel -> Nullable<BigInt>,
        begun_at -> BigInt,
    }
}

diesel::table! {
    uploaded_pieces (upload, file, piece) {
        upload -> Text,
        file -> Text,
        piece -> BigInt,
        sealed -> Binary,
    }
}

diesel::table! {
    made_pieces (job, file, piece) {
        job -> Text,
        file -> Text,
        piece -> BigInt,
        sealed -> Binary,
    }
}

diesel::table! {
    computed_results (job) {
        job -> Text,
        exact -> Text,
        rounded -> Text,
    }
}

diesel::table! {
    learned_results (job) {
        job -> Text,
        metrics -> Text,
        files -> Text,
    }
}

diesel::joinable!(requests -> jobs (job));
diesel::joinable!(models -> jobs (job));
diesel::joinable!(panel_runs -> jobs (job));
diesel::joinable!(panel_runs -> panels (panel));
diesel::joinable!(made_pieces -> jobs (job));
diesel::allow_tables_to_appear_in_same_query!(
    jobs,
    requests,
    checkpoints,
    models,
    participants,
    panels,
    panel_participants,
    panel_runs,
    inputs,
    uploads,
    uploaded_pieces,
    made_pieces,
    computed_results,
    learned_results,
);
