//! Who may speak for a party.
//!
//! A broker cannot be told that a user may send to one queue and not to another, but it vouches for
//! who sent a message. By convention the user of party 2 is `party-2`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use shared::id::{JobId, PartyId};
use shared::limits::GUESTS_REMEMBERED_MAX;
use shared::message::user;
use shared::store::{self, Store};

/// Who stands for what parties say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vouching {
    /// Nobody has to: all parties are in this process, or share one user at the broker.
    Nobody,
    /// The broker: only the user `party-N` speaks for party N.
    Broker,
}

/// Whether a message of `user` may speak for `party`. A party's user speaks for no other in any case.
pub(super) fn vouched(vouching: Vouching, user: Option<&str>, party: PartyId) -> bool {
    match user.and_then(|name| name.strip_prefix(user::PARTIES)) {
        Some(of) => of == party.to_string(),
        None => vouching == Vouching::Nobody,
    }
}

/// Which party leads each job; that never changes.
#[derive(Default)]
pub(super) struct Guests(Mutex<HashMap<JobId, PartyId>>);

impl Guests {
    /// The job's guest; `None` when there is no such job.
    pub(super) async fn of(
        &self,
        store: &Store,
        job: JobId,
    ) -> Result<Option<PartyId>, store::Error> {
        let known = self.lock().get(&job).copied();
        if known.is_some() {
            return Ok(known);
        }
        let found = store.guest(job).await?;
        if let Some(guest) = found {
            let mut all = self.lock();
            if all.len() >= GUESTS_REMEMBERED_MAX {
                all.clear();
            }
            all.insert(job, guest);
        }
        Ok(found)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, PartyId>> {
        // Whole after any panic: single looks, inserts and clears only.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_party_s_user_speaks_for_it_and_where_the_broker_vouches_nobody_else_does() {
        for (user, unvouched, by_broker) in [
            (Some("party-2"), true, true),
            (Some("party-3"), false, false),
            (Some("party-02"), false, false),
            (Some("party-"), false, false),
            (Some("concord"), true, false),
            (None, true, false),
        ] {
            let may = |vouching| vouched(vouching, user, PartyId(2));
            assert_eq!(may(Vouching::Nobody), unvouched, "{user:?}");
            assert_eq!(may(Vouching::Broker), by_broker, "{user:?}");
        }
    }
}
