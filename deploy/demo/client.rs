//! What any client of the HTTP API does: ask, and poll.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

const REQUEST_SECONDS_MAX: u64 = 30;

/// One server's API.
pub(super) struct Client {
    http: reqwest::Client,
    /// What every address starts with.
    pub(super) base: String,
}

/// The ids of a training that was accepted.
#[derive(Deserialize)]
pub(super) struct Accepted {
    pub(super) model_id: i64,
    pub(super) order_id: i64,
}

/// `/model/train_status`, as far as the demo looks at it.
#[derive(Deserialize)]
pub(super) struct TrainStatus {
    /// Rows per party.
    pub(super) data_volum: BTreeMap<String, u64>,
}

/// `/model/report`, as far as the demo looks at it.
#[derive(Deserialize)]
pub(super) struct JobReport {
    pub(super) status: String,
    pub(super) iterations: u32,
    pub(super) iterations_max: u32,
    pub(super) round: u32,
    pub(super) round_milliseconds: Option<f64>,
    pub(super) converged: Option<bool>,
    pub(super) parties: Vec<Part>,
    pub(super) privacy: Option<Privacy>,
    reason: Option<Reason>,
}

/// What one party brought to a job.
#[derive(Deserialize)]
pub(super) struct Part {
    pub(super) user_id: u64,
    /// Bytes of contributions that it sent.
    pub(super) bytes: Option<u64>,
}

/// How contributions were protected.
#[derive(Deserialize)]
pub(super) struct Privacy {
    pub(super) mode: String,
    pub(super) ciphertexts: u32,
    pub(super) slots: u32,
}

#[derive(Deserialize)]
struct Reason {
    text: String,
    remedy: String,
}

#[derive(Deserialize)]
struct InferAccepted {
    order_id: i64,
}

#[derive(Deserialize)]
struct InferStatus {
    infer_status: String,
    result: Vec<Prediction>,
}

/// One released score.
#[derive(Deserialize)]
pub(super) struct Prediction {
    pub(super) unique_id: String,
    /// Probability of the positive class, to four decimals.
    pub(super) label: f64,
}

#[derive(Deserialize)]
struct Envelope {
    data: Value,
    message: Option<String>,
}

impl Client {
    /// A client of the server at an address.
    ///
    /// # Errors
    /// When the system has no means for one.
    pub(super) fn new(address: SocketAddr) -> anyhow::Result<Client> {
        let http = crate::tls::http_client(None)?
            .no_proxy()
            .timeout(Duration::from_secs(REQUEST_SECONDS_MAX))
            .build()?;
        Ok(Client {
            http,
            base: format!("http://{address}"),
        })
    }

    /// Asks for a training.
    ///
    /// # Errors
    /// When the server refuses it, in its words, or does not answer. So with all others.
    pub(super) async fn train(&self, request: &Value) -> anyhow::Result<Accepted> {
        self.post("/model/train", request).await
    }

    /// Where a training stands, in the words of the API documents.
    pub(super) async fn train_status(&self, order: i64) -> anyhow::Result<TrainStatus> {
        self.get(&format!("/model/train_status?order_id={order}"))
            .await
    }

    /// Where a job stands; one that failed is an error, with its reason.
    pub(super) async fn report(&self, order: i64) -> anyhow::Result<JobReport> {
        let address = format!("/model/report?order_id={order}");
        let report: JobReport = self.get(&address).await?;
        if ["failed", "canceled"].contains(&report.status.as_str()) {
            match report.reason {
                Some(Reason { text, remedy }) => bail!("order {order} failed: {text} {remedy}"),
                None => bail!("order {order} was {}", report.status),
            }
        }
        Ok(report)
    }

    /// Asks for scores; returns the order.
    pub(super) async fn infer(&self, request: &Value) -> anyhow::Result<i64> {
        let InferAccepted { order_id } = self.post("/model/infer", request).await?;
        Ok(order_id)
    }

    /// The scores of an order, once they are there.
    pub(super) async fn scores(&self, order: i64) -> anyhow::Result<Option<Vec<Prediction>>> {
        let address = format!("/model/infer_status?order_id={order}");
        let status: InferStatus = self.get(&address).await?;
        Ok((status.infer_status == "finished").then_some(status.result))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let request = self.http.get(format!("{}{path}", self.base));
        answer(request).await.with_context(|| format!("GET {path}"))
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> anyhow::Result<T> {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        answer(request)
            .await
            .with_context(|| format!("POST {path}"))
    }
}

async fn answer<T: DeserializeOwned>(request: reqwest::RequestBuilder) -> anyhow::Result<T> {
    let Envelope { data, message } = request.send().await?.json().await?;
    match message {
        Some(message) => bail!("{message}"),
        None => Ok(serde_json::from_value(data)?),
    }
}
