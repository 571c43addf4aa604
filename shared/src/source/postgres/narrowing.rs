//! What of a condition the server may decide: bounds on columns of numbers. Each is true for every
//! row that [`Predicate::holds`] selects, and mostly for few others.
//!
//! That one compares exact decimals and, where a cell is no number, texts. So a bound compares
//! integers and decimals exactly. A float's decimal `d` is the shortest one that rounds to the float
//! `x`, and rounding keeps order: from `d >= b` follows `x >= b` rounded, and so no bound needs to
//! be widened. Of what is no number NaN is missing, which no bound selects; the text of an infinity
//! is above every decimal, but for `-Infinity` that is so only beside some of them: lower bounds let
//! it pass.

use tokio_postgres::types::{ToSql, Type};

use super::catalog::{Column, Kind, quoted};
use crate::query::{Comparison, Literal, Number, Predicate, Resolved, resolve};

/// A condition of our own.
#[derive(Default)]
pub(super) struct Narrowed {
    /// ` WHERE ...` with `$1` and so on, or nothing.
    pub(super) clause: String,
    /// The values of `$1` and so on.
    pub(super) values: Vec<Value>,
}

/// A bind parameter.
pub(super) enum Value {
    Integer(i64),
    Float(f64),
    /// A decimal as text.
    Numeric(String),
}

impl Value {
    pub(super) fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Value::Integer(value) => (value, Type::INT8),
            Value::Float(value) => (value, Type::FLOAT8),
            Value::Numeric(text) => (text, Type::TEXT),
        }
    }
}

/// The part of a filter that the server may decide.
pub(super) fn narrowed(filter: Option<&Predicate>, columns: &[Column]) -> Narrowed {
    let mut narrowing = Narrowing {
        columns,
        values: Vec::new(),
    };
    match filter.and_then(|filter| narrowing.part(filter)) {
        Some(condition) => Narrowed {
            clause: format!(" WHERE {condition}"),
            values: narrowing.values,
        },
        None => Narrowed::default(),
    }
}

struct Narrowing<'a> {
    columns: &'a [Column],
    values: Vec<Value>,
}

/// Which numbers a bound keeps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    AtLeast,
    AtMost,
}

impl<'a> Narrowing<'a> {
    /// `None` where the server should not decide.
    fn part(&mut self, predicate: &Predicate) -> Option<String> {
        match predicate {
            Predicate::And(parts) => {
                let kept: Vec<String> = parts.iter().filter_map(|part| self.part(part)).collect();
                (!kept.is_empty()).then(|| format!("({})", kept.join(" AND ")))
            }
            Predicate::Or(parts) => {
                let before = self.values.len();
                let all: Option<Vec<String>> = parts.iter().map(|part| self.part(part)).collect();
                if all.is_none() {
                    self.values.truncate(before);
                }
                all.map(|all| format!("({})", all.join(" OR ")))
            }
            Predicate::Compare {
                column,
                operator,
                literal,
            } => {
                let (column, number) = (self.find(column)?, number(literal)?);
                match operator {
                    Comparison::Equal => Some(self.within(column, number, number)),
                    Comparison::Less | Comparison::LessOrEqual => {
                        Some(self.bound(column, Side::AtMost, number))
                    }
                    Comparison::Greater | Comparison::GreaterOrEqual => {
                        Some(self.or_below_all(column, number))
                    }
                    Comparison::NotEqual => None,
                }
            }
            Predicate::Between { column, low, high } => {
                let (column, low, high) = (self.find(column)?, number(low)?, number(high)?);
                let low = self.or_below_all(column, low);
                let high = self.bound(column, Side::AtMost, high);
                Some(format!("({low} AND {high})"))
            }
            Predicate::In { column, literals } => {
                let column = self.find(column)?;
                let numbers: Option<Vec<&str>> = literals.iter().map(number).collect();
                let mut numbers = numbers?;
                numbers.sort_by_key(|text| Number::parse(text));
                Some(self.within(column, numbers.first()?, numbers.last()?))
            }
            Predicate::Not(_) | Predicate::IsNull { .. } | Predicate::Like { .. } => None,
        }
    }

    fn find(&self, name: &str) -> Option<&'a Column> {
        match resolve(self.columns, name) {
            Resolved::At(index) => match self.columns[index].kind {
                Kind::Integer | Kind::Float | Kind::Numeric => Some(&self.columns[index]),
                Kind::Boolean | Kind::Text | Kind::Other => None,
            },
            Resolved::Unknown | Resolved::Ambiguous => None,
        }
    }

    fn within(&mut self, column: &Column, low: &str, high: &str) -> String {
        let low = self.bound(column, Side::AtLeast, low);
        let high = self.bound(column, Side::AtMost, high);
        format!("({low} AND {high})")
    }

    fn or_below_all(&mut self, column: &Column, low: &str) -> String {
        let bound = self.bound(column, Side::AtLeast, low);
        let name = quoted(column.as_ref());
        match column.kind {
            Kind::Float => format!("({bound} OR {name} = '-Infinity'::pg_catalog.float8)"),
            // Before PostgreSQL 14 no decimal is infinite, and none is read from such a text.
            Kind::Numeric => format!("({bound} OR {name}::pg_catalog.text = '-Infinity')"),
            Kind::Integer | Kind::Boolean | Kind::Text | Kind::Other => bound,
        }
    }

    fn bound(&mut self, column: &Column, side: Side, number: &str) -> String {
        let value = match column.kind {
            Kind::Integer => Value::Integer(integer(side, number)),
            Kind::Float => Value::Float(float(number)),
            _ => Value::Numeric(number.to_owned()),
        };
        let cast = match value {
            Value::Integer(_) | Value::Float(_) => "",
            Value::Numeric(_) => "::pg_catalog.numeric",
        };
        let operator = match side {
            Side::AtLeast => ">=",
            Side::AtMost => "<=",
        };
        self.values.push(value);
        let place = self.values.len();
        format!("{} {operator} ${place}{cast}", quoted(column.as_ref()))
    }
}

/// The constant's text where it is a number.
fn number(literal: &Literal) -> Option<&str> {
    match literal {
        Literal::Number(text) | Literal::Text(text) => Number::parse(text).and(Some(text)),
        Literal::Boolean(_) => None,
    }
}

fn float(number: &str) -> f64 {
    number.parse().expect("a number is the text of a float")
}

/// The integer itself, else one that is below or above the decimal.
fn integer(side: Side, number: &str) -> i64 {
    number.parse().unwrap_or_else(|_| match side {
        Side::AtLeast => float(number).next_down().floor() as i64,
        Side::AtMost => float(number).next_up().ceil() as i64,
    })
}
