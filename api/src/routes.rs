//! One file per verb.

mod board;
mod health;
mod infer_status;
mod model_board_url;
mod model_cancel;
pub(crate) mod model_infer;
mod model_info;
mod model_list;
mod model_report;
mod model_result;
pub(crate) mod model_train;
mod train_status;

use axum::Router;
use axum::routing::{get, post};

use crate::answer::Error;
use crate::{State, readiness};

/// Every path of the API.
pub(crate) fn router(state: State) -> Router {
    Router::new()
        .route("/model/train", post(model_train::handle))
        .route("/model/train_status", get(train_status::handle))
        .route("/model/info", get(model_info::handle))
        .route("/model/infer", post(model_infer::handle))
        .route("/model/infer_status", get(infer_status::handle))
        .route("/model/board_url", get(model_board_url::handle))
        .route("/model/list", get(model_list::handle))
        .route("/model/cancel", post(model_cancel::handle))
        .route("/model/report", get(model_report::handle))
        .route("/model/result", get(model_result::handle))
        .route("/health", get(health::handle))
        .route("/ready", get(readiness::ready))
        .route("/board", get(board::page))
        .route("/board.css", get(board::style))
        .route("/board.js", get(board::script))
        .method_not_allowed_fallback(async || Error::Method)
        .fallback(async || Error::Unknown("there is nothing at this path".to_owned()))
        .with_state(state)
}
