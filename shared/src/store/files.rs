//! Files that are learned from and made, in sealed pieces; their key is not the store's.

use std::collections::BTreeMap;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Binary;
use diesel_async::{AsyncConnection, RunQueryDsl};
use uuid::Uuid;

use super::change::{milliseconds, unfit};
use super::moves::Row;
use super::read::read;
use super::row::{self, JobRow};
use super::schema::{jobs, made_pieces, panel_runs, panels, uploaded_pieces, uploads};
use super::{Error, Store, postgres, sqlite, write};
use crate::computation::FileKind;
use crate::id::JobId;
use crate::job::{Fence, JobStatus, Kind};
use crate::limits;

diesel::define_sql_function! {
    /// How many bytes there are.
    fn length(bytes: Binary) -> Integer;
}

/// Files on their way in, until a panel job takes them over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UploadId(pub Uuid);

/// File, number and bytes of a piece that is there.
pub(super) type PieceTuple = (String, i64, i32);

/// What came of a piece that a session made.
enum Kept {
    Yes,
    /// The session has not the job.
    Stale,
    /// No file of the job has such a piece.
    Unfit(crate::id::PartyId),
}

impl Store {
    /// A place for the pieces of files.
    ///
    /// # Errors
    /// An outage.
    pub async fn begin_upload(&self) -> Result<UploadId, Error> {
        let upload = Uuid::new_v4();
        write!(self, async |connection, now| {
            diesel::insert_into(uploads::table)
                .values((
                    uploads::id.eq(upload.to_string()),
                    uploads::begun_at.eq(now),
                ))
                .execute(connection)
                .await?;
            Ok(UploadId(upload))
        })
    }

    /// Keeps a piece of an uploaded file, in the place of an earlier one.
    ///
    /// # Errors
    /// An outage; [`Error::NoUpload`] when it is gone or a job's already; [`Error::Oversized`].
    pub async fn put_piece(
        &self,
        upload: UploadId,
        file: FileKind,
        piece: u32,
        sealed: Vec<u8>,
    ) -> Result<(), Error> {
        let pieces = pieces_of(limits::FILE_BYTES_MAX as u64) as usize;
        at_most("piece of a file", piece as usize, pieces - 1)?;
        at_most("bytes of a piece", sealed.len(), SEALED_BYTES_MAX)?;
        let upload = upload.0.to_string();
        write!(self, async |connection, _now| {
            let unused = uploads::table
                .find(&upload)
                .filter(uploads::panel.is_null())
                .select(uploads::begun_at);
            let found: Option<i64> = unused.first(connection).await.optional()?;
            if found.is_none() {
                return Err(Error::NoUpload);
            }
            diesel::insert_into(uploaded_pieces::table)
                .values((
                    uploaded_pieces::upload.eq(&upload),
                    uploaded_pieces::file.eq(file.as_str()),
                    uploaded_pieces::piece.eq(i64::from(piece)),
                    uploaded_pieces::sealed.eq(&sealed),
                ))
                .on_conflict((
                    uploaded_pieces::upload,
                    uploaded_pieces::file,
                    uploaded_pieces::piece,
                ))
                .do_update()
                .set(uploaded_pieces::sealed.eq(&sealed))
                .execute(connection)
                .await?;
            Ok(())
        })
    }

    /// Forgets an upload that no job took over.
    ///
    /// # Errors
    /// An outage.
    pub async fn drop_upload(&self, upload: UploadId) -> Result<(), Error> {
        let upload = upload.0.to_string();
        write!(self, async |connection, _now| {
            diesel::delete(
                uploads::table
                    .find(&upload)
                    .filter(uploads::panel.is_null()),
            )
            .execute(connection)
            .await?;
            Ok(())
        })
    }

    /// Forgets uploads that were begun at least `older` ago and that no job took over; how many.
    ///
    /// # Errors
    /// An outage.
    pub async fn drop_stale_uploads(&self, older: Duration) -> Result<u64, Error> {
        let older = milliseconds(older);
        let first: Option<i64> = read!(self, writers, |connection, _now| {
            uploads::table
                .filter(uploads::panel.is_null())
                .select(diesel::dsl::min(uploads::begun_at))
                .first(connection)
                .await?
        });
        // Most looks find nothing, and hold up no writer.
        if first.is_none() {
            return Ok(0);
        }
        write!(self, async |connection, now| {
            let stale = uploads::table
                .filter(uploads::panel.is_null())
                .filter(uploads::begun_at.le(now.saturating_sub(older)));
            let dropped = diesel::delete(stale).execute(connection).await?;
            Ok(dropped as u64)
        })
    }

    /// A piece of a file that was uploaded for a run, or that the run, now finished, made.
    ///
    /// # Errors
    /// An outage.
    pub async fn file_piece(
        &self,
        job: JobId,
        file: FileKind,
        piece: u32,
    ) -> Result<Option<Vec<u8>>, Error> {
        if !is_made(file) {
            return self.uploaded_piece(job, file, piece).await;
        }
        Ok(read!(self, readers, |connection, _now| {
            made_pieces::table
                .inner_join(jobs::table)
                .filter(made_pieces::job.eq(job.to_string()))
                .filter(made_pieces::file.eq(file.as_str()))
                .filter(made_pieces::piece.eq(i64::from(piece)))
                .filter(jobs::status.eq(JobStatus::Finished.as_str()))
                .select(made_pieces::sealed)
                .first(connection)
                .await
                .optional()?
        }))
    }

    async fn uploaded_piece(
        &self,
        job: JobId,
        file: FileKind,
        piece: u32,
    ) -> Result<Option<Vec<u8>>, Error> {
        Ok(read!(self, readers, |connection, _now| {
            let panel = panel_runs::table
                .filter(panel_runs::job.eq(job.to_string()))
                .select(panel_runs::panel.nullable());
            let upload = uploads::table
                .filter(uploads::panel.eq_any(panel))
                .select(uploads::id);
            uploaded_pieces::table
                .filter(uploaded_pieces::upload.eq_any(upload))
                .filter(uploaded_pieces::file.eq(file.as_str()))
                .filter(uploaded_pieces::piece.eq(i64::from(piece)))
                .select(uploaded_pieces::sealed)
                .first(connection)
                .await
                .optional()?
        }))
    }

    /// A piece of an uploaded file, for the session that has the job. `None`: the session has not;
    /// `Some(None)`: there is no such piece.
    ///
    /// # Errors
    /// An outage; a row that cannot be read.
    pub async fn fetch(
        &self,
        fence: Fence,
        file: FileKind,
        piece: u32,
    ) -> Result<Option<Option<Vec<u8>>>, Error> {
        let found = read!(self, writers, |connection, _now| {
            jobs::table
                .find(fence.job.to_string())
                .first::<JobRow>(connection)
                .await
                .optional()?
        });
        let row = found.map(Row::try_from).transpose()?;
        if !row.is_some_and(|row| row.held_by(&fence)) {
            return Ok(None);
        }
        match is_made(file) {
            true => Ok(Some(None)),
            false => self.uploaded_piece(fence.job, file, piece).await.map(Some),
        }
    }

    /// Keeps a piece of a file that the session makes, in the place of an earlier one. A piece that
    /// no file of the job can have counts as a failed attempt. False: the session has not the job
    /// (any more).
    ///
    /// # Errors
    /// An outage; a row that cannot be read.
    pub async fn keep(
        &self,
        fence: Fence,
        file: FileKind,
        piece: u32,
        sealed: Vec<u8>,
    ) -> Result<bool, Error> {
        let id = fence.job.to_string();
        let pieces = pieces_of(limits::MADE_FILE_BYTES_MAX as u64);
        let fits = is_made(file) && u64::from(piece) < pieces && sealed.len() <= SEALED_BYTES_MAX;
        let kept = write!(self, move &id, async |connection, _now| {
            let found = jobs::table
                .find(&id)
                .first::<JobRow>(connection)
                .await
                .optional()?;
            let Some(found) = found else {
                return Ok(Kept::Stale);
            };
            let row = Row::try_from(found)?;
            if !row.held_by(&fence) {
                return Ok(Kept::Stale);
            }
            if !fits || row.kind != Kind::Learn {
                return Ok(Kept::Unfit(row.guest));
            }
            diesel::insert_into(made_pieces::table)
                .values((
                    made_pieces::job.eq(&id),
                    made_pieces::file.eq(file.as_str()),
                    made_pieces::piece.eq(i64::from(piece)),
                    made_pieces::sealed.eq(&sealed),
                ))
                .on_conflict((made_pieces::job, made_pieces::file, made_pieces::piece))
                .do_update()
                .set(made_pieces::sealed.eq(&sealed))
                .execute(connection)
                .await?;
            Ok(Kept::Yes)
        })?;
        match kept {
            Kept::Yes => Ok(true),
            Kept::Stale => Ok(false),
            // The next attempt is invited by the sweep.
            Kept::Unfit(guest) => self.fail(fence, unfit(guest)).await.map(|_| false),
        }
    }

    /// Whether the files that a session says it made, as JSON, are those whose pieces it handed in.
    pub(super) async fn has_made(&self, job: JobId, files: &str) -> Result<bool, Error> {
        let files = row::json(files, || format!("job {job}"), "files")?;
        let pieces: Vec<PieceTuple> = read!(self, writers, |connection, _now| {
            made_pieces::table
                .filter(made_pieces::job.eq(job.to_string()))
                .select((
                    made_pieces::file,
                    made_pieces::piece,
                    length(made_pieces::sealed),
                ))
                .load(connection)
                .await?
        });
        Ok(are_whole(&files, &pieces, true))
    }

    /// The key of a run's files, sealed to the worker's party.
    pub(super) async fn worker_key(&self, job: JobId) -> Result<Option<Vec<u8>>, Error> {
        let found: Option<Option<Vec<u8>>> = read!(self, writers, |connection, _now| {
            panel_runs::table
                .inner_join(panels::table)
                .filter(panel_runs::job.eq(job.to_string()))
                .select(panels::worker_key)
                .first(connection)
                .await
                .optional()?
        });
        Ok(found.flatten())
    }
}

const SEALED_BYTES_MAX: usize = limits::PIECE_BYTES + limits::PIECE_OVERHEAD_BYTES_MAX;

/// Whether a run makes such a file; otherwise it is uploaded.
fn is_made(file: FileKind) -> bool {
    match file {
        FileKind::Feature | FileKind::Target | FileKind::Testing => false,
        FileKind::Result | FileKind::Model => true,
    }
}

/// Pieces of a file of so many bytes.
fn pieces_of(bytes: u64) -> u64 {
    bytes.div_ceil(limits::PIECE_BYTES as u64)
}

/// Whether the pieces are all those of files of these lengths, and of no others: each full but the
/// last of its file, give or take what sealing adds.
pub(super) fn are_whole(
    files: &BTreeMap<FileKind, u64>,
    pieces: &[PieceTuple],
    made: bool,
) -> bool {
    let mut due: BTreeMap<(&str, i64), usize> = BTreeMap::new();
    for (&file, &bytes) in files {
        let most = match made {
            true => limits::MADE_FILE_BYTES_MAX,
            false => limits::FILE_BYTES_MAX,
        };
        if is_made(file) != made || !(1..=most as u64).contains(&bytes) {
            return false;
        }
        let mut left = bytes as usize;
        for piece in 0..pieces_of(bytes) {
            let full = left.min(limits::PIECE_BYTES);
            due.insert((file.as_str(), piece as i64), full);
            left -= full;
        }
    }
    pieces.len() == due.len()
        && pieces.iter().all(|(file, piece, sealed)| {
            let full = due.get(&(file.as_str(), *piece));
            let sealed = usize::try_from(*sealed).unwrap_or_default();
            full.is_some_and(|&full| {
                (full..=full + limits::PIECE_OVERHEAD_BYTES_MAX).contains(&sealed)
            })
        })
}

pub(super) fn at_most(what: &'static str, found: usize, most: usize) -> Result<(), Error> {
    match found <= most {
        true => Ok(()),
        false => Err(Error::Oversized { what, found, most }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(all: &[(FileKind, i64, usize)]) -> Vec<PieceTuple> {
        let each = all.iter();
        each.map(|&(file, piece, bytes)| (file.as_str().to_owned(), piece, bytes as i32))
            .collect()
    }

    #[test]
    fn files_are_whole_when_every_piece_has_its_length_and_none_is_too_many() {
        use FileKind::{Feature, Model, Result};
        const FULL: usize = limits::PIECE_BYTES + 40;
        let files = BTreeMap::from([(Result, limits::PIECE_BYTES as u64 + 5), (Model, 7)]);
        let right = [(Result, 0, FULL), (Result, 1, 45), (Model, 0, 47)];
        let whole = |all: &[_]| are_whole(&files, &pieces(all), true);
        assert!(whole(&right));
        for missing in 0..3 {
            let mut fewer = right.to_vec();
            fewer.remove(missing);
            assert!(!whole(&fewer));
        }
        for (place, other) in [
            (0, (Result, 0, FULL - 41)),
            (0, (Result, 2, FULL)),
            (1, (Result, 1, FULL)),
            (1, (Result, 1, 4)),
            (1, (Result, -1, 45)),
            (2, (Feature, 0, 47)),
            (2, (Model, 0, 7 + limits::PIECE_OVERHEAD_BYTES_MAX + 1)),
        ] {
            let mut wrong = right;
            wrong[place] = other;
            assert!(!whole(&wrong), "{other:?}");
        }
        let more = [right.as_slice(), &[(Model, 1, 47)]].concat();
        assert!(!whole(&more));
        assert!(are_whole(&BTreeMap::new(), &[], true));
    }

    #[test]
    fn a_file_is_uploaded_or_made_and_has_a_length() {
        let one = |file, bytes: usize, made| {
            let mut all = Vec::new();
            let mut left = bytes;
            while left > 0 {
                let full = left.min(limits::PIECE_BYTES);
                all.push((file, all.len() as i64, full));
                left -= full;
            }
            are_whole(&[(file, bytes as u64)].into(), &pieces(&all), made)
        };
        assert!(one(FileKind::Feature, limits::FILE_BYTES_MAX, false));
        assert!(!one(FileKind::Feature, limits::FILE_BYTES_MAX + 1, false));
        assert!(one(FileKind::Result, limits::MADE_FILE_BYTES_MAX, true));
        assert!(!one(
            FileKind::Result,
            limits::MADE_FILE_BYTES_MAX + 1,
            true
        ));
        assert!(!one(FileKind::Feature, 1, true) && !one(FileKind::Model, 1, false));
        assert!(!one(FileKind::Feature, 0, false));
        let huge = BTreeMap::from([(FileKind::Model, u64::MAX)]);
        assert!(!are_whole(&huge, &[], true));
    }
}
