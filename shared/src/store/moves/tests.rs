use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::job::{Phase, ReasonCode};

const GUEST: PartyId = PartyId(2);
const LEASE: i64 = 10;
const DEADLINE: i64 = 1000;

fn pending() -> Row {
    Row {
        order: OrderId(1),
        job: JobId(Uuid::from_u128(1)),
        kind: Kind::Train,
        guest: GUEST,
        status: JobStatus::Pending,
        status_at: 0,
        attempt: Attempt(1),
        held: None,
        failures: 0,
        checkpoint_round: None,
        digests: BTreeMap::new(),
        report: Report::default(),
        deadline_at: DEADLINE,
    }
}

fn fence(attempt: u32, session: u128) -> Fence {
    Fence {
        job: JobId(Uuid::from_u128(1)),
        attempt: Attempt(attempt),
        session: SessionId(Uuid::from_u128(session)),
    }
}

/// A job that session 1 has since time 0.
fn running() -> Row {
    let mut row = pending();
    assert!(row.claim(&fence(1, 1), GUEST, LEASE, 0));
    row
}

fn reason(code: ReasonCode) -> Reason {
    Reason {
        code,
        text: "It broke.".to_owned(),
        party: Some(PartyId(3)),
    }
}

fn at(round: u32) -> Progress {
    Progress {
        phase: Phase::Training,
        round: Round(round),
        ..Progress::default()
    }
}

fn beat(fence: Fence, waiting: &[u64]) -> Beat {
    Beat {
        fence,
        reply_to: String::new(),
        progress: at(0),
        waiting: waiting.iter().map(|&party| PartyId(party)).collect(),
        awaiting: false,
    }
}

fn digests(byte: u8) -> Started {
    Started {
        rows: BTreeMap::from([(GUEST, 5)]),
        dropped: BTreeMap::new(),
        digests: BTreeMap::from([(GUEST, vec![byte])]),
        privacy: None,
    }
}

#[test]
fn of_two_sessions_one_has_the_job() {
    let mut row = pending();
    assert!(row.claim(&fence(1, 1), GUEST, LEASE, 5));
    assert_eq!(row.status, JobStatus::Running);
    let before = row.clone();
    assert!(!row.claim(&fence(1, 2), GUEST, LEASE, 6));
    assert_eq!(row, before);
}

#[test]
fn a_lost_grant_is_given_again() {
    let mut row = running();
    assert!(row.claim(&fence(1, 1), GUEST, LEASE, 7));
    assert_eq!(row.held.unwrap().lease_until, 7 + LEASE);
    row.finish(&fence(1, 1), at(1), 8);
    assert!(!row.claim(&fence(1, 1), GUEST, LEASE, 9));
}

#[test]
fn only_the_guest_claims_and_only_the_open_attempt() {
    let mut row = pending();
    assert!(!row.claim(&fence(1, 1), PartyId(3), LEASE, 0));
    assert!(!row.claim(&fence(2, 1), GUEST, LEASE, 0));
    let other = Fence {
        job: JobId(Uuid::from_u128(2)),
        ..fence(1, 1)
    };
    assert!(!row.claim(&other, GUEST, LEASE, 0));
    assert_eq!(row, pending());
}

#[test]
fn a_beat_extends_the_lease_and_says_who_is_waited_for() {
    let mut row = running();
    assert!(row.beat(beat(fence(1, 1), &[4]), LEASE, 8));
    assert_eq!(row.held.unwrap().lease_until, 18);
    let waiting = row.waiting().unwrap();
    assert_eq!((waiting.parties, waiting.since), (vec![PartyId(4)], 8));
    assert_eq!(row.lose(&fence(1, 1), 17), Applied::Stale);
    assert_eq!(row.failures, 0);
    assert!(matches!(row.lose(&fence(1, 1), 18), Applied::Released(_)));
    assert_eq!(row.failures, 1);
    assert_eq!(row.waiting().unwrap().parties, [GUEST]);
    let lost = row.report.reason.unwrap();
    assert_eq!(
        (lost.code, lost.party),
        (ReasonCode::SessionLost, Some(GUEST))
    );
}

#[test]
fn a_retryable_failure_opens_the_next_attempt() {
    let mut row = running();
    let applied = row.fail(&fence(1, 1), reason(ReasonCode::PartySilent), 5);
    let Applied::Released(unclaimed) = applied else {
        panic!("{applied:?}");
    };
    assert_eq!(unclaimed.attempt, Attempt(2));
    assert_eq!(unclaimed.queue, "party.2.guest");
    assert_eq!((row.status, row.status_at), (JobStatus::Pending, 5));
    assert_eq!(row.held, None);
    assert!(!row.claim(&fence(1, 1), GUEST, LEASE, 6));
    assert!(row.claim(&fence(2, 2), GUEST, LEASE, 6));
}

#[test]
fn a_final_failure_ends_the_job_with_its_reason() {
    let mut row = running();
    let applied = row.fail(&fence(1, 1), reason(ReasonCode::NoRows), 5);
    assert_eq!(applied, Applied::Ended);
    assert_eq!(row.status, JobStatus::Failed);
    assert_eq!(row.report.reason, Some(reason(ReasonCode::NoRows)));
    assert_eq!(row.attempt, Attempt(1));
}

/// Claims and fails until the job ends; the number of attempts it took.
fn fail_until_the_end(row: &mut Row, mut checkpoint: impl FnMut(u32) -> Option<u32>) -> u32 {
    loop {
        let fence = fence(row.attempt.0, row.attempt.0.into());
        assert!(row.claim(&fence, GUEST, LEASE, 0));
        row.digests = [(GUEST, vec![1])].into();
        if let Some(round) = checkpoint(row.attempt.0) {
            row.checkpoint(&fence, at(round));
        }
        match row.fail(&fence, reason(ReasonCode::PartySilent), 0) {
            Applied::Released(_) => (),
            Applied::Ended => return row.attempt.0,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn failures_count_since_the_checkpoint_last_advanced() {
    let most = limits::FAILURES_MAX as u32;
    let mut row = pending();
    assert_eq!(fail_until_the_end(&mut row, |_| None), most);
    let why = row.report.reason.unwrap();
    assert_eq!(why.code, ReasonCode::TooManyFailures);
    assert_eq!(why.party, Some(PartyId(3)));
    assert!(why.text.ends_with("It broke."), "{}", why.text);
    // A checkpoint in attempt 3 forgives the two failures before it.
    let in_the_third = |attempt| (attempt == 3).then_some(7);
    assert_eq!(fail_until_the_end(&mut pending(), in_the_third), most + 2);
    // The same checkpoint again and again forgives once.
    assert_eq!(fail_until_the_end(&mut pending(), |_| Some(7)), most);
}

#[test]
fn a_checkpoint_of_rows_that_nobody_told_of_is_not_kept() {
    let mut row = running();
    assert_eq!(row.checkpoint(&fence(1, 1), at(1)), Applied::Stale);
    assert_eq!(row.checkpoint_round, None);
}

#[test]
fn a_checkpoint_only_moves_forward() {
    let mut row = running();
    row.digests = [(GUEST, vec![1])].into();
    assert_eq!(row.checkpoint(&fence(1, 1), at(0)), Applied::Counted);
    assert_eq!(row.checkpoint(&fence(1, 1), at(3)), Applied::Counted);
    let before = row.clone();
    assert_eq!(row.checkpoint(&fence(1, 1), at(3)), Applied::Stale);
    assert_eq!(row.checkpoint(&fence(1, 1), at(2)), Applied::Stale);
    assert_eq!(row.checkpoint(&fence(1, 2), at(4)), Applied::Stale);
    assert_eq!(row, before);
}

#[test]
fn changed_rows_end_the_job() {
    let mut row = running();
    let started = |row: &mut Row, fence, byte| row.started(&fence, digests(byte), 1);
    assert_eq!(started(&mut row, fence(1, 1), 1), Applied::Counted);
    assert_eq!(row.report.rows[&GUEST], 5);
    // The same event may come twice.
    assert_eq!(started(&mut row, fence(1, 1), 1), Applied::Counted);
    row.fail(&fence(1, 1), reason(ReasonCode::PartySilent), 2);
    row.claim(&fence(2, 2), GUEST, LEASE, 3);
    assert_eq!(started(&mut row, fence(2, 2), 1), Applied::Counted);
    assert_eq!(started(&mut row, fence(2, 2), 2), Applied::Ended);
    assert_eq!(row.status, JobStatus::Failed);
    let why = row.report.reason.unwrap();
    assert_eq!(
        (why.code, why.party),
        (ReasonCode::DataChanged, Some(GUEST))
    );
}

#[test]
fn a_finished_job_forgets_its_troubles() {
    let mut row = running();
    row.fail(&fence(1, 1), reason(ReasonCode::PartySilent), 2);
    row.claim(&fence(2, 2), GUEST, LEASE, 3);
    row.beat(beat(fence(2, 2), &[4]), LEASE, 3);
    assert_eq!(row.finish(&fence(2, 2), at(9), 4), Applied::Ended);
    assert_eq!((row.status, row.status_at), (JobStatus::Finished, 4));
    assert_eq!((row.report.reason, row.report.waiting), (None, None));
    assert_eq!(row.report.round, Round(9));
}

#[test]
fn a_late_job_fails_and_names_whom_it_waited_for() {
    let mut row = pending();
    assert_eq!(row.expire(DEADLINE - 1), Applied::Stale);
    assert_eq!(row.expire(DEADLINE), Applied::Ended);
    let why = row.report.reason.unwrap();
    assert_eq!((why.code, why.party), (ReasonCode::Deadline, Some(GUEST)));

    let mut row = running();
    row.beat(beat(fence(1, 1), &[4, 5]), LEASE, 1);
    row.expire(DEADLINE);
    assert_eq!(row.status, JobStatus::Failed);
    assert_eq!(row.report.reason.unwrap().party, Some(PartyId(4)));
}

/// A run that awaits its participants' data.
fn awaiting() -> Row {
    Row {
        kind: Kind::Compute,
        status: JobStatus::AwaitingInput,
        ..pending()
    }
}

#[test]
fn a_filled_run_waits_for_its_worker_and_has_all_its_time() {
    let mut row = awaiting();
    assert_eq!(row.waiting(), None, "its participants are no parties");
    assert!(!row.claim(&fence(1, 1), GUEST, LEASE, 1));
    assert!(row.fill(70, 900));
    assert_eq!((row.status, row.status_at), (JobStatus::Pending, 900));
    assert_eq!((row.deadline_at, row.attempt), (970, Attempt(1)));
    let before = row.clone();
    assert!(!row.fill(70, 901), "once");
    assert_eq!(row, before);
    assert!(row.claim(&fence(1, 1), GUEST, LEASE, 902));
    assert!(!row.fill(70, 903));
    let mut forever = awaiting();
    assert!(forever.fill(i64::MAX, 1));
    assert_eq!(forever.deadline_at, i64::MAX);
}

#[test]
fn a_run_that_is_never_filled_ends_late_or_cancelled() {
    let mut late = awaiting();
    assert_eq!(late.expire(DEADLINE - 1), Applied::Stale);
    assert_eq!(late.expire(DEADLINE), Applied::Ended);
    let reason = late.report.reason.clone().unwrap();
    assert_eq!((reason.code, reason.party), (ReasonCode::Deadline, None));
    assert!(reason.text.contains("its participants' data"));
    assert!(!late.fill(1, DEADLINE));
    let mut cancelled = awaiting();
    assert_eq!(cancelled.cancel(1), Applied::Ended);
    assert_eq!(cancelled.status, JobStatus::Cancelled);
}

#[test]
fn a_job_is_cancelled_waiting_or_running() {
    for mut row in [pending(), running()] {
        assert_eq!(row.cancel(5), Applied::Ended);
        assert_eq!((row.status, row.held), (JobStatus::Cancelled, None));
        assert_eq!(row.cancel(6), Applied::Stale);
        assert_eq!(row.status_at, 5);
    }
}

/// Anything that anybody may say, at a time.
#[derive(Clone, Debug)]
enum Word {
    Claim(Fence),
    Beat(Fence),
    Started(Fence, u8),
    Checkpoint(Fence, u32),
    Finish(Fence),
    Fail(Fence, bool),
    Lose(Fence),
    Expire,
    Cancel,
}

fn word() -> impl Strategy<Value = Word> {
    let fences = || (1..4u32, 1..3u128).prop_map(|(attempt, session)| fence(attempt, session));
    prop_oneof![
        8 => fences().prop_map(Word::Claim),
        2 => fences().prop_map(Word::Beat),
        2 => (fences(), 0..2u8).prop_map(|(fence, byte)| Word::Started(fence, byte)),
        2 => (fences(), 0..4u32).prop_map(|(fence, round)| Word::Checkpoint(fence, round)),
        1 => fences().prop_map(Word::Finish),
        4 => (fences(), any::<bool>()).prop_map(|(fence, again)| Word::Fail(fence, again)),
        4 => fences().prop_map(Word::Lose),
        1 => Just(Word::Expire),
        1 => Just(Word::Cancel),
    ]
}

/// Who speaks, if a session does; and whether the row said that it counted.
fn say(row: &mut Row, word: Word, now: i64) -> (Option<Fence>, bool) {
    let counts = |applied| applied != Applied::Stale;
    match word {
        Word::Claim(fence) => (None, row.claim(&fence, GUEST, LEASE, now)),
        Word::Beat(fence) => (Some(fence), row.beat(beat(fence, &[]), LEASE, now)),
        Word::Started(fence, byte) => {
            let applied = row.started(&fence, digests(byte), now);
            (Some(fence), counts(applied))
        }
        Word::Checkpoint(fence, round) => (Some(fence), counts(row.checkpoint(&fence, at(round)))),
        Word::Finish(fence) => (Some(fence), counts(row.finish(&fence, at(9), now))),
        Word::Fail(fence, again) => {
            let code = if again {
                ReasonCode::PartySilent
            } else {
                ReasonCode::NoRows
            };
            (Some(fence), counts(row.fail(&fence, reason(code), now)))
        }
        Word::Lose(fence) => (Some(fence), counts(row.lose(&fence, now))),
        Word::Expire => (None, counts(row.expire(now))),
        Word::Cancel => (None, counts(row.cancel(now))),
    }
}

proptest! {
    #[test]
    fn whatever_is_said_the_laws_hold(words in prop::collection::vec((word(), 0..20i64), 1..60)) {
        let mut row = pending();
        let mut now = 0;
        for (word, passed) in words {
            now += passed;
            let before = row.clone();
            let (speaker, counted) = say(&mut row, word, now);
            if !counted {
                prop_assert_eq!(&row, &before, "what does not count changes nothing");
            }
            if before.status.is_terminal() {
                prop_assert!(!counted, "nothing counts once the job ended");
            }
            if let Some(speaker) = speaker && counted {
                prop_assert_eq!(before.fence(), Some(speaker), "only the holder counts");
            }
            prop_assert_eq!(row.held.is_some(), row.status == JobStatus::Running);
            prop_assert!(row.attempt >= before.attempt);
            prop_assert!(row.report.round >= before.report.round);
            if row.status == JobStatus::Running && before.status == JobStatus::Running {
                prop_assert!(row.checkpoint_round >= before.checkpoint_round);
                prop_assert_eq!(row.attempt, before.attempt);
            }
            if row.status == JobStatus::Pending {
                prop_assert!(row.failures < limits::FAILURES_MAX);
            }
        }
    }
}
