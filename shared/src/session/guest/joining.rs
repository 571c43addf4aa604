//! From a grant to the first round: invitations, rows, the key, everybody's join.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rand::CryptoRng;

use super::{Agreed, Guest, Stage, checkpoint_context};
use crate::federated::secure_sum::{Contributor, Opener};
use crate::federated::{self, round};
use crate::id::PartyId;
use crate::job::{Privacy, Protection, Reason, ReasonCode};
use crate::limits::OFFER_REPEAT_SECONDS_MAX;
use crate::mask::{MaskSecret, TagKey};
use crate::message::{EventBody, Grant, Progress, queue};
use crate::seal::{self, SealPublic};
use crate::session::correspondence::{Correspondence, Kind};
use crate::session::intake::Intake;
use crate::session::member::protector;
use crate::session::repeat::Repeat;
use crate::session::setup::{self, Accept, Begin, Counted, Join, Offer};
use crate::session::{Effect, Rows, Seat, because, reason};
use crate::table::Dropped;

impl Guest {
    /// Sits down with a grant: reads rows, makes a key, invites.
    ///
    /// # Errors
    /// A reason to report when the request is none that this party may lead.
    pub(in crate::session) fn new(
        secrets: &mut dyn CryptoRng,
        now: Duration,
        seat: &Seat,
        grant: Grant,
    ) -> Result<(Guest, Vec<Effect>), Reason> {
        let spec = Arc::new(setup::vet(seat, seat.party, &grant.spec)?);
        let mut letters = Correspondence::new(secrets, seat.clone(), grant.fence);
        letters.writers = setup::everybody(&spec);
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
        let earlier = grant.digests.get(&seat.party).cloned();
        let asked = setup::asked(seat, &grant.fence, &spec, spec_hash, earlier);
        let (intake, load) = Intake::new(asked);
        let mut guest = Guest {
            letters,
            spec: Arc::clone(&spec),
            spec_bytes: grant.spec,
            own,
            mask,
            digests: grant.digests,
            intake,
            awaiting: BTreeSet::new(),
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
            repeat: Repeat::of_offers(now),
            progress: Progress::default(),
            moved: now,
            worked: false,
            started: None,
            saved: None,
            durations: Vec::new(),
            round_began: now,
        };
        let mut effects = guest.invite(secrets, &spec.parties.hosts);
        if let Protection::Paillier { key_bits } = spec.protection {
            effects.push(Effect::MakeKey(key_bits));
        }
        effects.push(load);
        Ok((guest, effects))
    }

    /// Offers seats; the offers are repeated until everybody has joined, so that nobody who did
    /// falls asleep.
    fn invite(&mut self, secrets: &mut dyn CryptoRng, parties: &[PartyId]) -> Vec<Effect> {
        let mut effects = Vec::new();
        for &party in parties {
            let offer = Offer {
                spec: self.spec_bytes.clone(),
                guest: self.own.clone(),
                digest: self.digests.get(&party).cloned(),
                inputs: Vec::new(),
            };
            let key = SealPublic(self.letters.seat.directory[&party].sealing);
            let queue = match party {
                PartyId::ARBITER => queue::ARBITER.to_owned(),
                party => queue::host(party),
            };
            let expires = Duration::from_secs(OFFER_REPEAT_SECONDS_MAX);
            let letter = self
                .letters
                .write(secrets, Kind::Offer, party, &key, &offer);
            if let Ok(envelope) = letter {
                let invite = Effect::Invite {
                    queue,
                    envelope,
                    expires,
                };
                effects.push(invite.clone());
                self.unanswered.insert(party, invite);
            }
        }
        effects
    }

    /// Once everybody has joined: says so to the platform, and sends everybody all keys.
    pub(super) fn begin_if_complete(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
    ) -> Vec<Effect> {
        let joined = |party: &PartyId| self.accepts.contains_key(party);
        let keyed = self.key.is_some() || !setup::has_arbiter(&self.spec);
        let ready = matches!(self.stage, Stage::Joining)
            && self.spec.parties.hosts.iter().all(joined)
            && self.rows.is_some()
            && keyed;
        if !ready {
            return Vec::new();
        }
        // Asked last, so that jobs that wait for a hospital take none of its seats.
        if setup::has_arbiter(&self.spec) && !joined(&PartyId::ARBITER) {
            if self.unanswered.contains_key(&PartyId::ARBITER) {
                return Vec::new();
            }
            self.repeat = Repeat::of_offers(now);
            return self.invite(secrets, &[PartyId::ARBITER]);
        }
        let Some(rows) = self.rows.take() else {
            return Vec::new();
        };
        let others = self.others();
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
        let silence_max = self.silence_max();
        self.unanswered.clear();
        for party in &others {
            let shared = (*party != PartyId::ARBITER).then_some(*tag_key.as_bytes());
            let begin = Begin {
                joins: joins.clone(),
                modulus: modulus.clone(),
                tag_key: shared,
                silence_max,
            };
            let (queue, key) = &self.addresses[party];
            if let Ok(envelope) = self
                .letters
                .write(secrets, Kind::Begin, *party, key, &begin)
            {
                let letter = Effect::letter(queue.clone(), envelope);
                self.unanswered.insert(*party, letter);
            }
        }
        self.unready = others;
        self.stage = Stage::Beginning;
        self.moved = now;
        self.repeat = Repeat::from(now);
        self.started = Some(started.clone());
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
    pub(super) fn take_part(&mut self, agreed: Agreed) -> Result<round::Guest, Reason> {
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
        let protector = protector(&self.spec, public).ok_or_else(|| {
            let text = "the keys are not the protection's";
            because(ReasonCode::Internal, seat.party, text)
        })?;
        let contributor = Contributor::new(agreement, protector);
        let opener = Opener::new(self.spec.parties.hosts.len() + 1, key.map(|key| *key));
        // One of another version is as good as none: the same bits come out.
        let saved = self.checkpoint.take();
        let guide = federated::guide(&self.spec, saved.as_ref().map(|bytes| bytes.as_slice()))
            .or_else(|_| federated::guide(&self.spec, None))
            .map_err(fault)?;
        let answer = federated::answer(&self.spec, rows.table, &seat.policy.train);
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
        let own = setup::count(&self.letters.seat, own);
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
        let told = |(party, counted): (&PartyId, &Counted)| Some((*party, counted.told?));
        let told: BTreeMap<PartyId, (u64, Dropped)> = all.iter().filter_map(told).collect();
        EventBody::Started {
            rows: told.iter().map(|(party, told)| (*party, told.0)).collect(),
            dropped: told.iter().map(|(party, told)| (*party, told.1)).collect(),
            digests: all
                .into_iter()
                .map(|(party, counted)| (party, counted.digest))
                .collect(),
            privacy: Some(privacy),
        }
    }
}
