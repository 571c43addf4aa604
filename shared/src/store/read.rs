//! Everything that reads.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::moves::Row;
use super::row::{self, JobRow, integer, unsigned};
use super::schema::{
    checkpoints, dead_letters, jobs, model_parts, models, panel_participants, panel_runs,
    participants, parties, requests, results, sealed_results,
};
use super::{DeadLetter, Email, Error, Job, Model, Store, Unclaimed, postgres, sqlite};
use crate::id::{JobId, ModelId, OrderId, PartyId};
use crate::job::{Fence, JobStatus, Spec};
use crate::limits;
use crate::message::Score;

/// A connection, the database's time as SQL, and what to read with them; once per database. Polls
/// take one of the `readers`. Reading that belongs to a move takes one of the `writers`, so that no
/// crowd of polls can hold it up.
macro_rules! read {
    ($store:expr, $pool:ident, |$connection:ident, $now:ident| $body:expr) => {
        match $store {
            Store::Sqlite(database) => {
                let mut pooled = database.$pool.get().await?;
                let $connection = &mut *pooled;
                let $now = sqlite::now();
                $body
            }
            Store::Postgres(database) => {
                let mut tries = limits::STORE_TRIES_MAX;
                loop {
                    let mut pooled = database.$pool.get().await?;
                    let $connection = &mut *pooled;
                    let $now = postgres::now();
                    let read: Result<_, Error> = async { Ok($body) }.await;
                    tries -= 1;
                    match read {
                        Err(error) if tries > 0 && postgres::is_lost(&error) => {
                            tokio::time::sleep(postgres::PAUSE).await;
                        }
                        read => break read?,
                    }
                }
            }
        }
    };
}
pub(super) use read;

impl Store {
    /// Every known party.
    ///
    /// # Errors
    /// An outage.
    pub async fn parties(&self) -> Result<BTreeMap<PartyId, String>, Error> {
        let rows: Vec<(i64, String)> = read!(self, readers, |connection, _now| parties::table
            .load(connection)
            .await?);
        rows.into_iter()
            .map(|(id, name)| Ok((PartyId(unsigned(id, "parties", "id")?), name)))
            .collect()
    }

    /// A job by its name inside.
    ///
    /// # Errors
    /// An outage; a row that cannot be read.
    pub async fn job(&self, job: JobId) -> Result<Option<Job>, Error> {
        let found = read!(self, readers, |connection, _now| {
            row::whole_jobs()
                .filter(jobs::id.eq(job.to_string()))
                .first::<row::JobTuple>(connection)
                .await
                .optional()?
        });
        found.map(row::job).transpose()
    }

    /// Which party leads a job.
    ///
    /// # Errors
    /// As [`Store::job`].
    pub async fn guest(&self, job: JobId) -> Result<Option<PartyId>, Error> {
        let found = read!(self, readers, |connection, _now| {
            jobs::table
                .filter(jobs::id.eq(job.to_string()))
                .select(jobs::guest)
                .first::<i64>(connection)
                .await
                .optional()?
        });
        let guest = found.map(|guest| unsigned(guest, "jobs", "guest"));
        Ok(guest.transpose()?.map(PartyId))
    }

    /// A job by its name outside.
    ///
    /// # Errors
    /// As [`Store::job`].
    pub async fn job_by_order(&self, order: OrderId) -> Result<Option<Job>, Error> {
        let found = read!(self, readers, |connection, _now| {
            row::whole_jobs()
                .filter(jobs::order_id.eq(order.0))
                .first::<row::JobTuple>(connection)
                .await
                .optional()?
        });
        found.map(row::job).transpose()
    }

    /// Jobs, newest first: those before `before`, at most `count` and
    /// [`limits::JOBS_PAGE_MAX`].
    ///
    /// # Errors
    /// As [`Store::job`].
    pub async fn jobs(&self, before: Option<OrderId>, count: usize) -> Result<Vec<Job>, Error> {
        let (before, count) = page(before, count);
        let found = read!(self, readers, |connection, _now| {
            row::whole_jobs()
                .filter(jobs::order_id.lt(before))
                .order(jobs::order_id.desc())
                .limit(count)
                .load::<row::JobTuple>(connection)
                .await?
        });
        found.into_iter().map(row::job).collect()
    }

    /// As [`Store::jobs`], of those that a party takes part in, and of runs of panel jobs that an
    /// account takes part in.
    ///
    /// # Errors
    /// As [`Store::job`].
    pub async fn jobs_of(
        &self,
        party: Option<PartyId>,
        email: &Email,
        before: Option<OrderId>,
        count: usize,
    ) -> Result<Vec<Job>, Error> {
        let party = party.map(|party| integer("party", party.0)).transpose()?;
        let (before, count) = page(before, count);
        let found = read!(self, readers, |connection, _now| {
            // Pages of the indexes first: both may have few jobs among very many.
            let mut own: Vec<i64> = participants::table
                .filter(participants::party.nullable().eq(party))
                .filter(participants::order_id.lt(before))
                .order(participants::order_id.desc())
                .limit(count)
                .select(participants::order_id)
                .load(connection)
                .await?;
            let panels = panel_participants::table
                .filter(panel_participants::email.eq(email.as_str()))
                .select(panel_participants::panel);
            let runs: Vec<i64> = panel_runs::table
                .inner_join(jobs::table)
                .filter(panel_runs::panel.eq_any(panels))
                .filter(jobs::order_id.lt(before))
                .order(jobs::order_id.desc())
                .limit(count)
                .select(jobs::order_id)
                .load(connection)
                .await?;
            own.extend(runs);
            own.sort_unstable_by(|one, other| other.cmp(one));
            own.truncate(usize::try_from(count).unwrap_or_default());
            row::whole_jobs()
                .filter(jobs::order_id.eq_any(own))
                .order(jobs::order_id.desc())
                .load::<row::JobTuple>(connection)
                .await?
        });
        found.into_iter().map(row::job).collect()
    }

    /// A model and the job that trains it.
    ///
    /// # Errors
    /// As [`Store::job`].
    pub async fn model(&self, model: ModelId) -> Result<Option<Model>, Error> {
        let found = read!(self, readers, |connection, _now| {
            row::whole_jobs()
                .filter(models::id.eq(model.0))
                .first::<row::JobTuple>(connection)
                .await
                .optional()?
        });
        let job = found.map(row::job).transpose()?;
        Ok(job.map(|job| Model { id: model, job }))
    }

    /// A trained model, sealed to one party.
    ///
    /// # Errors
    /// An outage.
    pub async fn model_part(
        &self,
        model: ModelId,
        party: PartyId,
    ) -> Result<Option<Vec<u8>>, Error> {
        let party = integer("party", party.0)?;
        Ok(read!(self, writers, |connection, _now| {
            model_parts::table
                .find((model.0, party))
                .select(model_parts::sealed)
                .first(connection)
                .await
                .optional()?
        }))
    }

    /// What a finished inference released.
    ///
    /// # Errors
    /// As [`Store::job`].
    pub async fn scores(&self, job: JobId) -> Result<Option<Vec<Score>>, Error> {
        let found: Option<String> = read!(self, readers, |connection, _now| {
            results::table
                .find(job.to_string())
                .select(results::scores)
                .first(connection)
                .await
                .optional()?
        });
        found
            .map(|text| row::json(&text, || format!("result of job {job}"), "scores"))
            .transpose()
    }

    /// What a finished inference released to one reader.
    ///
    /// # Errors
    /// An outage.
    pub async fn sealed_scores(&self, job: JobId) -> Result<Option<Vec<u8>>, Error> {
        Ok(read!(self, readers, |connection, _now| {
            sealed_results::table
                .find(job.to_string())
                .select(sealed_results::sealed)
                .first(connection)
                .await
                .optional()?
        }))
    }

    /// Jobs that wait for a worker, in order, after `after`: a page, empty at the end. A row that
    /// cannot be read is left out.
    ///
    /// # Errors
    /// An outage.
    pub async fn unclaimed(&self, after: Option<OrderId>) -> Result<Vec<Unclaimed>, Error> {
        let after = after.map_or(0, |order| order.0);
        let found = read!(self, writers, |connection, _now| {
            jobs::table
                .filter(jobs::status.eq(JobStatus::Pending.as_str()))
                .filter(jobs::order_id.gt(after))
                .order(jobs::order_id)
                .limit(limits::SWEEP_ROWS_MAX)
                .load::<JobRow>(connection)
                .await?
        });
        Ok(readable(found).map(|row| row.unclaimed()).collect())
    }

    /// Sessions that have a job and whose lease ended: a page.
    ///
    /// # Errors
    /// An outage.
    pub async fn silent(&self) -> Result<Vec<Fence>, Error> {
        let held = [JobStatus::AwaitingApproval, JobStatus::Running].map(JobStatus::as_str);
        let found = read!(self, writers, |connection, now| {
            jobs::table
                .filter(jobs::status.eq_any(held))
                .filter(jobs::lease_until.assume_not_null().le(now))
                .limit(limits::SWEEP_ROWS_MAX)
                .load::<JobRow>(connection)
                .await?
        });
        Ok(readable(found).filter_map(|row| row.fence()).collect())
    }

    /// Jobs that have not ended and whose deadline passed: a page.
    ///
    /// # Errors
    /// An outage.
    pub async fn overdue(&self) -> Result<Vec<JobId>, Error> {
        let open = [
            JobStatus::AwaitingInput,
            JobStatus::Pending,
            JobStatus::AwaitingApproval,
            JobStatus::Running,
        ]
        .map(JobStatus::as_str);
        let found = read!(self, writers, |connection, now| {
            jobs::table
                .filter(jobs::status.eq_any(open))
                .filter(jobs::deadline_at.le(now))
                .limit(limits::SWEEP_ROWS_MAX)
                .load::<JobRow>(connection)
                .await?
        });
        Ok(readable(found).map(|row| row.job).collect())
    }

    /// A job's request, and its text as stored.
    pub(super) async fn spec(&self, job: JobId) -> Result<Option<(Spec, String)>, Error> {
        let found: Option<String> = read!(self, writers, |connection, _now| {
            requests::table
                .find(job.to_string())
                .select(requests::spec)
                .first(connection)
                .await
                .optional()?
        });
        found
            .map(|text| Ok((row::json(&text, || format!("job {job}"), "spec")?, text)))
            .transpose()
    }

    pub(super) async fn checkpoint_of(&self, job: JobId) -> Result<Option<Vec<u8>>, Error> {
        Ok(read!(self, writers, |connection, _now| {
            checkpoints::table
                .find(job.to_string())
                .select(checkpoints::sealed)
                .first(connection)
                .await
                .optional()?
        }))
    }

    /// The newest messages that nobody could read, newest first: at most `count`, of one job or of
    /// all.
    ///
    /// # Errors
    /// An outage.
    pub async fn dead_letters(
        &self,
        of: Option<JobId>,
        count: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        let of = of.map(|job| job.to_string());
        let found: Vec<DeadLetterTuple> = read!(self, readers, |connection, _now| {
            let mut letters = dead_letters::table
                .order(dead_letters::id.desc())
                .limit(count.min(limits::DEAD_LETTERS_MAX) as i64)
                .select((
                    dead_letters::queue,
                    dead_letters::reason,
                    dead_letters::bytes,
                    dead_letters::seen_at,
                    dead_letters::job,
                ))
                .into_boxed();
            if let Some(job) = &of {
                letters = letters.filter(dead_letters::job.eq(job));
            }
            letters.load(connection).await?
        });
        let letter = |(queue, reason, bytes, seen_at, job): DeadLetterTuple| DeadLetter {
            queue,
            reason,
            bytes: i64::unsigned_abs(bytes),
            job: job.and_then(|job| job.parse().ok().map(JobId)),
            seen_at,
        };
        Ok(found.into_iter().map(letter).collect())
    }
}

/// Where a page ends, and how many jobs it may have, as the database counts.
fn page(before: Option<OrderId>, count: usize) -> (i64, i64) {
    let before = before.map_or(i64::MAX, |order| order.0);
    (before, count.min(limits::JOBS_PAGE_MAX) as i64)
}

type DeadLetterTuple = (String, String, i64, i64, Option<String>);

/// Rows as the moves see them, without those that cannot be read: one bad row must not hold up the
/// others.
fn readable(rows: Vec<JobRow>) -> impl Iterator<Item = Row> {
    rows.into_iter().filter_map(|row| {
        Row::try_from(row)
            .inspect_err(|error| tracing::error!(%error, "left a job out of the sweep"))
            .ok()
    })
}
