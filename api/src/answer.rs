//! What every `/model/*` call answers: the seed's envelope around data, or around one sentence; and
//! what `/sdk/computation/*` answers: its fields flat beside `code` and `msg`.

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
    /// Nobody knows who calls.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// The caller is another than it must be.
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
    /// The request is well formed, and what it brings does not fit what is there.
    #[error("{0}")]
    Unfit(String),
    /// A part of the body is longer than allowed.
    #[error("{0}")]
    Long(String),
    /// The body is longer than allowed.
    #[error("the body is too long: at most {0} bytes are taken")]
    TooLarge(usize),
    /// The caller asked too often; the seconds after which it may ask again.
    #[error("too many requests: try again in {0} s")]
    Busy(u64),
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
            Error::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Error::Forbidden(_) => StatusCode::FORBIDDEN,
            Error::Unknown(_) => StatusCode::NOT_FOUND,
            Error::Method => StatusCode::METHOD_NOT_ALLOWED,
            Error::Late(_) => StatusCode::REQUEST_TIMEOUT,
            Error::Conflict(_) => StatusCode::CONFLICT,
            Error::Unfit(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Error::Long(_) | Error::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Error::Busy(_) => StatusCode::TOO_MANY_REQUESTS,
            Error::Store | Error::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Data {
    fn into_response(self) -> Response {
        respond(StatusCode::OK, text(StatusCode::OK, &self.0, &Value::Null))
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let message = Value::String(self.to_string());
        refuse(&self, text(self.status(), &Value::Null, &message))
    }
}

/// An answer of `/sdk/computation/*`; a success is an object of the fields beside `code` and `msg`,
/// which is "success" unless it is one of them.
#[derive(Debug)]
pub(crate) struct Flat(pub(crate) Result<Value, Error>);

impl IntoResponse for Flat {
    fn into_response(self) -> Response {
        match self.0 {
            Ok(fields) => respond(StatusCode::OK, flat(fields)),
            Err(error) => refuse(&error, flat_refusal(&error)),
        }
    }
}

fn flat(mut fields: Value) -> String {
    fields["code"] = StatusCode::OK.as_u16().into();
    if fields.get("msg").is_none() {
        fields["msg"] = "success".into();
    }
    fields.to_string()
}

fn flat_refusal(error: &Error) -> String {
    json!({ "code": error.status().as_u16(), "msg": error.to_string() }).to_string()
}

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// [`Data`]'s.
    Envelope,
    /// [`Flat`]'s.
    Flat,
}

/// The answer alone, for who is not answered by HTTP; the same bytes.
pub(crate) fn bytes(dialect: Dialect, answer: &Answer) -> Vec<u8> {
    let text = match (dialect, answer) {
        (Dialect::Envelope, Ok(Data(data))) => text(StatusCode::OK, data, &Value::Null),
        (Dialect::Envelope, Err(error)) => {
            text(error.status(), &Value::Null, &error.to_string().into())
        }
        (Dialect::Flat, Ok(Data(fields))) => flat(fields.clone()),
        (Dialect::Flat, Err(error)) => flat_refusal(error),
    };
    text.into_bytes()
}

fn text(status: StatusCode, data: &Value, message: &Value) -> String {
    json!({ "code": status.as_u16(), "data": data, "message": message }).to_string()
}

fn refuse(error: &Error, body: String) -> Response {
    let mut response = respond(error.status(), body);
    if let Error::Busy(seconds) = error {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, (*seconds).into());
    }
    response
}

fn respond(status: StatusCode, body: String) -> Response {
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, body).into_response()
}
