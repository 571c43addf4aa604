//! One learning job on one worker: bytes of CSV files in, bytes of a result, a model and figures
//! out. Pure: the same bytes whatever the number of threads.
//!
//! The reference's pipeline (seed-systems 1.4): nulls become their column's mean, texts one column
//! for each value, logistic regression and the clusterings divide by the deviation; classifiers
//! classify the testing file, clusterings the feature file itself. Unlike there, the testing file is
//! encoded as the feature file was. The model is JSON; `learning/MODEL.md` tells its fields, so that
//! a few lines of any language predict with it.

mod bounded;
mod metrics;
mod target;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::Array2;
use serde::Serialize;
use zeroize::{Zeroize, Zeroizing};

pub use self::metrics::{ClassFigures, Clusters, Metrics, Quality, Training};
pub use self::target::{Classes, TargetError};
use super::clustering::{self, Found};
use super::encoder::{EncodeError, Encoder};
use super::frame::{self, Column, Frame, FrameError};
use super::stopping::Stopped;
use super::{birch, decision_tree, k_means, softmax_regression, spectral, support_vectors};
use crate::computation::{FileKind, Learner};
use crate::limits::{MADE_FILE_BYTES_MAX, METRICS_BYTES_MAX};

/// The uploaded files of a job; wiped once they are read.
pub struct Files {
    /// What is learned from.
    pub feature: Zeroizing<Vec<u8>>,
    /// The class of each of its rows; classifiers need it, others leave it alone.
    pub target: Option<Zeroizing<Vec<u8>>>,
    /// Rows to classify; clusterings leave it alone.
    pub testing: Option<Zeroizing<Vec<u8>>>,
}

/// The outcome of a job.
pub struct Learned {
    /// `result.csv`: the testing file's rows with their classes, or the feature file's with their
    /// clusters; `None` for a classifier without a testing file.
    pub result: Option<Vec<u8>>,
    /// The model, as JSON.
    pub model: Vec<u8>,
    /// How good it is.
    pub metrics: Metrics,
}

/// Why nothing was learned. Tells files, numbers of columns and rows, and rules; never a cell or a
/// name.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// Nobody waits for it any more.
    #[error("learning was asked to stop")]
    Stopped,
    /// As [`Error::Stopped`], from within.
    #[error(transparent)]
    Within(#[from] Stopped),
    /// A file cannot be read.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A file cannot be turned into numbers.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The target file gives no classes.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A model that is too long to keep.
    #[error(
        "the model would have more than {MADE_FILE_BYTES_MAX} bytes: use fewer rows or columns"
    )]
    Model,
    /// Figures that are too long to keep.
    #[error("the metrics would have more than {METRICS_BYTES_MAX} bytes: use fewer classes")]
    Metrics,
    /// There is no tree.
    #[error(transparent)]
    Tree(#[from] decision_tree::Error),
    /// There is no logistic regression.
    #[error(transparent)]
    Regression(#[from] softmax_regression::Error),
    /// There are no support vectors.
    #[error(transparent)]
    Support(#[from] support_vectors::Error),
    /// The rows have no clusters.
    #[error(transparent)]
    Cluster(#[from] clustering::Error),
}

/// What is written to the model file.
#[derive(Serialize)]
struct Document<'a, P> {
    format: &'static str,
    learner: Learner,
    encoder: &'a Encoder,
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<&'a Classes>,
    parameters: &'a P,
}

/// The version of the model file.
const FORMAT: &str = "concord-model-1";

/// Encoded rows, wiped in the end.
struct Encoded(Array2<f64>);

impl Drop for Encoded {
    fn drop(&mut self) {
        if let Some(values) = self.0.as_slice_memory_order_mut() {
            values.zeroize();
        }
    }
}

impl<P: Serialize> Document<'_, P> {
    fn bytes(&self) -> Result<Vec<u8>, Error> {
        bounded::json(self, MADE_FILE_BYTES_MAX).ok_or(Error::Model)
    }
}

/// Learns from a job's files, unless `stop` is set before the end: all that takes long looks at it.
///
/// # Errors
/// When a file is not what it should be, or leaves a bound, or nothing can be learned from it;
/// [`Error::Stopped`] when `stop` is set.
pub fn learn(learner: Learner, files: Files, stop: &AtomicBool) -> Result<Learned, Error> {
    let learned = learn_unless(stop, learner, files);
    // Whoever noticed the flag has an error of its own for it.
    learned.map_err(|error| match stop.load(Ordering::Relaxed) {
        true => Error::Stopped,
        false => error,
    })
}

fn learn_unless(stop: &AtomicBool, learner: Learner, files: Files) -> Result<Learned, Error> {
    let Files {
        feature,
        target,
        testing,
    } = files;
    let frame = frame::read(FileKind::Feature, &feature, &BTreeSet::new(), stop)?;
    drop(feature);
    if !learner.classifies() {
        return cluster(learner, &frame, stop);
    }
    let target = target.ok_or(TargetError::None)?;
    let target_frame = frame::read(FileKind::Target, &target, &BTreeSet::new(), stop)?;
    drop(target);
    let (classes, truth) = target::classes(target_frame, frame.rows)?;
    let columns = frame.columns.len();
    let scaled = learner == Learner::LogisticRegression;
    let (encoder, rows) = Encoder::fit(&frame, scaled)?;
    let rows = Encoded(rows);
    drop(frame);
    let fitted = Fitted::fit(learner, &rows.0, (&truth, classes.len()), stop)?;
    let metrics = Metrics {
        rows: rows.0.nrows(),
        columns,
        features: rows.0.ncols(),
        quality: Quality::Training(metrics::training(
            &truth,
            &fitted.predict(&rows.0, classes.len(), stop)?,
            classes.len(),
            fitted.converged(),
        )),
    };
    bounded::json(&metrics, METRICS_BYTES_MAX).ok_or(Error::Metrics)?;
    let model = fitted.document(learner, &encoder, &classes)?;
    drop(rows);
    let result = testing
        .map(|testing| {
            let frame = frame::read(FileKind::Testing, &testing, &encoder.texts(), stop)?;
            drop(testing);
            let rows = Encoded(encoder.transform(&frame)?);
            let found = fitted.predict(&rows.0, classes.len(), stop)?;
            Ok::<_, Error>(frame::write(&frame, &classes.column(), &found)?)
        })
        .transpose()?;
    Ok(Learned {
        result,
        model,
        metrics,
    })
}

/// A classifier.
enum Fitted {
    Tree(decision_tree::Model),
    Linear(softmax_regression::Model),
    Vectors(support_vectors::Model),
}

impl Fitted {
    fn fit(
        learner: Learner,
        rows: &Array2<f64>,
        (truth, classes): (&[u32], usize),
        stop: &AtomicBool,
    ) -> Result<Fitted, Error> {
        let view = rows.view();
        Ok(match learner {
            Learner::LogisticRegression => {
                Fitted::Linear(softmax_regression::fit(view, truth, classes, stop)?)
            }
            Learner::Svm => Fitted::Vectors(support_vectors::fit(view, truth, classes, stop)?),
            Learner::DecisionTree | Learner::Birch | Learner::KMeans | Learner::Spectral => {
                Fitted::Tree(decision_tree::fit(view, truth, classes, stop)?)
            }
        })
    }

    fn predict(
        &self,
        rows: &Array2<f64>,
        classes: usize,
        stop: &AtomicBool,
    ) -> Result<Vec<u32>, Error> {
        let given = match self {
            Fitted::Tree(model) => model.predict(rows.view(), stop),
            Fitted::Linear(model) => model.predict(rows.view(), stop),
            Fitted::Vectors(model) => model.predict(rows.view(), classes, stop),
        };
        Ok(given?)
    }

    fn converged(&self) -> Option<bool> {
        match self {
            Fitted::Tree(_) => None,
            Fitted::Linear(model) => Some(model.converged),
            Fitted::Vectors(model) => Some(model.converged),
        }
    }

    fn document(
        &self,
        learner: Learner,
        encoder: &Encoder,
        classes: &Classes,
    ) -> Result<Vec<u8>, Error> {
        fn bytes<P: Serialize>(
            learner: Learner,
            encoder: &Encoder,
            classes: &Classes,
            parameters: &P,
        ) -> Result<Vec<u8>, Error> {
            Document {
                format: FORMAT,
                learner,
                encoder,
                classes: Some(classes),
                parameters,
            }
            .bytes()
        }
        match self {
            Fitted::Tree(model) => bytes(learner, encoder, classes, model),
            Fitted::Linear(model) => bytes(learner, encoder, classes, model),
            Fitted::Vectors(model) => bytes(learner, encoder, classes, model),
        }
    }
}

fn cluster(learner: Learner, frame: &Frame, stop: &AtomicBool) -> Result<Learned, Error> {
    let (encoder, rows) = Encoder::fit(frame, true)?;
    let rows = Encoded(rows);
    let of = (learner, frame, &encoder);
    match learner {
        Learner::Birch => clustered(of, &birch::search(rows.0.view(), stop)?),
        Learner::Spectral => clustered(of, &spectral::search(rows.0.view(), stop)?),
        _ => clustered(of, &k_means::search(rows.0.view(), stop)?),
    }
}

fn clustered<M: Serialize>(
    (learner, frame, encoder): (Learner, &Frame, &Encoder),
    found: &Found<M>,
) -> Result<Learned, Error> {
    let quality = metrics::clusters(&found.labels, found.score);
    let names = Column::Integers((0..).take(quality.sizes.len()).collect());
    let labels: Vec<u32> = found.labels.iter().map(|label| *label as u32).collect();
    Ok(Learned {
        result: Some(frame::write(frame, &names, &labels)?),
        model: Document {
            format: FORMAT,
            learner,
            encoder,
            classes: None,
            parameters: &found.model,
        }
        .bytes()?,
        metrics: Metrics {
            rows: frame.rows,
            columns: frame.columns.len(),
            features: encoder.features.len(),
            quality: Quality::Clusters(quality),
        },
    })
}

#[cfg(test)]
mod tests;
