//! Whether a process can do its work, and what is missing around it: for operators and for what
//! restarts processes.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract;
use axum::routing::get;
use serde_json::json;
use shared::bus::Bus;
use shared::id::PartyId;
use shared::message::queue;
use shared::store::Store;

use crate::State;
use crate::answer::{Answer, Data, Error};

/// What a process needs around it.
#[derive(Clone)]
pub struct Needs {
    /// The store, for the processes that use it.
    pub store: Option<Store>,
    /// The bus.
    pub bus: Bus,
}

/// `GET /health` and `GET /ready` of a process that serves nothing else over HTTP.
pub fn probes(needs: Needs) -> Router {
    Router::new()
        .route("/health", get(async || alive()))
        .route("/ready", get(ready_alone))
        .method_not_allowed_fallback(async || Error::Method)
        .fallback(async || Error::Unknown("there is nothing at this path".to_owned()))
        .with_state(needs)
}

fn alive() -> Data {
    Data(json!({ "status": "ok" }))
}

async fn ready_alone(extract::State(needs): extract::State<Needs>) -> Answer {
    let missing = match (&needs.store, needs.bus.up_since()) {
        (_, None) => vec![BROKER.to_owned()],
        (Some(store), Some(_)) if store.parties().await.is_err() => vec![STORE.to_owned()],
        _ => Vec::new(),
    };
    if missing.is_empty() {
        Ok(Data(json!({ "status": "ready" })))
    } else {
        Err(Error::NotReady(missing))
    }
}

const STORE: &str = "the database";
const BROKER: &str = "the broker";

/// `GET /ready` of the API: ready when jobs are taken and move on. Parties without a worker are
/// named, but hold up their own jobs only.
pub(crate) async fn ready(extract::State(state): extract::State<State>) -> Answer {
    let mut missing = Vec::new();
    let parties = state.store.parties().await.unwrap_or_else(|_| {
        missing.push(STORE.to_owned());
        BTreeMap::new()
    });
    if state.bus.up_since().is_none() {
        missing.push(BROKER.to_owned());
    } else if !is_read(&state, queue::EVENTS).await {
        missing.push("a status aggregator".to_owned());
    }
    if !missing.is_empty() {
        return Err(Error::NotReady(missing));
    }
    let mut away = Vec::new();
    for (party, name) in &parties {
        if !is_read(&state, &queue::guest(*party)).await {
            away.push(json!({ "user_id": party, "name": name }));
        }
    }
    let arbiter = is_read(&state, queue::ARBITER).await;
    let arbiter = (!arbiter).then(|| json!({ "user_id": PartyId::ARBITER, "name": "arbiter" }));
    away.extend(arbiter);
    Ok(Data(json!({ "status": "ready", "away": away })))
}

async fn is_read(state: &State, queue: &str) -> bool {
    let usage = state.bus.usage(queue).await;
    usage.is_ok_and(|usage| usage.readers > 0)
}
