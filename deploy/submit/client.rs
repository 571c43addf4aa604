//! What a batch asks of the API by HTTP.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::bus::Token;
use shared::id::PanelId;

use super::batch::Line;
use crate::tls;

const REQUEST_SECONDS_MAX: u64 = 30;
/// Jobs on a page of the list: as many as the API gives.
const PAGE: usize = shared::limits::JOBS_PAGE_MAX;

/// The API does not know who asks, in its words; asking again does not help.
#[derive(Debug)]
pub(super) struct Unknown(String);

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; the same command with another --token goes on",
            self.0
        )
    }
}

impl Error for Unknown {}

/// One server's API.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    token: Option<Token>,
    /// What every address starts with.
    pub(crate) base: String,
}

/// The envelope of every answer, in either dialect: that of the panel has `msg` for `message`, and
/// its fields beside it.
#[derive(Deserialize)]
pub(super) struct Envelope {
    pub(super) code: u16,
    #[serde(default)]
    pub(super) data: Value,
    pub(super) message: Option<String>,
    pub(super) msg: Option<String>,
    /// A job of the panel.
    #[serde(rename = "jobID")]
    pub(super) panel: Option<PanelId>,
}

/// How a job ended.
#[derive(Debug, PartialEq)]
pub(super) struct End {
    pub(super) order: i64,
    pub(super) model: Option<i64>,
    /// In the API's words.
    pub(super) status: String,
    /// Why, if not well.
    pub(super) reason: Option<Reason>,
}

/// Why a job failed.
#[derive(Debug, Deserialize, PartialEq)]
pub(super) struct Reason {
    pub(super) code: String,
    pub(super) text: String,
    pub(super) remedy: String,
}

/// `/model/list`.
#[derive(Deserialize)]
struct Page {
    jobs: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    order_id: i64,
    model_id: Option<i64>,
    status: String,
}

/// `/model/report`, as far as it says why.
#[derive(Deserialize)]
struct Report {
    reason: Option<Reason>,
}

impl Client {
    /// # Errors
    /// When it is no address of a server.
    pub(crate) fn new(
        base: &str,
        authorities: Option<&str>,
        token: Option<Token>,
    ) -> anyhow::Result<Client> {
        ensure!(
            base.starts_with("http://") || base.starts_with("https://"),
            "--api {base}: it must start with http:// or https://"
        );
        let http = tls::http_client(authorities)?
            .timeout(Duration::from_secs(REQUEST_SECONDS_MAX))
            // A token goes where it was told to go, and nowhere else.
            .redirect(Policy::none())
            .build()?;
        let base = base.trim_end_matches('/').to_owned();
        Ok(Client { http, token, base })
    }

    /// Whether the API takes jobs now, and knows who asks.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn ready(&self) -> anyhow::Result<()> {
        self.get::<Value>("/health").await?;
        self.get::<Value>("/model/list?size=1").await.map(drop)
    }

    fn known(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.header("token", token.as_str()),
            None => request,
        }
    }

    /// Posts a line; `None` when it may be taken later.
    ///
    /// # Errors
    /// When what answers is no Concord.
    pub(super) async fn post(&self, line: &Line) -> anyhow::Result<Option<Envelope>> {
        let address = format!("{}{}", self.base, line.route);
        let request = self.http.post(&address).body(line.body.clone());
        let request = request.header("Idempotency-Key", &line.key);
        let Ok(response) = self.known(request).send().await else {
            return Ok(None);
        };
        let status = response.status().as_u16();
        // Too late, too much, or nobody at home behind a proxy.
        if matches!(status, 408 | 429 | 502..=504) {
            return Ok(None);
        }
        match response.json::<Envelope>().await {
            Ok(envelope) => Ok(Some(envelope)),
            // It died while it spoke.
            Err(error) if !error.is_decode() => Ok(None),
            Err(_) => bail!("{address} answered {status}, and not as Concord does"),
        }
    }

    /// Which of the jobs have ended, and how. A page of the list tells of many at once; places
    /// without a job of ours are passed over.
    ///
    /// # Errors
    /// When the API does not answer.
    pub(super) async fn ends(&self, mut orders: BTreeSet<i64>) -> anyhow::Result<Vec<End>> {
        let mut ends = Vec::new();
        while let Some(newest) = orders.last().copied() {
            let before = newest.saturating_add(1);
            let page: Page = self
                .get(&format!("/model/list?before={before}&size={PAGE}"))
                .await?;
            let oldest = page.jobs.last().map_or(newest, |entry| entry.order_id);
            for entry in page.jobs {
                if orders.contains(&entry.order_id) && has_ended(&entry.status) {
                    ends.push(self.end(entry).await?);
                }
            }
            orders.split_off(&oldest.min(newest));
        }
        Ok(ends)
    }

    async fn end(&self, entry: Entry) -> anyhow::Result<End> {
        let Entry {
            order_id: order,
            model_id: model,
            status,
        } = entry;
        let report = match status.as_str() {
            "finished" => None,
            _ => {
                let path = format!("/model/report?order_id={order}");
                Some(self.get::<Report>(&path).await?)
            }
        };
        Ok(End {
            order,
            model,
            status,
            reason: report.and_then(|report| report.reason),
        })
    }

    /// What a path answers.
    ///
    /// # Errors
    /// The API's own sentence, or why there is none.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let address = format!("{}{path}", self.base);
        let answer = async {
            let response = self.known(self.http.get(&address)).send().await?;
            let unknown = response.status() == StatusCode::UNAUTHORIZED;
            let envelope: Envelope = response.json().await?;
            match envelope.message {
                Some(message) if unknown => Err(Unknown(message).into()),
                Some(message) => bail!("{message}"),
                None => Ok(serde_json::from_value(envelope.data)?),
            }
        };
        answer.await.with_context(|| format!("GET {address}"))
    }

    /// What a path of `/sdk/computation/*` answers, to a body if there is one.
    ///
    /// # Errors
    /// The API's own sentence, or why there is none.
    pub(crate) async fn flat<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<String>,
    ) -> anyhow::Result<T> {
        let address = format!("{}{path}", self.base);
        let answer = async {
            let request = match body {
                Some(body) => self.http.post(&address).body(body),
                None => self.http.get(&address),
            };
            let fields: Value = self.known(request).send().await?.json().await?;
            if fields["code"] != StatusCode::OK.as_u16() {
                bail!("{}", fields["msg"].as_str().unwrap_or("it did not say why"));
            }
            Ok(serde_json::from_value(fields)?)
        };
        answer.await.with_context(|| address.clone())
    }
}

fn has_ended(status: &str) -> bool {
    ["finished", "failed", "canceled"].contains(&status)
}
