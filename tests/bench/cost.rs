//! What a party's ledger costs: rounds of seed size with it against without.
//!
//! Two federations run beside each other over the same broker and database. API, status aggregator
//! and arbiter are processes; the hospitals' workers run in this one, which hands each a ledger or
//! none. So only the bench can leave it out. Trainings take turns in blocks, and each pair of
//! blocks begins with the other one, so that whatever the machine does meanwhile meets both.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use concord::data_dir::{ledger_file, read_key_file};
use concord::directory::Directory;
use serde_json::{Value, json};
use shared::bus::{Bus, rabbitmq};
use shared::id::PartyId;
use shared::ledger::Ledger;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use worker::party_worker;

use super::federation::{PARTIES, paillier, secagg};
use super::figures::{load, median, rounded};
use crate::support::{Deployment, Services, seed_hospitals, train};

/// As the seed asks for it, for so many rounds that the median is of a hundred.
const ITERATIONS: u32 = 60;
/// Trainings of one kind in a row.
const BLOCK: usize = 3;
/// How much slower a round may become, in parts of itself.
const SLOWER_MAX: f64 = 0.15;

/// Whether parties keep a ledger.
#[derive(Clone, Copy, PartialEq)]
enum Ledgers {
    Kept,
    Left,
}

/// A federation whose hospitals work in this process.
struct Federation {
    deployment: Deployment,
    stop: CancellationToken,
    workers: JoinSet<anyhow::Result<()>>,
}

impl Federation {
    async fn start(ledgers: Ledgers) -> Federation {
        let services = Services::shared().await;
        let deployment = Deployment::without_parties(services, &seed_hospitals()).await;
        let (stop, mut workers) = (CancellationToken::new(), JoinSet::new());
        for party in PARTIES {
            let bus = Bus::rabbitmq(rabbitmq::Config {
                url: deployment.broker_of(&format!("party-{party}")),
                prefix: deployment.queue_prefix().to_owned(),
                certificates: None,
            });
            let config = configuration(&deployment, party, ledgers);
            let bus = bus.expect("an address");
            workers.spawn(party_worker::run(config, bus, stop.clone()));
        }
        Federation {
            deployment,
            stop,
            workers,
        }
    }

    /// Median rounds of so many trainings, in milliseconds.
    async fn block(&mut self, request: &Value, trainings: usize) -> Vec<f64> {
        let mut rounds = Vec::new();
        for _ in 0..trainings {
            let job = self.deployment.api().train(request).await;
            let report = self.deployment.finished(job.order).await;
            let median = report["round_milliseconds"].as_f64();
            rounds.push(median.expect("a finished training has rounds"));
        }
        rounds
    }

    async fn stop(mut self) {
        self.stop.cancel();
        while self.workers.join_next().await.is_some() {}
    }
}

/// What a hospital's worker is given.
fn configuration(deployment: &Deployment, party: u64, ledgers: Ledgers) -> party_worker::Config {
    let path = deployment.site.path();
    let identity = read_key_file(&path.join(format!("party-{party}.key")));
    let directory = Directory::read(&path.join("directory.toml")).expect("written");
    let mut hospitals = deployment.site.federation().parties;
    let hospital = hospitals.remove(&PartyId(party)).expect("written");
    let ledger = ledger_file(path, PartyId(party));
    let ledger = || Ledger::open(&ledger).expect("a new file");
    party_worker::Config {
        party: PartyId(party),
        identity: Arc::new(identity.expect("written")),
        directory: Arc::new(directory.keys),
        policy: Arc::new(hospital.policy),
        source: Some(hospital.source),
        // The switch.
        ledger: (ledgers == Ledgers::Kept).then(ledger),
        now,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "workers here have no other clock"
)]
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("later");
    i64::try_from(since.as_millis()).expect("not that late")
}

/// A training of the seed's own rows, batches and parties.
fn training(protection: &Value) -> Value {
    let parameters = json!({
        "max_iter": ITERATIONS, "eps": 0, "encrypt_param": protection,
    });
    train(&[3, 4, 2], "data.blooddata_small", parameters)
}

pub(crate) async fn measure(repeat: usize) -> Value {
    println!(
        "\nCost of a ledger: 1,848 rows, batches of 500, {ITERATIONS} iterations, {repeat} pairs of \
         blocks of {BLOCK} trainings"
    );
    println!(
        "{:14} {:>9} {:>9} {:>8}",
        "round", "with ms", "without", "slower"
    );
    let kept = Federation::start(Ledgers::Kept).await;
    let mut systems = [kept, Federation::start(Ledgers::Left).await];
    let mut found = Vec::new();
    for (name, protection) in [
        ("SecAgg", secagg()),
        ("Paillier-2048", paillier(2048)),
        ("Paillier-3072", paillier(3072)),
    ] {
        let request = training(&protection);
        // Files, tables and pages are warm for whoever comes first.
        for system in &mut systems {
            system.block(&request, 1).await;
        }
        let mut rounds = [Vec::new(), Vec::new()];
        for pair in 0..repeat {
            for turn in 0..2 {
                let which = (pair + turn) % 2;
                rounds[which].extend(systems[which].block(&request, BLOCK).await);
            }
        }
        let [with, without] = rounds.each_ref().map(|all| median(all));
        let slower = with / without - 1.0;
        println!("{name:14} {with:9.3} {without:9.3} {:7.1}%", 100.0 * slower);
        found.push(json!({
            "protection": name,
            "with_ms": rounded(with),
            "without_ms": rounded(without),
            "slower": rounded(slower),
            "may_be_slower": SLOWER_MAX,
            "all_with_ms": rounds[0],
            "all_without_ms": rounds[1],
            "load_average": load(),
        }));
    }
    for system in systems {
        system.stop().await;
    }
    Value::Array(found)
}
