use std::path::PathBuf;

use ndarray::{Array2, array};

use super::*;

/// Data sets of `shared/testdata/clustering`.
pub(in crate::local) const SETS: [&str; 4] = ["iris", "wine", "wdbc", "digits"];

fn read(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/clustering");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// The rows of a data set, divided by their deviations.
pub(in crate::local) fn data(set: &str) -> Array2<f64> {
    let text = read(&format!("{set}.data.txt"));
    let (deviations, rows) = text.split_once('\n').unwrap();
    let deviations: Vec<f64> = deviations.split(',').map(|x| x.parse().unwrap()).collect();
    let values: Vec<f64> = rows
        .lines()
        .flat_map(|line| -> Vec<f64> {
            if line.contains(',') {
                line.split(',').map(|x| x.parse().unwrap()).collect()
            } else {
                line.bytes()
                    .map(|letter| f64::from(letter - b'a'))
                    .collect()
            }
        })
        .collect();
    let columns = deviations.len();
    let rows = Array2::from_shape_vec((values.len() / columns, columns), values).unwrap();
    rows / Array2::from_shape_vec((1, columns), deviations).unwrap()
}

/// What scikit-learn finds in a data set by a method: its numbers, and the labels.
pub(in crate::local) fn expected(set: &str, method: &str) -> Vec<(Vec<f64>, Vec<usize>)> {
    read(&format!("{set}.expected.txt"))
        .lines()
        .filter_map(|line| line.strip_prefix(method)?.strip_prefix(' '))
        .map(|line| {
            let (numbers, labels) = line.rsplit_once(' ').unwrap();
            let numbers = numbers.split(' ').map(|x| x.parse().unwrap()).collect();
            (
                numbers,
                labels
                    .bytes()
                    .map(|digit| usize::from(digit - b'0'))
                    .collect(),
            )
        })
        .collect()
}

/// How far two clusterings agree: 1 when they are the same but for names, about 0 by chance
/// (Hubert and Arabie, "Comparing partitions", Journal of Classification 2, 1985).
pub(in crate::local) fn adjusted_rand(one: &[usize], other: &[usize]) -> f64 {
    assert_eq!(one.len(), other.len());
    let pairs = |count: usize| (count * count.saturating_sub(1)) as f64 / 2.0;
    let size = |labels: &[usize]| labels.iter().max().unwrap() + 1;
    let mut both = Array2::<usize>::zeros((size(one), size(other)));
    for (&a, &b) in one.iter().zip(other) {
        both[(a, b)] += 1;
    }
    let together: f64 = both.iter().map(|&count| pairs(count)).sum();
    let in_one: f64 = both.rows().into_iter().map(|row| pairs(row.sum())).sum();
    let in_other: f64 = both
        .columns()
        .into_iter()
        .map(|column| pairs(column.sum()))
        .sum();
    let chance = in_one * in_other / pairs(one.len());
    let most = (in_one + in_other) / 2.0;
    if most == chance {
        1.0
    } else {
        (together - chance) / (most - chance)
    }
}

/// What `work` gives, the same in one thread and in five.
pub(in crate::local) fn in_any_threads<T: PartialEq + std::fmt::Debug + Send>(
    work: impl Fn() -> T + Sync,
) -> T {
    let [one, five] = [1, 5].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(&work)
    });
    assert!(one == five, "threads change the outcome");
    one
}

/// Rows in another order that leaves few at their place, and the places they came from.
pub(in crate::local) fn shuffled(rows: &Array2<f64>) -> (Array2<f64>, Vec<usize>) {
    let count = rows.nrows();
    let step = (count * 5 / 8..)
        .find(|step| num_integer::gcd(*step, count) == 1)
        .unwrap();
    let places: Vec<usize> = (0..count).map(|place| (place * step + 3) % count).collect();
    (rows.select(ndarray::Axis(0), &places), places)
}

#[test]
fn rows_without_meaning_are_refused() {
    let refused = |rows: Array2<f64>| check(&rows.view(), 3).map(|_| ()).unwrap_err();
    let few = Error::TooFewRows { rows: 2, least: 3 };
    assert_eq!(refused(array![[1.0], [2.0]]), few);
    assert_eq!(
        few.to_string(),
        "2 rows are too few: clustering takes at least 3"
    );
    assert_eq!(refused(Array2::ones((4, 2))), Error::EqualRows);
    assert_eq!(refused(Array2::zeros((4, 0))), Error::EqualRows);
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.1e100, -1e300] {
        let mut rows = Array2::zeros((4, 2));
        rows[(2, 1)] = wrong;
        assert_eq!(refused(rows), Error::OutOfRange { row: 2, column: 1 });
    }
    assert!(check(&array![[0.0], [0.0], [1e100]].view(), 3).is_ok());
}

#[test]
fn clusters_are_numbered_as_rows_come_upon_them() {
    let mut labels = [4, 1, 4, 0, 1, 9];
    assert_eq!(number(&mut labels), [4, 1, 0, 9]);
    assert_eq!(labels, [0, 1, 0, 2, 1, 3]);
}

#[test]
fn distances_are_right_in_any_number_of_columns() {
    for columns in 1..20 {
        let one: Vec<f64> = (0..columns).map(f64::from).collect();
        let other: Vec<f64> = (0..columns).map(|x| f64::from(2 * x + 1)).collect();
        let squares = (0..columns)
            .map(|x| f64::from((x + 1) * (x + 1)))
            .sum::<f64>();
        assert_eq!(squared_distance(&one, &other), squares);
        let products = (0..columns)
            .map(|x| f64::from(x * (2 * x + 1)))
            .sum::<f64>();
        assert_eq!(dot(&one, &other), products);
    }
}

#[test]
fn the_first_of_the_best_is_found() {
    let mut best = Best::new();
    for (place, score) in [0.0, 0.0, 2.0, 1.0, 2.0].into_iter().enumerate() {
        best.offer(score, || place);
        if place == 1 {
            assert_eq!(best.found, Some((0.0, 0)));
        }
    }
    assert_eq!(best.take(), Some((2.0, 2)));
}

#[test]
fn agreement_is_that_of_scikit_learn() {
    assert_eq!(adjusted_rand(&[0, 0, 1, 1], &[1, 1, 0, 0]), 1.0);
    assert!((adjusted_rand(&[0, 0, 1, 1], &[0, 1, 0, 1]) + 0.5).abs() < 1e-15);
    assert!((adjusted_rand(&[0, 0, 1, 2], &[0, 0, 1, 1]) - 4.0 / 7.0).abs() < 1e-15);
}
