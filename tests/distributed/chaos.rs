//! Processes die and freeze while they train; every job ends with the bits of an undisturbed one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{LONG, attempts, ends_with_the_same_bits, hospitals, iterations, note, training};
use crate::support::{Deployment, Job, Role};

/// Longer than a lease, shorter than the silence that ends an attempt.
const FREEZE: Duration = Duration::from_secs(20);
/// How soon a cancelled job is over.
const CANCEL: Duration = Duration::from_secs(1);

/// Starts a training and waits until it is under way; how far it was seen.
pub(super) async fn under_way(deployment: &mut Deployment) -> (Job, u64) {
    let job = deployment.api().train(training(&[3, 4, 2], LONG)).await;
    let at_work = |report: &Value| iterations(report) > 0;
    let caught = deployment.until(job.order, "to train", at_work).await;
    assert_eq!(
        caught["status"], "running",
        "too short to be caught: {caught}"
    );
    (job, iterations(&caught))
}

/// Waits until a training goes on after a fault, then for its end.
pub(super) async fn goes_on(deployment: &mut Deployment, what: &str, (job, before): (Job, u64)) {
    let fault = Instant::now();
    let moved = |report: &Value| iterations(report) > before;
    deployment.until(job.order, "to go on", moved).await;
    note(&format!("{what}: goes on after"), fault.elapsed());
    let report = ends_with_the_same_bits(deployment, job).await;
    let attempts = attempts(&report);
    note(
        &format!("{what}: ended in attempt {attempts}, after"),
        fault.elapsed(),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_survives_the_death_of_any_process() {
    let mut deployment = Deployment::start(&hospitals(&[2, 3, 4])).await;
    for (name, role) in [
        ("api killed", Role::Api),
        ("status killed", Role::Status),
        ("arbiter killed", Role::Arbiter),
        ("guest killed", Role::Party(3)),
        ("host killed", Role::Party(4)),
    ] {
        let caught = under_way(&mut deployment).await;
        let fault = Instant::now();
        deployment.crash(role);
        if let Role::Party(_) = role {
            let lost = |report: &Value| attempts(report) > 1;
            deployment.until(caught.0.order, "to be lost", lost).await;
            note(
                &format!("{name}: the next attempt opens after"),
                fault.elapsed(),
            );
        }
        goes_on(&mut deployment, name, caught).await;
    }
    assert_eq!(deployment.ended_by_themselves(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_worker_or_one_dead_status_aggregator_of_two_changes_no_bit() {
    let mut deployment = Deployment::start(&hospitals(&[2, 3, 4])).await;
    deployment.launch(Role::Status).await;
    let caught = under_way(&mut deployment).await;
    let first = deployment.of(Role::Status)[0];
    deployment.kill(first);
    goes_on(
        &mut deployment,
        "one of two status aggregators killed",
        caught,
    )
    .await;

    let (job, before) = under_way(&mut deployment).await;
    deployment.signal(Role::Party(3), "STOP");
    let frozen = Instant::now();
    let lost = |report: &Value| attempts(report) > 1;
    deployment
        .until(job.order, "to be taken from a frozen guest", lost)
        .await;
    note(
        "guest frozen: its job is open again after",
        frozen.elapsed(),
    );
    tokio::time::sleep_until((frozen + FREEZE).into()).await;
    deployment.signal(Role::Party(3), "CONT");
    goes_on(&mut deployment, "guest thawed", (job, before)).await;
    assert_eq!(deployment.ended_by_themselves(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_at_any_moment_is_final_within_a_second() {
    let mut deployment = Deployment::start(&hospitals(&[2, 3, 4])).await;
    let client = deployment.api();
    let kept = client.train(training(&[2, 3, 4], LONG)).await;
    for _ in 0..8 {
        let job = client.train(training(&[3, 4, 2], 100_000)).await;
        let moment = u64::try_from(Uuid::new_v4().as_u128() % 1500).expect("small");
        tokio::time::sleep(Duration::from_millis(moment)).await;
        let asked = Instant::now();
        let body = json!({ "order_id": job.order }).to_string();
        let answer = client.post("/model/cancel", body).await;
        assert_eq!(answer.data()["status"], "canceled");
        let at_once = client.report(job.order).await;
        assert!(
            asked.elapsed() < CANCEL,
            "{:?} at {moment} ms",
            asked.elapsed()
        );
        assert_eq!(at_once["status"], "canceled", "at {moment} ms");
        let after = tokio::time::Instant::now() + CANCEL;
        tokio::time::sleep_until(after).await;
        assert_eq!(client.report(job.order).await, at_once, "at {moment} ms");
    }
    ends_with_the_same_bits(&mut deployment, kept).await;
}
