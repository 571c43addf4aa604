//! Memory of the whole deployment without broker and database: the proportional share (PSS) of
//! every process, idle and at the most while trainings and inferences ran.

use std::time::Duration;

use serde_json::{Value, json};

use super::federation::{database, hospitals, inference, model, paillier, secagg, training};
use super::figures::{load, memory, rounded};
use super::jobs::{finished, submit};
use crate::support::Deployment;

const JOBS: usize = 1000;
const LOOK: Duration = Duration::from_millis(100);
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// Each process's share in MiB.
fn shares(deployment: &Deployment) -> Vec<f64> {
    let shares = deployment.running().map(|(_, process)| memory(process));
    shares.map(|bytes| bytes as f64 / MEBIBYTE).collect()
}

pub(crate) async fn measure() -> Value {
    println!(
        "\nMemory: api, status, arbiter, 3 parties; 3 trainings and {JOBS} inferences at once"
    );
    let mut deployment = Deployment::start(&hospitals()).await;
    let idle = shares(&deployment);
    let model = model(&mut deployment).await;
    let store = database(&deployment).await;
    let client = deployment.api();
    let mut trainings = Vec::new();
    for protection in [secagg(), paillier(2048), paillier(3072)] {
        trainings.push(client.train(training(100, &protection)).await.order);
    }
    let submitting = tokio::spawn({
        let client = client.clone();
        async move {
            submit(&client, model, JOBS).await;
        }
    });
    let mut peak = idle.clone();
    let all_done = async {
        submitting.await.expect("accepted");
        finished(&store, i64::try_from(JOBS).expect("few")).await;
        for order in trainings {
            client.finished(order).await;
        }
    };
    tokio::pin!(all_done);
    loop {
        tokio::select! {
            () = &mut all_done => break,
            () = tokio::time::sleep(LOOK) => {
                let now = shares(&deployment);
                if now.iter().sum::<f64>() > peak.iter().sum() {
                    peak = now;
                }
            }
        }
    }
    client.infer(inference(model, 0)).await;
    let after = shares(&deployment);
    let mut rows = Vec::new();
    println!("{:12} {:>8} {:>8} {:>8}", "MiB", "idle", "peak", "after");
    for (number, (role, _)) in deployment.running().enumerate() {
        let role = format!("{role:?}");
        let [idle, peak, after] = [&idle, &peak, &after].map(|all| all[number]);
        println!("{role:12} {idle:8.1} {peak:8.1} {after:8.1}");
        rows.push(json!({
            "process": role, "idle_mib": rounded(idle), "peak_mib": rounded(peak),
            "after_mib": rounded(after),
        }));
    }
    let [idle, peak, after] = [idle, peak, after].map(|all| all.iter().sum::<f64>());
    println!("{:12} {idle:8.1} {peak:8.1} {after:8.1}", "together");
    json!({
        "processes": rows, "idle_mib": rounded(idle), "peak_mib": rounded(peak),
        "after_mib": rounded(after), "load_average": load(),
    })
}
