//! The first worker's session: it claimed the job, leads, and reports the result.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::CryptoRng;

use super::{Inputs, Place, vet};
use crate::id::{PartyId, Round};
use crate::job::{Phase, Reason, ReasonCode};
use crate::limits::{
    JOIN_WAIT_SECONDS, OFFER_REPEAT_SECONDS_MAX, REASON_CHARACTERS_MAX, ROUND_SILENCE_SECONDS_MAX,
};
use crate::message::{self, EventBody, Grant, Outcome, Progress, queue};
use crate::seal::SealPublic;
use crate::session::correspondence::{Correspondence, Kind, Received};
use crate::session::repeat::Repeat;
use crate::session::setup::{self, Accept, Begin, Join, Offer};
use crate::session::{Effect, Input, Seat, Standing, because, stopped};
use crate::sharing::Bundle;

/// The leading worker's side of one session.
pub struct Lead {
    place: Place,
    accepts: BTreeMap<PartyId, Join>,
    /// Unanswered offers, and what began the computation, by the party that owes the answer.
    unanswered: BTreeMap<PartyId, Effect>,
    /// Each other worker's hash of the result.
    opened: BTreeMap<PartyId, [u8; 32]>,
    stage: Stage,
    repeat: Repeat,
    /// When something new happened last.
    moved: Duration,
}

/// What the guest is waiting for.
enum Stage {
    /// Both others' accepts.
    Joining,
    /// The result.
    Running,
    /// Word that the platform took its last event, which it repeats until then.
    Reporting(Box<EventBody>),
}

impl Lead {
    /// Sits down with a grant: opens its parts of the inputs, and invites.
    ///
    /// # Errors
    /// A reason to report when this party may not lead the job, or cannot use the inputs.
    pub(in crate::session) fn new(
        secrets: &mut dyn CryptoRng,
        now: Duration,
        seat: &Seat,
        grant: Grant,
    ) -> Result<(Lead, Vec<Effect>), Reason> {
        let spec = vet(seat, &grant.fence, seat.party, &grant.spec)?;
        let inputs = Inputs::open(seat, &spec, &grant.inputs)?;
        let letters = Correspondence::new(secrets, seat.clone(), grant.fence);
        let spec_hash = setup::hash(&grant.spec);
        let place = Place::new(secrets, letters, spec, spec_hash, inputs);
        let mut lead = Lead {
            place,
            accepts: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            opened: BTreeMap::new(),
            stage: Stage::Joining,
            repeat: Repeat::of_offers(now),
            moved: now,
        };
        let effects = lead.invite(secrets, &grant)?;
        Ok((lead, effects))
    }

    fn invite(
        &mut self,
        secrets: &mut dyn CryptoRng,
        grant: &Grant,
    ) -> Result<Vec<Effect>, Reason> {
        let place = &self.place;
        for (index, party) in place.spec.workers.into_iter().enumerate() {
            if party == place.me() {
                continue;
            }
            let offer = Offer {
                spec: grant.spec.clone(),
                guest: place.own.clone(),
                digest: None,
                inputs: grant.inputs.iter().map(|all| part(all, index)).collect(),
            };
            let key = SealPublic(place.letters.seat.directory[&party].sealing);
            let written = place
                .letters
                .write(secrets, Kind::Offer, party, &key, &offer);
            let envelope = written.map_err(|error| {
                because(ReasonCode::InputRefused, place.me(), error.to_string())
            })?;
            let invite = Effect::Invite {
                queue: queue::host(party),
                envelope,
                expires: Duration::from_secs(OFFER_REPEAT_SECONDS_MAX),
            };
            self.unanswered.insert(party, invite);
        }
        Ok(self.unanswered.values().cloned().collect())
    }

    pub(in crate::session) fn handle(
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
        let handled = match input {
            Input::Envelope(envelope) => match self.place.letters.read(&envelope) {
                Ok(Received::New {
                    kind,
                    from,
                    round,
                    body,
                }) => {
                    self.moved = now;
                    self.act(secrets, now, kind, (from, round), &body)
                }
                Ok(Received::Repeat { .. } | Received::Nothing) => Ok(Vec::new()),
                Err(reason) => Err(reason),
            },
            Input::Unpledged(reason) => Err(reason),
            Input::Returned { queue } => self.returned(&queue),
            Input::Ended => {
                let mut effects = self.leave(secrets);
                effects.push(Effect::Close);
                Ok(effects)
            }
            // Said once: should it be lost, the lease ends the attempt.
            Input::Stop => {
                let mut effects = self.report(secrets, now, stopped(self.place.me()));
                effects.push(Effect::Close);
                Ok(effects)
            }
            _ => Ok(Vec::new()),
        };
        handled.unwrap_or_else(|reason| self.report(secrets, now, EventBody::Failed { reason }))
    }

    fn act(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
        kind: Kind,
        (from, round): (PartyId, Round),
        body: &[u8],
    ) -> Result<Vec<Effect>, Reason> {
        match (kind, &self.stage) {
            (Kind::Accept, Stage::Joining) => {
                let Ok(Accept { join, .. }) = message::decode(body) else {
                    return Ok(Vec::new());
                };
                let own = &self.place.own;
                let (fence, seat) = (&self.place.letters.fence, &self.place.letters.seat);
                if join.party != from || !join.is_genuine(&seat.directory, fence, &own.spec_hash) {
                    return Ok(Vec::new());
                }
                self.accepts.insert(from, join);
                self.begin_if_complete(secrets, now)
            }
            (Kind::Step, Stage::Running) => {
                // It has begun.
                self.unanswered.remove(&from);
                let mut effects = self.place.step(secrets, (from, round), body)?;
                effects.extend(self.finish_if_opened(secrets, now)?);
                Ok(effects)
            }
            (Kind::Opened, Stage::Running) => {
                if let Ok(digest) = message::decode(body) {
                    self.opened.insert(from, digest);
                }
                self.finish_if_opened(secrets, now)
            }
            (Kind::Refuse, _) => match message::decode::<Reason>(body) {
                Ok(reason) => Err(Reason {
                    text: reason.text.chars().take(REASON_CHARACTERS_MAX).collect(),
                    // It speaks for itself alone.
                    party: Some(from),
                    ..reason
                }),
                Err(_) => Ok(Vec::new()),
            },
            _ => Ok(Vec::new()),
        }
    }

    fn begin_if_complete(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
    ) -> Result<Vec<Effect>, Reason> {
        let others: Vec<PartyId> = self.place.others().collect();
        if !others.iter().all(|party| self.accepts.contains_key(party)) {
            return Ok(Vec::new());
        }
        let mut joins: Vec<Join> = self.accepts.values().cloned().collect();
        joins.push(self.place.own.clone());
        joins.sort_by_key(|join| join.party);
        let begin = Begin {
            joins,
            modulus: None,
            tag_key: None,
            silence_max: Duration::from_secs(ROUND_SILENCE_SECONDS_MAX),
        };
        self.unanswered.clear();
        for join in self.accepts.values() {
            let to = (join.party, join.address.as_str(), &join.sealing);
            if let Some(letter) = self.place.letter(secrets, Kind::Begin, to, &begin) {
                self.unanswered.insert(join.party, letter);
            }
        }
        self.stage = Stage::Running;
        self.repeat = Repeat::from(now);
        let mut effects: Vec<Effect> = self.unanswered.values().cloned().collect();
        effects.extend(self.place.begin(secrets, &begin)?);
        effects.extend(self.finish_if_opened(secrets, now)?);
        Ok(effects)
    }

    /// Reports the result once all three workers have the same.
    fn finish_if_opened(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
    ) -> Result<Vec<Effect>, Reason> {
        let Some(result) = self
            .place
            .worker
            .as_ref()
            .and_then(|worker| worker.result())
        else {
            return Ok(Vec::new());
        };
        let digest = result.digest();
        let other = self.opened.iter().find(|(_, opened)| **opened != digest);
        if let Some((party, _)) = other {
            let text = format!("party {party} opened another result");
            return Err(because(ReasonCode::AggIntegrity, *party, text));
        }
        if self
            .place
            .others()
            .any(|party| !self.opened.contains_key(&party))
        {
            return Ok(Vec::new());
        }
        let outcome = Outcome::Computed {
            exact: result.exact_json(),
            text: result.text(),
        };
        let progress = progress();
        Ok(self.report(secrets, now, EventBody::Finished { progress, outcome }))
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

    fn leave(&mut self, secrets: &mut dyn CryptoRng) -> Vec<Effect> {
        self.unanswered.clear();
        self.place.sent.clear();
        self.place.worker = None;
        self.place.inputs = None;
        let joins = self.accepts.values();
        joins
            .filter_map(|join| {
                let to = (join.party, join.address.as_str(), &join.sealing);
                self.place.letter(secrets, Kind::Leave, to, &())
            })
            .collect()
    }

    /// A process died that this session writes to.
    fn returned(&self, queue: &str) -> Result<Vec<Effect>, Reason> {
        let gone = self.accepts.values().find(|join| join.address == queue);
        match (&self.stage, gone) {
            (Stage::Running, Some(join)) => {
                let text = format!("the process of party {} is gone", join.party);
                Err(because(ReasonCode::SessionLost, join.party, text))
            }
            (Stage::Joining | Stage::Running | Stage::Reporting(_), _) => Ok(Vec::new()),
        }
    }

    pub(in crate::session) fn tick(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
    ) -> Vec<Effect> {
        let silent = now.saturating_sub(self.moved);
        let silence_max = Duration::from_secs(ROUND_SILENCE_SECONDS_MAX);
        match &self.stage {
            Stage::Running if silent > silence_max => {
                let seconds = silent.as_secs();
                let reason = Reason {
                    code: ReasonCode::PartySilent,
                    text: format!("no word of the other workers for {seconds} s"),
                    party: None,
                };
                self.report(secrets, now, EventBody::Failed { reason })
            }
            Stage::Reporting(event) if self.repeat.is_due(now) => {
                vec![Effect::Report((**event).clone())]
            }
            Stage::Joining | Stage::Running if self.repeat.is_due(now) => {
                let unanswered = self.unanswered.values();
                unanswered.chain(&self.place.sent).cloned().collect()
            }
            Stage::Joining | Stage::Running | Stage::Reporting(_) => Vec::new(),
        }
    }

    pub(in crate::session) fn standing(&self, now: Duration) -> Standing {
        let patient = now.saturating_sub(self.moved) < Duration::from_secs(JOIN_WAIT_SECONDS);
        let waiting = match &self.stage {
            Stage::Joining | Stage::Running if !patient => match self.unanswered.is_empty() {
                true => self.place.others().collect(),
                false => self.unanswered.keys().copied().collect(),
            },
            Stage::Joining | Stage::Running | Stage::Reporting(_) => Vec::new(),
        };
        Standing {
            progress: progress(),
            waiting,
            awaiting: false,
        }
    }
}

fn progress() -> Progress {
    Progress {
        phase: Phase::Computing,
        ..Progress::default()
    }
}

/// An input as worker `index` may have it.
fn part(bundle: &Bundle, index: usize) -> Bundle {
    let mut sealed: [Vec<u8>; 3] = Default::default();
    sealed[index].clone_from(&bundle.sealed[index]);
    Bundle {
        rows: bundle.rows,
        columns: bundle.columns,
        commitments: bundle.commitments,
        sealed,
    }
}
