//! Jobs from the queue, and what a request's name does at both doors.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use shared::bus::{Cause, Consumer, Delivery, Properties, QueueKind, Token};
use shared::limits::{BODY_BYTES_MAX, SUBMISSION_PREFETCH};
use shared::message::queue;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::support::{Answered, Server, seed};
use crate::take_batches;

const PATIENCE: Duration = Duration::from_secs(20);
const ANSWERS: &str = "replies.test";

/// A server that takes batches, and one who asks.
struct Batch {
    server: Server,
    answers: Consumer,
    shutdown: CancellationToken,
    taking: JoinHandle<()>,
}

impl Batch {
    async fn new() -> Batch {
        Batch::over(Server::new().await).await
    }

    async fn over(server: Server) -> Batch {
        let bus = server.state.bus.clone();
        let declared = bus.declare(ANSWERS, QueueKind::Session).await;
        declared.expect("declared");
        let submissions = bus.declare(queue::SUBMISSIONS, QueueKind::Durable);
        submissions.await.expect("declared");
        let answers = bus.consume(ANSWERS, 100).await.expect("declared");
        let shutdown = CancellationToken::new();
        let taking = tokio::spawn(take_batches(server.state.clone(), shutdown.clone()));
        Batch {
            server,
            answers,
            shutdown,
            taking,
        }
    }

    async fn send(&self, properties: &Properties, body: impl Into<Vec<u8>>) {
        let bus = &self.server.state.bus;
        let sent = bus.publish_with(queue::SUBMISSIONS, body.into(), properties);
        sent.await.expect("there");
    }

    /// The next answer: whose, and what.
    async fn answer(&mut self) -> (String, Value) {
        let delivery = arrived(&mut self.answers).await;
        let correlation = delivery.properties().correlation.expect("whose it is");
        let answer = serde_json::from_slice(delivery.body()).expect("JSON");
        delivery.ack().await;
        (correlation, answer)
    }

    async fn ask(&mut self, properties: &Properties, body: impl Into<Vec<u8>>) -> Value {
        self.send(properties, body).await;
        self.answer().await.1
    }

    /// Why the next dead letter died.
    async fn parked(&self) -> String {
        let bus = &self.server.state.bus;
        let mut graves = bus.consume(queue::DEAD, 1).await.expect("there");
        let delivery = arrived(&mut graves).await;
        let death = delivery.death().expect("it died").clone();
        delivery.ack().await;
        assert_eq!(death.queue, queue::SUBMISSIONS);
        match death.cause {
            Cause::Rejected(reason) => reason,
            Cause::Unsettled => panic!("it was settled"),
        }
    }
}

async fn arrived(consumer: &mut Consumer) -> Delivery {
    let delivery = timeout(PATIENCE, consumer.next()).await;
    delivery.expect("it arrives").expect("the queue is there")
}

fn train() -> &'static str {
    seed("模型训练").0.expect("a body")
}

fn asks(kind: &str, id: &str) -> Properties {
    Properties {
        kind: Some(kind.to_owned()),
        id: Some(id.to_owned()),
        reply_to: Some(ANSWERS.to_owned()),
        correlation: None,
        token: None,
    }
}

async fn post(server: &Server, path: &str, keys: &[&[u8]], body: &str) -> Answered {
    let mut request = Request::post(path);
    for key in keys {
        request = request.header("idempotency-key", *key);
    }
    let body = Body::from(body.to_owned());
    server.request(request.body(body).expect("valid")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_makes_a_request_one_job_at_both_doors() {
    let mut batch = Batch::new().await;
    let first = post(&batch.server, "/model/train", &[b"k-1"], train()).await;
    assert_eq!(first.status, 200, "{}", first.text);
    let again = post(&batch.server, "/model/train", &[b"k-1"], train()).await;
    assert_eq!((again.status, &again.text), (200, &first.text));
    // The same value, with other spaces and its fields in another order.
    let parsed: Value = serde_json::from_str(train()).expect("JSON");
    let compact = parsed.to_string();
    assert_ne!(compact, train());
    let queued = batch.ask(&asks("/model/train", "k-1"), compact).await;
    assert_eq!(queued, first.json());
    assert_eq!(batch.server.jobs().await, 1);

    let other = train().replace("\"max_iter\": 5", "\"max_iter\": 6");
    let reused = post(&batch.server, "/model/train", &[b"k-1"], &other).await;
    assert_eq!(reused.status, 409);
    assert!(
        reused
            .message()
            .starts_with("`Idempotency-Key` is that of an earlier request")
    );
    let reused = batch.ask(&asks("/model/train", "k-1"), other.clone()).await;
    assert_eq!(reused["code"], 409);
    let message = reused["message"].as_str().expect("a sentence");
    assert!(
        message.starts_with("`message_id` is that of an earlier"),
        "{message}"
    );
    let new = post(&batch.server, "/model/train", &[b"k-2"], &other).await;
    assert_ne!(new.data(), first.data());
    let unnamed = post(&batch.server, "/model/train", &[], train()).await;
    assert_ne!(unnamed.data(), first.data());
    assert_eq!(batch.server.jobs().await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_none_is_refused_by_its_rule() {
    let mut batch = Batch::new().await;
    let long = [b'k'; 256];
    for key in [&b""[..], b"two words", b"caf\xc3\xa9", &long] {
        let refused = post(&batch.server, "/model/infer", &[key], "{}").await;
        assert_eq!(refused.status, 400, "{key:?}");
        let rule = "`Idempotency-Key` must be 1 to 255 visible ASCII characters, without spaces";
        assert_eq!(refused.message(), rule);
    }
    let twice = post(&batch.server, "/model/train", &[b"a", b"a"], train()).await;
    assert_eq!(twice.status, 400);
    assert!(twice.message().contains("once at most"));
    let odd = batch.ask(&asks("/model/train", "two words"), train()).await;
    let message = odd["message"].as_str().expect("a sentence");
    assert!(
        message.starts_with("`message_id` must be 1 to 255 visible"),
        "{message}"
    );
    assert_eq!(batch.server.jobs().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_by_queue_has_the_bytes_of_http_and_finds_its_question() {
    let mut batch = Batch::new().await;
    let mut properties = asks("/model/train", "k");
    batch.send(&properties, train()).await;
    let delivery = arrived(&mut batch.answers).await;
    assert_eq!(delivery.properties().correlation.as_deref(), Some("k"));
    let http = post(&batch.server, "/model/train", &[b"k"], train()).await;
    assert_eq!(delivery.body(), http.text.as_bytes());
    delivery.ack().await;
    properties.correlation = Some("line 7".to_owned());
    batch.send(&properties, train()).await;
    assert_eq!(batch.answer().await, ("line 7".to_owned(), http.json()));

    let bad = asks("/model/infer", "i");
    batch.send(&bad, r#"{"model_id": 77}"#).await;
    let (_, refused) = batch.answer().await;
    let http = batch
        .server
        .post("/model/infer", r#"{"model_id": 77}"#)
        .await;
    assert_eq!(refused, http.json());
    assert_eq!(refused["code"], 400);
    assert_eq!(batch.server.jobs().await, 1);
}

/// What is wrong with a message: its properties, its body, and what is said of it.
fn poison() -> Vec<(Properties, Vec<u8>, &'static str)> {
    let train_k = || asks("/model/train", "k");
    let nameless = Properties {
        id: None,
        correlation: Some("c".to_owned()),
        ..train_k()
    };
    let typeless = Properties {
        kind: None,
        ..train_k()
    };
    vec![
        (
            train_k(),
            b"nonsense".to_vec(),
            "400: the body is not usable: expected",
        ),
        (
            train_k(),
            b"\xff\xfe".to_vec(),
            "400: the body is not usable: byte 1 is not UTF-8",
        ),
        (
            train_k(),
            Vec::new(),
            "400: the body is not usable: it is empty",
        ),
        (train_k(), b"{}".to_vec(), "400: `user_id` is missing"),
        (
            train_k(),
            vec![b' '; BODY_BYTES_MAX + 1],
            "413: the body is too long",
        ),
        (
            nameless,
            train().into(),
            "400: `message_id` is missing: it must",
        ),
        (
            typeless,
            train().into(),
            "404: `type` is \"\": it must be /model/train, /model/infer or \
             /sdk/computation/panel/createJobByInput",
        ),
        (
            asks("/model/cancel", "k"),
            b"{}".to_vec(),
            "404: `type` is \"/model/cancel\"",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_message_is_answered_or_else_parked_with_what_is_wrong() {
    let mut batch = Batch::new().await;
    for (properties, body, wrong) in poison() {
        let answer = batch.ask(&properties, body.clone()).await;
        let (code, message) = (&answer["code"], answer["message"].as_str());
        let said = format!("{code}: {}", message.expect("a sentence"));
        assert!(said.starts_with(wrong), "{said}");
        // To nobody, to one of our own queues, and to one who left.
        for nobody in [None, Some(queue::EVENTS), Some("replies.gone")] {
            let reply_to = nobody.map(str::to_owned);
            let properties = Properties {
                reply_to,
                ..properties.clone()
            };
            batch.send(&properties, body.clone()).await;
            let reason = batch.parked().await;
            assert!(reason.starts_with(wrong), "{reason}");
        }
    }
    // None of them held up what is sound.
    let sound = batch.ask(&asks("/model/train", "k"), train()).await;
    assert_eq!(sound["code"], 200);
    assert_eq!(batch.server.jobs().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_one_who_does_not_wait_is_taken() {
    let batch = Batch::new().await;
    let properties = Properties {
        reply_to: None,
        ..asks("/model/train", "k")
    };
    batch.send(&properties, train()).await;
    let taken = async { while batch.server.jobs().await == 0 {} };
    timeout(PATIENCE, taken).await.expect("it is taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_store_parks_nothing_and_loses_nothing() {
    let mut batch = Batch::new().await;
    let connection = rusqlite::Connection::open(batch.server.database()).expect("there");
    let rename = |from: &str, to: &str| {
        let sql = format!("ALTER TABLE {from} RENAME TO {to}");
        connection.execute(&sql, []).expect("renamed");
    };
    rename("parties", "away");
    let count = SUBMISSION_PREFETCH + 2;
    for number in 0..count {
        let properties = asks("/model/train", &format!("k-{number}"));
        batch.send(&properties, train()).await;
    }
    // Long enough for more tries than deliveries are allowed: the first four take 750 ms.
    let silence = timeout(Duration::from_secs(2), batch.answers.next());
    assert!(silence.await.is_err(), "nobody is told of an outage");
    rename("away", "parties");
    for _ in 0..count {
        assert_eq!(batch.answer().await.1["code"], 200);
    }
    assert_eq!(batch.server.jobs().await, count);
    let mut graves = batch
        .server
        .state
        .bus
        .consume(queue::DEAD, 1)
        .await
        .expect("there");
    let parked = timeout(Duration::ZERO, graves.next()).await;
    assert!(parked.is_err(), "nothing is parked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_finishes_what_is_under_way_and_leaves_the_rest_to_others() {
    let mut batch = Batch::new().await;
    let first = batch.ask(&asks("/model/train", "k-1"), train()).await;
    batch.shutdown.cancel();
    let Batch {
        server,
        answers,
        taking,
        ..
    } = batch;
    timeout(PATIENCE, taking)
        .await
        .expect("it ends")
        .expect("no panic");
    let shutdown = CancellationToken::new();
    let mut batch = Batch {
        taking: tokio::spawn(take_batches(server.state.clone(), shutdown.clone())),
        server,
        answers,
        shutdown,
    };
    let again = batch.ask(&asks("/model/train", "k-1"), train()).await;
    assert_eq!(again, first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_s_token_says_who_asks_as_by_http() {
    let mut server = Server::with_accounts().await;
    server.add("wei@zdey.cn", Some(3)).await;
    server.add("chen@szslyy.cn", Some(2)).await;
    let [wei, chen, gone] =
        ["wei@zdey.cn", "chen@szslyy.cn", "gone@zdey.cn"].map(|email| Some(server.token_of(email)));
    server.token = wei.clone();
    let mut batch = Batch::over(server).await;
    let late = Some("x".repeat(5000));
    for (token, status, sentence) in [
        (None, 401, "token missing"),
        (Some(String::new()), 401, "token missing"),
        (Some("nonsense".to_owned()), 401, "invalid token"),
        (late, 401, "invalid token"),
        (gone, 401, "invalid token"),
        (chen.clone(), 403, "`user_id` is 3: it must be 2"),
    ] {
        let properties = Properties {
            token: token.map(Token::new),
            ..asks("/model/train", "k")
        };
        let answer = batch.ask(&properties, train()).await;
        let message = answer["message"].as_str().expect("a sentence");
        assert_eq!(answer["code"], status);
        assert!(message.starts_with(sentence), "{message}");
    }
    assert_eq!(batch.server.jobs().await, 0);
    let properties = Properties {
        token: wei.map(Token::new),
        ..asks("/model/train", "k")
    };
    let answer = batch.ask(&properties, train()).await;
    assert_eq!(answer["code"], 200);
    // It is that account's job: only it may end it.
    let cancel = format!("{{\"order_id\":{}}}", answer["data"]["order_id"]);
    let wei = std::mem::replace(&mut batch.server.token, chen);
    assert_eq!(
        batch
            .server
            .post("/model/cancel", cancel.clone())
            .await
            .status,
        403
    );
    batch.server.token = wei;
    assert_eq!(batch.server.post("/model/cancel", cancel).await.status, 200);
    // A token that was good when it was sent is not when it is read an hour later.
    let later = batch
        .server
        .calling(|state| state.now = || 1_800_003_600_000);
    batch.shutdown.cancel();
    let taking = timeout(PATIENCE, batch.taking).await;
    taking.expect("it ends").expect("no panic");
    let shutdown = CancellationToken::new();
    let mut batch = Batch {
        taking: tokio::spawn(take_batches(later.state.clone(), shutdown.clone())),
        server: later,
        answers: batch.answers,
        shutdown,
    };
    let answer = batch.ask(&properties, train()).await;
    assert_eq!(answer["code"], 401);
    let message = answer["message"].as_str().expect("a sentence");
    assert!(message.starts_with("token expired"), "{message}");
}
