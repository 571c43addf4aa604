//! How much an account stores.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::read::read;
use super::{Email, Error, Store, postgres, sqlite};
use crate::limits;

/// Bytes of the files, uploaded and made, that the live panel jobs of this creator have; once per
/// database.
macro_rules! bytes_held {
    ($connection:ident, $creator:expr) => {{
        use diesel::dsl::sum;
        use $crate::store::files::length;
        use $crate::store::schema::{made_pieces, panel_runs, panels, uploaded_pieces, uploads};
        let live = panels::table
            .filter(panels::creator.eq($creator))
            .filter(panels::deleted_at.is_null());
        let taken = uploads::table
            .filter(uploads::panel.eq_any(live.clone().select(panels::number.nullable())))
            .select(uploads::id);
        let uploaded: Option<i64> = uploaded_pieces::table
            .filter(uploaded_pieces::upload.eq_any(taken))
            .select(sum(length(uploaded_pieces::sealed)))
            .get_result($connection)
            .await?;
        let runs = panel_runs::table
            .filter(panel_runs::panel.eq_any(live.select(panels::number)))
            .select(panel_runs::job);
        let made: Option<i64> = made_pieces::table
            .filter(made_pieces::job.eq_any(runs))
            .select(sum(length(made_pieces::sealed)))
            .get_result($connection)
            .await?;
        let bytes = uploaded.unwrap_or_default() + made.unwrap_or_default();
        bytes.unsigned_abs()
    }};
}
pub(super) use bytes_held;

impl Store {
    /// Bytes of the files, uploaded and made, that the live panel jobs of an account have.
    ///
    /// # Errors
    /// An outage.
    pub async fn file_bytes_of(&self, creator: &Email) -> Result<u64, Error> {
        Ok(read!(self, readers, |connection, _now| bytes_held!(
            connection,
            creator.as_str()
        )))
    }
}
