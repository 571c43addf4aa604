//! Making a panel job, and running it again.

use std::time::Duration;

use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use uuid::Uuid;

use super::fill::Input;
use super::{Created, NewPanel, Rerun, Run};
use crate::id::{JobId, OrderId, PanelId};
use crate::job::{JobStatus, Spec};
use crate::limits;
use crate::store::change::milliseconds;
use crate::store::files::{self, PieceTuple};
use crate::store::room::bytes_held;
use crate::store::row::{self, JobRow, to_json};
use crate::store::schema::{
    inputs, jobs, panel_participants, panel_runs, panels, requests, submissions, uploaded_pieces,
    uploads,
};
use crate::store::submit::Named;
use crate::store::{Error, Job, Key, Store, write};

/// A run to be written, and what its job is until then.
struct NewRun {
    job: JobId,
    id: String,
    spec: Spec,
    text: String,
    owner: i64,
    creator: String,
    echo: String,
    status: JobStatus,
    /// How long it has, in milliseconds.
    duration: i64,
}

impl NewRun {
    fn new(spec: Spec, owner: i64, creator: String, echo: &str, deadline: Duration) -> NewRun {
        let job = JobId(Uuid::now_v7());
        let awaits = Duration::from_secs(limits::INPUT_DEADLINE_SECONDS);
        let (status, duration) = match spec {
            Spec::Compute(_) => (JobStatus::AwaitingInput, awaits),
            Spec::Train(_) | Spec::Infer(_) | Spec::Learn(_) => (JobStatus::Pending, deadline),
        };
        NewRun {
            job,
            id: job.to_string(),
            text: to_json(&spec),
            spec,
            owner,
            creator,
            echo: row::text(echo),
            status,
            duration: milliseconds(duration),
        }
    }

    fn row(&self, now: i64) -> Result<JobRow, Error> {
        let deadline_at = now.saturating_add(self.duration);
        row::new(
            self.job,
            &self.spec,
            self.owner,
            self.status,
            now,
            deadline_at,
        )
    }

    fn made(&self, panel: PanelId, order: i64) -> Run {
        Run {
            panel,
            round: round_of(&self.spec),
            job: self.job,
            order: OrderId(order),
            status: self.status,
        }
    }
}

/// A panel job's own row, without times.
#[derive(Insertable)]
#[diesel(table_name = panels)]
struct PanelValues {
    id: String,
    name: String,
    creator: String,
    client_sealed: bool,
    job: String,
    worker_key: Option<Vec<u8>>,
    api_key: Option<Vec<u8>>,
}

/// A [`NewPanel`] as the tables take it.
struct Making {
    panel: PanelValues,
    /// Position and email.
    parties: Vec<(i64, String)>,
    run: NewRun,
    input: Option<Input>,
    upload: Option<String>,
    named: Option<Named>,
}

impl Making {
    fn new(new: NewPanel, owner: i64, deadline: Duration) -> Result<Making, Error> {
        let creator = new.creator.as_str().to_owned();
        let position = new.parties.iter().position(|email| *email == new.creator);
        let input = match (new.fill, position) {
            (Some(fill), Some(position)) => Some(Input::new(position, &fill)?),
            (_, _) => None,
        };
        let parties = new.parties.iter().enumerate();
        let parties = parties.map(|(position, email)| (position as i64, email.as_str().to_owned()));
        let run = NewRun::new(new.spec, owner, creator.clone(), &new.echo, deadline);
        let (upload, keys) = new.upload.unzip();
        let (worker_key, api_key) = keys.map(|keys| (keys.worker, keys.api)).unzip();
        Ok(Making {
            panel: PanelValues {
                id: new.id.to_string(),
                name: row::text(&new.name),
                creator,
                client_sealed: new.client_sealed,
                job: run.id.clone(),
                worker_key,
                api_key,
            },
            parties: parties.collect(),
            named: new.key.map(|key| key.row(owner, run.job)),
            run,
            input,
            upload: upload.map(|upload| upload.0.to_string()),
        })
    }
}

/// Writes a [`NewRun`] of the panel job with this number; its order. Once per database.
macro_rules! insert_run {
    ($connection:ident, $run:expr, $panel:expr, $now:expr) => {{
        let run: &NewRun = $run;
        let order: i64 = diesel::insert_into(jobs::table)
            .values(run.row($now)?)
            .returning(jobs::order_id)
            .get_result($connection)
            .await?;
        diesel::insert_into(requests::table)
            .values((
                requests::job.eq(&run.id),
                requests::spec.eq(&run.text),
                requests::echo.eq(&run.echo),
                requests::creator.eq(&run.creator),
            ))
            .execute($connection)
            .await?;
        diesel::insert_into(panel_runs::table)
            .values((
                panel_runs::panel.eq($panel),
                panel_runs::round.eq(i64::from(round_of(&run.spec))),
                panel_runs::job.eq(&run.id),
            ))
            .execute($connection)
            .await?;
        order
    }};
}

/// Gives the upload to the panel job with this number, which learns from it; once per database.
macro_rules! attach_upload {
    ($connection:ident, $upload:expr, $spec:expr, $panel:expr) => {{
        let upload: &Option<String> = $upload;
        if let Some(upload) = upload {
            diesel::update(uploads::table.find(upload).filter(uploads::panel.is_null()))
                .set(uploads::panel.eq($panel))
                .execute($connection)
                .await?;
        }
        if let Spec::Learn(spec) = $spec {
            let own = uploads::table
                .filter(uploads::panel.eq($panel))
                .select(uploads::id);
            let pieces: Vec<PieceTuple> = uploaded_pieces::table
                .filter(uploaded_pieces::upload.eq_any(own))
                .select((
                    uploaded_pieces::file,
                    uploaded_pieces::piece,
                    files::length(uploaded_pieces::sealed),
                ))
                .load($connection)
                .await?;
            if pieces.is_empty() || !files::are_whole(&spec.files, &pieces, false) {
                return Err(Error::NoUpload);
            }
        }
    }};
}

impl Store {
    /// Makes a panel job and its first run, which takes over the upload: all of it or nothing. A
    /// run of a joint computation awaits inputs for [`limits::INPUT_DEADLINE_SECONDS`]; learning
    /// may take `deadline`. That the creator is a participant, and the shape of its input in order, is
    /// for the caller to check.
    ///
    /// # Errors
    /// An outage; [`Error::KeyReused`]; [`Error::Oversized`] for an input; [`Error::NoUpload`] when
    /// the upload is gone or its pieces are not those of the files that the spec names;
    /// [`Error::NoRoom`].
    pub async fn create_panel(&self, new: NewPanel, deadline: Duration) -> Result<Created, Error> {
        let owner = row::integer("party", new.owner.0)?;
        let (panel, key, files_bytes_max) = (new.id, new.key.clone(), new.files_bytes_max);
        let making = Making::new(new, owner, deadline)?;
        let created = write!(self, async |connection, now| {
            if let Some(named) = &making.named {
                // Waits for another request with this key.
                let is_new = diesel::insert_into(submissions::table)
                    .values(named)
                    .on_conflict_do_nothing()
                    .execute(connection)
                    .await?;
                if is_new == 0 {
                    return Ok(None);
                }
            }
            let run = &making.run;
            // Waits for another job of this name.
            let number: Option<i64> = diesel::insert_into(panels::table)
                .values((
                    &making.panel,
                    panels::created_at.eq(now),
                    panels::updated_at.eq(now),
                ))
                .on_conflict_do_nothing()
                .returning(panels::number)
                .get_result(connection)
                .await
                .optional()?;
            let Some(number) = number else {
                if let Some(named) = &making.named {
                    diesel::delete(submissions::table.find(named.id()))
                        .execute(connection)
                        .await?;
                }
                return Ok(Some(Created::NameTaken));
            };
            for (position, email) in &making.parties {
                diesel::insert_into(panel_participants::table)
                    .values((
                        panel_participants::panel.eq(number),
                        panel_participants::position.eq(position),
                        panel_participants::email.eq(email),
                    ))
                    .execute(connection)
                    .await?;
            }
            let order = insert_run!(connection, run, number, now);
            if let Some(input) = &making.input {
                diesel::insert_into(inputs::table)
                    .values(input.row(&run.id, now))
                    .execute(connection)
                    .await?;
            }
            attach_upload!(connection, &making.upload, &run.spec, number);
            let (upload, creator) = (&making.upload, &making.panel.creator);
            if upload.is_some() && bytes_held!(connection, creator) > files_bytes_max {
                return Err(Error::NoRoom);
            }
            Ok(Some(Created::Run(run.made(panel, order))))
        })?;
        match (created, key) {
            (Some(created), _) => Ok(created),
            (None, Some(key)) => self.created(owner, &key).await,
            (None, None) => unreachable!("only a key is there already"),
        }
    }

    /// What came of the key when it was new.
    async fn created(&self, owner: i64, key: &Key) -> Result<Created, Error> {
        let submitted = self.submitted(owner, key).await?;
        let job = self.job(submitted.job).await?;
        let run = job.as_ref().and_then(run_of);
        run.map(Created::Run).ok_or(Error::KeyReused)
    }

    /// Runs a panel job again, when its current run has ended: a joint computation awaits new
    /// inputs, learning from the same files may take `deadline`.
    ///
    /// # Errors
    /// An outage; a row that cannot be read.
    pub async fn rerun(&self, id: PanelId, deadline: Duration) -> Result<Rerun, Error> {
        let panel = id.to_string();
        loop {
            let Some(last) = self.current_run(id).await? else {
                return Ok(Rerun::NotFound);
            };
            if !last.status.is_terminal() {
                return Ok(Rerun::Open(last.status));
            }
            let (spec, creator) = (again(&last)?, last.creator.as_ref());
            let owner = row::integer("party", last.owner.0)?;
            let creator = creator.map_or_else(String::new, |email| email.as_str().to_owned());
            let run = NewRun::new(spec, owner, creator, &last.echo, deadline);
            let (last, panel) = (last.id.to_string(), panel.clone());
            let made = write!(self, move &last, async |connection, now| {
                let current = panels::table
                    .filter(panels::id.eq(&panel))
                    .filter(panels::job.eq(&last))
                    .filter(panels::deleted_at.is_null());
                let number: Option<i64> = current
                    .select(panels::number)
                    .first(connection)
                    .await
                    .optional()?;
                let Some(number) = number else {
                    return Ok(None);
                };
                let order = insert_run!(connection, &run, number, now);
                diesel::update(panels::table.find(number))
                    .set((panels::job.eq(&run.id), panels::updated_at.eq(now)))
                    .execute(connection)
                    .await?;
                Ok(Some(run.made(id, order)))
            })?;
            // Otherwise it was deleted, or somebody else ran it: looked at anew.
            if let Some(run) = made {
                return Ok(Rerun::Run(run));
            }
        }
    }
}

/// The run that a job is, if it is one.
fn run_of(job: &Job) -> Option<Run> {
    let panel = match &job.spec {
        Spec::Compute(spec) => spec.panel,
        Spec::Learn(spec) => spec.panel,
        Spec::Train(_) | Spec::Infer(_) => return None,
    };
    Some(Run {
        panel,
        round: round_of(&job.spec),
        job: job.id,
        order: job.order,
        status: job.status,
    })
}

/// Which run of its panel job a spec is of; 0 of other jobs.
pub(super) fn round_of(spec: &Spec) -> u32 {
    match spec {
        Spec::Compute(spec) => spec.round,
        Spec::Learn(spec) => spec.round,
        Spec::Train(_) | Spec::Infer(_) => 0,
    }
}

/// What the run after this one does.
fn again(last: &Job) -> Result<Spec, Error> {
    let mut spec = last.spec.clone();
    match &mut spec {
        Spec::Compute(spec) => spec.round += 1,
        Spec::Learn(spec) => spec.round += 1,
        Spec::Train(_) | Spec::Infer(_) => {
            return Err(row::corrupt(format!("job {}", last.id), "spec"));
        }
    }
    Ok(spec)
}
