//! The bus: named queues of byte messages between processes, or between the parts of one.
//!
//! **The bus is lossy**: it may drop, repeat, reorder or delay; a job's row is the truth and every
//! message can be made again from it. What it does promise keeps the common case fast: a message
//! to a queue that is not there comes back, a durable message that its reader lost is delivered
//! again, and one that kills its readers is parked.
//!
//! The queue [`queue::DEAD`](crate::message::queue::DEAD) is always there in a process; on a broker
//! it is there once the platform, whose it is, has declared it.

pub mod local;
pub mod rabbitmq;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::limits;

/// The queues of one federation.
#[derive(Clone)]
pub enum Bus {
    /// In this process.
    Local(local::Bus),
    /// On a broker.
    Rabbitmq(rabbitmq::Bus),
}

/// What a queue promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueKind {
    /// Survives its readers. A delivery dropped unsettled goes back to the head, and after
    /// [`limits::DELIVERIES_MAX`] deliveries to `dead`. A full queue refuses.
    Durable,
    /// One reader's own, gone with it. A delivery dropped unsettled is lost. A full queue refuses.
    Session,
    /// For signs of life: a message is gone after [`limits::BEAT_LIFE_SECONDS`], or when
    /// [`limits::BEATS_WAITING_MAX`] newer ones wait. A delivery dropped unsettled is lost.
    Beats,
}

/// What a message says beside its body, all of it in the sender's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// What its body is; AMQP's `type`.
    pub kind: Option<String>,
    /// The sender's name for it; AMQP's `message_id`.
    pub id: Option<String>,
    /// The queue where the sender waits for the answer. In a delivery only a queue that
    /// [takes answers](crate::message::queue::takes_answers): any other is as good as none.
    pub reply_to: Option<String>,
    /// What an answer repeats, so that its reader finds the question; AMQP's `correlation_id`.
    pub correlation: Option<String>,
    /// Who asks, for the API; AMQP's header `token`.
    pub token: Option<Token>,
}

/// A caller's token for the API: a secret, which no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// A token as it stands.
    pub fn new(text: String) -> Token {
        Token(Zeroizing::new(text))
    }

    /// To send it or to check it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// How a queue is used at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Messages that wait, without those that readers hold.
    pub waiting: usize,
    /// Who reads it.
    pub readers: usize,
}

/// Why the bus did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody declared the queue, or its reader is gone.
    #[error("queue {queue} does not exist")]
    Unroutable {
        /// The queue.
        queue: String,
    },
    /// Longer than the bus carries.
    #[error(
        "a message of {bytes} bytes to queue {queue}: at most {} travel",
        limits::MESSAGE_BYTES_MAX
    )]
    TooLarge {
        /// The queue.
        queue: String,
        /// Length of the body.
        bytes: usize,
    },
    /// Too much waits in the queue already.
    #[error("queue {queue} is full")]
    Full {
        /// The queue.
        queue: String,
    },
    /// The queue is there and is of another kind.
    #[error("queue {queue} is {found:?}, not {asked:?}")]
    KindDiffers {
        /// The queue.
        queue: String,
        /// Its kind.
        found: QueueKind,
        /// The kind asked for.
        asked: QueueKind,
    },
    /// A session queue has its one reader.
    #[error("queue {queue} has its reader")]
    Taken {
        /// The queue.
        queue: String,
    },
    /// The broker cannot be reached, takes no messages or does not answer, and has not for
    /// [`limits::BROKER_SECONDS_MAX`]. It may have done what it was asked.
    #[error(
        "the broker of queue {queue} did not answer within {} s",
        limits::BROKER_SECONDS_MAX
    )]
    Away {
        /// The queue.
        queue: String,
    },
    /// The broker says no, and will again.
    #[error("the broker refused queue {queue}: {answer}")]
    Refused {
        /// The queue.
        queue: String,
        /// Its words.
        answer: String,
    },
    /// The address cannot be read; it is a secret.
    #[error("the address of the broker is not amqp[s]://user:password:port/vhost")]
    Address,
}

impl Bus {
    /// A bus within this process, without a queue but `dead`.
    pub fn local() -> Bus {
        Bus::Local(local::Bus::new())
    }

    /// A bus over RabbitMQ. Connects in the background, and again after every outage, for ever.
    /// Must be called within a runtime.
    ///
    /// # Errors
    /// [`Error::Address`].
    pub fn rabbitmq(config: rabbitmq::Config) -> Result<Bus, Error> {
        rabbitmq::Bus::new(config).map(Bus::Rabbitmq)
    }

    /// Since when the bus has been up without a break; `None` while it is away. What was said
    /// before may be lost, so that a silence which began before says nothing.
    pub fn up_since(&self) -> Option<Instant> {
        match self {
            Bus::Local(bus) => Some(bus.since()),
            Bus::Rabbitmq(bus) => bus.up_since(),
        }
    }

    /// Makes a queue, unless it is there.
    ///
    /// # Errors
    /// [`Error::KindDiffers`].
    pub async fn declare(&self, queue: &str, kind: QueueKind) -> Result<(), Error> {
        match self {
            Bus::Local(bus) => bus.declare(queue, kind),
            Bus::Rabbitmq(bus) => bus.declare(queue, kind).await,
        }
    }

    /// Puts a message at the end of a queue.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Unroutable`], [`Error::Full`]; the message is not in the queue
    /// then.
    pub async fn publish(&self, queue: &str, body: Vec<u8>) -> Result<(), Error> {
        let properties = Properties::default();
        self.send(queue, body, None, &properties).await
    }

    /// As [`Bus::publish`], for a message that says more than its body does.
    ///
    /// # Errors
    /// As [`Bus::publish`]; [`Error::Refused`] for a property of more than 255 bytes, or a token of
    /// more than [`limits::TOKEN_BYTES_MAX`].
    pub async fn publish_with(
        &self,
        queue: &str,
        body: Vec<u8>,
        properties: &Properties,
    ) -> Result<(), Error> {
        self.send(queue, body, None, properties).await
    }

    /// As [`Bus::publish`], for a message that is made again: it vanishes when nobody took it
    /// within `life`.
    ///
    /// # Errors
    /// As [`Bus::publish`].
    pub async fn publish_expiring(
        &self,
        queue: &str,
        body: Vec<u8>,
        life: Duration,
    ) -> Result<(), Error> {
        let properties = Properties::default();
        self.send(queue, body, Some(life), &properties).await
    }

    async fn send(
        &self,
        queue: &str,
        body: Vec<u8>,
        life: Option<Duration>,
        properties: &Properties,
    ) -> Result<(), Error> {
        if body.len() > limits::MESSAGE_BYTES_MAX {
            return Err(Error::TooLarge {
                queue: queue.to_owned(),
                bytes: body.len(),
            });
        }
        match self {
            Bus::Local(bus) => bus.publish(queue, body, life, properties),
            Bus::Rabbitmq(bus) => bus.publish(queue, &body, life, properties).await,
        }
    }

    /// How a queue is used; a queue that is not there is not used.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub async fn usage(&self, queue: &str) -> Result<Usage, Error> {
        match self {
            Bus::Local(bus) => Ok(bus.usage(queue)),
            Bus::Rabbitmq(bus) => bus.usage(queue).await,
        }
    }

    /// Makes a queue, unless it is there, and reads it. An absent broker is waited for.
    ///
    /// # Errors
    /// As [`Bus::declare`] and [`Bus::consume`].
    pub async fn open(
        &self,
        queue: &str,
        kind: QueueKind,
        prefetch: usize,
    ) -> Result<Consumer, Error> {
        loop {
            let opening = async {
                self.declare(queue, kind).await?;
                self.consume(queue, prefetch).await
            };
            match opening.await {
                Err(error @ Error::Away { .. }) => {
                    tracing::warn!(queue, %error, "waiting for the bus");
                }
                opened => return opened,
            }
        }
    }

    /// Reads a queue, beside its other readers; each message goes to one of them. At most
    /// `prefetch` (1 or more) deliveries are unsettled at once.
    ///
    /// # Errors
    /// [`Error::Unroutable`]; [`Error::Taken`] for a session queue with a reader.
    pub async fn consume(&self, queue: &str, prefetch: usize) -> Result<Consumer, Error> {
        match self {
            Bus::Local(bus) => bus.consume(queue, prefetch).map(Consumer::Local),
            Bus::Rabbitmq(bus) => bus.consume(queue, prefetch).await.map(Consumer::Rabbitmq),
        }
    }
}

/// A reader of a queue.
pub enum Consumer {
    /// In this process.
    Local(local::Consumer),
    /// On a broker.
    Rabbitmq(rabbitmq::Consumer),
}

impl Consumer {
    /// The next message, once there is one and the prefetch allows it. `None`: the queue is gone,
    /// which is a fault; declare and consume again. May be cancelled without losing a message.
    pub async fn next(&mut self) -> Option<Delivery> {
        match self {
            Consumer::Local(consumer) => Some(Delivery::Local(Box::new(consumer.next().await))),
            Consumer::Rabbitmq(consumer) => {
                let delivery = consumer.next().await?;
                Some(Delivery::Rabbitmq(Box::new(delivery)))
            }
        }
    }
}

/// A message in the hands of its reader, which settles it by [`Delivery::ack`] or
/// [`Delivery::reject`]; what dropping it does instead depends on the [`QueueKind`].
#[must_use = "an unsettled delivery comes back, or is lost"]
pub enum Delivery {
    /// In this process.
    Local(Box<local::Delivery>),
    /// On a broker.
    Rabbitmq(Box<rabbitmq::Delivery>),
}

impl Delivery {
    /// The message.
    pub fn body(&self) -> &[u8] {
        match self {
            Delivery::Local(delivery) => delivery.body(),
            Delivery::Rabbitmq(delivery) => delivery.body(),
        }
    }

    /// What it says beside its body; of a message in `dead` nothing is left.
    pub fn properties(&self) -> Properties {
        match self {
            Delivery::Local(delivery) => delivery.properties(),
            Delivery::Rabbitmq(delivery) => delivery.properties(),
        }
    }

    /// Who sent it, as the broker vouches; `None` within a process, and of a sender that does not
    /// say. In `dead` it is who brought it there.
    pub fn user(&self) -> Option<&str> {
        match self {
            Delivery::Local(_) => None,
            Delivery::Rabbitmq(delivery) => delivery.user(),
        }
    }

    /// Which delivery of the message this is, from 1.
    pub fn attempts(&self) -> u32 {
        match self {
            Delivery::Local(delivery) => delivery.attempts(),
            Delivery::Rabbitmq(delivery) => delivery.attempts(),
        }
    }

    /// How the message came to `dead`; `None` in every other queue.
    pub fn death(&self) -> Option<&Death> {
        match self {
            Delivery::Local(delivery) => delivery.death(),
            Delivery::Rabbitmq(delivery) => delivery.death(),
        }
    }

    /// Done with it.
    pub async fn ack(self) {
        match self {
            Delivery::Local(delivery) => delivery.ack(),
            Delivery::Rabbitmq(delivery) => delivery.ack().await,
        }
    }

    /// Nobody can read it: moves it to `dead`, with the reason, of which at most
    /// [`limits::REASON_CHARACTERS_MAX`] characters are kept. In `dead` itself it is dropped.
    pub async fn reject(self, reason: &str) {
        let reason = reason.chars().take(limits::REASON_CHARACTERS_MAX).collect();
        match self {
            Delivery::Local(delivery) => delivery.reject(reason),
            Delivery::Rabbitmq(delivery) => delivery.reject(reason).await,
        }
    }
}

/// How a message came to `dead`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// The queue it was in.
    pub queue: String,
    /// What happened there.
    pub cause: Cause,
}

/// What brings a message to `dead`. Expired messages just vanish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its reader could not read it, for the reason it gave.
    Rejected(String),
    /// It was delivered [`limits::DELIVERIES_MAX`] times and never settled.
    Unsettled,
}
