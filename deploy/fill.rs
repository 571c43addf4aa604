//! `concord fill`: splits a participant's input of a joint computation on the participant's own
//! machine. What leaves it are three parts, each sealed to the party whose worker gets it, by the
//! key that the participant pins: neither the API nor the broker can read one.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use serde::Deserialize;
use serde_json::json;
use shared::bus::Token;
use shared::computation::{Operation, Reveal};
use shared::decimal::Matrix;
use shared::id::{PanelId, PartyId};
use shared::job::{ComputeSpec, JobStatus};
use shared::message::encode;
use shared::seal::SealPublic;
use shared::sharing::{self, Bundle, WORKERS};
use shared::source::Environment;
use zeroize::Zeroizing;

use crate::directory::Directory;
use crate::office::pinned;
use crate::submit::client::Client;
use crate::{secret, tls};

/// What an input begins with that was split here.
const SEALED: &str = "concord1:";
/// Bytes of an input's text: of the largest matrix, with every digit that a value may have.
const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A participant's own input, and for which job.
#[derive(Args)]
pub struct Own {
    /// The job's `jobID`.
    #[arg(long, value_name = "ID")]
    job: String,
    /// The numbers, as JSON: [[18, 34, 18.2]], or one number; - reads standard input. Others on
    /// this machine can see what stands on a command line.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    #[arg(required_unless_present = "input_file", conflicts_with = "input_file")]
    input: Option<String>,
    /// The same, in a file.
    #[arg(long, value_name = "FILE")]
    input_file: Option<PathBuf>,
    /// Where the API is: http://HOST:PORT or https://HOST:PORT.
    #[arg(long, value_name = "URL")]
    api: String,
    /// Certificates (PEM) that vouch for it, where the system's own do not.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Where the token stands: env:NAME or file:PATH.
    #[arg(long, value_name = "REFERENCE")]
    token: Option<String>,
    /// The party.toml, or the federation.toml, that pins the workers' keys.
    #[arg(long, value_name = "FILE")]
    #[arg(required_unless_present = "directory", conflicts_with = "directory")]
    config: Option<PathBuf>,
    /// The directory.toml that pins them, where there is neither.
    #[arg(long, value_name = "FILE")]
    directory: Option<PathBuf>,
}

/// `/sdk/computation/user/userInfo`, as far as it is needed.
#[derive(Deserialize)]
struct User {
    email: String,
}

/// `/sdk/computation/panel/jobDetailByUser`, as far as it is needed.
#[derive(Deserialize)]
struct Detail {
    #[serde(rename = "jobName")]
    name: String,
    #[serde(rename = "computationStr")]
    computation: String,
    parties: Vec<String>,
    #[serde(rename = "roundID")]
    round: u32,
    status: JobStatus,
    #[serde(default)]
    workers: Vec<PartyId>,
    #[serde(default)]
    filled: Vec<bool>,
    reveal: Option<Reveal>,
}

/// Splits the input and fills it in; says what was done, and what is next.
///
/// # Errors
/// When the API does not answer, the job takes no input of the caller's, a worker is none of those
/// that are pinned, or the text is no input; never shows a value.
pub async fn run(mut own: Own, environment: Environment<'_>) -> anyhow::Result<String> {
    let job = PanelId::parse(&own.job);
    let job = job.context("--job: it must be a `jobID`: a decimal of at most 256 bits")?;
    let directory = match (&own.config, &own.directory) {
        (Some(config), _) => pinned(config, environment)?,
        (None, Some(path)) => Directory::read(path)?,
        (None, None) => bail!("--config FILE is missing"),
    };
    let text = text(own.input.take(), own.input_file.as_deref())?;
    let token = own.token.as_deref();
    let token = token.map(|from| secret::read("--token", from, Path::new(""), environment));
    let token = token.transpose()?.map(|text| Token::new(text.to_string()));
    let ca = own.ca.as_deref();
    let authorities = ca.map(|ca| tls::authorities("--ca", ca)).transpose()?;
    let client = Client::new(&own.api, authorities.as_deref(), token)?;
    let User { email } = client.flat("/sdk/computation/user/userInfo", None).await?;
    let named = json!({ "jobID": job }).to_string();
    let detail = "/sdk/computation/panel/jobDetailByUser";
    let detail: Detail = client.flat(detail, Some(named)).await?;
    let position = detail.position(&email)?;
    let spec = detail.spec(job)?;
    let readers = readers(&spec.workers, &directory)?;
    let bundle = split(&spec, position, &text, &readers)?;
    let sealed = format!("{SEALED}{}", STANDARD.encode(encode(&bundle)));
    let body = json!({ "input": sealed, "jobID": job }).to_string();
    let fill = "/sdk/computation/panel/fillData";
    client.flat::<serde_json::Value>(fill, Some(body)).await?;
    Ok(detail.said(job, position, &bundle, &directory, &client.base))
}

impl Detail {
    /// The caller's place among the participants.
    fn position(&self, email: &str) -> anyhow::Result<usize> {
        let status = self.status;
        ensure!(
            status == JobStatus::AwaitingInput,
            "the job is {}: it takes an input while it is {}",
            status.as_str(),
            JobStatus::AwaitingInput.as_str()
        );
        let position = self.parties.iter().position(|party| party == email);
        position.with_context(|| format!("{email} takes no part in the job"))
    }

    /// What the parts are bound to: they open for nothing else.
    fn spec(&self, panel: PanelId) -> anyhow::Result<ComputeSpec> {
        let name = &self.computation;
        let operation = Operation::parse(name);
        let operation = operation
            .with_context(|| format!("the job computes {name:?}, which takes no input here"))?;
        let operation = match (operation, self.reveal) {
            (Operation::Comparison(_), Some(reveal)) => Operation::Comparison(reveal),
            (operation, _) => operation,
        };
        let workers = self.workers.as_slice().try_into();
        Ok(ComputeSpec {
            panel,
            round: self.round,
            operation,
            workers: workers.ok().context("the job has not three workers")?,
            parties: Vec::new(),
        })
    }

    fn said(
        &self,
        job: PanelId,
        position: usize,
        bundle: &Bundle,
        directory: &Directory,
        api: &str,
    ) -> String {
        let (rows, columns) = (bundle.rows, bundle.columns);
        let (computation, name, round) = (&self.computation, &self.name, self.round);
        let mut text = format!(
            "Filled in: {rows} x {columns} as P{position} of {computation} {name:?}, round \
             {round}, with\n"
        );
        for (place, party) in self.parties.iter().enumerate() {
            text += &format!("  P{place} {party}\n");
        }
        text += "Split here among three workers, each of which sees noise; two of them together \
                 could read it:\n";
        for worker in &self.workers {
            let name = directory.names.get(worker).map_or("", String::as_str);
            text += &format!("  party {worker} {name}\n");
        }
        let missing = |(place, _): &(usize, &String)| {
            *place != position && !self.filled.get(*place).is_some_and(|filled| *filled)
        };
        let missing = self.parties.iter().enumerate().filter(missing);
        let missing: Vec<&str> = missing.map(|(_, party)| party.as_str()).collect();
        text += &match missing[..] {
            [] => "Nothing is missing: it computes. The result:\n".to_owned(),
            _ => format!(
                "Missing: {}. Until then it may be filled in again. The result:\n",
                missing.join(", ")
            ),
        };
        text += &format!(
            "  curl -s {api}/sdk/computation/panel/subListByUser -H \"token: $token\" -d \
             '{{\"jobID\": \"{job}\", \"pageNo\": 1, \"pageSize\": 3}}'"
        );
        text
    }
}

/// The pinned keys of three different parties. Who names the workers cannot be believed: with two
/// parts under one key, its owner could read the input.
fn readers(
    workers: &[PartyId; WORKERS],
    directory: &Directory,
) -> anyhow::Result<[SealPublic; WORKERS]> {
    let mut readers = [SealPublic([0; 32]); WORKERS];
    for (place, worker) in workers.iter().enumerate() {
        ensure!(
            !workers[..place].contains(worker),
            "the job's workers are not three different parties"
        );
        let public = directory.keys.get(worker);
        let public = public.filter(|_| directory.names.contains_key(worker));
        let public = public.with_context(|| {
            format!("the job's worker {worker} is no party of the pinned directory")
        })?;
        readers[place] = SealPublic(public.sealing);
    }
    Ok(readers)
}

fn split(
    spec: &ComputeSpec,
    position: usize,
    text: &str,
    readers: &[SealPublic; WORKERS],
) -> anyhow::Result<Bundle> {
    let domain = spec.operation.domain();
    let matrix = Matrix::parse(text.trim(), domain.digits()).context("the input is refused")?;
    let context = spec.input_context(position);
    let secrets = &mut UnwrapErr(SysRng);
    sharing::split(secrets, domain, &context, &matrix, readers).context("the input is refused")
}

/// The input's text.
fn text(given: Option<String>, file: Option<&Path>) -> anyhow::Result<Zeroizing<String>> {
    match (given.map(Zeroizing::new), file) {
        (Some(text), _) if *text == "-" => read(std::io::stdin().lock()).context("--input -"),
        (Some(text), _) => Ok(text),
        (None, Some(path)) => {
            let file = File::open(path);
            let file = file.with_context(|| format!("cannot read {}", path.display()))?;
            read(file).context("--input-file")
        }
        (None, None) => bail!("--input TEXT is missing"),
    }
}

/// Reads a text, leaving no copy of it behind.
fn read(source: impl Read) -> anyhow::Result<Zeroizing<String>> {
    // Room at once: what grows leaves its earlier places behind.
    let mut text = Zeroizing::new(String::with_capacity(TEXT_BYTES_MAX + 1));
    let mut source = source.take(TEXT_BYTES_MAX as u64 + 1);
    source.read_to_string(&mut text).context("it is no text")?;
    ensure!(
        text.len() <= TEXT_BYTES_MAX,
        "it is too long: at most {TEXT_BYTES_MAX} bytes are taken"
    );
    Ok(text)
}

#[cfg(test)]
mod tests;
