//! RabbitMQ and PostgreSQL for tests: those of `deploy/with-services.sh`, or private ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio_postgres::NoTls;
use uuid::Uuid;

/// What the environment says of the services.
#[expect(
    clippy::disallowed_methods,
    reason = "a test's services are no argument"
)]
fn told(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: this test needs RabbitMQ and PostgreSQL of its own; run \
             deploy/with-services.sh cargo test --workspace (see \"Run the tests\" in README.md)"
        )
    })
}

/// Where a deployment's queues and tables are.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) broker: String,
    pub(crate) database: String,
}

impl Services {
    /// A new database on the server at `postgres`, and the broker at `broker`.
    async fn new(broker: String, postgres: &str) -> Services {
        let name = format!("concord_{}", Uuid::new_v4().simple());
        let (client, connection) = tokio_postgres::connect(postgres, NoTls)
            .await
            .expect("the test's PostgreSQL answers");
        tokio::spawn(connection);
        let create = format!("CREATE DATABASE {name}");
        client
            .batch_execute(&create)
            .await
            .expect("a superuser may");
        let (server, _) = postgres.rsplit_once('/').expect("postgres://server/name");
        let database = format!("{server}/{name}");
        Services { broker, database }
    }

    /// On the servers that all tests share.
    pub(crate) async fn shared() -> Services {
        Self::beside(None, None).await
    }

    /// On servers that may be disturbed, where there are some.
    pub(crate) async fn beside(broker: Option<&Server>, postgres: Option<&Server>) -> Services {
        let url =
            |server: Option<&Server>, shared| server.map_or_else(|| told(shared), Server::url);
        let broker = url(broker, "CONCORD_TEST_AMQP");
        Self::new(broker, &url(postgres, "CONCORD_TEST_POSTGRES")).await
    }
}

/// A private server, which ends with this.
pub(crate) struct Server {
    script: PathBuf,
    folder: PathBuf,
}

impl Server {
    /// Starts a `rabbitmq` or a `postgres`.
    pub(crate) fn start(kind: &str) -> Server {
        let name = format!("{kind}-{}", Uuid::new_v4().simple());
        let server = Server {
            script: Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("deploy/private-{kind}.sh")),
            // Not a folder of ours: the servers' account must be able to pass.
            folder: PathBuf::from(told("CONCORD_TEST_SERVICES")).join(name),
        };
        server.run("start");
        server
    }

    /// `start`, `kill`, `wipe`, `pause`, `resume`.
    pub(crate) fn run(&self, command: &str) {
        let ran = Command::new(&self.script)
            .arg(command)
            .arg(&self.folder)
            .status()
            .expect("the script is there");
        assert!(ran.success(), "{} {command}", self.script.display());
    }

    fn url(&self) -> String {
        let ran = Command::new(&self.script)
            .arg("url")
            .arg(&self.folder)
            .output()
            .expect("the script is there");
        let url = String::from_utf8(ran.stdout).expect("ASCII");
        url.trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new(&self.script)
            .arg("stop")
            .arg(&self.folder)
            .status();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
