//! The seed's calls, as its document has them, against a running federation.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::job::TrainSpec;
use shared::local::logistic_regression::score;
use shared::model::Model;

use crate::support::{
    Client, Job, Site, System, eventually, seed_blocks, seed_hospitals, seed_sample, seed_train,
};

/// The type of every leaf instead of its value. Three things have no fixed content: rows are
/// counted for no party or for all, there are no scores or some, and a percentage is an integer.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| match name.as_str() {
                "data_volum" => (name.clone(), volumes(value)),
                _ => (name.clone(), shape(value)),
            };
            fields.iter().map(field).collect()
        }
        Value::Array(items) => {
            let shapes: BTreeSet<String> =
                items.iter().map(|item| shape(item).to_string()).collect();
            json!({ "list of": shapes })
        }
        Value::String(_) => json!("text"),
        Value::Number(number) if number.is_f64() => json!("fraction"),
        Value::Number(_) => json!("integer"),
        Value::Bool(_) => json!("boolean"),
        Value::Null => json!("null"),
    }
}

fn volumes(value: &Value) -> Value {
    let volumes = value.as_object().expect("an object of parties");
    let counted = ["2", "3", "4"].map(String::from);
    assert!(volumes.is_empty() || volumes.keys().eq(&counted), "{value}");
    assert!(volumes.values().all(Value::is_u64), "{value}");
    json!("rows of each party")
}

/// Asserts that an answer has the keys and types of the seed's sample, and none besides.
pub(crate) fn like_the_seed(heading: &str, answer: &Value) {
    assert_eq!(shape(answer), shape(&seed_sample(heading)), "{heading}");
    assert_eq!(
        (&answer["code"], &answer["message"]),
        (&json!(200), &Value::Null)
    );
}

/// Asks for everything that the seed answers about a training; the answer to `train_status`.
async fn ask_about(client: &Client, job: Job) -> Value {
    let Job { order, model } = job;
    let status = format!("/model/train_status?order_id={order}");
    let status = client.get(&status).await.json();
    like_the_seed("模型训练进度查询", &status);
    let info = format!("/model/info?model_id={model}");
    like_the_seed("模型信息查询", &client.get(&info).await.json());
    let board = format!("/model/board_url?order_id={order}");
    like_the_seed("训练状态地址", &client.get(&board).await.json());
    status["data"].clone()
}

/// Follows a training to its end: progress never falls, and every answer is the seed's.
pub(crate) async fn follow(client: &Client, job: Job) {
    let (mut before, mut seen) = (0, BTreeSet::new());
    eventually("the end of the seed's training", async || {
        let data = ask_about(client, job).await;
        assert_eq!(data["model_id"], job.model);
        let status = &data["train_status"];
        let progress = status["train_progress"].as_u64().expect("a percentage");
        assert!((before..=100).contains(&progress), "{before} {progress}");
        before = progress;
        seen.insert(status["train_status"].as_str().expect("a word").to_owned());
        (status["train_status"] != "waiting" && status["train_status"] != "running").then_some(())
    })
    .await;
    let report = client.finished(job.order).await;
    let ended = ask_about(client, job).await;
    assert_eq!(ended["data_volum"], json!({ "2": 592, "3": 702, "4": 554 }));
    let name = report["job_name"].as_str().expect("a name");
    let expected = json!({
        "current_tasks": format!("[\"{name}_evaluation_0\"]"),
        "train_progress": 100,
        "train_status": "finished",
    });
    assert_eq!(ended["train_status"], expected);
    let known = ["waiting", "running", "finished"].map(String::from);
    assert!(seen.iter().all(|word| known.contains(word)), "{seen:?}");
    assert!(seen.contains("running"), "never seen at work: {seen:?}");
}

/// The boards of the three parties are pages.
pub(crate) async fn look_at_boards(client: &Client, job: Job) {
    let path = format!("/model/board_url?order_id={}", job.order);
    let urls = client.get(&path).await.data()["board_url"].clone();
    for (party, role, board_party) in [
        ("2", "host", 9999),
        ("3", "guest", 9998),
        ("4", "host", 9997),
    ] {
        let url = urls[party].as_str().expect("an address");
        assert!(
            url.contains(&format!("role={role}&party_id={board_party}")),
            "{url}"
        );
        let page = client.visit(url).await;
        assert_eq!(page.status, 200, "{url}");
        assert!(
            page.content_type.starts_with("text/html"),
            "{}",
            page.content_type
        );
        assert!(page.text.contains("<html"), "{}", page.text);
    }
}

/// Sends the seed's inference for a model; its result at the end.
pub(crate) async fn infer(client: &Client, model: i64) -> Value {
    let request = seed_blocks("模型使用")[0];
    assert!(
        request.contains("SELECT * FROM select * from"),
        "the doubled prefix"
    );
    let request = request.replace("\"137\"", &format!("\"{model}\""));
    let accepted = client.post("/model/infer", request).await;
    like_the_seed("模型使用", &accepted.json());
    let order = accepted.data()["order_id"].as_i64().expect("an id");
    let path = format!("/model/infer_status?order_id={order}");
    eventually("the scores", async || {
        let answer = client.get(&path).await.json();
        let status = answer["data"]["infer_status"].clone();
        if status == "finished" {
            like_the_seed("计算进度查询", &answer);
            return Some(answer["data"]["result"].clone());
        }
        assert!(status == "waiting" || status == "running", "{answer}");
        assert_eq!(answer["data"]["result"], json!([]));
        None
    })
    .await
}

/// Scores have four decimals, ids are texts in ascending order, and both are right.
pub(crate) async fn check_scores(site: &Site, spec: &TrainSpec, result: &Value, model: &Model) {
    let table = &site.tables(spec).await[&4];
    let expected: Vec<Value> = table
        .ids
        .iter()
        .zip(table.values.rows())
        .map(|(id, row)| {
            let label = (score(model, row) * 1e4).round_ties_even() / 1e4;
            json!({ "label": label, "unique_id": id })
        })
        .collect();
    assert_eq!(expected.len(), 554);
    assert_eq!(result, &Value::Array(expected));
    let ids: Vec<u64> = result
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| {
            row["unique_id"]
                .as_str()
                .expect("text")
                .parse()
                .expect("a number")
        })
        .collect();
    assert!(ids.is_sorted());
    for row in result.as_array().expect("a list") {
        let digits = row["label"].to_string();
        let decimals = digits.split('.').nth(1).expect("a fraction");
        assert!(decimals.len() <= 4, "{digits}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seed_s_calls_work_byte_for_byte_from_training_to_scores() {
    let system = System::start(&seed_hospitals()).await;
    let accepted = system.post("/model/train", seed_train()).await;
    like_the_seed("模型训练", &accepted.json());
    let data = accepted.data();
    let job = Job {
        order: data["order_id"].as_i64().expect("an id"),
        model: data["model_id"].as_i64().expect("an id"),
    };
    follow(&system, job).await;
    look_at_boards(&system, job).await;

    let info = system
        .get(&format!("/model/info?model_id={}", job.model))
        .await;
    assert_eq!(
        info.json(),
        seed_sample("模型信息查询"),
        "the request comes back"
    );

    let pooled = system.site.pooled(job.order, |_| ()).await;
    assert_eq!(pooled.iterations, 5);
    for party in 2..=4 {
        let opened = system.site.export(party, job.model).await;
        assert!(opened == pooled, "party {party} has other bits");
    }
    let result = infer(&system, job.model).await;
    let spec = system.site.spec(job.order).await;
    check_scores(&system.site, &spec, &result, &pooled).await;
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_protection_gives_the_pooled_bits() {
    let hospitals: Vec<_> = seed_hospitals()
        .into_iter()
        .map(|hospital| hospital.permissive())
        .collect();
    let system = System::start(&hospitals).await;
    let mut request: Value = serde_json::from_str(seed_train()).expect("the seed's JSON");
    let mut jobs = Vec::new();
    for protection in [
        json!({ "method": "Paillier", "key_length": 2048 }),
        json!({ "method": "SecAgg" }),
        json!({ "method": null }),
    ] {
        request["model_params"]["encrypt_param"] = protection;
        jobs.push(system.train(&request).await);
    }
    let mut models = Vec::new();
    for job in &jobs {
        system.finished(job.order).await;
        models.push(system.site.export(3, job.model).await);
    }
    let pooled = system.site.pooled(jobs[0].order, |_| ()).await;
    assert!(models.iter().all(|model| *model == pooled));
    assert!(pooled.coefficients.iter().all(|weight| *weight != 0.0));
    system.stop().await;
}
