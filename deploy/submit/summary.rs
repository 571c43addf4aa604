//! What came of a batch.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use serde_json::{Value, json};
use shared::id::PanelId;
use shared::job::JobStatus;

use super::batch::Line;

/// Lines that did not end well and are told one by one.
const TOLD: usize = 5;

/// What came of a line, as far as it is known.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) order: Option<i64>,
    pub(super) model: Option<i64>,
    /// The job of the panel, if it is one.
    pub(super) panel: Option<PanelId>,
    /// `finished`, `failed`, `canceled`, `refused`, or `awaiting_input` of a job of the panel.
    pub(super) status: Option<String>,
    /// The code of why not well.
    pub(super) reason: Option<String>,
    /// The same in words.
    pub(super) text: Option<String>,
}

impl Outcome {
    /// Of a job of the panel: its end is its participants' affair.
    pub(super) fn created(panel: PanelId) -> Outcome {
        Outcome {
            panel: Some(panel),
            status: Some(JobStatus::AwaitingInput.as_str().to_owned()),
            ..Outcome::default()
        }
    }

    /// Whether it ended as it should.
    pub(super) fn well(&self) -> bool {
        self.status.as_deref() == Some("finished") || self.panel.is_some()
    }

    fn status(&self) -> &str {
        self.status.as_deref().unwrap_or("unknown")
    }
}

/// A JSON object per line of the batch.
pub(super) fn report(lines: &[Arc<Line>], outcomes: &[Outcome]) -> String {
    let entry = |(line, outcome): (&Arc<Line>, &Outcome)| {
        let mut object = json!({
            "key": line.key,
            "line": line.number,
            "model_id": outcome.model,
            "order_id": outcome.order,
            "reason": outcome.reason,
            "status": outcome.status(),
            "text": outcome.text,
        });
        if let Some(panel) = outcome.panel {
            object["jobID"] = Value::from(panel.to_string());
        }
        format!("{object}\n")
    };
    lines.iter().zip(outcomes).map(entry).collect()
}

/// Says how many ended how, what is wrong with the first bad ones, and what to do next.
pub(super) fn tell(
    out: &mut dyn Write,
    base: &str,
    lines: &[Arc<Line>],
    outcomes: &[Outcome],
) -> io::Result<()> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for outcome in outcomes {
        *counts.entry(outcome.status()).or_default() += 1;
    }
    let counts = counts
        .iter()
        .map(|(status, count)| format!("{count} {status}"));
    let counts: Vec<String> = counts.collect();
    writeln!(out, "{} lines: {}", lines.len(), counts.join(", "))?;
    let all = lines.iter().zip(outcomes);
    let bad: Vec<_> = all.filter(|(_, outcome)| !outcome.well()).collect();
    for (line, outcome) in bad.iter().take(TOLD) {
        write!(out, "line {}", line.number)?;
        if let Some(order) = outcome.order {
            write!(out, " (order {order})")?;
        }
        write!(out, " {}", outcome.status())?;
        match (&outcome.reason, &outcome.text) {
            (Some(reason), Some(text)) => writeln!(out, ": {reason}: {text}")?,
            _ => writeln!(out)?,
        }
    }
    if bad.len() > TOLD {
        writeln!(
            out,
            "and {} more; --report FILE writes all",
            bad.len() - TOLD
        )?;
    }
    let created = |(line, outcome): (&Arc<Line>, &Outcome)| Some((line.number, outcome.panel?));
    for (line, panel) in lines.iter().zip(outcomes).filter_map(created).take(TOLD) {
        writeln!(
            out,
            "line {line} is job {panel}; each participant fills it in: concord fill --job {panel}"
        )?;
    }
    if let Some(order) = bad.iter().find_map(|(_, outcome)| outcome.order) {
        let address = format!("{base}/model/report?order_id={order}");
        writeln!(out, "All about a job: curl -s \"{address}\"")?;
    }
    if !bad.is_empty() {
        writeln!(
            out,
            "To try lines again, put them into a file of their own (the same file follows the same \
             jobs; with --again it makes new ones of all its lines)."
        )?;
    }
    Ok(())
}
