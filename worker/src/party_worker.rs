//! A party's worker (a hospital's, or the arbiter's): takes invitations and offers from its role
//! queues, and carries letters between its sessions and the bus. It decides nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use shared::bus::{Bus, Consumer, QueueKind};
use shared::id::{PartyId, SessionId};
use shared::job::Fence;
use shared::limits::{BEAT_SECONDS, INVITATION_PREFETCH, SESSIONS_MAX};
use shared::message::{self, Beat, Invitation, ToSession, queue};
use shared::paillier::PublicKey;
use shared::seal::Identity;
use shared::session::{Directory, Input, Permits, Seat, Session, Standing, fence_of};
use shared::source::Source;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::seat::{self, Seating};

/// Letters of its sessions that a worker holds unanswered.
const LETTER_PREFETCH: usize = 64;

/// What a worker is given.
pub struct Config {
    /// Whose worker it is.
    pub party: PartyId,
    /// The party's keys.
    pub identity: Arc<Identity>,
    /// Everybody's public keys.
    pub directory: Arc<Directory>,
    /// What the party's entry allows.
    pub permits: Permits,
    /// The party's data; `None` for the arbiter.
    pub source: Option<Source>,
}

/// A worker's desk: every session it sits in, by fence.
pub(crate) struct Desk {
    pub(crate) seat: Seat,
    pub(crate) source: Option<Source>,
    pub(crate) bus: Bus,
    pub(crate) began: Instant,
    sessions: Mutex<HashMap<Fence, Sitting>>,
}

/// The way to a session's thread.
struct Sitting {
    inbox: Sender<Input>,
    /// What its next beat says; `None` for those that don't beat.
    standing: Option<Standing>,
}

/// Runs a worker until `shutdown`. Its sessions are in memory: they end with it, and the jobs go on
/// elsewhere.
///
/// # Errors
/// When a queue cannot be declared or is gone.
pub async fn run(config: Config, bus: Bus, shutdown: CancellationToken) -> anyhow::Result<()> {
    let Config {
        party,
        identity,
        directory,
        permits,
        source,
    } = config;
    let address = queue::session(party, Uuid::new_v4());
    let read_key = PublicKey::from_bytes;
    let seat = Seat {
        party,
        identity,
        directory,
        permits,
        address: address.clone(),
        read_key,
    };
    let sessions = Mutex::new(HashMap::new());
    let desk = Arc::new(Desk {
        seat,
        source,
        bus,
        began: Instant::now(),
        sessions,
    });

    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    desk.bus.declare(&address, QueueKind::Session).await?;
    let letters = desk.bus.consume(&address, LETTER_PREFETCH).await?;
    tasks.spawn(Arc::clone(&desk).read_letters(letters));
    let offers = match party {
        PartyId::ARBITER => vec![queue::ARBITER.to_owned()],
        party => vec![queue::host(party)],
    };
    for name in offers {
        let consumer = desk.open(&name).await?;
        tasks.spawn(Arc::clone(&desk).read_offers(consumer));
    }
    if party != PartyId::ARBITER {
        for name in [queue::guest(party), queue::infer(party)] {
            let consumer = desk.open(&name).await?;
            tasks.spawn(Arc::clone(&desk).read_invitations(consumer));
        }
    }
    tasks.spawn(Arc::clone(&desk).beat());
    info!(%party, "A worker of party {party} is ready");

    let outcome = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        Some(ended) = tasks.join_next() => ended.context("a worker's task ended")?,
    };
    tasks.shutdown().await;
    desk.sessions().clear();
    outcome
}

impl Desk {
    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<Fence, Sitting>> {
        // A session's thread never panics while it holds the lock; if it did, the map is whole.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn open(&self, name: &str) -> anyhow::Result<Consumer> {
        self.bus.declare(name, QueueKind::Durable).await?;
        Ok(self.bus.consume(name, INVITATION_PREFETCH).await?)
    }

    async fn read_letters(self: Arc<Self>, mut consumer: Consumer) -> anyhow::Result<()> {
        while let Some(delivery) = consumer.next().await {
            match message::decode::<ToSession>(delivery.body()) {
                Ok(ToSession::Envelope(envelope)) => {
                    if let Ok(fence) = fence_of(&envelope) {
                        self.tell(&fence, Input::Envelope(envelope));
                    }
                }
                Ok(ToSession::Granted(grant)) => {
                    self.tell(&grant.fence.clone(), Input::Granted(grant))
                }
                Ok(ToSession::Ended(fence)) => self.tell(&fence, Input::Ended),
                Err(error) => {
                    warn!(party = %self.seat.party, %error, "Rejected a letter");
                    delivery.reject().await;
                    continue;
                }
            }
            delivery.ack().await;
        }
        anyhow::bail!("the session queue of party {} is gone", self.seat.party)
    }

    async fn read_offers(self: Arc<Self>, mut consumer: Consumer) -> anyhow::Result<()> {
        while let Some(delivery) = consumer.next().await {
            let envelope = delivery.body().to_vec();
            match fence_of(&envelope) {
                Ok(fence) => {
                    self.offered(fence, envelope);
                    delivery.ack().await;
                }
                Err(error) => {
                    warn!(party = %self.seat.party, %error, "Rejected an offer");
                    delivery.reject().await;
                }
            }
        }
        anyhow::bail!("the queue of offers to party {} is gone", self.seat.party)
    }

    async fn read_invitations(self: Arc<Self>, mut consumer: Consumer) -> anyhow::Result<()> {
        while let Some(delivery) = consumer.next().await {
            match message::decode::<Invitation>(delivery.body()) {
                Ok(invitation) => {
                    self.invited(&invitation);
                    delivery.ack().await;
                }
                Err(error) => {
                    warn!(party = %self.seat.party, %error, "Rejected an invitation");
                    delivery.reject().await;
                }
            }
        }
        anyhow::bail!(
            "a queue of invitations to party {} is gone",
            self.seat.party
        )
    }

    /// Claims a job, unless a session here is at this attempt already.
    fn invited(self: &Arc<Self>, invitation: &Invitation) {
        let Invitation { job, attempt } = *invitation;
        let here = |fence: &Fence| fence.job == job && fence.attempt == attempt;
        if self.sessions().keys().any(here) {
            return;
        }
        let fence = Fence {
            job,
            attempt,
            session: SessionId(Uuid::new_v4()),
        };
        self.sit(fence, Seating::Claim);
    }

    /// Takes an offered seat, or hands a repeated offer to the session that sits there.
    fn offered(self: &Arc<Self>, fence: Fence, envelope: Vec<u8>) {
        if self.sessions().contains_key(&fence) {
            self.tell(&fence, Input::Envelope(envelope));
        } else {
            self.sit(fence, Seating::Offer(envelope));
        }
    }

    fn sit(self: &Arc<Self>, fence: Fence, seating: Seating) {
        let mut sessions = self.sessions();
        if sessions.len() >= SESSIONS_MAX {
            // Invitations and offers are repeated until somebody takes them.
            debug!(job.id = %fence.job, "All seats are taken");
            return;
        }
        let (inbox, inputs) = mpsc::channel();
        if let Entry::Vacant(vacant) = sessions.entry(fence) {
            vacant.insert(Sitting {
                inbox: inbox.clone(),
                standing: None,
            });
            drop(sessions);
            seat::spawn(Arc::clone(self), fence, seating, inbox, inputs);
        }
    }

    fn tell(&self, fence: &Fence, input: Input) {
        if let Some(sitting) = self.sessions().get(fence) {
            // A thread that just ended needs no word.
            let _ = sitting.inbox.send(input);
        }
    }

    /// Notes what a session's next beat says.
    pub(crate) fn note(&self, fence: &Fence, session: &Session, now: Duration) {
        if let Some(sitting) = self.sessions().get_mut(fence) {
            sitting.standing = session.standing(now);
        }
    }

    /// Forgets a session that ended.
    pub(crate) fn leave(&self, fence: &Fence) {
        self.sessions().remove(fence);
    }

    /// Says that the sessions are alive, whatever they compute.
    async fn beat(self: Arc<Self>) -> anyhow::Result<()> {
        let mut due = tokio::time::interval(Duration::from_secs(BEAT_SECONDS));
        loop {
            due.tick().await;
            for beat in self.beats() {
                // A lost beat is one of many.
                if let Err(error) = self.bus.publish(queue::BEATS, message::encode(&beat)).await {
                    debug!(%error, "A beat was lost");
                }
            }
        }
    }

    fn beats(&self) -> Vec<Beat> {
        let sessions = self.sessions();
        let beat = |(fence, sitting): (&Fence, &Sitting)| {
            let standing = sitting.standing.clone()?;
            Some(Beat {
                fence: *fence,
                reply_to: self.seat.address.clone(),
                progress: standing.progress,
                waiting: standing.waiting,
            })
        };
        sessions.iter().filter_map(beat).collect()
    }
}
