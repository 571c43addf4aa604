//! An inference: one party reads its own rows, scores them with its own copy of the model, and
//! releases the scores.

use std::time::Duration;

use super::repeat::Repeat;
use super::{Effect, Reading, Rows, Seat, Standing, because, open_model, stopped};
use crate::job::{InferSpec, Phase, Reason, ReasonCode};
use crate::limits::{OUTCOME_BYTES_MAX, SCORED_ROWS_MAX};
use crate::local::logistic_regression;
use crate::message::{self, EventBody, Grant, Outcome, Progress, Score};
use crate::model::Model;
use crate::table::Needed;

/// Decimals of a released score.
const SCORE_SCALE: f64 = 1e4;

/// One party's session for one inference.
pub struct Scoring {
    seat: Seat,
    model: Model,
    reading: Box<Reading>,
    repeat: Repeat,
    /// Whether the rows could not be read for now.
    unread: bool,
    /// What the platform has not confirmed yet.
    said: Option<EventBody>,
}

impl Scoring {
    pub(super) fn new(
        now: Duration,
        seat: &Seat,
        grant: &Grant,
        spec: InferSpec,
    ) -> Result<(Scoring, Vec<Effect>), Reason> {
        let me = seat.party;
        let sealed = grant.model.as_deref().unwrap_or_default();
        let model = open_model(&seat.identity, &seat.directory, me, spec.trained_by, sealed)
            .map_err(|_| {
                let text = format!("party {me} has no model {} that it can open", spec.model.0);
                because(ReasonCode::ModelMissing, me, text)
            })?;
        if spec.party != me {
            let text = "the request is for another party";
            return Err(because(ReasonCode::RequestRefused, me, text));
        }
        let needed = Needed {
            unique_id: model.unique_id.clone(),
            attributes: model.attributes.clone(),
            label: None,
        };
        let reading = Box::new(Reading::Scoring {
            query: spec.query,
            needed,
        });
        let scoring = Scoring {
            seat: seat.clone(),
            model,
            reading: reading.clone(),
            repeat: Repeat::from(now),
            unread: false,
            said: None,
        };
        Ok((scoring, vec![Effect::Load(reading)]))
    }

    pub(super) fn loaded(&mut self, rows: Result<Box<Rows>, Reason>) -> Vec<Effect> {
        let me = self.seat.party;
        if rows.as_ref().is_err_and(|reason| reason.code.retryable()) {
            self.unread = true;
            return Vec::new();
        }
        let counted = rows.and_then(|rows| {
            let count = rows.table.ids.len();
            if count <= SCORED_ROWS_MAX {
                return Ok(rows);
            }
            let text = format!("{count} rows are more than the {SCORED_ROWS_MAX} of one inference");
            Err(because(ReasonCode::TooManyRows, me, text))
        });
        match counted {
            Ok(rows) => {
                let outcome = Outcome::Scores {
                    scores: self.scores(&rows),
                    dropped: rows.dropped,
                };
                if message::encode(&outcome).len() > OUTCOME_BYTES_MAX {
                    let text =
                        "the scores are longer than one message; ask for fewer rows at a time";
                    let reason = because(ReasonCode::TooManyRows, me, text);
                    return self.say(EventBody::Failed { reason });
                }
                let progress = progress();
                self.say(EventBody::Finished { progress, outcome })
            }
            Err(reason) => self.say(EventBody::Failed { reason }),
        }
    }

    fn scores(&self, rows: &Rows) -> Vec<Score> {
        let table = &rows.table;
        let score = |(id, row): (&str, _)| {
            let probability = logistic_regression::score(&self.model, row);
            let label = (probability * SCORE_SCALE).round_ties_even() / SCORE_SCALE;
            Score {
                unique_id: id.to_owned(),
                label,
            }
        };
        table
            .ids
            .iter()
            .zip(table.values.rows())
            .map(score)
            .collect()
    }

    fn say(&mut self, event: EventBody) -> Vec<Effect> {
        self.said = Some(event.clone());
        vec![Effect::Report(event)]
    }

    /// Gives the job back, unless the last word is said.
    pub(super) fn stop(&self) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.said.is_none() {
            effects.push(Effect::Report(stopped(self.seat.party)));
        }
        effects.push(Effect::Close);
        effects
    }

    pub(super) fn tick(&mut self, now: Duration) -> Vec<Effect> {
        match &self.said {
            Some(event) if self.repeat.is_due(now) => vec![Effect::Report(event.clone())],
            None if self.unread && self.repeat.is_due(now) => {
                self.unread = false;
                vec![Effect::Load(self.reading.clone())]
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        Standing {
            progress: progress(),
            waiting: self.unread.then_some(self.seat.party).into_iter().collect(),
        }
    }
}

fn progress() -> Progress {
    Progress {
        phase: Phase::Scoring,
        ..Progress::default()
    }
}
