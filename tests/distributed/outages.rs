//! The broker and the database die and come back, with and without what they knew.

use std::time::Instant;

use lapin::options::QueueDeleteOptions;
use lapin::{Connection, ConnectionProperties};

use super::chaos::{goes_on, under_way};
use super::{hospitals, note};
use crate::support::{Deployment, Server, Services};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_survives_what_happens_to_the_broker() {
    let broker = Server::start("rabbitmq");
    let services = Services::beside_broker(&broker).await;
    let mut deployment = Deployment::over(services, &hospitals(&[2, 3, 4])).await;

    let caught = under_way(&mut deployment).await;
    delete_queues(
        &deployment,
        &["events", "beats", "party.3.guest", "party.4.host"],
    )
    .await;
    goes_on(
        &mut deployment,
        "queues deleted under their readers",
        caught,
    )
    .await;

    for (name, wiped) in [("broker killed", false), ("broker killed and wiped", true)] {
        let caught = under_way(&mut deployment).await;
        broker.run("kill");
        if wiped {
            broker.run("wipe");
        }
        let away = Instant::now();
        broker.run("start");
        note(&format!("{name}: away for"), away.elapsed());
        goes_on(&mut deployment, name, caught).await;
    }
    assert_eq!(deployment.ended_by_themselves(), 0);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_survives_the_death_of_the_database() {
    let postgres = Server::start("postgres");
    let services = Services::beside_postgres(&postgres).await;
    let mut deployment = Deployment::over(services, &hospitals(&[2, 3, 4])).await;
    let caught = under_way(&mut deployment).await;
    postgres.run("kill");
    let away = Instant::now();
    postgres.run("start");
    note("database killed: away for", away.elapsed());
    goes_on(&mut deployment, "database killed", caught).await;
    assert_eq!(deployment.ended_by_themselves(), 0);
}
