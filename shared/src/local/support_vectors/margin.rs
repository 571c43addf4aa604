//! The widest soft margin between two classes: sequential minimal optimisation with the pair of
//! rows chosen by second-order information (Fan, Chen and Lin, "Working set selection using second
//! order information for training SVM", JMLR 6, 2005), as libsvm does it, without its shrinking.

use std::sync::atomic::AtomicBool;

use super::kernel::Kernel;
use crate::local::stopping::{Stopped, heed};

/// The most that one row weighs.
const C: f64 = 1.0;
/// How far two rows may violate the conditions of the optimum.
const TOLERANCE: f64 = 1e-3;
/// Instead of a curvature that is not positive.
const CURVATURE_MIN: f64 = 1e-12;
/// Rows among which a maximum is sought before its place is.
const BLOCK_ROWS: usize = 64;

/// The plane between two classes, in the kernel's space.
pub(super) struct Margin {
    /// Of each row: positive for the first class, negative for the second, 0 for most.
    pub(super) weights: Vec<f64>,
    pub(super) intercept: f64,
    /// Whether it is the widest one, by the tolerance.
    pub(super) converged: bool,
}

/// Kernel rows that were needed last, of 32-bit floats.
struct Cache<'a> {
    kernel: &'a Kernel,
    slots: Vec<Slot>,
    slots_max: usize,
    /// Each row's slot; `u32::MAX` without one.
    places: Vec<u32>,
    uses: u64,
}

struct Slot {
    row: usize,
    used: u64,
    values: Vec<f32>,
}

impl Cache<'_> {
    fn new(kernel: &Kernel, bytes: usize) -> Cache<'_> {
        Cache {
            kernel,
            slots: Vec::new(),
            // Two rows are used at a time.
            slots_max: (bytes / (size_of::<f32>() * kernel.rows())).max(2),
            places: vec![u32::MAX; kernel.rows()],
            uses: 0,
        }
    }

    /// The slot of a row, which stays there until two others were asked for.
    fn slot(&mut self, row: usize) -> usize {
        self.uses += 1;
        let mut place = self.places[row] as usize;
        if self.places[row] == u32::MAX {
            place = self.free();
            let slot = &mut self.slots[place];
            slot.row = row;
            self.kernel.row(&self.kernel.values(row), &mut slot.values);
            self.places[row] = place as u32;
        }
        self.slots[place].used = self.uses;
        place
    }

    /// A slot of its own, or the one that was not used for longest.
    fn free(&mut self) -> usize {
        if self.slots.len() < self.slots_max {
            self.slots.push(Slot {
                row: 0,
                used: 0,
                values: vec![0.0; self.kernel.rows()],
            });
            return self.slots.len() - 1;
        }
        let oldest = (0..self.slots.len()).min_by_key(|slot| self.slots[*slot].used);
        let oldest = oldest.expect("there are at least two");
        self.places[self.slots[oldest].row] = u32::MAX;
        oldest
    }
}

/// The state of the search. A row's sign `y` is 1 in the first class, -1 in the second.
struct State {
    /// `y` times the row's weight's magnitude's gradient, negated: how much the objective falls
    /// when the row's signed weight grows.
    slopes: Vec<f64>,
    /// Magnitudes of the weights, from 0 to C.
    weights: Vec<f64>,
    /// Rows of the first class; they come first.
    positive: usize,
    /// 0 where the signed weight may grow, else negative infinity.
    up: Vec<f64>,
    /// 0 where the signed weight may fall, else infinity.
    down: Vec<f64>,
}

impl State {
    fn new(rows: usize, positive: usize) -> State {
        let sign = |row| if row < positive { 1.0 } else { -1.0 };
        let mut state = State {
            slopes: (0..rows).map(sign).collect(),
            weights: vec![0.0; rows],
            positive,
            up: vec![0.0; rows],
            down: vec![0.0; rows],
        };
        for row in 0..rows {
            state.bound(row);
        }
        state
    }

    /// How far a row's signed weight may grow, and fall.
    fn rooms(&self, row: usize) -> (f64, f64) {
        let weight = self.weights[row];
        if row < self.positive {
            (C - weight, weight)
        } else {
            (weight, C - weight)
        }
    }

    fn bound(&mut self, row: usize) {
        let (up, down) = self.rooms(row);
        self.up[row] = if up > 0.0 { 0.0 } else { f64::NEG_INFINITY };
        self.down[row] = if down > 0.0 { 0.0 } else { f64::INFINITY };
    }

    /// Moves a row's signed weight; a step as long as the room ends exactly at the bound.
    fn add(&mut self, row: usize, step: f64) {
        let (up, down) = self.rooms(row);
        let magnitude = if row < self.positive { step } else { -step };
        let end = if magnitude > 0.0 { C } else { 0.0 };
        let room = if step > 0.0 { up } else { down };
        let weight = &mut self.weights[row];
        *weight = if step.abs() >= room {
            end
        } else {
            *weight + magnitude
        };
        self.bound(row);
    }
}

/// Separates the kernel's rows, of which the first `positive` are of the first class. Keeps at most
/// `cache_bytes` of kernel rows, and takes at most `steps_max` steps.
pub(super) fn fit(
    kernel: &Kernel,
    positive: usize,
    (cache_bytes, steps_max): (usize, usize),
    stop: &AtomicBool,
) -> Result<Margin, Stopped> {
    let mut cache = Cache::new(kernel, cache_bytes);
    let mut state = State::new(kernel.rows(), positive);
    let rising =
        |state: &State| greatest(state.slopes.len(), |row| state.slopes[row] + state.up[row]);
    let mut converged = true;
    let mut steps = 0;
    while let Some((rises, highest)) = rising(&state) {
        heed(stop)?;
        let up = cache.slot(rises);
        let Some(falls) = partner(&state, highest, &cache.slots[up].values) else {
            break;
        };
        if steps == steps_max {
            converged = false;
            break;
        }
        steps += 1;
        let down = cache.slot(falls);
        let (up, down) = (&cache.slots[up].values, &cache.slots[down].values);
        let curvature = curvature(up[falls]);
        let wanted = (highest - state.slopes[falls]) / curvature;
        let step = wanted.min(state.rooms(rises).0).min(state.rooms(falls).1);
        state.add(rises, step);
        state.add(falls, -step);
        for ((slope, up), down) in state.slopes.iter_mut().zip(up).zip(down) {
            *slope -= step * (f64::from(*up) - f64::from(*down));
        }
    }
    let sign = |row| if row < positive { 1.0 } else { -1.0 };
    let weights = state.weights.iter().zip(0..);
    Ok(Margin {
        weights: weights.map(|(weight, row)| sign(row) * weight).collect(),
        intercept: intercept(&state),
        converged,
    })
}

/// The squared distance of two rows in the kernel's space.
fn curvature(kernel: f32) -> f64 {
    let curvature = 2.0 - 2.0 * f64::from(kernel);
    if curvature > 0.0 {
        curvature
    } else {
        CURVATURE_MIN
    }
}

/// The row whose weight falls while the highest's grows, so that the objective falls most; `None`
/// when no two rows violate the conditions by more than the tolerance.
fn partner(state: &State, highest: f64, kernels: &[f32]) -> Option<usize> {
    let rows = state.slopes.len();
    let gap = |row: usize| highest - (state.slopes[row] + state.down[row]);
    let (_, widest) = greatest(rows, gap)?;
    if widest < TOLERANCE {
        return None;
    }
    let fall = |row: usize| {
        let gap = gap(row);
        let fall = gap * gap / curvature(kernels[row]);
        if gap > 0.0 { fall } else { f64::NEG_INFINITY }
    };
    Some(greatest(rows, fall)?.0)
}

/// The greatest value of all rows, and the last row that has it; `None` when all are negative
/// infinity. First by blocks, without a branch.
fn greatest(rows: usize, value: impl Fn(usize) -> f64) -> Option<(usize, f64)> {
    let mut found = (0, f64::NEG_INFINITY);
    let block = |start: usize| start..rows.min(start + BLOCK_ROWS);
    for start in (0..rows).step_by(BLOCK_ROWS) {
        let mut most = f64::NEG_INFINITY;
        for row in block(start) {
            let value = value(row);
            most = if value > most { value } else { most };
        }
        if most >= found.1 {
            found = (start, most);
        }
    }
    if found.1 == f64::NEG_INFINITY {
        return None;
    }
    let last = block(found.0).rev().find(|row| value(*row) == found.1);
    Some((last?, found.1))
}

/// Half way between what free rows, or else the bounds, allow.
fn intercept(state: &State) -> f64 {
    let (mut sum, mut free) = (0.0, 0_usize);
    let (mut least, mut most) = (f64::NEG_INFINITY, f64::INFINITY);
    for (row, slope) in state.slopes.iter().enumerate() {
        match (state.up[row] == 0.0, state.down[row] == 0.0) {
            (true, true) => {
                sum += slope;
                free += 1;
            }
            (true, false) => least = least.max(*slope),
            (false, _) => most = most.min(*slope),
        }
    }
    if free > 0 {
        sum / free as f64
    } else {
        (least + most) / 2.0
    }
}
