//! Mechanisms that a test may switch off, to see that the simulation notices, and guests that do not
//! keep to the protocol. Not in any build but the tests'.

use std::cell::Cell;

thread_local! {
    static SWITCHED_OFF: Cell<Option<Mechanism>> = const { Cell::new(None) };
    static FALSE_GUEST: Cell<Option<Falsehood>> = const { Cell::new(None) };
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
    /// A party's tag is blinded by what it shares with the others.
    Blinding,
    /// Masks depend on the model that a round asks about.
    ModelInMasks,
    /// A checkpoint opens for its own job and request only.
    CheckpointContext,
    /// A party answers each round once.
    OneAnswer,
}

/// What a guest does that does not keep to the protocol. It looks at no context, and asks
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Falsehood {
    /// its last host about another model than the others.
    TwoModels,
    /// every host about a second model, in the same round.
    TwoQuestions,
}

/// Switches a mechanism off, or everything on again, for the present thread.
pub(crate) fn switch_off(mechanism: Option<Mechanism>) {
    SWITCHED_OFF.set(mechanism);
}

/// Whether the present thread's test switched a mechanism off.
pub(crate) fn is_off(mechanism: Mechanism) -> bool {
    SWITCHED_OFF.get() == Some(mechanism)
}

/// Makes every guest of the present thread false, or honest again.
pub(crate) fn play_false(falsehood: Option<Falsehood>) {
    FALSE_GUEST.set(falsehood);
}

/// How the present thread's guests are false.
pub(crate) fn falsehood() -> Option<Falsehood> {
    FALSE_GUEST.get()
}
