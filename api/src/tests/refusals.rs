//! Requests that must be refused: each with its status and what its sentence must say. None leaves
//! a job behind, and a good request works after all of them.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use shared::limits::{ATTRIBUTES_MAX, BODY_BYTES_MAX};

use super::support::{Server, seed};

const CORPUS: &str = include_str!("../../testdata/refused_training.txt");

/// The seed's training request with one place changed; `None` removes it.
fn train(pointer: &str, value: Option<Value>) -> String {
    let text = seed("模型训练").0.expect("a body");
    changed(serde_json::from_str(text).expect("JSON"), pointer, value)
}

fn changed(mut body: Value, pointer: &str, value: Option<Value>) -> String {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = body
        .pointer_mut(parent)
        .and_then(Value::as_object_mut)
        .expect("an object");
    match value {
        Some(value) => parent.insert(name.to_owned(), value),
        None => parent.remove(name),
    };
    body.to_string()
}

/// Faulty values: (place, value, what the sentence says).
fn values() -> Vec<(String, Value, String)> {
    let listed = CORPUS
        .lines()
        .filter(|line| line.starts_with('/'))
        .map(|line| {
            let [place, value, rule] = line.split(" | ").collect::<Vec<_>>()[..] else {
                panic!("three columns: {line}");
            };
            (
                place.to_owned(),
                serde_json::from_str(value).expect(line),
                rule.to_owned(),
            )
        });
    let attributes: Vec<String> = (0..=ATTRIBUTES_MAX)
        .map(|place| format!("a{place}"))
        .collect();
    let made = [
        ("/party_id", json!(vec![4; 64]), "an array of 1 to 63"),
        (
            "/data_info/4/neg",
            json!("s".repeat(5000)),
            "longer than 4096 bytes",
        ),
        (
            "/attributes",
            json!(["C".repeat(129)]),
            "a string of 1 to 128 bytes",
        ),
        (
            "/attributes",
            json!(attributes),
            "an array of 1 to 10000 values",
        ),
        ("/\u{202e}", json!(1), "is unknown"),
    ];
    let made = made.map(|(place, value, rule)| (place.to_owned(), value, rule.to_owned()));
    listed.chain(made).collect()
}

/// Bodies that are no training request at all: (body, status, what the sentence says).
fn bodies() -> Vec<(Vec<u8>, u16, &'static str)> {
    let good = seed("模型训练").0.expect("a body");
    vec![
        (b"".to_vec(), 400, "it is empty"),
        (b" \n ".to_vec(), 400, "it is empty"),
        (b"user_id=3".to_vec(), 400, "line 1 column 1"),
        (
            b"null".to_vec(),
            400,
            "the body is null: it must be an object",
        ),
        (b"[]".to_vec(), 400, "the body is an array of 0"),
        (b"\"{}\"".to_vec(), 400, "it must be an object"),
        (b"{}".to_vec(), 400, "`user_id` is missing: it is required"),
        (b"{".to_vec(), 400, "EOF"),
        (
            format!("{good} {good}").into_bytes(),
            400,
            "trailing characters",
        ),
        (
            good.replace("\"user_id\": 3", "\"user_id\": 3, \"user_id\": 3")
                .into(),
            400,
            "twice",
        ),
        (
            good.replace("\"max_iter\": 5", "\"eps\": 5").into(),
            400,
            "`eps` occurs twice",
        ),
        (good.replace("0.15", "NaN").into(), 400, "line 13 column"),
        (good.replace("0.15", "1e400").into(), 400, "out of range"),
        (
            good.replace("0.15", "-Infinity").into(),
            400,
            "line 13 column",
        ),
        (good.replace("C6DC", "\\ud800").into(), 400, "line"),
        ([good.as_bytes(), b"\xff"].concat(), 400, "is not UTF-8"),
        (vec![b'['; 100_000], 400, "deeper than 8 levels"),
        (b"{\"a\":".repeat(100_000), 400, "deeper than 8 levels"),
        (vec![b' '; BODY_BYTES_MAX + 1], 413, "at most 1048576 bytes"),
    ]
}

#[tokio::test]
async fn a_bad_training_request_is_refused_in_words_and_leaves_no_job() {
    let server = Server::new().await;
    let missing = [
        "user_id",
        "model_type",
        "model_params",
        "party_id",
        "data_info",
        "unique_id",
    ];
    let columns = [
        "attributes",
        "label_name",
        "label_value",
        "data_info/3",
        "data_info/3/pos",
    ];
    let absent = missing.iter().chain(&columns).map(|name| {
        let rule = format!("`{}` is missing", name.replace('/', "."));
        (train(&format!("/{name}"), None).into_bytes(), 400, rule)
    });
    let changed = values()
        .into_iter()
        .map(|(place, value, rule)| (train(&place, Some(value)).into(), 400, rule));
    let bodies = bodies()
        .into_iter()
        .map(|(body, status, rule)| (body, status, rule.to_owned()));
    let cases: Vec<(Vec<u8>, u16, String)> = absent.chain(changed).chain(bodies).collect();
    assert!(cases.len() >= 80, "only {} cases", cases.len());
    for (body, status, rule) in cases {
        let answered = server.post("/model/train", body).await;
        let text = &answered.text;
        assert_eq!(answered.status, status, "{rule}: {text}");
        assert!(answered.message().contains(&rule), "{rule}: {text}");
        assert!(
            text.starts_with(&format!("{{\"code\":{status},\"data\":null,")),
            "{text}"
        );
        assert!(!text.contains("hidden"), "SQL is never repeated: {text}");
        assert_eq!(server.jobs().await, 0, "{rule}");
    }
    let good = server
        .post("/model/train", seed("模型训练").0.expect("a body"))
        .await;
    assert_eq!(good.status, 200, "{}", good.text);
}

#[tokio::test]
async fn a_bad_inference_request_is_refused_in_words_and_leaves_no_job() {
    let server = Server::new().await;
    let (model, order) = server.train().await;
    let body = json!({
        "model_id": model,
        "input_data": { "user_id": "4", "data_sql": "select * from data.hidden" },
    });
    let refused = async |pointer: &str, value: Option<Value>, status: u16, rule: &str| {
        let answered = server
            .post("/model/infer", changed(body.clone(), pointer, value))
            .await;
        assert_eq!(answered.status, status, "{rule}: {}", answered.text);
        assert!(
            answered.message().contains(rule),
            "{rule}: {}",
            answered.text
        );
        assert!(!answered.text.contains("hidden"), "{}", answered.text);
        assert_eq!(server.jobs().await, 1);
    };
    let again = Some(json!(model));
    refused(
        "/model_id",
        again.clone(),
        409,
        "its training must be finished, and is waiting",
    )
    .await;
    let fence = server.start(order).await;
    server.finish(fence).await;
    refused("/model_id", None, 400, "`model_id` is missing").await;
    refused(
        "/model_id",
        Some(json!(999)),
        404,
        "`model_id` is 999: there is no such",
    )
    .await;
    refused("/model_id", Some(json!("x")), 400, "`model_id` is \"x\"").await;
    refused("/input_data", None, 400, "`input_data` is missing").await;
    refused(
        "/input_data",
        Some(json!("4")),
        400,
        "`input_data` is \"4\"",
    )
    .await;
    refused(
        "/input_data/user_id",
        Some(json!(5)),
        403,
        "must be a participant of model",
    )
    .await;
    refused(
        "/input_data/user_id",
        Some(json!(1)),
        400,
        "that is the server",
    )
    .await;
    refused(
        "/input_data/user_id",
        Some(json!(77)),
        400,
        "registered party",
    )
    .await;
    refused(
        "/input_data/data_sql",
        None,
        400,
        "`input_data.data_sql` is missing",
    )
    .await;
    refused(
        "/input_data/data_sql",
        Some(json!(1)),
        400,
        "is a number: it must be a string",
    )
    .await;
    refused(
        "/input_data/data_sql",
        Some(json!("delete from hidden")),
        400,
        "data_sql`",
    )
    .await;
    refused(
        "/input_data/limit",
        Some(json!(1)),
        400,
        "`input_data.limit` is unknown",
    )
    .await;
    refused("/priority", Some(json!(1)), 400, "`priority` is unknown").await;
    let good = server.post("/model/infer", body.to_string()).await;
    assert_eq!(good.status, 200, "{}", good.text);
}

#[tokio::test]
async fn a_bad_query_is_refused_in_words() {
    let server = Server::new().await;
    let (_, training) = server.train().await;
    let get = |path: &str| Request::get(path).body(Body::empty()).expect("valid");
    let cases = [
        (
            "/model/train_status".to_owned(),
            400,
            "`order_id` is missing",
        ),
        (
            "/model/train_status?".to_owned(),
            400,
            "`order_id` is missing",
        ),
        (
            "/model/train_status?order_id=".to_owned(),
            400,
            "`order_id` is \"\"",
        ),
        (
            "/model/train_status?order_id=1&order_id=1".to_owned(),
            400,
            "`order_id` occurs twice",
        ),
        (
            "/model/train_status?order_id=1%27--".to_owned(),
            400,
            "must be an integer",
        ),
        (
            "/model/train_status?order_id=-1".to_owned(),
            400,
            "`order_id` is \"-1\"",
        ),
        (
            "/model/train_status?order_id=9223372036854775808".to_owned(),
            400,
            "from 1 to",
        ),
        (
            "/model/train_status?order_id=999".to_owned(),
            404,
            "`order_id` is 999: there is no",
        ),
        (
            "/model/train_status?order_id=1&x=1".to_owned(),
            400,
            "`x` is unknown",
        ),
        ("/model/info".to_owned(), 400, "`model_id` is missing"),
        ("/model/info?model_id=%ff".to_owned(), 400, "`model_id`"),
        (
            "/model/info?model_id=999".to_owned(),
            404,
            "`model_id` is 999: there is no such model",
        ),
        (
            format!("/model/infer_status?order_id={training}"),
            404,
            "is a training, not an infer",
        ),
        (
            "/model/infer_status?order_id=999".to_owned(),
            404,
            "there is no such job",
        ),
        (
            "/model/board_url?order_id=999".to_owned(),
            404,
            "there is no such job",
        ),
        (
            format!("/model/board_url?order_id={training}"),
            400,
            "the header Host",
        ),
        (
            "/model/report?order_id=999".to_owned(),
            404,
            "there is no such job",
        ),
        ("/model/list?before=0".to_owned(), 400, "`before` is \"0\""),
        ("/model/list?size=101".to_owned(), 400, "`size` is \"101\""),
        (
            "/model/list?order=up".to_owned(),
            400,
            "`order` is unknown: the fields here are `before`",
        ),
        ("/model".to_owned(), 404, "nothing at this path"),
        ("/model/train/".to_owned(), 404, "nothing at this path"),
        ("/../etc/passwd".to_owned(), 404, "nothing at this path"),
        ("/model/train".to_owned(), 405, "does not take the method"),
    ];
    for (path, status, rule) in cases {
        let answered = server.request(get(&path)).await;
        assert_eq!(answered.status, status, "{path}: {}", answered.text);
        assert!(
            answered.message().contains(rule),
            "{path}: {}",
            answered.text
        );
    }
    for (body, status) in [("{}", 400), (r#"{"order_id": 999}"#, 404), ("[1]", 400)] {
        assert_eq!(server.post("/model/cancel", body).await.status, status);
    }
    for (path, methods) in [("/model/info", "GET,HEAD"), ("/model/cancel", "POST")] {
        let deleted = server.send(Method::DELETE, path, Body::empty()).await;
        assert_eq!(deleted.status, 405, "{}", deleted.text);
        assert_eq!(deleted.headers["allow"], methods);
    }
    assert_eq!(server.jobs().await, 1);
}
