//! Tiny jobs end to end: one-row inferences, from the first request until the last result is in
//! the store. Every step is on disk before the next begins.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::celery::Celery;
use super::federation::{database, hospitals, inference, is_durable, model};
use super::figures::{computed, load, median, milliseconds, rounded};
use crate::support::{Client, Deployment};

const JOBS: usize = 2000;
/// Jobs before any is counted.
const WARM_UP: usize = 200;
/// Clients that submit at once.
const CLIENTS: usize = 64;
/// Jobs alone, one after the other.
const ALONE: usize = 50;
const PATIENCE: Duration = Duration::from_secs(300);

/// Submits inferences, many at once; how long it took until all were accepted.
pub(crate) async fn submit(client: &Client, model: i64, jobs: usize) -> Duration {
    let began = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (client, next) = (client.clone(), Arc::clone(&next));
        clients.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= jobs {
                    break;
                }
                client.infer(inference(model, number)).await;
            }
        });
    }
    clients.join_all().await;
    began.elapsed()
}

/// Waits until so many inferences have finished.
pub(crate) async fn finished(database: &tokio_postgres::Client, jobs: i64) {
    let began = Instant::now();
    let count = "SELECT count(*) FROM jobs WHERE kind = 'infer' AND status = 'finished'";
    loop {
        let row = database.query_one(count, &[]).await.expect("a table");
        if row.get::<_, i64>(0) >= jobs {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "jobs did not finish");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn measure(repeat: usize, celery: Option<&Celery>) -> Value {
    println!("\nJobs: {JOBS} one-row inferences by {CLIENTS} clients, {repeat} times");
    let mut deployment = Deployment::start(&hospitals()).await;
    let store = database(&deployment).await;
    let durable = is_durable(&store).await;
    assert!(
        durable,
        "PostgreSQL does not wait for its disk: set DURABLE=1"
    );
    let model = model(&mut deployment).await;
    let client = deployment.api();
    let mut done = 0;
    let mut wait = async |jobs: usize| {
        done += i64::try_from(jobs).expect("few");
        finished(&store, done).await;
    };
    submit(&client, model, WARM_UP).await;
    wait(WARM_UP).await;

    let (mut rates, mut accepted, mut peer, mut loads) = (vec![], vec![], vec![], vec![]);
    let spent = || deployment.running().map(|(_, process)| computed(process));
    let before: Vec<f64> = spent().collect();
    for _ in 0..repeat {
        if let Some(celery) = celery {
            peer.push(celery.jobs_per_second(JOBS).await);
        }
        let began = Instant::now();
        let submitting = submit(&client, model, JOBS).await;
        wait(JOBS).await;
        rates.push(JOBS as f64 / began.elapsed().as_secs_f64());
        accepted.push(JOBS as f64 / submitting.as_secs_f64());
        loads.push(load());
    }
    let spent = spent().zip(before).map(|(after, before)| after - before);
    let spent = spent.map(|all| all / (repeat * JOBS) as f64);
    let spent: Vec<(String, f64)> = deployment
        .running()
        .map(|(role, _)| format!("{role:?}"))
        .zip(spent.map(rounded))
        .collect();

    let mut alone = Vec::new();
    for number in 0..ALONE {
        let began = Instant::now();
        client.infer(inference(model, number)).await;
        wait(1).await;
        alone.push(milliseconds(began.elapsed()));
    }
    let again = "SELECT count(*) FROM jobs WHERE attempt > 1";
    let again = store.query_one(again, &[]).await.expect("a table");
    let again: i64 = again.get(0);

    let (rate, accepted, alone) = (median(&rates), median(&accepted), median(&alone));
    println!("end to end       {rate:8.0}/s of {rates:.0?}");
    println!("accepted         {accepted:8.0}/s");
    println!("one alone        {alone:8.1} ms");
    println!("attempts lost    {again:8}");
    println!("computing, ms per job: {spent:?}");
    let mut found = json!({
        "jobs": JOBS, "clients": CLIENTS,
        "end_to_end_per_s": rounded(rate), "accepted_per_s": rounded(accepted),
        "alone_ms": rounded(alone), "attempts_lost": again,
        "computing_ms_per_job": spent, "load_averages": loads,
        "end_to_end_per_s_each": rates,
    });
    if !peer.is_empty() {
        let celery = median(&peer);
        println!("Celery           {celery:8.0}/s of {peer:.0?}");
        println!("ratio            {:8.2}", rate / celery);
        found["celery_per_s"] = json!(celery);
        found["ratio"] = json!(rounded(rate / celery));
    }
    found
}
