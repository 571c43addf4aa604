//! Requests: the seed's own, as its document has them, and small ones of ours.

use serde_json::{Map, Value, json};

/// The document whose calls must work as they stand.
const SEED: &str = include_str!("../../api/testdata/federated-learning-api.md");

/// The JSON texts under one heading of the seed, as they stand: request, if it has one, and answer.
pub(crate) fn seed_blocks(heading: &str) -> Vec<&'static str> {
    let (_, section) = SEED
        .split_once(&format!("### {heading}\n"))
        .expect("the heading is there");
    let section = section.split("\n### ").next().expect("one part at least");
    let blocks = section.split("```json").skip(1);
    let text = |block: &'static str| block.split("```").next().expect("one part at least");
    blocks.map(text).collect()
}

/// The sample answer under a heading.
pub(crate) fn seed_sample(heading: &str) -> Value {
    let text = seed_blocks(heading)
        .pop()
        .expect("every call has an answer");
    serde_json::from_str(text).expect("the seed's answers are JSON")
}

/// The seed's training request, byte for byte.
pub(crate) fn seed_train() -> &'static str {
    seed_blocks("模型训练")[0]
}

/// The seed's training, for other parties and another relation, with parameters changed.
/// `parties` starts with the guest.
pub(crate) fn train(parties: &[u64], relation: &str, parameters: Value) -> Value {
    let mut request: Value = serde_json::from_str(seed_train()).expect("the seed's JSON");
    let sql = format!("select * from {relation};");
    let cohort = json!({ "pos": sql, "neg": sql });
    let cohorts = parties
        .iter()
        .map(|party| (party.to_string(), cohort.clone()))
        .collect::<Map<_, _>>();
    request["user_id"] = json!(parties[0]);
    request["party_id"] = json!(parties[1..]);
    request["data_info"] = Value::Object(cohorts);
    for (name, value) in parameters.as_object().expect("an object") {
        request["model_params"][name] = value.clone();
    }
    request
}
