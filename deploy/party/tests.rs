use std::time::Duration;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use shared::admission::{Admission, Summary};
use shared::id::{Attempt, SessionId};
use shared::job::Fence;
use shared::ledger::Ledger;
use tempfile::TempDir;

use super::*;

const JOB: Uuid = Uuid::from_u128(7);

fn no_environment(_: &str) -> Option<String> {
    None
}

/// Party 4's papers, made by the commands themselves, with keys of parties 1, 3 and 4.
fn papers() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut directory = String::new();
    for party in [1, 3, 4] {
        directory += &said(&keygen(folder.path(), party)).unwrap();
        directory += "\n";
    }
    fs::write(folder.path().join("directory.toml"), directory).unwrap();
    let party = "id = 4\nbroker = \"env:B\"\ndirectory = \"directory.toml\"\nkey = \"party-4.key\"\n\
                 source = \"csv:.\"\n";
    fs::write(folder.path().join("party.toml"), party).unwrap();
    folder
}

fn keygen(folder: &Path, party: u64) -> Command {
    Command::Keygen {
        party,
        name: format!("医院 {party}"),
        key: folder.join(format!("party-{party}.key")),
    }
}

fn said(command: &Command) -> anyhow::Result<String> {
    run(command, &no_environment)
}

fn which(folder: &TempDir) -> Which {
    Which {
        config: folder.path().join("party.toml"),
        party: None,
    }
}

fn which_job(folder: &TempDir) -> WhichJob {
    WhichJob {
        which: which(folder),
        job: JOB,
    }
}

fn deciding(folder: &TempDir, by: Option<&str>) -> Deciding {
    Deciding {
        which: which_job(folder),
        by: by.map(str::to_owned),
    }
}

fn ledger(folder: &TempDir) -> Ledger {
    Ledger::open(&folder.path().join("party-4.ledger")).unwrap()
}

/// A worker's ledger, in which a job awaits a decision.
fn awaiting(folder: &TempDir) -> Ledger {
    let ledger = ledger(folder);
    let parties = vec![PartyId(3), PartyId(4)];
    let admission = Admission {
        fence: Fence {
            job: JobId(JOB),
            attempt: Attempt(1),
            session: SessionId(JOB),
        },
        guest: PartyId(3),
        parties: parties.clone(),
        request: [1; 32],
        digest: vec![2; 32],
        earlier: None,
        cohort: None,
        manual: true,
        approval: Duration::from_secs(24 * 3_600 + 60),
        model: None,
        ndiff: 10,
        summary: Summary {
            kind: "train".into(),
            guest: PartyId(3),
            parties,
            relations: vec!["data.blood".into()],
            columns: vec!["C6".into(), "C8".into()],
            label: Some("diagnosis".into()),
            filters: vec!["age".into()],
            rows: 120,
            protection: None,
            hyperparameters: None,
        },
    };
    ledger.admit(&admission, now()).unwrap();
    ledger
}

#[test]
fn keys_are_made_once_and_for_their_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("party-3.key");
    let entry = said(&keygen(folder.path(), 3)).unwrap();
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(said(&keygen(folder.path(), 3)).is_err());

    let of_file = || {
        said(&Command::Fingerprint {
            key: Some(key.clone()),
            config: None,
            party: None,
        })
    };
    let fingerprint = of_file().unwrap();
    assert!(entry.contains(&fingerprint));
    let groups: Vec<&str> = fingerprint.split(' ').collect();
    assert_eq!(groups.len(), 8);
    let digits = |group: &&str| group.len() == 5 && group.bytes().all(|b| b.is_ascii_digit());
    assert!(groups.iter().all(digits));

    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(of_file().unwrap_err().to_string().contains("chmod 600"));
}

#[test]
fn the_check_shows_whom_one_pins_and_fails_on_mistakes() {
    let folder = papers();
    let check = || peers(&Peers::Check(which(&folder)), &no_environment);
    let text = check().unwrap();
    let own = said(&Command::Fingerprint {
        key: None,
        config: Some(folder.path().join("party.toml")),
        party: None,
    });
    for word in [
        "party 3, 医院 3",
        "party 1, the platform",
        "(your own)",
        &own.unwrap(),
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }

    let path = folder.path().join("directory.toml");
    let sound = fs::read_to_string(&path).unwrap();
    let sealing: Vec<&str> = sound
        .lines()
        .filter(|line| line.starts_with("sealing"))
        .collect();
    fs::write(&path, sound.replace(sealing[1], sealing[2])).unwrap();
    let error = format!("{:#}", check().unwrap_err());
    assert!(error.contains("parties 3 and 4 have one key"), "{error}");

    fs::write(&path, &sound).unwrap();
    fs::remove_file(folder.path().join("party-4.key")).unwrap();
    said(&keygen(folder.path(), 4)).unwrap();
    let error = format!("{:#}", check().unwrap_err());
    assert!(error.contains("is not the key of party 4"), "{error}");
}

#[test]
fn a_person_sees_what_is_asked_and_decides_beside_the_workers() {
    let folder = papers();
    let error = said(&Command::Pending(which(&folder))).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has a worker of party 4 run yet?")
    );

    let worker = awaiting(&folder);
    let listed = said(&Command::Pending(which(&folder))).unwrap();
    for word in [
        JOB.to_string().as_str(),
        "led by party 3, 医院 3",
        "in 24 hours",
        "Next:",
    ] {
        assert!(listed.contains(word), "{word}: {listed}");
    }
    let shown = said(&Command::Show(which_job(&folder))).unwrap();
    let guest = read_key_file(&folder.path().join("party-3.key")).unwrap();
    let fingerprint = guest.public().fingerprint();
    for word in [
        &*fingerprint,
        "120 rows of data.blood",
        "C6, C8",
        "age",
        "party approve --job",
    ] {
        assert!(shown.contains(word), "{word}: {shown}");
    }

    let nameless = said(&Command::Approve(deciding(&folder, Some("a\nb"))));
    assert!(nameless.is_err());
    said(&Command::Approve(deciding(&folder, Some("Dr. Li")))).unwrap();
    let verdict = worker.verdict(JobId(JOB), now()).unwrap();
    assert_eq!(verdict, shared::admission::Verdict::Admitted);
    let late = said(&Command::Reject(deciding(&folder, None))).unwrap_err();
    assert!(late.to_string().contains("it is approved"), "{late}");
    assert_eq!(
        said(&Command::Pending(which(&folder))).unwrap(),
        "no job awaits a decision"
    );
    let shown = said(&Command::Show(which_job(&folder))).unwrap();
    assert!(shown.contains("by Dr. Li (account "), "{shown}");
}

#[test]
fn the_audit_log_is_printed_and_verified() {
    let folder = papers();
    drop(awaiting(&folder));
    said(&Command::Reject(deciding(&folder, None))).unwrap();
    let audit = |verify| {
        said(&Command::Audit {
            which: which(&folder),
            job: Some(JOB),
            newest: 10,
            verify,
        })
    };
    let log = audit(false).unwrap();
    assert_eq!(log.lines().count(), 2);
    assert!(
        log.contains("awaiting") && log.contains("rejected"),
        "{log}"
    );
    assert!(audit(true).unwrap().starts_with("2 records"));

    let file = rusqlite::Connection::open(folder.path().join("party-4.ledger")).unwrap();
    file.execute("UPDATE audit SET text = 'x' WHERE number = 1", [])
        .unwrap();
    let error = audit(true).unwrap_err();
    assert!(
        error.to_string().contains("record 1 does not follow"),
        "{error}"
    );
}

#[test]
fn a_job_that_the_party_does_not_know_is_an_error() {
    let folder = papers();
    drop(ledger(&folder));
    for command in [
        Command::Show(which_job(&folder)),
        Command::Approve(deciding(&folder, None)),
    ] {
        let error = said(&command).unwrap_err();
        assert!(
            error.to_string().contains("party 4 knows no job"),
            "{error}"
        );
    }
}
