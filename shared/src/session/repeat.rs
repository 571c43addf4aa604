//! When unanswered letters go out again.

use std::time::Duration;

use crate::limits::{OFFER_REPEAT_SECONDS_MAX, REPEAT_SECONDS, REPEAT_SECONDS_MAX};

/// A timer with growing intervals.
pub(super) struct Repeat {
    interval: Duration,
    interval_max: Duration,
    due: Duration,
}

impl Repeat {
    /// For what is answered at once, or lost.
    pub(super) fn from(now: Duration) -> Self {
        Self::up_to(REPEAT_SECONDS_MAX, now)
    }

    /// For offers, which wait for parties that are away.
    pub(super) fn of_offers(now: Duration) -> Self {
        Self::up_to(OFFER_REPEAT_SECONDS_MAX, now)
    }

    fn up_to(seconds_max: u64, now: Duration) -> Self {
        let interval = Duration::from_secs(REPEAT_SECONDS);
        let interval_max = Duration::from_secs(seconds_max);
        Repeat {
            interval,
            interval_max,
            due: now + interval,
        }
    }

    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        if now < self.due {
            return false;
        }
        self.interval = (2 * self.interval).min(self.interval_max);
        self.due = now + self.interval;
        true
    }
}
