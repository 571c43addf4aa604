//! A search for many secrets in every form that a program could write them.

use std::collections::{BTreeSet, HashMap};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use shared::fixed_point;
use shared::limits::FRACTION_BITS;

/// Bytes by which the search finds its way: no needle is shorter.
const INDEX: usize = 6;
/// Digits of a number that make it known.
const DIGITS_MIN: usize = 6;
/// Bytes with fewer different values are mostly zeros, which are everywhere.
const DISTINCT_BYTES_MIN: usize = 4;
/// Digits that a number is written with at most.
const DIGITS_MAX: usize = 17;
/// Of numbers of so many digits others may have the same by chance.
const DIGITS_FEW: usize = 8;
/// Seven digits at the least.
const SCALED_MIN: u128 = 1_000_000;

/// Bits of the table that says where a needle may start: few enough for a processor's cache.
const FILTER_BITS: u32 = 22;
/// Letters of base64 in a row that are worth decoding.
const ENCODED_RUN_MIN: usize = 12;

/// One way how a secret may look.
#[derive(PartialEq)]
struct Needle {
    bytes: Vec<u8>,
    /// Where in it the part is that it is found by.
    at: usize,
    secret: usize,
}

/// What is looked for, by some of its bytes. Each call that adds one names one secret, which may look
/// many ways.
#[derive(Default)]
pub(super) struct Needles {
    by_part: HashMap<[u8; INDEX], Vec<Needle>>,
    /// A bit for each hash that a needle's part has: most places of a text end here.
    starts: Vec<u64>,
    /// What each secret is.
    secrets: Vec<&'static str>,
}

/// Secrets that were found somewhere, by number.
pub(super) type Found = BTreeSet<usize>;

impl Needles {
    /// A new secret.
    fn secret(&mut self, what: &'static str) -> usize {
        self.secrets.push(what);
        self.secrets.len() - 1
    }

    /// One way how a secret may look.
    fn add(&mut self, secret: usize, needle: &[u8]) {
        // Where it is least like others: many begin with zeros, and so does much that is searched.
        let windows = needle.array_windows::<INDEX>().enumerate();
        let best = windows.rev().max_by_key(|(_, window)| distinct(*window));
        let Some((at, window)) = best else {
            panic!(
                "{} is too short to be told from chance",
                self.secrets[secret]
            )
        };
        self.starts.resize(1 << (FILTER_BITS - 6), 0);
        let bit = filtered(as_integer(window));
        self.starts[bit / 64] |= 1 << (bit % 64);
        let alike = self.by_part.entry(*window).or_default();
        let new = Needle {
            bytes: needle.to_owned(),
            at,
            secret,
        };
        if !alike.contains(&new) {
            alike.push(new);
        }
    }

    /// A text, as it is and as escaped by a debug format.
    pub(super) fn text(&mut self, what: &'static str, text: &str) {
        let secret = self.secret(what);
        self.add(secret, text.as_bytes());
        self.add(secret, text.escape_default().to_string().as_bytes());
    }

    /// A secret that is any of these byte strings, as they are.
    pub(super) fn any_of(&mut self, what: &'static str, forms: &[Vec<u8>]) {
        let secret = self.secret(what);
        for form in forms {
            self.add(secret, form);
        }
    }

    /// A secret that is any of these byte strings, in every form.
    pub(super) fn all_forms_of(&mut self, what: &'static str, forms: &[Vec<u8>]) {
        let secret = self.secret(what);
        for form in forms {
            self.forms_of(secret, form);
        }
    }

    /// Bytes in every form; those that are mostly alike are left out.
    pub(super) fn bytes(&mut self, what: &'static str, bytes: &[u8]) {
        let secret = self.secret(what);
        self.forms_of(secret, bytes);
    }

    /// Bytes: as they are, as hexadecimal of either case, as base64 at every offset, as a list of
    /// numbers.
    fn forms_of(&mut self, secret: usize, bytes: &[u8]) {
        if !is_distinct(bytes) {
            return;
        }
        self.add(secret, bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.add(secret, hex.as_bytes());
        self.add(secret, hex.to_uppercase().as_bytes());
        let list: Vec<String> = bytes.iter().map(ToString::to_string).collect();
        self.add(secret, list.join(", ").as_bytes());
        self.add(secret, list.join(",").as_bytes());
        for offset in 0..3 {
            let mut shifted = vec![0; offset];
            shifted.extend_from_slice(bytes);
            let encoded = STANDARD_NO_PAD.encode(&shifted);
            // Letters that also depend on what stands before and after.
            let (first, last) = ((8 * offset).div_ceil(6), 8 * shifted.len() / 6);
            let standard = &encoded[first..last];
            self.add(secret, standard.as_bytes());
            let for_urls = standard.replace('+', "-").replace('/', "_");
            self.add(secret, for_urls.as_bytes());
        }
    }

    /// A number as memory holds it, in either order of bytes.
    pub(super) fn raw_number(&mut self, what: &'static str, number: f64) {
        let secret = self.secret(what);
        self.raw_forms_of(secret, number);
    }

    fn raw_forms_of(&mut self, secret: usize, number: f64) {
        for number in [number, -number] {
            if is_distinct(&number.to_le_bytes()) {
                self.add(secret, &number.to_le_bytes());
                self.add(secret, &number.to_be_bytes());
            }
        }
    }

    /// A number: its bytes in either order and its decimals, cut or rounded, plain or scientific.
    /// Numbers of few digits are nobody's secret.
    pub(super) fn number(&mut self, what: &'static str, number: f64) {
        let secret = self.secret(what);
        self.number_forms_of(secret, number);
    }

    fn number_forms_of(&mut self, secret: usize, number: f64) {
        let Some(digits) = digits(number) else {
            return;
        };
        let number = number.abs();
        for number in [number, -number] {
            self.forms_of(secret, &number.to_le_bytes());
            self.forms_of(secret, &number.to_be_bytes());
        }
        // Every longer form starts with the cut one, or with the rounded one.
        self.add(secret, &digits.as_bytes()[..=DIGITS_MIN]);
        for count in DIGITS_MIN..=DIGITS_MAX {
            let scientific = format!("{number:.*e}", count - 1);
            let (mantissa, exponent) = scientific.split_once('e').expect("scientific");
            self.add(secret, mantissa.as_bytes());
            let exponent: i32 = exponent.parse().expect("an integer");
            let decimals = (count as i32 - 1 - exponent).max(0) as usize;
            let plain = format!("{number:.decimals$}");
            self.add(secret, plain.as_bytes());
            if count > DIGITS_MIN {
                self.add(secret, &plain.as_bytes()[..plain.len() - 1]);
            }
        }
    }

    /// A multiple of 2^-40 as memory holds it, as the 8 bytes that also a longer integer of either
    /// order has, and the number that it stands for. With `everywhere` in every form.
    pub(super) fn fixed(&mut self, what: &'static str, sum: i128, everywhere: bool) {
        let secret = self.secret(what);
        let number = fixed_point::decode(sum, FRACTION_BITS);
        if digits(number).is_none() {
            return;
        }
        self.raw_forms_of(secret, number);
        for sum in [sum, -sum] {
            // Longer ones are no sums of a few rows.
            let Ok(short) = i64::try_from(sum) else {
                continue;
            };
            for bytes in [short.to_le_bytes(), short.to_be_bytes()] {
                if everywhere {
                    self.forms_of(secret, &bytes);
                    self.forms_of(secret, &sum.to_le_bytes());
                    self.forms_of(secret, &sum.to_be_bytes());
                } else if is_distinct(&bytes) {
                    self.add(secret, &bytes);
                }
            }
        }
        if everywhere {
            self.number_forms_of(secret, number);
            if sum.unsigned_abs() >= SCALED_MIN {
                self.add(secret, sum.unsigned_abs().to_string().as_bytes());
            }
        }
    }

    /// Numbers that stand beside each other, as floats of four bytes: two of them are long enough
    /// to be told from chance.
    pub(super) fn short_floats(&mut self, what: &'static str, numbers: &[f64], everywhere: bool) {
        for pair in numbers.windows(2) {
            let secret = self.secret(what);
            let le: Vec<u8> = pair
                .iter()
                .flat_map(|n| (*n as f32).to_le_bytes())
                .collect();
            let be: Vec<u8> = pair
                .iter()
                .flat_map(|n| (*n as f32).to_be_bytes())
                .collect();
            for bytes in [le, be] {
                if everywhere {
                    self.forms_of(secret, &bytes);
                } else if is_distinct(&bytes) {
                    self.add(secret, &bytes);
                }
            }
        }
    }

    /// Which secrets are in a text or file, as it is.
    fn search(&self, haystack: &[u8], found: &mut Found) {
        let mut present = 0;
        for (end, byte) in haystack.iter().enumerate() {
            present = (present << 8 | u64::from(*byte)) & WINDOW;
            let bit = filtered(present);
            if self
                .starts
                .get(bit / 64)
                .is_none_or(|bits| bits >> (bit % 64) & 1 == 0)
            {
                continue;
            }
            let Some(at) = (end + 1).checked_sub(INDEX) else {
                continue;
            };
            let part = haystack[at..].first_chunk::<INDEX>();
            let alike = part.and_then(|part| self.by_part.get(part));
            let here = alike.into_iter().flatten().filter(|needle| {
                let start = at.checked_sub(needle.at);
                start.is_some_and(|start| haystack[start..].starts_with(&needle.bytes))
            });
            found.extend(here.map(|needle| needle.secret));
        }
    }

    /// Which secrets are in a text or file, as it is and in what base64 hides in it.
    pub(super) fn all_found_in(&self, haystack: &[u8]) -> Found {
        let mut found = Found::new();
        self.search(haystack, &mut found);
        self.search(&decoded(haystack), &mut found);
        found
    }

    /// What of all this is in a text or file; each kind once.
    pub(super) fn found_in(&self, haystack: &[u8]) -> Vec<&'static str> {
        self.kinds(&self.all_found_in(haystack))
    }

    /// What these are; each kind once.
    pub(super) fn kinds(&self, found: &Found) -> Vec<&'static str> {
        let kinds: BTreeSet<_> = found.iter().map(|secret| self.secrets[*secret]).collect();
        kinds.into_iter().collect()
    }

    /// Which part of a kind's secrets was found, of those that look like anything at all.
    pub(super) fn share(&self, what: &'static str, found: &Found) -> f64 {
        let all = self.by_part.values().flatten().map(|needle| needle.secret);
        let all: Found = all.filter(|secret| self.secrets[*secret] == what).collect();
        assert!(!all.is_empty(), "nobody looks for {what}");
        all.intersection(found).count() as f64 / all.len() as f64
    }

    /// How many ways of looking there are.
    pub(super) fn len(&self) -> usize {
        self.by_part.values().map(Vec::len).sum()
    }
}

/// The bytes of an index in an integer.
const WINDOW: u64 = (1 << (8 * INDEX)) - 1;

fn as_integer(window: &[u8; INDEX]) -> u64 {
    let add = |integer, byte: &u8| integer << 8 | u64::from(*byte);
    window.iter().fold(0, add)
}

/// Where a window has its bit.
fn filtered(window: u64) -> usize {
    (window.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER_BITS)) as usize
}

/// The digits that tell a number from its neighbours, as `d.ddd`, where they are many.
fn digits(number: f64) -> Option<String> {
    let scientific = format!("{:e}", number.abs());
    let (digits, _) = scientific.split_once('e')?;
    (digits.len() > DIGITS_FEW).then(|| digits.to_owned())
}

/// How many different bytes there are.
fn distinct(bytes: &[u8]) -> usize {
    let is_new = |(at, byte): &(usize, &u8)| !bytes[..*at].contains(byte);
    bytes.iter().enumerate().filter(is_new).count()
}

fn is_distinct(bytes: &[u8]) -> bool {
    distinct(bytes) >= DISTINCT_BYTES_MIN
}

/// What letters of base64 in a row say, decoded from each of the first four on: the first may belong
/// to what stands before.
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    for run in text.split(|byte| letter(*byte).is_none()) {
        if run.len() < ENCODED_RUN_MIN {
            continue;
        }
        for first in 0..4 {
            for letters in run[first..].chunks(4) {
                let bits = letters.iter().fold(0, |bits, byte| {
                    bits << 6 | u32::from(letter(*byte).unwrap_or_default())
                });
                let bits = bits << (6 * (4 - letters.len()));
                decoded.extend_from_slice(&bits.to_be_bytes()[1..letters.len()]);
            }
            decoded.push(0);
        }
    }
    decoded
}

/// The six bits that a letter of base64 stands for.
fn letter(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
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
fn a_sum_is_found_in_every_form() {
    let sum = -3_456_789_012_345_i128;
    let around = |bytes: &[u8]| [b"xyz".as_slice(), bytes, b"abc"].concat();
    let number = fixed_point::decode(sum, FRACTION_BITS);
    for everywhere in [false, true] {
        let is_found = |haystack: &[u8]| finds(|n| n.fixed("it", sum, everywhere), haystack);
        for bytes in [sum.to_le_bytes(), sum.to_be_bytes(), (-sum).to_le_bytes()] {
            assert!(is_found(&around(&bytes)));
            let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            assert_eq!(is_found(hex.as_bytes()), everywhere);
        }
        assert!(is_found(&around(&number.to_be_bytes())));
        assert_eq!(is_found(format!("sum {sum}").as_bytes()), everywhere);
        assert_eq!(is_found(format!("sum {number}").as_bytes()), everywhere);
        let pair = [number, 0.123_456_789];
        let two = |n: &mut Needles| n.short_floats("it", &pair, everywhere);
        let bytes: Vec<u8> = pair
            .iter()
            .flat_map(|n| (*n as f32).to_be_bytes())
            .collect();
        assert!(finds(two, &around(&bytes)));
    }
}

#[test]
fn what_base64_hides_is_found() {
    let number = 0.081_234_567_890_123_45_f64;
    for before in 0..3 {
        let text = format!("{}{{\"weight\":{number}}}", &"abc"[..before]);
        let hidden = format!("\"a/{}\"", STANDARD_NO_PAD.encode(&text));
        assert!(finds(|n| n.number("it", number), hidden.as_bytes()));
    }
    assert_eq!(decoded(b"short="), b"");
}

#[test]
fn the_share_that_was_found_is_counted_by_secret() {
    let mut needles = Needles::default();
    for number in [0.123_456_789_1, 0.223_456_789_1] {
        needles.number("it", number);
    }
    needles.text("other", "something else");
    let found = needles.all_found_in(b"0.123456789 and 1.234567891e-1");
    assert_eq!(needles.share("it", &found), 0.5);
    assert_eq!(needles.share("other", &found), 0.0);
    assert_eq!(needles.kinds(&found), ["it"]);
    // Whatever stands at either end.
    for text in ["something else", "something else.", ".something else"] {
        assert_eq!(needles.found_in(text.as_bytes()), ["other"]);
    }
}

#[test]
fn only_the_named_decimal_is_taken_out() {
    let text = br#"{"round_milliseconds":1.2345678e-3,"other":1.2345678}"#;
    let kept = without_decimals_of(text, "round_milliseconds");
    assert_eq!(kept, br#"{"round_milliseconds":,"other":1.2345678}"#);
}
