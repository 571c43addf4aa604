use super::*;
use crate::local::stopping::tests::{NEVER, NOW};
use ndarray::{Array2, array};
use proptest::prelude::*;

#[test]
fn the_first_of_equal_splits_is_taken() {
    // Both columns part the classes; the first does it at two places.
    let rows = array![[1., 5.], [2., 6.], [3., 7.], [4., 8.]];
    let model = fit(rows.view(), &[0, 0, 1, 1], 2, &NEVER).unwrap();
    let split = Node::Split {
        feature: 0,
        threshold: 2.5,
        left: 1,
        right: 2,
    };
    assert_eq!(model.nodes[0], split);
    assert_eq!(model.nodes.len(), 3);
    // After the first row or before the last is as good.
    let model = fit(
        array![[1.], [2.], [3.], [4.]].view(),
        &[0, 1, 1, 0],
        2,
        &NEVER,
    )
    .unwrap();
    assert!(matches!(model.nodes[0], Node::Split { threshold: 1.5, .. }));
}

#[test]
fn a_split_without_gain_is_still_made() {
    let rows = array![[0., 0.], [0., 1.], [1., 0.], [1., 1.]];
    let model = fit(rows.view(), &[0, 1, 1, 0], 2, &NEVER).unwrap();
    assert_eq!(model.predict(rows.view(), &NEVER).unwrap(), [0, 1, 1, 0]);
}

#[test]
fn equal_rows_get_their_most_frequent_class_and_the_lowest_of_several() {
    let rows = array![[1.], [1.], [1.], [2.], [2.]];
    let model = fit(rows.view(), &[1, 2, 2, 2, 1], 3, &NEVER).unwrap();
    assert_eq!(
        model.predict(array![[1.], [2.]].view(), &NEVER).unwrap(),
        [2, 1]
    );
}

#[test]
fn neighbours_without_a_number_between_them_are_parted() {
    // Half way between the two rounds to the greater one.
    let below = 1.0_f64.next_up();
    let rows = array![[below], [below.next_up()]];
    let model = fit(rows.view(), &[0, 1], 2, &NEVER).unwrap();
    assert_eq!(model.predict(rows.view(), &NEVER).unwrap(), [0, 1]);
}

#[test]
fn growing_and_asking_stop_when_nobody_waits() {
    let rows = array![[0., 0.], [0., 1.]];
    let grown = fit(rows.view(), &[0, 1], 2, &NOW);
    assert_eq!(grown, Err(Error::Stopped(Stopped)));
    let model = fit(rows.view(), &[0, 1], 2, &NEVER).unwrap();
    assert_eq!(model.predict(rows.view(), &NOW), Err(Stopped));
}

#[test]
fn a_tree_that_outgrows_its_bound_is_given_up() {
    let rows = array![[0.], [1.], [2.], [3.]];
    let grown = |most| grow(rows.view(), (&[0, 1, 0, 1], 2), most, &NEVER);
    assert_eq!(grown(7).unwrap().nodes.len(), 7);
    assert_eq!(grown(6), Err(Error::Nodes));
}

#[test]
fn a_node_is_written_in_as_many_bytes_as_its_bound_counts_on() {
    // Beside each split stands one leaf.
    let nodes = [
        Node::Leaf { class: 0, rows: 1 },
        Node::Split {
            feature: 0,
            threshold: 0.5,
            left: 1,
            right: 2,
        },
    ];
    let text = serde_json::to_string(&nodes).unwrap();
    assert!(
        text.len() > 2 * MADE_FILE_BYTES_MAX / TREE_NODES_MAX,
        "{text}"
    );
}

proptest! {
    #[test]
    fn different_rows_get_their_own_class(cells in prop::collection::vec(0..20_u8, 120), classes in prop::collection::vec(0..3_u32, 40)) {
        let rows = Array2::from_shape_fn((40, 3), |(row, column)| f64::from(cells[row * 3 + column]));
        let model = fit(rows.view(), &classes, 3, &NEVER).unwrap();
        let found = model.predict(rows.view(), &NEVER).unwrap();
        for row in 0..40 {
            let alone = (0..40).all(|other| other == row || rows.row(other) != rows.row(row));
            prop_assert!(!alone || found[row] == classes[row]);
        }
        prop_assert!(model.nodes.len() < 80);
    }
}
