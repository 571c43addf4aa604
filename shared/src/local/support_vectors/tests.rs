use super::*;
use crate::local::stopping::tests::{NEVER, NOW};
use ndarray::array;

/// Two arcs that no line parts, with some rows on the wrong side.
fn rows() -> (Array2<f64>, Vec<u32>) {
    let classes: Vec<u32> = (0..200).map(|row| row % 2).collect();
    let rows = Array2::from_shape_fn((200, 2), |(row, column)| {
        let angle = (row * 37 % 200) as f64 / 40.0;
        let radius = 1.0 + f64::from(classes[row]) + (row * 13 % 11) as f64 / 7.0;
        radius
            * if column == 0 {
                angle.cos()
            } else {
                angle.sin()
            }
    });
    (rows, classes)
}

#[test]
fn the_margin_fulfils_the_conditions_of_the_optimum() {
    let (rows, classes) = rows();
    let members = |class| (0..200).filter(move |row| row % 2 == class);
    let both: Vec<usize> = members(0).chain(members(1)).collect();
    let kernel = Kernel::new(rows.view(), &both, 0.7);
    let margin = margin::fit(&kernel, 100, (CACHE_BYTES, ITERATIONS_MAX), &NEVER).unwrap();
    assert!(margin.weights.iter().sum::<f64>().abs() < 1e-9);
    let mut kernels = vec![0.0; 200];
    for (row, weight) in margin.weights.iter().enumerate() {
        kernel.row(&kernel.values(row), &mut kernels);
        let sign = if row < 100 { 1.0 } else { -1.0 };
        let terms = kernels.iter().zip(&margin.weights);
        let score = margin.intercept + terms.map(|(k, w)| k * w).sum::<f64>();
        match sign * weight {
            0.0 => assert!(sign * score > 1.0 - 1e-3),
            1.0 => assert!(sign * score < 1.0 + 1e-3),
            free => assert!((0.0..1.0).contains(&free) && (sign * score - 1.0).abs() < 1e-3),
        }
    }
    assert_eq!(classes[both[0]], 0);
}

#[test]
fn a_cache_of_two_rows_finds_the_same() {
    let (rows, _) = rows();
    let all: Vec<usize> = (0..200).collect();
    let kernel = Kernel::new(rows.view(), &all, 1.0);
    let (small, large) = (
        margin::fit(&kernel, 90, (0, ITERATIONS_MAX), &NEVER).unwrap(),
        margin::fit(&kernel, 90, (CACHE_BYTES, ITERATIONS_MAX), &NEVER).unwrap(),
    );
    assert_eq!(small.weights, large.weights);
    assert_eq!(small.intercept, large.intercept);
}

#[test]
fn rows_that_are_all_equal_have_a_model_too() {
    let rows = array![[2.0, 2.0], [2.0, 2.0], [2.0, 2.0]];
    let model = fit(rows.view(), &[0, 1, 1], 2, &NEVER).unwrap();
    assert_eq!(model.gamma, 1.0);
    assert_eq!(model.predict(rows.view(), 2, &NEVER).unwrap().len(), 3);
}

#[test]
fn the_lowest_class_wins_a_tie_of_votes() {
    let pair = |positive, negative, intercept| Pair {
        positive,
        negative,
        support: vec![],
        coefficients: vec![],
        intercept,
    };
    let model = Model {
        gamma: 1.0,
        support_vectors: vec![vec![0.0]],
        pairs: vec![pair(0, 1, 1.0), pair(0, 2, -1.0), pair(1, 2, 1.0)],
        converged: true,
    };
    assert_eq!(model.predict(array![[5.0]].view(), 3, &NEVER).unwrap(), [0]);
}

#[test]
fn more_than_can_be_fitted_is_refused() {
    let rows = Array2::zeros((SUPPORT_ROWS_MAX + 1, 1));
    let refused = fit(rows.view(), &vec![0; SUPPORT_ROWS_MAX + 1], 2, &NEVER);
    assert_eq!(refused, Err(Error::Rows(SUPPORT_ROWS_MAX + 1)));
    let rows = Array2::zeros((1024, 10_241));
    let refused = fit(rows.view(), &[0; 1024], 2, &NEVER);
    let (rows, columns) = rows.dim();
    assert_eq!(refused, Err(Error::Values { rows, columns }));
    let rows = Array2::zeros((10_000, 1));
    let refused = fit(rows.view(), &vec![0; 10_000], 1_000, &NEVER);
    assert!(matches!(refused, Err(Error::Coefficients { .. })));
}

#[test]
fn fitting_and_asking_stop_when_nobody_waits() {
    let (rows, classes) = rows();
    let fitted = fit(rows.view(), &classes, 2, &NOW);
    assert_eq!(fitted, Err(Error::Stopped(Stopped)));
    let model = fit(rows.view(), &classes, 2, &NEVER).unwrap();
    assert_eq!(model.predict(rows.view(), 2, &NOW), Err(Stopped));
}

#[test]
fn a_fit_that_runs_out_of_steps_says_so() {
    let (rows, _) = rows();
    let all: Vec<usize> = (0..200).collect();
    let kernel = Kernel::new(rows.view(), &all, 1.0);
    let fitted = |steps| margin::fit(&kernel, 90, (CACHE_BYTES, steps), &NEVER).unwrap();
    let early = fitted(3);
    assert!(!early.converged && early.intercept.is_finite());
    assert!(early.weights.iter().any(|weight| *weight != 0.0));
    assert!(fitted(ITERATIONS_MAX).converged);
}
