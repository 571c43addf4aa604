//! Seconds and training accuracy of a classifier on `<name>_x.csv` and `<name>_y.csv`, to set beside
//! scikit-learn's: `cargo run --release -p shared --example learning_peer -- <name> <dt|lr|svm>`.
//! The classes are whole numbers from 0.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::Write;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use shared::computation::FileKind;
use shared::local::encoder::Encoder;
use shared::local::frame::{self, Column, Frame};
use shared::local::{decision_tree, softmax_regression, support_vectors};

static NEVER: AtomicBool = AtomicBool::new(false);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn read(kind: FileKind, name: &str) -> Result<Frame> {
    let text = std::fs::read(name)?;
    Ok(frame::read(kind, &text, &BTreeSet::new(), &NEVER)?)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, name, learner] = arguments.as_slice() else {
        return Err("usage: learning_peer <name> <dt|lr|svm>".into());
    };
    let mut out = std::io::stdout();
    let start = Instant::now();
    let features = read(FileKind::Feature, &format!("{name}_x.csv"))?;
    let target = read(FileKind::Target, &format!("{name}_y.csv"))?;
    let (_, rows) = Encoder::fit(&features, learner == "lr")?;
    let Column::Integers(classes) = &target.columns[0] else {
        return Err("the classes are not whole numbers".into());
    };
    let truth = classes.iter().map(|class| u32::try_from(*class));
    let truth: Vec<u32> = truth.collect::<std::result::Result<_, _>>()?;
    let count = truth.iter().max().map_or(0, |most| *most as usize + 1);
    let read = start.elapsed();

    let start = Instant::now();
    let view = rows.view();
    let (fitted, given) = match learner.as_str() {
        "dt" => {
            let model = decision_tree::fit(view, &truth, count, &NEVER)?;
            (start.elapsed(), model.predict(view, &NEVER)?)
        }
        "lr" => {
            let model = softmax_regression::fit(view, &truth, count, &NEVER)?;
            writeln!(out, "intercepts {:?}", model.intercepts)?;
            (start.elapsed(), model.predict(view, &NEVER)?)
        }
        _ => {
            let model = support_vectors::fit(view, &truth, count, &NEVER)?;
            writeln!(out, "{} support vectors", model.support_vectors.len())?;
            (start.elapsed(), model.predict(view, count, &NEVER)?)
        }
    };
    let all = start.elapsed();
    let right = truth.iter().zip(&given).filter(|(a, b)| a == b).count();
    writeln!(
        out,
        "{name} {learner}: read {:.3} fit {:.3} predict {:.3} accuracy {:.5}",
        read.as_secs_f64(),
        fitted.as_secs_f64(),
        (all - fitted).as_secs_f64(),
        right as f64 / truth.len() as f64
    )?;
    Ok(())
}
