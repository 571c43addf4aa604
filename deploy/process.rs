//! One process of a distributed Concord: its configuration, and what it runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use api::{Base, Callers};
use serde::Deserialize;
use shared::bus::{Bus, rabbitmq};
use shared::id::PartyId;
use shared::ledger::Ledger;
use shared::policy::Policy;
use shared::seal::Identity;
use shared::source::{Environment, Source};
use shared::store::Store;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use worker::party_worker;
use worker::status_aggregator::{self, Vouching};
use zeroize::Zeroizing;

use crate::callers::{self, Mode};
use crate::data_dir::read_key_file;
use crate::directory::Directory;
use crate::{secret, settings, standalone, tls};

/// `concord.toml`: the platform's processes (api, status, arbiter).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlatformFile {
    listen: SocketAddr,
    base: Option<String>,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    #[serde(default)]
    callers: Mode,
    #[serde(default)]
    open_to_network: bool,
    token_secret: Option<String>,
    broker: String,
    broker_ca: Option<PathBuf>,
    /// Whether every party has a user of its own at the broker.
    #[serde(default = "yes")]
    broker_users: bool,
    database: String,
    #[serde(default)]
    queue_prefix: String,
    directory: PathBuf,
    arbiter_key: PathBuf,
}

fn yes() -> bool {
    true
}

/// `party.toml`: a hospital's worker.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartyFile {
    pub(crate) id: u64,
    broker: String,
    broker_ca: Option<PathBuf>,
    #[serde(default)]
    queue_prefix: String,
    pub(crate) directory: PathBuf,
    pub(crate) key: PathBuf,
    source: String,
    ledger: Option<PathBuf>,
    #[serde(default)]
    policy: Policy,
}

impl PartyFile {
    /// Reads `party.toml`; gives the folder that its paths start at too.
    ///
    /// # Errors
    /// Names the field and the rule.
    pub(crate) fn read(path: &Path) -> anyhow::Result<(PartyFile, &Path)> {
        parse(path)
    }

    /// Where the ledger is: beside the key, unless the file names another place.
    pub(crate) fn ledger(&self, folder: &Path) -> PathBuf {
        let beside = || self.key.with_file_name(format!("party-{}.ledger", self.id));
        folder.join(self.ledger.clone().unwrap_or_else(beside))
    }
}

/// The platform's configuration, checked.
pub struct Platform {
    listen: SocketAddr,
    base: Option<Base>,
    tls: Option<api::Tls>,
    callers: Mode,
    token_secret: Option<String>,
    folder: PathBuf,
    broker: Broker,
    vouching: Vouching,
    database: Zeroizing<String>,
    directory: Directory,
    arbiter_key: PathBuf,
}

/// A hospital's configuration, checked.
pub struct Party {
    broker: Broker,
    worker: party_worker::Config,
}

/// Where the queues are.
pub struct Broker {
    url: Zeroizing<String>,
    prefix: String,
    /// Certificates (PEM) that vouch for it beside the system's own.
    certificates: Option<String>,
}

impl Broker {
    /// `reference` is `env:NAME` or `file:PATH` (relative to `folder`), `prefix` begins the name of
    /// every queue, and the certificates in `ca` vouch for an `amqps://` broker.
    ///
    /// # Errors
    /// When the reference leads to no broker's address; never shows it.
    pub fn read(
        reference: &str,
        prefix: String,
        ca: Option<&Path>,
        folder: &Path,
        environment: Environment<'_>,
    ) -> anyhow::Result<Broker> {
        let url = secret::read("broker", reference, folder, environment)?;
        ensure!(
            url.starts_with("amqp://") || url.starts_with("amqps://"),
            "broker: it refers to something that starts neither with amqp:// nor with amqps://"
        );
        let encrypted = url.starts_with("amqps://");
        ensure!(
            encrypted || ca.is_none(),
            "broker_ca: it vouches for nobody, as the broker's address does not start with amqps://"
        );
        let certificates = ca.map(|ca| tls::authorities("broker_ca", &folder.join(ca)));
        Ok(Broker {
            url,
            prefix,
            certificates: certificates.transpose()?,
        })
    }

    /// The same broker; also these certificates (PEM) vouch for it, if it is asked for any.
    pub fn vouched_for_by(self, certificates: Option<String>) -> Broker {
        Broker {
            certificates,
            ..self
        }
    }

    /// Must be called within a runtime.
    pub(crate) fn connect(&self) -> anyhow::Result<Bus> {
        let config = rabbitmq::Config {
            url: self.url.to_string(),
            prefix: self.prefix.clone(),
            certificates: self.certificates.clone(),
        };
        Ok(Bus::rabbitmq(config)?)
    }
}

fn parse<T: for<'de> Deserialize<'de>>(path: &Path) -> anyhow::Result<(T, &Path)> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let file = settings::parse(&text).with_context(|| format!("in {shown}"))?;
    Ok((file, path.parent().unwrap_or(Path::new(""))))
}

fn identity(path: &Path, party: PartyId, directory: &Directory) -> anyhow::Result<Identity> {
    let identity = read_key_file(path)?;
    ensure!(
        directory.keys.get(&party) == Some(&identity.public()),
        "{} is not the key of party {party} in the directory; everybody would refuse it",
        path.display()
    );
    Ok(identity)
}

impl Platform {
    /// Reads and checks `concord.toml`.
    ///
    /// # Errors
    /// Names the field and the rule; never a secret.
    pub fn read(path: &Path, environment: Environment<'_>) -> anyhow::Result<Platform> {
        let (file, folder): (PlatformFile, _) = parse(path)?;
        let database = secret::read("database", &file.database, folder, environment)?;
        ensure!(
            database.starts_with("postgres://") || database.starts_with("postgresql://"),
            "database: it refers to something that does not start with postgres://"
        );
        file.callers.check(file.listen, file.open_to_network)?;
        Ok(Platform {
            listen: file.listen,
            callers: file.callers,
            token_secret: file.token_secret,
            folder: folder.to_owned(),
            base: file
                .base
                .map(|base| Base::parse(&base))
                .transpose()
                .context("base")?,
            tls: tls::read(folder, file.tls_certificate, file.tls_key)?,
            broker: Broker::read(
                &file.broker,
                file.queue_prefix,
                file.broker_ca.as_deref(),
                folder,
                environment,
            )?,
            vouching: match file.broker_users {
                true => Vouching::Broker,
                false => Vouching::Nobody,
            },
            database,
            directory: Directory::read(&folder.join(&file.directory))?,
            arbiter_key: folder.join(file.arbiter_key),
        })
    }

    /// Whose word the API takes. Only its own processes need the secret of tokens.
    ///
    /// # Errors
    /// When there are accounts and no secret for their tokens.
    pub fn callers(&self, environment: Environment<'_>) -> anyhow::Result<Callers> {
        match self.callers {
            Mode::Open => Ok(Callers::Open),
            Mode::Accounts => {
                callers::accounts(self.token_secret.as_deref(), &self.folder, environment)
            }
        }
    }

    /// The hospitals.
    pub(crate) fn parties(&self) -> &BTreeMap<PartyId, String> {
        &self.directory.names
    }

    pub(crate) async fn store(&self) -> anyhow::Result<Store> {
        Ok(Store::connect(&self.database).await?)
    }

    /// Runs `concord api`: HTTP and the queue of batches, any number of replicas; `callers` is what
    /// [`Platform::callers`] gives.
    ///
    /// # Errors
    /// When the database cannot be used or the address is taken.
    pub async fn api(self, callers: Callers, shutdown: CancellationToken) -> anyhow::Result<()> {
        self.callers.warn(self.listen);
        let store = self.store().await?;
        store.register_parties(self.directory.names.clone()).await?;
        let bus = self.broker.connect()?;
        let listener = listen(self.listen).await?;
        let address = listener.local_addr()?;
        let scheme = tls::warn_if_open(address, self.tls.as_ref());
        tracing::info!(%address, scheme, "The API listens");
        let state = api::State {
            store,
            bus,
            submitted: Arc::new(Notify::new()),
            directory: Arc::new(self.directory.keys),
            callers,
            base: self.base,
            now: standalone::now,
        };
        let batches = api::take_batches(state.clone(), shutdown.clone());
        let (app, limits) = (api::app(state), api::Limits::default());
        let http = api::serve(listener, app, self.tls, limits, shutdown);
        tokio::join!(batches, http);
        Ok(())
    }

    /// Runs `concord status`: folds events into jobs and sweeps; any number of replicas.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn status(
        self,
        health: Option<SocketAddr>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let store = self.store().await?;
        let bus = self.broker.connect()?;
        serve_probes(health, Some(&store), &bus, &shutdown).await?;
        let (timing, wake) = (
            status_aggregator::Timing::default(),
            Arc::new(Notify::new()),
        );
        let vouching = self.vouching;
        if vouching == Vouching::Nobody {
            tracing::warn!(
                "broker_users = false: whoever may send to the broker may speak for any party"
            );
        }
        tracing::info!("The status aggregator runs");
        Ok(status_aggregator::run(store, bus, timing, vouching, wake, shutdown).await?)
    }

    /// Runs `concord arbiter`: adds ciphertexts; any number of replicas.
    ///
    /// # Errors
    /// When its key is not the directory's.
    pub async fn arbiter(
        self,
        health: Option<SocketAddr>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let party = PartyId::ARBITER;
        let identity = Arc::new(identity(&self.arbiter_key, party, &self.directory)?);
        let config = party_worker::Config {
            party,
            identity,
            directory: Arc::new(self.directory.keys),
            policy: Arc::default(),
            ledger: None,
            source: None,
            now: standalone::now,
        };
        let bus = self.broker.connect()?;
        serve_probes(health, None, &bus, &shutdown).await?;
        party_worker::run(config, bus, shutdown).await
    }
}

/// Serves `/health` and `/ready` beside a process's work, where it is told to.
async fn serve_probes(
    address: Option<SocketAddr>,
    store: Option<&Store>,
    bus: &Bus,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let Some(address) = address else {
        return Ok(());
    };
    let listener = listen(address).await?;
    tracing::info!(address = %listener.local_addr()?, "/health and /ready are served");
    let needs = api::Needs {
        store: store.cloned(),
        bus: bus.clone(),
    };
    let (limits, stop) = (api::Limits::default(), shutdown.clone());
    tokio::spawn(api::serve(listener, api::probes(needs), None, limits, stop));
    Ok(())
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; is another server there?"))
}

impl Party {
    /// Reads and checks `party.toml`.
    ///
    /// # Errors
    /// Names the field and the rule; never a secret.
    pub fn read(path: &Path, environment: Environment<'_>) -> anyhow::Result<Party> {
        let (file, folder) = PartyFile::read(path)?;
        file.policy.check()?;
        let party = PartyId(file.id);
        let directory = Directory::read(&folder.join(&file.directory))?;
        ensure!(
            directory.names.contains_key(&party),
            "id: party {party} is no hospital of the directory"
        );
        let worker = party_worker::Config {
            party,
            identity: Arc::new(identity(&folder.join(&file.key), party, &directory)?),
            directory: Arc::new(directory.keys),
            ledger: Some(Ledger::open(&file.ledger(folder))?),
            policy: Arc::new(file.policy),
            now: standalone::now,
            source: Some(Source::parse(&file.source, folder, environment)?),
        };
        let broker = Broker::read(
            &file.broker,
            file.queue_prefix,
            file.broker_ca.as_deref(),
            folder,
            environment,
        )?;
        Ok(Party { broker, worker })
    }

    /// Runs `concord party`: a hospital's worker; any number per hospital.
    ///
    /// # Errors
    /// When the broker refuses it.
    pub async fn run(
        self,
        health: Option<SocketAddr>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let Party { broker, worker } = self;
        if worker.policy.is_missing() {
            let party = worker.party;
            tracing::warn!(%party, "Party {party} has no policy that names a relation: it refuses every job that uses its rows");
        }
        let bus = broker.connect()?;
        serve_probes(health, None, &bus, &shutdown).await?;
        party_worker::run(worker, bus, shutdown).await
    }
}

#[cfg(test)]
mod tests;
