use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::data_dir::make_key_file;

const BROKER: &str = "amqps://concord:hunter2@broker/%2f";
const DATABASE: &str = "postgres://concord:hunter2@database/concord";
const TOKEN_SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SOURCE: &str = "postgres://reader:hunter2@hospital/patients";

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "CONCORD_BROKER" => BROKER,
        "CONCORD_DATABASE" => DATABASE,
        "HOSPITAL_SOURCE" => SOURCE,
        "CONCORD_TOKEN_SECRET" => TOKEN_SECRET,
        _ => return None,
    };
    Some(value.to_owned())
}

/// A folder with the keys of the platform and of party 2, pinned, and both example files.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::create_dir(path.join("keys")).unwrap();
    let entry = |party: u64| {
        let key = make_key_file(&path.join(format!("keys/party-{party}.key"))).unwrap();
        Directory::entry(PartyId(party), "医院", &key.public())
    };
    fs::write(path.join("directory.toml"), entry(1) + &entry(2)).unwrap();
    for (name, text) in [
        ("concord.toml", include_str!("../concord.example.toml")),
        ("party.toml", include_str!("../party.example.toml")),
    ] {
        fs::write(path.join(name), text).unwrap();
    }
    folder
}

fn platform(folder: &Path) -> anyhow::Result<Platform> {
    Platform::read(&folder.join("concord.toml"), &environment)
}

/// The platform with what the API alone needs.
fn api(folder: &Path) -> anyhow::Result<Callers> {
    platform(folder)?.callers(&environment)
}

fn party(folder: &Path) -> anyhow::Result<Party> {
    Party::read(&folder.join("party.toml"), &environment)
}

/// What is said of a file after a change to it; never a secret.
fn said<T>(read: fn(&Path) -> anyhow::Result<T>, name: &str, from: &str, to: &str) -> String {
    let folder = folder();
    let path = folder.path().join(name);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
    let error = read(folder.path()).err().expect("it is refused");
    let said = format!("{error:#}");
    assert!(!said.contains("hunter2"), "{said}");
    said
}

#[test]
fn the_examples_are_in_order() {
    let folder = folder();
    let platform = platform(folder.path()).unwrap();
    assert_eq!(*platform.broker.url, BROKER);
    assert_eq!(*platform.database, DATABASE);
    assert_eq!(platform.directory.names.len(), 1);
    assert!(matches!(api(folder.path()), Ok(Callers::Accounts(_))));
    let party = party(folder.path()).unwrap();
    assert_eq!(party.worker.party, PartyId(2));
}

/// Adds a certificate and its key, and what vouches for both, to the folder of the examples.
fn certified(folder: &Path, key_mode: u32) {
    let made = rcgen::generate_simple_self_signed(["concord.example.org".to_owned()]).unwrap();
    fs::write(folder.join("keys/server.pem"), made.cert.pem()).unwrap();
    fs::write(folder.join("keys/ca.pem"), made.cert.pem()).unwrap();
    let key = folder.join("keys/server.key");
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(key_mode)).unwrap();
    for name in ["concord.toml", "party.toml"] {
        let path = folder.join(name);
        let text = fs::read_to_string(&path).unwrap();
        let text = text
            .replace("# tls_", "tls_")
            .replace("# broker_ca", "broker_ca");
        fs::write(path, text).unwrap();
    }
}

#[test]
fn the_examples_are_in_order_with_certificates_too() {
    let folder = folder();
    certified(folder.path(), 0o600);
    let platform = platform(folder.path()).unwrap();
    assert!(platform.tls.is_some() && platform.broker.certificates.is_some());
    assert_eq!(platform.vouching, Vouching::Broker);
    let party = party(folder.path()).unwrap();
    assert!(party.broker.certificates.is_some());
}

#[test]
fn a_key_that_others_may_read_and_halves_of_a_pair_are_refused() {
    let refused = |mode, from: &str, to: &str| {
        let folder = folder();
        certified(folder.path(), mode);
        let path = folder.path().join("concord.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
        format!(
            "{:#}",
            platform(folder.path()).err().expect("it is refused")
        )
    };
    for (mode, from, to, sentence) in [
        (0o640, "", "", "tls_key: "),
        (0o640, "", "", "chmod 600"),
        (0o600, "\ntls_key", "\n# tls_key", "tls_key: it is missing"),
        (
            0o600,
            "\ntls_certificate",
            "\n# tls_c",
            "tls_certificate: it is missing",
        ),
        (0o600, "keys/server.pem", "keys/server.key", "certificate"),
        (
            0o600,
            "keys/server.pem",
            "gone",
            "tls_certificate: cannot read",
        ),
        (0o600, "keys/ca.pem", "keys/server.key", "broker_ca: "),
        (0o600, "keys/ca.pem", "gone", "broker_ca: cannot read"),
    ] {
        let said = refused(mode, from, to);
        assert!(said.contains(sentence), "{to}: {said}");
        assert!(!said.contains("PRIVATE"), "{said}");
    }
}

#[test]
fn certificates_for_an_open_broker_are_a_mistake() {
    let folder = folder();
    certified(folder.path(), 0o600);
    let open = |name: &str| match name {
        "CONCORD_BROKER" => Some(BROKER.replace("amqps", "amqp")),
        _ => environment(name),
    };
    let read = Platform::read(&folder.path().join("concord.toml"), &open);
    let said = format!("{:#}", read.err().expect("it is refused"));
    assert!(said.contains("broker_ca: it vouches for nobody"), "{said}");
}

#[test]
fn what_is_wrong_with_a_platform_is_named_without_its_secrets() {
    for (from, to, sentence) in [
        (
            "env:CONCORD_BROKER",
            "env:NOWHERE",
            "broker: the environment variable NOWHERE",
        ),
        (
            "env:CONCORD_BROKER",
            "env:CONCORD_DATABASE",
            "broker: it refers to",
        ),
        (
            "env:CONCORD_BROKER",
            BROKER,
            "broker: write env:NAME or file:PATH",
        ),
        (
            "env:CONCORD_DATABASE",
            "env:CONCORD_BROKER",
            "database: it refers to",
        ),
        (
            "env:CONCORD_DATABASE",
            "file:directory.toml",
            "directory.toml may be read by others",
        ),
        (
            "env:CONCORD_DATABASE",
            "file:missing",
            "database: cannot read",
        ),
        (
            "\ndirectory =",
            "\nsecret = 1\ndirectory =",
            "unknown field `secret`",
        ),
        ("\"directory.toml\"", "\"party.toml\"", "party.toml"),
        ("0.0.0.0:5000", "everywhere", "listen"),
        ("= \"accounts\"", "= \"anybody\"", "callers"),
        (
            "= \"accounts\"",
            "= \"open\"",
            "callers: \"open\" lets whoever reaches 0.0.0.0:5000",
        ),
    ] {
        let said = said(platform, "concord.toml", from, to);
        assert!(said.contains(sentence), "{to}: {said}");
    }
}

#[test]
fn what_is_wrong_with_a_party_is_named_without_its_secrets() {
    for (from, to, sentence) in [
        (
            "id = 2",
            "id = 1",
            "id: party 1 is no hospital of the directory",
        ),
        (
            "id = 2",
            "id = 3",
            "id: party 3 is no hospital of the directory",
        ),
        (
            "party-2.key",
            "party-1.key",
            "is not the key of party 2 in the directory",
        ),
        ("party-2.key", "party-9.key", "cannot read "),
        ("env:HOSPITAL_SOURCE", SOURCE, "source: "),
        ("env:HOSPITAL_SOURCE", "env:CONCORD_BROKER", "source: "),
        ("\"sealed\"", "\"open\"", "release: unknown variant `open`"),
        (
            "nfilter_subset = 50",
            "nfilter_subset = 4",
            "train.nfilter_subset = 4: it lies from 5",
        ),
        ("\"C8\"]", "\"*\"]", "in columns, \"*\" stands alone"),
        (
            "two_party",
            "allow_two_party",
            "unknown field `allow_two_party`",
        ),
        (
            "result_keys = []",
            "result_keys = [\"a2V5\"]",
            "a key is 32 bytes in base64",
        ),
    ] {
        let said = said(party, "party.toml", from, to);
        assert!(said.contains(sentence), "{to}: {said}");
    }
}

#[test]
fn callers_are_open_where_that_is_said_twice() {
    for open in [
        "callers = \"open\"\nopen_to_network = true",
        "callers = \"open\"",
    ] {
        let folder = folder();
        let path = folder.path().join("concord.toml");
        let text = fs::read_to_string(&path).unwrap();
        let text = text.replace("callers = \"accounts\"", open);
        let text = match open.contains("network") {
            true => text,
            false => text.replace("0.0.0.0", "127.0.0.1"),
        };
        fs::write(path, text).unwrap();
        assert!(matches!(api(folder.path()), Ok(Callers::Open)), "{open}");
    }
}

#[test]
fn what_is_wrong_with_the_secret_of_tokens_is_named_without_it() {
    for (from, to, sentence) in [
        (
            "token_secret =",
            "# token_secret =",
            "token_secret is missing",
        ),
        (
            "env:CONCORD_TOKEN_SECRET",
            TOKEN_SECRET,
            "token_secret: write env:NAME or file:PATH",
        ),
        (
            "env:CONCORD_TOKEN_SECRET",
            "env:NOWHERE",
            "token_secret: the environment variable",
        ),
        (
            "env:CONCORD_TOKEN_SECRET",
            "env:CONCORD_BROKER",
            "token_secret: secret 1 is no base64",
        ),
    ] {
        let said = said(api, "concord.toml", from, to);
        assert!(
            said.contains(sentence) && !said.contains(TOKEN_SECRET),
            "{said}"
        );
    }
}
