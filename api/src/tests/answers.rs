//! The seed's six calls, with the seed's own bytes; and the calls of ours around them.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};

use shared::bus::QueueKind;
use shared::id::{Attempt, OrderId, PartyId};
use shared::job::{Reason, ReasonCode};
use shared::message::{Invitation, decode, queue};
use tokio::time::timeout;

use super::support::{Server, seed};
use crate::{Base, Needs, State, app, probes};

/// The same value with every leaf replaced by the name of its type.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), shape(value)))
            .collect(),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::String(_) => json!("text"),
        Value::Number(number) if number.is_f64() => json!("fraction"),
        Value::Number(_) => json!("integer"),
        Value::Bool(_) => json!("boolean"),
        Value::Null => Value::Null,
    }
}

#[tokio::test]
async fn the_six_calls_of_the_seed_answer_in_its_shape() {
    let server = Server::new().await;
    let (request, sample) = seed("模型训练");
    let answered = server.post("/model/train", request.expect("a body")).await;
    assert_eq!(
        answered.text,
        answered.json().to_string(),
        "compact, keys sorted"
    );
    assert_eq!(shape(&answered.json()), shape(&sample));
    let order = answered.data()["order_id"].as_i64().expect("an id");
    let model = answered.data()["model_id"].as_i64().expect("an id");

    let before = server
        .get(&format!("/model/train_status?order_id={order}"))
        .await
        .data();
    assert_eq!(before["data_volum"], json!({}));
    let nothing = json!({ "current_tasks": "[]", "train_progress": 0, "train_status": "waiting" });
    assert_eq!(before["train_status"], nothing);

    let fence = server.start(order).await;
    let (_, mut sample) = seed("模型训练进度查询");
    let name = server.job_name(order).await;
    sample["data"]["model_id"] = json!(model);
    sample["data"]["train_status"]["current_tasks"] = json!(format!("[\"{name}_dataio_0\"]"));
    let answered = server
        .get(&format!("/model/train_status?order_id={order}"))
        .await;
    assert_eq!(answered.text, sample.to_string());

    let (_, sample) = seed("模型信息查询");
    let answered = server.get(&format!("/model/info?model_id={model}")).await;
    assert_eq!(answered.text, sample.to_string());

    let (_, mut sample) = seed("训练状态地址");
    for (user, role) in [("2", "host"), ("3", "guest"), ("4", "host")] {
        let board_party = 10_001 - user.parse::<i64>().expect("a number");
        sample["data"]["board_url"][user] = json!(format!(
            "http://192.168.25.105:5000/board#/dashboard?job_id={name}&role={role}\
             &party_id={board_party}&order_id={order}"
        ));
    }
    let answered = server
        .get(&format!("/model/board_url?order_id={order}"))
        .await;
    assert_eq!(answered.text, sample.to_string());

    server.finish(fence).await;
    let ended = server
        .get(&format!("/model/train_status?order_id={order}"))
        .await
        .data();
    let tasks = format!("[\"{name}_evaluation_0\"]");
    let all = json!({
        "current_tasks": tasks, "train_progress": 100, "train_status": "finished",
    });
    assert_eq!(ended["train_status"], all);

    let (request, sample) = seed("模型使用");
    let request = request.expect("a body").replace("137", &model.to_string());
    let answered = server.post("/model/infer", request).await;
    assert_eq!(shape(&answered.json()), shape(&sample));
    let order = answered.data()["order_id"].as_i64().expect("an id");
    let path = format!("/model/infer_status?order_id={order}");
    let waiting = server.get(&path).await.data();
    assert_eq!(waiting, json!({ "infer_status": "waiting", "result": [] }));
    server.score(order).await;
    let (_, sample) = seed("计算进度查询");
    assert_eq!(server.get(&path).await.text, sample.to_string());
}

#[tokio::test]
async fn the_caller_s_spelling_comes_back_and_nothing_else() {
    let server = Server::new().await;
    let (request, _) = seed("模型训练");
    let mut body: Value = serde_json::from_str(request.expect("a body")).expect("JSON");
    body["model_params"] = json!({
        "penalty": "l2", "OPTIMIZER": null, "tol": 1e-4, "encrypt_param": { "method": "paillier" },
    });
    body["model_params"]
        .as_object_mut()
        .expect("an object")
        .remove("OPTIMIZER");
    body["user_id"] = json!("3");
    body["party_id"] = json!(["4", 2]);
    body["attributes"] = json!(["血糖", "C6"]);
    body["label_value"] = json!("阳性");
    let model = server.post("/model/train", body.to_string()).await.data()["model_id"].clone();
    let info = server
        .get(&format!("/model/info?model_id={model}"))
        .await
        .data();
    let expected = json!({
        "data_volum": {},
        "model_params": {
            "attributes": ["血糖", "C6"],
            "encrypt_param": { "method": "paillier" },
            "label_name": "diagnosis",
            "penalty": "l2",
            "tol": 0.0001,
            "unique_id": "unique_id",
        },
        "model_type": "Logistic Regression",
        "party_id": [4, 2],
        "user_id": 3,
    });
    assert_eq!(info, expected);
}

#[tokio::test]
async fn any_content_type_is_taken() {
    let server = Server::new().await;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        let body = Body::from(seed("模型训练").0.expect("a body"));
        let request = Request::post("/model/train")
            .header(header::CONTENT_TYPE, kind)
            .body(body);
        let answered = server.request(request.expect("valid")).await;
        assert_eq!(answered.status, 200, "{kind}: {}", answered.text);
    }
}

#[tokio::test]
async fn the_list_shows_jobs_newest_first_by_pages() {
    let server = Server::new().await;
    for _ in 0..3 {
        server.train().await;
    }
    let page = server.get("/model/list?size=2").await.data();
    let orders = |page: &Value| -> Vec<i64> {
        let jobs = page["jobs"].as_array().expect("a list");
        jobs.iter()
            .map(|job| job["order_id"].as_i64().expect("an id"))
            .collect()
    };
    let [newest, second] = orders(&page)[..] else {
        panic!("two jobs: {page}")
    };
    assert!(newest > second);
    assert_eq!(page["next_before"], second);
    let rest = server
        .get(&format!("/model/list?size=2&before={second}"))
        .await
        .data();
    assert_eq!(orders(&rest).len(), 1);
    assert_eq!(rest["next_before"], Value::Null);
}

#[tokio::test]
async fn a_job_is_canceled_once() {
    let server = Server::new().await;
    let (_, order) = server.train().await;
    let body = json!({ "order_id": order.to_string() }).to_string();
    let answered = server.post("/model/cancel", body.clone()).await;
    assert_eq!(
        answered.data(),
        json!({ "order_id": order, "status": "canceled" })
    );
    let status = server
        .get(&format!("/model/train_status?order_id={order}"))
        .await
        .data();
    assert_eq!(status["train_status"]["train_status"], "canceled");
    let again = server.post("/model/cancel", body).await;
    assert_eq!(again.status, 409);
    assert!(
        again.message().contains("is canceled already"),
        "{}",
        again.text
    );
}

#[tokio::test]
async fn the_report_tells_who_brings_what_and_never_the_query() {
    let server = Server::new().await;
    let (model, order) = server.train().await;
    server.start(order).await;
    let report = server.get(&format!("/model/report?order_id={order}")).await;
    assert!(!report.text.contains("blooddata"), "{}", report.text);
    let report = report.data();
    assert_eq!(report["model_id"], model);
    assert_eq!(report["status"], "running");
    assert_eq!(report["progress"], 33);
    assert_eq!(report["parties"][1]["user_id"], 3);
    assert_eq!(report["parties"][1]["role"], "guest");
    assert_eq!(report["parties"][1]["rows"], 702);
    assert_eq!(
        report["parties"][0]["dropped"],
        json!({ "missing": 1, "repeated": 2 })
    );
    let privacy = json!({ "ciphertexts": 1, "key_bits": 3072, "mode": "Paillier", "slots": 7 });
    assert_eq!(report["privacy"], privacy);
    assert_eq!(report["reason"], Value::Null);
}

#[tokio::test]
async fn the_report_tells_whom_a_job_waits_for_and_why_it_failed() {
    let server = Server::new().await;
    let (_, order) = server.train().await;
    let path = format!("/model/report?order_id={order}");
    let report = server.get(&path).await.data();
    assert_eq!(
        (&report["status"], &report["progress"]),
        (&json!("waiting"), &json!(0))
    );
    assert_eq!(report["waiting"]["parties"], json!([3]));
    assert_eq!(report["waiting"]["since"], report["created"]);
    assert_eq!(report["ended"], Value::Null);
    let fence = server.start(order).await;
    let code = ReasonCode::OneClass;
    let text = "All rows are negative.".to_owned();
    server
        .fail(
            fence,
            Reason {
                code,
                text,
                party: Some(PartyId(4)),
            },
        )
        .await;
    let report = server.get(&path).await.data();
    let reason = json!({
        "code": "ONE_CLASS",
        "party": 4,
        "remedy": code.remedy(),
        "text": "All rows are negative.",
    });
    assert_eq!(
        (&report["status"], &report["progress"]),
        (&json!("failed"), &json!(33))
    );
    assert_eq!(report["reason"], reason);
    assert_eq!(report["waiting"], Value::Null);
    assert!(report["started"].as_i64() >= report["created"].as_i64());
    assert!(report["ended"].as_i64() >= report["started"].as_i64());
    let status = server
        .get(&format!("/model/train_status?order_id={order}"))
        .await
        .data();
    assert_eq!(status["train_status"]["train_status"], "failed");
    assert_eq!(status["train_status"]["train_progress"], 33);
}

#[tokio::test]
async fn the_board_is_served_with_a_strict_policy() {
    let server = Server::new().await;
    for (path, part) in [
        ("/board", "<html"),
        ("/board.css", ":root"),
        ("/board.js", "fetch("),
    ] {
        let answered = server.get(path).await;
        assert_eq!(answered.status, 200);
        assert!(answered.text.contains(part), "{path}");
        assert!(!answered.text.contains("innerHTML"), "{path}");
        let policy = answered.headers["content-security-policy"]
            .to_str()
            .expect("ASCII");
        assert!(policy.starts_with("default-src 'self';"), "{policy}");
    }
    assert_eq!(
        server.get("/health").await.data(),
        json!({ "status": "ok" })
    );
}

#[tokio::test]
async fn readiness_says_what_is_missing_and_who_is_away() {
    let server = Server::new().await;
    let answered = server.get("/ready").await;
    assert_eq!(answered.status, 503, "{}", answered.text);
    assert_eq!(
        answered.message(),
        "not ready; missing: a status aggregator"
    );
    let bus = &server.state.bus;
    let read = async |name: &str| {
        bus.open(name, QueueKind::Durable, 1)
            .await
            .expect("a queue")
    };
    let _events = read(queue::EVENTS).await;
    let _guest = read(&queue::guest(PartyId(3))).await;
    let data = server.get("/ready").await.data();
    assert_eq!(data["status"], "ready");
    let away: Vec<_> = data["away"].as_array().expect("a list").iter().collect();
    let ids: Vec<_> = away.iter().map(|party| &party["user_id"]).collect();
    assert_eq!(ids, [2, 4, 5, 1]);
}

#[tokio::test]
async fn a_process_without_an_api_says_how_it_is() {
    let mut server = Server::new().await;
    let needs = Needs {
        store: Some(server.state.store.clone()),
        bus: server.state.bus.clone(),
    };
    server.app = probes(needs);
    for (path, status) in [("/health", "ok"), ("/ready", "ready")] {
        assert_eq!(server.get(path).await.data(), json!({ "status": status }));
    }
    assert_eq!(server.get("/model/list").await.status, 404);
}

#[tokio::test]
async fn a_configured_base_goes_before_the_header_host() {
    let mut server = Server::new().await;
    let (_, order) = server.train().await;
    let base = Base::parse("https://concord.example.org/api/").ok();
    server.app = app(State {
        base,
        ..server.state.clone()
    });
    let data = server
        .get(&format!("/model/board_url?order_id={order}"))
        .await
        .data();
    let url = data["board_url"]["4"]
        .as_str()
        .expect("an address")
        .to_owned();
    let start = "https://concord.example.org/api/board#/dashboard?job_id=";
    assert!(url.starts_with(start), "{url}");
    assert!(
        url.ends_with(&format!("&role=host&party_id=9997&order_id={order}")),
        "{url}"
    );
}

#[tokio::test]
async fn a_new_job_is_hinted_at_and_the_sweep_rung() {
    let server = Server::new().await;
    let queue = queue::guest(PartyId(3));
    server
        .state
        .bus
        .declare(&queue, QueueKind::Durable)
        .await
        .expect("declared");
    let (_, order) = server.train().await;
    let mut consumer = server.state.bus.consume(&queue, 1).await.expect("declared");
    let delivery = consumer.next().await.expect("hinted at");
    let invitation: Invitation = decode(delivery.body()).expect("an invitation");
    let job = server
        .state
        .store
        .job_by_order(OrderId(order))
        .await
        .expect("up")
        .expect("there");
    assert_eq!(
        invitation,
        Invitation {
            job: job.id,
            attempt: Attempt(1)
        }
    );
    delivery.ack().await;
    let rung = timeout(Duration::from_secs(5), server.state.submitted.notified());
    rung.await.expect("rung");
}
