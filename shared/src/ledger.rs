//! A party's memory of what it was asked and what it said: one small SQLite file that all its
//! workers share, beside its keys.
//!
//! It pins each job to one request, one set of parties and one set of rows, and each question of a
//! job to one model, so that neither a rolled-back checkpoint nor a new attempt is a way to ask for
//! more. It remembers cohorts for the difference rule, approvals, and a hash-chained audit log.
//! Every write has reached the operating system before its call returns and so survives the
//! process; at most [`LEDGER_SYNC_MILLISECONDS`] later it also survives a power cut.
//!
//! A ledger that cannot be used is an error, never a yes.

mod audit;
mod decisions;
mod difference;
mod models;
mod schema;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use self::audit::append;
pub use self::audit::{Entry, Record, Verified, What};
pub use self::decisions::{Decided, Decision, Known};
use crate::admission::{Admission, Pledge, Verdict};
use crate::id::{JobId, PartyId};
use crate::job::ReasonCode;
use crate::limits::LEDGER_SYNC_MILLISECONDS;

/// A party's ledger; clones share one connection.
#[derive(Clone)]
pub struct Ledger {
    shared: Arc<Shared>,
}

struct Shared {
    connection: Mutex<Connection>,
    /// SQLite's log of what is not yet in the file itself.
    log: PathBuf,
    /// Whether the log may hold what a power cut would take.
    written: AtomicBool,
    /// Its end is how the thread that syncs learns of ours.
    _alive: Sender<()>,
}

/// Why a ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file or its folder cannot be made or looked at.
    #[error("the ledger {path:?} cannot be used: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// In the words of the operating system.
        cause: String,
    },
    /// Others may read it.
    #[error("the ledger {path:?} may be read by others; run: chmod 600 {path:?}")]
    NotPrivate {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{path:?} is no ledger")]
    NoLedger {
        /// The file.
        path: PathBuf,
    },
    /// Another version of Concord wrote it.
    #[error("the ledger {path:?} has version {version}, which this version does not know")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: i64,
    },
    /// It holds something that no version writes.
    #[error("the ledger is damaged: {what} cannot be read")]
    Damaged {
        /// What.
        what: &'static str,
    },
    /// The database under it failed, or is busy for too long.
    #[error("the ledger cannot be used: {0}")]
    Database(#[from] rusqlite::Error),
}

impl Error {
    /// The kind of reason for a job's report.
    pub fn code(&self) -> ReasonCode {
        ReasonCode::LedgerUnavailable
    }
}

/// Where a job stands at one party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The policy let it in.
    Auto,
    /// A person has to decide.
    Pending,
    /// A person said yes.
    Approved,
    /// A person said no.
    Rejected,
    /// Nobody decided in time.
    Expired,
}

impl Standing {
    const ALL: [Standing; 5] = [
        Standing::Auto,
        Standing::Pending,
        Standing::Approved,
        Standing::Rejected,
        Standing::Expired,
    ];

    /// The word of the table and of the commands.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Auto => "auto",
            Standing::Pending => "pending",
            Standing::Approved => "approved",
            Standing::Rejected => "rejected",
            Standing::Expired => "expired",
        }
    }

    /// A stored word, at a time.
    fn read(word: &str, expires_ms: i64, now_ms: i64) -> Result<Standing, Error> {
        let mut all = Standing::ALL.into_iter();
        let found = all.find(|standing| standing.as_str() == word);
        match found.ok_or(Error::Damaged { what: "a standing" })? {
            Standing::Pending if expires_ms <= now_ms => Ok(Standing::Expired),
            standing => Ok(standing),
        }
    }

    fn verdict(self) -> Verdict {
        match self {
            Standing::Auto | Standing::Approved => Verdict::Admitted,
            Standing::Pending => Verdict::Awaiting,
            Standing::Rejected => Verdict::Refused(ReasonCode::ApprovalRejected),
            Standing::Expired => Verdict::Refused(ReasonCode::ApprovalExpired),
        }
    }
}

impl Ledger {
    /// Opens a ledger, made with mode 0600 where there is none; its folder too.
    ///
    /// # Errors
    /// When others may read the file, it is something else or of another version, or cannot be used.
    pub fn open(path: &Path) -> Result<Ledger, Error> {
        let connection = schema::open(path)?;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let (alive, end) = channel();
        let shared = Arc::new(Shared {
            connection: Mutex::new(connection),
            log: PathBuf::from(log),
            // What a process that died had written.
            written: AtomicBool::new(true),
            _alive: alive,
        });
        let ours = Arc::downgrade(&shared);
        let syncing = std::thread::Builder::new().name("ledger".to_owned());
        syncing
            .spawn(move || sync(&ours, &end))
            .map_err(|error| Error::File {
                path: path.to_owned(),
                cause: error.kind().to_string(),
            })?;
        Ok(Ledger { shared })
    }

    /// Whether a session may take part with the rows that it read: pins the job at its first
    /// session, compares every later one, and applies the difference rule to a new job. The same
    /// answer to the same admission, whenever it comes, unless a person decided meanwhile.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn admit(&self, admission: &Admission, now_ms: i64) -> Result<Verdict, Error> {
        self.change(|ledger| {
            let job = admission.fence.job;
            // At every session: a later one may bring another model.
            let foreign = models::foreign(ledger, admission)?;
            let verdict = match (foreign, pinned(ledger, admission)?) {
                (Some(code), _) | (None, Pinned::Other(code)) => Some(Verdict::Refused(code)),
                (None, Pinned::Same) => None,
                (None, Pinned::Unknown) if admission.earlier.is_some() => {
                    Some(Verdict::Refused(ReasonCode::LedgerLost))
                }
                (None, Pinned::Unknown) => pin(ledger, admission, now_ms)?,
            };
            let verdict = match verdict {
                Some(verdict) => verdict,
                None => decisions::standing(ledger, job, now_ms)?
                    .ok_or(Error::Damaged { what: "a job" })?
                    .verdict(),
            };
            let (what, text) = match verdict {
                Verdict::Admitted => (What::Admitted, describe(admission)),
                Verdict::Awaiting => (What::Awaiting, describe(admission)),
                Verdict::Refused(code) => {
                    (What::Refused, format!("{code:?}; {}", describe(admission)))
                }
            };
            let is_refused = matches!(verdict, Verdict::Refused(_));
            // A repeat is no news, and a refused session has no place in the list.
            if is_refused || sit(ledger, admission, now_ms)? {
                let job = Some(job);
                append(ledger, now_ms, &Entry { what, job, text })?;
            }
            Ok(verdict)
        })
    }

    /// What a job's verdict is by now; refused where the ledger knows nothing of it.
    ///
    /// # Errors
    /// When the ledger cannot be read, or an expiry cannot be written.
    pub fn verdict(&self, job: JobId, now_ms: i64) -> Result<Verdict, Error> {
        self.change(|ledger| {
            let standing = decisions::standing(ledger, job, now_ms)?;
            let lost = Verdict::Refused(ReasonCode::LedgerLost);
            Ok(standing.map_or(lost, Standing::verdict))
        })
    }

    /// Promises to answer this question for this model only. True when it is new or was promised
    /// before, false when it was promised for another model: then the answer must not leave.
    ///
    /// # Errors
    /// When the ledger cannot be written; then the answer must not leave either.
    pub fn pledge(&self, pledge: &Pledge) -> Result<bool, Error> {
        let ledger = self.connection();
        let key = params![
            blob(&pledge.job),
            pledge.kind,
            pledge.round.0,
            pledge.batch,
            pledge.model
        ];
        let mut insert = ledger.prepare_cached(
            "INSERT INTO pledge (job, kind, round, batch, model) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT DO NOTHING",
        )?;
        if insert.execute(key)? == 1 {
            self.shared.written.store(true, Ordering::Relaxed);
            return Ok(true);
        }
        // An honest job asks one question a round.
        let mut select = ledger
            .prepare_cached("SELECT kind, batch, model FROM pledge WHERE job = ? AND round = ?")?;
        let (kind, batch, model): (u8, u32, Vec<u8>) = select
            .query_row(params![blob(&pledge.job), pledge.round.0], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        Ok((kind, batch) == (pledge.kind, pledge.batch) && model == pledge.model)
    }

    /// The guest of a training that the party let in.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn leader(&self, job: JobId) -> Result<Option<PartyId>, Error> {
        self.look(|ledger| models::leader(ledger, &job))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A transaction that a panic interrupts is rolled back: the connection is whole.
        let connection = self.shared.connection.lock();
        connection.unwrap_or_else(PoisonError::into_inner)
    }

    fn look<T>(&self, look: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        look(&self.connection())
    }

    /// All of it, or nothing.
    fn change<T>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let changed = change(&transaction)?;
        transaction.commit()?;
        self.shared.written.store(true, Ordering::Relaxed);
        Ok(changed)
    }
}

/// How a known job compares with an admission.
enum Pinned {
    Unknown,
    Same,
    Other(ReasonCode),
}

fn pinned(ledger: &Transaction<'_>, admission: &Admission) -> Result<Pinned, Error> {
    let compare = |row: &Row<'_>| {
        let same_request = row.get::<_, i64>(0)? == admission.guest.0 as i64
            && row.get::<_, Vec<u8>>(1)? == listed(&admission.parties)
            && row.get::<_, Vec<u8>>(2)? == admission.request;
        let digest: Vec<u8> = row.get(3)?;
        let earlier = admission.earlier.as_ref();
        Ok(if !same_request {
            Pinned::Other(ReasonCode::RequestChanged)
        } else if digest != admission.digest || earlier.is_some_and(|earlier| *earlier != digest) {
            Pinned::Other(ReasonCode::DataChanged)
        } else {
            Pinned::Same
        })
    };
    let known = ledger
        .prepare_cached("SELECT guest, parties, request, digest FROM job WHERE job = ?1")?
        .query_row([blob(&admission.fence.job)], compare)
        .optional()?;
    Ok(known.unwrap_or(Pinned::Unknown))
}

/// Pins a new job; gives a verdict where there is nothing to pin.
fn pin(
    ledger: &Transaction<'_>,
    admission: &Admission,
    now_ms: i64,
) -> Result<Option<Verdict>, Error> {
    let cohort = match &admission.cohort {
        Some(cohort) if difference::is_too_close(ledger, cohort, admission.ndiff, now_ms)? => {
            return Ok(Some(Verdict::Refused(ReasonCode::CohortPolicy)));
        }
        Some(cohort) => Some(difference::remember(ledger, cohort, now_ms)?),
        None => None,
    };
    let standing = match admission.manual {
        true => Standing::Pending,
        false => Standing::Auto,
    };
    let wait = i64::try_from(admission.approval.as_millis()).unwrap_or(i64::MAX);
    let summary = &admission.summary;
    let text = serde_json::to_string(summary).map_err(|_| Error::Damaged { what: "a summary" })?;
    ledger
        .prepare_cached(
            "INSERT INTO job (job, kind, guest, parties, request, digest, cohort, standing,
                 since_ms, expires_ms, summary) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            blob(&admission.fence.job),
            summary.kind,
            admission.guest.0 as i64,
            listed(&admission.parties),
            admission.request,
            admission.digest,
            cohort,
            standing.as_str(),
            now_ms,
            now_ms.saturating_add(wait),
            text
        ])?;
    Ok(None)
}

/// Writes a session down; false when it was there.
fn sit(ledger: &Transaction<'_>, admission: &Admission, now_ms: i64) -> Result<bool, Error> {
    let fence = &admission.fence;
    let session = fence.session.0.as_bytes();
    let sql = "INSERT INTO session (job, attempt, session, at_ms) VALUES (?, ?, ?, ?)
        ON CONFLICT DO NOTHING";
    let key = params![blob(&fence.job), fence.attempt.0, session, now_ms];
    Ok(ledger.prepare_cached(sql)?.execute(key)? == 1)
}

fn describe(admission: &Admission) -> String {
    let Admission {
        fence,
        guest,
        summary,
        ..
    } = admission;
    format!(
        "{} of party {guest}, attempt {}, {} rows of {}",
        summary.kind,
        fence.attempt.0,
        summary.rows,
        summary.relations.join(" and ")
    )
}

fn listed(parties: &[PartyId]) -> Vec<u8> {
    parties
        .iter()
        .flat_map(|party| party.0.to_be_bytes())
        .collect()
}

fn blob(job: &JobId) -> &[u8; 16] {
    job.0.as_bytes()
}

/// Makes what was written safe from a power cut, until the ledger is closed, which does so by
/// itself.
fn sync(ours: &Weak<Shared>, end: &Receiver<()>) {
    let pause = Duration::from_millis(LEDGER_SYNC_MILLISECONDS);
    while end.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        let Some(shared) = ours.upgrade() else {
            return;
        };
        if shared.written.swap(false, Ordering::Relaxed)
            && File::open(&shared.log)
                .and_then(|log| log.sync_data())
                .is_err()
        {
            shared.written.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
