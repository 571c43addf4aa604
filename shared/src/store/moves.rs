//! What may happen to a job, without a database: each move looks at the row, asks
//! [`JobStatus::after`], and changes the row or leaves it alone. A move whose fence is not the
//! row's current one changes nothing; so does every move on a job that has ended.

use std::collections::BTreeMap;

use super::report;
use super::{Applied, Unclaimed};
use crate::id::{Attempt, JobId, OrderId, PartyId, Round, SessionId};
use crate::job::{
    Fence, JobStatus, Kind, Privacy, Reason, ReasonCode, Report, Transition, Waiting,
};
use crate::limits;
use crate::message::{Beat, Progress, queue};
use crate::table::Dropped;

/// A job's row as the moves see it. Times are Unix milliseconds of the database's clock.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) order: OrderId,
    pub(crate) job: JobId,
    pub(crate) kind: Kind,
    pub(crate) guest: PartyId,
    pub(crate) status: JobStatus,
    pub(crate) status_at: i64,
    pub(crate) attempt: Attempt,
    /// Who has the job, until when; while it runs or awaits approval.
    pub(crate) held: Option<Held>,
    pub(crate) failures: i32,
    pub(crate) checkpoint_round: Option<Round>,
    pub(crate) digests: BTreeMap<PartyId, Vec<u8>>,
    pub(crate) report: Report,
    pub(crate) deadline_at: i64,
}

/// A session's hold of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) session: SessionId,
    pub(crate) lease_until: i64,
}

/// What a session tells when every party joined and has its rows.
#[derive(Clone)]
pub struct Started {
    /// Rows each party uses.
    pub rows: BTreeMap<PartyId, u64>,
    /// Rows each party left out.
    pub dropped: BTreeMap<PartyId, Dropped>,
    /// Each party's keyed digest of its rows.
    pub digests: BTreeMap<PartyId, Vec<u8>>,
    /// How contributions are protected; `None` for inference.
    pub privacy: Option<Privacy>,
}

impl Row {
    /// Whom the job waits for: its parties while it runs, its guest while nobody has it.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        match self.status {
            JobStatus::Pending => Some(Waiting {
                parties: vec![self.guest],
                since: self.status_at,
            }),
            JobStatus::AwaitingApproval | JobStatus::Running => self.report.waiting.clone(),
            JobStatus::AwaitingInput
            | JobStatus::Finished
            | JobStatus::Failed
            | JobStatus::Cancelled => None,
        }
    }

    /// The job as something to claim.
    pub(crate) fn unclaimed(&self) -> Unclaimed {
        Unclaimed {
            order: self.order,
            job: self.job,
            attempt: self.attempt,
            queue: queue::invitations(self.kind, self.guest),
        }
    }

    /// Who has the job.
    pub(crate) fn fence(&self) -> Option<Fence> {
        self.held.map(|held| Fence {
            job: self.job,
            attempt: self.attempt,
            session: held.session,
        })
    }

    /// Whether the session has the job.
    pub(crate) fn held_by(&self, fence: &Fence) -> bool {
        #[cfg(test)]
        if crate::sabotage::is_off(crate::sabotage::Mechanism::Fence) {
            return self.job == fence.job && self.held.is_some();
        }
        self.fence().as_ref() == Some(fence)
    }

    /// Whether the job now waits for a worker: every input is there, and it may take `duration`.
    pub(crate) fn fill(&mut self, duration: i64, now: i64) -> bool {
        let filled = self.take(Transition::Fill, now);
        if filled {
            self.deadline_at = now.saturating_add(duration);
        }
        filled
    }

    /// Whether the session has the job now. A repeated claim of the session that has it is granted
    /// again: the first answer may be lost.
    pub(crate) fn claim(&mut self, fence: &Fence, party: PartyId, lease: i64, now: i64) -> bool {
        let free = self.status == JobStatus::Pending
            && self.job == fence.job
            && self.attempt == fence.attempt
            && self.guest == party;
        if free && self.take(Transition::Claim, now) {
            self.report.waiting = None;
            self.report.started_at.get_or_insert(now);
        } else if self.guest != party || !self.held_by(fence) {
            return false;
        }
        self.held = Some(Held {
            session: fence.session,
            lease_until: now.saturating_add(lease),
        });
        true
    }

    /// Whether the session still has the job.
    pub(crate) fn beat(&mut self, beat: Beat, lease: i64, now: i64) -> bool {
        let alive = self.held_by(&beat.fence);
        if alive {
            self.held = Some(Held {
                session: beat.fence.session,
                lease_until: now.saturating_add(lease),
            });
            let approval = match beat.awaiting {
                true => Transition::Await,
                false => Transition::Resume,
            };
            if let Some(status) = self.status.after(approval) {
                self.status = status;
                self.status_at = now;
            }
            report::progressed(&mut self.report, beat.progress);
            report::waits(&mut self.report, beat.waiting, now);
        }
        alive
    }

    pub(crate) fn started(&mut self, fence: &Fence, started: Started, now: i64) -> Applied {
        if !self.held_by(fence) {
            return Applied::Stale;
        }
        if self.digests.is_empty() {
            self.digests = started.digests;
        } else if let Some(reason) = report::changed(&self.digests, &started.digests) {
            return self.end(Transition::Fail, Some(reason), now);
        }
        report::started(
            &mut self.report,
            started.rows,
            started.dropped,
            started.privacy,
        );
        Applied::Counted
    }

    /// [`Applied::Counted`] when the checkpoint is newer than the one before, and only then it is
    /// to be kept.
    pub(crate) fn checkpoint(&mut self, fence: &Fence, progress: Progress) -> Applied {
        // Of which rows it is must be known first: else changed rows would go unnoticed.
        let unfounded = self.digests.is_empty();
        if !self.held_by(fence) || unfounded || self.checkpoint_round >= Some(progress.round) {
            return Applied::Stale;
        }
        self.checkpoint_round = Some(progress.round);
        self.failures = 0;
        report::progressed(&mut self.report, progress);
        Applied::Counted
    }

    pub(crate) fn finish(&mut self, fence: &Fence, progress: Progress, now: i64) -> Applied {
        if !self.held_by(fence) {
            return Applied::Stale;
        }
        report::progressed(&mut self.report, progress);
        self.end(Transition::Finish, None, now)
    }

    pub(crate) fn fail(&mut self, fence: &Fence, reason: Reason, now: i64) -> Applied {
        if !self.held_by(fence) {
            Applied::Stale
        } else if reason.code.retryable() {
            self.release(reason, now)
        } else {
            self.end(Transition::Fail, Some(reason), now)
        }
    }

    /// Takes the job from a session whose lease ended.
    pub(crate) fn lose(&mut self, fence: &Fence, now: i64) -> Applied {
        let over = self.held.is_some_and(|held| held.lease_until <= now);
        if self.held_by(fence) && over {
            self.release(report::lost(self.guest), now)
        } else {
            Applied::Stale
        }
    }

    /// Ends a job whose deadline passed.
    pub(crate) fn expire(&mut self, now: i64) -> Applied {
        if self.deadline_at > now {
            return Applied::Stale;
        }
        let reason = if self.status == JobStatus::AwaitingInput {
            report::unfilled()
        } else {
            report::late(self.waiting().as_ref())
        };
        self.end(Transition::Fail, Some(reason), now)
    }

    pub(crate) fn cancel(&mut self, now: i64) -> Applied {
        let reason = self.report.reason.clone();
        self.end(Transition::Cancel, reason, now)
    }

    /// Opens the next attempt, or ends the job when too many failed without a new checkpoint. That
    /// a worker was told to stop is nobody's failure.
    fn release(&mut self, reason: Reason, now: i64) -> Applied {
        if reason.code != ReasonCode::WorkerStopped {
            self.failures += 1;
        }
        if self.failures >= limits::FAILURES_MAX {
            let reason = report::too_many(&reason);
            return self.end(Transition::Fail, Some(reason), now);
        }
        if !self.take(Transition::Release, now) {
            return Applied::Stale;
        }
        self.attempt = Attempt(self.attempt.0 + 1);
        self.report.reason = Some(reason);
        self.report.waiting = None;
        Applied::Released(self.unclaimed())
    }

    fn end(&mut self, how: Transition, reason: Option<Reason>, now: i64) -> Applied {
        if !self.take(how, now) {
            return Applied::Stale;
        }
        self.report.reason = reason;
        self.report.waiting = None;
        self.checkpoint_round = None;
        self.digests = BTreeMap::new();
        Applied::Ended
    }

    /// Whether the status changed. Nobody has a job whose status just changed.
    fn take(&mut self, transition: Transition, now: i64) -> bool {
        let Some(status) = self.status.after(transition) else {
            return false;
        };
        self.status = status;
        self.status_at = now;
        self.held = None;
        true
    }
}

#[cfg(test)]
mod tests;
