use ndarray::{Array2, array};

use super::*;
use crate::local::clustering::tests::{
    SETS, adjusted_rand, data, expected, in_any_threads, shuffled,
};
use crate::local::stopping::tests::{NEVER, NOW};

#[test]
fn settings_in_which_scikit_learn_is_stable_give_its_labels() {
    let mut compared = 0;
    for set in SETS {
        let rows = data(set);
        let rows = rows.as_standard_layout();
        let rows = Points::of(&rows);
        let settings = expected(set, "spectral");
        for same_gamma in settings.chunk_by(|a, b| a.0[0] == b.0[0]) {
            let graph = Graph::new(rows, same_gamma[0].0[0], 6, &NEVER).unwrap();
            // A graph in more parts than clusters has more vectors of the smallest eigenvalue than
            // are taken, and any of them are as good.
            let parts = graph
                .eigenvalues
                .iter()
                .filter(|value| **value < 1e-9)
                .count();
            for (numbers, labels) in same_gamma.iter().filter(|of| of.0[1] as usize >= parts) {
                let (found, _) = graph.cut(numbers[1] as usize, &NEVER).unwrap();
                let agreement = adjusted_rand(&found, labels);
                assert!(agreement >= 0.99, "{set} {numbers:?}: {agreement}");
                compared += 1;
            }
        }
    }
    assert!(compared >= 24, "{compared}");
}

#[test]
fn the_search_finds_what_the_references_does() {
    for set in SETS {
        let found = search(data(set).view(), &NEVER).unwrap();
        for (numbers, labels) in expected(set, "spectral-search") {
            let agreement = adjusted_rand(&found.labels, &labels);
            assert!(agreement >= 0.99, "{set} {numbers:?}: {agreement}");
            assert_eq!(
                [found.model.gamma, found.model.clusters as f64],
                numbers[..2],
                "{set}"
            );
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let rows = data("wdbc");
    in_any_threads(|| search(rows.view(), &NEVER).unwrap());
}

#[test]
fn rows_in_another_order_are_in_the_same_clusters() {
    let rows = data("iris");
    let (other, places) = shuffled(&rows);
    let (found, other) = (
        search(rows.view(), &NEVER).unwrap(),
        search(other.view(), &NEVER).unwrap(),
    );
    let there: Vec<usize> = places.iter().map(|&place| found.labels[place]).collect();
    assert_eq!(adjusted_rand(&there, &other.labels), 1.0);
}

#[test]
fn vectors_are_eigenvectors_at_right_angles() {
    let rows = data("wdbc");
    let count = rows.nrows();
    let rows = rows.as_standard_layout();
    for gamma in [0.01, 0.1, 1.0] {
        let (matrix, _) = laplacian(Points::of(&rows), gamma, &NEVER).unwrap();
        let factor = Factor::new(matrix.clone(), &NEVER).unwrap();
        let (values, vectors) = vectors::smallest(&factor, 6, &NEVER).unwrap();
        let matrix = Array2::from_shape_vec((count, count), matrix).unwrap();
        let lack = matrix.dot(&vectors) - &vectors * &ndarray::Array1::from(values.clone());
        assert!(lack.iter().all(|x| x.abs() < 1e-8), "{gamma}");
        let angles = vectors.t().dot(&vectors) - Array2::<f64>::eye(6);
        assert!(angles.iter().all(|x| x.abs() < 1e-9), "{gamma}");
        assert!(values.is_sorted_by(|a, b| a <= &(b + 1e-12)), "{values:?}");
        let trace: f64 = values.iter().sum();
        assert!(values[0].abs() < 1e-9 && trace < 6.0, "{values:?}");
    }
}

#[test]
fn rings_that_no_mean_parts_are_parted() {
    let rings = Array2::from_shape_fn((300, 2), |(row, column)| {
        let (ring, angle) = ((row % 3 * 3 + 1) as f64, row as f64 * 0.041);
        ring * if column == 0 {
            libm::cos(angle)
        } else {
            libm::sin(angle)
        }
    });
    let rings = rings.as_standard_layout();
    let (labels, clusters) = Graph::new(Points::of(&rings), 1.0, 3, &NEVER)
        .unwrap()
        .cut(3, &NEVER)
        .unwrap();
    assert_eq!(clusters, 3);
    assert_eq!(labels, (0..300).map(|row| row % 3).collect::<Vec<_>>());
}

#[test]
fn few_rows_few_columns_and_equal_rows_are_clustered() {
    let three = search(array![[1.0], [5.0], [9.0]].view(), &NEVER).unwrap();
    assert_eq!((three.labels, three.score), (vec![0, 1, 2], 0.0));
    assert_eq!((three.model.gamma, three.model.clusters), (0.01, 3));
    let pairs = array![
        [1.0, 7.0],
        [1.0, 7.0],
        [50.0, 7.0],
        [50.0, 7.0],
        [1.0, 7.0],
        [90.0, 7.0]
    ];
    let pairs = search(pairs.view(), &NEVER).unwrap();
    assert_eq!(pairs.labels, [0, 0, 1, 1, 0, 2]);
    let two = search(array![[1.0], [2.0]].view(), &NEVER).unwrap_err();
    assert_eq!(two, Error::TooFewRows { rows: 2, least: 3 });
}

#[test]
fn more_rows_than_fit_are_refused() {
    let rows = Array2::from_shape_fn((SPECTRAL_ROWS_MAX + 1, 1), |(row, _)| row as f64);
    let error = search(rows.view(), &NEVER).unwrap_err();
    assert_eq!(
        error,
        Error::TooManyRows {
            rows: SPECTRAL_ROWS_MAX + 1
        }
    );
    let said = "5001 rows are too many: spectral clustering takes at most 5000";
    assert_eq!(error.to_string(), said);
}

#[test]
fn a_search_stops_when_nobody_waits_for_it() {
    let rows = data("iris");
    let stopped = Err(Error::Stopped(Stopped));
    assert_eq!(search(rows.view(), &NOW), stopped);
    let rows = rows.as_standard_layout();
    let (matrix, _) = laplacian(Points::of(&rows), 1.0, &NEVER).unwrap();
    assert!(Factor::new(matrix.clone(), &NOW).is_err());
    let factor = Factor::new(matrix, &NEVER).unwrap();
    assert!(vectors::smallest(&factor, 3, &NOW).is_err());
}
