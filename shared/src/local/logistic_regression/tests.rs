//! `vectors.json` comes from `vectors.py`: scikit-learn, and formulas written out in Python.

use ndarray::{Array2, array};
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::hyperparameters::{Convergence, Hyperparameters, Optimizer, Penalty, Start};
use crate::id::PartyId;
use crate::job::{Protection, TrainSpec};
use crate::party::Parties;
use crate::table::{Label, Table};

#[derive(Deserialize)]
struct Vectors {
    optima: Optima,
    start: Vec<f64>,
    gradients: Vec<Vec<f64>>,
    descents: Vec<Trace>,
}

#[derive(Deserialize)]
struct Optima {
    mean: Vec<f64>,
    deviation: Vec<f64>,
    cases: Vec<Optimum>,
}

#[derive(Deserialize)]
struct Optimum {
    alpha: f64,
    coefficients: Vec<f64>,
    intercept: f64,
    scores: Vec<f64>,
}

#[derive(Deserialize)]
struct Trace {
    optimizer: Optimizer,
    penalty: String,
    weights: Vec<Vec<f64>>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

/// Plain gradient descent with a constant step of 0.15, from zero, that never converges.
fn parameters() -> Hyperparameters {
    Hyperparameters {
        penalty: Penalty::None,
        optimizer: Optimizer::Sgd,
        convergence: Convergence::Diff,
        tolerance: 0.0,
        iterations_max: 100,
        batch_rows: None,
        learning_rate: 0.15,
        decay: 0.0,
        decay_sqrt: true,
        start: Start::Zeros,
        intercept: true,
        random_seed: None,
        standardize: false,
        threshold: 0.5,
    }
}

fn spec(hyperparameters: Hyperparameters, columns: usize) -> TrainSpec {
    TrainSpec {
        parties: Parties {
            guest: PartyId(3),
            hosts: vec![PartyId(4), PartyId(2)],
        },
        cohorts: Default::default(),
        unique_id: "id".into(),
        attributes: (0..columns).map(|column| format!("x{column}")).collect(),
        label: Label {
            column: "y".into(),
            value: "1".into(),
        },
        hyperparameters,
        protection: Protection::SecAgg,
    }
}

/// The sum over one row whose gradient is these numbers.
fn sums(gradient: &[f64]) -> Vec<i128> {
    let encode = |&g| fixed_point::encode(g, FRACTION_BITS).unwrap();
    gradient.iter().map(encode).collect()
}

/// A sum of losses over one row.
fn loss(value: f64) -> i128 {
    fixed_point::encode(value, FRACTION_BITS).unwrap()
}

fn close(one: f64, other: f64, within: f64) -> bool {
    (one - other).abs() <= within
}

fn wdbc() -> Table {
    let text = include_str!("../../../../deploy/wdbc.csv");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let (mut ids, mut values, mut positive) = (Vec::new(), Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.unwrap();
        let numbers = record.iter().skip(1).map(|cell| cell.parse().unwrap());
        let mut numbers: Vec<f64> = numbers.collect();
        positive.push(numbers.pop() == Some(1.0));
        ids.push(record[0].to_owned());
        values.extend(numbers);
    }
    let values = Array2::from_shape_vec((ids.len(), 30), values).unwrap();
    Table {
        ids: ids.iter().collect(),
        values,
        positive,
    }
}

// --- rows to sums

/// Some rows: values, classes, weights with intercept.
fn rows() -> impl Strategy<Value = (Array2<f64>, Vec<bool>, Vec<f64>)> {
    (1..40usize, 1..5usize).prop_flat_map(|(rows, columns)| {
        let values = prop::collection::vec(-50.0..50.0f64, rows * columns);
        let classes = prop::collection::vec(any::<bool>(), rows);
        let weights = prop::collection::vec(-3.0..3.0f64, columns + 1);
        (values, classes, weights).prop_map(move |(values, classes, weights)| {
            let values = Array2::from_shape_vec((rows, columns), values).unwrap();
            (values, classes, weights)
        })
    })
}

/// Half a unit of the fixed point for each row, and what f64 loses.
fn rounding(rows: usize) -> f64 {
    rows as f64 * (libm::exp2(-41.0) + 1e-12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_gradient_is_the_direct_formula((values, classes, weights) in rows()) {
        let columns = values.ncols();
        let mut expected = vec![0.0; columns + 1];
        for (row, &class) in values.rows().into_iter().zip(&classes) {
            let z = row.iter().zip(&weights).map(|(x, w)| x * w).sum::<f64>() + weights[columns];
            let error = 1.0 / (1.0 + (-z).exp()) - f64::from(class);
            for (sum, x) in expected.iter_mut().zip(row.iter().chain(&[1.0])) {
                *sum += error * x;
            }
        }
        let found = gradient_sum(values.view(), &classes, &weights, |_| true).unwrap();
        prop_assert_eq!(found.rows, values.nrows() as i128);
        for (&sum, expected) in found.gradient.iter().zip(expected) {
            let sum = fixed_point::decode(sum, FRACTION_BITS);
            prop_assert!(close(sum, expected, rounding(values.nrows())), "{sum} {expected}");
        }
    }

    #[test]
    fn the_loss_is_the_direct_formula((values, classes, weights) in rows()) {
        let columns = values.ncols();
        let mut expected = 0.0;
        for (row, &class) in values.rows().into_iter().zip(&classes) {
            let z = row.iter().zip(&weights).map(|(x, w)| x * w).sum::<f64>() + weights[columns];
            let y = if class { 1.0 } else { -1.0 };
            expected += if -y * z > 700.0 { -y * z } else { (-y * z).exp().ln_1p() };
        }
        let found = loss_sum(values.view(), &classes, &weights).unwrap();
        let found = fixed_point::decode(found, FRACTION_BITS);
        prop_assert!(close(found, expected, rounding(values.nrows())), "{found} {expected}");
    }

    #[test]
    fn sums_do_not_depend_on_the_order_or_the_split_of_rows(
        (values, classes, weights) in rows(), cut in 0..40usize
    ) {
        let all: Vec<usize> = (0..values.nrows()).rev().collect();
        let (left, right) = all.split_at(cut.min(all.len()));
        let whole = gradient_sum(values.view(), &classes, &weights, |_| true).unwrap();
        let mut parts = vec![0; whole.gradient.len()];
        let mut losses = 0;
        for part in [left, right] {
            let rows = values.select(ndarray::Axis(0), part);
            let classes: Vec<bool> = part.iter().map(|&row| classes[row]).collect();
            let sum = gradient_sum(rows.view(), &classes, &weights, |_| true).unwrap();
            parts.iter_mut().zip(sum.gradient).for_each(|(sum, term)| *sum += term);
            losses += loss_sum(rows.view(), &classes, &weights).unwrap();
        }
        prop_assert_eq!(parts, whole.gradient);
        prop_assert_eq!(losses, loss_sum(values.view(), &classes, &weights).unwrap());
    }

    #[test]
    fn the_batches_of_an_iteration_cover_every_row_once(
        (values, classes, weights) in rows(), count in 1..5u32
    ) {
        let ids: Ids = (0..values.nrows()).map(|row| format!("row {row}")).collect();
        let batches = Batches::new(b"request", &ids, count);
        let whole = gradient_sum(values.view(), &classes, &weights, |_| true).unwrap();
        let mut total = GradientSum { gradient: vec![0; whole.gradient.len()], rows: 0 };
        for batch in 0..count {
            let within = |row| batches.contains(batch, row);
            let sum = gradient_sum(values.view(), &classes, &weights, within).unwrap();
            total.gradient.iter_mut().zip(sum.gradient).for_each(|(sum, term)| *sum += term);
            total.rows += sum.rows;
        }
        prop_assert_eq!(total, whole);
    }

    #[test]
    fn a_standardized_column_has_mean_zero_and_deviation_one((values, ..) in rows()) {
        let rows = values.nrows() as i128;
        let mean = means(&column_sums(values.view()).unwrap(), rows);
        let deviation = deviations(&square_sums(values.view(), &mean).unwrap(), rows);
        let constant = values.nrows() == 1;
        let mut standardized = values;
        standardize(&mut standardized, &Standardization { mean, deviation });
        for column in standardized.columns() {
            let mean = column.sum() / rows as f64;
            let square = column.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>();
            prop_assert!(close(mean, 0.0, 1e-6), "{mean}");
            let expected = if constant { 0.0 } else { 1.0 };
            prop_assert!(close(square / rows as f64, expected, 1e-6), "{square}");
        }
    }
}

#[test]
fn a_constant_column_has_deviation_one() {
    let mut values = array![[7.5, 1.0], [7.5, 2.0], [7.5, 6.0]];
    let mean = means(&column_sums(values.view()).unwrap(), 3);
    let deviation = deviations(&square_sums(values.view(), &mean).unwrap(), 3);
    assert_eq!(mean, [7.5, 3.0]);
    assert_eq!(deviation[0], 1.0);
    assert!(close(deviation[1], (14.0f64 / 3.0).sqrt(), 1e-15));
    standardize(&mut values, &Standardization { mean, deviation });
    assert_eq!(values.column(0).to_vec(), [0.0, 0.0, 0.0]);
}

#[test]
fn the_logistic_function_is_stable_everywhere() {
    assert_eq!(sigmoid(0.0), 0.5);
    assert_eq!((sigmoid(800.0), sigmoid(-800.0)), (1.0, 0.0));
    assert_eq!((sigmoid(f64::MAX), sigmoid(-f64::MAX)), (1.0, 0.0));
    for step in -3000..3000 {
        let z = f64::from(step) / 4.0;
        assert!(close(sigmoid(z) + sigmoid(-z), 1.0, 1e-15), "{z}");
        assert!(sigmoid(z) <= sigmoid(z + 0.25), "rises at {z}");
        if z < -40.0 {
            let relative = sigmoid(z) / libm::exp(z);
            assert!(z < -700.0 || close(relative, 1.0, 1e-15), "{z}");
        }
    }
}

#[test]
fn the_softplus_neither_overflows_nor_loses_its_tail() {
    assert_eq!((softplus(800.0), softplus(-800.0)), (800.0, 0.0));
    assert_eq!(softplus(1e300), 1e300);
    assert!(close(softplus(0.0), 2.0f64.ln(), 1e-16));
    // log(1 + exp(z)) written plainly would be 0 here.
    assert!(close(softplus(-50.0) / libm::exp(-50.0), 1.0, 1e-15));
    for step in -200..200 {
        let z = f64::from(step) / 8.0;
        assert!(close(softplus(z) - softplus(-z), z, 1e-13), "{z}");
        let slope = (softplus(z + 1e-6) - softplus(z - 1e-6)) / 2e-6;
        assert!(close(slope, sigmoid(z), 1e-8), "{z}");
    }
}

#[test]
fn rows_beyond_the_range_are_an_error() {
    let (values, weights) = (array![[1e30]], [1e10, 0.0]);
    assert_eq!(
        gradient_sum(values.view(), &[false], &weights, |_| true),
        Err(RangeError::TooLarge)
    );
    assert_eq!(
        column_sums(array![[f64::INFINITY]].view()),
        Err(RangeError::NotFinite)
    );
}

#[test]
fn a_batch_size_becomes_the_nearest_number_of_batches() {
    let count = |rows, size| Batches::count_for(rows, size);
    assert_eq!(count(1848, None), 1);
    assert_eq!(count(1848, Some(500)), 4);
    assert_eq!(count(500, Some(500)), 1);
    assert_eq!(count(501, Some(500)), 1, "never an empty iteration");
    assert_eq!(count(30, Some(12)), 2, "half to even");
    assert_eq!(count(10, Some(u64::MAX)), 1);
}

// --- sums to weights

#[test]
fn every_optimiser_and_penalty_takes_the_steps_of_its_formula() {
    let vectors = vectors();
    for trace in &vectors.descents {
        let alpha = 0.3;
        let parameters = Hyperparameters {
            optimizer: trace.optimizer,
            penalty: match trace.penalty.as_str() {
                "l1" => Penalty::L1 { alpha },
                "l2" => Penalty::L2 { alpha },
                _ => Penalty::None,
            },
            decay: 1.0,
            ..parameters()
        };
        let mut descent = Descent::new(b"", &parameters, 2);
        descent.weights.clone_from(&vectors.start);
        for (gradient, expected) in vectors.gradients.iter().zip(&trace.weights) {
            descent.apply(&parameters, &sums(gradient), 1, 2);
            for (&found, &expected) in descent.weights.iter().zip(expected) {
                let within = 1e-14 * expected.abs().max(1.0);
                assert!(
                    close(found, expected, within),
                    "{:?} {}: {found} {expected}",
                    trace.optimizer,
                    trace.penalty
                );
            }
        }
        assert_eq!((descent.iteration, descent.batch), (3, 0));
    }
    let tried: Vec<Optimizer> = vectors
        .descents
        .iter()
        .map(|trace| trace.optimizer)
        .collect();
    assert!(
        Optimizer::ALL
            .iter()
            .all(|optimizer| tried.contains(optimizer))
    );
}

/// What plain descent takes off the weight in each iteration when the gradient is 1.
fn rates(decay: f64, decay_sqrt: bool) -> Vec<f64> {
    let parameters = Hyperparameters {
        decay,
        decay_sqrt,
        ..parameters()
    };
    let mut descent = Descent::new(b"", &parameters, 1);
    let mut rates = Vec::new();
    for _ in 0..5 {
        let before = descent.weights[0];
        descent.apply(&parameters, &sums(&[1.0, 0.0]), 1, 1);
        rates.push(before - descent.weights[0]);
    }
    rates
}

#[test]
fn the_seed_s_learning_rate_decays_per_iteration() {
    let equals = |found: Vec<f64>, expected: [f64; 5]| {
        let pairs = found.iter().zip(expected);
        assert!(
            pairs
                .into_iter()
                .all(|(&found, expected)| close(found, expected, 5e-6)),
            "{found:?}"
        );
    };
    equals(rates(1.0, true), [0.15, 0.10607, 0.08660, 0.075, 0.06708]);
    equals(rates(1.0, false), [0.15, 0.075, 0.05, 0.0375, 0.03]);
    equals(rates(0.5, false), [0.15, 0.1, 0.075, 0.06, 0.05]);
    equals(rates(0.0, true), [0.15; 5]);
    equals(rates(0.0, false), [0.15; 5]);
}

#[test]
fn the_gradient_is_a_mean_over_the_batch_s_rows() {
    let parameters = parameters();
    let mut descent = Descent::new(b"", &parameters, 1);
    descent.apply(&parameters, &sums(&[8.0, -4.0]), 4, 1);
    assert_eq!(descent.weights, [-0.15 * 2.0, 0.15]);
}

#[test]
fn an_l1_penalty_shrinks_coefficients_to_zero_and_leaves_the_intercept() {
    let parameters = Hyperparameters {
        penalty: Penalty::L1 { alpha: 2.0 },
        ..parameters()
    };
    let mut descent = Descent::new(b"", &parameters, 3);
    descent.weights = vec![1.0, -1.0, 0.25, 0.25];
    descent.apply(&parameters, &sums(&[0.0, 0.0, 0.0, 0.0]), 1, 1);
    let shrink = 2.0 * 0.15;
    assert_eq!(descent.weights, [1.0 - shrink, shrink - 1.0, 0.0, 0.25]);
}

#[test]
fn a_model_without_intercept_keeps_it_at_zero() {
    for optimizer in Optimizer::ALL {
        let parameters = Hyperparameters {
            intercept: false,
            start: Start::Ones,
            optimizer,
            ..parameters()
        };
        let mut descent = Descent::new(b"", &parameters, 1);
        descent.apply(&parameters, &sums(&[1.0, 1.0]), 1, 1);
        assert_eq!(descent.weights[1], 0.0);
        assert_ne!(descent.weights[0], 1.0);
    }
}

#[test]
fn an_empty_batch_changes_no_weight_and_no_state() {
    for optimizer in Optimizer::ALL {
        let parameters = Hyperparameters {
            optimizer,
            penalty: Penalty::L2 { alpha: 0.5 },
            ..parameters()
        };
        let mut with = Descent::new(b"", &parameters, 1);
        let mut without = with.clone();
        with.apply(&parameters, &sums(&[1.0, 2.0]), 1, 3);
        with.apply(&parameters, &sums(&[0.0, 0.0]), 0, 3);
        with.apply(&parameters, &sums(&[3.0, -1.0]), 1, 3);
        without.apply(&parameters, &sums(&[1.0, 2.0]), 1, 2);
        without.apply(&parameters, &sums(&[3.0, -1.0]), 1, 2);
        assert!(with == without, "{optimizer:?}");
    }
}

#[test]
fn the_observed_loss_is_mean_log_loss_plus_penalty() {
    let weights = vec![3.0, -4.0, 100.0];
    for (penalty, expected) in [
        (Penalty::None, 0.25),
        (Penalty::L1 { alpha: 0.5 }, 0.25 + 0.5 * 7.0),
        (Penalty::L2 { alpha: 0.5 }, 0.25 + 0.25 * 25.0),
    ] {
        let parameters = Hyperparameters {
            penalty,
            ..parameters()
        };
        let mut descent = Descent::new(b"", &parameters, 2);
        descent.weights.clone_from(&weights);
        descent.observe_loss(&parameters, loss(1.0), 4);
        assert_eq!(descent.losses, [expected]);
    }
}

/// Whether training stops at each of these losses.
fn stops(convergence: Convergence, losses: &[f64]) -> Vec<bool> {
    let parameters = Hyperparameters {
        convergence,
        tolerance: 0.125,
        ..parameters()
    };
    let mut descent = Descent::new(b"", &parameters, 1);
    let stop = |&value| {
        descent.observe_loss(&parameters, loss(value), 1);
        descent.stop.take() == Some(Stop::Converged)
    };
    losses.iter().map(stop).collect()
}

#[test]
fn diff_looks_at_the_change_of_the_loss_and_never_stops_at_the_first() {
    let losses = [0.0, 0.0, 0.125, 0.0, 0.0625, 1.0, 0.9375];
    let expected = [false, true, false, false, true, false, true];
    assert_eq!(stops(Convergence::Diff, &losses), expected);
}

#[test]
fn abs_looks_at_the_loss_itself() {
    let losses = [1.0, 0.1875, 0.125, 0.25, 0.0];
    let expected = [false, false, true, false, true];
    assert_eq!(stops(Convergence::Abs, &losses), expected);
    assert_eq!(
        stops(Convergence::Abs, &[0.125]),
        [true],
        "already at the first"
    );
}

/// Iterations until training stops, each moving the one coefficient by these amounts.
fn stops_after(start: f64, moves: &[f64]) -> Option<u32> {
    let parameters = Hyperparameters {
        convergence: Convergence::WeightDiff,
        tolerance: 0.125,
        learning_rate: 1.0,
        ..parameters()
    };
    let mut descent = Descent::new(b"", &parameters, 1);
    descent.weights[0] = start;
    for &by in moves {
        descent.apply(&parameters, &sums(&[-by, 0.0]), 1, 1);
        if descent.stop.is_some() {
            assert_eq!(descent.stop, Some(Stop::Converged));
            return Some(descent.iteration);
        }
    }
    None
}

#[test]
fn weight_diff_is_relative_to_the_weights_and_never_stops_after_the_first_iteration() {
    assert_eq!(stops_after(0.0, &[0.0, 0.0]), Some(2));
    assert_eq!(stops_after(0.0, &[0.5, 0.25, 0.0625]), Some(3));
    assert_eq!(
        stops_after(0.0, &[0.5, 0.125]),
        None,
        "small weights count as one"
    );
    // |dw| = 1 against 0.125 * max(|w|, 1).
    assert_eq!(stops_after(10.0, &[1.0, 1.0]), Some(2));
    assert_eq!(stops_after(4.0, &[1.0, 1.0]), None);
}

#[test]
fn weight_diff_looks_at_whole_iterations() {
    let parameters = Hyperparameters {
        convergence: Convergence::WeightDiff,
        tolerance: 0.125,
        learning_rate: 1.0,
        ..parameters()
    };
    let mut descent = Descent::new(b"", &parameters, 1);
    // Small batches of one direction add up; large ones may cancel.
    for by in [0.1, 0.1, 0.1, 0.1] {
        descent.apply(&parameters, &sums(&[by, 0.0]), 1, 2);
    }
    assert_eq!(descent.stop, None);
    for by in [1.0, -1.0] {
        descent.apply(&parameters, &sums(&[by, 0.0]), 1, 2);
    }
    assert_eq!(descent.stop, Some(Stop::Converged));
}

#[test]
fn training_does_exactly_the_iterations_that_were_asked_for() {
    for iterations_max in [1, 2, 7] {
        let parameters = Hyperparameters {
            iterations_max,
            batch_rows: Some(10),
            ..parameters()
        };
        let table = Table {
            ids: (0..40).map(|row| row.to_string()).collect(),
            values: Array2::from_shape_fn((40, 1), |(row, _)| row as f64 / 40.0),
            positive: (0..40).map(|row| row % 3 == 0).collect(),
        };
        let mut updates = 0;
        let model = fit(&spec(parameters, 1), &table, |_| updates += 1).unwrap();
        assert_eq!((model.iterations, model.converged), (iterations_max, false));
        assert_eq!(updates, iterations_max * 4);
        assert_eq!(model.losses.len(), iterations_max as usize);
    }
}

#[test]
fn a_descent_that_runs_away_is_an_error() {
    let parameters = Hyperparameters {
        learning_rate: 1e30,
        ..parameters()
    };
    let table = Table {
        ids: ["a", "b", "c"].into_iter().collect(),
        values: array![[1.0], [2.0], [3.0]],
        positive: vec![true, false, true],
    };
    assert!(fit(&spec(parameters, 1), &table, |_| ()).is_err());
}

// --- against scikit-learn

#[test]
fn standardization_is_scikit_learn_s() {
    let (table, optima) = (wdbc(), vectors().optima);
    let mean = means(&column_sums(table.values.view()).unwrap(), 569);
    let deviation = deviations(&square_sums(table.values.view(), &mean).unwrap(), 569);
    // Each value is rounded to a multiple of 2^-40 before it is summed.
    let unit = libm::exp2(-41.0);
    for (found, expected) in mean.iter().zip(optima.mean) {
        assert!(
            close(*found, expected, unit + 1e-15 * expected),
            "{found} {expected}"
        );
    }
    for (found, expected) in deviation.iter().zip(optima.deviation) {
        assert!(
            close(*found, expected, 1e-12 * expected),
            "{found} {expected}"
        );
    }
}

#[test]
fn training_converges_to_scikit_learn_s_weights() {
    let table = wdbc();
    for optimum in vectors().optima.cases {
        let parameters = Hyperparameters {
            penalty: Penalty::L2 {
                alpha: optimum.alpha,
            },
            optimizer: Optimizer::NesterovMomentumSgd,
            convergence: Convergence::WeightDiff,
            tolerance: 1e-12,
            iterations_max: 1000,
            learning_rate: 1.0,
            standardize: true,
            ..parameters()
        };
        let model = fit(&spec(parameters, 30), &table, |_| ()).unwrap();
        assert!(model.converged, "after {} iterations", model.iterations);
        let found = model.coefficients.iter().chain([&model.intercept]);
        let expected = optimum.coefficients.iter().chain([&optimum.intercept]);
        let furthest = found
            .zip(expected)
            .map(|(w, v)| (w - v).abs())
            .fold(0.0, f64::max);
        assert!(furthest <= 1e-8, "alpha {}: {furthest:e}", optimum.alpha);
        for (row, expected) in table.values.rows().into_iter().zip(&optimum.scores) {
            let found = score(&model, row);
            assert!(close(found, *expected, 1e-8), "{found} {expected}");
        }
    }
}
