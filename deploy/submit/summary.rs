//! What came of a batch.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use serde_json::json;

use super::batch::Line;

/// Lines that did not end well and are told one by one.
const TOLD: usize = 5;

/// What came of a line, as far as it is known.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) order: Option<i64>,
    pub(super) model: Option<i64>,
    /// `finished`, `failed`, `canceled` or `refused`.
    pub(super) status: Option<String>,
    /// The code of why not well.
    pub(super) reason: Option<String>,
    /// The same in words.
    pub(super) text: Option<String>,
}

impl Outcome {
    /// Whether it ended as it should.
    pub(super) fn well(&self) -> bool {
        self.status.as_deref() == Some("finished")
    }

    fn status(&self) -> &str {
        self.status.as_deref().unwrap_or("unknown")
    }
}

/// A JSON object per line of the batch.
pub(super) fn report(lines: &[Arc<Line>], outcomes: &[Outcome]) -> String {
    let entry = |(line, outcome): (&Arc<Line>, &Outcome)| {
        let object = json!({
            "key": line.key,
            "line": line.number,
            "model_id": outcome.model,
            "order_id": outcome.order,
            "reason": outcome.reason,
            "status": outcome.status(),
            "text": outcome.text,
        });
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
