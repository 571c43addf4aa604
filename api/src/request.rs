//! What handlers take: a body as JSON whatever its Content-Type, or a query string as an object.

use std::error::Error as StdError;
use std::future::poll_fn;
use std::pin::Pin;

use axum::body::HttpBody;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};
use shared::id::OrderId;
use shared::limits::BODY_BYTES_MAX;
use tower_http::timeout::TimeoutError;
use zeroize::Zeroizing;

use crate::answer::{Error, Flat};
use crate::fields::{Fields, shortened};
use crate::{json, secret_field};

/// Bytes of a body that is too long and read nevertheless.
const DISCARDED_BYTES_MAX: u64 = 16 * BODY_BYTES_MAX as u64;

/// The body of a POST.
pub(crate) struct Body(pub(crate) Value);

/// The body of a POST whose field `input` is a secret: without it, and it as JSON text.
pub(crate) struct WithInput(pub(crate) Value, pub(crate) Option<Zeroizing<String>>);

/// What is refused in the dialect of `/sdk/computation/*`.
pub(crate) struct InFlat<T>(pub(crate) T);

/// The query string of a GET: an object of strings.
pub(crate) struct Parameters(pub(crate) Value);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Body, Error> {
        json::parse(&bytes(request).await?).map(Body)
    }
}

impl<S: Send + Sync> FromRequest<S> for WithInput {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<WithInput, Error> {
        const INPUT: &str = "input";
        let mut bytes = bytes(request).await?;
        let input = secret_field::take(&mut bytes, INPUT);
        let mut body = json::parse(&bytes)?;
        let left = body.as_object_mut().and_then(|map| map.remove(INPUT));
        match (&input, left) {
            (None, Some(_)) => Err(Error::Invalid(format!(
                "`{INPUT}` must be spelt without escapes"
            ))),
            _ => Ok(WithInput(body, input)),
        }
    }
}

impl<S: Send + Sync, T: FromRequest<S, Rejection = Error>> FromRequest<S> for InFlat<T> {
    type Rejection = Flat;

    async fn from_request(request: Request, state: &S) -> Result<InFlat<T>, Flat> {
        let taken = T::from_request(request, state).await;
        taken.map(InFlat).map_err(|error| Flat(Err(error)))
    }
}

/// How long a body is that says so; hyper has checked it. One that does not comes in chunks.
pub(crate) fn announced(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

async fn bytes(request: Request) -> Result<Zeroizing<Vec<u8>>, Error> {
    let headers = request.headers();
    let announced = announced(headers);
    let asks_first = headers.contains_key(header::EXPECT);
    if announced > DISCARDED_BYTES_MAX || asks_first && announced > BODY_BYTES_MAX as u64 {
        return Err(Error::TooLarge(BODY_BYTES_MAX));
    }
    collect(request.into_body(), announced).await
}

/// Reads a body to its end. One that is too long is read on for a while and thrown away: a client
/// that is still sending would not see an answer.
async fn collect(mut body: axum::body::Body, announced: u64) -> Result<Zeroizing<Vec<u8>>, Error> {
    let expected = announced.min(BODY_BYTES_MAX as u64) as usize;
    let (mut bytes, mut length) = (Zeroizing::new(Vec::with_capacity(expected)), 0);
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|error| unreadable(&error))?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        length += data.len() as u64;
        if length <= BODY_BYTES_MAX as u64 {
            append(&mut bytes, data);
        } else if length > DISCARDED_BYTES_MAX {
            break;
        }
    }
    if length > BODY_BYTES_MAX as u64 {
        return Err(Error::TooLarge(BODY_BYTES_MAX));
    }
    Ok(bytes)
}

/// A buffer that grew by itself would leave its content behind.
fn append(bytes: &mut Zeroizing<Vec<u8>>, data: &[u8]) {
    let length = bytes.len() + data.len();
    if length > bytes.capacity() {
        let mut longer = Zeroizing::new(Vec::with_capacity(2 * length));
        longer.extend_from_slice(bytes);
        *bytes = longer;
    }
    bytes.extend_from_slice(data);
}

/// Why a body did not come to its end.
pub(crate) fn unreadable(error: &axum::Error) -> Error {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<TimeoutError>() {
            return Error::Late("the body stopped arriving".to_owned());
        }
        cause = error.source();
    }
    Error::Invalid("the body could not be read to its end".to_owned())
}

impl<S: Send + Sync, T: FromRequestParts<S, Rejection = Error>> FromRequestParts<S> for InFlat<T> {
    type Rejection = Flat;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<InFlat<T>, Flat> {
        let taken = T::from_request_parts(parts, state).await;
        taken.map(InFlat).map_err(|error| Flat(Err(error)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Parameters, Error> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| Error::Invalid("the query string is not name=value&..".to_owned()))?;
        let mut map = Map::new();
        for (name, value) in pairs {
            if map.contains_key(&name) {
                let name = shortened(&name);
                return Err(Error::Invalid(format!(
                    "`{name}` occurs twice in the query string"
                )));
            }
            map.insert(name, Value::String(value));
        }
        Ok(Parameters(Value::Object(map)))
    }
}

/// The one field `order_id` of a body or a query string.
///
/// # Errors
/// When it is missing or no id, or when there is another field.
pub(crate) fn order_id(request: &Value) -> Result<OrderId, Error> {
    let mut fields = Fields::of(request)?;
    let id = fields.required("order_id")?.outside_id()?;
    fields.finish()?;
    Ok(OrderId(id))
}
