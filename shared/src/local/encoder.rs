//! Columns of numbers and texts as a matrix, as scikit-learn's `DictVectorizer` makes it: a numeric
//! column passes through, a text column becomes one column of 0 and 1 for each of its values, named
//! `column=value`; columns in the order of their names by code points.
//!
//! What is learned here (means, categories, deviations) comes from the feature file alone and is
//! used for the testing file too: an unknown category is all zeros, a null is the training mean.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::Array2;
use serde::Serialize;

use super::frame::{Column, Frame};
use crate::limits::{ENCODED_COLUMNS_MAX, ENCODED_VALUES_MAX};

/// A column of the feature file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// Numbers.
    Number {
        /// Its name in the file.
        name: String,
        /// Its place in the encoded row.
        at: usize,
        /// What stands for a null.
        mean: f64,
    },
    /// Texts.
    Text {
        /// Its name in the file.
        name: String,
        /// Each value's place in the encoded row, where 1 says that it is that value.
        at: BTreeMap<String, usize>,
    },
}

impl Source {
    /// The column's name in the file.
    pub fn name(&self) -> &str {
        match self {
            Source::Number { name, .. } | Source::Text { name, .. } => name,
        }
    }
}

/// How rows of a file become rows of numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Encoder {
    /// The file's columns, in its order.
    pub columns: Vec<Source>,
    /// Names of the encoded columns, ascending by code points.
    pub features: Vec<String>,
    /// What each encoded column is divided by, after nulls are replaced; not centred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<Vec<f64>>,
}

/// Why a file cannot be encoded. Tells columns' numbers and rules; never a cell or a name, since
/// errors are kept in the clear.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A column of nulls alone, which have no mean.
    #[error("column {column} of the feature file has no value at all")]
    NoValue {
        /// From 1.
        column: usize,
    },
    /// Texts of too many values.
    #[error(
        "the feature file has more than {ENCODED_COLUMNS_MAX} columns, counting one for each \
         value of a text column; the last counted is column {column}"
    )]
    Columns {
        /// The column at which it was too many, from 1.
        column: usize,
    },
    /// Too large a matrix.
    #[error(
        "the {file} file has {rows} rows of {columns} columns, counting one for each value of a \
         text column; at most {ENCODED_VALUES_MAX} values are taken"
    )]
    Values {
        /// The file.
        file: &'static str,
        /// Its rows.
        rows: usize,
        /// Its columns, encoded.
        columns: usize,
    },
    /// A column of the feature file that the testing file lacks.
    #[error("the testing file lacks column {column} of the feature file")]
    Missing {
        /// Of the feature file, from 1.
        column: usize,
    },
    /// A column that the feature file lacks.
    #[error("the feature file has no column of the name of column {column} of the testing file")]
    Unknown {
        /// Of the testing file, from 1.
        column: usize,
    },
    /// Texts where numbers were learned from.
    #[error("column {column} of the testing file has text, that of the feature file numbers")]
    Kind {
        /// Of the testing file, from 1.
        column: usize,
    },
}

impl Encoder {
    /// Learns from the feature file; `scaled` divides each encoded column by its population
    /// standard deviation, a constant one by 1.
    ///
    /// # Errors
    /// When a column is all null, or the encoded matrix leaves a bound.
    pub fn fit(frame: &Frame, scaled: bool) -> Result<(Encoder, Array2<f64>), EncodeError> {
        let (mut columns, mut named) = sources(frame)?;
        named.sort();
        let mut features = Vec::with_capacity(named.len());
        for (place, (feature, index, category)) in named.into_iter().enumerate() {
            features.push(feature);
            match (&mut columns[index], category) {
                (Source::Text { at, .. }, Some(category)) => {
                    at.insert(category, place);
                }
                (Source::Number { at, .. }, _) => *at = place,
                (Source::Text { .. }, None) => {}
            }
        }
        let mut encoder = Encoder {
            columns,
            features,
            scale: None,
        };
        let mut matrix = encoder.transform(frame)?;
        if scaled {
            let scale = deviations(&matrix);
            divide(&mut matrix, &scale);
            encoder.scale = Some(scale);
        }
        Ok((encoder, matrix))
    }

    /// The names of the text columns, which another file's must be read as text too.
    pub fn texts(&self) -> BTreeSet<&str> {
        let text = |source: &&Source| matches!(source, Source::Text { .. });
        self.columns.iter().filter(text).map(Source::name).collect()
    }

    /// Encodes a file with the same columns, in any order.
    ///
    /// # Errors
    /// When a column is missing, unknown or of another kind, or the matrix leaves its bound.
    pub fn transform(&self, frame: &Frame) -> Result<Array2<f64>, EncodeError> {
        let known: BTreeSet<&str> = self.columns.iter().map(Source::name).collect();
        let unknown = |name: &String| !known.contains(name.as_str());
        if let Some(place) = frame.names.iter().position(unknown) {
            return Err(EncodeError::Unknown { column: place + 1 });
        }
        let (rows, width) = (frame.rows, self.features.len());
        if rows.saturating_mul(width) > ENCODED_VALUES_MAX {
            return Err(EncodeError::Values {
                file: frame.file.as_str(),
                rows,
                columns: width,
            });
        }
        let places: BTreeMap<&str, usize> =
            frame.names.iter().map(String::as_str).zip(0..).collect();
        let mut matrix = Array2::zeros((rows, width));
        for (column, source) in (1..).zip(&self.columns) {
            let place = places
                .get(source.name())
                .ok_or(EncodeError::Missing { column })?;
            fill(&mut matrix, source, &frame.columns[*place])
                .ok_or(EncodeError::Kind { column: place + 1 })?;
        }
        if let Some(scale) = &self.scale {
            divide(&mut matrix, scale);
        }
        Ok(matrix)
    }
}

/// An encoded column: its name, the file's column, and of a text column the value.
type Feature = (String, usize, Option<String>);

/// The columns, not yet with places, and the encoded ones that need some.
fn sources(frame: &Frame) -> Result<(Vec<Source>, Vec<Feature>), EncodeError> {
    let mut columns = Vec::with_capacity(frame.columns.len());
    let mut features: Vec<Feature> = Vec::new();
    for (index, (name, column)) in frame.names.iter().zip(&frame.columns).enumerate() {
        let number = index + 1;
        if let Column::Texts(texts) = column {
            let room = ENCODED_COLUMNS_MAX.saturating_sub(features.len());
            let mut values = BTreeSet::new();
            for text in texts.iter() {
                if values.insert(text) && values.len() > room {
                    return Err(EncodeError::Columns { column: number });
                }
            }
            let feature = |value: &&str| {
                let category = (*value).to_owned();
                (format!("{name}={value}"), index, Some(category))
            };
            features.extend(values.iter().map(feature));
            columns.push(Source::Text {
                name: name.clone(),
                at: BTreeMap::new(),
            });
        } else {
            features.push((name.clone(), index, None));
            let mean = mean(column).ok_or(EncodeError::NoValue { column: number })?;
            columns.push(Source::Number {
                name: name.clone(),
                at: 0,
                mean,
            });
        }
        if features.len() > ENCODED_COLUMNS_MAX {
            return Err(EncodeError::Columns { column: number });
        }
    }
    Ok((columns, features))
}

/// Writes a column to its places; `None` when it is of the wrong kind.
fn fill(matrix: &mut Array2<f64>, source: &Source, column: &Column) -> Option<()> {
    match (source, column) {
        (Source::Number { at, .. }, Column::Integers(cells)) => {
            for (value, cell) in matrix.column_mut(*at).iter_mut().zip(cells) {
                *value = *cell as f64;
            }
        }
        (Source::Number { at, mean, .. }, Column::Floats(cells)) => {
            for (value, cell) in matrix.column_mut(*at).iter_mut().zip(cells) {
                *value = if cell.is_nan() { *mean } else { *cell };
            }
        }
        (Source::Text { at, .. }, Column::Texts(cells)) => {
            for (row, cell) in cells.iter().enumerate() {
                if let Some(place) = at.get(cell) {
                    matrix[[row, *place]] = 1.0;
                }
            }
        }
        _ => return None,
    }
    Some(())
}

/// The mean of what is not null; `None` when all is.
fn mean(column: &Column) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_usize);
    let mut add = |value: f64| {
        if !value.is_nan() {
            sum += value;
            count += 1;
        }
    };
    match column {
        Column::Integers(cells) => cells.iter().for_each(|cell| add(*cell as f64)),
        Column::Floats(cells) => cells.iter().copied().for_each(add),
        Column::Texts(_) => {}
    }
    (count > 0).then(|| sum / count as f64)
}

/// Each column's population standard deviation, in two passes; 1 where all values are equal, which
/// rounding could make a tiny deviation of.
fn deviations(matrix: &Array2<f64>) -> Vec<f64> {
    let rows = matrix.nrows() as f64;
    let mut means = vec![0.0; matrix.ncols()];
    for row in matrix.rows() {
        for (mean, value) in means.iter_mut().zip(row) {
            *mean += value / rows;
        }
    }
    let mut squares = vec![0.0; matrix.ncols()];
    let mut constant = vec![true; matrix.ncols()];
    let first = matrix.row(0);
    for row in matrix.rows() {
        for (column, value) in row.iter().enumerate() {
            squares[column] += (value - means[column]).powi(2);
            constant[column] &= *value == first[column];
        }
    }
    let deviation = |(square, constant): (f64, bool)| match (square / rows).sqrt() {
        deviation if constant || deviation == 0.0 => 1.0,
        deviation => deviation,
    };
    squares.into_iter().zip(constant).map(deviation).collect()
}

fn divide(matrix: &mut Array2<f64>, scale: &[f64]) {
    for mut row in matrix.rows_mut() {
        for (value, scale) in row.iter_mut().zip(scale) {
            *value /= scale;
        }
    }
}

#[cfg(test)]
mod tests;
