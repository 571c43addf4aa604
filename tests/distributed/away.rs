//! A hospital that is away is named, and holds up nobody else.

use serde_json::json;

use crate::faults::{ends_with_the_same_bits, hospitals, training};
use crate::support::{Deployment, Role, Services};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_party_that_is_away_is_named_and_holds_up_no_other_job() {
    let services = Services::shared().await;
    let mut deployment = Deployment::without_parties(services, &hospitals(&[2, 3, 4, 5])).await;
    for party in [2, 3, 4] {
        deployment.launch(Role::Party(party)).await;
    }
    let client = deployment.api();
    let without_host = client.train(training(&[3, 4, 2, 5], 20)).await;
    let without_guest = client.train(training(&[5, 4, 3, 2], 20)).await;
    let other = client.train(training(&[3, 4, 2], 20)).await;
    ends_with_the_same_bits(&mut deployment, other).await;
    for job in [without_host, without_guest] {
        let named = |report: &serde_json::Value| report["waiting"]["parties"] == json!([5]);
        let report = deployment
            .until(job.order, "to name who is away", named)
            .await;
        assert_eq!(
            report["reason"],
            json!(null),
            "waiting is no failure: {report}"
        );
    }
    let away = client.get("/ready").await.data()["away"].clone();
    assert_eq!(away, json!([{ "user_id": 5, "name": "医院 5" }]));
    let other = client.train(training(&[4, 2, 3], 20)).await;
    ends_with_the_same_bits(&mut deployment, other).await;

    deployment.launch(Role::Party(5)).await;
    for job in [without_host, without_guest] {
        let report = ends_with_the_same_bits(&mut deployment, job).await;
        assert_eq!(report["attempts"], 1, "waiting burns nothing: {report}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_wait_for_a_hospital_s_database() {
    let mut deployment = Deployment::with_databases(&hospitals(&[2, 3, 4])).await;
    let client = deployment.api();
    let trained = client.train(training(&[3, 4, 2], 5)).await;
    deployment.finished(trained.order).await;

    deployment.lock_rows(4, true).await;
    let sql = "select * from data.patients";
    let request = json!({
        "model_id": trained.model, "input_data": { "user_id": 4, "data_sql": sql },
    });
    let answer = client.post("/model/infer", request.to_string()).await;
    let inference = answer.data()["order_id"].as_i64().expect("an order");
    let training = client.train(training(&[3, 4, 2], 5)).await;
    for order in [inference, training.order] {
        let named = |report: &serde_json::Value| report["waiting"]["parties"] == json!([4]);
        deployment.until(order, "to name who is away", named).await;
    }
    deployment.lock_rows(4, false).await;
    for order in [inference, training.order] {
        let report = deployment.finished(order).await;
        assert_eq!(report["attempts"], 1, "waiting burns nothing: {report}");
    }
}
