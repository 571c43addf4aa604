//! Mechanisms that a test may switch off, to see that the simulation notices. Not in any build but
//! the tests'.

use std::cell::Cell;

thread_local! {
    static SWITCHED_OFF: Cell<Option<Mechanism>> = const { Cell::new(None) };
}

/// What can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    /// Words of another (attempt, session) change nothing.
    Fence,
    /// Whoever gets a repeat repeats what it sent last.
    Repeat,
    /// A guest gives up a round that nobody answers.
    Silence,
}

/// Switches a mechanism off, or everything on again, for the present thread.
pub(crate) fn switch_off(mechanism: Option<Mechanism>) {
    SWITCHED_OFF.set(mechanism);
}

/// Whether the present thread's test switched a mechanism off.
pub(crate) fn is_off(mechanism: Mechanism) -> bool {
    SWITCHED_OFF.get() == Some(mechanism)
}
