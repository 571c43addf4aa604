//! What logs and database hold of what only a party may know: nothing.
//!
//! Needles are what must not be there (row values, ids, SQL, weights, gradients, keys), in every
//! form that a program could write them. Each search is shown to find what is there.

mod letters;
mod needles;
mod panel;
mod platform;
mod recorder;
mod unsealed;

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use shared::fixed_point;
use shared::limits::FRACTION_BITS;
use shared::local::logistic_regression::gradient_sum;

use crate::support::{Hospital, Patient, Process, Site, csv, eventually, patients, train};
use needles::{Needles, without_decimals_of};

/// A value that the requests' SQL names.
const LITERAL: &str = "绝密-40917";
/// What all of a hospital's row ids start with.
const ID: &str = "患者编号-";
const SQL: &str = "select * from data.patients where 医院 = '绝密-40917';";
const ROWS: usize = 40;
const FOREVER: u32 = 100_000;

/// Rows that no other text holds by chance: long decimals, marked ids.
fn rows(party: u64) -> Vec<Patient> {
    let mark = |(index, patient): (usize, Patient)| Patient {
        unique_id: format!("{ID}{party}-{index:05}"),
        c6: patient.c6 + 0.000_731_829 * (index + 1) as f64,
        c6dc: patient.c6dc * 1.000_417_3,
        c8: patient.c8 * 1.000_529_1,
        ..patient
    };
    let patients = patients(party, 1, ROWS).into_iter().enumerate();
    patients.map(mark).collect()
}

fn site() -> Site {
    let hospital = |party: u64| {
        let text = csv(LITERAL, &rows(party));
        Hospital::new(party, &format!("公开医院 {party}")).file("data/patients.csv", text)
    };
    Site::new(&[2, 3, 4].map(hospital))
}

fn training(protection: Value, iterations: u32) -> Value {
    let parameters = json!({
        "max_iter": iterations, "eps": 0, "batch_size": -1, "encrypt_param": protection,
    });
    let mut request = train(&[3, 4, 2], "data.patients", parameters);
    for party in ["2", "3", "4"] {
        request["data_info"][party] = json!({ "pos": SQL, "neg": SQL });
    }
    request
}

/// What only the parties may know of their rows.
fn secrets_of_rows(needles: &mut Needles) {
    for party in 2..=4 {
        for patient in rows(party) {
            needles.number("a value of a row", patient.c6);
            needles.number("a value of a row", patient.c6dc);
            needles.number("a value of a row", patient.c8);
        }
    }
}

/// Keys on disk, whole and in parts.
fn secrets_of_keys(needles: &mut Needles, site: &Site) {
    let mut keys = 0;
    for entry in fs::read_dir(site.state().join("keys")).expect("made at start") {
        let bytes = fs::read(entry.expect("readable").path()).expect("readable");
        for part in bytes.chunks_exact(16) {
            needles.bytes("a part of a key", part);
        }
        keys += 1;
    }
    assert_eq!(keys, 4, "three hospitals and the arbiter");
}

/// Of a long training, the rounds that are looked for in every form: the first, the last, and one
/// in so many. A checkpoint may be of any round: as memory holds them, all rounds are looked for.
const ROUNDS_APART: usize = 100;

/// Weights, and each party's gradients at them.
async fn secrets_of_training(needles: &mut Needles, site: &Site, order: i64) {
    const WEIGHT: &str = "a weight";
    const GRADIENT: &str = "a party's gradient";
    let spec = site.spec(order).await;
    let tables = site.tables(&spec).await;
    let mut weights = vec![vec![0.0; 4]];
    site.pooled(order, |now| weights.push(now.to_vec())).await;
    for (round, now) in weights.iter().enumerate() {
        let chosen = round < 5 || round.is_multiple_of(ROUNDS_APART) || round + 1 == weights.len();
        for weight in now {
            needles.raw_number(WEIGHT, *weight);
            if chosen {
                needles.number(WEIGHT, *weight);
            }
        }
        for table in tables.values() {
            let sum = gradient_sum(table.values.view(), &table.positive, now, |_| true);
            for sum in sum.expect("in range").gradient {
                let gradient = fixed_point::decode(sum, FRACTION_BITS);
                needles.raw_number(GRADIENT, gradient);
                needles.raw_number(GRADIENT, gradient / table.ids.len() as f64);
                if chosen {
                    needles.number(GRADIENT, gradient);
                    needles.bytes(GRADIENT, &sum.to_le_bytes());
                    needles.text(GRADIENT, &format!("{sum:012}"));
                }
            }
        }
    }
}

/// The database with its log, as they are now.
fn stored(site: &Site) -> Vec<u8> {
    let mut bytes = Vec::new();
    for suffix in ["", "-wal"] {
        let mut path = site.database().into_os_string();
        path.push(suffix);
        // The log may be folded in at any moment.
        bytes.extend(fs::read(path).unwrap_or_default());
    }
    bytes
}

async fn infer(process: &Process, model: i64) -> Value {
    let input = json!({ "user_id": 4, "data_sql": SQL });
    let order = process
        .infer(json!({ "model_id": model, "input_data": input }))
        .await;
    process.finished(order).await;
    let path = format!("/model/infer_status?order_id={order}");
    process.get(&path).await.data()["result"].clone()
}

/// A log without what each line starts with: a moment's decimals may be anybody's.
fn without_times(log: &str) -> String {
    let line = |line: &str| match line.split_once("Z ") {
        Some((time, rest))
            if time
                .chars()
                .all(|c| c.is_ascii_digit() || "-:.T".contains(c)) =>
        {
            rest.to_owned() + "\n"
        }
        _ => line.to_owned() + "\n",
    };
    log.lines().map(line).collect()
}

/// A canceled job's session speaks on until it is told so; only the debug level mentions that.
async fn cancel_until_debugged(process: &Process) {
    eventually("a word of the debug level", async || {
        let endless = training(json!({ "method": "SecAgg" }), FOREVER);
        let job = process.train(endless).await;
        process
            .until(job.order, |report| report["status"] == "running")
            .await;
        let body = json!({ "order_id": job.order }).to_string();
        assert_eq!(process.post("/model/cancel", body).await.status, 200);
        let silence = async || (process.sessions() == 0).then_some(());
        eventually("the end of the sessions", silence).await;
        process.log().contains("DEBUG").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_most_talkative_log_tells_nothing_of_rows_weights_or_keys() {
    let site = site();
    let process = Process::start(&site, "trace").await;
    let strong = json!({ "method": "Paillier", "key_length": 2048 });
    let mut orders = Vec::new();
    for protection in [strong, json!({ "method": "SecAgg" })] {
        let job = process.train(training(protection, 3)).await;
        process.finished(job.order).await;
        assert_eq!(
            infer(&process, job.model).await.as_array().map(Vec::len),
            Some(ROWS)
        );
        orders.push(job.order);
    }
    cancel_until_debugged(&process).await;
    // What goes wrong is logged too.
    let mut bad = training(json!({ "method": "SecAgg" }), 3);
    bad["attributes"] = json!(["C6", "医院"]);
    let bad = process.train(bad).await;
    assert_eq!(
        process.ended(bad.order).await["reason"]["code"],
        "COLUMN_NOT_NUMERIC"
    );
    let refused = format!("select * from data.patients where 医院 = '{LITERAL}' union");
    let mut request = training(json!({ "method": "SecAgg" }), 3);
    request["data_info"]["2"]["pos"] = json!(refused);
    let refused = process.post("/model/train", request.to_string()).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(!refused.text.contains(LITERAL), "{}", refused.text);

    let mut needles = Needles::default();
    secrets_of_rows(&mut needles);
    secrets_of_keys(&mut needles, &site);
    for order in orders {
        secrets_of_training(&mut needles, &site, order).await;
    }
    needles.text("a row's id", ID);
    needles.text("a literal of a query", LITERAL);
    needles.text("a query", "from data.patients");
    let (status, log) = process.terminate().await;
    assert!(status.success());
    let log = without_times(&log);
    let found = needles.found_in(log.as_bytes());
    assert!(found.is_empty(), "{found:?}");

    let said = format!("{log}\nDEBUG row {:?}", rows(2)[7].c6);
    assert_eq!(needles.found_in(said.as_bytes()), ["a value of a row"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_holds_no_row_weight_gradient_or_key_at_any_moment() {
    let site = site();
    let process = Process::start(&site, "info").await;
    // Long enough for checkpoints, which the platform keeps while training lasts.
    let long = process
        .train(training(json!({ "method": "SecAgg" }), 3000))
        .await;
    let mut moments = vec![stored(&site)];
    let strong = json!({ "method": "Paillier", "key_length": 2048 });
    let strong = process.train(training(strong, 3)).await;
    let (mut rounds, mut at_work) = (BTreeSet::new(), 0);
    for order in [long.order, strong.order] {
        process
            .until(order, |report| {
                if rounds.insert((order, report["round"].as_u64())) {
                    moments.push(stored(&site));
                    let is_training = report["iterations"].as_u64() > Some(0);
                    at_work += u32::from(report["status"] == "running" && is_training);
                }
                report["status"] == "finished"
            })
            .await;
    }
    let scores = infer(&process, strong.model).await;
    moments.push(stored(&site));

    let mut needles = Needles::default();
    secrets_of_rows(&mut needles);
    secrets_of_keys(&mut needles, &site);
    secrets_of_training(&mut needles, &site, strong.order).await;
    secrets_of_training(&mut needles, &site, long.order).await;
    println!(
        "MOMENTS {} {:?}",
        moments.len(),
        moments.last().map(Vec::len)
    );
    for moment in &moments {
        let found = needles.found_in(&without_decimals_of(moment, "round_milliseconds"));
        assert!(found.is_empty(), "{found:?}");
    }
    assert!(at_work > 0, "never looked while there was a checkpoint");

    // What may be there is: names of parties, and scores as their owner released them.
    let last = moments.last().expect("one at least");
    let mut released = Needles::default();
    released.text("a name", "公开医院 4");
    released.text("a score", &scores[0]["label"].to_string());
    assert_eq!(released.found_in(last), ["a name", "a score"]);

    // And what must not be there would be seen, had it been written.
    let (status, _) = process.terminate().await;
    assert!(status.success());
    let spy = rusqlite::Connection::open(site.database()).expect("a database");
    let insert = "INSERT INTO dead_letters (queue, reason, bytes, seen_at) VALUES ('x', ?, 0, 0)";
    spy.execute(insert, [rows(3)[5].c8.to_string()])
        .expect("written");
    let now = without_decimals_of(&stored(&site), "round_milliseconds");
    assert_eq!(needles.found_in(&now), ["a value of a row"]);
}
