//! A SQLite file. A schema is only a word here: `data.blooddata_small` and `blooddata_small` both
//! are the table or view `blooddata_small` of the file.
//!
//! The only statements are our own: the list of tables, and `SELECT "column", ... FROM
//! "main"."table"` over names that the file itself gave. Still the connection is read-only and
//! defensive, an authorizer allows nothing but reading columns, and a progress handler ends what
//! takes too long: the file may hold views that do more.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row};

use super::{ConfigError, Error, resolve};
use crate::query::Relation;
use crate::table::{Cell, Rows, Selecting, Wanted};

/// A file that exists.
#[derive(Clone, Debug)]
pub struct File {
    path: PathBuf,
}

/// Steps of SQLite's machine between two looks at the clock: well under a millisecond.
const STEPS_PER_LOOK: i32 = 10_000;
/// Milliseconds to wait for a writer's lock.
const LOCK_WAIT_MILLISECONDS: u64 = 2_000;
/// How every database begins.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// SQLite keeps names with this start for itself.
const INTERNAL_PREFIX: &str = "sqlite_";

impl File {
    /// Finds the file, and looks whether it is a database.
    ///
    /// # Errors
    /// [`ConfigError::File`] when there is none, [`ConfigError::Database`] when it is something else.
    pub fn open(path: &Path) -> Result<File, ConfigError> {
        let found = path.canonicalize().ok().filter(|path| path.is_file());
        let found = found.ok_or_else(|| ConfigError::File {
            path: path.to_owned(),
        })?;
        let mut start = Vec::new();
        let read = std::fs::File::open(&found)
            .and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start));
        // An empty file is an empty database.
        if read.is_err() || !(start.is_empty() || start == MAGIC) {
            return Err(ConfigError::Database {
                path: path.to_owned(),
            });
        }
        Ok(File { path: found })
    }

    pub(super) fn read(
        &self,
        wanted: Wanted<'_>,
        until: Instant,
        rows: &mut Rows,
    ) -> Result<(), Error> {
        let relation = &wanted.query.relation;
        let failed = |error: rusqlite::Error| failed(relation, &error);
        let data = |error| Error::Data {
            relation: relation.to_string(),
            error,
        };
        let connection = self.connect(until).map_err(failed)?;
        let mut tables = tables(&connection).map_err(failed)?;
        let table = tables.swap_remove(resolve(&tables, &relation.name, relation)?);
        let from = format!("FROM \"main\".{}", quoted(&table));

        let all = connection
            .prepare(&format!("SELECT * {from}"))
            .map_err(failed)?;
        let columns = all.column_names();
        let mut selecting = Selecting::new(&columns, wanted, rows).map_err(data)?;
        let reads = selecting.reads();
        let list: Vec<String> = reads
            .iter()
            .map(|column| quoted(columns[*column]))
            .collect();
        let mut places = vec![0; columns.len()];
        for (place, column) in reads.iter().enumerate() {
            places[*column] = place;
        }

        let sql = format!("SELECT {} {from}", list.join(", "));
        let mut statement = connection.prepare(&sql).map_err(failed)?;
        let mut found = statement.query([]).map_err(failed)?;
        while let Some(row) = found.next().map_err(failed)? {
            selecting
                .row(&|column| cell(row, places[column]))
                .map_err(data)?;
        }
        Ok(())
    }

    fn connect(&self, until: Instant) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(Duration::from_millis(LOCK_WAIT_MILLISECONDS))?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        // Otherwise a quoted name that is no column would be a string.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.progress_handler(STEPS_PER_LOOK, Some(move || Instant::now() >= until))?;
        connection.authorizer(Some(|context: AuthContext<'_>| match context.action {
            AuthAction::Select | AuthAction::Read { .. } => Authorization::Allow,
            _ => Authorization::Deny,
        }))?;
        Ok(connection)
    }
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM \"main\".sqlite_schema WHERE type = 'table' OR type = 'view'";
    let mut statement = connection.prepare(sql)?;
    let names = statement.query_map([], |row| row.get(0))?;
    let mut names = names.collect::<Result<Vec<String>, _>>()?;
    names.retain(|name| !name.to_ascii_lowercase().starts_with(INTERNAL_PREFIX));
    Ok(names)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn cell<'r>(row: &'r Row<'_>, place: usize) -> Cell<'r> {
    match row.get_ref(place) {
        Ok(ValueRef::Null) => Cell::Missing,
        Ok(ValueRef::Integer(value)) => Cell::Integer(value),
        Ok(ValueRef::Real(value)) => Cell::Real(value),
        Ok(ValueRef::Text(bytes)) => std::str::from_utf8(bytes).map_or(Cell::Bytes, Cell::Text),
        Ok(ValueRef::Blob(_)) | Err(_) => Cell::Bytes,
    }
}

/// Tells the kind of an error only: SQLite's own message may hold the statement.
fn failed(relation: &Relation, error: &rusqlite::Error) -> Error {
    let relation = relation.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => Error::Slow { relation },
        // A function that the authorizer refuses, and a view on what is gone, are plain errors.
        Some(ErrorCode::AuthorizationForStatementDenied | ErrorCode::Unknown) => {
            Error::RelationRefused { relation }
        }
        Some(code) => Error::Unreadable {
            relation,
            cause: format!("{code:?}"),
        },
        None => Error::Unreadable {
            relation,
            cause: "a name in it is malformed".to_owned(),
        },
    }
}
