use super::*;
use crate::local::stopping::tests::{NEVER, NOW};
use ndarray::{Array2, array};

/// Rows that no line parts, from a fixed rule.
fn rows() -> (Array2<f64>, Vec<u32>) {
    let rows = Array2::from_shape_fn((90, 3), |(row, column)| {
        ((row * (7 + 5 * column)) % 31) as f64 / 10.0
    });
    let classes = (0..90).map(|row| (row * row / 7 % 3) as u32).collect();
    (rows, classes)
}

#[test]
fn the_gradient_is_the_slope_of_the_loss() {
    let (rows, mut classes) = rows();
    for scores in [3, 1] {
        if scores == 1 {
            classes
                .iter_mut()
                .for_each(|class| *class = (*class).min(1));
        }
        let weights: Vec<f64> = (0..scores * 4).map(|n| (n as f64).sin()).collect();
        let (_, gradient) = loss(rows.view(), &classes, (scores, &weights), &NEVER).unwrap();
        for (index, slope) in gradient.iter().enumerate() {
            let at = |step: f64| {
                let mut weights = weights.clone();
                weights[index] += step;
                loss(rows.view(), &classes, (scores, &weights), &NEVER)
                    .unwrap()
                    .0
            };
            assert!((slope - (at(1e-5) - at(-1e-5)) / 2e-5).abs() < 1e-8);
        }
    }
}

#[test]
fn a_minimum_has_no_slope_left() {
    let (rows, classes) = rows();
    let found = minimum(vec![0.0; 12], 1e-9, |weights| {
        loss(rows.view(), &classes, (3, weights), &NEVER)
    })
    .unwrap();
    assert!(found.converged);
    let (_, gradient) = loss(rows.view(), &classes, (3, &found.place), &NEVER).unwrap();
    assert!(
        gradient.iter().all(|slope| slope.abs() < 1e-6),
        "{gradient:?}"
    );
}

#[test]
fn a_valley_that_bends_is_followed_to_its_end() {
    // Rosenbrock's.
    let found = minimum(vec![-1.2, 1.0], 1e-8, |at| {
        let (a, b) = (1.0 - at[0], at[1] - at[0] * at[0]);
        let gradient = vec![-2.0 * a - 400.0 * at[0] * b, 200.0 * b];
        Ok((a * a + 100.0 * b * b, gradient))
    })
    .unwrap();
    assert!(found.converged && found.iterations < 60);
    assert!(found.place.iter().all(|x| (x - 1.0).abs() < 1e-6));
}

#[test]
fn the_lowest_of_equal_scores_wins() {
    let model = Model {
        coefficients: vec![vec![1.0], vec![1.0], vec![0.0]],
        intercepts: vec![0.0; 3],
        iterations: 0,
        converged: true,
    };
    assert_eq!(
        model.predict(array![[2.0], [-2.0]].view(), &NEVER).unwrap(),
        [0, 2]
    );
}

#[test]
fn too_many_coefficients_are_refused() {
    let rows = Array2::zeros((2, COEFFICIENTS_MAX));
    let refused = fit(rows.view(), &[0, 1], 2, &NEVER).unwrap_err();
    let columns = COEFFICIENTS_MAX;
    assert_eq!(
        refused,
        Error::Coefficients {
            classes: 2,
            columns
        }
    );
}

#[test]
fn fitting_and_asking_stop_when_nobody_waits() {
    let (rows, classes) = rows();
    let fitted = fit(rows.view(), &classes, 3, &NOW);
    assert_eq!(fitted, Err(Error::Stopped(Stopped)));
    let model = fit(rows.view(), &classes, 3, &NEVER).unwrap();
    assert_eq!(model.predict(rows.view(), &NOW), Err(Stopped));
}
