//! What the routes need of the store and of the bus.

use std::collections::BTreeSet;
use std::time::Duration;

use shared::id::{Attempt, JobId, ModelId, OrderId, PartyId};
use shared::job::{InferSpec, Kind, Spec, TrainSpec};
use shared::limits::{
    DEAD_LETTERS_TOLD_MAX, FILES_BYTES_PER_ACCOUNT_MAX, HINT_SECONDS_MAX, INVITATION_SECONDS,
    JOB_DEADLINE_SECONDS,
};
use shared::message::{Invitation, Score, encode, queue};
use shared::store::{self, Cancelled, DeadLetter, Job, NewJob, Submitted};
use tokio::time::timeout;

use crate::State;
use crate::answer::Error;
use crate::callers::{Account, Caller};
use crate::idempotency::{self, Idempotency};

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        if error.is_outage() {
            tracing::warn!(%error, "the store does not answer");
            Error::Store
        } else {
            tracing::error!(%error, "the store holds or was given what it cannot take");
            Error::Internal
        }
    }
}

/// Every party that a job may name.
pub(crate) async fn registered(state: &State) -> Result<BTreeSet<PartyId>, Error> {
    Ok(state.store.parties().await?.into_keys().collect())
}

/// Accepts a job that a caller may ask for: it is on disk when this returns. Its worker is told, if
/// that goes quickly; a lost hint is repeated by the sweep.
/// A request whose name says that it was sent before is the job that came of it then.
pub(crate) async fn submit(
    state: &State,
    caller: &Caller,
    spec: Spec,
    echo: String,
    name: Option<Idempotency>,
) -> Result<Submitted, Error> {
    let owner = spec.guest();
    let queue = queue::invitations(spec.kind(), owner);
    let deadline = Duration::from_secs(JOB_DEADLINE_SECONDS.unsigned_abs());
    let (field, key) = name.map(|name| (name.field, name.key)).unzip();
    let new = NewJob {
        spec,
        owner,
        creator: caller.email().cloned(),
        echo,
        deadline,
        key,
    };
    let submitted = state.store.submit(new).await;
    let submitted = submitted.map_err(|error| refused(error, field))?;
    hint(state, &queue, submitted.job, Attempt(1)).await;
    Ok(submitted)
}

/// Why a request was not kept whose name, if any, stands in `field`.
pub(crate) fn refused(error: store::Error, field: Option<&'static str>) -> Error {
    match (error, field) {
        (store::Error::KeyReused, Some(field)) => idempotency::reused(field),
        (store::Error::NoRoom, _) => no_room(),
        (error, _) => error.into(),
    }
}

/// What is said to an account whose jobs have as many files as they may.
pub(crate) fn no_room() -> Error {
    Error::Conflict(format!(
        "the account's jobs may have {FILES_BYTES_PER_ACCOUNT_MAX} bytes of files, uploaded and \
         made: delete jobs first"
    ))
}

/// Tells workers of a job that waits for one, if that goes quickly.
pub(crate) async fn hint(state: &State, queue: &str, job: JobId, attempt: Attempt) {
    let invitation = encode(&Invitation { job, attempt });
    let life = Duration::from_secs(INVITATION_SECONDS);
    let hint = state.bus.publish_expiring(queue, invitation, life);
    match timeout(Duration::from_secs(HINT_SECONDS_MAX), hint).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "a new job could not be hinted at"),
        Err(_) => tracing::warn!(%queue, "hinting at a new job took too long"),
    }
    state.submitted.notify_one();
}

/// A job of any kind. One that the caller takes no part in is not there.
pub(crate) async fn any(state: &State, caller: &Caller, order: OrderId) -> Result<Job, Error> {
    let found = state.store.job_by_order(order).await?;
    let seen = found.filter(|job| caller.sees(job));
    seen.ok_or_else(|| no_job(order))
}

/// A training job.
pub(crate) async fn training(
    state: &State,
    caller: &Caller,
    order: OrderId,
) -> Result<(Job, TrainSpec), Error> {
    let job = any(state, caller, order).await?;
    match job.spec.clone() {
        Spec::Train(spec) => Ok((job, spec)),
        other => Err(wrong_kind(order, other.kind(), Kind::Train)),
    }
}

/// An inference job.
pub(crate) async fn inference(
    state: &State,
    caller: &Caller,
    order: OrderId,
) -> Result<(Job, InferSpec), Error> {
    let job = any(state, caller, order).await?;
    match job.spec.clone() {
        Spec::Infer(spec) => Ok((job, spec)),
        other => Err(wrong_kind(order, other.kind(), Kind::Infer)),
    }
}

fn no_job(OrderId(id): OrderId) -> Error {
    Error::Unknown(format!("`order_id` is {id}: there is no such job"))
}

fn wrong_kind(OrderId(id): OrderId, is: Kind, wanted: Kind) -> Error {
    let [is, wanted] = [is, wanted].map(|kind| match kind {
        Kind::Train => "a training",
        Kind::Infer => "an inference",
        Kind::Compute => "a joint computation",
        Kind::Learn => "a learning from files",
    });
    Error::Unknown(format!(
        "`order_id` is {id}: that job is {is}, not {wanted}"
    ))
}

/// The job that trains a model. One that the caller takes no part in is not there.
pub(crate) async fn training_of(
    state: &State,
    caller: &Caller,
    model: ModelId,
) -> Result<(Job, TrainSpec), Error> {
    let ModelId(id) = model;
    let unknown = || Error::Unknown(format!("`model_id` is {id}: there is no such model"));
    let found = state.store.model(model).await?;
    let seen = found.filter(|model| caller.sees(&model.job));
    let job = seen.ok_or_else(unknown)?.job;
    match job.spec.clone() {
        Spec::Train(spec) => Ok((job, spec)),
        Spec::Infer(_) | Spec::Compute(_) | Spec::Learn(_) => {
            tracing::error!(job = %job.id, "a model that no training made");
            Err(Error::Internal)
        }
    }
}

/// What a finished inference released in the clear; `None` where it is sealed.
pub(crate) async fn scores(state: &State, job: &Job) -> Result<Option<Vec<Score>>, Error> {
    Ok(state.store.scores(job.id).await?)
}

/// The newest messages about a job that were given up.
pub(crate) async fn dead_letters(state: &State, job: &Job) -> Result<Vec<DeadLetter>, Error> {
    let newest = state
        .store
        .dead_letters(Some(job.id), DEAD_LETTERS_TOLD_MAX);
    Ok(newest.await?)
}

/// At most `size` jobs before `before` that the caller takes part in, newest first.
pub(crate) async fn page(
    state: &State,
    caller: &Caller,
    before: Option<OrderId>,
    size: usize,
) -> Result<Vec<Job>, Error> {
    let page = match caller {
        Caller::Anyone => state.store.jobs(before, size).await?,
        Caller::Account(Account { party, email }) => {
            state.store.jobs_of(*party, email, before, size).await?
        }
    };
    Ok(page)
}

/// Ends a job; false when it had ended before.
pub(crate) async fn cancel(state: &State, order: OrderId) -> Result<bool, Error> {
    match state.store.cancel(order).await? {
        Cancelled::Cancelled => Ok(true),
        Cancelled::AlreadyEnded => Ok(false),
        Cancelled::NotFound => Err(no_job(order)),
    }
}
