//! One party's papers: its key, the keys that it pins, its ledger; found by its configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use shared::id::PartyId;
use shared::ledger::Ledger;
use shared::seal::PublicIdentity;
use shared::source::Environment;

use crate::data_dir::{key_file, ledger_file, read_key_file};
use crate::directory::Directory;
use crate::federation::Federation;
use crate::process::PartyFile;
use crate::settings;

/// The names and keys that a configuration pins: those of a `party.toml`'s directory, or those that
/// a standalone federation made for itself.
///
/// # Errors
/// Names the field and the rule.
pub(crate) fn pinned(config: &Path, environment: Environment<'_>) -> anyhow::Result<Directory> {
    let shown = config.display();
    let text = std::fs::read_to_string(config).with_context(|| format!("cannot read {shown}"))?;
    let table: toml::Table = settings::parse(&text).with_context(|| format!("in {shown}"))?;
    if table.contains_key("data_dir") {
        return made(&Federation::read(config, environment)?);
    }
    let (file, folder) = PartyFile::read(config)?;
    Directory::read(&folder.join(&file.directory))
}

/// The names and keys of a standalone federation.
fn made(federation: &Federation) -> anyhow::Result<Directory> {
    let Federation {
        data_dir, parties, ..
    } = federation;
    let everybody = [PartyId::ARBITER]
        .into_iter()
        .chain(parties.keys().copied());
    let mut keys = BTreeMap::new();
    for id in everybody {
        let identity =
            read_key_file(&key_file(data_dir, id)).context("has this federation run yet?")?;
        keys.insert(id, identity.public());
    }
    let names = parties.iter().map(|(id, one)| (*id, one.name.clone()));
    Ok(Directory {
        names: names.collect(),
        keys,
    })
}

/// Where one party's papers are.
pub(crate) struct Office {
    /// Whose they are.
    pub(crate) party: PartyId,
    /// Names of the hospitals.
    pub(crate) names: BTreeMap<PartyId, String>,
    /// The keys that the party pins, the platform's included.
    pub(crate) peers: BTreeMap<PartyId, PublicIdentity>,
    /// Its own, by its key file.
    pub(crate) own: PublicIdentity,
    key: PathBuf,
    ledger: PathBuf,
}

impl Office {
    /// Finds the papers by `party.toml`, or by `federation.toml` and a party of it.
    ///
    /// # Errors
    /// Names the field and the rule; also when others may read the key.
    pub(crate) fn find(
        config: &Path,
        party: Option<u64>,
        environment: Environment<'_>,
    ) -> anyhow::Result<Office> {
        match party {
            Some(party) => Office::of_federation(config, PartyId(party), environment),
            None => Office::of_party(config)
                .context("a federation.toml holds many parties: say which one with --party"),
        }
    }

    fn of_party(config: &Path) -> anyhow::Result<Office> {
        let (file, folder) = PartyFile::read(config)?;
        let directory = Directory::read(&folder.join(&file.directory))?;
        let key = folder.join(&file.key);
        Ok(Office {
            party: PartyId(file.id),
            names: directory.names,
            peers: directory.keys,
            own: read_key_file(&key)?.public(),
            ledger: file.ledger(folder),
            key,
        })
    }

    fn of_federation(
        config: &Path,
        party: PartyId,
        environment: Environment<'_>,
    ) -> anyhow::Result<Office> {
        let federation = Federation::read(config, environment)?;
        ensure!(
            federation.parties.contains_key(&party),
            "party {party} is not in {}",
            config.display()
        );
        let directory = made(&federation)?;
        let key = key_file(&federation.data_dir, party);
        Ok(Office {
            party,
            own: read_key_file(&key)?.public(),
            names: directory.names,
            peers: directory.keys,
            ledger: ledger_file(&federation.data_dir, party),
            key,
        })
    }

    /// Its key file.
    pub(crate) fn key(&self) -> &Path {
        &self.key
    }

    /// Opens the ledger, also while workers use it; never makes one.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub(crate) fn ledger(&self) -> anyhow::Result<Ledger> {
        let shown = self.ledger.display();
        ensure!(
            self.ledger.try_exists()?,
            "there is no ledger {shown}; has a worker of party {} run yet?",
            self.party
        );
        Ok(Ledger::open(&self.ledger)?)
    }

    /// Whether the pinned key of the party is that of its key file.
    ///
    /// # Errors
    /// When it is not: everybody would refuse what it signs.
    pub(crate) fn check_own(&self) -> anyhow::Result<()> {
        ensure!(
            self.peers.get(&self.party) == Some(&self.own),
            "{} is not the key of party {} in the directory; everybody would refuse it",
            self.key.display(),
            self.party
        );
        Ok(())
    }

    /// A party as people know it.
    pub(crate) fn name(&self, party: PartyId) -> String {
        match self.names.get(&party) {
            Some(name) => format!("party {party}, {name}"),
            None if party == PartyId::ARBITER => format!("party {party}, the platform"),
            None => format!("party {party}"),
        }
    }
}
