//! What only a party can see is wrong: each job ends with a code, a party and a remedy, and none
//! holds up a good one.

use serde_json::{Value, json};

use crate::support::{Hospital, Patient, System, csv, patients, train};

/// What must not show in any report.
const SECRET: &str = "绝密8891";
const ROWS: usize = 60;

/// A change to one line of a CSV file, split at its commas.
type Edit = fn(line: usize, cells: &mut Vec<String>);

/// Relations that are bad at party 4 and good elsewhere.
const EDITS: [(&str, Edit); 6] = [
    ("data.words", |line, cells| {
        if line == 17 {
            cells[3] = SECRET.to_owned();
        }
    }),
    ("data.infinite", |line, cells| {
        if line == 17 {
            cells[4] = "-inf".to_owned();
        }
    }),
    ("data.no_numbers", |_, cells| cells[5] = "NaN".to_owned()),
    ("data.some_missing", |line, cells| {
        if line % 10 == 1 {
            cells[5] = "NaN".to_owned();
        }
    }),
    ("data.twins", |line, cells| {
        if line == 18 {
            cells[0] = "1".to_owned();
        }
    }),
    ("data.short_line", |line, cells| {
        if line == 17 {
            cells.pop();
        }
    }),
];

fn edited(text: &str, edit: Edit) -> String {
    let lines = text.lines().enumerate().map(|(line, text)| {
        let mut cells: Vec<String> = text.split(',').map(str::to_owned).collect();
        if line > 0 {
            edit(line, &mut cells);
        }
        cells.join(",") + "\n"
    });
    lines.collect()
}

fn healthy(patients: &[Patient]) -> Vec<Patient> {
    let patient = |patient: &Patient| Patient {
        diagnosis: 12,
        ..patient.clone()
    };
    patients.iter().map(patient).collect()
}

fn path(relation: &str) -> String {
    format!("{}.csv", relation.replace('.', "/"))
}

/// Parties 2, 3 and 4 with the default policy, 5, 6 and 7 that permit everything.
fn hospitals() -> Vec<Hospital> {
    (2..=7)
        .map(|id| {
            // Party 4's rows start at 1.
            let patients = patients(id, 1000 * id.abs_diff(4) + 1, ROWS);
            let good = csv(SECRET, &patients);
            let mut hospital = Hospital::new(id, &format!("医院 {id}"))
                .file(&path("data.good"), &*good)
                .file(&path("data.one_class"), csv(SECRET, &healthy(&patients)))
                .file(&path("data.empty"), good.lines().next().expect("a header"));
            for (relation, edit) in EDITS {
                let rows = if id == 4 {
                    edited(&good, edit)
                } else {
                    good.clone()
                };
                hospital = hospital.file(&path(relation), rows);
            }
            if id != 4 {
                let rows = good.replacen("C8", "C8_other", usize::from(id == 2));
                hospital = hospital
                    .file(&path("data.not_at_four"), &*good)
                    .file(&path("data.other_columns_at_two"), rows);
            } else {
                hospital = hospital.file(&path("data.other_columns_at_two"), good);
            }
            if id >= 5 {
                hospital.permissive()
            } else {
                hospital
            }
        })
        .collect()
}

fn secagg() -> Value {
    json!({ "encrypt_param": { "method": "SecAgg" } })
}

fn unprotected() -> Value {
    json!({ "encrypt_param": { "method": null } })
}

/// A request over parties 3, 4 and 2.
fn over(relation: &str) -> Value {
    train(&[3, 4, 2], relation, secagg())
}

/// A request that only party 4's own query spoils.
fn at_four(sql: &str) -> Value {
    let mut request = over("data.good");
    request["data_info"]["4"] = json!({ "pos": sql, "neg": sql });
    request
}

fn without_label(pos: &str, neg: &str) -> Value {
    let mut request = over("data.good");
    request["label_name"] = json!("no_such_column");
    for party in ["2", "3", "4"] {
        request["data_info"][party] = json!({ "pos": pos, "neg": neg });
    }
    request
}

/// What is wrong, the request, and how it must end.
fn bad_requests() -> Vec<(&'static str, Value, &'static str, &'static [u64])> {
    let mut text_column = over("data.good");
    text_column["attributes"] = json!(["C6", "医院"]);
    let far = json!({ "learning_rate": 1e30, "encrypt_param": { "method": "SecAgg" } });
    let everything = "select * from data.good where C6 >= 0";
    vec![
        ("one class", over("data.one_class"), "ONE_CLASS", &[3]),
        (
            "a column of text",
            text_column,
            "COLUMN_NOT_NUMERIC",
            &[2, 3, 4],
        ),
        ("one word", over("data.words"), "COLUMN_NOT_NUMERIC", &[4]),
        (
            "an infinite number",
            over("data.infinite"),
            "VALUE_RANGE",
            &[4],
        ),
        (
            "no numbers at all",
            over("data.no_numbers"),
            "COHORT_POLICY",
            &[4],
        ),
        (
            "a header alone",
            over("data.empty"),
            "COHORT_POLICY",
            &[2, 3, 4],
        ),
        (
            "nothing selected",
            at_four("select * from data.good where C6 > 1000000"),
            "COHORT_POLICY",
            &[4],
        ),
        (
            "no such relation",
            over("data.not_at_four"),
            "RELATION_UNKNOWN",
            &[4],
        ),
        (
            "no such column",
            over("data.other_columns_at_two"),
            "COLUMN_UNKNOWN",
            &[2],
        ),
        (
            "a column that is not selected",
            at_four("select unique_id, C6, C6DC, diagnosis from data.good"),
            "COLUMN_UNKNOWN",
            &[4],
        ),
        ("one id, two rows", over("data.twins"), "DATA_ERROR", &[4]),
        ("a short line", over("data.short_line"), "DATA_ERROR", &[4]),
        (
            "nothing tells the classes apart",
            without_label("select * from data.good", "select * from data.good"),
            "COLUMN_UNKNOWN",
            &[2, 3, 4],
        ),
        (
            "ids in both classes",
            without_label("select * from data.good", everything),
            "COHORT_POLICY",
            &[2, 3, 4],
        ),
        (
            "a step too far",
            train(&[3, 4, 2], "data.good", far),
            "VALUE_RANGE",
            &[3],
        ),
        (
            "two parties",
            train(&[3, 4], "data.good", secagg()),
            "TWO_PARTY_NOT_ALLOWED",
            &[3, 4],
        ),
        (
            "two parties, one of which allows it",
            train(&[5, 4], "data.good", secagg()),
            "TWO_PARTY_NOT_ALLOWED",
            &[4],
        ),
        (
            "no protection",
            train(&[3, 4, 2], "data.good", unprotected()),
            "UNENCRYPTED_NOT_ALLOWED",
            &[2, 3, 4],
        ),
        (
            "no protection, which two of three allow",
            train(&[5, 6, 4], "data.good", unprotected()),
            "UNENCRYPTED_NOT_ALLOWED",
            &[4],
        ),
    ]
}

fn good_requests() -> Vec<(&'static str, Value)> {
    let strong = json!({ "encrypt_param": { "method": "Paillier", "key_length": 2048 } });
    vec![
        ("good rows", over("data.good")),
        (
            "good rows under Paillier",
            train(&[2, 3, 4], "data.good", strong),
        ),
        ("rows with gaps", over("data.some_missing")),
        (
            "no protection, permitted",
            train(&[5, 6, 7], "data.good", unprotected()),
        ),
        (
            "two parties, permitted",
            train(&[6, 5], "data.good", secagg()),
        ),
        (
            "two parties without protection, permitted",
            train(&[7, 6], "data.good", unprotected()),
        ),
    ]
}

/// Asserts that a failed job says what was wrong, whose it was and what to do, and no more.
fn explains(what: &str, report: &Value, code: &str, parties: &[u64]) {
    assert_eq!(report["status"], "failed", "{what}: {report}");
    let reason = &report["reason"];
    assert_eq!(reason["code"], code, "{what}: {reason}");
    let party = reason["party"].as_u64();
    assert!(
        party.is_some_and(|party| parties.contains(&party)),
        "{what}: {reason}"
    );
    for field in ["remedy", "text"] {
        let text = reason[field].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{what}: {reason}");
    }
    assert_eq!(
        report["attempts"], 1,
        "{what}: another attempt mends nothing"
    );
    assert!(!report.to_string().contains(SECRET), "{what}: {report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_jobs_end_with_a_reason_and_hold_up_no_good_one() {
    let system = System::start(&hospitals()).await;
    let (mut bad, mut good) = (Vec::new(), Vec::new());
    for (what, request, code, parties) in bad_requests() {
        bad.push((what, system.train(&request).await, code, parties));
    }
    for (what, request) in good_requests() {
        good.push((what, system.train(&request).await));
    }
    for (what, job) in good {
        let report = system.finished(job.order).await;
        assert_eq!(report["reason"], Value::Null, "{what}: {report}");
        let pooled = system.site.pooled(job.order, |_| ()).await;
        let guest = report["user_id"].as_u64().expect("an id");
        assert!(
            system.site.export(guest, job.model).await == pooled,
            "{what}"
        );
        let dropped = if what == "rows with gaps" { 6 } else { 0 };
        let parties = report["parties"].as_array().expect("a list");
        let missing = parties
            .iter()
            .map(|party| party["dropped"]["missing"].as_u64());
        assert_eq!(
            missing.map(Option::unwrap_or_default).sum::<u64>(),
            dropped,
            "{what}"
        );
    }
    for (what, job, code, parties) in bad {
        explains(what, &system.ended(job.order).await, code, parties);
        let infer = json!({
            "model_id": job.model,
            "input_data": { "user_id": 4, "data_sql": "select * from data.good" },
        });
        let refused = system.post("/model/infer", infer.to_string()).await;
        assert!(
            refused.status == 409 || refused.status == 403,
            "{what}: {}",
            refused.text
        );
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_inferences_end_with_a_reason_and_hold_up_no_good_one() {
    let system = System::start(&hospitals()).await;
    let job = system.train(&over("data.good")).await;
    system.finished(job.order).await;
    let infer = async |sql: &str| {
        let input = json!({ "user_id": 4, "data_sql": sql });
        let request = json!({ "model_id": job.model, "input_data": input });
        system.infer(request).await
    };
    let mut orders = Vec::new();
    for (sql, code) in [
        (
            "select * from data.no_such_relation",
            "RELATION_NOT_ALLOWED",
        ),
        ("select * from data.empty", "NO_ROWS"),
        ("select * from data.words", "COLUMN_NOT_NUMERIC"),
        ("select * from data.infinite", "VALUE_RANGE"),
        ("select * from data.twins", "DATA_ERROR"),
        ("select unique_id from data.good", "COLUMN_UNKNOWN"),
    ] {
        orders.push((sql, infer(sql).await, code));
    }
    let good = infer("select * from data.some_missing").await;
    let report = system.finished(good).await;
    assert_eq!(report["parties"][0]["dropped"]["missing"], 6, "{report}");
    for (sql, order, code) in orders {
        explains(sql, &system.ended(order).await, code, &[4]);
        let status = format!("/model/infer_status?order_id={order}");
        let expected = json!({ "infer_status": "failed", "result": [] });
        assert_eq!(system.get(&status).await.data(), expected);
    }
    system.stop().await;
}
