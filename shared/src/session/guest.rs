//! The guest's session: invites, makes the key, leads the rounds, reports, and repeats whatever is
//! unanswered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::correspondence::{Correspondence, Kind, Received};
use super::member::protector;
use super::setup::{self, Accept, Begin, Counted, Join, Offer};
use super::{Effect, Input, Rows, Seat, Standing, because, reason};
use crate::federated::secure_sum::{Contributor, Opener};
use crate::federated::{self, Output, Participant, round};
use crate::id::{PartyId, Round};
use crate::job::{Privacy, Protection, Reason, ReasonCode, TrainSpec};
use crate::limits::{
    CHECKPOINT_SECONDS, JOIN_WAIT_SECONDS, REPEAT_SECONDS, REPEAT_SECONDS_MAX,
    ROUND_SILENCE_SECONDS_MAX,
};
use crate::mask::{MaskSecret, TagKey};
use crate::message::{self, EventBody, Grant, Outcome, Progress, queue};
use crate::model::Model;
use crate::paillier::PrivateKey;
use crate::seal::{self, SealPublic};

/// How many times what everybody's rows took to read a round may take, beside the fixed limit.
const ROUND_TO_READING: u32 = 10;
/// Rounds that the median duration is taken over.
const DURATIONS_KEPT: usize = 101;

/// A guest's side of one session.
pub struct Guest {
    letters: Correspondence,
    spec: Arc<TrainSpec>,
    spec_bytes: Vec<u8>,
    own: Join,
    mask: MaskSecret,
    digests: BTreeMap<PartyId, Vec<u8>>,
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

/// When unanswered letters go out again: at growing intervals.
pub(super) struct Repeat {
    interval: Duration,
    due: Duration,
}

impl Repeat {
    pub(super) fn from(now: Duration) -> Self {
        let interval = Duration::from_secs(REPEAT_SECONDS);
        Repeat {
            interval,
            due: now + interval,
        }
    }

    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        if now < self.due {
            return false;
        }
        self.interval = (2 * self.interval).min(Duration::from_secs(REPEAT_SECONDS_MAX));
        self.due = now + self.interval;
        true
    }
}

impl Guest {
    /// Sits down with a grant: reads rows, makes a key, invites.
    ///
    /// # Errors
    /// A reason to report when the request is none that this party may lead.
    pub(super) fn new(
        secrets: &mut dyn CryptoRng,
        now: Duration,
        seat: &Seat,
        grant: Grant,
    ) -> Result<(Guest, Vec<Effect>), Reason> {
        let spec = Arc::new(setup::vet(seat, seat.party, &grant.spec)?);
        let letters = Correspondence::new(secrets, seat.clone(), grant.fence);
        let mask = MaskSecret::generate(secrets);
        let spec_hash = setup::hash(&grant.spec);
        let own = Join::sign(
            seat,
            &grant.fence,
            spec_hash,
            mask.public(),
            letters.sealing(),
        );
        // One that does not open is as good as none: the same bits come out.
        let context = checkpoint_context(&letters, &spec_hash);
        let checkpoint = grant
            .checkpoint
            .and_then(|sealed| seal::open_checkpoint(&seat.identity, &context, &sealed).ok());
        let mut guest = Guest {
            letters,
            spec: Arc::clone(&spec),
            spec_bytes: grant.spec,
            own,
            mask,
            digests: grant.digests,
            checkpoint,
            rows: None,
            key: None,
            agreed: None,
            accepts: BTreeMap::new(),
            stage: Stage::Joining,
            participant: None,
            addresses: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            unready: Vec::new(),
            repeat: Repeat::from(now),
            progress: Progress::default(),
            moved: now,
            saved: None,
            durations: Vec::new(),
            round_began: now,
        };
        let mut effects = guest.invite(secrets);
        if let Protection::Paillier { key_bits } = spec.protection {
            effects.push(Effect::MakeKey(key_bits));
        }
        effects.push(Effect::Load(Box::new(setup::reading(&spec, seat.party))));
        Ok((guest, effects))
    }

    fn me(&self) -> PartyId {
        self.letters.seat.party
    }

    fn others(&self) -> Vec<PartyId> {
        let mut all = setup::everybody(&self.spec);
        all.retain(|party| *party != self.me());
        all
    }

    fn invite(&mut self, secrets: &mut dyn CryptoRng) -> Vec<Effect> {
        for party in self.others() {
            let offer = Offer {
                spec: self.spec_bytes.clone(),
                guest: self.own.clone(),
                digest: self.digests.get(&party).cloned(),
            };
            let key = SealPublic(self.letters.seat.directory[&party].sealing);
            let queue = match party {
                PartyId::ARBITER => queue::ARBITER.to_owned(),
                party => queue::host(party),
            };
            let expires = Duration::from_secs(REPEAT_SECONDS_MAX);
            if let Ok(envelope) = self
                .letters
                .write(secrets, Kind::Offer, party, &key, &offer)
            {
                self.unanswered.insert(
                    party,
                    Effect::Invite {
                        queue,
                        envelope,
                        expires,
                    },
                );
            }
        }
        self.repeat_unanswered()
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
        if let (Stage::Reporting(_), Input::Ended) = (&self.stage, &input) {
            return vec![Effect::Close];
        }
        match input {
            Input::Envelope(envelope) => match self.letters.read(&envelope) {
                Ok(Received::New {
                    kind,
                    from,
                    round,
                    body,
                }) => self.act(secrets, now, kind, (from, round), &body),
                Ok(Received::Repeat | Received::Nothing) => Vec::new(),
                Err(reason) => self.fail(secrets, now, reason),
            },
            Input::Loaded(Ok(rows)) => {
                let me = self.me();
                if self
                    .digests
                    .get(&me)
                    .is_some_and(|digest| *digest != rows.digest)
                {
                    let text = format!("the rows of party {me} changed since this job began");
                    return self.fail(secrets, now, because(ReasonCode::DataChanged, me, text));
                }
                self.rows = Some(rows);
                self.begin_if_complete(secrets, now)
            }
            Input::Loaded(Err(reason)) => self.fail(secrets, now, reason),
            Input::Key(key) => {
                self.key = Some(key);
                self.begin_if_complete(secrets, now)
            }
            Input::Returned { queue } => self.returned(secrets, now, &queue),
            Input::Granted(_) => Vec::new(),
            Input::Ended => {
                let mut effects = self.leave(secrets);
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
                self.accepts.insert(from, accept);
                self.begin_if_complete(secrets, now)
            }
            (Kind::Ready, Stage::Beginning) => {
                self.moved = now;
                self.unanswered.remove(&from);
                self.unready.retain(|party| *party != from);
                self.start_if_ready(secrets, now)
            }
            (Kind::Step, Stage::Running) => {
                self.moved = now;
                let Some(participant) = &mut self.participant else {
                    return Vec::new();
                };
                let outputs = participant.receive(secrets, from, round, body);
                self.emit(secrets, now, outputs)
            }
            (Kind::Refuse, Stage::Joining | Stage::Beginning | Stage::Running) => {
                match message::decode::<Reason>(body) {
                    Ok(reason) => self.fail(
                        secrets,
                        now,
                        Reason {
                            party: Some(from),
                            ..reason
                        },
                    ),
                    Err(_) => Vec::new(),
                }
            }
            _ => Vec::new(),
        }
    }

    /// Once everybody has joined: says so to the platform, and sends everybody all keys.
    fn begin_if_complete(&mut self, secrets: &mut dyn CryptoRng, now: Duration) -> Vec<Effect> {
        let others = self.others();
        let complete = matches!(self.stage, Stage::Joining)
            && others.iter().all(|party| self.accepts.contains_key(party))
            && (self.key.is_some() || !setup::has_arbiter(&self.spec));
        let Some(rows) = self.rows.take_if(|_| complete) else {
            return Vec::new();
        };
        let started = self.started(&rows);
        let mut joins: Vec<Join> = self
            .accepts
            .values()
            .map(|accept| accept.join.clone())
            .collect();
        joins.push(self.own.clone());
        joins.sort_by_key(|join| join.party);
        self.addresses = setup::addresses(&joins);
        let tag_key = TagKey::generate(secrets);
        let modulus = self.key.as_ref().map(|key| key.public_key().to_bytes());
        self.unanswered.clear();
        for party in &others {
            let shared = (*party != PartyId::ARBITER).then_some(*tag_key.as_bytes());
            let begin = Begin {
                joins: joins.clone(),
                modulus: modulus.clone(),
                tag_key: shared,
            };
            let (queue, key) = &self.addresses[party];
            if let Ok(envelope) = self
                .letters
                .write(secrets, Kind::Begin, *party, key, &begin)
            {
                let queue = queue.clone();
                self.unanswered
                    .insert(*party, Effect::Send { queue, envelope });
            }
        }
        self.unready = others;
        self.stage = Stage::Beginning;
        self.moved = now;
        self.repeat = Repeat::from(now);
        let mut effects = vec![Effect::Report(started)];
        effects.extend(self.repeat_unanswered());
        self.agreed = Some(Agreed {
            joins,
            tag_key,
            rows,
        });
        effects
    }

    /// Prepares the guest's own part; the others are at theirs by then.
    fn take_part(&mut self, agreed: Agreed) -> Result<round::Guest, Reason> {
        let Agreed {
            joins,
            tag_key,
            rows,
        } = agreed;
        let (seat, fence) = (&self.letters.seat, &self.letters.fence);
        let fault = |error: federated::Error| reason(seat.party, &error);
        let key = self.key.take();
        let public = key.as_ref().map(|key| key.public_key().clone());
        let agreement = setup::agree(seat, fence, &joins, &self.mask, public.as_ref(), tag_key)?;
        let contributor = Contributor::new(agreement, protector(&self.spec, public));
        let opener = Opener::new(self.spec.parties.hosts.len() + 1, key.map(|key| *key));
        let saved = self.checkpoint.take();
        let guide = federated::guide(&self.spec, saved.as_ref().map(|bytes| bytes.as_slice()));
        let guide = guide.map_err(fault)?;
        let answer = federated::answer(&self.spec, rows.table);
        let hosts = self.spec.parties.hosts.clone();
        Ok(round::Guest::new(
            seat.party,
            hosts,
            contributor,
            opener,
            guide,
            answer,
        ))
    }

    /// The event that everybody is there.
    fn started(&self, own: &Rows) -> EventBody {
        let own = Counted {
            rows: own.table.ids.len() as u64,
            dropped: own.dropped,
            digest: own.digest.clone(),
            took: own.took,
        };
        let counted = |(party, accept): (&PartyId, &Accept)| Some((*party, accept.rows.clone()?));
        let mut all: BTreeMap<PartyId, Counted> = self.accepts.iter().filter_map(counted).collect();
        all.insert(self.me(), own);
        let slots = self.spec.attributes.len() + 5;
        let key = self.key.as_ref().map(|key| key.public_key());
        let privacy = Privacy {
            protection: self.spec.protection,
            slots: slots as u32,
            ciphertexts: key.map_or(0, |key| key.ciphertexts_for(slots)) as u32,
            bytes: BTreeMap::new(),
        };
        EventBody::Started {
            rows: all
                .iter()
                .map(|(party, counted)| (*party, counted.rows))
                .collect(),
            dropped: all
                .iter()
                .map(|(party, counted)| (*party, counted.dropped))
                .collect(),
            digests: all
                .into_iter()
                .map(|(party, counted)| (party, counted.digest))
                .collect(),
            privacy: Some(privacy),
        }
    }

    fn start_if_ready(&mut self, secrets: &mut dyn CryptoRng, now: Duration) -> Vec<Effect> {
        match &mut self.participant {
            Some(participant) if self.unready.is_empty() => {
                self.stage = Stage::Running;
                self.round_began = now;
                let outputs = participant.start(secrets);
                self.emit(secrets, now, outputs)
            }
            _ => Vec::new(),
        }
    }

    /// Turns a participant's outputs into effects.
    fn emit(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
        outputs: Result<Vec<Output>, federated::Error>,
    ) -> Vec<Effect> {
        let outputs = match outputs {
            Ok(outputs) => outputs,
            Err(error) => {
                let reason = reason(self.me(), &error);
                return self.fail(secrets, now, reason);
            }
        };
        let mut effects = Vec::new();
        for output in outputs {
            match output {
                Output::Send { to, round, step } => {
                    self.letters.enter(round);
                    let step = Zeroizing::new(step);
                    let (queue, key) = &self.addresses[&to];
                    let letter =
                        self.letters
                            .write_bytes(secrets, Kind::Step, round, (to, key), &step);
                    match letter {
                        Ok(envelope) => {
                            let send = Effect::Send {
                                queue: queue.clone(),
                                envelope,
                            };
                            effects.push(send.clone());
                            self.unanswered.insert(to, send);
                        }
                        Err(error) => {
                            let text = error.to_string();
                            let reason = because(ReasonCode::Protocol, self.me(), text);
                            return self.fail(secrets, now, reason);
                        }
                    }
                }
                Output::RoundFinished {
                    progress,
                    checkpoint,
                } => {
                    effects.extend(self.round_finished(secrets, now, progress, checkpoint));
                }
                Output::Finished { progress, model } => {
                    effects.extend(self.finish(secrets, now, progress, &model));
                }
            }
        }
        effects
    }

    fn round_finished(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
        progress: Progress,
        checkpoint: Vec<u8>,
    ) -> Option<Effect> {
        let checkpoint = Zeroizing::new(checkpoint);
        self.unanswered.clear();
        self.repeat = Repeat::from(now);
        self.moved = now;
        if self.durations.len() == DURATIONS_KEPT {
            self.durations.remove(0);
        }
        self.durations.push((now - self.round_began).as_secs_f64());
        self.round_began = now;
        self.progress = self.timed(progress);
        let interval = Duration::from_secs(CHECKPOINT_SECONDS);
        if self.saved.is_some_and(|saved| now < saved + interval) {
            return None;
        }
        self.saved = Some(now);
        let context = checkpoint_context(&self.letters, &self.own.spec_hash);
        let identity = &self.letters.seat.identity;
        let blob = seal::seal_checkpoint(secrets, identity, &context, &checkpoint);
        let progress = self.progress.clone();
        Some(Effect::Report(EventBody::Checkpoint { progress, blob }))
    }

    fn timed(&self, mut progress: Progress) -> Progress {
        let mut sorted = self.durations.clone();
        sorted.sort_by(f64::total_cmp);
        progress.round_milliseconds = sorted.get(sorted.len() / 2).map(|seconds| seconds * 1e3);
        progress
    }

    fn finish(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
        progress: Progress,
        model: &Model,
    ) -> Vec<Effect> {
        self.progress = self.timed(progress);
        let model = Zeroizing::new(message::encode(model));
        let round = self.progress.round;
        let mut parts = BTreeMap::new();
        for party in self.spec.parties.ascending() {
            let key = SealPublic(self.letters.seat.directory[&party].sealing);
            let kind = Kind::ModelPart;
            match self
                .letters
                .write_bytes(secrets, kind, round, (party, &key), &model)
            {
                Ok(part) => parts.insert(party, part),
                Err(error) => {
                    let reason = because(ReasonCode::Protocol, self.me(), error.to_string());
                    return self.fail(secrets, now, reason);
                }
            };
        }
        let progress = self.progress.clone();
        self.report(
            secrets,
            now,
            EventBody::Finished {
                progress,
                outcome: Outcome::Model(parts),
            },
        )
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
        self.unanswered.clear();
        let joins: Vec<&Join> = self.accepts.values().map(|accept| &accept.join).collect();
        let letter = |join: &&Join| {
            let written = self
                .letters
                .write(secrets, Kind::Leave, join.party, &join.sealing, &());
            let queue = join.address.clone();
            written
                .ok()
                .map(|envelope| Effect::Send { queue, envelope })
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
            // It may come back: the offer is repeated until it does.
            (Stage::Joining, Some(party)) => {
                self.accepts.remove(&party);
                Vec::new()
            }
            (Stage::Beginning | Stage::Running, Some(party)) => {
                let text = format!("the process of party {party} is gone");
                self.fail(secrets, now, because(ReasonCode::SessionLost, party, text))
            }
            (Stage::Reporting(_), _) | (_, None) => Vec::new(),
        }
    }

    pub(super) fn tick(&mut self, secrets: &mut dyn CryptoRng, now: Duration) -> Vec<Effect> {
        let silent = now.saturating_sub(self.moved);
        match &self.stage {
            Stage::Beginning | Stage::Running if silent > self.silence_max() => {
                let missing = self.missing();
                let party = missing.first().copied();
                let text = format!("no answer for {} s", silent.as_secs());
                let reason = Reason {
                    code: ReasonCode::PartySilent,
                    text,
                    party,
                };
                self.fail(secrets, now, reason)
            }
            Stage::Reporting(event) if self.repeat.is_due(now) => {
                vec![Effect::Report((**event).clone())]
            }
            _ if self.repeat.is_due(now) => self.repeat_unanswered(),
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
        Duration::from_secs(ROUND_SILENCE_SECONDS_MAX) + ROUND_TO_READING * slowest
    }

    /// Who owes an answer, as far as the guest can tell.
    fn missing(&self) -> Vec<PartyId> {
        match &self.stage {
            Stage::Joining => {
                let joined = |party: &PartyId| self.accepts.contains_key(party);
                self.others()
                    .into_iter()
                    .filter(|party| !joined(party))
                    .collect()
            }
            Stage::Beginning => self.unready.clone(),
            Stage::Running | Stage::Reporting(_) => Vec::new(),
        }
    }

    pub(super) fn standing(&self, now: Duration) -> Standing {
        let patient = now.saturating_sub(self.moved) < Duration::from_secs(JOIN_WAIT_SECONDS);
        let waiting = if patient { Vec::new() } else { self.missing() };
        Standing {
            progress: self.progress.clone(),
            waiting,
        }
    }

    pub(super) fn idle(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
    ) -> Option<Vec<Effect>> {
        if let Some(agreed) = self.agreed.take() {
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
            Ok(outputs) => outputs.map(|outputs| self.emit(secrets, now, Ok(outputs))),
            Err(error) => Some(self.emit(secrets, now, Err(error))),
        }
    }
}

/// What a checkpoint belongs to: it opens for this job and request only, in any later attempt.
fn checkpoint_context(letters: &Correspondence, spec_hash: &[u8; 32]) -> Vec<u8> {
    message::encode(&("checkpoint 1", letters.fence.job, spec_hash))
}
