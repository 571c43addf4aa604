//! The end of work that nobody waits for any more: whoever may take long looks at a flag in its
//! loops.

use std::sync::atomic::{AtomicBool, Ordering};

/// Somebody asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it was asked to stop")]
pub struct Stopped;

/// Whether to go on: `Err` once the flag is set. As cheap as a read, so that a loop may ask in each
/// of its turns.
pub(super) fn heed(stop: &AtomicBool) -> Result<(), Stopped> {
    // The flag orders nothing else.
    if stop.load(Ordering::Relaxed) {
        Err(Stopped)
    } else {
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The flag of tests that run to their end.
    pub(in crate::local) static NEVER: AtomicBool = AtomicBool::new(false);
    /// The flag of tests that are stopped at once.
    pub(in crate::local) static NOW: AtomicBool = AtomicBool::new(true);

    #[test]
    fn work_goes_on_until_it_is_asked_to_stop() {
        assert_eq!(heed(&NEVER), Ok(()));
        assert_eq!(heed(&NOW), Err(Stopped));
    }
}
