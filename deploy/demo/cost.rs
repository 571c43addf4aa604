//! What a key and an encryption cost on this machine.

use std::time::{Duration, Instant};

use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use shared::limits::FRACTION_BITS;
use shared::paillier::{Encryptor, Error, PrivateKey, pack};

/// Contributions encrypted; the median counts.
const CONTRIBUTIONS: usize = 40;

/// Times of one run.
pub(super) struct Cost {
    /// Making one private key.
    pub(super) key: Duration,
    /// Packing and encrypting one contribution.
    pub(super) contribution: Duration,
}

/// Makes a new key of `bits` bits, and encrypts contributions of `slots` numbers under it with no
/// randomiser made beforehand. What is done once per key (the encryptor's table) is in neither
/// time, and neither are masks, tags and seals.
///
/// # Errors
/// When `bits` is not allowed.
pub(super) fn measure(bits: u32, slots: usize) -> Result<Cost, Error> {
    let secrets = &mut UnwrapErr(SysRng);
    let began = Instant::now();
    let private = PrivateKey::generate(secrets, bits)?;
    let key = began.elapsed();

    let public = private.public_key().clone();
    let ciphertexts = CONTRIBUTIONS * public.ciphertexts_for(slots);
    let mut encryptor = Encryptor::new(public.clone(), ciphertexts as u64, 0);
    let gradient = |slot: usize| (slot as i128 - slots as i128 / 2) << FRACTION_BITS;
    let values: Vec<i128> = (0..slots).map(gradient).collect();
    let mut times: Vec<Duration> = (0..CONTRIBUTIONS)
        .map(|_| {
            let began = Instant::now();
            for plaintext in pack(&public, &values) {
                encryptor.encrypt(secrets, &plaintext);
            }
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    Ok(Cost {
        key,
        contribution: times[CONTRIBUTIONS / 2],
    })
}
