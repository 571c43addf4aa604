//! What handlers take: a body as JSON whatever its Content-Type, or a query string as an object.

use std::error::Error as StdError;
use std::future::poll_fn;
use std::pin::Pin;

use axum::body::HttpBody;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::header;
use axum::http::request::Parts;
use serde_json::{Map, Value};
use shared::id::OrderId;
use shared::limits::BODY_BYTES_MAX;
use tower_http::timeout::TimeoutError;

use crate::answer::Error;
use crate::fields::{Fields, shortened};
use crate::json;

/// Bytes of a body that is too long and read nevertheless.
const DISCARDED_BYTES_MAX: u64 = 16 * BODY_BYTES_MAX as u64;

/// The body of a POST.
pub(crate) struct Body(pub(crate) Value);

/// The query string of a GET: an object of strings.
pub(crate) struct Parameters(pub(crate) Value);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Body, Error> {
        let headers = request.headers();
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok());
        // hyper has checked it; a body without one comes in chunks.
        let announced = announced
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        let asks_first = headers.contains_key(header::EXPECT);
        if announced > DISCARDED_BYTES_MAX || asks_first && announced > BODY_BYTES_MAX as u64 {
            return Err(Error::TooLarge(BODY_BYTES_MAX));
        }
        let bytes = collect(request.into_body()).await?;
        json::parse(&bytes).map(Body)
    }
}

/// Reads a body to its end. One that is too long is read on for a while and thrown away: a client
/// that is still sending would not see an answer.
async fn collect(mut body: axum::body::Body) -> Result<Vec<u8>, Error> {
    let (mut bytes, mut length) = (Vec::new(), 0);
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|error| unreadable(&error))?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        length += data.len() as u64;
        if length <= BODY_BYTES_MAX as u64 {
            bytes.extend_from_slice(data);
        } else if length > DISCARDED_BYTES_MAX {
            break;
        }
    }
    if length > BODY_BYTES_MAX as u64 {
        return Err(Error::TooLarge(BODY_BYTES_MAX));
    }
    Ok(bytes)
}

fn unreadable(error: &axum::Error) -> Error {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<TimeoutError>() {
            return Error::Late("the body stopped arriving".to_owned());
        }
        cause = error.source();
    }
    Error::Invalid("the body could not be read to its end".to_owned())
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
