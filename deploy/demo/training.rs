//! The training that the demo asks for, as an HTTP request and in the words of the single-site
//! trainer.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::{Map, Value, json};
use shared::hyperparameters::{Convergence, Hyperparameters, Optimizer, Penalty, Start};
use shared::id::PartyId;
use shared::job::{Protection, TrainSpec};
use shared::local::logistic_regression::fit;
use shared::model::Model;
use shared::party::Parties;
use shared::table::{Label, Table};

use super::hospitals::{LABEL, RELATION, UNIQUE_ID};

/// The hospital that asks.
pub(super) const GUEST: u64 = 3;
/// The others.
const HOSTS: [u64; 2] = [4, 2];
/// Bits of the Paillier key.
pub(super) const KEY_BITS: u32 = shared::limits::KEY_BITS_DEFAULT;

const POSITIVE: &str = "1";
const ALPHA: f64 = 0.01;
const TOLERANCE: f64 = 1e-5;
const ITERATIONS_MAX: u32 = 100;
const LEARNING_RATE: f64 = 1.0;
const DECAY: f64 = 0.0;
const THRESHOLD: f64 = 0.5;

/// The body of `POST /model/train`.
pub(super) fn request(attributes: &[String]) -> Value {
    let sql = sql();
    let cohort = |id: &u64| (id.to_string(), json!({ "pos": sql, "neg": sql }));
    let data_info: Map<String, Value> = [GUEST].iter().chain(&HOSTS).map(cohort).collect();
    json!({
        "user_id": GUEST,
        "model_type": "lr",
        "model_params": {
            "penalty": "L2",
            "alpha": ALPHA,
            "optimizer": "sgd",
            "converge_func": "diff",
            "eps": TOLERANCE,
            "max_iter": ITERATIONS_MAX,
            "batch_size": -1,
            "learning_rate": LEARNING_RATE,
            "decay": DECAY,
            "decay_sqrt": true,
            "init_param": { "init_method": "zeros" },
            "encrypt_param": { "method": "Paillier" },
            "cv_param": { "need_cv": false },
            "standardize": true,
        },
        "party_id": HOSTS,
        "data_info": data_info,
        "unique_id": UNIQUE_ID,
        "attributes": attributes,
        "label_name": LABEL,
        "label_value": POSITIVE,
    })
}

/// All rows of a hospital's table.
pub(super) fn sql() -> String {
    format!("SELECT * FROM {RELATION};")
}

/// Which rows are positive.
pub(super) fn label() -> Label {
    Label {
        column: LABEL.to_owned(),
        value: POSITIVE.to_owned(),
    }
}

/// The same training on one table that holds every row.
///
/// # Errors
/// When a number leaves the range that sums can carry.
pub(super) fn pooled(attributes: &[String], table: &Table) -> anyhow::Result<Model> {
    let spec = TrainSpec {
        parties: Parties {
            guest: PartyId(GUEST),
            hosts: HOSTS.map(PartyId).into(),
        },
        cohorts: BTreeMap::new(),
        unique_id: UNIQUE_ID.to_owned(),
        attributes: attributes.to_owned(),
        label: label(),
        hyperparameters: Hyperparameters {
            penalty: Penalty::L2 { alpha: ALPHA },
            optimizer: Optimizer::Sgd,
            convergence: Convergence::Diff,
            tolerance: TOLERANCE,
            iterations_max: ITERATIONS_MAX,
            batch_rows: None,
            learning_rate: LEARNING_RATE,
            decay: DECAY,
            decay_sqrt: true,
            start: Start::Zeros,
            intercept: true,
            random_seed: None,
            standardize: true,
            threshold: THRESHOLD,
        },
        protection: Protection::None,
    };
    fit(&spec, table, |_| {}).context("training on the pooled rows")
}
