//! One session's thread: hands it inputs, time and idle moments, and does what it wants done.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use shared::admission::{Pledge, Verdict, refused};
use shared::bus;
use shared::computation::Learner;
use shared::id::PartyId;
use shared::job::{Fence, Reason, ReasonCode};
use shared::ledger::{self, Entry, Ledger, What};
use shared::local::learning::{self, Files, Learned};
use shared::message::{self, Event, EventBody, Outcome, ToSession, queue};
use shared::paillier::PrivateKey;
use shared::session::{Effect, Input, Reading, Rows, Session};
use shared::source::{self, Source};
use shared::table::DataError;
use tokio::runtime::Handle;
use tracing::{debug, error, info, warn};

use crate::desk::{Desk, Inbox};

/// Between two looks at a session's timers.
const TICK: Duration = Duration::from_millis(200);
/// How long the bus may take to accept a message.
const PUBLISH_SECONDS_MAX: u64 = 10;

/// How a session begins.
pub(crate) enum Seating {
    /// By claiming a job.
    Claim,
    /// By an offer of a guest.
    Offer(Vec<u8>),
}

/// What drives one session.
struct Driver {
    desk: Arc<Desk>,
    fence: Fence,
    inbox: Inbox,
    runtime: Handle,
    secrets: UnwrapErr<SysRng>,
    /// Whether the log tells of what the session made.
    released: Cell<bool>,
}

/// Leaves the desk when the thread ends, even by a panic.
struct Leaving(Arc<Desk>, Fence);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.leave(&self.1);
    }
}

/// Starts a session's thread. Must be called within a runtime.
pub(crate) fn spawn(
    desk: Arc<Desk>,
    fence: Fence,
    seating: Seating,
    (inbox, inputs): (Inbox, Receiver<Input>),
) {
    let runtime = Handle::current();
    let name = format!("party {}", desk.seat.party);
    let leaving = Leaving(Arc::clone(&desk), fence);
    let driver = Driver {
        desk,
        fence,
        inbox,
        runtime,
        secrets: UnwrapErr(SysRng),
        released: Cell::new(false),
    };
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        let _leaving = leaving;
        driver.run(seating, &inputs);
    });
    if let Err(error) = thread {
        error!(job.id = %fence.job, %error, "No thread for a session");
    }
}

impl Driver {
    fn now(&self) -> Duration {
        self.desk.began.elapsed()
    }

    fn run(mut self, seating: Seating, inputs: &Receiver<Input>) {
        let (now, seat) = (self.now(), &self.desk.seat);
        let (mut session, effects) = match seating {
            Seating::Claim => Session::claim(now, seat.clone(), self.fence),
            Seating::Offer(offer) => {
                match Session::join(&mut self.secrets, now, seat, self.fence, &offer) {
                    Ok(joined) => joined,
                    Err(effects) => {
                        self.perform(effects);
                        return;
                    }
                }
            }
        };
        let mut open = self.perform(effects);
        let mut ticked = self.now();
        while open {
            let waiting = inputs.try_recv().ok();
            let now = self.now();
            // Work that was put off, while nobody says anything.
            let worked = match waiting {
                Some(_) => None,
                None => session.idle(&mut self.secrets, now),
            };
            let mut effects = match worked {
                Some(effects) => effects,
                None => {
                    let input = waiting.or_else(|| inputs.recv_timeout(TICK).ok());
                    let now = self.now();
                    input.map_or_else(Vec::new, |input| {
                        self.inbox.taken(&input);
                        session.handle(&mut self.secrets, now, input)
                    })
                }
            };
            let now = self.now();
            if now >= ticked + TICK {
                ticked = now;
                effects.extend(session.tick(&mut self.secrets, now));
                // The worker stops: what the session knows ends with it.
                open = self.desk.has(&self.fence);
            }
            self.desk.note(&self.fence, &session, now);
            open &= self.perform(effects);
        }
    }

    /// Does what a session wants done; false when it is over.
    fn perform(&self, effects: Vec<Effect>) -> bool {
        for effect in effects {
            match effect {
                Effect::Send {
                    queue,
                    envelope,
                    pledge,
                } => {
                    // On record before it leaves, or it does not leave.
                    if let Some(reason) = pledge.and_then(|pledge| self.pledge(&pledge).err()) {
                        self.inbox.put(Input::Unpledged(reason));
                        continue;
                    }
                    let body = message::encode(&ToSession::Envelope(envelope));
                    if let Err(bus::Error::Unroutable { queue }) = self.publish(&queue, body, None)
                    {
                        self.inbox.put(Input::Returned { queue });
                    }
                }
                // A role queue that is not there is a party that is away: the offer is repeated.
                Effect::Invite {
                    queue,
                    envelope,
                    expires,
                } => {
                    let _ = self.publish(&queue, envelope, Some(expires));
                }
                Effect::Report(body) => self.report(body),
                Effect::Load(reading) => self.load(*reading),
                Effect::Admit(admission) => {
                    let verdict = self.ask(|ledger, now| ledger.admit(&admission, now));
                    self.inbox.put(Input::Admitted(verdict));
                }
                Effect::Review => {
                    let verdict = self.ask(|ledger, now| ledger.verdict(self.fence.job, now));
                    self.inbox.put(Input::Admitted(verdict));
                }
                Effect::MakeKey(bits) => self.make_key(bits),
                Effect::Learn(learner, files) => self.learn(learner, files),
                Effect::Close => return false,
            }
        }
        true
    }

    /// What the ledger says; yes where there is none.
    fn ask(
        &self,
        question: impl FnOnce(&Ledger, i64) -> Result<Verdict, ledger::Error>,
    ) -> Result<Verdict, Reason> {
        let books = &self.desk.books;
        match &books.ledger {
            Some(ledger) => question(ledger, (books.now)()).map_err(|error| self.unkept(&error)),
            None => Ok(Verdict::Admitted),
        }
    }

    /// Puts on record what an answer is given for.
    fn pledge(&self, pledge: &Pledge) -> Result<(), Reason> {
        let party = self.desk.seat.party;
        match &self.desk.books.ledger {
            Some(ledger) => match ledger.pledge(pledge) {
                Ok(true) => Ok(()),
                Ok(false) => {
                    let text = format!("round {}, not answered", pledge.round.0);
                    self.record(What::TwoModels, text);
                    Err(refused(party, pledge.broken()))
                }
                Err(error) => Err(self.unkept(&error)),
            },
            None => Ok(()),
        }
    }

    /// Adds to the party's log; false when that did not succeed.
    fn record(&self, what: What, text: String) -> bool {
        let books = &self.desk.books;
        let job = Some(self.fence.job);
        let entry = Entry { what, job, text };
        match (books.ledger.as_ref()).map(|ledger| ledger.record((books.now)(), &entry)) {
            Some(Err(error)) => {
                self.unkept(&error);
                false
            }
            Some(Ok(())) | None => true,
        }
    }

    fn unkept(&self, error: &ledger::Error) -> Reason {
        let party = self.desk.seat.party;
        warn!(job.id = %self.fence.job, %party, %error, "The ledger cannot be used");
        refused(party, ReasonCode::LedgerUnavailable)
    }

    fn publish(
        &self,
        queue: &str,
        body: Vec<u8>,
        life: Option<Duration>,
    ) -> Result<(), bus::Error> {
        let bus = &self.desk.bus;
        let published = self.runtime.block_on(async {
            let limit = Duration::from_secs(PUBLISH_SECONDS_MAX);
            tokio::time::timeout(limit, async {
                match life {
                    Some(life) => bus.publish_expiring(queue, body, life).await,
                    None => bus.publish(queue, body).await,
                }
            })
            .await
        });
        match published {
            Ok(Err(error)) => {
                debug!(job.id = %self.fence.job, %error, "A message did not go out");
                Err(error)
            }
            // It may have gone out or not: everything is repeated until it is answered.
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    fn report(&self, body: EventBody) {
        let party = self.desk.seat.party;
        match &body {
            // It is said again until the platform has heard.
            EventBody::Finished { outcome, .. } if !self.released.get() => {
                if !self.record(What::Released, released(outcome)) {
                    return;
                }
                info!(job.id = %self.fence.job, %party, "Finished");
                self.released.set(true);
            }
            EventBody::Finished { .. } => {}
            EventBody::Failed { reason } => {
                warn!(job.id = %self.fence.job, %party, code = ?reason.code, "An attempt failed");
            }
            EventBody::Claimed
            | EventBody::Started { .. }
            | EventBody::Checkpoint { .. }
            | EventBody::Fetch { .. }
            | EventBody::Keep { .. } => {}
        }
        let event = Event {
            fence: self.fence,
            party,
            reply_to: self.desk.seat.address.clone(),
            body,
        };
        let _ = self.publish(queue::EVENTS, message::encode(&event), None);
    }

    fn load(&self, reading: Reading) {
        let (desk, inbox) = (Arc::clone(&self.desk), self.inbox.clone());
        let party = desk.seat.party;
        let reading = self.runtime.spawn(async move {
            let turn = desk.reading.acquire().await;
            let _turn = turn.expect("nobody closes the semaphore");
            match &desk.books.source {
                Some(source) => read(&desk, source, reading).await,
                None => Err(internal(party, "this worker has no source of rows")),
            }
        });
        self.runtime.spawn(async move {
            let rows = match reading.await {
                Ok(rows) => {
                    if let Err(reason) = &rows {
                        warn!(%party, code = ?reason.code, "Rows could not be read: {}", reason.text);
                    }
                    rows
                }
                Err(_) => Err(internal(party, "reading the rows ended early")),
            };
            inbox.put(Input::Loaded(rows.map(Box::new)));
        });
    }

    /// One at a time: it may take all processors and much memory.
    fn learn(&self, learner: Learner, files: Arc<Files>) {
        // An effect is handed on once; a copy would be one more of the rows.
        let Some(files) = Arc::into_inner(files) else {
            return;
        };
        let (desk, inbox) = (Arc::clone(&self.desk), self.inbox.clone());
        let (party, fence) = (self.desk.seat.party, self.fence);
        self.runtime.spawn(async move {
            let turn = desk.learning.acquire().await;
            let _turn = turn.expect("nobody closes the semaphore");
            // Its session may have ended while it waited.
            if !desk.has(&fence) {
                return;
            }
            let learning = tokio::task::spawn_blocking(move || learn(party, learner, files));
            let learned = match learning.await {
                Ok(learned) => learned,
                Err(_) => Err(internal(party, "learning ended early")),
            };
            inbox.put(Input::Learned(Box::new(learned)));
        });
    }

    fn make_key(&self, bits: u32) {
        let (inbox, party) = (self.inbox.clone(), self.desk.seat.party);
        let making = self
            .runtime
            .spawn_blocking(move || PrivateKey::generate(&mut UnwrapErr(SysRng), bits));
        self.runtime.spawn(async move {
            let key = match making.await {
                Ok(Ok(key)) => Ok(Box::new(key)),
                Ok(Err(error)) => Err(internal(party, &error.to_string())),
                Err(_) => Err(internal(party, "making the Paillier key ended early")),
            };
            inbox.put(Input::Key(key));
        });
    }
}

/// What was learned, or why nothing.
fn learn(party: PartyId, learner: Learner, files: Files) -> Result<Learned, Reason> {
    learning::learn(learner, files, &AtomicBool::new(false)).map_err(|error| Reason {
        code: ReasonCode::FileRefused,
        text: error.to_string(),
        party: Some(party),
    })
}

/// What left the party, and for whom.
fn released(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Model(parts) => format!("a model, sealed to each of {} parties", parts.len()),
        Outcome::Scores { scores, .. } => format!("{} scores in the clear", scores.len()),
        Outcome::SealedScores { .. } => "scores, sealed".to_owned(),
        Outcome::Computed { .. } => "the result of a joint computation, in the clear".to_owned(),
        Outcome::Learned { files, .. } => format!("{} files, sealed", files.len()),
    }
}

fn internal(party: PartyId, text: &str) -> Reason {
    let (code, text) = (ReasonCode::Internal, text.to_owned());
    Reason {
        code,
        text,
        party: Some(party),
    }
}

/// Reads a party's rows and digests them.
async fn read(desk: &Desk, source: &Source, reading: Reading) -> Result<Rows, Reason> {
    let began = Instant::now();
    let party = desk.seat.party;
    let reason = |error: source::Error| Reason {
        party: Some(party),
        ..error.into()
    };
    let identity = &desk.seat.identity;
    let (table, dropped, needed, marks) = match reading {
        Reading::Training {
            cohort,
            needed,
            label,
        } => {
            let read = source.training_table(&cohort, &needed, &label).await;
            let (table, dropped) = read.map_err(|error| match error {
                // One answer for none and for few, and for an id in two queries, which would tell
                // its class.
                source::Error::Data {
                    error: DataError::NoRows | DataError::TwoClasses,
                    ..
                } => refused(party, ReasonCode::CohortPolicy),
                error => reason(error),
            })?;
            let marks = table.marks(&identity.mark_key(), &needed);
            (table, dropped, needed, marks)
        }
        Reading::Scoring { query, needed } => {
            let read = source.inference_table(&query, &needed).await;
            let (table, dropped) = read.map_err(reason)?;
            (table, dropped, needed, Vec::new())
        }
    };
    let digest = table.digest(&identity.digest_key(), &needed).to_vec();
    Ok(Rows {
        table,
        dropped,
        digest,
        marks,
        took: began.elapsed(),
    })
}
