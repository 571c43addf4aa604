//! Accounts, from the command that makes one to a job of its party.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::faults::{hospitals, training};
use crate::support::{Client, Process, Site};

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_concord");
const WEI: &str = "wei@zdey.cn";
const PASSWORD: &str = "correct horse";

/// A federation for accounts alone.
fn site() -> Site {
    let site = Site::new(&hospitals(&[2, 3, 4]));
    let text = fs::read_to_string(site.config()).expect("written");
    let text = text.replace("callers = \"open\"\n", "");
    fs::write(site.config(), text).expect("written");
    site
}

/// Runs `concord user`, with a password on standard input.
fn user(site: &Site, arguments: &[&str], password: &str) -> Output {
    let mut program = Command::new(EXECUTABLE);
    program.arg("user").args(arguments);
    if arguments != ["secret"] {
        program.arg("--config").arg(site.config());
    }
    let pipes = program.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = pipes.stderr(Stdio::piped()).spawn().expect("it is there");
    let mut input = child.stdin.take().expect("piped");
    // A command that asks for none may have ended.
    let _ = input.write_all(password.as_bytes());
    drop(input);
    child.wait_with_output().expect("it ends")
}

fn done(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn refused(output: &Output) -> String {
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr.clone()).expect("UTF-8");
    assert!(!said.contains(PASSWORD), "{said}");
    said
}

async fn token(client: &Client, password: &str) -> Value {
    let body = json!({ "email": WEI, "passwd": password }).to_string();
    let answer = client.post("/sdk/computation/user/genToken", body).await;
    answer.json()["token"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_a_party_trains_and_is_out_when_it_is_disabled() {
    let site = site();
    let add = ["add", WEI, "--party", "3", "--stdin"];
    assert_eq!(
        done(&user(&site, &add, PASSWORD)),
        "wei@zdey.cn speaks for party 3\n"
    );
    let federation = Process::start(&site, "info").await;
    let secret = fs::metadata(site.state().join("keys/token.key")).expect("made");
    assert_eq!(secret.permissions().mode() & 0o777, 0o600);

    let unknown = federation
        .post("/model/train", training(&[3, 2, 4], 2).to_string())
        .await;
    assert_eq!(unknown.status, 401);
    let good = token(&federation, PASSWORD).await;
    let good = good.as_str().expect("a token").to_owned();
    let wei = federation.with_token(&good);
    let job = wei.train(training(&[3, 2, 4], 2)).await;
    wei.finished(job.order).await;
    let path = format!("/model/report?order_id={}", job.order);
    assert_eq!(federation.get(&path).await.status, 401);

    // Beside the running process.
    assert_eq!(
        done(&user(&site, &["list"], "")),
        "wei@zdey.cn\tparty 3\tactive\n"
    );
    let passwd = ["passwd", WEI, "--stdin"];
    done(&user(&site, &passwd, "another password\n"));
    assert_eq!(token(&federation, PASSWORD).await, Value::Null);
    assert!(token(&federation, "another password").await.is_string());
    done(&user(&site, &["disable", WEI], ""));
    assert_eq!(wei.get(&path).await.status, 401);
    assert_eq!(token(&federation, "another password").await, Value::Null);
    assert_eq!(
        done(&user(&site, &["list"], "")),
        "wei@zdey.cn\tparty 3\tdisabled\n"
    );
    let (_, log) = federation.terminate().await;
    for secret in [&good[..], PASSWORD, "another password", WEI] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_shows_its_token_and_ends_when_it_is_none_any_more() {
    let site = site();
    done(&user(
        &site,
        &["add", WEI, "--party", "3", "--stdin"],
        PASSWORD,
    ));
    let federation = Process::start(&site, "info").await;
    let good = token(&federation, PASSWORD).await;
    let good = good.as_str().expect("a token").to_owned();
    let line = json!({ "type": "/model/train", "body": training(&[3, 2, 4], 2) });
    let [batch, token, bad] = ["batch.jsonl", "token", "bad"].map(|name| site.path().join(name));
    fs::write(&batch, format!("{line}\n")).expect("written");
    fs::write(&token, format!("{good}\n")).expect("written");
    fs::write(&bad, "nonsense").expect("written");
    for secret in [&token, &bad] {
        fs::set_permissions(secret, Permissions::from_mode(0o600)).expect("ours");
    }
    let submit = |token: Option<&str>| {
        let mut program = Command::new(EXECUTABLE);
        program.arg("submit").arg(&batch).arg("--http");
        program.args(["--api", &format!("http://{}", federation.address)]);
        if let Some(reference) = token {
            program.args(["--token", reference]);
        }
        program.output().expect("it ends")
    };
    for (reference, sentence) in [
        (None, "token missing"),
        (Some(format!("file:{}", bad.display())), "invalid token"),
    ] {
        let said = refused(&submit(reference.as_deref()));
        assert!(
            said.contains("nothing was sent") && said.contains(sentence),
            "{said}"
        );
    }
    let said = done(&submit(Some(&format!("file:{}", token.display()))));
    assert!(said.starts_with("1 lines: 1 finished"), "{said}");
    federation.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_account_is_refused_in_words() {
    let site = site();
    let add = |email: &str, more: &[&str], password: &str| {
        let arguments = [&["add", email, "--stdin"], more].concat();
        user(&site, &arguments, password)
    };
    for (output, sentence) in [
        (add("wei", &[], PASSWORD), "\"wei\" is no e-mail address"),
        (
            add(WEI, &["--party", "9"], PASSWORD),
            "--party 9: the hospitals are 2, 3, 4",
        ),
        (
            add(WEI, &[], "short"),
            "the password has 5 bytes: it must have 12 to 128",
        ),
        (
            user(&site, &["passwd", WEI, "--stdin"], PASSWORD),
            "wei@zdey.cn has no account",
        ),
        (
            user(&site, &["disable", WEI], ""),
            "wei@zdey.cn has no account",
        ),
    ] {
        let said = refused(&output);
        assert!(said.contains(sentence), "{said}");
    }
    assert_eq!(
        done(&add(WEI, &[], PASSWORD)),
        "wei@zdey.cn speaks for no party\n"
    );
    let said = refused(&add("WEI@zdey.cn", &[], PASSWORD));
    assert!(said.contains("has an account already"), "{said}");
    let secrets = [0, 1].map(|_| done(&user(&site, &["secret"], "")));
    assert_eq!(
        (secrets[0].trim().len(), secrets[0] == secrets[1]),
        (44, false)
    );

    // Open beyond this machine, unless that is said twice.
    let text = fs::read_to_string(site.config()).expect("written");
    let open = text.replace("127.0.0.1:0", "0.0.0.0:0");
    let open = format!("callers = \"open\"\n{open}");
    fs::write(site.config(), &open).expect("written");
    let said = refused(&user(&site, &["list"], ""));
    assert!(
        said.contains("callers: \"open\" lets whoever reaches 0.0.0.0:0"),
        "{said}"
    );
    fs::write(site.config(), format!("open_to_network = true\n{open}")).expect("written");
    let federation = Process::start(&site, "info").await;
    let (_, log) = federation.terminate().await;
    assert!(log.contains("callers are open to the network"), "{log}");
}
