//! One suite for every bus: functions over `&Bus`, run once per home.

use std::collections::BTreeSet;
use std::time::Duration;

use uuid::Uuid;

use super::{Bus, Cause, Consumer, Death, Delivery, Error, Properties, QueueKind, Token, Usage};
use crate::limits;
use crate::message::queue;

/// Long enough for a broker under load, never waited for when all is well.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

macro_rules! suite {
    ($($test:ident)*) => {
        suite!(local, super::in_process(); $($test)*);
        suite!(rabbitmq, super::broker(); $($test)*);
    };
    ($home:ident, $bus:expr; $($test:ident)*) => {
        mod $home {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(&$bus.await).await;
                }
            )*
        }
    };
}

suite! {
    messages_arrive_in_order
    a_message_says_what_its_sender_said
    an_answer_goes_only_where_answers_are_taken
    a_waiting_reader_is_woken
    a_message_goes_to_one_of_many_readers
    a_burst_wakes_every_reader
    a_message_to_nowhere_comes_back
    a_message_over_the_limit_is_refused
    a_dropped_delivery_returns_to_the_head
    a_message_that_is_never_settled_is_parked
    a_rejected_message_is_parked_with_its_queue_and_reason
    a_message_dead_twice_is_gone
    a_reader_holds_no_more_than_its_prefetch
    a_cancelled_read_loses_nothing
    a_session_queue_dies_with_its_reader
    a_session_queue_has_one_reader
    a_transient_delivery_dropped_is_lost
    an_expired_message_vanishes
    the_oldest_beats_give_way
    a_queue_keeps_its_kind
    readers_are_counted
    what_waits_can_be_counted
}

/// What a test needs to know of the servers it runs beside.
#[expect(clippy::disallowed_methods, reason = "a test's server is no argument")]
pub(super) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set: run `deploy/with-services.sh cargo test --workspace` (README.md)"
        )
    })
}

async fn in_process() -> Bus {
    Bus::local()
}

/// Queues of its own on the broker that all tests share.
async fn broker() -> Bus {
    let bus = Bus::rabbitmq(super::rabbitmq::Config {
        url: variable("CONCORD_TEST_AMQP"),
        prefix: format!("{}.", Uuid::new_v4()),
        certificates: None,
    });
    let bus = bus.unwrap();
    bus.declare(queue::DEAD, QueueKind::Durable).await.unwrap();
    bus
}

pub(super) fn name() -> String {
    format!("test.{}", Uuid::new_v4())
}

pub(super) async fn declared(bus: &Bus, kind: QueueKind) -> String {
    let queue = name();
    bus.declare(&queue, kind).await.unwrap();
    queue
}

pub(super) async fn next(consumer: &mut Consumer) -> Delivery {
    tokio::time::timeout(PATIENCE, consumer.next())
        .await
        .expect("a message arrives")
        .expect("the queue is there")
}

pub(super) async fn take(consumer: &mut Consumer) -> Vec<u8> {
    let delivery = next(consumer).await;
    let body = delivery.body().to_vec();
    delivery.ack().await;
    body
}

/// The next dead letter of one queue; those of other tests are passed over.
async fn dead(bus: &Bus, from: &str) -> (Vec<u8>, Death) {
    let mut consumer = bus.consume(queue::DEAD, 1).await.unwrap();
    loop {
        let delivery = next(&mut consumer).await;
        let death = delivery.death().expect("what is dead says why").clone();
        let body = delivery.body().to_vec();
        delivery.ack().await;
        if death.queue == from {
            return (body, death);
        }
    }
}

async fn messages_arrive_in_order(bus: &Bus) {
    let queue = declared(bus, QueueKind::Durable).await;
    for i in 0..100 {
        bus.publish(&queue, vec![i]).await.unwrap();
    }
    let mut consumer = bus.consume(&queue, 1).await.unwrap();
    for i in 0..100 {
        let delivery = next(&mut consumer).await;
        assert_eq!((delivery.body(), delivery.attempts()), (&[i][..], 1));
        assert_eq!(delivery.death(), None);
        delivery.ack().await;
    }
}

async fn a_message_says_what_its_sender_said(bus: &Bus) {
    let queue = declared(bus, QueueKind::Durable).await;
    let word = |text: &str| Some(text.to_owned());
    let all = Properties {
        kind: word("/model/train"),
        id: word("key-1"),
        reply_to: word("replies.7"),
        correlation: word("correlation-1"),
        // Longer than AMQP's own properties may be.
        token: Some(Token::new("t".repeat(1000))),
    };
    bus.publish_with(&queue, vec![1], &all).await.unwrap();
    bus.publish(&queue, vec![2]).await.unwrap();
    let mut consumer = bus.consume(&queue, 1).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.properties(), all);
    drop(delivery);
    let again = next(&mut consumer).await;
    assert_eq!((again.properties(), again.attempts()), (all, 2));
    again.ack().await;
    let silent = next(&mut consumer).await;
    assert_eq!(silent.properties(), Properties::default());
    silent.ack().await;
}

#[test]
fn no_log_shows_a_token() {
    let token = Some(Token::new("s3cret".to_owned()));
    let properties = Properties {
        token,
        ..Properties::default()
    };
    assert!(!format!("{properties:?}").contains("s3cret"));
}

async fn an_answer_goes_only_where_answers_are_taken(bus: &Bus) {
    let queue = declared(bus, QueueKind::Durable).await;
    let mut consumer = bus.consume(&queue, 1).await.unwrap();
    let names = [
        "amq.gen-x",
        "replies.x",
        "events",
        "party.2.guest",
        "",
        "x.replies.x",
    ];
    for name in names {
        let properties = Properties {
            reply_to: Some(name.to_owned()),
            ..Properties::default()
        };
        let sent = bus.publish_with(&queue, vec![1], &properties).await;
        sent.unwrap();
        let delivery = next(&mut consumer).await;
        let taken = names[..2].contains(&name).then(|| name.to_owned());
        assert_eq!(delivery.properties().reply_to, taken);
        delivery.ack().await;
    }
}

async fn a_waiting_reader_is_woken(bus: &Bus) {
    let queue = declared(bus, QueueKind::Session).await;
    let mut consumer = bus.consume(&queue, 1).await.unwrap();
    let (body, sent) = tokio::join!(take(&mut consumer), bus.publish(&queue, vec![7]));
    sent.unwrap();
    assert_eq!(body, [7]);
}

async fn a_message_goes_to_one_of_many_readers(bus: &Bus) {
    let queue = declared(bus, QueueKind::Durable).await;
    let mut one = bus.consume(&queue, 1).await.unwrap();
    let mut other = bus.consume(&queue, 1).await.unwrap();
    for i in 0..2 {
        bus.publish(&queue, vec![i]).await.unwrap();
    }
    let first = next(&mut one).await;
    let second = next(&mut other).await;
    let bodies: BTreeSet<_> = [first.body(), second.body()].map(<[u8]>::to_vec).into();
    assert_eq!(bodies, BTreeSet::from([vec![0], vec![1]]));
    first.ack().await;
    second.ack().await;
}

async fn a_burst_wakes_every_reader(bus: &Bus) {
    let queue = declared(bus, QueueKind::Durable).await;
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut consumer = bus.consume(&queue, 1).await.unwrap();
        readers.spawn(async move {
            let mut taken = 0;
            while take(&mut consumer).await.is_empty() {
                taken += 1;
            }
            taken
        });
    }
    for _ in 0..1000 {
        bus.publish(&queue, Vec::new()).await.unwrap();
    }
    for _ in 0..8 {
        bus.publish(&queue, vec![1]).await.unwrap();
    }
    let taken = tokio::time::timeout(PATIENCE, readers.join_all()).await;
    assert_eq!(taken.unwrap().iter().sum::<i32>(), 1000);
}

async fn a_message_to_nowhere_comes_back(bus: &Bus) {
    let queue = name();
    let sent = bus.publish(&queue, vec![1]).await;
    assert!(matches!(sent, Err(Error::Unroutable { queue: q }) if q == queue));
    let consumer = bus.consume(&queue, 1).await;
    assert!(matches!(consumer, Err(Error::Unroutable { .. })));
}

async fn a_message_over_the_limit_is_refused(bus: &Bus) {
    let queue = declared(bus, QueueKind::Durable).await;
    let whole = vec![0; limits::MESSAGE_BYTES_MAX];
    bus.publish(&queue, whole).await.unwrap();
    let long = vec![0; limits::MESSAGE_BYTES_MAX + 1];
    assert!(matches!(
        bus.publish(&queue, long.clone()).await,
        Err(Error::TooLarge { bytes, .. }) if bytes == limits::MESSAGE_BYTES_MAX + 1
    ));
    // The size is looked at first, so that the answer does not depend on who listens.
    let nowhere = bus.publish(&name(), long).await;
    assert!(matches!(nowhere, Err(Error::TooLarge { .. })));
}

async fn a_dropped_delivery_returns_to_the_head(bus: &Bus) {
    let queue = declared(bus, QueueKind::Durable).await;
    bus.publish(&queue, vec![1]).await.unwrap();
    bus.publish(&queue, vec![2]).await.unwrap();
    let mut consumer = bus.consume(&queue, 1).await.unwrap();
    drop(next(&mut consumer).await);
    let again = next(&mut consumer).await;
    assert_eq!((again.body(), again.attempts()), (&[1][..], 2));
    // A reader that dies gives back what it holds, though not in no time.
    drop((consumer, again));
    let mut heir = bus.consume(&queue, 1).await.unwrap();
    let bodies = BTreeSet::from([take(&mut heir).await, take(&mut heir).await]);
    assert_eq!(bodies, BTreeSet::from([vec![1], vec![2]]));
}

async fn a_message_that_is_never_settled_is_parked(bus: &Bus) {
    let queue = declared(bus, QueueKind::Durable).await;
    bus.publish(&queue, b"poison".to_vec()).await.unwrap();
    bus.publish(&queue, b"sound".to_vec()).await.unwrap();
    let mut consumer = bus.consume(&queue, 1).await.unwrap();
    for attempt in 1..=limits::DELIVERIES_MAX {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.body(), b"poison");
        assert_eq!(delivery.attempts(), attempt);
    }
    assert_eq!(take(&mut consumer).await, b"sound");
    let cause = Cause::Unsettled;
    let death = Death {
        queue: queue.clone(),
        cause,
    };
    assert_eq!(dead(bus, &queue).await, (b"poison".to_vec(), death));
}

async fn a_rejected_message_is_parked_with_its_queue_and_reason(bus: &Bus) {
    for kind in [QueueKind::Durable, QueueKind::Session, QueueKind::Beats] {
        let queue = declared(bus, kind).await;
        bus.publish(&queue, b"nonsense".to_vec()).await.unwrap();
        let mut consumer = bus.consume(&queue, 1).await.unwrap();
        let long = "不".repeat(limits::REASON_CHARACTERS_MAX + 1);
        next(&mut consumer).await.reject(&long).await;
        let (body, death) = dead(bus, &queue).await;
        assert_eq!(body, b"nonsense");
        let kept = "不".repeat(limits::REASON_CHARACTERS_MAX);
        assert_eq!(death.cause, Cause::Rejected(kept));
    }
}

async fn a_message_dead_twice_is_gone(bus: &Bus) {
    let queue = declared(bus, QueueKind::Durable).await;
    let mut consumer = bus.consume(&queue, 1).await.unwrap();
    let mut graves = bus.consume(queue::DEAD, 1).await.unwrap();
    bus.publish(&queue, vec![1]).await.unwrap();
    next(&mut consumer).await.reject("first").await;
    next(&mut graves).await.reject("again").await;
    bus.publish(&queue, vec![2]).await.unwrap();
    next(&mut consumer).await.reject("second").await;
    assert_eq!(take(&mut graves).await, [2]);
}

async fn a_reader_holds_no_more_than_its_prefetch(bus: &Bus) {
    let queue = declared(bus, QueueKind::Durable).await;
    for i in 0..3 {
        bus.publish(&queue, vec![i]).await.unwrap();
    }
    let mut consumer = bus.consume(&queue, 2).await.unwrap();
    let first = next(&mut consumer).await;
    let second = next(&mut consumer).await;
    assert!(waits(&mut consumer).await);
    first.ack().await;
    assert_eq!(take(&mut consumer).await, [2]);
    second.ack().await;
}

/// Whether nothing can be read now.
async fn waits(consumer: &mut Consumer) -> bool {
    tokio::select! {
        biased;
        _ = consumer.next() => false,
        () = std::future::ready(()) => true,
    }
}

async fn a_cancelled_read_loses_nothing(bus: &Bus) {
    let queue = declared(bus, QueueKind::Durable).await;
    let mut one = bus.consume(&queue, 1).await.unwrap();
    let mut other = bus.consume(&queue, 1).await.unwrap();
    for i in 0..8 {
        assert!(waits(&mut one).await);
        bus.publish(&queue, vec![i]).await.unwrap();
        let body = tokio::select! {
            body = take(&mut one) => body,
            body = take(&mut other) => body,
        };
        assert_eq!(body, [i]);
    }
}

async fn a_session_queue_dies_with_its_reader(bus: &Bus) {
    let queue = declared(bus, QueueKind::Session).await;
    bus.publish(&queue, vec![1]).await.unwrap();
    let mut consumer = bus.consume(&queue, 8).await.unwrap();
    let held = next(&mut consumer).await;
    drop(consumer);
    gone(bus, &queue).await;
    drop(held);
    gone(bus, &queue).await;
}

/// Waits until a queue is not there.
async fn gone(bus: &Bus, queue: &str) {
    let unroutable = async {
        while !matches!(
            bus.publish(queue, vec![2]).await,
            Err(Error::Unroutable { .. })
        ) {}
    };
    let gone = tokio::time::timeout(PATIENCE, unroutable).await;
    gone.expect("the queue goes");
}

async fn a_session_queue_has_one_reader(bus: &Bus) {
    let queue = declared(bus, QueueKind::Session).await;
    let _reader = bus.consume(&queue, 1).await.unwrap();
    let second = bus.consume(&queue, 1).await;
    assert!(matches!(second, Err(Error::Taken { .. })));
}

async fn a_transient_delivery_dropped_is_lost(bus: &Bus) {
    for kind in [QueueKind::Session, QueueKind::Beats] {
        let queue = declared(bus, kind).await;
        bus.publish(&queue, vec![1]).await.unwrap();
        bus.publish(&queue, vec![2]).await.unwrap();
        let mut consumer = bus.consume(&queue, 1).await.unwrap();
        drop(next(&mut consumer).await);
        assert_eq!(take(&mut consumer).await, [2]);
    }
}

async fn an_expired_message_vanishes(bus: &Bus) {
    let queue = declared(bus, QueueKind::Durable).await;
    bus.publish_expiring(&queue, vec![1], Duration::ZERO)
        .await
        .unwrap();
    bus.publish_expiring(&queue, vec![2], PATIENCE)
        .await
        .unwrap();
    let mut consumer = bus.consume(&queue, 1).await.unwrap();
    assert_eq!(take(&mut consumer).await, [2]);
}

async fn the_oldest_beats_give_way(bus: &Bus) {
    let queue = declared(bus, QueueKind::Beats).await;
    for i in 0..2 {
        bus.publish(&queue, vec![i]).await.unwrap();
    }
    // Many at once, or the first would have expired when the last arrives at a busy broker.
    let mut others = tokio::task::JoinSet::new();
    for _ in 2..=limits::BEATS_WAITING_MAX {
        let (bus, queue) = (bus.clone(), queue.clone());
        others.spawn(async move { bus.publish(&queue, vec![2]).await });
    }
    for sent in others.join_all().await {
        sent.unwrap();
    }
    let mut consumer = bus.consume(&queue, 1).await.unwrap();
    assert_eq!(take(&mut consumer).await, [1]);
}

async fn what_waits_can_be_counted(bus: &Bus) {
    let queue = declared(bus, QueueKind::Durable).await;
    assert_eq!(bus.usage(&queue).await.unwrap().waiting, 0);
    for number in 0..3 {
        bus.publish(&queue, vec![number]).await.unwrap();
    }
    assert_eq!(bus.usage(&queue).await.unwrap().waiting, 3);
    let mut reader = bus.consume(&queue, 1).await.unwrap();
    let held = next(&mut reader).await;
    assert_eq!(bus.usage(&queue).await.unwrap().waiting, 2);
    held.ack().await;
    assert_eq!(bus.usage(&name()).await.unwrap(), Usage::default());
}

async fn a_queue_keeps_its_kind(bus: &Bus) {
    let queue = declared(bus, QueueKind::Durable).await;
    bus.declare(&queue, QueueKind::Durable).await.unwrap();
    assert!(matches!(
        bus.declare(&queue, QueueKind::Beats).await,
        Err(Error::KindDiffers {
            found: QueueKind::Durable,
            asked: QueueKind::Beats,
            ..
        })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_on_many_threads_sleep_through_nothing() {
    for _ in 0..50 {
        a_burst_wakes_every_reader(&Bus::local()).await;
    }
}

/// A broker hands a message to a reader before it looks; this home rings for one.
#[tokio::test]
async fn who_is_rung_for_and_leaves_passes_it_on() {
    let bus = Bus::local();
    let queue = declared(&bus, QueueKind::Durable).await;
    let mut one = bus.consume(&queue, 1).await.unwrap();
    let mut other = bus.consume(&queue, 1).await.unwrap();
    {
        // Both stand in line; the one that is rung for leaves before it looks.
        let mut leaving = Box::pin(one.next());
        assert!(pending(&mut leaving).await);
        let staying = tokio::spawn(async move { take(&mut other).await });
        tokio::task::yield_now().await;
        bus.publish(&queue, vec![1]).await.unwrap();
        drop(leaving);
        let body = tokio::time::timeout(PATIENCE, staying).await;
        assert_eq!(body.unwrap().unwrap(), [1]);
    }
    bus.publish(&queue, vec![2]).await.unwrap();
    assert_eq!(take(&mut one).await, [2]);
}

/// Polls once.
async fn pending<F: Future + Unpin>(future: &mut F) -> bool {
    tokio::select! {
        biased;
        _ = future => false,
        () = std::future::ready(()) => true,
    }
}

/// The broker's bound is far away and soft; this home's is exact.
#[tokio::test]
async fn a_full_queue_in_memory_refuses_and_recovers() {
    let bus = Bus::local();
    let queue = declared(&bus, QueueKind::Durable).await;
    let messages = limits::QUEUE_BYTES_MAX / limits::MESSAGE_BYTES_MAX;
    for _ in 0..messages {
        let body = vec![0; limits::MESSAGE_BYTES_MAX];
        bus.publish(&queue, body).await.unwrap();
    }
    let refused = bus.publish(&queue, vec![1]).await;
    assert!(matches!(refused, Err(Error::Full { .. })));
    let mut consumer = bus.consume(&queue, 1).await.unwrap();
    take(&mut consumer).await;
    bus.publish(&queue, vec![1]).await.unwrap();

    let queue = declared(&bus, QueueKind::Durable).await;
    for _ in 0..limits::QUEUE_MESSAGES_MAX {
        bus.publish(&queue, Vec::new()).await.unwrap();
    }
    let refused = bus.publish(&queue, Vec::new()).await;
    assert!(matches!(refused, Err(Error::Full { .. })));
}

async fn readers_are_counted(bus: &Bus) {
    let becomes = async |queue: &str, count: usize| {
        let looking = async {
            while bus.usage(queue).await.unwrap().readers != count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.unwrap();
    };
    let queue = name();
    becomes(&queue, 0).await;
    for kind in [QueueKind::Durable, QueueKind::Beats] {
        let queue = declared(bus, kind).await;
        becomes(&queue, 0).await;
        let first = bus.consume(&queue, 1).await.unwrap();
        let second = bus.open(&queue, kind, 1).await.unwrap();
        becomes(&queue, 2).await;
        drop(first);
        becomes(&queue, 1).await;
        drop(second);
        becomes(&queue, 0).await;
    }
}
