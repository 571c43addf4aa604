//! Concord as one executable: what each command puts together.

pub mod callers;
pub mod data_dir;
pub mod demo;
pub mod directory;
pub mod export;
pub mod federation;
pub mod fill;
mod office;
pub mod party;
pub mod process;
pub mod result;
pub mod secret;
mod settings;
pub mod standalone;
pub mod submit;
pub mod tls;
pub mod users;
