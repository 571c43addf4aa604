//! A trained model: what is sealed to each party, and what `concord export` prints.

use serde::{Deserialize, Serialize};

use crate::table::Label;

/// A logistic regression. Scores a row as `sigmoid(intercept + sum_j coefficients_j x_j)`, where
/// `x_j` is the row's value, standardised first when `standardization` is there.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Column that names a row.
    pub unique_id: String,
    /// Columns, in the order of the coefficients.
    pub attributes: Vec<String>,
    /// One weight per attribute, in the space that `standardization` tells.
    pub coefficients: Vec<f64>,
    /// The constant term; 0 for a model without one.
    pub intercept: f64,
    /// The federation's means and deviations; `None` when the coefficients are in the data's units.
    pub standardization: Option<Standardization>,
    /// Passes over the data that were done.
    pub iterations: u32,
    /// Whether the convergence test was met.
    pub converged: bool,
    /// Penalised loss at the start of each iteration: mean log loss plus penalty.
    pub losses: Vec<f64>,
    /// A row is of the positive class when its probability is above this.
    pub threshold: f64,
    /// Column that carried the class, and the value that means positive.
    pub label: Label,
}

impl Model {
    /// Whether every list has one finite number per attribute: true of every model that training
    /// made.
    pub fn is_sound(&self) -> bool {
        let columns = self.attributes.len();
        let fits = |numbers: &[f64]| {
            numbers.len() == columns && numbers.iter().all(|number| number.is_finite())
        };
        fits(&self.coefficients)
            && self.intercept.is_finite()
            && self
                .standardization
                .as_ref()
                .is_none_or(|by| fits(&by.mean) && fits(&by.deviation))
    }
}

/// Means and deviations over the rows of all parties.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Standardization {
    /// Mean of each attribute.
    pub mean: Vec<f64>,
    /// Population deviation of each attribute; 1 where the column is constant.
    pub deviation: Vec<f64>,
}
