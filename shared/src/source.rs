//! Where a party's rows come from.
//!
//! A source reads whole columns of one relation and asks the query's predicate about each row
//! ([`crate::query::Predicate::holds`]): one meaning for every source, and no word of a requester
//! in any statement. A new kind of source is one file and one arm of [`Source`].

pub mod csv;
pub mod postgres;
#[cfg(test)]
pub(crate) mod scratch;
pub mod sqlite;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::job::{Cohort, Reason, ReasonCode};
use crate::limits;
use crate::query::{self, Query, Relation, Resolved, Rule};
use crate::table::{Classes, DataError, Dropped, Label, Needed, Rows, Table, Wanted};

/// A party's data.
#[derive(Clone, Debug)]
pub enum Source {
    /// A folder of CSV files.
    Csv(csv::Folder),
    /// A SQLite file.
    Sqlite(sqlite::File),
    /// A PostgreSQL database.
    Postgres(postgres::Database),
}

/// How variables of the environment are looked up.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A source that a configuration names and that is not there.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The text does not start with a known kind of source. It may hold a password, so no more
    /// than its scheme is told.
    #[error(
        "source: it starts with {scheme:?}, which is no kind of source; write csv:FOLDER, \
         sqlite:FILE, postgres://..., or env:NAME or file:PATH of such a url"
    )]
    Scheme {
        /// What stands before the first colon.
        scheme: String,
    },
    /// The folder of CSV files is missing.
    #[error("source: there is no folder {path:?}")]
    Folder {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is there and no SQLite database.
    #[error("source: {path:?} is no SQLite database, or cannot be read")]
    Database {
        /// The file.
        path: PathBuf,
    },
    /// The SQLite file is missing.
    #[error("source: there is no file {path:?}")]
    File {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The environment lacks a variable that is referred to.
    #[error("source: the environment variable {name} is not set")]
    Variable {
        /// Its name.
        name: String,
    },
    /// The file with the url cannot be read.
    #[error("source: cannot read the file {path:?} that it refers to")]
    Reference {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// What is referred to is no address of a PostgreSQL database.
    #[error("source: it refers to something that does not start with postgres://")]
    NoPostgres,
    /// The address of a PostgreSQL database is not in order.
    #[error("source: {0}")]
    Postgres(#[from] crate::postgres::Error),
    /// A password stands where everybody reads it.
    #[error(
        "source: a password does not stand in this file; put the whole url elsewhere and write \
         env:NAME or file:PATH"
    )]
    Password,
}

/// Why rows could not be read or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A query that reached the party breaks a bound.
    #[error("the query breaks a rule: {rule}")]
    Query {
        /// The rule.
        rule: Rule,
    },
    /// The source has no such relation.
    #[error("there is no relation {relation}")]
    RelationUnknown {
        /// The relation as it was asked for.
        relation: String,
    },
    /// Several relations match, and none exactly.
    #[error("several relations are named like {relation}, differing in case or schema only")]
    RelationAmbiguous {
        /// The relation as it was asked for.
        relation: String,
    },
    /// The relation is a view that does more than show columns of tables.
    #[error("relation {relation} is a view that calls functions, recurses or lacks its tables")]
    RelationRefused {
        /// The relation as it was asked for.
        relation: String,
    },
    /// The rows do not fit the job.
    #[error("relation {relation}: {error}")]
    Data {
        /// The relations as they were asked for.
        relation: String,
        /// What is wrong with them.
        error: DataError,
    },
    /// A line of a CSV file is malformed.
    #[error("relation {relation}, line {line}: {rule}")]
    Line {
        /// The relation as it was asked for.
        relation: String,
        /// Line of the file, counted from 1.
        line: u64,
        /// What every line must be.
        rule: &'static str,
    },
    /// The database's role may do more than read tables.
    #[error(
        "the source's role is a superuser or may use files or programs of its server, and no rows \
         are read by such a role; let CREATE ROLE name LOGIN make another one, and GRANT it USAGE \
         on the schema and SELECT on the tables"
    )]
    RoleRefused,
    /// The source cannot be read.
    #[error("relation {relation} cannot be read: {cause}")]
    Unreadable {
        /// The relation as it was asked for.
        relation: String,
        /// The kind of trouble, in the words of the operating system or database.
        cause: String,
    },
    /// Reading took too long.
    #[error(
        "reading {relation} took more than {} seconds",
        limits::SOURCE_READ_SECONDS_MAX
    )]
    Slow {
        /// The relation as it was asked for.
        relation: String,
    },
    /// The thread that read ended early.
    #[error("reading was interrupted")]
    Interrupted,
}

impl Error {
    /// The kind of reason for the job's report.
    pub fn code(&self) -> ReasonCode {
        match self {
            Error::Query { .. } => ReasonCode::RequestRefused,
            Error::RelationUnknown { .. }
            | Error::RelationAmbiguous { .. }
            | Error::RelationRefused { .. } => ReasonCode::RelationUnknown,
            Error::Data { error, .. } => code(error),
            Error::Line { .. } => ReasonCode::DataError,
            Error::RoleRefused | Error::Unreadable { .. } | Error::Slow { .. } => {
                ReasonCode::SourceUnavailable
            }
            Error::Interrupted => ReasonCode::Internal,
        }
    }
}

fn code(error: &DataError) -> ReasonCode {
    match error {
        DataError::ColumnUnknown { .. }
        | DataError::ColumnAmbiguous { .. }
        | DataError::ColumnNotSelected { .. }
        | DataError::ColumnRepeated { .. }
        | DataError::LabelUnknown { .. } => ReasonCode::ColumnUnknown,
        DataError::NotNumeric { .. } | DataError::NotText { .. } => ReasonCode::ColumnNotNumeric,
        DataError::NotFinite { .. } | DataError::NotExact { .. } | DataError::IdTooLong { .. } => {
            ReasonCode::ValueRange
        }
        DataError::TwoRows | DataError::TwoClasses => ReasonCode::DataError,
        DataError::NoRows => ReasonCode::NoRows,
        DataError::TooManyRows { .. } => ReasonCode::TooManyRows,
    }
}

/// The reason for a report; whose side it arose on is for the caller to add.
impl From<Error> for Reason {
    fn from(error: Error) -> Reason {
        Reason {
            code: error.code(),
            text: error.to_string(),
            party: None,
        }
    }
}

impl Source {
    /// Reads `csv:FOLDER`, `sqlite:FILE`, `postgres://ROLE@HOST:PORT/DATABASE`, or where such a url
    /// stands, which is the only place for one with a password: `env:NAME` or `file:PATH`. A
    /// relative path starts at `base`, the folder of the configuration file.
    ///
    /// # Errors
    /// [`ConfigError`] for an unknown scheme, a missing folder, file or variable, a malformed url, a
    /// password in `text` itself.
    pub fn parse(
        text: &str,
        base: &Path,
        environment: Environment<'_>,
    ) -> Result<Source, ConfigError> {
        match text.split_once(':') {
            Some(("csv", folder)) => csv::Folder::open(&base.join(folder)).map(Source::Csv),
            Some(("sqlite", file)) => sqlite::File::open(&base.join(file)).map(Source::Sqlite),
            Some(("postgres" | "postgresql", _)) => {
                let database = postgres::Database::parse(text)?;
                if database.has_password() {
                    return Err(ConfigError::Password);
                }
                Ok(Source::Postgres(database))
            }
            Some(("env", name)) => {
                let url = environment(name).ok_or_else(|| ConfigError::Variable {
                    name: name.to_owned(),
                })?;
                referred(Zeroizing::new(url))
            }
            Some(("file", path)) => {
                let path = base.join(path);
                match std::fs::read_to_string(&path) {
                    Ok(url) => referred(Zeroizing::new(url)),
                    Err(_) => Err(ConfigError::Reference { path }),
                }
            }
            other => Err(ConfigError::Scheme {
                scheme: other.map_or("", |(scheme, _)| scheme).to_owned(),
            }),
        }
    }

    /// The rows of both queries of a cohort, with their classes. Equal queries are read once; a
    /// database shows both as of one moment.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn training_table(
        &self,
        cohort: &Cohort,
        needed: &Needed,
        label: &Label,
    ) -> Result<(Table, Dropped), Error> {
        let (source, cohort) = (self.clone(), cohort.clone());
        let (needed, label) = (needed.clone(), label.clone());
        off_the_reactor(move || {
            let Cohort { pos, neg } = &cohort;
            let wanted = |query, otherwise| Wanted {
                query,
                needed: &needed,
                classes: Classes::Label {
                    label: &label,
                    otherwise,
                },
                rows_max: limits::ROWS_MAX,
            };
            let (relation, all) = if neg == pos {
                (pos.relation.to_string(), vec![wanted(pos, None)])
            } else {
                let relations = format!("{} and {}", pos.relation, neg.relation);
                let both = vec![wanted(pos, Some(true)), wanted(neg, Some(false))];
                (relations, both)
            };
            let rows = source.read(&all, until(all.len()))?;
            Table::for_training(rows).map_err(|error| Error::Data { relation, error })
        })
        .await
    }

    /// The rows of a query that asks for scores.
    ///
    /// # Errors
    /// See [`Error`]; more than [`limits::SCORED_ROWS_MAX`] rows are too many.
    pub async fn inference_table(
        &self,
        query: &Query,
        needed: &Needed,
    ) -> Result<(Table, Dropped), Error> {
        let (source, query, needed) = (self.clone(), query.clone(), needed.clone());
        off_the_reactor(move || {
            let wanted = Wanted {
                query: &query,
                needed: &needed,
                classes: Classes::Unneeded,
                rows_max: limits::SCORED_ROWS_MAX,
            };
            let rows = source.read(&[wanted], until(1))?;
            let relation = query.relation.to_string();
            Table::for_inference(rows).map_err(|error| Error::Data { relation, error })
        })
        .await
    }

    /// The rows of all queries, which want the same columns.
    fn read(&self, all: &[Wanted<'_>], until: Instant) -> Result<Rows, Error> {
        for wanted in all {
            let checked = wanted.query.check();
            checked.map_err(|rule| Error::Query { rule })?;
        }
        let attributes = all.first().map_or(0, |first| first.needed.attributes.len());
        let mut rows = Rows::new(attributes);
        match self {
            Source::Csv(folder) => all
                .iter()
                .try_for_each(|wanted| folder.read(*wanted, until, &mut rows))?,
            Source::Sqlite(file) => all
                .iter()
                .try_for_each(|wanted| file.read(*wanted, until, &mut rows))?,
            Source::Postgres(database) => database.read(all, until, &mut rows)?,
        }
        Ok(rows)
    }
}

fn referred(url: Zeroizing<String>) -> Result<Source, ConfigError> {
    let url = url.trim();
    match url.split_once("://") {
        Some(("postgres" | "postgresql", _)) => {
            postgres::Database::parse(url).map(Source::Postgres)
        }
        _ => Err(ConfigError::NoPostgres),
    }
}

/// When reading so many queries must be over.
fn until(queries: usize) -> Instant {
    Instant::now() + Duration::from_secs(limits::SOURCE_READ_SECONDS_MAX * queries as u64)
}

async fn off_the_reactor<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(Error::Interrupted),
    }
}

/// Finds the relation's name among those that a source has.
fn resolve(names: &[String], wanted: &str, relation: &Relation) -> Result<usize, Error> {
    let relation = || relation.to_string();
    match query::resolve(names, wanted) {
        Resolved::At(index) => Ok(index),
        Resolved::Unknown => Err(Error::RelationUnknown {
            relation: relation(),
        }),
        Resolved::Ambiguous => Err(Error::RelationAmbiguous {
            relation: relation(),
        }),
    }
}

#[cfg(test)]
mod tests;
