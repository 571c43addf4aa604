//! Files that are learned from and made, in sealed pieces; their key is not the store's.

use std::time::Duration;

use uuid::Uuid;

use super::{Error, Store};
use crate::computation::FileKind;
use crate::id::JobId;
use crate::job::Fence;

/// Files on their way in, until a panel job takes them over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UploadId(pub Uuid);

impl Store {
    /// A place for the pieces of files.
    ///
    /// # Errors
    /// An outage.
    pub async fn begin_upload(&self) -> Result<UploadId, Error> {
        todo!()
    }

    /// Keeps a piece of an uploaded file, in the place of an earlier one.
    ///
    /// # Errors
    /// An outage; [`Error::NoUpload`] when it is gone or a job's already, [`Error::Oversized`].
    pub async fn put_piece(
        &self,
        _upload: UploadId,
        _file: FileKind,
        _piece: u32,
        _sealed: Vec<u8>,
    ) -> Result<(), Error> {
        todo!()
    }

    /// Forgets an upload that no job took over.
    ///
    /// # Errors
    /// An outage.
    pub async fn drop_upload(&self, _upload: UploadId) -> Result<(), Error> {
        todo!()
    }

    /// Forgets the uploads that were begun at least `older` ago and that no job took over; how many.
    ///
    /// # Errors
    /// An outage.
    pub async fn drop_stale_uploads(&self, _older: Duration) -> Result<u64, Error> {
        todo!()
    }

    /// A piece of a file that was uploaded for a run, or that the run, now finished, made.
    ///
    /// # Errors
    /// An outage.
    pub async fn file_piece(
        &self,
        _job: JobId,
        _file: FileKind,
        _piece: u32,
    ) -> Result<Option<Vec<u8>>, Error> {
        todo!()
    }

    /// A piece of an uploaded file, for the session that has the job. `None`: the session has not;
    /// `Some(None)`: there is no such piece.
    ///
    /// # Errors
    /// An outage; a row that cannot be read.
    pub async fn fetch(
        &self,
        _fence: Fence,
        _file: FileKind,
        _piece: u32,
    ) -> Result<Option<Option<Vec<u8>>>, Error> {
        todo!()
    }

    /// Keeps a piece of a file that the session makes, in the place of an earlier one. False: the
    /// session has not the job.
    ///
    /// # Errors
    /// An outage; [`Error::Oversized`]; a row that cannot be read.
    pub async fn keep(
        &self,
        _fence: Fence,
        _file: FileKind,
        _piece: u32,
        _sealed: Vec<u8>,
    ) -> Result<bool, Error> {
        todo!()
    }
}
