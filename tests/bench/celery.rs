//! Celery on the same servers: no-op jobs with confirmed publishes, late acks and every state in
//! the same PostgreSQL.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::Services;

/// How Celery is measured.
pub(crate) struct Celery {
    pub(crate) python: PathBuf,
    pub(crate) script: PathBuf,
}

impl Celery {
    /// Jobs per second end to end.
    pub(crate) async fn jobs_per_second(&self, jobs: usize) -> f64 {
        let Services {
            broker, database, ..
        } = Services::shared().await;
        let (_, server) = database.split_once("://").expect("an address");
        let ran = Command::new(&self.python)
            .arg(&self.script)
            .arg(broker.replace("%2f", "/"))
            .args(["--confirm", "--repeat", "1", "--jobs", &jobs.to_string()])
            .args(["--backend", &format!("db+postgresql+psycopg2://{server}")])
            .output()
            .expect("a Python");
        let said = String::from_utf8_lossy(&ran.stdout);
        let told = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{told}");
        let line: Value = serde_json::from_str(said.trim()).expect("one line of JSON");
        line["end_to_end_per_s"].as_f64().expect("a number")
    }
}
