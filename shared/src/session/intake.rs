//! A party's own rows on their way into a job: read, measured by its policy, admitted by its
//! ledger and, where the policy says so, by its officer.

use std::time::Duration;

use super::{Effect, Reading, Rows, Seat, because};
use crate::admission::{Admission, Cohort, Summary, Verdict, refused};
use crate::id::{JobId, PartyId};
use crate::job::{Fence, Reason, ReasonCode};
use crate::policy::Approval;

/// Rows that are asked for, until they are taken.
pub(super) struct Intake {
    asked: Asked,
    stage: Stage,
}

/// What is the same however often the rows are read.
pub(super) struct Asked {
    pub(super) fence: Fence,
    /// Who leads the job.
    pub(super) guest: PartyId,
    /// Every data party, ascending.
    pub(super) parties: Vec<PartyId>,
    /// SHA-256 of the job's specification.
    pub(super) request: [u8; 32],
    /// This party's digest of its rows in an earlier attempt.
    pub(super) earlier: Option<Vec<u8>>,
    /// For an inference: the job that trained the model, and who signed the model.
    pub(super) model: Option<(JobId, PartyId)>,
    /// What an officer is shown, but for the number of rows.
    pub(super) summary: Summary,
    pub(super) reading: Box<Reading>,
}

enum Stage {
    /// The shell is at it.
    Reading,
    /// The source or the ledger could not be used; with the next repeat again.
    Unread,
    /// The ledger looks at them.
    Measured(Box<Rows>),
    /// The officer has yet to say yes; the rows are read again then, and take no room until then.
    Awaiting,
    /// They were handed out.
    Taken,
}

/// What came of the ledger's word.
pub(super) enum Admitted {
    /// The rows, to be used now.
    Rows(Box<Rows>),
    /// The officer has yet to say yes.
    Awaiting,
    /// Something is to be done first.
    Later(Vec<Effect>),
}

impl Intake {
    /// Asks for the rows.
    pub(super) fn new(asked: Asked) -> (Intake, Effect) {
        let intake = Intake {
            asked,
            stage: Stage::Reading,
        };
        let load = intake.load();
        (intake, load)
    }

    fn load(&self) -> Effect {
        Effect::Load(self.asked.reading.clone())
    }

    /// Whether the officer has yet to say yes.
    pub(super) fn is_awaiting(&self) -> bool {
        matches!(self.stage, Stage::Awaiting)
    }

    /// Whether rows or ledger could not be used for now.
    pub(super) fn is_unread(&self) -> bool {
        matches!(self.stage, Stage::Unread)
    }

    /// What a timer asks for again.
    pub(super) fn again(&mut self) -> Option<Effect> {
        match self.stage {
            Stage::Unread => {
                self.stage = Stage::Reading;
                Some(self.load())
            }
            Stage::Awaiting => Some(Effect::Review),
            Stage::Reading | Stage::Measured(_) | Stage::Taken => None,
        }
    }

    /// Takes what was read, and asks the ledger.
    ///
    /// # Errors
    /// A reason to refuse the job.
    pub(super) fn loaded(
        &mut self,
        seat: &Seat,
        rows: Result<Box<Rows>, Reason>,
    ) -> Result<Option<Effect>, Reason> {
        if !matches!(self.stage, Stage::Reading) {
            return Ok(None);
        }
        let mut rows = match rows {
            Ok(rows) => rows,
            Err(reason) if reason.code.retryable() => {
                self.stage = Stage::Unread;
                return Ok(None);
            }
            Err(reason) => return Err(reason),
        };
        let me = seat.party;
        let earlier = self.asked.earlier.as_ref();
        if earlier.is_some_and(|digest| *digest != rows.digest) {
            return Err(refused(me, ReasonCode::DataChanged));
        }
        let cohort = match &*self.asked.reading {
            Reading::Training { needed, .. } => {
                seat.policy.vet_cohort(me, &rows.table)?;
                let marks = std::mem::take(&mut rows.marks);
                let relations = self.asked.summary.relations.clone();
                Some(Cohort::new(relations, needed, marks))
            }
            Reading::Scoring { .. } => {
                let most = seat.policy.infer.rows_max;
                if rows.table.ids.len() > most {
                    // How many they are may be hidden.
                    let text = format!("party {me} scores {most} rows at once, and these are more");
                    return Err(because(ReasonCode::TooManyRows, me, text));
                }
                None
            }
        };
        let Asked {
            fence,
            guest,
            parties,
            request,
            earlier,
            model,
            summary,
            ..
        } = &self.asked;
        let admission = Admission {
            fence: *fence,
            guest: *guest,
            parties: parties.clone(),
            request: *request,
            digest: rows.digest.clone(),
            earlier: earlier.clone(),
            manual: cohort.is_some() && seat.policy.approval == Approval::Manual,
            approval: Duration::from_secs(3600 * u64::from(seat.policy.approval_hours)),
            ndiff: seat.policy.train.ndiff,
            cohort,
            model: *model,
            summary: Summary {
                rows: rows.table.ids.len() as u64,
                ..summary.clone()
            },
        };
        self.stage = Stage::Measured(rows);
        Ok(Some(Effect::Admit(Box::new(admission))))
    }

    /// Takes the ledger's word.
    ///
    /// # Errors
    /// A reason to refuse the job.
    pub(super) fn admitted(
        &mut self,
        me: PartyId,
        verdict: Result<Verdict, Reason>,
    ) -> Result<Admitted, Reason> {
        let stage = std::mem::replace(&mut self.stage, Stage::Taken);
        match (verdict, stage) {
            (Ok(Verdict::Admitted), Stage::Measured(rows)) => Ok(Admitted::Rows(rows)),
            (Ok(Verdict::Admitted), Stage::Awaiting) => {
                self.stage = Stage::Reading;
                Ok(Admitted::Later(vec![self.load()]))
            }
            (Ok(Verdict::Awaiting), Stage::Measured(_) | Stage::Awaiting) => {
                self.stage = Stage::Awaiting;
                Ok(Admitted::Awaiting)
            }
            (Ok(Verdict::Refused(code)), _) => Err(refused(me, code)),
            (Err(reason), Stage::Measured(_)) if reason.code.retryable() => {
                self.stage = Stage::Unread;
                Ok(Admitted::Later(Vec::new()))
            }
            (Err(reason), stage) if reason.code.retryable() => {
                self.stage = stage;
                Ok(Admitted::Later(Vec::new()))
            }
            (Err(reason), _) => Err(reason),
            (Ok(_), stage) => {
                self.stage = stage;
                Ok(Admitted::Later(Vec::new()))
            }
        }
    }
}
