//! `federation.toml`: the hospitals of a standalone Concord.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use api::Base;
use serde::Deserialize;
use shared::id::PartyId;
use shared::limits::PARTY_ID_MAX;
use shared::policy::Policy;
use shared::source::{Environment, Source};

use crate::callers::Mode;
use crate::{settings, tls};

/// A federation whose every entry is in order.
pub struct Federation {
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// Where jobs, models and keys are kept.
    pub data_dir: PathBuf,
    /// Whose word the API takes.
    pub callers: Mode,
    /// How clients reach this server, where that is not what they say in `Host`.
    pub base: Option<Base>,
    /// The server's certificate; `None` serves plain HTTP.
    pub tls: Option<api::Tls>,
    /// The hospitals.
    pub parties: BTreeMap<PartyId, Party>,
}

/// One hospital.
pub struct Party {
    /// Its name, in any script.
    pub name: String,
    /// Its data.
    pub source: Source,
    /// What it allows.
    pub policy: Policy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: SocketAddr,
    data_dir: PathBuf,
    base: Option<String>,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    #[serde(default)]
    callers: Mode,
    #[serde(default)]
    open_to_network: bool,
    party: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: u64,
    name: String,
    source: String,
    #[serde(default)]
    policy: Policy,
}

impl Federation {
    /// Reads and checks a file. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// Names the entry, its value and the rule.
    pub fn read(path: &Path, environment: Environment<'_>) -> anyhow::Result<Federation> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the federation file {}", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, folder, environment).with_context(|| format!("in {}", path.display()))
    }

    /// Checks a file's text; `folder` is what its paths are relative to.
    ///
    /// # Errors
    /// As [`Federation::read`].
    pub fn parse(
        text: &str,
        folder: &Path,
        environment: Environment<'_>,
    ) -> anyhow::Result<Federation> {
        let File {
            listen,
            data_dir,
            base,
            tls_certificate,
            tls_key,
            callers,
            open_to_network,
            party,
        } = settings::parse(text)?;
        let base = base
            .map(|base| Base::parse(&base))
            .transpose()
            .context("base")?;
        let tls = tls::read(folder, tls_certificate, tls_key)?;
        callers.check(listen, open_to_network)?;
        let mut parties = BTreeMap::new();
        for entry in party {
            let id = PartyId(entry.id);
            ensure!(
                id != PartyId::ARBITER && (2..=PARTY_ID_MAX).contains(&entry.id),
                "party id {}: hospitals have ids from 2 to {PARTY_ID_MAX}; 1 is the platform",
                entry.id
            );
            ensure!(!entry.name.trim().is_empty(), "party {id}: name is empty");
            let source = Source::parse(&entry.source, folder, environment)
                .with_context(|| format!("party {id}"))?;
            let checked = entry.policy.check();
            checked.with_context(|| format!("party {id}"))?;
            let party = Party {
                name: entry.name,
                source,
                policy: entry.policy,
            };
            if parties.insert(id, party).is_some() {
                bail!("party id {id} is there twice");
            }
        }
        ensure!(
            !parties.is_empty(),
            "no [[party]] entry: name at least one hospital"
        );
        Ok(Federation {
            listen,
            data_dir: folder.join(data_dir),
            callers,
            base,
            tls,
            parties,
        })
    }
}
