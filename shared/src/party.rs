//! Who plays what in a job.

use serde::{Deserialize, Serialize};

use crate::id::PartyId;

/// What a party plays in one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Has data, asked for the job, makes its Paillier key, drives the rounds.
    Guest,
    /// Has data.
    Host,
    /// Multiplies ciphertexts; has neither data nor a Paillier key.
    Arbiter,
}

/// The data parties of one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parties {
    /// The requesting party.
    pub guest: PartyId,
    /// Everybody else with data, in the order of the request; never empty, no repeats.
    pub hosts: Vec<PartyId>,
}

impl Parties {
    /// Every party with data, ascending: the order of all sums, hashes and lists.
    pub fn ascending(&self) -> Vec<PartyId> {
        let mut all = self.hosts.clone();
        all.push(self.guest);
        all.sort_unstable();
        all
    }

    /// The role of a party, if it has one.
    pub fn role(&self, party: PartyId) -> Option<Role> {
        if party == self.guest {
            Some(Role::Guest)
        } else if self.hosts.contains(&party) {
            Some(Role::Host)
        } else if party == PartyId::ARBITER {
            Some(Role::Arbiter)
        } else {
            None
        }
    }
}
