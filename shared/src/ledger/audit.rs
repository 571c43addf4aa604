//! What a party did, record by record; each holds a hash of all before it.

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Error, Ledger, blob};
use crate::id::JobId;

/// What a record tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A session of a job was let in.
    Admitted,
    /// A job waits for a person.
    Awaiting,
    /// A session of a job was refused.
    Refused,
    /// A person said yes.
    Approved,
    /// A person said no.
    Rejected,
    /// Nobody decided in time.
    Expired,
    /// A round was asked for a second model, and not answered.
    TwoModels,
    /// A result left the party.
    Released,
}

impl What {
    const ALL: [What; 8] = [
        What::Admitted,
        What::Awaiting,
        What::Refused,
        What::Approved,
        What::Rejected,
        What::Expired,
        What::TwoModels,
        What::Released,
    ];

    /// The word of the log.
    pub fn as_str(self) -> &'static str {
        match self {
            What::Admitted => "admitted",
            What::Awaiting => "awaiting",
            What::Refused => "refused",
            What::Approved => "approved",
            What::Rejected => "rejected",
            What::Expired => "expired",
            What::TwoModels => "two-models",
            What::Released => "released",
        }
    }
}

/// Something to write down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What happened.
    pub what: What,
    /// To which job.
    pub job: Option<JobId>,
    /// One sentence; never a row, an id of a row, a query's text or a key.
    pub text: String,
}

/// Something that was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number, from 1.
    pub number: u64,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
    /// What happened.
    pub what: String,
    /// To which job.
    pub job: Option<JobId>,
    /// One sentence.
    pub text: String,
}

/// What the chain of hashes shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Records that follow from each other, from the first on.
    pub records: u64,
    /// The hash of the last of them. Who notes it down elsewhere recognises a log whose end was cut.
    pub head: [u8; 32],
    /// The first record that does not follow from those before it.
    pub broken: Option<u64>,
}

/// `h_i = SHA-256(h_(i-1) || record_i)`, with `h_0` all zero; texts follow their length.
fn hash(before: &[u8; 32], record: &Record) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(record.number.to_be_bytes());
    hash.update(record.at_ms.to_be_bytes());
    let job = record.job.map(|job| *job.0.as_bytes());
    hash.update([u8::from(job.is_some())]);
    hash.update(job.unwrap_or_default());
    for text in [&record.what, &record.text] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

/// Adds a record at the end.
pub(super) fn append(ledger: &Transaction<'_>, now_ms: i64, entry: &Entry) -> Result<(), Error> {
    let last = ledger
        .prepare_cached("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (number, before): (i64, [u8; 32]) = last.unwrap_or_default();
    let record = Record {
        number: number as u64 + 1,
        at_ms: now_ms,
        what: entry.what.as_str().to_owned(),
        job: entry.job,
        text: entry.text.clone(),
    };
    ledger
        .prepare_cached(
            "INSERT INTO audit (number, at_ms, what, job, text, hash) VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            record.number as i64,
            record.at_ms,
            record.what,
            entry.job.as_ref().map(blob),
            record.text,
            hash(&before, &record)
        ])?;
    Ok(())
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Record, Vec<u8>)> {
    let job: Option<[u8; 16]> = row.get(3)?;
    let record = Record {
        number: row.get::<_, i64>(0)? as u64,
        at_ms: row.get(1)?,
        what: row.get(2)?,
        job: job.map(|job| JobId(Uuid::from_bytes(job))),
        text: row.get(4)?,
    };
    Ok((record, row.get(5)?))
}

impl Ledger {
    /// Writes something down.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn record(&self, now_ms: i64, entry: &Entry) -> Result<(), Error> {
        self.change(|ledger| append(ledger, now_ms, entry))
    }

    /// The newest records (of one job), oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn audit(&self, job: Option<JobId>, newest: usize) -> Result<Vec<Record>, Error> {
        self.look(|ledger| {
            let mut statement = ledger.prepare_cached(
                "SELECT number, at_ms, what, job, text, hash FROM audit
                 WHERE ?1 IS NULL OR job = ?1 ORDER BY number DESC LIMIT ?2",
            )?;
            let newest = i64::try_from(newest).unwrap_or(i64::MAX);
            let found = statement.query_map(params![job.as_ref().map(blob), newest], read)?;
            let mut records = found
                .map(|record| record.map(|(record, _)| record))
                .collect::<Result<Vec<_>, _>>()?;
            records.reverse();
            Ok(records)
        })
    }

    /// Follows the chain of hashes: finds the first record that was edited, moved, or stands where
    /// one was removed. It cannot know of records that were cut off the end.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn verify(&self) -> Result<Verified, Error> {
        self.look(follow)
    }
}

fn follow(ledger: &Connection) -> Result<Verified, Error> {
    let mut statement = ledger
        .prepare_cached("SELECT number, at_ms, what, job, text, hash FROM audit ORDER BY number")?;
    let mut verified = Verified {
        records: 0,
        head: [0; 32],
        broken: None,
    };
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let number: i64 = row.get(0)?;
        let follows = match read(row) {
            Ok((record, stored)) => {
                let is_word = What::ALL.iter().any(|what| what.as_str() == record.what);
                let expected = hash(&verified.head, &record);
                let follows =
                    is_word && record.number == verified.records + 1 && stored == expected;
                follows.then_some(expected)
            }
            Err(_) => None,
        };
        match follows {
            Some(head) => {
                verified.records += 1;
                verified.head = head;
            }
            None => {
                verified.broken = Some(number as u64);
                break;
            }
        }
    }
    Ok(verified)
}
