//! A federation in which nothing goes in the open.

use std::fs;
use std::process::Command;

use serde_json::json;
use tokio_postgres::NoTls;

use crate::faults::{hospitals, training};
use crate::support::{Client, Deployment, Services, told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_federation_trains_and_takes_batches_by_tls_alone() {
    let services = Services::by_tls().await;
    let mut deployment = Deployment::with_databases_over(services, &hospitals(&[2, 3, 4])).await;
    let client = deployment.api();
    let job = client.train(training(&[3, 4, 2], 5)).await;
    deployment.finished(job.order).await;
    let path = format!("/model/board_url?order_id={}", job.order);
    let urls = client.get(&path).await.data();
    let board = urls["board_url"]["3"].as_str().expect("an address");
    let (base, _) = board.split_once("/board#").expect("the board's");
    assert!(base.starts_with("https://127.0.0.1:"), "{base}");

    // The batch's way to the broker and to the API, believed by one file.
    let batch = deployment.site.path().join("batch.jsonl");
    let infer = json!({
        "model_id": job.model,
        "input_data": { "user_id": 4, "data_sql": "select * from data.patients" },
    });
    let line = json!({ "type": "/model/infer", "body": infer });
    fs::write(&batch, format!("{line}\n")).expect("written");
    let submit = |ca: &str, more: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_concord"))
            .arg("submit")
            .arg(&batch)
            .args(["--api", base, "--ca", ca])
            .args(more)
            .env("CONCORD_BROKER", deployment.broker_of("submitter"))
            .output()
            .expect("the executable is there")
    };
    let (right, other) = (
        told("CONCORD_TEST_AMQPS_CA"),
        told("CONCORD_TEST_POSTGRES_CA"),
    );
    let prefix = ["--queue-prefix", deployment.queue_prefix()];
    for more in [&["--http"][..], &prefix] {
        let done = submit(&right, more);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{more:?}: {said}");
        let refused = submit(&other, more);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success(), "{more:?}");
        assert!(said.contains("nothing was sent"), "{said}");
    }

    let database = tokio_postgres::connect(deployment.database(), NoTls).await;
    let (database, connection) = database.expect("the test's PostgreSQL answers");
    tokio::spawn(connection);
    let sql = "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE datname = current_database() AND application_name = 'concord'";
    let rows = database.query(sql, &[]).await.expect("readable");
    let encrypted: Vec<bool> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(encrypted, [true]);

    let plain = Client::new(base.trim_start_matches("https://"));
    assert!(plain.try_report(job.order).await.is_none());
}
