//! What happens to accepted jobs and beside them, each in one transaction.

use std::collections::BTreeMap;
use std::time::Duration;

use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};

use super::kept::{self, Keep, clear_unused, write_kept};
use super::moves::{Row, Started};
use super::row::{self, JobChange, JobRow};
use super::schema::{dead_letters, jobs, parties};
use super::{Applied, Cancelled, Error, Store, write};
use crate::id::{JobId, OrderId, PartyId};
use crate::job::{Fence, JobStatus, Kind, Reason, ReasonCode, Spec};
use crate::limits;
use crate::message::{Beat, Grant, Outcome, Progress};

impl Store {
    /// Gives the job to a session of its guest, until `lease` after its last beat. `None`: the
    /// attempt is not open, or another session has it.
    ///
    /// # Errors
    /// An outage; a row that cannot be read.
    pub async fn claim(
        &self,
        fence: Fence,
        party: PartyId,
        lease: Duration,
    ) -> Result<Option<Grant>, Error> {
        let lease = milliseconds(lease);
        let claimed = self
            .change(fence.job, Keep::Nothing, move |row, now| {
                let granted = row.claim(&fence, party, lease, now);
                let found = granted.then(|| (row.digests.clone(), row.checkpoint_round.is_some()));
                (granted, found)
            })
            .await?;
        let Some((digests, has_checkpoint)) = claimed.flatten() else {
            return Ok(None);
        };
        // What follows can change only by a word of this session, or by the job's end.
        let Some((spec, text)) = self.spec(fence.job).await? else {
            return Ok(None);
        };
        let checkpoint = match has_checkpoint {
            true => self.checkpoint_of(fence.job).await?,
            false => None,
        };
        let (mut model, mut inputs, mut key) = (None, Vec::new(), None);
        match spec {
            Spec::Train(_) => (),
            Spec::Infer(spec) => model = self.model_part(spec.model, spec.party).await?,
            Spec::Compute(_) => match self.inputs(fence.job).await? {
                Some(all) => inputs = all,
                None => return Ok(None),
            },
            Spec::Learn(_) => match self.worker_key(fence.job).await? {
                Some(sealed) => key = Some(sealed),
                None => return Ok(None),
            },
        }
        Ok(Some(Grant {
            fence,
            spec: text.into_bytes(),
            checkpoint,
            digests,
            model,
            inputs,
            key,
        }))
    }

    /// Keeps the job with its session for another `lease`, and takes down where it stands. False:
    /// the session does not have the job (any more).
    ///
    /// # Errors
    /// An outage; a row that cannot be read.
    pub async fn beat(&self, beat: Beat, lease: Duration) -> Result<bool, Error> {
        let lease = milliseconds(lease);
        let alive = self
            .change(beat.fence.job, Keep::Nothing, move |row, now| {
                let alive = row.beat(beat.clone(), lease, now);
                (alive, alive)
            })
            .await?;
        Ok(alive == Some(true))
    }

    /// Every party joined and has its rows. Ends the job when a digest is not that of an earlier
    /// attempt.
    ///
    /// # Errors
    /// An outage; a row that cannot be read.
    pub async fn started(&self, fence: Fence, started: Started) -> Result<Applied, Error> {
        self.apply(fence.job, Keep::Nothing, move |row, now| {
            row.started(&fence, started.clone(), now)
        })
        .await
    }

    /// Keeps a checkpoint if it is newer than the last; the job's failures count from it.
    ///
    /// # Errors
    /// An outage; a row that cannot be read.
    pub async fn checkpoint(
        &self,
        fence: Fence,
        progress: Progress,
        sealed: Vec<u8>,
    ) -> Result<Applied, Error> {
        self.apply(fence.job, Keep::Checkpoint(sealed), move |row, _now| {
            row.checkpoint(&fence, progress.clone())
        })
        .await
    }

    /// Ends the job with what it made: the outcome becomes visible with the status. An outcome that
    /// does not fit the job counts as a failed attempt.
    ///
    /// # Errors
    /// An outage; a row that cannot be read.
    pub async fn finish(
        &self,
        fence: Fence,
        progress: Progress,
        outcome: Outcome,
    ) -> Result<Applied, Error> {
        let Some((spec, _)) = self.spec(fence.job).await? else {
            return Ok(Applied::Stale);
        };
        let Some((keep, brought)) = kept::weigh(&spec, outcome)? else {
            return self.fail(fence, unfit(spec.guest())).await;
        };
        if let Keep::Learned { files, .. } = &keep
            && !self.has_made(fence.job, files).await?
        {
            return self.fail(fence, unfit(spec.guest())).await;
        }
        self.apply(fence.job, keep, move |row, now| {
            let applied = row.finish(&fence, progress.clone(), now);
            if let (Applied::Ended, Some((rows, dropped))) = (&applied, brought.clone()) {
                row.report.rows = rows;
                row.report.dropped = dropped;
            }
            applied
        })
        .await
    }

    /// The session gave up: the next attempt opens when another may end differently and there were
    /// not too many, otherwise the job fails.
    ///
    /// # Errors
    /// An outage; a row that cannot be read.
    pub async fn fail(&self, fence: Fence, reason: Reason) -> Result<Applied, Error> {
        self.apply(fence.job, Keep::Nothing, move |row, now| {
            row.fail(&fence, reason.clone(), now)
        })
        .await
    }

    /// Takes the job from a session whose lease ended; such a job is named by [`Store::silent`].
    ///
    /// # Errors
    /// An outage; a row that cannot be read.
    pub async fn lose(&self, fence: Fence) -> Result<Applied, Error> {
        self.apply(fence.job, Keep::Nothing, move |row, now| {
            row.lose(&fence, now)
        })
        .await
    }

    /// Fails a job whose deadline passed, naming whom it waited for; such a job is named by
    /// [`Store::overdue`].
    ///
    /// # Errors
    /// An outage; a row that cannot be read.
    pub async fn expire(&self, job: JobId) -> Result<Applied, Error> {
        self.apply(job, Keep::Nothing, |row, now| row.expire(now))
            .await
    }

    /// Ends a job by its owner's wish.
    ///
    /// # Errors
    /// An outage; a row that cannot be read.
    pub async fn cancel(&self, order: OrderId) -> Result<Cancelled, Error> {
        let Some(job) = self.job_by_order(order).await? else {
            return Ok(Cancelled::NotFound);
        };
        let applied = self
            .apply(job.id, Keep::Nothing, |row, now| row.cancel(now))
            .await?;
        Ok(match applied {
            Applied::Ended => Cancelled::Cancelled,
            Applied::Counted | Applied::Released(_) | Applied::Stale => Cancelled::AlreadyEnded,
        })
    }

    /// Sets who may be named in new jobs, with their names; whoever is not among them no longer may.
    ///
    /// # Errors
    /// An outage; a party id beyond the database's numbers.
    pub async fn register_parties(&self, names: BTreeMap<PartyId, String>) -> Result<(), Error> {
        let mut rows = Vec::with_capacity(names.len());
        for (party, name) in names {
            let id = row::integer("party", party.0)?;
            rows.push((id, row::text(&name)));
        }
        write!(self, async |connection, _now| {
            let ids: Vec<i64> = rows.iter().map(|(id, _)| *id).collect();
            diesel::delete(parties::table.filter(parties::id.ne_all(ids)))
                .execute(connection)
                .await?;
            for (id, name) in &rows {
                diesel::insert_into(parties::table)
                    .values((parties::id.eq(id), parties::name.eq(name)))
                    .on_conflict(parties::id)
                    .do_update()
                    .set(parties::name.eq(name))
                    .execute(connection)
                    .await?;
            }
            Ok(())
        })
    }

    /// Records a message that nobody could read; of the records, the newest
    /// [`limits::DEAD_LETTERS_MAX`] are kept.
    ///
    /// # Errors
    /// An outage.
    pub async fn bury(
        &self,
        queue: String,
        reason: String,
        bytes: usize,
        job: Option<JobId>,
    ) -> Result<(), Error> {
        let (queue, reason) = (row::text(&queue), row::text(&reason));
        let job = job.map(|job| job.to_string());
        write!(self, async |connection, now| {
            let newest: i64 = diesel::insert_into(dead_letters::table)
                .values((
                    dead_letters::queue.eq(&queue),
                    dead_letters::reason.eq(&reason),
                    dead_letters::bytes.eq(bytes as i64),
                    dead_letters::job.eq(&job),
                    dead_letters::seen_at.eq(now),
                ))
                .returning(dead_letters::id)
                .get_result(connection)
                .await?;
            let oldest = newest - limits::DEAD_LETTERS_MAX as i64;
            diesel::delete(dead_letters::table.filter(dead_letters::id.le(oldest)))
                .execute(connection)
                .await?;
            Ok(())
        })
    }

    /// One move that answers by [`Applied`]; `keep` is kept unless it was stale.
    async fn apply<F>(&self, job: JobId, keep: Keep, decide: F) -> Result<Applied, Error>
    where
        F: Fn(&mut Row, i64) -> Applied + Send + Sync + 'static,
    {
        let applied = self
            .change(job, keep, move |row, now| {
                let applied = decide(row, now);
                (applied != Applied::Stale, applied)
            })
            .await?;
        Ok(applied.unwrap_or(Applied::Stale))
    }

    /// One transaction: loads the row, lets `decide` change it, and writes it and what is to be
    /// kept if `decide` says that it counts. `None`: there is no such job.
    async fn change<T, F>(&self, job: JobId, keep: Keep, decide: F) -> Result<Option<T>, Error>
    where
        T: Send + 'static,
        F: Fn(&mut Row, i64) -> (bool, T) + Send + Sync + 'static,
    {
        let id = job.to_string();
        write!(self, move &id, async |connection, now| {
            let found = jobs::table
                .find(&id)
                .first::<JobRow>(connection)
                .await
                .optional()?;
            let Some(found) = found else {
                return Ok(None);
            };
            let before = Row::try_from(found)?;
            let mut row = before.clone();
            let (counts, answer) = decide(&mut row, now);
            if !counts {
                return Ok(Some(answer));
            }
            diesel::update(jobs::table.find(&id))
                .set(JobChange::from(&row))
                .execute(connection)
                .await?;
            write_kept!(connection, &id, &keep);
            clear_unused!(connection, &id, &before, &row);
            Ok(Some(answer))
        })
    }
}

pub(super) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Why an attempt failed whose worker, at `guest`, delivered what is not its job's.
pub(super) fn unfit(guest: PartyId) -> Reason {
    Reason {
        code: ReasonCode::Protocol,
        text: format!("Party {guest} delivered a result that is not this job's."),
        party: Some(guest),
    }
}
