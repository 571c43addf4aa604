//! A folder of CSV files: `data.blooddata_small` is `FOLDER/data/blooddata_small.csv`, and a
//! relation without schema is `FOLDER/name.csv`.
//!
//! UTF-8 with or without a byte order mark, fields apart by commas, the first line names the
//! columns. Names of files are matched as written, else without regard to case.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::{ConfigError, Error, resolve};
use crate::query::Relation;
use crate::table::{Cell, Rows, Selecting, Wanted};

/// A folder that exists, every link in its path resolved.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// Rows between two looks at the clock.
const ROWS_PER_LOOK: u64 = 1024;

impl Folder {
    /// Finds the folder.
    ///
    /// # Errors
    /// [`ConfigError::Folder`] when there is none.
    pub fn open(path: &Path) -> Result<Folder, ConfigError> {
        match path.canonicalize() {
            Ok(path) if path.is_dir() => Ok(Folder { path }),
            _ => Err(ConfigError::Folder {
                path: path.to_owned(),
            }),
        }
    }

    pub(super) fn read(
        &self,
        wanted: Wanted<'_>,
        until: Instant,
        rows: &mut Rows,
    ) -> Result<(), Error> {
        let relation = &wanted.query.relation;
        let data = |error| Error::Data {
            relation: relation.to_string(),
            error,
        };
        let file =
            fs::File::open(self.locate(relation)?).map_err(|error| unreadable(relation, &error))?;
        let mut reader = ::csv::Reader::from_reader(io::BufReader::new(file));
        let malformed = |error: ::csv::Error| malformed(relation, &error);
        let headers = reader.headers().map_err(malformed)?;
        let columns: Vec<String> = headers.iter().map(|name| name.trim().to_owned()).collect();
        let mut selecting = Selecting::new(&columns, wanted, rows).map_err(data)?;
        let mut record = ::csv::StringRecord::new();
        let mut read = 0_u64;
        while reader.read_record(&mut record).map_err(malformed)? {
            if read.is_multiple_of(ROWS_PER_LOOK) && Instant::now() >= until {
                return Err(Error::Slow {
                    relation: relation.to_string(),
                });
            }
            read += 1;
            selecting
                .row(&|column| Cell::Text(&record[column]))
                .map_err(data)?;
        }
        Ok(())
    }

    /// The relation's file, inside the folder also after every link is resolved.
    fn locate(&self, relation: &Relation) -> Result<PathBuf, Error> {
        let unknown = || Error::RelationUnknown {
            relation: relation.to_string(),
        };
        let folder = match &relation.schema {
            Some(schema) => self.path.join(entry(&self.path, schema, "", relation)?),
            None => self.path.clone(),
        };
        let file = folder.join(entry(&folder, &relation.name, ".csv", relation)?);
        let file = file.canonicalize().map_err(|_| unknown())?;
        if file.starts_with(&self.path) && file.is_file() {
            Ok(file)
        } else {
            Err(unknown())
        }
    }
}

/// The name of a folder's entry that is `name` and then `ending`.
fn entry(folder: &Path, name: &str, ending: &str, relation: &Relation) -> Result<String, Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => {
            return Err(Error::RelationUnknown {
                relation: relation.to_string(),
            });
        }
        Err(error) => return Err(unreadable(relation, &error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(relation, &error))?;
        // A name that is no UTF-8 is none that a query can spell.
        names.extend(entry.file_name().into_string());
    }
    let index = resolve(&names, &format!("{name}{ending}"), relation)?;
    Ok(names.swap_remove(index))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn unreadable(relation: &Relation, error: &io::Error) -> Error {
    Error::Unreadable {
        relation: relation.to_string(),
        cause: error.kind().to_string(),
    }
}

fn malformed(relation: &Relation, error: &::csv::Error) -> Error {
    let rule = match error.kind() {
        ::csv::ErrorKind::UnequalLengths { .. } => "a line has as many fields as the first",
        ::csv::ErrorKind::Utf8 { .. } => "text is UTF-8",
        ::csv::ErrorKind::Io(error) => return unreadable(relation, error),
        _ => "a line is comma-separated text",
    };
    Error::Line {
        relation: relation.to_string(),
        line: error.position().map_or(1, ::csv::Position::line),
        rule,
    }
}
