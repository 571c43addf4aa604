//! The executable as a process of its own, which can die.

use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::{Client, Site, eventually};

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_concord");
/// What the log says when HTTP is served.
const LISTENS: &str = "Concord listens on ";

/// Runs a command of the executable on a federation, to its end.
pub(crate) fn concord(command: &str, site: &Site, more: &[&str]) -> Output {
    let mut program = Command::new(EXECUTABLE);
    program.args([command, "--config"]).arg(site.config());
    program
        .args(more)
        .output()
        .expect("the executable is there")
}

/// A running `concord standalone`; as its client. It is killed when this goes.
pub(crate) struct Process {
    client: Client,
    child: Child,
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
        let address = eventually("the process", async || {
            let log = written.lock().expect("nobody panics");
            let (_, rest) = log.split_once(LISTENS)?;
            rest.split_whitespace().next().map(str::to_owned)
        });
        Process {
            client: Client::new(&address.await),
            child,
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
        let tasks = format!("/proc/{}/task", self.child.id());
        let names = fs::read_dir(tasks).expect("it runs").filter_map(|task| {
            // A thread may end while we look.
            fs::read_to_string(task.ok()?.path().join("comm")).ok()
        });
        names.filter(|name| name.starts_with("party ")).count()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ran");
    }

    /// Asks it to stop, and waits until it has; everything that it logged.
    pub(crate) async fn terminate(mut self) -> (ExitStatus, String) {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(asked.expect("there is a kill").success());
        let status = eventually("the end of the process", async || {
            self.child.try_wait().expect("it ran")
        })
        .await;
        let reader = self.reader.take().expect("joined once");
        reader.join().expect("nobody panics");
        (status, self.log())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Deref for Process {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}
