//! The platform of a world: its row, moved by what sessions say, and what a test asks of it.

use super::{About, LEASE_MILLISECONDS, Wire, World};
use crate::id::{PartyId, Round, SessionId};
use crate::job::{Fence, Phase, Reason};
use crate::message::{EventBody, Grant, Outcome};
use crate::store::moves::Started;

impl World {
    /// Whether these are the words of the session that has the job.
    fn is_current(&self, fence: &Fence) -> bool {
        let held = self
            .row
            .held
            .is_some_and(|held| held.session == fence.session);
        held && self.row.attempt == fence.attempt
    }

    /// The status aggregator, and the law that words of any other session change nothing.
    pub(super) fn fold(
        &mut self,
        fence: Fence,
        party: PartyId,
        reply_to: String,
        event: EventBody,
    ) {
        let claim = matches!(event, EventBody::Claimed);
        let before = (!claim && !self.is_current(&fence)).then(|| self.row.clone());
        self.apply(fence, party, reply_to, event);
        self.strangers_heard |= before.is_some_and(|before| before != self.row);
    }

    fn apply(&mut self, fence: Fence, party: PartyId, reply_to: String, event: EventBody) {
        let now = self.milliseconds();
        match event {
            EventBody::Claimed => {
                if !self.row.claim(&fence, party, LEASE_MILLISECONDS, now) {
                    return self.wires.push(Wire::Ended {
                        queue: reply_to,
                        fence,
                    });
                }
                self.holders.insert(fence.session);
                let panel = self.federation.panel.as_ref();
                let grant = Grant {
                    fence,
                    spec: self.federation.spec_bytes(),
                    checkpoint: self.checkpoint.clone(),
                    digests: self.row.digests.clone(),
                    model: None,
                    inputs: panel.map(|panel| panel.inputs.clone()).unwrap_or_default(),
                    key: panel.and_then(|panel| panel.key.clone()),
                };
                self.wires.push(Wire::Granted {
                    queue: reply_to,
                    grant,
                });
            }
            EventBody::Fetch { file, piece } if self.is_current(&fence) => {
                let panel = self.federation.panel.as_ref();
                let sealed = panel.and_then(|panel| panel.files.get(&(file, piece)).cloned());
                self.wires.push(Wire::Answer {
                    queue: reply_to,
                    fence,
                    about: About::Piece(file, piece, sealed),
                });
            }
            EventBody::Keep {
                file,
                piece,
                sealed,
            } if self.is_current(&fence) => {
                self.kept.insert((fence.session, file, piece), sealed);
                self.wires.push(Wire::Answer {
                    queue: reply_to,
                    fence,
                    about: About::Kept(file, piece),
                });
            }
            EventBody::Fetch { .. } | EventBody::Keep { .. } => self.wires.push(Wire::Ended {
                queue: reply_to,
                fence,
            }),
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
                self.row.started(&fence, started, now);
            }
            EventBody::Checkpoint { progress, blob } => {
                let before = self.row.checkpoint_round;
                self.row.checkpoint(&fence, progress);
                assert!(
                    self.row.checkpoint_round >= before,
                    "a checkpoint moved back"
                );
                if self.row.checkpoint_round != before {
                    self.checkpoint = Some(blob);
                }
            }
            EventBody::Finished { progress, outcome } => {
                let before = self.row.status;
                self.row.finish(&fence, progress, now);
                if self.row.status != before {
                    self.finishes += 1;
                    match outcome {
                        Outcome::Model(parts) => self.parts = parts,
                        outcome => {
                            let this = |key: &(SessionId, _, _)| key.0 == fence.session;
                            self.kept.retain(|key, _| this(key));
                            self.outcome = Some(outcome);
                        }
                    }
                }
                self.wires.push(Wire::Ended {
                    queue: reply_to,
                    fence,
                });
            }
            EventBody::Failed { reason } => {
                self.row.fail(&fence, reason, now);
                self.wires.push(Wire::Ended {
                    queue: reply_to,
                    fence,
                });
            }
        }
    }

    /// Ends the job as its owner would.
    pub(in crate::simulation) fn cancel(&mut self) {
        self.row.cancel(self.milliseconds());
    }

    /// Loses the stored checkpoint.
    pub(in crate::simulation) fn forget_checkpoint(&mut self) {
        self.checkpoint = None;
    }

    /// Flips a bit of the stored checkpoint.
    pub(in crate::simulation) fn spoil_checkpoint(&mut self) {
        self.checkpoint.as_mut().unwrap()[50] ^= 1;
    }

    /// Whether gradients are being summed, as far as the platform knows.
    pub(in crate::simulation) fn is_training(&self) -> bool {
        self.row.report.phase == Phase::Training
    }

    /// The last reason, for a test's message.
    pub(in crate::simulation) fn reason(&self) -> Option<Reason> {
        self.row.report.reason.clone()
    }

    /// The round that training has reached, as far as the platform knows.
    pub(in crate::simulation) fn round(&self) -> Round {
        self.row.report.round
    }
}
