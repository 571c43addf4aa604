use shared::id::PanelId;

use super::batch::{Line, read};
use super::summary::{self, Outcome};
use super::*;

const INFER: &str =
    r#"{"model_id": 1, "input_data": {"user_id": 4, "data_sql": "select * from data.blood"}}"#;

fn infer(more: &str) -> String {
    format!("{{\"type\": \"/model/infer\"{more}, \"body\": {INFER}}}")
}

fn refusal(text: &str) -> String {
    read(text.as_bytes(), None)
        .expect_err("must be refused")
        .to_string()
}

fn keys(text: &str, again: Option<&str>) -> Vec<String> {
    let lines = read(text.as_bytes(), again).expect("sound");
    lines.into_iter().map(|line| line.key).collect()
}

#[test]
fn a_file_names_its_lines_the_same_each_time() {
    let text = format!("{}\n\n{}\n", infer(""), infer(r#", "key": "mine""#));
    let first = keys(&text, None);
    assert_eq!(first[1], "mine");
    let (hash, number) = first[0].split_once('-').expect("two parts");
    assert_eq!((hash.len(), number), (16, "1"));
    assert_eq!(keys(&text, None), first);
    let other = keys(&format!("{text}{}", infer("")), None);
    assert_ne!(other[0], first[0], "another file");
    assert!(other[2].ends_with("-4"), "its place in the file: {other:?}");
    assert_eq!(keys(&text, Some("anew")), ["anew-1", "anew-3"]);
}

#[test]
fn every_line_is_checked_before_any_is_sent() {
    let good = infer("");
    for (line, wrong) in [
        ("nonsense", "line 2: expected"),
        ("[]", "line 2: it must be a JSON object"),
        (r#"{"body": {}}"#, "line 2: `type` is missing"),
        (
            r#"{"type": 1, "body": {}}"#,
            "line 2: `type` must be a string",
        ),
        (r#"{"type": "/model/train"}"#, "line 2: `body` is missing"),
        (
            r#"{"type": "/model/train", "body": {}}"#,
            "line 2: `user_id` is missing",
        ),
        (
            r#"{"type": "/model/cancel", "body": {}}"#,
            "line 2: `type` is \"/model/cancel\"",
        ),
        (
            &infer(r#", "type": 1"#),
            "line 2: the field `type` occurs twice",
        ),
        (&infer(r#", "keys": 1"#), "line 2: `keys` is unknown"),
        (
            &infer(r#", "key": """#),
            "line 2: `key` must be 1 to 255 visible",
        ),
        (
            &infer(r#", "key": "两""#),
            "line 2: `key` must be 1 to 255 visible",
        ),
        (
            &good.replace("model_id", "model"),
            "line 2: `model_id` is missing",
        ),
        (
            &good.replace("select", "drop"),
            "line 2: `input_data.data_sql`",
        ),
    ] {
        let told = refusal(&format!("{good}\n{line}\n"));
        assert!(told.starts_with(wrong), "{told}");
    }
    let twice = infer(r#", "key": "k""#);
    let told = refusal(&format!("{twice}\n{good}\n{twice}"));
    assert_eq!(told, "line 3: `key` is that of line 1: each must differ");
    assert!(refusal("\n \n").contains("there is no job"));
}

#[test]
fn of_many_problems_a_handful_is_shown() {
    let told = refusal(&"nonsense\n".repeat(8));
    assert_eq!(told.lines().count(), 6, "{told}");
    assert!(told.ends_with("\nand 3 more"), "{told}");
}

#[test]
fn a_summary_names_bad_lines_and_what_to_do() {
    let line = |number: usize| {
        Arc::new(Line {
            number,
            route: "/model/infer".to_owned(),
            key: format!("k-{number}"),
            body: String::new(),
        })
    };
    let outcome = |order, status: &str, reason: Option<&str>| Outcome {
        order,
        model: Some(1),
        panel: None,
        status: Some(status.to_owned()),
        reason: reason.map(str::to_owned),
        text: reason.map(|_| "No such rows.".to_owned()),
    };
    let lines = [line(1), line(2), line(4), line(5)];
    let outcomes = [
        outcome(Some(11), "finished", None),
        outcome(Some(12), "failed", Some("NO_ROWS")),
        outcome(None, "refused", Some("400")),
        outcome(Some(14), "canceled", None),
    ];
    let mut out = Vec::new();
    summary::tell(&mut out, "http://h:1", &lines, &outcomes).expect("in memory");
    let told = String::from_utf8(out).expect("UTF-8");
    let shown: Vec<&str> = told.lines().collect();
    assert_eq!(
        shown[..5],
        [
            "4 lines: 1 canceled, 1 failed, 1 finished, 1 refused",
            "line 2 (order 12) failed: NO_ROWS: No such rows.",
            "line 4 refused: 400: No such rows.",
            "line 5 (order 14) canceled",
            "All about a job: curl -s \"http://h:1/model/report?order_id=12\"",
        ]
    );
    let report = summary::report(&lines, &outcomes);
    let second = report.lines().nth(1).expect("four lines");
    assert_eq!(
        second,
        r#"{"key":"k-2","line":2,"model_id":1,"order_id":12,"reason":"NO_ROWS","status":"failed","text":"No such rows."}"#
    );
}

#[test]
fn a_job_of_the_panel_is_there_and_its_participants_are_told_what_to_do() {
    let line = Arc::new(Line {
        number: 3,
        route: "/sdk/computation/panel/createJobByInput".to_owned(),
        key: "k".to_owned(),
        body: String::new(),
    });
    let outcome = Outcome::created(PanelId([0; 32]));
    assert!(outcome.well());
    let (lines, outcomes) = ([line], [outcome]);
    let mut out = Vec::new();
    summary::tell(&mut out, "http://h:1", &lines, &outcomes).expect("in memory");
    let told = String::from_utf8(out).expect("UTF-8");
    assert_eq!(
        told,
        "1 lines: 1 awaiting_input\nline 3 is job 0; each participant fills it in: concord fill \
         --job 0\n"
    );
    let report = summary::report(&lines, &outcomes);
    assert!(report.contains(r#""jobID":"0""#), "{report}");
}
