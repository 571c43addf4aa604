//! The queue `submissions`: jobs asked for in batches.
//!
//! A message's body is what HTTP takes, its `type` the route, its `message_id` the request's name
//! (as the header `Idempotency-Key`), and the answer goes to `reply_to`, with the message's
//! `correlation_id` or else its `message_id`. Who asks is said by its header `token`, which must be
//! good when the message is read: one that waits in the queue for more than an hour is refused by
//! 401, whatever its token was when it was sent. A message is settled after its job is on disk: one
//! that comes again is answered as before. A refusal that nobody can be told of is parked.

use std::time::Duration;

use shared::bus::{Consumer, Delivery, Properties, QueueKind, Token};
use shared::limits;
use shared::message::queue;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::answer::{self, Answer, Dialect, Error};
use crate::fields::shortened;
use crate::idempotency::Idempotency;
use crate::submission::Route;
use crate::{State, callers, json};

/// Takes jobs from the queue `submissions`, beside any number of others that do, until `shutdown`;
/// then finishes what it is at. An outage of the bus or the store is waited out.
pub async fn take_batches(state: State, shutdown: CancellationToken) {
    let mut settling = JoinSet::new();
    while let Some(mut consumer) = open(&state, &shutdown).await {
        while let Some(delivery) = next(&mut consumer, &mut settling, &shutdown).await {
            settling.spawn(settle(state.clone(), delivery, shutdown.clone()));
        }
        if shutdown.is_cancelled() {
            break;
        }
        tracing::warn!("the queue of submissions is gone; declaring it again");
        pause(limits::RETRY_MILLISECONDS_MAX, &shutdown).await;
    }
    let limit = Duration::from_secs(limits::HTTP_DRAIN_SECONDS_MAX);
    let drained = timeout(limit, async { while join(&mut settling).await {} });
    if drained.await.is_err() {
        tracing::warn!(left = settling.len(), "submissions left to another process");
    }
}

/// A reader of the queue, once the bus gives one; `None` when the time is over.
async fn open(state: &State, shutdown: &CancellationToken) -> Option<Consumer> {
    loop {
        let opening = state.bus.open(
            queue::SUBMISSIONS,
            QueueKind::Durable,
            limits::SUBMISSION_PREFETCH,
        );
        let opened = tokio::select! {
            () = shutdown.cancelled() => return None,
            opened = opening => opened,
        };
        match opened {
            Ok(consumer) => return Some(consumer),
            // HTTP goes on nevertheless.
            Err(error) => tracing::error!(%error, "no submissions are taken from the queue"),
        }
        pause(limits::RETRY_MILLISECONDS_MAX, shutdown).await;
    }
}

/// The next submission; `None` when the queue is gone or the time is over.
async fn next(
    consumer: &mut Consumer,
    settling: &mut JoinSet<()>,
    shutdown: &CancellationToken,
) -> Option<Delivery> {
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return None,
            true = join(settling) => {}
            delivery = consumer.next() => return delivery,
        }
    }
}

/// Waits for the end of one of them; false when there is none.
async fn join(settling: &mut JoinSet<()>) -> bool {
    match settling.join_next().await {
        Some(Ok(())) => true,
        Some(Err(error)) => {
            tracing::error!(%error, "taking a submission stopped");
            true
        }
        None => false,
    }
}

/// Whether there is time left.
async fn pause(milliseconds: u64, shutdown: &CancellationToken) -> bool {
    tokio::select! {
        () = shutdown.cancelled() => false,
        () = tokio::time::sleep(Duration::from_millis(milliseconds)) => true,
    }
}

/// Takes a job, tells who asked, and is done with the message. While the store is away the message
/// stays in hand: giving it back would count as a delivery each time, and park it.
async fn settle(state: State, delivery: Delivery, shutdown: CancellationToken) {
    let properties = delivery.properties();
    let mut wait = limits::RETRY_MILLISECONDS;
    let answer = loop {
        match take(&state, &properties, delivery.body()).await {
            Err(Error::Store) => {
                if !pause(wait, &shutdown).await {
                    return;
                }
                wait = (2 * wait).min(limits::RETRY_MILLISECONDS_MAX);
            }
            answer => break answer,
        }
    };
    let told = tell(&state, &properties, &answer).await;
    match answer {
        Err(error) => {
            let status = error.status().as_u16();
            tracing::info!(status, told, "refused a submission");
            if told {
                delivery.ack().await;
            } else {
                delivery.reject(&format!("{status}: {error}")).await;
            }
        }
        Ok(_) => {
            tracing::info!(status = 200, told, "took a submission");
            delivery.ack().await;
        }
    }
}

async fn take(state: &State, properties: &Properties, body: &[u8]) -> Answer {
    if body.len() > limits::BODY_BYTES_MAX {
        return Err(Error::TooLarge(limits::BODY_BYTES_MAX));
    }
    let token = properties.token.as_ref().map(Token::as_str);
    let caller = callers::identify(state, token).await?;
    let route = properties.kind.as_deref().unwrap_or_default();
    let route = Route::of(route).ok_or_else(|| unknown(route))?;
    let name = properties.id.as_deref().ok_or_else(|| {
        Error::Invalid(
            "`message_id` is missing: it must name the request, which may arrive twice".to_owned(),
        )
    })?;
    let body = json::parse(body)?;
    let named = route.named(&caller, &body);
    let name = Idempotency::new("message_id", name, route.path(), &named)?;
    route.take(state, &caller, &body, Some(name)).await
}

/// What is said of a `type` that is no request for a job.
pub(crate) fn unknown(route: &str) -> Error {
    let [train, infer, compute] = Route::ALL.map(Route::path);
    let shown = shortened(route);
    Error::Unknown(format!(
        "`type` is \"{shown}\": it must be {train}, {infer} or {compute}"
    ))
}

/// Whether the answer is in the hands of who asked, as far as the broker knows.
async fn tell(state: &State, properties: &Properties, answer: &Answer) -> bool {
    let Some(to) = &properties.reply_to else {
        return false;
    };
    let about = Properties {
        correlation: properties.correlation.clone().or(properties.id.clone()),
        ..Properties::default()
    };
    let route = properties.kind.as_deref().and_then(Route::of);
    let dialect = route.map_or(Dialect::Envelope, Route::dialect);
    let sending = state
        .bus
        .publish_with(to, answer::bytes(dialect, answer), &about);
    let limit = Duration::from_secs(limits::ANSWER_SECONDS_MAX);
    match timeout(limit, sending).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::debug!(%error, "nobody waits for the answer to a submission");
            false
        }
        Err(_) => {
            tracing::debug!("answering a submission took too long");
            false
        }
    }
}
