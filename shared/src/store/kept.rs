//! What a move writes, and what it clears away, beside the job's row.

use std::collections::BTreeMap;

use super::Error;
use super::row::{integer, text, to_json};
use crate::id::PartyId;
use crate::job::Spec;
use crate::limits;
use crate::message::Outcome;
use crate::table::Dropped;

/// What a move writes.
pub(super) enum Keep {
    Nothing,
    Checkpoint(Vec<u8>),
    Scores(String),
    SealedScores(Vec<u8>),
    /// Party and sealed part.
    Model(Vec<(i64, Vec<u8>)>),
    Computed {
        exact: String,
        rounded: String,
    },
    Learned {
        metrics: String,
        /// JSON: bytes of each file made.
        files: String,
    },
}

/// The rows that one party used, and those that it left out.
pub(super) type Brought = (BTreeMap<PartyId, u64>, BTreeMap<PartyId, Dropped>);

/// What is to be kept of an outcome, and what it tells of rows; `None` when it is not of this job.
/// Whether a learning's files are there is not asked.
pub(super) fn weigh(
    spec: &Spec,
    outcome: Outcome,
) -> Result<Option<(Keep, Option<Brought>)>, Error> {
    let mut brought = None;
    let keep = match (spec, outcome) {
        (Spec::Train(spec), Outcome::Model(parts))
            if parts.keys().copied().eq(spec.parties.ascending()) =>
        {
            let mut rows = Vec::with_capacity(parts.len());
            for (party, sealed) in parts {
                rows.push((integer("party", party.0)?, sealed));
            }
            Keep::Model(rows)
        }
        (Spec::Infer(spec), Outcome::Scores { scores, dropped })
            if scores
                .iter()
                .all(|score| (0.0..=1.0).contains(&score.label)) =>
        {
            let rows = scores.len() as u64;
            brought = Some(([(spec.party, rows)].into(), [(spec.party, dropped)].into()));
            Keep::Scores(to_json(&scores))
        }
        (Spec::Infer(spec), Outcome::SealedScores { sealed, told }) => {
            brought = told.map(|(rows, dropped)| {
                ([(spec.party, rows)].into(), [(spec.party, dropped)].into())
            });
            Keep::SealedScores(sealed)
        }
        (
            Spec::Compute(_),
            Outcome::Computed {
                exact,
                text: rounded,
            },
        ) if exact.len() + rounded.len() <= limits::OUTCOME_BYTES_MAX && is_json(&exact) => {
            let rounded = text(&rounded);
            Keep::Computed { exact, rounded }
        }
        (Spec::Learn(_), Outcome::Learned { metrics, files })
            if metrics.len() <= limits::METRICS_BYTES_MAX && is_json(&metrics) =>
        {
            let files = to_json(&files);
            Keep::Learned { metrics, files }
        }
        (
            Spec::Train(_) | Spec::Infer(_) | Spec::Compute(_) | Spec::Learn(_),
            Outcome::Model(_)
            | Outcome::Scores { .. }
            | Outcome::SealedScores { .. }
            | Outcome::Computed { .. }
            | Outcome::Learned { .. },
        ) => return Ok(None),
    };
    Ok(Some((keep, brought)))
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Writes a [`Keep`] of the job with this id; once per database.
macro_rules! write_kept {
    ($connection:ident, $id:expr, $keep:expr) => {{
        use $crate::store::schema::*;
        let id = $id;
        match $keep {
            Keep::Nothing => (),
            Keep::Checkpoint(sealed) => {
                diesel::insert_into(checkpoints::table)
                    .values((checkpoints::job.eq(id), checkpoints::sealed.eq(sealed)))
                    .on_conflict(checkpoints::job)
                    .do_update()
                    .set(checkpoints::sealed.eq(sealed))
                    .execute($connection)
                    .await?;
            }
            Keep::Scores(scores) => {
                diesel::insert_into(results::table)
                    .values((results::job.eq(id), results::scores.eq(scores)))
                    .execute($connection)
                    .await?;
            }
            Keep::SealedScores(sealed) => {
                diesel::insert_into(sealed_results::table)
                    .values((
                        sealed_results::job.eq(id),
                        sealed_results::sealed.eq(sealed),
                    ))
                    .execute($connection)
                    .await?;
            }
            Keep::Model(parts) => {
                let model: i64 = models::table
                    .filter(models::job.eq(id))
                    .select(models::id)
                    .first($connection)
                    .await?;
                for (party, sealed) in parts {
                    diesel::insert_into(model_parts::table)
                        .values((
                            model_parts::model.eq(model),
                            model_parts::party.eq(party),
                            model_parts::sealed.eq(sealed),
                        ))
                        .execute($connection)
                        .await?;
                }
            }
            Keep::Computed { exact, rounded } => {
                diesel::insert_into(computed_results::table)
                    .values((
                        computed_results::job.eq(id),
                        computed_results::exact.eq(exact),
                        computed_results::rounded.eq(rounded),
                    ))
                    .execute($connection)
                    .await?;
            }
            Keep::Learned { metrics, files } => {
                diesel::insert_into(learned_results::table)
                    .values((
                        learned_results::job.eq(id),
                        learned_results::metrics.eq(metrics),
                        learned_results::files.eq(files),
                    ))
                    .execute($connection)
                    .await?;
            }
        }
    }};
}
pub(super) use write_kept;

/// Forgets the files that earlier runs of this run's panel job made, but for the newest; once per
/// database.
macro_rules! forget_earlier {
    ($connection:ident, $id:expr) => {{
        use diesel::dsl::exists;
        use $crate::store::schema::{learned_results, made_pieces, panel_runs};
        let panel: Option<i64> = panel_runs::table
            .filter(panel_runs::job.eq($id))
            .select(panel_runs::panel)
            .first($connection)
            .await
            .optional()?;
        let pieces = made_pieces::table.filter(made_pieces::job.eq(panel_runs::job));
        let with_files: Vec<String> = panel_runs::table
            .filter(panel_runs::panel.nullable().eq(panel))
            .filter(exists(pieces))
            .order(panel_runs::round.desc())
            .select(panel_runs::job)
            .load($connection)
            .await?;
        for run in with_files.iter().skip($crate::limits::RUNS_KEPT_MAX) {
            diesel::delete(made_pieces::table.filter(made_pieces::job.eq(run)))
                .execute($connection)
                .await?;
            diesel::update(learned_results::table.find(run))
                .set(learned_results::files.eq("{}"))
                .execute($connection)
                .await?;
        }
    }};
}
pub(super) use forget_earlier;

/// Clears away what a job has no more use for, once it went from `before` to `after`; once per
/// database.
macro_rules! clear_unused {
    ($connection:ident, $id:expr, $before:expr, $after:expr) => {{
        use $crate::store::schema::{checkpoints, inputs, made_pieces};
        let (id, before, after): (&str, &Row, &Row) = ($id, $before, $after);
        let ended = after.status.is_terminal();
        if ended && before.checkpoint_round.is_some() {
            diesel::delete(checkpoints::table.find(id))
                .execute($connection)
                .await?;
        }
        if ended && after.kind == Kind::Compute {
            diesel::update(inputs::table.filter(inputs::job.eq(id)))
                .set(inputs::bundle.eq(None::<Vec<u8>>))
                .execute($connection)
                .await?;
        }
        // What a session made goes with its hold of the job, unless it finished.
        let let_go = before.held.is_some() && after.fence() != before.fence();
        if after.kind == Kind::Learn && let_go && after.status != JobStatus::Finished {
            diesel::delete(made_pieces::table.filter(made_pieces::job.eq(id)))
                .execute($connection)
                .await?;
        }
        if after.kind == Kind::Learn && after.status == JobStatus::Finished {
            kept::forget_earlier!($connection, id);
        }
    }};
}
pub(super) use clear_unused;
