//! Processes die and are stopped; jobs go on with the same bits, or end when they are told to.

use serde_json::{Value, json};

use crate::support::{Hospital, Job, Process, Site, concord, csv, eventually, patients, train};

/// Iterations of a training that is to be caught at work: some seconds.
const LONG: u32 = 6000;
const FOREVER: u32 = 100_000;

fn site() -> Site {
    let hospital = |id: u64| {
        let rows = csv("医院", &patients(id, 1000 * id, 40));
        Hospital::new(id, &format!("医院 {id}")).file("data/patients.csv", rows)
    };
    Site::new(&[2, 3, 4].map(hospital))
}

/// A training of so many iterations, with state in its optimiser and drawn weights and batches.
fn training(iterations: u32) -> Value {
    let parameters = json!({
        "optimizer": "adam", "max_iter": iterations, "eps": 0, "batch_size": 60, "decay": 0,
        "learning_rate": 0.01, "encrypt_param": { "method": "SecAgg" },
        "init_param": { "init_method": "random_normal", "random_seed": 11 },
    });
    train(&[3, 4, 2], "data.patients", parameters)
}

/// The model as the executable prints it for a party, without its number.
fn export(site: &Site, party: &str, model: i64) -> Value {
    let output = concord(
        "export",
        site,
        &["--party", party, "--model", &model.to_string()],
    );
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let mut printed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(printed["model_id"].take(), model);
    printed
}

/// The model of a training that nothing happens to.
async fn undisturbed() -> Value {
    let site = site();
    let process = Process::start(&site, "info").await;
    let job = process.train(training(LONG)).await;
    let report = process.finished(job.order).await;
    assert_eq!(
        (&report["attempts"], &report["iterations"]),
        (&json!(1), &json!(LONG))
    );
    export(&site, "3", job.model)
}

fn iterations(report: &Value) -> u64 {
    report["iterations"].as_u64().expect("a count")
}

fn attempts(report: &Value) -> u64 {
    report["attempts"].as_u64().expect("a count")
}

/// A training whose process is killed, then stopped; where, and which.
async fn disturbed() -> (Site, Job) {
    let site = site();
    let process = Process::start(&site, "info").await;
    let job = process.train(training(LONG)).await;
    let caught = process
        .until(job.order, |report| iterations(report) > 0)
        .await;
    process.kill();

    // Death: whoever comes next finds the job and its checkpoint.
    let process = Process::start(&site, "info").await;
    let further = iterations(&caught) + 1;
    let gone_on = |report: &Value| attempts(report) > 1 && iterations(report) > further;
    let caught = process.until(job.order, gone_on).await;

    // A stop: without an error, although a job is under way.
    let (status, log) = process.terminate().await;
    assert!(status.success(), "{log}");
    let process = Process::start(&site, "info").await;
    let report = process.finished(job.order).await;
    assert!(attempts(&report) > attempts(&caught), "{report}");
    (site, job)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_whose_process_is_killed_and_stopped_ends_with_the_same_bits() {
    let (expected, (site, job)) = tokio::join!(undisturbed(), disturbed());
    for party in ["2", "3", "4"] {
        assert_eq!(export(&site, party, job.model), expected, "party {party}");
    }
    let pooled = site.pooled(job.order, |_| ()).await;
    assert_eq!(expected["coefficients"], json!(pooled.coefficients));
    assert_eq!(expected["intercept"], json!(pooled.intercept));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_the_same_data_is_refused() {
    let site = site();
    let process = Process::start(&site, "info").await;
    let second = concord("standalone", &site, &[]);
    assert!(!second.status.success());
    let error = String::from_utf8(second.stderr).expect("UTF-8");
    assert!(error.contains("is in use by another process"), "{error}");
    assert_eq!(
        process.get("/health").await.status,
        200,
        "the first goes on"
    );
    let (status, _) = process.terminate().await;
    assert!(status.success());
    let third = Process::start(&site, "info").await;
    assert_eq!(
        third.get("/health").await.status,
        200,
        "the lock went with its process"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_is_final_at_once_and_ends_the_sessions() {
    let site = site();
    let process = Process::start(&site, "info").await;
    let job = process.train(training(FOREVER)).await;
    process
        .until(job.order, |report| iterations(report) > 0)
        .await;
    assert_eq!(process.sessions(), 3, "a guest and two hosts");

    let body = json!({ "order_id": job.order }).to_string();
    let answer = process.post("/model/cancel", body.clone()).await;
    assert_eq!(answer.data()["status"], "canceled");
    let path = format!("/model/train_status?order_id={}", job.order);
    let status = async || process.get(&path).await.data();
    let at_once = status().await;
    assert_eq!(at_once["train_status"]["train_status"], "canceled");
    assert_eq!(process.post("/model/cancel", body).await.status, 409);

    eventually("the end of the sessions", async || {
        (process.sessions() == 0).then_some(())
    })
    .await;
    assert_eq!(status().await, at_once, "nothing moved any more");
    let next = process.train(training(3)).await;
    process.finished(next.order).await;
    assert_eq!(status().await, at_once);
}
