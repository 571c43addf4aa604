//! A worker's desk: every session it sits in, and the ways to their threads.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use shared::bus::Bus;
use shared::id::{Attempt, JobId};
use shared::job::Fence;
use shared::ledger::Ledger;
use shared::limits::{
    CLAIMS_MAX, COMPUTATIONS_MAX, LEARNINGS_MAX, SESSION_LETTERS_MAX, SESSIONS_MAX,
    SOURCE_READS_MAX, WORKER_STOP_SECONDS_MAX,
};
use shared::message::Beat;
use shared::session::{Input, Seat, Session, Standing};
use shared::source::Source;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// What all sessions of a worker share, and where each of them is told things.
pub(crate) struct Desk {
    pub(crate) seat: Seat,
    pub(crate) books: Books,
    pub(crate) bus: Bus,
    pub(crate) began: Instant,
    /// How many may read the source at once.
    pub(crate) reading: Semaphore,
    /// How many may learn at once.
    pub(crate) learning: Arc<Semaphore>,
    /// Seats for sessions that claim or lead.
    leading: Arc<Semaphore>,
    /// The same, for joint computations and learnings: they must not take the seats of trainings.
    computing: Arc<Semaphore>,
    /// Claims that may wait for an answer at once.
    claiming: Arc<Semaphore>,
    sessions: Mutex<HashMap<Fence, Sitting>>,
    /// Rung when a session leaves.
    left: Notify,
}

/// What a party reads and writes for its sessions.
pub(crate) struct Books {
    pub(crate) source: Option<Source>,
    pub(crate) ledger: Option<Ledger>,
    /// Unix milliseconds.
    pub(crate) now: fn() -> i64,
}

/// The way to a session's thread.
#[derive(Clone)]
pub(crate) struct Inbox {
    sender: Sender<Input>,
    /// Letters that wait.
    letters: Arc<AtomicUsize>,
}

impl Inbox {
    fn new() -> (Inbox, Receiver<Input>) {
        let (sender, inputs) = mpsc::channel();
        let letters = Arc::default();
        (Inbox { sender, letters }, inputs)
    }

    /// Puts an input at the end. A letter too many is dropped: its writer repeats it.
    pub(crate) fn put(&self, input: Input) {
        if let Input::Envelope(_) = input
            && self.letters.fetch_add(1, Ordering::Relaxed) >= SESSION_LETTERS_MAX
        {
            self.letters.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        // A thread that just ended needs no word.
        let _ = self.sender.send(input);
    }

    /// Notes that an input was taken out.
    pub(crate) fn taken(&self, input: &Input) {
        if let Input::Envelope(_) = input {
            self.letters.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A seat for a session that claims and, once granted, leads.
pub(crate) struct Lead {
    _seat: OwnedSemaphorePermit,
    /// Until the claim is answered.
    claim: Option<OwnedSemaphorePermit>,
}

/// Which jobs a seat is for.
#[derive(Clone, Copy)]
pub(crate) enum Line {
    /// Those that use the party's rows.
    Rows,
    /// Those that use none.
    Computing,
}

struct Sitting {
    inbox: Inbox,
    /// Held for as long as the session sits.
    turn: Option<OwnedSemaphorePermit>,
    /// Set when it ends: what it has begun in the background stops.
    stop: Arc<AtomicBool>,
    /// The seat of a session that claims or leads; `None` for one that was offered its seat.
    leads: Option<Lead>,
    /// What its next beat says; `None` for those that don't beat.
    standing: Option<Standing>,
}

impl Desk {
    pub(crate) fn new(seat: Seat, books: Books, bus: Bus) -> Desk {
        Desk {
            seat,
            books,
            bus,
            began: Instant::now(),
            reading: Semaphore::new(SOURCE_READS_MAX),
            learning: Arc::new(Semaphore::new(LEARNINGS_MAX)),
            computing: Arc::new(Semaphore::new(COMPUTATIONS_MAX)),
            leading: Arc::new(Semaphore::new(SESSIONS_MAX)),
            claiming: Arc::new(Semaphore::new(CLAIMS_MAX)),
            sessions: Mutex::new(HashMap::new()),
            left: Notify::new(),
        }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Fence, Sitting>> {
        // Nothing panics while it holds the lock; if it did, the map is whole.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat for a session that claims, once one is free and few other claims are unanswered:
    /// more of them would only wait in line at the platform, and be repeated.
    pub(crate) async fn free_seat(&self, line: Line) -> Lead {
        let free = async |semaphore: &Arc<Semaphore>| {
            let permit = Arc::clone(semaphore).acquire_owned().await;
            permit.expect("nobody closes the semaphore")
        };
        Lead {
            _seat: match line {
                Line::Rows => free(&self.leading).await,
                Line::Computing => free(&self.computing).await,
            },
            claim: Some(free(&self.claiming).await),
        }
    }

    /// Opens an inbox for a new session; `None` when it is there already, or was offered a seat
    /// while all of those are taken.
    pub(crate) fn enter(
        &self,
        fence: Fence,
        leads: Option<Lead>,
    ) -> Option<(Inbox, Receiver<Input>)> {
        let mut sessions = self.sessions();
        let offered = |sitting: &&Sitting| sitting.leads.is_none();
        if leads.is_none() && sessions.values().filter(offered).count() >= SESSIONS_MAX {
            return None;
        }
        let Entry::Vacant(vacant) = sessions.entry(fence) else {
            return None;
        };
        let (inbox, inputs) = Inbox::new();
        let standing = None;
        vacant.insert(Sitting {
            inbox: inbox.clone(),
            turn: None,
            stop: Arc::default(),
            leads,
            standing,
        });
        Some((inbox, inputs))
    }

    /// Whether the session is still wanted.
    pub(crate) fn has(&self, fence: &Fence) -> bool {
        self.sessions().contains_key(fence)
    }

    /// Whether a session here is at this attempt.
    pub(crate) fn is_at(&self, job: JobId, attempt: Attempt) -> bool {
        let here = |fence: &Fence| fence.job == job && fence.attempt == attempt;
        self.sessions().keys().any(here)
    }

    /// Tells a session something; gives it back when the session is not here.
    pub(crate) fn tell(&self, fence: &Fence, input: Input) -> Result<(), Input> {
        match self.sessions().get_mut(fence) {
            Some(sitting) => {
                if let (Input::Granted(_), Some(lead)) = (&input, &mut sitting.leads) {
                    lead.claim = None;
                }
                sitting.inbox.put(input);
                Ok(())
            }
            None => Err(input),
        }
    }

    /// Notes what a session's next beat says.
    pub(crate) fn note(&self, fence: &Fence, session: &Session, now: Duration) {
        if let Some(sitting) = self.sessions().get_mut(fence) {
            sitting.standing = session.standing(now);
        }
    }

    /// Lets a session keep its turn until it leaves.
    pub(crate) fn keep_turn(&self, fence: &Fence, turn: OwnedSemaphorePermit) {
        if let Some(sitting) = self.sessions().get_mut(fence) {
            sitting.turn = Some(turn);
        }
    }

    /// What tells a session's work in the background that it has ended; `None` when it has.
    pub(crate) fn stop_of(&self, fence: &Fence) -> Option<Arc<AtomicBool>> {
        let sessions = self.sessions();
        sessions.get(fence).map(|sitting| Arc::clone(&sitting.stop))
    }

    /// Forgets a session that ended.
    pub(crate) fn leave(&self, fence: &Fence) {
        if let Some(sitting) = self.sessions().remove(fence) {
            sitting.stop.store(true, Ordering::Relaxed);
        }
        self.left.notify_one();
    }

    /// Lets all sessions give back what they have, and ends those that take too long at their
    /// threads' next look.
    pub(crate) async fn close(&self) {
        for sitting in self.sessions().values() {
            sitting.inbox.put(Input::Stop);
        }
        let all_left = async {
            while !self.sessions().is_empty() {
                self.left.notified().await;
            }
        };
        let limit = Duration::from_secs(WORKER_STOP_SECONDS_MAX);
        if tokio::time::timeout(limit, all_left).await.is_err() {
            for (_, sitting) in self.sessions().drain() {
                sitting.stop.store(true, Ordering::Relaxed);
            }
        }
    }

    /// What every session's next beat says.
    pub(crate) fn beats(&self) -> Vec<Beat> {
        let sessions = self.sessions();
        let beat = |(fence, sitting): (&Fence, &Sitting)| {
            let standing = sitting.standing.clone()?;
            Some(Beat {
                fence: *fence,
                reply_to: self.seat.address.clone(),
                progress: standing.progress,
                waiting: standing.waiting,
                awaiting: standing.awaiting,
            })
        };
        sessions.iter().filter_map(beat).collect()
    }
}
