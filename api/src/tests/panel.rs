//! The second API document's calls, and everything that must be refused there: after each refusal
//! nothing is left, neither a job nor a piece of a file.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use shared::bus::{Properties, QueueKind, Token};
use shared::computation::FileKind;
use shared::decimal::Matrix;
use shared::id::{PanelId, SessionId};
use shared::job::{Fence, LearnSpec, Spec};
use shared::limits::{
    BODY_BYTES_MAX, FILE_BYTES_MAX, FILE_COLUMNS_MAX, FORM_BYTES_MAX, PIECE_BYTES,
    SUBMISSIONS_BYTES_MAX,
};
use shared::message::{Grant, Outcome, Progress, encode, queue};
use shared::seal::{ContentKey, SealPublic, open_input};
use shared::sharing::{self, Domain};
use shared::store::Applied;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::support::{Answered, SECRET, Server, identities, secrets};
use crate::{Callers, take_batches};

const PANEL: &str = "/sdk/computation/panel";
const WEI: &str = "wei@zdey.cn";
const LIN: &str = "lin@szslyy.cn";
const CHEN: &str = "chen@platform.cn";
const MALLORY: &str = "mallory@elsewhere.cn";

/// Four accounts: of party 3, of party 2, of none, and of party 5.
async fn world() -> Server {
    let mut server = Server::with_accounts().await;
    for (email, party) in [
        (WEI, Some(3)),
        (LIN, Some(2)),
        (CHEN, None),
        (MALLORY, Some(5)),
    ] {
        server.add(email, party).await;
    }
    server.token = Some(server.token_of(WEI));
    server
}

impl Server {
    async fn ask(&self, call: &str, body: &Value) -> Answered {
        self.post(&format!("{PANEL}/{call}"), body.to_string())
            .await
    }

    /// As another account.
    async fn ask_as(&self, who: &str, call: &str, body: &Value) -> Answered {
        let request = Request::post(format!("{PANEL}/{call}")).header("token", self.token_of(who));
        let body = Body::from(body.to_string());
        self.request(request.body(body).expect("valid")).await
    }

    async fn form(&self, kind: &str, body: impl Into<Body>) -> Answered {
        let request = Request::post(format!("{PANEL}/createJobByFile"))
            .header("token", self.token.as_deref().expect("a token"))
            .header(header::CONTENT_TYPE, kind)
            .body(body.into());
        self.request(request.expect("valid")).await
    }

    /// Rows of every table that a job of the panel, or an upload, would have left.
    fn left(&self) -> BTreeMap<&'static str, i64> {
        let database = rusqlite::Connection::open(self.database()).expect("a database");
        let tables = ["jobs", "panels", "inputs", "uploads", "uploaded_pieces"];
        let count = |table| {
            let sql = format!("select count(*) from {table}");
            database
                .query_row(&sql, [], |row| row.get(0))
                .expect("a count")
        };
        tables.map(|table| (table, count(table))).into()
    }

    fn nothing_is_left(&self, what: &str) {
        assert!(
            self.left().values().all(|rows| *rows == 0),
            "{what}: {:?}",
            self.left()
        );
    }

    /// Makes a joint computation of these; its id.
    pub(super) async fn joint(&self, parties: &Value) -> String {
        let body = with(&addition(), "input", json!("[[1]]"));
        id_of(
            &self
                .ask("createJobByInput", &with(&body, "parties", parties.clone()))
                .await,
        )
    }

    /// Makes a learning and finishes it, with a model; its id.
    pub(super) async fn learnt(&self) -> String {
        let id = id_of(&self.form(FORM, whole(&tree())).await);
        let (fence, grant, _) = self.claim_run(&id).await;
        self.learn(fence, grant, &[(FileKind::Model, "{}")]).await;
        id
    }

    /// A session that has opened the key hands in files.
    async fn learn(&self, fence: Fence, grant: Grant, made: &[(FileKind, &str)]) {
        let Spec::Learn(spec) = self.spec(fence).await else {
            panic!("learning")
        };
        let key = key_of(&spec, grant);
        for (kind, content) in made {
            let context = LearnSpec::piece_context(spec.panel, spec.round, *kind, 0, 1);
            let mut rng = rand::rand_core::UnwrapErr(rand::rngs::SysRng);
            let sealed = key.seal_piece(&mut rng, &context, content.as_bytes());
            let kept = self.state.store.keep(fence, *kind, 0, sealed).await;
            assert!(kept.expect("up"));
        }
        let lengths = made
            .iter()
            .map(|(kind, content)| (*kind, content.len() as u64));
        let outcome = Outcome::Learned {
            metrics: r#"{"accuracy":1.0}"#.to_owned(),
            files: lengths.collect(),
        };
        self.end(fence, outcome).await;
    }

    async fn spec(&self, fence: Fence) -> Spec {
        let job = self.state.store.job(fence.job).await.expect("up");
        job.expect("there").spec
    }

    async fn detail(&self, id: &str) -> Value {
        said(&self.ask("jobDetailByUser", &json!({ "jobID": id })).await)
    }

    /// A worker of the current run's party takes it.
    async fn claim_run(&self, id: &str) -> (Fence, Grant, Spec) {
        let id = PanelId::parse(id).expect("an id");
        let panel = self
            .state
            .store
            .panel(id)
            .await
            .expect("up")
            .expect("there");
        let fence = Fence {
            job: panel.job.id,
            attempt: panel.job.attempt,
            session: SessionId(Uuid::new_v4()),
        };
        let worker = panel.job.spec.guest();
        let lease = Duration::from_secs(60);
        let grant = self
            .state
            .store
            .claim(fence, worker, lease)
            .await
            .expect("up");
        (fence, grant.expect("nobody else has it"), panel.job.spec)
    }

    async fn end(&self, fence: Fence, outcome: Outcome) {
        let store = &self.state.store;
        let applied = store.finish(fence, Progress::default(), outcome).await;
        assert_eq!(applied.expect("up"), Applied::Ended);
    }
}

/// The key of the files, as the worker opens it.
fn key_of(spec: &LearnSpec, grant: Grant) -> ContentKey {
    let secret = identities()[&spec.worker].sealing();
    let sealed = grant.key.expect("a key");
    let key = open_input(secret, &spec.key_context(), &sealed).expect("to it");
    ContentKey::from_bytes(&key).expect("a key")
}

/// What a good answer says.
fn said(answered: &Answered) -> Value {
    assert_eq!(answered.status, 200, "{}", answered.text);
    let body = answered.json();
    assert_eq!(body["code"], 200);
    body
}

fn id_of(answered: &Answered) -> String {
    let body = said(answered);
    assert_eq!(body["msg"], "success");
    body["jobID"].as_str().expect("an id").to_owned()
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

/// What a refusal says, which is in the document's dialect.
fn refused(answered: &Answered, status: u16, sentence: &str) {
    assert_eq!(answered.status, status, "{sentence}: {}", answered.text);
    let body = answered.json();
    assert_eq!(body["code"], status, "{sentence}");
    assert_eq!(keys(&body), ["code", "msg"]);
    let message = body["msg"].as_str().expect("a sentence");
    assert!(message.contains(sentence), "{message} has not {sentence}");
}

fn addition() -> Value {
    json!({
        "computation": "Matrix Addition",
        "input": "[[18,34,18.2]]",
        "jobName": "matrix addition job Test",
        "parties": [WEI, LIN, CHEN],
    })
}

fn with(body: &Value, field: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[field] = value;
    body
}

const BOUNDARY: &str = "xBOUNDARYx";
pub(super) const FORM: &str = "multipart/form-data; boundary=xBOUNDARYx";

fn part(name: &str, value: &str) -> String {
    format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn file(name: &str, value: &str) -> String {
    format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; \
         filename=\"../../etc/{name}.csv\"\r\nContent-Type: application/octet-stream\r\n\r\n\
         {value}\r\n"
    )
}

fn whole(parts: &[String]) -> String {
    format!("{}--{BOUNDARY}--\r\n", parts.concat())
}

/// A form that makes a decision tree of nobody else's name.
pub(super) fn tree_form() -> String {
    whole(&tree()).replace("\"decision tree\" test\"", "another tree")
}

const FEATURE: &str = "age,sex\n63,男\n47,女\n58,男\n";
const TARGET: &str = "ill\n1\n0\n1\n";

fn tree() -> Vec<String> {
    vec![
        part("jobName", "\"decision tree\" test\""),
        part("computation", "\"decision TREE\""),
        file("featureData", FEATURE),
        file("targetData", TARGET),
        file("testingData", "age,sex\n61,女\n"),
    ]
}

#[tokio::test]
async fn a_joint_computation_goes_through_every_call_of_the_document() {
    let server = world().await;
    let id = id_of(&server.ask("createJobByInput", &addition()).await);
    assert!(PanelId::parse(&id).is_some_and(|id| id.0 != [0; 32]));
    let detail = server.detail(&id).await;
    assert_eq!(
        keys(&detail),
        [
            "clientSealed",
            "code",
            "computationStr",
            "contractAddr",
            "creationTime",
            "creator",
            "filled",
            "inputProtection",
            "jobID",
            "jobName",
            "msg",
            "order_id",
            "parties",
            "privacy",
            "reason",
            "roundID",
            "status",
            "typeStr",
            "updateTime",
            "workers",
        ]
    );
    assert_eq!(detail["status"], "awaiting_input");
    assert_eq!(detail["computationStr"], "matrix addition");
    assert_eq!(detail["filled"], json!([true, false, false]));
    assert_eq!(
        detail["inputProtection"],
        json!(["server-split", null, null])
    );
    assert_eq!(detail["workers"], json!([3, 2, 4]));
    let now = detail["creationTime"].as_i64().expect("seconds");
    assert!((1_700_000_000..10_000_000_000).contains(&now), "{now}");

    // Any of the three sees it; a fill may be replaced, and the last one starts it.
    let fill = |input: Value| json!({ "jobID": id, "input": input });
    let filled = server
        .ask_as(LIN, "fillData", &fill(json!("[[9,9,9]]")))
        .await;
    assert_eq!(filled.text, r#"{"code":200,"msg":"fill success"}"#);
    let wrong = server
        .ask_as(CHEN, "fillData", &fill(json!([[1], [2]])))
        .await;
    refused(&wrong, 422, "Matrix Addition of P0 (1 x 3) and P2 (2 x 1)");
    said(
        &server
            .ask_as(LIN, "fillData", &fill(json!([[1, 2, 3.2]])))
            .await,
    );
    said(&server.ask("fillData", &fill(json!("[[18,34,18.2]]"))).await);
    let big = json!("[[0.000000000001,239483279483298918390,-1e3]]");
    said(&server.ask_as(CHEN, "fillData", &fill(big)).await);
    assert_eq!(server.detail(&id).await["status"], "pending");
    let late = server
        .ask_as(LIN, "fillData", &fill(json!("[[1,2,3]]")))
        .await;
    refused(&late, 409, "is pending and takes no input any more");

    // What the worker gets is what was filled in last.
    let (fence, grant, spec) = server.claim_run(&id).await;
    let Spec::Compute(spec) = spec else {
        panic!("a computation")
    };
    for (position, bundle) in grant.inputs.iter().enumerate() {
        let context = spec.input_context(position);
        for (worker, party) in spec.workers.iter().enumerate() {
            let secret = identities()[party].sealing();
            sharing::open(secret, worker, Domain::Sum, &context, bundle).expect("sealed to it");
        }
    }
    let (exact, text) = ("[[19.000000000001]]", "[[\"19.000000\"]]");
    let outcome = Outcome::Computed {
        exact: exact.to_owned(),
        text: text.to_owned(),
    };
    server.end(fence, outcome).await;
    let page = json!({ "pageNo": 1, "pageSize": 2, "jobID": id });
    let first = said(&server.ask_as(CHEN, "subListByUser", &page).await);
    let list = [
        "code",
        "data",
        "msg",
        "page",
        "size",
        "totalCount",
        "totalPages",
    ];
    assert_eq!(keys(&first), list);
    let place = (
        &first["page"],
        &first["size"],
        &first["totalCount"],
        &first["totalPages"],
    );
    assert_eq!(place, (&json!(1), &json!(2), &json!(3), &json!(2)));
    let entries = first["data"].as_array().expect("a list");
    assert_eq!(
        keys(&entries[0]),
        [
            "ccdCost",
            "exact",
            "jobID",
            "party",
            "result",
            "roundID",
            "submitTime",
            "txHash"
        ]
    );
    assert_eq!(
        (&entries[0]["exact"], &entries[0]["result"]),
        (&json!(exact), &json!(text))
    );
    let second = said(
        &server
            .ask("subListByUser", &with(&page, "pageNo", json!(2)))
            .await,
    );
    let parties: Vec<&Value> = entries
        .iter()
        .chain(second["data"].as_array().expect("a list"))
        .map(|entry| &entry["party"])
        .collect();
    assert_eq!(parties, [WEI, LIN, CHEN]);

    let again = server
        .ask_as(LIN, "rerunJobByUser", &json!({ "jobID": id }))
        .await;
    refused(&again, 403, "run again by its creator alone");
    let again = said(&server.ask("rerunJobByUser", &json!({ "jobID": id })).await);
    assert_eq!(again["roundID"], 2);
    let detail = server.detail(&id).await;
    assert_eq!(detail["status"], "awaiting_input");
    assert_eq!(detail["filled"], json!([false, false, false]));
    refused(
        &server.ask("rerunJobByUser", &json!({ "jobID": id })).await,
        409,
        "is awaiting_input",
    );

    let jobs = said(
        &server
            .ask_as(
                CHEN,
                "jobListByUser",
                &json!({ "pageNo": 1, "pageSize": 20 }),
            )
            .await,
    );
    assert_eq!(keys(&jobs), list);
    assert_eq!(
        keys(&jobs["data"][0]),
        [
            "contractAddr",
            "creationTime",
            "creator",
            "jobID",
            "jobName",
            "parties",
            "roundID",
            "status",
            "typeStr",
            "updateTime",
        ]
    );
    assert_eq!(
        (&jobs["data"][0]["typeStr"], &jobs["totalCount"]),
        (&json!("Input"), &json!(1))
    );
    // The one list of jobs has the runs too, for the participants alone.
    let runs = server.get("/model/list").await.data();
    let kinds: Vec<&Value> = runs["jobs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|job| &job["kind"])
        .collect();
    assert_eq!(kinds, ["compute", "compute"]);

    let dataset = server
        .get(&format!(
            "{PANEL}/downloadDataset?datasetType=feature&jobID={id}"
        ))
        .await;
    refused(&dataset, 404, "has no feature file");
    refused(
        &server
            .ask_as(LIN, "deleteJobByUser", &json!({ "jobID": id }))
            .await,
        403,
        "deleted by its creator",
    );
    let deleted = server.ask("deleteJobByUser", &json!({ "jobID": id })).await;
    assert_eq!(deleted.text, r#"{"code":200,"msg":"delete success"}"#);
    refused(
        &server.ask("jobDetailByUser", &json!({ "jobID": id })).await,
        404,
        &id,
    );
    assert_eq!(server.left()["inputs"], 0);
}

#[tokio::test]
async fn a_learning_goes_through_every_call_of_the_document() {
    let server = world().await;
    let id = id_of(&server.form(FORM, whole(&tree())).await);
    let detail = server.detail(&id).await;
    assert_eq!(detail["jobName"], "\"decision tree\" test\"");
    assert_eq!(detail["computationStr"], "decision tree");
    assert_eq!(
        (&detail["typeStr"], &detail["status"]),
        (&json!("Upload"), &json!("pending"))
    );
    assert_eq!(
        (&detail["parties"], &detail["workers"]),
        (&json!([WEI]), &json!([3]))
    );
    assert_eq!(detail["privacy"], "none (single worker)");
    let files = json!({ "feature": FEATURE.len(), "target": TARGET.len(), "testing": 15 });
    assert_eq!(detail["files"], files);
    let get = async |query: &str| server.get(&format!("{PANEL}/{query}")).await;
    for (word, content) in [
        ("feature", FEATURE),
        ("target", TARGET),
        ("Testing", "age,sex\n61,女\n"),
    ] {
        let got = get(&format!("downloadDataset?datasetType={word}&jobID={id}")).await;
        assert_eq!((got.status, got.text.as_str()), (200, content));
        assert_eq!(got.headers[header::CONTENT_TYPE], "text/csv; charset=utf-8");
        let name = format!("attachment; filename=\"{}.csv\"", word.to_lowercase());
        assert_eq!(got.headers[header::CONTENT_DISPOSITION], name);
    }
    let input = json!({ "jobID": id, "input": "1" });
    refused(&server.ask("fillData", &input).await, 409, "takes no input");
    let unmade = get(&format!("downloadResult?resultType=model&jobID={id}")).await;
    refused(&unmade, 404, "made a model file");

    // The worker opens the key and the pieces, and hands in what it made.
    let (fence, grant, spec) = server.claim_run(&id).await;
    let Spec::Learn(spec) = spec else {
        panic!("learning")
    };
    let key = key_of(&spec, grant.clone());
    let store = &server.state.store;
    let piece = store
        .fetch(fence, FileKind::Target, 0)
        .await
        .expect("up")
        .flatten();
    let context = LearnSpec::piece_context(spec.panel, 0, FileKind::Target, 0, 0);
    let opened = key
        .open_piece(&context, &piece.expect("there"))
        .expect("opens");
    assert_eq!(*opened, TARGET.as_bytes());
    let made = [
        (FileKind::Result, "# age,sex,Result\n61,女,1\n"),
        (FileKind::Model, "{\"a\":1}"),
    ];
    server.learn(fence, grant, &made).await;
    let page = json!({ "pageNo": 1, "pageSize": 20, "jobID": id });
    let list = said(&server.ask("subListByUser", &page).await);
    assert_eq!(
        (&list["totalCount"], &list["totalPages"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(list["data"][0]["metrics"], json!({ "accuracy": 1.0 }));
    let paths = list["data"][0]["result"].as_str().expect("JSON text");
    let paths: Value = serde_json::from_str(paths).expect("JSON text");
    assert_eq!(keys(&paths), ["model", "result"]);
    for ((_, content), (word, kind)) in made.iter().zip([
        ("result", "text/csv; charset=utf-8"),
        ("model", "application/json"),
    ]) {
        let path = paths[word].as_str().expect("a path");
        assert!(path.ends_with("&roundID=1"), "{path}");
        let got = server.get(path).await;
        assert_eq!((got.status, got.text.as_str()), (200, *content), "{path}");
        assert_eq!(got.headers[header::CONTENT_TYPE], kind);
        let newest = path.replace("&roundID=1", "");
        assert_eq!(server.get(&newest).await.text, *content);
        refused(
            &server.get(&path.replace("roundID=1", "roundID=7")).await,
            404,
            "no such finished run",
        );
    }
    let again = said(&server.ask("rerunJobByUser", &json!({ "jobID": id })).await);
    assert_eq!(again["roundID"], 2);
    assert_eq!(server.detail(&id).await["status"], "pending");
    said(&server.ask("deleteJobByUser", &json!({ "jobID": id })).await);
    let left = server.left();
    assert_eq!((left["uploads"], left["uploaded_pieces"]), (0, 0));
}

#[tokio::test]
async fn a_name_is_free_again_when_its_job_is_deleted() {
    let server = world().await;
    let body = with(&addition(), "jobName", json!("联合计算 №1"));
    let id = id_of(&server.ask("createJobByInput", &body).await);
    refused(
        &server.ask("createJobByInput", &body).await,
        409,
        "`jobName` is \"联合计算 №1\"",
    );
    let named = tree()
        .join("")
        .replace("\"decision tree\" test\"", "联合计算 №1");
    refused(&server.form(FORM, whole(&[named])).await, 409, "`jobName`");
    assert_eq!(
        (server.left()["uploads"], server.left()["uploaded_pieces"]),
        (0, 0)
    );
    id_of(&server.ask_as(LIN, "createJobByInput", &body).await);
    said(&server.ask("deleteJobByUser", &json!({ "jobID": id })).await);
    id_of(&server.ask("createJobByInput", &body).await);
}

#[tokio::test]
async fn files_of_several_pieces_come_back_as_they_were() {
    let server = world().await;
    let mut feature = "x,y\n".to_owned();
    while feature.len() < 2 * PIECE_BYTES + 100 {
        feature.push_str("0.125,诊\n");
    }
    let parts = [
        file("featureData", &feature),
        part("computation", "KMeans"),
        part("jobName", "k"),
    ];
    let id = id_of(&server.form(FORM, whole(&parts)).await);
    let got = server
        .get(&format!(
            "{PANEL}/downloadDataset?datasetType=feature&jobID={id}"
        ))
        .await;
    assert!(got.text == feature);
    assert_eq!(server.left()["uploaded_pieces"], 3);
    let absent = server
        .get(&format!(
            "{PANEL}/downloadDataset?datasetType=target&jobID={id}"
        ))
        .await;
    refused(&absent, 404, "has no target file");
    // No cell lies in the database, and after another secret has taken over they open still.
    let other = "HxAeHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgE=";
    let server = server.calling(|state| {
        state.callers = Callers::accounts(secrets(&format!("{other} {SECRET}")));
    });
    let mut server = server;
    server.token = Some(server.token_of(WEI));
    let got = server
        .get(&format!(
            "{PANEL}/downloadDataset?datasetType=feature&jobID={id}"
        ))
        .await;
    assert!(got.text == feature);
    let bytes = std::fs::read(server.database()).expect("a file");
    let cell = "0.125,诊\n".as_bytes();
    assert!(!bytes.windows(cell.len()).any(|window| window == cell));
}

/// Bodies of createJobByInput that must be refused: (field, value, status, sentence).
fn faulty() -> Vec<(&'static str, Value, u16, &'static str)> {
    let row = |text: &str| json!(text);
    let many = format!("[[{}0]]", "0,".repeat(32_768));
    vec![
        (
            "computation",
            json!("Matrix Division"),
            400,
            "one of Matrix Addition",
        ),
        (
            "computation",
            json!("decision tree"),
            400,
            "createJobByFile",
        ),
        ("computation", json!(7), 400, "`computation`"),
        ("jobName", json!(""), 400, "`jobName`"),
        ("jobName", json!("x".repeat(129)), 400, "1 to 128 bytes"),
        ("jobName", json!("a\u{0}b"), 400, "control characters"),
        ("jobName", json!(["x"]), 400, "`jobName` is an array"),
        ("parties", json!([WEI, LIN]), 400, "an array of 3 to 3"),
        (
            "parties",
            json!([WEI, LIN, "Lin@SZSLYY.cn"]),
            400,
            "`parties[2]`",
        ),
        (
            "parties",
            json!([WEI, LIN, "nobody@x.cn"]),
            400,
            "`parties[2]` is \"nobody@x.cn\": it must be a registered account",
        ),
        (
            "parties",
            json!([WEI, LIN, "no address"]),
            400,
            "`parties[2]`",
        ),
        (
            "parties",
            json!([CHEN, LIN, MALLORY]),
            400,
            "must have wei@zdey.cn in it",
        ),
        ("parties", json!("wei"), 400, "an array of 3 to 3"),
        ("reveal", json!("max"), 400, "only a comparison"),
        ("inputProtection", json!("none"), 400, "server-split"),
        (
            "inputProtection",
            json!("client-sealed"),
            400,
            "`input` must be absent",
        ),
        ("extra", json!(1), 400, "`extra` is unknown"),
        (
            "input",
            json!(null),
            400,
            "`input` must be a matrix or a number",
        ),
        (
            "input",
            json!({ "a": 1 }),
            400,
            "`input` must be a matrix or a number",
        ),
        (
            "input",
            json!(true),
            400,
            "`input` must be a matrix or a number",
        ),
        ("input", row(""), 400, "`input` is refused"),
        ("input", row("[]"), 400, "`input` is refused"),
        ("input", row("[[]]"), 400, "`input` is refused"),
        ("input", row("[[31337,2],[3]]"), 400, "`input` is refused"),
        ("input", row("[[NaN]]"), 400, "`input` is refused"),
        ("input", row("[[Infinity]]"), 400, "`input` is refused"),
        (
            "input",
            row("[[31337e999999999]]"),
            400,
            "`input` is refused",
        ),
        ("input", row("[[31337e-13]]"), 400, "`input` is refused"),
        (
            "input",
            row("[[[[[[[[[[31337]]]]]]]]]]"),
            400,
            "`input` is refused",
        ),
        ("input", row("[[\"31337\"]]"), 400, "`input` is refused"),
        ("input", row("[[0031337]]"), 400, "`input` is refused"),
        ("input", row("\u{feff}[[31337]]"), 400, "`input` is refused"),
        ("input", row("[[31337]]\u{0}"), 400, "`input` is refused"),
        ("input", row(&many), 400, "`input` is refused"),
        (
            "input",
            row("concord1:31337"),
            400,
            "sealed by `concord fill`",
        ),
        ("input", row("concord1:"), 400, "sealed by `concord fill`"),
    ]
}

#[tokio::test]
async fn what_no_input_may_be_is_refused_and_leaves_nothing() {
    let server = world().await;
    for (field, value, status, sentence) in faulty() {
        let shown = value.to_string();
        let answered = server
            .ask("createJobByInput", &with(&addition(), field, value))
            .await;
        refused(&answered, status, sentence);
        assert!(
            !answered.text.contains("31337"),
            "{shown}: {}",
            answered.text
        );
    }
    for field in ["computation", "input", "jobName", "parties"] {
        let mut body = addition();
        body.as_object_mut().expect("an object").remove(field);
        let answered = server.ask("createJobByInput", &body).await;
        refused(&answered, 400, &format!("`{field}` is missing"));
    }
    let good = addition().to_string();
    let texts: [(Vec<u8>, u16, &str); 12] = [
        (b"".to_vec(), 400, "empty"),
        (b"null".to_vec(), 400, "it must be an object"),
        (b"[[1]]".to_vec(), 400, "it must be an object"),
        (
            good.replace("{", "{\"input\":\"[[31337]]\",").into(),
            400,
            "`input` occurs twice",
        ),
        (
            good.replace("\"input\"", "\"in\\u0070ut\"").into(),
            400,
            "without escapes",
        ),
        (
            good.replace("\"[[18,34,18.2]]\"", "NaN").into(),
            400,
            "must be a matrix",
        ),
        (
            good.replace("\"[[18,34,18.2]]\"", "[[1e400]]").into(),
            400,
            "`input` is refused",
        ),
        (good.replace("Test", "\\ud800").into(), 400, "line 1 column"),
        (
            good.replace("[[18", "[[\\ud800").into(),
            400,
            "a JSON string without escapes",
        ),
        ([good.as_bytes(), b"\xff"].concat(), 400, "is not UTF-8"),
        (b"{\"a\":".repeat(100_000), 400, "deeper than 8 levels"),
        (vec![b' '; BODY_BYTES_MAX + 1], 413, "at most 1048576 bytes"),
    ];
    for (body, status, sentence) in texts {
        refused(
            &server
                .post(&format!("{PANEL}/createJobByInput"), body)
                .await,
            status,
            sentence,
        );
    }
    server.nothing_is_left("faulty inputs");
    id_of(&server.ask("createJobByInput", &addition()).await);
}

#[tokio::test]
async fn the_digits_of_an_input_are_those_the_caller_wrote() {
    let server = world().await;
    for (name, input) in [
        ("a", json!("239483279483298918390")),
        ("b", json!(7)),
        ("c", json!([[1.5, -2]])),
        ("d", json!("[[1e3,\n 0.5]]")),
    ] {
        let body = with(&with(&addition(), "input", input), "jobName", json!(name));
        let body = with(&body, "computation", json!("PRIVACY comparison"));
        id_of(&server.ask("createJobByInput", &body).await);
    }
    // As JSON itself it would not fit a double.
    let body = with(&addition(), "jobName", json!("e")).to_string();
    let body = body.replace(
        "\"[[18,34,18.2]]\"",
        "[[123456789012345678901.000000000001]]",
    );
    id_of(
        &server
            .post(&format!("{PANEL}/createJobByInput"), body)
            .await,
    );
}

#[tokio::test]
async fn a_request_sent_twice_under_one_name_is_one_job() {
    let server = world().await;
    let ask = async |who: &str, body: &Value| {
        let request = Request::post(format!("{PANEL}/createJobByInput"))
            .header("token", server.token_of(who))
            .header("idempotency-key", "same")
            .body(Body::from(body.to_string()));
        server.request(request.expect("valid")).await
    };
    let first = id_of(&ask(WEI, &addition()).await);
    assert_eq!(id_of(&ask(WEI, &addition()).await), first);
    // The input is no part of what makes it the same: its hash could be guessed.
    let other = with(&addition(), "input", json!("[[1,2,3]]"));
    assert_eq!(id_of(&ask(WEI, &other).await), first);
    let other = with(&addition(), "jobName", json!("another"));
    refused(
        &ask(WEI, &other).await,
        409,
        "`Idempotency-Key` is that of an earlier request",
    );
    assert_ne!(
        id_of(&ask(LIN, &addition()).await),
        first,
        "another account's name"
    );
    let form = async || {
        let request = Request::post(format!("{PANEL}/createJobByFile"))
            .header("token", server.token_of(WEI))
            .header("idempotency-key", "file")
            .header(header::CONTENT_TYPE, FORM)
            .body(Body::from(whole(&tree())));
        server.request(request.expect("valid")).await
    };
    let first = id_of(&form().await);
    assert_eq!(id_of(&form().await), first);
    assert_eq!(server.left()["uploads"], 1, "the second upload is gone");
}

#[tokio::test]
async fn what_is_sealed_by_its_owner_is_taken_as_it_is() {
    let server = world().await;
    let mut body = with(&addition(), "inputProtection", json!("client-sealed"));
    body.as_object_mut().expect("an object").remove("input");
    let id = id_of(&server.ask("createJobByInput", &body).await);
    let detail = server.detail(&id).await;
    assert_eq!(
        (&detail["clientSealed"], &detail["filled"]),
        (&json!(true), &json!([false, false, false]))
    );
    let plain = server
        .ask("fillData", &json!({ "jobID": id, "input": "[[1]]" }))
        .await;
    refused(&plain, 400, "use `concord fill`");
    let panel = server
        .state
        .store
        .panel(PanelId::parse(&id).expect("an id"))
        .await;
    let panel = panel.expect("up").expect("there");
    let Spec::Compute(spec) = panel.job.spec else {
        panic!("a computation")
    };
    let readers = spec
        .workers
        .map(|party| SealPublic(identities()[&party].public().sealing));
    let matrix = Matrix::parse("[[1,2]]", 24).expect("a matrix");
    let mut rng = rand::rand_core::UnwrapErr(rand::rngs::SysRng);
    let context = spec.input_context(1);
    let bundle = sharing::split(&mut rng, Domain::Sum, &context, &matrix, &readers).expect("split");
    let input = format!("concord1:{}", STANDARD.encode(encode(&bundle)));
    said(
        &server
            .ask_as(LIN, "fillData", &json!({ "jobID": id, "input": input }))
            .await,
    );
    let detail = server.detail(&id).await;
    assert_eq!(
        detail["inputProtection"],
        json!([null, "client-sealed", null])
    );
}

#[tokio::test]
async fn the_broker_carries_no_input_in_the_clear() {
    let server = world().await;
    let stop = CancellationToken::new();
    let taking = tokio::spawn(take_batches(server.state.clone(), stop.clone()));
    let bus = &server.state.bus;
    let declared = bus.declare(queue::SUBMISSIONS, QueueKind::Durable);
    declared.await.expect("declared");
    bus.declare("replies.test", QueueKind::Session)
        .await
        .expect("declared");
    let mut answers = bus.consume("replies.test", 4).await.expect("declared");
    let mut sealed = with(&addition(), "inputProtection", json!("client-sealed"));
    sealed.as_object_mut().expect("an object").remove("input");
    let mut unsealed = sealed.clone();
    unsealed
        .as_object_mut()
        .expect("an object")
        .remove("inputProtection");
    for (name, body, code, sentence) in [
        (
            "1",
            addition(),
            400,
            "`input` must be absent: what goes through the broker",
        ),
        (
            "2",
            unsealed,
            400,
            "`inputProtection` must be \"client-sealed\"",
        ),
        ("3", sealed, 200, "success"),
    ] {
        let about = Properties {
            id: Some(name.to_owned()),
            kind: Some(format!("{PANEL}/createJobByInput")),
            reply_to: Some("replies.test".to_owned()),
            token: Some(Token::new(server.token_of(WEI))),
            ..Properties::default()
        };
        let sent = bus.publish_with(queue::SUBMISSIONS, body.to_string().into_bytes(), &about);
        sent.await.expect("sent");
        let delivery = answers.next().await.expect("an answer");
        let answer: Value = serde_json::from_slice(delivery.body()).expect("JSON");
        delivery.ack().await;
        assert_eq!(answer["code"], code, "{answer}");
        assert!(
            answer["msg"]
                .as_str()
                .expect("a sentence")
                .contains(sentence),
            "{answer}"
        );
    }
    stop.cancel();
    taking.await.expect("ended");
    assert_eq!(server.left()["panels"], 1);
}

/// Forms that must be refused: (what, Content-Type, body, status, sentence).
fn forms() -> Vec<(&'static str, &'static str, Vec<u8>, u16, String)> {
    let names = || vec![part("computation", "Decision Tree"), part("jobName", "x")];
    let files = |feature: &str, target: &str| {
        let mut parts = names();
        parts.extend([file("featureData", feature), file("targetData", target)]);
        whole(&parts).into_bytes()
    };
    let feature = |text: &str| files(text, TARGET);
    let without = |name: &str| {
        let marked = format!("name=\"{name}\"");
        whole(
            &tree()
                .into_iter()
                .filter(|part| !part.contains(&marked))
                .collect::<Vec<_>>(),
        )
    };
    let plus = |parts: &[String]| whole(&[tree(), parts.to_vec()].concat()).into_bytes();
    let wide = |count: usize| vec!["a"; count].join(",");
    let long = "x\n".repeat((FILE_BYTES_MAX + BODY_BYTES_MAX) / 2);
    let good = whole(&tree());
    let mut gzip = good.clone().into_bytes();
    let at = good.find(FEATURE).expect("it is there");
    gzip.splice(at..at + FEATURE.len(), *b"\x1f\x8b\x08\0\0");
    let case = |what, body: Vec<u8>, status, sentence: &str| {
        (what, FORM, body, status, sentence.to_owned())
    };
    vec![
        case("empty", b"".to_vec(), 400, "the form is not usable"),
        case(
            "no parts",
            whole(&[]).into(),
            400,
            "`computation` is missing",
        ),
        case(
            "another boundary",
            good.replace(BOUNDARY, "other").into(),
            400,
            "the form is not usable",
        ),
        case(
            "cut",
            good.as_bytes()[..good.len() - 20].to_vec(),
            400,
            "ends before its last boundary",
        ),
        (
            "no boundary",
            "multipart/form-data",
            good.clone().into(),
            400,
            "with a boundary".to_owned(),
        ),
        (
            "another type",
            "application/json",
            good.clone().into(),
            400,
            "multipart/form-data".to_owned(),
        ),
        case(
            "no computation",
            without("computation").into(),
            400,
            "`computation` is missing",
        ),
        case(
            "no name",
            without("jobName").into(),
            400,
            "`jobName` is missing",
        ),
        case(
            "no feature",
            without("featureData").into(),
            400,
            "`featureData` is missing",
        ),
        case(
            "no target",
            without("targetData").into(),
            400,
            "`targetData` is missing: Decision Tree needs it",
        ),
        case(
            "two features",
            plus(&[file("featureData", FEATURE)]),
            400,
            "`featureData` occurs twice",
        ),
        case(
            "an unknown field",
            plus(&[part("extra", "1")]),
            400,
            "`extra` is unknown",
        ),
        case(
            "a part without a name",
            plus(&[part("x", "1").replace("; name=\"x\"", "")]),
            400,
            "a part without a name",
        ),
        case(
            "many parts",
            (0..30_000)
                .map(|at| part(&at.to_string(), ""))
                .collect::<String>()
                .into(),
            400,
            "unknown",
        ),
        case(
            "empty parts",
            part("", "").repeat(30_000).into(),
            400,
            "is unknown",
        ),
        case(
            "a long computation",
            whole(&[part("computation", &"x".repeat(1025))]).into(),
            413,
            "`computation` is too long",
        ),
        case(
            "a long name",
            good.replace("\"decision tree\" test\"", &"诊".repeat(43))
                .into(),
            400,
            "`jobName` must have 1 to 128 bytes",
        ),
        case(
            "an empty name",
            good.replace("\"decision tree\" test\"", "\"\"").into(),
            400,
            "`jobName` must have 1 to 128 bytes",
        ),
        case(
            "a long header",
            part(&"x".repeat(1 << 20), "1").into(),
            400,
            "a header of more than",
        ),
        case(
            "an endless preamble",
            vec![b'x'; 1 << 20],
            400,
            "a header of more than",
        ),
        case(
            "a wrong learner",
            good.replace("decision TREE", "Random Forest").into(),
            400,
            "one of Decision Tree",
        ),
        case(
            "a joint computation",
            good.replace("decision TREE", "matrix addition").into(),
            400,
            "createJobByInput",
        ),
        case(
            "a clustering with a target",
            good.replace("decision TREE", "Birch Clustering").into(),
            400,
            "`targetData` must be absent",
        ),
        case(
            "ragged",
            feature("a,b\n1,2\n3\n4,5\n"),
            400,
            "`featureData` has 1 cells in the row of line 3, and 2 in its header",
        ),
        case("an empty file", feature(""), 400, "`featureData` is empty"),
        case(
            "a header alone",
            feature("a,b\n"),
            400,
            "`featureData` has a header row and no other",
        ),
        case("gzip", gzip, 400, "`featureData` is compressed or binary"),
        case(
            "zip",
            feature("PK\u{3}\u{4}\u{14}"),
            400,
            "compressed or binary",
        ),
        case("a NUL", feature("a\n\0\n"), 400, "compressed or binary"),
        case(
            "columns",
            feature(&format!("{}\n", wide(1_000_000))),
            400,
            &format!("more than {FILE_COLUMNS_MAX} columns"),
        ),
        case(
            "fewer targets",
            files("a\n1\n2\n3\n4\n", TARGET),
            400,
            "`targetData` has 3 rows below its header",
        ),
        case(
            "two targets",
            files(FEATURE, "a,b\n1,2\n1,2\n1,2\n"),
            400,
            "`targetData` has 2 columns",
        ),
        case(
            "another testing",
            good.replace("age,sex\n61,女", "age\n61").into(),
            400,
            "`testingData` has 1 columns",
        ),
        case(
            "a long file",
            feature(&long),
            413,
            "`featureData` is too long: at most 67108864 bytes",
        ),
    ]
}

#[tokio::test]
async fn what_no_form_may_be_is_refused_and_leaves_nothing() {
    let server = world().await;
    for (what, kind, body, status, sentence) in forms() {
        let answered = server.form(kind, body).await;
        assert_eq!(answered.status, status, "{what}: {}", answered.text);
        refused(&answered, status, &sentence);
        server.nothing_is_left(what);
    }
    let none = server
        .send(
            Method::POST,
            &format!("{PANEL}/createJobByFile"),
            whole(&tree()).into(),
        )
        .await;
    refused(&none, 400, "multipart/form-data");
    server.nothing_is_left("no Content-Type");
    id_of(&server.form(FORM, whole(&tree())).await);
}

#[tokio::test]
async fn a_form_that_says_it_is_too_long_is_not_read() {
    let server = world().await;
    let request = Request::post(format!("{PANEL}/createJobByFile"))
        .header("token", server.token.as_deref().expect("a token"))
        .header(header::CONTENT_TYPE, FORM)
        .header(header::CONTENT_LENGTH, FORM_BYTES_MAX + 1)
        .body(Body::from_stream(futures_util::stream::pending::<
            Result<Bytes, std::io::Error>,
        >()));
    let answered = server.request(request.expect("valid")).await;
    refused(&answered, 413, "at most");
}

#[tokio::test]
async fn a_client_that_goes_leaves_nothing() {
    let server = world().await;
    let text = whole(&tree());
    let long = format!("x\n{}", "1\n".repeat(PIECE_BYTES));
    let begun = [
        part("jobName", "x"),
        part("computation", "svm"),
        file("featureData", &long),
    ]
    .concat();
    // The connection breaks.
    for sent in [text[..text.len() - 30].to_owned(), begun.clone()] {
        let chunks = [Ok(Bytes::from(sent)), Err(std::io::Error::other("gone"))];
        let body = Body::from_stream(futures_util::stream::iter(chunks));
        refused(
            &server.form(FORM, body).await,
            400,
            "could not be read to its end",
        );
        server.nothing_is_left("a broken connection");
    }
    // Nobody waits any more.
    use futures_util::StreamExt;
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from(begun))]);
    let body = Body::from_stream(chunks.chain(futures_util::stream::pending()));
    let waiting = tokio::time::timeout(Duration::from_millis(500), server.form(FORM, body));
    assert!(waiting.await.is_err());
    for _ in 0..200 {
        if server.left()["uploads"] == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.nothing_is_left("a client that went");
}

#[tokio::test]
async fn without_accounts_there_is_no_panel() {
    let server = Server::new().await;
    refused(
        &server.ask("createJobByInput", &addition()).await,
        409,
        "has no accounts",
    );
    let list = json!({ "pageNo": 1, "pageSize": 20 });
    refused(
        &server.ask("jobListByUser", &list).await,
        409,
        "has no accounts",
    );
}

#[tokio::test]
async fn pages_are_counted_from_1_and_bounded() {
    let server = world().await;
    for (number, size) in [
        (json!(0), json!(5)),
        (json!(1), json!(0)),
        (json!(1), json!(101)),
        (json!(-1), json!(1)),
        (json!(1.5), json!(1)),
    ] {
        let body = json!({ "pageNo": number, "pageSize": size });
        refused(
            &server.ask("jobListByUser", &body).await,
            400,
            "must be an integer",
        );
    }
    for at in 0..3 {
        id_of(
            &server
                .ask(
                    "createJobByInput",
                    &with(&addition(), "jobName", json!(at.to_string())),
                )
                .await,
        );
    }
    let page = said(
        &server
            .ask("jobListByUser", &json!({ "pageNo": 2, "pageSize": 2 }))
            .await,
    );
    assert_eq!(
        (&page["totalCount"], &page["totalPages"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(page["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(page["data"][0]["jobName"], "0", "newest first");
}

#[tokio::test]
async fn files_go_to_no_other_party_than_their_account_s() {
    let mut server = world().await;
    for (who, sentence) in [
        (CHEN, "speaks for no party"),
        ("gone@nowhere.cn", "party 9, which is not registered"),
    ] {
        if who != CHEN {
            server.add(who, Some(9)).await;
        }
        server.token = Some(server.token_of(who));
        // Not a byte of the form is waited for.
        let body =
            Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        refused(&server.form(FORM, body).await, 409, sentence);
        server.nothing_is_left(who);
    }
    // Run again they are for the party they are sealed to.
    server.token = Some(server.token_of(WEI));
    let id = id_of(&server.form(FORM, whole(&tree())).await);
    let (fence, ..) = server.claim_run(&id).await;
    let outcome = Outcome::Learned {
        metrics: "{}".to_owned(),
        files: BTreeMap::new(),
    };
    server.end(fence, outcome).await;
    let database = rusqlite::Connection::open(server.database()).expect("a database");
    let moved = "update users set party = ?1 where email = ?2";
    for (party, status) in [(2, 409), (3, 200)] {
        database.execute(moved, (party, WEI)).expect("an account");
        let again = server.ask("rerunJobByUser", &json!({ "jobID": id })).await;
        assert_eq!(again.status, status, "{}", again.text);
    }
}

#[tokio::test]
async fn an_account_uploads_one_form_at_a_time() {
    let mut server = world().await;
    let (begun, begins) = tokio::sync::oneshot::channel();
    let chunks = futures_util::stream::once(async move {
        begun.send(()).expect("somebody waits");
        std::future::pending::<Result<Bytes, std::io::Error>>().await
    });
    let app = server.app.clone();
    let request = Request::post(format!("{PANEL}/createJobByFile"))
        .header("token", server.token_of(WEI))
        .header(header::CONTENT_TYPE, FORM)
        .body(Body::from_stream(chunks));
    let request = request.expect("valid");
    let first = tokio::spawn(tower::ServiceExt::oneshot(app, request));
    begins.await.expect("it is read");
    let second = server.form(FORM, whole(&tree())).await;
    refused(&second, 429, "too many requests");
    assert_eq!(second.headers[header::RETRY_AFTER], "10");
    server.token = Some(server.token_of(LIN));
    id_of(&server.form(FORM, whole(&tree())).await);
    server.token = Some(server.token_of(WEI));
    first.abort();
    assert!(first.await.is_err_and(|error| error.is_cancelled()));
    id_of(&server.form(FORM, whole(&tree())).await);
}

#[tokio::test]
async fn a_page_of_long_results_ends_after_a_run() {
    let server = world().await;
    let id = id_of(&server.ask("createJobByInput", &addition()).await);
    for round in 1..=2 {
        for who in [WEI, LIN, CHEN] {
            let fill = json!({ "jobID": id, "input": "[[1,2,3]]" });
            said(&server.ask_as(who, "fillData", &fill).await);
        }
        let (fence, ..) = server.claim_run(&id).await;
        let outcome = Outcome::Computed {
            exact: "[[1]]".to_owned(),
            text: "1".repeat(SUBMISSIONS_BYTES_MAX / 3),
        };
        server.end(fence, outcome).await;
        if round == 1 {
            said(&server.ask("rerunJobByUser", &json!({ "jobID": id })).await);
        }
    }
    // The whole first page, the rest of it, and the second of shorter ones.
    for (page, size, rounds) in [
        (1, 6, &[2, 2, 2][..]),
        (2, 3, &[1, 1, 1]),
        (2, 2, &[2, 1]),
        (3, 2, &[1, 1]),
    ] {
        let body = json!({ "pageNo": page, "pageSize": size, "jobID": id });
        let list = said(&server.ask("subListByUser", &body).await);
        let data = list["data"].as_array().expect("a list");
        let found: Vec<&Value> = data.iter().map(|entry| &entry["roundID"]).collect();
        assert_eq!(json!(found), json!(rounds), "page {page} of {size}");
        assert_eq!(list["totalCount"], 6);
    }
}
