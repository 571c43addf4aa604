//! A joint computation: three workers' seats, of which the first one leads.
//!
//! ```text
//! guest (worker 0)              host (workers 1 and 2)
//!   Offer, with its parts of the inputs ->
//!   <- Accept
//!   Begin  ---------------------> checks every key
//!   Step   <--------------------> Step, each worker to each other, in any order
//!   <- Opened: a hash of the result
//!   Leave  ---------------------> gone
//! ```
//!
//! Nobody asks for a step: each worker sends what it can as soon as it can, and repeats all that it
//! sent until the guest leaves. A worker's ledger has its inputs on record before the first step
//! leaves, so that no run of a job is computed with two sets of inputs.

mod guest;
mod host;

use std::collections::BTreeMap;

use rand::CryptoRng;
use uuid::Uuid;
use zeroize::Zeroizing;

pub use guest::Lead;
pub use host::Host;

use super::correspondence::{Correspondence, Kind};
use super::setup::{self, Begin, Join};
use super::{Effect, Seat, because};
use crate::admission::Pledge;
use crate::computation::Shape;
use crate::id::{JobId, PartyId, Round};
use crate::job::{ComputeSpec, Fence, Reason, ReasonCode, Spec};
use crate::joint::{self, Worker};
use crate::limits::{COMPUTATION_ATTEMPTS_MAX, EARLY_STEPS_MAX, STEP_BYTES_MAX};
use crate::mask::{MaskPublic, MaskSecret, Setup, SetupParty, setup_hash};
use crate::seal::SealPublic;
use crate::sharing::{self, Bundle, Input, Seeds};

/// Reads the request of a joint computation and checks what this party can.
fn vet(seat: &Seat, fence: &Fence, guest: PartyId, spec: &[u8]) -> Result<ComputeSpec, Reason> {
    let me = seat.party;
    let refused = |text: &str| Err(because(ReasonCode::RequestRefused, me, text));
    if fence.attempt.0 > COMPUTATION_ATTEMPTS_MAX {
        return refused("the run was attempted too often");
    }
    let Ok(Spec::Compute(spec)) = serde_json::from_slice(spec) else {
        return refused("the request is none that this version reads");
    };
    let [first, second, third] = spec.workers;
    if first == second || first == third || second == third {
        return refused("the request names a worker twice");
    }
    if spec.workers.contains(&PartyId::ARBITER) {
        return refused("the request names the arbiter as a worker");
    }
    if first != guest || !spec.workers.contains(&me) {
        return refused("the request gives this party no part");
    }
    let known = |party: &PartyId| seat.directory.contains_key(party);
    if !spec.workers.iter().all(known) {
        return refused("the request names a party that is not in the directory");
    }
    seat.policy.vet_computing(me, &spec.parties)?;
    Ok(spec)
}

/// One worker's place in one attempt.
struct Place {
    letters: Correspondence,
    spec: ComputeSpec,
    own: Join,
    mask: MaskSecret,
    /// This party's place among the workers.
    index: usize,
    /// Its parts of everybody's inputs, until it computes.
    inputs: Option<[Input; 3]>,
    /// What tells these inputs from any others.
    digest: [u8; 32],
    /// What tells this attempt's setting from any other, once everybody's keys are known.
    setup: [u8; 32],
    worker: Option<Worker>,
    /// Steps that came before this worker could take any.
    early: Vec<(usize, Round, Zeroizing<Vec<u8>>)>,
    addresses: BTreeMap<PartyId, (String, SealPublic)>,
    /// Every step that was sent, to be repeated.
    sent: Vec<Effect>,
}

/// A worker's parts of all inputs.
struct Inputs {
    /// This party's place among the workers.
    index: usize,
    /// Of the participants, in their order.
    opened: [Input; 3],
    /// What tells these inputs from any others.
    digest: [u8; 32],
}

impl Inputs {
    /// Opens this party's parts, and checks that they fit the operation.
    fn open(seat: &Seat, spec: &ComputeSpec, bundles: &[Bundle]) -> Result<Inputs, Reason> {
        let me = seat.party;
        let fault = |text: &str| because(ReasonCode::InputRefused, me, text);
        let index = spec.workers.iter().position(|worker| *worker == me);
        let index = index.ok_or_else(|| fault("the request gives this party no part"))?;
        let bundles: &[Bundle; 3] = bundles
            .try_into()
            .map_err(|_| fault("the inputs are not those of three participants"))?;
        let shapes = bundles.each_ref().map(|bundle| Shape {
            rows: bundle.rows,
            columns: bundle.columns,
        });
        spec.operation
            .result(shapes)
            .map_err(|error| fault(&error.to_string()))?;
        let (secret, domain) = (seat.identity.sealing(), spec.operation.domain());
        let open = |position: usize| {
            let context = spec.input_context(position);
            let opened = sharing::open(secret, index, domain, &context, &bundles[position]);
            opened.map_err(|error| {
                fault(&format!("the input of P{position} cannot be used: {error}"))
            })
        };
        Ok(Inputs {
            index,
            opened: [open(0)?, open(1)?, open(2)?],
            digest: digest(spec, bundles),
        })
    }
}

impl Place {
    fn new(
        secrets: &mut dyn CryptoRng,
        mut letters: Correspondence,
        spec: ComputeSpec,
        spec_hash: [u8; 32],
        inputs: Inputs,
    ) -> Place {
        letters.writers = spec.workers.to_vec();
        letters.go_freely();
        let mask = MaskSecret::generate(secrets);
        let own = Join::sign(
            &letters.seat,
            &letters.fence,
            spec_hash,
            mask.public(),
            letters.sealing(),
        );
        Place {
            letters,
            spec,
            own,
            mask,
            index: inputs.index,
            inputs: Some(inputs.opened),
            digest: inputs.digest,
            setup: [0; 32],
            worker: None,
            early: Vec::new(),
            addresses: BTreeMap::new(),
            sent: Vec::new(),
        }
    }

    fn me(&self) -> PartyId {
        self.letters.seat.party
    }

    fn others(&self) -> impl Iterator<Item = PartyId> {
        let me = self.me();
        let workers = self.spec.workers;
        workers.into_iter().filter(move |party| *party != me)
    }

    /// Checks everybody's keys, and computes as far as nobody else is needed.
    fn begin(&mut self, secrets: &mut dyn CryptoRng, begin: &Begin) -> Result<Vec<Effect>, Reason> {
        let Some(inputs) = self.inputs.take() else {
            return Ok(Vec::new());
        };
        let me = self.me();
        let (seat, fence) = (&self.letters.seat, &self.letters.fence);
        let mut everybody = self.spec.workers.to_vec();
        everybody.sort_unstable();
        setup::check_joins(seat, fence, &everybody, &self.own, &begin.joins)?;
        let fault = |error: sharing::Error| because(ReasonCode::Protocol, me, error.to_string());
        self.setup = self.setup_hash(begin)?;
        let at = |index: usize| -> (PartyId, MaskPublic) {
            let party = self.spec.workers[index % 3];
            let mask = begin.joins.iter().find(|join| join.party == party);
            // The joins were checked to be everybody's.
            (party, mask.map_or(self.own.mask, |join| join.mask))
        };
        let (previous, next) = (at(self.index + 2), at(self.index + 1));
        let seeds =
            Seeds::agree(self.index, &self.mask, previous, next, &self.setup).map_err(fault)?;
        self.addresses = setup::addresses(&begin.joins);
        let worker = Worker::new(self.index, self.spec.operation, inputs, seeds);
        let mut worker = worker.map_err(|error| broken(me, &error))?;
        let messages = worker.start().map_err(|error| broken(me, &error))?;
        self.worker = Some(worker);
        let mut effects = self.send(secrets, messages)?;
        for (from, round, body) in std::mem::take(&mut self.early) {
            effects.extend(self.take(secrets, from, round, &body)?);
        }
        Ok(effects)
    }

    /// Binds everything the attempt depends on: the request, the inputs, the parties and their keys.
    fn setup_hash(&self, begin: &Begin) -> Result<[u8; 32], Reason> {
        let me = self.me();
        let Fence {
            job,
            attempt,
            session,
        } = self.letters.fence;
        let parties: Vec<SetupParty> = begin
            .joins
            .iter()
            .map(|join| SetupParty {
                id: join.party,
                signing: self.letters.seat.directory[&join.party].signing,
                mask: join.mask,
                sealing: join.sealing.0,
            })
            .collect();
        setup_hash(&Setup {
            // Covers the request: what every input is bound to names it.
            spec_hash: self.digest,
            job,
            attempt,
            session,
            parties: &parties,
            modulus: None,
        })
        .map_err(|error| because(ReasonCode::Protocol, me, error.to_string()))
    }

    /// Takes another worker's step.
    fn step(
        &mut self,
        secrets: &mut dyn CryptoRng,
        (from, round): (PartyId, Round),
        body: &[u8],
    ) -> Result<Vec<Effect>, Reason> {
        let place = self.spec.workers.iter().position(|party| *party == from);
        let Some(place) = place else {
            return Ok(Vec::new());
        };
        if self.worker.is_some() {
            return self.take(secrets, place, round, body);
        }
        if body.len() > STEP_BYTES_MAX || self.early.len() >= EARLY_STEPS_MAX {
            let text =
                format!("party {from} sent longer or earlier steps than any computation has");
            return Err(because(ReasonCode::Protocol, from, text));
        }
        self.early
            .push((place, round, Zeroizing::new(body.to_vec())));
        Ok(Vec::new())
    }

    fn take(
        &mut self,
        secrets: &mut dyn CryptoRng,
        from: usize,
        round: Round,
        body: &[u8],
    ) -> Result<Vec<Effect>, Reason> {
        let me = self.me();
        let Some(worker) = &mut self.worker else {
            return Ok(Vec::new());
        };
        let messages = worker.receive(from, round.0, body);
        let messages = messages.map_err(|error| broken(me, &error))?;
        self.send(secrets, messages)
    }

    fn send(
        &mut self,
        secrets: &mut dyn CryptoRng,
        messages: Vec<joint::Message>,
    ) -> Result<Vec<Effect>, Reason> {
        let mut effects = Vec::new();
        for message in messages {
            let to = self.spec.workers[message.to];
            let Some((queue, key)) = self.addresses.get(&to) else {
                continue;
            };
            let (kind, round) = (Kind::Step, Round(message.round));
            let written = self
                .letters
                .write_bytes(secrets, kind, round, (to, key), &message.body);
            let envelope = written
                .map_err(|error| because(ReasonCode::Protocol, self.me(), error.to_string()))?;
            effects.push(Effect::Send {
                queue: queue.clone(),
                envelope,
                pledge: Some(self.attempt_pledge()),
            });
        }
        self.sent.extend(effects.iter().cloned());
        Ok(effects)
    }

    /// What the ledger knows a run by, whatever jobs the platform makes of it.
    fn run(&self) -> JobId {
        let ComputeSpec { panel, round, .. } = &self.spec;
        let run = setup::hash(format!("concord/v1 run {panel} {round}").as_bytes());
        let run: [u8; 16] = std::array::from_fn(|index| run[index]);
        JobId(Uuid::from_bytes(run))
    }

    /// What the ledger has on record before this party answers for its inputs: one set of them.
    fn inputs_pledge(&self) -> Pledge {
        Pledge::of_inputs(self.run(), self.digest)
    }

    /// What it has on record before a step leaves: one setting for one attempt, so that nobody opens
    /// a run as often as it likes.
    fn attempt_pledge(&self) -> Pledge {
        let attempt = self.letters.fence.attempt;
        Pledge::of_attempt(self.run(), attempt, self.setup)
    }

    /// A letter to another worker that is no step.
    fn letter<T: serde::Serialize>(
        &self,
        secrets: &mut dyn CryptoRng,
        kind: Kind,
        to: (PartyId, &str, &SealPublic),
        body: &T,
    ) -> Option<Effect> {
        let (party, queue, key) = to;
        let written = self.letters.write(secrets, kind, party, key, body);
        let pledge = match kind {
            Kind::Accept | Kind::Begin => Some(self.inputs_pledge()),
            _ => None,
        };
        Some(Effect::Send {
            queue: queue.to_owned(),
            envelope: written.ok()?,
            pledge,
        })
    }
}

/// What tells the inputs of a run from any others: what each is bound to, its shape and commitments.
fn digest(spec: &ComputeSpec, bundles: &[Bundle; 3]) -> [u8; 32] {
    let each = |position: usize| bundles[position].digest(&spec.input_context(position));
    setup::hash(&[each(0), each(1), each(2)].concat())
}

/// A worker's fault as a reason in the report.
fn broken(party: PartyId, error: &joint::Error) -> Reason {
    because(error.code(), party, error.to_string())
}
