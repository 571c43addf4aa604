//! A host's or the arbiter's session: invited by an offer, led by the guest, gone when it leaves
//! or falls silent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::correspondence::{Correspondence, Kind, Received};
use super::intake::{Admitted, Intake};
use super::offered::Offered;
use super::setup::{self, Accept, Begin, Counted, Join, Offer};
use super::{Effect, Input, Rows, Seat, because, reason};
use crate::admission::Verdict;
use crate::federated::round;
use crate::federated::secure_sum::{Contributor, Protector};
use crate::federated::{self, Output, Participant};
use crate::id::{PartyId, Round};
use crate::job::{Protection, Reason, ReasonCode, TrainSpec};
use crate::limits::SESSION_IDLE_SECONDS_MAX;
use crate::mask::{MaskSecret, TagKey};
use crate::message;
use crate::paillier::{Encryptor, PublicKey};
use crate::seal::{self, SealPublic};

/// A host's or the arbiter's side of one session.
pub struct Member {
    letters: Correspondence,
    guest: Join,
    spec: Arc<TrainSpec>,
    own: Join,
    mask: MaskSecret,
    /// The party's rows on their way; `None` at the arbiter.
    intake: Option<Intake>,
    rows: Option<Box<Rows>>,
    participant: Option<Box<dyn Participant>>,
    addresses: BTreeMap<PartyId, (String, SealPublic)>,
    /// What was sent last, with the same bytes for every repeat.
    latest: Vec<Effect>,
    heard: Duration,
    /// How long the guest may be silent.
    silence_max: Duration,
}

impl Member {
    /// Takes a seat in a training, and reads what it needs.
    ///
    /// # Errors
    /// A refusal to send when the party can't take part.
    pub(super) fn join(
        secrets: &mut dyn CryptoRng,
        now: Duration,
        seat: &Seat,
        offered: Offered,
    ) -> Result<(Member, Vec<Effect>), Option<Effect>> {
        let spec = match setup::vet(seat, offered.from, &offered.offer.spec) {
            Ok(spec) => Arc::new(spec),
            Err(reason) => return Err(offered.refuse(secrets, &reason)),
        };
        let Offered {
            mut letters,
            offer,
            spec_hash,
            ..
        } = offered;
        let Offer { guest, digest, .. } = offer;
        let fence = letters.fence;
        letters.writers = setup::everybody(&spec);
        let mask = MaskSecret::generate(secrets);
        let own = Join::sign(seat, &fence, spec_hash, mask.public(), letters.sealing());
        let mut member = Member {
            letters,
            guest,
            spec: Arc::clone(&spec),
            own,
            mask,
            intake: None,
            rows: None,
            participant: None,
            addresses: BTreeMap::new(),
            latest: Vec::new(),
            heard: now,
            silence_max: Duration::from_secs(SESSION_IDLE_SECONDS_MAX),
        };
        if member.is_arbiter() {
            let effects = member.accept(secrets, None);
            return Ok((member, effects));
        }
        let asked = setup::asked(seat, &fence, &spec, spec_hash, digest);
        let (intake, load) = Intake::new(asked);
        member.intake = Some(intake);
        Ok((member, vec![load]))
    }

    fn is_arbiter(&self) -> bool {
        self.letters.seat.party == PartyId::ARBITER
    }

    pub(super) fn handle(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
        input: Input,
    ) -> Vec<Effect> {
        match input {
            Input::Envelope(envelope) => match self.letters.read(&envelope) {
                Ok(Received::New {
                    kind,
                    from,
                    round,
                    body,
                }) => {
                    self.heard = now;
                    self.act(secrets, kind, (from, round), &body)
                }
                Ok(Received::Repeat { .. }) => {
                    self.heard = now;
                    let again = self.intake.as_mut().and_then(Intake::again);
                    again.into_iter().chain(self.repeat()).collect()
                }
                Ok(Received::Nothing) => Vec::new(),
                Err(reason) => self.refuse(secrets, &reason),
            },
            Input::Loaded(rows) => {
                let seat = &self.letters.seat;
                let asked = self.intake.as_mut().map(|intake| intake.loaded(seat, rows));
                match asked {
                    Some(Ok(effect)) => effect.into_iter().collect(),
                    Some(Err(reason)) => self.refuse(secrets, &reason),
                    None => Vec::new(),
                }
            }
            Input::Admitted(verdict) => self.admitted(secrets, verdict),
            Input::Unpledged(reason) => self.refuse(secrets, &reason),
            // A peer's process died; the guest notices too, and it decides.
            Input::Returned { .. }
            | Input::Key(_)
            | Input::Granted(_)
            | Input::Piece(..)
            | Input::Turn
            | Input::Learned(_)
            | Input::Kept(..) => Vec::new(),
            // The guest notices: what it sends here comes back.
            Input::Ended | Input::Stop => vec![Effect::Close],
        }
    }

    fn admitted(
        &mut self,
        secrets: &mut dyn CryptoRng,
        verdict: Result<Verdict, Reason>,
    ) -> Vec<Effect> {
        let me = self.letters.seat.party;
        let admitted = self
            .intake
            .as_mut()
            .map(|intake| intake.admitted(me, verdict));
        match admitted {
            Some(Ok(Admitted::Rows(rows))) => {
                let counted = setup::count(&self.letters.seat, &rows);
                self.rows = Some(rows);
                self.accept(secrets, Some(counted))
            }
            Some(Ok(Admitted::Awaiting)) if self.latest.is_empty() => {
                self.answer(secrets, Kind::Awaiting, &())
            }
            Some(Ok(Admitted::Awaiting)) | None => Vec::new(),
            Some(Ok(Admitted::Later(effects))) => effects,
            Some(Err(reason)) => self.refuse(secrets, &reason),
        }
    }

    fn accept(&mut self, secrets: &mut dyn CryptoRng, rows: Option<Counted>) -> Vec<Effect> {
        let accept = Accept {
            join: self.own.clone(),
            rows,
        };
        self.answer(secrets, Kind::Accept, &accept)
    }

    fn act(
        &mut self,
        secrets: &mut dyn CryptoRng,
        kind: Kind,
        (from, round): (PartyId, Round),
        body: &[u8],
    ) -> Vec<Effect> {
        match kind {
            Kind::Begin if from == self.guest.party => match self.begin(body) {
                Ok(()) => self.answer(secrets, Kind::Ready, &()),
                Err(reason) => self.refuse(secrets, &reason),
            },
            Kind::Step => {
                let Some(participant) = &mut self.participant else {
                    return Vec::new();
                };
                match participant.receive(secrets, from, round, body) {
                    Ok(outputs) => self.emit(secrets, outputs),
                    Err(error) => {
                        let reason = reason(self.letters.seat.party, &error);
                        self.refuse(secrets, &reason)
                    }
                }
            }
            Kind::Leave if from == self.guest.party => vec![Effect::Close],
            _ => Vec::new(),
        }
    }

    /// Checks everybody's keys and becomes a participant.
    fn begin(&mut self, body: &[u8]) -> Result<(), Reason> {
        let seat = &self.letters.seat;
        let fault = |text: &str| because(ReasonCode::Protocol, seat.party, text);
        let begin: Result<Begin, _> = message::decode(body);
        let begin = begin.map_err(|_| fault("the guest's list of parties cannot be read"))?;
        setup::check_joins(
            seat,
            &self.letters.fence,
            &setup::everybody(&self.spec),
            &self.own,
            &begin.joins,
        )?;
        let key = match (self.spec.protection, &begin.modulus) {
            (Protection::Paillier { key_bits }, Some(modulus)) => {
                let key = (seat.read_key)(modulus);
                let key = key.map_err(|_| fault("the guest's Paillier modulus is malformed"))?;
                if key.key_bits() != key_bits {
                    return Err(fault("the guest's Paillier modulus has another length"));
                }
                Some(key)
            }
            (Protection::SecAgg | Protection::None, None) => None,
            _ => return Err(fault("there is a Paillier modulus too many or too few")),
        };
        // The guest is silent while it computes, and waits as long for others.
        self.silence_max = self.silence_max.max(begin.silence_max.saturating_mul(2));
        self.addresses = setup::addresses(&begin.joins);
        self.participant = Some(match (key, begin.tag_key, self.rows.take()) {
            (Some(key), None, None) => {
                let parties = self.spec.parties.ascending();
                Box::new(round::Arbiter::new(self.guest.party, parties, key))
            }
            (key, Some(tag_key), Some(rows)) => {
                let tag_key = TagKey::from_bytes(tag_key);
                let fence = &self.letters.fence;
                let (joins, mask) = (&begin.joins, &self.mask);
                let agreement = setup::agree(seat, fence, joins, mask, key.as_ref(), tag_key)?;
                let protector = protector(&self.spec, key);
                let protector =
                    protector.ok_or_else(|| fault("the keys are not the protection's"))?;
                let contributor = Contributor::new(agreement, protector);
                let answer = federated::answer(&self.spec, rows.table, &seat.policy.train);
                Box::new(round::Host::new(self.guest.party, contributor, answer))
            }
            _ => return Err(fault("it was given another role than it has")),
        });
        Ok(())
    }

    fn emit(&mut self, secrets: &mut dyn CryptoRng, outputs: Vec<Output>) -> Vec<Effect> {
        let mut sent = Vec::new();
        for output in outputs {
            // Only a guest has anything else to say.
            let Output::Send {
                to,
                round,
                step,
                answers,
            } = output
            else {
                continue;
            };
            let Some((queue, key)) = self.addresses.get(&to) else {
                continue;
            };
            let step = Zeroizing::new(step);
            match self
                .letters
                .write_bytes(secrets, Kind::Step, round, (to, key), &step)
            {
                Ok(envelope) => sent.push(Effect::Send {
                    queue: queue.clone(),
                    envelope,
                    pledge: answers.map(|answered| self.letters.pledge(round, answered)),
                }),
                Err(error) => return self.unwritable(secrets, &error),
            }
        }
        if !sent.is_empty() {
            self.latest = sent;
            return self.repeat();
        }
        Vec::new()
    }

    fn answer<T: serde::Serialize>(
        &mut self,
        secrets: &mut dyn CryptoRng,
        kind: Kind,
        body: &T,
    ) -> Vec<Effect> {
        let (to, key) = (self.guest.party, &self.guest.sealing);
        match self.letters.write(secrets, kind, to, key, body) {
            Ok(envelope) => {
                self.latest = vec![Effect::letter(self.guest.address.clone(), envelope)];
                self.repeat()
            }
            Err(_) => vec![Effect::Close],
        }
    }

    /// Sends what was sent last once more.
    fn repeat(&self) -> Vec<Effect> {
        self.latest.clone()
    }

    fn unwritable(&mut self, secrets: &mut dyn CryptoRng, error: &seal::Error) -> Vec<Effect> {
        let me = self.letters.seat.party;
        self.refuse(
            secrets,
            &because(ReasonCode::Protocol, me, error.to_string()),
        )
    }

    /// Says why it cannot go on; the seat stays until the guest leaves, to say it again.
    fn refuse(&mut self, secrets: &mut dyn CryptoRng, reason: &Reason) -> Vec<Effect> {
        self.participant = None;
        self.answer(secrets, Kind::Refuse, reason)
    }

    pub(super) fn tick(&self, now: Duration) -> Vec<Effect> {
        let silent = now.saturating_sub(self.heard);
        if silent > self.silence_max {
            return vec![Effect::Close];
        }
        Vec::new()
    }

    pub(super) fn idle(&mut self, secrets: &mut dyn CryptoRng) -> Option<Vec<Effect>> {
        match self.participant.as_mut()?.idle(secrets) {
            Ok(outputs) => Some(self.emit(secrets, outputs?)),
            Err(error) => {
                let reason = reason(self.letters.seat.party, &error);
                Some(self.refuse(secrets, &reason))
            }
        }
    }
}

/// A data party's protector for a job; `None` when there is a key too many or too few.
pub(super) fn protector(spec: &TrainSpec, key: Option<PublicKey>) -> Option<Protector> {
    match (spec.protection, key) {
        (Protection::Paillier { .. }, Some(key)) => {
            let each = key.ciphertexts_for(spec.attributes.len() + 5);
            let all = each as u64 * u64::from(spec.hyperparameters.iterations_max);
            let encryptor = Box::new(Encryptor::new(key.clone(), all, 2 * each));
            Some(Protector::Paillier { key, encryptor })
        }
        (Protection::SecAgg, None) => Some(Protector::SecAgg),
        (Protection::None, None) => Some(Protector::None),
        (Protection::Paillier { .. }, None) | (Protection::SecAgg | Protection::None, Some(_)) => {
            None
        }
    }
}
