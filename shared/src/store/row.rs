//! Rows of the table `jobs` as Rust values, and back.

use std::collections::BTreeMap;

use diesel::prelude::*;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::moves::{Held, Row};
use super::schema::{jobs, models, requests};
use super::{Email, Error, Job};
use crate::id::{Attempt, JobId, ModelId, OrderId, PartyId, Round, SessionId};
use crate::job::{JobStatus, Kind, Spec};

/// Fields in the order of the table's columns.
#[derive(Insertable, Queryable)]
#[diesel(table_name = jobs)]
pub(super) struct JobRow {
    // The database numbers new rows.
    #[diesel(skip_insertion)]
    pub(super) order_id: i64,
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) guest: i64,
    pub(super) owner: i64,
    pub(super) status: String,
    pub(super) status_at: i64,
    pub(super) attempt: i64,
    pub(super) session: Option<String>,
    pub(super) lease_until: Option<i64>,
    pub(super) failures: i64,
    pub(super) checkpoint_round: Option<i64>,
    pub(super) digests: String,
    pub(super) report: String,
    pub(super) created_at: i64,
    pub(super) deadline_at: i64,
}

/// What moves may change.
#[derive(AsChangeset)]
#[diesel(table_name = jobs, treat_none_as_null = true)]
pub(super) struct JobChange {
    status: String,
    status_at: i64,
    attempt: i64,
    session: Option<String>,
    lease_until: Option<i64>,
    failures: i64,
    checkpoint_round: Option<i64>,
    digests: String,
    report: String,
    deadline_at: i64,
}

/// A job's row, its request's `spec`, `echo` and `creator`, and the model it trains.
pub(super) type JobTuple = (JobRow, String, String, Option<String>, Option<i64>);

/// Every job with its texts and its model.
#[diesel::dsl::auto_type]
pub(super) fn whole_jobs() -> _ {
    let row: <jobs::table as Table>::AllColumns = jobs::all_columns;
    jobs::table
        .inner_join(requests::table)
        .left_join(models::table)
        .select((
            row,
            requests::spec,
            requests::echo,
            requests::creator,
            models::id.nullable(),
        ))
}

pub(super) fn job((row, spec, echo, creator, trains): JobTuple) -> Result<Job, Error> {
    let name = || format!("job {}", row.id);
    let spec: Spec = json(&spec, name, "spec")?;
    let model = match (&spec, trains) {
        (Spec::Train(_), Some(model)) => Some(ModelId(model)),
        (Spec::Train(_), None) => return Err(corrupt(name(), "models.id")),
        (Spec::Infer(spec), _) => Some(spec.model),
        (Spec::Compute(_) | Spec::Learn(_), _) => None,
    };
    let owner = PartyId(unsigned(row.owner, &row.id, "owner")?);
    let creator =
        creator.map(|email| Email::parse(&email).ok_or_else(|| corrupt(name(), "creator")));
    let creator = creator.transpose()?;
    let created_at = row.created_at;
    let moving = Row::try_from(row)?;
    let waiting = moving.waiting();
    Ok(Job {
        id: moving.job,
        order: moving.order,
        model,
        owner,
        creator,
        spec,
        echo,
        status: moving.status,
        status_at: moving.status_at,
        attempt: moving.attempt,
        failures: moving.failures.unsigned_abs(),
        report: crate::job::Report {
            waiting,
            ..moving.report
        },
        created_at,
        deadline_at: moving.deadline_at,
    })
}

impl TryFrom<JobRow> for Row {
    type Error = Error;

    fn try_from(row: JobRow) -> Result<Row, Error> {
        let name = || format!("job {}", row.id);
        let held = match (&row.session, row.lease_until) {
            (Some(session), Some(lease_until)) => Some(Held {
                session: SessionId(
                    Uuid::try_parse(session).map_err(|_| corrupt(name(), "session"))?,
                ),
                lease_until,
            }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(corrupt(name(), "lease_until")),
        };
        let round = |round| {
            u32::try_from(round)
                .map(Round)
                .map_err(|_| corrupt(name(), "checkpoint_round"))
        };
        Ok(Row {
            order: OrderId(row.order_id),
            job: job_id(&row.id)?,
            kind: kind_of(&row.kind, &row.id)?,
            guest: PartyId(unsigned(row.guest, &row.id, "guest")?),
            status: status_of(&row.status).ok_or_else(|| corrupt(name(), "status"))?,
            status_at: row.status_at,
            attempt: attempt_of(row.attempt, &row.id)?,
            held,
            failures: i32::try_from(row.failures).map_err(|_| corrupt(name(), "failures"))?,
            checkpoint_round: row.checkpoint_round.map(round).transpose()?,
            digests: json(&row.digests, name, "digests")?,
            report: json(&row.report, name, "report")?,
            deadline_at: row.deadline_at,
        })
    }
}

impl From<&Row> for JobChange {
    fn from(row: &Row) -> JobChange {
        JobChange {
            status: row.status.as_str().to_owned(),
            status_at: row.status_at,
            attempt: row.attempt.0.into(),
            session: row.held.map(|held| held.session.to_string()),
            lease_until: row.held.map(|held| held.lease_until),
            failures: row.failures.into(),
            checkpoint_round: row.checkpoint_round.map(|round| round.0.into()),
            digests: to_json(&row.digests),
            report: to_json(&row.report),
            deadline_at: row.deadline_at,
        }
    }
}

/// A new job's row.
pub(super) fn new(
    id: JobId,
    spec: &Spec,
    owner: i64,
    status: JobStatus,
    now: i64,
    deadline_at: i64,
) -> Result<JobRow, Error> {
    Ok(JobRow {
        order_id: 0,
        id: id.to_string(),
        kind: spec.kind().as_str().to_owned(),
        guest: integer("party", spec.guest().0)?,
        owner,
        status: status.as_str().to_owned(),
        status_at: now,
        attempt: 1,
        session: None,
        lease_until: None,
        failures: 0,
        checkpoint_round: None,
        digests: to_json(&BTreeMap::<PartyId, Vec<u8>>::new()),
        report: to_json(&crate::job::Report::default()),
        created_at: now,
        deadline_at,
    })
}

pub(super) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data with plain keys always serialises")
}

pub(super) fn json<T: DeserializeOwned>(
    text: &str,
    row: impl FnOnce() -> String,
    column: &'static str,
) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| corrupt(row(), column))
}

/// A text for a column: PostgreSQL has no letter 0, and others show none.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A number for a column.
pub(super) fn integer(what: &'static str, value: u64) -> Result<i64, Error> {
    i64::try_from(value).map_err(|_| Error::TooLarge { what, value })
}

/// A number from a column that holds none below 0.
pub(super) fn unsigned(value: i64, row: &str, column: &'static str) -> Result<u64, Error> {
    u64::try_from(value).map_err(|_| corrupt(row.to_owned(), column))
}

pub(super) fn corrupt(row: String, column: &'static str) -> Error {
    Error::Corrupt { row, column }
}

pub(super) fn job_id(text: &str) -> Result<JobId, Error> {
    let id = Uuid::try_parse(text).map_err(|_| corrupt("job ?".to_owned(), "id"))?;
    Ok(JobId(id))
}

fn attempt_of(attempt: i64, job: &str) -> Result<Attempt, Error> {
    let attempt = u32::try_from(attempt);
    attempt
        .map(Attempt)
        .map_err(|_| corrupt(format!("job {job}"), "attempt"))
}

fn kind_of(word: &str, job: &str) -> Result<Kind, Error> {
    Kind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == word)
        .ok_or_else(|| corrupt(format!("job {job}"), "kind"))
}

fn status_of(word: &str) -> Option<JobStatus> {
    use JobStatus::{
        AwaitingApproval, AwaitingInput, Cancelled, Failed, Finished, Pending, Running,
    };
    [
        AwaitingInput,
        Pending,
        AwaitingApproval,
        Running,
        Finished,
        Failed,
        Cancelled,
    ]
    .into_iter()
    .find(|status| status.as_str() == word)
}
