//! What a person at the party sees and decides.

use rusqlite::{OptionalExtension, Row, Transaction, params};
use uuid::Uuid;

use super::audit::{Entry, What, append};
use super::{Error, Ledger, Standing, blob, difference};
use crate::admission::Summary;
use crate::id::{JobId, PartyId};

/// A job that the party knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Its id.
    pub job: JobId,
    /// The party that leads it.
    pub guest: PartyId,
    /// Where it stands at this party.
    pub standing: Standing,
    /// First seen, in Unix milliseconds.
    pub since_ms: i64,
    /// When [`Standing::Pending`] ends.
    pub expires_ms: i64,
    /// Who decided, and when.
    pub decided: Option<(String, i64)>,
    /// What was asked for.
    pub summary: Summary,
    /// Sessions that were let in.
    pub sessions: u64,
    /// Questions that were answered.
    pub pledges: u64,
}

/// A person's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Approve,
    /// No.
    Reject,
}

/// What became of a person's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// It counts from now on.
    Done,
    /// The ledger knows no such job.
    Unknown,
    /// It was too late, or nothing was to be decided.
    Not(Standing),
}

const KNOWN: &str = "SELECT job, guest, standing, since_ms, expires_ms, decided_by, decided_ms,
        summary, (SELECT count(*) FROM session WHERE session.job = job.job),
        (SELECT count(*) FROM pledge WHERE pledge.job = job.job)
    FROM job";

impl Ledger {
    /// The jobs that a person has to decide on, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn pending(&self, now_ms: i64) -> Result<Vec<Known>, Error> {
        self.look(|ledger| {
            let sql = format!(
                "{KNOWN} WHERE standing = 'pending' AND expires_ms > ?1 ORDER BY since_ms, job"
            );
            let mut statement = ledger.prepare_cached(&sql)?;
            let mut found = statement.query([now_ms])?;
            let mut all = Vec::new();
            while let Some(row) = found.next()? {
                all.push(known(row, now_ms)?);
            }
            Ok(all)
        })
    }

    /// One job, if the ledger knows it.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn show(&self, job: JobId, now_ms: i64) -> Result<Option<Known>, Error> {
        self.look(|ledger| {
            let mut statement = ledger.prepare_cached(&format!("{KNOWN} WHERE job = ?1"))?;
            let mut found = statement.query([blob(&job)])?;
            match found.next()? {
                Some(row) => known(row, now_ms).map(Some),
                None => Ok(None),
            }
        })
    }

    /// A person's word on a job that awaits one; `by` is who says so.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn decide(
        &self,
        job: JobId,
        decision: Decision,
        by: &str,
        now_ms: i64,
    ) -> Result<Decided, Error> {
        self.change(|ledger| {
            let Some(standing) = standing(ledger, job, now_ms)? else {
                return Ok(Decided::Unknown);
            };
            if standing != Standing::Pending {
                return Ok(Decided::Not(standing));
            }
            let (standing, what) = match decision {
                Decision::Approve => (Standing::Approved, What::Approved),
                Decision::Reject => (Standing::Rejected, What::Rejected),
            };
            let sql = "UPDATE job SET standing = ?2, decided_by = ?3, decided_ms = ?4
                WHERE job = ?1";
            ledger.execute(sql, params![blob(&job), standing.as_str(), by, now_ms])?;
            if decision == Decision::Reject {
                forget(ledger, job)?;
            }
            let entry = Entry {
                what,
                job: Some(job),
                text: format!("by {by}"),
            };
            append(ledger, now_ms, &entry)?;
            Ok(Decided::Done)
        })
    }
}

fn known(row: &Row<'_>, now_ms: i64) -> Result<Known, Error> {
    let decided: (Option<String>, Option<i64>) = (row.get(5)?, row.get(6)?);
    let (standing, expires_ms): (String, i64) = (row.get(2)?, row.get(4)?);
    let summary: String = row.get(7)?;
    Ok(Known {
        job: JobId(Uuid::from_bytes(row.get(0)?)),
        guest: PartyId(row.get::<_, i64>(1)? as u64),
        standing: Standing::read(&standing, expires_ms, now_ms)?,
        since_ms: row.get(3)?,
        expires_ms,
        decided: decided.0.zip(decided.1),
        summary: serde_json::from_str(&summary)
            .map_err(|_| Error::Damaged { what: "a summary" })?,
        sessions: row.get::<_, i64>(8)? as u64,
        pledges: row.get::<_, i64>(9)? as u64,
    })
}

/// Where a job stands now; writes down that it expired.
pub(super) fn standing(
    ledger: &Transaction<'_>,
    job: JobId,
    now_ms: i64,
) -> Result<Option<Standing>, Error> {
    let found = ledger
        .prepare_cached("SELECT standing, expires_ms FROM job WHERE job = ?1")?
        .query_row([blob(&job)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((stored, expires_ms)): Option<(String, i64)> = found else {
        return Ok(None);
    };
    let standing = Standing::read(&stored, expires_ms, now_ms)?;
    if standing.as_str() != stored {
        let sql = "UPDATE job SET standing = ?2 WHERE job = ?1";
        ledger.execute(sql, params![blob(&job), standing.as_str()])?;
        forget(ledger, job)?;
        let entry = Entry {
            what: What::Expired,
            job: Some(job),
            text: "nobody decided in time".to_owned(),
        };
        append(ledger, now_ms, &entry)?;
    }
    Ok(Some(standing))
}

/// Forgets the cohort of a job that was never let in.
fn forget(ledger: &Transaction<'_>, job: JobId) -> Result<(), Error> {
    let sql = "SELECT cohort FROM job WHERE job = ?1";
    let cohort: Option<i64> = ledger.query_row(sql, [blob(&job)], |row| row.get(0))?;
    ledger.execute("UPDATE job SET cohort = NULL WHERE job = ?1", [blob(&job)])?;
    match cohort {
        Some(cohort) => difference::release(ledger, cohort),
        None => Ok(()),
    }
}
