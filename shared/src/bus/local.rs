//! The bus within one process: the same acks, redelivery, returns and bounds as the broker's.
//!
//! One lock over all queues, held for a few moves of pointers, never across an await; no timer:
//! what has expired is dropped when somebody next touches the queue.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::{Cause, Death, Error, Properties, QueueKind, Usage};
use crate::limits;
use crate::message::queue;

/// Queues in memory.
#[derive(Clone)]
pub struct Bus {
    since: std::time::Instant,
    queues: Arc<Mutex<HashMap<Arc<str>, Queue>>>,
}

struct Queue {
    kind: QueueKind,
    waiting: VecDeque<Message>,
    bytes: usize,
    ready: Arc<Notify>,
    readers: usize,
}

struct Message {
    body: Vec<u8>,
    properties: Properties,
    attempts: u32,
    expires: Option<Instant>,
    death: Option<Death>,
}

impl Queue {
    fn new(kind: QueueKind) -> Queue {
        Queue {
            kind,
            waiting: VecDeque::new(),
            bytes: 0,
            ready: Arc::new(Notify::new()),
            readers: 0,
        }
    }

    /// Whether the message found room.
    fn push(&mut self, message: Message) -> bool {
        self.drop_expired();
        let full = |queue: &Queue, messages_max| {
            queue.waiting.len() >= messages_max
                || queue.bytes + message.body.len() > limits::QUEUE_BYTES_MAX
        };
        match self.kind {
            QueueKind::Durable | QueueKind::Session => {
                if full(self, limits::QUEUE_MESSAGES_MAX) {
                    return false;
                }
            }
            QueueKind::Beats => {
                while full(self, limits::BEATS_WAITING_MAX) {
                    self.pop();
                }
            }
        }
        self.bytes += message.body.len();
        self.waiting.push_back(message);
        self.ready.notify_one();
        true
    }

    fn push_front(&mut self, message: Message) {
        self.bytes += message.body.len();
        self.waiting.push_front(message);
        self.ready.notify_one();
    }

    fn pop(&mut self) -> Option<Message> {
        let message = self.waiting.pop_front()?;
        self.bytes -= message.body.len();
        Some(message)
    }

    /// Looks at the head only, as brokers do: messages of one queue live equally long.
    fn drop_expired(&mut self) {
        while let Some(Some(expires)) = self.waiting.front().map(|message| message.expires) {
            if expires > Instant::now() {
                break;
            }
            self.pop();
        }
    }
}

impl Bus {
    pub(super) fn new() -> Bus {
        let dead = (queue::DEAD.into(), Queue::new(QueueKind::Durable));
        Bus {
            since: std::time::Instant::now(),
            queues: Arc::new(Mutex::new(HashMap::from([dead]))),
        }
    }

    pub(super) fn since(&self) -> std::time::Instant {
        self.since
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Queue>> {
        // A panic under the lock leaves whole queues: nothing between its changes can panic.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn declare(&self, name: &str, kind: QueueKind) -> Result<(), Error> {
        let mut queues = self.lock();
        match queues.get(name) {
            Some(queue) if queue.kind == kind => Ok(()),
            Some(queue) => Err(Error::KindDiffers {
                queue: name.to_owned(),
                found: queue.kind,
                asked: kind,
            }),
            None => {
                queues.insert(name.into(), Queue::new(kind));
                Ok(())
            }
        }
    }

    pub(super) fn publish(
        &self,
        name: &str,
        body: Vec<u8>,
        life: Option<Duration>,
        properties: &Properties,
    ) -> Result<(), Error> {
        let mut queues = self.lock();
        let Some(queue) = queues.get_mut(name) else {
            return Err(unroutable(name));
        };
        let life = match queue.kind {
            QueueKind::Beats => Some(Duration::from_secs(limits::BEAT_LIFE_SECONDS)),
            QueueKind::Durable | QueueKind::Session => life,
        };
        let message = Message {
            body,
            properties: properties.clone(),
            attempts: 0,
            expires: life.map(|life| Instant::now() + life),
            death: None,
        };
        if queue.push(message) {
            Ok(())
        } else {
            Err(Error::Full {
                queue: name.to_owned(),
            })
        }
    }

    pub(super) fn usage(&self, name: &str) -> Usage {
        let mut queues = self.lock();
        let usage = |queue: &mut Queue| {
            queue.drop_expired();
            Usage {
                waiting: queue.waiting.len(),
                readers: queue.readers,
            }
        };
        queues.get_mut(name).map(usage).unwrap_or_default()
    }

    pub(super) fn consume(&self, name: &str, prefetch: usize) -> Result<Consumer, Error> {
        assert!(prefetch > 0, "a reader that may hold nothing never reads");
        let mut queues = self.lock();
        let Some((name, _)) = queues.get_key_value(name) else {
            return Err(unroutable(name));
        };
        let name = Arc::clone(name);
        let queue = queues.get_mut(&name).expect("it was found a line above");
        if queue.kind == QueueKind::Session && queue.readers > 0 {
            return Err(Error::Taken {
                queue: name.as_ref().to_owned(),
            });
        }
        queue.readers += 1;
        Ok(Consumer {
            bus: self.clone(),
            queue: name,
            kind: queue.kind,
            ready: Arc::clone(&queue.ready),
            window: Arc::new(Semaphore::new(prefetch)),
        })
    }

    fn take(&self, name: &str) -> Option<Message> {
        let mut queues = self.lock();
        let queue = queues.get_mut(name)?;
        queue.drop_expired();
        queue.pop().map(|mut message| {
            message.attempts += 1;
            message
        })
    }

    fn put_back(&self, name: &str, message: Message) {
        if message.attempts >= limits::DELIVERIES_MAX {
            self.bury(name, message, Cause::Unsettled);
        } else if let Some(queue) = self.lock().get_mut(name) {
            queue.push_front(message);
        }
    }

    fn bury(&self, name: &str, message: Message, cause: Cause) {
        let bytes = message.body.len();
        let death = Death {
            queue: name.to_owned(),
            cause,
        };
        let kept = name != queue::DEAD
            && self.lock().get_mut(queue::DEAD).is_some_and(|dead| {
                dead.push(Message {
                    body: message.body,
                    properties: Properties::default(),
                    attempts: 0,
                    expires: None,
                    death: Some(death),
                })
            });
        if !kept {
            tracing::warn!(queue = name, bytes, "dropped a dead message");
        }
    }
}

fn unroutable(name: &str) -> Error {
    Error::Unroutable {
        queue: name.to_owned(),
    }
}

/// A reader of a queue in memory.
pub struct Consumer {
    bus: Bus,
    queue: Arc<str>,
    kind: QueueKind,
    ready: Arc<Notify>,
    window: Arc<Semaphore>,
}

impl Consumer {
    pub(super) async fn next(&mut self) -> Delivery {
        let permit = Arc::clone(&self.window)
            .acquire_owned()
            .await
            .expect("the window is never closed");
        loop {
            if let Some(message) = self.bus.take(&self.queue) {
                return self.delivery(message, permit);
            }
            // Stand in line first, then look again: a message between the two looks rings for
            // somebody in line, so that none is slept through.
            let mut ready = pin!(self.ready.notified());
            ready.as_mut().enable();
            if let Some(message) = self.bus.take(&self.queue) {
                return self.delivery(message, permit);
            }
            ready.await;
        }
    }

    fn delivery(&self, message: Message, permit: OwnedSemaphorePermit) -> Delivery {
        Delivery {
            bus: self.bus.clone(),
            queue: Arc::clone(&self.queue),
            requeue: self.kind == QueueKind::Durable,
            message: Some(message),
            _permit: permit,
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let mut queues = self.bus.lock();
        if self.kind == QueueKind::Session {
            queues.remove(&self.queue);
        } else if let Some(queue) = queues.get_mut(&self.queue) {
            queue.readers -= 1;
        }
    }
}

/// A message of a queue in memory.
pub struct Delivery {
    bus: Bus,
    queue: Arc<str>,
    requeue: bool,
    /// `None` once settled.
    message: Option<Message>,
    _permit: OwnedSemaphorePermit,
}

impl Delivery {
    fn message(&self) -> &Message {
        self.message
            .as_ref()
            .expect("settling takes the delivery away")
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.message().body
    }

    pub(super) fn properties(&self) -> Properties {
        let mut properties = self.message().properties.clone();
        properties
            .reply_to
            .take_if(|queue| !queue::takes_answers(queue));
        properties
    }

    pub(super) fn attempts(&self) -> u32 {
        self.message().attempts
    }

    pub(super) fn death(&self) -> Option<&Death> {
        self.message().death.as_ref()
    }

    pub(super) fn ack(mut self) {
        self.message = None;
    }

    pub(super) fn reject(mut self, reason: String) {
        if let Some(message) = self.message.take() {
            self.bus.bury(&self.queue, message, Cause::Rejected(reason));
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(message) = self.message.take()
            && self.requeue
        {
            self.bus.put_back(&self.queue, message);
        }
    }
}
