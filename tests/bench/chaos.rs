//! Every fault again and again: how soon a training goes on once all is there again. That it ends
//! with the same bits is asserted each time.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::figures::median;
use crate::faults::{Disturbed, Fault};

/// Meets every fault `repeat` times, in turns.
pub(crate) async fn measure(repeat: usize) -> Value {
    println!("\n{repeat} times each fault: seconds until the training goes on, then its attempts");
    let mut federation = Disturbed::new(&Fault::ALL).await;
    let mut recoveries: BTreeMap<String, (Vec<f64>, Vec<u64>)> = BTreeMap::new();
    for _ in 0..repeat {
        for fault in Fault::ALL {
            let recovery = federation.survives(fault).await;
            let (seconds, attempts) = recoveries.entry(format!("{fault:?}")).or_default();
            seconds.push(recovery.took.as_secs_f64());
            attempts.push(recovery.attempts);
        }
    }
    let mut found = Map::new();
    for (fault, (seconds, attempts)) in recoveries {
        let slowest = seconds.iter().copied().fold(0.0, f64::max);
        let middle = median(&seconds);
        let most = attempts.into_iter().max().unwrap_or_default();
        println!(
            "{fault:<22} median {middle:>5.1}  slowest {slowest:>5.1}  attempts at most {most}"
        );
        let figures = json!({
            "times": repeat, "seconds_median": middle, "seconds_max": slowest, "attempts_max": most,
        });
        found.insert(fault, figures);
    }
    Value::Object(found)
}
