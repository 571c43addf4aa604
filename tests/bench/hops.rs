//! What a round's messages cost on the broker alone: bare lapin, no sealing, no arithmetic.
//!
//! As many tasks as the round has parties, each with two connections of its own (one to publish,
//! one to consume, as Concord has) and an exclusive transient queue. A message is published
//! non-persistent and mandatory on a channel with confirms, and acked by its reader; nobody waits
//! for a confirm, as the answer says more.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};
use uuid::Uuid;

use super::figures::{median, milliseconds};

/// Rounds before any is counted.
const WARM_UP: usize = 50;
/// As many as a guest takes its median over.
const ROUNDS: usize = 101;

/// Who writes to whom in a round.
#[derive(Clone, Copy)]
pub(crate) enum Route {
    /// The guest asks two hosts, which answer it: SecAgg.
    Two,
    /// The guest asks two hosts; all three write to the arbiter, which answers the guest: Paillier.
    Three,
}

/// Lengths of a round's messages in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Lengths {
    pub(crate) question: usize,
    pub(crate) answer: usize,
    pub(crate) sum: usize,
}

/// One process's place at the broker.
struct Station {
    queue: String,
    publishing: Channel,
    inbox: Consumer,
    _connections: [Connection; 2],
}

impl Station {
    async fn open(broker: &str) -> Station {
        let connect = || async {
            let connected = Connection::connect(broker, ConnectionProperties::default()).await;
            connected.expect("the broker answers")
        };
        let connections = [connect().await, connect().await];
        let publishing = connections[0].create_channel().await.expect("a channel");
        publishing
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .expect("RabbitMQ confirms");
        let reading = connections[1].create_channel().await.expect("a channel");
        let queue = format!("bench.{}", Uuid::new_v4().simple());
        let options = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..QueueDeclareOptions::default()
        };
        reading
            .queue_declare(queue.as_str().into(), options, FieldTable::default())
            .await
            .expect("a new queue");
        reading
            .basic_qos(64, BasicQosOptions::default())
            .await
            .expect("a prefetch");
        let options = BasicConsumeOptions {
            exclusive: true,
            ..BasicConsumeOptions::default()
        };
        let inbox = reading
            .basic_consume(
                queue.as_str().into(),
                "".into(),
                options,
                FieldTable::default(),
            )
            .await
            .expect("its own queue");
        Station {
            queue,
            publishing,
            inbox,
            _connections: connections,
        }
    }

    async fn send(&self, to: &str, length: usize) {
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let body = vec![7; length];
        let sent = self.publishing.basic_publish(
            "".into(),
            to.into(),
            options,
            &body,
            BasicProperties::default().with_delivery_mode(1),
        );
        // Its confirm comes, and nobody waits for it.
        drop(sent.await.expect("the broker is there"));
    }

    async fn receive(&mut self) {
        let message = self
            .inbox
            .next()
            .await
            .expect("a queue")
            .expect("a message");
        message
            .ack(BasicAckOptions::default())
            .await
            .expect("the broker is there");
    }

    /// Waits for as many messages, then writes to another one, for ever.
    async fn relay(mut self, messages: usize, to: String, length: usize) {
        loop {
            for _ in 0..messages {
                self.receive().await;
            }
            self.send(&to, length).await;
        }
    }
}

/// The median duration of a round's hops.
pub(crate) async fn measure(broker: &str, route: Route, lengths: Lengths) -> f64 {
    let mut guest = Station::open(broker).await;
    let hosts = [Station::open(broker).await, Station::open(broker).await];
    let asked: Vec<String> = hosts.iter().map(|host| host.queue.clone()).collect();
    let mut relays = tokio::task::JoinSet::new();
    let (answers_to, answers_back) = match route {
        Route::Two => (guest.queue.clone(), hosts.len()),
        Route::Three => {
            let arbiter = Station::open(broker).await;
            let queue = arbiter.queue.clone();
            relays.spawn(arbiter.relay(1 + hosts.len(), guest.queue.clone(), lengths.sum));
            (queue, 1)
        }
    };
    for host in hosts {
        relays.spawn(host.relay(1, answers_to.clone(), lengths.answer));
    }
    let mut took = Vec::new();
    for round in 0..WARM_UP + ROUNDS {
        let began = Instant::now();
        for host in &asked {
            guest.send(host, lengths.question).await;
        }
        if let Route::Three = route {
            guest.send(&answers_to, lengths.answer).await;
        }
        for _ in 0..answers_back {
            let limit = Duration::from_secs(10);
            let received = tokio::time::timeout(limit, guest.receive()).await;
            received.expect("a bare broker loses nothing");
        }
        if round >= WARM_UP {
            took.push(milliseconds(began.elapsed()));
        }
    }
    relays.shutdown().await;
    median(&took)
}
