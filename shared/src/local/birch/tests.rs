use ndarray::{Array2, array};

use super::*;
use crate::local::clustering::squared_distance;
use crate::local::clustering::tests::{
    SETS, adjusted_rand, data, expected, in_any_threads, shuffled,
};
use crate::local::stopping::tests::{NEVER, NOW};

#[test]
fn every_setting_gives_scikit_learns_subclusters_and_labels() {
    for set in SETS {
        let rows = data(set);
        let rows = rows.as_standard_layout();
        let rows = Points::of(&rows);
        let mut settings = expected(set, "birch");
        assert!(settings.len() >= 20, "{set}");
        settings.sort_by(|a, b| a.0[1..3].partial_cmp(&b.0[1..3]).unwrap());
        for same_tree in settings.chunk_by(|a, b| a.0[1..3] == b.0[1..3]) {
            let (threshold, branching) = (same_tree[0].0[1], same_tree[0].0[2] as usize);
            let tree = Tree::build(rows, threshold, branching, usize::MAX, &NEVER)
                .unwrap()
                .unwrap();
            assert_eq!(tree.subclusters(), same_tree[0].0[3] as usize, "{set}");
            let condensed = Condensed::new(rows, tree, &NEVER).unwrap();
            for (numbers, labels) in same_tree {
                let cut = condensed.cut(numbers[0] as usize);
                let score = calinski_harabasz::score(rows, &cut.labels, cut.found);
                assert_eq!(adjusted_rand(&cut.labels, labels), 1.0, "{set} {numbers:?}");
                assert!((score / numbers[4] - 1.0).abs() < 1e-9, "{set} {numbers:?}");
            }
        }
    }
}

#[test]
fn the_search_finds_what_the_references_does() {
    for set in SETS {
        let found = search(data(set).view(), &NEVER).unwrap();
        let model = &found.model;
        for (numbers, labels) in expected(set, "birch-search") {
            assert_eq!(adjusted_rand(&found.labels, &labels), 1.0, "{set}");
            let setting = [
                model.clusters as f64,
                model.threshold,
                model.branching as f64,
            ];
            assert_eq!(setting, numbers[..3], "{set}");
            assert_eq!(model.labels.len(), numbers[3] as usize, "{set}");
        }
    }
}

#[test]
fn rows_are_in_the_cluster_of_the_nearest_subcluster() {
    let rows = data("iris");
    let found = search(rows.view(), &NEVER).unwrap();
    for (row, &label) in rows.outer_iter().zip(&found.labels) {
        let row = row.to_vec();
        let distance = |at: &usize| squared_distance(&row, &found.model.centres[*at]);
        let nearest = (0..found.model.centres.len())
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))
            .unwrap();
        assert_eq!(found.model.labels[nearest], label);
    }
}

#[test]
fn threads_change_no_bit() {
    let rows = data("wdbc");
    in_any_threads(|| search(rows.view(), &NEVER).unwrap());
    // Enough rows for Ward's method to compare in threads, and for several blocks of centres.
    let rows = Array2::from_shape_fn((1500, 60), |(row, column)| {
        ((row * row * 7919 + column * 104_729 + row * column * 31) % 1009) as f64 / 100.0
    });
    let rows = rows.as_standard_layout();
    in_any_threads(|| {
        let rows = Points::of(&rows);
        Condensed::new(
            rows,
            Tree::build(rows, 0.5, 50, 5000, &NEVER).unwrap().unwrap(),
            &NEVER,
        )
        .unwrap()
        .cut(5)
        .labels
    });
}

#[test]
fn rows_in_another_order_are_in_the_same_clusters_where_none_are_condensed() {
    let rows = data("wdbc");
    let (other, places) = shuffled(&rows);
    let cut = |rows: &Array2<f64>| {
        let rows = rows.as_standard_layout();
        let rows = Points::of(&rows);
        Condensed::new(
            rows,
            Tree::build(rows, 0.1, 10, 5000, &NEVER).unwrap().unwrap(),
            &NEVER,
        )
        .unwrap()
        .cut(4)
        .labels
    };
    let labels = cut(&rows);
    let there: Vec<usize> = places.iter().map(|&place| labels[place]).collect();
    assert_eq!(adjusted_rand(&there, &cut(&other)), 1.0);
}

#[test]
fn wards_merges_are_those_of_all_pairs_compared() {
    let rows = data("wine");
    let rows = rows.as_standard_layout();
    let rows = Points::of(&rows);
    let dendrogram = Dendrogram::build(rows, &NEVER).unwrap();
    let mut labels: Vec<usize> = (0..rows.len()).collect();
    for clusters in (2..rows.len()).rev() {
        let mut of: Vec<usize> = labels.clone();
        let names = number(&mut of);
        let means = crate::local::clustering::means(rows, &of, names.len());
        let count = |cluster: usize| of.iter().filter(|&&label| label == cluster).count() as f64;
        let counts: Vec<f64> = (0..names.len()).map(count).collect();
        let (mut nearest, mut least) = ((0, 0), f64::INFINITY);
        for a in 0..names.len() {
            for b in 0..a {
                let share = counts[a] * counts[b] / (counts[a] + counts[b]);
                let distance = share * squared_distance(&means[a], &means[b]);
                if distance < least {
                    (nearest, least) = ((a, b), distance);
                }
            }
        }
        for label in &mut of {
            if *label == nearest.0 {
                *label = nearest.1;
            }
        }
        labels = of;
        if clusters % 10 == 2 {
            assert_eq!(
                adjusted_rand(&dendrogram.cut(clusters), &labels),
                1.0,
                "{clusters}"
            );
        }
    }
}

#[test]
fn a_tree_that_outgrows_its_bound_is_given_up() {
    let rows = data("wine");
    let rows = rows.as_standard_layout();
    let rows = Points::of(&rows);
    assert!(
        Tree::build(rows, 0.1, 10, rows.len(), &NEVER)
            .unwrap()
            .is_some()
    );
    assert!(
        Tree::build(rows, 0.1, 10, rows.len() - 1, &NEVER)
            .unwrap()
            .is_none()
    );
    // Only thresholds of 0.7 condense any of these rows.
    let found = search_within(rows, rows.len() - 1, &NEVER).unwrap();
    assert_eq!(found.model.threshold, 0.7);
    let Err(error) = search_within(rows, 10, &NEVER) else {
        panic!("no setting leaves 10");
    };
    assert_eq!(
        error,
        Error::TooScattered {
            rows: rows.len(),
            most: 10
        }
    );
    assert!(
        error.to_string().contains("more than 10 subclusters"),
        "{error}"
    );
}

#[test]
fn few_rows_few_columns_and_equal_rows_are_clustered() {
    let two = search(array![[1.0], [5.0]].view(), &NEVER).unwrap();
    assert_eq!((two.labels, two.score), (vec![0, 1], 0.0));
    assert_eq!(
        (two.model.clusters, two.model.threshold, two.model.branching),
        (2, 0.1, 10)
    );
    let pairs = array![[1.0, 7.0], [1.0, 7.0], [5.0, 7.0], [5.0, 7.0], [1.0, 7.0]];
    let pairs = search(pairs.view(), &NEVER).unwrap();
    assert_eq!((pairs.labels, pairs.score), (vec![0, 0, 1, 1, 0], 1.0));
    // Each farther from the first than all before: a split sets one apart from the rest.
    let outward = Array2::from_shape_fn((200, 1), |(row, _)| libm::exp2(row as f64));
    assert_eq!(search(outward.view(), &NEVER).unwrap().labels.len(), 200);
}

#[test]
fn a_search_stops_when_nobody_waits_for_it() {
    let rows = data("iris");
    let stopped = Err(Error::Stopped(Stopped));
    assert_eq!(search(rows.view(), &NOW), stopped);
    let rows = rows.as_standard_layout();
    let rows = Points::of(&rows);
    assert!(nearest(rows, rows, &NOW).is_err());
    assert!(Dendrogram::build(rows, &NOW).is_err());
}
