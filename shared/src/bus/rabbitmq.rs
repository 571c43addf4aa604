//! The bus on RabbitMQ: tested on 3.10, written for 4.x too.
//!
//! Two connections, since a broker that runs full stops reading from whoever publishes, and acks
//! must still get through. Each comes back by itself, for ever (`link`), and so does every reader
//! (`consumer`); lapin's own recovery does not heal channels. Every wait has an end.
//!
//! Every message is confirmed, and each has a channel to itself until it is: lapin hands a
//! returned message to whichever confirm comes next on its channel.

mod consumer;
mod link;
#[cfg(test)]
mod tests;
mod topology;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lapin::options::{BasicPublishOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{BasicProperties, Confirmation};
use tokio::runtime::Handle;
use uuid::Uuid;

pub use self::consumer::{Consumer, Delivery};
use self::link::{Backoff, Broker, Connected, Link};
use self::topology::Topology;
use super::{Error, Properties, QueueKind, Token, Usage};
use crate::{limits, tls};

/// Where the broker is.
pub struct Config {
    /// `amqp[s]://user:password@host:port/vhost`. A secret.
    pub url: String,
    /// Begins the name of every queue, so that federations can share a broker.
    pub prefix: String,
    /// Certificates (PEM) that vouch for the broker beside the system's own.
    pub certificates: Option<String>,
}

/// Queues of a broker.
#[derive(Clone)]
pub struct Bus {
    shared: Arc<Shared>,
}

struct Shared {
    /// Who we are to the broker, which refuses a message that says another.
    user: ShortString,
    topology: Arc<Topology>,
    publishing: Link,
    consuming: Link,
    runtime: Handle,
}

/// Why the broker did not do it.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// Trying again does not help.
    #[error(transparent)]
    Final(#[from] Error),
    /// The connection or the channel is gone.
    #[error(transparent)]
    Lost(#[from] lapin::Error),
    #[error("the queue is not back yet")]
    Missing,
    #[error("a confirm carried the return of another message")]
    Mixed,
}

impl Bus {
    /// Must be called within a runtime, which then keeps the connections.
    pub(super) fn new(config: Config) -> Result<Bus, Error> {
        Bus::with_patience(config, Duration::from_secs(limits::BROKER_SECONDS_MAX))
    }

    fn with_patience(config: Config, patience: Duration) -> Result<Bus, Error> {
        let uri: AMQPUri = config.url.parse().map_err(|_| Error::Address)?;
        let host = uri.authority.host.as_str();
        if uri.scheme == AMQPScheme::AMQP && !tls::is_here(host) {
            tracing::warn!(
                host,
                "THE WAY TO THE BROKER IS OPEN: whoever is on it sees the password; write amqps://"
            );
        }
        let user = uri.authority.userinfo.username.as_str();
        let user = ShortString::try_new(user).map_err(|_| Error::Address)?;
        let broker = Arc::new(Broker::new(uri, config.certificates, patience));
        let topology = Arc::new(Topology::new(config.prefix));
        Ok(Bus {
            shared: Arc::new(Shared {
                user,
                publishing: Link::start("publishing", Arc::clone(&broker), None),
                consuming: Link::start("consuming", broker, Some(Arc::clone(&topology))),
                topology,
                runtime: Handle::current(),
            }),
        })
    }

    pub(super) fn up_since(&self) -> Option<Instant> {
        let Shared {
            publishing,
            consuming,
            ..
        } = &*self.shared;
        Some(publishing.up_since()?.max(consuming.up_since()?))
    }

    pub(super) async fn declare(&self, queue: &str, kind: QueueKind) -> Result<(), Error> {
        let Shared {
            topology,
            consuming,
            ..
        } = &*self.shared;
        persist(queue, consuming, |connected| async move {
            topology.declare(&connected, queue, kind).await
        })
        .await
    }

    pub(super) async fn publish(
        &self,
        queue: &str,
        body: &[u8],
        life: Option<Duration>,
        properties: &Properties,
    ) -> Result<(), Error> {
        let mut properties = self.shared.outward(queue, properties)?;
        if let Some(life) = life {
            properties = properties.with_expiration(life.as_millis().to_string().into());
        }
        self.shared.publish(queue, body, properties).await
    }

    pub(super) async fn usage(&self, queue: &str) -> Result<Usage, Error> {
        let Some(name) = self.shared.topology.name(queue) else {
            return Ok(Usage::default());
        };
        persist(queue, &self.shared.consuming, |connected| {
            let name = name.clone();
            async move {
                let passive = QueueDeclareOptions {
                    passive: true,
                    ..QueueDeclareOptions::default()
                };
                // A queue that is not there closes it.
                let channel = connected.channel().await?;
                let looked = channel.queue_declare(name, passive, FieldTable::default());
                match looked.await {
                    Ok(found) => {
                        channel.give_back();
                        Ok(Usage {
                            waiting: found.message_count() as usize,
                            readers: found.consumer_count() as usize,
                        })
                    }
                    Err(error) if code(&error) == Some(NOT_FOUND) => Ok(Usage::default()),
                    Err(error) => Err(refusal(queue, error)),
                }
            }
        })
        .await
    }

    pub(super) async fn consume(&self, queue: &str, prefetch: usize) -> Result<Consumer, Error> {
        assert!(prefetch > 0, "a reader that may hold nothing never reads");
        Consumer::open(&self.shared, queue, prefetch).await
    }
}

impl Shared {
    /// A message's properties as the broker takes them.
    fn outward(&self, queue: &str, properties: &Properties) -> Result<BasicProperties, Error> {
        let Properties {
            kind,
            id,
            reply_to,
            correlation,
            token,
        } = properties;
        let too_long = || Error::Refused {
            queue: queue.to_owned(),
            answer: "a property has at most 255 bytes".to_owned(),
        };
        let short = |text: &String| ShortString::try_new(text.as_str()).map_err(|_| too_long());
        let mut outward = BasicProperties::default();
        if let Some(kind) = kind {
            outward = outward.with_type(short(kind)?);
        }
        if let Some(id) = id {
            outward = outward.with_message_id(short(id)?);
        }
        if let Some(reply_to) = reply_to {
            outward = outward.with_reply_to(self.topology.name(reply_to).ok_or_else(too_long)?);
        }
        if let Some(correlation) = correlation {
            outward = outward.with_correlation_id(short(correlation)?);
        }
        if let Some(token) = token {
            let token = token.as_str();
            if token.len() > limits::TOKEN_BYTES_MAX {
                return Err(Error::Refused {
                    queue: queue.to_owned(),
                    answer: format!("a token has at most {} bytes", limits::TOKEN_BYTES_MAX),
                });
            }
            let mut headers = FieldTable::default();
            headers.insert(TOKEN.into(), AMQPValue::LongString(token.into()));
            outward = outward.with_headers(headers);
        }
        Ok(outward)
    }

    /// What a broker's message says beside its body.
    fn inward(&self, properties: &BasicProperties) -> Properties {
        let text = |value: &Option<ShortString>| value.as_ref().map(ToString::to_string);
        let reply_to = properties.reply_to().as_ref();
        Properties {
            kind: text(properties.kind()),
            id: text(properties.message_id()),
            reply_to: reply_to.and_then(|name| self.topology.answers(name.as_str())),
            correlation: text(properties.correlation_id()),
            token: consumer::text(properties, TOKEN).map(Token::new),
        }
    }

    /// Every queue on disk is a quorum queue, which writes every message; no other need be there.
    async fn publish(
        &self,
        queue: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), Error> {
        let Some(name) = self.topology.name(queue) else {
            return Err(unroutable(queue));
        };
        let id = Uuid::new_v4().to_string();
        let mut headers = properties.headers().clone().unwrap_or_default();
        headers.insert(SENDING.into(), AMQPValue::LongString(id.as_str().into()));
        let properties = properties
            .with_delivery_mode(TRANSIENT)
            .with_user_id(self.user.clone())
            .with_headers(headers);
        persist(queue, &self.publishing, |connected| {
            let (name, id, properties) = (name.clone(), &id, properties.clone());
            async move {
                let channel = connected.channel().await?;
                let mandatory = BasicPublishOptions {
                    mandatory: true,
                    ..BasicPublishOptions::default()
                };
                let sent = channel
                    .basic_publish("".into(), name, mandatory, body, properties)
                    .await;
                let confirmation = match sent {
                    Ok(confirm) => confirm.await,
                    Err(error) => Err(error),
                };
                let confirmation = confirmation.map_err(|error| refusal(queue, error))?;
                let verdict = judge(queue, id, confirmation, &connected);
                if !matches!(verdict, Err(Fault::Mixed)) {
                    channel.give_back();
                }
                verdict
            }
        })
        .await
    }
}

/// Where a caller's token stands, in a message's headers.
const TOKEN: &str = "token";

/// By which a returned message is known, in its headers: its id is the sender's own.
const SENDING: &str = "concord-sending";

/// Non-persistent, in AMQP's numbers.
const TRANSIENT: u8 = 1;

/// What a confirmation says about the message sent as `id`.
fn judge(
    queue: &str,
    id: &str,
    confirmation: Confirmation,
    connected: &Connected,
) -> Result<(), Fault> {
    match confirmation {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Nack(None) => Err(Fault::Final(Error::Full {
            queue: queue.to_owned(),
        })),
        Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => {
            let headers = returned.properties.headers().as_ref();
            let of = headers.and_then(|headers| headers.inner().get(SENDING));
            if of
                .and_then(AMQPValue::as_long_string)
                .is_none_or(|of| of.as_bytes() != id.as_bytes())
            {
                Err(Fault::Mixed)
            } else if connected.queues_may_return() {
                Err(Fault::Missing)
            } else {
                Err(Fault::Final(unroutable(queue)))
            }
        }
        Confirmation::NotRequested => unreachable!("every channel of the pool confirms"),
    }
}

/// Tries until it is done, is refused, or the time is over. An outage, and a message whose confirm
/// it took, are met by trying again: the bus may repeat.
async fn persist<T, F>(
    queue: &str,
    link: &Link,
    attempt: impl Fn(Arc<Connected>) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Fault>>,
{
    let attempts = async {
        let mut backoff = Backoff::default();
        loop {
            match attempt(link.up().await).await {
                Ok(done) => return Ok(done),
                Err(Fault::Final(error)) => return Err(error),
                Err(fault) => tracing::debug!(queue, %fault, "trying again"),
            }
            backoff.wait().await;
        }
    };
    tokio::time::timeout(link.patience(), attempts)
        .await
        .unwrap_or_else(|_| {
            Err(Error::Away {
                queue: queue.to_owned(),
            })
        })
}

/// Final if the broker said no to what was asked.
fn refusal(queue: &str, error: lapin::Error) -> Fault {
    match code(&error) {
        Some(ACCESS_REFUSED | PRECONDITION_FAILED) => Fault::Final(Error::Refused {
            queue: queue.to_owned(),
            answer: error.to_string(),
        }),
        _ => Fault::Lost(error),
    }
}

const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const RESOURCE_LOCKED: u16 = 405;
const PRECONDITION_FAILED: u16 = 406;

/// The broker's reply code, if it is the broker that speaks.
fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        lapin::ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

fn unroutable(queue: &str) -> Error {
    Error::Unroutable {
        queue: queue.to_owned(),
    }
}
