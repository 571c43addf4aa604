//! Federations on disk, systems that run them, clients that ask them, and rows for them.

mod client;
mod distributed;
pub(crate) mod people;
mod process;
mod request;
mod rows;
mod services;
mod site;
mod system;

use std::time::{Duration, Instant};

pub(crate) use client::{Client, Job};
pub(crate) use distributed::{Deployment, Role};
pub(crate) use process::{Process, concord};
pub(crate) use request::{seed_blocks, seed_sample, seed_train, train};
pub(crate) use rows::{Patient, csv, patients, seed_hospitals};
pub(crate) use services::{Server, Services, told};
pub(crate) use site::{Hospital, Site};
pub(crate) use system::System;

/// Between two looks at something that is waited for.
const POLL: Duration = Duration::from_millis(20);
/// How long anything may take that must happen.
const PATIENCE: Duration = Duration::from_secs(90);

/// Looks until there is something to see.
///
/// # Panics
/// When there is nothing for too long; `what` says what was waited for.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "waited too long for {what}");
        tokio::time::sleep(POLL).await;
    }
}
