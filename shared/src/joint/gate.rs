//! Products of shared values, and the parts of them that go over the wire.
//!
//! Worker i computes `z_i = x_i y_i + x_i y_(i+1) + x_(i+1) y_i + alpha_i`, the alphas being a sharing
//! of zero. The three parts add up to the product, and `z_i` sent to worker i - 1 makes them shares
//! again (Araki et al. 2016, section 2.1; privacy-protocols 6.5).

use zeroize::Zeroizing;

use crate::sharing::{Bits, Pair, Ring};

/// What is sent in one round: so many elements of so many bits, the lowest of each.
#[derive(Clone, Copy)]
pub(super) struct Form {
    /// Elements.
    pub(super) count: usize,
    /// Bits of each: a whole number of bytes, or a power of two below 8.
    pub(super) bits: usize,
}

impl Form {
    /// Whether this can be such a message: one encoding for each content.
    pub(super) fn fits(self, body: &[u8]) -> bool {
        let bits = self.count * self.bits;
        let bytes = bits.div_ceil(8);
        let unused = 8 * bytes - bits;
        let padded = |last: &u8| u32::from(*last) << unused < 256;
        body.len() == bytes && body.last().is_some_and(padded)
    }
}

/// The elements' parts of the product of matrices: `rows x inner` times `inner x columns`. `zeros`
/// is the sharing of zero that hides them.
pub(super) fn matrix_product<R: Ring>(
    left: &Pair<R>,
    right: &Pair<R>,
    inner: usize,
    columns: usize,
    zeros: Zeroizing<Vec<R>>,
) -> Zeroizing<Vec<R>> {
    let both = right.own.iter().zip(&*right.next);
    let both = Zeroizing::new(both.map(|(own, next)| own.add(*next)).collect::<Vec<R>>());
    let mut parts = zeros;
    let factors = left
        .own
        .chunks_exact(inner)
        .zip(left.next.chunks_exact(inner));
    // Row after row of the right matrix: memory is read and written in its order.
    for (sums, (own, next)) in parts.chunks_exact_mut(columns).zip(factors) {
        let rows = both
            .chunks_exact(columns)
            .zip(right.own.chunks_exact(columns));
        for ((own, next), (both, right)) in own.iter().zip(next).zip(rows) {
            for ((sum, both), right) in sums.iter_mut().zip(both).zip(right) {
                *sum = sum.add(own.mul(*both)).add(next.mul(*right));
            }
        }
    }
    parts
}

/// The elements' parts of the bitwise AND, of which the lowest `width` bits are meant.
pub(super) fn and(
    left: &Pair<Bits>,
    right: &Pair<Bits>,
    width: usize,
    zeros: Zeroizing<Vec<Bits>>,
) -> Zeroizing<Vec<Bits>> {
    let mut parts = zeros;
    for (at, part) in parts.iter_mut().enumerate() {
        let (own, next) = (left.own[at], left.next[at]);
        let both = right.own[at].add(right.next[at]);
        let hidden = part.add(own.mul(both)).add(next.mul(right.own[at]));
        *part = Bits(hidden.0 & low_bits(width));
    }
    parts
}

/// A word of `width` ones, 1 to 128.
pub(super) fn low_bits(width: usize) -> u128 {
    u128::MAX >> (128 - width)
}

/// The lowest bits of each word, without gaps, as [`Form`] says.
pub(super) fn pack(words: &[Bits], bits: usize) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(vec![0u8; (words.len() * bits).div_ceil(8)]);
    for (at, word) in words.iter().enumerate() {
        let (start, shift) = (at * bits / 8, at * bits % 8);
        let content = (word.0 & low_bits(bits)) << shift;
        let covered = bytes[start..].iter_mut().zip(content.to_le_bytes());
        for (byte, part) in covered.take(bits.div_ceil(8)) {
            *byte |= part;
        }
    }
    bytes
}

/// What [`pack`] made, of a body that fits.
pub(super) fn unpack(body: &[u8], form: Form) -> Zeroizing<Vec<Bits>> {
    let word = |at: usize| {
        let (start, shift) = (at * form.bits / 8, at * form.bits % 8);
        let mut content = [0; 16];
        let covered = content.iter_mut().zip(&body[start..]);
        for (byte, part) in covered.take(form.bits.div_ceil(8)) {
            *byte = *part;
        }
        Bits(u128::from_le_bytes(content) >> shift & low_bits(form.bits))
    };
    Zeroizing::new((0..form.count).map(word).collect())
}
