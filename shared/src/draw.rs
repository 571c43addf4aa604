//! Draws: the randomness that shapes a model (initial weights, batches, folds).
//!
//! A draw comes from the canonical request and a label, never from a job, an attempt or a clock, so
//! the same request on the same rows gives the same bits on every machine. It is no secret, and
//! [`Draw`] is therefore no random number generator: it can't be handed to what makes keys.

use std::f64::consts::TAU;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The stream of numbers that belongs to one request and one label.
pub struct Draw {
    stream: ChaCha20,
}

impl Draw {
    /// The stream for `request`, the canonical bytes of a request with its `random_seed`, and
    /// `label`, which names what is drawn.
    ///
    /// HKDF-SHA256 (RFC 5869) makes the key of a ChaCha20 stream (RFC 8439).
    pub fn new(request: &[u8], label: &str) -> Draw {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, request)
            .expand_multi_info(&[b"concord/v1 draw ", label.as_bytes()], &mut key)
            .expect("one block of output is never too long");
        Draw {
            stream: ChaCha20::new(&key.into(), &[0; 12].into()),
        }
    }

    /// The next 32 bytes: the key of a keyed hash, such as [`batch`]'s.
    pub fn key(mut self) -> [u8; 32] {
        self.bytes()
    }

    /// Uniform in `[0, 1)`, a multiple of 2^-53.
    pub fn uniform(&mut self) -> f64 {
        let bits = u64::from_le_bytes(self.bytes()) >> 11;
        bits as f64 / (1u64 << 53) as f64
    }

    /// Normal with mean 0 and variance 1 (Box and Muller 1958, the cosine branch). Takes two
    /// uniforms. `libm` rather than the platform's functions, which differ between machines.
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform()));
        radius * libm::cos(TAU * self.uniform())
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.apply_keystream(&mut bytes);
        bytes
    }
}

/// The mini-batch of a row, below `batches`, which is at least 1. It depends on the row's name, not
/// on who holds the row or where it stands.
pub fn batch(key: &[u8; 32], unique_id: &str, batches: u32) -> u32 {
    assert!(batches > 0, "a job has at least one batch");
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(b"batch");
    mac.update(unique_id.as_bytes());
    let digest: [u8; 32] = mac.finalize().into_bytes().into();
    let number = u64::from_be_bytes(std::array::from_fn(|index| digest[index]));
    (number % u64::from(batches)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_request_and_label_draw_the_same_bits() {
        let mut draw = Draw::new(b"request", "weights");
        let mut again = Draw::new(b"request", "weights");
        for _ in 0..100 {
            assert_eq!(draw.uniform().to_bits(), again.uniform().to_bits());
            assert_eq!(draw.normal().to_bits(), again.normal().to_bits());
        }
        assert_eq!(draw.key(), again.key());
    }

    #[test]
    fn another_request_or_label_draws_other_bits() {
        let first = Draw::new(b"request", "weights").key();
        assert_ne!(first, Draw::new(b"request", "folds").key());
        assert_ne!(first, Draw::new(b"Request", "weights").key());
    }

    // Made by Python: `HKDF` and `ChaCha20` of `cryptography`, `hmac`, and `math`.
    const UNIFORM_BITS: u64 = 0x3fec_fb2c_3b2d_8f05;
    const NORMAL_BITS: u64 = 0x3fce_f3b3_16b3_bdfb;
    const KEY: [u8; 32] = [
        0x93, 0x2a, 0xc3, 0x52, 0x4c, 0x4f, 0x67, 0x97, 0xb9, 0x60, 0xe2, 0x3d, 0xaf, 0xb3, 0xcb,
        0x52, 0x73, 0x70, 0x23, 0x2d, 0x21, 0x0d, 0x2c, 0x71, 0xad, 0x3e, 0x7b, 0xe8, 0x0c, 0xe0,
        0xdf, 0x1f,
    ];
    const BATCHES: [u32; 12] = [2, 3, 5, 3, 4, 0, 5, 0, 2, 5, 2, 6];

    #[test]
    fn draws_are_the_bits_that_every_machine_gives() {
        let mut draw = Draw::new(b"request", "weights");
        assert_eq!(draw.uniform().to_bits(), UNIFORM_BITS);
        assert_eq!(draw.normal().to_bits(), NORMAL_BITS);
        assert_eq!(Draw::new(b"request", "batches").key(), KEY);
        let batches: Vec<u32> = (0..12)
            .map(|row| batch(&KEY, &row.to_string(), 7))
            .collect();
        assert_eq!(batches, BATCHES);
    }

    #[test]
    fn uniforms_and_normals_have_their_moments() {
        let mut draw = Draw::new(b"moments", "test");
        let (mut mean, mut normal_mean, mut square) = (0.0, 0.0, 0.0);
        let count = 20_000;
        for _ in 0..count {
            let uniform = draw.uniform();
            assert!((0.0..1.0).contains(&uniform));
            let normal = draw.normal();
            assert!(normal.is_finite());
            mean += uniform / f64::from(count);
            normal_mean += normal / f64::from(count);
            square += normal * normal / f64::from(count);
        }
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        assert!(normal_mean.abs() < 0.03, "{normal_mean}");
        assert!((square - 1.0).abs() < 0.05, "{square}");
    }

    #[test]
    fn batches_are_of_about_one_size() {
        let key = Draw::new(b"request", "batches").key();
        let mut sizes = [0; 4];
        for row in 0..4000 {
            sizes[batch(&key, &format!("row {row}"), 4) as usize] += 1;
        }
        assert!(
            sizes.iter().all(|size| (900..1100).contains(size)),
            "{sizes:?}"
        );
        assert_eq!(batch(&key, "any", 1), 0);
    }

    /// Compiles only while `Draw` is no generator: else the type of `_` is ambiguous.
    #[test]
    fn a_draw_is_no_random_number_generator() {
        trait Refused<Reason> {
            fn compiles() {}
        }
        impl<T: ?Sized> Refused<()> for T {}
        struct Generator;
        impl<T: rand::TryRng + ?Sized> Refused<Generator> for T {}
        <Draw as Refused<_>>::compiles();
    }
}
