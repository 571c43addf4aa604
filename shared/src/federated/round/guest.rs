//! The guest's side of a round: ask the hosts, contribute like one of them, open the sum.

use std::collections::BTreeMap;

use rand::CryptoRng;

use super::{Answer, Guide, Question, Step};
use crate::federated::secure_sum::{Contributor, Opener};
use crate::federated::{Error, Output, Participant};
use crate::id::{PartyId, Round};
use crate::limits::ROUNDS_MAX;
use crate::mask::RoundContext;
use crate::message::Progress;

/// The guest.
pub struct Guest {
    me: PartyId,
    hosts: Vec<PartyId>,
    adder: PartyId,
    contributor: Contributor,
    opener: Opener,
    guide: Box<dyn Guide>,
    answer: Box<dyn Answer>,
    present: Option<Present>,
    /// Bytes of contributions per party, in this attempt: they are equally long at every party.
    bytes: u64,
}

/// The round under way.
struct Present {
    round: Round,
    question: Question,
    slots: usize,
    context: RoundContext,
    /// Whether the guest's own part is still to be made: the hosts are asked first.
    owes: bool,
    /// Contributions that the guest adds itself.
    contributions: BTreeMap<PartyId, Vec<u8>>,
}

impl Guest {
    /// A guest that starts, or goes on, where its guide stands.
    pub fn new(
        me: PartyId,
        hosts: Vec<PartyId>,
        contributor: Contributor,
        opener: Opener,
        guide: Box<dyn Guide>,
        answer: Box<dyn Answer>,
    ) -> Self {
        let adder = contributor.adder(me);
        Guest {
            me,
            hosts,
            adder,
            contributor,
            opener,
            guide,
            answer,
            present: None,
            bytes: 0,
        }
    }

    /// Asks the next question, or ends.
    fn ask(&mut self) -> Result<Vec<Output>, Error> {
        let progress = self.progress();
        let Some(question) = self.guide.question() else {
            self.present = None;
            let model = Box::new(self.guide.model());
            return Ok(vec![Output::Finished { progress, model }]);
        };
        let round = progress.round;
        if u64::from(round.0) >= ROUNDS_MAX {
            return Err(Error::TooManyRounds(u64::from(round.0) + 1));
        }
        let slots = self.answer.slots(&question);
        let slots = slots.ok_or(Error::Step(self.me, "the question has no such shape"))?;
        let context = self.contributor.context(round, &question, slots);
        let step = Step::Ask(question.clone()).to_bytes();
        let contributions = BTreeMap::new();
        self.present = Some(Present {
            round,
            question,
            slots,
            context,
            owes: true,
            contributions,
        });
        let ask = |&to| Output::Send {
            to,
            round,
            step: step.clone(),
            answers: None,
        };
        let asks: Vec<Output> = self.hosts.iter().map(ask).collect();
        #[cfg(test)]
        let asks = self.ask_falsely(asks);
        Ok(asks)
    }

    /// What a guest asks that does not keep to the protocol, where a test wants one.
    #[cfg(test)]
    fn ask_falsely(&self, mut asks: Vec<Output>) -> Vec<Output> {
        use crate::sabotage::{Falsehood, falsehood};
        let Some((present, falsehood)) = self.present.as_ref().zip(falsehood()) else {
            return asks;
        };
        let mut other = present.question.clone();
        let Some(number) = other.numbers.first_mut() else {
            return asks;
        };
        *number += 0.5;
        let other = Step::Ask(other).to_bytes();
        match falsehood {
            Falsehood::TwoModels => {
                if let Some(Output::Send { step, .. }) = asks.last_mut() {
                    *step = other;
                }
            }
            Falsehood::TwoQuestions => asks.extend(self.hosts.iter().map(|&to| Output::Send {
                to,
                round: present.round,
                step: other.clone(),
                answers: None,
            })),
        }
        asks
    }

    /// Where training stands, with what this attempt sent.
    fn progress(&self) -> Progress {
        let mut progress = self.guide.progress();
        progress.bytes = self
            .hosts
            .iter()
            .chain([&self.me])
            .map(|&p| (p, self.bytes))
            .collect();
        progress
    }

    /// Opens the sum, takes it in, and asks on.
    fn close(&mut self, body: &[u8]) -> Result<Vec<Output>, Error> {
        let Some(present) = self.present.take() else {
            return Ok(Vec::new());
        };
        let sums = self.opener.open(
            self.contributor.tag_key(),
            &present.context,
            present.slots,
            body,
        );
        let sums = sums.map_err(|_| Error::Integrity(present.round))?;
        self.guide.absorb(&sums)?;
        let checkpoint = self.guide.checkpoint();
        let progress = self.progress();
        let mut outputs = vec![Output::RoundFinished {
            progress,
            checkpoint,
        }];
        outputs.extend(self.ask()?);
        Ok(outputs)
    }

    /// Adds what the guest adds itself, once everything is there.
    fn close_if_complete(&mut self) -> Result<Vec<Output>, Error> {
        let everyone = self.hosts.len() + 1;
        match &mut self.present {
            Some(present) if present.contributions.len() == everyone => {
                let contributions = std::mem::take(&mut present.contributions);
                let sum = Opener::add(contributions.values().map(Vec::as_slice), present.slots);
                let sum = sum.map_err(|_| Error::Integrity(present.round))?;
                self.close(&sum)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Makes the guest's own contribution to the present round.
    fn contribute(&mut self, secrets: &mut dyn CryptoRng) -> Result<Vec<Output>, Error> {
        let Some(present) = &mut self.present else {
            return Ok(Vec::new());
        };
        present.owes = false;
        let values = self.answer.answer(&present.question)?;
        let body = self
            .contributor
            .protect(secrets, &present.context, values)?;
        self.bytes += body.len() as u64;
        if self.adder == self.me {
            present.contributions.insert(self.me, body);
            return self.close_if_complete();
        }
        let (to, round) = (self.adder, present.round);
        let step = Step::Contribution {
            context: *present.context.as_bytes(),
            body,
        }
        .to_bytes();
        let answers = Some((&present.question).into());
        Ok(vec![Output::Send {
            to,
            round,
            step,
            answers,
        }])
    }
}

impl Participant for Guest {
    fn start(&mut self, _secrets: &mut dyn CryptoRng) -> Result<Vec<Output>, Error> {
        self.ask()
    }

    fn receive(
        &mut self,
        _secrets: &mut dyn CryptoRng,
        from: PartyId,
        round: Round,
        step: &[u8],
    ) -> Result<Vec<Output>, Error> {
        let step = Step::from_bytes(from, step)?;
        let Some(present) = self
            .present
            .as_mut()
            .filter(|present| present.round == round)
        else {
            return Ok(Vec::new());
        };
        let expected = *present.context.as_bytes();
        #[cfg(test)]
        let step = falsely_expected(step, expected);
        match step {
            Step::Sum { context, body } if from == self.adder && context == expected => {
                self.close(&body)
            }
            Step::Contribution { context, body }
                if self.adder == self.me && self.hosts.contains(&from) && context == expected =>
            {
                present.contributions.insert(from, body);
                self.close_if_complete()
            }
            Step::Ask(_) | Step::Sum { .. } | Step::Contribution { .. } => Err(Error::Step(
                from,
                "it is no answer to this round's question",
            )),
        }
    }

    fn idle(&mut self, secrets: &mut dyn CryptoRng) -> Result<Option<Vec<Output>>, Error> {
        if self.present.as_ref().is_some_and(|present| present.owes) {
            return self.contribute(secrets).map(Some);
        }
        Ok(self.contributor.prepare(secrets).then(Vec::new))
    }
}

/// The contribution as one to this round's question, where a test's guest looks at no context.
#[cfg(test)]
fn falsely_expected(step: Step, expected: [u8; 32]) -> Step {
    match step {
        Step::Contribution { body, .. } if crate::sabotage::falsehood().is_some() => {
            Step::Contribution {
                context: expected,
                body,
            }
        }
        step => step,
    }
}
