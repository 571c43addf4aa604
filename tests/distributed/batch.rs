//! Batches: every line is one job, whatever dies meanwhile.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};

use serde_json::{Value, json};
use shared::bus::{Bus, Consumer, Properties, QueueKind, rabbitmq};
use shared::message::queue;
use shared::store::{DeadLetter, Store};
use tokio_postgres::NoTls;

use crate::faults::{hospitals, training};
use crate::support::{Deployment, Role, Server, Services, eventually};

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_concord");
const JOBS: i64 = 1000;
/// Where HTTP is served, in the log.
const LISTENS: &str = "The API listens address=";

/// A federation with a trained model, whose API comes back at the same address.
struct World {
    deployment: Deployment,
    api: String,
    database: tokio_postgres::Client,
    store: Store,
    model: i64,
}

impl World {
    async fn over(services: Services) -> World {
        let mut deployment = Deployment::over(services, &hospitals(&[2, 3, 4])).await;
        let address = deployment.database().to_owned();
        let log = deployment.log(deployment.of(Role::Api)[0]);
        let (_, rest) = log.split_once(LISTENS).expect("it listens");
        let listens = rest.split_whitespace().next().expect("an address");
        let config = deployment.site.path().join("concord.toml");
        let text = fs::read_to_string(&config).expect("written");
        fs::write(&config, text.replace("127.0.0.1:0", listens)).expect("written");

        let job = deployment.api().train(training(&[4, 3, 2], 3)).await;
        deployment.finished(job.order).await;
        let (database, connection) = tokio_postgres::connect(&address, NoTls)
            .await
            .expect("the database answers");
        tokio::spawn(connection);
        World {
            api: format!("http://{listens}"),
            store: Store::connect(&address).await.expect("it answers"),
            deployment,
            database,
            model: job.model,
        }
    }

    async fn start() -> World {
        World::over(Services::shared().await).await
    }

    /// A request to score the rows of party 4 that a condition selects.
    fn infer(&self, condition: &str) -> Value {
        let sql = format!("select * from data.patients where {condition}");
        json!({ "model_id": self.model, "input_data": { "user_id": 4, "data_sql": sql } })
    }

    /// Writes a batch of so many jobs, each over one row.
    fn batch(&self, jobs: i64) -> PathBuf {
        let line = |number: i64| {
            let body = self.infer(&format!("unique_id = {}", 4000 + number % 40));
            format!("{}\n", json!({ "type": "/model/infer", "body": body }))
        };
        let text: String = (0..jobs).map(line).collect();
        self.file("batch.jsonl", &text)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.deployment.site.path().join(name);
        fs::write(&path, text).expect("written");
        path
    }

    fn submit(&self, batch: &PathBuf, more: &[&str]) -> Submitting {
        let path = self.deployment.site.path();
        let paths = ["submit-stdout", "submit-stderr"].map(|name| path.join(name));
        let [stdout, stderr] = paths
            .each_ref()
            .map(|path| File::create(path).expect("written"));
        let mut program = Command::new(EXECUTABLE);
        program.arg("submit").arg(batch).args(["--api", &self.api]);
        if !more.contains(&"--http") {
            program.args(["--queue-prefix", self.deployment.queue_prefix()]);
        }
        program
            .args(more)
            .env("CONCORD_BROKER", self.deployment.broker_of("submitter"));
        let child = program.stdout(stdout).stderr(stderr).spawn();
        Submitting {
            child: child.expect("the executable is there"),
            paths,
        }
    }

    /// Submits a batch, to the end.
    async fn submitted(&mut self, batch: &PathBuf, more: &[&str]) -> Ended {
        let mut submitting = self.submit(batch, more);
        let all = &mut self.deployment;
        all.eventually("the batch", async |_| submitting.ended())
            .await
    }

    async fn count(&self, query: &str) -> i64 {
        let query = format!("SELECT count(*) FROM {query}");
        let row = self.database.query_one(&query, &[]).await;
        row.expect("a count").get(0)
    }

    /// Waits until a batch that is being submitted made so many jobs.
    async fn made(&mut self, jobs: i64) {
        let what = format!("{jobs} jobs");
        eventually(&what, async || {
            (self.count("jobs").await >= jobs).then_some(())
        })
        .await;
    }

    /// Every one of so many lines is one job with one result of one row, beside the training.
    async fn each_is_there_once(&self, lines: i64) {
        assert_eq!(self.count("jobs").await, 1 + lines);
        assert_eq!(
            self.count("jobs WHERE status = 'finished'").await,
            1 + lines
        );
        assert_eq!(self.count("submissions").await, lines);
        let keys = "(SELECT DISTINCT idempotency_key, job FROM submissions) AS keys";
        assert_eq!(self.count(keys).await, lines);
        assert_eq!(self.count("results").await, lines);
        let whole = "results WHERE json_array_length(scores::json) = 1";
        assert_eq!(self.count(whole).await, lines);
        assert_eq!(self.count("dead_letters").await, 0);
    }

    /// The newest dead letter of submissions, once there are so many.
    async fn dead_letters(&mut self, count: usize) -> Vec<DeadLetter> {
        let store = self.store.clone();
        eventually("dead letters", async || {
            let letters = store.dead_letters(None, 100).await.expect("readable");
            (letters.len() >= count).then_some(letters)
        })
        .await
    }
}

/// A `concord submit` at work; it ends with this.
struct Submitting {
    child: Child,
    paths: [PathBuf; 2],
}

struct Ended {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Submitting {
    fn ended(&mut self) -> Option<Ended> {
        let status = self.child.try_wait().expect("it ran")?;
        let [stdout, stderr] = self
            .paths
            .each_ref()
            .map(|path| fs::read_to_string(path).expect("UTF-8"));
        Some(Ended {
            status,
            stdout,
            stderr,
        })
    }
}

impl Drop for Submitting {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_jobs_are_a_thousand_results_while_the_api_dies() {
    let mut world = World::start().await;
    let batch = world.batch(JOBS);
    let mut submitting = world.submit(&batch, &[]);
    for made in [150, 400, 700] {
        world.made(made).await;
        assert!(submitting.ended().is_none(), "it is at work");
        world.deployment.crash(Role::Api).await;
    }
    // In steps, since all of it may take longer than one of them may.
    for results in (100..=JOBS).step_by(100) {
        let what = format!("{results} results");
        eventually(&what, async || {
            (world.count("results").await >= results).then_some(())
        })
        .await;
    }
    let ended = eventually("the batch", async || submitting.ended()).await;
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stdout, "1000 lines: 1000 finished\n");
    assert!(
        ended.stderr.contains("1000 of 1000 ended"),
        "{}",
        ended.stderr
    );
    world.each_is_there_once(JOBS).await;

    let again = world.submitted(&batch, &[]).await;
    assert!(again.status.success(), "{}", again.stderr);
    assert_eq!(again.stdout, ended.stdout);
    world.each_is_there_once(JOBS).await;
    assert_eq!(world.deployment.ended_by_themselves(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_survives_a_broker_that_forgets_and_a_sender_that_dies() {
    let broker = Server::start("rabbitmq");
    let mut world = World::over(Services::beside(Some(&broker), None).await).await;
    let batch = world.batch(200);
    let mut submitting = world.submit(&batch, &[]);
    world.made(60).await;
    broker.run("kill");
    broker.run("wipe");
    assert!(submitting.ended().is_none(), "it is at work");
    broker.run("start");
    world.made(100).await;
    // Whoever sends it may die too; the same file goes on where it was.
    drop(submitting);
    let mut submitting = world.submit(&batch, &[]);
    let all = &mut world.deployment;
    let ended = all
        .eventually("the batch", async |_| submitting.ended())
        .await;
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    world.each_is_there_once(200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_does_not_end_well_says_where_and_why() {
    let mut world = World::start().await;
    let report = world.deployment.site.path().join("report.jsonl");
    let lines = [
        world.infer("unique_id = 4000"),
        world.infer("C6 > 1000000"),
        json!({ "model_id": 77, "input_data": { "user_id": 4, "data_sql": "select * from x" } }),
    ];
    let line = |body: &Value| format!("{}\n", json!({ "type": "/model/infer", "body": body }));
    let text: String = lines.iter().map(line).collect();
    let batch = world.file("bad.jsonl", &text);
    let report_argument = report.to_str().expect("UTF-8").to_owned();
    let mut told = Vec::new();
    // The keys are the file's: by HTTP it meets the same jobs.
    for door in [&[][..], &["--http"]] {
        let more = [door, &["--report", &report_argument]].concat();
        let ended = world.submitted(&batch, &more).await;
        assert!(!ended.status.success());
        let last = "concord: 2 of 3 lines did not end well\n";
        assert!(ended.stderr.ends_with(last), "{}", ended.stderr);
        assert!(ended.stdout.contains("1 failed, 1 finished, 1 refused"));
        assert!(
            ended.stdout.contains("failed: NO_ROWS: "),
            "{}",
            ended.stdout
        );
        let unknown = "line 3 refused: 404: `model_id` is 77: there is no such model";
        assert!(ended.stdout.contains(unknown), "{}", ended.stdout);
        told.push((ended.stdout, fs::read_to_string(&report).expect("written")));
        assert_eq!(world.count("jobs").await, 3);
    }
    assert_eq!(told[0], told[1]);
    let outcomes: Vec<Value> = told[0]
        .1
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let statuses: Vec<&Value> = outcomes.iter().map(|outcome| &outcome["status"]).collect();
    assert_eq!(statuses, ["finished", "failed", "refused"]);
    assert_eq!(outcomes[1]["reason"], "NO_ROWS");
    assert_eq!(outcomes[2]["order_id"], Value::Null);

    let again = world.submitted(&batch, &["--again"]).await;
    assert!(again.stdout.contains("1 finished"), "{}", again.stdout);
    assert_eq!(world.count("jobs").await, 5);

    let broken = world.file("broken.jsonl", &format!("{text}{{}}\n"));
    let refused = world.submitted(&broken, &[]).await;
    assert!(!refused.status.success());
    let sentence = "nothing was sent: line 4: `type` is missing";
    assert!(refused.stderr.contains(sentence), "{}", refused.stderr);
    assert_eq!(world.count("jobs").await, 5);
}

/// A program of a hospital's own that uses the queue.
struct Program {
    bus: Bus,
    answers: Consumer,
}

impl Program {
    async fn new(deployment: &Deployment) -> Program {
        let bus = Bus::rabbitmq(rabbitmq::Config {
            url: deployment.broker_of("submitter"),
            prefix: deployment.queue_prefix().to_owned(),
            certificates: None,
        });
        let bus = bus.expect("an address");
        let declared = bus.declare("replies.program", QueueKind::Session).await;
        declared.expect("declared");
        let answers = bus.consume("replies.program", 10).await.expect("declared");
        Program { bus, answers }
    }

    async fn send(&self, kind: &str, id: Option<&str>, reply_to: Option<&str>, body: &str) {
        let properties = Properties {
            kind: Some(kind.to_owned()),
            id: id.map(str::to_owned),
            reply_to: reply_to.map(str::to_owned),
            correlation: Some("c".to_owned()),
            token: None,
        };
        let body = body.as_bytes().to_vec();
        let sent = self.bus.publish_with(queue::SUBMISSIONS, body, &properties);
        sent.await.expect("the API declared it");
    }

    async fn answer(&mut self) -> Value {
        let delivery = self.answers.next().await.expect("the queue is there");
        let answer = serde_json::from_slice(delivery.body()).expect("JSON");
        delivery.ack().await;
        answer
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_submission_is_answered_and_poison_parked_with_its_reason() {
    let mut world = World::start().await;
    let mut program = Program::new(&world.deployment).await;
    let mine = Some("replies.program");
    for (kind, id, body, code, wrong) in [
        (
            "/model/infer",
            Some("k"),
            "nonsense",
            400,
            "the body is not usable",
        ),
        ("/model/infer", None, "{}", 400, "`message_id` is missing"),
        (
            "/model/board",
            Some("k"),
            "{}",
            404,
            "`type` is \"/model/board\"",
        ),
    ] {
        program.send(kind, id, mine, body).await;
        let answer = program.answer().await;
        assert_eq!(answer["code"], code, "{answer}");
        let message = answer["message"].as_str().expect("a sentence");
        assert!(message.starts_with(wrong), "{message}");
        assert_eq!(answer["data"], Value::Null);
    }
    assert_eq!(world.count("dead_letters").await, 0);
    // Nobody is to be told, or one of our own queues is named.
    for (letters, reply_to) in [(1, None), (2, Some("events")), (3, Some("party.4.infer"))] {
        program
            .send("/model/infer", Some("k"), reply_to, "nonsense")
            .await;
        let newest = world.dead_letters(letters).await.remove(0);
        assert_eq!(newest.queue, queue::SUBMISSIONS);
        let wrong = "400: the body is not usable: expected";
        assert!(newest.reason.starts_with(wrong), "{}", newest.reason);
    }
    let sound = world.infer("unique_id = 4000").to_string();
    program.send("/model/infer", Some("k"), mine, &sound).await;
    let answer = program.answer().await;
    assert_eq!(answer["code"], 200, "{answer}");
    let order = answer["data"]["order_id"].as_i64().expect("an order");
    world.deployment.finished(order).await;
}
