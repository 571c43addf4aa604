//! A PostgreSQL database. `data.blood` is the table or view `blood` in the schema `data`; a relation
//! without schema is the one in `public`, else the only one of its name.
//!
//! The only statements are our own, over names that the database itself listed, in one read-only
//! transaction: both queries of a job see the same moment. Of the requester's condition only bounds
//! on numbers reach the server, as bind parameters and to read fewer rows: the predicate decides
//! about each row here, as for every source.

mod catalog;
mod narrowing;

use std::fmt;
use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, RowStream};
use tokio_util::task::AbortOnDropHandle;

use self::catalog::quoted;
use self::narrowing::{Narrowed, narrowed};
use super::{ConfigError, Error};
use crate::job::ReasonCode;
use crate::limits;
use crate::postgres::{Address, Tls, tls_fault};
use crate::query::Relation;
use crate::table::{Rows, Selecting, Wanted};

/// Where a database is, and the role that reads it. Shows itself without the latter.
#[derive(Clone)]
pub struct Database {
    address: Address,
}

/// Rows between two looks at the clock.
const ROWS_PER_LOOK: usize = 1024;

impl fmt::Debug for Database {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Database({})", self.address)
    }
}

/// Roles that reach beyond tables. A superuser counts as a member of every role.
const IS_POWERFUL: &str = "
    SELECT EXISTS (
        SELECT FROM pg_catalog.pg_roles AS role
        WHERE (role.rolsuper OR role.rolname IN
                ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program'))
            AND pg_catalog.pg_has_role(session_user, role.oid, 'MEMBER'))";

impl Database {
    /// Reads `postgres://ROLE:PASSWORD@HOST:PORT/DATABASE` ([`Address::parse`]); nothing is connected
    /// yet.
    ///
    /// # Errors
    /// [`ConfigError::Postgres`], which does not show it.
    pub fn parse(url: &str) -> Result<Database, ConfigError> {
        let address = Address::parse(url)?;
        Ok(Database { address })
    }

    pub(super) fn has_password(&self) -> bool {
        self.address.config().get_password().is_some()
    }

    /// Must be called within a runtime, and not on a thread that drives it.
    pub(super) fn read(
        &self,
        all: &[Wanted<'_>],
        until: std::time::Instant,
        rows: &mut Rows,
    ) -> Result<(), Error> {
        Handle::current().block_on(self.read_all(all, until.into(), rows))
    }

    async fn read_all(
        &self,
        all: &[Wanted<'_>],
        until: Instant,
        rows: &mut Rows,
    ) -> Result<(), Error> {
        let Some(first) = all.first() else {
            return Ok(());
        };
        let relation = &first.query.relation;
        let session = self.connect(relation).await?;
        let mut read = timeout_at(until, session.begin(relation, until)).await;
        let mut at = relation;
        for wanted in all {
            if let Ok(Ok(())) = read {
                at = &wanted.query.relation;
                read = timeout_at(until, session.read(*wanted, until, rows)).await;
            }
        }
        let read = read.unwrap_or_else(|_| Err(slow(at)));
        session.end(read.is_ok()).await;
        read.inspect_err(|error| self.log(error))
    }

    /// Names the database to those who run it; a job's report does not.
    fn log(&self, error: &Error) {
        if error.code() == ReasonCode::SourceUnavailable {
            tracing::warn!(database = %self.address, "{error}");
        }
    }

    async fn connect(&self, relation: &Relation) -> Result<Session, Error> {
        let (mut config, tls) = (self.address.config(), self.address.tls());
        config
            .application_name("concord")
            .keepalives_idle(Duration::from_secs(limits::CONNECT_SECONDS_MAX))
            .tcp_user_timeout(Duration::from_secs(limits::SOURCE_READ_SECONDS_MAX));
        let limit = Duration::from_secs(limits::CONNECT_SECONDS_MAX);
        let connected = match timeout(limit, config.connect(tls.clone())).await {
            Ok(connected) => connected.map_err(|error| failed(relation, &error)),
            Err(_) => Err(unreadable(relation, "its server does not answer")),
        };
        let (client, connection) = connected.inspect_err(|error| self.log(error))?;
        Ok(Session {
            client,
            tls,
            connection: AbortOnDropHandle::new(tokio::spawn(async {
                // Whoever waits for an answer is told.
                let _ = connection.await;
            })),
        })
    }
}

/// One connection, which ends with it.
struct Session {
    client: Client,
    tls: Tls,
    connection: AbortOnDropHandle<()>,
}

impl Session {
    /// Starts the transaction, and looks whether the role may do no more than it should.
    async fn begin(&self, relation: &Relation, until: Instant) -> Result<(), Error> {
        let failed = |error: tokio_postgres::Error| failed(relation, &error);
        let left = until.saturating_duration_since(Instant::now());
        let milliseconds = left.as_millis().max(1);
        // Temporary objects come last: else one of them could stand in for a type or an operator.
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
             SET LOCAL search_path = pg_catalog, pg_temp;
             SET LOCAL statement_timeout = {milliseconds};
             SET LOCAL idle_in_transaction_session_timeout = {milliseconds};
             SET LOCAL lock_timeout = {};
             SET LOCAL extra_float_digits = 1;
             SET LOCAL datestyle = 'ISO'",
            limits::SOURCE_LOCK_MILLISECONDS_MAX
        );
        self.client.batch_execute(&begin).await.map_err(failed)?;
        let found = self.client.query_typed_one(IS_POWERFUL, &[]).await;
        match found.and_then(|row| row.try_get(0)).map_err(failed)? {
            true => Err(Error::RoleRefused),
            false => Ok(()),
        }
    }

    async fn read(&self, wanted: Wanted<'_>, until: Instant, rows: &mut Rows) -> Result<(), Error> {
        let relation = &wanted.query.relation;
        let failed = |error: tokio_postgres::Error| failed(relation, &error);
        let data = |error| Error::Data {
            relation: relation.to_string(),
            error,
        };
        let found = catalog::relations(&self.client).await.map_err(failed)?;
        let table = catalog::resolve(found, relation)?;
        let columns = catalog::columns(&self.client, &table).await;
        let columns = columns.map_err(failed)?;
        let mut selecting = Selecting::new(&columns, wanted, rows).map_err(data)?;
        let reads = selecting.reads();
        let mut places = vec![0; columns.len()];
        for (place, column) in reads.iter().enumerate() {
            places[*column] = place;
        }
        let list: Vec<String> = reads.iter().map(|index| columns[*index].sql()).collect();
        let from = format!("FROM {}.{}", quoted(&table.schema), quoted(&table.name));
        let narrowed = narrowed(wanted.query.filter.as_ref(), &columns);

        // As many rows as there will be at most, so that the array is made once.
        let count = format!("SELECT pg_catalog.count(*) {from}{}", narrowed.clause);
        let count = self.query(&count, &narrowed).await.map_err(failed)?;
        let count = pin!(count).try_next().await.map_err(failed)?;
        let count: i64 = count.map_or(Ok(0), |row| row.try_get(0)).map_err(failed)?;
        selecting.reserve(usize::try_from(count).unwrap_or_default());

        let select = format!("SELECT {} {from}{}", list.join(", "), narrowed.clause);
        let mut stream = pin!(self.query(&select, &narrowed).await.map_err(failed)?);
        let mut read = 0_usize;
        while let Some(row) = stream.try_next().await.map_err(failed)? {
            if read.is_multiple_of(ROWS_PER_LOOK) && Instant::now() >= until {
                return Err(slow(relation));
            }
            read += 1;
            selecting
                .row(&|column| columns[column].cell(&row, places[column]))
                .map_err(data)?;
        }
        Ok(())
    }

    async fn query(
        &self,
        sql: &str,
        narrowed: &Narrowed,
    ) -> Result<RowStream, tokio_postgres::Error> {
        let values = narrowed.values.iter();
        let typed = values.map(|value| -> (&(dyn ToSql + Sync), Type) { value.typed() });
        self.client.query_typed_raw(sql, typed).await
    }

    /// Tells the server, which may be in the middle of a statement that nobody waits for. A
    /// read-only transaction needs no commit.
    async fn end(self, in_order: bool) {
        let limit = Duration::from_secs(limits::SOURCE_CANCEL_SECONDS_MAX);
        if !in_order {
            let cancel = self.client.cancel_token();
            // A server that cannot be reached sees the connection end.
            let _ = timeout(limit, cancel.cancel_query(self.tls)).await;
            return;
        }
        drop(self.client);
        let _ = timeout(limit, self.connection).await;
    }
}

fn slow(relation: &Relation) -> Error {
    Error::Slow {
        relation: relation.to_string(),
    }
}

fn unreadable(relation: &Relation, cause: &str) -> Error {
    Error::Unreadable {
        relation: relation.to_string(),
        cause: cause.to_owned(),
    }
}

/// Tells the kind of an error only: the server's message may hold a name, a value, the statement.
fn failed(relation: &Relation, error: &tokio_postgres::Error) -> Error {
    let Some(code) = error.code() else {
        let fault = tls_fault(error);
        let cause = "the connection to its server cannot be made, or broke";
        return unreadable(relation, fault.as_deref().unwrap_or(cause));
    };
    match code {
        &SqlState::QUERY_CANCELED => slow(relation),
        &SqlState::LOCK_NOT_AVAILABLE => unreadable(relation, "another session holds a lock on it"),
        &SqlState::INSUFFICIENT_PRIVILEGE => unreadable(relation, "the role may not read it"),
        &SqlState::INVALID_CATALOG_NAME => unreadable(relation, "its server lacks the database"),
        &SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            unreadable(relation, "its server refuses the role or its password")
        }
        &SqlState::TOO_MANY_CONNECTIONS | &SqlState::CANNOT_CONNECT_NOW => {
            unreadable(relation, "its server takes no connection now")
        }
        other => unreadable(relation, &format!("SQLSTATE {}", other.code())),
    }
}

#[cfg(test)]
mod tests;
