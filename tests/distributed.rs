//! A distributed Concord: each role a process of its own, over RabbitMQ and PostgreSQL.

mod away;
mod batch;
mod chaos;
mod outages;
mod scaling;

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::seed::{check_scores, follow, infer, like_the_seed, look_at_boards};
use crate::support::{
    Deployment, Hospital, Job, System, csv, patients, seed_hospitals, seed_train, train,
};

/// Iterations of a training that is to be caught at work: some seconds.
const LONG: u32 = 500;

/// Hospitals with 40 rows each.
fn hospitals(ids: &[u64]) -> Vec<Hospital> {
    let hospital = |id: &u64| {
        let rows = csv("医院", &patients(*id, 1000 * id, 40));
        Hospital::new(*id, &format!("医院 {id}")).file("data/patients.csv", rows)
    };
    ids.iter().map(hospital).collect()
}

/// A training of so many iterations, with state in its optimiser and drawn weights and batches.
fn training(parties: &[u64], iterations: u32) -> Value {
    let parameters = json!({
        "optimizer": "adam", "max_iter": iterations, "eps": 0, "batch_size": 60, "decay": 0,
        "learning_rate": 0.01, "encrypt_param": { "method": "SecAgg" },
        "init_param": { "init_method": "random_normal", "random_seed": 11 },
    });
    train(parties, "data.patients", parameters)
}

fn iterations(report: &Value) -> u64 {
    report["iterations"].as_u64().expect("a count")
}

fn attempts(report: &Value) -> u64 {
    report["attempts"].as_u64().expect("a count")
}

/// Says how long something took, past the harness, which hides what a test prints.
fn note(what: &str, took: Duration) {
    let seconds = took.as_secs_f64();
    let _ = writeln!(std::io::stderr(), "distributed: {what}: {seconds:.1} s");
}

/// A training finishes, and every party has the bits of the pooled rows.
async fn ends_with_the_same_bits(deployment: &mut Deployment, job: Job) -> Value {
    let report = deployment.finished(job.order).await;
    let pooled = deployment.pooled(job.order).await;
    for party in [2, 3, 4] {
        let model = deployment.model(party, job.model).await;
        assert!(model == pooled, "party {party} has other bits");
    }
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seed_s_calls_work_byte_for_byte_over_processes_with_the_bits_of_standalone() {
    let mut deployment = Deployment::start(&seed_hospitals()).await;
    let client = deployment.api();
    let accepted = client.post("/model/train", seed_train()).await;
    like_the_seed("模型训练", &accepted.json());
    let data = accepted.data();
    let job = Job {
        order: data["order_id"].as_i64().expect("an id"),
        model: data["model_id"].as_i64().expect("an id"),
    };
    follow(&client, job).await;
    look_at_boards(&client, job).await;
    let spec = deployment.spec(job.order).await;
    let model = deployment.model(4, job.model).await;
    let result = infer(&client, job.model).await;
    check_scores(&deployment.site, &spec, &result, &model).await;
    ends_with_the_same_bits(&mut deployment, job).await;

    let standalone = System::start(&seed_hospitals()).await;
    let same = standalone.train(seed_train()).await;
    standalone.finished(same.order).await;
    assert!(standalone.site.export(4, same.model).await == model);
    standalone.stop().await;
}
