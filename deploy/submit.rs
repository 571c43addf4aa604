//! `concord submit`: sends a file of jobs through the queue or by HTTP, follows them to their ends,
//! and says what came of each line.
//!
//! Every line has a key, so that whatever is lost on the way is simply sent again: the API, the
//! broker and this process may die at any moment.

mod batch;
pub(crate) mod client;
mod door;
mod progress;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rand::TryRng;
use rand::rngs::SysRng;
use shared::bus::Token;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use self::batch::Line;
use self::client::{Client, End, Unknown};
use self::door::{Answer, Door};
use self::progress::{Counts, Progress};
use self::summary::Outcome;
use crate::process::Broker;

/// Between two looks at the jobs.
const LOOK: Duration = Duration::from_secs(1);

/// What is sent, and how.
pub struct Options {
    /// One job per line: `{"type": .., "key": .., "body": ..}`.
    pub file: PathBuf,
    /// Where the API is: `http[s]://HOST:PORT`.
    pub api: String,
    /// Certificates (PEM) that vouch for it; without them the system's own.
    pub authorities: Option<String>,
    /// The broker whose queue takes the lines; `None` sends them by HTTP.
    pub broker: Option<Broker>,
    /// Who asks, where the API wants to know.
    pub token: Option<Token>,
    /// Whether lines that were sent before become new jobs.
    pub again: bool,
    /// Where the outcome of each line goes, as JSON lines.
    pub report: Option<PathBuf>,
}

/// Submits a batch and waits until all its jobs have ended; tells about it on `out`. Must be called
/// within a runtime.
///
/// # Errors
/// Before anything is sent, when a line is no request, or the API or the broker does not answer.
/// At the end, when a line was refused, or its job failed or was cancelled.
pub async fn run(options: &Options, out: &mut dyn Write) -> anyhow::Result<()> {
    let shown = options.file.display();
    let text = std::fs::read(&options.file).with_context(|| format!("cannot read {shown}"))?;
    let again = options.again.then(unique).transpose()?;
    let lines = batch::read(&text, again.as_deref())
        .map_err(|problems| problems.context(format!("{shown}: nothing was sent")))?;
    if let Some(path) = &options.report {
        // Now, not after the work.
        std::fs::write(path, "").with_context(|| format!("cannot write {}", path.display()))?;
    }
    let client = Client::new(
        &options.api,
        options.authorities.as_deref(),
        options.token.clone(),
    )?;
    client.ready().await.context("nothing was sent")?;
    let door = match &options.broker {
        Some(broker) => {
            let opening =
                door::Queue::open(broker.connect()?, &unique()?, options.token.clone()).await;
            Door::Queue(opening.context("nothing was sent")?)
        }
        None => Door::Http(client.clone()),
    };
    let lines: Vec<Arc<Line>> = lines.into_iter().map(Arc::new).collect();
    let mut work = Work {
        outcomes: lines.iter().map(|_| Outcome::default()).collect(),
        open: BTreeMap::new(),
        counts: Counts::default(),
        progress: Progress::start(lines.len())?,
    };
    let done = work.follow(&lines, &Arc::new(door), &client).await;
    work.progress.end();
    done?;
    if let Some(path) = &options.report {
        std::fs::write(path, summary::report(&lines, &work.outcomes))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    summary::tell(out, &client.base, &lines, &work.outcomes)?;
    match work
        .outcomes
        .iter()
        .filter(|outcome| !outcome.well())
        .count()
    {
        0 => Ok(()),
        bad => bail!("{bad} of {} lines did not end well", lines.len()),
    }
}

/// 128 bits that nobody else has drawn, in hexadecimal.
fn unique() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    SysRng.try_fill_bytes(&mut bytes)?;
    Ok(batch::hexadecimal(&bytes))
}

/// A batch on its way.
struct Work {
    /// What came of each line so far.
    outcomes: Vec<Outcome>,
    /// Jobs that have not ended, by their orders: whose line each is.
    open: BTreeMap<i64, usize>,
    counts: Counts,
    progress: Progress,
}

impl Work {
    /// Sends every line and sees every job to its end.
    async fn follow(
        &mut self,
        lines: &[Arc<Line>],
        door: &Arc<Door>,
        client: &Client,
    ) -> anyhow::Result<()> {
        let mut unsent = lines.iter().enumerate();
        let mut asking = JoinSet::new();
        let mut looking: JoinSet<anyhow::Result<Vec<End>>> = JoinSet::new();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while asking.len() < door.unanswered_max() {
                let Some((index, line)) = unsent.next() else {
                    break;
                };
                let (door, line) = (Arc::clone(door), Arc::clone(line));
                asking.spawn(async move { (index, door.ask(&line).await) });
            }
            if asking.is_empty() && self.open.is_empty() {
                return Ok(());
            }
            tokio::select! {
                Some(answered) = asking.join_next() => {
                    let (index, answer) = answered?;
                    self.answered(index, answer?);
                }
                Some(looked) = looking.join_next() => match looked? {
                    Ok(ends) => self.ended(ends),
                    Err(error) if error.is::<Unknown>() => return Err(error),
                    Err(error) => self.progress.silent(&error),
                },
                _ = look.tick() => {
                    if looking.is_empty() && !self.open.is_empty() {
                        let (client, orders) = (client.clone(), self.open.keys().copied());
                        let orders = orders.collect();
                        looking.spawn(async move { client.ends(orders).await });
                    }
                    self.progress.unanswered(asking.len());
                }
            }
            self.progress.show(&self.counts);
        }
    }

    fn answered(&mut self, index: usize, answer: Answer) {
        let outcome = &mut self.outcomes[index];
        match answer {
            Answer::Accepted { order, model } => {
                outcome.order = Some(order);
                outcome.model = model;
                self.counts.accepted += 1;
                self.open.insert(order, index);
            }
            Answer::Created { panel } => {
                *outcome = Outcome::created(panel);
                self.counts.accepted += 1;
                self.counts.ended += 1;
            }
            Answer::Refused { code, message } => {
                outcome.status = Some("refused".to_owned());
                outcome.reason = Some(code.to_string());
                outcome.text = Some(message);
                self.counts.ended += 1;
                self.counts.bad += 1;
            }
        }
    }

    fn ended(&mut self, ends: Vec<End>) {
        for end in ends {
            let Some(index) = self.open.remove(&end.order) else {
                continue;
            };
            let outcome = &mut self.outcomes[index];
            outcome.model = end.model;
            outcome.status = Some(end.status);
            if let Some(reason) = end.reason {
                outcome.reason = Some(reason.code);
                outcome.text = Some(format!("{} {}", reason.text, reason.remedy));
            }
            self.counts.ended += 1;
            self.counts.bad += usize::from(!outcome.well());
        }
    }
}
