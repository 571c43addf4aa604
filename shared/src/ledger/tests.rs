use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::admission::{Cohort, Mark, Summary};
use crate::id::{Attempt, Round, SessionId};
use crate::job::Fence;
use crate::table::Needed;

const HOUR: i64 = 3_600_000;
const NOW: i64 = 1_000 * HOUR;

struct Office {
    folder: TempDir,
    ledger: Ledger,
}

impl Office {
    fn open() -> Office {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("party.ledger")).unwrap();
        Office { folder, ledger }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("party.ledger")
    }

    fn admit(&self, admission: &Admission) -> Verdict {
        self.ledger.admit(admission, NOW).unwrap()
    }

    fn sql(&self, sql: &str) {
        let other = Connection::open(self.path()).unwrap();
        other.execute_batch(sql).unwrap();
    }

    fn words(&self) -> Vec<String> {
        let records = self.ledger.audit(None, 100).unwrap();
        records.into_iter().map(|record| record.what).collect()
    }
}

fn job(number: u128) -> JobId {
    JobId(Uuid::from_u128(number))
}

fn fence(job_number: u128, attempt: u32) -> Fence {
    Fence {
        job: job(job_number),
        attempt: Attempt(attempt),
        session: SessionId(Uuid::from_u128(u128::from(attempt))),
    }
}

/// Rows with these ids; odd ones are positive.
fn marks(ids: impl IntoIterator<Item = u64>) -> Vec<Mark> {
    let mark = |id: u64| Mark {
        id,
        content: (id * 7) | ((id % 2) << 63),
    };
    ids.into_iter().map(mark).collect()
}

fn needed() -> Needed {
    Needed {
        unique_id: "id".into(),
        attributes: vec!["a".into(), "b".into()],
        label: Some("y".into()),
    }
}

fn cohort(marks: Vec<Mark>) -> Cohort {
    Cohort::new(vec!["data.rows".into()], &needed(), marks)
}

fn admission(number: u128) -> Admission {
    let parties = vec![PartyId(3), PartyId(4), PartyId(5)];
    Admission {
        fence: fence(number, 1),
        guest: PartyId(3),
        parties: parties.clone(),
        request: [1; 32],
        digest: vec![2; 32],
        earlier: None,
        cohort: Some(cohort(marks(0..100))),
        manual: false,
        approval: Duration::from_secs(24 * 3600),
        model: None,
        ndiff: 10,
        summary: Summary {
            kind: "train".into(),
            guest: PartyId(3),
            parties,
            relations: vec!["data.rows".into()],
            columns: needed().attributes,
            label: needed().label,
            filters: vec!["age".into()],
            rows: 100,
            protection: None,
            hyperparameters: None,
        },
    }
}

fn training(number: u128, marks: Vec<Mark>) -> Admission {
    Admission {
        cohort: Some(cohort(marks)),
        ..admission(number)
    }
}

const CLOSE: Verdict = Verdict::Refused(ReasonCode::CohortPolicy);

fn pledge(round: u32, model: u8) -> Pledge {
    Pledge {
        job: job(1),
        kind: 4,
        round: Round(round),
        batch: 0,
        model: [model; 32],
    }
}

#[test]
fn a_job_is_pinned_to_its_first_request_parties_guest_and_rows() {
    let office = Office::open();
    assert_eq!(office.admit(&admission(1)), Verdict::Admitted);
    let changed = Verdict::Refused(ReasonCode::RequestChanged);
    let rows = Verdict::Refused(ReasonCode::DataChanged);
    let next = || Admission {
        fence: fence(1, 2),
        earlier: Some(vec![2; 32]),
        ..admission(1)
    };
    for (other, verdict) in [
        (next(), Verdict::Admitted),
        (
            Admission {
                request: [9; 32],
                ..next()
            },
            changed,
        ),
        (
            Admission {
                guest: PartyId(4),
                ..next()
            },
            changed,
        ),
        (
            Admission {
                parties: vec![PartyId(3), PartyId(4)],
                ..next()
            },
            changed,
        ),
        (
            Admission {
                digest: vec![9; 32],
                ..next()
            },
            rows,
        ),
        (
            Admission {
                earlier: Some(vec![9; 32]),
                ..next()
            },
            rows,
        ),
        (
            Admission {
                earlier: None,
                ..next()
            },
            Verdict::Admitted,
        ),
    ] {
        assert_eq!(office.admit(&other), verdict);
    }
    assert_eq!(
        office.ledger.show(job(1), NOW).unwrap().unwrap().sessions,
        2
    );
    assert_eq!(office.ledger.leader(job(1)).unwrap(), Some(PartyId(3)));
    assert_eq!(office.ledger.leader(job(2)).unwrap(), None);
}

#[test]
fn the_same_session_is_written_down_once() {
    let office = Office::open();
    for _ in 0..3 {
        assert_eq!(office.admit(&admission(1)), Verdict::Admitted);
    }
    assert_eq!(office.words(), ["admitted"]);
    let known = office.ledger.show(job(1), NOW).unwrap().unwrap();
    assert_eq!((known.sessions, known.standing), (1, Standing::Auto));
    assert_eq!(known.summary, admission(1).summary);
}

#[test]
fn a_lost_ledger_refuses_the_jobs_that_it_knew() {
    let office = Office::open();
    let earlier = Admission {
        earlier: Some(vec![2; 32]),
        ..admission(1)
    };
    let lost = Verdict::Refused(ReasonCode::LedgerLost);
    assert_eq!(office.admit(&earlier), lost);
    assert_eq!(office.ledger.verdict(job(1), NOW).unwrap(), lost);
    assert_eq!(office.words(), ["refused"]);
}

#[test]
fn cohorts_that_differ_by_one_to_nine_rows_are_refused() {
    let office = Office::open();
    assert_eq!(office.admit(&training(1, marks(0..100))), Verdict::Admitted);
    for rows in 1..10 {
        let fewer = training(2, marks(rows..100));
        assert_eq!(office.admit(&fewer), CLOSE, "{rows} rows fewer");
        let more = training(2, marks(0..100 + rows));
        assert_eq!(office.admit(&more), CLOSE, "{rows} rows more");
    }
    let swapped = training(2, marks((1..100).chain([200])));
    assert_eq!(
        office.admit(&swapped),
        CLOSE,
        "as many rows, one of them another"
    );
    assert_eq!(office.admit(&training(3, marks(0..100))), Verdict::Admitted);
    // Ten of each class.
    assert_eq!(office.admit(&training(4, marks(0..120))), Verdict::Admitted);
}

#[test]
fn ten_rows_are_enough_in_one_class_and_not_in_two() {
    let office = Office::open();
    office.admit(&training(1, marks(0..100)));
    let even = marks((0..100).chain((200..220).step_by(2)));
    assert_eq!(office.admit(&training(2, even)), Verdict::Admitted);
    let both = marks((0..100).chain(300..310));
    assert_eq!(office.admit(&training(3, both)), CLOSE);
}

#[test]
fn one_edited_row_is_a_difference() {
    let office = Office::open();
    office.admit(&training(1, marks(0..100)));
    let mut edited = marks(0..100);
    edited[17].content ^= 4;
    assert_eq!(office.admit(&training(2, edited)), CLOSE);
    let mut other_class = marks(0..100);
    other_class[17].content ^= 1 << 63;
    assert_eq!(office.admit(&training(2, other_class)), CLOSE);
    let mut all = marks(0..100);
    all.iter_mut().for_each(|mark| mark.content ^= 4);
    assert_eq!(office.admit(&training(3, all)), Verdict::Admitted);
}

#[test]
fn an_edited_row_shows_also_where_the_classes_trade_their_names() {
    let office = Office::open();
    office.admit(&training(1, marks(0..100)));
    let mut traded = marks(0..100);
    traded.iter_mut().for_each(|mark| mark.content ^= 1 << 63);
    assert_eq!(
        office.admit(&training(2, traded.clone())),
        Verdict::Admitted
    );
    traded[3].content ^= 2;
    assert_eq!(office.admit(&training(3, traded)), CLOSE);
    // One positive row less, as the negative class of otherwise new rows.
    let odd = (3..100).filter(|id| id % 2 == 1);
    let mut hidden = marks(odd.chain((500..600).step_by(2)));
    hidden.iter_mut().for_each(|mark| mark.content ^= 1 << 63);
    assert_eq!(office.admit(&training(4, hidden)), CLOSE);
}

#[test]
fn contents_are_compared_where_the_columns_are_the_same_whatever_their_order() {
    let office = Office::open();
    office.admit(&training(1, marks(0..100)));
    let mut edited = marks(0..100);
    edited[17].content ^= 4;
    let named = |attributes: &[&str]| Needed {
        attributes: attributes.iter().map(|name| (*name).to_owned()).collect(),
        ..needed()
    };
    for (names, verdict) in [
        (&["B", "a"][..], CLOSE),
        (&["a", "c"][..], Verdict::Admitted),
    ] {
        let relations = vec!["data.rows".into()];
        let cohort = Cohort::new(relations, &named(names), edited.clone());
        let other = Admission {
            cohort: Some(cohort),
            ..admission(2)
        };
        assert_eq!(office.admit(&other), verdict);
    }
}

#[test]
fn relations_are_compared_each_with_itself() {
    let office = Office::open();
    office.admit(&training(1, marks(0..100)));
    let of = |number, relations: &[&str], rows| {
        let relations = relations.iter().map(|name| (*name).to_owned()).collect();
        let cohort = Cohort::new(relations, &needed(), marks(0..rows));
        Admission {
            cohort: Some(cohort),
            ..admission(number)
        }
    };
    assert_eq!(
        office.admit(&of(2, &["data.others"], 99)),
        Verdict::Admitted
    );
    assert_eq!(office.admit(&of(3, &["data.more", "data.rows"], 98)), CLOSE);
    assert_eq!(office.admit(&of(3, &["data.others"], 98)), CLOSE);
}

#[test]
fn a_refused_cohort_is_not_remembered_and_an_inference_has_none() {
    let office = Office::open();
    office.admit(&training(1, marks(0..100)));
    assert_eq!(office.admit(&training(2, marks(0..109))), CLOSE);
    assert_eq!(office.admit(&training(3, marks(0..120))), Verdict::Admitted);
    let inference = Admission {
        cohort: None,
        ..admission(4)
    };
    assert_eq!(office.admit(&inference), Verdict::Admitted);
    assert_eq!(office.ledger.leader(job(4)).unwrap(), Some(PartyId(3)));
}

#[test]
fn only_the_newest_cohorts_are_remembered() {
    let office = Office::open();
    let most = COHORTS as u64;
    let disjoint = |number: u64| marks(number * 1_000..number * 1_000 + 20);
    for number in 0..=most {
        let now = NOW + number as i64;
        let new = training(number.into(), disjoint(number));
        assert_eq!(office.ledger.admit(&new, now).unwrap(), Verdict::Admitted);
    }
    let near = |number: u64| training(9_999, disjoint(number)[1..].to_vec());
    assert_eq!(office.admit(&near(1)), CLOSE);
    assert_eq!(office.admit(&near(0)), Verdict::Admitted);
}

const COHORTS: usize = crate::limits::COHORTS_REMEMBERED_MAX;

#[test]
fn one_question_is_answered_for_one_model() {
    let office = Office::open();
    assert!(office.ledger.pledge(&pledge(0, 1)).unwrap());
    assert!(office.ledger.pledge(&pledge(0, 1)).unwrap());
    assert!(!office.ledger.pledge(&pledge(0, 2)).unwrap());
    assert!(office.ledger.pledge(&pledge(1, 2)).unwrap());
    // One question a round, whatever its kind and batch.
    for (kind, batch) in [(4, 1), (1, 0)] {
        let model = pledge(0, 1);
        let other = Pledge {
            kind,
            batch,
            ..model
        };
        assert!(!office.ledger.pledge(&other).unwrap());
    }
    let of_another_job = Pledge {
        job: job(2),
        ..pledge(0, 2)
    };
    assert!(office.ledger.pledge(&of_another_job).unwrap());
    office.admit(&admission(1));
    assert_eq!(office.ledger.show(job(1), NOW).unwrap().unwrap().pledges, 2);
}

#[test]
fn two_workers_never_answer_one_question_for_two_models() {
    let office = Office::open();
    let path = office.path();
    let answered: Vec<BTreeSet<u32>> = std::thread::scope(|scope| {
        let work = |model: u8| {
            let ledger = Ledger::open(&path).unwrap();
            scope.spawn(move || {
                let rounds = 0..200;
                rounds
                    .filter(|round| ledger.pledge(&pledge(*round, model)).unwrap())
                    .collect()
            })
        };
        let workers = [work(1), work(2)];
        workers
            .into_iter()
            .map(|work| work.join().unwrap())
            .collect()
    });
    assert!(answered[0].is_disjoint(&answered[1]));
    assert_eq!(answered[0].len() + answered[1].len(), 200);
}

#[test]
fn what_was_written_is_there_after_a_death() {
    let office = Office::open();
    office.admit(&admission(1));
    office.ledger.pledge(&pledge(0, 1)).unwrap();
    // The connection is never closed, as in a process that dies.
    std::mem::forget(office.ledger.clone());
    let reopened = Ledger::open(&office.path()).unwrap();
    assert!(!reopened.pledge(&pledge(0, 2)).unwrap());
    assert_eq!(reopened.verdict(job(1), NOW).unwrap(), Verdict::Admitted);
    assert_eq!(reopened.verify().unwrap().records, 1);
}

#[test]
fn a_copy_of_the_files_at_any_moment_is_a_ledger() {
    let office = Office::open();
    office.ledger.pledge(&pledge(0, 1)).unwrap();
    let copy = tempfile::tempdir().unwrap();
    for name in ["party.ledger", "party.ledger-wal"] {
        let from = office.folder.path().join(name);
        std::fs::copy(from, copy.path().join(name)).unwrap();
    }
    let copied = Ledger::open(&copy.path().join("party.ledger")).unwrap();
    assert!(!copied.pledge(&pledge(0, 2)).unwrap());
}

fn manual(number: u128, marks: Vec<Mark>) -> Admission {
    Admission {
        manual: true,
        ..training(number, marks)
    }
}

#[test]
fn a_job_awaits_a_person_who_says_yes_or_no() {
    let office = Office::open();
    assert_eq!(office.admit(&manual(1, marks(0..100))), Verdict::Awaiting);
    assert_eq!(office.admit(&manual(2, marks(0..100))), Verdict::Awaiting);
    let pending = office.ledger.pending(NOW).unwrap();
    let jobs: Vec<JobId> = pending.iter().map(|known| known.job).collect();
    assert_eq!(jobs, [job(1), job(2)]);
    assert_eq!(office.ledger.leader(job(1)).unwrap(), None);

    let by = |number, decision| {
        let decided = office
            .ledger
            .decide(job(number), decision, "Dr. Li", NOW + 1);
        decided.unwrap()
    };
    assert_eq!(by(1, Decision::Approve), Decided::Done);
    assert_eq!(by(2, Decision::Reject), Decided::Done);
    assert_eq!(by(3, Decision::Approve), Decided::Unknown);
    assert_eq!(by(1, Decision::Reject), Decided::Not(Standing::Approved));
    let verdict = |number| office.ledger.verdict(job(number), NOW + 2).unwrap();
    assert_eq!(verdict(1), Verdict::Admitted);
    assert_eq!(verdict(2), Verdict::Refused(ReasonCode::ApprovalRejected));
    assert_eq!(office.admit(&manual(1, marks(0..100))), Verdict::Admitted);
    assert_eq!(
        office.admit(&manual(2, marks(0..100))),
        Verdict::Refused(ReasonCode::ApprovalRejected)
    );
    assert!(office.ledger.pending(NOW).unwrap().is_empty());
    let known = office.ledger.show(job(1), NOW).unwrap().unwrap();
    assert_eq!(known.decided, Some(("Dr. Li".to_owned(), NOW + 1)));
    assert_eq!(office.ledger.leader(job(1)).unwrap(), Some(PartyId(3)));
    let words = ["awaiting", "awaiting", "approved", "rejected", "refused"];
    assert_eq!(office.words(), words);
}

#[test]
fn an_undecided_job_expires() {
    let office = Office::open();
    office.admit(&manual(1, marks(0..100)));
    let late = NOW + 24 * HOUR;
    assert_eq!(
        office.ledger.verdict(job(1), late - 1).unwrap(),
        Verdict::Awaiting
    );
    assert!(office.ledger.pending(late).unwrap().is_empty());
    let decided = office
        .ledger
        .decide(job(1), Decision::Approve, "Dr. Li", late);
    assert_eq!(decided.unwrap(), Decided::Not(Standing::Expired));
    let expired = Verdict::Refused(ReasonCode::ApprovalExpired);
    assert_eq!(office.ledger.verdict(job(1), late).unwrap(), expired);
    assert_eq!(office.words(), ["awaiting", "expired"]);
}

#[test]
fn a_job_that_was_not_let_in_leaves_no_cohort_behind() {
    let office = Office::open();
    office.admit(&manual(1, marks(0..100)));
    assert_eq!(
        office.admit(&training(2, marks(0..101))),
        CLOSE,
        "while it awaits"
    );
    let decided = office
        .ledger
        .decide(job(1), Decision::Reject, "Dr. Li", NOW);
    assert_eq!(decided.unwrap(), Decided::Done);
    assert_eq!(office.admit(&training(3, marks(0..101))), Verdict::Admitted);

    office.admit(&manual(4, marks(1_000..1_100)));
    let late = NOW + 24 * HOUR;
    let near = training(5, marks(1_000..1_101));
    assert_eq!(office.ledger.admit(&near, late).unwrap(), Verdict::Admitted);
}

#[test]
fn the_audit_log_shows_where_it_was_changed() {
    let changes = [
        ("UPDATE audit SET text = 'by nobody' WHERE number = 3", 3),
        ("UPDATE audit SET at_ms = at_ms + 1 WHERE number = 2", 2),
        ("DELETE FROM audit WHERE number = 3", 4),
        (
            "UPDATE audit SET number = 99 WHERE number = 2;
             UPDATE audit SET number = 2 WHERE number = 3;
             UPDATE audit SET number = 3 WHERE number = 99",
            2,
        ),
        (
            "UPDATE audit SET job = x'00000000000000000000000000000009' WHERE number = 5",
            5,
        ),
    ];
    for (change, broken) in changes {
        let office = Office::open();
        for number in 0..5 {
            let entry = Entry {
                what: What::Released,
                job: Some(job(number)),
                text: format!("{number} rows"),
            };
            office.ledger.record(NOW, &entry).unwrap();
        }
        let whole = office.ledger.verify().unwrap();
        assert_eq!((whole.records, whole.broken), (5, None));
        office.sql(change);
        assert_eq!(
            office.ledger.verify().unwrap().broken,
            Some(broken),
            "{change}"
        );
    }
}

#[test]
fn the_newest_records_of_a_job_come_oldest_first() {
    let office = Office::open();
    for number in 1..=4 {
        let entry = Entry {
            what: What::Released,
            job: Some(job(number % 2)),
            text: number.to_string(),
        };
        office.ledger.record(NOW, &entry).unwrap();
    }
    let texts = |job, newest| -> Vec<String> {
        let records = office.ledger.audit(job, newest).unwrap();
        records.into_iter().map(|record| record.text).collect()
    };
    assert_eq!(texts(None, 3), ["2", "3", "4"]);
    assert_eq!(texts(Some(job(1)), 10), ["1", "3"]);
}

#[test]
fn a_ledger_is_its_owners_alone() {
    let office = Office::open();
    office.ledger.pledge(&pledge(0, 1)).unwrap();
    for entry in std::fs::read_dir(office.folder.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let open = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(office.path(), open).unwrap();
    let refused = Ledger::open(&office.path());
    assert!(matches!(refused, Err(Error::NotPrivate { .. })));
}

#[test]
fn a_folder_is_made_and_a_strange_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("ledgers").join("party-3.sqlite");
    drop(Ledger::open(&below).unwrap());
    let mode = std::fs::metadata(below.parent().unwrap()).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o700);

    let newer = Connection::open(&below).unwrap();
    newer.pragma_update(None, "user_version", 2).unwrap();
    drop(newer);
    let refused = Ledger::open(&below);
    assert!(matches!(refused, Err(Error::Version { version: 2, .. })));

    let private = std::fs::Permissions::from_mode(0o600);
    let other = folder.path().join("other.sqlite");
    Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE t (a)")
        .unwrap();
    std::fs::set_permissions(&other, private.clone()).unwrap();
    assert!(matches!(Ledger::open(&other), Err(Error::NoLedger { .. })));

    let text = folder.path().join("text");
    std::fs::write(
        &text,
        "no database, but long enough for a header of one: ".repeat(9),
    )
    .unwrap();
    std::fs::set_permissions(&text, private).unwrap();
    assert!(matches!(Ledger::open(&text), Err(Error::Database(_))));
}

#[test]
fn a_ledger_in_use_for_too_long_is_an_error_and_no_yes() {
    let office = Office::open();
    office
        .ledger
        .connection()
        .busy_timeout(Duration::ZERO)
        .unwrap();
    let other = Connection::open(office.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = office.ledger.pledge(&pledge(0, 1)).unwrap_err();
    assert_eq!(error.code(), ReasonCode::LedgerUnavailable);
    assert!(error.code().retryable());
    assert!(office.ledger.admit(&admission(1), NOW).is_err());
    other.execute_batch("ROLLBACK").unwrap();
    assert!(office.ledger.pledge(&pledge(0, 1)).unwrap());
    assert_eq!(office.admit(&admission(1)), Verdict::Admitted);
}

#[test]
fn a_pledge_is_cheap() {
    let office = Office::open();
    let began = Instant::now();
    let rounds = 2_000;
    for round in 0..rounds {
        office.ledger.pledge(&pledge(round, 1)).unwrap();
    }
    let each = began.elapsed() / rounds;
    println!("{each:?} for each pledge");
    // Generous, since tests share their machine; the aim is a tenth of it.
    assert!(each < Duration::from_millis(1), "{each:?}");
}

#[test]
fn only_models_of_trainings_that_the_party_was_in_are_scored_with() {
    let office = Office::open();
    let scoring = |number: u128, model| Admission {
        cohort: None,
        model: Some(model),
        ..admission(number)
    };
    office.admit(&admission(1));
    let known = (job(1), PartyId(3));
    assert_eq!(office.admit(&scoring(10, known)), Verdict::Admitted);
    let of_another_writer = (job(1), PartyId(4));
    let refused = Verdict::Refused(ReasonCode::ModelMissing);
    assert_eq!(office.admit(&scoring(11, of_another_writer)), refused);
    let unknown = (job(2), PartyId(3));
    let lost = Verdict::Refused(ReasonCode::LedgerLost);
    assert_eq!(office.admit(&scoring(12, unknown)), lost);
}
