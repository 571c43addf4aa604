//! Which contributions parties computed, and for what, for a simulation to look at. Not in any build
//! but the tests'.

use std::cell::RefCell;
use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

thread_local! {
    static WATCHED: RefCell<Watched> = const { RefCell::new(Watched::new()) };
}

/// The place in a job that a contribution is for, and what it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The round.
    pub(crate) round: u32,
    /// Which question of the algorithm.
    pub(crate) kind: u8,
    /// The mini-batch.
    pub(crate) batch: u32,
    /// Hash of every number that the answer depends on.
    pub(crate) model: [u8; 32],
}

/// A contribution that was made.
#[derive(Clone, Copy)]
pub(crate) struct Answered {
    /// For what.
    pub(crate) asked: Asked,
    /// Under which masks.
    pub(crate) context: [u8; 32],
    /// Hash of its plaintext.
    pub(crate) values: [u8; 32],
}

struct Watched {
    asked: BTreeMap<[u8; 32], Asked>,
    answered: Vec<Answered>,
}

impl Watched {
    const fn new() -> Watched {
        Watched {
            asked: BTreeMap::new(),
            answered: Vec::new(),
        }
    }
}

/// Hash of the numbers of a question.
pub(crate) fn model(batches: u32, numbers: &[f64]) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(batches.to_be_bytes());
    numbers
        .iter()
        .for_each(|number| hash.update(number.to_be_bytes()));
    hash.finalize().into()
}

/// A context was derived for a question.
pub(crate) fn asked(context: [u8; 32], asked: Asked) {
    WATCHED.with_borrow_mut(|watched| watched.asked.insert(context, asked));
}

/// A contribution is made under a context.
pub(crate) fn answered(context: [u8; 32], values: &[i128]) {
    let mut hash = Sha256::new();
    values
        .iter()
        .for_each(|value| hash.update(value.to_be_bytes()));
    let values = hash.finalize().into();
    WATCHED.with_borrow_mut(|watched| {
        if let Some(&asked) = watched.asked.get(&context) {
            watched.answered.push(Answered {
                asked,
                context,
                values,
            });
        }
    });
}

/// The contributions that the present thread made since it was asked last.
pub(crate) fn drain() -> Vec<Answered> {
    WATCHED.with_borrow_mut(|watched| std::mem::take(&mut watched.answered))
}

/// Forgets everything.
pub(crate) fn reset() {
    WATCHED.set(Watched::new());
}
