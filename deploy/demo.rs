//! `concord demo`: three hospitals made of real rows train a model over HTTP, one of them scores
//! with it, and the same training on one table shows that nothing was lost.

mod client;
mod cost;
mod hospitals;
mod metrics;
mod progress;
mod report;
mod story;
mod training;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use shared::id::{ModelId, PartyId};
use shared::local::logistic_regression::score;
use shared::model::Model;
use shared::table::Table;

use self::client::{Accepted, Client, JobReport, Prediction};
use self::hospitals::Hospitals;
use self::progress::Progress;
use self::report::Figures;
use crate::export;
use crate::federation::Federation;
use crate::standalone::Standalone;

/// Between two looks at a job.
const POLL: Duration = Duration::from_millis(50);
/// How long one job may take: far longer than it does, so that nobody waits for ever.
const JOB_SECONDS_MAX: u64 = 600;
/// The hospital whose rows are scored.
const SCORED: u64 = 4;
/// Decimals of a released score.
const SCORE_SCALE: f64 = 1e4;

/// What may be chosen about a demo.
pub struct Options {
    /// Where the figures go, as JSON.
    pub report: Option<PathBuf>,
    /// Whether the federation's folder stays.
    pub keep: bool,
    /// How this executable is called, for the commands it proposes.
    pub program: String,
}

/// A training that ended well.
struct Training {
    model: i64,
    order: i64,
    /// Rows each party used.
    rows: BTreeMap<String, u64>,
    report: JobReport,
    /// From the request to its end.
    took: Duration,
    /// From the request to the first sum of all parties.
    first_sum: Duration,
}

/// The federation's model beside the one of all rows in one table.
struct Comparison {
    model: Model,
    pooled: Model,
    bit_identical: bool,
    auc: f64,
    accuracy: f64,
}

/// Runs the demo and tells about it on `out`. Its folder is deleted at the end unless it is kept.
///
/// # Errors
/// When a step fails, or the federation's weights or scores are not those of one site.
pub async fn run(options: &Options, out: &mut dyn Write) -> anyhow::Result<()> {
    let began = Instant::now();
    if let Some(path) = &options.report {
        // Now, not after the work.
        std::fs::write(path, "").with_context(|| format!("cannot write {}", path.display()))?;
    }
    let hospitals = Hospitals::deal()?;
    let folder = tempfile::Builder::new()
        .prefix("concord-demo-")
        .disable_cleanup(options.keep)
        .tempdir()?;
    let config = hospitals.write(folder.path())?;
    let mut federation = Federation::read(&config, &|_| None)?;
    federation.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut standalone = Standalone::start(federation).await?;
    let client = Client::new(standalone.address)?;
    let show = Show {
        began,
        hospitals: &hospitals,
        config: &config,
        client: &client,
    };
    let shown = tokio::select! {
        shown = show.go(options, out) => shown,
        ended = standalone.failed() => match ended {
            Ok(()) => bail!("the federation stopped by itself"),
            Err(error) => Err(error.context("the federation stopped")),
        },
    };
    standalone.stop().await;
    let training = shown?;
    if options.keep {
        let request = folder.path().join("train.json");
        let body = training::request(&hospitals.attributes());
        fs::write(&request, serde_json::to_string_pretty(&body)? + "\n")?;
        story::kept(out, &options.program, &config, &request, &training)?;
    } else {
        story::next(out, &options.program)?;
    }
    Ok(())
}

/// What every step of the demo needs.
struct Show<'a> {
    began: Instant,
    hospitals: &'a Hospitals,
    config: &'a Path,
    client: &'a Client,
}

impl Show<'_> {
    async fn go(&self, options: &Options, out: &mut dyn Write) -> anyhow::Result<Training> {
        story::opening(out, self.hospitals, &self.client.base)?;
        story::before_training(out)?;
        let training = self.train().await?;
        story::trained(out, &training)?;
        let predictions = self.score(training.model).await?;
        story::scored(out, self.hospitals, &predictions)?;
        let comparison = self.compare(&training, &predictions).await?;
        story::compared(out, &comparison)?;
        let slots = training.report.privacy.as_ref().map(|facts| facts.slots);
        let slots = slots.context("the report of the training says nothing of its sums")?;
        let cost = cost::measure(training::KEY_BITS, slots as usize)?;
        let figures = Figures {
            training: &training,
            comparison: &comparison,
            predictions: &predictions,
            cost: &cost,
            total: self.began.elapsed(),
        };
        if let Some(path) = &options.report {
            write(path, &figures.to_json())?;
        }
        ensure!(
            comparison.bit_identical,
            "the federation's weights differ from those of the pooled rows; this is a defect"
        );
        story::who_saw_what(out, &training, predictions.len())?;
        story::measured(out, &figures, options.report.as_deref())?;
        Ok(training)
    }

    async fn train(&self) -> anyhow::Result<Training> {
        let asked = Instant::now();
        let request = training::request(&self.hospitals.attributes());
        let Accepted { model_id, order_id } = self.client.train(&request).await?;
        let (mut progress, mut first_sum) = (Progress::start()?, None);
        let report = loop {
            let report = self.client.report(order_id).await?;
            if report.round > 0 {
                first_sum.get_or_insert(asked.elapsed());
            }
            if report.status == "finished" {
                break report;
            }
            progress.show(report.iterations, report.iterations_max);
            pause(asked, "the training").await?;
        };
        progress.end();
        let status = self.client.train_status(order_id).await?;
        Ok(Training {
            model: model_id,
            order: order_id,
            rows: status.data_volum,
            report,
            took: asked.elapsed(),
            first_sum: first_sum.context("a training without rounds")?,
        })
    }

    async fn score(&self, model: i64) -> anyhow::Result<Vec<Prediction>> {
        let asked = Instant::now();
        let request = json!({
            "model_id": model,
            "input_data": { "user_id": SCORED, "data_sql": training::sql() },
        });
        let order = self.client.infer(&request).await?;
        loop {
            if let Some(scores) = self.client.scores(order).await? {
                return Ok(scores);
            }
            // A job that failed has no scores; its report says why.
            self.client.report(order).await?;
            pause(asked, "the scoring").await?;
        }
    }

    /// Opens every hospital's copy of the model, and trains anew on the pooled rows.
    async fn compare(
        &self,
        training: &Training,
        predictions: &[Prediction],
    ) -> anyhow::Result<Comparison> {
        let federation = Federation::read(self.config, &|_| None)?;
        let mut copies = BTreeMap::new();
        for party in federation.parties.keys() {
            let copy = export::model(&federation, *party, ModelId(training.model)).await?;
            copies.insert(*party, copy);
        }
        let everybody: Vec<u64> = self.hospitals.all.iter().map(|each| each.id).collect();
        let label = training::label();
        let table = self.hospitals.table(&everybody, &label)?;
        let pooled = training::pooled(&self.hospitals.attributes(), &table)?;
        let bit_identical = copies.values().all(|copy| bits(copy) == bits(&pooled));
        let model = copies
            .remove(&PartyId(SCORED))
            .context("the scored hospital has no copy of the model")?;
        let scored = self.hospitals.table(&[SCORED], &label)?;
        ensure!(
            are_scores_of(predictions, &model, &scored),
            "the scores that came over HTTP are not those of the model; this is a defect"
        );
        let scores = scores(&model, &table);
        Ok(Comparison {
            auc: metrics::auc(&scores, &table.positive).context("both classes occur")?,
            accuracy: metrics::accuracy(&scores, &table.positive, model.threshold),
            bit_identical,
            model,
            pooled,
        })
    }
}

async fn pause(asked: Instant, what: &str) -> anyhow::Result<()> {
    ensure!(
        asked.elapsed() < Duration::from_secs(JOB_SECONDS_MAX),
        "{what} did not end within {JOB_SECONDS_MAX} seconds"
    );
    tokio::time::sleep(POLL).await;
    Ok(())
}

/// Every number of a model that scores depend on, as IEEE 754 bits.
fn bits(model: &Model) -> Vec<u64> {
    let by = model.standardization.as_ref();
    let columns = by.map(|by| by.mean.iter().chain(&by.deviation));
    let weights = model.coefficients.iter().chain([&model.intercept]);
    let numbers = weights.chain(columns.into_iter().flatten());
    numbers.map(|number| number.to_bits()).collect()
}

fn scores(model: &Model, table: &Table) -> Vec<f64> {
    let rows = table.values.rows();
    rows.into_iter().map(|row| score(model, row)).collect()
}

/// Whether released scores are the model's own, in order and to four decimals.
fn are_scores_of(predictions: &[Prediction], model: &Model, table: &Table) -> bool {
    let own = table.ids.iter().zip(scores(model, table));
    predictions.len() == table.ids.len()
        && predictions.iter().zip(own).all(|(released, (id, score))| {
            let rounded = (score * SCORE_SCALE).round_ties_even() / SCORE_SCALE;
            released.unique_id == *id && released.label == rounded
        })
}

fn write(path: &Path, report: &Value) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(report)? + "\n";
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests;
