//! How a line reaches the API: through the queue, or by HTTP. Either way it is sent again until it
//! is answered; its key makes that one job.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use shared::bus::{self, Bus, Consumer, Properties, QueueKind, Token};
use shared::id::PanelId;
use shared::limits::{
    BATCH_REPEAT_SECONDS, BATCH_REPEAT_SECONDS_MAX, BATCH_UNANSWERED_MAX, RETRY_MILLISECONDS,
    RETRY_MILLISECONDS_MAX,
};
use shared::message::queue;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::batch::Line;
use super::client::{Client, Envelope};

/// Requests by HTTP at once.
const REQUESTS_MAX: usize = 8;
/// The code of every answer that is no refusal.
const SUCCESS: u16 = 200;

/// What the API said of a line.
pub(super) enum Answer {
    /// It is a job.
    Accepted {
        order: i64,
        /// Of a training.
        model: Option<i64>,
    },
    /// It is a job of the panel, and awaits its participants' inputs.
    Created { panel: PanelId },
    /// It is none, and will be none.
    Refused { code: u16, message: String },
}

impl Answer {
    fn of(envelope: Envelope) -> anyhow::Result<Answer> {
        let Envelope {
            code,
            data,
            message,
            msg,
            panel,
        } = envelope;
        let refused = msg.filter(|_| code != SUCCESS);
        match (message.or(refused), panel) {
            (Some(message), _) => Ok(Answer::Refused { code, message }),
            (None, Some(panel)) => Ok(Answer::Created { panel }),
            (None, None) => Ok(Answer::Accepted {
                order: data["order_id"]
                    .as_i64()
                    .context("an answer without order")?,
                model: data["model_id"].as_i64(),
            }),
        }
    }
}

/// A way to the API.
pub(super) enum Door {
    Queue(Queue),
    Http(Client),
}

impl Door {
    /// Lines that may be on the way at once.
    pub(super) fn unanswered_max(&self) -> usize {
        match self {
            Door::Queue(_) => BATCH_UNANSWERED_MAX,
            Door::Http(_) => REQUESTS_MAX,
        }
    }

    /// Sends a line until it is answered, through any outage.
    ///
    /// # Errors
    /// When no patience helps: the broker forbids it, or what answers is no Concord.
    pub(super) async fn ask(&self, line: &Line) -> anyhow::Result<Answer> {
        let envelope = match self {
            Door::Queue(queue) => queue.ask(line).await?,
            Door::Http(client) => by_http(client, line).await?,
        };
        Answer::of(envelope).with_context(|| format!("line {}", line.number))
    }
}

async fn by_http(client: &Client, line: &Line) -> anyhow::Result<Envelope> {
    let mut wait = RETRY_MILLISECONDS;
    loop {
        if let Some(envelope) = client.post(line).await? {
            return Ok(envelope);
        }
        sleep(Duration::from_millis(wait)).await;
        wait = (2 * wait).min(RETRY_MILLISECONDS_MAX);
    }
}

/// Who waits for which answer, by the lines' keys.
type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<Envelope>>>>;

fn lock(waiting: &Waiting) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Envelope>>> {
    // Whole after any panic: single inserts and removals only.
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The queue of submissions, and one of our own for the answers.
pub(super) struct Queue {
    bus: Bus,
    reply_to: String,
    token: Option<Token>,
    waiting: Waiting,
    _listener: AbortOnDropHandle<()>,
}

impl Queue {
    /// `own` is a name that nobody else has.
    ///
    /// # Errors
    /// When the broker is away or says no.
    pub(super) async fn open(bus: Bus, own: &str, token: Option<Token>) -> anyhow::Result<Queue> {
        let reply_to = format!("{}{own}", queue::REPLIES);
        let answers = answers(&bus, &reply_to).await?;
        let waiting = Waiting::default();
        let listener = listen(bus.clone(), reply_to.clone(), answers, Arc::clone(&waiting));
        Ok(Queue {
            bus,
            reply_to,
            token,
            waiting,
            _listener: AbortOnDropHandle::new(tokio::spawn(listener)),
        })
    }

    async fn ask(&self, line: &Line) -> anyhow::Result<Envelope> {
        let properties = Properties {
            kind: Some(line.route.clone()),
            id: Some(line.key.clone()),
            reply_to: Some(self.reply_to.clone()),
            correlation: None,
            token: self.token.clone(),
        };
        let (sender, mut answer) = oneshot::channel();
        lock(&self.waiting).insert(line.key.clone(), sender);
        let mut patience = BATCH_REPEAT_SECONDS;
        loop {
            let body = line.body.clone().into_bytes();
            let sent = self
                .bus
                .publish_with(queue::SUBMISSIONS, body, &properties)
                .await;
            match sent {
                Ok(()) => {
                    if let Ok(answer) = timeout(Duration::from_secs(patience), &mut answer).await {
                        return answer.context("nobody listens for answers any more");
                    }
                    patience = (2 * patience).min(BATCH_REPEAT_SECONDS_MAX);
                    tracing::debug!(line = line.number, "not answered; sending it again");
                }
                // A queue that is not there is the API's to make, and it does when it starts.
                Err(
                    error @ (bus::Error::Away { .. }
                    | bus::Error::Full { .. }
                    | bus::Error::Unroutable { .. }),
                ) => {
                    tracing::debug!(line = line.number, %error, "sending it again");
                    sleep(Duration::from_millis(RETRY_MILLISECONDS_MAX)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

async fn answers(bus: &Bus, reply_to: &str) -> Result<Consumer, bus::Error> {
    bus.declare(reply_to, QueueKind::Session).await?;
    bus.consume(reply_to, BATCH_UNANSWERED_MAX).await
}

/// Hands every answer to who waits for it, for ever; a second answer to a line is nobody's.
async fn listen(bus: Bus, reply_to: String, first: Consumer, waiting: Waiting) {
    let mut consumer = first;
    loop {
        while let Some(delivery) = consumer.next().await {
            match serde_json::from_slice(delivery.body()) {
                Ok(envelope) => {
                    let key = delivery.properties().correlation.unwrap_or_default();
                    if let Some(waiter) = lock(&waiting).remove(&key) {
                        // Whoever waited may have been stopped.
                        let _ = waiter.send(envelope);
                    }
                }
                Err(error) => tracing::warn!(%error, "an answer that is none"),
            }
            delivery.ack().await;
        }
        consumer = loop {
            match answers(&bus, &reply_to).await {
                Ok(consumer) => break consumer,
                Err(error) => tracing::debug!(%error, "no queue for answers yet"),
            }
            sleep(Duration::from_millis(RETRY_MILLISECONDS_MAX)).await;
        };
    }
}
