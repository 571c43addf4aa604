//! A requester's SQL as a small typed query; its text is never executed.

use serde::{Deserialize, Serialize};

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

/// A table or view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Schema, if one was named.
    pub schema: Option<String>,
    /// Name.
    pub name: String,
}

/// A condition on a row (to be completed by the parser's author).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Predicate {}
