//! The guest's session: joining, beginning, rounds, the end. Whatever is unanswered is repeated.

mod joining;
mod rounds;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::correspondence::{Correspondence, Kind, Received};
use super::intake::{Admitted, Intake};
use super::repeat::Repeat;
use super::setup::{self, Accept, Join};
use super::{Effect, Input, Rows, Standing, because, stopped};
use crate::federated::{Participant, round};
use crate::id::{PartyId, Round};
use crate::job::{Reason, ReasonCode, TrainSpec};
use crate::limits::{
    JOIN_WAIT_SECONDS, REASON_CHARACTERS_MAX, ROUND_SILENCE_SECONDS_MAX, SOURCE_READ_SECONDS_MAX,
};
use crate::mask::{MaskSecret, TagKey};
use crate::message::{self, EventBody, Progress};
use crate::paillier::PrivateKey;
use crate::seal::SealPublic;

/// How many times what everybody's rows took to read a round may take, beside the fixed limit.
const ROUND_TO_READING: u32 = 10;

/// A guest's side of one session.
pub struct Guest {
    letters: Correspondence,
    spec: Arc<TrainSpec>,
    spec_bytes: Vec<u8>,
    own: Join,
    mask: MaskSecret,
    digests: BTreeMap<PartyId, Vec<u8>>,
    /// Its own rows on their way.
    intake: Intake,
    /// Hosts whose officers have yet to say yes.
    awaiting: BTreeSet<PartyId>,
    checkpoint: Option<Zeroizing<Vec<u8>>>,
    rows: Option<Box<Rows>>,
    key: Option<Box<PrivateKey>>,
    /// What becomes the participant, once the others have been told to begin.
    agreed: Option<Agreed>,
    accepts: BTreeMap<PartyId, Accept>,
    stage: Stage,
    participant: Option<round::Guest>,
    addresses: BTreeMap<PartyId, (String, SealPublic)>,
    /// Unanswered letters, by the party that owes the answer.
    unanswered: BTreeMap<PartyId, Effect>,
    /// Who still has to say `Ready`.
    unready: Vec<PartyId>,
    repeat: Repeat,
    progress: Progress,
    /// When something new happened last.
    moved: Duration,
    /// Whether the thread has been computing since it was looked at last.
    worked: bool,
    /// What the platform is told of everybody's rows; again with each checkpoint, since a
    /// checkpoint without it says nothing of the rows it is of.
    started: Option<EventBody>,
    /// When the last checkpoint left.
    saved: Option<Duration>,
    /// Seconds of each of the last rounds.
    durations: Vec<f64>,
    round_began: Duration,
}

/// What the guest is waiting for.
enum Stage {
    /// Everybody's accept, its own rows and its key.
    Joining,
    /// Everybody's ready.
    Beginning,
    /// Sums.
    Running,
    /// Word that the platform took its last event, which it repeats until then.
    Reporting(Box<EventBody>),
}

/// What everybody agreed on, and this party's rows.
struct Agreed {
    joins: Vec<Join>,
    tag_key: TagKey,
    rows: Box<Rows>,
}

impl Guest {
    fn me(&self) -> PartyId {
        self.letters.seat.party
    }

    fn others(&self) -> Vec<PartyId> {
        let mut all = setup::everybody(&self.spec);
        all.retain(|party| *party != self.me());
        all
    }

    fn repeat_unanswered(&self) -> Vec<Effect> {
        self.unanswered.values().cloned().collect()
    }

    pub(super) fn handle(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
        input: Input,
    ) -> Vec<Effect> {
        // The last word is said: nothing but the platform's answer changes it.
        if let Stage::Reporting(_) = self.stage {
            return match input {
                Input::Ended | Input::Stop => vec![Effect::Close],
                _ => Vec::new(),
            };
        }
        self.own_work_is_no_silence(now);
        match input {
            Input::Envelope(envelope) => match self.letters.read(&envelope) {
                Ok(Received::New {
                    kind,
                    from,
                    round,
                    body,
                }) => self.act(secrets, now, kind, (from, round), &body),
                Ok(Received::Repeat { .. } | Received::Nothing) => Vec::new(),
                Err(reason) => self.fail(secrets, now, reason),
            },
            Input::Loaded(rows) => match self.intake.loaded(&self.letters.seat, rows) {
                Ok(effect) => effect.into_iter().collect(),
                Err(reason) => self.fail(secrets, now, reason),
            },
            Input::Admitted(verdict) => match self.intake.admitted(self.me(), verdict) {
                Ok(Admitted::Rows(rows)) => {
                    self.rows = Some(rows);
                    self.begin_if_complete(secrets, now)
                }
                Ok(Admitted::Awaiting) => Vec::new(),
                Ok(Admitted::Later(effects)) => effects,
                Err(reason) => self.fail(secrets, now, reason),
            },
            Input::Unpledged(reason) => self.fail(secrets, now, reason),
            Input::Key(Err(reason)) => self.fail(secrets, now, reason),
            Input::Key(Ok(key)) => {
                self.key = Some(key);
                self.begin_if_complete(secrets, now)
            }
            Input::Returned { queue } => self.returned(secrets, now, &queue),
            Input::Granted(_)
            | Input::Piece(..)
            | Input::Kept(..)
            | Input::Turn
            | Input::Learned(_) => Vec::new(),
            Input::Ended => {
                let mut effects = self.leave(secrets);
                effects.push(Effect::Close);
                effects
            }
            // Said once: should it be lost, the lease ends the attempt.
            Input::Stop => {
                let mut effects = self.report(secrets, now, stopped(self.me()));
                effects.push(Effect::Close);
                effects
            }
        }
    }

    fn act(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
        kind: Kind,
        (from, round): (PartyId, Round),
        body: &[u8],
    ) -> Vec<Effect> {
        match (kind, &self.stage) {
            (Kind::Accept, Stage::Joining) => {
                let Ok(accept) = message::decode::<Accept>(body) else {
                    return Vec::new();
                };
                let (fence, seat) = (&self.letters.fence, &self.letters.seat);
                let genuine = accept
                    .join
                    .is_genuine(&seat.directory, fence, &self.own.spec_hash);
                let counted = accept.rows.is_some() == (from != PartyId::ARBITER);
                if accept.join.party != from || !genuine || !counted {
                    return Vec::new();
                }
                self.moved = now;
                self.awaiting.remove(&from);
                self.accepts.insert(from, accept);
                self.begin_if_complete(secrets, now)
            }
            (Kind::Awaiting, Stage::Joining) => {
                if !self.accepts.contains_key(&from) {
                    self.awaiting.insert(from);
                }
                Vec::new()
            }
            (Kind::Ready, Stage::Beginning) => {
                self.moved = now;
                self.unanswered.remove(&from);
                self.unready.retain(|party| *party != from);
                self.start_if_ready(secrets, now)
            }
            (Kind::Step, Stage::Running) => {
                self.moved = now;
                if !setup::has_arbiter(&self.spec) {
                    self.unanswered.remove(&from);
                }
                let Some(participant) = &mut self.participant else {
                    return Vec::new();
                };
                let outputs = participant.receive(secrets, from, round, body);
                self.emit(secrets, now, outputs)
            }
            (Kind::Refuse, Stage::Joining | Stage::Beginning | Stage::Running) => {
                match message::decode::<Reason>(body) {
                    Ok(reason) => {
                        let text = reason.text.chars().take(REASON_CHARACTERS_MAX).collect();
                        let party = reason.party.or(Some(from));
                        self.fail(
                            secrets,
                            now,
                            Reason {
                                text,
                                party,
                                ..reason
                            },
                        )
                    }
                    Err(_) => Vec::new(),
                }
            }
            _ => Vec::new(),
        }
    }

    fn fail(&mut self, secrets: &mut dyn CryptoRng, now: Duration, reason: Reason) -> Vec<Effect> {
        self.report(secrets, now, EventBody::Failed { reason })
    }

    /// Ends the attempt: tells everybody, and the platform until it has heard.
    fn report(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
        event: EventBody,
    ) -> Vec<Effect> {
        let mut effects = vec![Effect::Report(event.clone())];
        effects.extend(self.leave(secrets));
        self.stage = Stage::Reporting(Box::new(event));
        self.repeat = Repeat::from(now);
        effects
    }

    /// Ends the seats of all who joined, and wipes what the attempt knew.
    fn leave(&mut self, secrets: &mut dyn CryptoRng) -> Vec<Effect> {
        self.participant = None;
        self.agreed = None;
        self.rows = None;
        self.key = None;
        self.checkpoint = None;
        self.unanswered.clear();
        let joins: Vec<&Join> = self.accepts.values().map(|accept| &accept.join).collect();
        let letter = |join: &&Join| {
            let written = self
                .letters
                .write(secrets, Kind::Leave, join.party, &join.sealing, &());
            let queue = join.address.clone();
            written.ok().map(|envelope| Effect::letter(queue, envelope))
        };
        joins.iter().filter_map(letter).collect()
    }

    /// A process died that this session writes to.
    fn returned(&mut self, secrets: &mut dyn CryptoRng, now: Duration, queue: &str) -> Vec<Effect> {
        let at = |accept: &Accept| accept.join.address == queue;
        let party = self
            .accepts
            .iter()
            .find(|(_, accept)| at(accept))
            .map(|(party, _)| *party);
        match (&self.stage, party) {
            (Stage::Beginning | Stage::Running, Some(party)) => {
                let text = format!("the process of party {party} is gone");
                self.fail(secrets, now, because(ReasonCode::SessionLost, party, text))
            }
            (Stage::Joining | Stage::Reporting(_), _) | (_, None) => Vec::new(),
        }
    }

    /// Others are not silent while this party computes.
    fn own_work_is_no_silence(&mut self, now: Duration) {
        if std::mem::take(&mut self.worked) {
            self.moved = now;
        }
    }

    pub(super) fn tick(&mut self, secrets: &mut dyn CryptoRng, now: Duration) -> Vec<Effect> {
        self.own_work_is_no_silence(now);
        let silent = now.saturating_sub(self.moved);
        match &self.stage {
            Stage::Beginning | Stage::Running if silent > self.silence_max() => {
                let missing = self.missing();
                let named: Vec<String> = missing.iter().map(ToString::to_string).collect();
                let text = format!(
                    "no answer for {} s; party {} may be the one",
                    silent.as_secs(),
                    named.join(" or ")
                );
                // Only a single one can be named for certain.
                let party = missing.first().copied().filter(|_| missing.len() == 1);
                let code = ReasonCode::PartySilent;
                self.fail(secrets, now, Reason { code, text, party })
            }
            Stage::Reporting(event) if self.repeat.is_due(now) => {
                vec![Effect::Report((**event).clone())]
            }
            _ if self.repeat.is_due(now) => {
                let mut effects = self.repeat_unanswered();
                effects.extend(self.intake.again());
                effects
            }
            _ => Vec::new(),
        }
    }

    /// How long a round may take: a fixed limit, and more where rows are many.
    fn silence_max(&self) -> Duration {
        #[cfg(test)]
        if crate::sabotage::is_off(crate::sabotage::Mechanism::Silence) {
            return Duration::MAX;
        }
        let took = |accept: &Accept| accept.rows.as_ref().map(|counted| counted.took);
        let slowest = self
            .accepts
            .values()
            .filter_map(took)
            .max()
            .unwrap_or_default();
        // A party's word: no longer than reading may take at all.
        let slowest = slowest.min(Duration::from_secs(SOURCE_READ_SECONDS_MAX));
        Duration::from_secs(ROUND_SILENCE_SECONDS_MAX) + ROUND_TO_READING * slowest
    }

    /// Who owes an answer, as far as the guest can tell.
    fn missing(&self) -> Vec<PartyId> {
        match &self.stage {
            Stage::Joining => {
                let mut missing = self.others();
                missing.retain(|party| !self.accepts.contains_key(party));
                // The arbiter is asked last.
                missing.retain(|party| self.unanswered.contains_key(party));
                let unkeyed = setup::has_arbiter(&self.spec) && self.key.is_none();
                missing.extend((self.rows.is_none() || unkeyed).then(|| self.me()));
                missing
            }
            Stage::Beginning => self.unready.clone(),
            Stage::Running => self.unanswered.keys().copied().collect(),
            Stage::Reporting(_) => Vec::new(),
        }
    }

    pub(super) fn standing(&self, now: Duration) -> Standing {
        let progress = self.progress.clone();
        let mut awaiting = self.awaiting.clone();
        awaiting.extend(self.intake.is_awaiting().then(|| self.me()));
        if matches!(self.stage, Stage::Joining) && !awaiting.is_empty() {
            return Standing {
                progress,
                waiting: awaiting.into_iter().collect(),
                awaiting: true,
            };
        }
        let patient = now.saturating_sub(self.moved) < Duration::from_secs(JOIN_WAIT_SECONDS);
        let waiting = if patient { Vec::new() } else { self.missing() };
        Standing {
            progress,
            waiting,
            awaiting: false,
        }
    }

    pub(super) fn idle(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
    ) -> Option<Vec<Effect>> {
        if let Some(agreed) = self.agreed.take() {
            self.worked = true;
            return Some(match self.take_part(agreed) {
                Ok(participant) => {
                    self.participant = Some(participant);
                    self.start_if_ready(secrets, now)
                }
                Err(reason) => self.fail(secrets, now, reason),
            });
        }
        if !matches!(self.stage, Stage::Running) {
            return None;
        }
        match self.participant.as_mut()?.idle(secrets) {
            Ok(outputs) => {
                self.worked |= outputs.is_some();
                outputs.map(|outputs| self.emit(secrets, now, Ok(outputs)))
            }
            Err(error) => Some(self.emit(secrets, now, Err(error))),
        }
    }
}

/// What a checkpoint belongs to: it opens for this job and request only, in any later attempt.
fn checkpoint_context(letters: &Correspondence, spec_hash: &[u8; 32]) -> Vec<u8> {
    message::encode(&("checkpoint 1", letters.fence.job, spec_hash))
}
