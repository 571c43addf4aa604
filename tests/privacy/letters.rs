//! The sealed letters in what was recorded, and what their looks tell.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use shared::id::JobId;
use shared::seal::{self, Header};
use shared::session::Kind;

/// What an envelope begins with.
const MAGIC: &[u8; 4] = b"CND1";
/// Header, of which the last four bytes are the payload's length.
const HEADER_BYTES: usize = 68;
const SIGNATURE_BYTES: usize = 64;
/// Bytes in a row that two random payloads never share.
const SHARED_BYTES: usize = 16;

/// Every envelope in some streams, each once, however often it was sent and delivered.
pub(super) fn letters<'a>(streams: impl Iterator<Item = &'a [u8]>) -> BTreeSet<&'a [u8]> {
    let mut letters = BTreeSet::new();
    for stream in streams {
        for at in starts(stream) {
            let head = stream[at..].first_chunk::<HEADER_BYTES>();
            let Some(length) = head.and_then(|head| head.last_chunk::<4>()) else {
                continue;
            };
            let payload = u32::from_be_bytes(*length) as usize;
            let whole = stream[at..].get(..HEADER_BYTES + payload + SIGNATURE_BYTES);
            letters.extend(whole.filter(|bytes| seal::peek(bytes).is_ok()));
        }
    }
    letters
}

fn starts(stream: &[u8]) -> impl Iterator<Item = usize> {
    let windows = stream.windows(MAGIC.len()).enumerate();
    windows
        .filter(|(_, window)| window == MAGIC)
        .map(|(at, _)| at)
}

pub(super) fn header(letter: &[u8]) -> Header {
    seal::peek(letter).expect("only whole ones were kept")
}

fn payload(letter: &[u8]) -> &[u8] {
    &letter[HEADER_BYTES..letter.len() - SIGNATURE_BYTES]
}

/// Bits of chance in a byte of all payloads together.
pub(super) fn entropy(letters: &BTreeSet<&[u8]>) -> (usize, f64) {
    let mut counts = [0_u64; 256];
    for byte in letters.iter().flat_map(|letter| payload(letter)) {
        counts[usize::from(*byte)] += 1;
    }
    let total: u64 = counts.iter().sum();
    let part = |count: &u64| {
        let share = *count as f64 / total as f64;
        if *count == 0 {
            0.0
        } else {
            -share * share.log2()
        }
    };
    (total as usize, counts.iter().map(part).sum())
}

/// How many letters share a run of bytes with another one.
pub(super) fn alike(letters: &BTreeSet<&[u8]>) -> usize {
    let mut first: HashMap<&[u8], usize> = HashMap::new();
    let mut alike = BTreeSet::new();
    for (number, letter) in letters.iter().enumerate() {
        for window in payload(letter).windows(SHARED_BYTES) {
            let other = *first.entry(window).or_insert(number);
            if other != number {
                alike.insert(number);
            }
        }
    }
    alike.len()
}

/// An acceptance tells how long reading took, and the beginning how long a round may take, in
/// numbers that are longer when they are larger. Whoever carries them sees that time anyway.
const DURATION_BYTES: usize = 8;

/// Who wrote a letter of which kind to whom.
type Way = (u8, u64, u64);
/// Lengths of letters.
type Sizes = BTreeMap<Way, Vec<usize>>;

/// Whether nobody can tell two jobs by the lengths of their letters.
pub(super) fn are_the_same(one: &Sizes, other: &Sizes) -> bool {
    let ways = one.keys().eq(other.keys());
    ways && one.iter().all(|(way, sizes)| {
        let times = [Kind::Accept as u8, Kind::Begin as u8].contains(&way.0);
        let slack = if times { DURATION_BYTES } else { 0 };
        let pairs = sizes.iter().zip(&other[way]);
        let alike = |(one, other): (&usize, &usize)| one.abs_diff(*other) <= slack;
        sizes.len() == other[way].len() && pairs.into_iter().all(alike)
    })
}

/// How long a job's letters are, in order of their length: all that a reader without keys has.
pub(super) fn sizes(letters: &BTreeSet<&[u8]>, job: JobId) -> Sizes {
    let mut sizes = Sizes::new();
    for letter in letters {
        let Header {
            kind,
            job: of,
            from,
            to,
            ..
        } = header(letter);
        if of == job {
            let sizes = sizes.entry((kind, from.0, to.0)).or_default();
            sizes.push(letter.len());
        }
    }
    for sizes in sizes.values_mut() {
        sizes.sort_unstable();
    }
    sizes
}
