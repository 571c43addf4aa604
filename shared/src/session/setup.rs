//! What parties agree on before the first round, and how each of them checks it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use super::intake::Asked;
use super::{Directory, Reading, Rows, Seat, because};
use crate::admission::Summary;
use crate::federated::secure_sum::Agreement;
use crate::id::PartyId;
use crate::job::{Cohort, Fence, Protection, Reason, ReasonCode, Spec, TrainSpec};
use crate::limits::PARTIES_MAX;
use crate::mask::{self, MaskPublic, MaskSecret, PairSecrets, Setup, SetupParty, TagKey};
use crate::message::{self, queue};
use crate::paillier::PublicKey;
use crate::policy::RowCounts;
use crate::seal::SealPublic;
use crate::sharing::Bundle;
use crate::table::{Dropped, Label};

/// A party's public part in a session, signed, so that nobody on the way (the guest included) can
/// put its own keys in another's place.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Join {
    pub(super) party: PartyId,
    /// SHA-256 of the job's specification as this party read it.
    pub(super) spec_hash: [u8; 32],
    pub(super) mask: MaskPublic,
    pub(super) sealing: SealPublic,
    /// The queue of the process that the party sits in.
    pub(super) address: String,
    signature: Vec<u8>,
}

impl Join {
    pub(super) fn sign(
        seat: &Seat,
        fence: &Fence,
        spec_hash: [u8; 32],
        mask: MaskPublic,
        sealing: SealPublic,
    ) -> Join {
        let address = seat.address.clone();
        let mut join = Join {
            party: seat.party,
            spec_hash,
            mask,
            sealing,
            address,
            signature: Vec::new(),
        };
        join.signature = seat.identity.attest(&join.statement(fence)).to_vec();
        join
    }

    /// Whether this is a genuine join of its party to this very session and specification.
    pub(super) fn is_genuine(
        &self,
        directory: &Directory,
        fence: &Fence,
        spec_hash: &[u8; 32],
    ) -> bool {
        let signature = self.signature.as_slice().try_into();
        // A party's own session queues only: not a queue that others read.
        let own_queue = self.address.starts_with(&queue::sessions_of(self.party));
        own_queue
            && self.spec_hash == *spec_hash
            && directory.get(&self.party).is_some_and(|public| {
                signature.is_ok_and(|signature| public.attested(&self.statement(fence), signature))
            })
    }

    fn statement(&self, fence: &Fence) -> Vec<u8> {
        let said = (
            b"join",
            fence,
            self.party,
            self.spec_hash,
            self.mask,
            self.sealing,
            &self.address,
        );
        message::encode(&said)
    }
}

/// Body of an offer.
#[derive(Serialize, Deserialize)]
pub(super) struct Offer {
    /// The job's canonical request.
    pub(super) spec: Vec<u8>,
    pub(super) guest: Join,
    /// The reader's data digest of an earlier attempt.
    pub(super) digest: Option<Vec<u8>>,
    /// Of a joint computation: the participants' inputs, with the reader's part alone.
    pub(super) inputs: Vec<Bundle>,
}

/// Body of an accept.
#[derive(Serialize, Deserialize)]
pub(super) struct Accept {
    pub(super) join: Join,
    /// `None` from the arbiter.
    pub(super) rows: Option<Counted>,
}

/// What a data party says about its rows.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Counted {
    /// How many it uses and how many it left out; `None` where its policy hides it.
    pub(super) told: Option<(u64, Dropped)>,
    pub(super) digest: Vec<u8>,
    pub(super) took: Duration,
}

/// Body of a begin.
#[derive(Serialize, Deserialize)]
pub(super) struct Begin {
    /// Everybody's join, ascending by party; the arbiter's too, where there is one.
    pub(super) joins: Vec<Join>,
    /// The guest's Paillier modulus.
    pub(super) modulus: Option<Vec<u8>>,
    /// The key of tags and contexts; the arbiter gets none.
    pub(super) tag_key: Option<[u8; 32]>,
    /// How long the guest waits for the slowest round.
    pub(super) silence_max: Duration,
}

impl Drop for Begin {
    fn drop(&mut self) {
        self.tag_key.zeroize();
    }
}

/// SHA-256 of a specification's bytes.
pub(super) fn hash(spec: &[u8]) -> [u8; 32] {
    Sha256::digest(spec).into()
}

/// Reads a training specification and checks what this party can: that it has a part in it, knows
/// everybody, and allows what is asked.
pub(super) fn vet(seat: &Seat, guest: PartyId, spec: &[u8]) -> Result<TrainSpec, Reason> {
    let me = seat.party;
    let refused = |text: &str| Err(because(ReasonCode::RequestRefused, me, text));
    let Ok(Spec::Train(spec)) = serde_json::from_slice(spec) else {
        return refused("the request is none that this version reads");
    };
    let parties = spec.parties.ascending();
    if parties.contains(&PartyId::ARBITER) || !(2..=PARTIES_MAX).contains(&parties.len()) {
        return refused(
            "the request names too few or too many data parties, or the arbiter as one",
        );
    }
    if spec.parties.guest != guest || spec.parties.role(me).is_none() {
        return refused("the request gives this party no part");
    }
    if parties
        .iter()
        .any(|party| !seat.directory.contains_key(party))
    {
        return refused("the request names a party that is not in the directory");
    }
    if !spec.cohorts.keys().copied().eq(parties.iter().copied()) {
        return refused("the request does not say what each party reads");
    }
    if me != PartyId::ARBITER {
        seat.policy.vet_training(me, &spec)?;
    }
    Ok(spec)
}

/// What a data party reads for a training, and what it asks its ledger about.
pub(super) fn asked(
    seat: &Seat,
    fence: &Fence,
    spec: &TrainSpec,
    request: [u8; 32],
    earlier: Option<Vec<u8>>,
) -> Asked {
    let (me, policy) = (seat.party, &seat.policy);
    let Cohort { pos, neg } = &spec.cohorts[&me];
    let needed = policy.spelled_needed(pos, &spec.needed());
    let column = needed.label.clone();
    let reading = Reading::Training {
        cohort: Box::new(Cohort {
            pos: policy.spelled(pos),
            neg: policy.spelled(neg),
        }),
        label: Label {
            column: column.unwrap_or_else(|| spec.label.column.clone()),
            value: spec.label.value.clone(),
        },
        needed,
    };
    Asked {
        fence: *fence,
        guest: spec.parties.guest,
        parties: spec.parties.ascending(),
        request,
        earlier,
        model: None,
        summary: Summary::of_training(spec, me, policy.relations(me, spec), 0),
        reading: Box::new(reading),
    }
}

/// What a party tells of its rows.
pub(super) fn count(seat: &Seat, rows: &Rows) -> Counted {
    let told = match seat.policy.disclose.row_counts {
        RowCounts::Exact => Some((rows.table.ids.len() as u64, rows.dropped)),
        RowCounts::Hidden => None,
    };
    Counted {
        told,
        digest: rows.digest.clone(),
        took: rows.took,
    }
}

/// Whether the arbiter takes part.
pub(super) fn has_arbiter(spec: &TrainSpec) -> bool {
    match spec.protection {
        Protection::Paillier { .. } => true,
        Protection::SecAgg | Protection::None => false,
    }
}

/// Everybody in a session: data parties, and the arbiter where it takes part; ascending.
pub(super) fn everybody(spec: &TrainSpec) -> Vec<PartyId> {
    let mut all = spec.parties.ascending();
    if has_arbiter(spec) {
        all.insert(0, PartyId::ARBITER);
    }
    all
}

/// Checks that the joins are exactly everybody's, ascending, genuine, and one's own unchanged.
pub(super) fn check_joins(
    seat: &Seat,
    fence: &Fence,
    everybody: &[PartyId],
    own: &Join,
    joins: &[Join],
) -> Result<(), Reason> {
    let listed: Vec<PartyId> = joins.iter().map(|join| join.party).collect();
    let genuine = listed == everybody
        && joins
            .iter()
            .all(|join| join.is_genuine(&seat.directory, fence, &own.spec_hash))
        && joins.iter().any(|join| join == own);
    if genuine {
        return Ok(());
    }
    let text = "the list of parties is not the one that everybody signed";
    Err(because(ReasonCode::Protocol, seat.party, text))
}

/// Derives what the data parties share; each of them does it by itself, from the same joins.
pub(super) fn agree(
    seat: &Seat,
    fence: &Fence,
    joins: &[Join],
    secret: &MaskSecret,
    key: Option<&PublicKey>,
    tag_key: TagKey,
) -> Result<Agreement, Reason> {
    let fault = |error: mask::Error| because(ReasonCode::Protocol, seat.party, error.to_string());
    let data: Vec<&Join> = joins
        .iter()
        .filter(|join| join.party != PartyId::ARBITER)
        .collect();
    let parties: Vec<SetupParty> = data
        .iter()
        .map(|join| SetupParty {
            id: join.party,
            signing: seat.directory[&join.party].signing,
            mask: join.mask,
            sealing: join.sealing.0,
        })
        .collect();
    let setup = Setup {
        spec_hash: joins[0].spec_hash,
        job: fence.job,
        attempt: fence.attempt,
        session: fence.session,
        parties: &parties,
        modulus: key.map(PublicKey::modulus),
    };
    let setup_hash = mask::setup_hash(&setup).map_err(fault)?;
    let others: Vec<(PartyId, MaskPublic)> = data
        .iter()
        .filter(|join| join.party != seat.party)
        .map(|join| (join.party, join.mask))
        .collect();
    let pairs = PairSecrets::agree(seat.party, secret, &others, &setup_hash).map_err(fault)?;
    Ok(Agreement {
        setup_hash,
        pairs,
        tag_key,
    })
}

/// Where each party's letters go, and to which key.
pub(super) fn addresses(joins: &[Join]) -> BTreeMap<PartyId, (String, SealPublic)> {
    joins
        .iter()
        .map(|join| (join.party, (join.address.clone(), join.sealing)))
        .collect()
}
