//! Who may call the API, as a configuration says it.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, ensure};
use api::{Callers, Secrets};
use serde::Deserialize;
use shared::source::Environment;

use crate::secret;

/// `callers`: whose word the API takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// That of accounts, which show tokens.
    #[default]
    Accounts,
    /// Everybody's.
    Open,
}

impl Mode {
    /// Whether callers may be so at the address where HTTP is served.
    ///
    /// # Errors
    /// When whoever reaches this machine could ask in any party's name, and nobody said that this
    /// is meant.
    pub(crate) fn check(self, listen: SocketAddr, open_to_network: bool) -> anyhow::Result<()> {
        ensure!(
            self == Mode::Accounts || open_to_network || listen.ip().is_loopback(),
            "callers: \"open\" lets whoever reaches {listen} ask in the name of any party; serve \
             127.0.0.1, or use accounts (concord user add), or write open_to_network = true"
        );
        Ok(())
    }

    /// Says aloud at the start that everybody who reaches the address may ask for anything.
    pub(crate) fn warn(self, listen: SocketAddr) {
        if self == Mode::Open && !listen.ip().is_loopback() {
            tracing::warn!(
                address = %listen,
                "callers are open to the network: whoever reaches this address asks in any party's \
                 name and reads any result"
            );
        }
    }
}

/// Callers with accounts, whose tokens are signed with what `token_secret` refers to.
///
/// # Errors
/// When it refers to no secrets; never shows one.
pub(crate) fn accounts(
    reference: Option<&str>,
    folder: &Path,
    environment: Environment<'_>,
) -> anyhow::Result<Callers> {
    let reference = reference.context(
        "token_secret is missing: write env:NAME or file:PATH; `concord user secret` makes one",
    )?;
    let text = secret::read("token_secret", reference, folder, environment)?;
    let secrets = Secrets::parse(&text).context("token_secret")?;
    Ok(Callers::accounts(secrets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_open_on_this_machine_alone_unless_it_is_said_twice() {
        for (mode, listen, open_to_network, fits) in [
            (Mode::Open, "127.0.0.1:5000", false, true),
            (Mode::Open, "[::1]:5000", false, true),
            (Mode::Open, "0.0.0.0:5000", false, false),
            (Mode::Open, "[::]:5000", false, false),
            (Mode::Open, "192.168.25.105:5000", false, false),
            (Mode::Open, "0.0.0.0:5000", true, true),
            (Mode::Accounts, "0.0.0.0:5000", false, true),
        ] {
            let address = listen.parse().unwrap();
            let checked = mode.check(address, open_to_network);
            assert_eq!(checked.is_ok(), fits, "{mode:?} {listen}");
        }
        assert_eq!(Mode::default(), Mode::Accounts);
    }
}
