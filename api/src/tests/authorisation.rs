//! Every route, asked by every kind of caller. A route that is missing here fails.

use axum::body::Body;
use axum::http::{Method, Request};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use shared::limits::TOKEN_BYTES_MAX;
use shared::store::Email;

use super::support::{Answered, Server, secrets, seed};
use crate::routes;

const CREATOR: &str = "wei@zdey.cn";
const COLLEAGUE: &str = "lin@zdey.cn";
const PARTICIPANT: &str = "chen@szslyy.cn";
const STRANGER: &str = "mallory@elsewhere.cn";
const UNBOUND: &str = "nobody@platform.cn";
const DISABLED: &str = "left@zdey.cn";
/// An order and a model that nobody has.
const UNKNOWN: &str = "987654";
/// A job of the panel that nobody has.
const UNKNOWN_PANEL: &str =
    "82432641958147347699879957611773176975645610459935361780929612748304054178070";

/// Where one of party 3's jobs of each kind is, and the model.
struct Ids {
    train: i64,
    model: i64,
    infer: i64,
    /// A training that waits, to be cancelled.
    waiting: i64,
}

/// Jobs of the panel: one of the creator, the colleague and the participant that awaits their
/// inputs, and one of the creator alone that has finished.
struct Panels {
    joint: String,
    learnt: String,
}

/// What a route answers.
enum Access {
    /// The same to everybody, token or not.
    Public(u16),
    /// 401 unless the token is good; then by whose it is.
    Known {
        unbound: u16,
        stranger: u16,
        participant: u16,
        colleague: u16,
        creator: u16,
    },
}

/// A request and what comes of it.
struct Row {
    method: Method,
    path: &'static str,
    /// What follows the path.
    query: String,
    body: String,
    /// The id in it, if there is one.
    id: Option<String>,
    access: Access,
}

/// One row or more for every route.
fn table(ids: &Ids, panels: &Panels) -> Vec<Row> {
    let row = |method: Method, path, access| Row {
        method,
        path,
        query: String::new(),
        body: String::new(),
        id: None,
        access,
    };
    let public = |path, status| row(Method::GET, path, Access::Public(status));
    let known = |codes: [u16; 5]| {
        let [unbound, stranger, participant, colleague, creator] = codes;
        Access::Known {
            unbound,
            stranger,
            participant,
            colleague,
            creator,
        }
    };
    let of = |path, field: &str, id: i64, codes| Row {
        query: format!("?{field}={id}"),
        id: Some(id.to_string()),
        ..row(Method::GET, path, known(codes))
    };
    let post = |path, body: String, id: Option<i64>, codes| Row {
        body,
        id: id.map(|id| id.to_string()),
        ..row(Method::POST, path, known(codes))
    };
    let train = seed("模型训练").0.expect("a body").to_owned();
    let infer = |party: u64, codes| {
        let input = json!({ "user_id": party, "data_sql": "select * from data.blooddata" });
        let body = json!({ "model_id": ids.model, "input_data": input });
        post("/model/infer", body.to_string(), Some(ids.model), codes)
    };
    let cancel = json!({ "order_id": ids.waiting }).to_string();
    let participants = [404, 404, 200, 200, 200];
    let mut table = vec![
        // In the name of party 3.
        post("/model/train", train, None, [403, 403, 403, 200, 200]),
        of("/model/train_status", "order_id", ids.train, participants),
        of("/model/info", "model_id", ids.model, participants),
        of("/model/board_url", "order_id", ids.train, participants),
        of("/model/report", "order_id", ids.train, participants),
        // What is sealed to party 3 is handed to party 3.
        Row {
            query: format!("?order_id={}&user_id=3", ids.train),
            ..of(
                "/model/result",
                "order_id",
                ids.train,
                [404, 404, 403, 200, 200],
            )
        },
        // The rows, and so the scores, of party 3 alone.
        infer(3, [404, 404, 403, 200, 200]),
        infer(2, [404, 404, 200, 403, 403]),
        of(
            "/model/infer_status",
            "order_id",
            ids.infer,
            [404, 404, 404, 200, 200],
        ),
        of(
            "/model/report",
            "order_id",
            ids.infer,
            [404, 404, 404, 200, 200],
        ),
        // Of the other kind: that much only who sees it is told.
        of("/model/infer_status", "order_id", ids.train, [404; 5]),
        of("/model/train_status", "order_id", ids.infer, [404; 5]),
        row(Method::GET, "/model/list", known([200; 5])),
        post(
            "/model/cancel",
            cancel,
            Some(ids.waiting),
            [404, 404, 403, 403, 200],
        ),
        row(
            Method::GET,
            "/sdk/computation/user/userInfo",
            known([200; 5]),
        ),
        Row {
            body: "{}".to_owned(),
            ..row(
                Method::POST,
                "/sdk/computation/user/genToken",
                Access::Public(400),
            )
        },
        public("/health", 200),
        // There is no status aggregator.
        public("/ready", 503),
        public("/security", 200),
        public("/board", 200),
        public("/board.css", 200),
        public("/board.js", 200),
    ];
    table.extend(
        panel_table(panels)
            .into_iter()
            .map(|(method, path, query, body, id, codes)| Row {
                query,
                body,
                id,
                ..row(method, path, known(codes))
            }),
    );
    table
}

type PanelRow = (
    Method,
    &'static str,
    String,
    String,
    Option<String>,
    [u16; 5],
);

/// The rows of the panel's routes, in which a job is last deleted.
fn panel_table(panels: &Panels) -> Vec<PanelRow> {
    let parties = json!([CREATOR, COLLEAGUE, PARTICIPANT]);
    let create = json!({
        "computation": "Matrix Addition", "input": "[[1]]", "jobName": "new", "parties": parties,
    });
    let page = json!({ "pageNo": 1, "pageSize": 20 });
    let post = |path, body: serde_json::Value, id: Option<&String>, codes| {
        (
            Method::POST,
            path,
            String::new(),
            body.to_string(),
            id.cloned(),
            codes,
        )
    };
    let get = |path, query: &str, id: &String, codes| {
        let query = format!("?{query}&jobID={id}");
        (
            Method::GET,
            path,
            query,
            String::new(),
            Some(id.clone()),
            codes,
        )
    };
    let (joint, learnt) = (&panels.joint, &panels.learnt);
    let of = |id: &String| json!({ "jobID": id });
    let fill = json!({ "jobID": joint, "input": "[[1]]" });
    let runs = json!({ "jobID": joint, "pageNo": 1, "pageSize": 20 });
    let everybody = [200; 5];
    let (participants, creator) = ([404, 404, 200, 200, 200], [404, 404, 404, 404, 200]);
    let form = super::panel::tree_form();
    vec![
        // The participants are those named, and who asks is one of them.
        post(
            "/sdk/computation/panel/createJobByInput",
            create,
            None,
            [400, 400, 200, 200, 200],
        ),
        (
            Method::POST,
            "/sdk/computation/panel/createJobByFile",
            String::new(),
            form,
            None,
            // Files go to the account's own party alone.
            [409, 200, 200, 200, 200],
        ),
        // The creator's input was there: the colleague's is the last one.
        post(
            "/sdk/computation/panel/fillData",
            fill,
            Some(joint),
            [404, 404, 200, 200, 409],
        ),
        post(
            "/sdk/computation/panel/jobListByUser",
            page,
            None,
            everybody,
        ),
        post(
            "/sdk/computation/panel/jobDetailByUser",
            of(joint),
            Some(joint),
            participants,
        ),
        post(
            "/sdk/computation/panel/jobDetailByUser",
            of(learnt),
            Some(learnt),
            creator,
        ),
        post(
            "/sdk/computation/panel/subListByUser",
            runs,
            Some(joint),
            participants,
        ),
        get(
            "/sdk/computation/panel/downloadDataset",
            "datasetType=feature",
            learnt,
            creator,
        ),
        get(
            "/sdk/computation/panel/downloadResult",
            "resultType=model",
            learnt,
            creator,
        ),
        post(
            "/sdk/computation/panel/rerunJobByUser",
            of(learnt),
            Some(learnt),
            creator,
        ),
        post(
            "/sdk/computation/panel/rerunJobByUser",
            of(joint),
            Some(joint),
            [404, 404, 403, 403, 409],
        ),
        post(
            "/sdk/computation/panel/deleteJobByUser",
            of(learnt),
            Some(learnt),
            creator,
        ),
        post(
            "/sdk/computation/panel/deleteJobByUser",
            of(joint),
            Some(joint),
            [404, 404, 403, 403, 200],
        ),
    ]
}

/// Headers `token` that nobody may be let in by, and what is said.
fn bad_tokens(server: &Server) -> Vec<(&'static str, Vec<Vec<u8>>, &'static str)> {
    const MISSING: &str = "token missing";
    const INVALID: &str = "invalid token";
    let good = server.token_of(CREATOR);
    let [header, claims, tag] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts: {good}");
    };
    let email = Email::parse(CREATOR).expect("an address");
    let now = (server.state.now)();
    let expired = server.accounts().secrets.issue(&email, now - 3_600_000);
    let other = "HxAeHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgE=";
    let forged = secrets(other).issue(&email, now);
    // The name of our secret, over another one.
    let (_, of_forged) = forged.split_once('.').expect("three parts");
    let posing = format!("{header}.{of_forged}");
    let with = |alg: &str, tag: &str| {
        let ours = URL_SAFE_NO_PAD.decode(header).expect("base64");
        let ours = String::from_utf8(ours).expect("JSON");
        let changed = ours.replace("HS256", alg);
        assert_ne!(changed, ours);
        format!("{}.{claims}.{tag}", URL_SAFE_NO_PAD.encode(changed))
    };
    let one = |text: &str| vec![text.as_bytes().to_vec()];
    vec![
        ("none", vec![], MISSING),
        ("an empty one", one(""), MISSING),
        (
            "two",
            vec![good.clone().into(), good.clone().into()],
            INVALID,
        ),
        ("no text", vec![vec![0xff, 0xfe]], INVALID),
        ("a malformed one", one("nonsense"), INVALID),
        ("a bearer's", one(&format!("Bearer {good}")), INVALID),
        ("a long one", one(&"x".repeat(TOKEN_BYTES_MAX + 1)), INVALID),
        ("an expired one", one(&expired), "token expired"),
        ("one of alg none", one(&with("none", "")), INVALID),
        (
            "one of alg none with a tag",
            one(&with("none", tag)),
            INVALID,
        ),
        ("one of another secret", one(&forged), INVALID),
        (
            "one of another secret under our name",
            one(&posing),
            INVALID,
        ),
        ("one of HS512", one(&with("HS512", tag)), INVALID),
        ("one of RS256", one(&with("RS256", tag)), INVALID),
        (
            "one without a tag",
            one(&format!("{header}.{claims}.")),
            INVALID,
        ),
        (
            "a disabled account's",
            one(&server.token_of(DISABLED)),
            INVALID,
        ),
        (
            "no account's",
            one(&server.token_of("gone@zdey.cn")),
            INVALID,
        ),
    ]
}

async fn world() -> (Server, Ids) {
    let mut server = Server::with_accounts().await;
    let parties = [
        (CREATOR, Some(3)),
        (COLLEAGUE, Some(3)),
        (PARTICIPANT, Some(2)),
        (STRANGER, Some(5)),
        (UNBOUND, None),
        (DISABLED, Some(3)),
    ];
    for (email, party) in parties {
        server.add(email, party).await;
    }
    let left = Email::parse(DISABLED).expect("an address");
    assert!(server.state.store.disable_user(left).await.expect("up"));
    server.token = Some(server.token_of(CREATOR));
    let (model, train) = server.train().await;
    let fence = server.start(train).await;
    server.finish(fence).await;
    let infer = infer(&server, model).await;
    let (_, waiting) = server.train().await;
    server.token = None;
    let ids = Ids {
        train,
        model,
        infer,
        waiting,
    };
    (server, ids)
}

/// The same, with jobs of the panel.
async fn world_with_panel() -> (Server, Ids, Panels) {
    let (mut server, ids) = world().await;
    server.token = Some(server.token_of(CREATOR));
    let parties = json!([CREATOR, COLLEAGUE, PARTICIPANT]);
    let panels = Panels {
        joint: server.joint(&parties).await,
        learnt: server.learnt().await,
    };
    server.token = None;
    (server, ids, panels)
}

/// Asks to score rows of party 3.
async fn infer(server: &Server, model: i64) -> i64 {
    let input = json!({ "user_id": 3, "data_sql": "select * from data.blooddata" });
    let body = json!({ "model_id": model, "input_data": input }).to_string();
    let data = server.post("/model/infer", body).await.data();
    data["order_id"].as_i64().expect("an id")
}

async fn ask(server: &Server, row: &Row, tokens: &[Vec<u8>]) -> Answered {
    let path = format!("{}{}", row.path, row.query);
    let mut request = Request::builder().method(&row.method).uri(path);
    request = request.header("host", "192.168.25.105:5000");
    if row.body.starts_with("--") {
        request = request.header("content-type", super::panel::FORM);
    }
    for token in tokens {
        request = request.header("token", token.as_slice());
    }
    let request = request.body(Body::from(row.body.clone()));
    server.request(request.expect("valid")).await
}

/// What nobody has, of the same kind.
fn unknown(id: &str) -> &'static str {
    match id.len() {
        ..20 => UNKNOWN,
        _ => UNKNOWN_PANEL,
    }
}

/// The same request about what nobody has.
fn elsewhere(row: &Row, id: &str) -> Row {
    let unknown = unknown(id);
    let field = |body: &str, name: &str| {
        body.replace(
            &format!("\"{name}\":{id}"),
            &format!("\"{name}\":{unknown}"),
        )
    };
    let named = row
        .body
        .replace(&format!("\"{id}\""), &format!("\"{unknown}\""));
    Row {
        method: row.method.clone(),
        path: row.path,
        query: row.query.replace(id, unknown),
        body: field(&field(&named, "order_id"), "model_id"),
        id: Some(unknown.to_owned()),
        access: Access::Public(404),
    }
}

/// What an answer says, whatever id it is about.
fn said(answered: &Answered, id: &str) -> String {
    let mut headers = answered.headers.clone();
    // That of the digits.
    headers.remove("content-length");
    let text = answered.text.replace(&format!(" {id}: "), " ID: ");
    format!("{} {headers:?} {text}", answered.status)
}

#[tokio::test]
async fn every_route_is_in_the_table() {
    let (_, ids, panels) = world_with_panel().await;
    let table = table(&ids, &panels);
    let named = |path: &str, method: &Method| {
        table
            .iter()
            .any(|row| row.path == path && row.method == method)
    };
    for (path, method, _) in routes::all() {
        assert!(named(path, &method), "{method} {path} is not in the table");
    }
    for row in &table {
        let mut all = routes::all().into_iter();
        let there = all.any(|(path, method, _)| (path, &method) == (row.path, &row.method));
        assert!(there, "{} {} is no route", row.method, row.path);
    }
}

#[tokio::test]
async fn no_route_lets_a_bad_token_in() {
    let (server, ids, panels) = world_with_panel().await;
    let jobs = server.state.store.jobs(None, 100).await.expect("up").len();
    for row in table(&ids, &panels) {
        for (name, tokens, sentence) in bad_tokens(&server) {
            let answered = ask(&server, &row, &tokens).await;
            let what = format!("{} with {name}: {}", row.path, answered.text);
            match row.access {
                Access::Public(status) => assert_eq!(answered.status, status, "{what}"),
                Access::Known { .. } => {
                    assert_eq!(answered.status, 401, "{what}");
                    let body = answered.json();
                    let flat = row.path.starts_with("/sdk/");
                    let message = &body[if flat { "msg" } else { "message" }];
                    let message = message.as_str().expect("a sentence");
                    assert!(message.starts_with(sentence), "{what}");
                    assert_eq!(
                        (&body["code"], body.get("data").is_none()),
                        (&json!(401), flat)
                    );
                }
            }
        }
    }
    let after = server.state.store.jobs(None, 100).await.expect("up").len();
    assert_eq!(after, jobs, "nothing was asked for");
}

#[tokio::test]
async fn every_route_answers_every_caller_as_the_table_says() {
    let (server, ids, panels) = world_with_panel().await;
    for row in table(&ids, &panels) {
        let codes = match row.access {
            Access::Public(status) => [status; 5],
            Access::Known {
                unbound,
                stranger,
                participant,
                colleague,
                creator,
            } => [unbound, stranger, participant, colleague, creator],
        };
        // The creator is last: what it cancels is cancelled.
        let callers = [UNBOUND, STRANGER, PARTICIPANT, COLLEAGUE, CREATOR];
        for (caller, status) in callers.into_iter().zip(codes) {
            let token = [server.token_of(caller).into_bytes()];
            let answered = ask(&server, &row, &token).await;
            let what = format!("{}{} by {caller}: {}", row.path, row.query, answered.text);
            assert_eq!(answered.status, status, "{what}");
            let sees = answered.text.contains("that job is");
            if let (404, Some(id), false) = (status, &row.id, sees) {
                let nobodys = ask(&server, &elsewhere(&row, id), &token).await;
                assert_eq!(said(&answered, id), said(&nobodys, unknown(id)), "{what}");
            }
            assert!(!sees || status == 404 && codes.contains(&404), "{what}");
        }
    }
}

#[tokio::test]
async fn only_who_sees_a_job_is_told_its_kind() {
    let (server, ids) = world().await;
    let path = format!("/model/infer_status?order_id={}", ids.train);
    let mut server = server;
    for (caller, told) in [(STRANGER, false), (UNBOUND, false), (PARTICIPANT, true)] {
        server.token = Some(server.token_of(caller));
        let message = server.get(&path).await.message();
        assert_eq!(
            message.contains("that job is a training"),
            told,
            "{caller}: {message}"
        );
    }
}

#[tokio::test]
async fn a_list_shows_the_jobs_of_the_caller_s_party_by_whole_pages() {
    let (mut server, ids) = world().await;
    server.token = Some(server.token_of(CREATOR));
    for _ in 0..3 {
        infer(&server, ids.model).await;
    }
    let orders = async |server: &Server, query: &str| -> (Vec<i64>, serde_json::Value) {
        let page = server.get(&format!("/model/list{query}")).await.data();
        let jobs = page["jobs"].as_array().expect("a list").iter();
        let orders = jobs.map(|job| job["order_id"].as_i64().expect("an id"));
        (orders.collect(), page["next_before"].clone())
    };
    let all = orders(&server, "").await.0;
    assert_eq!(all.len(), 6);
    // The trainings alone, across what is not theirs; a full page says how to go on.
    server.token = Some(server.token_of(PARTICIPANT));
    let trainings = vec![ids.waiting, ids.train];
    assert_eq!(orders(&server, "").await.0, trainings);
    let (first, next) = orders(&server, "?size=1").await;
    assert_eq!((first, next), (vec![ids.waiting], json!(ids.waiting)));
    let rest = format!("?size=5&before={}", ids.waiting);
    assert_eq!(orders(&server, &rest).await, (vec![ids.train], json!(null)));
    for nobody in [STRANGER, UNBOUND] {
        server.token = Some(server.token_of(nobody));
        assert_eq!(orders(&server, "").await, (vec![], json!(null)));
    }
}

#[tokio::test]
async fn a_refusal_names_the_field_and_whom_it_must_be() {
    let (mut server, ids) = world().await;
    let train = seed("模型训练").0.expect("a body");
    let input = json!({ "user_id": 3, "data_sql": "select * from data.blooddata" });
    let infer = json!({ "model_id": ids.model, "input_data": input }).to_string();
    for (caller, path, body, sentence) in [
        (
            PARTICIPANT,
            "/model/train",
            train,
            "`user_id` is 3: it must be 2, the party of the token's account",
        ),
        (
            UNBOUND,
            "/model/train",
            train,
            "`user_id` is 3: the token's account speaks for no party",
        ),
        (
            PARTICIPANT,
            "/model/infer",
            &infer,
            "`input_data.user_id` is 3: it must be 2, the party of the token's account",
        ),
    ] {
        server.token = Some(server.token_of(caller));
        let answered = server.post(path, body.to_owned()).await;
        assert_eq!(
            (answered.status, answered.message().as_str()),
            (403, sentence)
        );
    }
}

#[tokio::test]
async fn a_key_of_one_party_is_another_s_own() {
    let (server, _) = world().await;
    let body = seed("模型训练").0.expect("a body");
    let of_party_5 = body.replacen("\"user_id\": 3", "\"user_id\": 5", 1);
    let of_party_5 = of_party_5.replacen("\"3\":", "\"5\":", 1);
    assert_ne!(of_party_5, body);
    let ask = async |caller: &str, body: &str| {
        let token = server.token_of(caller);
        let request = Request::post("/model/train")
            .header("token", token)
            .header("idempotency-key", "same")
            .body(Body::from(body.to_owned()));
        server.request(request.expect("valid")).await
    };
    let first = ask(CREATOR, body).await.data();
    assert_eq!(ask(COLLEAGUE, body).await.data(), first, "their party's");
    let other = ask(STRANGER, &of_party_5).await;
    assert_ne!(
        other.data(),
        first,
        "another party's name for another request"
    );
}
