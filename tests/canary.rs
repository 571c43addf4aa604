//! A relation that every hospital could read and no policy names: it is never read.
//!
//! Its numbers are words, so that whoever reads it fails over them. The code of a refusal therefore
//! tells that nobody did.

use std::fs;

use concord::standalone::Standalone;
use serde_json::{Value, json};

use crate::support::{Client, Hospital, Services, Site, csv, patients, train};

const PARTIES: [u64; 3] = [2, 3, 4];
const ALLOWED: &str = "data.patients";
const CANARY: &str = "data.canary";

fn hospitals() -> Vec<Hospital> {
    let hospital = |id| {
        let rows = csv("医院", &patients(id, 1000 * id, 60));
        let canary: String = rows
            .lines()
            .map(|line| match line.split(',').collect::<Vec<_>>()[..] {
                [id, name, hospital, c6, c6dc, c8, diagnosis] => {
                    let c6 = if c6 == "C6" { c6 } else { "canary" };
                    format!("{id},{name},{hospital},{c6},{c6dc},{c8},{diagnosis}\n")
                }
                _ => panic!("seven columns"),
            })
            .collect();
        let hospital = Hospital::new(id, &format!("医院 {id}"));
        hospital
            .file("data/patients.csv", rows)
            .file("data/canary.csv", canary)
    };
    PARTIES.into_iter().map(hospital).collect()
}

/// The files of a hospital as tables of one SQLite file.
fn fill_sqlite(file: &std::path::Path, hospital: &Hospital) {
    let database = rusqlite::Connection::open(file).expect("a new file");
    for (path, text) in hospital.files() {
        let name = path.trim_start_matches("data/").trim_end_matches(".csv");
        let mut lines = text.lines();
        let columns = lines.next().expect("a header");
        let table = format!("CREATE TABLE {name} ({columns})");
        database.execute(&table, []).expect("names without quotes");
        for line in lines {
            let insert = format!("INSERT INTO {name} VALUES (?, ?, ?, ?, ?, ?, ?)");
            let cells = rusqlite::params_from_iter(line.split(','));
            database.execute(&insert, cells).expect("seven cells");
        }
    }
}

/// Hospitals with their rows in CSV files, in SQLite and in PostgreSQL, whose policies name the
/// canary or do not.
async fn start(named: bool) -> (Site, Standalone, Client) {
    let hospitals = hospitals();
    let site = Site::new(&hospitals);
    fill_sqlite(&site.path().join("three.db"), &hospitals[1]);
    let postgres = Services::shared().await.hospital(&hospitals[2]).await;
    fs::write(site.path().join("source-4"), postgres).expect("written");
    let text = fs::read_to_string(site.config()).expect("written");
    let mut text = text
        .replace("csv:hospital-3", "sqlite:three.db")
        .replace("csv:hospital-4", "file:source-4");
    if !named {
        let policy = |name: &str| format!("name = {name:?}");
        text = text.replace(&policy(CANARY), &policy("data.nothing"));
    }
    fs::write(site.config(), text).expect("written");
    let standalone = Standalone::start(site.federation())
        .await
        .expect("nothing is in the way");
    let client = Client::new(&standalone.address.to_string());
    (site, standalone, client)
}

fn training(client_of_canary: u64) -> Value {
    let parameters = json!({
        "max_iter": 2, "batch_size": -1, "encrypt_param": { "method": "SecAgg" },
    });
    let mut request = train(&[3, 4, 2], ALLOWED, parameters);
    let sql = format!("select * from {CANARY}");
    request["data_info"][client_of_canary.to_string()] = json!({ "pos": sql, "neg": sql });
    request
}

/// Why jobs that name the canary at each party failed: trainings, then inferences.
async fn refusals(client: &Client) -> Vec<Value> {
    let sound = train(
        &[3, 4, 2],
        ALLOWED,
        json!({
            "max_iter": 2, "batch_size": -1, "encrypt_param": { "method": "SecAgg" },
        }),
    );
    let sound = client.train(sound).await;
    client.finished(sound.order).await;
    let mut codes = Vec::new();
    for party in PARTIES {
        let job = client.train(training(party)).await;
        codes.push(client.ended(job.order).await["reason"]["code"].clone());
        let input = json!({ "user_id": party, "data_sql": format!("select * from {CANARY}") });
        let request = json!({ "model_id": sound.model, "input_data": input });
        let order = client.infer(request).await;
        codes.push(client.ended(order).await["reason"]["code"].clone());
    }
    codes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relation_that_no_policy_names_is_never_read_from_any_source() {
    for named in [true, false] {
        let (_site, standalone, client) = start(named).await;
        let code = if named {
            "COLUMN_NOT_NUMERIC"
        } else {
            "RELATION_NOT_ALLOWED"
        };
        assert_eq!(refusals(&client).await, [code; 6], "named: {named}");
        standalone.stop().await;
    }
}
