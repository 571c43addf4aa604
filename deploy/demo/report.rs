//! The demo's figures as JSON.
//!
//! - `rows`: rows each party used, by party id, as `/model/train_status` tells.
//! - `rounds`: sums of the training, those of counts, means and deviations included.
//! - `seconds.total`: the whole demo, from its start to this report.
//! - `seconds.key`: one Paillier key of 3072 bits, made when nothing else ran; not the training's.
//! - `seconds.round_median`: the training's median round, as `/model/report` tells.
//! - `encrypt_microseconds_per_value`: packing and encrypting one contribution of the training (35
//!   slots), median of 40, divided by the 31 sums in it that become weights. No randomiser is made
//!   beforehand. Masks, tags, seals, and what is done once per key are not in it.
//! - `weights`: of the federation's model, by attribute and `intercept`, in standardised units.
//! - `pooled_weights`: the same, by [`shared::local`] on the embedded rows as one table.
//! - `bit_identical`: whether each hospital's copy has the bits of the pooled model: weights, means
//!   and deviations.
//! - `auc`, `accuracy`: over all rows, which are those of the training, from unrounded scores.
//! - `predictions`: what `/model/infer_status` answered for one hospital's rows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use shared::model::Model;

use super::client::Prediction;
use super::cost::Cost;
use super::{Comparison, Training};

/// Everything that was found out.
pub(super) struct Figures<'a> {
    pub(super) training: &'a Training,
    pub(super) comparison: &'a Comparison,
    pub(super) predictions: &'a [Prediction],
    pub(super) cost: &'a Cost,
    pub(super) total: Duration,
}

impl Figures<'_> {
    /// The report, see the module.
    pub(super) fn to_json(&self) -> Value {
        let Figures {
            training,
            comparison,
            predictions,
            cost,
            total,
        } = self;
        let predictions: Vec<Value> = predictions
            .iter()
            .map(|each| json!({ "unique_id": each.unique_id, "label": each.label }))
            .collect();
        let pooled = weights(&comparison.pooled);
        let sums = pooled.len() as f64;
        let rows: &BTreeMap<String, u64> = &training.rows;
        json!({
            "rows": rows,
            "rounds": training.report.round,
            "seconds": {
                "total": total.as_secs_f64(),
                "key": cost.key.as_secs_f64(),
                "round_median": training.report.round_milliseconds.map(|round| round / 1e3),
            },
            "encrypt_microseconds_per_value": cost.contribution.as_secs_f64() * 1e6 / sums,
            "weights": weights(&comparison.model),
            "pooled_weights": pooled,
            "bit_identical": comparison.bit_identical,
            "auc": comparison.auc,
            "accuracy": comparison.accuracy,
            "predictions": predictions,
        })
    }
}

fn weights(model: &Model) -> Map<String, Value> {
    let names = model.attributes.iter().map(String::as_str);
    let values = model.coefficients.iter().chain([&model.intercept]);
    names
        .chain(["intercept"])
        .zip(values)
        .map(|(name, weight)| (name.to_owned(), json!(weight)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::tests::model;

    #[test]
    fn the_report_has_the_keys_that_were_agreed_on_and_every_bit_of_a_weight() {
        let report = json!({
            "status": "finished", "iterations": 1, "iterations_max": 1, "round": 4,
            "round_milliseconds": 50.0, "converged": true, "parties": [], "privacy": null,
            "reason": null,
        });
        let training = Training {
            model: 1,
            order: 1,
            rows: [("2".to_owned(), 234)].into(),
            report: serde_json::from_value(report).unwrap(),
            took: Duration::ZERO,
            first_sum: Duration::ZERO,
        };
        let comparison = Comparison {
            model: model(),
            pooled: model(),
            bit_identical: true,
            auc: 0.5,
            accuracy: 0.25,
        };
        let predictions = [Prediction {
            unique_id: "7".to_owned(),
            label: 0.0768,
        }];
        let cost = Cost {
            key: Duration::from_millis(500),
            contribution: Duration::from_micros(300),
        };
        let figures = Figures {
            training: &training,
            comparison: &comparison,
            predictions: &predictions,
            cost: &cost,
            total: Duration::from_secs(9),
        };
        let weights = json!({ "a": 0.1, "b": -2.0, "intercept": 0.1 + 0.2 });
        let expected = json!({
            "rows": { "2": 234 },
            "rounds": 4,
            "seconds": { "total": 9.0, "key": 0.5, "round_median": 0.05 },
            "encrypt_microseconds_per_value": 100.0,
            "weights": weights,
            "pooled_weights": weights,
            "bit_identical": true,
            "auc": 0.5,
            "accuracy": 0.25,
            "predictions": [{ "unique_id": "7", "label": 0.0768 }],
        });
        let text = figures.to_json().to_string();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    }
}
