//! From the rows of a relation to [`Rows`]: the same steps for every source.

use std::borrow::Cow;

use super::{DataError, Label, Needed, Rows};
use crate::limits;
use crate::query::{Query, Resolved, resolve};

/// One cell as a source holds it.
#[derive(Clone, Copy, Debug)]
pub enum Cell<'a> {
    /// NULL.
    Missing,
    /// An integer.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// Text, which may spell a number or a missing value.
    Text(&'a str),
    /// Bytes that are not text.
    Bytes,
}

/// Texts that mean a missing value, in any case.
const MISSING: [&str; 5] = ["", "nan", "none", "null", "na"];
/// The largest integer below which a float carries all of them.
const EXACT_MAX: u64 = 1 << 53;

impl<'a> Cell<'a> {
    /// The cell as trimmed text; `None` when it is missing: NULL, NaN, blank, or one of the words
    /// `nan`, `none`, `null` and `na` in any case.
    pub fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Cell::Missing | Cell::Bytes => None,
            Cell::Integer(value) => Some(Cow::Owned(value.to_string())),
            Cell::Real(value) if value.is_nan() => None,
            Cell::Real(value) => Some(Cow::Owned(value.to_string())),
            Cell::Text(text) => present(text).map(Cow::Borrowed),
        }
    }

    /// The cell as a number; NaN when it is missing.
    fn number(self, column: &str) -> Result<f64, DataError> {
        let column = || column.to_owned();
        let value = match self {
            Cell::Missing => f64::NAN,
            Cell::Integer(value) if value.unsigned_abs() > EXACT_MAX => {
                return Err(DataError::NotExact { column: column() });
            }
            Cell::Integer(value) => value as f64,
            Cell::Real(value) => value,
            Cell::Text(text) => match present(text) {
                None => f64::NAN,
                Some(text) => match text.parse() {
                    Ok(value) if !is_exact(text, value) => {
                        return Err(DataError::NotExact { column: column() });
                    }
                    Ok(value) => value,
                    Err(_) => return Err(DataError::NotNumeric { column: column() }),
                },
            },
            Cell::Bytes => return Err(DataError::NotText { column: column() }),
        };
        if value.is_infinite() {
            return Err(DataError::NotFinite { column: column() });
        }
        // The sign of a zero would make equal rows differ in their digest.
        Ok(value + 0.0)
    }
}

fn present(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_missing = text.len() <= 4 && MISSING.iter().any(|word| text.eq_ignore_ascii_case(word));
    (!is_missing).then_some(text)
}

/// Whether a float carries an integer's text; a decimal is rounded as everywhere.
fn is_exact(text: &str, value: f64) -> bool {
    value.abs() < EXACT_MAX as f64
        || text
            .parse::<i128>()
            .is_ok_and(|integer| integer.unsigned_abs() <= EXACT_MAX.into())
        || !text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b'+')
}

/// One query, and what a job wants of the rows that it selects.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Which rows.
    pub query: &'a Query,
    /// Which columns.
    pub needed: &'a Needed,
    /// How a row gets its class.
    pub classes: Classes<'a>,
    /// Rows that may be selected.
    pub rows_max: usize,
}

/// How a row gets its class.
#[derive(Clone, Copy)]
pub enum Classes<'a> {
    /// Nobody asks for it.
    Unneeded,
    /// By its cell in the label column.
    Label {
        /// The column, and its value of the positive class.
        label: &'a Label,
        /// Whether rows are positive where the relation or the query's list lacks the column:
        /// `None` when the query does not tell.
        otherwise: Option<bool>,
    },
}

/// Takes the rows of one relation, keeps those that a query selects, and of each the cells a job
/// needs.
pub struct Selecting<'a> {
    wanted: Wanted<'a>,
    unique_id: (usize, &'a str),
    attributes: Vec<(usize, &'a str)>,
    class: Class<'a>,
    /// Columns of the filter, as the query spells them.
    tested: Vec<(usize, &'a str)>,
    selected: usize,
    rows: &'a mut Rows,
}

/// Where the class of each row comes from.
enum Class<'a> {
    Known(bool),
    Column(usize, &'a Label),
}

impl<'a> Selecting<'a> {
    /// Resolves every name against the relation's `columns`; rows are added to `rows`.
    ///
    /// # Errors
    /// [`DataError::ColumnUnknown`], [`DataError::ColumnAmbiguous`] and
    /// [`DataError::ColumnNotSelected`] for a column that is needed, listed or tested;
    /// [`DataError::ColumnRepeated`] when the relation has two columns of one name;
    /// [`DataError::LabelUnknown`] when nothing tells the classes.
    pub fn new<S: AsRef<str>>(
        columns: &[S],
        wanted: Wanted<'a>,
        rows: &'a mut Rows,
    ) -> Result<Self, DataError> {
        no_twins(columns)?;
        let Wanted { query, needed, .. } = wanted;
        let find = |name: &'a str| find(columns, name);
        let listed = match &query.columns {
            Some(list) => Some(
                list.iter()
                    .map(|name| find(name))
                    .collect::<Result<Vec<_>, _>>()?,
            ),
            None => None,
        };
        let is_listed = |index| listed.as_ref().is_none_or(|list| list.contains(&index));
        let need = |name: &'a str| match find(name)? {
            index if is_listed(index) => Ok((index, name)),
            _ => Err(DataError::ColumnNotSelected {
                column: name.to_owned(),
            }),
        };
        let class = match wanted.classes {
            Classes::Unneeded => Ok(Class::Known(false)),
            Classes::Label { label, otherwise } => match (need(&label.column), otherwise) {
                (Ok((index, _)), _) => Ok(Class::Column(index, label)),
                (Err(error @ DataError::ColumnAmbiguous { .. }), _) => return Err(error),
                (Err(_), Some(class)) => Ok(Class::Known(class)),
                (Err(_), None) => Err(DataError::LabelUnknown {
                    column: label.column.clone(),
                }),
            },
        };
        let mut names = Vec::new();
        if let Some(filter) = &query.filter {
            filter.columns(&mut |name| names.push(name));
        }
        let attributes = needed.attributes.iter().map(|name| need(name));
        let tested = |name: &'a str| Ok((find(name)?, name));
        Ok(Selecting {
            unique_id: need(&needed.unique_id)?,
            attributes: attributes.collect::<Result<_, _>>()?,
            tested: names.into_iter().map(tested).collect::<Result<_, _>>()?,
            class: class?,
            wanted,
            selected: 0,
            rows,
        })
    }

    /// Indices of the columns whose cells [`Selecting::row`] asks for, ascending, each once.
    pub fn reads(&self) -> Vec<usize> {
        let named = [&self.unique_id].into_iter();
        let named = named.chain(&self.attributes).chain(&self.tested);
        let mut indices: Vec<usize> = named.map(|(index, _)| *index).collect();
        if let Class::Column(index, _) = &self.class {
            indices.push(*index);
        }
        indices.sort_unstable();
        indices.dedup();
        indices
    }

    /// Makes room for so many rows, which a source expects to come; see [`Rows::reserve`].
    pub fn reserve(&mut self, rows: usize) {
        self.rows.reserve(rows.min(self.wanted.rows_max));
    }

    /// Takes one row; `cell` gives the cell of a column by its index in the relation.
    ///
    /// # Errors
    /// [`DataError::NotNumeric`], [`DataError::NotFinite`], [`DataError::NotExact`] for an
    /// attribute; [`DataError::IdTooLong`]; [`DataError::NotText`] for any column;
    /// [`DataError::TooManyRows`].
    pub fn row<'c>(&mut self, cell: &dyn Fn(usize) -> Cell<'c>) -> Result<(), DataError> {
        if !self.is_selected(cell)? {
            return Ok(());
        }
        let rows_max = self.wanted.rows_max;
        if self.selected == rows_max {
            return Err(DataError::TooManyRows { rows_max });
        }
        self.selected += 1;
        let (index, name) = self.unique_id;
        let id = text(cell(index), name)?;
        if id
            .as_ref()
            .is_some_and(|id| id.len() > limits::ID_BYTES_MAX)
        {
            let column = name.to_owned();
            return Err(DataError::IdTooLong { column });
        }
        let positive = match self.class {
            Class::Known(class) => Some(class),
            Class::Column(index, label) => {
                text(cell(index), &label.column)?.map(|cell| label.is(&cell))
            }
        };
        let values = self.attributes.iter();
        let values = values.map(|(index, name)| cell(*index).number(name));
        self.rows.push(id.as_deref(), positive, values)
    }

    fn is_selected<'c>(&self, cell: &dyn Fn(usize) -> Cell<'c>) -> Result<bool, DataError> {
        let Some(filter) = &self.wanted.query.filter else {
            return Ok(true);
        };
        for (index, name) in &self.tested {
            not_bytes(cell(*index), name)?;
        }
        let tested = |column: &str| {
            let (index, _) = self.tested.iter().find(|(_, name)| *name == column)?;
            cell(*index).text()
        };
        Ok(filter.holds(&tested))
    }
}

fn text<'c>(cell: Cell<'c>, column: &str) -> Result<Option<Cow<'c, str>>, DataError> {
    not_bytes(cell, column).map(Cell::text)
}

fn not_bytes<'c>(cell: Cell<'c>, column: &str) -> Result<Cell<'c>, DataError> {
    match cell {
        Cell::Bytes => Err(DataError::NotText {
            column: column.to_owned(),
        }),
        cell => Ok(cell),
    }
}

fn no_twins<S: AsRef<str>>(columns: &[S]) -> Result<(), DataError> {
    let mut names: Vec<&str> = columns.iter().map(AsRef::as_ref).collect();
    names.sort_unstable();
    let mut twins = names.windows(2);
    match twins.find(|two| two[0] == two[1] && !two[0].is_empty()) {
        Some(twins) => Err(DataError::ColumnRepeated {
            column: twins[0].to_owned(),
        }),
        None => Ok(()),
    }
}

fn find<S: AsRef<str>>(columns: &[S], name: &str) -> Result<usize, DataError> {
    let column = || name.to_owned();
    match resolve(columns, name) {
        Resolved::At(index) => Ok(index),
        Resolved::Unknown => Err(DataError::ColumnUnknown { column: column() }),
        Resolved::Ambiguous => Err(DataError::ColumnAmbiguous { column: column() }),
    }
}
