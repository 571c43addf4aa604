//! The aggregator with a bus in memory and a database in a temporary file. Conditions are waited
//! for; nothing sleeps.

use std::collections::BTreeMap;
use std::path::PathBuf;

use shared::hyperparameters::{Convergence, Hyperparameters, Optimizer, Penalty, Start};
use shared::id::{Attempt, JobId, ModelId, Round, SessionId};
use shared::job::{Cohort, InferSpec, JobStatus, Phase, Protection, Spec, TrainSpec};
use shared::message::{Grant, Invitation, Outcome, Progress, Score};
use shared::party::Parties;
use shared::query::{Query, Relation};
use shared::store::{Job, NewJob, Submitted};
use shared::table::{Dropped, Label};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::*;

mod pieces;

const PARTY: PartyId = PartyId(2);
const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(20);

/// Nothing happens but what messages bring about.
const CALM: Timing = Timing {
    lease: LONG,
    sweep: LONG,
};
/// The sweep looks all the time and never declares anybody lost.
const SWEEPING: Timing = Timing {
    lease: LONG,
    sweep: SHORT,
};
/// Whoever does not beat is lost at once.
const HASTY: Timing = Timing {
    lease: SHORT,
    sweep: SHORT,
};

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

struct World {
    store: Store,
    bus: Bus,
    wake: Arc<Notify>,
    shutdown: CancellationToken,
    directory: tempfile::TempDir,
}

impl World {
    async fn new() -> World {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("concord.sqlite");
        let world = World {
            store: Store::open(&path).await.unwrap(),
            bus: Bus::local(),
            wake: Arc::new(Notify::new()),
            shutdown: CancellationToken::new(),
            directory,
        };
        for (queue, kind) in [
            (queue::EVENTS, QueueKind::Durable),
            (queue::BEATS, QueueKind::Beats),
        ] {
            world.bus.declare(queue, kind).await.unwrap();
        }
        world
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("concord.sqlite")
    }

    fn start(&self, timing: Timing) -> JoinHandle<Result<(), bus::Error>> {
        let (store, bus) = (self.store.clone(), self.bus.clone());
        let (wake, shutdown) = (self.wake.clone(), self.shutdown.clone());
        let nobody = Vouching::Nobody;
        tokio::spawn(run(store, bus, timing, nobody, wake, shutdown))
    }

    async fn submit(&self) -> Submitted {
        self.submit_for(PARTY, LONG).await
    }

    async fn submit_training(&self) -> Submitted {
        let cohort = Cohort {
            pos: query(),
            neg: query(),
        };
        let spec = Spec::Train(TrainSpec {
            parties: Parties {
                guest: PARTY,
                hosts: vec![PartyId(3)],
            },
            cohorts: BTreeMap::from([(PARTY, cohort.clone()), (PartyId(3), cohort)]),
            unique_id: "id".to_owned(),
            attributes: vec!["age".to_owned()],
            label: Label {
                column: "sick".to_owned(),
                value: "1".to_owned(),
            },
            hyperparameters: Hyperparameters {
                penalty: Penalty::None,
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
        });
        self.submit_spec(spec, PARTY, LONG).await
    }

    async fn submit_for(&self, party: PartyId, deadline: Duration) -> Submitted {
        let spec = Spec::Infer(InferSpec {
            model: ModelId(1),
            trained_by: JobId(Uuid::from_u128(1)),
            party,
            query: query(),
            result_key: None,
        });
        self.submit_spec(spec, party, deadline).await
    }

    async fn submit_spec(&self, spec: Spec, owner: PartyId, deadline: Duration) -> Submitted {
        let new = NewJob {
            spec,
            owner,
            creator: None,
            echo: String::new(),
            deadline,
            key: None,
        };
        self.store.submit(new).await.unwrap()
    }

    async fn invitations(&self, party: PartyId) -> Consumer {
        self.reader(&queue::infer(party)).await
    }

    async fn reader(&self, queue: &str) -> Consumer {
        let opened = self.bus.open(queue, QueueKind::Durable, 1);
        opened.await.unwrap()
    }

    async fn job(&self, submitted: &Submitted) -> Job {
        self.store.job(submitted.job).await.unwrap().unwrap()
    }

    async fn until(&self, submitted: &Submitted, condition: impl Fn(&Job) -> bool) -> Job {
        let wait = async {
            loop {
                let job = self.job(submitted).await;
                if condition(&job) {
                    return job;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .expect("the job gets there")
    }

    async fn session(&self, submitted: &Submitted, attempt: u32) -> Session<'_> {
        let session = SessionId(Uuid::new_v4());
        let queue = queue::session(PARTY, session.0);
        self.bus.declare(&queue, QueueKind::Session).await.unwrap();
        Session {
            world: self,
            fence: Fence {
                job: submitted.job,
                attempt: Attempt(attempt),
                session,
            },
            inbox: self.bus.consume(&queue, 8).await.unwrap(),
            queue,
        }
    }
}

/// A worker that plays one session.
struct Session<'a> {
    world: &'a World,
    fence: Fence,
    queue: String,
    inbox: Consumer,
}

impl Session<'_> {
    async fn say(&self, body: EventBody) {
        let event = Event {
            fence: self.fence,
            party: PARTY,
            reply_to: self.queue.clone(),
            body,
        };
        let event = message::encode(&event);
        self.world.bus.publish(queue::EVENTS, event).await.unwrap();
    }

    async fn claim(&self) {
        self.say(EventBody::Claimed).await;
    }

    async fn beat(&self) {
        let beat = Beat {
            fence: self.fence,
            reply_to: self.queue.clone(),
            progress: at(1),
            waiting: Vec::new(),
            awaiting: false,
        };
        let beat = message::encode(&beat);
        self.world.bus.publish(queue::BEATS, beat).await.unwrap();
    }

    async fn finish(&self) {
        let score = Score {
            unique_id: "7".to_owned(),
            label: 0.5,
        };
        let outcome = Outcome::Scores {
            scores: vec![score],
            dropped: Dropped::default(),
        };
        let progress = at(2);
        self.say(EventBody::Finished { progress, outcome }).await;
    }

    async fn hears(&mut self) -> ToSession {
        next(&mut self.inbox).await
    }

    async fn granted(&mut self) -> Grant {
        match self.hears().await {
            ToSession::Granted(grant) => *grant,
            ToSession::Ended(fence) => panic!("{fence:?} ended"),
            ToSession::Envelope(_) | ToSession::Piece { .. } | ToSession::Kept { .. } => {
                panic!("no word of a grant")
            }
        }
    }

    async fn ended(&mut self) {
        assert!(self.hears().await == ToSession::Ended(self.fence));
    }
}

async fn next<T: serde::de::DeserializeOwned>(consumer: &mut Consumer) -> T {
    let delivery = tokio::time::timeout(PATIENCE, consumer.next())
        .await
        .expect("a message arrives")
        .unwrap();
    let body = message::decode(delivery.body()).unwrap();
    delivery.ack().await;
    body
}

fn invitation(submitted: &Submitted, attempt: u32) -> Invitation {
    Invitation {
        job: submitted.job,
        attempt: Attempt(attempt),
    }
}

/// Waits for an invitation; the look at the start may have sent earlier ones.
async fn reaches(invitations: &mut Consumer, expected: Invitation) {
    while next::<Invitation>(invitations).await != expected {}
}

fn at(round: u32) -> Progress {
    Progress {
        phase: Phase::Scoring,
        round: Round(round),
        ..Progress::default()
    }
}

fn silence() -> EventBody {
    let reason = Reason {
        code: ReasonCode::PartySilent,
        text: "Party 3 stopped answering.".to_owned(),
        party: Some(PartyId(3)),
    };
    EventBody::Failed { reason }
}

fn digests(byte: u8) -> EventBody {
    EventBody::Started {
        rows: BTreeMap::from([(PARTY, 5)]),
        dropped: BTreeMap::new(),
        digests: BTreeMap::from([(PARTY, vec![byte; 32])]),
        privacy: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_claims_one_is_granted() {
    let world = World::new().await;
    world.start(CALM);
    let submitted = world.submit().await;
    let mut one = world.session(&submitted, 1).await;
    let mut other = world.session(&submitted, 1).await;
    one.claim().await;
    other.claim().await;
    let grant = one.granted().await;
    assert_eq!(grant.fence, one.fence);
    let spec: Spec = serde_json::from_slice(&grant.spec).unwrap();
    assert_eq!(spec, world.job(&submitted).await.spec);
    other.ended().await;
    // Who did not hear the answer asks again.
    one.claim().await;
    assert_eq!(one.granted().await.fence, one.fence);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_runs_to_its_end() {
    let world = World::new().await;
    world.start(CALM);
    let submitted = world.submit().await;
    let mut session = world.session(&submitted, 1).await;
    session.claim().await;
    session.granted().await;
    session.beat().await;
    let job = world
        .until(&submitted, |job| job.report.round == Round(1))
        .await;
    assert_eq!(job.status, JobStatus::Running);
    session.finish().await;
    let job = world
        .until(&submitted, |job| job.status.is_terminal())
        .await;
    assert_eq!(job.status, JobStatus::Finished);
    assert_eq!(job.report.rows[&PARTY], 1);
    let scores = world.store.scores(submitted.job).await.unwrap();
    assert_eq!(scores.unwrap()[0].unique_id, "7");
    // The session learns that nobody needs it any more: at once, and when it did not hear it.
    session.ended().await;
    session.beat().await;
    session.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_and_the_digests_reach_the_next_attempt() {
    let world = World::new().await;
    world.start(CALM);
    let submitted = world.submit_training().await;
    let mut invitations = world.reader(&queue::guest(PARTY)).await;
    let mut first = world.session(&submitted, 1).await;
    first.claim().await;
    first.granted().await;
    first.say(digests(1)).await;
    let progress = at(1);
    let blob = vec![9];
    first.say(EventBody::Checkpoint { progress, blob }).await;
    first.say(silence()).await;
    // No timer runs in this world: the failure itself brings the invitation.
    reaches(&mut invitations, invitation(&submitted, 2)).await;
    let mut second = world.session(&submitted, 2).await;
    second.claim().await;
    let grant = second.granted().await;
    assert_eq!(grant.checkpoint, Some(vec![9]));
    assert_eq!(grant.digests[&PARTY], [1; 32]);
    second.say(digests(2)).await;
    let job = world
        .until(&submitted, |job| job.status.is_terminal())
        .await;
    assert_eq!(job.report.reason.unwrap().code, ReasonCode::DataChanged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_job_is_invited_again_with_the_same_attempt() {
    let world = World::new().await;
    let mut invitations = world.invitations(PARTY).await;
    world.start(SWEEPING);
    let submitted = world.submit().await;
    for _ in 0..5 {
        let invited: Invitation = next(&mut invitations).await;
        assert_eq!(invited, invitation(&submitted, 1));
    }
    assert_eq!(world.job(&submitted).await.failures, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ringing_invites_new_jobs_at_once_and_once() {
    let world = World::new().await;
    let mut invitations = world.invitations(PARTY).await;
    let old = world.submit().await;
    world.start(CALM);
    reaches(&mut invitations, invitation(&old, 1)).await;
    for _ in 0..3 {
        let submitted = world.submit().await;
        world.wake.notify_one();
        let invited: Invitation = next(&mut invitations).await;
        assert_eq!(invited, invitation(&submitted, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_cannot_run_holds_up_no_other() {
    let world = World::new().await;
    let broken = world.submit_for(PARTY, Duration::ZERO).await;
    let homeless = world.submit_for(PartyId(77), LONG).await;
    let late = world.submit_for(PARTY, Duration::ZERO).await;
    let connection = rusqlite::Connection::open(world.path()).unwrap();
    let id = broken.job.to_string();
    connection
        .execute("UPDATE jobs SET report = '?' WHERE id = ?1", [&id])
        .unwrap();
    let mut invitations = world.invitations(PARTY).await;
    world.start(SWEEPING);
    let sound = world.submit().await;
    let invited: Invitation = next(&mut invitations).await;
    assert_eq!(invited, invitation(&sound, 1));
    world
        .until(&late, |job| job.status == JobStatus::Failed)
        .await;
    let waits = world.job(&homeless).await;
    assert_eq!(waits.status, JobStatus::Pending);
    assert_eq!(waits.report.waiting.unwrap().parties, [PartyId(77)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_job_fails_and_its_session_is_told() {
    let world = World::new().await;
    let submitted = world.submit_for(PARTY, Duration::ZERO).await;
    let mut session = world.session(&submitted, 1).await;
    let claim = world.store.claim(session.fence, PARTY, LONG).await;
    assert!(claim.unwrap().is_some());
    world.start(SWEEPING);
    let job = world
        .until(&submitted, |job| job.status.is_terminal())
        .await;
    assert_eq!(job.report.reason.unwrap().code, ReasonCode::Deadline);
    session.beat().await;
    session.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_session_loses_its_job_and_is_told() {
    let world = World::new().await;
    let submitted = world.submit().await;
    let mut session = world.session(&submitted, 1).await;
    let claim = world
        .store
        .claim(session.fence, PARTY, Duration::ZERO)
        .await;
    assert!(claim.unwrap().is_some());
    let mut invitations = world.invitations(PARTY).await;
    world.start(HASTY);
    let invited: Invitation = next(&mut invitations).await;
    assert_eq!(invited, invitation(&submitted, 2));
    let job = world.job(&submitted).await;
    assert_eq!(job.report.reason.unwrap().code, ReasonCode::SessionLost);
    session.beat().await;
    session.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_aggregator_holds_off_one_lease() {
    let world = World::new().await;
    let submitted = world.submit().await;
    let session = world.session(&submitted, 1).await;
    let claim = world
        .store
        .claim(session.fence, PARTY, Duration::ZERO)
        .await;
    assert!(claim.unwrap().is_some());
    let mut invitations = world.invitations(PARTY).await;
    let other = world.submit().await;
    world.start(SWEEPING);
    // Five looks, and the lease that was over before the first still counts.
    for _ in 0..5 {
        let invited: Invitation = next(&mut invitations).await;
        assert_eq!(invited, invitation(&other, 1));
    }
    assert_eq!(world.job(&submitted).await.status, JobStatus::Running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_is_heard_before_silence_counts() {
    for _ in 0..20 {
        let world = World::new().await;
        let others = world.submit().await;
        let submitted = world.submit().await;
        let session = world.session(&submitted, 1).await;
        let claim = world
            .store
            .claim(session.fence, PARTY, Duration::ZERO)
            .await;
        assert!(claim.unwrap().is_some());
        // A backlog, and at its end the word that the job is done.
        let noise = world.session(&others, 9).await;
        for _ in 0..20 {
            noise.say(silence()).await;
        }
        session.finish().await;
        world.start(Timing {
            lease: Duration::ZERO,
            sweep: Duration::from_millis(1),
        });
        let job = world
            .until(&submitted, |job| job.status.is_terminal())
            .await;
        assert_eq!((job.status, job.attempt), (JobStatus::Finished, Attempt(1)));
        world.shutdown.cancel();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_to_a_dead_worker_opens_the_next_attempt() {
    let world = World::new().await;
    world.start(CALM);
    let submitted = world.submit().await;
    let mut invitations = world.invitations(PARTY).await;
    let session = world.session(&submitted, 1).await;
    drop(session.inbox);
    let event = Event {
        fence: session.fence,
        party: PARTY,
        reply_to: session.queue,
        body: EventBody::Claimed,
    };
    let event = message::encode(&event);
    world.bus.publish(queue::EVENTS, event).await.unwrap();
    reaches(&mut invitations, invitation(&submitted, 2)).await;
}

/// A host of the job knows its fence, and has queues of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_its_guest_moves_a_job() {
    let world = World::new().await;
    world.start(CALM);
    let submitted = world.submit_training().await;
    let mut session = world.session(&submitted, 1).await;
    session.claim().await;
    session.granted().await;
    let (host, own) = (PartyId(3), queue::session(PartyId(3), Uuid::new_v4()));
    let reason = Reason {
        code: ReasonCode::Internal,
        text: "mine".to_owned(),
        party: None,
    };
    let failed = |party, reply_to: &str| {
        message::encode(&Event {
            fence: session.fence,
            party,
            reply_to: reply_to.to_owned(),
            body: EventBody::Failed {
                reason: reason.clone(),
            },
        })
    };
    let beat = message::encode(&Beat {
        fence: session.fence,
        reply_to: own.clone(),
        progress: at(7),
        waiting: Vec::new(),
        awaiting: false,
    });
    for (queue, body) in [
        (queue::EVENTS, failed(host, &own)),
        (queue::EVENTS, failed(PARTY, &own)),
        (queue::EVENTS, failed(host, &session.queue)),
        (queue::BEATS, beat),
    ] {
        world.bus.publish(queue, body).await.unwrap();
    }
    let refused = async {
        while world.store.dead_letters(None, 10).await.unwrap().len() < 4 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
    let job = world.job(&submitted).await;
    assert_eq!((job.status, job.attempt), (JobStatus::Running, Attempt(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_is_recorded_and_holds_up_nobody() {
    let world = World::new().await;
    world.start(CALM);
    let submitted = world.submit().await;
    for queue in [queue::EVENTS, queue::BEATS] {
        let nonsense = b"\xffnonsense".to_vec();
        world.bus.publish(queue, nonsense).await.unwrap();
    }
    let mut session = world.session(&submitted, 1).await;
    session.claim().await;
    session.granted().await;
    let letters = async {
        loop {
            let letters = world.store.dead_letters(None, 10).await.unwrap();
            if letters.len() >= 2 {
                return letters;
            }
            tokio::task::yield_now().await;
        }
    };
    let letters = tokio::time::timeout(PATIENCE, letters).await.unwrap();
    let mut queues: Vec<_> = letters.iter().map(|letter| letter.queue.as_str()).collect();
    queues.sort_unstable();
    assert_eq!(queues, [queue::BEATS, queue::EVENTS]);
    assert_eq!(letters[0].bytes, 9);
    assert!(
        letters
            .iter()
            .all(|letter| letter.reason.contains("9 bytes"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_its_readers_died_of_is_recorded_with_its_job() {
    let world = World::new().await;
    world.start(CALM);
    let submitted = world.submit().await;
    let mut session = world.session(&submitted, 1).await;
    let invitation = message::encode(&Invitation {
        job: submitted.job,
        attempt: Attempt(1),
    });
    let event = message::encode(&Event {
        fence: session.fence,
        party: PartyId(3),
        reply_to: session.queue.clone(),
        body: EventBody::Claimed,
    });
    for letter in [invitation, event] {
        world.bus.publish(queue::DEAD, letter).await.unwrap();
    }
    let recorded = async {
        let of = Some(submitted.job);
        while world.store.dead_letters(of, 10).await.unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, recorded).await.unwrap();
    session.claim().await;
    session.granted().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_store_loses_no_event() {
    let world = World::new().await;
    let submitted = world.submit().await;
    let connection = rusqlite::Connection::open(world.path()).unwrap();
    let rename = |from, to| {
        let sql = format!("ALTER TABLE {from} RENAME TO {to}");
        connection.execute(&sql, []).unwrap();
    };
    rename("jobs", "away");
    let mut session = world.session(&submitted, 1).await;
    session.claim().await;
    world.start(SWEEPING);
    // The aggregator is at work once it has recorded this; it began with the event.
    let nonsense = b"\xff".to_vec();
    world.bus.publish(queue::BEATS, nonsense).await.unwrap();
    while world.store.dead_letters(None, 1).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    rename("away", "jobs");
    assert_eq!(session.granted().await.fence, session.fence);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_ends_it_and_another_takes_over() {
    let world = World::new().await;
    let running = world.start(SWEEPING);
    let submitted = world.submit().await;
    let mut session = world.session(&submitted, 1).await;
    session.claim().await;
    session.granted().await;
    world.shutdown.cancel();
    let ended = tokio::time::timeout(PATIENCE, running).await.unwrap();
    ended.unwrap().unwrap();
    session.finish().await;
    let world = World {
        shutdown: CancellationToken::new(),
        store: world.store.clone(),
        bus: world.bus.clone(),
        wake: world.wake.clone(),
        directory: tempfile::tempdir().unwrap(),
    };
    world.start(SWEEPING);
    world
        .until(&submitted, |job| job.status == JobStatus::Finished)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_aggregators_share_the_work() {
    let world = World::new().await;
    world.start(SWEEPING);
    world.start(SWEEPING);
    let mut jobs = Vec::new();
    for _ in 0..20 {
        let submitted = world.submit().await;
        let session = world.session(&submitted, 1).await;
        session.claim().await;
        jobs.push((submitted, session));
    }
    for (_, session) in &mut jobs {
        session.granted().await;
        session.finish().await;
    }
    for (submitted, _) in &jobs {
        let job = world.until(submitted, |job| job.status.is_terminal()).await;
        assert_eq!((job.status, job.attempt), (JobStatus::Finished, Attempt(1)));
    }
}
