//! From summed gradients to weights: optimisers, penalties, step sizes and the convergence test of
//! FATE 1.x (with its defects mended). Runs where the sums are known: at the guest, or on a pooled
//! table.

use serde::{Deserialize, Serialize};

use crate::draw::Draw;
use crate::fixed_point;
use crate::hyperparameters::{Convergence, Hyperparameters, Optimizer, Penalty, Start};
use crate::limits::{FRACTION_BITS, WEIGHT_BITS_MAX};

/// Why training stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stop {
    /// The convergence test was met.
    Converged,
    /// All iterations were done.
    Exhausted,
}

/// A descent under way; its serialised form is what a checkpoint carries.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Descent {
    /// Coefficients, then the intercept.
    pub weights: Vec<f64>,
    /// Iterations done.
    pub iteration: u32,
    /// Mini-batches done in this iteration.
    pub batch: u32,
    /// Penalised loss at the start of each iteration.
    pub losses: Vec<f64>,
    /// Whether and why training stopped.
    pub stop: Option<Stop>,
    /// Weights at the start of this iteration.
    before: Vec<f64>,
    /// First moment, or velocity.
    first: Vec<f64>,
    /// Second moment, or sum of squares.
    second: Vec<f64>,
    /// Updates done, for Adam's bias correction.
    updates: u32,
}

impl Descent {
    /// Starts at the weights that the hyperparameters choose.
    pub fn new(shape: &[u8], parameters: &Hyperparameters, columns: usize) -> Self {
        let mut draw = Draw::new(shape, "weights");
        let mut weights: Vec<f64> = (0..=columns)
            .map(|_| match parameters.start {
                Start::Zeros => 0.0,
                Start::Ones => 1.0,
                Start::Constant { value } => value,
                Start::RandomUniform => draw.uniform(),
                Start::RandomNormal => draw.normal(),
            })
            .collect();
        if !parameters.intercept {
            weights[columns] = 0.0;
        }
        let zeros = vec![0.0; columns + 1];
        Descent {
            before: weights.clone(),
            weights,
            iteration: 0,
            batch: 0,
            losses: Vec::new(),
            stop: None,
            first: zeros.clone(),
            second: zeros,
            updates: 0,
        }
    }

    /// Takes the summed loss of all `rows` rows at the present weights, before the first batch of
    /// an iteration is applied. May stop the descent.
    pub fn observe_loss(&mut self, parameters: &Hyperparameters, sum: i128, rows: i128) {
        let loss = fixed_point::decode(sum, FRACTION_BITS) / rows as f64 + self.penalty(parameters);
        let previous = self.losses.last().copied();
        self.losses.push(loss);
        let converged = match parameters.convergence {
            Convergence::Diff => {
                previous.is_some_and(|previous| (loss - previous).abs() < parameters.tolerance)
            }
            Convergence::Abs => loss <= parameters.tolerance,
            Convergence::WeightDiff => false,
        };
        if converged {
            self.stop = Some(Stop::Converged);
        }
    }

    /// Applies one mini-batch: `sums` are `columns + 1` row-exact gradient sums over `rows` rows.
    /// An empty batch changes no weight.
    pub fn apply(&mut self, parameters: &Hyperparameters, sums: &[i128], rows: i128, batches: u32) {
        if rows > 0 {
            self.update(parameters, sums, rows);
        }
        self.batch += 1;
        if self.batch == batches {
            self.end_iteration(parameters);
        }
    }

    fn end_iteration(&mut self, parameters: &Hyperparameters) {
        self.batch = 0;
        self.iteration += 1;
        let steady = parameters.convergence == Convergence::WeightDiff && {
            let moved = norm(
                self.weights
                    .iter()
                    .zip(&self.before)
                    .map(|(new, old)| new - old),
            );
            // The first iteration has no predecessor to compare with.
            self.iteration > 1
                && moved < parameters.tolerance * norm(self.weights.iter().copied()).max(1.0)
        };
        self.before.clone_from(&self.weights);
        if steady {
            self.stop = Some(Stop::Converged);
        } else if self.iteration == parameters.iterations_max {
            self.stop = Some(Stop::Exhausted);
        }
    }

    fn update(&mut self, parameters: &Hyperparameters, sums: &[i128], rows: i128) {
        let intercept = sums.len() - 1;
        let rate = learning_rate(parameters, self.iteration);
        self.updates += 1;
        for (index, &sum) in sums.iter().enumerate() {
            if index == intercept && !parameters.intercept {
                continue;
            }
            let mut gradient = fixed_point::decode(sum, FRACTION_BITS) / rows as f64;
            if let (Penalty::L2 { alpha }, true) = (parameters.penalty, index < intercept) {
                gradient += alpha * self.weights[index];
            }
            let mut weight = self.weights[index] - self.step(parameters, index, gradient, rate);
            if let (Penalty::L1 { alpha }, true) = (parameters.penalty, index < intercept) {
                weight = soft_threshold(weight, alpha * rate);
            }
            self.weights[index] = weight;
        }
    }

    /// What the optimiser takes off one weight.
    fn step(&mut self, parameters: &Hyperparameters, index: usize, g: f64, rate: f64) -> f64 {
        let (first, second) = (&mut self.first[index], &mut self.second[index]);
        match parameters.optimizer {
            Optimizer::Sgd => rate * g,
            Optimizer::Rmsprop => {
                *second = 0.99 * *second + 0.01 * g * g;
                rate * g / libm::sqrt(*second + 1e-6)
            }
            Optimizer::Adagrad => {
                *second += g * g;
                rate * g / (libm::sqrt(*second) + 1e-7)
            }
            Optimizer::NesterovMomentumSgd => {
                let velocity = 0.9 * *first - rate * g;
                let step = 0.9 * *first - 1.9 * velocity;
                *first = velocity;
                step
            }
            Optimizer::Adam => {
                *first = 0.9 * *first + 0.1 * g;
                *second = 0.999 * *second + 0.001 * g * g;
                let power = f64::from(self.updates);
                let mean = *first / (1.0 - libm::pow(0.9, power));
                let square = *second / (1.0 - libm::pow(0.999, power));
                rate * mean / (libm::sqrt(square) + 1e-8)
            }
        }
    }

    /// The penalty's value at the present weights; the intercept is free.
    fn penalty(&self, parameters: &Hyperparameters) -> f64 {
        let coefficients = &self.weights[..self.weights.len() - 1];
        match parameters.penalty {
            Penalty::None => 0.0,
            Penalty::L1 { alpha } => alpha * coefficients.iter().map(|w| w.abs()).sum::<f64>(),
            Penalty::L2 { alpha } => 0.5 * alpha * coefficients.iter().map(|w| w * w).sum::<f64>(),
        }
    }

    /// Whether every number is finite and within the range that hosts answer for.
    pub fn is_sound(&self) -> bool {
        const WEIGHT_MAX: f64 = (1_u64 << WEIGHT_BITS_MAX) as f64;
        self.weights.iter().all(|w| w.abs() <= WEIGHT_MAX)
            && self.losses.last().is_none_or(|loss| loss.is_finite())
    }
}

/// The step size of an iteration, constant over its batches.
fn learning_rate(parameters: &Hyperparameters, iteration: u32) -> f64 {
    let growth = 1.0 + parameters.decay * f64::from(iteration);
    let growth = if parameters.decay_sqrt {
        libm::sqrt(growth)
    } else {
        growth
    };
    parameters.learning_rate / growth
}

fn soft_threshold(weight: f64, by: f64) -> f64 {
    weight.signum() * (weight.abs() - by).max(0.0)
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    libm::sqrt(values.map(|v| v * v).sum())
}
