//! What only a broker does: it goes away, comes back, forgets and fills up. The suite of every bus
//! is beside `bus`.

mod proxy;

use std::time::{Duration, Instant};

use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::task::JoinSet;
use uuid::Uuid;

use self::proxy::Proxy;
use super::Config;
use crate::bus::tests::{PATIENCE, declared, name, next, take, variable};
use crate::bus::{Bus, Consumer, Delivery, Error, Properties, QueueKind};
use crate::limits;

/// Answers take less; an outage is waited for no longer.
const SHORT: Duration = Duration::from_millis(1500);

/// The broker through a proxy, and beside it.
struct World {
    prefix: String,
    direct: Channel,
    _connection: Connection,
}

impl World {
    async fn new() -> World {
        let url = variable("CONCORD_TEST_AMQP");
        let connection = Connection::connect(&url, ConnectionProperties::default()).await;
        let connection = connection.unwrap();
        World {
            prefix: format!("{}.", Uuid::new_v4()),
            direct: connection.create_channel().await.unwrap(),
            _connection: connection,
        }
    }

    fn config(&self, url: String) -> Config {
        Config {
            url,
            prefix: self.prefix.clone(),
            certificates: None,
        }
    }

    /// A process that sees the broker through a proxy of its own.
    async fn process(&self, patience: Duration) -> (Bus, Proxy) {
        let (proxy, url) = Proxy::start(&variable("CONCORD_TEST_AMQP")).await;
        let bus = super::Bus::with_patience(self.config(url), patience).unwrap();
        let bus = Bus::Rabbitmq(bus);
        up(&bus).await;
        let dead = bus.declare(crate::message::queue::DEAD, QueueKind::Durable);
        dead.await.unwrap();
        (bus, proxy)
    }

    /// Messages that wait for a reader with a free hand.
    async fn waiting(&self, queue: &str) -> u32 {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let name = format!("{}{queue}", self.prefix).as_str().into();
        let found = self
            .direct
            .queue_declare(name, passive, FieldTable::default());
        found.await.unwrap().message_count()
    }

    async fn waiting_becomes(&self, queue: &str, count: u32) {
        until(async || self.waiting(queue).await == count).await;
    }

    async fn delete(&self, queue: &str) {
        let name = format!("{}{queue}", self.prefix).as_str().into();
        let deleted = self
            .direct
            .queue_delete(name, QueueDeleteOptions::default());
        deleted.await.unwrap();
    }
}

/// Looks until it is so.
async fn until(mut so: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking)
        .await
        .expect("it becomes so");
}

async fn up(bus: &Bus) {
    until(async || bus.up_since().is_some()).await;
}

async fn away(bus: &Bus) {
    until(async || bus.up_since().is_none()).await;
}

async fn publish(bus: &Bus, queue: &str, bodies: std::ops::Range<u8>) {
    for i in bodies {
        bus.publish(queue, vec![i]).await.unwrap();
    }
}

/// Publishes until the queue is there.
async fn arrives(bus: &Bus, queue: &str, body: &[u8]) {
    until(async || bus.publish(queue, body.to_vec()).await.is_ok()).await;
}

/// Publishes until it is read: the broker may not have noticed yet that a queue's owner left, and
/// what it takes then goes with the queue.
async fn gets_through(bus: &Bus, queue: &str, consumer: &mut Consumer, number: u8) {
    until(async || {
        let _ = bus.publish(queue, vec![number]).await;
        let reading = async { while take(consumer).await != [number] {} };
        tokio::time::timeout(SHORT, reading).await.is_ok()
    })
    .await;
}

fn of_broker(delivery: &Delivery) -> &super::Delivery {
    match delivery {
        Delivery::Rabbitmq(delivery) => delivery,
        Delivery::Local(_) => panic!("this is the broker's test"),
    }
}

/// The next message that arrives more than once.
async fn repeated(consumer: &mut Consumer) -> Delivery {
    loop {
        let delivery = next(consumer).await;
        if delivery.attempts() > 1 {
            return delivery;
        }
        delivery.ack().await;
    }
}

#[tokio::test]
async fn the_prefetch_holds_after_an_outage() {
    let world = World::new().await;
    let (bus, proxy) = world.process(PATIENCE).await;
    let queue = declared(&bus, QueueKind::Durable).await;
    publish(&bus, &queue, 0..20).await;
    let mut consumer = bus.consume(&queue, 2).await.unwrap();
    let held = [next(&mut consumer).await, next(&mut consumer).await];
    proxy.cut();
    world.waiting_becomes(&queue, 20).await;
    proxy.mend();
    world.waiting_becomes(&queue, 18).await;
    let again = [repeated(&mut consumer).await, repeated(&mut consumer).await];
    // What was held before is no longer ours, and settling it settles nothing.
    for delivery in held {
        delivery.ack().await;
    }
    assert_eq!(world.waiting(&queue).await, 18);
    for delivery in again {
        delivery.ack().await;
    }
    for i in 2..20 {
        assert_eq!(take(&mut consumer).await, [i]);
    }
}

#[tokio::test]
async fn a_closed_channel_heals() {
    let world = World::new().await;
    let (bus, _proxy) = world.process(PATIENCE).await;
    let queue = declared(&bus, QueueKind::Durable).await;
    publish(&bus, &queue, 0..1).await;
    let mut consumer = bus.consume(&queue, 1).await.unwrap();
    let held = next(&mut consumer).await;
    // An ack of what was never delivered: the broker closes the channel.
    let channel = of_broker(&held).channel.clone();
    channel
        .basic_ack(77, BasicAckOptions::default())
        .await
        .unwrap();
    let again = next(&mut consumer).await;
    assert_eq!((again.body(), again.attempts()), (&[0][..], 2));
    held.ack().await;
    again.ack().await;
    publish(&bus, &queue, 1..2).await;
    assert_eq!(take(&mut consumer).await, [1]);
}

#[tokio::test]
async fn a_deleted_queue_comes_back_with_its_reader() {
    let world = World::new().await;
    let (bus, _proxy) = world.process(PATIENCE).await;
    for kind in [QueueKind::Durable, QueueKind::Beats] {
        let queue = declared(&bus, kind).await;
        let mut consumer = bus.consume(&queue, 1).await.unwrap();
        world.delete(&queue).await;
        arrives(&bus, &queue, b"after").await;
        assert_eq!(take(&mut consumer).await, b"after");
    }
}

#[tokio::test]
async fn a_session_queue_outlives_an_outage_under_its_name() {
    let world = World::new().await;
    let (bus, proxy) = world.process(PATIENCE).await;
    let (peer, _peers) = world.process(PATIENCE).await;
    let queue = declared(&bus, QueueKind::Session).await;
    let mut consumer = bus.consume(&queue, 8).await.unwrap();
    for i in 0..3 {
        proxy.cut();
        away(&bus).await;
        proxy.mend();
        gets_through(&peer, &queue, &mut consumer, i).await;
    }
}

#[tokio::test]
async fn a_session_queue_that_was_left_does_not_come_back() {
    let world = World::new().await;
    let (bus, proxy) = world.process(PATIENCE).await;
    let (peer, _peers) = world.process(PATIENCE).await;
    let queue = declared(&bus, QueueKind::Session).await;
    drop(bus.consume(&queue, 8).await.unwrap());
    proxy.cut();
    away(&bus).await;
    proxy.mend();
    up(&bus).await;
    let sent = peer.publish(&queue, vec![1]).await;
    assert!(matches!(sent, Err(Error::Unroutable { .. })));
}

#[tokio::test]
async fn after_an_outage_a_missing_queue_is_waited_for() {
    let world = World::new().await;
    let (owner, owners) = world.process(PATIENCE).await;
    let (sender, senders) = world.process(PATIENCE).await;
    let queue = declared(&owner, QueueKind::Session).await;
    let mut consumer = owner.consume(&queue, 8).await.unwrap();
    owners.cut();
    senders.cut();
    away(&owner).await;
    away(&sender).await;
    senders.mend();
    up(&sender).await;
    let sent = tokio::spawn({
        let (sender, queue) = (sender.clone(), queue.clone());
        async move { sender.publish(&queue, vec![1]).await }
    });
    owners.mend();
    assert_eq!(take(&mut consumer).await, [1]);
    sent.await.unwrap().unwrap();
    // But not for longer: it is missed by nobody who waits for an answer.
    let sent = sender.publish(&name(), vec![2]).await;
    assert!(matches!(sent, Err(Error::Unroutable { .. })));
}

#[tokio::test]
async fn nothing_waits_for_ever_in_an_outage() {
    let world = World::new().await;
    let (bus, proxy) = world.process(SHORT).await;
    let queue = declared(&bus, QueueKind::Durable).await;
    proxy.cut();
    away(&bus).await;
    let (sent, made, read) = tokio::join!(
        bus.publish(&queue, vec![1]),
        bus.declare(&queue, QueueKind::Durable),
        bus.consume(&queue, 1),
    );
    assert!(matches!(sent, Err(Error::Away { queue: q }) if q == queue));
    assert!(matches!(made, Err(Error::Away { .. })));
    assert!(matches!(read, Err(Error::Away { .. })));
    proxy.mend();
    arrives(&bus, &queue, &[2]).await;
}

#[tokio::test]
async fn a_message_published_in_an_outage_arrives_after_it() {
    let world = World::new().await;
    let (bus, proxy) = world.process(PATIENCE).await;
    let queue = declared(&bus, QueueKind::Durable).await;
    proxy.cut();
    away(&bus).await;
    let sent = tokio::spawn({
        let (bus, queue) = (bus.clone(), queue.clone());
        async move { bus.publish(&queue, vec![1]).await }
    });
    proxy.mend();
    sent.await.unwrap().unwrap();
    let mut consumer = bus.consume(&queue, 1).await.unwrap();
    assert_eq!(take(&mut consumer).await, [1]);
}

#[tokio::test]
async fn a_silent_broker_is_away_before_a_lease_ends() {
    let world = World::new().await;
    let (bus, proxy) = world.process(PATIENCE).await;
    let queue = declared(&bus, QueueKind::Session).await;
    let mut consumer = bus.consume(&queue, 1).await.unwrap();
    proxy.silence();
    let began = Instant::now();
    away(&bus).await;
    assert!(began.elapsed() < Duration::from_secs(limits::LEASE_SECONDS));
    proxy.mend();
    arrives(&bus, &queue, &[1]).await;
    assert_eq!(take(&mut consumer).await, [1]);
}

#[tokio::test]
async fn a_full_broker_is_away_to_who_publishes() {
    let world = World::new().await;
    let (bus, proxy) = world.process(SHORT).await;
    let queue = declared(&bus, QueueKind::Durable).await;
    proxy.block();
    away(&bus).await;
    let sent = bus.publish(&queue, vec![1]).await;
    assert!(matches!(sent, Err(Error::Away { .. })));
    proxy.unblock();
    arrives(&bus, &queue, &[2]).await;
    let mut consumer = bus.consume(&queue, 1).await.unwrap();
    assert_eq!(take(&mut consumer).await, [2]);
}

#[tokio::test]
async fn of_many_messages_at_once_the_right_ones_come_back() {
    let world = World::new().await;
    let (bus, _proxy) = world.process(PATIENCE).await;
    let mut queues = Vec::new();
    for kind in [QueueKind::Durable, QueueKind::Session, QueueKind::Beats] {
        queues.push(declared(&bus, kind).await);
    }
    let mut sent = JoinSet::new();
    for i in 0..1200 {
        let (bus, there) = (bus.clone(), i % 4 != 3);
        let queue = if there { queues[i % 4].clone() } else { name() };
        sent.spawn(async move { (there, bus.publish(&queue, vec![1]).await) });
    }
    for (there, outcome) in sent.join_all().await {
        match outcome {
            Ok(()) => assert!(there),
            Err(Error::Unroutable { .. }) => assert!(!there),
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_full_queue_refuses_and_recovers() {
    let world = World::new().await;
    let (bus, _proxy) = world.process(PATIENCE).await;
    let queue = declared(&bus, QueueKind::Session).await;
    let body = || vec![0; limits::MESSAGE_BYTES_MAX];
    // The bound is soft: one or two more may find room.
    let room = limits::QUEUE_BYTES_MAX / limits::MESSAGE_BYTES_MAX + 4;
    let mut refused = None;
    for _ in 0..=room {
        if let Err(error) = bus.publish(&queue, body()).await {
            refused = Some(error);
            break;
        }
    }
    assert!(matches!(refused, Some(Error::Full { .. })));
    let mut consumer = bus.consume(&queue, 1).await.unwrap();
    for _ in 0..4 {
        take(&mut consumer).await;
    }
    arrives(&bus, &queue, &body()).await;
}

#[tokio::test]
async fn an_invitation_nobody_took_is_no_dead_letter() {
    let world = World::new().await;
    let (bus, _proxy) = world.process(PATIENCE).await;
    let queue = declared(&bus, QueueKind::Durable).await;
    bus.publish_expiring(&queue, vec![1], Duration::ZERO)
        .await
        .unwrap();
    world.waiting_becomes(crate::message::queue::DEAD, 1).await;
    publish(&bus, &queue, 2..3).await;
    let mut consumer = bus.consume(&queue, 1).await.unwrap();
    next(&mut consumer).await.reject("no").await;
    let mut graves = bus.consume(crate::message::queue::DEAD, 1).await.unwrap();
    assert_eq!(take(&mut graves).await, [2]);
}

/// A program of somebody else's: it asks with names that only the broker knows.
#[tokio::test]
async fn a_stranger_is_answered_in_a_queue_the_broker_named_and_in_none_of_ours() {
    let world = World::new().await;
    let (bus, _proxy) = world.process(PATIENCE).await;
    let queue = declared(&bus, QueueKind::Durable).await;
    let own = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    let named = world
        .direct
        .queue_declare("".into(), own, FieldTable::default());
    let named = named.await.unwrap().name().to_string();
    let prefix = &world.prefix;
    let mut consumer = bus.consume(&queue, 1).await.unwrap();
    for (reply_to, taken) in [
        (named.clone(), Some(named.clone())),
        (format!("{prefix}replies.x"), Some("replies.x".to_owned())),
        ("replies.x".to_owned(), None),
        (format!("other.{prefix}replies.x"), None),
        (format!("{prefix}events"), None),
        (String::new(), None),
    ] {
        let properties = BasicProperties::default().with_reply_to(reply_to.as_str().into());
        let name = format!("{prefix}{queue}").as_str().into();
        let options = BasicPublishOptions::default();
        let sent = world
            .direct
            .basic_publish("".into(), name, options, b"?", properties);
        sent.await.unwrap();
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.properties().reply_to, taken, "{reply_to}");
        delivery.ack().await;
    }
    let answer = Properties {
        correlation: Some("7".to_owned()),
        ..Properties::default()
    };
    bus.publish_with(&named, b"!".to_vec(), &answer)
        .await
        .unwrap();
    let name = named.as_str().into();
    let got = world.direct.basic_get(name, BasicGetOptions::default());
    let got = got.await.unwrap().expect("it was confirmed");
    assert_eq!(got.data, b"!");
    let correlation = got.properties.correlation_id().as_ref();
    assert_eq!(correlation.unwrap().as_str(), "7");
}

#[tokio::test]
async fn an_endless_property_is_refused() {
    let world = World::new().await;
    let (bus, _proxy) = world.process(PATIENCE).await;
    let queue = declared(&bus, QueueKind::Durable).await;
    let properties = Properties {
        kind: Some("x".repeat(256)),
        ..Properties::default()
    };
    let sent = bus.publish_with(&queue, vec![1], &properties).await;
    assert!(matches!(sent, Err(Error::Refused { .. })));
}

#[tokio::test]
async fn a_process_leaves_nothing_of_its_own_behind() {
    let world = World::new().await;
    let (bus, _proxy) = world.process(PATIENCE).await;
    let (peer, _peers) = world.process(PATIENCE).await;
    let queue = declared(&bus, QueueKind::Session).await;
    let consumer = bus.consume(&queue, 1).await.unwrap();
    peer.publish(&queue, vec![1]).await.unwrap();
    let taken = peer.declare(&queue, QueueKind::Session).await;
    assert!(matches!(taken, Err(Error::Taken { .. })));
    drop((bus, consumer));
    until(async || {
        let sent = peer.publish(&queue, vec![1]).await;
        matches!(sent, Err(Error::Unroutable { .. }))
    })
    .await;
}

#[tokio::test]
async fn an_endless_name_is_no_queue() {
    let world = World::new().await;
    let (bus, _proxy) = world.process(PATIENCE).await;
    let queue = "x".repeat(300);
    let sent = bus.publish(&queue, vec![1]).await;
    assert!(matches!(sent, Err(Error::Unroutable { .. })));
    let made = bus.declare(&queue, QueueKind::Durable).await;
    assert!(matches!(made, Err(Error::Refused { .. })));
}

#[tokio::test]
async fn an_unreadable_address_stays_secret() {
    let world = World::new().await;
    for url in [
        "amqp://user:hidden@host:port",
        "http://user:hidden@host",
        "",
    ] {
        let error = Bus::rabbitmq(world.config(url.to_owned())).err().unwrap();
        assert!(matches!(error, Error::Address));
        assert!(!format!("{error} {error:?}").contains("hidden"));
    }
}

#[tokio::test]
async fn an_encrypted_connection_needs_a_known_certificate() {
    let world = World::new().await;
    let mut config = world.config(variable("CONCORD_TEST_AMQPS"));
    let stranger = super::Bus::with_patience(config, SHORT).unwrap();
    let refused = stranger.declare(&name(), QueueKind::Durable).await;
    assert!(matches!(refused, Err(Error::Away { .. })));

    config = world.config(variable("CONCORD_TEST_AMQPS"));
    let certificates = std::fs::read_to_string(variable("CONCORD_TEST_AMQPS_CA"));
    config.certificates = Some(certificates.unwrap());
    let bus = Bus::rabbitmq(config).unwrap();
    let queue = declared(&bus, QueueKind::Session).await;
    let mut consumer = bus.consume(&queue, 1).await.unwrap();
    publish(&bus, &queue, 0..1).await;
    assert_eq!(take(&mut consumer).await, [0]);
}
