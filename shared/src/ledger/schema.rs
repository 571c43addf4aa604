//! The ledger's tables, and how its file is opened.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::Error;
use crate::limits::LEDGER_WAIT_MILLISECONDS_MAX;

/// The version of [`TABLES`].
const VERSION: i64 = 1;
/// "Cncd": tells a ledger from other SQLite files.
const APPLICATION: i64 = 0x436e_6364;
const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;
const OTHERS: u32 = 0o077;
/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 32;

const TABLES: &str = "
CREATE TABLE job (
    job BLOB PRIMARY KEY,        -- its id, 16 bytes
    kind TEXT NOT NULL,          -- 'train' or 'infer'
    guest INTEGER NOT NULL,      -- the party that leads it
    parties BLOB NOT NULL,       -- every data party, ascending, 8 bytes each
    request BLOB NOT NULL,       -- SHA-256 of the canonical request
    digest BLOB NOT NULL,        -- keyed digest of this party's rows
    cohort INTEGER,              -- what the difference rule remembers of it, unless forgotten
    standing TEXT NOT NULL,      -- 'auto', 'pending', 'approved', 'rejected' or 'expired'
    since_ms INTEGER NOT NULL,   -- first seen, Unix milliseconds
    expires_ms INTEGER NOT NULL, -- when 'pending' ends
    decided_ms INTEGER,          -- when a person decided
    decided_by TEXT,             -- who
    summary TEXT NOT NULL        -- admission::Summary, as JSON
) STRICT, WITHOUT ROWID;
CREATE INDEX job_cohort ON job (cohort);
CREATE INDEX job_pending ON job (expires_ms) WHERE standing = 'pending';

CREATE TABLE session (
    job BLOB NOT NULL,        -- of which job
    attempt INTEGER NOT NULL, -- at which attempt
    session BLOB NOT NULL,    -- its id, 16 bytes
    at_ms INTEGER NOT NULL,   -- first seen, Unix milliseconds
    PRIMARY KEY (job, attempt, session)
) STRICT, WITHOUT ROWID;

CREATE TABLE cohort (
    id INTEGER PRIMARY KEY,
    columns BLOB NOT NULL,    -- SHA-256 of the columns' names
    relations TEXT NOT NULL,  -- their names, one a line
    hash BLOB NOT NULL,       -- SHA-256 of marks
    rows INTEGER NOT NULL,    -- how many there are
    positive INTEGER NOT NULL,-- how many of them are positive
    used_ms INTEGER NOT NULL, -- when a job last used it
    marks BLOB NOT NULL,      -- id and content of each, 8 bytes each, little-endian
    UNIQUE (hash, relations, columns)
) STRICT;

CREATE TABLE cohort_relation (
    relation TEXT NOT NULL,  -- its name in the policy
    cohort INTEGER NOT NULL, -- a cohort that has rows of it
    PRIMARY KEY (relation, cohort)
) STRICT, WITHOUT ROWID;

CREATE TABLE pledge (
    job BLOB NOT NULL,      -- of which job
    kind INTEGER NOT NULL,  -- what was asked
    round INTEGER NOT NULL, -- in which round
    batch INTEGER NOT NULL, -- of which mini-batch
    model BLOB NOT NULL,    -- SHA-256 of the model it was asked for
    PRIMARY KEY (job, round)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    number INTEGER PRIMARY KEY, -- from 1, without a gap
    at_ms INTEGER NOT NULL,     -- Unix milliseconds
    what TEXT NOT NULL,         -- audit word
    job BLOB,                   -- which job, if any
    text TEXT NOT NULL,         -- one sentence
    hash BLOB NOT NULL          -- SHA-256 of the hash before and this record
) STRICT;
CREATE INDEX audit_job ON audit (job);
";

/// Opens a ledger's file, and makes it where there is none.
pub(super) fn open(path: &Path) -> Result<Connection, Error> {
    let file = |error: io::Error| Error::File {
        path: path.to_owned(),
        cause: error.kind().to_string(),
    };
    make(path).map_err(file)?;
    // A look, not an open: closing a file ends the locks that this process has on it.
    let mode = fs::metadata(path).map_err(file)?.permissions().mode();
    if mode & OTHERS != 0 {
        let path = path.to_owned();
        return Err(Error::NotPrivate { path });
    }
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_millis(LEDGER_WAIT_MILLISECONDS_MAX))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Written to the operating system at each commit, so it outlives the process.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    prepare(&mut connection, path)?;
    Ok(connection)
}

fn make(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent()
        && !folder.as_os_str().is_empty()
        && !folder.try_exists()?
    {
        fs::create_dir_all(folder)?;
        fs::set_permissions(folder, Permissions::from_mode(PRIVATE_FOLDER))?;
    }
    let mut options = OpenOptions::new();
    let made = options
        .write(true)
        .create_new(true)
        .mode(PRIVATE_FILE)
        .open(path);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Makes the tables of a new file; two processes may try at once.
fn prepare(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let number = |connection: &Connection, name: &str| {
        connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0))
    };
    if number(connection, "user_version")? == 0 {
        // Outside of a transaction, and remembered in the file.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let new = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let tables = "SELECT count(*) FROM sqlite_schema";
        let tables: i64 = new.query_row(tables, [], |row| row.get(0))?;
        if tables == 0 {
            new.execute_batch(TABLES)?;
            new.pragma_update(None, "application_id", APPLICATION)?;
            new.pragma_update(None, "user_version", VERSION)?;
            new.commit()?;
        }
    }
    let (application, version) = (
        number(connection, "application_id")?,
        number(connection, "user_version")?,
    );
    match (application, version) {
        (APPLICATION, VERSION) => Ok(()),
        (APPLICATION, version) => Err(Error::Version {
            path: path.to_owned(),
            version,
        }),
        _ => Err(Error::NoLedger {
            path: path.to_owned(),
        }),
    }
}
