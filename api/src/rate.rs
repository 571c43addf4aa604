//! How often somebody may ask: so many times at once, then one time per interval.
//!
//! In bounded memory without any bookkeeping: callers are hashed, with a key that nobody knows, to
//! a fixed number of places. Two that meet in one place share its rate, which is rare among the
//! few callers of a federation.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicI64, Ordering};

use shared::limits::RATE_PLACES;

/// A rate, counted for everybody by themselves.
pub(crate) struct Rate {
    burst: i64,
    interval: i64,
    hasher: RandomState,
    /// When what was asked is worked off, in Unix milliseconds (the generic cell rate algorithm of
    /// ITU-T I.371, as a virtual schedule).
    places: Box<[AtomicI64]>,
}

impl Rate {
    /// `burst` times at once, then one time per `interval` milliseconds.
    pub(crate) fn new(burst: i64, interval: i64) -> Rate {
        Rate {
            burst,
            interval,
            hasher: RandomState::new(),
            places: (0..RATE_PLACES).map(|_| AtomicI64::new(0)).collect(),
        }
    }

    /// Asks once, at `now` in Unix milliseconds.
    ///
    /// # Errors
    /// Seconds after which it may ask again.
    pub(crate) fn ask(&self, who: impl Hash, now: i64) -> Result<(), u64> {
        let place = self.hasher.hash_one(who) % self.places.len() as u64;
        let place = &self.places[place as usize];
        let full = self.burst * self.interval;
        // Worked off long ago; or the clock went back, and what was counted means nothing.
        let stale = |done: i64| !(0..=full).contains(&(done - now));
        let next = |done: i64| self.interval + if stale(done) { now } else { done };
        let asked = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |done| {
            Some(next(done)).filter(|done| *done - now <= full)
        });
        asked.map(drop).map_err(|done| {
            let milliseconds = next(done) - now - full;
            (milliseconds.unsigned_abs()).div_ceil(1000).max(1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    #[test]
    fn a_burst_is_followed_by_one_per_interval() {
        let rate = Rate::new(3, 2000);
        let ask = |at: i64| rate.ask("somebody", NOW + at);
        assert_eq!([ask(0), ask(0), ask(0)], [Ok(()); 3]);
        assert_eq!([ask(0), ask(500), ask(1999)], [Err(2), Err(2), Err(1)]);
        assert_eq!([ask(2000), ask(2000)], [Ok(()), Err(2)]);
        assert_eq!([ask(60_000), ask(60_000), ask(60_000)], [Ok(()); 3]);
        assert_eq!(ask(60_000), Err(2), "no more than a burst is saved up");
    }

    #[test]
    fn everybody_has_a_rate_of_their_own() {
        let rate = Rate::new(1, 1000);
        let taken = (0..100).filter(|who| rate.ask(who, NOW).is_ok()).count();
        // Some may meet in a place: of 100 in 8192, 0.6 on average.
        assert!(taken > 90, "{taken}");
        assert_eq!((0..100).filter(|who| rate.ask(who, NOW).is_ok()).count(), 0);
    }

    #[test]
    fn a_clock_that_goes_back_keeps_nobody_out_for_long() {
        let rate = Rate::new(2, 1000);
        let ask = |at: i64| rate.ask("somebody", at);
        assert_eq!([ask(NOW), ask(NOW), ask(NOW)], [Ok(()), Ok(()), Err(1)]);
        assert_eq!([ask(0), ask(0), ask(0)], [Ok(()), Ok(()), Err(1)]);
        assert_eq!([ask(1000), ask(1000)], [Ok(()), Err(1)]);
    }
}
