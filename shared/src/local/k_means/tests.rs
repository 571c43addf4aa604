use ndarray::{Array2, array};

use super::*;
use crate::local::clustering::tests::{
    SETS, adjusted_rand, data, expected, in_any_threads, shuffled,
};
use crate::local::stopping::tests::{NEVER, NOW};

#[test]
fn scikit_learns_labels_are_found_where_every_seed_gives_the_same() {
    let mut certain = 0;
    for set in SETS {
        let rows = data(set);
        let rows = rows.as_standard_layout();
        let rows = Points::of(&rows);
        for (numbers, labels) in expected(set, "k-means") {
            let [clusters, inertia, agreement] = numbers[..] else {
                panic!("{set}: {numbers:?}");
            };
            let fit = fit(rows, clusters as usize, starts(rows), &NEVER).unwrap();
            // Of fifty seeds; ours may lead elsewhere, but hardly to worse.
            let beside = fit.inertia / inertia;
            assert!(beside < 1.005, "{set}, {clusters} clusters: {beside}");
            if agreement == 1.0 || (beside - 1.0).abs() < 1e-9 {
                assert_eq!(
                    adjusted_rand(&fit.labels, &labels),
                    1.0,
                    "{set}, {clusters} clusters"
                );
                certain += 1;
            }
        }
    }
    assert!(certain >= 5, "{certain}");
}

#[test]
fn the_search_finds_the_references_number_of_clusters() {
    for set in SETS {
        let rows = data(set);
        let found = search(rows.view(), &NEVER).unwrap();
        for (numbers, labels) in expected(set, "k-means-search") {
            let [clusters, agreement] = numbers[..] else {
                panic!("{set}: {numbers:?}");
            };
            assert_eq!(found.model.centroids.len(), clusters as usize, "{set}");
            if agreement == 1.0 {
                assert_eq!(adjusted_rand(&found.labels, &labels), 1.0, "{set}");
            }
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let rows = data("wine");
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
fn every_row_is_in_the_cluster_of_the_nearest_mean_of_its_rows() {
    let rows = data("wdbc");
    let found = search(rows.view(), &NEVER).unwrap();
    let centroids: Vec<f64> = found.model.centroids.concat();
    let points = Points::new(&centroids, rows.ncols());
    let rows = rows.as_standard_layout();
    let rows = Points::of(&rows);
    let mut inertia = 0.0;
    for (row, &label) in rows.iter().zip(&found.labels) {
        let (cluster, distance) = nearest(row, points);
        assert_eq!(cluster, label);
        inertia += distance;
    }
    assert!((inertia / found.model.inertia - 1.0).abs() < 1e-12);
    for (mean, centroid) in means(rows, &found.labels, 2).iter().zip(points.iter()) {
        assert!(squared_distance(mean, centroid) < 1e-20);
    }
}

#[test]
fn few_rows_few_columns_and_equal_rows_are_clustered() {
    let two = search(array![[1.0], [5.0]].view(), &NEVER).unwrap();
    assert_eq!((two.labels, two.score), (vec![0, 1], 0.0));
    let pairs = array![[1.0, 7.0], [1.0, 7.0], [5.0, 7.0], [5.0, 7.0], [1.0, 7.0]];
    let pairs = search(pairs.view(), &NEVER).unwrap();
    assert_eq!((pairs.labels, pairs.score), (vec![0, 0, 1, 1, 0], 1.0));
    assert_eq!(pairs.model.centroids, [[1.0, 7.0], [5.0, 7.0]]);
    let three = Array2::from_shape_fn((30, 1), |(row, _)| {
        (row % 3 * 10) as f64 + row as f64 / 30.0
    });
    let three = search(three.view(), &NEVER).unwrap();
    assert_eq!(three.labels, (0..30).map(|row| row % 3).collect::<Vec<_>>());
    let one = search(array![[1.0]].view(), &NEVER).unwrap_err();
    assert_eq!(one, Error::TooFewRows { rows: 1, least: 2 });
}

#[test]
fn a_search_stops_when_nobody_waits_for_it() {
    let rows = data("iris");
    let stopped = Err(Error::Stopped(Stopped));
    assert_eq!(search(rows.view(), &NOW), stopped);
    let rows = rows.as_standard_layout();
    let rows = Points::of(&rows);
    let first = rows.get(0).to_vec();
    assert!(lloyd(rows, first, 0.0, &NOW).is_err());
}
