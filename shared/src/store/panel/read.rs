//! Panel jobs as they stand, and what their runs made.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::create::round_of;
use super::{InputProtection, Keys, Made, Panel, Submission};
use crate::computation::Shape;
use crate::id::{JobId, PanelId};
use crate::job::{JobStatus, Spec};
use crate::limits;
use crate::store::read::read;
use crate::store::row::{self, corrupt};
use crate::store::schema::{
    computed_results, inputs, jobs, learned_results, panel_participants, panel_runs, panels,
};
use crate::store::{Email, Error, Job, Store, postgres, sqlite};

/// Fields in the order of the table's columns.
#[derive(Queryable)]
struct PanelRow {
    number: i64,
    id: String,
    name: String,
    creator: String,
    client_sealed: bool,
    job: String,
    worker_key: Option<Vec<u8>>,
    api_key: Option<Vec<u8>>,
    created_at: i64,
    updated_at: i64,
    _deleted_at: Option<i64>,
}

/// Job, position, protection, rows and columns.
type InputTuple = (String, i64, String, i64, i64);

impl Store {
    /// A panel job; `None` also when it was deleted.
    ///
    /// # Errors
    /// An outage; a row that cannot be read.
    pub async fn panel(&self, id: PanelId) -> Result<Option<Panel>, Error> {
        let found: Vec<PanelRow> = read!(self, readers, |connection, _now| {
            panels::table
                .filter(panels::id.eq(id.to_string()))
                .filter(panels::deleted_at.is_null())
                .load(connection)
                .await?
        });
        Ok(self.whole_panels(found).await?.pop())
    }

    /// The panel jobs that an account takes part in, newest first: the `page`th, from 1, of `size`
    /// jobs, at most [`limits::JOBS_PAGE_MAX`]; and how many there are in all.
    ///
    /// # Errors
    /// As [`Store::panel`].
    pub async fn panels_of(
        &self,
        email: &Email,
        page: u64,
        size: usize,
    ) -> Result<(Vec<Panel>, u64), Error> {
        let (skipped, size) = pages(page, size.min(limits::JOBS_PAGE_MAX));
        let (found, total): (Vec<PanelRow>, i64) = read!(self, readers, |connection, _now| {
            let own =
                panel_participants::table.filter(panel_participants::email.eq(email.as_str()));
            let total = own.count().get_result(connection).await?;
            let page = own
                .order(panel_participants::panel.desc())
                .offset(skipped)
                .limit(size)
                .select(panel_participants::panel);
            let found = panels::table
                .filter(panels::number.eq_any(page))
                .order(panels::number.desc())
                .load(connection)
                .await?;
            (found, total)
        });
        Ok((self.whole_panels(found).await?, total.unsigned_abs()))
    }

    /// With participants, runs and inputs; without those that were deleted meanwhile.
    async fn whole_panels(&self, found: Vec<PanelRow>) -> Result<Vec<Panel>, Error> {
        let numbers: Vec<i64> = found.iter().map(|row| row.number).collect();
        let runs: Vec<&str> = found.iter().map(|row| row.job.as_str()).collect();
        let (emails, jobs, inputs) = read!(self, readers, |connection, _now| {
            let emails: Vec<(i64, String)> = panel_participants::table
                .filter(panel_participants::panel.eq_any(&numbers))
                .order((panel_participants::panel, panel_participants::position))
                .select((panel_participants::panel, panel_participants::email))
                .load(connection)
                .await?;
            let jobs: Vec<row::JobTuple> = row::whole_jobs()
                .filter(jobs::id.eq_any(&runs))
                .load(connection)
                .await?;
            let inputs: Vec<InputTuple> = inputs::table
                .filter(inputs::job.eq_any(&runs))
                .select((
                    inputs::job,
                    inputs::position,
                    inputs::protection,
                    inputs::matrix_rows,
                    inputs::matrix_columns,
                ))
                .load(connection)
                .await?;
            (emails, jobs, inputs)
        });
        let mut parties: BTreeMap<i64, Vec<Email>> = BTreeMap::new();
        for (number, email) in emails {
            let email = email_of(&email, "panel_participants")?;
            parties.entry(number).or_default().push(email);
        }
        let mut current: BTreeMap<JobId, Job> = BTreeMap::new();
        for tuple in jobs {
            let job = row::job(tuple)?;
            current.insert(job.id, job);
        }
        let mut whole = Vec::with_capacity(found.len());
        for row in found {
            let Some(parties) = parties.remove(&row.number) else {
                continue;
            };
            let job = current.remove(&row::job_id(&row.job)?);
            let job = job.ok_or_else(|| corrupt(format!("panel {}", row.id), "job"))?;
            let filled = filled(&row.job, parties.len(), &inputs)?;
            whole.push(panel(row, parties, job, filled)?);
        }
        Ok(whole)
    }

    /// The current run of a panel job that is not deleted.
    pub(super) async fn current_run(&self, id: PanelId) -> Result<Option<Job>, Error> {
        let found: Option<row::JobTuple> = read!(self, writers, |connection, _now| {
            let current = panels::table
                .filter(panels::id.eq(id.to_string()))
                .filter(panels::deleted_at.is_null())
                .select(panels::job);
            row::whole_jobs()
                .filter(jobs::id.eq_any(current))
                .first(connection)
                .await
                .optional()?
        });
        found.map(row::job).transpose()
    }

    /// The finished runs of a panel job, newest first: the `page`th, from 1, of `size` runs, at
    /// most [`limits::SUBMISSIONS_PAGE_MAX`]; and how many there are in all.
    ///
    /// # Errors
    /// As [`Store::panel`].
    pub async fn submissions_of(
        &self,
        id: PanelId,
        page: u64,
        size: usize,
    ) -> Result<(Vec<Submission>, u64), Error> {
        let (skipped, size) = pages(page, size.min(limits::SUBMISSIONS_PAGE_MAX));
        let (runs, total): (Vec<RunTuple>, i64) = read!(self, readers, |connection, _now| {
            let finished = panel_runs::table
                .inner_join(jobs::table)
                .inner_join(panels::table)
                .filter(panels::id.eq(id.to_string()))
                .filter(panels::deleted_at.is_null())
                .filter(jobs::status.eq(JobStatus::Finished.as_str()));
            let total = finished.clone().count().get_result(connection).await?;
            let runs = finished
                .order(panel_runs::round.desc())
                .offset(skipped)
                .limit(size)
                .select((panel_runs::round, jobs::id, jobs::status_at))
                .load(connection)
                .await?;
            (runs, total)
        });
        Ok((self.whole_submissions(runs).await?, total.unsigned_abs()))
    }

    /// One finished run of a panel job; without a `round` the newest one.
    ///
    /// # Errors
    /// As [`Store::panel`].
    pub async fn submission(
        &self,
        id: PanelId,
        round: Option<u32>,
    ) -> Result<Option<Submission>, Error> {
        let (from, to) = round.map_or((0, i64::MAX), |round| (round.into(), round.into()));
        let run: Option<RunTuple> = read!(self, readers, |connection, _now| {
            panel_runs::table
                .inner_join(jobs::table)
                .inner_join(panels::table)
                .filter(panels::id.eq(id.to_string()))
                .filter(panels::deleted_at.is_null())
                .filter(jobs::status.eq(JobStatus::Finished.as_str()))
                .filter(panel_runs::round.between(from, to))
                .order(panel_runs::round.desc())
                .select((panel_runs::round, jobs::id, jobs::status_at))
                .first(connection)
                .await
                .optional()?
        });
        let runs = run.into_iter().collect();
        Ok(self.whole_submissions(runs).await?.pop())
    }

    /// With what they made; without those that were deleted meanwhile.
    async fn whole_submissions(&self, runs: Vec<RunTuple>) -> Result<Vec<Submission>, Error> {
        let ids: Vec<&str> = runs.iter().map(|(_, job, _)| job.as_str()).collect();
        let (computed, learned) = read!(self, readers, |connection, _now| {
            let computed: Vec<(String, String, String)> = computed_results::table
                .filter(computed_results::job.eq_any(&ids))
                .load(connection)
                .await?;
            let learned: Vec<(String, String, String)> = learned_results::table
                .filter(learned_results::job.eq_any(&ids))
                .load(connection)
                .await?;
            (computed, learned)
        });
        let mut made: BTreeMap<String, Made> = BTreeMap::new();
        for (job, exact, text) in computed {
            made.insert(job, Made::Computed { exact, text });
        }
        for (job, metrics, files) in learned {
            let files = row::json(&files, || format!("result of job {job}"), "files")?;
            made.insert(job, Made::Learned { metrics, files });
        }
        let mut whole = Vec::with_capacity(runs.len());
        for (round, job, finished_at) in runs {
            let Some(made) = made.remove(&job) else {
                continue;
            };
            let round = u32::try_from(round).map_err(|_| corrupt(format!("job {job}"), "round"))?;
            whole.push(Submission {
                round,
                job: row::job_id(&job)?,
                finished_at,
                made,
            });
        }
        Ok(whole)
    }
}

/// Round, job and when it finished.
type RunTuple = (i64, String, i64);

fn panel(
    row: PanelRow,
    parties: Vec<Email>,
    job: Job,
    filled: Vec<Option<(Shape, InputProtection)>>,
) -> Result<Panel, Error> {
    let name = || format!("panel {}", row.id);
    let files = match &job.spec {
        Spec::Learn(spec) => spec.files.clone(),
        Spec::Train(_) | Spec::Infer(_) | Spec::Compute(_) => BTreeMap::new(),
    };
    Ok(Panel {
        id: PanelId::parse(&row.id).ok_or_else(|| corrupt(name(), "id"))?,
        creator: email_of(&row.creator, "panels")?,
        name: row.name,
        parties,
        created_at: row.created_at,
        updated_at: row.updated_at.max(job.status_at),
        client_sealed: row.client_sealed,
        round: round_of(&job.spec),
        filled,
        keys: (row.worker_key.zip(row.api_key)).map(|(worker, api)| Keys { worker, api }),
        files,
        job,
    })
}

/// Each participant's input to a run.
fn filled(
    job: &str,
    participants: usize,
    inputs: &[InputTuple],
) -> Result<Vec<Option<(Shape, InputProtection)>>, Error> {
    let mut filled = vec![None; participants];
    for (_, position, protection, rows, columns) in inputs.iter().filter(|input| input.0 == job) {
        let protection = InputProtection::ALL
            .into_iter()
            .find(|one| one.as_str() == protection)
            .ok_or_else(|| corrupt(format!("input of job {job}"), "protection"))?;
        let shape = super::fill::shape(*rows, *columns, job)?;
        *super::fill::place(&mut filled, *position, job)? = Some((shape, protection));
    }
    Ok(filled)
}

fn email_of(text: &str, row: &str) -> Result<Email, Error> {
    Email::parse(text).ok_or_else(|| corrupt(row.to_owned(), "email"))
}

/// Rows before the `page`th page, from 1, of so many, and on it, as the database counts.
fn pages(page: u64, size: usize) -> (i64, i64) {
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let before = i64::try_from(page.saturating_sub(1)).unwrap_or(i64::MAX);
    (before.saturating_mul(size), size)
}
