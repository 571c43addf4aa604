//! Federated logistic regression: counts, then means and deviations if asked for, then gradients.
//!
//! | question | numbers | slots of the answer |
//! |---|---|---|
//! | counts | none | rows, positive rows |
//! | means | none | d column sums, rows |
//! | deviations | d means | d high limbs, d low limbs, rows |
//! | gradient | d + 1 weights; d means and d deviations if standardised | d + 1 sums, loss, rows, positive rows |
//!
//! The loss slot carries the loss of all rows in batch 0 of an iteration and 0 otherwise, so the
//! convergence test costs no round. All sums are row-exact, so the weights after every round equal
//! those of [`crate::local::logistic_regression::fit`] on the pooled rows, bit for bit.

use serde::{Deserialize, Serialize};

use super::Error;
use super::round::{self, Question};
use crate::id::Round;
use crate::job::{Phase, TrainSpec};
use crate::limits::{BATCH_OWN_ROWS_MIN, WEIGHT_BITS_MAX};
use crate::local::logistic_regression::{
    Batches, Descent, Stop, column_sums, deviations, gradient_sum, loss_sum, means, model,
    square_sums, standardize,
};
use crate::message::{self, Progress};
use crate::model::{Model, Standardization};
use crate::policy::Train;
use crate::table::Table;

const COUNTS: u8 = 1;
const MEANS: u8 = 2;
const DEVIATIONS: u8 = 3;
const GRADIENT: u8 = 4;
/// Questions before the first gradient, at most.
const PREPARATIONS: u64 = 3;

/// Layout of [`State`] in a checkpoint.
const CHECKPOINT_VERSION: u16 = 1;

/// The guest's side.
pub struct Guide {
    spec: TrainSpec,
    state: State,
}

/// Everything that a new attempt needs to go on with the same bits.
#[derive(Serialize, Deserialize)]
struct State {
    version: u16,
    round: Round,
    /// Rows and positive rows over all parties; known after the first round.
    counts: Option<(i128, i128)>,
    mean: Option<Vec<f64>>,
    deviation: Option<Vec<f64>>,
    descent: Descent,
}

impl Guide {
    /// Starts a training.
    pub fn new(spec: &TrainSpec) -> Self {
        let descent = Descent::new(&spec.shape(), &spec.hyperparameters, spec.attributes.len());
        let state = State {
            version: CHECKPOINT_VERSION,
            round: Round(0),
            counts: None,
            mean: None,
            deviation: None,
            descent,
        };
        Guide {
            spec: spec.clone(),
            state,
        }
    }

    /// Goes on from a checkpoint.
    ///
    /// # Errors
    /// When it is of another version or shape.
    pub fn resume(spec: &TrainSpec, checkpoint: &[u8]) -> Result<Self, Error> {
        let state: State = message::decode(checkpoint).map_err(|_| Error::Checkpoint)?;
        let columns = spec.attributes.len();
        let fits = |numbers: &Option<Vec<f64>>| numbers.as_ref().is_none_or(|n| n.len() == columns);
        let shaped = state.descent.weights.len() == columns + 1
            && fits(&state.mean)
            && fits(&state.deviation);
        if state.version != CHECKPOINT_VERSION || !shaped {
            return Err(Error::Checkpoint);
        }
        Ok(Guide {
            spec: spec.clone(),
            state,
        })
    }

    /// The present weights: coefficients, then the intercept.
    #[cfg(test)]
    pub(crate) fn weights(&self) -> &[f64] {
        &self.state.descent.weights
    }

    fn batches(&self) -> u32 {
        let rows = self.state.counts.map_or(0, |(rows, _)| rows);
        Batches::count_for(rows, self.spec.hyperparameters.batch_rows)
    }

    fn standardization(&self) -> Option<Standardization> {
        let (mean, deviation) = (self.state.mean.clone()?, self.state.deviation.clone()?);
        Some(Standardization { mean, deviation })
    }

    /// Which question is open.
    fn kind(&self) -> Option<u8> {
        let state = &self.state;
        if state.counts.is_none() {
            Some(COUNTS)
        } else if self.spec.hyperparameters.standardize && state.mean.is_none() {
            Some(MEANS)
        } else if self.spec.hyperparameters.standardize && state.deviation.is_none() {
            Some(DEVIATIONS)
        } else if state.descent.stop.is_none() {
            Some(GRADIENT)
        } else {
            None
        }
    }

    fn absorb_counts(&mut self, sums: &[i128]) -> Result<(), Error> {
        let (rows, positive) = (sums[0], sums[1]);
        if positive <= 0 || positive >= rows {
            return Err(Error::OneClass);
        }
        self.state.counts = Some((rows, positive));
        Ok(())
    }

    fn absorb_gradient(&mut self, sums: &[i128]) -> Result<(), Error> {
        let columns = self.spec.attributes.len();
        let parameters = &self.spec.hyperparameters;
        let rows_of_all = self.state.counts.map_or(0, |(rows, _)| rows);
        let batches = self.batches();
        let descent = &mut self.state.descent;
        if descent.batch == 0 {
            descent.observe_loss(parameters, sums[columns + 1], rows_of_all);
            if descent.stop.is_some() {
                return Ok(());
            }
        }
        descent.apply(parameters, &sums[..=columns], sums[columns + 2], batches);
        if descent.is_sound() {
            Ok(())
        } else {
            Err(Error::Diverged)
        }
    }
}

impl round::Guide for Guide {
    fn question(&self) -> Option<Question> {
        let kind = self.kind()?;
        let numbers = match kind {
            COUNTS | MEANS => Vec::new(),
            DEVIATIONS => self.state.mean.clone().unwrap_or_default(),
            _ => {
                let mut numbers = self.state.descent.weights.clone();
                if let Some(by) = self.standardization() {
                    numbers.extend(by.mean);
                    numbers.extend(by.deviation);
                }
                numbers
            }
        };
        let (batch, batches) = if kind == GRADIENT {
            (self.state.descent.batch, self.batches())
        } else {
            (0, 1)
        };
        Some(Question {
            kind,
            batch,
            batches,
            numbers,
        })
    }

    fn absorb(&mut self, sums: &[i128]) -> Result<(), Error> {
        let columns = self.spec.attributes.len();
        match self.kind() {
            Some(COUNTS) => self.absorb_counts(sums)?,
            Some(MEANS) => self.state.mean = Some(means(&sums[..columns], sums[columns])),
            Some(DEVIATIONS) => {
                let limbs = 2 * columns;
                self.state.deviation = Some(deviations(&sums[..limbs], sums[limbs]));
            }
            _ => self.absorb_gradient(sums)?,
        }
        self.state.round = self.state.round.next();
        Ok(())
    }

    fn progress(&self) -> Progress {
        let phase = if self.kind().is_some_and(|kind| kind != GRADIENT) {
            Phase::Counting
        } else {
            Phase::Training
        };
        Progress {
            phase,
            round: self.state.round,
            iterations: self.state.descent.iteration,
            iterations_max: self.spec.hyperparameters.iterations_max,
            batches: if self.state.counts.is_some() {
                self.batches()
            } else {
                0
            },
            converged: self.state.descent.stop.map(|stop| stop == Stop::Converged),
            ..Progress::default()
        }
    }

    fn checkpoint(&self) -> Vec<u8> {
        message::encode(&self.state)
    }

    fn model(&self) -> Model {
        model(&self.spec, &self.state.descent, self.standardization())
    }
}

/// A data party's side.
pub struct Answer {
    spec: TrainSpec,
    limits: Train,
    table: Table,
    batches: Option<Batches>,
    /// By what the table's values are standardised already.
    standardized: Option<Standardization>,
    /// Gradients answered for in this attempt.
    gradients: u64,
}

impl Answer {
    /// Answers from one party's rows, within its policy's limits of batches and rounds.
    pub fn new(spec: &TrainSpec, table: Table, limits: &Train) -> Self {
        Answer {
            spec: spec.clone(),
            limits: limits.clone(),
            table,
            batches: None,
            standardized: None,
            gradients: 0,
        }
    }

    fn columns(&self) -> usize {
        self.spec.attributes.len()
    }

    fn positive_rows(&self) -> i128 {
        self.table
            .positive
            .iter()
            .filter(|&&positive| positive)
            .count() as i128
    }

    /// Whether a well-shaped gradient question is one that the request can lead to.
    fn may_ask_gradient(&self, question: &Question) -> bool {
        const WEIGHT_MAX: f64 = (1_u64 << WEIGHT_BITS_MAX) as f64;
        let parameters = &self.spec.hyperparameters;
        let columns = self.columns();
        let (weights, by) = question.numbers.split_at(columns + 1);
        let whole = parameters.batch_rows.is_some() || question.batches == 1;
        let dealt = self
            .batches
            .as_ref()
            .is_none_or(|dealt| dealt.count() == question.batches);
        let rounds = self.gradients_max(question.batches);
        // Rows are standardised once: other means later would be another table.
        let same_table = self
            .standardized
            .as_ref()
            .is_none_or(|known| by.iter().eq(known.mean.iter().chain(&known.deviation)));
        whole
            && dealt
            && same_table
            && self.gradients < rounds
            && weights.iter().all(|weight| weight.abs() <= WEIGHT_MAX)
    }

    /// Gradients that the request leads to, where an iteration has so many batches.
    fn gradients_max(&self, batches: u32) -> u64 {
        u64::from(self.spec.hyperparameters.iterations_max) * u64::from(batches)
    }

    /// Deals the rows to batches, once.
    fn deal(&mut self, count: u32) -> Result<(), Error> {
        if self.batches.is_none() {
            let rounds = self.gradients_max(count);
            if rounds > self.limits.rounds_max {
                return Err(Error::TooManyRounds(rounds));
            }
            let batches = Batches::new(&self.spec.shape(), &self.table.ids, count);
            if batches
                .smallest()
                .is_some_and(|rows| rows < self.limits.batch_rows_min.max(BATCH_OWN_ROWS_MIN))
                && count > 1
            {
                return Err(Error::BatchTooSmall);
            }
            self.batches = Some(batches);
        }
        Ok(())
    }

    fn gradient(&mut self, question: &Question) -> Result<Vec<i128>, Error> {
        let columns = self.columns();
        let weights = &question.numbers[..=columns];
        self.gradients += 1;
        self.deal(question.batches)?;
        if self.spec.hyperparameters.standardize && self.standardized.is_none() {
            let (mean, deviation) = question.numbers[columns + 1..].split_at(columns);
            let by = Standardization {
                mean: mean.to_vec(),
                deviation: deviation.to_vec(),
            };
            standardize(&mut self.table.values, &by);
            self.standardized = Some(by);
        }
        let Some(batches) = &self.batches else {
            return Ok(Vec::new());
        };
        let within = |row| batches.contains(question.batch, row);
        let values = self.table.values.view();
        let sum = gradient_sum(values, &self.table.positive, weights, within)?;
        let loss = match question.batch {
            0 => loss_sum(values, &self.table.positive, weights)?,
            _ => 0,
        };
        let positive =
            (0..self.table.ids.len()).filter(|&row| self.table.positive[row] && within(row));
        let positive = positive.count() as i128;
        let mut slots = sum.gradient;
        slots.extend([loss, sum.rows, positive]);
        Ok(slots)
    }
}

impl round::Answer for Answer {
    fn rounds_max(&self, batches: u32) -> u64 {
        PREPARATIONS
            + self
                .gradients_max(batches.max(1))
                .min(self.limits.rounds_max)
    }

    fn slots(&self, question: &Question) -> Option<usize> {
        let columns = self.columns();
        let standardize = self.spec.hyperparameters.standardize;
        let (numbers, slots) = match question.kind {
            COUNTS => (0, 2),
            MEANS if standardize => (0, columns + 1),
            DEVIATIONS if standardize => (columns, 2 * columns + 1),
            GRADIENT if standardize => (3 * columns + 1, columns + 4),
            GRADIENT => (columns + 1, columns + 4),
            _ => return None,
        };
        let shaped = question.numbers.len() == numbers
            && question.numbers.iter().all(|number| number.is_finite())
            && question.batch < question.batches;
        let fits = shaped && (question.kind != GRADIENT || self.may_ask_gradient(question));
        fits.then_some(slots)
    }

    fn answer(&mut self, question: &Question) -> Result<Vec<i128>, Error> {
        let values = self.table.values.view();
        let rows = self.table.ids.len() as i128;
        match question.kind {
            COUNTS => Ok(vec![rows, self.positive_rows()]),
            MEANS => {
                let mut slots = column_sums(values)?;
                slots.push(rows);
                Ok(slots)
            }
            DEVIATIONS => {
                let mut slots = square_sums(values, &question.numbers)?;
                slots.push(rows);
                Ok(slots)
            }
            _ => self.gradient(question),
        }
    }
}

#[cfg(test)]
mod tests;
