//! The executable: reads the command line, sets up logs, runs a command, says what went wrong.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use concord::demo;
use concord::export;
use concord::federation::Federation;
use concord::fill;
use concord::party;
use concord::process::{Broker, Party, Platform};
use concord::result;
use concord::secret;
use concord::standalone::Standalone;
use concord::submit;
use concord::tls;
use concord::users;
use shared::bus::Token;
use shared::id::{ModelId, PartyId};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Hospitals train, score and compute together; nobody but a party ever sees its rows.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    /// What is logged: error, warn, info, debug or trace, also by module [default: info, for
    /// demo, submit and user warn].
    #[arg(long, global = true, env = "CONCORD_LOG")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Three hospitals of real rows train and score over HTTP; then it says who saw what.
    Demo {
        /// Write the figures as JSON.
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
        /// Keep the federation, to go on with.
        #[arg(long)]
        keep: bool,
    },
    /// Run a whole federation in this process.
    Standalone {
        /// The federation file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Serve HTTP; any number of these.
    Api(Configured),
    /// Fold events into jobs and mend what was lost; any number of these.
    Status(Probed),
    /// Add ciphertexts; any number of these.
    Arbiter(Probed),
    /// Work for one hospital; any number of these. Or, with a command, keep its keys and decide.
    #[command(args_conflicts_with_subcommands = true)]
    Party {
        /// The configuration file: party.toml.
        #[arg(long)]
        config: Option<PathBuf>,
        /// Check the file and what it refers to, and stop.
        #[arg(long)]
        check_config: bool,
        /// Serve /health and /ready here.
        #[arg(long, value_name = "ADDRESS:PORT")]
        health: Option<SocketAddr>,
        #[command(subcommand)]
        command: Option<party::Command>,
    },
    /// Look at the keys that a party pins.
    #[command(subcommand)]
    Peers(party::Peers),
    /// Submit a batch of jobs, and follow them to their ends.
    Submit(Batch),
    /// Make, change, disable and show the accounts of callers.
    #[command(subcommand)]
    User(users::Command),
    /// Print what a job made for a party, opened with its key: scores, or a model.
    Result(Wanted),
    /// Give a joint computation your numbers, split on this machine so that nobody else reads them.
    Fill(fill::Own),
    /// Print a trained model as JSON, opened with a party's own key.
    Export {
        /// The federation file.
        #[arg(long)]
        config: PathBuf,
        /// The party whose copy is opened.
        #[arg(long)]
        party: u64,
        /// The model.
        #[arg(long)]
        model: i64,
    },
}

/// A batch of jobs.
#[derive(Args)]
struct Batch {
    /// One job per line: {"type": "/model/train", "key": "optional", "body": {..}}. A line without
    /// a key gets one made of the whole file and the line's number: sending a file again submits
    /// nothing twice.
    #[arg(value_name = "FILE.jsonl")]
    file: PathBuf,
    /// Where the API is: http://HOST:PORT or https://HOST:PORT.
    #[arg(long, value_name = "URL")]
    api: String,
    /// Certificates (PEM) that vouch for an https API and an amqps broker; without them the
    /// system's own.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Send by HTTP, not by queue.
    #[arg(long)]
    http: bool,
    /// Where the broker's address stands: env:NAME or file:PATH.
    #[arg(long, default_value = "env:CONCORD_BROKER", conflicts_with = "http")]
    broker: String,
    /// The federation's `queue_prefix`.
    #[arg(long, default_value = "", conflicts_with = "http")]
    queue_prefix: String,
    /// Where a token of the API stands: env:NAME or file:PATH. It must be good until every line was
    /// read by the API and every job has ended.
    #[arg(long, value_name = "REFERENCE")]
    token: Option<String>,
    /// Make new jobs, also of lines that were sent before.
    #[arg(long)]
    again: bool,
    /// Write what came of each line, as JSON lines.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Which result, and how to get at it.
#[derive(Args)]
struct Wanted {
    /// The job's `order_id`.
    #[arg(long, value_name = "N")]
    order: i64,
    /// Where the API is: http[s]://HOST:PORT.
    #[arg(long, value_name = "URL")]
    api: String,
    /// Certificates (PEM) that vouch for it, where the system's own do not.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Where the token stands: env:NAME or file:PATH.
    #[arg(long, value_name = "REFERENCE")]
    token: Option<String>,
    /// party.toml; or federation.toml, with --party.
    #[arg(long)]
    config: PathBuf,
    /// Which party of a federation.toml.
    #[arg(long)]
    party: Option<u64>,
    /// Another key file than the party's: the one whose public key the request named.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// What every process of a distributed Concord is given.
#[derive(Args)]
struct Configured {
    /// The configuration file: concord.toml, for a party party.toml.
    #[arg(long)]
    config: PathBuf,
    /// Check the file and what it refers to, and stop.
    #[arg(long)]
    check_config: bool,
}

/// The same, and where to ask a process without an API how it is.
#[derive(Args)]
struct Probed {
    #[command(flatten)]
    given: Configured,
    /// Serve /health and /ready here.
    #[arg(long, value_name = "ADDRESS:PORT")]
    health: Option<SocketAddr>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let run = || -> anyhow::Result<()> {
        let quiet = matches!(
            arguments.command,
            Command::Demo { .. } | Command::Submit(_) | Command::User(_)
        );
        let default = if quiet { "warn" } else { "info" };
        let filter = filter(arguments.log.as_deref().unwrap_or(default))?;
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .init();
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(dispatch(arguments.command))
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say_error(&error);
            ExitCode::FAILURE
        }
    }
}

/// What is logged: levels, alone or as `module=level`, separated by commas.
fn filter(text: &str) -> anyhow::Result<EnvFilter> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let known = |part: &str| LEVELS.contains(&part.rsplit('=').next().unwrap_or(part).trim());
    // The library takes any other word for the name of a module, and says nothing.
    if !text.split(',').all(known) {
        bail!(
            "--log {text:?}: write one of {}, or MODULE=LEVEL, with commas between",
            LEVELS.join(", ")
        );
    }
    let filter = EnvFilter::try_new(text).with_context(|| format!("--log {text:?}"))?;
    // At finer levels this library shows every frame, and with it what messages say.
    Ok(filter.add_directive("lapin=info".parse()?))
}

async fn dispatch(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo { report, keep } => {
            let options = demo::Options {
                report,
                keep,
                program: std::env::args()
                    .next()
                    .unwrap_or_else(|| "concord".to_owned()),
            };
            let mut out = std::io::stdout();
            tokio::select! {
                shown = demo::run(&options, &mut out) => shown,
                told = told_to_stop() => told.and_then(|()| bail!("stopped before the end")),
            }
        }
        Command::Standalone { config } => {
            let mut standalone =
                Standalone::start(Federation::read(&config, &environment)?).await?;
            tokio::select! {
                ended = standalone.failed() => ended?,
                told = told_to_stop() => told?,
            }
            standalone.stop().await;
            Ok(())
        }
        Command::Api(given) => {
            let platform = Platform::read(&given.config, &environment)?;
            let callers = platform.callers(&environment)?;
            until_told(&given, |stop| platform.api(callers, stop)).await
        }
        Command::Status(Probed { given, health }) => {
            let platform = Platform::read(&given.config, &environment)?;
            until_told(&given, |stop| platform.status(health, stop)).await
        }
        Command::Arbiter(Probed { given, health }) => {
            let platform = Platform::read(&given.config, &environment)?;
            until_told(&given, |stop| platform.arbiter(health, stop)).await
        }
        Command::User(command) => users::run(command, &environment, &mut std::io::stdout()).await,
        Command::Party {
            command: Some(command),
            ..
        } => {
            print(&party::run(&command, &environment)?);
            if let Some(advice) = party::advice(&command) {
                say(&advice);
            }
            Ok(())
        }
        Command::Party {
            config,
            check_config,
            health,
            ..
        } => {
            let config = config.context("--config FILE is missing")?;
            let party = Party::read(&config, &environment)?;
            let given = Configured {
                config,
                check_config,
            };
            until_told(&given, |stop| party.run(health, stop)).await
        }
        Command::Peers(command) => {
            print(&party::peers(&command, &environment)?);
            Ok(())
        }
        Command::Submit(batch) => send(batch).await,
        Command::Result(wanted) => open(wanted).await,
        Command::Fill(own) => {
            print(&fill::run(own, &environment).await?);
            Ok(())
        }
        Command::Export {
            config,
            party,
            model,
        } => {
            let federation = Federation::read(&config, &environment)?;
            let id = ModelId(model);
            let model = export::model(&federation, PartyId(party), id).await?;
            print(&serde_json::to_string_pretty(&export::to_json(id, &model))?);
            Ok(())
        }
    }
}

async fn open(wanted: Wanted) -> anyhow::Result<()> {
    let options = result::Options {
        order: wanted.order,
        api: wanted.api,
        authorities: authorities(wanted.ca.as_deref())?,
        token: token(wanted.token.as_deref())?,
        config: wanted.config,
        party: wanted.party,
        key: wanted.key,
    };
    let opened = result::open(&options, &environment).await?;
    print(&serde_json::to_string_pretty(&opened)?);
    Ok(())
}

/// What `--ca` names.
fn authorities(ca: Option<&Path>) -> anyhow::Result<Option<String>> {
    ca.map(|ca| tls::authorities("--ca", ca)).transpose()
}

/// What `--token` refers to.
fn token(reference: Option<&str>) -> anyhow::Result<Option<Token>> {
    let read = |reference| secret::read("--token", reference, Path::new(""), &environment);
    let text = reference.map(read).transpose()?;
    Ok(text.map(|text| Token::new(text.to_string())))
}

async fn send(batch: Batch) -> anyhow::Result<()> {
    let authorities = authorities(batch.ca.as_deref())?;
    let broker = match batch.http {
        true => None,
        false => Some(
            Broker::read(
                &batch.broker,
                batch.queue_prefix,
                None,
                Path::new(""),
                &environment,
            )?
            .vouched_for_by(authorities.clone()),
        ),
    };
    let options = submit::Options {
        file: batch.file,
        api: batch.api,
        authorities,
        broker,
        token: token(batch.token.as_deref())?,
        again: batch.again,
        report: batch.report,
    };
    let stopped = match options.again {
        true => "what was accepted goes on; GET /model/list shows it",
        false => "what was accepted goes on, and the same command follows it",
    };
    let mut out = std::io::stdout();
    tokio::select! {
        sent = submit::run(&options, &mut out) => sent,
        told = told_to_stop() => told.and_then(|()| bail!("stopped; {stopped}")),
    }
}

/// Runs a process until Ctrl-C or SIGTERM, then lets it drain.
async fn until_told<F: Future<Output = anyhow::Result<()>>>(
    given: &Configured,
    run: impl FnOnce(CancellationToken) -> F,
) -> anyhow::Result<()> {
    if given.check_config {
        print(&format!("{} is in order", given.config.display()));
        return Ok(());
    }
    let stop = CancellationToken::new();
    let running = run(stop.clone());
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => return ended,
        told = told_to_stop() => told?,
    }
    stop.cancel();
    running.await
}

#[expect(
    clippy::disallowed_methods,
    reason = "the command line reads the environment"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Waits for Ctrl-C or SIGTERM.
async fn told_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the command was asked for")]
fn print(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "what people read beside the output")]
fn say(text: &str) {
    eprintln!("{text}");
}

fn say_error(error: &anyhow::Error) {
    say(&format!("concord: {error:#}"));
}
