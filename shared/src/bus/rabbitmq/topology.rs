//! What the broker keeps for each kind of queue.
//!
//! **The arguments of a queue never change**: a broker refuses to declare it with others, so that
//! a new version would not start beside what the old one left. Another kind is another name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::link::Connected;
use super::{Fault, PRECONDITION_FAILED, RESOURCE_LOCKED, code, refusal};
use crate::bus::{Error, QueueKind};
use crate::limits;
use crate::message::queue;

const KINDS: [QueueKind; 3] = [QueueKind::Durable, QueueKind::Session, QueueKind::Beats];

/// The queues this process declared: declared again on every new connection, since the broker may
/// have lost its disk and does lose session queues.
pub(super) struct Topology {
    prefix: String,
    declared: Mutex<HashMap<String, QueueKind>>,
}

impl Topology {
    pub(super) fn new(prefix: String) -> Topology {
        Topology {
            prefix,
            declared: Mutex::default(),
        }
    }

    fn declared(&self) -> MutexGuard<'_, HashMap<String, QueueKind>> {
        // Whole after any panic: single inserts and removals only.
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The broker's name of a queue; `None` if it has more than AMQP's 255 bytes.
    pub(super) fn name(&self, queue: &str) -> Option<ShortString> {
        let prefix = match queue.starts_with(queue::GIVEN_BY_BROKER) {
            true => "",
            false => &self.prefix,
        };
        ShortString::try_new(format!("{prefix}{queue}")).ok()
    }

    /// Our name of a broker's queue.
    pub(super) fn queue<'a>(&self, name: &'a str) -> &'a str {
        name.strip_prefix(&self.prefix).unwrap_or(name)
    }

    /// Our name of a queue where a stranger waits for an answer, if it may be one.
    pub(super) fn answers(&self, name: &str) -> Option<String> {
        let queue = match name.starts_with(queue::GIVEN_BY_BROKER) {
            true => name,
            false => name.strip_prefix(&self.prefix)?,
        };
        queue::takes_answers(queue).then(|| queue.to_owned())
    }

    pub(super) fn kind(&self, queue: &str) -> Option<QueueKind> {
        self.declared().get(queue).copied()
    }

    pub(super) fn forget(&self, queue: &str) {
        self.declared().remove(queue);
    }

    pub(super) async fn declare(
        &self,
        connected: &Arc<Connected>,
        queue: &str,
        kind: QueueKind,
    ) -> Result<(), Fault> {
        let Err(error) = self.make(connected, queue, kind).await? else {
            self.declared().insert(queue.to_owned(), kind);
            return Ok(());
        };
        let differs = |found| {
            Fault::Final(Error::KindDiffers {
                queue: queue.to_owned(),
                found,
                asked: kind,
            })
        };
        match code(&error) {
            Some(RESOURCE_LOCKED) if kind == QueueKind::Session => Err(Fault::Final(taken(queue))),
            Some(RESOURCE_LOCKED) => Err(differs(QueueKind::Session)),
            Some(PRECONDITION_FAILED) => {
                // It is there: declaring it as what it is changes nothing.
                for other in KINDS.into_iter().filter(|other| *other != kind) {
                    if self.make(connected, queue, other).await?.is_ok() {
                        return Err(differs(other));
                    }
                }
                Err(refusal(queue, error))
            }
            _ => Err(refusal(queue, error)),
        }
    }

    /// The inner error is the broker's answer to this declaration.
    async fn make(
        &self,
        connected: &Arc<Connected>,
        queue: &str,
        kind: QueueKind,
    ) -> Result<Result<(), lapin::Error>, Fault> {
        let name = self.name(queue).ok_or_else(|| {
            Fault::Final(Error::Refused {
                queue: queue.to_owned(),
                answer: "a name has at most 255 bytes".to_owned(),
            })
        })?;
        let channel = connected.channel().await?;
        let made = channel
            .queue_declare(name, options(kind), self.arguments(queue, kind))
            .await;
        Ok(match made {
            Ok(_) => {
                channel.give_back();
                Ok(())
            }
            Err(error) => Err(error),
        })
    }

    /// Declares what is left to declare after an outage. What fails is left to who reads it.
    pub(super) async fn declare_all(&self, connected: &Arc<Connected>, limit: Duration) {
        let declared = self.declared().clone();
        for (queue, kind) in declared {
            match tokio::time::timeout(limit, self.declare(connected, &queue, kind)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(queue, %error, "a queue is not back"),
                Err(_) => return,
            }
        }
    }

    fn arguments(&self, queue: &str, kind: QueueKind) -> FieldTable {
        let mut arguments = FieldTable::default();
        let mut set = |key: &str, value| {
            arguments.insert(key.into(), value);
        };
        match kind {
            QueueKind::Durable => {
                set("x-queue-type", text("quorum"));
                // Counted from the second delivery.
                let limit = limits::DELIVERIES_MAX - 1;
                set("x-delivery-limit", number(limit as usize));
                if queue != queue::DEAD {
                    set("x-dead-letter-exchange", text(""));
                    let dead = format!("{}{}", self.prefix, queue::DEAD);
                    set("x-dead-letter-routing-key", text(&dead));
                }
                set("x-max-length", number(limits::QUEUE_MESSAGES_MAX));
                set("x-max-length-bytes", number(limits::QUEUE_BYTES_MAX));
                set("x-overflow", text("reject-publish"));
            }
            QueueKind::Session => {
                set("x-max-length", number(limits::QUEUE_MESSAGES_MAX));
                set("x-max-length-bytes", number(limits::QUEUE_BYTES_MAX));
                set("x-overflow", text("reject-publish"));
            }
            // The oldest give way; none of them is dead-lettered, as nobody misses them.
            QueueKind::Beats => {
                let life = limits::BEAT_LIFE_SECONDS as usize * 1000;
                set("x-message-ttl", number(life));
                set("x-max-length", number(limits::BEATS_WAITING_MAX));
                set("x-max-length-bytes", number(limits::QUEUE_BYTES_MAX));
            }
        }
        arguments
    }
}

/// Only quorum queues and durable or exclusive classic ones are left in RabbitMQ 4.
fn options(kind: QueueKind) -> QueueDeclareOptions {
    let session = kind == QueueKind::Session;
    QueueDeclareOptions {
        durable: !session,
        exclusive: session,
        auto_delete: session,
        ..QueueDeclareOptions::default()
    }
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn number(value: usize) -> AMQPValue {
    AMQPValue::LongLongInt(i64::try_from(value).expect("limits are far below 2^63"))
}

pub(super) fn taken(queue: &str) -> Error {
    Error::Taken {
        queue: queue.to_owned(),
    }
}
