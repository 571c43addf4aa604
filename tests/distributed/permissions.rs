//! What the broker lets each user do, tried by what could hurt another.

use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use shared::bus::{Bus, Error, QueueKind, rabbitmq};
use shared::id::{Attempt as Try, JobId, PartyId, SessionId};
use shared::job::Fence;
use shared::message::{self, Event, EventBody, queue};
use uuid::Uuid;

use crate::faults::{hospitals, training};
use crate::support::{Deployment, Role, Services, eventually};

/// AMQP's codes.
const ACCESS_REFUSED: u16 = 403;
const PRECONDITION_FAILED: u16 = 406;

/// A user at the broker.
struct User {
    name: String,
    prefix: String,
    connection: Connection,
}

impl User {
    async fn new(deployment: &Deployment, name: &str) -> User {
        let url = deployment.broker_of(name);
        let connection = Connection::connect(&url, ConnectionProperties::default()).await;
        User {
            name: name.to_owned(),
            prefix: deployment.queue_prefix().to_owned(),
            connection: connection.expect("the broker knows it"),
        }
    }

    /// A refusal closes its channel.
    async fn channel(&self) -> Channel {
        self.connection.create_channel().await.expect("open")
    }

    /// Tries one thing on a queue; the code of the refusal.
    async fn tries(&self, what: Attempt, queue: &str) -> Option<u16> {
        let channel = self.channel().await;
        let name = format!("{}{queue}", self.prefix);
        let name = || name.as_str().into();
        let none = FieldTable::default;
        let done = match what {
            Attempt::Get => {
                let got = channel.basic_get(name(), BasicGetOptions::default());
                got.await.map(drop)
            }
            Attempt::Consume => {
                let options = BasicConsumeOptions::default();
                let consumer = channel.basic_consume(name(), "".into(), options, none());
                consumer.await.map(drop)
            }
            Attempt::Purge => {
                let purged = channel.queue_purge(name(), QueuePurgeOptions::default());
                purged.await.map(drop)
            }
            Attempt::Delete => {
                let deleted = channel.queue_delete(name(), QueueDeleteOptions::default());
                deleted.await.map(drop)
            }
            Attempt::Declare => {
                let durable = QueueDeclareOptions {
                    durable: true,
                    ..QueueDeclareOptions::default()
                };
                let declared = channel.queue_declare(name(), durable, none());
                declared.await.map(drop)
            }
            Attempt::DeclareWithDeadLetters => {
                let mut arguments = none();
                for (key, value) in [
                    ("x-dead-letter-exchange", String::new()),
                    ("x-dead-letter-routing-key", format!("{}dead", self.prefix)),
                ] {
                    let value = AMQPValue::LongString(value.as_str().into());
                    arguments.insert(key.into(), value);
                }
                let options = QueueDeclareOptions::default();
                let declared = channel.queue_declare(name(), options, arguments);
                declared.await.map(drop)
            }
            Attempt::Bind => {
                let options = QueueBindOptions::default();
                let bound =
                    channel.queue_bind(name(), "amq.fanout".into(), "".into(), options, none());
                bound.await
            }
        };
        code(done)
    }

    /// Sends to a queue in the name of a user; the code of the refusal.
    async fn sends(&self, as_user: Option<&str>, queue: &str, body: &[u8]) -> Option<u16> {
        let channel = self.channel().await;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default());
        confirms.await.expect("confirms");
        let mut properties = BasicProperties::default();
        if let Some(user) = as_user {
            properties = properties.with_user_id(user.into());
        }
        let name = format!("{}{queue}", self.prefix);
        let options = BasicPublishOptions::default();
        let name = name.as_str().into();
        let sent = channel.basic_publish("".into(), name, options, body, properties);
        match sent.await {
            Ok(confirm) => code(confirm.await.map(drop)),
            Err(error) => code(Err(error)),
        }
    }

    /// What a user may not do to the exchanges that everybody shares.
    async fn cannot_route(&self) {
        let channel = self.channel().await;
        let name = format!("{}mine", self.prefix);
        let declared = channel.exchange_declare(
            name.as_str().into(),
            ExchangeKind::Fanout,
            ExchangeDeclareOptions::default(),
            FieldTable::default(),
        );
        assert_eq!(code(declared.await), Some(ACCESS_REFUSED), "{}", self.name);
        for exchange in ["amq.fanout", "amq.topic", "amq.direct", "amq.headers"] {
            let channel = self.channel().await;
            let confirms = channel.confirm_select(ConfirmSelectOptions::default());
            confirms.await.expect("confirms");
            let sent = channel.basic_publish(
                exchange.into(),
                "".into(),
                BasicPublishOptions::default(),
                b"",
                BasicProperties::default(),
            );
            let refused = match sent.await {
                Ok(confirm) => code(confirm.await.map(drop)),
                Err(error) => code(Err(error)),
            };
            assert_eq!(refused, Some(ACCESS_REFUSED), "{} {exchange}", self.name);
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Attempt {
    Get,
    Consume,
    Purge,
    Delete,
    Declare,
    DeclareWithDeadLetters,
    Bind,
}

const ATTEMPTS: [Attempt; 7] = [
    Attempt::Get,
    Attempt::Consume,
    Attempt::Purge,
    Attempt::Bind,
    Attempt::Declare,
    Attempt::DeclareWithDeadLetters,
    Attempt::Delete,
];

/// The broker's code, if it refused.
fn code(done: lapin::Result<()>) -> Option<u16> {
    let error = done.err()?;
    match error.kind() {
        lapin::ErrorKind::ProtocolError(refusal) => Some(refusal.get_id()),
        _ => panic!("no refusal: {error}"),
    }
}

/// All durable queues, and whose they are.
fn queues() -> Vec<(String, &'static str)> {
    let mut all = vec![
        (queue::SUBMISSIONS.to_owned(), "api"),
        (queue::EVENTS.to_owned(), "status"),
        (queue::BEATS.to_owned(), "status"),
        (queue::DEAD.to_owned(), "status"),
        (queue::ARBITER.to_owned(), "arbiter"),
    ];
    for (party, user) in [(2, "party-2"), (3, "party-3"), (4, "party-4")] {
        let party = PartyId(party);
        for name in [queue::guest(party), queue::host(party), queue::infer(party)] {
            all.push((name, user));
        }
    }
    all
}

/// Names that nobody has declared, and whose they would be.
fn future_queues() -> Vec<(String, &'static str)> {
    let session = |party| queue::session(PartyId(party), Uuid::new_v4());
    vec![
        (session(1), "arbiter"),
        (session(2), "party-2"),
        (session(3), "party-3"),
        (format!("{}x", queue::REPLIES), "submitter"),
        ("anything".to_owned(), "nobody"),
        ("party.22.guest".to_owned(), "party-22"),
        ("session.22.x".to_owned(), "party-22"),
        ("party.2.anything".to_owned(), "nobody"),
    ]
}

const USERS: [&str; 7] = [
    "api",
    "status",
    "arbiter",
    "submitter",
    "party-2",
    "party-3",
    "party-4",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_reaches_its_own_queues_and_no_other() {
    let deployment = Deployment::start(&hospitals(&[2, 3, 4])).await;
    for name in USERS {
        let user = User::new(&deployment, name).await;
        for (queue, owner) in queues().into_iter().chain(future_queues()) {
            if owner != name {
                for what in ATTEMPTS {
                    let refused = user.tries(what, &queue).await;
                    let expected = Some(ACCESS_REFUSED);
                    assert_eq!(refused, expected, "{name}: {what:?} {queue}");
                }
            }
        }
        user.cannot_route().await;
        assert_eq!(user.sends(Some(name), queue::EVENTS, b"x").await, None);
        for other in ["party-3", "status", "admin", "nobody"] {
            if other != name {
                let forged = user.sends(Some(other), queue::EVENTS, b"x").await;
                assert_eq!(forged, Some(PRECONDITION_FAILED), "{name} as {other}");
            }
        }
    }
    // The owners may; each queue is read by its process, and bound to nothing by anybody.
    for (queue, owner) in queues() {
        let user = User::new(&deployment, owner).await;
        for what in [Attempt::Get, Attempt::Consume] {
            assert_eq!(user.tries(what, &queue).await, None, "{owner} {queue}");
        }
        let bound = user.tries(Attempt::Bind, &queue).await;
        assert_eq!(bound, Some(ACCESS_REFUSED), "{owner} {queue}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_that_does_not_exist_is_not_let_in() {
    let deployment =
        Deployment::without_parties(Services::shared().await, &hospitals(&[2, 3, 4])).await;
    let url = deployment.broker_of("party-2");
    let (_, place) = url.rsplit_once('@').expect("user@place");
    for user in ["guest:guest", "party-2:guest", "concord:concord"] {
        let url = format!("amqp://{user}@{place}");
        let entered = Connection::connect(&url, ConnectionProperties::default()).await;
        assert!(entered.is_err(), "{user}");
    }
}

/// Another party that knows a running job's fence, as its hosts do, says that it failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_party_speaks_for_another() {
    let mut deployment = Deployment::start(&hospitals(&[2, 3, 4])).await;
    let client = deployment.api();
    let job = client.train(training(&[3, 4, 2], 20)).await;
    let (guest, host) = (PartyId(3), PartyId(2));
    let forged = |party: PartyId| {
        message::encode(&Event {
            fence: Fence {
                job: JobId(Uuid::new_v4()),
                attempt: Try(1),
                session: SessionId(Uuid::new_v4()),
            },
            party,
            reply_to: queue::session(party, Uuid::new_v4()),
            body: EventBody::Claimed,
        })
    };
    let mallory = User::new(&deployment, "party-2").await;
    // In its own name, in nobody's, and for itself.
    for (as_user, party) in [
        (Some("party-2"), guest),
        (None, guest),
        (None, host),
        (Some("party-2"), host),
    ] {
        let sent = mallory.sends(as_user, queue::EVENTS, &forged(party)).await;
        assert_eq!(sent, None, "the broker knows no rights to single queues");
    }
    let status = deployment.of(Role::Status)[0];
    eventually("three refusals", async || {
        let log = deployment.log(status);
        let refused = log.matches("it speaks for party").count();
        assert!(refused <= 3, "{log}");
        // The fourth is weighed as any claim.
        let weighed = log.contains("granted=false");
        (refused == 3 && weighed).then_some(())
    })
    .await;
    deployment.finished(job.order).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_is_told_who_sent_a_message() {
    let deployment =
        Deployment::without_parties(Services::shared().await, &hospitals(&[2, 3, 4])).await;
    let bus = |user: &str| {
        Bus::rabbitmq(rabbitmq::Config {
            url: deployment.broker_of(user),
            prefix: deployment.queue_prefix().to_owned(),
            certificates: None,
        })
        .expect("an address")
    };
    let (reader, sender) = (bus("party-2"), bus("party-3"));
    let own = queue::host(PartyId(2));
    let opened = reader.open(&own, QueueKind::Durable, 1).await;
    let mut consumer = opened.expect("its own");
    sender.publish(&own, vec![1]).await.expect("it is there");
    let delivery = consumer.next().await.expect("a message");
    assert_eq!(delivery.user(), Some("party-3"));
    delivery.ack().await;
    let foreign = sender.declare(&own, QueueKind::Durable).await;
    assert!(matches!(foreign, Err(Error::Refused { .. })));
}
