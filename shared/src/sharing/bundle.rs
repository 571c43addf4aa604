//! An input on its way: one sealed part for each worker, and what binds the parts together.
//!
//! ```text
//! part of worker i   salt_i 32 | share_i | salt_(i+1) 32 | share_(i+1)             indices modulo 3
//! share_0, share_1   the 32 bytes whose ChaCha20 stream they are
//! share_2            the elements, little-endian
//! ```
//!
//! Each share reaches two workers, and both find it under the one commitment that all of them see:
//! whoever gives them different shares is noticed without a word between them.

use chacha20::ChaCha20;
use chacha20::cipher::KeyIvInit;
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::zero::elements;
use super::{Bits, Domain, Error, Input, Pair, Ring, WORKERS, Z128, Z256};
use crate::decimal::Matrix;
use crate::limits::MATRIX_VALUES_MAX;
use crate::seal::{SealPublic, SealSecret, open_input, seal_input};

const SALT_BYTES: usize = 32;
const SEED_BYTES: usize = 32;

/// A participant's input as the platform stores and carries it; what it tells is the shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Rows of the matrix.
    pub rows: u32,
    /// Columns of the matrix.
    pub columns: u32,
    /// Of each share: SHA-256 of its domain, its number, a secret salt and itself.
    pub commitments: [[u8; 32]; 3],
    /// For each worker the two shares that it holds.
    pub sealed: [Vec<u8>; 3],
}

impl Bundle {
    /// What names exactly this input in this context, for pledges and for the workers' setup.
    pub fn digest(&self, context: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"concord/v1 bundle");
        hash.update((context.len() as u64).to_be_bytes());
        hash.update(context);
        hash.update(self.rows.to_be_bytes());
        hash.update(self.columns.to_be_bytes());
        hash.update(self.commitments.as_flattened());
        hash.finalize().into()
    }

    /// What worker `worker`'s part opens under.
    pub(super) fn context(&self, worker: usize, domain: Domain, context: &[u8]) -> Vec<u8> {
        let mut bound = vec![domain as u8, worker as u8];
        bound.extend(self.rows.to_be_bytes());
        bound.extend(self.columns.to_be_bytes());
        bound.extend(self.commitments.as_flattened());
        bound.extend(context);
        bound
    }

    /// How many values it says to have.
    fn values(&self) -> Result<usize, Error> {
        let (rows, columns) = (self.rows, self.columns);
        let values = (rows as usize).saturating_mul(columns as usize);
        match (1..=MATRIX_VALUES_MAX).contains(&values) {
            true => Ok(values),
            false => Err(Error::Shape {
                rows,
                columns,
                values,
            }),
        }
    }
}

/// Shares a matrix among the workers whose keys are `readers`. The bundle opens in this domain and
/// context only: the context names the job, its round and the participant.
///
/// # Errors
/// The matrix has another number of values than its shape says, or one that the domain's results
/// have no room for; or a key is a point of small order.
pub fn split(
    secrets: &mut dyn CryptoRng,
    domain: Domain,
    context: &[u8],
    matrix: &Matrix,
    readers: &[SealPublic; WORKERS],
) -> Result<Bundle, Error> {
    check(domain, matrix)?;
    let mut seeds = Zeroizing::new([[0; SEED_BYTES]; 2]);
    seeds.iter_mut().for_each(|seed| secrets.fill_bytes(seed));
    let rest = match domain {
        Domain::Sum => rest::<Z128>(&seeds, &matrix.values),
        Domain::Product => rest::<Z256>(&seeds, &matrix.values),
        Domain::Bits => rest::<Bits>(&seeds, &matrix.values),
    };
    let shares: [&[u8]; WORKERS] = [&seeds[0], &seeds[1], &rest];
    let mut salts = Zeroizing::new([[0; SALT_BYTES]; WORKERS]);
    salts.iter_mut().for_each(|salt| secrets.fill_bytes(salt));
    let mut bundle = Bundle {
        rows: matrix.rows,
        columns: matrix.columns,
        commitments: std::array::from_fn(|at| commitment(domain, at, &salts[at], shares[at])),
        sealed: Default::default(),
    };
    for (worker, reader) in readers.iter().enumerate() {
        let next = (worker + 1) % WORKERS;
        let bytes = 2 * SALT_BYTES + shares[worker].len() + shares[next].len();
        let mut part = Zeroizing::new(Vec::with_capacity(bytes));
        for share in [worker, next] {
            part.extend(&salts[share]);
            part.extend(shares[share]);
        }
        let bound = bundle.context(worker, domain, context);
        bundle.sealed[worker] = seal_input(secrets, reader, &bound, &part)?;
    }
    Ok(bundle)
}

/// Opens worker `worker`'s part (0 to 2) of a bundle that was made in this domain and context.
///
/// # Errors
/// It is another worker's, of another domain or context, changed or cut; or one of its two shares
/// is not the one that was committed to.
pub fn open(
    secret: &SealSecret,
    worker: usize,
    domain: Domain,
    context: &[u8],
    bundle: &Bundle,
) -> Result<Input, Error> {
    let sealed = bundle.sealed.get(worker).ok_or(Error::Worker { worker })?;
    let values = bundle.values()?;
    let bound = bundle.context(worker, domain, context);
    let part = open_input(secret, &bound, sealed)?;
    let shares = match domain {
        Domain::Sum => Z128::into_shares(pair(bundle, worker, domain, values, &part)?),
        Domain::Product => Z256::into_shares(pair(bundle, worker, domain, values, &part)?),
        Domain::Bits => Bits::into_shares(pair(bundle, worker, domain, values, &part)?),
    };
    Ok(Input {
        rows: bundle.rows,
        columns: bundle.columns,
        worker,
        domain,
        shares,
    })
}

fn check(domain: Domain, matrix: &Matrix) -> Result<(), Error> {
    let (rows, columns) = (matrix.rows, matrix.columns);
    let values = matrix.values.len();
    let said = (rows as usize).checked_mul(columns as usize);
    if said != Some(values) || !(1..=MATRIX_VALUES_MAX).contains(&values) {
        return Err(Error::Shape {
            rows,
            columns,
            values,
        });
    }
    let large = |value: &i128| value.unsigned_abs() >= domain.bound();
    match matrix.values.iter().position(large) {
        None => Ok(()),
        Some(at) => Err(Error::Digits {
            row: at / columns as usize + 1,
            column: at % columns as usize + 1,
            digits: domain.digits(),
        }),
    }
}

/// Share 2: what the two random ones lack.
fn rest<R: Ring>(seeds: &[[u8; SEED_BYTES]; 2], values: &[i128]) -> Zeroizing<Vec<u8>> {
    let [first, second] = seeds.each_ref().map(|seed| expand::<R>(seed, values.len()));
    let mut rest = Zeroizing::new(Vec::with_capacity(values.len() * R::BYTES));
    for ((value, first), second) in values.iter().zip(&*first).zip(&*second) {
        R::encode(*value).sub(*first).sub(*second).write(&mut rest);
    }
    rest
}

/// A seed is drawn for one share, and used for nothing else.
fn expand<R: Ring>(seed: &[u8; SEED_BYTES], values: usize) -> Zeroizing<Vec<R>> {
    elements(&mut ChaCha20::new(seed.into(), &[0; 12].into()), values)
}

fn commitment(domain: Domain, share: usize, salt: &[u8], bytes: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"concord/v1 share");
    hash.update([domain as u8, share as u8]);
    hash.update(salt);
    hash.update(bytes);
    hash.finalize().into()
}

/// A worker's shares, each checked against its commitment.
fn pair<R: Ring>(
    bundle: &Bundle,
    worker: usize,
    domain: Domain,
    values: usize,
    part: &[u8],
) -> Result<Pair<R>, Error> {
    let numbers = [worker, (worker + 1) % WORKERS];
    let sizes = numbers.map(|share| match share {
        0 | 1 => SEED_BYTES,
        _ => values * R::BYTES,
    });
    let expected = 2 * SALT_BYTES + sizes[0] + sizes[1];
    if part.len() != expected {
        return Err(Error::Length {
            worker,
            bytes: part.len(),
            expected,
        });
    }
    let (own, next) = part.split_at(SALT_BYTES + sizes[0]);
    let share = |number: usize, salted: &[u8]| {
        let (salt, bytes) = salted.split_at(SALT_BYTES);
        if commitment(domain, number, salt, bytes) != bundle.commitments[number] {
            return Err(Error::Commitment { share: number });
        }
        Ok(match <&[u8; SEED_BYTES]>::try_from(bytes) {
            Ok(seed) if number < 2 => expand(seed, values),
            _ => R::read_all(bytes),
        })
    };
    Ok(Pair {
        own: share(numbers[0], own)?,
        next: share(numbers[1], next)?,
    })
}
