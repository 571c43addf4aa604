//! Concord's meaning, without a single process: cryptography, words, algorithms, sessions, and the
//! three doors to the outside world (source, bus, store).
//!
//! **The order below is the architecture: a module may use only modules listed above it**
//! (`tests/tidy.rs` checks it). Nothing above `source` is async or does I/O.

pub mod id;
pub mod limits;

pub mod draw;
pub mod fixed_point;
pub mod mask;
pub mod paillier;
pub mod seal;

pub mod job;
pub mod message;
pub mod party;
pub mod query;
pub mod table;

pub mod federated;
pub mod local;
pub mod session;

pub mod bus;
pub mod source;
pub mod store;
