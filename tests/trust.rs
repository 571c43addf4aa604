//! A hospital decides for itself: sealed results, its officer, its ledger, its limits on cohorts;
//! through the executable and over HTTP.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::faults::{hospitals, training};
use crate::support::{Process, Site, eventually, patients};

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_concord");

fn site() -> Site {
    Site::new(&hospitals(&[2, 3, 4]))
}

/// Writes one text of the federation file for another: that of one party, or of all.
fn amend(site: &Site, party: Option<u64>, from: &str, to: &str) {
    let text = fs::read_to_string(site.config()).expect("written");
    let mut parts: Vec<String> = text.split("[[party]]\n").map(str::to_owned).collect();
    for part in &mut parts {
        if party.is_none_or(|id| part.starts_with(&format!("id = {id}\n"))) {
            assert!(party.is_none() || part.contains(from), "{part}");
            *part = part.replace(from, to);
        }
    }
    fs::write(site.config(), parts.join("[[party]]\n")).expect("written");
}

/// Lets a party's officer decide.
fn ask_officer(site: &Site, party: u64) {
    amend(
        site,
        Some(party),
        "[party.policy]\n",
        "[party.policy]\napproval = \"manual\"\n",
    );
}

/// Runs a command for one party of the federation: whether it succeeded, and what it said.
async fn concord(site: &Site, arguments: &[&str], party: u64) -> (bool, String) {
    let (arguments, config) = (arguments.join(" "), site.config());
    let run = move || {
        let mut program = Command::new(EXECUTABLE);
        program.args(arguments.split(' '));
        program.arg("--config").arg(config);
        program.args(["--party", &party.to_string()]);
        program.output().expect("the executable is there")
    };
    let output = tokio::task::spawn_blocking(run).await.expect("it ends");
    let said = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    (
        output.status.success(),
        String::from_utf8(said).expect("UTF-8"),
    )
}

async fn done(site: &Site, arguments: &[&str], party: u64) -> String {
    let (success, said) = concord(site, arguments, party).await;
    assert!(success, "{said}");
    said
}

fn scoring(model: i64, party: u64) -> Value {
    let input = json!({ "user_id": party, "data_sql": "select * from data.patients" });
    json!({ "model_id": model, "input_data": input })
}

/// The reason of a job that failed.
async fn refusal(federation: &Process, order: i64) -> (String, Value) {
    let report = federation.ended(order).await;
    assert_eq!(report["status"], "failed", "{report}");
    let code = report["reason"]["code"].as_str().expect("a code");
    (code.to_owned(), report["reason"]["party"].clone())
}

async fn infer_status(federation: &Process, order: i64) -> Value {
    let path = format!("/model/infer_status?order_id={order}");
    federation.get(&path).await.data()
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_scores_open_for_their_party_alone() {
    let site = site();
    // Party 2 releases in the clear, party 3 does not say.
    amend(&site, Some(3), "release = \"clear\"", "");
    let federation = Process::start(&site, "info").await;
    let job = federation.train(training(&[3, 2, 4], 5)).await;
    federation.finished(job.order).await;
    let clear = federation.infer(scoring(job.model, 2)).await;
    let sealed = federation.infer(scoring(job.model, 3)).await;
    for order in [clear, sealed] {
        federation.finished(order).await;
    }
    let shown = infer_status(&federation, clear).await["result"].clone();
    assert_eq!(shown.as_array().expect("scores").len(), 40);
    assert_eq!(
        infer_status(&federation, sealed).await,
        json!({ "infer_status": "finished", "result": null })
    );

    let api = format!("http://{}", federation.address);
    let order = sealed.to_string();
    let result = ["result", "--api", &api, "--order", &order];
    let opened: Value = serde_json::from_str(&done(&site, &result, 3).await).expect("JSON");
    let scores = opened.as_array().expect("scores");
    assert_eq!(scores.len(), 40);
    let probable = |score: &Value| (0.0..=1.0).contains(&score["label"].as_f64().expect("a score"));
    assert!(scores.iter().all(probable));
    // Not party 2's to ask for, nor to open.
    let (success, said) = concord(&site, &result, 2).await;
    assert!(!success && said.contains("participant"), "{said}");
    let key = site.state().join("keys/party-2.key");
    let key = key.to_str().expect("UTF-8");
    let with_key = [&result[..], &["--key", key]].concat();
    let (success, said) = concord(&site, &with_key, 3).await;
    assert!(!success && said.contains("does not open"), "{said}");

    // The model is sealed to each; all see the same one.
    let order = job.order.to_string();
    let model = ["result", "--api", &api, "--order", &order];
    let of_host = done(&site, &model, 4).await;
    assert_eq!(of_host, done(&site, &model, 3).await);
    assert!(of_host.contains("coefficients"));

    // To whom nobody pinned, nothing is sealed.
    let mut request = scoring(job.model, 3);
    request["input_data"]["result_key"] = json!("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    let order = federation.infer(&request).await;
    let refused = ("RESULT_KEY_NOT_PINNED".to_owned(), json!(3));
    assert_eq!(refusal(&federation, order).await, refused);
    federation.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_officer_is_waited_for_and_obeyed() {
    let site = site();
    ask_officer(&site, 4);
    let federation = Process::start(&site, "info").await;
    let first = federation.train(training(&[3, 2, 4], 5)).await;
    let awaits = |report: &Value| report["waiting"]["for"] == "approval";
    let report = federation.until(first.order, awaits).await;
    assert_eq!(report["status"], "waiting");
    assert_eq!(report["waiting"]["parties"], json!([4]));
    assert_eq!(report["round"], 0);

    // Nobody else's officer is asked.
    let none = done(&site, &["party", "pending"], 3).await;
    let pending = done(&site, &["party", "pending"], 4).await;
    let id = job_id(&pending);
    assert!(!none.contains(&id), "{none}");
    let shown = done(&site, &["party", "show", "--job", &id], 4).await;
    assert!(
        shown.contains("data.patients") && shown.contains("masks"),
        "{shown}"
    );
    done(&site, &["party", "approve", "--job", &id, "--by", "王"], 4).await;
    federation.finished(first.order).await;

    let second = federation.train(training(&[3, 2, 4], 6)).await;
    let id = eventually("the officer is asked", async || {
        let pending = done(&site, &["party", "pending"], 4).await;
        pending.contains("train").then(|| job_id(&pending))
    })
    .await;
    done(&site, &["party", "reject", "--job", &id], 4).await;
    let refused = ("APPROVAL_REJECTED".to_owned(), json!(4));
    assert_eq!(refusal(&federation, second.order).await, refused);

    let verified = done(&site, &["party", "audit", "--verify"], 4).await;
    assert!(verified.contains("each follows"), "{verified}");
    let audit = done(&site, &["party", "audit"], 4).await;
    for word in ["awaiting", "approved", "rejected", "王"] {
        assert!(audit.contains(word), "{word} is not in: {audit}");
    }
    federation.terminate().await;
}

/// The first uuid of a text.
fn job_id(text: &str) -> String {
    let is_id = |word: &&str| word.len() == 36 && word.matches('-').count() == 4;
    let mut words = text.split(|letter: char| !(letter.is_ascii_hexdigit() || letter == '-'));
    words
        .find(is_id)
        .unwrap_or_else(|| panic!("no job in: {text}"))
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn cohorts_that_are_almost_the_same_are_refused() {
    let site = site();
    amend(&site, None, "ndiff = 1\n", "ndiff = 10\n");
    let federation = Process::start(&site, "info").await;
    let of = |filter: &str| {
        let mut request = training(&[3, 2, 4], 2);
        let sql = format!("select * from data.patients{filter}");
        request["data_info"]["2"] = json!({ "pos": sql, "neg": sql });
        request
    };
    let all = federation.train(of("")).await;
    federation.finished(all.order).await;
    // All cases of party 2, and its other rows but for so many.
    let others: Vec<String> = patients(2, 2000, 40)
        .into_iter()
        .filter(|patient| patient.diagnosis != 38)
        .map(|patient| patient.unique_id)
        .collect();
    let but = |left_out: usize| {
        let first = &others[others.len() - left_out];
        format!(" where diagnosis = 38 or unique_id < {first}")
    };
    for (filter, taken) in [
        (but(1), false),
        (but(9), false),
        (but(10), true),
        (" where unique_id >= 2000".to_owned(), true),
    ] {
        let filter = filter.as_str();
        let job = federation.train(of(filter)).await;
        let report = federation.ended(job.order).await;
        let status = if taken { "finished" } else { "failed" };
        assert_eq!(report["status"], status, "{filter}: {report}");
        if !taken {
            assert_eq!(report["reason"]["code"], "COHORT_POLICY");
            assert_eq!(report["reason"]["party"], 2);
        }
    }
    // One edited row.
    let path = site.path().join("hospital-2/data/patients.csv");
    let text = fs::read_to_string(&path).expect("written");
    let edited = edit_one_number(&text);
    assert_ne!(edited, text);
    fs::write(&path, edited).expect("written");
    let job = federation.train(of("")).await;
    let refused = ("COHORT_POLICY".to_owned(), json!(2));
    assert_eq!(refusal(&federation, job.order).await, refused);
    federation.terminate().await;
}

/// The same rows with another number in the first one's fourth column.
fn edit_one_number(text: &str) -> String {
    let (header, rest) = text.split_once('\n').expect("a header");
    let (first, rest) = rest.split_once('\n').expect("a row");
    let mut cells: Vec<&str> = first.split(',').collect();
    cells[3] = "0.123456";
    format!("{header}\n{}\n{rest}", cells.join(","))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_without_policy_or_ledger_answers_nothing() {
    let site = site();
    let federation = Process::start(&site, "info").await;
    let job = federation.train(training(&[3, 2, 4], 2)).await;
    federation.finished(job.order).await;
    federation.terminate().await;

    let ledgers = site.state().join("ledgers");
    let of_party_2 = |path: &Path| path.to_string_lossy().contains("party-2");
    for entry in fs::read_dir(&ledgers).expect("made at start") {
        let path = entry.expect("readable").path();
        if of_party_2(&path) {
            fs::remove_file(path).expect("closed");
        }
    }
    let text = fs::read_to_string(site.config()).expect("written");
    let policy = text
        .split("[[party]]\n")
        .find(|part| part.starts_with("id = 4\n"));
    let policy = policy
        .and_then(|part| part.split_once("\n\n"))
        .expect("a policy");
    amend(&site, Some(4), policy.1, "");
    let federation = Process::start(&site, "info").await;
    let lost = federation.infer(scoring(job.model, 2)).await;
    let refused = ("LEDGER_LOST".to_owned(), json!(2));
    assert_eq!(refusal(&federation, lost).await, refused);
    let missing = federation.infer(scoring(job.model, 4)).await;
    let refused = ("POLICY_MISSING".to_owned(), json!(4));
    assert_eq!(refusal(&federation, missing).await, refused);
    let missing = federation.train(training(&[3, 2, 4], 2)).await;
    assert_eq!(refusal(&federation, missing.order).await, refused);
    // Party 3 has both.
    let scored = federation.infer(scoring(job.model, 3)).await;
    federation.finished(scored).await;
    federation.terminate().await;
}
