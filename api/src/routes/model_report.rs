//! `GET /model/report?order_id=`: everything that may be told about a job, and no row, gradient,
//! weight, loss or key.

use axum::extract;
use serde_json::{Value, json};
use shared::job::{JobStatus, Phase, Privacy, Protection, Reason, Report, Spec};
use shared::party::Role;
use shared::store::{DeadLetter, Job};

use crate::answer::{Answer, Data};
use crate::callers::Caller;
use crate::request::{Parameters, order_id};
use crate::{State, jobs, wording};

pub(super) async fn handle(
    state: extract::State<State>,
    caller: Caller,
    Parameters(parameters): Parameters,
) -> Answer {
    let job = jobs::any(&state, &caller, order_id(&parameters)?).await?;
    let mut report = of(&job, (state.now)());
    let letters = jobs::dead_letters(&state, &job).await?;
    report["dead_letters"] = letters.iter().map(dead_letter).collect();
    Ok(Data(report))
}

/// Why the job failed, or why it waits for another attempt; nothing once an attempt is under way.
fn told_reason(job: &Job) -> Option<&Reason> {
    let tells = matches!(job.status, JobStatus::Pending | JobStatus::Failed);
    job.report.reason.as_ref().filter(|_| tells)
}

/// The report of a job; `now` in Unix milliseconds.
fn of(job: &Job, now: i64) -> Value {
    let report = &job.report;
    let ended = wording::ended(job);
    let since = |moment: i64| (ended.unwrap_or(now) - moment).max(0);
    json!({
        "attempts": job.attempt,
        "batches": report.batches,
        "converged": report.converged,
        "created": job.created_at,
        "deadline": job.deadline_at,
        "ended": ended,
        "iterations": report.iterations,
        "iterations_max": report.iterations_max,
        "job_name": wording::job_name(job.created_at, job.order),
        "kind": job.spec.kind().as_str(),
        "milliseconds": since(job.created_at),
        "milliseconds_running": report.started_at.map(since),
        "model_id": job.model,
        "order_id": job.order,
        "parties": parties(job),
        "phase": phase(report.phase),
        "privacy": report.privacy.as_ref().map(privacy),
        "progress": wording::progress(job.status, report),
        "reason": told_reason(job).map(reason),
        "round": report.round,
        "round_milliseconds": report.round_milliseconds,
        "seconds_left": seconds_left(job.status, report),
        "started": report.started_at,
        "status": wording::status(job.status),
        "user_id": job.owner,
        "waiting": waiting(job, now),
    })
}

/// Every data party, ascending, with what it brings.
fn parties(job: &Job) -> Vec<Value> {
    let (report, privacy) = (&job.report, job.report.privacy.as_ref());
    let participants = job.spec.participants();
    let role = |party| match &job.spec {
        Spec::Train(spec) if spec.parties.role(party) != Some(Role::Guest) => "host",
        Spec::Train(_) | Spec::Infer(_) | Spec::Compute(_) | Spec::Learn(_) => "guest",
    };
    let entry = |party| {
        json!({
            "bytes": privacy.and_then(|privacy| privacy.bytes.get(&party)),
            "dropped": report.dropped.get(&party).map(|dropped| {
                json!({ "missing": dropped.missing, "repeated": dropped.repeated })
            }),
            "role": role(party),
            "rows": report.rows.get(&party),
            "user_id": party,
        })
    };
    participants.into_iter().map(entry).collect()
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Preparing => "preparing",
        Phase::Counting => "counting",
        Phase::Training => "training",
        Phase::Scoring => "scoring",
        Phase::Computing => "computing",
        Phase::Learning => "learning",
    }
}

fn privacy(privacy: &Privacy) -> Value {
    let (mode, key_bits) = match privacy.protection {
        Protection::Paillier { key_bits } => ("Paillier", Some(key_bits)),
        Protection::SecAgg => ("SecAgg", None),
        Protection::None => ("None", None),
    };
    json!({
        "ciphertexts": privacy.ciphertexts,
        "key_bits": key_bits,
        "mode": mode,
        "slots": privacy.slots,
    })
}

fn waiting(job: &Job, now: i64) -> Option<Value> {
    let waiting = job
        .report
        .waiting
        .as_ref()
        .filter(|_| !job.status.is_terminal())?;
    Some(json!({
        "for": match job.status {
            JobStatus::AwaitingApproval => "approval",
            _ => "answer",
        },
        "milliseconds": (now - waiting.since).max(0),
        "parties": waiting.parties,
        "since": waiting.since,
    }))
}

/// A message about the job that was given up; its content is not kept.
fn dead_letter(letter: &DeadLetter) -> Value {
    json!({
        "bytes": letter.bytes,
        "queue": letter.queue,
        "reason": letter.reason,
        "seen": letter.seen_at,
    })
}

fn reason(reason: &Reason) -> Value {
    json!({
        "code": reason.code,
        "party": reason.party,
        "remedy": reason.code.remedy(),
        "text": reason.text,
    })
}

/// What the iterations left take at the pace of this attempt; less if training converges.
fn seconds_left(status: JobStatus, report: &Report) -> Option<f64> {
    if status != JobStatus::Running || report.phase != Phase::Training {
        return None;
    }
    let iterations = report.iterations_max.saturating_sub(report.iterations);
    let rounds = f64::from(iterations) * f64::from(report.batches.max(1));
    let seconds = rounds * report.round_milliseconds? / 1000.0;
    Some((seconds * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_is_the_rounds_left_at_the_pace_so_far() {
        let report = Report {
            phase: Phase::Training,
            iterations: 2,
            iterations_max: 5,
            batches: 4,
            round_milliseconds: Some(250.0),
            ..Report::default()
        };
        assert_eq!(seconds_left(JobStatus::Running, &report), Some(3.0));
        assert_eq!(seconds_left(JobStatus::Pending, &report), None);
        let unmeasured = Report {
            round_milliseconds: None,
            ..report
        };
        assert_eq!(seconds_left(JobStatus::Running, &unmeasured), None);
    }
}
