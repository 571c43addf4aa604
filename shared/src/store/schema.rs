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

diesel::joinable!(requests -> jobs (job));
diesel::joinable!(models -> jobs (job));
diesel::allow_tables_to_appear_in_same_query!(jobs, requests, models, participants);
