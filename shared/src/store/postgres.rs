//! PostgreSQL as the store: several processes, each with connections for polls and others for
//! moves.
//!
//! A move locks its job's row before it looks at anything, the clock included, so moves on one job
//! take their turns. Below the statements stands READ COMMITTED: whatever a move reads after the
//! lock is what the last one wrote.

use std::error::Error as _;
use std::time::{Duration, Instant};

use deadpool::Runtime;
use diesel::expression::ValidGrouping;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::{ConnectionError, DatabaseErrorKind, Error as QueryError};
use diesel::sql_types::BigInt;
use diesel_async::pooled_connection::deadpool::{Hook, HookError, Pool};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use tokio_postgres::Config;

use super::schema::jobs;
use super::{Error, migration};
use crate::limits;
use crate::postgres::{Address, Tls};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations/postgres");

/// "concord" in ASCII: who holds the advisory lock of this number migrates.
const MIGRATION_LOCK: i64 = 0x63_6f6e_636f_7264;

pub(super) type Connection = AsyncPgConnection;

/// A server that answered. No poll takes a connection that a move needs.
#[derive(Clone)]
pub struct Postgres {
    pub(super) readers: Pool<Connection>,
    pub(super) writers: Pool<Connection>,
}

/// The database's time: Unix milliseconds, now and not at the transaction's start.
pub(super) fn now() -> Now {
    Now
}

/// An expression of its own, since a literal piece of SQL is prepared anew each time.
#[derive(Clone, Copy, QueryId, ValidGrouping)]
pub(super) struct Now;

impl Expression for Now {
    type SqlType = BigInt;
}

impl QueryFragment<Pg> for Now {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("floor(extract(EPOCH FROM clock_timestamp()) * 1000)::bigint");
        Ok(())
    }
}

impl<QS> AppearsOnTable<QS> for Now {}

impl<QS> SelectableExpression<QS> for Now {}

/// Waits until no other transaction moves the job, and keeps others waiting until this one ends.
pub(super) async fn lock(connection: &mut Connection, job: &str) -> Result<(), Error> {
    let row = jobs::table.find(job).select(jobs::order_id);
    row.for_update().execute(connection).await?;
    Ok(())
}

/// A server, and how to enter it.
#[derive(Clone)]
struct Server {
    /// Where it is, without the name and password that open it.
    shown: String,
    config: Config,
    tls: Tls,
}

pub(super) async fn connect(url: &str) -> Result<Postgres, Error> {
    let address = Address::parse(url)?;
    let mut config = address.config();
    config
        .application_name("concord")
        .connect_timeout(Duration::from_secs(limits::CONNECT_SECONDS_MAX))
        .keepalives_idle(Duration::from_secs(limits::STORE_STATEMENT_SECONDS_MAX))
        .tcp_user_timeout(Duration::from_secs(limits::STORE_STATEMENT_SECONDS_MAX));
    let server = Server {
        shown: address.to_string(),
        config,
        tls: address.tls(),
    };
    migrate(&server).await?;
    Ok(Postgres {
        readers: pool(&server, settings(true), limits::STORE_READERS_MAX),
        writers: pool(&server, settings(false), limits::STORE_WRITERS_MAX),
    })
}

/// What every connection of a pool starts with, whatever the server's own defaults are.
fn settings(only_reads: bool) -> String {
    format!(
        "SET statement_timeout = '{}s'; SET idle_in_transaction_session_timeout = '{}s';
         SET default_transaction_isolation = 'read committed';
         SET default_transaction_read_only = {};
         SELECT set_config('synchronous_commit', 'on', false)
             WHERE current_setting('synchronous_commit') = 'off'",
        limits::STORE_STATEMENT_SECONDS_MAX,
        limits::STORE_IDLE_SECONDS_MAX,
        if only_reads { "on" } else { "off" },
    )
}

fn pool(server: &Server, settings: String, size: usize) -> Pool<Connection> {
    let mut manager = ManagerConfig::<Connection>::default();
    manager.recycling_method = RecyclingMethod::Fast;
    let server = server.clone();
    manager.custom_setup = Box::new(move |_| {
        let (server, settings) = (server.clone(), settings.clone());
        Box::pin(async move {
            let mut connection = establish(&server).await?;
            connection
                .batch_execute(&settings)
                .await
                .map_err(ConnectionError::CouldntSetupConfiguration)?;
            Ok(connection)
        })
    });
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    // The manager gets no url: it would only keep it.
    Pool::builder(AsyncDieselConnectionManager::new_with_config("", manager))
        .max_size(size)
        .wait_timeout(seconds(limits::STORE_WAIT_SECONDS_MAX))
        .create_timeout(seconds(limits::CONNECT_SECONDS_MAX))
        .pre_recycle(Hook::async_fn(|connection, metrics| {
            Box::pin(check(connection, metrics.last_used()))
        }))
        .runtime(Runtime::Tokio1)
        .build()
        .expect("time limits have their runtime")
}

/// Whether a connection still works, unless it did a moment ago: asking costs as much as most of
/// what it is wanted for. That it was closed is noticed without asking.
async fn check(connection: &mut Connection, unused: Duration) -> Result<(), HookError> {
    if unused < Duration::from_secs(limits::STORE_TRUSTED_SECONDS_MAX) {
        return Ok(());
    }
    let limit = Duration::from_secs(limits::STORE_CHECK_SECONDS_MAX);
    match tokio::time::timeout(limit, connection.batch_execute("SELECT 1")).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(HookError::message("the connection does not work any more")),
    }
}

async fn establish(server: &Server) -> Result<Connection, ConnectionError> {
    let (client, connection) = server
        .config
        .connect(server.tls.clone())
        .await
        .map_err(|error| ConnectionError::BadConnection(reason(&error)))?;
    Connection::try_from_client_and_connection(client, connection).await
}

async fn migrate(server: &Server) -> Result<(), Error> {
    let fails = |reason: String| Error::Connect {
        server: server.shown.clone(),
        reason,
    };
    let limit = Duration::from_secs(limits::CONNECT_SECONDS_MAX);
    let mut connection = tokio::time::timeout(limit, establish(server))
        .await
        .map_err(|_| fails("no answer in time".to_owned()))?
        .map_err(|error| fails(error.to_string()))?;
    // The lock goes with the connection.
    let alone = format!(
        "SET statement_timeout = '{}s'; SELECT pg_advisory_lock({MIGRATION_LOCK})",
        limits::STORE_MIGRATION_SECONDS_MAX
    );
    connection
        .batch_execute(&alone)
        .await
        .map_err(|error| fails(error.to_string()))?;
    let mut harness = AsyncMigrationHarness::new(connection);
    migration::run(&mut harness, MIGRATIONS).map_err(|fault| match fault {
        migration::Fault::Unknown { found, known } => Error::Schema { found, known },
        migration::Fault::Refused(error) => fails(error.to_string()),
    })
}

/// An error with its cause: a server's "connection refused" stands in the latter.
fn reason(error: &tokio_postgres::Error) -> String {
    match error.source() {
        Some(cause) => cause.to_string(),
        None => error.to_string(),
    }
}

/// Before a statement is tried over another connection.
pub(super) const PAUSE: Duration = Duration::from_millis(limits::RETRY_MILLISECONDS);

/// Whether the connection did not carry a statement to its end. What only reads may be asked again
/// over another one: that a connection works is not checked each time it is used.
pub(super) fn is_lost(error: &Error) -> bool {
    // A server that shuts down says so by a code that diesel does not tell from other rare ones.
    use DatabaseErrorKind::{ClosedConnection, UnableToSendCommand, Unknown};
    let Error::Query(QueryError::DatabaseError(kind, _)) = error else {
        return false;
    };
    matches!(kind, ClosedConnection | UnableToSendCommand | Unknown)
}

/// How a transaction went wrong.
pub(super) enum Undone {
    /// Before its commit: nothing of it happened.
    Within(Error),
    /// At its start or at its commit: it may have happened.
    Around(QueryError),
}

impl From<QueryError> for Undone {
    fn from(error: QueryError) -> Undone {
        Undone::Around(error)
    }
}

/// Whether to try a transaction once more.
pub(super) struct Tries {
    left: u32,
    until: Instant,
}

impl Tries {
    pub(super) fn new() -> Tries {
        Tries {
            left: limits::STORE_TRIES_MAX - 1,
            until: Instant::now() + Duration::from_secs(limits::STORE_STATEMENT_SECONDS_MAX),
        }
    }

    /// Waits a moment when the server undid the transaction for another's sake, or it never began.
    ///
    /// # Errors
    /// The transaction's own error, when it was another one or there were too many.
    pub(super) async fn again(&mut self, undone: Undone, begun: bool) -> Result<(), Error> {
        use DatabaseErrorKind::{SerializationFailure, Unknown};
        let (error, may_repeat) = match undone {
            // Diesel does not tell a deadlock (40P01) from other rare ones; a repeat harms none.
            Undone::Within(error @ Error::Query(QueryError::DatabaseError(kind, _))) => {
                (error, matches!(kind, SerializationFailure | Unknown))
            }
            Undone::Within(error) => (error, false),
            Undone::Around(error @ QueryError::DatabaseError(SerializationFailure, _)) => {
                (Error::Query(error), true)
            }
            Undone::Around(error) => {
                let error = Error::Query(error);
                // The server, or its connection, went away while nobody used it.
                let may_repeat = !begun && is_lost(&error);
                (error, may_repeat)
            }
        };
        if !may_repeat || self.left == 0 || Instant::now() >= self.until {
            return Err(error);
        }
        self.left -= 1;
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}
