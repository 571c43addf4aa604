//! A reader that subscribes again whenever its subscription ends: with the connection, the channel
//! or the queue. lapin ends the stream of a deleted queue without an error.

use std::sync::Arc;

use futures_util::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::link::{Backoff, Connected};
use super::topology::taken;
use super::{ACCESS_REFUSED, Fault, RESOURCE_LOCKED, Shared, code, persist, refusal, unroutable};
use crate::bus::{Cause, Death, Error, Properties, QueueKind};
use crate::message::queue;

/// Where we brought a dead letter from ourselves, in its headers.
const DEATH_QUEUE: &str = "concord-death-queue";
/// Why we did.
const DEATH_REASON: &str = "concord-death-reason";
/// What a reader said that could not tell us more.
const NO_REASON: &str = "its reader could not read it";

/// A reader of a broker's queue.
pub struct Consumer {
    source: Arc<Source>,
    deliveries: mpsc::UnboundedReceiver<Delivery>,
    _reader: AbortOnDropHandle<()>,
}

/// What is read, and how.
struct Source {
    shared: Arc<Shared>,
    queue: String,
    kind: QueueKind,
    prefetch: u16,
}

struct Subscription {
    messages: lapin::Consumer,
    channel: Channel,
}

impl Consumer {
    pub(super) async fn open(
        shared: &Arc<Shared>,
        queue: &str,
        prefetch: usize,
    ) -> Result<Consumer, Error> {
        let kind = shared.topology.kind(queue);
        let source = Arc::new(Source {
            shared: Arc::clone(shared),
            queue: queue.to_owned(),
            kind: kind.ok_or_else(|| unroutable(queue))?,
            prefetch: u16::try_from(prefetch).unwrap_or(u16::MAX),
        });
        let subscribe = |connected| {
            let source = Arc::clone(&source);
            async move { source.subscribe(&connected).await }
        };
        let first = persist(queue, &shared.consuming, subscribe).await?;
        // Holds no more than the prefetch: the broker sends no more.
        let (sender, deliveries) = mpsc::unbounded_channel();
        let reader = tokio::spawn(Arc::clone(&source).read(first, sender));
        Ok(Consumer {
            source,
            deliveries,
            _reader: AbortOnDropHandle::new(reader),
        })
    }

    pub(in crate::bus) async fn next(&mut self) -> Option<Delivery> {
        loop {
            let delivery = self.deliveries.recv().await?;
            // After an outage the broker sends again what waited here.
            if delivery.is_ours() {
                return Some(delivery);
            }
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if self.source.kind == QueueKind::Session {
            self.source.shared.topology.forget(&self.source.queue);
        }
    }
}

impl Source {
    async fn subscribe(&self, connected: &Arc<Connected>) -> Result<Subscription, Fault> {
        let Source { shared, queue, .. } = self;
        shared.topology.declare(connected, queue, self.kind).await?;
        let channel = connected.fresh_channel().await?;
        channel
            .basic_qos(self.prefetch, BasicQosOptions::default())
            .await?;
        let name = shared.topology.name(queue);
        let session = self.kind == QueueKind::Session;
        let options = BasicConsumeOptions {
            exclusive: session,
            ..BasicConsumeOptions::default()
        };
        let consuming = channel.basic_consume(
            name.ok_or_else(|| unroutable(queue))?,
            "".into(),
            options,
            FieldTable::default(),
        );
        match consuming.await {
            Ok(messages) => Ok(Subscription { messages, channel }),
            Err(error) => Err(match code(&error) {
                Some(ACCESS_REFUSED) if session => Fault::Final(taken(queue)),
                Some(RESOURCE_LOCKED) => Fault::Final(taken(queue)),
                _ => refusal(queue, error),
            }),
        }
    }

    /// Passes messages on, for ever.
    async fn read(self: Arc<Source>, first: Subscription, to: mpsc::UnboundedSender<Delivery>) {
        let mut subscription = first;
        loop {
            let end = loop {
                match subscription.messages.next().await {
                    Some(Ok(message)) => self.pass_on(message, &subscription.channel, &to),
                    Some(Err(error)) => break error.to_string(),
                    None => break "the queue is gone".to_owned(),
                }
            };
            tracing::warn!(queue = self.queue, end, "subscribing again");
            subscription = self.subscribe_again().await;
        }
    }

    async fn subscribe_again(&self) -> Subscription {
        let limit = self.shared.consuming.patience();
        let mut backoff = Backoff::default();
        loop {
            backoff.wait().await;
            let connected = self.shared.consuming.up().await;
            match tokio::time::timeout(limit, self.subscribe(&connected)).await {
                Ok(Ok(subscription)) => return subscription,
                Ok(Err(fault)) => tracing::warn!(queue = self.queue, %fault, "cannot subscribe"),
                Err(_) => tracing::warn!(queue = self.queue, "subscribing took too long"),
            }
        }
    }

    fn pass_on(
        self: &Arc<Source>,
        message: lapin::message::Delivery,
        channel: &Channel,
        to: &mpsc::UnboundedSender<Delivery>,
    ) {
        let past = self.past(&message.properties);
        let attempts = match header(&message.properties, "x-delivery-count").and_then(integer) {
            Some(count) => u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1),
            None => 1 + u32::from(message.redelivered),
        };
        let mut delivery = Delivery {
            source: Arc::clone(self),
            message: Some(message),
            attempts,
            death: None,
            channel: channel.clone(),
        };
        match past {
            Past::Alive => {}
            Past::Died(death) => delivery.death = Some(death),
            Past::Expired => {
                delivery.settle(Verdict::Done);
                return;
            }
        }
        // A reader that just left gives back what it is sent.
        let _ = to.send(delivery);
    }

    /// How a message came to `dead`.
    fn past(&self, properties: &BasicProperties) -> Past {
        if self.queue != queue::DEAD {
            return Past::Alive;
        }
        let text = |key| text(properties, key);
        let deaths = header(properties, "x-death").and_then(AMQPValue::as_array);
        let Some(last) = deaths.and_then(|deaths| deaths.as_slice().first()) else {
            return text(DEATH_QUEUE).map_or(Past::Alive, |queue| {
                let reason = text(DEATH_REASON).unwrap_or_else(|| NO_REASON.to_owned());
                let cause = Cause::Rejected(reason);
                Past::Died(Death { queue, cause })
            });
        };
        let of = |key: &str| last.as_field_table()?.inner().get(key).and_then(string);
        let cause = match of("reason").as_deref() {
            Some("rejected") => Cause::Rejected(NO_REASON.to_owned()),
            Some("delivery_limit") => Cause::Unsettled,
            _ => return Past::Expired,
        };
        let name = of("queue").unwrap_or_default();
        Past::Died(Death {
            queue: self.shared.topology.queue(&name).to_owned(),
            cause,
        })
    }
}

/// How a message came to its queue.
enum Past {
    /// It was sent there.
    Alive,
    Died(Death),
    /// Nobody took it in time, and nobody misses it.
    Expired,
}

fn header<'a>(properties: &'a BasicProperties, key: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(key)
}

/// A text among a message's headers.
pub(super) fn text(properties: &BasicProperties, key: &str) -> Option<String> {
    header(properties, key).and_then(string)
}

fn string(value: &AMQPValue) -> Option<String> {
    let bytes = value.as_long_string()?.as_bytes();
    Some(String::from_utf8_lossy(bytes).into_owned())
}

fn integer(value: &AMQPValue) -> Option<i64> {
    match value {
        AMQPValue::LongLongInt(value) => Some(*value),
        AMQPValue::LongInt(value) => Some(i64::from(*value)),
        AMQPValue::LongUInt(value) => Some(i64::from(*value)),
        _ => None,
    }
}

/// What the broker is told about a delivery.
#[derive(Clone, Copy)]
enum Verdict {
    Done,
    Again,
    Dead,
}

/// A message of a broker's queue.
pub struct Delivery {
    source: Arc<Source>,
    /// `None` once settled.
    message: Option<lapin::message::Delivery>,
    attempts: u32,
    death: Option<Death>,
    /// Outlives the reader, so that what it took can still be settled.
    pub(super) channel: Channel,
}

impl Delivery {
    fn message(&self) -> &lapin::message::Delivery {
        self.message
            .as_ref()
            .expect("settling takes the delivery away")
    }

    fn is_ours(&self) -> bool {
        self.message().acker.usable()
    }

    pub(in crate::bus) fn body(&self) -> &[u8] {
        &self.message().data
    }

    pub(in crate::bus) fn properties(&self) -> Properties {
        self.source.shared.inward(&self.message().properties)
    }

    pub(in crate::bus) fn user(&self) -> Option<&str> {
        let user = self.message().properties.user_id().as_ref();
        user.map(|user| user.as_str())
    }

    pub(in crate::bus) fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(in crate::bus) fn death(&self) -> Option<&Death> {
        self.death.as_ref()
    }

    pub(in crate::bus) async fn ack(mut self) {
        if let Some(message) = self.message.take() {
            tell(&self.source, message, Verdict::Done).await;
        }
    }

    /// The broker itself would bring it to `dead` without the reason, and from a durable queue only.
    pub(in crate::bus) async fn reject(mut self, reason: String) {
        let Some(message) = self.message.take() else {
            return;
        };
        let Source {
            shared,
            queue,
            kind,
            ..
        } = &*self.source;
        if queue == queue::DEAD {
            tracing::warn!(bytes = message.data.len(), "dropped a dead message");
            return tell(&self.source, message, Verdict::Done).await;
        }
        let mut headers = FieldTable::default();
        for (key, value) in [(DEATH_QUEUE, queue), (DEATH_REASON, &reason)] {
            headers.insert(key.into(), AMQPValue::LongString(value.as_str().into()));
        }
        let properties = BasicProperties::default().with_headers(headers);
        let buried = shared.publish(queue::DEAD, &message.data, properties).await;
        let verdict = match (buried, kind) {
            (Ok(()), _) => Verdict::Done,
            (Err(_), QueueKind::Durable) => Verdict::Dead,
            (Err(error), QueueKind::Session | QueueKind::Beats) => {
                tracing::warn!(queue, %error, "dropped a dead message");
                Verdict::Done
            }
        };
        tell(&self.source, message, verdict).await;
    }

    fn settle(&mut self, verdict: Verdict) {
        if let Some(message) = self.message.take() {
            let source = Arc::clone(&self.source);
            let channel = self.channel.clone();
            self.source.shared.runtime.spawn(async move {
                tell(&source, message, verdict).await;
                drop(channel);
            });
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let verdict = match self.source.kind {
            QueueKind::Durable => Verdict::Again,
            QueueKind::Session | QueueKind::Beats => Verdict::Done,
        };
        self.settle(verdict);
    }
}

/// Tells the broker; when it cannot be told it delivers again.
async fn tell(source: &Source, message: lapin::message::Delivery, verdict: Verdict) {
    let (queue, acker) = (&source.queue, message.acker);
    let telling = async {
        match verdict {
            Verdict::Done => acker.ack(BasicAckOptions::default()).await,
            // Not `nack`, which RabbitMQ 4.3 no longer counts as a delivery.
            Verdict::Again => acker.reject(BasicRejectOptions { requeue: true }).await,
            Verdict::Dead => acker.reject(BasicRejectOptions { requeue: false }).await,
        }
    };
    match tokio::time::timeout(source.shared.consuming.patience(), telling).await {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) => tracing::debug!(queue, "the delivery was no longer ours"),
        Ok(Err(error)) => tracing::debug!(queue, %error, "a delivery was not settled"),
        Err(_) => tracing::debug!(queue, "settling a delivery took too long"),
    }
}
