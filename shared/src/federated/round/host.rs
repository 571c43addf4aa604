//! A host's side of a round: answer what is asked, protected.

use rand::CryptoRng;

use super::{Answer, Step};
use crate::federated::secure_sum::Contributor;
use crate::federated::{Error, Output, Participant};
use crate::id::{PartyId, Round};

/// A host.
pub struct Host {
    guest: PartyId,
    /// Who adds: the arbiter, or the guest itself.
    adder: PartyId,
    contributor: Contributor,
    answer: Box<dyn Answer>,
    /// The round that was answered last.
    answered: Option<Round>,
}

impl Host {
    /// A host that answers `guest`.
    pub fn new(guest: PartyId, contributor: Contributor, answer: Box<dyn Answer>) -> Self {
        let adder = contributor.adder(guest);
        Host {
            guest,
            adder,
            contributor,
            answer,
            answered: None,
        }
    }
}

impl Participant for Host {
    fn start(&mut self, _secrets: &mut dyn CryptoRng) -> Result<Vec<Output>, Error> {
        Ok(Vec::new())
    }

    fn receive(
        &mut self,
        secrets: &mut dyn CryptoRng,
        from: PartyId,
        round: Round,
        step: &[u8],
    ) -> Result<Vec<Output>, Error> {
        let Step::Ask(question) = Step::from_bytes(from, step)? else {
            return Err(Error::Step(from, "a host is only ever asked"));
        };
        if from != self.guest {
            return Err(Error::Step(from, "only the guest asks"));
        }
        // One round, one answer: a second one under the same masks would reveal their difference.
        let again = self
            .answered
            .is_some_and(|answered| round != answered.next());
        #[cfg(test)]
        let again = again && !crate::sabotage::is_off(crate::sabotage::Mechanism::OneAnswer);
        if again {
            return Err(Error::Step(from, "rounds follow one another"));
        }
        // Over all sessions of the job: rounds are counted on.
        if u64::from(round.0) >= self.answer.rounds_max(question.batches) {
            return Err(Error::Step(from, "the job has no such round"));
        }
        let slots = self.answer.slots(&question);
        let slots = slots.ok_or(Error::Step(from, "the question has no such shape"))?;
        self.answered = Some(round);
        let values = self.answer.answer(&question)?;
        let context = self.contributor.context(round, &question, slots);
        let body = self.contributor.protect(secrets, &context, values)?;
        let step = Step::Contribution {
            context: *context.as_bytes(),
            body,
        }
        .to_bytes();
        Ok(vec![Output::Send {
            to: self.adder,
            round,
            step,
            answers: Some((&question).into()),
        }])
    }

    fn idle(&mut self, secrets: &mut dyn CryptoRng) -> Result<Option<Vec<Output>>, Error> {
        Ok(self.contributor.prepare(secrets).then(Vec::new))
    }
}
