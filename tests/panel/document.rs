//! Every call of the document, in order.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::people::{EMAILS, People, Pins, done, keys, line};

const LI: usize = 0;
const WANG: usize = 1;
const ZHANG: usize = 2;

/// Flowers of a kind.
const FLOWERS: usize = 30;

/// The keys of every list.
const LIST: [&str; 7] = [
    "code",
    "data",
    "msg",
    "page",
    "size",
    "totalCount",
    "totalPages",
];
/// Those of the document for a job in a list, and two of ours: `roundID`, `status`.
const ENTRY: [&str; 10] = [
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
];

/// The document's line that makes a computation, with the three people in it.
fn create(changes: &[(&str, &str)]) -> String {
    let mut line = line("Creating a privacy computing job");
    for email in EMAILS {
        line = line.replacen("xxxxxx@gmail.com", email, 1);
    }
    for (from, to) in changes {
        assert!(line.contains(from), "{line}");
        line = line.replace(from, to);
    }
    line
}

/// The job of an answer that has what the document says.
fn made(answer: &Value) -> String {
    assert_eq!(keys(answer), ["code", "jobID", "msg"]);
    assert_eq!(
        (&answer["code"], &answer["msg"]),
        (&json!(200), &json!("success"))
    );
    let job = answer["jobID"].as_str().expect("text");
    let decimal = job.bytes().all(|byte| byte.is_ascii_digit());
    assert!(decimal && (60..=78).contains(&job.len()), "{job}");
    job.to_owned()
}

fn filled(people: &People, who: usize, job: &str, input: &str) {
    let answer = people.fill(who, job, input).done();
    assert_eq!(answer, json!({ "code": 200, "msg": "fill success" }));
}

/// Makes, fills, reads, downloads and deletes, as the document says.
pub(super) async fn follow(people: &People) {
    let sum = sum(people).await;
    let product = joint(
        people,
        "Matrix Multiplication",
        ["[[1,2],[3,4],[5,6.5]]", "[[1],[-1]]", "[[1,0.5,2]]"],
    );
    assert_eq!(product.await, "[[-1,-0.5,-2],[-1,-0.5,-2],[-1.5,-0.75,-3]]");
    // Equal but for one unit, beyond every float; in another case than the document's.
    let compared = joint(
        people,
        "privacy comparison",
        ["239483279483298918390", "239483279483298918389", "0"],
    );
    assert_eq!(compared.await, "[[1]]");
    let tree = tree(people).await;
    let clusters = clusters(people).await;
    let list = people
        .post(LI, "jobListByUser", &json!({ "pageNo": 1, "pageSize": 20 }))
        .done();
    assert_eq!((keys(&list), &list["totalCount"]), (LIST.into(), &json!(5)));
    let types = list["data"].as_array().expect("a list").iter();
    let types: Vec<&str> = types
        .map(|job| job["typeStr"].as_str().expect("a word"))
        .collect();
    assert_eq!(types, ["Upload", "Upload", "Input", "Input", "Input"]);
    for job in [&tree, &clusters] {
        let of_others = people.detail(WANG, job).refused(404);
        assert!(of_others.contains("there is no such job"), "{of_others}");
    }
    delete(people, &sum);
    delete(people, &tree);
}

/// The document's own addition.
async fn sum(people: &People) -> String {
    let job = made(&people.curl(LI, &create(&[])).done());
    for who in [LI, WANG, ZHANG] {
        let body = json!({ "pageNo": 1, "pageSize": 20 });
        let list = people.post(who, "jobListByUser", &body).done();
        assert_eq!(keys(&list), LIST);
        let entry = &list["data"][0];
        assert_eq!(keys(entry), ENTRY);
        assert_eq!(
            (&entry["jobID"], &entry["typeStr"]),
            (&json!(job), &json!("Input"))
        );
        assert_eq!(
            (&entry["creator"], &entry["parties"]),
            (&json!(EMAILS[0]), &json!(EMAILS))
        );
        assert_eq!(entry["jobName"], "matrix addition job Test");
        let times = [&entry["creationTime"], &entry["updateTime"]];
        // Seconds, until the year 2286.
        assert!(
            times
                .iter()
                .all(|time| time.as_u64().expect("Unix") < 10_000_000_000)
        );
    }
    let detail = people.detail(WANG, &job).done();
    assert_eq!(detail["computationStr"], "matrix addition");
    assert_eq!(detail["status"], "awaiting_input");
    assert_eq!(detail["filled"], json!([true, false, false]));
    assert_eq!(people.made(ZHANG, &job)["data"], json!([]));

    // A shape that does not fit, and the document's input, which does.
    let unfit = people.fill(WANG, &job, "[[1,2]]").refused(422);
    assert!(
        unfit.contains("1 x 3") && unfit.contains("1 x 2"),
        "{unfit}"
    );
    filled(people, WANG, &job, "[[1,2,3.2]]");
    filled(people, ZHANG, &job, "[[-19, 0.000000000001, 1e-3]]");
    people.until(LI, &job, "finished").await;
    let late = people.fill(WANG, &job, "[[1,2,3.2]]").refused(409);
    assert!(late.contains("finished"), "{late}");
    let made = people.made(WANG, &job);
    assert_eq!((keys(&made), &made["totalCount"]), (LIST.into(), &json!(3)));
    for (entry, email) in made["data"].as_array().expect("a list").iter().zip(EMAILS) {
        assert_eq!(
            (&entry["party"], &entry["roundID"]),
            (&json!(email), &json!(1))
        );
        assert_eq!(entry["result"], r#"[["0.000000","36.000000","21.401000"]]"#);
        assert_eq!(entry["exact"], "[[0,36.000000000001,21.401]]");
    }
    job
}

/// Another computation of the three, to its exact result.
async fn joint(people: &People, computation: &str, inputs: [&str; 3]) -> String {
    let line = create(&[
        ("Matrix Addition", computation),
        ("[[18,34,18.2]]", inputs[0]),
        ("matrix addition job Test", computation),
    ]);
    let job = made(&people.curl(LI, &line).done());
    filled(people, ZHANG, &job, inputs[2]);
    filled(people, WANG, &job, inputs[1]);
    people.exact(ZHANG, &job).await
}

/// Flowers of three kinds that anybody can tell apart, one of them by its colour alone.
fn flowers(from: usize) -> (String, String) {
    let (mut features, mut kinds) = ("花瓣长度,width,colour\r\n".to_owned(), "kind\n".to_owned());
    for at in from..from + FLOWERS {
        let wiggle = (at * 7 % 11) as f64 / 100.0;
        for (kind, length, colour) in [
            ("setosa", 1.4, "blue"),
            ("versicolor", 4.5, "蓝, light"),
            ("virginica", 4.5, "red"),
        ] {
            let (length, width) = (length + wiggle, 0.2 * length - wiggle);
            features += &format!("{length:.2},{width:.3},\"{colour}\"\r\n");
            kinds += &format!("{kind}\n");
        }
    }
    (features, kinds)
}

/// The document's line with paths in it.
fn upload(heading: &str, files: &[(&str, &Path)]) -> String {
    let mut line = line(heading);
    for (word, path) in files {
        assert!(line.contains(word), "{line}");
        line = line.replace(word, path.to_str().expect("UTF-8"));
    }
    line
}

async fn tree(people: &People) -> String {
    let (features, kinds) = flowers(0);
    let (testing, truth) = flowers(FLOWERS);
    let [feature, target, test] = [
        ("features.csv", &features),
        ("kinds.csv", &kinds),
        ("testing.csv", &testing),
    ]
    .map(|(name, text)| people.file(name, text));
    let line = upload(
        "Creating a machine learning classification job",
        &[
            ("feature dataset file path", &feature),
            ("target dataset file path", &target),
            ("testing dataset file path", &test),
        ],
    );
    let job = made(&people.curl(LI, &line).done());
    let detail = people.until(LI, &job, "finished").await;
    assert_eq!(detail["typeStr"], "Upload");
    assert_eq!(detail["computationStr"], "decision tree");
    assert_eq!(detail["parties"], json!([EMAILS[0]]));
    // The document's own name, with the quote that it forgot.
    assert!(
        detail["jobName"]
            .as_str()
            .expect("text")
            .contains("decision tree")
    );

    let data = "/sdk/computation/panel/downloadDataset?";
    for (kind, text) in [
        ("feature", &features),
        ("target", &kinds),
        ("testing", &testing),
    ] {
        let file = people.get(LI, &format!("{data}datasetType={kind}&jobID={job}"));
        assert_eq!(file.status, 200, "{}", file.text);
        assert!(
            file.content_type.starts_with("text/csv"),
            "{}",
            file.content_type
        );
        assert_eq!(file.text, *text);
    }
    let made = people.made(LI, &job);
    let entry = &made["data"][0];
    assert_eq!(
        (&made["totalCount"], &entry["party"]),
        (&json!(1), &json!(EMAILS[0]))
    );
    let paths: Value = serde_json::from_str(entry["result"].as_str().expect("text")).expect("JSON");
    assert_eq!(keys(&paths), ["model", "result"]);
    assert!(entry["metrics"].is_object(), "{entry}");
    let result = people.get(LI, paths["result"].as_str().expect("a path"));
    assert_eq!(
        classes(&result.text),
        truth.lines().skip(1).collect::<Vec<_>>()
    );
    assert!(
        result.text.starts_with("# 花瓣长度,width,colour,Result\n"),
        "{}",
        result.text
    );
    let model = people.get(LI, paths["model"].as_str().expect("a path"));
    assert!(
        model.content_type.starts_with("application/json"),
        "{}",
        model.content_type
    );
    assert!(model.json().is_object());
    job
}

/// The last cell of each row below the header.
fn classes(csv: &str) -> Vec<&str> {
    let rows = csv.lines().skip(1);
    rows.map(|row| row.rsplit(',').next().expect("a cell"))
        .collect()
}

async fn clusters(people: &People) -> String {
    // Three heaps, far from each other.
    let mut text = "x,y\n".to_owned();
    for at in 0..FLOWERS {
        let wiggle = |by: usize| (at * by % 13) as f64 / 100.0;
        for heap in [0.0, 40.0, 90.0] {
            text += &format!("{:.2},{:.2}\n", heap + wiggle(5), 2.0 * heap - wiggle(7));
        }
    }
    let feature = people.file("heaps.csv", &text);
    let line = upload(
        "Creating a machine learning clustering job",
        &[("feature dataset path", &feature)],
    );
    let job = made(&people.curl(LI, &line).done());
    people.until(LI, &job, "finished").await;
    let path = "/sdk/computation/panel/downloadResult?resultType=result";
    let result = people.get(LI, &format!("{path}&jobID={job}"));
    let labels = classes(&result.text);
    assert_eq!(labels.len(), 3 * FLOWERS);
    let heaps: Vec<&str> = labels[..3].to_vec();
    assert!(heaps[0] != heaps[1] && heaps[1] != heaps[2] && heaps[0] != heaps[2]);
    assert!(labels.chunks(3).all(|three| three == heaps), "{labels:?}");
    let absent = "/sdk/computation/panel/downloadDataset?datasetType=testing";
    people
        .get(LI, &format!("{absent}&jobID={job}"))
        .refused(404);
    job
}

/// Only the creator deletes; then nobody has the job.
fn delete(people: &People, job: &str) {
    let line = line("Deleting job by job id").replace("\"xxxxxx\"", &format!("\"{job}\""));
    let of_others = people.detail(WANG, job).status;
    let denied = people.curl(WANG, &line);
    match of_others {
        // A participant knows the job; to a stranger there is none.
        200 => drop(denied.refused(403)),
        _ => drop(denied.refused(404)),
    }
    let answer = people.curl(LI, &line).done();
    assert_eq!(answer, json!({ "code": 200, "msg": "delete success" }));
    for who in [LI, WANG, ZHANG] {
        people.detail(who, job).refused(404);
    }
    people.curl(LI, &line).refused(404);
}

/// A second run of an addition, which one participant splits on his own machine.
pub(super) async fn run_again(people: &People, pins: &Pins) {
    let name = "两次 run twice";
    let more = json!({ "computation": "Matrix Addition", "input": "[[1, 2]]" });
    let job = people.compute(WANG, name, &more);
    let too_early = people.post(WANG, "rerunJobByUser", &json!({ "jobID": job }));
    too_early.refused(409);
    filled(people, LI, &job, "[[10, 20]]");
    filled(people, ZHANG, &job, "[[100, 200]]");
    assert_eq!(people.exact(LI, &job).await, "[[111,222]]");

    let of_others = people.post(LI, "rerunJobByUser", &json!({ "jobID": job }));
    of_others.refused(403);
    let again = people
        .post(WANG, "rerunJobByUser", &json!({ "jobID": job }))
        .done();
    assert_eq!(
        again,
        json!({ "code": 200, "msg": "success", "roundID": 2 })
    );
    let said = done(&people.seal(WANG, &job, "[[0.5, -2]]\n", pins));
    assert!(
        said.starts_with("Filled in: 1 x 2 as P1 of matrix addition"),
        "{said}"
    );
    assert!(
        said.contains(&format!("Missing: {}, {}.", EMAILS[0], EMAILS[2])),
        "{said}"
    );
    let detail = people.detail(LI, &job).done();
    assert_eq!(detail["filled"], json!([false, true, false]));
    assert_eq!(
        detail["inputProtection"],
        json!([null, "client-sealed", null])
    );
    filled(people, LI, &job, "[[7, 7]]");
    // Replaced, while it waits.
    filled(people, LI, &job, "[[1, 1]]");
    filled(people, ZHANG, &job, "[[1, 1]]");
    assert_eq!(people.exact(ZHANG, &job).await, "[[2.5,0]]");
    let made = people.made(ZHANG, &job);
    let rounds = made["data"].as_array().expect("a list").iter();
    let rounds: Vec<u64> = rounds
        .map(|one| one["roundID"].as_u64().expect("a number"))
        .collect();
    assert_eq!(rounds, [2, 2, 2, 1, 1, 1]);

    let late = people.seal(WANG, &job, "[[1, 1]]", pins);
    let said = String::from_utf8_lossy(&late.stderr).into_owned();
    assert!(
        !late.status.success() && said.contains("the job is finished"),
        "{said}"
    );
}
