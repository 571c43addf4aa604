use ndarray::Array2;

use super::round::{Answer as _, Question};
use super::{Answer, COUNTS, GRADIENT, MEANS};
use crate::federated::Error;
use crate::hyperparameters::{Convergence, Hyperparameters, Optimizer, Penalty, Start};
use crate::id::PartyId;
use crate::job::{Protection, TrainSpec};
use crate::party::Parties;
use crate::policy::Train;
use crate::table::{Label, Table};

fn spec(batch_rows: Option<u64>, standardize: bool) -> TrainSpec {
    TrainSpec {
        parties: Parties {
            guest: PartyId(2),
            hosts: vec![PartyId(3), PartyId(4)],
        },
        cohorts: [].into(),
        unique_id: "id".into(),
        attributes: vec!["a".into(), "b".into()],
        label: Label {
            column: "y".into(),
            value: "1".into(),
        },
        hyperparameters: Hyperparameters {
            penalty: Penalty::None,
            optimizer: Optimizer::Sgd,
            convergence: Convergence::Diff,
            tolerance: 0.0,
            iterations_max: 2,
            batch_rows,
            learning_rate: 0.1,
            decay: 0.0,
            decay_sqrt: false,
            start: Start::Zeros,
            intercept: true,
            random_seed: None,
            standardize,
            threshold: 0.5,
        },
        protection: Protection::SecAgg,
    }
}

fn answer(batch_rows: Option<u64>, standardize: bool) -> Answer {
    let rows = 40;
    let table = Table {
        ids: (0..rows).map(|row| row.to_string()).collect(),
        values: Array2::from_shape_fn((rows, 2), |(row, column)| (row * (column + 1)) as f64),
        positive: (0..rows).map(|row| row % 2 == 0).collect(),
    };
    let limits = Train {
        batch_rows_min: 5,
        rounds_max: 1_000,
        ..Train::default()
    };
    Answer::new(&spec(batch_rows, standardize), table, &limits)
}

fn gradient(batches: u32, numbers: &[f64]) -> Question {
    Question {
        kind: GRADIENT,
        batch: 0,
        batches,
        numbers: numbers.to_vec(),
    }
}

#[test]
fn a_request_for_whole_data_is_answered_for_whole_data_only() {
    let mut answer = answer(None, false);
    assert_eq!(answer.slots(&gradient(1_000_003, &[0.0; 3])), None);
    let whole = gradient(1, &[0.0; 3]);
    assert_eq!(answer.slots(&whole), Some(6));
    assert_eq!(answer.answer(&whole).unwrap()[4], 40, "every row");
}

#[test]
fn batches_that_would_show_single_rows_are_refused() {
    let mut few = answer(Some(10), false);
    let question = gradient(30, &[0.0; 3]);
    assert_eq!(few.slots(&question), Some(6));
    assert!(matches!(few.answer(&question), Err(Error::BatchTooSmall)));
    let mut enough = answer(Some(10), false);
    assert!(enough.answer(&gradient(2, &[0.0; 3])).is_ok());
}

#[test]
fn a_party_answers_as_many_rounds_as_its_policy_says() {
    let mut answer = answer(Some(10), false);
    answer.limits.rounds_max = 3;
    let two_iterations = gradient(2, &[0.0; 3]);
    let error = answer.answer(&two_iterations).unwrap_err();
    assert!(matches!(error, Error::TooManyRounds(4)));
    answer.limits.rounds_max = 4;
    assert!(answer.answer(&two_iterations).is_ok());
}

#[test]
fn a_policy_may_ask_for_more_rows_of_a_batch() {
    let mut answer = answer(Some(10), false);
    answer.limits.batch_rows_min = 30;
    let error = answer.answer(&gradient(2, &[0.0; 3])).unwrap_err();
    assert!(matches!(error, Error::BatchTooSmall));
}

#[test]
fn a_second_way_of_dealing_rows_is_refused() {
    let mut answer = answer(Some(10), false);
    answer.answer(&gradient(2, &[0.0; 3])).unwrap();
    assert_eq!(answer.slots(&gradient(3, &[0.0; 3])), None);
}

#[test]
fn questions_of_another_shape_are_refused_and_never_panic() {
    let mut answer = answer(None, true);
    let first = gradient(1, &[0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(answer.slots(&first), Some(6));
    answer.answer(&first).unwrap();
    for numbers in [&[][..], &[0.0; 2], &[0.0; 3], &[0.0; 6], &[0.0; 8]] {
        assert_eq!(answer.slots(&gradient(1, numbers)), None);
    }
    let other_means = gradient(1, &[0.0, 0.0, 0.0, 1.0, 2.5, 3.0, 4.0]);
    assert_eq!(answer.slots(&other_means), None);
    let huge = gradient(1, &[1e13, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(answer.slots(&huge), None);
    let infinite = gradient(1, &[f64::INFINITY, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(answer.slots(&infinite), None);
    let outside = Question {
        batch: 1,
        ..gradient(1, &[0.0; 7])
    };
    assert_eq!(answer.slots(&outside), None);
    let kind = Question {
        kind: 9,
        ..gradient(1, &[])
    };
    assert_eq!(answer.slots(&kind), None);
}

#[test]
fn no_more_gradients_are_answered_than_the_request_leads_to() {
    let mut answer = answer(None, false);
    for _ in 0..2 {
        let question = gradient(1, &[0.0; 3]);
        assert!(answer.slots(&question).is_some());
        answer.answer(&question).unwrap();
    }
    assert_eq!(answer.slots(&gradient(1, &[0.0; 3])), None);
}

#[test]
fn moments_are_answered_only_where_the_request_standardises() {
    let question = |kind| Question {
        kind,
        batch: 0,
        batches: 1,
        numbers: Vec::new(),
    };
    assert_eq!(answer(None, false).slots(&question(MEANS)), None);
    assert_eq!(answer(None, true).slots(&question(MEANS)), Some(3));
    assert_eq!(answer(None, false).slots(&question(COUNTS)), Some(2));
}
