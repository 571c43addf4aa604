//! A federation reaches the weights that scikit-learn finds on the pooled rows.

use serde::Deserialize;
use serde_json::json;

use crate::support::{Hospital, System, train};

/// Made by `vectors.py` beside it.
const VECTORS: &str = include_str!("../shared/src/local/logistic_regression/vectors.json");
/// The Wisconsin breast cancer rows; `deploy/` says where they come from.
const WDBC: &str = include_str!("../deploy/wdbc.csv");

#[derive(Deserialize)]
struct Vectors {
    optima: Optima,
}

#[derive(Deserialize)]
struct Optima {
    cases: Vec<Optimum>,
}

#[derive(Deserialize)]
struct Optimum {
    alpha: f64,
    coefficients: Vec<f64>,
    intercept: f64,
}

/// Every third row to each of three hospitals.
fn hospitals() -> Vec<Hospital> {
    let (header, rows) = WDBC.split_once('\n').expect("a header");
    let mut texts = [2, 3, 4].map(|id| (id, format!("{header}\n")));
    for (index, row) in rows.lines().enumerate() {
        texts[index % 3].1 += &format!("{row}\n");
    }
    let hospital = |(id, text)| Hospital::new(id, "医院").file("wdbc.csv", text);
    texts.into_iter().map(hospital).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_federation_converges_to_scikit_learn_s_weights() {
    let vectors: Vectors = serde_json::from_str(VECTORS).expect("what vectors.py wrote");
    let system = System::start(&hospitals()).await;
    let header = WDBC.lines().next().expect("a header");
    let names: Vec<&str> = header.split(',').collect();
    let mut jobs = Vec::new();
    for optimum in &vectors.optima.cases {
        let parameters = json!({
            "optimizer": "nesterov_momentum_sgd", "alpha": optimum.alpha, "learning_rate": 1.0,
            "decay": 0, "batch_size": -1, "max_iter": 1000, "converge_func": "weight_diff",
            "eps": 1e-11, "standardize": true, "encrypt_param": { "method": "SecAgg" },
        });
        let mut request = train(&[3, 4, 2], "wdbc", parameters);
        request["attributes"] = json!(names[1..names.len() - 1]);
        request["label_value"] = json!(1);
        jobs.push(system.train(&request).await);
    }
    for (job, optimum) in jobs.into_iter().zip(&vectors.optima.cases) {
        let report = system.finished(job.order).await;
        assert_eq!(report["converged"], true, "{report}");
        let model = system.site.export(4, job.model).await;
        let found = model.coefficients.iter().chain([&model.intercept]);
        let expected = optimum.coefficients.iter().chain([&optimum.intercept]);
        let furthest = found
            .zip(expected)
            .map(|(w, v)| (w - v).abs())
            .fold(0.0, f64::max);
        assert!(furthest <= 1e-8, "alpha {}: {furthest:e}", optimum.alpha);
    }
    system.stop().await;
}
