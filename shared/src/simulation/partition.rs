//! Federated equals pooled, bit for bit, after every round: whatever the split of rows, their
//! order, the number of parties and threads, the optimiser and the protection.

use std::collections::{BTreeMap, VecDeque};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::federation::{Federation, KEY_BITS, hyperparameters, rows};
use crate::federated::round::{Arbiter, Guest, Host};
use crate::federated::secure_sum::{Agreement, Contributor, Opener, Protector};
use crate::federated::{self, Output, Participant, logistic_regression::Guide};
use crate::hyperparameters::{Optimizer, Penalty, Start};
use crate::id::{PartyId, Round};
use crate::job::Protection;
use crate::mask::{MaskPublic, MaskSecret, PairSecrets, TagKey};
use crate::model::Model;
use crate::paillier::Encryptor;

/// The participants of one training, without sessions.
struct Parties {
    rng: StdRng,
    all: BTreeMap<PartyId, Box<dyn Participant>>,
    wires: VecDeque<(PartyId, PartyId, Round, Vec<u8>)>,
    history: Vec<Vec<f64>>,
    model: Option<Model>,
}

fn contributors(rng: &mut StdRng, federation: &Federation) -> BTreeMap<PartyId, Contributor> {
    let parties = federation.spec.parties.ascending();
    let secrets: BTreeMap<PartyId, MaskSecret> = parties
        .iter()
        .map(|party| (*party, MaskSecret::generate(rng)))
        .collect();
    let setup_hash = [7; 32];
    let contributor = |me: &PartyId| {
        let others: Vec<(PartyId, MaskPublic)> = secrets
            .iter()
            .filter(|(party, _)| *party != me)
            .map(|(party, secret)| (*party, secret.public()))
            .collect();
        let pairs = PairSecrets::agree(*me, &secrets[me], &others, &setup_hash).unwrap();
        let agreement = Agreement {
            setup_hash,
            pairs,
            tag_key: TagKey::from_bytes([9; 32]),
        };
        let protector = match federation.spec.protection {
            Protection::Paillier { .. } => {
                let key = federation.key().public_key().clone();
                let encryptor = Box::new(Encryptor::new(key.clone(), 10, 2));
                Protector::Paillier { key, encryptor }
            }
            Protection::SecAgg => Protector::SecAgg,
            Protection::None => Protector::None,
        };
        (*me, Contributor::new(agreement, protector))
    };
    parties.iter().map(contributor).collect()
}

impl Parties {
    fn new(seed: u64, federation: &Federation) -> Parties {
        let mut rng = StdRng::seed_from_u64(seed);
        let spec = &federation.spec;
        let (guest, hosts) = (spec.parties.guest, spec.parties.hosts.clone());
        let mut all: BTreeMap<PartyId, Box<dyn Participant>> = BTreeMap::new();
        for (party, contributor) in contributors(&mut rng, federation) {
            let answer = federated::answer(
                spec,
                federation.rows(party).table,
                &federation.policy().train,
            );
            let participant: Box<dyn Participant> = if party == guest {
                let key = matches!(spec.protection, Protection::Paillier { .. });
                let opener = Opener::new(hosts.len() + 1, key.then(|| federation.key()));
                let guide = federated::guide(spec, None).unwrap();
                Box::new(Guest::new(
                    guest,
                    hosts.clone(),
                    contributor,
                    opener,
                    guide,
                    answer,
                ))
            } else {
                Box::new(Host::new(guest, contributor, answer))
            };
            all.insert(party, participant);
        }
        let key = federation.key().public_key().clone();
        let arbiter = Arbiter::new(guest, spec.parties.ascending(), key);
        all.insert(PartyId::ARBITER, Box::new(arbiter));
        Parties {
            rng,
            all,
            wires: VecDeque::new(),
            history: Vec::new(),
            model: None,
        }
    }

    fn take(&mut self, federation: &Federation, from: PartyId, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send {
                    to, round, step, ..
                } => {
                    self.wires.push_back((from, to, round, step));
                }
                Output::RoundFinished { checkpoint, .. } => {
                    let guide = Guide::resume(&federation.spec, &checkpoint).unwrap();
                    self.history.push(guide.weights().to_vec());
                }
                Output::Finished { model, .. } => self.model = Some(*model),
            }
        }
    }

    fn run(mut self, federation: &Federation) -> (Model, Vec<Vec<f64>>) {
        let guest = federation.spec.parties.guest;
        let outputs = self
            .all
            .get_mut(&guest)
            .unwrap()
            .start(&mut self.rng)
            .unwrap();
        self.take(federation, guest, outputs);
        while self.model.is_none() {
            if self.wires.is_empty() || self.rng.random_bool(0.3) {
                for party in self.all.keys().copied().collect::<Vec<_>>() {
                    let participant = self.all.get_mut(&party).unwrap();
                    if let Some(outputs) = participant.idle(&mut self.rng).unwrap() {
                        self.take(federation, party, outputs);
                    }
                }
                continue;
            }
            let index = self.rng.random_range(0..self.wires.len());
            let (from, to, round, step) = self.wires.remove(index).unwrap();
            let participant = self.all.get_mut(&to).unwrap();
            let outputs = participant
                .receive(&mut self.rng, from, round, &step)
                .unwrap();
            self.take(federation, to, outputs);
        }
        (self.model.unwrap(), self.history)
    }
}

/// The weights after every update, without the rounds that only count.
fn updates(history: &[Vec<f64>], counting: usize) -> Vec<Vec<u64>> {
    history[counting..]
        .iter()
        .map(|w| w.iter().map(|w| w.to_bits()).collect())
        .collect()
}

fn equals_pooled(seed: u64, federation: &Federation) {
    let (expected, reference) = federation.reference();
    let (model, history) = Parties::new(seed, federation).run(federation);
    let counting = if federation.spec.hyperparameters.standardize {
        3
    } else {
        1
    };
    assert_eq!(updates(&history, counting), updates(&reference, 0));
    assert!(model == expected);
}

#[test]
fn every_optimiser_protection_and_split_gives_the_pooled_bits_after_every_round() {
    let mut seed = 0;
    for optimizer in Optimizer::ALL {
        for protection in [
            Protection::Paillier { key_bits: KEY_BITS },
            Protection::SecAgg,
        ] {
            for hosts in 2..=5 {
                seed += 1;
                let mut parameters = hyperparameters(optimizer);
                parameters.batch_rows = [None, Some(100), Some(150)][seed as usize % 3];
                parameters.standardize = seed % 4 != 0;
                parameters.penalty = [
                    Penalty::L1 { alpha: 0.02 },
                    Penalty::L2 { alpha: 0.1 },
                    Penalty::None,
                ][seed as usize / 2 % 3];
                let federation =
                    Federation::new(seed, hosts, protection, parameters, rows(3, 300, 3));
                equals_pooled(seed, &federation);
            }
        }
    }
}

#[test]
fn every_start_gives_the_pooled_bits() {
    let starts = [
        Start::Zeros,
        Start::Ones,
        Start::Constant { value: -0.3 },
        Start::RandomUniform,
        Start::RandomNormal,
    ];
    for (seed, start) in (0..).zip(starts) {
        for intercept in [true, false] {
            let parameters = crate::hyperparameters::Hyperparameters {
                start,
                intercept,
                ..hyperparameters(Optimizer::Sgd)
            };
            let federation =
                Federation::new(seed, 2, Protection::SecAgg, parameters, rows(4, 180, 2));
            equals_pooled(seed, &federation);
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    // Large enough that sums are split over threads.
    let pooled = rows(5, 6_000, 12);
    let mut parameters = hyperparameters(Optimizer::Sgd);
    parameters.batch_rows = Some(2_000);
    let federation = Federation::new(6, 2, Protection::SecAgg, parameters, pooled);
    for threads in 1..=8 {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| equals_pooled(threads as u64, &federation));
    }
}

#[test]
fn the_same_request_sent_twice_gives_the_same_bits() {
    let federation = |seed| {
        let parameters = hyperparameters(Optimizer::Rmsprop);
        Federation::new(seed, 3, Protection::SecAgg, parameters, rows(7, 280, 3))
    };
    let (first, second) = (federation(1), federation(2));
    let (one, two) = (
        Parties::new(1, &first).run(&first),
        Parties::new(99, &second).run(&second),
    );
    assert!(one.0 == two.0 && one.1 == two.1);
}
