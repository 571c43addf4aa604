//! What may happen to a job of the panel on its way, and jobs that come by the queue.

use std::fs;

use serde_json::{Value, json};
use tokio_postgres::NoTls;

use crate::faults::hospitals;
use crate::support::people::{self, EMAILS, People, Pins, done, keys, run};
use crate::support::{Deployment, Role, eventually};

async fn start() -> (Deployment, People) {
    let mut deployment = Deployment::start(&hospitals(&[2, 3, 4])).await;
    people::let_in(&mut deployment).await;
    let people = People::of_deployment(&deployment).await;
    (deployment, people)
}

/// The parties whose workers compute, the leading one first.
fn workers(people: &People, job: &str) -> Vec<u64> {
    let detail = people.detail(0, job).done();
    let workers = detail["workers"].as_array().expect("a list").iter();
    workers.map(|id| id.as_u64().expect("a party")).collect()
}

/// A sum of the three that is at work and cannot end, as one of its workers is frozen.
async fn stuck(deployment: &Deployment, people: &People, name: &str) -> String {
    let more = json!({ "computation": "Matrix Addition", "input": "[[0.1, 1e23]]" });
    let job = people.compute(0, name, &more);
    let frozen = workers(people, &job)[2];
    deployment.signal(Role::Party(frozen), "STOP");
    people.fill(1, &job, "[[0.2, 1]]").done();
    people.fill(2, &job, "[[0.3, -1e23]]").done();
    people.until(0, &job, "running").await;
    job
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_are_killed_at_work_change_no_result() {
    let (mut deployment, people) = start().await;
    for killed in [0, 1] {
        let job = stuck(&deployment, &people, &format!("killed {killed}")).await;
        let workers = workers(&people, &job);
        deployment.crash(Role::Party(workers[killed])).await;
        deployment.signal(Role::Party(workers[2]), "CONT");
        assert_eq!(people.exact(1, &job).await, "[[0.6,1]]");
    }
    // The frozen one itself.
    let job = stuck(&deployment, &people, "killed 2").await;
    let last = workers(&people, &job)[2];
    deployment.crash(Role::Party(last)).await;
    assert_eq!(people.exact(2, &job).await, "[[0.6,1]]");
}

async fn rows(database: &tokio_postgres::Client, query: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {query}");
    let row = database.query_one(&query, &[]).await;
    row.expect("a count").get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_deleted_at_work_is_gone_at_once_with_all_that_is_in_it() {
    let (deployment, people) = start().await;
    let (database, connection) = tokio_postgres::connect(deployment.database(), NoTls)
        .await
        .expect("the database answers");
    tokio::spawn(connection);
    let job = stuck(&deployment, &people, "two").await;
    let frozen = workers(&people, &job)[2];
    let inputs = "inputs WHERE bundle IS NOT NULL";
    assert_eq!(rows(&database, inputs).await, 3);
    people
        .post(1, "deleteJobByUser", &json!({ "jobID": job }))
        .refused(403);
    people
        .post(0, "deleteJobByUser", &json!({ "jobID": job }))
        .done();
    for who in 0..3 {
        people.detail(who, &job).refused(404);
        people.fill(who, &job, "[[1, 1]]").refused(404);
        let body = json!({ "pageNo": 1, "pageSize": 20 });
        let list = people.post(who, "jobListByUser", &body).done();
        assert_eq!(list["totalCount"], 0, "{list}");
    }
    assert_eq!(rows(&database, inputs).await, 0);
    // The name is free again, also while the old run's workers still believe in it.
    deployment.signal(Role::Party(frozen), "CONT");
    let more = json!({ "computation": "Matrix Addition", "input": "[[1, 1]]" });
    let job = people.compute(0, "two", &more);
    people.fill(1, &job, "[[1, 1]]").done();
    people.fill(2, &job, "[[1, 1]]").done();
    assert_eq!(people.exact(0, &job).await, "[[3,3]]");
    assert_eq!(rows(&database, inputs).await, 0);

    // Files too: the worker of Li's jobs is Li's party.
    deployment.signal(Role::Party(3), "STOP");
    let feature = people.file("feature.csv", "x,y\n1,2\n3,4\n50,60\n70,80\n9,9\n");
    let line = people::line("Creating a machine learning clustering job");
    let line = line.replace("feature dataset path", feature.to_str().expect("UTF-8"));
    let made = people.curl(0, &line).done();
    let job = made["jobID"].as_str().expect("text");
    assert_eq!(rows(&database, "uploaded_pieces").await, 1);
    people
        .post(0, "deleteJobByUser", &json!({ "jobID": job }))
        .done();
    let path = format!("/sdk/computation/panel/downloadDataset?datasetType=feature&jobID={job}");
    people.get(0, &path).refused(404);
    assert_eq!(rows(&database, "uploaded_pieces").await, 0);
    assert_eq!(rows(&database, "uploads").await, 0);
    deployment.signal(Role::Party(3), "CONT");
    let ended = "jobs WHERE status NOT IN ('finished', 'cancelled')";
    eventually("the ends of all runs", async || {
        (rows(&database, ended).await == 0).then_some(())
    })
    .await;
    assert_eq!(rows(&database, "made_pieces").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_computation_that_comes_by_the_queue_is_sealed_by_everybody() {
    let (deployment, people) = start().await;
    let body = json!({
        "computation": "Privacy Comparison", "jobName": "谁最高", "parties": EMAILS,
        "reveal": "max", "inputProtection": "client-sealed",
    });
    let line = json!({ "type": "/sdk/computation/panel/createJobByInput", "body": body });
    let batch = people.file("batch.jsonl", &format!("{line}\n"));
    let report = people.file("report.jsonl", "");
    let token = format!("file:{}", people.token_file(0).display());
    let broker = [("CONCORD_BROKER", deployment.broker_of("submitter"))];
    let [path, report] = [&batch, &report].map(|path| path.to_str().expect("UTF-8"));
    let arguments = [
        "submit",
        path,
        "--api",
        &people.api,
        "--token",
        &token,
        "--queue-prefix",
        deployment.queue_prefix(),
        "--report",
        report,
    ];
    let mut jobs = Vec::new();
    // The same file is the same job, by queue and by HTTP.
    let by_http = [&arguments[..6], &["--http", "--report", report]].concat();
    for arguments in [&arguments[..], &arguments, &by_http] {
        let said = done(&run(arguments, "", &broker));
        assert!(said.starts_with("1 lines: 1 awaiting_input\n"), "{said}");
        let text = fs::read_to_string(report).expect("written");
        let line: Value = serde_json::from_str(&text).expect("JSON");
        let job = line["jobID"].as_str().expect("a job").to_owned();
        assert!(
            said.contains(&format!("concord fill --job {job}")),
            "{said}"
        );
        jobs.push(job);
    }
    assert!(jobs.iter().all(|job| *job == jobs[0]), "{jobs:?}");
    let job = &jobs[0];

    // Nobody may show his number, and none goes through the broker.
    let plain = people.fill(0, job, "180.5").refused(400);
    assert!(
        plain.contains("concord fill") && !plain.contains("180.5"),
        "{plain}"
    );
    let mut open = line.clone();
    open["body"]["inputProtection"] = json!("server-split");
    let open = people.file("open.jsonl", &format!("{open}\n"));
    let mut refused = arguments;
    refused[1] = open.to_str().expect("UTF-8");
    let refused = run(&refused, "", &broker);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("nothing was sent") && said.contains("client-sealed"),
        "{said}"
    );

    let path = deployment.site.path();
    let pins = [
        Pins::Config(path.join("party-3.toml")),
        Pins::Directory(path.join("directory.toml")),
        Pins::Config(path.join("party-2.toml")),
    ];
    let wrong = people.seal(0, job, "180.5x", &pins[0]);
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(
        said.contains("row 1, column 1") && !said.contains("180.5"),
        "{said}"
    );
    for (who, number) in ["180.5", "191.25", "191.25"].iter().enumerate() {
        done(&people.seal(who, job, number, &pins[who]));
    }
    let detail = people.until(0, job, "finished").await;
    assert_eq!(
        detail["inputProtection"],
        json!(["client-sealed", "client-sealed", "client-sealed"])
    );
    assert_eq!(detail["reveal"], "max");
    let made = people.made(1, job);
    assert_eq!(
        keys(&made["data"][0]),
        [
            "ccdCost",
            "exact",
            "jobID",
            "party",
            "result",
            "roundID",
            "submitTime",
            "txHash",
        ]
    );
    assert_eq!(made["data"][0]["exact"], "[[0],[1],[1]]");
}
