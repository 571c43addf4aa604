//! How a ledger's content reads.

use std::fmt::Write;

use anyhow::bail;
use shared::admission::Summary;
use shared::job::Protection;
use shared::ledger::{Known, Record, Standing, Verified};

use crate::office::Office;

const HOUR_MILLISECONDS: i64 = 3_600_000;

/// One pending job in one line.
pub(super) fn line(office: &Office, known: &Known, now_ms: i64) -> String {
    let Summary {
        kind,
        relations,
        rows,
        ..
    } = &known.summary;
    format!(
        "{}  {kind} led by {}: {rows} rows of {}; {}",
        known.job,
        office.name(known.guest),
        relations.join(" and "),
        left(known, now_ms)
    )
}

fn left(known: &Known, now_ms: i64) -> String {
    let hours = (known.expires_ms - now_ms) / HOUR_MILLISECONDS;
    match hours {
        0 => "refused within the hour unless you decide".to_owned(),
        hours => format!("refused in {hours} hours unless you decide"),
    }
}

/// Everything that a person needs to decide on a job.
pub(super) fn job(office: &Office, known: &Known, now_ms: i64) -> String {
    let summary = &known.summary;
    let mut text = format!("job {}, {}\n", known.job, summary.kind);
    let mut say = |what: &str, told: &str| {
        // Names come from the request.
        let told = told.replace(char::is_control, " ");
        let _ = writeln!(text, "  {what:17}{told}");
    };
    let stands = match (known.standing, &known.decided) {
        (Standing::Pending, _) => format!("awaits your decision; {}", left(known, now_ms)),
        (other, Some((by, at_ms))) => format!("{}, by {by}, {}", standing(other), time(*at_ms)),
        (other, None) => standing(other).to_owned(),
    };
    say("stands", &stands);
    say("asked", &time(known.since_ms));
    say("led by", &office.name(known.guest));
    let fingerprint = office.peers.get(&known.guest);
    let fingerprint = fingerprint.map_or("not in the directory".into(), |key| key.fingerprint());
    say("", &fingerprint);
    for party in summary
        .parties
        .iter()
        .filter(|party| **party != known.guest)
    {
        say("with", &office.name(*party));
    }
    let relations = summary.relations.join(" and ");
    say("reads", &format!("{} rows of {relations}", summary.rows));
    let columns = &summary.columns;
    say(
        "attributes",
        &format!("{}: {}", columns.len(), columns.join(", ")),
    );
    if let Some(label) = &summary.label {
        say("label", label);
    }
    let filters = match summary.filters.is_empty() {
        true => "no column: all rows are read".to_owned(),
        false => summary.filters.join(", "),
    };
    say("conditions on", &filters);
    if let Some(protection) = summary.protection {
        let told = match protection {
            Protection::Paillier { key_bits } => format!("Paillier, {key_bits} bits, and masks"),
            Protection::SecAgg => "masks".to_owned(),
            Protection::None => "none: the guest reads this party's sums".to_owned(),
        };
        say("protection", &told);
    }
    if let Some(hyperparameters) = &summary.hyperparameters {
        let told = serde_json::to_string(hyperparameters).unwrap_or_default();
        say("hyperparameters", &told);
    }
    say("sessions", &known.sessions.to_string());
    say("answers given", &known.pledges.to_string());
    text.truncate(text.trim_end().len());
    text
}

/// What a standing means.
pub(super) fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Auto => "the policy let it in",
        Standing::Pending => "it awaits a decision",
        Standing::Approved => "it is approved",
        Standing::Rejected => "it is rejected",
        Standing::Expired => "nobody decided in time",
    }
}

/// One record of the audit log in one line.
pub(super) fn record(record: &Record) -> String {
    let job = record.job.map_or("-".to_owned(), |job| job.to_string());
    // A text may quote a name that another party chose.
    let text: String = record.text.chars().map(plain).collect();
    format!(
        "{:6}  {}  {:10}  {job}  {text}",
        record.number,
        time(record.at_ms),
        record.what
    )
}

fn plain(letter: char) -> char {
    match letter.is_control() {
        true => ' ',
        false => letter,
    }
}

/// What the chain of hashes shows.
pub(super) fn verified(verified: &Verified) -> anyhow::Result<String> {
    let Verified {
        records,
        head,
        broken,
    } = verified;
    if let Some(broken) = broken {
        bail!(
            "the audit log was changed: record {broken} does not follow from the {records} before it"
        );
    }
    let head: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!(
        "{records} records, each follows from those before it; the last one's hash is\n{head}\n\
         Next: note both down elsewhere; a later log with fewer records was cut."
    ))
}

/// A moment, in UTC.
fn time(at_ms: i64) -> String {
    let (year, month, day) = api::civil(at_ms.div_euclid(24 * HOUR_MILLISECONDS));
    let minutes = at_ms.rem_euclid(24 * HOUR_MILLISECONDS) / 60_000;
    let (hour, minute) = (minutes / 60, minutes % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}
