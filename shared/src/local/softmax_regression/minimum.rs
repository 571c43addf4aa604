//! The minimum of a smooth function by L-BFGS (Liu and Nocedal, 1989; two-loop recursion over the
//! last ten steps), with the decisions of L-BFGS-B 3.0 without bounds, which SciPy has: first step
//! along the gradient with length 1, line search of Moré and Thuente (`search`), an update
//! left out when the curvature is not positive.

mod search;

use std::collections::VecDeque;

use self::search::{LENGTH_MAX, Search};
use crate::local::stopping::Stopped;

/// Steps remembered.
const MEMORY: usize = 10;
/// Steps at most.
const ITERATIONS_MAX: u32 = 100;
/// Evaluations of one line search at most.
const TRIALS_MAX: usize = 50;
/// Relative decrease that is too small to go on.
const DECREASE_MIN: f64 = 64.0 * f64::EPSILON;

/// Where it ended.
pub(super) struct Found {
    pub(super) place: Vec<f64>,
    pub(super) iterations: u32,
    /// Whether it ended by the tolerance, or where the function no longer falls.
    pub(super) converged: bool,
}

/// A step and the change of the gradient along it.
struct Step {
    moved: Vec<f64>,
    turned: Vec<f64>,
    /// `moved . turned`
    curvature: f64,
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

/// Goes down from `place` until no partial derivative exceeds `tolerance` in magnitude.
///
/// # Errors
/// Those of the function.
pub(super) fn minimum(
    mut place: Vec<f64>,
    tolerance: f64,
    function: impl Fn(&[f64]) -> Result<(f64, Vec<f64>), Stopped>,
) -> Result<Found, Stopped> {
    let mut memory: VecDeque<Step> = VecDeque::with_capacity(MEMORY);
    let (mut value, mut gradient) = function(&place)?;
    let mut iterations = 0;
    let converged = loop {
        if gradient.iter().all(|part| part.abs() <= tolerance) {
            break true;
        }
        if iterations == ITERATIONS_MAX {
            break false;
        }
        let direction = direction(&gradient, &memory);
        let first = match iterations {
            0 => 1.0 / dot(&direction, &direction).sqrt(),
            _ => 1.0,
        };
        let found = descend((&place, value, &gradient), &direction, first, &function)?;
        let Some(found) = found else {
            // The memory may point the wrong way; without it, it is the gradient.
            if memory.is_empty() {
                break false;
            }
            memory.clear();
            continue;
        };
        iterations += 1;
        let scale = value.abs().max(found.value.abs()).max(1.0);
        let stays = (value - found.value) / scale <= DECREASE_MIN;
        let moved: Vec<f64> = direction.iter().map(|d| d * found.length).collect();
        let turned: Vec<f64> = found
            .gradient
            .iter()
            .zip(&gradient)
            .map(|(new, old)| new - old)
            .collect();
        let curvature = dot(&moved, &turned);
        if curvature > -f64::EPSILON * dot(&gradient, &moved) {
            if memory.len() == MEMORY {
                memory.pop_front();
            }
            memory.push_back(Step {
                moved,
                turned,
                curvature,
            });
        }
        (place, value, gradient) = (found.place, found.value, found.gradient);
        if stays {
            break true;
        }
    };
    Ok(Found {
        place,
        iterations,
        converged,
    })
}

/// The gradient times the remembered inverse of the curvature, downwards.
fn direction(gradient: &[f64], memory: &VecDeque<Step>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|part| -part).collect();
    let mut shares = Vec::with_capacity(memory.len());
    for step in memory.iter().rev() {
        let share = dot(&step.moved, &direction) / step.curvature;
        for (part, turned) in direction.iter_mut().zip(&step.turned) {
            *part -= share * turned;
        }
        shares.push(share);
    }
    if let Some(last) = memory.back() {
        let scale = last.curvature / dot(&last.turned, &last.turned);
        direction.iter_mut().for_each(|part| *part *= scale);
    }
    for (step, share) in memory.iter().zip(shares.into_iter().rev()) {
        let less = dot(&step.turned, &direction) / step.curvature;
        for (part, moved) in direction.iter_mut().zip(&step.moved) {
            *part += (share - less) * moved;
        }
    }
    direction
}

/// A lower place.
struct Lower {
    place: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
    length: f64,
}

/// Searches along a direction; `None` when it does not lead down, or the search does not end.
fn descend(
    (place, value, gradient): (&[f64], f64, &[f64]),
    direction: &[f64],
    first: f64,
    function: impl Fn(&[f64]) -> Result<(f64, Vec<f64>), Stopped>,
) -> Result<Option<Lower>, Stopped> {
    let slope = dot(gradient, direction);
    if slope >= 0.0 {
        return Ok(None);
    }
    let mut search = Search::new(value, slope, first.min(LENGTH_MAX));
    for _ in 0..TRIALS_MAX {
        let length = search.length();
        let there: Vec<f64> = place
            .iter()
            .zip(direction)
            .map(|(at, along)| at + length * along)
            .collect();
        let (value, gradient) = function(&there)?;
        if search.tell(value, dot(&gradient, direction)) {
            return Ok(Some(Lower {
                place: there,
                value,
                gradient,
                length,
            }));
        }
    }
    Ok(None)
}
