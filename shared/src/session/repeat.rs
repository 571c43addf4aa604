//! When unanswered letters go out again.

use std::time::Duration;

use crate::limits::{REPEAT_SECONDS, REPEAT_SECONDS_MAX};

/// A timer with growing intervals.
pub(super) struct Repeat {
    interval: Duration,
    due: Duration,
}

impl Repeat {
    pub(super) fn from(now: Duration) -> Self {
        let interval = Duration::from_secs(REPEAT_SECONDS);
        Repeat {
            interval,
            due: now + interval,
        }
    }

    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        if now < self.due {
            return false;
        }
        self.interval = (2 * self.interval).min(Duration::from_secs(REPEAT_SECONDS_MAX));
        self.due = now + self.interval;
        true
    }
}
