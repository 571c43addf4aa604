//! What only a database server does: it is away, comes back, and has other clients.

use super::*;
use crate::source::scratch;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_database_has_the_same_columns_and_the_server_explains_them() {
    let (_store, directory) = sqlite_in_a_new_file().await;
    let file = rusqlite::Connection::open(directory.path().join("concord.sqlite")).unwrap();
    let sql = "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
        WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE '\\_\\_%' ESCAPE '\\'
        ORDER BY t.name, c.name";
    let mut statement = file.prepare(sql).unwrap();
    let columns = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let columns: Vec<(String, String)> = columns.unwrap().map(Result::unwrap).collect();
    assert!(columns.len() > 30);

    let (_store, scratch) = postgres_in_a_new_database().await;
    let client = scratch::connect(&scratch.url).await;
    let sql = "SELECT c.relname::text, a.attname::text, col_description(c.oid, a.attnum)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
            AND a.attnum > 0 AND c.relname NOT LIKE '\\_\\_%'
        ORDER BY c.relname, a.attname COLLATE \"C\"";
    let rows = client.query(sql, &[]).await.unwrap();
    let same: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(same, columns);
    for row in rows {
        let (column, comment): (String, Option<String>) = (row.get(1), row.get(2));
        assert!(comment.is_some_and(|text| !text.is_empty()), "{column}");
    }
    scratch.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_processes_that_start_at_once_one_makes_the_tables() {
    let scratch = Scratch::new().await;
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let url = scratch.url.clone();
        starts.spawn(async move { Store::connect(&url).await.map(|_| ()) });
    }
    for start in starts.join_all().await {
        start.unwrap();
    }
    scratch.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_on_a_server_is_refused() {
    let (_store, scratch) = postgres_in_a_new_database().await;
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')";
    scratch.execute(newer).await;
    let error = Store::connect(&scratch.url).await.err().unwrap();
    assert!(matches!(error, Error::Schema { .. }), "{error}");
    scratch.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_store_goes_on() {
    let (store, scratch) = postgres_in_a_new_database().await;
    let before = submit(&store).await;
    job(&store, &before).await;
    scratch.interrupt().await;
    assert_eq!(job(&store, &before).await.status, JobStatus::Pending);
    claimed(&store, &before).await;

    // In the middle of a transaction: an outage, and nothing of it happened.
    let other = scratch::connect(&scratch.url).await;
    other
        .batch_execute("BEGIN; LOCK TABLE requests")
        .await
        .unwrap();
    let submission = tokio::spawn({
        let store = store.clone();
        async move { store.submit(new(training())).await }
    });
    waits(&scratch, "INSERT%requests%").await;
    scratch.interrupt().await;
    let error = submission.await.unwrap().unwrap_err();
    assert!(error.is_outage(), "{error:?}");
    assert_eq!(store.jobs(None, usize::MAX).await.unwrap().len(), 1);
    submit(&store).await;
    scratch.remove().await;
}

/// Until a statement of the store waits for another transaction's lock.
async fn waits(scratch: &Scratch, statement: &str) {
    let client = scratch::connect(&scratch.url).await;
    let sql = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
        AND wait_event_type = 'Lock' AND query LIKE $1";
    while client.query(sql, &[&statement]).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_loses_a_deadlock_tries_again() {
    let (store, scratch) = postgres_in_a_new_database().await;
    let names = |name: &str| BTreeMap::from([(GUEST, name.to_owned()), (HOST, name.to_owned())]);
    store.register_parties(names("old")).await.unwrap();
    let other = scratch::connect(&scratch.url).await;
    let host_first = "BEGIN; SET LOCAL deadlock_timeout = '1min';
        UPDATE parties SET name = 'other' WHERE id = 3";
    other.batch_execute(host_first).await.unwrap();
    let registering = tokio::spawn({
        let (store, names) = (store.clone(), names("new"));
        async move { store.register_parties(names).await }
    });
    waits(&scratch, "INSERT%parties%").await;
    let then_guest = "UPDATE parties SET name = 'other' WHERE id = 2; COMMIT";
    other.batch_execute(then_guest).await.unwrap();
    registering.await.unwrap().unwrap();
    assert_eq!(store.parties().await.unwrap(), names("new"));
    scratch.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_an_outage_without_a_secret() {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = format!("postgres://somebody:s3cret@127.0.0.1:{port}/concord");
    let error = Store::connect(&url).await.err().unwrap();
    assert!(error.is_outage());
    let text = error.to_string();
    assert!(
        text.contains(&format!("127.0.0.1:{port}/concord")),
        "{text}"
    );
    assert!(
        !format!("{error} {error:?}").contains("s3cret"),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_is_encrypted_to_a_server_that_is_vouched_for() {
    let scratch = Scratch::new().await;
    let by = |url: &str, authority: &str| {
        let file = scratch::variable(authority);
        format!("{url}?sslmode=verify-full&sslrootcert={file}")
    };
    let (right, other) = ("CONCORD_TEST_POSTGRES_CA", "CONCORD_TEST_AMQPS_CA");
    let store = Store::connect(&by(&scratch.url, right)).await.unwrap();
    let submitted = submit(&store).await;
    job(&store, &submitted).await;
    let client = scratch::connect(&scratch.url).await;
    let sql = "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE datname = current_database() AND application_name = 'concord'";
    let rows = client.query(sql, &[]).await.unwrap();
    let encrypted: Vec<bool> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(encrypted, [true]);

    let elsewhere = scratch.url.replace("127.0.0.1", "localhost");
    for (url, cause) in [
        (by(&scratch.url, other), "invalid peer certificate"),
        (by(&elsewhere, right), "invalid peer certificate"),
    ] {
        let error = Store::connect(&url).await.err().unwrap();
        assert!(error.is_outage(), "{error}");
        assert!(error.to_string().contains(cause), "{error}");
    }
    scratch.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_address_is_refused_without_a_word_of_it() {
    for url in [
        "postgres://somebody:s3cret@host:port/concord",
        "postgres://somebody:pass@s3cret?x=y",
        "host=127.0.0.1 password=s3cret",
        "mysql://somebody:s3cret@host/concord",
    ] {
        let error = Store::connect(url).await.err().unwrap();
        assert!(
            matches!(error, Error::Address(_)) && !error.is_outage(),
            "{url}"
        );
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_an_earlier_server_have_participants() {
    let (store, scratch) = postgres_in_a_new_database().await;
    let train = submit(&store).await;
    drop(store);
    let client = scratch::connect(&scratch.url).await;
    client.batch_execute(WITHOUT_ACCOUNTS).await.unwrap();
    let store = Store::connect(&scratch.url).await.unwrap();
    earlier_jobs_have_participants(&store, &train).await;
    scratch.remove().await;
}
