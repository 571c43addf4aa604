use shared::model::Standardization;

use super::*;

/// A model of two columns.
pub(super) fn model() -> Model {
    Model {
        unique_id: "id".to_owned(),
        attributes: vec!["a".to_owned(), "b".to_owned()],
        coefficients: vec![0.1, -2.0],
        intercept: 0.1 + 0.2,
        standardization: Some(Standardization {
            mean: vec![1.0, 2.0],
            deviation: vec![3.0, 4.0],
        }),
        iterations: 1,
        converged: true,
        losses: Vec::new(),
        threshold: 0.5,
        label: training::label(),
    }
}

#[test]
fn one_bit_of_any_number_is_noticed() {
    let changes: [fn(&mut Model); 4] = [
        |model| model.coefficients[1] = model.coefficients[1].next_up(),
        |model| model.intercept = model.intercept.next_down(),
        |model| model.standardization.as_mut().unwrap().mean[0] = 1.0_f64.next_up(),
        |model| model.standardization.as_mut().unwrap().deviation[1] = 4.0_f64.next_up(),
    ];
    assert_eq!(bits(&model()), bits(&model()));
    for change in changes {
        let mut changed = model();
        change(&mut changed);
        assert_ne!(bits(&changed), bits(&model()));
    }
    let positive_zero = Model {
        intercept: 0.0,
        ..model()
    };
    let negative_zero = Model {
        intercept: -0.0,
        ..model()
    };
    assert_ne!(bits(&positive_zero), bits(&negative_zero));
}

#[test]
fn a_score_that_is_not_the_models_own_is_noticed() {
    let hospitals = Hospitals::deal().unwrap();
    let table = hospitals.table(&[SCORED], &training::label()).unwrap();
    let model = Model {
        coefficients: vec![0.01; 30],
        attributes: hospitals.attributes(),
        standardization: None,
        intercept: -10.0,
        ..model()
    };
    let released = |change: fn(&mut Vec<Prediction>)| {
        let own = table.ids.iter().zip(scores(&model, &table));
        let round = |score: f64| format!("{score:.4}").parse().unwrap();
        let mut all = own
            .map(|(id, score)| Prediction {
                unique_id: id.to_owned(),
                label: round(score),
            })
            .collect();
        change(&mut all);
        are_scores_of(&all, &model, &table)
    };
    assert!(released(|_| ()));
    assert!(!released(|all| all[7].label += 1e-4));
    assert!(!released(|all| all.swap(3, 4)));
    assert!(!released(|all| all.truncate(145)));
}
