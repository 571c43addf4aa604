//! The status aggregator: folds what sessions say into job rows, answers them, and sweeps.
//!
//! It keeps nothing: any number may run, and each may die at any moment. A message is settled after
//! its commit; a message that comes again changes nothing, because the row knows who has the job.

mod calm;
mod pieces;
mod speakers;
mod sweep;
#[cfg(test)]
mod tests;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use shared::bus::{self, Bus, Cause, Consumer, Delivery, QueueKind};
use shared::id::{JobId, PartyId};
use shared::job::{Fence, Reason, ReasonCode};
use shared::limits;
use shared::message::{self, Beat, Event, EventBody, Malformed, ToSession, queue};
use shared::session;
use shared::store::{self, Applied, Started, Store, Unclaimed};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::calm::Calm;
pub use self::speakers::Vouching;
use self::speakers::{Guests, vouched};

/// How long things take; in production the figures of [`limits`].
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long a job belongs to a session after its last beat.
    pub lease: Duration,
    /// Between two looks of the sweep over all jobs.
    pub sweep: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            lease: Duration::from_secs(limits::LEASE_SECONDS),
            sweep: Duration::from_secs(limits::SWEEP_SECONDS),
        }
    }
}

/// Serves `events`, `beats` and `dead` and sweeps, until `shutdown`. Ringing `wake` after a job was
/// submitted sends its invitation at once. `vouching` is who stands for what parties say.
///
/// # Errors
/// When a queue exists and is of another kind. Outages of the store are waited out.
pub async fn run(
    store: Store,
    bus: Bus,
    timing: Timing,
    vouching: Vouching,
    wake: Arc<Notify>,
    shutdown: CancellationToken,
) -> Result<(), bus::Error> {
    let aggregator = Aggregator {
        store,
        bus,
        timing,
        vouching,
        guests: Guests::default(),
        shutdown,
        calm: Calm::new(),
    };
    let Calm { events, beats, .. } = &aggregator.calm;
    tokio::try_join!(
        aggregator.serve(queue::EVENTS, QueueKind::Durable, Some(events)),
        aggregator.serve(queue::BEATS, QueueKind::Beats, Some(beats)),
        aggregator.serve(queue::DEAD, QueueKind::Durable, None),
        async {
            aggregator.sweep_until_shutdown(&wake).await;
            Ok(())
        },
    )?;
    Ok(())
}

struct Aggregator {
    store: Store,
    bus: Bus,
    timing: Timing,
    vouching: Vouching,
    guests: Guests,
    shutdown: CancellationToken,
    calm: Calm,
}

/// Why a message was not done with.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// An answer there would be taken for something else.
    #[error("the queue for answers is no session's")]
    Address,
    /// Somebody else speaks for a party, or the party for a job that it does not lead.
    #[error("it speaks for party {party}, and that is not its sender or not the job's guest")]
    Speaker {
        /// For whom it speaks.
        party: PartyId,
    },
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Aggregator {
    /// Reads one queue until the shutdown. A queue that is gone is a fault, and made again.
    async fn serve(
        &self,
        queue: &str,
        kind: QueueKind,
        idle: Option<&AtomicBool>,
    ) -> Result<(), bus::Error> {
        loop {
            let mut consumer = tokio::select! {
                () = self.shutdown.cancelled() => return Ok(()),
                opened = self.bus.open(queue, kind, limits::AGGREGATOR_PREFETCH) => opened?,
            };
            self.read(queue, &mut consumer, idle).await;
            if self.shutdown.is_cancelled() {
                return Ok(());
            }
            tracing::warn!(queue, "the queue is gone; declaring it again");
            self.calm.disturb();
            self.pause(limits::RETRY_MILLISECONDS_MAX).await;
        }
    }

    /// Settles deliveries until the queue or the time is over: several at once, since a commit
    /// waits for the disk, but those of one job in their order. Tells whether none is left.
    async fn read(&self, queue: &str, consumer: &mut Consumer, idle: Option<&AtomicBool>) {
        let tell = |now| {
            if let Some(idle) = idle {
                idle.store(now, Ordering::Relaxed);
            }
        };
        // What waits for an earlier delivery of its job, which is at work.
        let mut lines: HashMap<Option<JobId>, VecDeque<Delivery>> = HashMap::new();
        let mut at_work = FuturesUnordered::new();
        let work = async |job, delivery| {
            self.settle(queue, delivery).await;
            job
        };
        let mut told = false;
        loop {
            let delivery = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break,
                Some(job) = at_work.next() => {
                    match lines.get_mut(&job).and_then(VecDeque::pop_front) {
                        Some(delivery) => at_work.push(work(job, delivery)),
                        None => drop(lines.remove(&job)),
                    }
                    continue;
                }
                delivery = consumer.next() => match delivery {
                    Some(delivery) => delivery,
                    None => break,
                },
                () = std::future::ready(()), if at_work.is_empty() && !told => {
                    told = true;
                    tell(true);
                    continue;
                }
            };
            told = false;
            tell(false);
            let job = job_of(delivery.body());
            match lines.entry(job) {
                Entry::Occupied(mut line) => line.get_mut().push_back(delivery),
                Entry::Vacant(line) => {
                    line.insert(VecDeque::new());
                    at_work.push(work(job, delivery));
                }
            }
        }
        while at_work.next().await.is_some() {}
    }

    /// Handles a delivery until the store has it: acked after the commit, rejected when no retry
    /// helps, given back at the shutdown.
    async fn settle(&self, queue: &str, delivery: Delivery) {
        let mut wait = limits::RETRY_MILLISECONDS;
        loop {
            match self.handle(queue, &delivery).await {
                Ok(()) => return delivery.ack().await,
                Err(Fault::Store(error)) if error.is_outage() => {
                    tracing::warn!(queue, error = chain(&error), "waiting for the store");
                    self.calm.disturb();
                    if !self.pause(wait).await {
                        return;
                    }
                    wait = (2 * wait).min(limits::RETRY_MILLISECONDS_MAX);
                }
                Err(fault) => {
                    let fault = chain(&fault);
                    tracing::error!(queue, fault, "rejected a message");
                    return delivery.reject(&fault).await;
                }
            }
        }
    }

    async fn handle(&self, queue: &str, delivery: &Delivery) -> Result<(), Fault> {
        match queue {
            queue::EVENTS => {
                let event: Event = message::decode(delivery.body())?;
                if queue::sits_at(&event.reply_to) != Some(event.party) {
                    return Err(Fault::Address);
                }
                // A claim is weighed by the store.
                let moves = !matches!(event.body, EventBody::Claimed);
                let job = moves.then_some(event.fence.job);
                self.check_speaker(delivery, event.party, job).await?;
                self.hear_event(event).await?;
            }
            queue::BEATS => {
                let beat: Beat = message::decode(delivery.body())?;
                let party = queue::sits_at(&beat.reply_to).ok_or(Fault::Address)?;
                let job = Some(beat.fence.job);
                self.check_speaker(delivery, party, job).await?;
                self.hear_beat(beat).await?;
            }
            _ => self.bury(delivery).await?,
        }
        Ok(())
    }

    /// Whether a message may speak for a party, and that for the job it moves. The job's fence is
    /// known to every party in it, but only its guest may move it.
    async fn check_speaker(
        &self,
        delivery: &Delivery,
        party: PartyId,
        moved: Option<JobId>,
    ) -> Result<(), Fault> {
        let guest = match moved {
            Some(job) => self.guests.of(&self.store, job).await?,
            None => None,
        };
        // To a job that is not there nothing can happen.
        let leads = guest.is_none_or(|guest| guest == party);
        match leads && vouched(self.vouching, delivery.user(), party) {
            true => Ok(()),
            false => Err(Fault::Speaker { party }),
        }
    }

    async fn hear_event(&self, event: Event) -> Result<(), store::Error> {
        let Event {
            fence,
            party,
            reply_to,
            body,
        } = event;
        let last = matches!(body, EventBody::Finished { .. } | EventBody::Failed { .. });
        let applied = match body {
            EventBody::Claimed => return self.claim(fence, party, reply_to).await,
            EventBody::Started {
                rows,
                dropped,
                digests,
                privacy,
            } => {
                let started = Started {
                    rows,
                    dropped,
                    digests,
                    privacy,
                };
                self.store.started(fence, started).await?
            }
            EventBody::Checkpoint { progress, blob } => {
                self.store.checkpoint(fence, progress, blob).await?
            }
            EventBody::Finished { progress, outcome } => {
                self.store.finish(fence, progress, outcome).await?
            }
            EventBody::Fetch { file, piece } => {
                return self.fetch(fence, &reply_to, file, piece).await;
            }
            EventBody::Keep {
                file,
                piece,
                sealed,
            } => return self.keep(fence, &reply_to, file, piece, sealed).await,
            EventBody::Failed { reason } => self.store.fail(fence, reason).await?,
        };
        self.follow(&fence, applied).await;
        if last {
            self.dismiss(fence, &reply_to).await;
        }
        Ok(())
    }

    /// Tells a session that nobody needs it any more.
    async fn dismiss(&self, fence: Fence, reply_to: &str) {
        let answer = message::encode(&ToSession::Ended(fence));
        if let Err(error) = self.bus.publish(reply_to, answer).await {
            tracing::debug!(job = %fence.job, %error, "a dead session is gone already");
        }
    }

    /// Tells the log, and the guest if the next attempt is open.
    async fn follow(&self, fence: &Fence, applied: Applied) {
        let (job, attempt) = (fence.job, fence.attempt.0);
        match applied {
            Applied::Counted => (),
            Applied::Released(unclaimed) => {
                tracing::info!(%job, attempt, "the attempt ended; the next is open");
                self.invite(&unclaimed).await;
            }
            Applied::Ended => tracing::info!(%job, attempt, "the job ended"),
            Applied::Stale => tracing::debug!(%job, attempt, "a stale word changed nothing"),
        }
    }

    /// Answers a claim. A granted session that cannot be told is a lost one.
    async fn claim(
        &self,
        fence: Fence,
        party: PartyId,
        reply_to: String,
    ) -> Result<(), store::Error> {
        let grant = self.store.claim(fence, party, self.timing.lease).await?;
        let granted = grant.is_some();
        let answer = grant.map_or(ToSession::Ended(fence), |grant| {
            ToSession::Granted(Box::new(grant))
        });
        let sent = self.bus.publish(&reply_to, message::encode(&answer)).await;
        tracing::info!(job = %fence.job, attempt = fence.attempt.0, %party, granted, "claimed");
        let code = match sent {
            Err(bus::Error::Unroutable { .. }) if granted => ReasonCode::SessionLost,
            Err(bus::Error::TooLarge { .. }) if granted => ReasonCode::Internal,
            Ok(()) => return Ok(()),
            Err(error) => {
                tracing::debug!(job = %fence.job, %error, "a claim stays unanswered");
                return Ok(());
            }
        };
        let reason = Reason {
            code,
            text: format!("The grant could not be handed to the session at party {party}."),
            party: Some(party),
        };
        let applied = self.store.fail(fence, reason).await?;
        self.follow(&fence, applied).await;
        Ok(())
    }

    /// Extends the lease, or tells the session that it lost its job.
    async fn hear_beat(&self, beat: Beat) -> Result<(), store::Error> {
        let (fence, reply_to) = (beat.fence, beat.reply_to.clone());
        if !self.store.beat(beat, self.timing.lease).await? {
            self.dismiss(fence, &reply_to).await;
        }
        Ok(())
    }

    /// A hint to the guest's workers. When it does not arrive the sweep sends another.
    async fn invite(&self, unclaimed: &Unclaimed) {
        let invitation = message::encode(&message::Invitation {
            job: unclaimed.job,
            attempt: unclaimed.attempt,
        });
        let life = Duration::from_secs(limits::INVITATION_SECONDS);
        let sent = self
            .bus
            .publish_expiring(&unclaimed.queue, invitation, life)
            .await;
        if let Err(error) = sent {
            tracing::debug!(job = %unclaimed.job, %error, "nobody to invite");
        }
    }

    /// Records a message that nobody could read; its body is not kept.
    async fn bury(&self, delivery: &Delivery) -> Result<(), store::Error> {
        let (queue, reason) = match delivery.death() {
            Some(death) => (death.queue.as_str(), describe(&death.cause)),
            None => (queue::DEAD, "sent here directly"),
        };
        let (bytes, job) = (delivery.body().len(), job_of(delivery.body()));
        tracing::warn!(queue, bytes, "a dead letter");
        // Both may be a stranger's words.
        let short = |text: &str| text.chars().take(limits::REASON_CHARACTERS_MAX).collect();
        self.store
            .bury(short(queue), short(reason), bytes, job)
            .await
    }

    /// Whether there is time left.
    async fn pause(&self, milliseconds: u64) -> bool {
        tokio::select! {
            () = self.shutdown.cancelled() => false,
            () = tokio::time::sleep(Duration::from_millis(milliseconds)) => true,
        }
    }
}

/// The job that a message is about, if it is one of ours.
fn job_of(body: &[u8]) -> Option<JobId> {
    let said = |event: Event| event.fence.job;
    let alive = |beat: Beat| beat.fence.job;
    let invited = |invitation: message::Invitation| invitation.job;
    let offered = |fence: Fence| fence.job;
    (message::decode(body).map(said).ok())
        .or_else(|| message::decode(body).map(alive).ok())
        .or_else(|| message::decode(body).map(invited).ok())
        .or_else(|| session::fence_of(body).map(offered).ok())
}

fn describe(cause: &Cause) -> &str {
    match cause {
        Cause::Rejected(reason) => reason,
        Cause::Unsettled => "delivered too often without an answer",
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}
