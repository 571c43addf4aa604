//! Status polls while jobs run: 200 clients ask where a training stands as fast as they can.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::federation::{hospitals, secagg, training};
use super::figures::{load, median, milliseconds, quantile, rounded};
use crate::support::Deployment;

const POLLERS: usize = 200;
const LASTS: Duration = Duration::from_secs(10);
/// Trainings that run meanwhile.
const TRAININGS: usize = 3;
/// More rounds than the pollers' time is enough for.
const ROUNDS: u32 = 100_000;

pub(crate) async fn measure(repeat: usize) -> Value {
    let seconds = LASTS.as_secs();
    println!("\nPolls: {POLLERS} pollers, {TRAININGS} trainings, {seconds} s, {repeat} times");
    let mut deployment = Deployment::start(&hospitals()).await;
    let client = deployment.api();
    let mut orders = Vec::new();
    for _ in 0..TRAININGS {
        orders.push(client.train(training(ROUNDS, &secagg())).await.order);
    }
    let rounds = async |deployment: &mut Deployment| {
        let mut sum = 0;
        for order in &orders {
            let trains = |report: &Value| report["round"].as_u64() > Some(0);
            let report = deployment.until(*order, "to train", trains).await;
            assert_eq!(report["status"], "running", "it ended too early");
            sum += report["round"].as_u64().expect("a count");
        }
        sum
    };
    let (mut rates, mut medians, mut slow) = (vec![], vec![], vec![]);
    let before = rounds(&mut deployment).await;
    for _ in 0..repeat {
        let began = Instant::now();
        let mut pollers = JoinSet::new();
        for number in 0..POLLERS {
            let client = client.clone();
            let path = format!(
                "/model/train_status?order_id={}",
                orders[number % TRAININGS]
            );
            pollers.spawn(async move {
                let mut took = Vec::new();
                while began.elapsed() < LASTS {
                    let asked = Instant::now();
                    let answer = client.get(&path).await;
                    took.push(milliseconds(asked.elapsed()));
                    assert_eq!(answer.status, 200, "{}", answer.text);
                }
                took
            });
        }
        let took: Vec<f64> = pollers.join_all().await.concat();
        rates.push(took.len() as f64 / began.elapsed().as_secs_f64());
        medians.push(quantile(&took, 0.5));
        slow.push(quantile(&took, 0.99));
    }
    let trained = rounds(&mut deployment).await - before;
    for order in &orders {
        let body = json!({ "order_id": order }).to_string();
        client.post("/model/cancel", body).await.data();
    }
    let [rate, middle, slow] = [rates, medians, slow].map(|all| median(&all));
    println!("polls            {rate:8.0}/s");
    println!("median           {middle:8.1} ms");
    println!("99 %             {slow:8.1} ms");
    println!("rounds meanwhile {trained:8}");
    json!({
        "pollers": POLLERS, "per_s": rounded(rate), "p50_ms": rounded(middle),
        "p99_ms": rounded(slow), "rounds_meanwhile": trained, "load_average": load(),
    })
}
