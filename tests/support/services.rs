//! RabbitMQ and PostgreSQL for tests: those of `deploy/with-services.sh`, or private ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio_postgres::NoTls;
use uuid::Uuid;

use super::Hospital;

/// What the environment says of the services.
#[expect(
    clippy::disallowed_methods,
    reason = "a test's services are no argument"
)]
pub(crate) fn told(variable: &str) -> String {
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
    /// The broker's address, of a user with every right.
    pub(crate) broker: String,
    /// The passwords of the broker's other users.
    users: PathBuf,
    pub(crate) database: String,
    /// Whether everything goes by TLS.
    pub(crate) encrypted: bool,
}

impl Services {
    /// A new database on the server at `postgres`, and the broker at `broker`.
    async fn new(broker: String, users: PathBuf, postgres: &str) -> Services {
        let database = make_database(postgres).await;
        Services {
            broker,
            users,
            database,
            encrypted: false,
        }
    }

    /// The shared servers, by TLS alone.
    pub(crate) async fn by_tls() -> Services {
        let services = Self::shared().await;
        Services {
            broker: told("CONCORD_TEST_AMQPS"),
            encrypted: true,
            ..services
        }
    }

    /// A database's address as a process of ours is given it.
    pub(crate) fn address_of(&self, database: &str) -> String {
        match self.encrypted {
            true => {
                let authority = told("CONCORD_TEST_POSTGRES_CA");
                format!("{database}?sslmode=verify-full&sslrootcert={authority}")
            }
            false => database.to_owned(),
        }
    }

    /// The broker's address, of a user with rights to its own queues.
    pub(crate) fn broker_of(&self, user: &str) -> String {
        let password = fs::read_to_string(self.users.join(user));
        let password = password.unwrap_or_else(|_| panic!("the broker has no user {user}"));
        let (scheme, rest) = self.broker.split_once("://").expect("amqp://");
        let (_, place) = rest.rsplit_once('@').expect("user@place");
        format!("{scheme}://{user}:{}@{place}", password.trim())
    }

    /// The address of a database with a hospital's relations, of a role that may only read them.
    pub(crate) async fn hospital(&self, hospital: &Hospital) -> String {
        let database = make_database(&self.database).await;
        let (server, name) = split(&database);
        let (_, place) = server.rsplit_once('@').expect("user@place");
        let reader = format!("reader_{name}");
        let password = Uuid::new_v4().simple();
        let mut sql = format!("CREATE ROLE {reader} LOGIN PASSWORD '{password}';");
        for (path, text) in hospital.files() {
            let relation = path.trim_end_matches(".csv");
            let (schema, table) = relation.split_once('/').expect("schema/table");
            sql += &format!(
                "CREATE SCHEMA IF NOT EXISTS {schema}; GRANT USAGE ON SCHEMA {schema} TO {reader};"
            );
            sql += &table_of(&format!("{schema}.{table}"), text);
            sql += &format!("GRANT SELECT ON {schema}.{table} TO {reader};");
        }
        execute(&database, &sql).await;
        format!("postgres://{reader}:{password}@{place}/{name}")
    }

    /// On the servers that all tests share.
    pub(crate) async fn shared() -> Services {
        Self::beside(None, None).await
    }

    /// On servers that may be disturbed, where there are some.
    pub(crate) async fn beside(broker: Option<&Server>, postgres: Option<&Server>) -> Services {
        let url =
            |server: Option<&Server>, shared| server.map_or_else(|| told(shared), Server::url);
        let shared = || PathBuf::from(told("CONCORD_TEST_SERVICES")).join("rabbitmq");
        let users = broker.map_or_else(shared, |server| server.folder.clone());
        let broker = url(broker, "CONCORD_TEST_AMQP");
        let postgres = url(postgres, "CONCORD_TEST_POSTGRES");
        Self::new(broker, users.join("users"), &postgres).await
    }
}

/// Makes an empty database beside another; its address.
async fn make_database(beside: &str) -> String {
    let name = format!("concord_{}", Uuid::new_v4().simple());
    execute(beside, &format!("CREATE DATABASE {name}")).await;
    format!("{}/{name}", split(beside).0)
}

/// Lets nobody but superusers into a database, or everybody again. Whoever is in it stays.
pub(crate) async fn lock_database(beside: &str, database: &str, locked: bool) {
    let (limit, (_, name)) = (if locked { 0 } else { -1 }, split(database));
    execute(
        beside,
        &format!("ALTER DATABASE {name} CONNECTION LIMIT {limit}"),
    )
    .await;
}

async fn execute(database: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(database, NoTls)
        .await
        .expect("the test's PostgreSQL answers");
    tokio::spawn(connection);
    client.batch_execute(sql).await.expect("a superuser may");
}

/// Server and name of a database's address.
fn split(database: &str) -> (&str, &str) {
    database.rsplit_once('/').expect("postgres://server/name")
}

/// Makes a table of a CSV text: columns of numbers are `double precision`, others `text`.
fn table_of(table: &str, text: &str) -> String {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().expect("a header").clone();
    let rows: Vec<_> = reader.records().map(|row| row.expect("CSV")).collect();
    let column = |(place, name): (usize, &str)| {
        let number = |row: &csv::StringRecord| row[place].parse::<f64>().is_ok();
        let kind = if rows.iter().all(number) {
            "double precision"
        } else {
            "text"
        };
        format!("\"{name}\" {kind}")
    };
    let columns: Vec<String> = names.iter().enumerate().map(column).collect();
    let row = |row: &csv::StringRecord| {
        let cells: Vec<String> = row.iter().map(|cell| format!("'{cell}'")).collect();
        format!("({})", cells.join(","))
    };
    let rows: Vec<String> = rows.iter().map(row).collect();
    format!(
        "CREATE TABLE {table} ({}); INSERT INTO {table} VALUES {};",
        columns.join(","),
        rows.join(",")
    )
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

    /// Where all its files are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
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
