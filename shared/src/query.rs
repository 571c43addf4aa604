//! A requester's SQL as a small typed query; its text is never executed.
//!
//! The text is parsed into a [`Query`], and what the query means is said here once, over text
//! cells ([`Predicate::holds`]). A source reads whole columns and asks the predicate about each
//! row, so no word of a requester ever reaches a database, and every source agrees.

mod grammar;
mod lexer;
mod number;
mod truth;

use serde::{Deserialize, Serialize};

pub use self::grammar::parse;
pub use self::number::Number;
pub(crate) use self::truth::compare;
use crate::limits;

/// `SELECT columns FROM relation [WHERE filter]`, and nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// What is read.
    pub relation: Relation,
    /// Columns named by the requester; `None` is `*`.
    pub columns: Option<Vec<String>>,
    /// Which rows; `None` is all.
    pub filter: Option<Predicate>,
}

/// A table or view. Letters and digits of any script, `_` and `-` only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Schema, if one was named.
    pub schema: Option<String>,
    /// Name.
    pub name: String,
}

/// A condition on a row, with SQL's three-valued logic (see [`Predicate::holds`]).
/// `NOT IN`, `NOT BETWEEN`, `NOT LIKE` and `IS NOT NULL` are a [`Predicate::Not`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Predicate {
    /// Every part; two or more.
    And(Vec<Predicate>),
    /// Any part; two or more.
    Or(Vec<Predicate>),
    /// The opposite; unknown stays unknown.
    Not(Box<Predicate>),
    /// `column operator literal`.
    Compare {
        /// Column name as the requester wrote it.
        column: String,
        /// The comparison.
        operator: Comparison,
        /// What the cell is compared with.
        literal: Literal,
    },
    /// `column IN (literals)`.
    In {
        /// Column name.
        column: String,
        /// At least one, at most [`limits::IN_LITERALS_MAX`].
        literals: Vec<Literal>,
    },
    /// `column BETWEEN low AND high`, both ends included.
    Between {
        /// Column name.
        column: String,
        /// Lower end.
        low: Literal,
        /// Upper end.
        high: Literal,
    },
    /// `column IS NULL`: the cell is missing.
    IsNull {
        /// Column name.
        column: String,
    },
    /// `column LIKE pattern`: `%` is any run of characters, `_` is one; letters' case matters.
    Like {
        /// Column name.
        column: String,
        /// At most [`limits::LIKE_WILDCARDS_MAX`] `%`.
        pattern: String,
    },
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>` or `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A constant of a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Literal {
    /// An integer or decimal, as written.
    Number(String),
    /// A string; dates are strings.
    Text(String),
    /// `TRUE` or `FALSE`.
    Boolean(bool),
}

/// Where and why a text was refused. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SQL, character {position}: {rule}")]
pub struct SqlError {
    /// Character of the text, counted from 1.
    pub position: usize,
    /// The rule it breaks.
    pub rule: Rule,
}

/// What a query must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "a rule's message is its meaning")]
pub enum Rule {
    #[error("the text is longer than {} bytes", limits::SQL_BYTES_MAX)]
    TooLong,
    #[error("only one SELECT statement is allowed")]
    NotSelect,
    #[error("a character that has no meaning here")]
    Character,
    #[error("comments and hints are not allowed")]
    Comment,
    #[error("a quoted text or name does not end")]
    Unterminated,
    #[error("backslashes, escapes and prefixed strings are not allowed")]
    Escape,
    #[error("names are quoted as \"name\", without quotes inside; texts as 'text'")]
    Quote,
    #[error("numbers are decimal, such as 38, -1.5 or 1e-3")]
    Number,
    #[error("parameters, variables and dollar quotes are not allowed")]
    Parameter,
    #[error("arithmetic and operators other than = <> != < <= > >= are not allowed")]
    Operator,
    #[error("casts are not allowed")]
    Cast,
    #[error("functions are not allowed")]
    Function,
    #[error("subqueries are not allowed")]
    Subquery,
    #[error("WITH is not allowed")]
    With,
    #[error("UNION, INTERSECT and EXCEPT are not allowed")]
    SetOperation,
    #[error("joins and several relations are not allowed")]
    Join,
    #[error("aliases are not allowed")]
    Alias,
    #[error("DISTINCT, ALL and ONLY are not allowed")]
    Distinct,
    #[error("ORDER BY, LIMIT, OFFSET, FETCH, FOR and TABLESAMPLE are not allowed")]
    Slice,
    #[error("GROUP BY, HAVING and windows are not allowed")]
    Grouping,
    #[error("a second statement is not allowed")]
    SecondStatement,
    #[error("`*` or plain column names must stand between SELECT and FROM")]
    Columns,
    #[error("columns are named without their table")]
    Qualified,
    #[error("a word that SQL reserves is no name, unless quoted")]
    Reserved,
    #[error("a name has 1 to {} bytes", limits::NAME_BYTES_MAX)]
    NameLength,
    #[error("FROM [schema.]table must follow the columns")]
    From,
    #[error("names of schemas and tables hold letters, digits, _ and - only")]
    RelationName,
    #[error("a condition starts with a column, NOT or a parenthesis")]
    Condition,
    #[error("a column is followed by a comparison, IN, BETWEEN, LIKE or IS [NOT] NULL")]
    Comparison,
    #[error("a comparison needs a number, a 'text', TRUE or FALSE on its right")]
    Literal,
    #[error("NULL is found with IS NULL or IS NOT NULL")]
    Null,
    #[error("an IN list has 1 to {} values", limits::IN_LITERALS_MAX)]
    InList,
    #[error("a constant is longer than {} bytes", limits::LITERAL_BYTES_MAX)]
    LiteralLength,
    #[error(
        "a LIKE pattern is a 'text' with at most {} %",
        limits::LIKE_WILDCARDS_MAX
    )]
    Pattern,
    #[error("a parenthesis is not closed")]
    Parenthesis,
    #[error("conditions are nested deeper than {}", limits::CONDITION_DEPTH_MAX)]
    Depth,
    #[error("more than {} conditions", limits::CONDITIONS_MAX)]
    Conditions,
    #[error("the statement should end here")]
    End,
}

impl Query {
    /// Whether the query keeps every bound of [`parse`]: what a party asks of a query that reached
    /// it as JSON, where no parser has looked.
    ///
    /// # Errors
    /// The first bound that is broken.
    pub fn check(&self) -> Result<(), Rule> {
        let Relation { schema, name } = &self.relation;
        if !schema.iter().chain([name]).all(|name| is_plain(name)) {
            return Err(Rule::RelationName);
        }
        for column in self.columns.iter().flatten() {
            check_name(column)?;
        }
        let mut conditions = 0;
        match &self.filter {
            Some(filter) => filter.check(1, &mut conditions),
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for Relation {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(out, "{schema}.{}", self.name),
            None => out.write_str(&self.name),
        }
    }
}

impl Predicate {
    fn check(&self, depth: usize, conditions: &mut usize) -> Result<(), Rule> {
        if depth > limits::CONDITION_DEPTH_MAX {
            return Err(Rule::Depth);
        }
        match self {
            Predicate::And(parts) | Predicate::Or(parts) => {
                return parts
                    .iter()
                    .try_for_each(|part| part.check(depth + 1, conditions));
            }
            Predicate::Not(part) => return part.check(depth + 1, conditions),
            Predicate::Compare {
                column, literal, ..
            } => {
                check_name(column)?;
                literal.check()?;
            }
            Predicate::In { column, literals } => {
                check_name(column)?;
                if literals.is_empty() || literals.len() > limits::IN_LITERALS_MAX {
                    return Err(Rule::InList);
                }
                literals.iter().try_for_each(Literal::check)?;
            }
            Predicate::Between { column, low, high } => {
                check_name(column)?;
                low.check()?;
                high.check()?;
            }
            Predicate::IsNull { column } => check_name(column)?,
            Predicate::Like { column, pattern } => {
                check_name(column)?;
                if pattern.len() > limits::LITERAL_BYTES_MAX {
                    return Err(Rule::LiteralLength);
                }
                if pattern.matches('%').count() > limits::LIKE_WILDCARDS_MAX {
                    return Err(Rule::Pattern);
                }
            }
        }
        *conditions += 1;
        if *conditions > limits::CONDITIONS_MAX {
            return Err(Rule::Conditions);
        }
        Ok(())
    }

    /// Calls `visit` with the column of every condition, in the order of the text.
    pub fn columns<'a>(&'a self, visit: &mut dyn FnMut(&'a str)) {
        match self {
            Predicate::And(parts) | Predicate::Or(parts) => {
                parts.iter().for_each(|part| part.columns(visit));
            }
            Predicate::Not(part) => part.columns(visit),
            Predicate::Compare { column, .. }
            | Predicate::In { column, .. }
            | Predicate::Between { column, .. }
            | Predicate::IsNull { column }
            | Predicate::Like { column, .. } => visit(column),
        }
    }

    /// Gives the column of every condition the name that `spell` says.
    pub fn rename(&mut self, spell: &mut dyn FnMut(&str) -> String) {
        match self {
            Predicate::And(parts) | Predicate::Or(parts) => {
                parts.iter_mut().for_each(|part| part.rename(spell));
            }
            Predicate::Not(part) => part.rename(spell),
            Predicate::Compare { column, .. }
            | Predicate::In { column, .. }
            | Predicate::Between { column, .. }
            | Predicate::IsNull { column }
            | Predicate::Like { column, .. } => *column = spell(column),
        }
    }
}

impl Literal {
    fn check(&self) -> Result<(), Rule> {
        match self {
            Literal::Number(text) | Literal::Text(text)
                if text.len() > limits::LITERAL_BYTES_MAX =>
            {
                Err(Rule::LiteralLength)
            }
            Literal::Number(_) | Literal::Text(_) | Literal::Boolean(_) => Ok(()),
        }
    }
}

fn check_name(name: &str) -> Result<(), Rule> {
    match name.len() {
        1..=limits::NAME_BYTES_MAX => Ok(()),
        _ => Err(Rule::NameLength),
    }
}

/// Whether a name of a schema or table can be neither a path nor a syntax of any source.
fn is_plain(name: &str) -> bool {
    check_name(name).is_ok()
        && name
            .chars()
            .all(|letter| letter.is_alphanumeric() || letter == '_' || letter == '-')
}

/// Which of several names is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// The one at this index.
    At(usize),
    /// None.
    Unknown,
    /// Several that differ in case only, and none is spelled exactly so.
    Ambiguous,
}

/// Finds a name: spelled exactly so, else the only one that differs in case alone.
pub fn resolve<S: AsRef<str>>(names: &[S], wanted: &str) -> Resolved {
    if let Some(index) = names.iter().position(|name| name.as_ref() == wanted) {
        return Resolved::At(index);
    }
    let folded = wanted.to_lowercase();
    let mut alike = names
        .iter()
        .enumerate()
        .filter(|(_, name)| name.as_ref().to_lowercase() == folded);
    match (alike.next(), alike.next()) {
        (None, _) => Resolved::Unknown,
        (Some((index, _)), None) => Resolved::At(index),
        (Some(_), Some(_)) => Resolved::Ambiguous,
    }
}

#[cfg(test)]
pub(crate) mod tests;
