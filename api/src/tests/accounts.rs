//! Tokens for accounts, what they cost whoever guesses, and how often anybody may ask.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use axum::Extension;
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use shared::limits::{
    ACCOUNT_JOBS_BURST_MAX, ACCOUNT_TOKENS_BURST_MAX, ADDRESS_TOKENS_BURST_MAX, EMAIL_BYTES_MAX,
};
use shared::store::Email;

use super::support::{Answered, PASSWORD, SECRET, Server, secrets, seed};
use crate::serve::Peer;
use crate::{Callers, app};

const GEN_TOKEN: &str = "/sdk/computation/user/genToken";
const USER_INFO: &str = "/sdk/computation/user/userInfo";
const WEI: &str = "wei@zdey.cn";

async fn gen_token(server: &Server, email: &str, password: &str) -> Answered {
    let body = json!({ "email": email, "passwd": password });
    server.post(GEN_TOKEN, body.to_string()).await
}

async fn with_wei() -> Server {
    let server = Server::with_accounts().await;
    server.add(WEI, Some(3)).await;
    server
}

#[tokio::test]
async fn a_password_gives_a_token_and_the_token_says_who_one_is() {
    let mut server = with_wei().await;
    // As the documents' own client sends it: without a Content-Type, with an empty token.
    server.token = Some(String::new());
    let answered = gen_token(&server, "Wei@ZDEY.cn", PASSWORD).await;
    let body = answered.json();
    let token = body["token"].as_str().expect("a token").to_owned();
    assert_eq!(
        body,
        json!({ "code": 200, "msg": "success", "token": token })
    );
    assert_eq!(answered.headers["cache-control"], "no-store");

    server.token = Some(token);
    let info = server.get(USER_INFO).await.json();
    let address = info["address"].as_str().expect("a text").to_owned();
    let expected = json!({
        "code": 200, "msg": "success", "email": WEI,
        "address": address, "balancePHB": "0", "balanceCCD": "0",
    });
    assert_eq!(info, expected);
    let digits = address.strip_prefix("0x").expect("0x");
    assert!(digits.len() == 40 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    assert_eq!(
        server.get(USER_INFO).await.json(),
        info,
        "the same each time"
    );
    server.train().await;
}

#[tokio::test]
async fn whoever_guesses_learns_nothing_and_waits_as_long() {
    let server = with_wei().await;
    server.add("left@zdey.cn", Some(3)).await;
    let left = Email::parse("left@zdey.cn").expect("an address");
    server.state.store.disable_user(left).await.expect("up");
    let mut answers = Vec::new();
    for (email, password) in [
        (WEI, "another password"),
        ("nobody@zdey.cn", PASSWORD),
        ("left@zdey.cn", PASSWORD),
        ("left@zdey.cn", "another password"),
    ] {
        let answered = gen_token(&server, email, password).await;
        answers.push((answered.status, answered.text));
    }
    let wrong = json!({ "code": 401, "msg": "`email` or `passwd` is wrong" });
    assert!(
        answers
            .iter()
            .all(|answer| *answer == (401, wrong.to_string())),
        "{answers:?}"
    );
    let checked = server.accounts().passwords.checked.load(Ordering::Relaxed);
    assert_eq!(checked, answers.len(), "each took the work of a check");
}

#[tokio::test]
async fn a_disabled_account_is_out_at_once() {
    let mut server = with_wei().await;
    server.token = Some(server.token_of(WEI));
    assert_eq!(server.get("/model/list").await.status, 200);
    let wei = Email::parse(WEI).expect("an address");
    server.state.store.disable_user(wei).await.expect("up");
    assert_eq!(server.get("/model/list").await.status, 401);
}

#[tokio::test]
async fn what_is_no_request_for_a_token_is_refused_by_field_and_without_the_password() {
    let server = with_wei().await;
    let long = format!("{}@b", "a".repeat(EMAIL_BYTES_MAX));
    for (body, sentence) in [
        (json!({ "passwd": "hunter2hunter2" }), "`email` is missing"),
        (json!({ "email": WEI }), "`passwd` is missing"),
        (
            json!({ "email": 7, "passwd": "hunter2hunter2" }),
            "`email` is 7",
        ),
        (
            json!({ "email": "wei", "passwd": "hunter2hunter2" }),
            "`email` is \"wei\"",
        ),
        (
            json!({ "email": long, "passwd": "hunter2hunter2" }),
            "`email` is",
        ),
        (
            json!({ "email": WEI, "passwd": ["hunter2"] }),
            "`passwd` is an array",
        ),
        (
            json!({ "email": WEI, "passwd": "" }),
            "`passwd` is a string: it must have 1 to 128",
        ),
        (
            json!({ "email": WEI, "passwd": "hunter2".repeat(19) }),
            "`passwd` is a string",
        ),
        (
            json!({ "email": WEI, "passwd": "hunter2", "to": 1 }),
            "`to` is unknown",
        ),
    ] {
        let answered = server.post(GEN_TOKEN, body.to_string()).await;
        let said = answered.json();
        assert_eq!((answered.status, &said["code"]), (400, &json!(400)));
        let message = said["msg"].as_str().expect("a sentence");
        assert!(message.starts_with(sentence), "{message}");
        assert!(!answered.text.contains("hunter2"), "{message}");
    }
    let answered = server.post(GEN_TOKEN, "nonsense").await;
    let message = answered.json()["msg"].clone();
    assert_eq!(answered.status, 400);
    assert!(
        message
            .as_str()
            .is_some_and(|text| text.starts_with("the body is not usable"))
    );
    assert_eq!(
        server.accounts().passwords.checked.load(Ordering::Relaxed),
        0
    );
}

#[tokio::test]
async fn a_full_line_of_checks_turns_away_with_a_time_to_come_back() {
    let server = with_wei().await;
    let line = server.accounts().passwords.fill();
    let answered = gen_token(&server, WEI, PASSWORD).await;
    assert_eq!(
        (answered.status, &answered.json()["code"]),
        (429, &json!(429))
    );
    assert_eq!(answered.headers["retry-after"], "1");
    drop(line);
    assert_eq!(gen_token(&server, WEI, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn an_account_gets_so_many_tokens_and_then_one_now_and_then() {
    let server = with_wei().await;
    for _ in 0..ACCOUNT_TOKENS_BURST_MAX {
        assert_eq!(
            gen_token(&server, WEI, "another password").await.status,
            401
        );
    }
    let checked = server.accounts().passwords.checked.load(Ordering::Relaxed);
    let refused = gen_token(&server, WEI, PASSWORD).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers["retry-after"], "6");
    let after = server.accounts().passwords.checked.load(Ordering::Relaxed);
    assert_eq!(after, checked, "refused before any work");
    let later = server.calling(|state| state.now = || 1_800_000_006_000);
    assert_eq!(gen_token(&later, WEI, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn an_address_gets_so_many_tokens_whoever_it_asks_for() {
    let mut server = with_wei().await;
    let from = |address: &str| {
        let address: IpAddr = address.parse().expect("an address");
        app(server.state.clone()).layer(Extension(Peer(address)))
    };
    let [one, same, other] = ["2001:db8::1", "2001:db8::2", "192.0.2.1"].map(from);
    // The line is full, so that no password is checked: those asked for count nevertheless.
    let line = Server::accounts(&server).passwords.fill();
    server.app = one;
    for number in 0..ADDRESS_TOKENS_BURST_MAX {
        let refused = gen_token(&server, &format!("user-{number}@b"), PASSWORD).await;
        assert_eq!(refused.status, 429);
    }
    drop(line);
    server.app = same;
    assert_eq!(gen_token(&server, WEI, PASSWORD).await.status, 429);
    server.app = other;
    assert_eq!(gen_token(&server, WEI, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn an_account_gets_so_many_jobs_and_then_one_now_and_then() {
    let mut server = with_wei().await;
    server.token = Some(server.token_of(WEI));
    for _ in 0..ACCOUNT_JOBS_BURST_MAX {
        // Also what is refused counts.
        assert_eq!(server.post("/model/train", "{}").await.status, 400);
    }
    for path in ["/model/train", "/model/infer"] {
        let refused = server.post(path, seed("模型训练").0.expect("a body")).await;
        assert_eq!(refused.status, 429, "{}", refused.text);
        assert_eq!(refused.headers["retry-after"], "1");
        assert_eq!(refused.message(), "too many requests: try again in 1 s");
    }
    assert_eq!(
        server.get("/model/list").await.status,
        200,
        "looking is free"
    );
    server.add("lin@zdey.cn", Some(3)).await;
    server.token = Some(server.token_of("lin@zdey.cn"));
    server.train().await;
}

#[tokio::test]
async fn both_dialects_say_what_is_no_route() {
    let server = Server::with_accounts().await;
    for (path, field) in [(GEN_TOKEN, "msg"), ("/model/train", "message")] {
        for (path, status) in [(path.to_owned(), 405), (format!("{path}/more"), 404)] {
            let answered = server.get(&path).await;
            let body = answered.json();
            assert_eq!(
                (answered.status, &body["code"]),
                (status, &json!(status)),
                "{path}"
            );
            assert!(body[field].is_string(), "{body}");
            assert_eq!(
                body.get("data"),
                (field == "message").then_some(&Value::Null)
            );
        }
    }
}

#[tokio::test]
async fn a_server_without_accounts_says_so_and_takes_any_token() {
    let mut server = Server::new().await;
    for token in [None, Some("nonsense".to_owned())] {
        server.token = token;
        server.train().await;
        for answered in [
            gen_token(&server, WEI, PASSWORD).await,
            server.get(USER_INFO).await,
        ] {
            let said = json!({
                "code": 409, "msg": "this server has no accounts and asks for no token",
            });
            assert_eq!((answered.status, answered.json()), (409, said));
        }
    }
}

#[tokio::test]
async fn a_new_secret_signs_and_the_old_one_still_counts() {
    let mut server = with_wei().await;
    let old = server.token_of(WEI);
    let new = "HxAeHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgE=";
    let both = secrets(&format!("{new} {SECRET}"));
    server = server.calling(|state| state.callers = Callers::accounts(both));
    let fresh = server.token_of(WEI);
    for token in [old.clone(), fresh.clone()] {
        server.token = Some(token);
        assert_eq!(server.get("/model/list").await.status, 200);
    }
    server = server.calling(|state| state.callers = Callers::accounts(secrets(new)));
    for (token, status) in [(old, 401), (fresh, 200)] {
        server.token = Some(token);
        assert_eq!(server.get("/model/list").await.status, status);
    }
}

#[tokio::test]
async fn a_caller_without_a_token_is_refused_before_its_body_is_read() {
    let server = with_wei().await;
    let request = Request::post("/model/train").header("content-length", "99999999999");
    let request = request.body(Body::empty()).expect("valid");
    assert_eq!(server.request(request).await.status, 401);
}
