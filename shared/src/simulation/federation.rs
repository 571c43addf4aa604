//! Parties, rows and a request for simulations: small, seeded, real.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ndarray::Array2;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use super::panel::Panel;
use crate::hyperparameters::{Convergence, Hyperparameters, Optimizer, Penalty, Start};
use crate::id::{Attempt, JobId, PartyId, SessionId};
use crate::job::{Cohort, Fence, Protection, Reason, ReasonCode, Spec, TrainSpec};
use crate::limits::{BATCH_OWN_ROWS_MIN, COHORT_ROWS_MIN, ROUNDS_MAX};
use crate::local::logistic_regression;
use crate::message::queue;
use crate::model::Model;
use crate::paillier::{PrivateKey, PublicKey};
use crate::party::Parties;
use crate::policy::{self, Mode, Partners, Policy, Purpose};
use crate::query::{Query, Relation};
use crate::seal::{Identity, SealPublic};
use crate::session::{Directory, Rows, Seat, open_model};
use crate::table::{Dropped, Label, Table};

/// Bits of a simulated modulus: 4 slots a ciphertext.
pub(super) const KEY_BITS: u32 = 512;

/// Who trains on what.
pub(super) struct Federation {
    pub(super) job: JobId,
    pub(super) spec: TrainSpec,
    pub(super) pooled: Table,
    tables: BTreeMap<PartyId, Vec<usize>>,
    identities: BTreeMap<PartyId, Arc<Identity>>,
    directory: Arc<Directory>,
    /// Parties whose rows changed.
    edited: BTreeSet<PartyId>,
    /// Parties whose source cannot be read.
    locked: BTreeSet<PartyId>,
    /// What is done instead of the training, if anything.
    pub(super) panel: Option<Panel>,
}

/// Everything that shapes a model but the data.
pub(super) fn hyperparameters(optimizer: Optimizer) -> Hyperparameters {
    Hyperparameters {
        penalty: Penalty::L2 { alpha: 0.01 },
        optimizer,
        convergence: Convergence::Diff,
        tolerance: 1e-9,
        iterations_max: 3,
        batch_rows: Some(80),
        learning_rate: 0.2,
        decay: 1.0,
        decay_sqrt: true,
        start: Start::RandomNormal,
        intercept: true,
        random_seed: Some(7),
        standardize: true,
        threshold: 0.5,
    }
}

/// Rows of a logistic model with noise, in no order.
pub(super) fn rows(seed: u64, rows: usize, columns: usize) -> Table {
    let mut rng = StdRng::seed_from_u64(seed);
    let values = Array2::from_shape_fn((rows, columns), |(_, column)| {
        let scale = [1.0, 100.0, 1e-3][column % 3];
        scale * (rng.random::<f64>() - 0.4)
    });
    let positive = (0..rows)
        .map(|row| values[(row, 0)] + 0.3 * (rng.random::<f64>() - 0.5) > 0.1)
        .collect();
    let ids = (0..rows).map(|row| format!("患者{row:04}")).collect();
    Table {
        ids,
        values,
        positive,
    }
}

/// Some rows of a table.
pub(super) fn select(table: &Table, rows: &[usize]) -> Table {
    Table {
        ids: rows.iter().map(|&row| &table.ids[row]).collect(),
        values: table.values.select(ndarray::Axis(0), rows),
        positive: rows.iter().map(|&row| table.positive[row]).collect(),
    }
}

impl Federation {
    /// `hosts + 1` parties, rows dealt at random.
    pub(super) fn new(
        seed: u64,
        hosts: usize,
        protection: Protection,
        hyperparameters: Hyperparameters,
        pooled: Table,
    ) -> Federation {
        let mut rng = StdRng::seed_from_u64(seed);
        let guest = PartyId(3);
        let hosts: Vec<PartyId> = [4, 2, 7, 5, 6]
            .into_iter()
            .take(hosts)
            .map(PartyId)
            .collect();
        let parties = Parties { guest, hosts };
        let mut tables: BTreeMap<PartyId, Vec<usize>> = BTreeMap::new();
        let all = parties.ascending();
        let mut order: Vec<usize> = (0..pooled.ids.len()).collect();
        order.shuffle(&mut rng);
        for row in order {
            tables
                .entry(all[rng.random_range(0..all.len())])
                .or_default()
                .push(row);
        }
        let mut identities = BTreeMap::new();
        for party in all.iter().copied().chain([PartyId::ARBITER]) {
            identities.insert(party, Arc::new(Identity::generate(&mut rng)));
        }
        let directory = identities
            .iter()
            .map(|(party, identity)| (*party, identity.public()))
            .collect();
        let relation = Relation {
            schema: None,
            name: "rows".into(),
        };
        let query = Query {
            relation,
            columns: None,
            filter: None,
        };
        let cohort = Cohort {
            pos: query.clone(),
            neg: query,
        };
        let columns = pooled.values.ncols();
        let spec = TrainSpec {
            cohorts: all.iter().map(|party| (*party, cohort.clone())).collect(),
            parties,
            unique_id: "id".into(),
            attributes: (0..columns).map(|column| format!("x{column}")).collect(),
            label: Label {
                column: "y".into(),
                value: "1".into(),
            },
            hyperparameters,
            protection,
        };
        Federation {
            job: JobId(Uuid::from_u128(u128::from(seed))),
            spec,
            pooled,
            tables,
            identities,
            directory: Arc::new(directory),
            edited: BTreeSet::new(),
            locked: BTreeSet::new(),
            panel: None,
        }
    }

    /// Who leads.
    pub(super) fn guest(&self) -> PartyId {
        match &self.panel {
            Some(panel) => panel.spec.guest(),
            None => self.spec.parties.guest,
        }
    }

    /// A party's own key for what is sealed to it outside of sessions.
    pub(super) fn sealing(&self, party: PartyId) -> SealPublic {
        SealPublic(self.identities[&party].public().sealing)
    }

    /// Makes a party's source unreadable.
    pub(super) fn lock_up(&mut self, party: PartyId) {
        self.locked.insert(party);
    }

    /// Makes it readable again.
    pub(super) fn unlock(&mut self, party: PartyId) {
        self.locked.remove(&party);
    }

    /// What reading a party's source comes to.
    pub(super) fn read(&self, party: PartyId) -> Result<Box<Rows>, Reason> {
        if self.locked.contains(&party) {
            let (code, text) = (ReasonCode::SourceUnavailable, String::new());
            return Err(Reason {
                code,
                text,
                party: Some(party),
            });
        }
        Ok(Box::new(self.rows(party)))
    }

    /// Changes a party's rows.
    pub(super) fn edit(&mut self, party: PartyId) {
        self.edited.insert(party);
    }

    pub(super) fn everybody(&self) -> Vec<PartyId> {
        let mut all = self.spec.parties.ascending();
        all.push(PartyId::ARBITER);
        all
    }

    pub(super) fn fence(&self, (attempt, session): (u32, SessionId)) -> Fence {
        Fence {
            job: self.job,
            attempt: Attempt(attempt),
            session,
        }
    }

    pub(super) fn spec_bytes(&self) -> Vec<u8> {
        match &self.panel {
            Some(panel) => serde_json::to_vec(&panel.spec),
            None => serde_json::to_vec(&Spec::Train(self.spec.clone())),
        }
        .unwrap()
    }

    pub(super) fn seat(&self, party: PartyId, address: String) -> Seat {
        Seat {
            party,
            identity: Arc::clone(&self.identities[&party]),
            directory: Arc::clone(&self.directory),
            policy: Arc::new(self.policy()),
            address,
            read_key: PublicKey::from_bytes_small,
        }
    }

    /// Everybody may ask everything.
    pub(super) fn policy(&self) -> Policy {
        let all = || vec![policy::ALL.to_owned()];
        let partners = self.spec.parties.ascending();
        Policy {
            partners: Partners {
                guests: partners.clone(),
                with: partners,
                modes: vec![Mode::Paillier, Mode::SecAgg, Mode::None],
                key_bits_min: KEY_BITS,
                two_party: false,
            },
            relation: vec![policy::Relation {
                name: "rows".into(),
                unique_id: "id".into(),
                columns: all(),
                labels: all(),
                filters: all(),
                purposes: vec![Purpose::Train],
            }],
            train: policy::Train {
                nfilter_subset: COHORT_ROWS_MIN,
                nfilter_tab: 1,
                nfilter_glm: 1e9,
                batch_rows_min: BATCH_OWN_ROWS_MIN,
                rounds_max: ROUNDS_MAX,
                ..policy::Train::default()
            },
            ..Policy::default()
        }
    }

    /// Whose queue it is.
    pub(super) fn consumer(&self, name: &str) -> PartyId {
        let everybody = self.everybody();
        everybody
            .into_iter()
            .find(|party| queue::host(*party) == name)
            .unwrap_or(PartyId::ARBITER)
    }

    pub(super) fn rows(&self, party: PartyId) -> Rows {
        let rows = self.tables.get(&party).cloned().unwrap_or_default();
        let table = select(&self.pooled, &rows);
        let edited = u8::from(self.edited.contains(&party));
        let (dropped, digest) = (Dropped::default(), vec![party.0 as u8 + edited; 32]);
        Rows {
            table,
            dropped,
            digest,
            marks: Vec::new(),
            took: Duration::ZERO,
        }
    }

    /// The guest's key; always the same one, since making keys is not what is tested.
    pub(super) fn key(&self) -> PrivateKey {
        PrivateKey::generate_small(&mut StdRng::seed_from_u64(1), KEY_BITS)
    }

    /// What training on the pooled rows gives, with the weights after every round.
    pub(super) fn reference(&self) -> (Model, Vec<Vec<f64>>) {
        let mut history = Vec::new();
        let model = logistic_regression::fit(&self.spec, &self.pooled, |weights| {
            history.push(weights.to_vec());
        });
        (model.unwrap(), history)
    }

    /// The model as a party opens it.
    pub(super) fn open(&self, party: PartyId, sealed: &[u8]) -> Model {
        self.opened(party, sealed).unwrap()
    }

    /// The model as a party opens it, if it does.
    pub(super) fn opened(&self, party: PartyId, sealed: &[u8]) -> Option<Model> {
        open_model(
            &self.identities[&party],
            &self.directory,
            party,
            self.job,
            sealed,
        )
        .ok()
    }

    /// Gives the guest keys that are not those of the directory.
    pub(super) fn replace_guest(&mut self) {
        let identity = Identity::generate(&mut StdRng::seed_from_u64(0xbad));
        self.identities
            .insert(self.spec.parties.guest, Arc::new(identity));
    }

    /// What offers to a party are sealed to.
    pub(super) fn pinned(&self, party: PartyId) -> SealPublic {
        SealPublic(self.directory[&party].sealing)
    }
}
