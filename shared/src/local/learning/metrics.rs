//! Figures of what was learned. A classifier's are those of the rows that it learned from: how it
//! does on others, no file tells.

use serde::{Deserialize, Serialize};

/// Classes up to which each two are counted.
const CONFUSION_CLASSES_MAX: usize = 100;

/// How good a model is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Rows learned from.
    pub rows: usize,
    /// Columns of the feature file.
    pub columns: usize,
    /// Columns after each text has become one for each of its values.
    pub features: usize,
    /// By the kind of learner.
    #[serde(flatten)]
    pub quality: Quality,
}

/// Figures by the kind of learner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// Of a classifier.
    Training(Training),
    /// Of a clustering.
    Clusters(Clusters),
}

/// How a classifier does on the rows that it learned from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Share of rows that it gives their own class.
    pub accuracy: f64,
    /// Each class, in the model's order.
    pub classes: Vec<ClassFigures>,
    /// Rows of each class (outer) that were given each class (inner); absent with more than 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Vec<Vec<u64>>>,
    /// Whether the fit came to its end, and not to the most steps that it may take; absent of a
    /// tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub converged: Option<bool>,
}

/// One class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassFigures {
    /// Its place in the model's classes, from 0: figures are kept in the clear, so they never name
    /// a class, which is a cell of the target file.
    pub class: usize,
    /// Its rows.
    pub support: u64,
    /// Of the rows that were given this class, the share that has it; 0 when none was.
    pub precision: f64,
    /// Of its rows, the share that was given it.
    pub recall: f64,
    /// The harmonic mean of the two; 0 when both are.
    pub f1: f64,
}

/// How a clustering does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clusters {
    /// The Calinski-Harabasz index: variance between clusters to that within, by their degrees of
    /// freedom; of scaled values.
    pub calinski_harabasz: f64,
    /// Rows of each cluster, by its label.
    pub sizes: Vec<u64>,
}

fn share(part: u64, of: u64) -> f64 {
    if of == 0 {
        0.0
    } else {
        part as f64 / of as f64
    }
}

/// Compares the classes of rows, of which there are `count`, with those they were given.
pub(super) fn training(
    truth: &[u32],
    given: &[u32],
    count: usize,
    converged: Option<bool>,
) -> Training {
    let (mut support, mut predicted, mut right) = (vec![0; count], vec![0; count], vec![0; count]);
    let mut confusion = (count <= CONFUSION_CLASSES_MAX).then(|| vec![vec![0; count]; count]);
    for (truth, given) in truth.iter().zip(given) {
        let (truth, given) = (*truth as usize, *given as usize);
        support[truth] += 1;
        predicted[given] += 1;
        right[truth] += u64::from(truth == given);
        if let Some(confusion) = &mut confusion {
            confusion[truth][given] += 1;
        }
    }
    let figures = |class: usize| ClassFigures {
        class,
        support: support[class],
        precision: share(right[class], predicted[class]),
        recall: share(right[class], support[class]),
        f1: share(2 * right[class], support[class] + predicted[class]),
    };
    Training {
        accuracy: share(right.iter().sum(), truth.len() as u64),
        classes: (0..count).map(figures).collect(),
        confusion,
        converged,
    }
}

/// Counts the rows of each cluster.
pub(super) fn clusters(labels: &[usize], score: f64) -> Clusters {
    let count = labels.iter().max().map_or(0, |most| most + 1);
    let mut sizes = vec![0; count];
    for label in labels {
        sizes[*label] += 1;
    }
    Clusters {
        calinski_harabasz: score,
        sizes,
    }
}
