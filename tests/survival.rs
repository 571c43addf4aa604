//! Processes die and are stopped; jobs go on with the same bits, or end when they are told to.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Hospital, Job, Process, Site, concord, csv, eventually, patients, train};

/// Iterations of a training that is to be caught at work: some seconds.
const LONG: u32 = 6000;
const FOREVER: u32 = 100_000;
/// How long a stop may take with a training under way and no request.
const STOP_MAX: Duration = Duration::from_secs(5);

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
async fn export(site: &Site, party: &str, model: i64) -> Value {
    let model_text = model.to_string();
    let ended = concord("export", site, &["--party", party, "--model", &model_text]).await;
    assert!(ended.success, "{}", ended.stderr);
    let mut printed: Value = serde_json::from_str(&ended.stdout).expect("JSON");
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
    export(&site, "3", job.model).await
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
    let asked = Instant::now();
    let (status, log) = process.terminate().await;
    assert!(status.success(), "{log}");
    assert!(asked.elapsed() < STOP_MAX, "{:?}", asked.elapsed());
    let process = Process::start(&site, "info").await;
    let report = process.finished(job.order).await;
    assert!(attempts(&report) > attempts(&caught), "{report}");
    (site, job)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_whose_process_is_killed_and_stopped_ends_with_the_same_bits() {
    let (expected, (site, job)) = tokio::join!(undisturbed(), disturbed());
    for party in ["2", "3", "4"] {
        assert_eq!(
            export(&site, party, job.model).await,
            expected,
            "party {party}"
        );
    }
    let pooled = site.pooled(job.order, |_| ()).await;
    assert_eq!(expected["coefficients"], json!(pooled.coefficients));
    assert_eq!(expected["intercept"], json!(pooled.intercept));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_the_same_data_is_refused() {
    let site = site();
    let process = Process::start(&site, "info").await;
    let second = concord("standalone", &site, &[]).await;
    let error = second.stderr;
    assert!(!second.success, "{error}");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_under_way_at_a_stop_is_answered_and_its_job_is_kept() {
    let site = site();
    let process = Process::start(&site, "info").await;
    let body = training(3).to_string();
    let mut stream = TcpStream::connect(&process.address).expect("it listens");
    let length = body.len();
    let header = format!(
        "POST /model/train HTTP/1.1\r\nHost: concord\r\nContent-Length: {length}\r\n\
         Expect: 100-continue\r\n\r\n"
    );
    stream.write_all(header.as_bytes()).expect("sent");
    let mut go_on = [0; 25];
    stream
        .read_exact(&mut go_on)
        .expect("the server wants the body");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    process.ask_to_stop();
    eventually("the end of listening", async || {
        TcpStream::connect(&process.address).err()
    })
    .await;
    stream.write_all(body.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("answered, then closed");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let (_, answer) = answer.split_once("\r\n\r\n").expect("a body");
    let answer: Value = serde_json::from_str(answer).expect("JSON");
    let (status, log) = process.stopped().await;
    assert!(status.success(), "{log}");

    let process = Process::start(&site, "info").await;
    let order = answer["data"]["order_id"].as_i64().expect("an id");
    process.finished(order).await;
}
