//! What may happen to a distributed federation while it trains, and what must come of it: the
//! training goes on and ends with the bits of an undisturbed one.

use std::time::{Duration, Instant};

use lapin::options::QueueDeleteOptions;
use lapin::{Connection, ConnectionProperties};
use serde_json::{Value, json};

use crate::support::{Deployment, Hospital, Job, Role, Server, Services, csv, patients, train};

/// Longer than a lease, shorter than the silence that ends an attempt.
const FREEZE: Duration = Duration::from_secs(20);

/// API, status aggregator, arbiter and three hospitals' workers.
const PROCESSES: usize = 6;

/// One thing that may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    ApiKilled,
    StatusKilled,
    OneOfTwoStatusKilled,
    ArbiterKilled,
    GuestKilled,
    GuestStopped,
    GuestFrozen,
    HostKilled,
    QueuesDeleted,
    BrokerKilled,
    BrokerWiped,
    BrokerFrozen,
    DatabaseKilled,
}

impl Fault {
    pub(crate) const ALL: [Fault; 13] = [
        Fault::ApiKilled,
        Fault::StatusKilled,
        Fault::OneOfTwoStatusKilled,
        Fault::ArbiterKilled,
        Fault::GuestKilled,
        Fault::GuestStopped,
        Fault::GuestFrozen,
        Fault::HostKilled,
        Fault::QueuesDeleted,
        Fault::BrokerKilled,
        Fault::BrokerWiped,
        Fault::BrokerFrozen,
        Fault::DatabaseKilled,
    ];

    fn disturbs_broker(self) -> bool {
        matches!(
            self,
            Fault::BrokerKilled | Fault::BrokerWiped | Fault::BrokerFrozen
        )
    }

    /// A training that the fault concerns (SecAgg needs no arbiter), of some seconds.
    fn training(self) -> (Value, u64) {
        if self == Fault::ArbiterKilled {
            (paillier_training(&[3, 4, 2], 150), 150)
        } else {
            (training(&[3, 4, 2], 1500), 1500)
        }
    }
}

/// Hospitals with 40 rows each.
pub(crate) fn hospitals(ids: &[u64]) -> Vec<Hospital> {
    let hospital = |id: &u64| {
        let rows = csv("医院", &patients(*id, 1000 * id, 40));
        Hospital::new(*id, &format!("医院 {id}")).file("data/patients.csv", rows)
    };
    ids.iter().map(hospital).collect()
}

/// A training of so many iterations, with state in its optimiser and drawn weights and batches.
pub(crate) fn training(parties: &[u64], iterations: u64) -> Value {
    training_under(json!({ "method": "SecAgg" }), parties, iterations)
}

/// The same with an arbiter and keys.
pub(crate) fn paillier_training(parties: &[u64], iterations: u64) -> Value {
    let protection = json!({ "method": "Paillier", "key_length": 2048 });
    training_under(protection, parties, iterations)
}

fn training_under(protection: Value, parties: &[u64], iterations: u64) -> Value {
    let parameters = json!({
        "optimizer": "adam", "max_iter": iterations, "eps": 0, "batch_size": 60, "decay": 0,
        "learning_rate": 0.01, "encrypt_param": protection,
        "init_param": { "init_method": "random_normal", "random_seed": 11 },
    });
    train(parties, "data.patients", parameters)
}

/// A training finishes, and every party has the bits of the pooled rows.
pub(crate) async fn ends_with_the_same_bits(deployment: &mut Deployment, job: Job) -> Value {
    let report = deployment.finished(job.order).await;
    let pooled = deployment.pooled(job.order).await;
    for party in [2, 3, 4] {
        let model = deployment.model(party, job.model).await;
        assert!(model == pooled, "party {party} has other bits");
    }
    report
}

/// A federation of three hospitals, with servers of its own where a fault needs them.
pub(crate) struct Disturbed {
    pub(crate) deployment: Deployment,
    broker: Option<Server>,
    postgres: Option<Server>,
}

/// How a training got over a fault.
pub(crate) struct Recovery {
    /// Iterations done when it happened.
    pub(crate) at: u64,
    /// From when everything was there again until the training went on.
    pub(crate) took: Duration,
    /// Attempts that the training needed.
    pub(crate) attempts: u64,
}

impl Disturbed {
    /// Ready for these faults.
    pub(crate) async fn new(faults: &[Fault]) -> Disturbed {
        let broker = faults.iter().any(|fault| fault.disturbs_broker());
        let broker = broker.then(|| Server::start("rabbitmq"));
        let postgres = faults.contains(&Fault::DatabaseKilled);
        let postgres = postgres.then(|| Server::start("postgres"));
        let services = Services::beside(broker.as_ref(), postgres.as_ref()).await;
        Disturbed {
            deployment: Deployment::over(services, &hospitals(&[2, 3, 4])).await,
            broker,
            postgres,
        }
    }

    /// A training meets the fault at a random moment, and ends with the right bits.
    pub(crate) async fn survives(&mut self, fault: Fault) -> Recovery {
        let (request, iterations) = fault.training();
        let job = self.deployment.api().train(request).await;
        let moment = rand::random_range(0..=iterations / 3);
        let reached = |report: &Value| iterations_of(report) >= moment || has_ended(report);
        let caught = self.deployment.until(job.order, "to train", reached).await;
        assert!(!has_ended(&caught), "too short to be caught: {caught}");
        let at = iterations_of(&caught);
        let back = self.strike(fault).await;
        let moved = |report: &Value| iterations_of(report) > at || has_ended(report);
        self.deployment.until(job.order, "to go on", moved).await;
        let took = back.elapsed();
        let report = ends_with_the_same_bits(&mut self.deployment, job).await;
        assert_eq!(self.deployment.ended_by_themselves(), 0, "{fault:?}");
        assert_eq!(self.deployment.running().count(), PROCESSES, "{fault:?}");
        let attempts = report["attempts"].as_u64().expect("a count");
        Recovery { at, took, attempts }
    }

    /// Lets it happen; when all was there again.
    async fn strike(&mut self, fault: Fault) -> Instant {
        let deployment = &mut self.deployment;
        match fault {
            Fault::ApiKilled => deployment.crash(Role::Api).await,
            Fault::StatusKilled => deployment.crash(Role::Status).await,
            Fault::ArbiterKilled => deployment.crash(Role::Arbiter).await,
            Fault::GuestKilled => deployment.crash(Role::Party(3)).await,
            Fault::GuestStopped => {
                deployment.stop(Role::Party(3)).await;
                deployment.launch(Role::Party(3)).await;
            }
            Fault::HostKilled => deployment.crash(Role::Party(4)).await,
            Fault::OneOfTwoStatusKilled => {
                deployment.launch(Role::Status).await;
                let first = deployment.of(Role::Status)[0];
                deployment.kill(first);
            }
            Fault::GuestFrozen => {
                deployment.signal(Role::Party(3), "STOP");
                tokio::time::sleep(FREEZE).await;
                deployment.signal(Role::Party(3), "CONT");
            }
            Fault::QueuesDeleted => {
                let queues = ["events", "beats", "party.3.guest", "party.4.host"];
                delete_queues(deployment, &queues).await;
            }
            Fault::BrokerKilled | Fault::BrokerWiped => {
                let broker = self.broker.as_ref().expect("made for this fault");
                broker.run("kill");
                if fault == Fault::BrokerWiped {
                    broker.run("wipe");
                }
                broker.run("start");
            }
            Fault::BrokerFrozen => {
                let broker = self.broker.as_ref().expect("made for this fault");
                broker.run("pause");
                tokio::time::sleep(FREEZE).await;
                broker.run("resume");
            }
            Fault::DatabaseKilled => {
                let postgres = self.postgres.as_ref().expect("made for this fault");
                postgres.run("kill");
                postgres.run("start");
            }
        }
        Instant::now()
    }
}

fn iterations_of(report: &Value) -> u64 {
    report["iterations"].as_u64().unwrap_or_default()
}

fn has_ended(report: &Value) -> bool {
    report["status"] != "waiting" && report["status"] != "running"
}

/// Deletes queues whose readers are at work.
async fn delete_queues(deployment: &Deployment, names: &[&str]) {
    let properties = ConnectionProperties::default();
    let connection = Connection::connect(deployment.broker(), properties).await;
    let connection = connection.expect("the broker answers");
    let channel = connection.create_channel().await.expect("open");
    for name in names {
        let queue = format!("{}{name}", deployment.queue_prefix());
        let deleted = channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default());
        deleted.await.expect("it may be deleted");
    }
}
