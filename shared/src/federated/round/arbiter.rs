//! The arbiter's side of a round: multiply ciphertexts once every party's is there. It holds no
//! Paillier key, sees no question, and cannot tell one round's context from another's.

use std::collections::BTreeMap;

use rand::CryptoRng;

use super::Step;
use crate::federated::{Error, Output, Participant};
use crate::id::{PartyId, Round};
use crate::paillier::{Ciphertext, PublicKey};

/// The arbiter.
pub struct Arbiter {
    guest: PartyId,
    /// Every data party.
    parties: Vec<PartyId>,
    key: PublicKey,
    round: Option<Round>,
    context: [u8; 32],
    /// By party: the product's order, and a repeat replaces and never adds.
    contributions: BTreeMap<PartyId, Vec<Ciphertext>>,
}

impl Arbiter {
    /// An arbiter that adds for `guest` under its public key.
    pub fn new(guest: PartyId, parties: Vec<PartyId>, key: PublicKey) -> Self {
        let contributions = BTreeMap::new();
        Arbiter {
            guest,
            parties,
            key,
            round: None,
            context: [0; 32],
            contributions,
        }
    }

    fn enter(&mut self, from: PartyId, round: Round, context: [u8; 32]) -> Result<(), Error> {
        match self.round {
            Some(present) if round == present => {
                if context != self.context {
                    return Err(Error::Step(from, "parties were asked different questions"));
                }
            }
            Some(present) if round != present.next() => {
                return Err(Error::Step(from, "rounds follow one another"));
            }
            Some(_) if self.contributions.len() != self.parties.len() => {
                return Err(Error::Step(from, "the present round is not over"));
            }
            Some(_) | None => {
                self.round = Some(round);
                self.context = context;
                self.contributions.clear();
            }
        }
        Ok(())
    }
}

impl Participant for Arbiter {
    fn start(&mut self, _secrets: &mut dyn CryptoRng) -> Result<Vec<Output>, Error> {
        Ok(Vec::new())
    }

    fn receive(
        &mut self,
        _secrets: &mut dyn CryptoRng,
        from: PartyId,
        round: Round,
        step: &[u8],
    ) -> Result<Vec<Output>, Error> {
        let Step::Contribution { context, body } = Step::from_bytes(from, step)? else {
            return Err(Error::Step(from, "the arbiter only takes contributions"));
        };
        if !self.parties.contains(&from) {
            return Err(Error::Step(from, "only data parties contribute"));
        }
        self.enter(from, round, context)?;
        let count = body.len() / self.key.ciphertext_bytes();
        let ciphertexts = self.key.parse(&body, count);
        let ciphertexts =
            ciphertexts.map_err(|_| Error::Step(from, "a ciphertext is malformed"))?;
        self.contributions.insert(from, ciphertexts);
        if self.contributions.len() < self.parties.len() {
            return Ok(Vec::new());
        }

        let addends: Vec<&[Ciphertext]> = self.contributions.values().map(Vec::as_slice).collect();
        let sum = self.key.sum(&addends);
        let sum = sum.map_err(|_| Error::Step(from, "contributions differ in length"))?;
        let body = sum
            .iter()
            .flat_map(|ciphertext| ciphertext.to_bytes(&self.key))
            .collect();
        let step = Step::Sum { context, body }.to_bytes();
        Ok(vec![Output::Send {
            to: self.guest,
            round,
            step,
            answers: None,
        }])
    }

    fn idle(&mut self, _secrets: &mut dyn CryptoRng) -> Result<Option<Vec<Output>>, Error> {
        Ok(None)
    }
}
