//! What the platform has of inputs and files of the panel's jobs: nothing that can be read.
//!
//! **Looked for**: every number that a participant filled in, as written, as a float, as the integer
//! that is shared; every cell of an uploaded file. **Seen by design**, and no needle here: results of
//! joint computations, figures of learning with the names of classes, shapes and sizes.
//!
//! **Why there would be a hit**: results, which are in the clear, are found where they must be; and
//! the same needles are found once they are written there.

use serde_json::json;
use shared::bus::{Bus, QueueKind, rabbitmq};
use uuid::Uuid;

use super::needles::Needles;
use super::platform::{Platform, connect, dump, found_in};
use super::{stored, without_times};
use crate::faults::hospitals;
use crate::support::people::{self, People, Pins, done};
use crate::support::{Role, Site};

const INPUT: &str = "an input";
const CELL: &str = "a cell of a file";
const RESULT: &str = "a result";
const JOB: &str = "a job's name inside";

/// Integers count this part of a unit.
const PLACES: usize = 12;

/// What three people add, multiply and compare. No result has the digits of an input.
const ADDED: [&str; 3] = [
    "[[718281.828459045, -271.828182846]]",
    "[[577215.664901533, 660.161815847]]",
    "[[-915965.594177219, 131.377906123]]",
];
const MULTIPLIED: [&str; 3] = [
    "[[914.732658193]]",
    "[[-26149.7212847]]",
    "[[7.64223653589]]",
];
const COMPARED: [&str; 3] = [
    "239483279483298918390.25",
    "239483279483298918391.75",
    "602214076129.5",
];
/// Results as text, exact.
const SUM: &str = "[[379531.899183359,519.711539124]]";

const PATIENT: &str = "病人丙午-赵六七";
const WARD: &str = "ward KX-7741-quiet";
const NUMBERS: [&str; 4] = [
    "48271.90351846",
    "77310.58264917",
    "15093.66728451",
    "90215.34857126",
];

/// A file whose every cell is a secret.
fn file() -> String {
    let mut text = "number,ward\n".to_owned();
    for (at, number) in NUMBERS.iter().cycle().take(40).enumerate() {
        let ward = if at % 2 == 0 { PATIENT } else { WARD };
        text += &format!("{number},{ward}\n");
    }
    text
}

/// A number in every form that a program of ours could give it.
fn number(needles: &mut Needles, what: &'static str, text: &str) {
    let digits = text.trim_start_matches('-');
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let scaled: i128 = format!("{whole}{fraction:0<PLACES$}")
        .parse()
        .expect("in range");
    let plain = format!("{whole}{fraction}");
    let mut forms = vec![digits.as_bytes().to_vec(), plain.clone().into_bytes()];
    forms.push(format!("{}.{}", &plain[..1], &plain[1..]).into_bytes());
    for value in [scaled, -scaled] {
        // Without the byte that has the sign.
        forms.push(value.to_le_bytes()[..15].to_vec());
        forms.push(value.to_be_bytes()[1..].to_vec());
        forms.push(value.to_le_bytes()[..8].to_vec());
    }
    let float: f64 = digits.parse().expect("a number");
    for value in [float, -float] {
        forms.push(value.to_le_bytes().to_vec());
        forms.push(value.to_be_bytes().to_vec());
    }
    needles.all_forms_of(what, &forms);
}

fn secrets() -> Needles {
    let mut needles = Needles::default();
    for input in [ADDED, MULTIPLIED, COMPARED].concat() {
        for value in input
            .split(['[', ']', ',', ' '])
            .filter(|value| !value.is_empty())
        {
            number(&mut needles, INPUT, value);
        }
    }
    for value in NUMBERS {
        number(&mut needles, CELL, value);
    }
    for cell in [PATIENT, WARD] {
        needles.all_forms_of(CELL, &[cell.as_bytes().to_vec()]);
        needles.text(CELL, cell);
    }
    needles
}

/// Three computations, two learning jobs, and what is refused; the names of the runs are told by the
/// database.
async fn use_the_panel(people: &People, pins: &Pins) {
    let sum = json!({ "computation": "Matrix Addition", "input": ADDED[0] });
    let sum = people.compute(0, "sum", &sum);
    for (input, status) in [
        // Refused in words, which are logged as well as answered.
        (format!("{}x", ADDED[1]), 400),
        (ADDED[1].replace(".66", "e66"), 400),
        (MULTIPLIED[1].to_owned(), 422),
        (ADDED[1].to_owned(), 200),
    ] {
        let said = people.fill(1, &sum, &input);
        assert_eq!(said.status, status, "{}", said.text);
        assert_eq!(secrets().found_in(said.text.as_bytes()), [""; 0]);
    }
    people.fill(2, &sum, ADDED[2]).done();
    assert_eq!(people.exact(0, &sum).await, SUM);

    let product = json!({ "computation": "Matrix Multiplication", "input": MULTIPLIED[0] });
    let product = people.compute(0, "product", &product);
    people.fill(1, &product, MULTIPLIED[1]).done();
    let said = done(&people.seal(2, &product, MULTIPLIED[2], pins));
    assert_eq!(secrets().found_in(said.as_bytes()), [""; 0]);
    people.until(0, &product, "finished").await;

    let compared = json!({
        "computation": "Privacy Comparison", "inputProtection": "client-sealed",
    });
    let compared = people.compute(1, "compared", &compared);
    for (who, input) in COMPARED.iter().enumerate() {
        people.fill(who, &compared, input).refused(400);
        done(&people.seal(who, &compared, input, pins));
    }
    assert_eq!(people.exact(2, &compared).await, "[[0]]");

    let classes: String = (0..40).map(|at| ["yes\n", "no\n"][at % 2]).collect();
    let feature = people.file("secret.csv", &file());
    let target = people.file("classes.csv", &format!("class\n{classes}"));
    let ragged = people.file("ragged.csv", &format!("{}{PATIENT}\n", file()));
    let holes = people.file("holes.csv", &format!("{}{},\n", file(), NUMBERS[0]));
    let learn = |name: &str, feature: &std::path::Path| {
        let line = people::line("Creating a machine learning classification job");
        let line = line
            .replace("\"decision tree\" test\"", &format!("\"{name}\""))
            .replace(
                "feature dataset file path",
                feature.to_str().expect("UTF-8"),
            )
            .replace(
                "testing dataset file path",
                feature.to_str().expect("UTF-8"),
            )
            .replace("target dataset file path", target.to_str().expect("UTF-8"));
        people.curl(0, &line)
    };
    let tree = learn("tree", &feature).done();
    let tree = tree["jobID"].as_str().expect("text").to_owned();
    people.until(0, &tree, "finished").await;
    let path = "/sdk/computation/panel/downloadResult?resultType=result";
    let result = people.get(0, &format!("{path}&jobID={tree}"));
    assert!(result.text.contains(PATIENT), "{}", result.text);
    let refused = learn("ragged", &ragged).refused(400);
    assert_eq!(secrets().found_in(refused.as_bytes()), [""; 0]);
    // One row more than there are classes.
    let refused = learn("holes", &holes).refused(400);
    assert_eq!(secrets().found_in(refused.as_bytes()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inputs_and_files_are_in_no_log_database_or_message_of_many_processes() {
    let mut platform = Platform::start().await;
    platform.deployment.log_level = "trace";
    people::let_in(&mut platform.deployment).await;
    for role in [Role::Status, Role::Party(2), Role::Party(3), Role::Party(4)] {
        platform.deployment.crash(role).await;
    }
    let people = People::of_deployment(&platform.deployment).await;
    let directory = platform.deployment.site.path().join("directory.toml");
    use_the_panel(&people, &Pins::Directory(directory)).await;

    let needles = secrets();
    let store = connect(&platform.database).await;
    let mut controls = Needles::default();
    controls.text(RESULT, SUM);
    let runs = store.query("SELECT job FROM panel_runs", &[]).await;
    for run in runs.expect("readable") {
        controls.text(JOB, run.get(0));
    }
    for (place, all) in platform.places().await {
        if place == "HTTP" {
            // The way to the API is TLS's affair.
            continue;
        }
        let length: usize = all.iter().map(Vec::len).sum();
        let found = needles.kinds(&found_in(&needles, &all));
        println!("{place}: {length} bytes, {found:?}");
        assert!(found.is_empty(), "{place}: {found:?}");
        let known = controls.kinds(&found_in(&controls, &all));
        let must: &[&str] = match place {
            "logs" => &[JOB],
            // A run's id travels as 16 bytes.
            "AMQP" => &[RESULT],
            "broker's disk" => &[],
            _ => &[JOB, RESULT],
        };
        assert!(
            must.iter().all(|what| known.contains(what)),
            "{place} has {known:?}"
        );
    }

    // Had one been written, it would have been found.
    let url = platform.deployment.broker().to_owned();
    let prefix = format!("{}.", Uuid::new_v4().simple());
    let certificates = None;
    let bus = Bus::rabbitmq(rabbitmq::Config {
        url,
        prefix,
        certificates,
    })
    .expect("an address");
    bus.declare("open", QueueKind::Durable)
        .await
        .expect("declared");
    let open = [ADDED, MULTIPLIED, COMPARED].concat().join(" ") + &file();
    bus.publish("open", open.clone().into_bytes())
        .await
        .expect("published");
    let recorded = connect(platform.deployment.database()).await;
    let write = "UPDATE panels SET name = $1 WHERE number = (SELECT min(number) FROM panels)";
    recorded.execute(write, &[&open]).await.expect("written");
    for (place, all) in [
        ("AMQP", platform.amqp.streams()),
        ("SQL", platform.sql.streams()),
        ("dump", dump(&platform.database).await),
        ("a log", vec![open.into_bytes()]),
    ] {
        let found = found_in(&needles, &all);
        for what in [INPUT, CELL] {
            assert_eq!(needles.share(what, &found), 1.0, "{place}, {what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inputs_and_files_are_in_no_log_or_database_of_one_process() {
    let site = Site::new(&hospitals(&[2, 3, 4]));
    let process = people::standalone(&site, "trace").await;
    let people = People::of_process(&site, &process).await;
    use_the_panel(&people, &Pins::Config(site.config())).await;
    let (status, log) = process.terminate().await;
    assert!(status.success());
    let needles = secrets();
    let mut controls = Needles::default();
    controls.text(RESULT, SUM);
    let log = without_times(&log);
    for (place, bytes) in [("log", log.as_bytes()), ("database", &stored(&site)[..])] {
        assert_eq!(needles.found_in(bytes), [""; 0], "{place}");
        let is_there = !controls.found_in(bytes).is_empty();
        assert_eq!(is_there, place == "database", "the result in the {place}");
    }
    let spy = rusqlite::Connection::open(site.database()).expect("a database");
    let open = [ADDED, MULTIPLIED, COMPARED].concat().join(" ") + &file();
    let write = "UPDATE panels SET name = ? WHERE number = (SELECT min(number) FROM panels)";
    spy.execute(write, [&open]).expect("written");
    let found = needles.all_found_in(&stored(&site));
    for what in [INPUT, CELL] {
        assert_eq!(needles.share(what, &found), 1.0, "{what}");
    }
}
