//! Concord's HTTP edge: takes jobs, answers polls, keeps nothing between two requests.
//!
//! One file per verb in `routes/`. What a request may say is read field by field
//! (`train_request`, `infer_request`, `hyperparameters`), what is answered has one envelope
//! (`answer`), and the seed's words for our states are in `wording`.

mod answer;
mod base;
mod fields;
mod hyperparameters;
mod infer_request;
mod json;
mod request;
mod serve;
mod sql;
mod train_request;
mod wording;

pub use base::{Base, BaseError};
pub use serve::{Limits, serve};

#[cfg(test)]
mod tests;
