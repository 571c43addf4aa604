//! A distributed Concord: a process for each role, as many as wanted, over a broker and a database.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use concord::data_dir::read_key_file;
use concord::directory::Directory;
use serde_json::Value;
use shared::id::{ModelId, OrderId, PartyId};
use shared::job::{Spec, TrainSpec};
use shared::model::Model;
use shared::session::open_model;
use shared::store::Store;
use uuid::Uuid;

use super::services::{Services, lock_database, told};
use super::{Client, Hospital, PATIENCE, POLL, Site};

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_concord");
/// What the API's log says when HTTP is served.
const LISTENS: &str = "The API listens address=";
/// How much of a log a failure shows.
const LOG_LINES_SHOWN: usize = 30;
/// How long the API may take for an answer before it counts as none.
const ANSWER: Duration = Duration::from_secs(3);

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Api,
    Status,
    Arbiter,
    Party(u64),
}

impl Role {
    fn command(self) -> (&'static str, String) {
        match self {
            Role::Api => ("api", "concord.toml".to_owned()),
            Role::Status => ("status", "concord.toml".to_owned()),
            Role::Arbiter => ("arbiter", "concord.toml".to_owned()),
            Role::Party(id) => ("party", format!("party-{id}.toml")),
        }
    }

    /// Who it is to the broker.
    pub(crate) fn user(self) -> String {
        match self {
            Role::Api => "api".to_owned(),
            Role::Status => "status".to_owned(),
            Role::Arbiter => "arbiter".to_owned(),
            Role::Party(id) => format!("party-{id}"),
        }
    }

    /// What its log says once it works.
    fn ready(self) -> &'static str {
        match self {
            Role::Api => LISTENS,
            Role::Status => "The status aggregator runs",
            Role::Arbiter | Role::Party(_) => "is ready",
        }
    }
}

/// A process, running or not any more.
struct Process {
    role: Role,
    child: Child,
    log: Arc<Mutex<String>>,
    /// Whether nobody ended it yet.
    wanted: bool,
}

impl Process {
    fn log(&self) -> String {
        self.log.lock().expect("nobody panics").clone()
    }

    fn end(&mut self) {
        self.wanted = false;
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running federation. Everything of it ends when this goes.
pub(crate) struct Deployment {
    pub(crate) site: Site,
    services: Services,
    queue_prefix: String,
    processes: Vec<Process>,
    ended_by_themselves: usize,
    /// What processes log that are started from now on.
    pub(crate) log_level: &'static str,
}

impl Deployment {
    /// One process of each role, and one worker for each hospital.
    pub(crate) async fn start(hospitals: &[Hospital]) -> Deployment {
        Self::over(Services::shared().await, hospitals).await
    }

    pub(crate) async fn over(services: Services, hospitals: &[Hospital]) -> Deployment {
        let parties: Vec<u64> = hospitals.iter().map(Hospital::id).collect();
        let mut deployment = Self::without_parties(services, hospitals).await;
        for party in parties {
            deployment.launch(Role::Party(party)).await;
        }
        deployment
    }

    /// As [`Deployment::start`], with every hospital's rows in a PostgreSQL of its own.
    pub(crate) async fn with_databases(hospitals: &[Hospital]) -> Deployment {
        Self::with_databases_over(Services::shared().await, hospitals).await
    }

    pub(crate) async fn with_databases_over(
        services: Services,
        hospitals: &[Hospital],
    ) -> Deployment {
        let mut deployment = Self::without_parties(services, hospitals).await;
        for hospital in hospitals {
            let id = hospital.id();
            let url = deployment.services.hospital(hospital).await;
            let path = deployment.site.path();
            let url = deployment.services.address_of(&url);
            fs::write(path.join(format!("source-{id}")), url).expect("written");
            let config = path.join(format!("party-{id}.toml"));
            let text = fs::read_to_string(&config).expect("written");
            let elsewhere = format!("file:source-{id}");
            let text = text.replace(&format!("csv:hospital-{id}"), &elsewhere);
            fs::write(&config, text).expect("written");
            deployment.launch(Role::Party(id)).await;
        }
        deployment
    }

    /// Keeps a hospital's worker out of its database, or lets it in again.
    pub(crate) async fn lock_rows(&self, party: u64, locked: bool) {
        let source = fs::read_to_string(self.site.path().join(format!("source-{party}")));
        let source = source.expect("it has a database");
        lock_database(&self.services.database, &source, locked).await;
    }

    /// The platform's processes alone.
    pub(crate) async fn without_parties(services: Services, hospitals: &[Hospital]) -> Deployment {
        let site = Site::new(hospitals);
        let queue_prefix = format!("{}.", Uuid::new_v4().simple());
        configure(&site, hospitals, &queue_prefix, services.encrypted);
        let mut deployment = Deployment {
            site,
            services,
            queue_prefix,
            processes: Vec::new(),
            ended_by_themselves: 0,
            log_level: "info",
        };
        for role in [Role::Api, Role::Status, Role::Arbiter] {
            deployment.launch(role).await;
        }
        deployment
    }

    /// Starts a process; its number, once it works.
    pub(crate) async fn launch(&mut self, role: Role) -> usize {
        let number = self.spawn(role);
        let what = format!("{role:?} to work");
        self.eventually(&what, async |all| {
            all.processes[number]
                .log()
                .contains(role.ready())
                .then_some(())
        })
        .await;
        number
    }

    /// Starts a process, without a wait.
    pub(crate) fn spawn(&mut self, role: Role) -> usize {
        let (command, config) = role.command();
        let stdout = format!("stdout-{}", self.processes.len());
        let stdout = fs::File::create(self.site.path().join(stdout));
        let mut child = Command::new(EXECUTABLE)
            .args([command, "--config"])
            .arg(self.site.path().join(config))
            .env("CONCORD_LOG", self.log_level)
            .env("CONCORD_BROKER", self.services.broker_of(&role.user()))
            .env(
                "CONCORD_DATABASE",
                self.services.address_of(&self.services.database),
            )
            .stdout(stdout.expect("written"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("the executable is there");
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut log = into.lock().expect("nobody panics");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let wanted = true;
        self.processes.push(Process {
            role,
            child,
            log,
            wanted,
        });
        self.processes.len() - 1
    }

    /// The running processes of a role.
    pub(crate) fn of(&self, role: Role) -> Vec<usize> {
        let all = self.processes.iter().enumerate();
        all.filter(|(_, process)| process.wanted && process.role == role)
            .map(|(number, _)| number)
            .collect()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, number: usize) {
        self.processes[number].end();
    }

    /// Kills a role's first process and starts another, as an init system would; ends once that
    /// works.
    pub(crate) async fn crash(&mut self, role: Role) {
        let first = self.of(role)[0];
        self.kill(first);
        self.launch(role).await;
    }

    /// Ends a role's first process in order: `SIGTERM`.
    pub(crate) async fn stop(&mut self, role: Role) {
        let first = self.of(role)[0];
        self.processes[first].wanted = false;
        self.signal_process(first, "TERM");
        let ended = self
            .eventually("an end in order", async |all| {
                all.processes[first].child.try_wait().expect("it is ours")
            })
            .await;
        assert!(ended.success(), "{}", self.log(first));
    }

    /// Sends a role's first process a signal, by name.
    pub(crate) fn signal(&self, role: Role, signal: &str) {
        self.signal_process(self.of(role)[0], signal);
    }

    fn signal_process(&self, number: usize, signal: &str) {
        let child = &self.processes[number].child;
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status();
        assert!(sent.expect("there is a kill").success());
    }

    pub(crate) fn log(&self, number: usize) -> String {
        self.processes[number].log()
    }

    /// The running processes: what each does, and its number in the system.
    pub(crate) fn running(&self) -> impl Iterator<Item = (Role, u32)> {
        let running = self.processes.iter().filter(|process| process.wanted);
        running.map(|process| (process.role, process.child.id()))
    }

    /// How many processes ended by themselves; each was started again.
    pub(crate) fn ended_by_themselves(&self) -> usize {
        self.ended_by_themselves
    }

    /// The broker's address, of a user with every right.
    pub(crate) fn broker(&self) -> &str {
        &self.services.broker
    }

    /// The broker's address, of a user with rights to its own queues.
    pub(crate) fn broker_of(&self, user: &str) -> String {
        self.services.broker_of(user)
    }

    /// The database's address.
    pub(crate) fn database(&self) -> &str {
        &self.services.database
    }

    pub(crate) fn queue_prefix(&self) -> &str {
        &self.queue_prefix
    }

    /// A client of every API process that runs.
    pub(crate) fn apis(&self) -> Vec<Client> {
        let client = |number: usize| {
            let log = self.processes[number].log();
            let (_, rest) = log.split_once(LISTENS)?;
            let address = rest.split_whitespace().next()?;
            Some(match self.services.encrypted {
                true => Client::by_tls(address, &authorities()),
                false => Client::new(address),
            })
        };
        self.of(Role::Api).into_iter().filter_map(client).collect()
    }

    /// A client of the first one.
    fn client(&self) -> Option<Client> {
        self.apis().into_iter().next()
    }

    /// A client of an API that surely runs.
    pub(crate) fn api(&self) -> Client {
        self.client().expect("an API process")
    }

    /// Restarts what ended by itself, as an init system would.
    fn tend(&mut self) {
        for number in 0..self.processes.len() {
            let process = &mut self.processes[number];
            if process.wanted && process.child.try_wait().expect("it is ours").is_some() {
                process.wanted = false;
                self.ended_by_themselves += 1;
                self.spawn(self.processes[number].role);
            }
        }
    }

    /// Looks until there is something to see.
    pub(crate) async fn eventually<T>(
        &mut self,
        what: &str,
        mut look: impl AsyncFnMut(&mut Deployment) -> Option<T>,
    ) -> T {
        let began = Instant::now();
        loop {
            self.tend();
            if let Some(seen) = look(self).await {
                return seen;
            }
            assert!(began.elapsed() < PATIENCE, "waited too long for {what}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// A job's report, if the API gives it.
    pub(crate) async fn report(&self, order: i64) -> Option<Value> {
        let client = self.client()?;
        let asked = client.try_report(order);
        tokio::time::timeout(ANSWER, asked).await.ok().flatten()
    }

    /// The first report that `is` true of.
    pub(crate) async fn until(
        &mut self,
        order: i64,
        what: &str,
        mut is: impl FnMut(&Value) -> bool,
    ) -> Value {
        let what = format!("job {order} {what}");
        self.eventually(&what, async |all| {
            all.report(order).await.filter(|report| is(report))
        })
        .await
    }

    /// The report of a job that ended well.
    pub(crate) async fn finished(&mut self, order: i64) -> Value {
        let ended = |report: &Value| report["status"] != "waiting" && report["status"] != "running";
        let report = self.until(order, "to end", ended).await;
        assert_eq!(report["status"], "finished", "{report}");
        report
    }

    async fn store(&self) -> Store {
        Store::connect(&self.services.database)
            .await
            .expect("the database answers")
    }

    /// What a training was told to do, as every party got it.
    pub(crate) async fn spec(&self, order: i64) -> TrainSpec {
        let job = self.store().await.job_by_order(OrderId(order)).await;
        match job.expect("readable").expect("there").spec {
            Spec::Train(spec) => spec,
            Spec::Infer(_) | Spec::Compute(_) | Spec::Learn(_) => {
                panic!("job {order} is no training")
            }
        }
    }

    /// What training on the rows of all parties in one table gives.
    pub(crate) async fn pooled(&self, order: i64) -> Model {
        let spec = self.spec(order).await;
        self.site.pooled_by(&spec, |_| ()).await
    }

    /// A model as a party opens it.
    pub(crate) async fn model(&self, party: u64, model: i64) -> Model {
        let (party, model) = (PartyId(party), ModelId(model));
        let path = self.site.path();
        let identity = read_key_file(&path.join(format!("party-{party}.key")));
        let directory = Directory::read(&path.join("directory.toml")).expect("written");
        let store = self.store().await;
        let job = store
            .model(model)
            .await
            .expect("readable")
            .expect("there")
            .job;
        let part = store.model_part(model, party).await;
        let part = part.expect("readable").expect("trained");
        let identity = identity.expect("written");
        open_model(&identity, &directory.keys, party, job.id, &part).expect("its own")
    }
}

/// Keys, directory and configurations, made as an operator makes them.
fn configure(site: &Site, hospitals: &[Hospital], queue_prefix: &str, encrypted: bool) {
    let path = site.path();
    let mut directory = String::new();
    for id in [1].into_iter().chain(hospitals.iter().map(Hospital::id)) {
        let made = Command::new(EXECUTABLE)
            .args([
                "party",
                "keygen",
                "--party",
                &id.to_string(),
                "--name",
                &format!("医院 {id}"),
            ])
            .arg("--key")
            .arg(path.join(format!("party-{id}.key")))
            .output()
            .expect("the executable is there");
        assert!(made.status.success());
        directory += &String::from_utf8(made.stdout).expect("UTF-8");
    }
    fs::write(path.join("directory.toml"), directory).expect("written");
    let mut common = format!(
        "broker = \"env:CONCORD_BROKER\"\nqueue_prefix = \"{queue_prefix}\"\n\
         directory = \"directory.toml\"\n"
    );
    let mut platform = String::new();
    if encrypted {
        let authority = told("CONCORD_TEST_AMQPS_CA");
        common += &format!("broker_ca = {authority:?}\n");
        // The broker's own certificate serves: it is for this machine.
        let server = authority.trim_end_matches("ca.pem");
        platform += &format!(
            "tls_certificate = \"{server}server.pem\"\ntls_key = \"{server}server.key\"\n"
        );
    }
    platform += &format!(
        "listen = \"127.0.0.1:0\"\ncallers = \"open\"\ndatabase = \"env:CONCORD_DATABASE\"\n\
         arbiter_key = \"party-1.key\"\n{common}"
    );
    fs::write(path.join("concord.toml"), platform).expect("written");
    for id in hospitals.iter().map(Hospital::id) {
        let party = format!(
            "id = {id}\nkey = \"party-{id}.key\"\nsource = \"csv:hospital-{id}\"\n\
             {common}\n{}",
            site.policies[&id].replace("party.policy", "policy")
        );
        fs::write(path.join(format!("party-{id}.toml")), party).expect("written");
    }
}

/// Who vouches for the API, where it is reached by TLS.
fn authorities() -> String {
    fs::read_to_string(told("CONCORD_TEST_AMQPS_CA")).expect("certificates")
}

impl Drop for Deployment {
    fn drop(&mut self) {
        for process in &mut self.processes {
            process.end();
        }
        if std::thread::panicking() {
            for (number, process) in self.processes.iter().enumerate() {
                let log = process.log();
                let lines: Vec<&str> = log.lines().collect();
                let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
                eprintln!(
                    "--- process {number}, {:?}\n{}",
                    process.role,
                    shown.join("\n")
                );
            }
        }
    }
}
