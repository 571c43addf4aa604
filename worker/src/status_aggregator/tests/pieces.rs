//! Files of learning jobs, piece by piece.

use shared::computation::{FileKind, Learner};
use shared::id::PanelId;
use shared::job::LearnSpec;
use shared::store::{Created, Email, Keys, NewPanel, UploadId};

use super::*;

fn sealed(byte: u8) -> Vec<u8> {
    vec![byte; limits::PIECE_BYTES + 40]
}

async fn upload(world: &World) -> UploadId {
    let upload = world.store.begin_upload().await.unwrap();
    let put = world
        .store
        .put_piece(upload, FileKind::Feature, 0, sealed(1));
    put.await.unwrap();
    upload
}

/// A learning from one piece of features.
async fn learning(world: &World) -> (PanelId, Submitted) {
    let id = PanelId([1; 32]);
    let creator = Email::parse("an@b").unwrap();
    let keys = Keys {
        worker: vec![1],
        api: vec![2],
    };
    let new = NewPanel {
        id,
        name: "tree".to_owned(),
        creator: creator.clone(),
        parties: vec![creator],
        spec: Spec::Learn(LearnSpec {
            panel: id,
            round: 1,
            learner: Learner::DecisionTree,
            worker: PARTY,
            party: None,
            files: BTreeMap::from([(FileKind::Feature, limits::PIECE_BYTES as u64)]),
        }),
        owner: PARTY,
        echo: "{}".to_owned(),
        key: None,
        fill: None,
        client_sealed: false,
        upload: Some((upload(world).await, keys)),
        files_bytes_max: limits::FILES_BYTES_PER_ACCOUNT_MAX,
    };
    let Created::Run(run) = world.store.create_panel(new, LONG).await.unwrap() else {
        panic!("the name is free");
    };
    let submitted = Submitted {
        job: run.job,
        order: run.order,
        model: None,
    };
    (id, submitted)
}

fn fetch(piece: u32) -> EventBody {
    let file = FileKind::Feature;
    EventBody::Fetch { file, piece }
}

fn keep(piece: u32) -> EventBody {
    EventBody::Keep {
        file: FileKind::Result,
        piece,
        sealed: sealed(2),
    }
}

fn learned(pieces: u32) -> EventBody {
    let bytes = u64::from(pieces) * limits::PIECE_BYTES as u64;
    EventBody::Finished {
        progress: at(1),
        outcome: Outcome::Learned {
            metrics: "{}".to_owned(),
            files: BTreeMap::from([(FileKind::Result, bytes)]),
        },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_gets_pieces_and_hands_in_its_own() {
    let world = World::new().await;
    world.start(CALM);
    let (_, submitted) = learning(&world).await;
    let mut session = world.session(&submitted, 1).await;
    session.say(fetch(0)).await;
    session.ended().await;
    session.claim().await;
    assert!(session.granted().await.key == Some(vec![1]));
    let (fence, file) = (session.fence, FileKind::Feature);
    for (piece, sealed) in [(0, Some(sealed(1))), (1, None)] {
        session.say(fetch(piece)).await;
        let answer = ToSession::Piece {
            fence,
            file,
            piece,
            sealed,
        };
        assert!(session.hears().await == answer);
    }
    let file = FileKind::Result;
    for piece in [0, 1, 1] {
        session.say(keep(piece)).await;
        let answer = ToSession::Kept { fence, file, piece };
        assert!(session.hears().await == answer);
    }
    session.say(learned(2)).await;
    session.ended().await;
    assert_eq!(world.job(&submitted).await.status, JobStatus::Finished);
    let kept = world.store.file_piece(submitted.job, file, 1).await;
    assert!(kept.unwrap() == Some(sealed(2)));
    session.say(keep(2)).await;
    session.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_a_deleted_job_is_told() {
    let world = World::new().await;
    world.start(CALM);
    let (id, submitted) = learning(&world).await;
    let mut session = world.session(&submitted, 1).await;
    session.claim().await;
    session.granted().await;
    assert!(world.store.delete_panel(id).await.unwrap());
    for word in [fetch(0), keep(0), learned(1)] {
        session.say(word).await;
        session.ended().await;
    }
    assert_eq!(world.job(&submitted).await.status, JobStatus::Cancelled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_piece_that_no_file_has_ends_the_attempt_and_is_invited_again() {
    let world = World::new().await;
    let (_, submitted) = learning(&world).await;
    let mut session = world.session(&submitted, 1).await;
    world.start(SWEEPING);
    session.claim().await;
    session.granted().await;
    let mut invitations = world.reader(&queue::compute(PARTY)).await;
    session.say(keep(u32::MAX)).await;
    session.ended().await;
    reaches(&mut invitations, invitation(&submitted, 2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_pieces_of_one_job_hold_up_no_other() {
    const PIECES: u32 = 40;
    let world = World::new().await;
    let (_, submitted) = learning(&world).await;
    let mut session = world.session(&submitted, 1).await;
    let claim = world.store.claim(session.fence, PARTY, LONG).await;
    assert!(claim.unwrap().is_some());
    for piece in 0..PIECES {
        session.say(keep(piece)).await;
    }
    let other = world.submit().await;
    let mut quick = world.session(&other, 1).await;
    quick.claim().await;
    world.start(CALM);
    quick.granted().await;
    quick.finish().await;
    quick.ended().await;
    for expected in 0..PIECES {
        match session.hears().await {
            ToSession::Kept { piece, .. } => assert_eq!(piece, expected, "in order"),
            _ => panic!("no piece was refused"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sweep_drops_uploads_that_nobody_takes_over() {
    let world = World::new().await;
    let stale = upload(&world).await;
    let connection = rusqlite::Connection::open(world.path()).unwrap();
    let aged = connection.execute("UPDATE uploads SET begun_at = 0", []);
    assert_eq!(aged.unwrap(), 1);
    let fresh = upload(&world).await;
    world.start(SWEEPING);
    let put = async |upload| {
        let put = world
            .store
            .put_piece(upload, FileKind::Target, 0, sealed(1));
        put.await
    };
    let dropped = async { while put(stale).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, dropped).await.unwrap();
    put(fresh).await.unwrap();
}
