//! The executable: reads the command line, sets up logs, runs a command, says what went wrong.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use concord::export;
use concord::federation::Federation;
use concord::standalone::Standalone;
use shared::id::{ModelId, PartyId};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Hospitals train, score and compute together; nobody but a party ever sees its rows.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    /// What is logged: error, warn, info, debug or trace, also by module.
    #[arg(long, global = true, env = "CONCORD_LOG", default_value = "info")]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a whole federation in this process.
    Standalone {
        /// The federation file.
        #[arg(long)]
        config: PathBuf,
    },
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

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let run = || -> anyhow::Result<()> {
        let filter = EnvFilter::try_new(&arguments.log)?;
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

async fn dispatch(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Standalone { config } => {
            let mut standalone = Standalone::start(Federation::read(&config)?).await?;
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::select! {
                ended = standalone.failed() => ended?,
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            standalone.stop().await;
            Ok(())
        }
        Command::Export {
            config,
            party,
            model,
        } => {
            let federation = Federation::read(&config)?;
            let id = ModelId(model);
            let model = export::model(&federation, PartyId(party), id).await?;
            print(&serde_json::to_string_pretty(&export::to_json(id, &model))?);
            Ok(())
        }
    }
}

#[expect(clippy::print_stdout, reason = "what the command was asked for")]
fn print(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "the last word of a failed command")]
fn say_error(error: &anyhow::Error) {
    eprintln!("concord: {error:#}");
}
