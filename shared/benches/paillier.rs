//! Costs of the Paillier scheme: medians of wall time and of the calling thread's CPU time.
//!
//! `cargo bench -p shared --bench paillier`. Key generation searches with a second thread, whose CPU
//! time isn't in the figure.

use std::error::Error;
use std::hint::black_box;
use std::io::{self, Write};
use std::time::Instant;

use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use shared::paillier::{Encryptor, PrivateKey, PublicKey, pack};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Nanoseconds of CPU time of this thread.
fn cpu_ns() -> Result<u64> {
    // The kernel brings the counter up to date when the thread gives way.
    std::thread::yield_now();
    let counters = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(counters.split(' ').next().unwrap_or_default().parse()?)
}

/// Prints one row: the medians over `rounds` of `calls` calls each.
fn row(
    what: &str,
    rounds: usize,
    calls: usize,
    mut call: impl FnMut() -> Result<()>,
) -> Result<()> {
    let mut times = [vec![], vec![]];
    for _ in 0..rounds {
        let (cpu, wall) = (cpu_ns()?, Instant::now());
        for _ in 0..calls {
            call()?;
        }
        let wall = wall.elapsed().as_nanos() as f64;
        for (times, time) in times.iter_mut().zip([(cpu_ns()? - cpu) as f64, wall]) {
            times.push(time / calls as f64 / 1e3);
        }
    }
    let [cpu, wall] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    writeln!(io::stdout(), "| {what} | {cpu:.1} | {wall:.1} |")?;
    Ok(())
}

fn main() -> Result<()> {
    let secrets = &mut StdRng::try_from_rng(&mut SysRng)?;
    for bits in [2048, 3072] {
        writeln!(
            io::stdout(),
            "\n| {bits} bits | CPU us | wall us |\n|---|---:|---:|"
        )?;
        row("generate a key", 15, 1, || {
            black_box(PrivateKey::generate(secrets, bits)?);
            Ok(())
        })?;
        let private = PrivateKey::generate(secrets, bits)?;
        let key = private.public_key();
        let bytes = key.to_bytes();
        row("check a public key", 9, 1, || {
            black_box(PublicKey::from_bytes(&bytes)?);
            Ok(())
        })?;
        for ciphertexts in [100, 1000, 100_000] {
            row(
                &format!("base and table for {ciphertexts} ciphertexts"),
                5,
                1,
                || {
                    black_box(Encryptor::new(key.clone(), ciphertexts, 0));
                    Ok(())
                },
            )?;
            let mut encryptor = Encryptor::new(key.clone(), ciphertexts, 0);
            let m = &pack(key, &[-1, 2, -3])[0];
            row("... encrypt directly with it", 15, 50, || {
                black_box(encryptor.encrypt(secrets, m));
                Ok(())
            })?;
        }
        let m = &pack(key, &[-1, 2, -3])[0];
        let mut encryptor = Encryptor::new(key.clone(), 1000, 4000);
        while encryptor.fill_one(secrets) {}
        row("encrypt from the pool", 15, 200, || {
            black_box(encryptor.encrypt(secrets, m));
            Ok(())
        })?;
        let sent: Vec<_> = (0..64).map(|_| encryptor.encrypt(secrets, m)).collect();
        let sent_bytes: Vec<u8> = sent.iter().flat_map(|c| c.to_bytes(key)).collect();
        row("parse 64 ciphertexts", 15, 10, || {
            black_box(key.parse(&sent_bytes, 64)?);
            Ok(())
        })?;
        row("add 64 to 64 ciphertexts", 15, 10, || {
            black_box(key.sum(&[&sent, &sent])?);
            Ok(())
        })?;
        row("add up 8 times 64 ciphertexts", 15, 2, || {
            black_box(key.sum(&[&sent[..]; 8])?);
            Ok(())
        })?;
        row("decrypt", 15, 10, || {
            black_box(private.decrypt(&sent[0])?);
            Ok(())
        })?;
    }
    Ok(())
}
