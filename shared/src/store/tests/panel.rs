//! The panel's jobs: one suite for every database, as in the parent.

use super::*;
use crate::computation::{FileKind, Learner, Operation, Reveal, Shape, ShapeError};
use crate::id::PanelId;
use crate::job::{ComputeSpec, LearnSpec};
use crate::sharing::Bundle;
use crate::store::{
    Created, Fill, Filled, InputProtection, Keys, Made, NewPanel, Panel, Rerun, Run, Submission,
    UploadId,
};

const WORKER: PartyId = PartyId(4);
const HOUR: Duration = Duration::from_secs(3600);
const PIECE: usize = limits::PIECE_BYTES;
/// What sealing adds to a piece here.
const SEAL: usize = 40;

suite!(
    a_joint_computation_waits_for_all_inputs_and_then_for_a_worker
    an_input_may_be_replaced_while_others_are_missing
    an_input_that_does_not_fit_is_refused_and_not_kept
    an_input_is_for_a_run_that_awaits_it
    the_last_two_inputs_at_once_complete_the_run_once
    a_run_that_nobody_fills_fails_naming_its_participants
    a_computation_s_grant_has_the_inputs_in_order_and_its_result_is_for_all
    what_is_no_result_of_the_run_is_a_failed_attempt
    inputs_go_when_the_run_ends
    a_run_starts_when_the_last_one_has_ended
    of_many_reruns_at_once_one_is_made
    a_name_is_one_live_job_of_its_creator
    of_many_jobs_with_one_name_at_once_one_is_made
    a_panel_request_with_a_key_is_one_job
    a_deleted_job_no_longer_says_why_its_runs_failed
    a_deleted_job_is_gone_at_once_and_its_name_is_free
    deleting_at_once_with_anything_else_leaves_nothing
    a_late_word_about_a_deleted_job_changes_nothing
    an_account_s_panel_jobs_come_in_pages_newest_first
    an_account_s_list_has_its_runs_beside_its_party_s_jobs
    odd_names_are_kept
    an_upload_becomes_the_files_of_one_job
    an_upload_that_is_not_whole_makes_no_job
    uploads_that_nobody_takes_over_are_dropped
    a_session_fetches_the_files_and_hands_in_what_it_made
    an_account_s_files_have_room_up_to_a_bound
    made_files_are_kept_of_the_newest_runs
    pieces_are_those_of_the_session_that_finishes
    a_made_file_that_is_not_whole_is_a_failed_attempt
    a_piece_that_no_file_has_is_a_failed_attempt
    finished_runs_come_in_pages_newest_first
    oversized_inputs_and_pieces_are_refused
);

fn account(name: &str) -> Email {
    email(&format!("{name}@b"))
}

fn three() -> Vec<Email> {
    ["an", "bo", "cy"].map(account).to_vec()
}

fn panel_id(byte: u8) -> PanelId {
    PanelId([byte; 32])
}

fn computation(id: PanelId, operation: Operation) -> Spec {
    Spec::Compute(ComputeSpec {
        panel: id,
        round: 1,
        operation,
        workers: [WORKER, GUEST, HOST],
        parties: vec![GUEST],
    })
}

/// A matrix of this shape; `byte` tells one from another.
fn fill(rows: u32, columns: u32, byte: u8) -> Fill {
    Fill {
        bundle: Bundle {
            rows,
            columns,
            commitments: [[byte; 32]; 3],
            sealed: [1, 2, 3].map(|part| vec![byte ^ part; 100]),
        },
        protection: InputProtection::ServerSplit,
    }
}

fn sum(byte: u8) -> NewPanel {
    let id = panel_id(byte);
    NewPanel {
        id,
        name: format!("job {byte}"),
        creator: account("bo"),
        parties: three(),
        spec: computation(id, Operation::Addition),
        owner: GUEST,
        echo: r#"{"parties": 3}"#.to_owned(),
        key: None,
        fill: Some(fill(2, 3, 1)),
        client_sealed: false,
        upload: None,
        files_bytes_max: limits::FILES_BYTES_PER_ACCOUNT_MAX,
    }
}

async fn created(store: &Store, new: NewPanel) -> Run {
    match store.create_panel(new, DAY).await.unwrap() {
        Created::Run(run) => run,
        Created::NameTaken => panic!("the name is free"),
    }
}

/// A run of a sum of which every input is there.
async fn filled(store: &Store, byte: u8) -> Run {
    let run = created(store, sum(byte)).await;
    fill_rest(store, &run).await;
    run
}

async fn fill_rest(store: &Store, run: &Run) {
    for position in 0..3 {
        if run.round > 1 || position != 1 {
            let fill = fill(2, 3, position as u8);
            let done = store.fill(run.panel, run.round, position, fill, DAY).await;
            assert!(matches!(
                done.unwrap(),
                Filled::Stored | Filled::Complete(_)
            ));
        }
    }
}

async fn panel(store: &Store, run: &Run) -> Panel {
    store.panel(run.panel).await.unwrap().unwrap()
}

async fn status(store: &Store, run: &Run) -> JobStatus {
    store.job(run.job).await.unwrap().unwrap().status
}

fn holder(run: &Run, attempt: u32) -> Fence {
    Fence {
        job: run.job,
        attempt: Attempt(attempt),
        session: SessionId(Uuid::new_v4()),
    }
}

async fn taken(store: &Store, run: &Run, attempt: u32) -> Fence {
    let fence = holder(run, attempt);
    let grant = store.claim(fence, WORKER, LEASE).await.unwrap();
    assert!(grant.is_some());
    fence
}

fn computed() -> Outcome {
    Outcome::Computed {
        exact: r#"[["1.5"]]"#.to_owned(),
        text: "1.500000\0".to_owned(),
    }
}

/// How many rows there are about panel jobs, all tables together, beside jobs and tombstones.
async fn traces(store: &Store) -> i64 {
    use crate::store::postgres;
    use crate::store::read::read;
    use crate::store::schema::*;
    use crate::store::sqlite;
    use diesel::prelude::*;
    use diesel_async::RunQueryDsl;
    macro_rules! count {
        ($connection:ident, $($table:ident)*) => {
            0 $(+ $table::table.count().get_result::<i64>($connection).await?)*
        };
    }
    let counted: Result<i64, Error> = async {
        Ok(read!(store, readers, |connection, _now| {
            count!(connection, panel_participants inputs uploads uploaded_pieces made_pieces
                computed_results learned_results)
                + panels::table
                    .filter(
                        panels::deleted_at
                            .is_null()
                            .or(panels::api_key.is_not_null()),
                    )
                    .count()
                    .get_result::<i64>(connection)
                    .await?
        }))
    }
    .await;
    counted.unwrap()
}

async fn a_joint_computation_waits_for_all_inputs_and_then_for_a_worker(store: &Store) {
    let run = created(store, sum(1)).await;
    let id = run.panel;
    assert_eq!((run.round, run.status), (1, JobStatus::AwaitingInput));
    assert_eq!(store.unclaimed(None).await.unwrap(), []);
    let kept = panel(store, &run).await;
    assert_eq!((kept.id, kept.name.as_str()), (id, "job 1"));
    assert_eq!((kept.creator, kept.parties), (account("bo"), three()));
    let own = Shape {
        rows: 2,
        columns: 3,
    };
    let by_server = Some((own, InputProtection::ServerSplit));
    assert_eq!(kept.filled, [None, by_server, None]);
    assert!(kept.keys.is_none() && kept.files.is_empty() && !kept.client_sealed);
    assert_eq!((kept.job.id, kept.round), (run.job, 1));
    assert_eq!(kept.job.creator, Some(account("bo")));
    assert_eq!(kept.job.report.waiting, None);
    let week = limits::INPUT_DEADLINE_SECONDS as i64 * 1000;
    assert_eq!(kept.job.deadline_at, kept.job.created_at + week);
    let claim = store.claim(holder(&run, 1), WORKER, LEASE).await.unwrap();
    assert!(claim.is_none(), "it awaits inputs");

    let sealed = Fill {
        protection: InputProtection::ClientSealed,
        ..fill(2, 3, 0)
    };
    let stored = store.fill(id, 1, 0, sealed, HOUR).await.unwrap();
    assert_eq!(stored, Filled::Stored);
    let complete = store.fill(id, 1, 2, fill(2, 3, 2), HOUR).await.unwrap();
    let open = store.unclaimed(None).await.unwrap();
    assert_eq!(complete, Filled::Complete(open[0].clone()));
    assert_eq!(open[0].queue, "party.4.compute");
    let kept = panel(store, &run).await;
    assert_eq!(kept.job.status, JobStatus::Pending);
    let hour = HOUR.as_millis() as i64;
    assert_eq!(kept.job.deadline_at, kept.job.status_at + hour);
    assert!(kept.updated_at >= kept.job.status_at && kept.updated_at >= kept.created_at);
    let by_client = Some((own, InputProtection::ClientSealed));
    assert_eq!(kept.filled, [by_client, by_server, by_server]);
}

async fn an_input_may_be_replaced_while_others_are_missing(store: &Store) {
    let run = created(store, sum(1)).await;
    // Nobody else's is there: the creator's may take another shape.
    for byte in [7, 8] {
        let done = store.fill(run.panel, 1, 1, fill(1, 1, byte), DAY).await;
        assert_eq!(done.unwrap(), Filled::Stored);
    }
    for (position, byte) in [(0, 9), (0, 10), (2, 11)] {
        let fill = fill(1, 1, byte);
        store.fill(run.panel, 1, position, fill, DAY).await.unwrap();
    }
    let late = store.fill(run.panel, 1, 0, fill(1, 1, 12), DAY).await;
    assert_eq!(late.unwrap(), Filled::TooLate(JobStatus::Pending));
    let fence = holder(&run, 1);
    let grant = store.claim(fence, WORKER, LEASE).await.unwrap().unwrap();
    let expected = [10, 8, 11].map(|byte| fill(1, 1, byte).bundle);
    assert!(grant.inputs == expected);
}

async fn an_input_that_does_not_fit_is_refused_and_not_kept(store: &Store) {
    let mut greater = sum(1);
    greater.spec = computation(greater.id, Operation::Comparison(Reveal::Greater));
    let run = created(store, greater).await;
    let other = store.fill(run.panel, 1, 0, fill(3, 2, 0), DAY).await;
    assert!(matches!(
        other.unwrap(),
        Filled::Unfit(ShapeError::Unfit { .. })
    ));
    let huge = store.fill(run.panel, 1, 2, fill(u32::MAX, u32::MAX, 0), DAY);
    let huge = huge.await.unwrap();
    assert!(matches!(huge, Filled::Unfit(ShapeError::Size(_))));
    assert_eq!(panel(store, &run).await.filled[0], None);
    // The third one's values are not compared.
    let free = store.fill(run.panel, 1, 2, fill(9, 9, 0), DAY).await;
    assert_eq!(free.unwrap(), Filled::Stored);
}

async fn an_input_is_for_a_run_that_awaits_it(store: &Store) {
    let run = created(store, sum(1)).await;
    for (id, round, position) in [
        (panel_id(9), 1, 0),
        (run.panel, 0, 0),
        (run.panel, 2, 0),
        (run.panel, 1, 3),
        (run.panel, 1, usize::MAX),
    ] {
        let done = store.fill(id, round, position, fill(2, 3, 0), DAY).await;
        assert_eq!(done.unwrap(), Filled::NotFound);
    }
    store.cancel(run.order).await.unwrap();
    let done = store.fill(run.panel, 1, 0, fill(2, 3, 0), DAY).await;
    assert_eq!(done.unwrap(), Filled::TooLate(JobStatus::Cancelled));
    let learned = created(store, learning(store, 2).await).await;
    let done = store.fill(learned.panel, 1, 0, fill(2, 3, 0), DAY).await;
    assert_eq!(done.unwrap(), Filled::NotFound, "it learns from files");
}

async fn the_last_two_inputs_at_once_complete_the_run_once(store: &Store) {
    for byte in 1..9 {
        let run = created(store, sum(byte)).await;
        let mut fills = tokio::task::JoinSet::new();
        for position in [0, 2, 0, 2] {
            let store = store.clone();
            let fill = fill(2, 3, position as u8);
            let done = async move { store.fill(run.panel, 1, position, fill, DAY).await.unwrap() };
            fills.spawn(done);
        }
        let all = fills.join_all().await;
        let complete = |filled: &&Filled| matches!(filled, Filled::Complete(_));
        assert_eq!(all.iter().filter(complete).count(), 1, "{all:?}");
        assert_eq!(status(store, &run).await, JobStatus::Pending);
    }
}

async fn a_run_that_nobody_fills_fails_naming_its_participants(store: &Store) {
    let run = created(store, sum(1)).await;
    assert_eq!(store.expire(run.job).await.unwrap(), Applied::Stale);
    age(store, "jobs", "deadline_at").await;
    assert_eq!(store.overdue().await.unwrap(), [run.job]);
    assert_eq!(store.expire(run.job).await.unwrap(), Applied::Ended);
    let job = store.job(run.job).await.unwrap().unwrap();
    let why = job.report.reason.unwrap();
    assert_eq!(
        (job.status, why.code),
        (JobStatus::Failed, ReasonCode::Deadline)
    );
    assert_eq!(why.party, None);
    assert!(why.text.contains("its participants' data"), "{}", why.text);
}

/// Makes all times of a column those of long ago.
async fn age(store: &Store, table: &str, column: &str) {
    use diesel_async::SimpleAsyncConnection;
    let sql = format!("UPDATE {table} SET {column} = 0");
    match store {
        Store::Sqlite(database) => {
            let mut writer = database.writers.get().await.unwrap();
            writer.batch_execute(&sql).await.unwrap();
        }
        Store::Postgres(database) => {
            let mut writer = database.writers.get().await.unwrap();
            writer.batch_execute(&sql).await.unwrap();
        }
    }
}

async fn a_computation_s_grant_has_the_inputs_in_order_and_its_result_is_for_all(store: &Store) {
    let run = filled(store, 1).await;
    let fence = holder(&run, 1);
    let grant = store.claim(fence, WORKER, LEASE).await.unwrap().unwrap();
    let expected = [0, 1, 2].map(|byte| fill(2, 3, byte).bundle);
    assert!(grant.inputs == expected && grant.key.is_none() && grant.model.is_none());
    let spec: Spec = serde_json::from_slice(&grant.spec).unwrap();
    assert_eq!(spec, computation(run.panel, Operation::Addition));
    let other = store.claim(holder(&run, 1), GUEST, LEASE).await.unwrap();
    assert!(other.is_none(), "not a worker of the first party's");

    let done = store.finish(fence, at(1), computed()).await.unwrap();
    assert_eq!(done, Applied::Ended);
    let job = store.job(run.job).await.unwrap().unwrap();
    let submission = Submission {
        round: 1,
        job: run.job,
        finished_at: job.status_at,
        made: Made::Computed {
            exact: r#"[["1.5"]]"#.to_owned(),
            text: "1.500000\u{fffd}".to_owned(),
        },
    };
    let all = store.submissions_of(run.panel, 1, 9).await.unwrap();
    assert_eq!(all, (vec![submission.clone()], 1));
    for round in [None, Some(1)] {
        let one = store.submission(run.panel, round).await.unwrap();
        assert_eq!(one.as_ref(), Some(&submission));
    }
    let later = store.submission(run.panel, Some(2)).await.unwrap();
    assert_eq!(later, None);
    let again = store.finish(fence, at(1), computed()).await.unwrap();
    assert_eq!(again, Applied::Stale);
}

async fn what_is_no_result_of_the_run_is_a_failed_attempt(store: &Store) {
    let run = filled(store, 1).await;
    let exact = |exact: String| Outcome::Computed {
        exact,
        text: String::new(),
    };
    let learned = Outcome::Learned {
        metrics: "{}".to_owned(),
        files: BTreeMap::new(),
    };
    let long = format!("\"{}\"", "x".repeat(limits::OUTCOME_BYTES_MAX));
    let outcomes = [exact("[[1".to_owned()), exact(long), learned, parts()];
    for (attempt, outcome) in (1..).zip(outcomes) {
        let fence = taken(store, &run, attempt).await;
        let done = store.finish(fence, at(1), outcome).await.unwrap();
        assert!(matches!(done, Applied::Released(_)), "{attempt}");
    }
    let why = store.job(run.job).await.unwrap().unwrap().report.reason;
    let why = why.unwrap();
    assert_eq!((why.code, why.party), (ReasonCode::Protocol, Some(WORKER)));
    // Its inputs are there until it ends.
    let fence = holder(&run, 5);
    let grant = store.claim(fence, WORKER, LEASE).await.unwrap().unwrap();
    assert_eq!(grant.inputs.len(), 3);
    let training = submit(store).await;
    let guest = claimed(store, &training).await;
    let done = store.finish(guest, at(1), computed()).await.unwrap();
    assert!(matches!(done, Applied::Released(_)));
}

async fn inputs_go_when_the_run_ends(store: &Store) {
    for (byte, how) in (1..).zip(["finish", "fail", "cancel", "expire", "waiting"]) {
        let run = match how {
            "waiting" => created(store, sum(byte)).await,
            _ => filled(store, byte).await,
        };
        match how {
            "finish" => {
                let fence = taken(store, &run, 1).await;
                store.finish(fence, at(1), computed()).await.unwrap();
            }
            "fail" => {
                let fence = taken(store, &run, 1).await;
                let reason = reason(ReasonCode::DataChanged);
                store.fail(fence, reason).await.unwrap();
            }
            "expire" => {
                age(store, "jobs", "deadline_at").await;
                store.expire(run.job).await.unwrap();
            }
            _ => drop(store.cancel(run.order).await.unwrap()),
        }
        assert!(status(store, &run).await.is_terminal(), "{how}");
        let bundles = store.inputs(run.job).await.unwrap();
        assert!(bundles.is_none(), "{how}");
        let told = panel(store, &run).await.filled;
        assert!(told[1].is_some(), "who had filled in is still known: {how}");
    }
}

async fn a_run_starts_when_the_last_one_has_ended(store: &Store) {
    assert_eq!(
        store.rerun(panel_id(9), DAY).await.unwrap(),
        Rerun::NotFound
    );
    let first = filled(store, 1).await;
    let open = store.rerun(first.panel, DAY).await.unwrap();
    assert_eq!(open, Rerun::Open(JobStatus::Pending));
    let fence = taken(store, &first, 1).await;
    store.finish(fence, at(1), computed()).await.unwrap();
    let Rerun::Run(second) = store.rerun(first.panel, DAY).await.unwrap() else {
        panic!("the first run has ended");
    };
    assert_eq!((second.panel, second.round), (first.panel, 2));
    assert_eq!(second.status, JobStatus::AwaitingInput);
    assert!(second.order > first.order);
    let now = panel(store, &second).await;
    assert_eq!((now.round, now.job.id), (2, second.job));
    assert_eq!(now.filled, [None, None, None], "inputs are used once");
    let of_job = |job: &Job| (job.owner, job.creator.clone(), job.echo.clone());
    let before = store.job(first.job).await.unwrap().unwrap();
    assert_eq!(of_job(&now.job), of_job(&before));
    let Spec::Compute(spec) = &now.job.spec else {
        panic!("it computes");
    };
    assert_eq!(spec.round, 2);
    let stale = store.fill(first.panel, 1, 0, fill(2, 3, 0), DAY).await;
    assert_eq!(stale.unwrap(), Filled::TooLate(JobStatus::Finished));
    fill_rest(store, &second).await;
    assert_eq!(status(store, &second).await, JobStatus::Pending);
    store.cancel(second.order).await.unwrap();
    let Rerun::Run(third) = store.rerun(first.panel, DAY).await.unwrap() else {
        panic!("a cancelled run blocks no other");
    };
    assert_eq!(third.round, 3);
    // What the first one made is still there.
    let (all, total) = store.submissions_of(first.panel, 1, 9).await.unwrap();
    assert_eq!((all.len(), all[0].round, total), (1, 1, 1));
}

async fn of_many_reruns_at_once_one_is_made(store: &Store) {
    let run = created(store, sum(1)).await;
    store.cancel(run.order).await.unwrap();
    let mut reruns = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        reruns.spawn(async move { store.rerun(run.panel, DAY).await.unwrap() });
    }
    let all = reruns.join_all().await;
    let made = |rerun: &&Rerun| matches!(rerun, Rerun::Run(_));
    assert_eq!(all.iter().filter(made).count(), 1);
    assert_eq!(panel(store, &run).await.round, 2);
}

async fn a_name_is_one_live_job_of_its_creator(store: &Store) {
    let named = |byte, creator: &str| NewPanel {
        name: "矩阵".to_owned(),
        creator: account(creator),
        ..sum(byte)
    };
    let first = created(store, named(1, "bo")).await;
    let taken = store.create_panel(named(2, "bo"), DAY).await.unwrap();
    assert_eq!(taken, Created::NameTaken);
    assert!(store.panel(panel_id(2)).await.unwrap().is_none());
    let jobs = store.jobs(None, usize::MAX).await.unwrap();
    assert_eq!(jobs.len(), 1, "nothing of it stays");
    created(store, named(3, "an")).await;
    store.cancel(first.order).await.unwrap();
    let taken = store.create_panel(named(2, "bo"), DAY).await.unwrap();
    assert_eq!(taken, Created::NameTaken, "it has ended and is still there");
    assert!(store.delete_panel(first.panel).await.unwrap());
    created(store, named(2, "bo")).await;
}

async fn of_many_jobs_with_one_name_at_once_one_is_made(store: &Store) {
    let mut requests = tokio::task::JoinSet::new();
    for byte in 1..13 {
        let store = store.clone();
        let new = NewPanel {
            name: "one".to_owned(),
            key: Some(Key::new(format!("key {byte}").replace(' ', "-"), [byte; 32]).unwrap()),
            ..sum(byte)
        };
        requests.spawn(async move { store.create_panel(new, DAY).await.unwrap() });
    }
    let all = requests.join_all().await;
    let made = |created: &&Created| matches!(created, Created::Run(_));
    assert_eq!(all.iter().filter(made).count(), 1);
    assert_eq!(store.jobs(None, usize::MAX).await.unwrap().len(), 1);
}

fn keyed_sum(byte: u8, request: u8) -> NewPanel {
    NewPanel {
        key: Some(Key::new("a".to_owned(), [request; 32]).unwrap()),
        ..sum(byte)
    }
}

async fn a_panel_request_with_a_key_is_one_job(store: &Store) {
    let mut requests = tokio::task::JoinSet::new();
    for byte in 1..9 {
        let store = store.clone();
        requests.spawn(async move { created(&store, keyed_sum(byte, 1)).await });
    }
    let all = requests.join_all().await;
    assert!(all.iter().all(|run| *run == all[0]));
    let first = all[0];
    store.cancel(first.order).await.unwrap();
    let again = created(store, keyed_sum(20, 1)).await;
    assert_eq!((again.job, again.panel), (first.job, first.panel));
    assert_eq!(again.status, JobStatus::Cancelled);
    let other = store.create_panel(keyed_sum(20, 2), DAY).await;
    assert!(matches!(other, Err(Error::KeyReused)));
    // A name that is taken does not use up the key.
    let named = |byte, name: &str| NewPanel {
        name: name.to_owned(),
        key: Some(Key::new("b".to_owned(), [3; 32]).unwrap()),
        ..sum(byte)
    };
    let name = panel(store, &first).await.name;
    let taken = store.create_panel(named(21, &name), DAY).await.unwrap();
    assert_eq!(taken, Created::NameTaken);
    let other = created(store, named(21, "free")).await;
    assert_ne!(other.job, first.job);
    // The request is still the job that it was, also when that is gone.
    assert!(store.delete_panel(first.panel).await.unwrap());
    let again = created(store, keyed_sum(20, 1)).await;
    assert_eq!((again.job, again.panel), (first.job, first.panel));
    assert!(store.panel(first.panel).await.unwrap().is_none());
    let by_train = store.submit(keyed("a", 1)).await.unwrap();
    assert_ne!(by_train.job, first.job, "of another owner");
}

async fn a_deleted_job_no_longer_says_why_its_runs_failed(store: &Store) {
    let run = filled(store, 1).await;
    let fence = taken(store, &run, 1).await;
    let why = reason(ReasonCode::DataChanged);
    store.fail(fence, why).await.unwrap();
    store.rerun(run.panel, DAY).await.unwrap();
    let report = async || store.job(run.job).await.unwrap().unwrap().report;
    assert!(!report().await.reason.unwrap().text.is_empty());
    assert!(store.delete_panel(run.panel).await.unwrap());
    let left = report().await.reason.unwrap();
    assert_eq!(
        (left.code, left.text.as_str()),
        (ReasonCode::DataChanged, "")
    );
}

async fn a_deleted_job_is_gone_at_once_and_its_name_is_free(store: &Store) {
    assert!(!store.delete_panel(panel_id(9)).await.unwrap());
    let run = filled(store, 1).await;
    let fence = taken(store, &run, 1).await;
    store.finish(fence, at(1), computed()).await.unwrap();
    store.rerun(run.panel, DAY).await.unwrap();
    let Rerun::Open(_) = store.rerun(run.panel, DAY).await.unwrap() else {
        panic!("the second run awaits inputs");
    };
    let second = panel(store, &run).await.job;
    assert!(store.delete_panel(run.panel).await.unwrap());
    assert!(!store.delete_panel(run.panel).await.unwrap());
    assert_eq!(traces(store).await, 0);
    assert!(store.panel(run.panel).await.unwrap().is_none());
    let (own, total) = store.panels_of(&account("an"), 1, 9).await.unwrap();
    assert!(own.is_empty() && total == 0);
    let list = store.jobs_of(None, &account("an"), None, 9).await.unwrap();
    assert_eq!(list, []);
    let made = store.submissions_of(run.panel, 1, 9).await.unwrap();
    assert_eq!(made, (Vec::new(), 0));
    assert_eq!(store.submission(run.panel, None).await.unwrap(), None);
    assert_eq!(store.rerun(run.panel, DAY).await.unwrap(), Rerun::NotFound);
    let done = store.fill(run.panel, 2, 0, fill(2, 3, 0), DAY).await;
    assert_eq!(done.unwrap(), Filled::NotFound);
    for (job, ended) in [
        (run.job, JobStatus::Finished),
        (second.id, JobStatus::Cancelled),
    ] {
        let job = store.job(job).await.unwrap().unwrap();
        assert_eq!((job.status, job.echo.as_str()), (ended, "{}"));
    }
    let again = NewPanel {
        name: "job 1".to_owned(),
        ..sum(2)
    };
    created(store, again).await;
}

/// Whatever comes first: at the end nothing is there.
async fn deleting_at_once_with_anything_else_leaves_nothing(store: &Store) {
    for byte in 1..13 {
        let run = match byte % 3 {
            0 => created(store, sum(byte)).await,
            1 => filled(store, byte).await,
            _ => {
                let run = filled(store, byte).await;
                store.cancel(run.order).await.unwrap();
                run
            }
        };
        let fence = holder(&run, 1);
        if byte % 3 == 1 {
            let grant = store.claim(fence, WORKER, LEASE).await.unwrap();
            assert!(grant.is_some());
        }
        let mut all = tokio::task::JoinSet::new();
        for position in [0, 2] {
            let store = store.clone();
            all.spawn(async move {
                let fill = fill(2, 3, 0);
                store.fill(run.panel, 1, position, fill, DAY).await.unwrap();
                false
            });
        }
        let finishing = store.clone();
        all.spawn(async move {
            finishing.finish(fence, at(1), computed()).await.unwrap();
            false
        });
        let rerunning = store.clone();
        all.spawn(async move {
            rerunning.rerun(run.panel, DAY).await.unwrap();
            false
        });
        for _ in 0..2 {
            let store = store.clone();
            all.spawn(async move { store.delete_panel(run.panel).await.unwrap() });
        }
        let deleted = all.join_all().await;
        assert_eq!(deleted.iter().filter(|&&deleted| deleted).count(), 1);
        assert!(status(store, &run).await.is_terminal());
        assert_eq!(traces(store).await, 0, "{byte}");
        assert_eq!(store.unclaimed(None).await.unwrap(), []);
    }
}

async fn a_late_word_about_a_deleted_job_changes_nothing(store: &Store) {
    let run = created(store, learning(store, 1).await).await;
    let fence = taken(store, &run, 1).await;
    assert!(keep(store, fence, FileKind::Result, 0, 9).await);
    assert!(store.delete_panel(run.panel).await.unwrap());
    assert_eq!(status(store, &run).await, JobStatus::Cancelled);
    assert!(!keep(store, fence, FileKind::Result, 1, 9).await);
    let fetched = store.fetch(fence, FileKind::Feature, 0).await.unwrap();
    assert_eq!(fetched, None);
    let outcome = learned(&[(FileKind::Result, 9)]);
    let done = store.finish(fence, at(1), outcome).await.unwrap();
    assert_eq!(done, Applied::Stale);
    let gone = store.file_piece(run.job, FileKind::Feature, 0).await;
    assert_eq!(gone.unwrap(), None);
    let claim = store.claim(fence, WORKER, LEASE).await.unwrap();
    assert!(claim.is_none());
    assert_eq!(traces(store).await, 0);
}

async fn an_account_s_panel_jobs_come_in_pages_newest_first(store: &Store) {
    for byte in 1..6 {
        let mut new = sum(byte);
        if byte == 3 {
            new.parties[0] = account("zoe");
        }
        created(store, new).await;
    }
    let ids = async |name: &str, page, size| {
        let (found, total) = store.panels_of(&account(name), page, size).await.unwrap();
        let ids: Vec<u8> = found.iter().map(|panel| panel.id.0[0]).collect();
        (ids, total)
    };
    assert_eq!(ids("an", 1, 9).await, (vec![5, 4, 2, 1], 4));
    assert_eq!(ids("an", 1, 3).await, (vec![5, 4, 2], 4));
    assert_eq!(ids("an", 2, 3).await, (vec![1], 4));
    assert_eq!(ids("an", 3, 3).await, (vec![], 4));
    assert_eq!(ids("an", u64::MAX, usize::MAX).await, (vec![], 4));
    assert_eq!(ids("an", 0, 1).await, (vec![5], 4));
    assert_eq!(ids("an", 1, 0).await, (vec![], 4));
    assert_eq!(ids("zoe", 1, 9).await, (vec![3], 1));
    assert_eq!(ids("nobody", 1, 9).await, (vec![], 0));
    let (found, _) = store.panels_of(&account("bo"), 1, 2).await.unwrap();
    for listed in found {
        let alone = store.panel(listed.id).await.unwrap().unwrap();
        assert!(listed == alone);
    }
}

async fn an_account_s_list_has_its_runs_beside_its_party_s_jobs(store: &Store) {
    let first = created(store, sum(1)).await;
    let training = submit(store).await;
    store.cancel(first.order).await.unwrap();
    let Rerun::Run(second) = store.rerun(first.panel, DAY).await.unwrap() else {
        panic!("the first run has ended");
    };
    let orders = async |party, name: &str, before, count| -> Vec<OrderId> {
        let email = account(name);
        let jobs = store.jobs_of(party, &email, before, count);
        jobs.await.unwrap().iter().map(|job| job.order).collect()
    };
    let (one, two, train) = (first.order, second.order, training.order);
    assert_eq!(orders(None, "an", None, 9).await, [two, one]);
    assert_eq!(orders(Some(HOST), "an", None, 9).await, [two, train, one]);
    assert_eq!(orders(Some(HOST), "an", None, 2).await, [two, train]);
    assert_eq!(orders(Some(HOST), "an", Some(train), 9).await, [one]);
    assert_eq!(orders(Some(HOST), "nobody", None, 9).await, [train]);
    // That its party's worker computes makes nobody a participant.
    assert_eq!(orders(Some(WORKER), "nobody", None, 9).await, []);
}

async fn odd_names_are_kept(store: &Store) {
    let odd = NewPanel {
        name: "\0 苏州 \u{10ffff} ' \\ \" \u{1}".to_owned(),
        echo: "\0".to_owned(),
        ..sum(1)
    };
    let kept = odd.name.replace('\0', "\u{fffd}");
    let run = created(store, odd).await;
    let panel = panel(store, &run).await;
    assert_eq!((panel.name, panel.job.echo), (kept, "\u{fffd}".to_owned()));
}

fn sealed(plain: usize, byte: u8) -> Vec<u8> {
    vec![byte; plain + SEAL]
}

/// An upload of two pieces of features and one of targets.
async fn upload(store: &Store) -> UploadId {
    let upload = store.begin_upload().await.unwrap();
    for (file, piece, plain) in [
        (FileKind::Feature, 1, 5),
        (FileKind::Feature, 0, PIECE),
        (FileKind::Target, 0, 7),
    ] {
        let sealed = sealed(plain, piece as u8);
        store.put_piece(upload, file, piece, sealed).await.unwrap();
    }
    upload
}

fn uploaded() -> BTreeMap<FileKind, u64> {
    BTreeMap::from([(FileKind::Feature, PIECE as u64 + 5), (FileKind::Target, 7)])
}

async fn learning(store: &Store, byte: u8) -> NewPanel {
    let upload = upload(store).await;
    learning_from(upload, byte)
}

fn learning_from(upload: UploadId, byte: u8) -> NewPanel {
    let id = panel_id(byte);
    let keys = Keys {
        worker: vec![1; 80],
        api: vec![2; 60],
    };
    NewPanel {
        parties: vec![account("bo")],
        spec: Spec::Learn(LearnSpec {
            panel: id,
            round: 1,
            learner: Learner::DecisionTree,
            worker: WORKER,
            party: None,
            files: uploaded(),
        }),
        fill: None,
        upload: Some((upload, keys)),
        ..sum(byte)
    }
}

async fn keep(store: &Store, fence: Fence, file: FileKind, piece: u32, plain: usize) -> bool {
    let kept = store.keep(fence, file, piece, sealed(plain, piece as u8));
    kept.await.unwrap()
}

fn learned(files: &[(FileKind, u64)]) -> Outcome {
    Outcome::Learned {
        metrics: r#"{"accuracy": 0.9}"#.to_owned(),
        files: files.iter().copied().collect(),
    }
}

async fn an_upload_becomes_the_files_of_one_job(store: &Store) {
    let upload = upload(store).await;
    // A piece may be sent again.
    let again = sealed(7, 9);
    let put = store.put_piece(upload, FileKind::Target, 0, again.clone());
    put.await.unwrap();
    let run = created(store, learning_from(upload, 1)).await;
    assert_eq!(run.status, JobStatus::Pending);
    let kept = panel(store, &run).await;
    assert_eq!((kept.files, kept.filled), (uploaded(), vec![None]));
    assert!(kept.keys.unwrap().api == [2; 60]);
    assert_eq!(
        kept.job.deadline_at,
        kept.job.created_at + DAY.as_millis() as i64
    );
    let piece = async |file, piece| store.file_piece(run.job, file, piece).await.unwrap();
    assert_eq!(piece(FileKind::Target, 0).await, Some(again));
    assert_eq!(piece(FileKind::Feature, 1).await, Some(sealed(5, 1)));
    assert_eq!(piece(FileKind::Feature, 2).await, None);
    assert_eq!(piece(FileKind::Testing, 0).await, None);
    assert_eq!(piece(FileKind::Result, 0).await, None);

    let late = store.put_piece(upload, FileKind::Testing, 0, sealed(1, 1));
    assert!(matches!(late.await, Err(Error::NoUpload)));
    store.drop_upload(upload).await.unwrap();
    assert!(piece(FileKind::Target, 0).await.is_some(), "a job's now");
    let twice = store.create_panel(learning_from(upload, 2), DAY).await;
    assert!(matches!(twice, Err(Error::NoUpload)));
    assert!(store.panel(panel_id(2)).await.unwrap().is_none());
    let open = store.unclaimed(None).await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].queue, "party.4.compute");
}

async fn an_upload_that_is_not_whole_makes_no_job(store: &Store) {
    let missing = store.begin_upload().await.unwrap();
    let target = store.put_piece(missing, FileKind::Target, 0, sealed(7, 0));
    target.await.unwrap();
    let longer = upload(store).await;
    let testing = store.put_piece(longer, FileKind::Testing, 0, sealed(1, 0));
    testing.await.unwrap();
    let unknown = UploadId(Uuid::new_v4());
    for upload in [missing, longer, unknown] {
        let made = store.create_panel(learning_from(upload, 1), DAY).await;
        assert!(matches!(made, Err(Error::NoUpload)));
    }
    let without = NewPanel {
        upload: None,
        ..learning_from(unknown, 1)
    };
    let made = store.create_panel(without, DAY).await;
    assert!(matches!(made, Err(Error::NoUpload)));
    assert_eq!(store.jobs(None, usize::MAX).await.unwrap(), []);
    assert!(store.panel(panel_id(1)).await.unwrap().is_none());
}

async fn uploads_that_nobody_takes_over_are_dropped(store: &Store) {
    assert_eq!(store.drop_stale_uploads(HOUR).await.unwrap(), 0);
    let run = created(store, learning(store, 1).await).await;
    let stale = upload(store).await;
    age(store, "uploads", "begun_at").await;
    let fresh = upload(store).await;
    assert_eq!(store.drop_stale_uploads(HOUR).await.unwrap(), 1);
    assert_eq!(store.drop_stale_uploads(HOUR).await.unwrap(), 0);
    let late = store.put_piece(stale, FileKind::Target, 0, sealed(7, 0));
    assert!(matches!(late.await, Err(Error::NoUpload)));
    let kept = store.file_piece(run.job, FileKind::Target, 0).await;
    assert!(kept.unwrap().is_some());
    store.drop_upload(fresh).await.unwrap();
    let late = store.put_piece(fresh, FileKind::Target, 0, sealed(7, 0));
    assert!(matches!(late.await, Err(Error::NoUpload)));
    assert!(store.delete_panel(run.panel).await.unwrap());
    assert_eq!(traces(store).await, 0);
}

async fn a_session_fetches_the_files_and_hands_in_what_it_made(store: &Store) {
    let run = created(store, learning(store, 1).await).await;
    let fence = holder(&run, 1);
    assert_eq!(store.fetch(fence, FileKind::Target, 0).await.unwrap(), None);
    let grant = store.claim(fence, WORKER, LEASE).await.unwrap().unwrap();
    assert!(grant.key == Some(vec![1; 80]) && grant.inputs.is_empty());
    let fetch = async |file, piece| store.fetch(fence, file, piece).await.unwrap();
    assert_eq!(
        fetch(FileKind::Feature, 0).await,
        Some(Some(sealed(PIECE, 0)))
    );
    assert_eq!(fetch(FileKind::Feature, 2).await, Some(None));
    assert_eq!(fetch(FileKind::Result, 0).await, Some(None));
    let stranger = store.fetch(holder(&run, 1), FileKind::Target, 0).await;
    assert_eq!(stranger.unwrap(), None);

    for (file, piece, plain) in [
        (FileKind::Result, 0, PIECE),
        (FileKind::Result, 1, 3),
        (FileKind::Result, 1, 4),
        (FileKind::Model, 0, 20),
    ] {
        assert!(keep(store, fence, file, piece, plain).await);
    }
    assert!(!keep(store, holder(&run, 1), FileKind::Model, 0, 20).await);
    let piece = async |file, piece| store.file_piece(run.job, file, piece).await.unwrap();
    assert_eq!(
        piece(FileKind::Result, 0).await,
        None,
        "it has not finished"
    );
    let files = [(FileKind::Result, PIECE as u64 + 4), (FileKind::Model, 20)];
    let done = store.finish(fence, at(1), learned(&files)).await.unwrap();
    assert_eq!(done, Applied::Ended);
    assert_eq!(piece(FileKind::Result, 1).await, Some(sealed(4, 1)));
    assert_eq!(piece(FileKind::Model, 0).await, Some(sealed(20, 0)));
    assert!(!keep(store, fence, FileKind::Result, 1, 9).await);
    let one = store.submission(run.panel, None).await.unwrap().unwrap();
    let made = Made::Learned {
        metrics: r#"{"accuracy": 0.9}"#.to_owned(),
        files: files.into(),
    };
    assert_eq!(one.made, made);

    // The same files, once more.
    let Rerun::Run(second) = store.rerun(run.panel, HOUR).await.unwrap() else {
        panic!("the first run has ended");
    };
    assert_eq!((second.round, second.status), (2, JobStatus::Pending));
    let again = taken(store, &second, 1).await;
    let fetched = store.fetch(again, FileKind::Target, 0).await.unwrap();
    assert_eq!(fetched, Some(Some(sealed(7, 0))));
    assert_eq!(piece(FileKind::Model, 0).await, Some(sealed(20, 0)));
    let of_second = store.file_piece(second.job, FileKind::Model, 0).await;
    assert_eq!(of_second.unwrap(), None);
}

/// Stored bytes of [`upload`].
const UPLOADED: u64 = (PIECE + 5 + 7 + 3 * SEAL) as u64;

async fn an_account_s_files_have_room_up_to_a_bound(store: &Store) {
    let held = async || store.file_bytes_of(&account("bo")).await.unwrap();
    let asked = async |byte, files_bytes_max| {
        let new = NewPanel {
            files_bytes_max,
            ..learning(store, byte).await
        };
        store.create_panel(new, DAY).await
    };
    assert_eq!(held().await, 0);
    assert!(matches!(asked(1, UPLOADED - 1).await, Err(Error::NoRoom)));
    assert!(store.panel(panel_id(1)).await.unwrap().is_none());
    let Created::Run(run) = asked(1, UPLOADED).await.unwrap() else {
        panic!("the name is free");
    };
    assert_eq!(held().await, UPLOADED);
    // What is made counts too; what others have does not.
    let fence = taken(store, &run, 1).await;
    assert!(keep(store, fence, FileKind::Model, 0, 20).await);
    let made = 20 + SEAL as u64;
    assert_eq!(held().await, UPLOADED + made);
    assert_eq!(store.file_bytes_of(&account("an")).await.unwrap(), 0);
    let refused = asked(2, 2 * UPLOADED + made - 1).await;
    assert!(matches!(refused, Err(Error::NoRoom)));
    assert!(store.delete_panel(run.panel).await.unwrap());
    assert_eq!(held().await, 0);
    assert!(asked(2, UPLOADED).await.is_ok());
}

async fn made_files_are_kept_of_the_newest_runs(store: &Store) {
    let first = created(store, learning(store, 1).await).await;
    let mut runs = vec![first];
    for round in 1..=limits::RUNS_KEPT_MAX + 2 {
        let run = runs[round - 1];
        let fence = taken(store, &run, 1).await;
        assert!(keep(store, fence, FileKind::Model, 0, 20).await);
        let done = store.finish(fence, at(1), learned(&[(FileKind::Model, 20)]));
        assert_eq!(done.await.unwrap(), Applied::Ended);
        let Rerun::Run(next) = store.rerun(first.panel, DAY).await.unwrap() else {
            panic!("it has ended");
        };
        runs.push(next);
    }
    let (all, total) = store.submissions_of(first.panel, 1, 9).await.unwrap();
    assert_eq!((all.len(), total), (runs.len() - 1, 5));
    for (at, one) in all.iter().enumerate() {
        let piece = store.file_piece(one.job, FileKind::Model, 0).await.unwrap();
        let Made::Learned { metrics, files } = &one.made else {
            panic!("it learned");
        };
        let kept = at < limits::RUNS_KEPT_MAX;
        assert_eq!((piece.is_some(), files.len()), (kept, usize::from(kept)));
        assert!(metrics.contains("accuracy"));
    }
}

async fn pieces_are_those_of_the_session_that_finishes(store: &Store) {
    let run = created(store, learning(store, 1).await).await;
    let first = taken(store, &run, 1).await;
    assert!(keep(store, first, FileKind::Model, 0, 20).await);
    assert!(keep(store, first, FileKind::Result, 0, 9).await);
    let silent = reason(ReasonCode::PartySilent);
    store.fail(first, silent).await.unwrap();
    let second = taken(store, &run, 2).await;
    assert!(!keep(store, first, FileKind::Model, 0, 20).await);
    assert!(keep(store, second, FileKind::Result, 0, 9).await);
    // A claim that is repeated lets nothing go.
    store.claim(second, WORKER, LEASE).await.unwrap().unwrap();
    let both = [(FileKind::Result, 9), (FileKind::Model, 20)];
    let stale = store.finish(first, at(1), learned(&both)).await.unwrap();
    assert_eq!(stale, Applied::Stale);
    let own = learned(&[(FileKind::Result, 9)]);
    let done = store.finish(second, at(1), own).await.unwrap();
    assert_eq!(done, Applied::Ended);
    let piece = store
        .file_piece(run.job, FileKind::Result, 0)
        .await
        .unwrap();
    assert!(piece.is_some());

    // A lost session's, a failed run's and a cancelled run's go.
    for (byte, how) in (2..).zip(["lose", "fail", "cancel"]) {
        let run = created(store, learning(store, byte).await).await;
        let fence = taken(store, &run, 1).await;
        assert!(keep(store, fence, FileKind::Result, 0, 9).await);
        match how {
            "lose" => {
                store.claim(fence, WORKER, Duration::ZERO).await.unwrap();
                store.lose(fence).await.unwrap();
            }
            "fail" => {
                let reason = reason(ReasonCode::DataChanged);
                store.fail(fence, reason).await.unwrap();
            }
            _ => drop(store.cancel(run.order).await.unwrap()),
        }
        assert!(store.has_made(run.job, "{}").await.unwrap(), "{how}");
    }
}

async fn a_made_file_that_is_not_whole_is_a_failed_attempt(store: &Store) {
    let run = created(store, learning(store, 1).await).await;
    let cases: [&[(FileKind, u64)]; 4] = [
        &[(FileKind::Result, 9), (FileKind::Model, 20)],
        &[],
        &[(FileKind::Result, 9 + SEAL as u64 + 1)],
        &[(FileKind::Feature, 9)],
    ];
    for (attempt, files) in (1..).zip(cases) {
        let fence = taken(store, &run, attempt).await;
        assert!(keep(store, fence, FileKind::Result, 0, 9).await);
        let done = store.finish(fence, at(1), learned(files)).await.unwrap();
        assert!(matches!(done, Applied::Released(_)), "{attempt}");
        assert!(store.has_made(run.job, "{}").await.unwrap());
    }
    let fence = taken(store, &run, 5).await;
    let no_json = Outcome::Learned {
        metrics: "{".to_owned(),
        files: BTreeMap::new(),
    };
    let done = store.finish(fence, at(1), no_json).await.unwrap();
    assert_eq!(done, Applied::Ended, "one too many");
    assert_eq!(status(store, &run).await, JobStatus::Failed);
}

async fn a_piece_that_no_file_has_is_a_failed_attempt(store: &Store) {
    let run = created(store, learning(store, 1).await).await;
    let pieces = (limits::MADE_FILE_BYTES_MAX / PIECE) as u32;
    let cases = [
        (FileKind::Feature, 0, 1),
        (FileKind::Result, pieces, 1),
        (FileKind::Result, 0, limits::PIECE_BYTES + 64),
    ];
    for (attempt, (file, piece, plain)) in (1..).zip(cases) {
        let fence = taken(store, &run, attempt).await;
        assert!(!keep(store, fence, file, piece, plain).await);
        let job = store.job(run.job).await.unwrap().unwrap();
        assert_eq!(job.attempt, Attempt(attempt + 1));
        assert_eq!(job.report.reason.unwrap().code, ReasonCode::Protocol);
    }
    let fence = taken(store, &run, 4).await;
    assert!(keep(store, fence, FileKind::Result, pieces - 1, 1).await);
    let computing = filled(store, 2).await;
    let fence = taken(store, &computing, 1).await;
    assert!(!keep(store, fence, FileKind::Result, 0, 1).await);
}

async fn finished_runs_come_in_pages_newest_first(store: &Store) {
    let first = filled(store, 1).await;
    let mut run = first;
    for round in 1..5 {
        if round == 3 {
            store.cancel(run.order).await.unwrap();
        } else {
            let fence = taken(store, &run, 1).await;
            store.finish(fence, at(1), computed()).await.unwrap();
        }
        let Rerun::Run(next) = store.rerun(first.panel, DAY).await.unwrap() else {
            panic!("it has ended");
        };
        fill_rest(store, &next).await;
        run = next;
    }
    let rounds = async |page, size| {
        let (found, total) = store.submissions_of(first.panel, page, size).await.unwrap();
        let rounds: Vec<u32> = found.iter().map(|one| one.round).collect();
        (rounds, total)
    };
    assert_eq!(rounds(1, 9).await, (vec![4, 2, 1], 3));
    assert_eq!(rounds(1, 2).await, (vec![4, 2], 3));
    assert_eq!(rounds(2, 2).await, (vec![1], 3));
    let newest = store.submission(first.panel, None).await.unwrap().unwrap();
    assert_eq!(newest.round, 4);
    let failed = store.submission(first.panel, Some(3)).await.unwrap();
    assert_eq!(failed, None);
}

async fn oversized_inputs_and_pieces_are_refused(store: &Store) {
    let huge = || {
        let mut fill = fill(2, 3, 1);
        fill.bundle.sealed[2] = vec![0; limits::INPUT_BYTES_MAX];
        fill
    };
    let too_large = NewPanel {
        fill: Some(huge()),
        ..sum(1)
    };
    let made = store.create_panel(too_large, DAY).await;
    assert!(matches!(made, Err(Error::Oversized { .. })));
    let run = created(store, sum(1)).await;
    let done = store.fill(run.panel, 1, 0, huge(), DAY).await;
    assert!(matches!(done, Err(Error::Oversized { .. })));
    let upload = store.begin_upload().await.unwrap();
    let pieces = (limits::FILE_BYTES_MAX / PIECE) as u32;
    for (piece, plain) in [(pieces, 1), (u32::MAX, 1), (0, PIECE + 64)] {
        let put = store.put_piece(upload, FileKind::Feature, piece, sealed(plain, 0));
        let error = put.await.unwrap_err();
        assert!(matches!(error, Error::Oversized { .. }) && !error.is_outage());
    }
    let last = store.put_piece(upload, FileKind::Feature, pieces - 1, sealed(PIECE, 0));
    last.await.unwrap();
}

/// What takes the panel's tables away, as if this version had never been there.
const WITHOUT_PANEL: &str =
    "DELETE FROM __diesel_schema_migrations WHERE version = '20261122200000';";

/// Jobs from before there was a panel are all there.
async fn earlier_jobs_stay(store: &Store, train: &Submitted) {
    let job = job(store, train).await;
    assert_eq!((job.status, job.spec), (JobStatus::Running, training()));
    assert_eq!(store.jobs(None, 9).await.unwrap().len(), 2);
    let nobody = account("nobody");
    let own = store.jobs_of(Some(HOST), &nobody, None, 9).await.unwrap();
    assert_eq!(own.len(), 2);
    let run = filled(store, 1).await;
    assert_eq!(run.order.0, train.order.0 + 2, "one sequence");
    assert_eq!(status(store, &run).await, JobStatus::Pending);
}

async fn an_earlier_one_s_jobs(store: &Store) -> Submitted {
    let train = submit(store).await;
    infer(store, &train).await;
    claimed(store, &train).await;
    train
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_file_takes_panel_jobs() {
    let (store, directory) = sqlite_in_a_new_file().await;
    let train = an_earlier_one_s_jobs(&store).await;
    drop(store);
    let path = directory.path().join("concord.sqlite");
    let file = rusqlite::Connection::open(&path).unwrap();
    let down = include_str!("../../../../migrations/sqlite/2026-11-22-200000_panel/down.sql");
    // The table as an earlier version made it.
    let earlier =
        include_str!("../../../../migrations/sqlite/2026-11-22-050000_await_approval/up.sql");
    let (jobs, _) = earlier.split_once("CREATE TABLE sealed_results").unwrap();
    let sql = format!("PRAGMA foreign_keys = OFF; BEGIN; {down} {jobs} {WITHOUT_PANEL} COMMIT;");
    file.execute_batch(&sql).unwrap();
    let narrow = "UPDATE jobs SET kind = 'learn'";
    assert!(file.execute(narrow, []).is_err(), "an earlier table");
    let store = Store::open(&path).await.unwrap();
    earlier_jobs_stay(&store, &train).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_server_takes_panel_jobs() {
    let (store, scratch) = postgres_in_a_new_database().await;
    let train = an_earlier_one_s_jobs(&store).await;
    drop(store);
    let down = include_str!("../../../../migrations/postgres/2026-11-22-200000_panel/down.sql");
    let client = crate::source::scratch::connect(&scratch.url).await;
    client
        .batch_execute(&format!("{down} {WITHOUT_PANEL}"))
        .await
        .unwrap();
    let store = Store::connect(&scratch.url).await.unwrap();
    earlier_jobs_stay(&store, &train).await;
    scratch.remove().await;
}

/// No input or cell is in the tables but sealed: what is told of a run in the clear is its shape.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deleted_leave_no_byte_of_keys_or_names_in_any_row() {
    let (store, directory) = sqlite_in_a_new_file().await;
    let run = created(&store, learning(&store, 1).await).await;
    assert!(store.delete_panel(run.panel).await.unwrap());
    let path = directory.path().join("concord.sqlite");
    let file = rusqlite::Connection::open(&path).unwrap();
    let sql = "SELECT name, worker_key, api_key FROM panels";
    let left: (String, Option<Vec<u8>>, Option<Vec<u8>>) = file
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap();
    assert_eq!(left, (String::new(), None, None));
}
