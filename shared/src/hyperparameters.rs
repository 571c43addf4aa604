//! What a request may choose about logistic regression, checked.
//!
//! The outside spellings (`eps`, `converge_func`, `init_param`, ...) and their aliases live in the
//! API; here every value is in range.

use serde::{Deserialize, Serialize};

/// Hyperparameters of one training. Everything here shapes the model; how the sums are protected
/// does not, and stands in [`crate::job::Protection`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hyperparameters {
    /// What is added to the mean log loss.
    pub penalty: Penalty,
    /// How a gradient becomes a step.
    pub optimizer: Optimizer,
    /// When training stops before `iterations_max`.
    pub convergence: Convergence,
    /// Threshold of `convergence`; finite, at least 0.
    pub tolerance: f64,
    /// Passes over the data at most; at least 1.
    pub iterations_max: u32,
    /// Rows of one mini-batch over all parties; `None` is every row.
    pub batch_rows: Option<u64>,
    /// Step size of iteration 0; finite, above 0.
    pub learning_rate: f64,
    /// Decay of the step size per iteration; finite, at least 0.
    pub decay: f64,
    /// True: rate / sqrt(1 + decay t). False: rate / (1 + decay t).
    pub decay_sqrt: bool,
    /// Initial weights.
    pub start: Start,
    /// Whether the model has an intercept; it is the last weight and never penalised.
    pub intercept: bool,
    /// Seed of everything drawn; `None` draws from the request's other words alone.
    pub random_seed: Option<i64>,
    /// Whether columns are centred and scaled by the federation's mean and deviation first.
    pub standardize: bool,
    /// A row is of the positive class when its probability is above this; in (0, 1).
    pub threshold: f64,
}

/// A penalty on coefficients, with its strength `alpha` (finite, at least 0).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Penalty {
    /// None.
    None,
    /// alpha sum |w|, by soft threshold after the step.
    L1 {
        /// Strength.
        alpha: f64,
    },
    /// alpha / 2 sum w^2, in the gradient.
    L2 {
        /// Strength.
        alpha: f64,
    },
}

/// An optimiser; formulas and constants as in FATE 1.x.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// Plain gradient descent.
    Sgd,
    /// RMSProp, 0.99.
    Rmsprop,
    /// Adam, 0.9 and 0.999.
    Adam,
    /// AdaGrad.
    Adagrad,
    /// Nesterov momentum, 0.9.
    NesterovMomentumSgd,
}

impl Optimizer {
    /// Every optimiser.
    pub const ALL: [Optimizer; 5] = [
        Optimizer::Sgd,
        Optimizer::Rmsprop,
        Optimizer::Adam,
        Optimizer::Adagrad,
        Optimizer::NesterovMomentumSgd,
    ];
}

/// What must fall under the tolerance for training to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Convergence {
    /// The change of the penalised loss between two iterations.
    Diff,
    /// The penalised loss itself.
    Abs,
    /// The change of the weights, relative to their norm when that is above 1.
    WeightDiff,
}

/// Where the weights start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// All zero, the intercept too.
    Zeros,
    /// All one.
    Ones,
    /// All the same number.
    Constant {
        /// That number; finite.
        value: f64,
    },
    /// Uniform in [0, 1).
    RandomUniform,
    /// Standard normal.
    RandomNormal,
}
