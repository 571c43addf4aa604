//! A connection to the broker that comes back: connect, watch, and after its end wait and connect
//! again, for ever.

use std::net::{Shutdown, TcpStream};
use std::ops::Deref;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use lapin::options::ConfirmSelectOptions;
use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties};
use rand::RngExt;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;

use super::topology::Topology;
use crate::limits;

/// Between two looks at a connection: lapin does not tell of every end.
const LOOK: Duration = Duration::from_millis(500);

/// How to reach the broker.
pub(super) struct Broker {
    uri: AMQPUri,
    tls: OwnedTLSConfig,
    /// How long an answer may take.
    patience: Duration,
}

impl Broker {
    pub(super) fn new(
        mut uri: AMQPUri,
        certificates: Option<String>,
        patience: Duration,
    ) -> Broker {
        uri.query.heartbeat.get_or_insert(limits::HEARTBEAT_SECONDS);
        uri.query.frame_max.get_or_insert(limits::FRAME_BYTES_MAX);
        let tls = OwnedTLSConfig {
            identity: None,
            cert_chain: certificates,
        };
        Broker { uri, tls, patience }
    }

    async fn connect(&self, name: &str) -> lapin::Result<Connection> {
        let limit = self.patience;
        let properties =
            ConnectionProperties::default().with_connection_name(format!("concord {name}").into());
        let plug = Plug::default();
        let (socket, tls) = (Arc::clone(&plug.0), self.tls.clone());
        let connecting = Connection::connector(
            self.uri.clone(),
            lapin::runtime::default_runtime()?,
            async move |uri, runtime| {
                let host = uri.authority.host;
                let addresses = runtime.to_socket_addrs((host.clone(), uri.authority.port));
                let connecting = async {
                    let stream = AsyncTcpStream::connect(&runtime, addresses).await?;
                    if let AsyncTcpStream::Plain(plain) = &stream {
                        let own = plain.get_ref().as_fd().try_clone_to_owned()?;
                        // One socket for each connection: lapin does not connect twice.
                        let _ = socket.set(TcpStream::from(own));
                    }
                    match uri.scheme {
                        AMQPScheme::AMQP => Ok(stream),
                        AMQPScheme::AMQPS => stream.into_tls(&host, tls.as_ref()).await,
                    }
                };
                let connected = tokio::time::timeout(limit, connecting).await;
                Ok(connected.map_err(std::io::Error::from)??)
            },
            properties,
        );
        let connected = tokio::time::timeout(limit, connecting).await;
        let connection = connected.map_err(std::io::Error::from)??;
        plug.leave();
        Ok(connection)
    }
}

/// Ends the thread that lapin keeps for a connection which did not come to be: a broker that
/// accepts and then says nothing would hold it for ever.
#[derive(Default)]
struct Plug(Arc<OnceLock<TcpStream>>);

impl Plug {
    fn leave(mut self) {
        self.0 = Arc::default();
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        if let Some(socket) = self.0.get() {
            // It may be closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// A connection and its channels that are ready to publish.
pub(super) struct Connected {
    connection: Connection,
    since: Instant,
    after_outage: bool,
    idle: Mutex<Vec<Channel>>,
    publishing: Arc<Semaphore>,
}

impl Connected {
    /// Whether an outage just ended, so that a queue's owner may not have come back yet.
    pub(super) fn queues_may_return(&self) -> bool {
        let limit = Duration::from_secs(limits::QUEUE_RETURN_SECONDS_MAX);
        self.after_outage && self.since.elapsed() < limit
    }

    /// A channel that confirms, for one thing at a time. Dropping it closes it: so that nothing
    /// late is taken for the answer to what comes next.
    pub(super) async fn channel(self: &Arc<Connected>) -> lapin::Result<Lent> {
        let permit = Arc::clone(&self.publishing)
            .acquire_owned()
            .await
            .expect("nobody closes the semaphore");
        let channel = loop {
            match self.idle().pop() {
                Some(channel) if channel.status().connected() => break Some(channel),
                Some(_) => {}
                None => break None,
            }
        };
        let channel = match channel {
            Some(channel) => channel,
            None => {
                let channel = self.fresh_channel().await?;
                channel
                    .confirm_select(ConfirmSelectOptions::default())
                    .await?;
                channel
            }
        };
        Ok(Lent {
            channel,
            pool: Arc::clone(self),
            _permit: permit,
        })
    }

    /// A channel of its own.
    pub(super) async fn fresh_channel(&self) -> lapin::Result<Channel> {
        self.connection.create_channel().await
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Channel>> {
        // Whole after any panic: pushes and pops only.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A channel of a pool.
pub(super) struct Lent {
    channel: Channel,
    pool: Arc<Connected>,
    _permit: OwnedSemaphorePermit,
}

impl Lent {
    pub(super) fn give_back(self) {
        self.pool.idle().push(self.channel);
    }
}

impl Deref for Lent {
    type Target = Channel;

    fn deref(&self) -> &Channel {
        &self.channel
    }
}

#[derive(Clone)]
enum State {
    /// No connection, or the broker does not read from it.
    Away,
    Up(Arc<Connected>, Instant),
}

/// A connection that comes back.
pub(super) struct Link {
    patience: Duration,
    state: watch::Receiver<State>,
    _supervisor: AbortOnDropHandle<()>,
}

impl Link {
    /// Declares `topology` on every new connection.
    pub(super) fn start(
        name: &'static str,
        broker: Arc<Broker>,
        topology: Option<Arc<Topology>>,
    ) -> Link {
        let (sender, state) = watch::channel(State::Away);
        let patience = broker.patience;
        let supervisor = tokio::spawn(supervise(name, broker, topology, sender));
        Link {
            patience,
            state,
            _supervisor: AbortOnDropHandle::new(supervisor),
        }
    }

    /// How long an answer may take.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// The connection, once there is one that the broker reads from.
    pub(super) async fn up(&self) -> Arc<Connected> {
        let mut state = self.state.clone();
        loop {
            if let State::Up(connected, _) = &*state.borrow_and_update() {
                return Arc::clone(connected);
            }
            if state.changed().await.is_err() {
                // The supervisor ends with its runtime, and then so do we.
                return std::future::pending().await;
            }
        }
    }

    /// Since when it has been up; `None` while it is not.
    pub(super) fn up_since(&self) -> Option<Instant> {
        match &*self.state.borrow() {
            State::Away => None,
            State::Up(_, since) => Some(*since),
        }
    }
}

async fn supervise(
    name: &'static str,
    broker: Arc<Broker>,
    topology: Option<Arc<Topology>>,
    state: watch::Sender<State>,
) {
    let mut backoff = Backoff::default();
    let mut after_outage = false;
    loop {
        match broker.connect(name).await {
            Ok(connection) => {
                let connected = Arc::new(Connected {
                    connection,
                    since: Instant::now(),
                    after_outage,
                    idle: Mutex::default(),
                    publishing: Arc::new(Semaphore::new(limits::PUBLISHING_MAX)),
                });
                if let Some(topology) = &topology {
                    topology.declare_all(&connected, broker.patience).await;
                }
                tracing::info!(connection = name, "connected to the broker");
                backoff = Backoff::default();
                watch_over(name, &connected, &state).await;
                tracing::warn!(connection = name, "the broker is away");
            }
            // Once for an outage, however long it is.
            Err(error) if !after_outage => {
                tracing::warn!(connection = name, %error, "the broker cannot be reached");
            }
            Err(error) => tracing::debug!(connection = name, %error, "still no broker"),
        }
        after_outage = true;
        backoff.wait().await;
    }
}

/// Tells how the connection is until it ends.
async fn watch_over(name: &str, connected: &Arc<Connected>, state: &watch::Sender<State>) {
    let status = connected.connection.status();
    let mut events = pin!(connected.connection.events_listener());
    let mut look = tokio::time::interval(LOOK);
    let mut told = None;
    while status.connected() {
        let blocked = status.blocked();
        if told != Some(blocked) {
            told = Some(blocked);
            if blocked {
                tracing::warn!(
                    connection = name,
                    "the broker is full and takes no messages"
                );
                state.send_replace(State::Away);
            } else {
                state.send_replace(State::Up(Arc::clone(connected), Instant::now()));
            }
        }
        tokio::select! {
            _ = events.next() => {}
            _ = look.tick() => {}
        }
    }
    state.send_replace(State::Away);
}

/// Growing waits with jitter, so that not everybody comes back at once.
pub(super) struct Backoff {
    milliseconds: u64,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff {
            milliseconds: limits::RETRY_MILLISECONDS,
        }
    }
}

impl Backoff {
    pub(super) async fn wait(&mut self) {
        let longest = self.milliseconds;
        let wait = UnwrapErr(SysRng).random_range(longest / 2..=longest);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        self.milliseconds = (2 * longest).min(limits::RETRY_MILLISECONDS_MAX);
    }
}
