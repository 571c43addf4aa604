//! Brings tables up to date, and refuses those of a newer version.

use diesel::backend::Backend;
use diesel::migration::MigrationSource;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};

/// Why the tables are not up to date.
pub(super) enum Fault {
    /// A migration ran here that this version does not know.
    Unknown { found: String, known: String },
    /// The database refused.
    Refused(Box<dyn std::error::Error + Send + Sync>),
}

impl From<Box<dyn std::error::Error + Send + Sync>> for Fault {
    fn from(error: Box<dyn std::error::Error + Send + Sync>) -> Fault {
        Fault::Refused(error)
    }
}

/// Runs what has not run yet. The caller sees to it that nobody else does at the same time.
pub(super) fn run<B: Backend>(
    database: &mut impl MigrationHarness<B>,
    migrations: EmbeddedMigrations,
) -> Result<(), Fault> {
    let known: Vec<String> = MigrationSource::<B>::migrations(&migrations)?
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect();
    for found in database.applied_migrations()? {
        let found = found.to_string();
        if !known.contains(&found) {
            let known = known.into_iter().max().unwrap_or_default();
            return Err(Fault::Unknown { found, known });
        }
    }
    database.run_pending_migrations(migrations)?;
    Ok(())
}
