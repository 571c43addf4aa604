//! `concord standalone`: API, status aggregator, arbiter and every hospital's worker in one
//! process, over an in-process bus and an embedded store.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use api::Callers;
use shared::bus::Bus;
use shared::id::PartyId;
use shared::ledger::Ledger;
use shared::seal::Identity;
use shared::session::Directory;
use shared::store::Store;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;
use worker::{party_worker, status_aggregator};

use crate::callers::Mode;
use crate::data_dir::{DataDir, ledger_file};
use crate::federation::Federation;
use crate::tls::warn_if_open;

/// How long open requests may take after the word to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Tasks that stop together.
#[derive(Default)]
struct Part {
    shutdown: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Part {
    async fn failed(&mut self) -> anyhow::Result<()> {
        match self.tasks.join_next().await {
            Some(ended) => ended?,
            None => Ok(()),
        }
    }

    async fn stop(mut self) {
        self.shutdown.cancel();
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(DRAIN, drained).await;
    }
}

/// A running federation.
pub struct Standalone {
    /// Where HTTP is served.
    pub address: SocketAddr,
    /// The workers, who stop first: what they give back still reaches the store.
    workers: Part,
    /// Everybody else.
    platform: Part,
    /// Locked until everything has ended.
    _data_dir: DataDir,
}

impl Standalone {
    /// Starts everything; jobs that an earlier process left unfinished go on.
    ///
    /// # Errors
    /// When the data directory is in use or damaged, or the address is taken.
    pub async fn start(federation: Federation) -> anyhow::Result<Standalone> {
        let Federation {
            listen,
            data_dir,
            callers: mode,
            base,
            tls,
            parties,
        } = federation;
        mode.warn(listen);
        let data_dir = DataDir::lock(&data_dir)?;
        let store = Store::open(&data_dir.database()).await?;
        let names = parties
            .iter()
            .map(|(id, party)| (*id, party.name.clone()))
            .collect();
        store.register_parties(names).await?;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}; is another server there?"))?;
        let address = listener.local_addr()?;
        let scheme = warn_if_open(address, tls.as_ref());

        let callers = match mode {
            Mode::Open => Callers::Open,
            Mode::Accounts => Callers::accounts(data_dir.token_secrets()?),
        };
        let (bus, submitted) = (Bus::local(), Arc::new(Notify::new()));
        let (mut workers, mut platform) = (Part::default(), Part::default());
        let (configurations, directory) = configurations(&data_dir, parties)?;
        for config in configurations {
            let run = party_worker::run(config, bus.clone(), workers.shutdown.clone());
            workers.tasks.spawn(run);
        }
        let status = status_aggregator::run(
            store.clone(),
            bus.clone(),
            status_aggregator::Timing::default(),
            status_aggregator::Vouching::Nobody,
            Arc::clone(&submitted),
            platform.shutdown.clone(),
        );
        platform.tasks.spawn(async { Ok(status.await?) });
        let state = api::State {
            store,
            bus,
            submitted,
            directory,
            callers,
            base,
            now,
        };
        let stop = platform.shutdown.clone();
        platform.tasks.spawn(async move {
            let batches = api::take_batches(state.clone(), stop.clone());
            let (app, limits) = (api::app(state), api::Limits::default());
            let http = api::serve(listener, app, tls, limits, stop);
            tokio::join!(batches, http);
            Ok(())
        });
        info!(%address, scheme, "Concord listens on {address}");
        Ok(Standalone {
            address,
            workers,
            platform,
            _data_dir: data_dir,
        })
    }

    /// Runs until a part ends by itself, which it never should.
    ///
    /// # Errors
    /// What ended it.
    pub async fn failed(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            ended = self.workers.failed() => ended,
            ended = self.platform.failed() => ended,
        }
    }

    /// Stops everything; unfinished jobs go on at the next start.
    pub async fn stop(self) {
        self.workers.stop().await;
        self.platform.stop().await;
    }
}

/// What the workers of all parties, the arbiter's included, are given; and everybody's public keys.
fn configurations(
    data_dir: &DataDir,
    parties: BTreeMap<PartyId, crate::federation::Party>,
) -> anyhow::Result<(Vec<party_worker::Config>, Arc<Directory>)> {
    let everybody = [PartyId::ARBITER]
        .into_iter()
        .chain(parties.keys().copied());
    let mut identities = everybody
        .map(|party| Ok((party, Arc::new(data_dir.identity(party)?))))
        .collect::<anyhow::Result<BTreeMap<PartyId, Arc<Identity>>>>()?;
    let directory: Directory = identities
        .iter()
        .map(|(party, identity)| (*party, identity.public()))
        .collect();
    let directory = Arc::new(directory);
    info!(
        "This federation made its keys itself and pins them: nobody has to compare fingerprints, \
         and whoever has {} has every party's keys",
        data_dir.path().display()
    );
    let mut configurations = Vec::new();
    if let Some(identity) = identities.remove(&PartyId::ARBITER) {
        configurations.push(party_worker::Config {
            party: PartyId::ARBITER,
            identity,
            directory: Arc::clone(&directory),
            policy: Arc::default(),
            ledger: None,
            source: None,
            now,
        });
    }
    for ((id, party), identity) in parties.into_iter().zip(identities.into_values()) {
        configurations.push(party_worker::Config {
            party: id,
            identity,
            directory: Arc::clone(&directory),
            policy: Arc::new(party.policy),
            ledger: Some(Ledger::open(&ledger_file(data_dir.path(), id))?),
            source: Some(party.source),
            now,
        });
    }
    Ok((configurations, directory))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the shell reads the clock for everybody"
)]
pub(crate) fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
