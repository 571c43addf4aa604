//! `GET /model/board_url?order_id=`: where each data party can watch a training.

use axum::Extension;
use axum::extract;
use axum::http::HeaderMap;
use serde_json::{Map, Value, json};
use shared::id::OrderId;

use crate::answer::{Answer, Data, Error};
use crate::base::Base;
use crate::callers::Caller;
use crate::request::{Parameters, order_id};
use crate::tls::Encrypted;
use crate::{State, jobs, wording};

pub(super) async fn handle(
    state: extract::State<State>,
    caller: Caller,
    headers: HeaderMap,
    encrypted: Option<Extension<Encrypted>>,
    Parameters(parameters): Parameters,
) -> Answer {
    let order = order_id(&parameters)?;
    let (job, spec) = jobs::training(&state, &caller, order).await?;
    let base = state
        .base
        .clone()
        .or_else(|| Base::of_host(&headers, encrypted.is_some()))
        .ok_or_else(|| {
            Error::Invalid("the header Host must be there once, as a name or address".to_owned())
        })?;
    let base = base.as_str();
    let name = wording::job_name(job.created_at, order);
    let OrderId(order) = order;
    let mut urls = Map::new();
    for party in spec.parties.ascending() {
        let role = if party == spec.parties.guest {
            "guest"
        } else {
            "host"
        };
        let board_party = wording::board_party(party);
        let url = format!(
            "{base}/board#/dashboard?job_id={name}&role={role}&party_id={board_party}\
             &order_id={order}"
        );
        urls.insert(party.to_string(), Value::String(url));
    }
    Ok(Data(json!({ "board_url": urls })))
}
