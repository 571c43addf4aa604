//! A search for many secrets in every form that a program could write them.

use std::collections::{BTreeSet, HashMap};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Bytes by which the search finds its way: no needle is shorter.
const INDEX: usize = 6;
/// Digits of a number that make it known.
const DIGITS_MIN: usize = 6;
/// Bytes with fewer different values are mostly zeros, which are everywhere.
const DISTINCT_BYTES_MIN: usize = 4;
/// Digits that a number is written with at most.
const DIGITS_MAX: usize = 17;

/// What is looked for, by its first bytes.
#[derive(Default)]
pub(super) struct Needles {
    by_start: HashMap<[u8; INDEX], Vec<(Vec<u8>, &'static str)>>,
}

impl Needles {
    fn add(&mut self, what: &'static str, needle: &[u8]) {
        let start = needle.first_chunk::<INDEX>();
        let start = start.unwrap_or_else(|| panic!("{what} is too short to be told from chance"));
        let alike = self.by_start.entry(*start).or_default();
        if alike.iter().all(|(known, _)| known != needle) {
            alike.push((needle.to_owned(), what));
        }
    }

    /// A text, as it is and as escaped by a debug format.
    pub(super) fn text(&mut self, what: &'static str, text: &str) {
        self.add(what, text.as_bytes());
        self.add(what, text.escape_default().to_string().as_bytes());
    }

    /// Bytes: as they are, as hexadecimal of either case, as base64 at every offset, as a list of
    /// numbers.
    pub(super) fn bytes(&mut self, what: &'static str, bytes: &[u8]) {
        if bytes.iter().collect::<BTreeSet<_>>().len() < DISTINCT_BYTES_MIN {
            return;
        }
        self.add(what, bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.add(what, hex.as_bytes());
        self.add(what, hex.to_uppercase().as_bytes());
        let list: Vec<String> = bytes.iter().map(ToString::to_string).collect();
        self.add(what, list.join(", ").as_bytes());
        self.add(what, list.join(",").as_bytes());
        for offset in 0..3 {
            let mut shifted = vec![0; offset];
            shifted.extend_from_slice(bytes);
            let encoded = STANDARD_NO_PAD.encode(&shifted);
            // Letters that also depend on what stands before and after.
            let (first, last) = ((8 * offset).div_ceil(6), 8 * shifted.len() / 6);
            let standard = &encoded[first..last];
            self.add(what, standard.as_bytes());
            let for_urls = standard.replace('+', "-").replace('/', "_");
            self.add(what, for_urls.as_bytes());
        }
    }

    /// A number as memory holds it, in either order of bytes.
    pub(super) fn raw_number(&mut self, what: &'static str, number: f64) {
        let bytes = number.to_le_bytes();
        if bytes.iter().collect::<BTreeSet<_>>().len() >= DISTINCT_BYTES_MIN {
            self.add(what, &bytes);
            self.add(what, &number.to_be_bytes());
        }
    }

    /// A number: its bytes in either order and its decimals, cut or rounded, plain or scientific.
    /// Numbers of few digits are nobody's secret.
    pub(super) fn number(&mut self, what: &'static str, number: f64) {
        let number = number.abs();
        let digits = format!("{number:e}");
        let digits = digits.split('e').next().expect("one part at least");
        if digits.len() <= DIGITS_MIN {
            return;
        }
        self.bytes(what, &number.to_bits().to_le_bytes());
        self.bytes(what, &number.to_bits().to_be_bytes());
        self.bytes(what, &(-number).to_bits().to_le_bytes());
        self.bytes(what, &(-number).to_bits().to_be_bytes());
        // Every longer form starts with the cut one, or with the rounded one.
        self.add(what, &digits.as_bytes()[..=DIGITS_MIN]);
        for count in DIGITS_MIN..=DIGITS_MAX {
            let scientific = format!("{number:.*e}", count - 1);
            let (mantissa, exponent) = scientific.split_once('e').expect("scientific");
            self.add(what, mantissa.as_bytes());
            let exponent: i32 = exponent.parse().expect("an integer");
            let decimals = (count as i32 - 1 - exponent).max(0) as usize;
            let plain = format!("{number:.decimals$}");
            self.add(what, plain.as_bytes());
            if count > DIGITS_MIN {
                self.add(what, &plain.as_bytes()[..plain.len() - 1]);
            }
        }
    }

    /// What of all this is in a text or file; each kind once.
    pub(super) fn found_in(&self, haystack: &[u8]) -> Vec<&'static str> {
        let mut found = BTreeSet::new();
        for (at, window) in haystack.windows(INDEX).enumerate() {
            let start = window.first_chunk::<INDEX>().expect("as long as a window");
            let Some(alike) = self.by_start.get(start) else {
                continue;
            };
            let here = alike
                .iter()
                .filter(|(needle, _)| haystack[at..].starts_with(needle));
            found.extend(here.map(|(_, what)| *what));
        }
        found.into_iter().collect()
    }
}

/// The bytes without the one kind of long decimals that may be stored: those after a JSON `name`.
pub(super) fn without_decimals_of(bytes: &[u8], name: &str) -> Vec<u8> {
    let marker = format!("\"{name}\":");
    let mut kept = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(marker.as_bytes()) {
            kept.extend_from_slice(marker.as_bytes());
            at += marker.len();
            let is_part = |byte: &u8| byte.is_ascii_digit() || b".eE+-".contains(byte);
            at += bytes[at..].iter().take_while(|byte| is_part(byte)).count();
        } else {
            kept.push(bytes[at]);
            at += 1;
        }
    }
    kept
}

/// Whether a needle made by `plant` is found in `haystack`.
fn finds(plant: impl FnOnce(&mut Needles), haystack: &[u8]) -> bool {
    let mut needles = Needles::default();
    plant(&mut needles);
    !needles.found_in(haystack).is_empty()
}

#[test]
fn a_number_is_found_in_every_form() {
    let number = 0.081_234_567_890_123_45_f64;
    let number_is_found = |haystack: &[u8]| finds(|n| n.number("it", number), haystack);
    let around = |bytes: &[u8]| [b"xyz".as_slice(), bytes, b"abc"].concat();
    for bytes in [number.to_le_bytes(), number.to_be_bytes()] {
        assert!(number_is_found(&around(&bytes)));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(number_is_found(&around(hex.as_bytes())));
        assert!(number_is_found(&around(hex.to_uppercase().as_bytes())));
        assert!(number_is_found(format!("{bytes:?}").as_bytes()));
        for before in 0..3 {
            let text = STANDARD_NO_PAD.encode([&b"abc"[..before], &bytes, b"defg"].concat());
            assert!(number_is_found(text.as_bytes()), "{before}");
        }
    }
    assert!(number_is_found(&around(&(-number).to_le_bytes())));
    assert!(number_is_found(format!("{number} {number:e}").as_bytes()));
    for digits in 7..17 {
        assert!(number_is_found(
            around(format!("{number:.digits$}").as_bytes()).as_slice()
        ));
        assert!(
            number_is_found(format!("{number:.digits$e}").as_bytes()),
            "{digits}"
        );
        assert!(number_is_found(format!("-{number:.digits$}").as_bytes()));
    }
    assert!(
        !number_is_found(b"0.0812"),
        "a released score has four decimals"
    );
    assert!(!number_is_found(b"0.0712345678901234"));
}

#[test]
fn texts_and_keys_are_found_in_every_form() {
    let text_is_found = |haystack: &str| finds(|n| n.text("it", "绝密-1"), haystack.as_bytes());
    assert!(
        text_is_found("name = 绝密-1;") && text_is_found(&"绝密-1".escape_default().to_string())
    );
    assert!(!text_is_found("绝密-2"));
    let key: Vec<u8> = (7..23).collect();
    assert!(finds(
        |n| n.bytes("it", &key),
        format!("{key:?}").as_bytes()
    ));
    assert!(finds(
        |n| n.bytes("it", &key),
        STANDARD_NO_PAD.encode(&key).as_bytes()
    ));
}

#[test]
fn only_the_named_decimal_is_taken_out() {
    let text = br#"{"round_milliseconds":1.2345678e-3,"other":1.2345678}"#;
    let kept = without_decimals_of(text, "round_milliseconds");
    assert_eq!(kept, br#"{"round_milliseconds":,"other":1.2345678}"#);
}
