use super::*;
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
    let margin = margin::fit(&kernel, 100, CACHE_BYTES);
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
        margin::fit(&kernel, 90, 0),
        margin::fit(&kernel, 90, CACHE_BYTES),
    );
    assert_eq!(small.weights, large.weights);
    assert_eq!(small.intercept, large.intercept);
}

#[test]
fn rows_that_are_all_equal_have_a_model_too() {
    let rows = array![[2.0, 2.0], [2.0, 2.0], [2.0, 2.0]];
    let model = fit(rows.view(), &[0, 1, 1], 2).unwrap();
    assert_eq!(model.gamma, 1.0);
    assert_eq!(model.predict(rows.view(), 2).len(), 3);
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
    };
    assert_eq!(model.predict(array![[5.0]].view(), 3), [0]);
}

#[test]
fn more_than_can_be_fitted_is_refused() {
    let rows = Array2::zeros((SUPPORT_ROWS_MAX + 1, 1));
    let refused = fit(rows.view(), &vec![0; SUPPORT_ROWS_MAX + 1], 2);
    assert_eq!(refused, Err(SizeError::Rows(SUPPORT_ROWS_MAX + 1)));
    let rows = Array2::zeros((10_000, 1));
    let refused = fit(rows.view(), &vec![0; 10_000], 1_000);
    assert!(matches!(refused, Err(SizeError::Coefficients { .. })));
}
