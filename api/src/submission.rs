//! A request for a job, through whichever door it came.

use serde_json::Value;

use crate::State;
use crate::answer::Answer;
use crate::callers::Caller;
use crate::idempotency::Idempotency;
use crate::routes::{model_infer, model_train};

/// The requests that make jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Train,
    Infer,
}

impl Route {
    /// Both.
    pub(crate) const ALL: [Route; 2] = [Route::Train, Route::Infer];

    /// By its path.
    pub(crate) fn of(path: &str) -> Option<Route> {
        Route::ALL.into_iter().find(|route| route.path() == path)
    }

    /// Where HTTP takes it; its `type` in a queue.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Route::Train => "/model/train",
            Route::Infer => "/model/infer",
        }
    }

    /// Makes the job.
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
        }
    }
}
