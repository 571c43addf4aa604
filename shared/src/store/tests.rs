//! One suite for every database: functions over `&Store`, run once per database. What a move
//! decides is tested in `moves`; here is what the database keeps of it.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::{
    Applied, Cancelled, Email, Error, Job, Key, NewJob, NewUser, Started, Store, Submitted,
};
use crate::hyperparameters::{Convergence, Hyperparameters, Optimizer, Penalty, Start};
use crate::id::{Attempt, JobId, ModelId, OrderId, PartyId, Round, SessionId};
use crate::job::{
    Cohort, Fence, InferSpec, JobStatus, Phase, Protection, Reason, ReasonCode, Spec, TrainSpec,
};
use crate::limits;
use crate::message::{Beat, Outcome, Progress, Score};
use crate::party::Parties;
use crate::query::{Query, Relation};
use crate::source::scratch::Scratch;
use crate::table::{Dropped, Label};

mod server;

const GUEST: PartyId = PartyId(2);
const HOST: PartyId = PartyId(3);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const LEASE: Duration = DAY;

/// Runs every test on every database.
macro_rules! suite {
    ($($test:ident)*) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let (store, _kept) = $crate::store::tests::sqlite_in_a_new_file().await;
                    super::$test(&store).await;
                }
            )*
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let (store, scratch) = $crate::store::tests::postgres_in_a_new_database().await;
                    super::$test(&store).await;
                    scratch.remove().await;
                }
            )*
        }
    };
}

mod panel;

suite!(
    a_submitted_job_waits_for_its_guest
    a_request_with_a_key_is_one_job
    requests_with_one_key_at_once_are_one_job
    a_key_may_not_name_two_requests
    orders_are_one_sequence_and_models_another
    parties_have_names
    of_many_claims_one_wins
    of_many_words_at_once_each_job_ends_by_one
    no_move_waits_for_polls
    a_grant_carries_what_the_job_has
    a_beat_of_the_holder_counts
    a_stale_word_changes_nothing
    a_finished_training_has_its_model
    a_finished_inference_has_its_scores
    an_outcome_of_another_kind_is_a_failed_attempt
    changed_rows_fail_the_job
    a_failed_attempt_opens_the_next
    a_silent_session_loses_its_job
    a_late_job_fails
    a_cancelled_job_stays_cancelled
    pages_of_jobs_go_back_in_time
    unclaimed_jobs_come_in_order
    dead_letters_come_newest_first
    dead_letters_are_found_by_their_job
    no_letter_is_too_odd_to_keep
    a_caller_that_goes_away_leaves_no_lock
    accounts_are_kept
    a_job_knows_its_creator
    a_party_s_page_has_only_its_own_jobs
);

async fn sqlite_in_a_new_file() -> (Store, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("concord.sqlite"))
        .await
        .unwrap();
    (store, directory)
}

async fn postgres_in_a_new_database() -> (Store, Scratch) {
    let scratch = Scratch::new().await;
    let store = Store::connect(&scratch.url).await.unwrap();
    (store, scratch)
}

fn query() -> Query {
    Query {
        relation: Relation {
            schema: None,
            name: "patients".to_owned(),
        },
        columns: None,
        filter: None,
    }
}

fn training() -> Spec {
    let cohort = || Cohort {
        pos: query(),
        neg: query(),
    };
    Spec::Train(TrainSpec {
        parties: Parties {
            guest: GUEST,
            hosts: vec![HOST],
        },
        cohorts: BTreeMap::from([(GUEST, cohort()), (HOST, cohort())]),
        unique_id: "id".to_owned(),
        attributes: vec!["age".to_owned()],
        label: Label {
            column: "sick".to_owned(),
            value: "1".to_owned(),
        },
        hyperparameters: Hyperparameters {
            penalty: Penalty::L2 { alpha: 0.1 },
            optimizer: Optimizer::Sgd,
            convergence: Convergence::Diff,
            tolerance: 1e-4,
            iterations_max: 10,
            batch_rows: None,
            learning_rate: 0.15,
            decay: 1.0,
            decay_sqrt: true,
            start: Start::Zeros,
            intercept: true,
            random_seed: None,
            standardize: true,
            threshold: 0.5,
        },
        protection: Protection::SecAgg,
    })
}

fn new(spec: Spec) -> NewJob {
    NewJob {
        spec,
        owner: PartyId(9),
        creator: None,
        echo: r#"{"as": "sent"}"#.to_owned(),
        deadline: DAY,
        key: None,
    }
}

async fn submit(store: &Store) -> Submitted {
    store.submit(new(training())).await.unwrap()
}

async fn job(store: &Store, submitted: &Submitted) -> Job {
    store.job(submitted.job).await.unwrap().unwrap()
}

fn fence(submitted: &Submitted, attempt: u32) -> Fence {
    Fence {
        job: submitted.job,
        attempt: Attempt(attempt),
        session: SessionId(Uuid::new_v4()),
    }
}

/// A new session that has the job's first attempt.
async fn claimed(store: &Store, submitted: &Submitted) -> Fence {
    let fence = fence(submitted, 1);
    let grant = store.claim(fence, GUEST, LEASE).await.unwrap();
    assert!(grant.is_some());
    fence
}

fn at(round: u32) -> Progress {
    Progress {
        phase: Phase::Training,
        round: Round(round),
        iterations: round,
        iterations_max: 10,
        ..Progress::default()
    }
}

fn started(byte: u8) -> Started {
    Started {
        rows: BTreeMap::from([(GUEST, 5), (HOST, 6)]),
        dropped: BTreeMap::new(),
        digests: BTreeMap::from([(GUEST, vec![byte; 32]), (HOST, vec![7; 32])]),
        privacy: None,
    }
}

fn parts() -> Outcome {
    Outcome::Model(BTreeMap::from([(GUEST, vec![1]), (HOST, vec![2])]))
}

fn reason(code: ReasonCode) -> Reason {
    Reason {
        code,
        text: "It broke.".to_owned(),
        party: Some(HOST),
    }
}

async fn a_submitted_job_waits_for_its_guest(store: &Store) {
    let submitted = submit(store).await;
    let job = job(store, &submitted).await;
    assert_eq!((job.id, job.order), (submitted.job, submitted.order));
    assert_eq!((job.model, job.owner), (submitted.model, PartyId(9)));
    assert_eq!((job.spec, job.echo), (training(), new(training()).echo));
    assert_eq!((job.status, job.attempt), (JobStatus::Pending, Attempt(1)));
    assert_eq!(job.deadline_at, job.created_at + DAY.as_millis() as i64);
    let waiting = job.report.waiting.unwrap();
    assert_eq!(
        (waiting.parties, waiting.since),
        (vec![GUEST], job.created_at)
    );
    let same = store.job_by_order(submitted.order).await.unwrap().unwrap();
    assert_eq!(same.id, submitted.job);
    assert_eq!(store.job(JobId(Uuid::new_v4())).await.unwrap(), None);
    assert_eq!(store.job_by_order(OrderId(999)).await.unwrap(), None);
    let model = store
        .model(submitted.model.unwrap())
        .await
        .unwrap()
        .unwrap();
    assert!(!model.trained());
    assert_eq!(store.model(ModelId(999)).await.unwrap(), None);
}

fn keyed(key: &str, request: u8) -> NewJob {
    NewJob {
        key: Some(Key::new(key.to_owned(), [request; 32]).unwrap()),
        ..new(training())
    }
}

async fn a_request_with_a_key_is_one_job(store: &Store) {
    let first = store.submit(keyed("a", 1)).await.unwrap();
    assert_eq!(store.submit(keyed("a", 1)).await.unwrap(), first);
    store.cancel(first.order).await.unwrap();
    assert_eq!(store.submit(keyed("a", 1)).await.unwrap(), first);

    let mut of_another = keyed("a", 1);
    of_another.owner = PartyId(8);
    let others = [of_another, keyed("A", 1), new(training())];
    for other in others {
        assert_ne!(store.submit(other).await.unwrap().job, first.job);
    }
    let scoring = infer(store, &first).await;
    let again = || NewJob {
        spec: Spec::Infer(InferSpec {
            model: scoring.model.unwrap(),
            trained_by: first.job,
            party: HOST,
            query: query(),
            result_key: None,
        }),
        ..keyed("b", 2)
    };
    let first = store.submit(again()).await.unwrap();
    assert_eq!(store.submit(again()).await.unwrap(), first);
}

async fn requests_with_one_key_at_once_are_one_job(store: &Store) {
    let mut submissions = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let store = store.clone();
        submissions.spawn(async move { store.submit(keyed("a", 1)).await.unwrap() });
    }
    let all = submissions.join_all().await;
    assert!(all.iter().all(|one| *one == all[0]));
    assert_eq!(store.jobs(None, usize::MAX).await.unwrap().len(), 1);
}

async fn a_key_may_not_name_two_requests(store: &Store) {
    store.submit(keyed("a", 1)).await.unwrap();
    let error = store.submit(keyed("a", 2)).await.err().unwrap();
    assert!(matches!(error, Error::KeyReused) && !error.is_outage());
    assert_eq!(store.jobs(None, usize::MAX).await.unwrap().len(), 1);
}

#[test]
fn a_key_is_short_visible_ascii() {
    let longest = "k".repeat(limits::IDEMPOTENCY_KEY_BYTES_MAX);
    for (text, fits) in [
        ("a", true),
        ("0190-~!", true),
        (&longest, true),
        ("", false),
        ("a b", false),
        ("a\0", false),
        ("é", false),
        (&format!("{longest}k"), false),
    ] {
        assert_eq!(Key::new(text.to_owned(), [0; 32]).is_ok(), fits, "{text:?}");
    }
}

async fn orders_are_one_sequence_and_models_another(store: &Store) {
    let train = submit(store).await;
    let infer = infer(store, &train).await;
    let again = submit(store).await;
    assert_eq!(infer.order.0, train.order.0 + 1);
    assert_eq!(again.order.0, train.order.0 + 2);
    assert_eq!(infer.model, train.model);
    assert_eq!(again.model.unwrap().0, train.model.unwrap().0 + 1);
}

async fn infer(store: &Store, trained: &Submitted) -> Submitted {
    let spec = Spec::Infer(InferSpec {
        model: trained.model.unwrap(),
        trained_by: trained.job,
        party: HOST,
        query: query(),
        result_key: None,
    });
    store.submit(new(spec)).await.unwrap()
}

async fn parties_have_names(store: &Store) {
    let names = |names: &[(u64, &str)]| -> BTreeMap<PartyId, String> {
        let each = names.iter();
        each.map(|&(party, name)| (PartyId(party), name.to_owned()))
            .collect()
    };
    let first = names(&[(2, "North"), (3, "South")]);
    store.register_parties(first).await.unwrap();
    let second = names(&[(3, "Süd"), (4, "East")]);
    store.register_parties(second).await.unwrap();
    let all = names(&[(3, "Süd"), (4, "East")]);
    assert_eq!(store.parties().await.unwrap(), all);
    let huge = names(&[(u64::MAX, "No")]);
    assert!(matches!(
        store.register_parties(huge).await,
        Err(Error::TooLarge { .. })
    ));
}

async fn of_many_claims_one_wins(store: &Store) {
    let submitted = submit(store).await;
    let mut claims = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (store, fence) = (store.clone(), fence(&submitted, 1));
        claims.spawn(async move { store.claim(fence, GUEST, LEASE).await.unwrap() });
    }
    let grants: Vec<_> = claims.join_all().await.into_iter().flatten().collect();
    assert_eq!(grants.len(), 1);
    // The winner may ask again; the answer is the same.
    let fence = grants[0].fence;
    let again = store.claim(fence, GUEST, LEASE).await.unwrap();
    assert!(again.unwrap() == grants[0]);
    assert_eq!(job(store, &submitted).await.status, JobStatus::Running);
}

/// Two aggregators and their sweeps, all about the same jobs.
async fn of_many_words_at_once_each_job_ends_by_one(store: &Store) {
    const JOBS: usize = 40;
    const SPEAKERS: usize = 4;
    let mut jobs = Vec::new();
    for _ in 0..JOBS {
        jobs.push(submit(store).await);
    }
    let mut speakers = tokio::task::JoinSet::new();
    for speaker in 0..SPEAKERS {
        let (store, mut jobs) = (store.clone(), jobs.clone());
        jobs.rotate_left(speaker);
        speakers.spawn(async move {
            let (mut grants, mut ends, mut counted) = (Vec::new(), Vec::new(), 0);
            for submitted in jobs {
                let fence = fence(&submitted, 1);
                if store.claim(fence, GUEST, LEASE).await.unwrap().is_some() {
                    grants.push(submitted.job);
                    for round in 1..4 {
                        let blob = vec![round as u8];
                        let said = store.checkpoint(fence, at(round), blob).await.unwrap();
                        counted += usize::from(said == Applied::Counted);
                    }
                    let done = store.finish(fence, at(4), parts()).await.unwrap();
                    if done == Applied::Ended {
                        ends.push(submitted.job);
                    }
                }
                if speaker == 0 {
                    let wish = store.cancel(submitted.order).await.unwrap();
                    if wish == Cancelled::Cancelled {
                        ends.push(submitted.job);
                    }
                }
            }
            (grants, ends, counted)
        });
    }
    let (mut granted, mut ended) = (Vec::new(), Vec::new());
    for (grants, ends, counted) in speakers.join_all().await {
        assert!(counted <= 3 * grants.len());
        granted.extend(grants);
        ended.extend(ends);
    }
    let expected: Vec<JobId> = jobs.iter().map(|submitted| submitted.job).collect();
    ended.sort_unstable_by_key(|job| job.0);
    assert_eq!(ended, expected, "each job ended by one word");
    granted.sort_unstable_by_key(|job| job.0);
    let grants = granted.len();
    granted.dedup();
    assert_eq!(granted.len(), grants, "no attempt was granted twice");
    for submitted in &jobs {
        let job = job(store, submitted).await;
        let part = store
            .model_part(submitted.model.unwrap(), GUEST)
            .await
            .unwrap();
        assert_eq!(part.is_some(), job.status == JobStatus::Finished);
        assert!(store.checkpoint_of(submitted.job).await.unwrap().is_none());
    }
}

async fn no_move_waits_for_polls(store: &Store) {
    let submitted = submit(store).await;
    let mut polls: Vec<Box<dyn std::any::Any>> = Vec::new();
    match store {
        Store::Sqlite(database) => {
            for _ in 0..database.readers.status().max_size {
                polls.push(Box::new(database.readers.get().await.unwrap()));
            }
        }
        Store::Postgres(database) => {
            for _ in 0..database.readers.status().max_size {
                polls.push(Box::new(database.readers.get().await.unwrap()));
            }
        }
    }
    let holder = claimed(store, &submitted).await;
    store.checkpoint(holder, at(1), vec![1]).await.unwrap();
    assert_eq!(store.unclaimed(None).await.unwrap(), []);
    assert_eq!(store.silent().await.unwrap(), []);
    assert_eq!(store.overdue().await.unwrap(), []);
    let done = store.finish(holder, at(2), parts()).await.unwrap();
    assert_eq!(done, Applied::Ended);
}

async fn a_grant_carries_what_the_job_has(store: &Store) {
    let submitted = submit(store).await;
    let first = fence(&submitted, 1);
    let grant = store.claim(first, GUEST, LEASE).await.unwrap().unwrap();
    assert_eq!(grant.spec, serde_json::to_vec(&training()).unwrap());
    assert!(grant.checkpoint.is_none() && grant.digests.is_empty());

    store.started(first, started(1)).await.unwrap();
    for (round, blob) in [(4, vec![4]), (3, vec![3])] {
        store.checkpoint(first, at(round), blob).await.unwrap();
    }
    store
        .fail(first, reason(ReasonCode::PartySilent))
        .await
        .unwrap();
    let second = fence(&submitted, 2);
    let grant = store.claim(second, GUEST, LEASE).await.unwrap().unwrap();
    assert_eq!(grant.checkpoint, Some(vec![4]));
    assert_eq!(grant.digests, started(1).digests);
    store.checkpoint(second, at(5), vec![5]).await.unwrap();
    let again = store.claim(second, GUEST, LEASE).await.unwrap().unwrap();
    assert_eq!(again.checkpoint, Some(vec![5]));
    store.finish(second, at(6), parts()).await.unwrap();

    let submitted = infer(store, &submitted).await;
    let scoring = fence(&submitted, 1);
    let grant = store.claim(scoring, HOST, LEASE).await.unwrap().unwrap();
    assert_eq!(grant.model, Some(vec![2]));
}

async fn a_beat_of_the_holder_counts(store: &Store) {
    let submitted = submit(store).await;
    let holder = fence(&submitted, 1);
    let beat = |fence, round, waiting: &[PartyId]| Beat {
        fence,
        reply_to: String::new(),
        progress: at(round),
        waiting: waiting.to_vec(),
        awaiting: false,
    };
    // Without the beat the lease would be over at once.
    store.claim(holder, GUEST, Duration::ZERO).await.unwrap();
    assert_eq!(store.silent().await.unwrap(), [holder]);
    assert!(store.beat(beat(holder, 3, &[HOST]), LEASE).await.unwrap());
    assert_eq!(store.silent().await.unwrap(), []);
    let report = job(store, &submitted).await.report;
    assert_eq!(report.round, Round(3));
    assert_eq!(report.waiting.unwrap().parties, [HOST]);
    let other = beat(fence(&submitted, 1), 4, &[]);
    assert!(!store.beat(other, LEASE).await.unwrap());
    assert_eq!(job(store, &submitted).await.report.round, Round(3));
}

async fn a_stale_word_changes_nothing(store: &Store) {
    let submitted = submit(store).await;
    let nowhere = Submitted {
        job: JobId(Uuid::new_v4()),
        ..submitted
    };
    let holder = claimed(store, &submitted).await;
    store.started(holder, started(1)).await.unwrap();
    store.checkpoint(holder, at(1), vec![1]).await.unwrap();
    let before = job(store, &submitted).await;
    for stale in [
        fence(&submitted, 1),
        fence(&submitted, 2),
        fence(&nowhere, 1),
    ] {
        let claim = store.claim(stale, GUEST, LEASE).await.unwrap();
        assert!(claim.is_none());
        let words = [
            store.started(stale, started(1)).await,
            store.checkpoint(stale, at(9), vec![9]).await,
            store.finish(stale, at(9), parts()).await,
            store.fail(stale, reason(ReasonCode::NoRows)).await,
            store.fail(stale, reason(ReasonCode::PartySilent)).await,
            store.lose(stale).await,
        ];
        for word in words {
            assert_eq!(word.unwrap(), Applied::Stale);
        }
    }
    assert_eq!(store.expire(nowhere.job).await.unwrap(), Applied::Stale);
    assert_eq!(job(store, &submitted).await, before);
    let part = store
        .model_part(submitted.model.unwrap(), GUEST)
        .await
        .unwrap();
    assert_eq!(part, None);
    let grant = store.claim(holder, GUEST, LEASE).await.unwrap().unwrap();
    assert_eq!(grant.checkpoint, Some(vec![1]));
}

async fn a_finished_training_has_its_model(store: &Store) {
    let submitted = submit(store).await;
    let holder = claimed(store, &submitted).await;
    store.started(holder, started(1)).await.unwrap();
    store.checkpoint(holder, at(1), vec![1]).await.unwrap();
    let done = store.finish(holder, at(2), parts()).await.unwrap();
    assert_eq!(done, Applied::Ended);
    let model = store
        .model(submitted.model.unwrap())
        .await
        .unwrap()
        .unwrap();
    assert!(model.trained());
    assert_eq!(model.job.report.rows[&HOST], 6);
    assert_eq!(model.job.report.round, Round(2));
    for (party, part) in [
        (GUEST, Some(vec![1])),
        (HOST, Some(vec![2])),
        (PartyId(4), None),
    ] {
        let kept = store
            .model_part(submitted.model.unwrap(), party)
            .await
            .unwrap();
        assert_eq!(kept, part);
    }
    // The event may come again; the checkpoint is gone.
    let again = store.finish(holder, at(2), parts()).await.unwrap();
    assert_eq!(again, Applied::Stale);
    let checkpoint = store.checkpoint_of(submitted.job).await.unwrap();
    assert_eq!(checkpoint, None);
}

async fn a_finished_inference_has_its_scores(store: &Store) {
    let trained = submit(store).await;
    let submitted = infer(store, &trained).await;
    assert_eq!(store.scores(submitted.job).await.unwrap().map(|_| ()), None);
    let holder = fence(&submitted, 1);
    store.claim(holder, HOST, LEASE).await.unwrap().unwrap();
    let score = |unique_id: &str, label| Score {
        unique_id: unique_id.to_owned(),
        label,
    };
    let scores = vec![score("7", 0.1234), score("é", 1.0)];
    let outcome = Outcome::Scores {
        scores: scores.clone(),
        dropped: Dropped {
            missing: 2,
            repeated: 1,
        },
    };
    let done = store.finish(holder, at(1), outcome).await.unwrap();
    assert_eq!(done, Applied::Ended);
    assert!(store.scores(submitted.job).await.unwrap() == Some(scores));
    let report = job(store, &submitted).await.report;
    assert_eq!(report.rows[&HOST], 2);
    assert_eq!(report.dropped[&HOST].missing, 2);
}

async fn an_outcome_of_another_kind_is_a_failed_attempt(store: &Store) {
    let score = |label| {
        let unique_id = "7".to_owned();
        Outcome::Scores {
            scores: vec![Score { unique_id, label }],
            dropped: Dropped::default(),
        }
    };
    let submitted = submit(store).await;
    let holder = claimed(store, &submitted).await;
    let done = store.finish(holder, at(1), score(0.5)).await.unwrap();
    assert!(matches!(done, Applied::Released(_)));
    let incomplete = Outcome::Model(BTreeMap::from([(GUEST, vec![1])]));
    let holder = fence(&submitted, 2);
    store.claim(holder, GUEST, LEASE).await.unwrap().unwrap();
    let done = store.finish(holder, at(1), incomplete).await.unwrap();
    assert!(matches!(done, Applied::Released(_)));
    let why = job(store, &submitted).await.report.reason.unwrap();
    assert_eq!((why.code, why.party), (ReasonCode::Protocol, Some(GUEST)));

    let submitted = infer(store, &submitted).await;
    let holder = fence(&submitted, 1);
    store.claim(holder, HOST, LEASE).await.unwrap().unwrap();
    let done = store.finish(holder, at(1), score(f64::NAN)).await.unwrap();
    assert!(matches!(done, Applied::Released(_)));
}

async fn changed_rows_fail_the_job(store: &Store) {
    let submitted = submit(store).await;
    let first = claimed(store, &submitted).await;
    store.started(first, started(1)).await.unwrap();
    store
        .fail(first, reason(ReasonCode::PartySilent))
        .await
        .unwrap();
    let second = fence(&submitted, 2);
    store.claim(second, GUEST, LEASE).await.unwrap().unwrap();
    let applied = store.started(second, started(2)).await.unwrap();
    assert_eq!(applied, Applied::Ended);
    let job = job(store, &submitted).await;
    assert_eq!(job.status, JobStatus::Failed);
    let why = job.report.reason.unwrap();
    assert_eq!(
        (why.code, why.party),
        (ReasonCode::DataChanged, Some(GUEST))
    );
}

async fn a_failed_attempt_opens_the_next(store: &Store) {
    let submitted = submit(store).await;
    let holder = claimed(store, &submitted).await;
    assert_eq!(store.unclaimed(None).await.unwrap(), []);
    let applied = store
        .fail(holder, reason(ReasonCode::PartySilent))
        .await
        .unwrap();
    let open = store.unclaimed(None).await.unwrap();
    assert_eq!(applied, Applied::Released(open[0].clone()));
    let job = job(store, &submitted).await;
    assert_eq!((job.status, job.attempt), (JobStatus::Pending, Attempt(2)));
    assert_eq!(job.failures, 1);
    assert_eq!(job.report.reason, Some(reason(ReasonCode::PartySilent)));
}

async fn a_silent_session_loses_its_job(store: &Store) {
    let submitted = submit(store).await;
    let holder = claimed(store, &submitted).await;
    assert_eq!(store.lose(holder).await.unwrap(), Applied::Stale);
    store.claim(holder, GUEST, Duration::ZERO).await.unwrap();
    assert_eq!(store.silent().await.unwrap(), [holder]);
    let applied = store.lose(holder).await.unwrap();
    assert!(matches!(applied, Applied::Released(_)));
    assert_eq!(store.silent().await.unwrap(), []);
    let why = job(store, &submitted).await.report.reason.unwrap();
    assert_eq!(why.code, ReasonCode::SessionLost);
}

async fn a_late_job_fails(store: &Store) {
    submit(store).await;
    let late = NewJob {
        deadline: Duration::ZERO,
        ..new(training())
    };
    let waiting = store.submit(late).await.unwrap();
    assert_eq!(store.overdue().await.unwrap(), [waiting.job]);
    assert_eq!(store.expire(waiting.job).await.unwrap(), Applied::Ended);
    assert_eq!(store.overdue().await.unwrap(), []);
    let job = job(store, &waiting).await;
    assert_eq!(job.status, JobStatus::Failed);
    let why = job.report.reason.unwrap();
    assert_eq!((why.code, why.party), (ReasonCode::Deadline, Some(GUEST)));
    assert_eq!(job.report.waiting, None);
}

async fn a_cancelled_job_stays_cancelled(store: &Store) {
    for is_running in [false, true] {
        let submitted = submit(store).await;
        let holder = fence(&submitted, 1);
        if is_running {
            store.claim(holder, GUEST, LEASE).await.unwrap().unwrap();
            store.checkpoint(holder, at(1), vec![1]).await.unwrap();
        }
        let wish = store.cancel(submitted.order).await.unwrap();
        assert_eq!(wish, Cancelled::Cancelled);
        let done = store.finish(holder, at(1), parts()).await.unwrap();
        assert_eq!(done, Applied::Stale);
        assert_eq!(job(store, &submitted).await.status, JobStatus::Cancelled);
        assert!(store.checkpoint_of(submitted.job).await.unwrap().is_none());
        let wish = store.cancel(submitted.order).await.unwrap();
        assert_eq!(wish, Cancelled::AlreadyEnded);
    }
    assert_eq!(store.unclaimed(None).await.unwrap(), []);
    let wish = store.cancel(OrderId(999)).await.unwrap();
    assert_eq!(wish, Cancelled::NotFound);
}

async fn pages_of_jobs_go_back_in_time(store: &Store) {
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(submit(store).await.order);
    }
    orders.reverse();
    let page = async |before, count| -> Vec<OrderId> {
        let jobs = store.jobs(before, count).await.unwrap();
        jobs.iter().map(|job| job.order).collect()
    };
    assert_eq!(page(None, 2).await, orders[..2]);
    assert_eq!(page(Some(orders[1]), usize::MAX).await, orders[2..]);
    assert_eq!(page(Some(orders[4]), 2).await, []);
}

async fn unclaimed_jobs_come_in_order(store: &Store) {
    let first = submit(store).await;
    let second = infer(store, &first).await;
    let taken = submit(store).await;
    claimed(store, &taken).await;
    let open = store.unclaimed(None).await.unwrap();
    let said: Vec<_> = open
        .iter()
        .map(|open| (open.job, open.attempt, open.queue.as_str()))
        .collect();
    let expected = [
        (first.job, Attempt(1), "party.2.guest"),
        (second.job, Attempt(1), "party.3.infer"),
    ];
    assert_eq!(said, expected);
    let rest = store.unclaimed(Some(open[0].order)).await.unwrap();
    assert_eq!(rest, open[1..]);
}

async fn dead_letters_come_newest_first(store: &Store) {
    for i in 0..3 {
        let reason = format!("reason {i}");
        store
            .bury("events".to_owned(), reason, i, None)
            .await
            .unwrap();
    }
    let letters = store.dead_letters(None, 2).await.unwrap();
    assert_eq!(letters.len(), 2);
    let newest = &letters[0];
    assert_eq!(
        (newest.queue.as_str(), newest.reason.as_str(), newest.bytes),
        ("events", "reason 2", 2)
    );
}

async fn dead_letters_are_found_by_their_job(store: &Store) {
    let job = JobId(Uuid::now_v7());
    for of in [None, Some(job), Some(JobId(Uuid::now_v7()))] {
        let (queue, reason) = ("events".to_owned(), "why".to_owned());
        store.bury(queue, reason, 1, of).await.unwrap();
    }
    let letters = store.dead_letters(Some(job), 10).await.unwrap();
    let jobs: Vec<_> = letters.iter().map(|letter| letter.job).collect();
    assert_eq!(jobs, [Some(job)]);
}

async fn no_letter_is_too_odd_to_keep(store: &Store) {
    let odd = "\0 苏州 \u{10ffff} ' \\ \" \u{1}";
    let kept = odd.replace('\0', "\u{fffd}");
    let submitted = NewJob {
        echo: odd.to_owned(),
        ..new(training())
    };
    let submitted = store.submit(submitted).await.unwrap();
    assert_eq!(job(store, &submitted).await.echo, kept);
    let holder = claimed(store, &submitted).await;
    let why = Reason {
        text: odd.to_owned(),
        ..reason(ReasonCode::PartySilent)
    };
    store.fail(holder, why.clone()).await.unwrap();
    assert_eq!(job(store, &submitted).await.report.reason, Some(why));
    let names = BTreeMap::from([(GUEST, odd.to_owned())]);
    store.register_parties(names).await.unwrap();
    assert_eq!(store.parties().await.unwrap()[&GUEST], kept);
    store
        .bury(odd.to_owned(), odd.to_owned(), 1, None)
        .await
        .unwrap();
    assert_eq!(store.dead_letters(None, 1).await.unwrap()[0].reason, kept);
}

async fn a_caller_that_goes_away_leaves_no_lock(store: &Store) {
    for _ in 0..20 {
        let leaving = tokio::spawn({
            let store = store.clone();
            async move { submit(&store).await }
        });
        tokio::task::yield_now().await;
        leaving.abort();
        let _ = leaving.await;
    }
    let last = submit(store).await;
    // Each of the jobs is there whole, or not at all.
    let jobs = store.jobs(None, usize::MAX).await.unwrap();
    assert!(jobs.iter().any(|job| job.id == last.job));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reopened_file_still_has_its_jobs() {
    use std::os::unix::fs::PermissionsExt;
    let (store, directory) = sqlite_in_a_new_file().await;
    let submitted = submit(&store).await;
    drop(store);
    let path = directory.path().join("concord.sqlite");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let store = Store::open(&path).await.unwrap();
    assert_eq!(job(&store, &submitted).await.status, JobStatus::Pending);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_is_refused() {
    let (store, directory) = sqlite_in_a_new_file().await;
    drop(store);
    let path = directory.path().join("concord.sqlite");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')";
    connection.execute(newer, []).unwrap();
    let error = Store::open(&path).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        "the database has schema 29991231000000; this version knows schemas up to 20261122200000"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("concord.sqlite");
    std::fs::write(
        &path,
        "not a database, by any means, and long enough to tell",
    )
    .unwrap();
    assert!(matches!(Store::open(&path).await, Err(Error::Open { .. })));
    let nowhere = directory.path().join("no/such/directory");
    assert!(matches!(
        Store::open(&nowhere).await,
        Err(Error::Open { .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_dead_letters_give_way() {
    let (store, directory) = sqlite_in_a_new_file().await;
    let path = directory.path().join("concord.sqlite");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        INSERT INTO dead_letters (queue, reason, bytes, seen_at)
        SELECT 'events', 'old', i, 0 FROM n";
    let filled = connection.execute(fill, [limits::DEAD_LETTERS_MAX as i64]);
    assert_eq!(filled.unwrap(), limits::DEAD_LETTERS_MAX);
    let bury = store.bury("beats".to_owned(), "new".to_owned(), 0, None);
    bury.await.unwrap();
    let letters = store.dead_letters(None, usize::MAX).await.unwrap();
    assert_eq!(letters.len(), limits::DEAD_LETTERS_MAX);
    assert_eq!((letters[0].reason.as_str(), letters[0].bytes), ("new", 0));
    assert_eq!(letters.last().unwrap().bytes, 2);
}

#[test]
fn an_outage_is_told_from_a_refusal() {
    use diesel::result::{DatabaseErrorKind as Kind, Error as Query};
    let database = |kind| Error::Query(Query::DatabaseError(kind, Box::new(String::new())));
    assert!(database(Kind::Unknown).is_outage());
    assert!(database(Kind::ClosedConnection).is_outage());
    assert!(!database(Kind::CheckViolation).is_outage());
    assert!(!Error::Query(Query::NotFound).is_outage());
    assert!(Error::Interrupted.is_outage());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_read_is_named_and_hides_no_other() {
    let (store, directory) = sqlite_in_a_new_file().await;
    let broken = submit(&store).await;
    let sound = submit(&store).await;
    let path = directory.path().join("concord.sqlite");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let id = broken.job.to_string();
    let broke = connection.execute("UPDATE jobs SET report = '?' WHERE id = ?1", [&id]);
    assert_eq!(broke.unwrap(), 1);
    let error = store.job(broken.job).await.unwrap_err();
    assert!(!error.is_outage());
    assert!(error.to_string().contains(&id) && error.to_string().contains("report"));
    let open = store.unclaimed(None).await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].job, sound.job);
}

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

async fn accounts_are_kept(store: &Store) {
    let wei = email("Wei@hospital.cn");
    let new = |party| NewUser {
        email: email("wei@HOSPITAL.cn"),
        password: "hash 1".to_owned(),
        party,
    };
    assert!(store.user(&wei).await.unwrap().is_none());
    assert!(store.add_user(new(Some(GUEST))).await.unwrap());
    assert!(!store.add_user(new(None)).await.unwrap(), "there already");
    let kept = store.user(&wei).await.unwrap().unwrap();
    assert_eq!(
        (kept.email.as_str(), kept.party),
        ("wei@hospital.cn", Some(GUEST))
    );
    assert!(kept.password == "hash 1" && kept.created_at > 0 && kept.disabled_at.is_none());

    let set = store.set_password(wei.clone(), "hash 2".to_owned()).await;
    assert!(set.unwrap() && store.disable_user(wei.clone()).await.unwrap());
    let kept = store.user(&wei).await.unwrap().unwrap();
    assert!(kept.password == "hash 2" && kept.disabled_at.is_some());

    let other = NewUser {
        email: email("an@b"),
        ..new(None)
    };
    assert!(store.add_user(other).await.unwrap());
    let all = store.users().await.unwrap();
    let all: Vec<_> = all
        .iter()
        .map(|user| (user.email.as_str(), user.party))
        .collect();
    assert_eq!(all, [("an@b", None), ("wei@hospital.cn", Some(GUEST))]);

    let nobody = email("nobody@b");
    assert!(
        !store
            .set_password(nobody.clone(), String::new())
            .await
            .unwrap()
    );
    assert!(!store.disable_user(nobody).await.unwrap());
    let huge = NewUser {
        party: Some(PartyId(u64::MAX)),
        ..new(None)
    };
    assert!(matches!(
        store.add_user(huge).await,
        Err(Error::TooLarge { .. })
    ));
}

async fn a_job_knows_its_creator(store: &Store) {
    let creator = Some(email("wei@hospital.cn"));
    let by_wei = NewJob {
        creator: creator.clone(),
        ..new(training())
    };
    let submitted = store.submit(by_wei).await.unwrap();
    assert_eq!(job(store, &submitted).await.creator, creator);
    let fence = claimed(store, &submitted).await;
    store.finish(fence, at(4), parts()).await.unwrap();
    assert_eq!(job(store, &submitted).await.creator, creator);
}

async fn a_party_s_page_has_only_its_own_jobs(store: &Store) {
    let mut trainings = Vec::new();
    for _ in 0..3 {
        trainings.push(submit(store).await);
        infer(store, &trainings[0]).await;
    }
    let orders = async |party, before, count| -> Vec<i64> {
        let nobody = email("nobody@b");
        let page = store.jobs_of(Some(party), &nobody, before, count);
        let page = page.await.unwrap();
        page.iter().map(|job| job.order.0).collect()
    };
    let own: Vec<i64> = trainings.iter().rev().map(|job| job.order.0).collect();
    assert_eq!(orders(GUEST, None, 100).await, own);
    assert_eq!(orders(GUEST, None, 2).await, own[..2]);
    assert_eq!(orders(GUEST, Some(OrderId(own[1])), 2).await, own[2..]);
    assert_eq!(
        orders(HOST, None, 100).await.len(),
        6,
        "host and data owner"
    );
    assert!(
        orders(PartyId(9), None, 100).await.is_empty(),
        "asked, and has no rows in it"
    );
}

/// What takes the accounts' tables away, as if this version had never been there.
const WITHOUT_ACCOUNTS: &str = concat!(
    include_str!("../../../migrations/sqlite/2026-11-22-100000_keep_users/down.sql"),
    "DELETE FROM __diesel_schema_migrations WHERE version = '20261122100000';"
);

/// Jobs from before there were accounts are found by their participants.
async fn earlier_jobs_have_participants(store: &Store, train: &Submitted) {
    let trained = infer(store, train).await;
    for (party, count) in [(GUEST, 1), (HOST, 2), (PartyId(9), 0)] {
        let nobody = email("nobody@b");
        let page = store.jobs_of(Some(party), &nobody, None, 100);
        let page = page.await.unwrap();
        assert_eq!(page.len(), count, "party {party}");
        assert!(page.iter().all(|job| job.creator.is_none()));
    }
    assert_eq!(trained.model, train.model);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_an_earlier_file_have_participants() {
    let (store, directory) = sqlite_in_a_new_file().await;
    let train = submit(&store).await;
    drop(store);
    let path = directory.path().join("concord.sqlite");
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch(WITHOUT_ACCOUNTS).unwrap();
    let store = Store::open(&path).await.unwrap();
    earlier_jobs_have_participants(&store, &train).await;
}
