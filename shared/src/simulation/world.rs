//! Processes, a bus without memory, and the platform's row, moved by a seeded scheduler.

mod platform;
mod schedule;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

pub(super) use self::wire::{About, Wire};
use super::answers::Answers;
use super::books::Books;
use super::federation::Federation;
use crate::admission::refused;
use crate::computation::FileKind;
use crate::id::{Attempt, OrderId, PartyId, SessionId};
use crate::job::{JobStatus, Kind, Report};
use crate::local::learning;
use crate::message::{Beat, Outcome};
use crate::session::{Effect, Input, Seat, Session, fence_of};
use crate::store::moves::Row;

/// How unkind the bus and the machines are, in probabilities per step.
#[derive(Clone, Copy, Default)]
pub(super) struct Faults {
    /// A message is lost.
    pub(super) loss: f64,
    /// A message is delivered, and stays under way.
    pub(super) repeat: f64,
    /// A process dies and starts again.
    pub(super) crash: f64,
    /// A session's thread dies; its process lives on.
    pub(super) forget: f64,
    /// Crashes and forgotten sessions at most.
    pub(super) deaths_max: u32,
    /// Steps after which nothing of this happens any more.
    pub(super) steps: u32,
}

const LEASE_MILLISECONDS: i64 = 8_000;

pub(super) struct Process {
    pub(super) seat: Seat,
    pub(super) sessions: BTreeMap<(u32, SessionId), Session>,
}

/// Everything there is.
pub(super) struct World {
    pub(super) rng: StdRng,
    pub(super) now: Duration,
    pub(super) federation: Federation,
    pub(super) books: Books,
    pub(super) row: Row,
    checkpoint: Option<Vec<u8>>,
    /// What the parties answered.
    pub(super) answers: Answers,
    /// Messages at the front of `wires` that were looked at since they left.
    seen: usize,
    /// What left since it was asked last, if anybody listens.
    tap: Option<Vec<Wire>>,
    pub(super) parts: BTreeMap<PartyId, Vec<u8>>,
    /// What a job of the panel came to.
    pub(super) outcome: Option<Outcome>,
    /// Pieces that sessions handed in.
    pub(super) kept: BTreeMap<(SessionId, FileKind, u32), Vec<u8>>,
    /// How often the row was finished: once, or something counted twice.
    pub(super) finishes: u32,
    /// Sessions that were granted the job.
    pub(super) holders: BTreeSet<SessionId>,
    pub(super) processes: Vec<Process>,
    pub(super) wires: Vec<Wire>,
    faults: Faults,
    deaths: u32,
    pub(super) steps: u32,
    incarnations: u32,
    /// Whether a session that did not have the job changed its row.
    pub(super) strangers_heard: bool,
    /// Parties that are away: nothing reaches them.
    pub(super) away: BTreeSet<PartyId>,
}

impl World {
    pub(super) fn new(seed: u64, federation: Federation, faults: Faults) -> World {
        let row = Row {
            order: OrderId(1),
            job: federation.job,
            kind: federation
                .panel
                .as_ref()
                .map_or(Kind::Train, |panel| panel.spec.kind()),
            guest: federation.guest(),
            status: JobStatus::Pending,
            status_at: 0,
            attempt: Attempt(1),
            held: None,
            failures: 0,
            checkpoint_round: None,
            digests: BTreeMap::new(),
            report: Report::default(),
            deadline_at: i64::MAX,
        };
        crate::witness::reset();
        let mut world = World {
            rng: StdRng::seed_from_u64(seed),
            now: Duration::ZERO,
            row,
            checkpoint: None,
            answers: Answers::default(),
            seen: 0,
            tap: None,
            parts: BTreeMap::new(),
            outcome: None,
            kept: BTreeMap::new(),
            finishes: 0,
            holders: BTreeSet::new(),
            processes: Vec::new(),
            wires: Vec::new(),
            faults,
            deaths: 0,
            steps: 0,
            incarnations: 0,
            strangers_heard: false,
            away: BTreeSet::new(),
            books: Books::default(),
            federation,
        };
        for party in world.federation.everybody() {
            world.employ(party);
        }
        world
    }

    /// Starts one more process for a party.
    pub(super) fn employ(&mut self, party: PartyId) {
        self.incarnations += 1;
        let address = format!("session.{party}.{}", self.incarnations);
        let seat = self.federation.seat(party, address);
        self.processes.push(Process {
            seat,
            sessions: BTreeMap::new(),
        });
    }

    /// Kills a process and everything it knows, and starts it again.
    pub(super) fn crash(&mut self, index: usize) {
        let party = self.processes.remove(index).seat.party;
        self.employ(party);
    }

    /// Tells a process to stop, and starts it again.
    pub(super) fn stop(&mut self, index: usize) {
        let sessions: Vec<_> = self.processes[index].sessions.keys().copied().collect();
        for session in sessions {
            self.tell(index, session, Input::Stop);
        }
        assert!(self.processes[index].sessions.is_empty(), "all have left");
        self.crash(index);
    }

    pub(super) fn process_of(&self, party: PartyId) -> usize {
        self.processes
            .iter()
            .position(|p| p.seat.party == party)
            .unwrap()
    }

    fn milliseconds(&self) -> i64 {
        i64::try_from(self.now.as_millis()).unwrap()
    }

    /// Lets time pass: sessions, beats, the sweep.
    fn tick(&mut self) {
        self.now += Duration::from_millis(self.rng.random_range(100..2_000));
        for index in 0..self.processes.len() {
            let keys: Vec<_> = self.processes[index].sessions.keys().copied().collect();
            for key in keys {
                let process = &mut self.processes[index];
                let Some(session) = process.sessions.get_mut(&key) else {
                    continue;
                };
                let effects = session.tick(&mut self.rng, self.now);
                if let Some(standing) = session.standing(self.now) {
                    let beat = Beat {
                        fence: self.federation.fence(key),
                        reply_to: process.seat.address.clone(),
                        progress: standing.progress,
                        waiting: standing.waiting,
                        awaiting: standing.awaiting,
                    };
                    self.wires.push(Wire::Beat { beat });
                }
                self.act(index, key, effects);
            }
        }
        let now = self.milliseconds();
        if let Some(held) = self.row.held {
            let fence = self.federation.fence((self.row.attempt.0, held.session));
            self.row.lose(&fence, now);
        }
        if self.row.status == JobStatus::Pending {
            self.wires.push(Wire::Invitation {
                attempt: self.row.attempt,
            });
        }
    }

    fn pick(&mut self, party: PartyId) -> Option<usize> {
        if self.away.contains(&party) {
            return None;
        }
        let all: Vec<usize> = (0..self.processes.len())
            .filter(|&index| self.processes[index].seat.party == party)
            .collect();
        (!all.is_empty()).then(|| all[self.rng.random_range(0..all.len())])
    }

    fn at(&self, queue: &str) -> Option<usize> {
        self.processes
            .iter()
            .position(|process| process.seat.address == queue)
    }

    fn deliver(&mut self, wire: Wire) {
        match wire {
            Wire::Invitation { attempt } => self.claim(attempt),
            Wire::Offer { party, envelope } => self.offered(party, envelope),
            Wire::Letter {
                queue,
                envelope,
                sender,
                fence,
            } => match self.at(&queue) {
                Some(index) => {
                    // As a worker does: what is no envelope goes nowhere.
                    if let Ok(of) = fence_of(&envelope) {
                        self.tell(index, (of.attempt.0, of.session), Input::Envelope(envelope));
                    }
                }
                None => self.wires.push(Wire::Returned {
                    sender,
                    fence,
                    queue,
                }),
            },
            Wire::Granted { queue, grant } => {
                if let Some(index) = self.at(&queue) {
                    let key = (grant.fence.attempt.0, grant.fence.session);
                    self.tell(index, key, Input::Granted(Box::new(grant)));
                }
            }
            Wire::Ended { queue, fence } => {
                if let Some(index) = self.at(&queue) {
                    self.tell(index, (fence.attempt.0, fence.session), Input::Ended);
                }
            }
            Wire::Answer {
                queue,
                fence,
                about,
            } => {
                if let Some(index) = self.at(&queue) {
                    let input = match about {
                        About::Piece(file, piece, sealed) => Input::Piece(file, piece, sealed),
                        About::Kept(file, piece) => Input::Kept(file, piece),
                    };
                    self.tell(index, (fence.attempt.0, fence.session), input);
                }
            }
            Wire::Returned {
                sender,
                fence,
                queue,
            } => {
                if let Some(index) = self.at(&sender) {
                    let key = (fence.attempt.0, fence.session);
                    self.tell(index, key, Input::Returned { queue });
                }
            }
            Wire::Event {
                fence,
                party,
                reply_to,
                event,
            } => {
                self.fold(fence, party, reply_to, event);
            }
            Wire::Beat { beat } => {
                let (fence, queue, now) = (beat.fence, beat.reply_to.clone(), self.milliseconds());
                if !self.row.beat(beat, LEASE_MILLISECONDS, now) {
                    self.wires.push(Wire::Ended { queue, fence });
                }
            }
        }
    }

    fn claim(&mut self, attempt: Attempt) {
        let Some(index) = self.pick(self.federation.guest()) else {
            return;
        };
        let session = SessionId(Uuid::from_u128(self.rng.random()));
        let fence = self.federation.fence((attempt.0, session));
        let process = &mut self.processes[index];
        let (claim, effects) = Session::claim(self.now, process.seat.clone(), fence);
        process.sessions.insert((attempt.0, session), claim);
        self.act(index, (attempt.0, session), effects);
    }

    fn offered(&mut self, party: PartyId, envelope: Vec<u8>) {
        let Some(index) = self.pick(party) else {
            return;
        };
        let Ok(fence) = fence_of(&envelope) else {
            return;
        };
        let key = (fence.attempt.0, fence.session);
        if self.processes[index].sessions.contains_key(&key) {
            return self.tell(index, key, Input::Envelope(envelope));
        }
        let seat = self.processes[index].seat.clone();
        match Session::join(&mut self.rng, self.now, &seat, fence, &envelope) {
            Ok((session, effects)) => {
                self.processes[index].sessions.insert(key, session);
                self.act(index, key, effects);
            }
            Err(effects) => self.act(index, key, effects),
        }
    }

    /// Hands an input to a session, if it is still there.
    pub(super) fn tell(&mut self, index: usize, key: (u32, SessionId), input: Input) {
        let (rng, now) = (&mut self.rng, self.now);
        if let Some(session) = self.processes[index].sessions.get_mut(&key) {
            let effects = session.handle(rng, now, input);
            self.answers.computed(self.processes[index].seat.party, key);
            self.act(index, key, effects);
        }
    }

    /// Does what a session wants done.
    fn act(&mut self, index: usize, key: (u32, SessionId), effects: Vec<Effect>) {
        let fence = self.federation.fence(key);
        let (party, sender) = (
            self.processes[index].seat.party,
            self.processes[index].seat.address.clone(),
        );
        for effect in effects {
            match effect {
                Effect::Send {
                    queue,
                    envelope,
                    pledge,
                } => {
                    if let Some(pledge) = pledge
                        && !self.books.pledge(party, &pledge)
                    {
                        let reason = refused(party, pledge.broken());
                        self.tell(index, key, Input::Unpledged(reason));
                        continue;
                    }
                    let sender = sender.clone();
                    self.wires.push(Wire::Letter {
                        queue,
                        envelope,
                        sender,
                        fence,
                    });
                }
                Effect::Invite {
                    queue, envelope, ..
                } => {
                    let party = self.federation.consumer(&queue);
                    self.wires.push(Wire::Offer { party, envelope });
                }
                Effect::Report(event) => {
                    let reply_to = sender.clone();
                    self.wires.push(Wire::Event {
                        fence,
                        party,
                        reply_to,
                        event,
                    });
                }
                Effect::Load(_) => {
                    let rows = self.federation.read(party);
                    self.tell(index, key, Input::Loaded(rows));
                }
                Effect::Admit(admission) => {
                    let verdict = self.books.admit(party, &admission);
                    self.tell(index, key, Input::Admitted(Ok(verdict)));
                }
                Effect::Review => {
                    let verdict = self.books.review(party);
                    self.tell(index, key, Input::Admitted(Ok(verdict)));
                }
                Effect::MakeKey(_) => {
                    let key_made = Box::new(self.federation.key());
                    self.tell(index, key, Input::Key(Ok(key_made)));
                }
                Effect::Turn => self.tell(index, key, Input::Turn),
                Effect::Learn(learner, files) => {
                    let files = std::sync::Arc::into_inner(files).unwrap();
                    let learned =
                        Box::new(Ok(
                            learning::learn(learner, files, &AtomicBool::new(false)).unwrap()
                        ));
                    self.tell(index, key, Input::Learned(learned));
                }
                Effect::Close => {
                    self.processes[index].sessions.remove(&key);
                }
            }
        }
    }

    /// A letter under way to a party's session.
    pub(super) fn step_for(&self, party: PartyId) -> Option<usize> {
        let address = &self.processes[self.process_of(party)].seat.address;
        let to = |wire: &Wire| matches!(wire, Wire::Letter { queue, .. } if queue == address);
        self.wires.iter().position(to)
    }
}
