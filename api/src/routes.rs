//! One file per verb.

mod board;
mod create_job_by_file;
pub(crate) mod create_job_by_input;
mod delete_job_by_user;
mod download_dataset;
mod download_result;
mod fill_data;
mod health;
mod infer_status;
mod job_detail_by_user;
mod job_list_by_user;
mod model_board_url;
mod model_cancel;
pub(crate) mod model_infer;
mod model_info;
mod model_list;
mod model_report;
mod model_result;
pub(crate) mod model_train;
mod rerun_job_by_user;
mod security;
mod sub_list_by_user;
mod train_status;
mod user_gen_token;
mod user_info;

use axum::Router;
use axum::http::{Method, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};

use crate::answer::{Error, Flat};
use crate::{State, panel, readiness};

/// A path, its method, and who answers.
pub(crate) type Route = (&'static str, Method, MethodRouter<State>);

/// Every path of the API. `/model/*`, `userInfo` and the panel are for callers that are known, the
/// rest is for everybody.
pub(crate) fn all() -> Vec<Route> {
    vec![
        ("/model/train", Method::POST, post(model_train::handle)),
        (
            "/model/train_status",
            Method::GET,
            get(train_status::handle),
        ),
        ("/model/info", Method::GET, get(model_info::handle)),
        ("/model/infer", Method::POST, post(model_infer::handle)),
        (
            "/model/infer_status",
            Method::GET,
            get(infer_status::handle),
        ),
        (
            "/model/board_url",
            Method::GET,
            get(model_board_url::handle),
        ),
        ("/model/list", Method::GET, get(model_list::handle)),
        ("/model/cancel", Method::POST, post(model_cancel::handle)),
        ("/model/report", Method::GET, get(model_report::handle)),
        ("/model/result", Method::GET, get(model_result::handle)),
        (GEN_TOKEN, Method::POST, post(user_gen_token::handle)),
        (USER_INFO, Method::GET, get(user_info::handle)),
        (
            panel::BY_INPUT,
            Method::POST,
            post(create_job_by_input::handle),
        ),
        (
            panel::BY_FILE,
            Method::POST,
            post(create_job_by_file::handle),
        ),
        (FILL_DATA, Method::POST, post(fill_data::handle)),
        (DELETE_JOB, Method::POST, post(delete_job_by_user::handle)),
        (RERUN_JOB, Method::POST, post(rerun_job_by_user::handle)),
        (JOB_LIST, Method::POST, post(job_list_by_user::handle)),
        (JOB_DETAIL, Method::POST, post(job_detail_by_user::handle)),
        (SUB_LIST, Method::POST, post(sub_list_by_user::handle)),
        (DOWNLOAD_DATASET, Method::GET, get(download_dataset::handle)),
        (DOWNLOAD_RESULT, Method::GET, get(download_result::handle)),
        ("/health", Method::GET, get(health::handle)),
        ("/ready", Method::GET, get(readiness::ready)),
        ("/security", Method::GET, get(security::page)),
        ("/board", Method::GET, get(board::page)),
        ("/board.css", Method::GET, get(board::style)),
        ("/board.js", Method::GET, get(board::script)),
    ]
}

/// What the paths begin with that answer in the other dialect.
const FLAT: &str = "/sdk/computation/";
const GEN_TOKEN: &str = "/sdk/computation/user/genToken";
const USER_INFO: &str = "/sdk/computation/user/userInfo";
const FILL_DATA: &str = "/sdk/computation/panel/fillData";
const DELETE_JOB: &str = "/sdk/computation/panel/deleteJobByUser";
const RERUN_JOB: &str = "/sdk/computation/panel/rerunJobByUser";
const JOB_LIST: &str = "/sdk/computation/panel/jobListByUser";
const JOB_DETAIL: &str = "/sdk/computation/panel/jobDetailByUser";
const SUB_LIST: &str = "/sdk/computation/panel/subListByUser";
const DOWNLOAD_DATASET: &str = "/sdk/computation/panel/downloadDataset";
const DOWNLOAD_RESULT: &str = "/sdk/computation/panel/downloadResult";

/// The API.
pub(crate) fn router(state: State) -> Router {
    all()
        .into_iter()
        .fold(Router::new(), |router, (path, _, handler)| {
            router.route(path, handler)
        })
        .method_not_allowed_fallback(async |uri: Uri| refuse(&uri, Error::Method))
        .fallback(async |uri: Uri| {
            let nothing = "there is nothing at this path".to_owned();
            refuse(&uri, Error::Unknown(nothing))
        })
        .with_state(state)
}

/// In the dialect of the path.
pub(crate) fn refuse(uri: &Uri, error: Error) -> Response {
    match uri.path().starts_with(FLAT) {
        true => Flat(Err(error)).into_response(),
        false => error.into_response(),
    }
}
