//! Accepting a job, once for all times its request is sent.

use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use uuid::Uuid;

use super::change::milliseconds;
use super::read::read;
use super::row::{self, to_json};
use super::schema::{jobs, models, participants, requests, submissions};
use super::{Error, Key, NewJob, Store, Submitted, postgres, sqlite, write};
use crate::id::{JobId, ModelId, OrderId};
use crate::job::{JobStatus, Spec};
use crate::limits;

/// A key with the job that comes of it.
#[derive(Insertable)]
#[diesel(table_name = submissions)]
pub(super) struct Named {
    owner: i64,
    idempotency_key: String,
    request_hash: Vec<u8>,
    job: String,
}

impl Named {
    /// What names its row.
    pub(super) fn id(&self) -> (i64, &str) {
        (self.owner, &self.idempotency_key)
    }
}

impl Key {
    pub(super) fn row(&self, owner: i64, job: JobId) -> Named {
        Named {
            owner,
            idempotency_key: self.text.clone(),
            request_hash: self.request.to_vec(),
            job: job.to_string(),
        }
    }
}

impl Store {
    /// Accepts a job: once this returns it is on disk, and will end. A training job gets its model.
    /// A request with a key that its owner has used before is that job again, ended or not.
    ///
    /// # Errors
    /// An outage; [`Error::KeyReused`] when the key came with another request. That an inference's
    /// model exists and is trained is for the caller to check.
    pub async fn submit(&self, new: NewJob) -> Result<Submitted, Error> {
        let owner = row::integer("party", new.owner.0)?;
        let parties = new.spec.participants().into_iter();
        let parties: Vec<i64> = parties
            .map(|party| row::integer("party", party.0))
            .collect::<Result<_, _>>()?;
        let key = new.key;
        let creator = new.creator.map(|email| email.as_str().to_owned());
        let job = JobId(Uuid::now_v7());
        let named = key.as_ref().map(|key| key.row(owner, job));
        let spec = to_json(&new.spec);
        let echo = row::text(&new.echo);
        let deadline = milliseconds(new.deadline);
        let accepted = write!(self, async |connection, now| {
            if let Some(named) = &named {
                // Waits for another submission with this key.
                let is_new = diesel::insert_into(submissions::table)
                    .values(named)
                    .on_conflict_do_nothing()
                    .execute(connection)
                    .await?;
                if is_new == 0 {
                    return Ok(None);
                }
            }
            let deadline_at = now.saturating_add(deadline);
            let order: i64 = diesel::insert_into(jobs::table)
                .values(row::new(
                    job,
                    &new.spec,
                    owner,
                    JobStatus::Pending,
                    now,
                    deadline_at,
                )?)
                .returning(jobs::order_id)
                .get_result(connection)
                .await?;
            for party in &parties {
                diesel::insert_into(participants::table)
                    .values((
                        participants::party.eq(party),
                        participants::order_id.eq(order),
                    ))
                    .execute(connection)
                    .await?;
            }
            let texts = (
                requests::spec.eq(&spec),
                requests::echo.eq(&echo),
                requests::creator.eq(&creator),
            );
            diesel::insert_into(requests::table)
                .values((requests::job.eq(job.to_string()), texts))
                .execute(connection)
                .await?;
            let model = match &new.spec {
                Spec::Infer(spec) => Some(spec.model),
                Spec::Compute(_) | Spec::Learn(_) => None,
                Spec::Train(_) => Some(ModelId(
                    diesel::insert_into(models::table)
                        .values(models::job.eq(job.to_string()))
                        .returning(models::id)
                        .get_result(connection)
                        .await?,
                )),
            };
            let order = OrderId(order);
            Ok(Some(Submitted { job, order, model }))
        })?;
        match (accepted, key) {
            (Some(submitted), _) => Ok(submitted),
            (None, Some(key)) => self.submitted(owner, &key).await,
            (None, None) => unreachable!("only a key is there already"),
        }
    }

    /// What came of the key when it was new: neither it nor its job ever goes.
    pub(super) async fn submitted(&self, owner: i64, key: &Key) -> Result<Submitted, Error> {
        let (request, job): (Vec<u8>, row::JobTuple) = read!(self, writers, |connection, _now| {
            let (request, job): (Vec<u8>, String) = submissions::table
                .find((owner, &key.text))
                .select((submissions::request_hash, submissions::job))
                .first(connection)
                .await?;
            let job = row::whole_jobs()
                .filter(jobs::id.eq(job))
                .first(connection)
                .await?;
            (request, job)
        });
        if request != key.request {
            return Err(Error::KeyReused);
        }
        let job = row::job(job)?;
        Ok(Submitted {
            job: job.id,
            order: job.order,
            model: job.model,
        })
    }
}
