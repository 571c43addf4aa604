//! What the demo says. Plain text without colour, and nothing that is not so.

use std::io::{self, Write};
use std::path::Path;

use super::client::Prediction;
use super::hospitals::{ATTRIBUTION, Hospitals};
use super::report::Figures;
use super::training::{GUEST, KEY_BITS};
use super::{Comparison, SCORED, Training};

/// Scores that are shown.
const SHOWN: usize = 3;

pub(super) fn opening(out: &mut dyn Write, hospitals: &Hospitals, base: &str) -> io::Result<()> {
    let rows: usize = hospitals.all.iter().map(|each| each.rows()).sum();
    writeln!(
        out,
        "Three hospitals train one model together. No row leaves its hospital.\n\n\
         1. The hospitals\n   \
         {rows} real rows ({ATTRIBUTION}),\n   \
         dealt at random to:"
    )?;
    for hospital in &hospitals.all {
        let (id, rows, name) = (hospital.id, hospital.rows(), hospital.name);
        writeln!(out, "     party {id}  {rows} rows  {name}")?;
    }
    writeln!(
        out,
        "   The names are borrowed; the rows were never theirs. One process plays everybody\n   \
         here, over HTTP at {base}: it shows the protocol, not the walls.\n   \
         It made and pinned everybody's keys itself. Each hospital's policy allows the other two,\n   \
         this one table, and SCORES IN THE CLEAR, so that you can see them; the default is sealed.\n"
    )
}

pub(super) fn before_training(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "2. Training\n   \
         Party {GUEST} asks for a logistic regression over the rows of all three, protected by\n   \
         Paillier with {KEY_BITS} bits."
    )?;
    out.flush()
}

pub(super) fn trained(out: &mut dyn Write, training: &Training) -> io::Result<()> {
    let report = &training.report;
    let end = match report.converged {
        Some(true) => "converged",
        Some(false) | None => "not converged yet",
    };
    writeln!(
        out,
        "   Trained in {:.1} s: {} iterations, {end}; {} sums, {:.0} ms each (median),\n   \
         the first one {:.1} s after the request.\n",
        training.took.as_secs_f64(),
        report.iterations,
        report.round,
        report.round_milliseconds.unwrap_or_default(),
        training.first_sum.as_secs_f64(),
    )
}

pub(super) fn scored(
    out: &mut dyn Write,
    hospitals: &Hospitals,
    predictions: &[Prediction],
) -> io::Result<()> {
    let rows = predictions.len();
    let name = hospitals.all.iter().find(|each| each.id == SCORED);
    let name = name.map_or("", |each| each.name);
    let shown: Vec<String> = predictions
        .iter()
        .take(SHOWN)
        .map(|each| format!("row {} is {:.4}", each.unique_id, each.label))
        .collect();
    writeln!(
        out,
        "3. Scoring\n   \
         Party {SCORED}, {name}, scored its own {rows} rows.\n   \
         Probability of a malignant tumour: {}, ...\n",
        shown.join(", ")
    )
}

pub(super) fn compared(out: &mut dyn Write, comparison: &Comparison) -> io::Result<()> {
    let weights = comparison.pooled.coefficients.len() + 1;
    let verdict = if comparison.bit_identical {
        format!("All {weights} weights are the same, to the last bit, in every hospital's copy.")
    } else {
        "THE WEIGHTS DIFFER.".to_owned()
    };
    writeln!(
        out,
        "4. Was anything lost?\n   \
         The same training on all rows in one table, by the trainer for a single site:\n   \
         {verdict}\n   \
         AUC {:.4}, accuracy {:.1} % (on the rows it learnt from).\n",
        comparison.auc,
        comparison.accuracy * 100.0
    )
}

pub(super) fn who_saw_what(
    out: &mut dyn Write,
    training: &Training,
    scores: usize,
) -> io::Result<()> {
    let report = &training.report;
    let mut seen = vec![
        (
            "each hospital".to_owned(),
            "its own rows; the joint means and deviations; every round's weights".to_owned(),
        ),
        (
            format!("party {GUEST} (asked)"),
            "also the key, and each round's sum over all three; no other's part of it".to_owned(),
        ),
    ];
    if let Some(privacy) = &report.privacy {
        let (count, mode) = (privacy.ciphertexts, &privacy.mode);
        seen.push((
            "arbiter".to_owned(),
            format!("{count} {mode} ciphertexts per hospital and gradient, and not the key"),
        ));
    }
    let released = format!("party {SCORED}'s {scores} scores, as it releases them in the clear");
    seen.extend([
        (
            "API, database".to_owned(),
            "requests, row counts, times; the model and its checkpoints sealed;".to_owned(),
        ),
        (String::new(), released),
    ]);
    let sent: Vec<String> = report
        .parties
        .iter()
        .filter_map(|part| Some((part.user_id, part.bytes?)))
        .map(|(party, bytes)| format!("party {party} {} kB", bytes / 1000))
        .collect();
    seen.push(("masked sums sent".to_owned(), sent.join(", ")));
    writeln!(out, "Who saw what")?;
    for (who, what) in seen {
        writeln!(out, "   {who:18}{what}")?;
    }
    writeln!(out)
}

pub(super) fn measured(
    out: &mut dyn Write,
    figures: &Figures<'_>,
    report: Option<&Path>,
) -> io::Result<()> {
    let contribution = figures.cost.contribution.as_secs_f64() * 1e3;
    writeln!(
        out,
        "On this machine: a {KEY_BITS}-bit key {:.2} s, encrypting one contribution \
         {contribution:.1} ms, all of this {:.0} s.",
        figures.cost.key.as_secs_f64(),
        figures.total.as_secs_f64()
    )?;
    match report {
        Some(path) => writeln!(out, "Figures: {}", path.display()),
        None => Ok(()),
    }
}

pub(super) fn next(out: &mut dyn Write, program: &str) -> io::Result<()> {
    writeln!(
        out,
        "\nNext: {program} demo --keep keeps this federation to play with.\n      \
         {program} --help lists the rest."
    )
}

pub(super) fn kept(
    out: &mut dyn Write,
    program: &str,
    config: &Path,
    request: &Path,
    training: &Training,
) -> io::Result<()> {
    let (config, request, model) = (config.display(), request.display(), training.model);
    let following = training.order + 2;
    writeln!(
        out,
        "\nKept. To go on (change \"Paillier\" to \"SecAgg\" and see the difference):\n  \
         {program} standalone --config {config}\n  \
         curl http://127.0.0.1:5000/model/train -d @{request}\n  \
         curl http://127.0.0.1:5000/model/report?order_id={following}\n  \
         {program} export --config {config} --party {GUEST} --model {model}"
    )
}
