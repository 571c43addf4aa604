//! Training on one table that holds every row: what federated training must equal, bit for bit.

use super::{
    Batches, Descent, Stop, column_sums, deviations, gradient_sum, loss_sum, means, square_sums,
    standardize,
};
use crate::fixed_point::RangeError;
use crate::job::TrainSpec;
use crate::model::{Model, Standardization};
use crate::table::Table;

/// Trains on a table of all parties' rows; calls `each_round` with the weights after every update.
///
/// # Errors
/// When a number leaves the range that sums can carry.
pub fn fit(
    spec: &TrainSpec,
    table: &Table,
    mut each_round: impl FnMut(&[f64]),
) -> Result<Model, RangeError> {
    let parameters = &spec.hyperparameters;
    let rows = table.ids.len() as i128;
    let mut values = table.values.clone();
    let standardization = if parameters.standardize {
        let mean = means(&column_sums(values.view())?, rows);
        let deviation = deviations(&square_sums(values.view(), &mean)?, rows);
        let by = Standardization { mean, deviation };
        standardize(&mut values, &by);
        Some(by)
    } else {
        None
    };

    let count = Batches::count_for(rows, parameters.batch_rows);
    let batches = Batches::new(&spec.shape(), &table.ids, count);
    let mut descent = Descent::new(&spec.shape(), parameters, values.ncols());
    while descent.stop.is_none() {
        if descent.batch == 0 {
            let loss = loss_sum(values.view(), &table.positive, &descent.weights)?;
            descent.observe_loss(parameters, loss, rows);
            if descent.stop.is_some() {
                break;
            }
        }
        let batch = descent.batch;
        let within = |row| batches.contains(batch, row);
        let sum = gradient_sum(values.view(), &table.positive, &descent.weights, within)?;
        descent.apply(parameters, &sum.gradient, sum.rows, count);
        if !descent.is_sound() {
            return Err(RangeError::TooLarge);
        }
        each_round(&descent.weights);
    }
    Ok(model(spec, &descent, standardization))
}

/// The model a descent has reached.
pub(crate) fn model(
    spec: &TrainSpec,
    descent: &Descent,
    standardization: Option<Standardization>,
) -> Model {
    let columns = spec.attributes.len();
    Model {
        unique_id: spec.unique_id.clone(),
        attributes: spec.attributes.clone(),
        coefficients: descent.weights[..columns].to_vec(),
        intercept: descent.weights[columns],
        standardization,
        iterations: descent.iteration,
        converged: descent.stop == Some(Stop::Converged),
        losses: descent.losses.clone(),
        threshold: spec.hyperparameters.threshold,
        label: spec.label.clone(),
    }
}
