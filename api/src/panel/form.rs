//! A form with files (RFC 7578), read as it arrives: its parts are many, long or endless only as far
//! as a few bounds allow, and no more of it than a piece is in memory.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, header};
use futures_util::{Stream, StreamExt};
use multer::{Field, Multipart};
use shared::limits::{FORM_BYTES_MAX, FORM_HEADER_BYTES_MAX, FORM_PARTS_MAX, FORM_TEXT_BYTES_MAX};
use zeroize::Zeroizing;

use crate::answer::Error;
use crate::request::{announced, unreadable};

/// Bytes that are handed on at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// Bytes of a boundary (RFC 2046).
const BOUNDARY_BYTES_MAX: usize = 70;

/// The body of a form: counted, and handed on in small chunks.
pub(super) struct Source {
    body: Body,
    chunk: Bytes,
    read: usize,
    /// Whether the last poll gave a chunk: whoever polls on is to look at that first.
    gave: bool,
    /// Bytes until somebody must have got something out of them.
    patience: Arc<AtomicUsize>,
}

impl Source {
    /// The body of a request.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when it says that it is too long.
    pub(super) fn new(headers: &HeaderMap, body: Body) -> Result<Source, Error> {
        if announced(headers) > FORM_BYTES_MAX as u64 {
            return Err(Error::TooLarge(FORM_BYTES_MAX));
        }
        Ok(Source {
            body,
            chunk: Bytes::new(),
            read: 0,
            gave: false,
            patience: Arc::new(AtomicUsize::new(PATIENCE_BYTES)),
        })
    }

    /// Reads on to the end and throws it away: a client that is still sending would not see an
    /// answer.
    ///
    /// # Errors
    /// When there is no end, or it is too far away.
    pub(super) async fn discard(&mut self) -> Result<(), Error> {
        self.patience.store(usize::MAX, Ordering::Relaxed);
        while let Some(chunk) = self.next().await {
            chunk?;
        }
        Ok(())
    }
}

/// As many bytes as one part's header and the chunks around it have at most.
const PATIENCE_BYTES: usize = FORM_HEADER_BYTES_MAX + 2 * CHUNK_BYTES;

impl Stream for Source {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let source = &mut *self;
        if std::mem::take(&mut source.gave) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        while source.chunk.is_empty() {
            let frame = match Pin::new(&mut source.body).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(frame)) => frame.map_err(|error| unreadable(&error))?,
            };
            source.chunk = frame.into_data().unwrap_or_default();
            source.read += source.chunk.len();
            if source.read > FORM_BYTES_MAX {
                return Poll::Ready(Some(Err(Error::TooLarge(FORM_BYTES_MAX))));
            }
        }
        let length = source.chunk.len().min(CHUNK_BYTES);
        let left = source.patience.load(Ordering::Relaxed);
        let Some(left) = left.checked_sub(length) else {
            let sentence = format!(
                "the form is not usable: a part has a header of more than \
                 {FORM_HEADER_BYTES_MAX} bytes, or there is no part"
            );
            return Poll::Ready(Some(Err(Error::Invalid(sentence))));
        };
        source.patience.store(left, Ordering::Relaxed);
        source.gave = true;
        Poll::Ready(Some(Ok(source.chunk.split_to(length))))
    }
}

/// The parts of a form, one after the other.
pub(super) struct Form<'s> {
    parts: Multipart<'s>,
    patience: Arc<AtomicUsize>,
    seen: Vec<String>,
}

/// One part of a form.
pub(super) struct Part<'s> {
    pub(super) name: String,
    field: Field<'s>,
    patience: Arc<AtomicUsize>,
}

impl<'s> Form<'s> {
    /// The form in a body.
    ///
    /// # Errors
    /// When the header Content-Type does not say where its parts end.
    pub(super) fn new(headers: &HeaderMap, source: &'s mut Source) -> Result<Form<'s>, Error> {
        let kind = headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let boundary = multer::parse_boundary(kind).ok();
        let fits = |boundary: &String| (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len());
        let boundary = boundary.filter(fits).ok_or_else(|| {
            Error::Invalid(format!(
                "the header Content-Type must be multipart/form-data with a boundary of 1 to \
                 {BOUNDARY_BYTES_MAX} bytes"
            ))
        })?;
        let patience = Arc::clone(&source.patience);
        Ok(Form {
            parts: Multipart::new(source, boundary),
            patience,
            seen: Vec::new(),
        })
    }

    /// The next part; `None` at the end of the form.
    ///
    /// # Errors
    /// When it is no part, has no name, or one that was there before; when there are too many.
    pub(super) async fn next(&mut self) -> Result<Option<Part<'s>>, Error> {
        let field = self.parts.next_field().await.map_err(refused)?;
        self.patience.store(PATIENCE_BYTES, Ordering::Relaxed);
        let Some(field) = field else {
            return Ok(None);
        };
        if self.seen.len() == FORM_PARTS_MAX {
            let sentence = format!("the form has more than {FORM_PARTS_MAX} parts");
            return Err(Error::Invalid(sentence));
        }
        let Some(name) = field.name().map(str::to_owned) else {
            let sentence = "the form has a part without a name".to_owned();
            return Err(Error::Invalid(sentence));
        };
        if self.seen.contains(&name) {
            let name = crate::fields::shortened(&name);
            return Err(Error::Invalid(format!("`{name}` occurs twice in the form")));
        }
        self.seen.push(name.clone());
        Ok(Some(Part {
            name,
            field,
            patience: Arc::clone(&self.patience),
        }))
    }
}

impl Part<'_> {
    /// The next bytes of it; `None` at its end.
    ///
    /// # Errors
    /// When the body ends before.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let chunk = self.field.chunk().await.map_err(refused)?;
        self.patience.store(PATIENCE_BYTES, Ordering::Relaxed);
        Ok(chunk)
    }

    /// All of it, as text; one pair of quotes around it, which some clients leave there, is taken
    /// off.
    ///
    /// # Errors
    /// When it is long, or no text.
    pub(super) async fn text(mut self) -> Result<String, Error> {
        let mut bytes = Zeroizing::new(Vec::new());
        while let Some(chunk) = self.chunk().await? {
            if bytes.len() + chunk.len() > FORM_TEXT_BYTES_MAX {
                let name = self.name;
                return Err(Error::Long(format!(
                    "`{name}` is too long: at most {FORM_TEXT_BYTES_MAX} bytes are taken"
                )));
            }
            bytes.extend_from_slice(&chunk);
        }
        let text = std::str::from_utf8(&bytes);
        let text = text.map_err(|_| Error::Invalid(format!("`{}` is not UTF-8", self.name)))?;
        Ok(unquoted(text).to_owned())
    }
}

/// Without the quotes around it, if they belong together.
fn unquoted(text: &str) -> &str {
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    inner.filter(|inner| !inner.contains('"')).unwrap_or(text)
}

/// Nothing of the form is repeated.
fn refused(error: multer::Error) -> Error {
    let problem = match error {
        multer::Error::StreamReadFailed(cause) => {
            return match cause.downcast() {
                Ok(error) => *error,
                Err(_) => Error::Internal,
            };
        }
        multer::Error::IncompleteFieldData { .. } | multer::Error::IncompleteStream => {
            "it ends before its last boundary, or has another one than the header Content-Type says"
        }
        multer::Error::ReadHeaderFailed(_)
        | multer::Error::IncompleteHeaders
        | multer::Error::DecodeHeaderName { .. }
        | multer::Error::DecodeHeaderValue { .. } => "a part has a malformed header",
        _ => "it is no form",
    };
    Error::Invalid(format!("the form is not usable: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::unquoted;

    #[test]
    fn one_pair_of_quotes_is_taken_off_and_broken_ones_are_text() {
        for (text, meant) in [
            ("\"Decision Tree\"", "Decision Tree"),
            ("Decision Tree", "Decision Tree"),
            ("\"decision tree\" test\"", "\"decision tree\" test\""),
            ("\"", "\""),
            ("\"\"", ""),
            ("\"\"x\"\"", "\"\"x\"\""),
            ("", ""),
            ("\"a", "\"a"),
        ] {
            assert_eq!(unquoted(text), meant);
        }
    }
}
