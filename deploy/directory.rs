//! `directory.toml`: who takes part, with the public keys that everybody pins.
//!
//! Parties exchange it outside of Concord (in person, by telephone, by a courier), compare
//! fingerprints and each keep a copy of their own. Nobody else's copy is ever asked for, so the
//! platform can neither add, nor replace, nor rename a party.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use shared::id::PartyId;
use shared::limits::PARTY_ID_MAX;
use shared::seal::PublicIdentity;

use crate::settings;

/// Everybody's names and public keys.
pub struct Directory {
    /// Names of the hospitals, by id; the platform has none.
    pub names: BTreeMap<PartyId, String>,
    /// Public keys of everybody, the platform's arbiter included.
    pub keys: shared::session::Directory,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    party: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: u64,
    name: String,
    signing: String,
    sealing: String,
}

impl Directory {
    /// Reads and checks a directory file.
    ///
    /// # Errors
    /// Names the entry and the rule.
    pub fn read(path: &Path) -> anyhow::Result<Directory> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the directory {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in {}", path.display()))
    }

    /// Checks a directory's text.
    ///
    /// # Errors
    /// As [`Directory::read`].
    pub fn parse(text: &str) -> anyhow::Result<Directory> {
        let File { party } = settings::parse(text)?;
        let (mut names, mut keys) = (BTreeMap::new(), BTreeMap::new());
        for entry in party {
            let id = PartyId(entry.id);
            ensure!(
                (1..=PARTY_ID_MAX).contains(&entry.id),
                "party id {id}: ids go from 1 (the platform) to {PARTY_ID_MAX}"
            );
            let key = |field: &str, text: &str| {
                let bytes = STANDARD.decode(text).ok();
                let key: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
                key.with_context(|| format!("party {id}: {field} is not 32 bytes of base64"))
            };
            let public = PublicIdentity {
                signing: key("signing", &entry.signing)?,
                sealing: key("sealing", &entry.sealing)?,
            };
            let twin = keys.iter().find(|(_, other): &(_, &PublicIdentity)| {
                other.signing == public.signing || other.sealing == public.sealing
            });
            if let Some((other, _)) = twin.filter(|(other, _)| **other != id) {
                bail!("parties {other} and {id} have one key: whoever holds it can be both");
            }
            if keys.insert(id, public).is_some() {
                bail!("party id {id} is there twice");
            }
            if id != PartyId::ARBITER {
                names.insert(id, entry.name);
            }
        }
        ensure!(
            keys.contains_key(&PartyId::ARBITER),
            "there is no party 1, the platform's arbiter"
        );
        ensure!(!names.is_empty(), "there is no hospital");
        Ok(Directory { names, keys })
    }

    /// An entry as it stands in the file.
    pub fn entry(party: PartyId, name: &str, public: &PublicIdentity) -> String {
        format!(
            "[[party]]\nid = {party}\nname = {name:?}\nsigning = \"{}\"\nsealing = \"{}\"\n\
             # fingerprint: {}\n",
            STANDARD.encode(public.signing),
            STANDARD.encode(public.sealing),
            public.fingerprint()
        )
    }
}
