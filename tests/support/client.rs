//! What a client does: sends a request, reads the envelope, polls.

use reqwest::RequestBuilder;
use serde_json::Value;

use super::eventually;

/// A client of one server.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    /// The header `token` of every request.
    token: Option<String>,
}

fn http(authorities: Option<&str>) -> reqwest::Client {
    let http = concord::tls::http_client(authorities).expect("certificates");
    http.build().expect("a client")
}

/// An accepted training.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) order: i64,
    pub(crate) model: i64,
}

/// One answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// The data of a success.
    pub(crate) fn data(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()["data"].clone()
    }
}

impl Client {
    pub(crate) fn new(address: &str) -> Client {
        Client {
            http: http(None),
            base: format!("http://{address}"),
            token: None,
        }
    }

    /// The same, showing a token.
    pub(crate) fn with_token(&self, token: &str) -> Client {
        Client {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    fn known(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.header("token", token),
            None => request,
        }
    }

    /// A client by TLS, which believes a server that `authorities` (PEM) vouch for.
    pub(crate) fn by_tls(address: &str, authorities: &str) -> Client {
        Client {
            http: http(Some(authorities)),
            base: format!("https://{address}"),
            token: None,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.visit(&format!("{}{path}", self.base)).await
    }

    /// Gets an address that an answer named.
    pub(crate) async fn visit(&self, url: &str) -> Answer {
        answer(self.known(self.http.get(url))).await
    }

    /// Sends a body as it stands, without a content type, as the seed's own client does.
    pub(crate) async fn post(&self, path: &str, body: impl Into<String>) -> Answer {
        let url = format!("{}{path}", self.base);
        answer(self.known(self.http.post(url)).body(body.into())).await
    }

    /// Submits a training.
    pub(crate) async fn train(&self, body: impl ToString) -> Job {
        let data = self.post("/model/train", body.to_string()).await.data();
        let id = |name: &str| data[name].as_i64().expect("an id");
        Job {
            order: id("order_id"),
            model: id("model_id"),
        }
    }

    /// Submits an inference.
    pub(crate) async fn infer(&self, body: impl ToString) -> i64 {
        let data = self.post("/model/infer", body.to_string()).await.data();
        data["order_id"].as_i64().expect("an id")
    }

    pub(crate) async fn report(&self, order: i64) -> Value {
        self.get(&format!("/model/report?order_id={order}"))
            .await
            .data()
    }

    /// A report, if the server is there and gives it.
    pub(crate) async fn try_report(&self, order: i64) -> Option<Value> {
        let url = format!("{}/model/report?order_id={order}", self.base);
        let response = self.known(self.http.get(url)).send().await.ok()?;
        let text = response.error_for_status().ok()?.text().await.ok()?;
        let answer: Value = serde_json::from_str(&text).ok()?;
        Some(answer["data"].clone())
    }

    /// The first report that `is` true of; what may not become so, ends the wait.
    pub(crate) async fn until(&self, order: i64, mut is: impl FnMut(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let what = format!("job {order}");
        eventually(&what, async || {
            last = self.report(order).await;
            let seen = is(&last);
            assert!(seen || !has_ended(&last), "ended too early: {last}");
            seen.then(|| last.clone())
        })
        .await
    }

    /// The report of a job that ended.
    pub(crate) async fn ended(&self, order: i64) -> Value {
        self.until(order, has_ended).await
    }

    /// The report of a job that ended well.
    pub(crate) async fn finished(&self, order: i64) -> Value {
        let report = self.ended(order).await;
        assert_eq!(report["status"], "finished", "{report}");
        report
    }
}

fn has_ended(report: &Value) -> bool {
    ["finished", "failed", "canceled"]
        .iter()
        .any(|word| report["status"] == *word)
}

async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("the server answers");
    let content_type = response.headers().get("content-type");
    let content_type = content_type.map_or("", |kind| kind.to_str().expect("ASCII"));
    Answer {
        status: response.status().as_u16(),
        content_type: content_type.to_owned(),
        text: response.text().await.expect("a whole body"),
    }
}
