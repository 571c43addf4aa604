//! A request for a job that comes through two doors, HTTP and the queue.

use serde_json::{Value, json};
use shared::store::Email;

use crate::State;
use crate::answer::{Answer, Dialect};
use crate::callers::Caller;
use crate::idempotency::Idempotency;
use crate::panel;
use crate::routes::{create_job_by_input, model_infer, model_train};

/// The requests that make jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Train,
    Infer,
    Compute,
}

impl Route {
    /// All of them. Files do not fit into a queue.
    pub(crate) const ALL: [Route; 3] = [Route::Train, Route::Infer, Route::Compute];

    /// By its path.
    pub(crate) fn of(path: &str) -> Option<Route> {
        Route::ALL.into_iter().find(|route| route.path() == path)
    }

    /// Where HTTP takes it; its `type` in a queue.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Route::Train => "/model/train",
            Route::Infer => "/model/infer",
            Route::Compute => panel::BY_INPUT,
        }
    }

    /// How it is answered.
    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Route::Train | Route::Infer => Dialect::Envelope,
            Route::Compute => Dialect::Flat,
        }
    }

    /// What a caller's name for a request stands for: jobs of the panel are an account's, others a
    /// party's, which the body names.
    pub(crate) fn named(self, caller: &Caller, body: &Value) -> Value {
        match self {
            Route::Train | Route::Infer => body.clone(),
            Route::Compute => {
                json!({ "body": body, "by": caller.email().map(Email::as_str) })
            }
        }
    }

    /// Makes the job that a queue asks for.
    pub(crate) async fn take(
        self,
        state: &State,
        caller: &Caller,
        body: &Value,
        name: Option<Idempotency>,
    ) -> Answer {
        match self {
            Route::Train => model_train::take(state, caller, body, name).await,
            Route::Infer => model_infer::take(state, caller, body, name).await,
            Route::Compute => create_job_by_input::take_queued(state, caller, body, name).await,
        }
    }
}
