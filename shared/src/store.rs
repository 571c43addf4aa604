//! The store: jobs, models and results, and the moves of a job as transactions.
//!
//! A job's row is the truth about it; every message can be made again from it. Each move loads the
//! row, lets `moves` decide and writes what it decided, in one transaction on the database's
//! clock. Each query is written once and compiled for every database.

mod change;
mod files;
mod kept;
mod migration;
pub(crate) mod moves;
mod panel;
mod postgres;
mod read;
mod report;
mod room;
mod row;
mod schema;
mod sqlite;
mod submit;
#[cfg(test)]
mod tests;
mod users;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::id::{Attempt, JobId, ModelId, OrderId, PartyId};
use crate::job::{JobStatus, Report, Spec};
pub use files::UploadId;
pub use moves::Started;
pub use panel::{
    Created, ECHO_OF_DELETED, Fill, Filled, InputProtection, Keys, Made, NewPanel, Panel, Rerun,
    Run, Submission,
};
pub use users::{Email, NewUser, User};

/// A database.
#[derive(Clone)]
pub enum Store {
    /// One file, used by this process alone.
    Sqlite(sqlite::Sqlite),
    /// A server, used by any number of processes.
    Postgres(postgres::Postgres),
}

/// One transaction that may write, told the database's time; once per database. With a job to
/// `move`, it is alone at that job's row before the time is told. It runs in a task of its own: a
/// caller that goes away does not leave half a transaction. A server may undo a transaction for
/// the sake of another one: the body is then run again, so it uses up nothing.
macro_rules! write {
    ($store:expr, $(move $job:expr,)? async |$connection:ident, $now:ident| $body:block) => {{
        let store = $store.clone();
        let work = async move {
            match store {
                // The only writer is alone anyway.
                Store::Sqlite(database) => {
                    use $crate::store::sqlite;
                    let mut pooled = database.writers.get().await?;
                    let connection: &mut sqlite::Connection = &mut pooled;
                    let body = async |$connection: &mut sqlite::Connection| {
                        let $now: i64 = diesel::select(sqlite::now())
                            .get_result($connection)
                            .await?;
                        $body
                    };
                    connection.immediate_transaction(body).await
                }
                Store::Postgres(database) => {
                    use $crate::store::postgres;
                    let mut tries = postgres::Tries::new();
                    loop {
                        let begun = std::sync::atomic::AtomicBool::new(false);
                        let mut pooled = database.writers.get().await?;
                        let connection: &mut postgres::Connection = &mut pooled;
                        let body = async |$connection: &mut postgres::Connection| {
                            begun.store(true, std::sync::atomic::Ordering::Relaxed);
                            $(postgres::lock($connection, $job).await?;)?
                            let $now: i64 = diesel::select(postgres::now())
                                .get_result($connection)
                                .await?;
                            $body
                        };
                        let whole = async |connection: &mut postgres::Connection| {
                            body(connection).await.map_err(postgres::Undone::Within)
                        };
                        match connection.transaction(whole).await {
                            Ok(done) => break Ok(done),
                            Err(undone) => tries.again(undone, begun.into_inner()).await?,
                        }
                    }
                }
            }
        };
        match tokio::spawn(work).await {
            Ok(result) => result,
            Err(stopped) => match stopped.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err($crate::store::Error::Interrupted),
            },
        }
    }};
}
use write;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not there, not ours, or no database.
    #[error("the database {} cannot be opened: {reason}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The address of a server is not in order.
    #[error("the database: {0}")]
    Address(#[from] crate::postgres::Error),
    /// The server does not answer, or does not let us in.
    #[error("the database {server} cannot be used: {reason}")]
    Connect {
        /// Its host, port and database.
        server: String,
        /// What went wrong.
        reason: String,
    },
    /// A newer version of Concord used this database.
    #[error("the database has schema {found}; this version knows schemas up to {known}")]
    Schema {
        /// The unknown one.
        found: String,
        /// The newest known one.
        known: String,
    },
    /// No connection could be had.
    #[error("the database cannot be reached")]
    Connection(#[from] diesel_async::pooled_connection::deadpool::PoolError),
    /// A query or a commit went wrong; the transaction changed nothing, or all of it.
    #[error("the database refused")]
    Query(#[from] diesel::result::Error),
    /// A row holds what this version cannot read.
    #[error("{row}: column {column} holds what this version cannot read")]
    Corrupt {
        /// Which row.
        row: String,
        /// Which column.
        column: &'static str,
    },
    /// A number that the database's columns cannot hold.
    #[error("{what} {value}: at most {} fits", i64::MAX)]
    TooLarge {
        /// What it counts or names.
        what: &'static str,
        /// The number.
        value: u64,
    },
    /// A caller's name for its request that no caller may use.
    #[error(
        "the idempotency key is not 1 to {} visible ASCII characters",
        crate::limits::IDEMPOTENCY_KEY_BYTES_MAX
    )]
    KeyMalformed,
    /// The caller has given this name to another request.
    #[error("the idempotency key belongs to another request")]
    KeyReused,
    /// An input, or a piece of a file: too long, or too far from the file's beginning.
    #[error("{what}: {found} is more than the {most} that there may be")]
    Oversized {
        /// What it is.
        what: &'static str,
        /// Bytes, or the piece's number.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// An upload that is gone, is a job's already, or has other pieces than the job's files.
    #[error("there is no such upload, or its pieces are not those of the job's files")]
    NoUpload,
    /// The files of a new job are more than its creator's jobs may have.
    #[error("the creator's jobs have too many bytes of files")]
    NoRoom,
    /// The process is ending.
    #[error("the process is ending")]
    Interrupted,
}

impl Error {
    /// Whether the database may take the same words later: it is away, busy or full. Otherwise it
    /// never will.
    pub fn is_outage(&self) -> bool {
        use diesel::result::{DatabaseErrorKind as Kind, Error as Query};
        match self {
            Error::Connection(_) | Error::Connect { .. } | Error::Interrupted => true,
            Error::Query(Query::DatabaseError(kind, _)) => !matches!(
                kind,
                Kind::UniqueViolation
                    | Kind::ForeignKeyViolation
                    | Kind::NotNullViolation
                    | Kind::CheckViolation
                    | Kind::RestrictViolation
                    | Kind::ExclusionViolation
            ),
            Error::Query(
                Query::NotFound
                | Query::InvalidCString(_)
                | Query::QueryBuilderError(_)
                | Query::SerializationError(_)
                | Query::DeserializationError(_),
            ) => false,
            Error::Query(_) => true,
            Error::Open { .. }
            | Error::Address(_)
            | Error::Schema { .. }
            | Error::Corrupt { .. }
            | Error::TooLarge { .. }
            | Error::KeyMalformed
            | Error::KeyReused
            | Error::Oversized { .. }
            | Error::NoUpload
            | Error::NoRoom => false,
        }
    }
}

/// A job to be accepted.
pub struct NewJob {
    /// What it is to do.
    pub spec: Spec,
    /// Who asked for it.
    pub owner: PartyId,
    /// The owner's user that did; `None` where callers are open.
    pub creator: Option<Email>,
    /// The caller's request as sent.
    pub echo: String,
    /// How long it may take from now; see [`crate::limits::JOB_DEADLINE_SECONDS`].
    pub deadline: Duration,
    /// The owner's name for the request, when it has one.
    pub key: Option<Key>,
}

/// A caller's name for a request: the request may be sent again, and is still one job.
#[derive(Clone)]
pub struct Key {
    text: String,
    request: [u8; 32],
}

impl Key {
    /// `request` is a hash of all that makes the request another one.
    ///
    /// # Errors
    /// [`Error::KeyMalformed`] unless the text has 1 to
    /// [`crate::limits::IDEMPOTENCY_KEY_BYTES_MAX`] visible ASCII characters.
    pub fn new(text: String, request: [u8; 32]) -> Result<Key, Error> {
        let fits = (1..=crate::limits::IDEMPOTENCY_KEY_BYTES_MAX).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Key { text, request })
        } else {
            Err(Error::KeyMalformed)
        }
    }
}

/// An accepted job: on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Its name inside.
    pub job: JobId,
    /// Its name outside.
    pub order: OrderId,
    /// The model it trains, or scores with, if any.
    pub model: Option<ModelId>,
}

/// A job as it stands. Times are Unix milliseconds of the database's clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its name inside.
    pub id: JobId,
    /// Its name outside.
    pub order: OrderId,
    /// The model it trains, or scores with, if any.
    pub model: Option<ModelId>,
    /// Who asked for it.
    pub owner: PartyId,
    /// The owner's user that did; `None` where callers were open.
    pub creator: Option<Email>,
    /// What it does.
    pub spec: Spec,
    /// The caller's request as sent.
    pub echo: String,
    /// Where it stands.
    pub status: JobStatus,
    /// When it took that status; for a pending job when it last became one.
    pub status_at: i64,
    /// The current attempt, or the last one.
    pub attempt: Attempt,
    /// Failed attempts since the checkpoint last advanced.
    pub failures: u32,
    /// What clients may see. While the job is pending it waits for its guest.
    pub report: Report,
    /// When it was accepted.
    pub created_at: i64,
    /// When it fails, should it not have ended.
    pub deadline_at: i64,
}

/// A model, trained or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Its name outside.
    pub id: ModelId,
    /// The job that trains it.
    pub job: Job,
}

impl Model {
    /// Whether its parts are there.
    pub fn trained(&self) -> bool {
        self.job.status == JobStatus::Finished
    }
}

/// A job that waits for a worker of its guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unclaimed {
    /// Its place in line.
    pub order: OrderId,
    /// The job.
    pub job: JobId,
    /// The attempt to claim.
    pub attempt: Attempt,
    /// Where the invitation goes.
    pub queue: String,
}

/// What a session's word, or the sweep's, did to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It counted and the session goes on.
    Counted,
    /// The attempt ended; the next one waits to be claimed.
    Released(Unclaimed),
    /// The job ended.
    Ended,
    /// It changed nothing: the speaker does not have the job, or there was nothing to change.
    Stale,
}

/// What a wish to end a job came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It ended by this wish.
    Cancelled,
    /// It had ended before.
    AlreadyEnded,
    /// There is no such job.
    NotFound,
}

/// A message that nobody could read, or that too many readers died of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it was.
    pub queue: String,
    /// Why nobody could read it.
    pub reason: String,
    /// Its length.
    pub bytes: u64,
    /// The job it was about, where that can be read.
    pub job: Option<JobId>,
    /// When it was recorded: Unix milliseconds of the database's clock.
    pub seen_at: i64,
}

impl Store {
    /// Opens a SQLite file, makes it if it is not there (readable by this user alone), and brings
    /// its tables up to date. A commit is on disk when it is confirmed. The store works within
    /// tokio's multi-thread runtime only.
    ///
    /// # Errors
    /// [`Error::Open`]; [`Error::Schema`] when a newer version made it.
    pub async fn open(path: &Path) -> Result<Store, Error> {
        sqlite::open(path).await.map(Store::Sqlite)
    }

    /// Connects to a PostgreSQL database, `postgres://USER:PASSWORD@HOST:PORT/NAME`
    /// ([`Address::parse`](crate::postgres::Address::parse) says how it is protected), and brings its
    /// tables up to date, while no other process does. A commit is on the server's disk when it is
    /// confirmed. The store works within tokio's multi-thread runtime only.
    ///
    /// # Errors
    /// [`Error::Address`]; [`Error::Connect`]; [`Error::Schema`] when a newer version made the tables.
    pub async fn connect(url: &str) -> Result<Store, Error> {
        postgres::connect(url).await.map(Store::Postgres)
    }
}
