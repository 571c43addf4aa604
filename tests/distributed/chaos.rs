//! Things die and freeze while a federation trains; every job ends with the bits of an undisturbed
//! one.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::faults::{Disturbed, Fault, ends_with_the_same_bits, hospitals, training};
use crate::support::Deployment;

/// How soon a cancelled job is over.
const CANCEL: Duration = Duration::from_secs(1);

const PROCESSES: &[Fault] = &[
    Fault::ApiKilled,
    Fault::StatusKilled,
    Fault::OneOfTwoStatusKilled,
    Fault::ArbiterKilled,
    Fault::GuestKilled,
    Fault::GuestStopped,
    Fault::HostKilled,
];
const FREEZING: &[Fault] = &[Fault::GuestFrozen];
const BROKER: &[Fault] = &[
    Fault::QueuesDeleted,
    Fault::BrokerKilled,
    Fault::BrokerWiped,
    Fault::BrokerFrozen,
];
const DATABASE: &[Fault] = &[Fault::DatabaseKilled];

async fn survives(faults: &[Fault]) {
    let mut federation = Disturbed::new(faults).await;
    for fault in faults {
        let recovery = federation.survives(*fault).await;
        // Past the harness, which hides what a test prints.
        let _ = writeln!(
            std::io::stderr(),
            "{fault:?} at iteration {}: went on {:.1} s later, ended in attempt {}",
            recovery.at,
            recovery.took.as_secs_f64(),
            recovery.attempts
        );
    }
}

#[test]
fn every_fault_is_tried() {
    let tried = [PROCESSES, FREEZING, BROKER, DATABASE].concat();
    assert_eq!(tried.len(), Fault::ALL.len());
    assert!(Fault::ALL.iter().all(|fault| tried.contains(fault)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_survives_the_death_of_any_process() {
    survives(PROCESSES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_survives_a_worker_that_freezes() {
    survives(FREEZING).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_survives_what_happens_to_the_broker() {
    survives(BROKER).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_survives_the_death_of_the_database() {
    survives(DATABASE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_at_any_moment_is_final_within_a_second() {
    let mut deployment = Deployment::start(&hospitals(&[2, 3, 4])).await;
    let client = deployment.api();
    let kept = client.train(training(&[2, 3, 4], 500)).await;
    for _ in 0..8 {
        let job = client.train(training(&[3, 4, 2], 100_000)).await;
        let moment = Duration::from_millis(rand::random_range(0..1500));
        tokio::time::sleep(moment).await;
        let asked = Instant::now();
        let body = json!({ "order_id": job.order }).to_string();
        let answer = client.post("/model/cancel", body).await;
        assert_eq!(answer.data()["status"], "canceled");
        let at_once = client.report(job.order).await;
        let took = asked.elapsed();
        assert!(took < CANCEL, "{took:?} at {moment:?}");
        assert_eq!(at_once["status"], "canceled", "at {moment:?}");
        tokio::time::sleep(CANCEL).await;
        assert_eq!(client.report(job.order).await, at_once, "at {moment:?}");
    }
    ends_with_the_same_bits(&mut deployment, kept).await;
}
