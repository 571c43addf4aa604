//! The line search of Moré and Thuente ("Line search algorithms with guaranteed sufficient
//! decrease", ACM Transactions on Mathematical Software 20, 1994), as MINPACK-2's `dcsrch` and
//! `dcstep` do it.

/// Share of the first slope by which the function must fall.
const DECREASE: f64 = 1e-3;
/// Share of the first slope that the slope must come below.
const CURVATURE: f64 = 0.9;
/// Relative width of the interval at which it is narrow enough.
const WIDTH_MIN: f64 = 0.1;
/// The longest step.
pub(super) const LENGTH_MAX: f64 = 1e10;

/// A step, and the function and its slope there.
#[derive(Clone, Copy)]
struct Trial {
    length: f64,
    value: f64,
    slope: f64,
}

impl Trial {
    /// The same of the function less its line of sufficient decrease.
    fn less(self, slope: f64) -> Trial {
        Trial {
            value: self.value - self.length * slope,
            slope: self.slope - slope,
            ..self
        }
    }
}

/// A search along one direction.
pub(super) struct Search {
    start: Trial,
    /// The best step so far, one end of the interval.
    best: Trial,
    /// The other end.
    other: Trial,
    /// Whether a minimum lies between the two.
    bracketed: bool,
    /// Whether the function has not yet been below its line and rising.
    first_stage: bool,
    length: f64,
    bounds: (f64, f64),
    width: f64,
    width_before: f64,
}

impl Search {
    /// Starts at a value with a negative slope; the first trial is `length`.
    pub(super) fn new(value: f64, slope: f64, length: f64) -> Search {
        let start = Trial {
            length: 0.0,
            value,
            slope,
        };
        Search {
            start,
            best: start,
            other: start,
            bracketed: false,
            first_stage: true,
            length,
            bounds: (0.0, 5.0 * length),
            width: LENGTH_MAX,
            width_before: 2.0 * LENGTH_MAX,
        }
    }

    /// The step to try.
    pub(super) fn length(&self) -> f64 {
        self.length
    }

    fn narrow(&self) -> bool {
        let (low, high) = self.bounds;
        self.bracketed
            && (self.length <= low || self.length >= high || high - low <= WIDTH_MIN * high)
    }

    /// Takes the function's value and slope at that step; true when the step is good, or nothing
    /// better can be found.
    pub(super) fn tell(&mut self, value: f64, slope: f64) -> bool {
        let trial = Trial {
            length: self.length,
            value,
            slope,
        };
        let line = DECREASE * self.start.slope;
        let enough = self.start.value + trial.length * line;
        if value <= enough && slope >= 0.0 {
            self.first_stage = false;
        }
        let good = value <= enough && slope.abs() <= CURVATURE * -self.start.slope;
        let longest = trial.length == LENGTH_MAX && value <= enough && slope <= line;
        let shortest = trial.length == 0.0 && (value > enough || slope >= line);
        if good || longest || shortest || self.narrow() {
            return true;
        }
        if self.first_stage && value <= self.best.value && value > enough {
            let ends = (self.best.less(line), self.other.less(line));
            let (best, other) = self.step(ends, trial.less(line));
            (self.best, self.other) = (best.less(-line), other.less(-line));
        } else {
            (self.best, self.other) = self.step((self.best, self.other), trial);
        }
        self.bound();
        false
    }

    /// The interval in which the next step must lie.
    fn bound(&mut self) {
        let (best, other) = (self.best.length, self.other.length);
        if self.bracketed {
            if (other - best).abs() >= 0.66 * self.width_before {
                self.length = best + 0.5 * (other - best);
            }
            (self.width_before, self.width) = (self.width, (other - best).abs());
            self.bounds = (best.min(other), best.max(other));
        } else {
            let (from, to) = (best, self.length);
            self.bounds = (to + 1.1 * (to - from), to + 4.0 * (to - from));
        }
        self.length = self.length.clamp(0.0, LENGTH_MAX);
        if self.narrow() {
            self.length = best;
        }
    }

    /// Takes a trial into the interval (its new ends are returned) and chooses the next step from
    /// the cubic and the quadratic through what is known.
    fn step(&mut self, ends: (Trial, Trial), trial: Trial) -> (Trial, Trial) {
        let (best, other) = ends;
        let opposite = trial.slope * (best.slope / best.slope.abs()) < 0.0;
        let mut next = if trial.value > best.value {
            self.bracketed = true;
            let (cubic, quadratic) = (higher(best, trial), by_value(best, trial));
            let near = (cubic - best.length).abs() < (quadratic - best.length).abs();
            if near {
                cubic
            } else {
                cubic + (quadratic - cubic) / 2.0
            }
        } else if opposite {
            self.bracketed = true;
            let (cubic, secant) = (lower(best, trial), secant(best, trial));
            let far = (cubic - trial.length).abs() > (secant - trial.length).abs();
            if far { cubic } else { secant }
        } else if trial.slope.abs() < best.slope.abs() {
            self.flatter(best, other, trial)
        } else if self.bracketed {
            lower(other, trial)
        } else if trial.length > best.length {
            self.bounds.1
        } else {
            self.bounds.0
        };
        let ends = if trial.value > best.value {
            (best, trial)
        } else {
            (trial, if opposite { best } else { other })
        };
        if next.is_nan() {
            next = self.bounds.0;
        }
        self.length = next;
        ends
    }

    /// The next step after one that is lower, with a slope of the same sign and flatter.
    fn flatter(&self, best: Trial, other: Trial, trial: Trial) -> f64 {
        let (low, high) = self.bounds;
        let end = if trial.length > best.length {
            high
        } else {
            low
        };
        let cubic = extrapolated(best, trial).unwrap_or(end);
        let secant = secant(best, trial);
        let nearer = (cubic - trial.length).abs() < (secant - trial.length).abs();
        if !self.bracketed {
            let next = if nearer { secant } else { cubic };
            return next.min(high).max(low);
        }
        let next = if nearer { cubic } else { secant };
        let limit = trial.length + 0.66 * (other.length - trial.length);
        if trial.length > best.length {
            next.min(limit)
        } else {
            next.max(limit)
        }
    }
}

/// Of the cubic through two trials: its coefficient `theta`, and the scale of its terms.
fn cubic(one: Trial, two: Trial) -> (f64, f64) {
    let theta = 3.0 * (one.value - two.value) / (two.length - one.length) + one.slope + two.slope;
    (theta, theta.abs().max(one.slope.abs()).max(two.slope.abs()))
}

fn root(theta: f64, scale: f64, one: Trial, two: Trial) -> f64 {
    let square = (theta / scale).powi(2) - (one.slope / scale) * (two.slope / scale);
    scale * square.max(0.0).sqrt()
}

/// The cubic's minimum when the trial is higher than the best.
fn higher(best: Trial, trial: Trial) -> f64 {
    let (theta, scale) = cubic(best, trial);
    let gamma = root(theta, scale, best, trial);
    let gamma = if trial.length < best.length {
        -gamma
    } else {
        gamma
    };
    let share = (gamma - best.slope + theta) / (gamma - best.slope + gamma + trial.slope);
    best.length + share * (trial.length - best.length)
}

/// The cubic's minimum when the slopes at the two have opposite signs.
fn lower(best: Trial, trial: Trial) -> f64 {
    let (theta, scale) = cubic(best, trial);
    let gamma = root(theta, scale, best, trial);
    let gamma = if trial.length > best.length {
        -gamma
    } else {
        gamma
    };
    let share = (gamma - trial.slope + theta) / (gamma - trial.slope + gamma + best.slope);
    trial.length + share * (best.length - trial.length)
}

/// The cubic's minimum beyond the trial; `None` when it is not there.
fn extrapolated(best: Trial, trial: Trial) -> Option<f64> {
    let (theta, scale) = cubic(best, trial);
    let gamma = root(theta, scale, best, trial);
    let gamma = if trial.length > best.length {
        -gamma
    } else {
        gamma
    };
    let share = (gamma - trial.slope + theta) / (gamma + (best.slope - trial.slope) + gamma);
    let beyond = share < 0.0 && gamma != 0.0;
    beyond.then_some(trial.length + share * (best.length - trial.length))
}

/// The minimum of the quadratic through both values and the best's slope.
fn by_value(best: Trial, trial: Trial) -> f64 {
    let length = trial.length - best.length;
    let drop = (best.value - trial.value) / length + best.slope;
    best.length + best.slope / drop / 2.0 * length
}

/// Where the line through both slopes is 0.
fn secant(best: Trial, trial: Trial) -> f64 {
    let share = trial.slope / (trial.slope - best.slope);
    trial.length + share * (best.length - trial.length)
}
