//! Concord's meaning, without a single process: cryptography, words, algorithms, sessions, and the
//! three doors to the outside world (source, bus, store).
//!
//! **The order below is the architecture: a module may use only modules listed above it**
//! (`tests/tidy.rs` checks it; the empty lines keep rustfmt from sorting). Nothing above `tls` is
//! async or does I/O.

#[cfg(test)]
mod sabotage;

#[cfg(test)]
mod witness;

pub mod id;

pub mod limits;

pub mod fixed_point;

pub mod draw;

pub mod paillier;

pub mod mask;

pub mod seal;

pub mod decimal;

pub mod sharing;

pub mod party;

pub mod computation;

pub mod query;

pub mod table;

pub mod hyperparameters;

pub mod model;

pub mod job;

pub mod message;

pub mod policy;

pub mod admission;

pub mod local;

pub mod federated;

pub mod joint;

pub mod session;

pub mod tls;

pub mod postgres;

pub mod source;

pub mod ledger;

pub mod bus;

pub mod store;

#[cfg(test)]
mod simulation;
