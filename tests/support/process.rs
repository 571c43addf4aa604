//! The executable as a process of its own, which can die.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::{Client, Site, eventually};

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_concord");
/// What the log says when HTTP is served.
const LISTENS: &str = "Concord listens on ";

/// What a command of the executable came to.
pub(crate) struct Ended {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command of the executable on a federation, to its end.
pub(crate) async fn concord(command: &str, site: &Site, more: &[&str]) -> Ended {
    // Files, since nobody empties pipes while we wait.
    let paths = ["stdout", "stderr"].map(|name| site.path().join(name));
    let [stdout, stderr] = paths
        .each_ref()
        .map(|path| File::create(path).expect("written"));
    let mut program = Command::new(EXECUTABLE);
    program.args([command, "--config"]).arg(site.config());
    program.args(more).stdout(stdout).stderr(stderr);
    let mut running = Running(program.spawn().expect("the executable is there"));
    let status = eventually(command, async || running.0.try_wait().expect("it ran")).await;
    let [stdout, stderr] = paths.map(|path| fs::read_to_string(path).expect("UTF-8"));
    Ended {
        success: status.success(),
        stdout,
        stderr,
    }
}

/// A process that is killed when this goes.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running `concord standalone`; as its client.
pub(crate) struct Process {
    /// Where it serves HTTP.
    pub(crate) address: String,
    client: Client,
    running: Running,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts it; `log` is what it logs.
    pub(crate) async fn start(site: &Site, log: &str) -> Process {
        let mut program = Command::new(EXECUTABLE);
        program.args(["--log", log, "standalone", "--config"]);
        program.arg(site.config()).stderr(Stdio::piped());
        let mut child = program.spawn().expect("the executable is there");
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let written = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&written);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut log = into.lock().expect("nobody panics");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let listening = eventually("the process", async || {
            let log = written.lock().expect("nobody panics");
            let (_, rest) = log.split_once(LISTENS)?;
            rest.split_whitespace().next().map(str::to_owned)
        });
        let address = listening.await;
        Process {
            client: Client::new(&address),
            address,
            running: Running(child),
            log: written,
            reader: Some(reader),
        }
    }

    /// Everything that it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("nobody panics").clone()
    }

    /// How many sessions it sits in: each has a thread, named after its party.
    pub(crate) fn sessions(&self) -> usize {
        let tasks = format!("/proc/{}/task", self.running.0.id());
        let names = fs::read_dir(tasks).expect("it runs").filter_map(|task| {
            // A thread may end while we look.
            fs::read_to_string(task.ok()?.path().join("comm")).ok()
        });
        names.filter(|name| name.starts_with("party ")).count()
    }

    /// `kill -9`.
    pub(crate) fn kill(self) {
        drop(self.running);
    }

    /// `kill -TERM`.
    pub(crate) fn ask_to_stop(&self) {
        let pid = self.running.0.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(asked.expect("there is a kill").success());
    }

    /// Waits until it has ended by itself: how, and everything that it logged.
    pub(crate) async fn stopped(mut self) -> (ExitStatus, String) {
        let status = eventually("the end of the process", async || {
            self.running.0.try_wait().expect("it ran")
        })
        .await;
        let reader = self.reader.take().expect("joined once");
        reader.join().expect("nobody panics");
        (status, self.log())
    }

    /// Stops it in an orderly way.
    pub(crate) async fn terminate(self) -> (ExitStatus, String) {
        self.ask_to_stop();
        self.stopped().await
    }
}

impl Deref for Process {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}
