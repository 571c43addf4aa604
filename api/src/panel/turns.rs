//! Whose files come in at once: each takes a connection, a share of the disk's pace and up to ten
//! minutes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use shared::limits::{UPLOAD_RETRY_SECONDS, UPLOADS_AT_ONCE_MAX, UPLOADS_PER_ACCOUNT_MAX};
use shared::store::Email;

use crate::answer::Error;

/// The uploads of this process.
#[derive(Default)]
pub(crate) struct Turns {
    taken: Mutex<Vec<Email>>,
}

/// One upload's turn, which is over when this goes.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    whose: Email,
}

impl Turns {
    /// A turn for an account.
    ///
    /// # Errors
    /// [`Error::Busy`] while the account, or all of them together, have as many as they may.
    pub(crate) fn take(&self, whose: &Email) -> Result<Turn<'_>, Error> {
        let mut taken = self.taken();
        let own = taken.iter().filter(|other| *other == whose).count();
        if own >= UPLOADS_PER_ACCOUNT_MAX || taken.len() >= UPLOADS_AT_ONCE_MAX {
            return Err(Error::Busy(UPLOAD_RETRY_SECONDS));
        }
        taken.push(whose.clone());
        Ok(Turn {
            turns: self,
            whose: whose.clone(),
        })
    }

    /// A list of addresses is whole whatever panicked beside it.
    fn taken(&self) -> MutexGuard<'_, Vec<Email>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self.turns.taken();
        if let Some(place) = taken.iter().position(|own| *own == self.whose) {
            taken.swap_remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_one_turn_and_all_together_have_a_few() {
        let turns = Turns::default();
        let take = |who: usize| {
            let email = Email::parse(&format!("a{who}@b.cn")).expect("an address");
            turns.take(&email)
        };
        let mut all: Vec<Turn> = (0..UPLOADS_AT_ONCE_MAX - 1)
            .map(|who| take(who).expect("there is room"))
            .collect();
        assert!(matches!(take(0), Err(Error::Busy(UPLOAD_RETRY_SECONDS))));
        all.push(take(100).expect("there is room"));
        assert!(matches!(take(101), Err(Error::Busy(_))));
        drop(all.remove(0));
        all.push(take(0).expect("it is free again"));
        assert!(matches!(take(101), Err(Error::Busy(_))));
        all.clear();
        assert!(turns.taken().is_empty());
    }
}
