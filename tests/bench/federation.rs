//! The federation that is measured: three hospitals, an API, a status aggregator, an arbiter.

use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

use crate::support::{Deployment, Hospital, csv, patients, train};

pub(crate) const PARTIES: [u64; 3] = [2, 3, 4];
const ROWS: usize = 40;

/// Three hospitals with 40 rows each: what is measured is not the arithmetic.
pub(crate) fn hospitals() -> Vec<Hospital> {
    let hospital = |id| {
        let rows = csv("医院", &patients(id, first_row(id), ROWS));
        Hospital::new(id, &format!("医院 {id}")).file("data/patients.csv", rows)
    };
    PARTIES.into_iter().map(hospital).collect()
}

fn first_row(party: u64) -> u64 {
    1000 * party
}

/// A training of so many rounds, protected by `method`.
pub(crate) fn training(rounds: u32, protection: &Value) -> Value {
    let parameters = json!({
        "optimizer": "sgd", "max_iter": rounds, "eps": 0, "batch_size": -1, "decay": 0,
        "learning_rate": 0.01, "encrypt_param": protection,
    });
    train(&PARTIES, "data.patients", parameters)
}

pub(crate) fn secagg() -> Value {
    json!({ "method": "SecAgg" })
}

pub(crate) fn paillier(bits: u32) -> Value {
    json!({ "method": "Paillier", "key_length": bits })
}

/// The scoring of one row; each party's turn in turn.
pub(crate) fn inference(model: i64, number: usize) -> Value {
    let party = PARTIES[number % PARTIES.len()];
    let row = first_row(party) + (number / PARTIES.len() % ROWS) as u64;
    let sql = format!("select * from data.patients where unique_id = '{row}'");
    json!({ "model_id": model, "input_data": { "user_id": party, "data_sql": sql } })
}

/// A trained model.
pub(crate) async fn model(deployment: &mut Deployment) -> i64 {
    let job = deployment.api().train(training(5, &secagg())).await;
    deployment.finished(job.order).await;
    job.model
}

/// The deployment's database, to look at without its own processes.
pub(crate) async fn database(deployment: &Deployment) -> Client {
    let (client, connection) = tokio_postgres::connect(deployment.database(), NoTls)
        .await
        .expect("it answers");
    tokio::spawn(connection);
    client
}

/// Whether a commit is on the server's disk.
pub(crate) async fn is_durable(database: &Client) -> bool {
    for setting in ["fsync", "full_page_writes"] {
        let row = database.query_one(&format!("SHOW {setting}"), &[]).await;
        if row.expect("a setting").get::<_, String>(0) != "on" {
            return false;
        }
    }
    true
}
