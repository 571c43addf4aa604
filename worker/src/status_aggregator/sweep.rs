//! The sweep: makes again what the bus may have lost, and ends what nobody else ends.

use std::collections::HashMap;
use std::time::Duration;

use shared::id::OrderId;
use shared::limits::{INVITED_AGAIN_MAX, INVITED_MAX, UPLOAD_SECONDS_MAX};
use shared::message::queue;
use shared::store::{self, Applied};
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;

use super::{Aggregator, chain};

impl Aggregator {
    /// Looks over all jobs on a timer, and over the newest when somebody rings.
    pub(super) async fn sweep_until_shutdown(&self, wake: &Notify) {
        let mut timer = tokio::time::interval(self.timing.sweep);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut newest = None;
        loop {
            let rung = tokio::select! {
                () = self.shutdown.cancelled() => return,
                _ = timer.tick() => false,
                () = wake.notified() => true,
            };
            let swept = if rung {
                self.invite_new(newest).await
            } else {
                self.sweep().await
            };
            match swept {
                Ok(last) => newest = last.max(newest),
                Err(error) => {
                    tracing::warn!(error = chain(&error), "the sweep waits for the store");
                    self.calm.disturb();
                }
            }
        }
    }

    /// One look over all jobs; the newest one invited.
    async fn sweep(&self) -> Result<Option<OrderId>, store::Error> {
        for job in self.store.overdue().await? {
            if self.store.expire(job).await? == Applied::Ended {
                tracing::info!(%job, "the job ended: its deadline passed");
            }
        }
        let silent = self.store.silent().await?;
        if !silent.is_empty() && self.heard_everything().await {
            for fence in silent {
                let applied = self.store.lose(fence).await?;
                self.follow(&fence, applied).await;
            }
        }
        let older = Duration::from_secs(UPLOAD_SECONDS_MAX);
        let dropped = self.store.drop_stale_uploads(older).await?;
        if dropped > 0 {
            tracing::info!(dropped, "dropped uploads that no job took over");
        }
        self.invite_again().await
    }

    /// Whether silence is death. Asked after looking who is silent: what was said before the look
    /// is in the rows then, or waits.
    async fn heard_everything(&self) -> bool {
        let lease = self.timing.lease;
        let reached_us = self
            .bus
            .up_since()
            .is_some_and(|since| since.elapsed() >= lease);
        if !reached_us || !self.calm.lasts(lease) {
            return false;
        }
        for queue in [queue::EVENTS, queue::BEATS] {
            let usage = self.bus.usage(queue).await;
            if !usage.is_ok_and(|usage| usage.waiting == 0) {
                return false;
            }
        }
        true
    }

    /// Invites again to open attempts; the newest one. A queue that holds invitations needs no
    /// more, as each would only be claimed twice, but those of the oldest jobs may be lost.
    async fn invite_again(&self) -> Result<Option<OrderId>, store::Error> {
        let mut newest = None;
        let mut left: HashMap<String, usize> = HashMap::new();
        loop {
            let page = self.store.unclaimed(newest).await?;
            let Some(end) = page.last() else {
                return Ok(newest);
            };
            newest = Some(end.order);
            for unclaimed in &page {
                let left = match left.get_mut(&unclaimed.queue) {
                    Some(left) => left,
                    None => {
                        let usage = self.bus.usage(&unclaimed.queue).await;
                        let some = usage.is_ok_and(|usage| usage.waiting > 0);
                        let most = if some { INVITED_AGAIN_MAX } else { INVITED_MAX };
                        left.entry(unclaimed.queue.clone()).or_insert(most)
                    }
                };
                if *left > 0 {
                    *left -= 1;
                    self.invite(unclaimed).await;
                }
            }
        }
    }

    /// Invites to every open attempt after `after`; the last one invited.
    async fn invite_new(&self, after: Option<OrderId>) -> Result<Option<OrderId>, store::Error> {
        let mut last = after;
        loop {
            let page = self.store.unclaimed(last).await?;
            let Some(end) = page.last() else {
                return Ok(last);
            };
            last = Some(end.order);
            for unclaimed in &page {
                self.invite(unclaimed).await;
            }
        }
    }
}
