//! Concord's HTTP edge: takes jobs, answers polls, keeps nothing between two requests.
//!
//! One file per verb in `routes/`; jobs also come in batches through a queue (`batch`), by the same
//! code. What a request may say is read field by field
//! (`train_request`, `infer_request`, `hyperparameters`), what is answered has one envelope
//! (`answer`), and the seed's words for our states are in `wording`. Who may ask for what stands in
//! `callers`, by `token`, `password` and `rate`. Jobs of accounts instead of parties are the `panel`'s.

mod answer;
mod base;
mod batch;
mod callers;
pub mod check;
mod fields;
mod hyperparameters;
mod idempotency;
mod infer_request;
mod jobs;
mod json;
mod panel;
pub mod password;
mod rate;
mod readiness;
mod request;
mod routes;
mod secret_field;
mod serve;
mod sql;
mod submission;
mod tls;
mod token;
mod train_request;
mod wording;

use std::sync::Arc;

use axum::Router;
use shared::bus::Bus;
use shared::session::Directory;
use shared::store::Store;
use tokio::sync::Notify;

pub use base::{Base, BaseError};
pub use batch::take_batches;
pub use callers::{Accounts, Callers};
pub use readiness::{Needs, probes};
pub use serve::{Limits, serve};
pub use tls::{Tls, TlsError};
pub use token::{Secrets, SecretsError};
pub use wording::civil;

/// What every request is answered from.
#[derive(Clone)]
pub struct State {
    /// Where jobs are.
    pub store: Store,
    /// Where a new job is hinted at; the sweep repeats what is lost.
    pub bus: Bus,
    /// Rung after each new job, so that a sweep in this process looks at once.
    pub submitted: Arc<Notify>,
    /// The parties' public keys: what the panel's inputs and files are sealed to.
    pub directory: Arc<Directory>,
    /// Whose word counts.
    pub callers: Callers,
    /// How clients reach this server; `None` takes the request's header Host.
    pub base: Option<Base>,
    /// Unix milliseconds.
    pub now: fn() -> i64,
}

/// The API as a service.
pub fn app(state: State) -> Router {
    routes::router(state)
}

#[cfg(test)]
mod tests;
