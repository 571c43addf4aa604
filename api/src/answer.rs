//! What every `/model/*` call answers: the seed's envelope around data, or around one sentence.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// What a handler returns.
pub(crate) type Answer = Result<Data, Error>;

/// A success: `{"code":200,"data":..,"message":null}`.
#[derive(Debug)]
pub(crate) struct Data(pub(crate) Value);

/// A refusal: `{"code":<status>,"data":null,"message":<sentence>}`. Sentences name the field, its
/// value and the rule, and never quote SQL, rows or secrets.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The request breaks a rule that the API can see.
    #[error("{0}")]
    Invalid(String),
    /// The caller is no participant.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing.
    #[error("{0}")]
    Unknown(String),
    /// The path exists, the method does not.
    #[error(
        "this path does not take the method of the request; the header Allow lists those it takes"
    )]
    Method,
    /// The request took too long to arrive or to be answered.
    #[error("{0}")]
    Late(String),
    /// The request is well formed, and the job or model is in the wrong state for it.
    #[error("{0}")]
    Conflict(String),
    /// The body is longer than allowed.
    #[error("the body is too long: at most {0} bytes are taken")]
    TooLarge(usize),
    /// The store does not answer; nothing of the request was kept.
    #[error("the store cannot be reached at the moment: try again later")]
    Store,
    /// What this process needs is missing.
    #[error("not ready; missing: {}", .0.join(", "))]
    NotReady(Vec<String>),
    /// A defect of Concord.
    #[error("an internal error; the server's log has the details")]
    Internal,
}

impl Error {
    /// The HTTP status, which is the envelope's `code` too.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Error::Invalid(_) => StatusCode::BAD_REQUEST,
            Error::Forbidden(_) => StatusCode::FORBIDDEN,
            Error::Unknown(_) => StatusCode::NOT_FOUND,
            Error::Method => StatusCode::METHOD_NOT_ALLOWED,
            Error::Late(_) => StatusCode::REQUEST_TIMEOUT,
            Error::Conflict(_) => StatusCode::CONFLICT,
            Error::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Error::Store | Error::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Data {
    fn into_response(self) -> Response {
        envelope(StatusCode::OK, self.0, Value::Null)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        envelope(self.status(), Value::Null, Value::String(self.to_string()))
    }
}

/// The envelope alone, for who is not answered by HTTP; the same bytes.
pub(crate) fn bytes(answer: &Answer) -> Vec<u8> {
    let text = match answer {
        Ok(Data(data)) => text(StatusCode::OK, data, &Value::Null),
        Err(error) => text(error.status(), &Value::Null, &error.to_string().into()),
    };
    text.into_bytes()
}

fn text(status: StatusCode, data: &Value, message: &Value) -> String {
    json!({ "code": status.as_u16(), "data": data, "message": message }).to_string()
}

fn envelope(status: StatusCode, data: Value, message: Value) -> Response {
    let body = text(status, &data, &message);
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, body).into_response()
}
