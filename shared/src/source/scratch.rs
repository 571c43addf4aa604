//! An empty PostgreSQL database for one test.

use tokio_postgres::NoTls;
use uuid::Uuid;

/// Where a test finds a server that it may make databases and roles on.
const VARIABLE: &str = "CONCORD_TEST_POSTGRES";

/// A database that nobody else uses.
pub(crate) struct Scratch {
    name: String,
    pub(crate) url: String,
}

impl Scratch {
    pub(crate) async fn new() -> Scratch {
        let name = format!("test_{}", Uuid::new_v4().simple());
        execute(&server(), &format!("CREATE DATABASE {name}")).await;
        let server = server();
        let (host, _) = server.rsplit_once('/').unwrap();
        let url = format!("{host}/{name}");
        Scratch { name, url }
    }

    /// What [`Scratch::reader`] is called.
    pub(crate) fn reader_name(&self) -> String {
        self.name.clone()
    }

    /// The address of a role that may read every table of the database, and no more.
    pub(crate) async fn reader(&self) -> String {
        let name = &self.name;
        let password = Uuid::new_v4().simple();
        let role =
            format!("CREATE ROLE {name} LOGIN PASSWORD '{password}' IN ROLE pg_read_all_data");
        execute(&server(), &role).await;
        let (_, host) = self.url.split_once('@').unwrap();
        format!("postgres://{name}:{password}@{host}")
    }

    pub(crate) async fn execute(&self, sql: &str) {
        execute(&self.url, sql).await;
    }

    /// Ends every connection to it, as a restart of the server does.
    pub(crate) async fn interrupt(&self) {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname";
        execute(&server(), &format!("{sql} = '{}'", self.name)).await;
    }

    /// Without a call the database stays, for whoever wants to see why its test failed.
    pub(crate) async fn remove(self) {
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        execute(&server(), &sql).await;
        execute(&server(), &format!("DROP ROLE IF EXISTS {}", self.name)).await;
    }
}

/// The connection of a superuser.
pub(crate) async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn execute(url: &str, sql: &str) {
    connect(url).await.batch_execute(sql).await.unwrap();
}

fn server() -> String {
    variable(VARIABLE)
}

/// What a test needs to know of the server it runs beside.
#[expect(clippy::disallowed_methods, reason = "a test's server is no argument")]
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set: run `deploy/with-services.sh cargo test --workspace` (README.md)"
        )
    })
}
