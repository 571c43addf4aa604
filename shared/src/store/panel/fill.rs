//! The participants' inputs to a run.

use std::time::Duration;

use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};

use super::{Fill, Filled};
use crate::computation::Shape;
use crate::id::{JobId, PanelId};
use crate::job::{JobStatus, Spec};
use crate::limits;
use crate::message::{decode, encode};
use crate::sharing::Bundle;
use crate::store::change::milliseconds;
use crate::store::files::at_most;
use crate::store::moves::Row;
use crate::store::read::read;
use crate::store::row::{self, JobChange, JobRow};
use crate::store::schema::{inputs, jobs, panel_runs, panels};
use crate::store::{Error, Store, postgres, sqlite, write};

/// A participant's input as the table has it.
pub(super) struct Input {
    position: usize,
    protection: &'static str,
    shape: Shape,
    bundle: Vec<u8>,
}

#[derive(Insertable, AsChangeset)]
#[diesel(table_name = inputs)]
pub(super) struct InputRow<'a> {
    job: &'a str,
    position: i64,
    protection: &'static str,
    matrix_rows: i64,
    matrix_columns: i64,
    bundle: Option<&'a [u8]>,
    filled_at: i64,
}

impl Input {
    pub(super) fn new(position: usize, fill: &Fill) -> Result<Input, Error> {
        let bundle = encode(&fill.bundle);
        at_most("bytes of an input", bundle.len(), limits::INPUT_BYTES_MAX)?;
        Ok(Input {
            position,
            protection: fill.protection.as_str(),
            shape: Shape {
                rows: fill.bundle.rows,
                columns: fill.bundle.columns,
            },
            bundle,
        })
    }

    pub(super) fn row<'a>(&'a self, job: &'a str, now: i64) -> InputRow<'a> {
        InputRow {
            job,
            position: self.position as i64,
            protection: self.protection,
            matrix_rows: self.shape.rows.into(),
            matrix_columns: self.shape.columns.into(),
            bundle: Some(&self.bundle),
            filled_at: now,
        }
    }
}

impl Store {
    /// Keeps the input of the participant at `position` for run `round`, in the place of an earlier
    /// one. When it was the last one missing the run may take `deadline` from now.
    ///
    /// # Errors
    /// An outage; [`Error::Oversized`]; a row that cannot be read.
    pub async fn fill(
        &self,
        id: PanelId,
        round: u32,
        position: usize,
        fill: Fill,
        deadline: Duration,
    ) -> Result<Filled, Error> {
        let input = Input::new(position, &fill)?;
        drop(fill);
        let Some(job) = self.run(id, round).await? else {
            return Ok(Filled::NotFound);
        };
        let Some((Spec::Compute(spec), _)) = self.spec(job).await? else {
            return Ok(Filled::NotFound);
        };
        if position >= spec.workers.len() {
            return Ok(Filled::NotFound);
        }
        let (job, panel) = (job.to_string(), id.to_string());
        let deadline = milliseconds(deadline);
        write!(self, move &job, async |connection, now| {
            let found: JobRow = jobs::table.find(&job).first(connection).await?;
            let mut row = Row::try_from(found)?;
            if row.status != JobStatus::AwaitingInput {
                return Ok(Filled::TooLate(row.status));
            }
            let known: Vec<(i64, i64, i64)> = inputs::table
                .filter(inputs::job.eq(&job))
                .select((
                    inputs::position,
                    inputs::matrix_rows,
                    inputs::matrix_columns,
                ))
                .load(connection)
                .await?;
            let mut shapes = [None; 3];
            for (position, rows, columns) in known {
                *place(&mut shapes, position, &job)? = Some(shape(rows, columns, &job)?);
            }
            shapes[input.position] = Some(input.shape);
            if let Err(error) = spec.operation.check(shapes) {
                return Ok(Filled::Unfit(error));
            }
            let values = input.row(&job, now);
            diesel::insert_into(inputs::table)
                .values(&values)
                .on_conflict((inputs::job, inputs::position))
                .do_update()
                .set(&values)
                .execute(connection)
                .await?;
            diesel::update(panels::table.filter(panels::id.eq(&panel)))
                .set(panels::updated_at.eq(now))
                .execute(connection)
                .await?;
            if shapes.contains(&None) || !row.fill(deadline, now) {
                return Ok(Filled::Stored);
            }
            diesel::update(jobs::table.find(&job))
                .set(JobChange::from(&row))
                .execute(connection)
                .await?;
            Ok(Filled::Complete(row.unclaimed()))
        })
    }

    /// A run of a panel job that is not deleted.
    async fn run(&self, id: PanelId, round: u32) -> Result<Option<JobId>, Error> {
        let found: Option<String> = read!(self, writers, |connection, _now| {
            panel_runs::table
                .inner_join(panels::table)
                .filter(panels::id.eq(id.to_string()))
                .filter(panels::deleted_at.is_null())
                .filter(panel_runs::round.eq(i64::from(round)))
                .select(panel_runs::job)
                .first(connection)
                .await
                .optional()?
        });
        found.as_deref().map(row::job_id).transpose()
    }

    /// The three inputs of a run in order; `None` when they are gone.
    pub(in crate::store) async fn inputs(&self, job: JobId) -> Result<Option<Vec<Bundle>>, Error> {
        let found: Vec<Option<Vec<u8>>> = read!(self, writers, |connection, _now| {
            inputs::table
                .filter(inputs::job.eq(job.to_string()))
                .order(inputs::position)
                .select(inputs::bundle)
                .load(connection)
                .await?
        });
        let corrupt = || row::corrupt(format!("input of job {job}"), "bundle");
        found
            .into_iter()
            .map(|bundle| {
                let bundle = bundle.map(|bundle| decode(&bundle).map_err(|_| corrupt()));
                bundle.transpose()
            })
            .collect()
    }
}

/// The place of the participant at `position`.
pub(super) fn place<'a, T>(all: &'a mut [T], position: i64, job: &str) -> Result<&'a mut T, Error> {
    let place = usize::try_from(position).ok();
    place
        .and_then(|place| all.get_mut(place))
        .ok_or_else(|| row::corrupt(format!("input of job {job}"), "position"))
}

/// A matrix' shape from its columns.
pub(super) fn shape(rows: i64, columns: i64, job: &str) -> Result<Shape, Error> {
    match (u32::try_from(rows), u32::try_from(columns)) {
        (Ok(rows), Ok(columns)) => Ok(Shape { rows, columns }),
        (_, _) => Err(row::corrupt(format!("input of job {job}"), "matrix_rows")),
    }
}
