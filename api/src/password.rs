//! Passwords: hashed with Argon2id, and checked a few at a time, since each check takes 19 MiB and
//! a core for some tens of milliseconds.

use std::sync::Arc;
#[cfg(test)]
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use rand::CryptoRng;
use shared::limits::{
    PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN, PASSWORD_CHECKS_MAX, PASSWORD_CHECKS_WAITING_MAX,
};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::answer::Error;

/// Memory, passes and lanes of OWASP's password storage cheat sheet (first choice of the second
/// set): 19 MiB, 2, 1.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

/// A hash of nobody's password, of the same cost as everybody's.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// Seconds after which a place in the line is likely to be free.
const RETRY_SECONDS: u64 = 1;

/// A password that no account can have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "the password has {bytes} bytes: it must have {PASSWORD_BYTES_MIN} to {PASSWORD_BYTES_MAX}"
)]
pub struct PasswordError {
    bytes: usize,
}

fn argon2id() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let params = params.expect("constants within argon2's ranges");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hashes the password of a new account: a PHC string.
///
/// # Errors
/// When it is shorter or longer than allowed.
pub fn hash(password: &str, rng: &mut dyn CryptoRng) -> Result<String, PasswordError> {
    let bytes = password.len();
    if !(PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX).contains(&bytes) {
        return Err(PasswordError { bytes });
    }
    let mut salt = [0; SALT_BYTES];
    rng.fill_bytes(&mut salt);
    let hash = argon2id().hash_password_with_salt(password.as_bytes(), &salt);
    Ok(hash.expect("lengths within argon2's ranges").to_string())
}

/// Checks passwords: so many at once, so many in line.
pub(crate) struct Passwords {
    line: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    /// How many were checked.
    #[cfg(test)]
    pub(crate) checked: Arc<AtomicUsize>,
}

impl Passwords {
    pub(crate) fn new() -> Passwords {
        let places = PASSWORD_CHECKS_MAX + PASSWORD_CHECKS_WAITING_MAX;
        Passwords {
            line: Arc::new(Semaphore::new(places)),
            turns: Arc::new(Semaphore::new(PASSWORD_CHECKS_MAX)),
            #[cfg(test)]
            checked: Arc::default(),
        }
    }

    /// Whether the password is that of the hash; one of nobody's takes as long, and is wrong.
    ///
    /// # Errors
    /// [`Error::Busy`] when too many wait.
    pub(crate) async fn check(
        &self,
        password: Zeroizing<String>,
        hash: Option<String>,
    ) -> Result<bool, Error> {
        let place = Arc::clone(&self.line).try_acquire_owned();
        let place = place.map_err(|_| Error::Busy(RETRY_SECONDS))?;
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.expect("the line is never closed");
        #[cfg(test)]
        let checked = Arc::clone(&self.checked);
        let check = move || {
            // Until the work is done, whether or not anybody still waits for it.
            let _held = (place, turn);
            let right = argon2id()
                .verify_password(password.as_bytes(), hash.as_deref().unwrap_or(NOBODY))
                .is_ok();
            #[cfg(test)]
            checked.fetch_add(1, Ordering::Relaxed);
            right && hash.is_some()
        };
        tokio::task::spawn_blocking(check).await.map_err(|error| {
            tracing::error!(%error, "checking a password stopped");
            Error::Internal
        })
    }

    /// Takes every place in the line.
    #[cfg(test)]
    pub(crate) fn fill(&self) -> tokio::sync::OwnedSemaphorePermit {
        let places = self.line.available_permits() as u32;
        let all = Arc::clone(&self.line).try_acquire_many_owned(places);
        all.expect("as many as there are")
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::phc::PasswordHash;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn hashed(password: &str) -> Result<String, PasswordError> {
        hash(password, &mut StdRng::seed_from_u64(7))
    }

    #[tokio::test]
    async fn a_password_is_right_or_wrong() {
        let passwords = Passwords::new();
        let hash = hashed("correct horse").expect("long enough");
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        for (password, of, right) in [
            ("correct horse", Some(&hash), true),
            ("correct horsf", Some(&hash), false),
            ("", Some(&hash), false),
            ("correct horse", None, false),
        ] {
            let password = Zeroizing::new(password.to_owned());
            let checked = passwords.check(password, of.cloned()).await;
            assert_eq!(checked.expect("a free place"), right);
        }
        assert_eq!(passwords.checked.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn nobody_s_hash_costs_what_everybody_s_does() {
        let own = hashed("correct horse").expect("long enough");
        let (own, nobody) = (PasswordHash::new(&own), PasswordHash::new(NOBODY));
        let (own, nobody) = (own.expect("PHC"), nobody.expect("PHC"));
        assert_eq!(own.params, nobody.params);
        assert_eq!(
            (own.algorithm, own.version),
            (nobody.algorithm, nobody.version)
        );
        let lengths = |hash: &PasswordHash| {
            let output = hash.hash.as_ref().map(|output| output.len());
            (hash.salt.as_ref().map(|salt| salt.len()), output)
        };
        assert_eq!(lengths(&own), lengths(&nobody));
    }

    #[test]
    fn a_hash_of_another_implementation_is_understood() {
        // argon2-cffi 25.1.0: PasswordHasher(2, 19456, 1, 32, 16)
        //     .hash("correct horse", salt=b"0123456789abcdef")
        let hash = "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$\
            rk2Mi3E4dgRMg0fHaYaptWVZRKqs//6b6k3/nntqGJk";
        assert!(argon2id().verify_password(b"correct horse", hash).is_ok());
        assert!(argon2id().verify_password(b"correct horsf", hash).is_err());
    }

    #[test]
    fn a_new_password_is_neither_short_nor_long() {
        for (bytes, fits) in [
            (0, false),
            (11, false),
            (12, true),
            (128, true),
            (129, false),
        ] {
            let hashed = hashed(&"x".repeat(bytes));
            assert_eq!(hashed.is_ok(), fits, "{bytes}");
            assert!(fits || hashed == Err(PasswordError { bytes }));
        }
    }

    #[tokio::test]
    async fn a_full_line_turns_away() {
        let passwords = Passwords::new();
        let line = passwords.fill();
        let check = || passwords.check(Zeroizing::default(), None);
        assert!(matches!(check().await, Err(Error::Busy(_))));
        drop(line);
        assert!(!check().await.expect("a free place"));
    }
}
