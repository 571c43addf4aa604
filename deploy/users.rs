//! `concord user`: the accounts of callers.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use api::{Secrets, password};
use clap::{Args, Subcommand};
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use shared::id::PartyId;
use shared::source::Environment;
use shared::store::{Email, NewUser, Store, User};
use zeroize::Zeroizing;

use crate::data_dir;
use crate::federation::Federation;
use crate::process::Platform;
use crate::settings;

/// What to do with accounts.
#[derive(Subcommand)]
pub enum Command {
    /// Make an account; its password is asked for.
    Add {
        /// Its name, an e-mail address.
        email: String,
        /// The party it speaks for; without one it may ask for nothing but a token.
        #[arg(long, value_name = "ID")]
        party: Option<u64>,
        /// Where accounts are kept.
        #[command(flatten)]
        given: Given,
        /// How its password is told.
        #[command(flatten)]
        from: PasswordFrom,
    },
    /// Change a password. Tokens stay good for their hour; `disable` ends them at once.
    Passwd {
        /// The account.
        email: String,
        /// Where accounts are kept.
        #[command(flatten)]
        given: Given,
        /// How its password is told.
        #[command(flatten)]
        from: PasswordFrom,
    },
    /// Keep an account from calling, at once and for good.
    Disable {
        /// The account.
        email: String,
        /// Where accounts are kept.
        #[command(flatten)]
        given: Given,
    },
    /// Show every account.
    List {
        /// Where accounts are kept.
        #[command(flatten)]
        given: Given,
    },
    /// Print a new secret for `token_secret`.
    Secret,
}

/// Where accounts are kept.
#[derive(Args)]
pub struct Given {
    /// The platform's concord.toml, or the federation file of a standalone Concord.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Where a password comes from: never from the command line, which others can read.
#[derive(Args)]
pub struct PasswordFrom {
    /// Read the password from standard input, instead of asking the terminal.
    #[arg(long)]
    stdin: bool,
}

/// Does it, and tells about it on `out`.
///
/// # Errors
/// When there is no such account or there is one already, the password is too short or too long,
/// or the store cannot be used. Must be called within a runtime.
pub async fn run(
    command: Command,
    environment: Environment<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    match command {
        Command::Add {
            email,
            party,
            given,
            from,
        } => {
            let email = parse(&email)?;
            let site = Site::open(&given.config, environment).await?;
            let party = party.map(|id| site.party(id)).transpose()?;
            let password = from.hashed()?;
            let new = NewUser {
                email: email.clone(),
                password,
                party,
            };
            ensure!(
                site.store.add_user(new).await?,
                "{email} has an account already; `concord user passwd` changes its password"
            );
            match party {
                Some(party) => writeln!(out, "{email} speaks for party {party}")?,
                None => writeln!(out, "{email} speaks for no party")?,
            }
        }
        Command::Passwd { email, given, from } => {
            let email = parse(&email)?;
            let site = Site::open(&given.config, environment).await?;
            let password = from.hashed()?;
            let changed = site.store.set_password(email.clone(), password).await?;
            ensure!(changed, "{email} has no account");
            writeln!(out, "{email} has another password")?;
        }
        Command::Disable { email, given } => {
            let email = parse(&email)?;
            let site = Site::open(&given.config, environment).await?;
            let changed = site.store.disable_user(email.clone()).await?;
            ensure!(changed, "{email} has no account");
            writeln!(out, "{email} may not call any more")?;
        }
        Command::List { given } => {
            let site = Site::open(&given.config, environment).await?;
            for user in site.store.users().await? {
                writeln!(out, "{}", line(&user))?;
            }
        }
        Command::Secret => {
            writeln!(out, "{}", *Secrets::generate(&mut UnwrapErr(SysRng)))?;
        }
    }
    Ok(())
}

fn parse(email: &str) -> anyhow::Result<Email> {
    Email::parse(email).with_context(|| format!("{email:?} is no e-mail address"))
}

fn line(user: &User) -> String {
    let party = user
        .party
        .map_or("no party".to_owned(), |party| format!("party {party}"));
    let state = match user.disabled_at {
        None => "active",
        Some(_) => "disabled",
    };
    format!("{}\t{party}\t{state}", user.email)
}

impl PasswordFrom {
    fn hashed(&self) -> anyhow::Result<String> {
        let password = match self.stdin {
            true => first_line(&mut std::io::stdin().lock())?,
            false => asked()?,
        };
        Ok(password::hash(&password, &mut UnwrapErr(SysRng))?)
    }
}

fn first_line(input: &mut dyn BufRead) -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    input
        .read_line(&mut line)
        .context("cannot read the password")?;
    Ok(Zeroizing::new(
        line.trim_end_matches(['\r', '\n']).to_owned(),
    ))
}

/// From the terminal, which does not show it; twice, since nobody sees what they type.
fn asked() -> anyhow::Result<Zeroizing<String>> {
    let ask = |prompt| {
        let read = rpassword::prompt_password(prompt).map(Zeroizing::new);
        read.context("there is no terminal to ask; --stdin reads the password from standard input")
    };
    let password = ask("Password: ")?;
    if *ask("Once more: ")? != *password {
        bail!("these were two passwords");
    }
    Ok(password)
}

/// The accounts' store, and who can be spoken for.
struct Site {
    store: Store,
    parties: BTreeMap<PartyId, String>,
}

impl Site {
    /// Of the platform or of a standalone Concord; the file says which. Either may be running.
    async fn open(config: &Path, environment: Environment<'_>) -> anyhow::Result<Site> {
        let shown = config.display();
        let text =
            std::fs::read_to_string(config).with_context(|| format!("cannot read {shown}"))?;
        let table: toml::Table = settings::parse(&text).with_context(|| format!("in {shown}"))?;
        if table.contains_key("database") {
            let platform = Platform::read(config, environment)?;
            let store = platform.store().await?;
            let parties = platform.parties().clone();
            return Ok(Site { store, parties });
        }
        let federation = Federation::read(config, environment)?;
        data_dir::make(&federation.data_dir)?;
        let store = Store::open(&data_dir::database(&federation.data_dir)).await?;
        let parties = federation.parties.into_iter();
        let parties = parties.map(|(id, party)| (id, party.name)).collect();
        Ok(Site { store, parties })
    }

    fn party(&self, id: u64) -> anyhow::Result<PartyId> {
        let known = || {
            let ids: Vec<String> = self.parties.keys().map(ToString::to_string).collect();
            format!("--party {id}: the hospitals are {}", ids.join(", "))
        };
        let party = PartyId(id);
        self.parties
            .contains_key(&party)
            .then_some(party)
            .with_context(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_as_it_stands() {
        for (input, password) in [
            ("correct horse\n", "correct horse"),
            ("correct horse\r\nmore\n", "correct horse"),
            (" spaced ", " spaced "),
            ("", ""),
        ] {
            assert_eq!(*first_line(&mut input.as_bytes()).unwrap(), password);
        }
    }
}
