//! From an invitation to a seat: asks for the job until the platform answers.

use std::time::Duration;

use rand::CryptoRng;

use super::computing::Lead;
use super::guest::Guest;
use super::learning::Learning;
use super::repeat::Repeat;
use super::scoring::Scoring;
use super::{Effect, Seat, Session, because};
use crate::job::{Fence, Reason, ReasonCode, Spec};
use crate::limits::SESSION_IDLE_SECONDS_MAX;
use crate::message::{EventBody, Grant};

/// A worker's wish to have a job.
pub struct Claim {
    seat: Seat,
    fence: Fence,
    repeat: Repeat,
    since: Duration,
    /// Why it can't do what it was granted; said until the platform has heard.
    refused: Option<Reason>,
}

impl Claim {
    pub(super) fn new(now: Duration, seat: Seat, fence: Fence) -> (Claim, Vec<Effect>) {
        let claim = Claim {
            seat,
            fence,
            repeat: Repeat::from(now),
            since: now,
            refused: None,
        };
        let effects = claim.say();
        (claim, effects)
    }

    fn say(&self) -> Vec<Effect> {
        let event = match &self.refused {
            None => EventBody::Claimed,
            Some(reason) => EventBody::Failed {
                reason: reason.clone(),
            },
        };
        vec![Effect::Report(event)]
    }

    /// Sits down with the grant, or says why it can't.
    pub(super) fn granted(
        &mut self,
        secrets: &mut dyn CryptoRng,
        now: Duration,
        grant: Grant,
    ) -> (Option<Session>, Vec<Effect>) {
        if grant.fence != self.fence || self.refused.is_some() {
            return (None, Vec::new());
        }
        let seated = match serde_json::from_slice(&grant.spec) {
            Ok(Spec::Train(_)) => Guest::new(secrets, now, &self.seat, grant)
                .map(|(guest, effects)| (Session::Guest(Box::new(guest)), effects)),
            Ok(Spec::Infer(spec)) => Scoring::new(now, &self.seat, &grant, spec)
                .map(|(scoring, effects)| (Session::Scoring(Box::new(scoring)), effects)),
            Ok(Spec::Compute(_)) => Lead::new(secrets, now, &self.seat, grant)
                .map(|(lead, effects)| (Session::Lead(Box::new(lead)), effects)),
            Ok(Spec::Learn(spec)) => Learning::new(now, &self.seat, &grant, spec)
                .map(|(learning, effects)| (Session::Learning(Box::new(learning)), effects)),
            Err(_) => {
                let text = "the request is none that this version reads";
                Err(because(ReasonCode::RequestRefused, self.seat.party, text))
            }
        };
        match seated {
            Ok((session, effects)) => (Some(session), effects),
            Err(reason) => {
                self.refused = Some(reason);
                (None, self.say())
            }
        }
    }

    pub(super) fn tick(&mut self, now: Duration) -> Vec<Effect> {
        // The invitation comes again as long as nobody has the job.
        if now.saturating_sub(self.since) > Duration::from_secs(SESSION_IDLE_SECONDS_MAX) {
            return vec![Effect::Close];
        }
        if self.repeat.is_due(now) {
            self.say()
        } else {
            Vec::new()
        }
    }
}
