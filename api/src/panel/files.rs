//! Files on their way out: opened piece by piece as they are sent.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use shared::computation::FileKind;
use shared::id::{JobId, PanelId};
use shared::job::LearnSpec;
use shared::limits::PIECE_BYTES;
use shared::seal::ContentKey;
use shared::store::Store;
use zeroize::Zeroizing;

use crate::answer::Error;

/// Uploaded files belong to every run of a job.
pub(crate) const EVERY_ROUND: u32 = 0;

/// A file of a job.
pub(crate) struct File {
    pub(crate) panel: PanelId,
    /// The run that made it, or a run of the job it was uploaded for.
    pub(crate) job: JobId,
    /// The round that made it; [`EVERY_ROUND`] for what was uploaded.
    pub(crate) round: u32,
    pub(crate) kind: FileKind,
    pub(crate) bytes: u64,
    pub(crate) key: ContentKey,
}

/// Answers with a file. What breaks off after its first piece breaks off the answer.
///
/// # Errors
/// When its first piece is not there.
pub(crate) async fn download(store: &Store, file: File) -> Result<Response, Error> {
    let gone = || Error::Unknown(format!("`jobID` is {}: there is no such file", file.panel));
    let first = piece(store, &file, 0).await?.ok_or_else(gone)?;
    let (kind, name) = match file.kind {
        FileKind::Model => ("application/json", "json"),
        FileKind::Feature | FileKind::Target | FileKind::Testing | FileKind::Result => {
            ("text/csv; charset=utf-8", "csv")
        }
    };
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::CONTENT_LENGTH, file.bytes.to_string()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{}.{name}\"", file.kind.as_str()),
        ),
    ];
    let pieces = pieces_of(&file);
    let (store, file) = (store.clone(), Arc::new(file));
    let body = stream::unfold((0, Some(first)), move |(number, ready)| {
        let (store, file) = (store.clone(), Arc::clone(&file));
        async move {
            if number == pieces {
                return None;
            }
            let opened = match ready {
                Some(first) => Ok(Some(first)),
                None => piece(&store, &file, number).await,
            };
            match opened {
                Ok(Some(opened)) => Some((Ok(Bytes::from_owner(opened)), (number + 1, None))),
                Ok(None) => Some((Err(Error::Internal), (pieces, None))),
                Err(error) => Some((Err(error), (pieces, None))),
            }
        }
    });
    Ok((headers, Body::from_stream(body)).into_response())
}

fn pieces_of(file: &File) -> u32 {
    file.bytes.div_ceil(PIECE_BYTES as u64) as u32
}

async fn piece(
    store: &Store,
    file: &File,
    number: u32,
) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let Some(sealed) = store.file_piece(file.job, file.kind, number).await? else {
        return Ok(None);
    };
    let pieces = match file.round {
        EVERY_ROUND => 0,
        _ => pieces_of(file),
    };
    let context = LearnSpec::piece_context(file.panel, file.round, file.kind, number, pieces);
    let opened = file.key.open_piece(&context, &sealed).map_err(|error| {
        tracing::error!(%error, job = %file.job, "a piece of a file does not open");
        Error::Internal
    })?;
    Ok(Some(opened))
}
