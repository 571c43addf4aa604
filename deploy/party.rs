//! `concord party COMMAND`: what a party's security officer does beside its workers: keys,
//! fingerprints, decisions, the audit log.

mod papers;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use anyhow::{bail, ensure};
use clap::{Args, Subcommand};
use shared::id::{JobId, PartyId};
use shared::ledger::{Decided, Decision, Known, Standing};
use shared::source::Environment;
use uuid::Uuid;

use crate::data_dir::{make_key_file, read_key_file};
use crate::directory::Directory;
use crate::office::Office;
use crate::standalone::now;

/// What a party does beside working.
#[derive(Subcommand)]
pub enum Command {
    /// Make a party's keys, and print its entry for the directory.
    Keygen {
        /// The party: 1 is the platform's arbiter.
        #[arg(long)]
        party: u64,
        /// Its name.
        #[arg(long)]
        name: String,
        /// The key file to make; nobody else may read it.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Print the fingerprint of a party's keys, for the others to compare.
    Fingerprint {
        /// The key file.
        #[arg(long, value_name = "FILE", required_unless_present = "config")]
        key: Option<PathBuf>,
        /// party.toml, or federation.toml with --party.
        #[arg(long, value_name = "FILE", conflicts_with = "key")]
        config: Option<PathBuf>,
        /// Which party of a federation.toml.
        #[arg(long, requires = "config")]
        party: Option<u64>,
    },
    /// List the jobs that await a decision.
    Pending(Which),
    /// Say what a job asks for, and where it stands here.
    Show(WhichJob),
    /// Let a job use this party's rows.
    Approve(Deciding),
    /// Refuse a job.
    Reject(Deciding),
    /// Print what this party was asked and said.
    Audit {
        /// Whose.
        #[command(flatten)]
        which: Which,
        /// Only what is about this job.
        #[arg(long, value_name = "ID")]
        job: Option<Uuid>,
        /// Records to print at most, the newest ones.
        #[arg(long, default_value_t = 100, value_name = "NUMBER")]
        newest: usize,
        /// Follow the chain of hashes instead: was a record changed or removed?
        #[arg(long)]
        verify: bool,
    },
}

/// What a party does with the keys of others.
#[derive(Subcommand)]
pub enum Peers {
    /// Print the pinned keys' fingerprints; fails when they cannot be right.
    Check(Which),
}

/// Whose papers.
#[derive(Args)]
pub struct Which {
    /// party.toml, or federation.toml with --party.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Which party of a federation.toml.
    #[arg(long)]
    party: Option<u64>,
}

/// Which job in whose papers.
#[derive(Args)]
pub struct WhichJob {
    #[command(flatten)]
    which: Which,
    /// The job, as `pending` names it.
    #[arg(long, value_name = "ID")]
    job: Uuid,
}

/// A person's word.
#[derive(Args)]
pub struct Deciding {
    #[command(flatten)]
    which: WhichJob,
    /// Who decides [default: the account that runs this].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Which {
    fn office(&self, environment: Environment<'_>) -> anyhow::Result<Office> {
        Office::find(&self.config, self.party, environment)
    }

    /// As it stands on a command line.
    fn options(&self) -> String {
        let party = self.party.map(|party| format!(" --party {party}"));
        format!(
            "--config {}{}",
            self.config.display(),
            party.unwrap_or_default()
        )
    }
}

/// Does it; what there is to say comes back.
///
/// # Errors
/// When something is missing, malformed, readable by others, or was decided already.
pub fn run(command: &Command, environment: Environment<'_>) -> anyhow::Result<String> {
    match command {
        Command::Keygen { party, name, key } => {
            let identity = make_key_file(key)?;
            Ok(Directory::entry(PartyId(*party), name, &identity.public()))
        }
        Command::Fingerprint { key, config, party } => match (key, config) {
            (Some(key), _) => Ok(read_key_file(key)?.public().fingerprint()),
            (None, Some(config)) => {
                let office = Office::find(config, *party, environment)?;
                office.check_own()?;
                Ok(office.own.fingerprint())
            }
            (None, None) => bail!("--key FILE or --config FILE is missing"),
        },
        Command::Pending(which) => pending(which, environment),
        Command::Show(WhichJob { which, job }) => {
            let office = which.office(environment)?;
            let known = known(&office, JobId(*job))?;
            let mut text = papers::job(&office, &known, now());
            if known.standing == Standing::Pending {
                let _ = write!(text, "\n\n{}", next(which, *job));
            }
            Ok(text)
        }
        Command::Approve(deciding) => decide(deciding, Decision::Approve, environment),
        Command::Reject(deciding) => decide(deciding, Decision::Reject, environment),
        Command::Audit {
            which,
            job,
            newest,
            verify,
        } => {
            let ledger = which.office(environment)?.ledger()?;
            if *verify {
                return papers::verified(&ledger.verify()?);
            }
            let records = ledger.audit(job.map(JobId), *newest)?;
            let lines = records.iter().map(papers::record);
            Ok(lines.collect::<Vec<_>>().join("\n"))
        }
    }
}

/// What is said beside the keys that were made; the keys' entry alone goes to the output.
pub fn advice(command: &Command) -> Option<String> {
    match command {
        Command::Keygen { key, .. } => Some(format!(
            "{} is made; keep it, and let nobody else read it. Give the entry to every other party \
             outside of Concord, and read the fingerprint to them: each keeps its own directory.",
            key.display()
        )),
        Command::Fingerprint { .. }
        | Command::Pending(_)
        | Command::Show(_)
        | Command::Approve(_)
        | Command::Reject(_)
        | Command::Audit { .. } => None,
    }
}

/// Says whose keys a party pins.
///
/// # Errors
/// When the file is malformed, two parties share a key, or the party's own key is not in it.
pub fn peers(command: &Peers, environment: Environment<'_>) -> anyhow::Result<String> {
    let Peers::Check(which) = command;
    let office = which.office(environment)?;
    let mut text = String::new();
    for (id, public) in &office.peers {
        let own = match *id == office.party {
            true => " (your own)",
            false => "",
        };
        let _ = writeln!(
            text,
            "{}{own}\n    {}",
            office.name(*id),
            public.fingerprint()
        );
    }
    office.check_own()?;
    let twin = office.peers.iter().find(|(id, public)| {
        let mut others = office.peers.iter().filter(|(other, _)| *other < *id);
        others.any(|(_, other)| other.signing == public.signing || other.sealing == public.sealing)
    });
    if let Some((id, _)) = twin {
        bail!("party {id} shares a key with another: whoever holds it can be both");
    }
    let _ = write!(
        text,
        "\nYour own key file is the one in the directory. Next: ask each party, not through \
         Concord, to read out what `concord party fingerprint` says there, and compare."
    );
    Ok(text)
}

fn pending(which: &Which, environment: Environment<'_>) -> anyhow::Result<String> {
    let office = which.office(environment)?;
    let now = now();
    let waiting = office.ledger()?.pending(now)?;
    if waiting.is_empty() {
        return Ok("no job awaits a decision".to_owned());
    }
    let lines = waiting
        .iter()
        .map(|known| papers::line(&office, known, now));
    let lines: Vec<String> = lines.collect();
    Ok(format!(
        "{}\n\nNext: concord party show --job ID {}",
        lines.join("\n"),
        which.options()
    ))
}

fn known(office: &Office, job: JobId) -> anyhow::Result<Known> {
    match office.ledger()?.show(job, now())? {
        Some(known) => Ok(known),
        None => bail!("party {} knows no job {job}", office.party),
    }
}

fn next(which: &Which, job: Uuid) -> String {
    let options = which.options();
    format!(
        "Next: concord party approve --job {job} {options}\n  or: concord party reject --job {job} \
         {options}"
    )
}

fn decide(
    deciding: &Deciding,
    decision: Decision,
    environment: Environment<'_>,
) -> anyhow::Result<String> {
    let WhichJob { which, job } = &deciding.which;
    let office = which.office(environment)?;
    let account = account()?;
    let by = match &deciding.by {
        Some(name) => {
            ensure!(
                !name.trim().is_empty() && !name.contains(char::is_control),
                "--by {name:?}: a name has letters, and no line breaks"
            );
            format!("{name} (account {account})")
        }
        None => account,
    };
    let decided = office.ledger()?.decide(JobId(*job), decision, &by, now())?;
    match (decided, decision) {
        (Decided::Done, Decision::Approve) => Ok(format!(
            "job {job} is approved by {by}; it goes on by itself within seconds"
        )),
        (Decided::Done, Decision::Reject) => Ok(format!(
            "job {job} is rejected by {by}; its requester is told, and not why"
        )),
        (Decided::Unknown, _) => bail!("party {} knows no job {job}", office.party),
        (Decided::Not(standing), _) => {
            bail!(
                "job {job} is not to be decided on: {}",
                papers::standing(standing)
            )
        }
    }
}

/// The account that runs this, as the operating system knows it.
fn account() -> anyhow::Result<String> {
    let uid = std::fs::metadata("/proc/self")?.uid();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id.parse() == Ok(uid)).then(|| name.to_owned())
    });
    Ok(name.unwrap_or_else(|| format!("uid {uid}")))
}
