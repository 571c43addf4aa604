//! From a source's rows to a [`Selection`]: the same steps for every source.

use std::borrow::Cow;

use super::{DataError, Needed, Selection};
use crate::query::{Predicate, Query, Resolved, resolve};

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

/// Takes the rows of one relation, keeps those that a query selects, and of each the cells a job
/// needs.
pub struct Selecting {
    unique_id: (usize, String),
    attributes: Vec<(usize, String)>,
    label: Option<(usize, String)>,
    filter: Option<Predicate>,
    /// Columns of the filter, as the query spells them.
    tested: Vec<(usize, String)>,
    rows_max: usize,
    selection: Selection,
}

impl Selecting {
    /// Resolves every name against the relation's `columns`.
    ///
    /// # Errors
    /// [`DataError::ColumnUnknown`], [`DataError::ColumnAmbiguous`] and
    /// [`DataError::ColumnNotSelected`] for a column that is needed, listed or tested;
    /// [`DataError::ColumnRepeated`] when the relation has two columns of one name.
    pub fn new<S: AsRef<str>>(
        columns: &[S],
        query: &Query,
        needed: &Needed,
        rows_max: usize,
    ) -> Result<Self, DataError> {
        let mut names: Vec<&str> = columns.iter().map(AsRef::as_ref).collect();
        names.sort_unstable();
        if let Some(twins) = names
            .windows(2)
            .find(|two| two[0] == two[1] && !two[0].is_empty())
        {
            let column = twins[0].to_owned();
            return Err(DataError::ColumnRepeated { column });
        }
        let find = |name: &str| find(columns, name);
        let listed = match &query.columns {
            Some(list) => Some(
                list.iter()
                    .map(|name| find(name))
                    .collect::<Result<Vec<_>, _>>()?,
            ),
            None => None,
        };
        let is_listed = |index| listed.as_ref().is_none_or(|list| list.contains(&index));
        let need = |name: &String| match find(name)? {
            index if is_listed(index) => Ok((index, name.clone())),
            _ => Err(DataError::ColumnNotSelected {
                column: name.clone(),
            }),
        };
        let label = match &needed.label {
            Some(name) => match need(name) {
                Ok(found) => Some(found),
                Err(DataError::ColumnUnknown { .. } | DataError::ColumnNotSelected { .. }) => None,
                Err(error) => return Err(error),
            },
            None => None,
        };
        let mut tested = Vec::new();
        if let Some(filter) = &query.filter {
            filter.columns(&mut |name| tested.push(name));
        }
        Ok(Selecting {
            unique_id: need(&needed.unique_id)?,
            attributes: needed
                .attributes
                .iter()
                .map(need)
                .collect::<Result<_, _>>()?,
            tested: tested
                .into_iter()
                .map(|name| Ok((find(name)?, name.to_owned())))
                .collect::<Result<_, _>>()?,
            filter: query.filter.clone(),
            rows_max,
            selection: Selection {
                labels: label.is_some().then(Vec::new),
                ..Selection::default()
            },
            label,
        })
    }

    /// Indices of the columns whose cells [`Selecting::row`] asks for, ascending, each once.
    pub fn reads(&self) -> Vec<usize> {
        let named = [&self.unique_id].into_iter().chain(&self.label);
        let named = named.chain(&self.attributes).chain(&self.tested);
        let mut indices: Vec<usize> = named.map(|(index, _)| *index).collect();
        indices.sort_unstable();
        indices.dedup();
        indices
    }

    /// Takes one row; `cell` gives the cell of a column by its index in the relation.
    ///
    /// # Errors
    /// [`DataError::NotNumeric`], [`DataError::NotFinite`], [`DataError::NotExact`] for an
    /// attribute; [`DataError::NotText`] for any column; [`DataError::TooManyRows`].
    pub fn row<'c>(&mut self, cell: &dyn Fn(usize) -> Cell<'c>) -> Result<(), DataError> {
        let text = |(index, name): &(usize, String)| match cell(*index) {
            Cell::Bytes => Err(DataError::NotText {
                column: name.clone(),
            }),
            cell => Ok(cell.text().map(Cow::into_owned)),
        };
        if let Some(filter) = &self.filter {
            for (index, name) in &self.tested {
                if matches!(cell(*index), Cell::Bytes) {
                    return Err(DataError::NotText {
                        column: name.clone(),
                    });
                }
            }
            let tested = |column: &str| {
                let (index, _) = self.tested.iter().find(|(_, name)| name == column)?;
                cell(*index).text()
            };
            if !filter.holds(&tested) {
                return Ok(());
            }
        }
        if self.selection.ids.len() == self.rows_max {
            let rows_max = self.rows_max;
            return Err(DataError::TooManyRows { rows_max });
        }
        self.selection.ids.push(text(&self.unique_id)?);
        if let (Some(labels), Some(label)) = (&mut self.selection.labels, &self.label) {
            labels.push(text(label)?);
        }
        for (index, name) in &self.attributes {
            self.selection.values.push(cell(*index).number(name)?);
        }
        Ok(())
    }

    /// What was selected.
    pub fn finish(self) -> Selection {
        self.selection
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
