//! Seconds and training accuracy of the classifiers on `<name>_x.csv` and `<name>_y.csv`, to set
//! beside scikit-learn: `cargo run --release -p shared --example learning_peer -- <name> <learner>`.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Instant;

use shared::computation::FileKind;
use shared::local::encoder::Encoder;
use shared::local::frame::{self, Column};
use shared::local::{decision_tree, softmax_regression, support_vectors};

fn main() {
    let [_, name, learner] = <[String; 3]>::try_from(Vec::from_iter(std::env::args())).unwrap();
    let start = Instant::now();
    let read = |kind, end: &str| {
        let text = std::fs::read(format!("{name}_{end}.csv")).unwrap();
        frame::read(kind, &text, &BTreeSet::new()).unwrap()
    };
    let features = read(FileKind::Feature, "x");
    let target = read(FileKind::Target, "y");
    let (_, rows) = Encoder::fit(&features, learner == "lr").unwrap();
    let Column::Integers(classes) = &target.columns[0] else {
        panic!("classes are whole numbers from 0");
    };
    let truth: Vec<u32> = classes.iter().map(|class| *class as u32).collect();
    let count = *truth.iter().max().unwrap() as usize + 1;
    let read = start.elapsed();

    let start = Instant::now();
    let view = rows.view();
    let (fit, given) = match learner.as_str() {
        "dt" => {
            let model = decision_tree::fit(view, &truth, count);
            (start.elapsed(), model.predict(view))
        }
        "lr" => {
            let model = softmax_regression::fit(view, &truth, count).unwrap();
            let fit = start.elapsed();
            let first = &model.coefficients[0][..4];
            println!("{} {first:?} {:?}", model.iterations, model.intercepts);
            (fit, model.predict(view))
        }
        _ => {
            let model = support_vectors::fit(view, &truth, count).unwrap();
            let fit = start.elapsed();
            println!("{} support vectors", model.support_vectors.len());
            for pair in &model.pairs {
                println!("{} to {}: {}", pair.positive, pair.negative, pair.intercept);
            }
            (fit, model.predict(view, count))
        }
    };
    let all = start.elapsed();
    let right = truth.iter().zip(&given).filter(|(a, b)| a == b).count();
    println!(
        "{name} {learner}: read {:.3} fit {:.3} predict {:.3} accuracy {:.5}",
        read.as_secs_f64(),
        fit.as_secs_f64(),
        (all - fit).as_secs_f64(),
        right as f64 / truth.len() as f64
    );
}
