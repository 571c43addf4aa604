//! Figures of a distributed Concord on one machine:
//!
//! ```text
//! DURABLE=1 deploy/with-services.sh cargo bench --bench distributed -- all
//! ```
//!
//! Every figure is taken from real processes over a real broker and database. What it is compared
//! with is measured in the same run on the same servers, in turns, since one machine's figures of
//! two moments say little about each other.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "figures are printed, and why a federation failed"
)]

#[expect(dead_code, unused_imports, reason = "the tests use the rest")]
mod support;

#[expect(dead_code, reason = "the tests use the rest")]
mod faults;

mod bench {
    pub(crate) mod celery;
    pub(crate) mod chaos;
    pub(crate) mod cost;
    pub(crate) mod federation;
    pub(crate) mod figures;
    pub(crate) mod hops;
    pub(crate) mod jobs;
    pub(crate) mod memory;
    pub(crate) mod polls;
    pub(crate) mod rounds;
    pub(crate) mod uploads;
}

use std::fs;
use std::path::PathBuf;

use bench::{celery::Celery, chaos, cost, figures, jobs, memory, polls, rounds, uploads};
use clap::{Parser, Subcommand};
use serde_json::{Map, Value, json};

/// Figures of a distributed Concord; needs deploy/with-services.sh.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Write the figures as JSON.
    #[arg(long, global = true, value_name = "FILE")]
    report: Option<PathBuf>,
    /// How often each measurement is made; figures are medians [default: 3, for chaos 20].
    #[arg(long, global = true)]
    repeat: Option<usize>,
    /// Compare `jobs` with Celery: a Python that has celery, sqlalchemy and psycopg2.
    #[arg(long, global = true, value_name = "PYTHON", requires = "celery_script")]
    celery: Option<PathBuf>,
    /// The script that measures Celery.
    #[arg(long, global = true, value_name = "FILE", requires = "celery")]
    celery_script: Option<PathBuf>,
    /// Cargo says so.
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Subcommand, Clone, Copy)]
enum What {
    /// A round's latency beside the cost of its hops on the same broker.
    Rounds,
    /// A round of seed size with the parties' ledgers and policies, and without.
    Cost,
    /// One-row inferences per second, from the first request to the last result in the store.
    Jobs,
    /// Status polls per second by 200 pollers while jobs run.
    Polls,
    /// Memory of all processes together, idle and at work.
    Memory,
    /// Memory of the API while the longest files pass through it.
    Uploads,
    /// All of these.
    All,
    /// Every fault, 20 times or as often as --repeat says: how soon a training goes on, and that
    /// it ends with the same bits.
    Chaos,
}

fn main() {
    let Arguments {
        what,
        report,
        repeat,
        celery,
        celery_script,
        bench: _,
    } = Arguments::parse();
    let celery = celery.zip(celery_script);
    let celery = celery.map(|(python, script)| Celery { python, script });
    let measure = async {
        let is_chaos = matches!(what, What::Chaos);
        let repeat = repeat.unwrap_or(if is_chaos { 20 } else { 3 });
        let mut found = Map::new();
        found.insert("load_average_before".to_owned(), json!(figures::load()));
        found.insert("repeat".to_owned(), json!(repeat));
        let all = matches!(what, What::All);
        let mut note = |name: &str, value: Value| found.insert(name.to_owned(), value);
        if all || matches!(what, What::Rounds) {
            note("rounds", rounds::measure(repeat).await);
        }
        if all || matches!(what, What::Cost) {
            note("cost", cost::measure(repeat).await);
        }
        if all || matches!(what, What::Jobs) {
            note("jobs", jobs::measure(repeat, celery.as_ref()).await);
        }
        if all || matches!(what, What::Polls) {
            note("polls", polls::measure(repeat).await);
        }
        if all || matches!(what, What::Memory) {
            note("memory", memory::measure().await);
        }
        if all || matches!(what, What::Uploads) {
            note("uploads", uploads::measure().await);
        }
        if is_chaos {
            note("chaos", chaos::measure(repeat).await);
        }
        found.insert("load_average_after".to_owned(), json!(figures::load()));
        Value::Object(found)
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let found = runtime.block_on(measure);
    println!(
        "\nload average {} before, {} after",
        found["load_average_before"], found["load_average_after"]
    );
    if let Some(path) = report {
        let text = serde_json::to_string_pretty(&found).expect("plain data");
        fs::write(path, text + "\n").expect("the report can be written");
    }
}
