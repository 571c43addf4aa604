//! Several signed values in one plaintext.
//!
//! Values become the sum of `x_k 2^(128 k)`, modulo n when it is negative. Sums of packed plaintexts
//! are the packed sums as long as every sum of a slot stays within plus or minus 2^127;
//! 64 parties' values of at most 2^90 stay below 2^96.

use num_bigint::BigUint;
use zeroize::Zeroizing;

use super::kernel::{self, Limbs};
use super::{Error, Plaintext, PublicKey};
use crate::limits::SLOT_BITS;

/// The most a packed value may be, in bits beside the sign.
const PACKED_BITS: u32 = 114;

/// Packs the values into [`PublicKey::ciphertexts_for`] their number of plaintexts.
///
/// The caller's range rule keeps every value, in magnitude, below 2^114: sums of values stay below 2^96, sums of tags below 2^113.
pub fn pack(key: &PublicKey, values: &[i128]) -> Vec<Plaintext> {
    values
        .chunks(key.slots())
        .map(|values| pack_one(key, values))
        .collect()
}

fn pack_one(key: &PublicKey, values: &[i128]) -> Plaintext {
    let mut sum: Limbs = Zeroizing::new(vec![0; key.digits.len()]);
    // -1 once the slots so far are negative together: they borrow from the next one.
    let mut borrow = 0;
    let mut slots = sum.chunks_exact_mut(SLOT_BITS as usize / kernel::LIMB_BITS);
    for value in values {
        debug_assert!(value.unsigned_abs() < 1 << PACKED_BITS);
        borrow = fill(slots.next(), value + borrow);
    }
    for slot in slots {
        borrow = fill(Some(slot), borrow);
    }
    if borrow < 0 {
        kernel::add_limbs(&mut sum, key.digits.limbs());
    }
    Plaintext(kernel::integer(&sum))
}

/// Writes one slot and returns what it takes from the next.
fn fill(slot: Option<&mut [u64]>, value: i128) -> i128 {
    if let Some([low, high]) = slot {
        *low = value as u64;
        *high = (value >> kernel::LIMB_BITS) as u64;
    }
    value >> (i128::BITS - 1)
}

/// The `count` values of packed plaintexts, or of sums of such.
///
/// # Errors
/// [`Error::PlaintextCount`] when `count` values don't take just these plaintexts;
/// [`Error::Residue`] when something is left beyond the last value of a plaintext.
pub fn unpack(key: &PublicKey, plaintexts: &[Plaintext], count: usize) -> Result<Vec<i128>, Error> {
    let expected = key.ciphertexts_for(count);
    if plaintexts.len() != expected {
        return Err(Error::PlaintextCount {
            slots: count,
            expected,
            found: plaintexts.len(),
        });
    }
    let half = key.modulus() >> 1u32;
    let mut values = Vec::with_capacity(count);
    for (index, plaintext) in plaintexts.iter().enumerate() {
        let used = key.slots().min(count - index * key.slots());
        let (slots, rest) = slots_of(key, plaintext, &half);
        if rest != 0 || slots[used..].iter().any(|value| *value != 0) {
            return Err(Error::Residue { index });
        }
        values.extend_from_slice(&slots[..used]);
    }
    Ok(values)
}

/// All slots of one plaintext, and what remains above them.
pub(super) fn slots_of(
    key: &PublicKey,
    plaintext: &Plaintext,
    half: &BigUint,
) -> (Zeroizing<Vec<i128>>, i128) {
    let mut limbs = kernel::limbs(&plaintext.0, key.digits.len());
    let negative = plaintext.0 > *half;
    if negative {
        kernel::subtract_limbs(&mut limbs, key.digits.limbs());
    }
    let mut slots = Zeroizing::new(Vec::with_capacity(key.slots()));
    let mut carry = false;
    for limbs in limbs.chunks_exact(SLOT_BITS as usize / kernel::LIMB_BITS) {
        let raw = u128::from(limbs[1]) << kernel::LIMB_BITS | u128::from(limbs[0]);
        let (raw, over) = raw.overflowing_add(u128::from(carry));
        let value = raw as i128;
        carry = over || value < 0;
        slots.push(value);
    }
    (slots, i128::from(carry) - i128::from(negative))
}
