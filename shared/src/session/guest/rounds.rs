//! From everybody's ready to the model: steps out, sums in, checkpoints, the end.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{Guest, Stage, checkpoint_context};
use crate::federated::{self, Output, Participant};
use crate::job::ReasonCode;
use crate::limits::{CHECKPOINT_SECONDS, OUTCOME_BYTES_MAX};
use crate::message::{self, EventBody, Outcome, Progress};
use crate::model::Model;
use crate::seal::{self, SealPublic};
use crate::session::correspondence::Kind;
use crate::session::repeat::Repeat;
use crate::session::{Effect, because, reason};

/// Rounds that the median duration is taken over.
const DURATIONS_KEPT: usize = 101;

impl Guest {
    pub(super) fn start_if_ready(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
    ) -> Vec<Effect> {
        match &mut self.participant {
            Some(participant) if self.unready.is_empty() => {
                self.stage = Stage::Running;
                self.round_began = now;
                let outputs = participant.start(secrets);
                self.emit(secrets, now, outputs)
            }
            _ => Vec::new(),
        }
    }

    /// Turns a participant's outputs into effects.
    pub(super) fn emit(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
        outputs: Result<Vec<Output>, federated::Error>,
    ) -> Vec<Effect> {
        let outputs = match outputs {
            Ok(outputs) => outputs,
            Err(error) => {
                let reason = reason(self.me(), &error);
                return self.fail(secrets, now, reason);
            }
        };
        let mut effects = Vec::new();
        for output in outputs {
            match output {
                Output::Send {
                    to,
                    round,
                    step,
                    answers,
                } => {
                    self.letters.enter(round);
                    let step = Zeroizing::new(step);
                    let (queue, key) = &self.addresses[&to];
                    let letter =
                        self.letters
                            .write_bytes(secrets, Kind::Step, round, (to, key), &step);
                    match letter {
                        Ok(envelope) => {
                            let send = Effect::Send {
                                queue: queue.clone(),
                                envelope,
                                pledge: answers
                                    .map(|answered| self.letters.pledge(round, answered)),
                            };
                            effects.push(send.clone());
                            self.unanswered.insert(to, send);
                        }
                        Err(error) => {
                            let text = error.to_string();
                            let reason = because(ReasonCode::Protocol, self.me(), text);
                            return self.fail(secrets, now, reason);
                        }
                    }
                }
                Output::RoundFinished {
                    progress,
                    checkpoint,
                } => {
                    effects.extend(self.round_finished(secrets, now, progress, checkpoint));
                }
                Output::Finished { progress, model } => {
                    effects.extend(self.finish(secrets, now, progress, &model));
                }
            }
        }
        effects
    }

    fn round_finished(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
        progress: Progress,
        checkpoint: Vec<u8>,
    ) -> Vec<Effect> {
        let checkpoint = Zeroizing::new(checkpoint);
        self.unanswered.clear();
        self.repeat = Repeat::from(now);
        self.moved = now;
        if self.durations.len() == DURATIONS_KEPT {
            self.durations.remove(0);
        }
        self.durations.push((now - self.round_began).as_secs_f64());
        self.round_began = now;
        self.progress = self.timed(progress);
        let interval = Duration::from_secs(CHECKPOINT_SECONDS);
        if self.saved.is_some_and(|saved| now < saved + interval) {
            return Vec::new();
        }
        self.saved = Some(now);
        let context = checkpoint_context(&self.letters, &self.own.spec_hash);
        let identity = &self.letters.seat.identity;
        let blob = seal::seal_checkpoint(secrets, identity, &context, &checkpoint);
        let progress = self.progress.clone();
        let started = self.started.clone().map(Effect::Report);
        let checkpoint = Effect::Report(EventBody::Checkpoint { progress, blob });
        started.into_iter().chain([checkpoint]).collect()
    }

    fn timed(&self, mut progress: Progress) -> Progress {
        let mut sorted = self.durations.clone();
        sorted.sort_by(f64::total_cmp);
        progress.round_milliseconds = sorted.get(sorted.len() / 2).map(|seconds| seconds * 1e3);
        progress
    }

    fn finish(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
        progress: Progress,
        model: &Model,
    ) -> Vec<Effect> {
        self.progress = self.timed(progress);
        let model = Zeroizing::new(message::encode(model));
        let round = self.progress.round;
        let mut parts = BTreeMap::new();
        for party in self.spec.parties.ascending() {
            let key = SealPublic(self.letters.seat.directory[&party].sealing);
            let kind = Kind::ModelPart;
            match self
                .letters
                .write_bytes(secrets, kind, round, (party, &key), &model)
            {
                Ok(part) => parts.insert(party, part),
                Err(error) => {
                    let reason = because(ReasonCode::Protocol, self.me(), error.to_string());
                    return self.fail(secrets, now, reason);
                }
            };
        }
        if parts.values().map(Vec::len).sum::<usize>() > OUTCOME_BYTES_MAX {
            let text = "the model, once for each party, is longer than one message";
            let reason = because(ReasonCode::RequestRefused, self.me(), text);
            return self.fail(secrets, now, reason);
        }
        let progress = self.progress.clone();
        self.report(
            secrets,
            now,
            EventBody::Finished {
                progress,
                outcome: Outcome::Model(parts),
            },
        )
    }
}
