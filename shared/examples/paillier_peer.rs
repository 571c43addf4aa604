//! The Paillier scheme behind the line protocol of the peers' comparison: one JSON object in, one
//! out, per line. With `--pool`, `enc` and `vec` find the pool of randomisers filled, and the
//! reply tells in `fill_us` what the filling took per item.
//!
//! Times are microseconds per item (per value for the `vec` ops). `keygen` also reports `table_us`,
//! what a party spends once per key before its first encryption.

use std::collections::HashMap;
use std::error::Error;
use std::hint::black_box;
use std::io::{self, BufRead, Write};
use std::time::Instant;

use num_bigint::BigUint;
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use serde_json::{Value, json};
use shared::paillier::{Ciphertext, Encryptor, Plaintext, PrivateKey, pack, unpack};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Binary digits after the point.
const SCALE: f64 = (1u64 << 40) as f64;
/// Ciphertexts for which the table is made.
const CIPHERTEXTS: u64 = 100_000;
/// Ciphertexts that are encrypted for one measurement, at least.
const CIPHERTEXTS_MEASURED: usize = 256;

/// A thread's CPU and wall time so far.
struct Clock {
    cpu_ns: u64,
    wall: Instant,
}

impl Clock {
    fn now() -> Result<Self> {
        // The kernel brings the counter up to date when the thread gives way.
        std::thread::yield_now();
        let counters = std::fs::read_to_string("/proc/thread-self/schedstat")?;
        let cpu_ns = counters.split(' ').next().unwrap_or_default().parse()?;
        Ok(Self {
            cpu_ns,
            wall: Instant::now(),
        })
    }

    /// CPU and wall microseconds since then, per item.
    fn per(&self, items: usize) -> Result<[f64; 2]> {
        let wall = self.wall.elapsed().as_secs_f64() * 1e6;
        let cpu = (Self::now()?.cpu_ns - self.cpu_ns) as f64 / 1e3;
        Ok([cpu, wall].map(|time| time / items as f64))
    }
}

/// CPU microseconds of all threads of the process, in steps of 10 ms.
fn process_cpu_us() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: Vec<f64> = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<std::result::Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() * 1e4)
}

/// One key with its encryptor and the vectors that were encrypted last.
struct Peer {
    key: PrivateKey,
    encryptor: Encryptor,
    ciphertexts: Vec<Ciphertext>,
    vectors: HashMap<usize, (Vec<f64>, Vec<u8>)>,
}

struct Server {
    secrets: StdRng,
    pooled: bool,
    peers: HashMap<u32, Peer>,
}

impl Server {
    fn answer(&mut self, question: &Value) -> Result<Value> {
        let op = question["op"].as_str().unwrap_or_default();
        let bits = question["bits"].as_u64().unwrap_or(3072) as u32;
        if op == "info" {
            let kind = if self.pooled { "pool" } else { "direct" };
            return Ok(
                json!({ "version": format!("concord {}, {kind}", env!("CARGO_PKG_VERSION")) }),
            );
        }
        if op == "keygen" || !self.peers.contains_key(&bits) {
            let (peer, reply) = self.make(bits)?;
            self.peers.insert(bits, peer);
            if op == "keygen" {
                return Ok(reply);
            }
        }
        let peer = self.peers.get_mut(&bits).ok_or("no key")?;
        let secrets = &mut self.secrets;
        let items = |default: u64| question["n"].as_u64().unwrap_or(default) as usize;
        let d = question["d"].as_u64().unwrap_or(31) as usize;
        match op {
            "enc" => peer.encrypt(secrets, items(256), self.pooled),
            "dec" => peer.decrypt(items(24)),
            "add" => peer.add(items(512)),
            "vec" => peer.vector(secrets, d, self.pooled),
            "vecadd" => peer.vector_add(secrets, d),
            "vecdec" => peer.vector_decrypt(secrets, d),
            _ => Err("no such op".into()),
        }
    }

    fn make(&mut self, bits: u32) -> Result<(Peer, Value)> {
        let (start, cpu) = (Instant::now(), process_cpu_us()?);
        let key = PrivateKey::generate(&mut self.secrets, bits)?;
        let (wall_us, cpu_us) = (start.elapsed().as_micros() as f64, process_cpu_us()? - cpu);
        let clock = Clock::now()?;
        let encryptor = Encryptor::new(key.public_key().clone(), CIPHERTEXTS, usize::MAX);
        let [table_us, _] = clock.per(1)?;
        let mut peer = Peer {
            key,
            encryptor,
            ciphertexts: vec![],
            vectors: HashMap::new(),
        };
        for m in 1..=8u32 {
            let m = Plaintext::new(BigUint::from(m), peer.key.public_key())?;
            peer.ciphertexts
                .push(peer.encryptor.encrypt(&mut self.secrets, &m));
        }
        let reply = json!({ "cpu_us": cpu_us, "wall_us": wall_us, "n": 1, "table_us": table_us });
        Ok((peer, reply))
    }
}

impl Peer {
    /// Fills the pool for so many ciphertexts; the CPU time that took.
    fn fill(&mut self, secrets: &mut StdRng, ciphertexts: usize, pooled: bool) -> Result<f64> {
        let clock = Clock::now()?;
        let missing = ciphertexts.saturating_sub(self.encryptor.pooled());
        for _ in 0..if pooled { missing } else { 0 } {
            self.encryptor.fill_one(secrets);
        }
        Ok(clock.per(1)?[0])
    }

    fn encrypt(&mut self, secrets: &mut StdRng, n: usize, pooled: bool) -> Result<Value> {
        let fill_us = self.fill(secrets, n, pooled)? / n as f64;
        let clock = Clock::now()?;
        for m in 0..n {
            let m = Plaintext::new(BigUint::from(m), self.key.public_key())?;
            black_box(self.encryptor.encrypt(secrets, &m));
        }
        let bytes = self.key.public_key().ciphertext_bytes();
        reply(
            clock.per(n)?,
            n,
            json!({ "bytes": bytes, "fill_us": fill_us }),
        )
    }

    fn decrypt(&self, n: usize) -> Result<Value> {
        let clock = Clock::now()?;
        for index in 0..n {
            black_box(self.key.decrypt(&self.ciphertexts[index % 8])?);
        }
        reply(clock.per(n)?, n, json!({}))
    }

    fn add(&self, n: usize) -> Result<Value> {
        let (a, b) = (&self.ciphertexts[..7], &self.ciphertexts[1..]);
        let clock = Clock::now()?;
        for _ in 0..n.div_ceil(7) {
            black_box(self.key.public_key().sum(&[a, b])?);
        }
        reply(clock.per(n.div_ceil(7) * 7)?, n, json!({}))
    }

    /// From numbers to bytes ready to send.
    fn vector(&mut self, secrets: &mut StdRng, d: usize, pooled: bool) -> Result<Value> {
        let key = self.key.public_key().clone();
        let values: Vec<f64> = (0..d).map(|i| (i as f64 * 0.7).sin() * 3.0).collect();
        let repeats = CIPHERTEXTS_MEASURED.div_ceil(key.ciphertexts_for(d));
        let fill_us = self.fill(secrets, repeats * key.ciphertexts_for(d), pooled)?;
        let mut sent = Vec::new();
        let clock = Clock::now()?;
        for _ in 0..repeats {
            let fixed: Vec<i128> = values
                .iter()
                .map(|value| (value * SCALE).round_ties_even() as i128)
                .collect();
            sent.clear();
            for m in pack(&key, &fixed) {
                sent.extend_from_slice(&self.encryptor.encrypt(secrets, &m).to_bytes(&key));
            }
            black_box(&sent);
        }
        let times = clock.per(d * repeats)?;
        let bytes = sent.len() as f64 / d as f64;
        self.vectors.insert(d, (values, sent));
        reply(
            times,
            d,
            json!({ "bytes": bytes, "fill_us": fill_us / (d * repeats) as f64 }),
        )
    }

    /// The vector of so many values, encrypted.
    fn sent(&mut self, secrets: &mut StdRng, d: usize) -> Result<(Vec<f64>, Vec<u8>)> {
        if !self.vectors.contains_key(&d) {
            self.vector(secrets, d, false)?;
        }
        Ok(self.vectors[&d].clone())
    }

    fn vector_add(&mut self, secrets: &mut StdRng, d: usize) -> Result<Value> {
        let (_, bytes) = self.sent(secrets, d)?;
        let key = self.key.public_key();
        let addend = key.parse(&bytes, key.ciphertexts_for(d))?;
        let repeats = CIPHERTEXTS_MEASURED.div_ceil(addend.len());
        let clock = Clock::now()?;
        for _ in 0..repeats {
            black_box(key.sum(&[&addend, &addend])?);
        }
        reply(clock.per(d * repeats)?, d, json!({}))
    }

    /// From bytes to numbers, which are compared with what was sent.
    fn vector_decrypt(&mut self, secrets: &mut StdRng, d: usize) -> Result<Value> {
        let (values, bytes) = self.sent(secrets, d)?;
        let key = self.key.public_key();
        let clock = Clock::now()?;
        let ciphertexts = key.parse(&bytes, key.ciphertexts_for(d))?;
        let plaintexts: Vec<Plaintext> = ciphertexts
            .iter()
            .map(|c| self.key.decrypt(c))
            .collect::<std::result::Result<_, _>>()?;
        let found: Vec<f64> = unpack(key, &plaintexts, d)?
            .iter()
            .map(|value| *value as f64 / SCALE)
            .collect();
        let times = clock.per(d)?;
        if values
            .iter()
            .zip(&found)
            .any(|(value, found)| (value - found).abs() > 1.0 / SCALE)
        {
            return Err("the decrypted values are not those sent".into());
        }
        reply(times, d, json!({}))
    }
}

fn reply([cpu_us, wall_us]: [f64; 2], n: usize, more: Value) -> Result<Value> {
    let mut reply = json!({ "cpu_us": cpu_us, "wall_us": wall_us, "n": n });
    if let (Some(reply), Value::Object(more)) = (reply.as_object_mut(), more) {
        reply.extend(more);
    }
    Ok(reply)
}

fn main() -> Result<()> {
    let pooled = std::env::args().any(|argument| argument == "--pool");
    let secrets = StdRng::try_from_rng(&mut SysRng)?;
    let mut server = Server {
        secrets,
        pooled,
        peers: HashMap::new(),
    };
    for line in io::stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?) {
            Ok(question) => server.answer(&question),
            Err(error) => Err(error.into()),
        };
        let answer = answer.unwrap_or_else(|error| json!({ "error": error.to_string() }));
        writeln!(io::stdout(), "{answer}")?;
    }
    Ok(())
}
