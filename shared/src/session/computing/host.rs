//! The other two workers' sessions: invited by an offer, gone when the guest leaves or falls silent.

use std::time::Duration;

use rand::CryptoRng;

use super::{Inputs, Place, vet};
use crate::id::{PartyId, Round};
use crate::job::{Reason, ReasonCode};
use crate::limits::SESSION_IDLE_SECONDS_MAX;
use crate::message;
use crate::session::correspondence::{Kind, Received};
use crate::session::offered::Offered;
use crate::session::repeat::Repeat;
use crate::session::setup::{Accept, Begin, Join};
use crate::session::{Effect, Input, because};

/// An invited worker's side of one session.
pub struct Host {
    place: Place,
    guest: Join,
    /// The last word to the guest that is no step, if it waits for one.
    answers: Vec<Effect>,
    repeat: Repeat,
    /// When the guest was heard last.
    heard: Duration,
}

impl Host {
    /// Takes a seat: opens this party's parts of the inputs.
    ///
    /// # Errors
    /// A refusal to send when the party can't take part.
    pub(in crate::session) fn join(
        secrets: &mut dyn CryptoRng,
        now: Duration,
        offered: Offered,
    ) -> Result<(Host, Vec<Effect>), Option<Effect>> {
        let seat = &offered.letters.seat;
        let opened = vet(
            seat,
            &offered.letters.fence,
            offered.from,
            &offered.offer.spec,
        )
        .and_then(|spec| Inputs::open(seat, &spec, &offered.offer.inputs).map(|i| (spec, i)));
        let (spec, inputs) = match opened {
            Ok(opened) => opened,
            Err(reason) => return Err(offered.refuse(secrets, &reason)),
        };
        let Offered {
            letters,
            offer,
            spec_hash,
            ..
        } = offered;
        let mut host = Host {
            place: Place::new(secrets, letters, spec, spec_hash, inputs),
            guest: offer.guest,
            answers: Vec::new(),
            repeat: Repeat::from(now),
            heard: now,
        };
        let accept = Accept {
            join: host.place.own.clone(),
            rows: None,
        };
        let effects = host.answer(secrets, Kind::Accept, &accept);
        Ok((host, effects))
    }

    pub(in crate::session) fn handle(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
        input: Input,
    ) -> Vec<Effect> {
        let handled = match input {
            Input::Envelope(envelope) => match self.place.letters.read(&envelope) {
                Ok(Received::New {
                    kind,
                    from,
                    round,
                    body,
                }) => {
                    self.hear(from, now);
                    self.act(secrets, kind, (from, round), &body)
                }
                // The guest has no answer yet; other workers repeat by themselves.
                Ok(Received::Repeat { from }) => {
                    self.hear(from, now);
                    let unbegun = self.place.worker.is_none();
                    Ok(if unbegun {
                        self.answers.clone()
                    } else {
                        Vec::new()
                    })
                }
                Ok(Received::Nothing) => Ok(Vec::new()),
                Err(reason) => Err(reason),
            },
            Input::Unpledged(reason) => Err(reason),
            Input::Ended | Input::Stop => Ok(vec![Effect::Close]),
            // A process died; the guest notices too, and it decides.
            _ => Ok(Vec::new()),
        };
        handled.unwrap_or_else(|reason| self.refuse(secrets, &reason))
    }

    /// Only the guest keeps the seat: two workers would keep each other's for ever.
    fn hear(&mut self, from: PartyId, now: Duration) {
        if from == self.guest.party {
            self.heard = now;
        }
    }

    fn act(
        &mut self,
        secrets: &mut dyn CryptoRng,
        kind: Kind,
        (from, round): (PartyId, Round),
        body: &[u8],
    ) -> Result<Vec<Effect>, Reason> {
        let mut effects = match kind {
            Kind::Begin if from == self.guest.party && self.place.inputs.is_some() => {
                let begin: Result<Begin, _> = message::decode(body);
                let me = self.place.me();
                let begin = begin.map_err(|_| {
                    let text = "the guest's list of parties cannot be read";
                    because(ReasonCode::Protocol, me, text)
                })?;
                self.answers.clear();
                self.place.begin(secrets, &begin)?
            }
            Kind::Step => self.place.step(secrets, (from, round), body)?,
            Kind::Leave if from == self.guest.party => return Ok(vec![Effect::Close]),
            _ => Vec::new(),
        };
        let result = self
            .place
            .worker
            .as_ref()
            .and_then(|worker| worker.result());
        if let Some(digest) = result.map(|result| result.digest())
            && self.answers.is_empty()
        {
            effects.extend(self.answer(secrets, Kind::Opened, &digest));
        }
        Ok(effects)
    }

    /// A word to the guest that is no step, repeated until there is another.
    fn answer<T: serde::Serialize>(
        &mut self,
        secrets: &mut dyn CryptoRng,
        kind: Kind,
        body: &T,
    ) -> Vec<Effect> {
        let guest = &self.guest;
        let to = (guest.party, guest.address.as_str(), &guest.sealing);
        self.answers = self
            .place
            .letter(secrets, kind, to, body)
            .into_iter()
            .collect();
        self.answers.clone()
    }

    /// Says why it cannot go on; the seat stays until the guest leaves, to say it again.
    fn refuse(&mut self, secrets: &mut dyn CryptoRng, reason: &Reason) -> Vec<Effect> {
        self.place.worker = None;
        self.place.inputs = None;
        self.place.sent.clear();
        self.answer(secrets, Kind::Refuse, reason)
    }

    pub(in crate::session) fn tick(&mut self, now: Duration) -> Vec<Effect> {
        let silent = now.saturating_sub(self.heard);
        if silent > Duration::from_secs(SESSION_IDLE_SECONDS_MAX) {
            return vec![Effect::Close];
        }
        match self.repeat.is_due(now) {
            true => self
                .place
                .sent
                .iter()
                .chain(&self.answers)
                .cloned()
                .collect(),
            false => Vec::new(),
        }
    }
}
