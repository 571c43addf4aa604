//! A round's latency with three parties over the broker, beside what its parts cost alone.
//!
//! A guest takes the median of its last 101 rounds by its own clock; the report tells it. The
//! arithmetic is the same training in one process without a broker (`concord standalone`); the
//! hops are `hops`.

use serde_json::{Value, json};

use super::federation::{hospitals, paillier, secagg, training};
use super::figures::{load, median, rounded};
use super::hops::{self, Lengths, Route};
use crate::support::{Deployment, System};

/// One kind of protection.
struct Kind {
    name: &'static str,
    protection: Value,
    rounds: u32,
    route: Route,
    lengths: Lengths,
}

/// Lengths as a trace of the parties' system calls gave them, without AMQP's own 164 bytes.
fn kinds() -> Vec<Kind> {
    let kind = |name, protection, rounds, route, (question, answer, sum)| Kind {
        name,
        protection,
        rounds,
        route,
        lengths: Lengths {
            question,
            answer,
            sum,
        },
    };
    vec![
        kind("SecAgg", secagg(), 400, Route::Two, (220, 346, 0)),
        kind(
            "Paillier-2048",
            paillier(2048),
            120,
            Route::Three,
            (220, 730, 730),
        ),
        kind(
            "Paillier-3072",
            paillier(3072),
            120,
            Route::Three,
            (220, 986, 986),
        ),
    ]
}

pub(crate) async fn measure(repeat: usize) -> Value {
    println!("\nRounds: 3 parties, median of each training's last 101 rounds, {repeat} trainings");
    println!(
        "{:14} {:>9} {:>11} {:>9} {:>7}",
        "", "round ms", "arithmetic", "hops", "ratio"
    );
    let mut deployment = Deployment::start(&hospitals()).await;
    let standalone = System::start(&hospitals()).await;
    let mut found = Vec::new();
    for kind in kinds() {
        let (mut round, mut arithmetic, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..repeat {
            let request = training(kind.rounds, &kind.protection);
            bare.push(hops::measure(deployment.broker(), kind.route, kind.lengths).await);
            let job = deployment.api().train(&request).await;
            round.push(milliseconds_of(&deployment.finished(job.order).await));
            let job = standalone.train(&request).await;
            arithmetic.push(milliseconds_of(&standalone.finished(job.order).await));
        }
        let [round, arithmetic, bare] = [round, arithmetic, bare].map(|all| median(&all));
        let ratio = (round - arithmetic) / bare;
        println!(
            "{:14} {round:9.2} {arithmetic:11.2} {bare:9.2} {ratio:7.2}",
            kind.name
        );
        found.push(json!({
            "protection": kind.name,
            "hops": match kind.route { Route::Two => 2, Route::Three => 3 },
            "round_ms": rounded(round),
            "arithmetic_ms": rounded(arithmetic),
            "hops_ms": rounded(bare),
            "ratio": rounded(ratio),
            "load_average": load(),
        }));
    }
    standalone.stop().await;
    Value::Array(found)
}

fn milliseconds_of(report: &Value) -> f64 {
    let median = report["round_milliseconds"].as_f64();
    median.expect("a finished training has rounds")
}
