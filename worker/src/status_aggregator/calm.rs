//! When silence means death.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What must hold of this process before silence means death: everything said was heard, for a
/// whole lease.
pub(super) struct Calm {
    /// Whether no event waits.
    pub(super) events: AtomicBool,
    /// Whether no beat waits.
    pub(super) beats: AtomicBool,
    /// When this process began, or last found the store or a queue away.
    since: Mutex<Instant>,
}

impl Calm {
    pub(super) fn new() -> Calm {
        Calm {
            events: AtomicBool::new(false),
            beats: AtomicBool::new(false),
            since: Mutex::new(Instant::now()),
        }
    }

    pub(super) fn disturb(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn lasts(&self, lease: Duration) -> bool {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        self.events.load(Ordering::Relaxed)
            && self.beats.load(Ordering::Relaxed)
            && since.elapsed() >= lease
    }
}
