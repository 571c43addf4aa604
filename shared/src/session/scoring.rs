//! An inference: one party reads its own rows, scores them with its own copy of the model, and
//! releases the scores.

use std::time::Duration;

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::intake::{Admitted, Asked, Intake};
use super::repeat::Repeat;
use super::{Effect, Kind, Reading, Rows, Seat, Standing, because, open_model, setup, stopped};
use crate::admission::{Summary, Verdict};
use crate::id::{JobId, PartyId, Round};
use crate::job::{Fence, InferSpec, Phase, Reason, ReasonCode};
use crate::limits::OUTCOME_BYTES_MAX;
use crate::local::logistic_regression;
use crate::message::{self, EventBody, Grant, Outcome, Progress, Score};
use crate::model::Model;
use crate::policy::Release;
use crate::seal::{self, Header, PublicIdentity, SealPublic, SealSecret};
use crate::table::Needed;

/// Decimals of a released score.
const SCORE_SCALE: f64 = 1e4;

/// One party's session for one inference.
pub struct Scoring {
    seat: Seat,
    fence: Fence,
    model: Model,
    intake: Intake,
    /// Whom scores are sealed to, where they are.
    reader: SealPublic,
    release: Release,
    repeat: Repeat,
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
        let missing = || {
            let text = format!("party {me} has no model {} that it can open", spec.model.0);
            because(ReasonCode::ModelMissing, me, text)
        };
        let writer = seal::peek(sealed).map_err(|_| missing())?.from;
        let model = open_model(&seat.identity, &seat.directory, me, spec.trained_by, sealed)
            .map_err(|_| missing())?;
        if spec.party != me {
            let text = "the request is for another party";
            return Err(because(ReasonCode::RequestRefused, me, text));
        }
        let reader = reader(seat, &spec)?;
        // Whoever names a key asks for the seal.
        let release = match spec.result_key {
            Some(_) => Release::Sealed,
            None => seat.policy.infer.release,
        };
        let needed = Needed {
            unique_id: model.unique_id.clone(),
            attributes: model.attributes.clone(),
            label: None,
        };
        seat.policy.vet_inference(me, &spec, &needed)?;
        let summary = Summary::of_inference(&spec, &needed, 0);
        let reading = Box::new(Reading::Scoring {
            needed: seat.policy.spelled_needed(&spec.query, &needed),
            query: seat.policy.spelled(&spec.query),
        });
        let (intake, load) = Intake::new(Asked {
            fence: grant.fence,
            guest: me,
            parties: vec![me],
            request: setup::hash(&grant.spec),
            earlier: None,
            model: Some((spec.trained_by, writer)),
            summary,
            reading,
        });
        let scoring = Scoring {
            seat: seat.clone(),
            fence: grant.fence,
            model,
            intake,
            reader,
            release,
            repeat: Repeat::from(now),
            said: None,
        };
        Ok((scoring, vec![load]))
    }

    pub(super) fn loaded(&mut self, rows: Result<Box<Rows>, Reason>) -> Vec<Effect> {
        match self.intake.loaded(&self.seat, rows) {
            Ok(effect) => effect.into_iter().collect(),
            Err(reason) => self.say(EventBody::Failed { reason }),
        }
    }

    pub(super) fn admitted(
        &mut self,
        secrets: &mut dyn CryptoRng,
        verdict: Result<Verdict, Reason>,
    ) -> Vec<Effect> {
        let rows = match self.intake.admitted(self.seat.party, verdict) {
            Ok(Admitted::Rows(rows)) => rows,
            Ok(Admitted::Awaiting) => return Vec::new(),
            Ok(Admitted::Later(effects)) => return effects,
            Err(reason) => return self.say(EventBody::Failed { reason }),
        };
        let event = match self.released(secrets, &rows) {
            Ok(outcome) => EventBody::Finished {
                progress: progress(),
                outcome,
            },
            Err(reason) => EventBody::Failed { reason },
        };
        self.say(event)
    }

    /// The scores, as the policy lets them leave.
    fn released(&self, secrets: &mut dyn CryptoRng, rows: &Rows) -> Result<Outcome, Reason> {
        let me = self.seat.party;
        let dropped = rows.dropped;
        let scores = self.scores(rows);
        let outcome = match self.release {
            Release::Clear => Outcome::Scores { scores, dropped },
            Release::Sealed => {
                let bytes = Zeroizing::new(message::encode(&scores));
                let header = header(&self.fence, me);
                let (writer, reader) = (&self.seat.identity, &self.reader);
                let sealed = seal::seal(secrets, writer, reader, &header, &bytes);
                Outcome::SealedScores {
                    sealed: sealed.map_err(|_| too_long(me))?,
                    told: setup::count(&self.seat, rows).told,
                }
            }
        };
        match message::encode(&outcome).len() {
            0..=OUTCOME_BYTES_MAX => Ok(outcome),
            _ => Err(too_long(me)),
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
            None if self.repeat.is_due(now) => self.intake.again().into_iter().collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        Standing {
            progress: progress(),
            waiting: self
                .intake
                .is_unread()
                .then_some(self.seat.party)
                .into_iter()
                .collect(),
            awaiting: false,
        }
    }
}

fn progress() -> Progress {
    Progress {
        phase: Phase::Scoring,
        ..Progress::default()
    }
}

/// Whom the scores are for: the key that the request names, if the party pinned it, else the party.
fn reader(seat: &Seat, spec: &InferSpec) -> Result<SealPublic, Reason> {
    let own = SealPublic(seat.identity.public().sealing);
    match spec.result_key.map(SealPublic) {
        None => Ok(own),
        Some(key) if key == own || seat.policy.infer.result_keys.contains(&key) => Ok(key),
        Some(_) => {
            let me = seat.party;
            let text = format!("party {me} has not pinned the key that the scores should go to");
            Err(because(ReasonCode::ResultKeyNotPinned, me, text))
        }
    }
}

/// What stands on sealed scores.
fn header(fence: &Fence, party: PartyId) -> Header {
    Header {
        kind: Kind::Scores as u8,
        job: fence.job,
        attempt: fence.attempt,
        session: fence.session,
        round: Round(0),
        from: party,
        to: party,
    }
}

fn too_long(party: PartyId) -> Reason {
    let text = "the scores are longer than one message; ask for fewer rows at a time";
    because(ReasonCode::TooManyRows, party, text)
}

/// Opens the scores of the job `job`, which `owner` signed and sealed to `reader`.
///
/// # Errors
/// When they are another job's, not signed by the owner, sealed to somebody else, or changed.
pub fn open_scores(
    owner: (PartyId, &PublicIdentity),
    reader: &SealSecret,
    job: JobId,
    sealed: &[u8],
) -> Result<Vec<Score>, seal::Error> {
    let (party, writer) = owner;
    let said = seal::peek(sealed)?;
    let fence = Fence {
        job,
        attempt: said.attempt,
        session: said.session,
    };
    let bytes = seal::open(sealed, writer, reader, &header(&fence, party))?;
    message::decode(&bytes).map_err(|_| seal::Error::Sealed)
}
