//! Three people with accounts, who call the panel by the document's own curl lines.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::{Deployment, Process, Role, Site, eventually};

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_concord");
const DOCUMENT: &str = include_str!("../../api/testdata/job-operations-api.md");
/// The document's server.
const SERVER: &str = "https://www.phoenix.global";
const PASSWORD: &str = "correct horse battery";
/// What the API's log says when HTTP is served.
const LISTENS: &str = "The API listens address=";

/// Who they are, and the parties that they speak for.
pub(crate) const EMAILS: [&str; 3] = ["li@zdey.cn", "wang@xbfy.cn", "zhang@szslyy.cn"];
const PARTIES: [Option<&str>; 3] = [Some("3"), None, Some("2")];

/// Where a participant has the workers' keys.
pub(crate) enum Pins {
    Config(PathBuf),
    Directory(PathBuf),
}

/// An answer.
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) text: String,
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// The fields of a success.
    pub(crate) fn done(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        let answer = self.json();
        assert_eq!(answer["code"], 200, "{answer}");
        answer
    }

    /// The sentence of a refusal.
    pub(crate) fn refused(&self, status: u16) -> String {
        let answer = self.json();
        assert_eq!((self.status, &answer["code"]), (status, &json!(status)));
        assert_eq!(keys(&answer), ["code", "msg"], "{answer}");
        answer["msg"].as_str().expect("a sentence").to_owned()
    }
}

/// The names of an object's fields, in order.
pub(crate) fn keys(object: &Value) -> Vec<&str> {
    let fields = object.as_object().expect("an object");
    fields.keys().map(String::as_str).collect()
}

/// The curl line below a heading of the document, as it stands.
pub(crate) fn line(heading: &str) -> String {
    let (_, below) = DOCUMENT
        .split_once(&format!("\n{heading}\n"))
        .expect("the heading is there");
    let at = below.find("\ncurl ").expect("it has a curl line");
    let mut line = String::new();
    for part in below[at + 1..].lines() {
        line += part;
        line.push('\n');
        // A text between quotes may have many lines.
        let whole = line.matches('\'').count().is_multiple_of(2);
        if whole && !part.trim_end().ends_with('\\') {
            break;
        }
    }
    line.trim_end().to_owned()
}

/// Three people at one API.
pub(crate) struct People {
    /// `http://HOST:PORT`.
    pub(crate) api: String,
    folder: PathBuf,
    tokens: Vec<String>,
}

/// A running federation of one process whose callers need accounts.
pub(crate) async fn standalone(site: &Site, log: &str) -> Process {
    let text = fs::read_to_string(site.config()).expect("written");
    let text = text.replace("callers = \"open\"\n", "");
    fs::write(site.config(), text).expect("written");
    Process::start(site, log).await
}

/// Has a deployment's API take nobody's word without a token.
pub(crate) async fn let_in(deployment: &mut Deployment) {
    let path = deployment.site.path();
    let secret = done(&run(&["user", "secret"], "", &[]));
    private(&path.join("token-secret"), &secret);
    let config = path.join("concord.toml");
    let text = fs::read_to_string(&config).expect("written");
    let accounts = "token_secret = \"file:token-secret\"\n";
    let changed = text.replace("callers = \"open\"\n", accounts);
    assert_ne!(changed, text);
    fs::write(config, changed).expect("written");
    deployment.crash(Role::Api).await;
}

/// Where a deployment's first API process serves HTTP.
pub(crate) fn address(deployment: &Deployment) -> String {
    let log = deployment.log(deployment.of(Role::Api)[0]);
    let (_, rest) = log.split_once(LISTENS).expect("it listens");
    let address = rest.split_whitespace().next();
    address.expect("an address").to_owned()
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("ours");
}

/// Runs a command of the executable, with a text on standard input.
pub(crate) fn run(arguments: &[&str], input: &str, environment: &[(&str, String)]) -> Output {
    let mut program = Command::new(EXECUTABLE);
    program.args(arguments).stdin(Stdio::piped());
    program.stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, value) in environment {
        program.env(name, value);
    }
    let mut child = program.spawn().expect("the executable is there");
    // A command that asks for none may have ended.
    let mut pipe = child.stdin.take().expect("piped");
    let _ = pipe.write_all(input.as_bytes());
    drop(pipe);
    child.wait_with_output().expect("it ends")
}

/// What a command printed that succeeded.
pub(crate) fn done(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

impl People {
    pub(crate) async fn of_process(site: &Site, process: &Process) -> People {
        let api = format!("http://{}", process.address);
        Self::add(api, site.path(), &site.config(), &[]).await
    }

    pub(crate) async fn of_deployment(deployment: &Deployment) -> People {
        let api = format!("http://{}", address(deployment));
        Self::of_deployment_at(deployment, api).await
    }

    /// As [`People::of_deployment`], who reach the API at another address.
    pub(crate) async fn of_deployment_at(deployment: &Deployment, api: String) -> People {
        let environment = [
            ("CONCORD_BROKER", deployment.broker_of("api")),
            ("CONCORD_DATABASE", deployment.database().to_owned()),
        ];
        let path = deployment.site.path();
        Self::add(api, path, &path.join("concord.toml"), &environment).await
    }

    async fn add(
        api: String,
        folder: &Path,
        config: &Path,
        environment: &[(&str, String)],
    ) -> People {
        let mut tokens = Vec::new();
        for (at, (email, party)) in EMAILS.iter().zip(PARTIES).enumerate() {
            let config = config.to_str().expect("UTF-8");
            let mut arguments = vec!["user", "add", email, "--stdin", "--config", config];
            if let Some(party) = party {
                arguments.extend(["--party", party]);
            }
            done(&run(&arguments, PASSWORD, environment));
            let body = json!({ "email": email, "passwd": PASSWORD });
            let line = format!(
                "curl --location '{api}/sdk/computation/user/genToken' --data-raw '{body}'"
            );
            let answer = shell(&line).done();
            assert_eq!(keys(&answer), ["code", "msg", "token"]);
            let token = answer["token"].as_str().expect("a token").to_owned();
            private(&folder.join(format!("token-{at}")), &token);
            tokens.push(token);
        }
        People {
            api,
            folder: folder.to_owned(),
            tokens,
        }
    }

    /// Runs one of the document's lines as somebody: the server and the token are put into it.
    pub(crate) fn curl(&self, who: usize, line: &str) -> Said {
        const TOKEN: &str = "--header 'token: ";
        let line = line.replace(SERVER, &self.api);
        let (before, rest) = line.split_once(TOKEN).expect("every line shows one");
        let (_, after) = rest.split_once('\'').expect("a quote");
        let token = &self.tokens[who];
        shell(&format!("{before}{TOKEN}{token}'{after}"))
    }

    /// Posts to a path of the panel in the manner of the document's lines.
    pub(crate) fn post(&self, who: usize, name: &str, body: &Value) -> Said {
        self.curl(
            who,
            &format!(
                "curl --location '{SERVER}/sdk/computation/panel/{name}' \\\n\
                 --header 'token: xxxxxx' --header 'Content-Type: application/json' \\\n\
                 --data '{body}'"
            ),
        )
    }

    /// Gets a path in the same manner.
    pub(crate) fn get(&self, who: usize, path: &str) -> Said {
        self.curl(
            who,
            &format!("curl --location '{SERVER}{path}' --header 'token: xxxxxx'"),
        )
    }

    pub(crate) fn detail(&self, who: usize, job: &str) -> Said {
        self.post(who, "jobDetailByUser", &json!({ "jobID": job }))
    }

    /// Makes a joint computation of all three; the creator's input is in it, if any.
    pub(crate) fn compute(&self, who: usize, name: &str, more: &Value) -> String {
        let mut body = json!({ "jobName": name, "parties": EMAILS });
        for (field, value) in more.as_object().expect("an object") {
            body[field] = value.clone();
        }
        let answer = self.post(who, "createJobByInput", &body).done();
        answer["jobID"].as_str().expect("text").to_owned()
    }

    /// `fillData`, as the document has it.
    pub(crate) fn fill(&self, who: usize, job: &str, input: &str) -> Said {
        let line = line("Filling in the computation data for the job of input type");
        let line = line.replace("[[1,2,3.2]]", input);
        self.curl(who, &line.replace("\"xxxxxx\"", &format!("\"{job}\"")))
    }

    /// `concord fill`, with the input on standard input.
    pub(crate) fn seal(&self, who: usize, job: &str, input: &str, pins: &Pins) -> Output {
        let token = format!("file:{}", self.token_file(who).display());
        let (option, path) = match pins {
            Pins::Config(path) => ("--config", path),
            Pins::Directory(path) => ("--directory", path),
        };
        let path = path.to_str().expect("UTF-8");
        let arguments = [
            "fill", "--job", job, "--input", "-", "--api", &self.api, "--token", &token, option,
            path,
        ];
        run(&arguments, input, &[])
    }

    /// Where somebody's token stands.
    pub(crate) fn token_file(&self, who: usize) -> PathBuf {
        self.folder.join(format!("token-{who}"))
    }

    /// Waits until a job's run is in a status, and not in another one that is final.
    pub(crate) async fn until(&self, who: usize, job: &str, status: &str) -> Value {
        eventually(&format!("job {job} to be {status}"), async || {
            let detail = self.detail(who, job).done();
            let now = detail["status"].as_str().expect("a word");
            let ended = ["finished", "failed", "cancelled"].contains(&now);
            assert!(now == status || !ended, "{detail}");
            (now == status).then_some(detail)
        })
        .await
    }

    /// What a job's finished runs made.
    pub(crate) fn made(&self, who: usize, job: &str) -> Value {
        let body = json!({ "jobID": job, "pageNo": 1, "pageSize": 20 });
        self.post(who, "subListByUser", &body).done()
    }

    /// The exact result of a joint computation, once it is there.
    pub(crate) async fn exact(&self, who: usize, job: &str) -> String {
        self.until(who, job, "finished").await;
        let made = self.made(who, job);
        made["data"][0]["exact"].as_str().expect("JSON").to_owned()
    }

    /// A place for a file of somebody's.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, text).expect("written");
        path
    }
}

/// Runs a line of a shell that calls curl.
fn shell(line: &str) -> Said {
    let line = format!("{line} -sS --write-out '\\n%{{http_code}} %{{content_type}}'");
    let ran = Command::new("sh").args(["-c", &line]).output();
    let ran = ran.expect("a shell");
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{line}\n{stderr}");
    let text = String::from_utf8(ran.stdout).expect("UTF-8");
    let (text, about) = text.rsplit_once('\n').expect("written out");
    let (status, content_type) = about.split_once(' ').expect("two words");
    Said {
        status: status.parse().expect("a number"),
        content_type: content_type.to_owned(),
        text: text.to_owned(),
    }
}
