use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

const NOW: i64 = 1_800_000_000_000;
/// pyjwt 2.15.1 over the secret 0, 1, .. 31:
///     jwt.encode({"Email": "wei@hospital.cn", "exp": 1800003600}, secret, algorithm="HS256",
///         headers={"kid": sha256(b"concord token secret" + secret).hexdigest()[:16]})
const VECTOR: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6IjQzNTJkMzJjZjhhY2U0ZWYiLCJ0eXAiOiJKV1QifQ.\
    eyJFbWFpbCI6IndlaUBob3NwaXRhbC5jbiIsImV4cCI6MTgwMDAwMzYwMH0.\
    i2YflsJzrpED3PR2UpPcMZlQvCbNIOXyryzT_ZNrDkE";

fn secret(first: u8) -> String {
    let bytes: Vec<u8> = (first..).take(32).collect();
    STANDARD.encode(bytes)
}

fn secrets(text: &str) -> Secrets {
    Secrets::parse(text).expect("secrets")
}

fn wei() -> Email {
    Email::parse("wei@hospital.cn").expect("an address")
}

fn refused(text: &str) -> SecretsError {
    Secrets::parse(text).err().expect("it is refused")
}

#[test]
fn a_token_of_another_implementation_is_understood_and_ours_says_the_same() {
    let secrets = secrets(&secret(0));
    assert_eq!(secrets.verify(VECTOR, NOW), Ok(wei()));
    let own = secrets.issue(&wei(), NOW);
    let (own, vector) = (own.split('.'), VECTOR.split('.'));
    let decoded = |part: &str| {
        let part = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part);
        let part = serde_json::from_slice::<serde_json::Value>(&part.expect("base64"));
        part.expect("JSON")
    };
    for (own, vector) in own.zip(vector).take(2) {
        assert_eq!(decoded(own), decoded(vector));
    }
}

#[test]
fn a_token_is_good_until_its_hour_is_over() {
    let secrets = secrets(&secret(0));
    let token = secrets.issue(&wei(), NOW);
    let end = NOW + 3_600_000;
    for (at, said) in [
        (NOW, Ok(wei())),
        (end - 1, Ok(wei())),
        (end, Err(Refusal::Expired)),
        (end + 3_600_000, Err(Refusal::Expired)),
    ] {
        assert_eq!(secrets.verify(&token, at), said, "{at}");
    }
}

#[test]
fn one_secret_signs_and_all_verify() {
    let (old, new) = (secret(0), secret(1));
    let before = secrets(&old);
    let between = secrets(&format!("{new}\n{old}\n"));
    let after = secrets(&new);
    let token = before.issue(&wei(), NOW);
    assert_eq!(between.verify(&token, NOW), Ok(wei()));
    assert_eq!(after.verify(&token, NOW), Err(Refusal::Invalid));
    let token = between.issue(&wei(), NOW);
    assert_eq!(after.verify(&token, NOW), Ok(wei()));
    assert_eq!(before.verify(&token, NOW), Err(Refusal::Invalid));
}

#[test]
fn no_changed_token_is_taken() {
    let secrets = secrets(&secret(0));
    let token = secrets.issue(&wei(), NOW);
    for (place, letter) in token.char_indices() {
        for other in ['A', 'B', '.', '=', '\u{e9}'] {
            if other == letter {
                continue;
            }
            let mut changed = token.clone();
            changed.replace_range(place..=place, &other.to_string());
            assert_eq!(
                secrets.verify(&changed, NOW),
                Err(Refusal::Invalid),
                "{place} {other}"
            );
        }
    }
    let [header, claims, tag] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts: {token}");
    };
    for text in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!("{token}.{tag}"),
        format!(" {token}"),
        format!("{header}.{claims}.{}", &tag[..tag.len() - 1]),
        "x".repeat(TOKEN_BYTES_MAX + 1),
        "\0".to_owned(),
    ] {
        assert_eq!(secrets.verify(&text, NOW), Err(Refusal::Invalid), "{text}");
    }
}

/// A token with any header and claims, signed well.
fn signed(header: &str, claims: &str) -> String {
    let url = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let message = format!("{}.{}", url.encode(header), url.encode(claims));
    let bytes: Vec<u8> = (0..32).collect();
    let mac = Hmac::<Sha256>::new_from_slice(&bytes).expect("any key");
    let tag = mac.chain_update(&message).finalize().into_bytes();
    format!("{message}.{}", url.encode(tag))
}

#[test]
fn only_one_algorithm_and_whole_claims_are_taken() {
    let secrets = secrets(&secret(0));
    let kid = &secrets.first.name;
    let good = r#"{"Email":"wei@hospital.cn","exp":1800003600}"#;
    let header = |alg: &str| format!(r#"{{"alg":"{alg}","typ":"JWT","kid":"{kid}"}}"#);
    let verified = |header: &str, claims: &str| secrets.verify(&signed(header, claims), NOW);
    assert_eq!(
        verified(&header("HS256"), good),
        Ok(wei()),
        "the test itself"
    );
    for alg in [
        "none", "None", "HS384", "HS512", "RS256", "ES256", "EdDSA", "hs256", "",
    ] {
        assert_eq!(verified(&header(alg), good), Err(Refusal::Invalid), "{alg}");
    }
    for other in [
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"HS256","kid":"0000000000000000"}"#,
        r#"{"alg":"HS256","kid":7}"#,
        "[]",
        "",
    ] {
        assert_eq!(verified(other, good), Err(Refusal::Invalid), "{other}");
    }
    for claims in [
        r#"{"Email":"wei@hospital.cn"}"#,
        r#"{"exp":1800003600}"#,
        r#"{"Email":"wei","exp":1800003600}"#,
        r#"{"Email":"wei@hospital.cn","exp":"1800003600"}"#,
        r#"{"Email":"wei@hospital.cn","exp":1.8e9}"#,
        r#"{"Email":"wei@hospital.cn","exp":null}"#,
        r#"{"Email":["wei@hospital.cn"],"exp":1800003600}"#,
        r#"{"Email":"wei@hospital.cn","Email":"a@b","exp":1800003600}"#,
        "null",
        "",
    ] {
        assert_eq!(
            verified(&header("HS256"), claims),
            Err(Refusal::Invalid),
            "{claims}"
        );
    }
    let past = r#"{"Email":"wei@hospital.cn","exp":-1}"#;
    assert!(verified(&header("HS256"), past).is_err());
}

#[test]
fn a_secret_is_long_base64() {
    let short = STANDARD.encode([0; 31]);
    assert_eq!(refused(""), SecretsError::Missing);
    assert_eq!(refused(" \n"), SecretsError::Missing);
    assert_eq!(refused("hunter2!"), SecretsError::Malformed { number: 1 });
    let second = format!("{} {short}", secret(0));
    assert_eq!(
        refused(&second),
        SecretsError::Short {
            number: 2,
            bytes: 31
        }
    );
    let made = Secrets::generate(&mut StdRng::seed_from_u64(1));
    assert!(Secrets::parse(&made).is_ok());
    assert_ne!(*made, *Secrets::generate(&mut StdRng::seed_from_u64(2)));
}

#[test]
fn a_long_address_still_fits_a_token() {
    let secrets = secrets(&secret(0));
    let longest = format!("{}@b", "a".repeat(shared::limits::EMAIL_BYTES_MAX - 2));
    let email = Email::parse(&longest).expect("an address");
    let token = secrets.issue(&email, NOW);
    assert!(token.len() <= TOKEN_BYTES_MAX);
    assert_eq!(secrets.verify(&token, NOW), Ok(email));
}
