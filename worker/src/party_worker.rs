//! A party's worker (a hospital's, or the arbiter's): takes invitations and offers from its role
//! queues, and carries letters between its sessions and the bus. It decides nothing.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use shared::bus::{Bus, Consumer, Delivery, QueueKind};
use shared::id::{PartyId, SessionId};
use shared::job::Fence;
use shared::ledger::Ledger;
use shared::limits::{BEAT_SECONDS, INVITATION_PREFETCH};
use shared::message::{self, Event, Invitation, ToSession, queue, user};
use shared::paillier::PublicKey;
use shared::policy::Policy;
use shared::seal::Identity;
use shared::session::{Directory, Input, Seat, fence_of, stopped};
use shared::source::Source;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::desk::{Books, Desk, Lead, Line};
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
    /// What the party allows; of no meaning for the arbiter.
    pub policy: Arc<Policy>,
    /// The party's data; `None` for the arbiter.
    pub source: Option<Source>,
    /// What the party keeps of the jobs that it took part in; `None` for the arbiter.
    pub ledger: Option<Ledger>,
    /// Unix milliseconds.
    pub now: fn() -> i64,
}

/// Runs a worker until `shutdown`. Its sessions are in memory: they end with it, and the jobs, given
/// back where there is time, go on elsewhere.
///
/// # Errors
/// When a queue cannot be declared or is gone.
pub async fn run(config: Config, bus: Bus, shutdown: CancellationToken) -> anyhow::Result<()> {
    let Config {
        party,
        identity,
        directory,
        policy,
        source,
        ledger,
        now,
    } = config;
    let address = queue::session(party, Uuid::new_v4());
    let read_key = PublicKey::from_bytes;
    let seat = Seat {
        party,
        identity,
        directory,
        policy,
        address: address.clone(),
        read_key,
    };
    let books = Books {
        source,
        ledger,
        now,
    };
    let desk = Arc::new(Desk::new(seat, books, bus));

    let mut tasks = JoinSet::new();
    let opened = tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        opened = open(&desk, &mut tasks) => opened,
    };
    opened?;
    tasks.spawn(beat(Arc::clone(&desk)));
    info!(%party, "A worker of party {party} is ready");

    let outcome = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        Some(ended) = tasks.join_next() => ended.context("a worker's task ended")?,
    };
    tasks.shutdown().await;
    desk.close().await;
    outcome
}

/// Reads one worker's queues.
struct Reader {
    desk: Arc<Desk>,
}

/// Opens all queues, and reads them.
async fn open(desk: &Arc<Desk>, tasks: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    let reader = || Reader {
        desk: Arc::clone(desk),
    };
    let (bus, party, address) = (&desk.bus, desk.seat.party, &desk.seat.address);
    let role = async |name: &str| {
        let opening = bus.open(name, QueueKind::Durable, INVITATION_PREFETCH);
        opening.await
    };
    let opening = bus.open(address, QueueKind::Session, LETTER_PREFETCH);
    tasks.spawn(reader().letters(opening.await?));
    if party == PartyId::ARBITER {
        tasks.spawn(reader().offers(role(queue::ARBITER).await?));
        return Ok(());
    }
    tasks.spawn(reader().offers(role(&queue::host(party)).await?));
    for (name, line) in [
        (queue::guest(party), Line::Rows),
        (queue::infer(party), Line::Rows),
        (queue::compute(party), Line::Computing),
    ] {
        tasks.spawn(reader().invitations(role(&name).await?, line));
    }
    Ok(())
}

impl Reader {
    async fn letters(self, mut consumer: Consumer) -> anyhow::Result<()> {
        while let Some(delivery) = consumer.next().await {
            let told = match message::decode::<ToSession>(delivery.body()) {
                Ok(ToSession::Envelope(envelope)) => fence_of(&envelope)
                    .map(|fence| (fence, Input::Envelope(envelope)))
                    .map_err(|error| error.to_string()),
                // Letters are signed; these are the platform's word, and no party's.
                Ok(
                    ToSession::Granted(_)
                    | ToSession::Ended(_)
                    | ToSession::Piece { .. }
                    | ToSession::Kept { .. },
                ) if is_of_a_party(&delivery) => Err("a party spoke for the platform".to_owned()),
                Ok(ToSession::Granted(grant)) => Ok((grant.fence, Input::Granted(grant))),
                Ok(ToSession::Ended(fence)) => Ok((fence, Input::Ended)),
                Ok(ToSession::Piece {
                    fence,
                    file,
                    piece,
                    sealed,
                }) => Ok((fence, Input::Piece(file, piece, sealed))),
                Ok(ToSession::Kept { fence, file, piece }) => Ok((fence, Input::Kept(file, piece))),
                Err(error) => Err(error.to_string()),
            };
            match told {
                Ok((fence, input)) => {
                    // A session that just ended needs no word, but what it was granted goes back.
                    if let Err(Input::Granted(_)) = self.desk.tell(&fence, input) {
                        self.give_back(fence).await;
                    }
                    delivery.ack().await;
                }
                Err(error) => self.reject(delivery, "a letter", &error).await,
            }
        }
        anyhow::bail!(
            "the session queue of party {} is gone",
            self.desk.seat.party
        )
    }

    async fn give_back(&self, fence: Fence) {
        let party = self.desk.seat.party;
        let event = Event {
            fence,
            party,
            reply_to: self.desk.seat.address.clone(),
            body: stopped(party),
        };
        let said = self
            .desk
            .bus
            .publish(queue::EVENTS, message::encode(&event));
        if let Err(error) = said.await {
            debug!(job.id = %fence.job, %error, "A grant was not given back");
        }
    }

    async fn offers(self, mut consumer: Consumer) -> anyhow::Result<()> {
        while let Some(delivery) = consumer.next().await {
            let envelope = delivery.body().to_vec();
            match fence_of(&envelope) {
                Ok(fence) => {
                    self.offered(fence, envelope);
                    delivery.ack().await;
                }
                Err(error) => self.reject(delivery, "an offer", &error.to_string()).await,
            }
        }
        anyhow::bail!(
            "the queue of offers to party {} is gone",
            self.desk.seat.party
        )
    }

    async fn invitations(self, mut consumer: Consumer, line: Line) -> anyhow::Result<()> {
        loop {
            // What this worker cannot sit down for waits in the queue, also for other workers.
            let seat = self.desk.free_seat(line).await;
            let Some(delivery) = consumer.next().await else {
                break;
            };
            match message::decode::<Invitation>(delivery.body()) {
                Ok(invitation) => {
                    self.invited(&invitation, seat);
                    delivery.ack().await;
                }
                Err(error) => {
                    self.reject(delivery, "an invitation", &error.to_string())
                        .await
                }
            }
        }
        anyhow::bail!(
            "a queue of invitations to party {} is gone",
            self.desk.seat.party
        )
    }

    async fn reject(&self, delivery: Delivery, what: &str, error: &str) {
        warn!(party = %self.desk.seat.party, error, "Rejected {what}");
        delivery.reject(error).await;
    }

    /// Claims a job, unless a session here is at this attempt already.
    fn invited(&self, invitation: &Invitation, seat: Lead) {
        let Invitation { job, attempt } = *invitation;
        if !self.desk.is_at(job, attempt) {
            let fence = Fence {
                job,
                attempt,
                session: SessionId(Uuid::new_v4()),
            };
            self.sit(fence, Some(seat), Seating::Claim);
        }
    }

    /// Hands a repeated offer to the session that sits there, or takes the seat.
    fn offered(&self, fence: Fence, envelope: Vec<u8>) {
        if let Err(Input::Envelope(envelope)) = self.desk.tell(&fence, Input::Envelope(envelope)) {
            self.sit(fence, None, Seating::Offer(envelope));
        }
    }

    fn sit(&self, fence: Fence, leads: Option<Lead>, seating: Seating) {
        match self.desk.enter(fence, leads) {
            Some(inbox) => seat::spawn(Arc::clone(&self.desk), fence, seating, inbox),
            // Offers are repeated until somebody takes them.
            None => debug!(job.id = %fence.job, "No seat was free"),
        }
    }
}

/// Whether the broker vouches that a party sent it, or somebody who may only submit.
fn is_of_a_party(delivery: &Delivery) -> bool {
    let sender = delivery.user().unwrap_or_default();
    sender.starts_with(user::PARTIES) || sender == user::SUBMITTER
}

/// Says that the sessions are alive, whatever they compute.
async fn beat(desk: Arc<Desk>) -> anyhow::Result<()> {
    let mut due = tokio::time::interval(Duration::from_secs(BEAT_SECONDS));
    loop {
        due.tick().await;
        for beat in desk.beats() {
            // A lost beat is one of many.
            if let Err(error) = desk.bus.publish(queue::BEATS, message::encode(&beat)).await {
                debug!(%error, "A beat was lost");
            }
        }
    }
}
