//! SQLite as the store: one file, several readers, one writer.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use diesel::expression::SqlLiteral;
use diesel::sql_types::BigInt;
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncConnection, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use super::{Error, migration};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations/sqlite");

/// Write-ahead, so that readers and the writer do not wait for each other; a commit is on disk
/// when it returns.
const WRITER: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; \
    PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";
const READER: &str = "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON;";
const READERS: usize = 4;

pub(super) type Connection = SyncConnectionWrapper<SqliteConnection>;

/// An open file. Writers wait in line for the one connection, in order, instead of finding the
/// file locked.
#[derive(Clone)]
pub struct Sqlite {
    pub(super) readers: Pool<Connection>,
    /// Only one.
    pub(super) writers: Pool<Connection>,
}

/// The database's time: Unix milliseconds.
pub(super) fn now() -> SqlLiteral<BigInt> {
    diesel::dsl::sql("CAST(unixepoch('subsec') * 1000 AS INTEGER)")
}

pub(super) async fn open(path: &Path) -> Result<Sqlite, Error> {
    let path = path.to_owned();
    let url = tokio::task::spawn_blocking(move || prepare(path))
        .await
        .map_err(|_| Error::Interrupted)??;
    Ok(Sqlite {
        readers: pool(&url, READER, READERS),
        writers: pool(&url, WRITER, 1),
    })
}

/// Makes the file and its tables, before any connection of a pool sees it.
fn prepare(path: PathBuf) -> Result<String, Error> {
    let fails = |reason: String| Error::Open {
        path: path.clone(),
        reason,
    };
    let url = path
        .to_str()
        .ok_or_else(|| fails("the path is not UTF-8".to_owned()))?;
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .and_then(|file| file.set_permissions(Permissions::from_mode(0o600)))
        .map_err(|error| fails(error.to_string()))?;
    let mut connection: SqliteConnection =
        diesel::Connection::establish(url).map_err(|error| fails(error.to_string()))?;
    // A table that is made anew is away for a moment.
    connection
        .batch_execute(WRITER)
        .and_then(|()| connection.batch_execute("PRAGMA foreign_keys = OFF"))
        .map_err(|error| fails(error.to_string()))?;
    SqliteConnection::immediate_transaction(&mut connection, |connection| {
        migration::run(connection, MIGRATIONS).map_err(|fault| match fault {
            migration::Fault::Unknown { found, known } => Error::Schema { found, known },
            migration::Fault::Refused(error) => fails(error.to_string()),
        })
    })?;
    Ok(url.to_owned())
}

fn pool(url: &str, settings: &'static str, size: usize) -> Pool<Connection> {
    let mut config = ManagerConfig::<Connection>::default();
    config.recycling_method = RecyclingMethod::Fast;
    config.custom_setup = Box::new(move |url| {
        let url = url.to_owned();
        Box::pin(async move {
            let mut connection = Connection::establish(&url).await?;
            connection
                .batch_execute(settings)
                .await
                .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
            Ok(connection)
        })
    });
    Pool::builder(AsyncDieselConnectionManager::new_with_config(url, config))
        .max_size(size)
        .build()
        .expect("a pool without time limits needs no runtime")
}
