//! Which trainings the party had a part in, and whose models it therefore scores with.

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::{Error, blob};
use crate::admission::Admission;
use crate::id::{JobId, PartyId};
use crate::job::ReasonCode;

/// The guest of a training that the party let in.
pub(super) fn leader(ledger: &Connection, job: &JobId) -> Result<Option<PartyId>, Error> {
    let guest: Option<i64> = ledger
        .prepare_cached(
            "SELECT guest FROM job WHERE job = ?1 AND kind = 'train'
                 AND standing IN ('auto', 'approved')",
        )?
        .query_row([blob(job)], |row| row.get(0))
        .optional()?;
    Ok(guest.map(|guest| PartyId(guest as u64)))
}

/// Why the model of an inference is not one that this party helped to train: nobody may put
/// another in its place.
pub(super) fn foreign(
    ledger: &Transaction<'_>,
    admission: &Admission,
) -> Result<Option<ReasonCode>, Error> {
    let Some((trained_by, writer)) = &admission.model else {
        return Ok(None);
    };
    Ok(match leader(ledger, trained_by)? {
        Some(guest) if guest == *writer => None,
        Some(_) => Some(ReasonCode::ModelMissing),
        None => Some(ReasonCode::LedgerLost),
    })
}
