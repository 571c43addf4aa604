//! How a session's words change the report. Nothing in it ever falls: a new attempt that starts
//! from an older checkpoint does not take back what clients saw.

use std::collections::BTreeMap;

use crate::id::PartyId;
use crate::job::{Privacy, Reason, ReasonCode, Report, Waiting};
use crate::limits;
use crate::message::Progress;
use crate::table::Dropped;

/// Where a session stands.
pub(super) fn progressed(report: &mut Report, progress: Progress) {
    report.phase = report.phase.max(progress.phase);
    report.round = report.round.max(progress.round);
    report.iterations = report.iterations.max(progress.iterations);
    report.iterations_max = report.iterations_max.max(progress.iterations_max);
    report.batches = report.batches.max(progress.batches);
    report.converged = progress.converged.or(report.converged);
    report.round_milliseconds = progress.round_milliseconds.or(report.round_milliseconds);
    if let Some(privacy) = &mut report.privacy
        && !progress.bytes.is_empty()
    {
        privacy.bytes = progress.bytes;
    }
}

/// Whom the session waits for. Since when is kept while nobody new is waited for.
pub(super) fn waits(report: &mut Report, parties: Vec<PartyId>, now: i64) {
    let since = match &report.waiting {
        Some(before) if parties.iter().all(|party| before.parties.contains(party)) => before.since,
        Some(_) | None => now,
    };
    report.waiting = (!parties.is_empty()).then_some(Waiting { parties, since });
}

/// Every party joined and has its rows.
pub(super) fn started(
    report: &mut Report,
    rows: BTreeMap<PartyId, u64>,
    dropped: BTreeMap<PartyId, Dropped>,
    privacy: Option<Privacy>,
) {
    report.rows = rows;
    report.dropped = dropped;
    report.privacy = privacy;
    report.waiting = None;
}

/// The first party, ascending, whose digest is not that of an earlier attempt.
pub(super) fn changed(
    before: &BTreeMap<PartyId, Vec<u8>>,
    now: &BTreeMap<PartyId, Vec<u8>>,
) -> Option<Reason> {
    let parties = before.keys().chain(now.keys());
    let party = parties
        .filter(|party| before.get(party) != now.get(party))
        .min()?;
    Some(Reason {
        code: ReasonCode::DataChanged,
        text: format!("The rows of party {party} differ from those of an earlier attempt."),
        party: Some(*party),
    })
}

/// The session's process gave no sign of life for a whole lease.
pub(super) fn lost(guest: PartyId) -> Reason {
    Reason {
        code: ReasonCode::SessionLost,
        text: format!("The session at party {guest} gave no sign of life any more."),
        party: Some(guest),
    }
}

/// One failure too many.
pub(super) fn too_many(last: &Reason) -> Reason {
    Reason {
        code: ReasonCode::TooManyFailures,
        text: format!(
            "{} attempts failed without progress. The last one: {}",
            limits::FAILURES_MAX,
            last.text
        ),
        party: last.party,
    }
}

/// The deadline passed before all participants had filled in their data. They are no parties.
pub(super) fn unfilled() -> Reason {
    Reason {
        code: ReasonCode::Deadline,
        text: "The deadline passed while waiting for its participants' data.".to_owned(),
        party: None,
    }
}

/// The deadline passed, with or without somebody missing.
pub(super) fn late(waiting: Option<&Waiting>) -> Reason {
    let parties = waiting.map_or(&[][..], |waiting| &waiting.parties);
    let text = match parties {
        [] => "The deadline passed.".to_owned(),
        [party] => format!("The deadline passed while waiting for party {party}."),
        [first, rest @ ..] => {
            rest.iter().fold(
                format!("The deadline passed while waiting for parties {first}"),
                |text, party| text + ", " + &party.to_string(),
            ) + "."
        }
    };
    Reason {
        code: ReasonCode::Deadline,
        text,
        party: parties.first().copied(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::Round;
    use crate::job::{Phase, Protection};

    fn progress() -> impl Strategy<Value = Progress> {
        let phase = prop::sample::select(vec![Phase::Preparing, Phase::Counting, Phase::Training]);
        (phase, 0..50u32, 0..50u32).prop_map(|(phase, round, iterations)| Progress {
            phase,
            round: Round(round),
            iterations,
            iterations_max: 50,
            batches: 1,
            ..Progress::default()
        })
    }

    proptest! {
        #[test]
        fn a_report_never_falls(all in prop::collection::vec(progress(), 1..20)) {
            let mut report = Report::default();
            for progress in all {
                let before = report.clone();
                progressed(&mut report, progress.clone());
                prop_assert!(report.phase >= before.phase && report.phase >= progress.phase);
                prop_assert!(report.round >= before.round && report.round >= progress.round);
                prop_assert!(report.iterations >= before.iterations);
                prop_assert!(report.iterations >= progress.iterations);
            }
        }
    }

    #[test]
    fn progress_fills_in_what_is_known() {
        let party = PartyId(2);
        let mut report = Report::default();
        let privacy = Privacy {
            protection: Protection::SecAgg,
            slots: 31,
            ciphertexts: 0,
            bytes: BTreeMap::new(),
        };
        let rows = BTreeMap::from([(party, 9)]);
        started(&mut report, rows.clone(), BTreeMap::new(), Some(privacy));
        let progress = Progress {
            converged: Some(true),
            round_milliseconds: Some(1.5),
            bytes: BTreeMap::from([(party, 100)]),
            ..Progress::default()
        };
        progressed(&mut report, progress);
        progressed(&mut report, Progress::default());
        assert_eq!(report.rows, rows);
        assert_eq!(report.converged, Some(true));
        assert_eq!(report.round_milliseconds, Some(1.5));
        assert_eq!(report.privacy.unwrap().bytes[&party], 100);
    }

    #[test]
    fn waiting_counts_from_when_the_last_of_them_went_missing() {
        let mut report = Report::default();
        let mut since = |parties: &[u64], now| {
            let parties = parties.iter().map(|&party| PartyId(party)).collect();
            waits(&mut report, parties, now);
            report.waiting.as_ref().map(|waiting| waiting.since)
        };
        assert_eq!(since(&[], 1), None);
        assert_eq!(since(&[2, 3], 2), Some(2));
        assert_eq!(since(&[3], 3), Some(2));
        assert_eq!(since(&[3, 4], 4), Some(4));
        assert_eq!(since(&[], 5), None);
        assert_eq!(since(&[3], 6), Some(6));
    }

    #[test]
    fn a_changed_digest_names_its_party() {
        let digests = |all: &[(u64, u8)]| -> BTreeMap<_, _> {
            let each = all.iter();
            each.map(|&(party, byte)| (PartyId(party), vec![byte]))
                .collect()
        };
        let before = digests(&[(2, 0), (3, 0), (4, 0)]);
        let party = |now: &[(u64, u8)]| changed(&before, &digests(now)).map(|r| r.party);
        assert_eq!(party(&[(2, 0), (3, 0), (4, 0)]), None);
        assert_eq!(party(&[(2, 0), (3, 1), (4, 1)]), Some(Some(PartyId(3))));
        assert_eq!(party(&[(2, 0), (3, 0)]), Some(Some(PartyId(4))));
        let more = [(1, 0), (2, 0), (3, 0), (4, 0)];
        assert_eq!(party(&more), Some(Some(PartyId(1))));
    }

    #[test]
    fn a_late_job_names_whom_it_waited_for() {
        let late = |parties: &[u64]| {
            let parties = parties.iter().map(|&party| PartyId(party)).collect();
            late(Some(&Waiting { parties, since: 0 }))
        };
        assert_eq!(super::late(None).text, "The deadline passed.");
        assert_eq!(
            late(&[7]).text,
            "The deadline passed while waiting for party 7."
        );
        let several = late(&[7, 8, 9]);
        assert!(several.text.ends_with("parties 7, 8, 9."));
        assert_eq!(several.party, Some(PartyId(7)));
    }
}
