//! The end of a panel job, at once and for all.

use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};

use super::ECHO_OF_DELETED;
use crate::id::PanelId;
use crate::store::moves::Row;
use crate::store::row::{JobChange, JobRow};
use crate::store::schema::{
    checkpoints, computed_results, inputs, jobs, learned_results, made_pieces, panel_participants,
    panel_runs, panels, requests, uploads,
};
use crate::store::{Applied, Error, Store, write};

/// Deletes what all runs of the panel job with this number took and made; once per database.
macro_rules! clear_runs {
    ($connection:ident, $panel:expr, $($table:ident)*) => {{
        $({
            let runs = panel_runs::table
                .filter(panel_runs::panel.eq($panel))
                .select(panel_runs::job);
            diesel::delete($table::table.filter($table::job.eq_any(runs)))
                .execute($connection)
                .await?;
        })*
    }};
}

impl Store {
    /// Deletes a panel job at once, running or not, with its inputs, files, keys and results; its
    /// name is free again. Its runs stay as jobs that nobody takes part in, the last one cancelled
    /// if it had not ended. False: there is no such job.
    ///
    /// # Errors
    /// An outage; a row that cannot be read.
    pub async fn delete_panel(&self, id: PanelId) -> Result<bool, Error> {
        loop {
            let Some(current) = self.current_run(id).await? else {
                return Ok(false);
            };
            let (job, panel) = (current.id.to_string(), id.to_string());
            let deleted = write!(self, move &job, async |connection, now| {
                let live = panels::table
                    .filter(panels::id.eq(&panel))
                    .filter(panels::job.eq(&job))
                    .filter(panels::deleted_at.is_null());
                let number: Option<i64> = live
                    .select(panels::number)
                    .first(connection)
                    .await
                    .optional()?;
                let Some(number) = number else {
                    return Ok(false);
                };
                let found: JobRow = jobs::table.find(&job).first(connection).await?;
                let mut row = Row::try_from(found)?;
                if row.cancel(now) == Applied::Ended {
                    diesel::update(jobs::table.find(&job))
                        .set(JobChange::from(&row))
                        .execute(connection)
                        .await?;
                }
                clear_runs!(connection, number,
                    checkpoints inputs made_pieces computed_results learned_results);
                let runs = panel_runs::table
                    .filter(panel_runs::panel.eq(number))
                    .select(panel_runs::job);
                // What was told of it named its participants.
                diesel::update(requests::table.filter(requests::job.eq_any(runs)))
                    .set(requests::echo.eq(ECHO_OF_DELETED))
                    .execute(connection)
                    .await?;
                // Why it ended may quote what it computed with.
                let runs = panel_runs::table
                    .filter(panel_runs::panel.eq(number))
                    .select(panel_runs::job);
                let ended: Vec<JobRow> = jobs::table
                    .filter(jobs::id.eq_any(runs))
                    .load(connection)
                    .await?;
                for found in ended {
                    let mut row = Row::try_from(found)?;
                    let Some(reason) = &mut row.report.reason else {
                        continue;
                    };
                    reason.text.clear();
                    diesel::update(jobs::table.find(row.job.to_string()))
                        .set(JobChange::from(&row))
                        .execute(connection)
                        .await?;
                }
                // With their pieces.
                diesel::delete(uploads::table.filter(uploads::panel.eq(number)))
                    .execute(connection)
                    .await?;
                let of_panel = panel_participants::panel.eq(number);
                diesel::delete(panel_participants::table.filter(of_panel))
                    .execute(connection)
                    .await?;
                diesel::update(panels::table.find(number))
                    .set((
                        panels::name.eq(""),
                        panels::worker_key.eq(None::<Vec<u8>>),
                        panels::api_key.eq(None::<Vec<u8>>),
                        panels::updated_at.eq(now),
                        panels::deleted_at.eq(now),
                    ))
                    .execute(connection)
                    .await?;
                Ok(true)
            })?;
            // Otherwise somebody else deleted it, or ran it again: looked at anew.
            if deleted {
                return Ok(true);
            }
        }
    }
}
