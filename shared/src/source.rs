//! Where a party's rows come from.
//!
//! A source reads whole columns of one relation and asks the query's predicate about each row
//! ([`crate::query::Predicate::holds`]): one meaning for every source, and no word of a requester
//! in any statement. A new kind of source is one file and one arm of [`Source`].

pub mod csv;
#[cfg(test)]
pub(crate) mod scratch;
pub mod sqlite;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::job::{Cohort, Reason, ReasonCode};
use crate::limits;
use crate::query::{self, Query, Relation, Resolved, Rule};
use crate::table::{DataError, Dropped, Label, Needed, Selection, Table};

/// A party's data.
#[derive(Clone, Debug)]
pub enum Source {
    /// A folder of CSV files.
    Csv(csv::Folder),
    /// A SQLite file.
    Sqlite(sqlite::File),
}

/// A source that a configuration names and that is not there.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The text does not start with a known kind of source. It may hold a password, so no more
    /// than its scheme is told.
    #[error(
        "source: it starts with {scheme:?}, which is no kind of source; write csv:FOLDER or sqlite:FILE"
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
    #[error("several relations differ from {relation} in case only")]
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
            Error::Unreadable { .. } | Error::Slow { .. } => ReasonCode::SourceUnavailable,
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
        DataError::NotFinite { .. } | DataError::NotExact { .. } => ReasonCode::ValueRange,
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

/// How much, and until when, one query may read.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    rows_max: usize,
    until: Instant,
}

impl Bounds {
    fn new(rows_max: usize) -> Bounds {
        Bounds {
            rows_max,
            until: Instant::now() + Duration::from_secs(limits::SOURCE_READ_SECONDS_MAX),
        }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

impl Source {
    /// Reads `csv:FOLDER` or `sqlite:FILE`; a relative path starts at `base`, the folder of the
    /// configuration file.
    ///
    /// # Errors
    /// [`ConfigError`] for an unknown scheme, a missing folder, a missing file.
    pub fn parse(text: &str, base: &Path) -> Result<Source, ConfigError> {
        match text.split_once(':') {
            Some(("csv", folder)) => csv::Folder::open(&base.join(folder)).map(Source::Csv),
            Some(("sqlite", file)) => sqlite::File::open(&base.join(file)).map(Source::Sqlite),
            other => Err(ConfigError::Scheme {
                scheme: other.map_or("", |(scheme, _)| scheme).to_owned(),
            }),
        }
    }

    /// What one query selects, of the columns that a job needs.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn read(&self, query: &Query, needed: &Needed) -> Result<Selection, Error> {
        self.read_at_most(query, needed, limits::ROWS_MAX).await
    }

    /// The rows of both queries of a cohort, with their classes. Equal queries are read once.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn training_table(
        &self,
        cohort: &Cohort,
        needed: &Needed,
        label: &Label,
    ) -> Result<(Table, Dropped), Error> {
        let pos = self.read(&cohort.pos, needed).await?;
        let (neg, relation) = if cohort.neg == cohort.pos {
            (None, cohort.pos.relation.to_string())
        } else {
            let relations = format!("{} and {}", cohort.pos.relation, cohort.neg.relation);
            (Some(self.read(&cohort.neg, needed).await?), relations)
        };
        let label = label.clone();
        off_the_reactor(move || {
            Table::for_training(pos, neg, &label).map_err(|error| Error::Data { relation, error })
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
        let rows_max = limits::SCORED_ROWS_MAX;
        let selection = self.read_at_most(query, needed, rows_max).await?;
        let attributes = needed.attributes.len();
        let relation = query.relation.to_string();
        off_the_reactor(move || {
            Table::for_inference(selection, attributes)
                .map_err(|error| Error::Data { relation, error })
        })
        .await
    }

    async fn read_at_most(
        &self,
        query: &Query,
        needed: &Needed,
        rows_max: usize,
    ) -> Result<Selection, Error> {
        let (source, query, needed) = (self.clone(), query.clone(), needed.clone());
        let bounds = Bounds::new(rows_max);
        off_the_reactor(move || source.read_now(&query, &needed, bounds)).await
    }

    fn read_now(&self, query: &Query, needed: &Needed, bounds: Bounds) -> Result<Selection, Error> {
        query.check().map_err(|rule| Error::Query { rule })?;
        match self {
            Source::Csv(folder) => folder.read(query, needed, bounds),
            Source::Sqlite(file) => file.read(query, needed, bounds),
        }
    }
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
