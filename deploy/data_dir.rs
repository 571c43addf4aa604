//! The data directory of a standalone Concord: one process at a time, keys that only its user may
//! read.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use api::Secrets;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use shared::id::PartyId;
use shared::seal::Identity;
use zeroize::Zeroizing;

/// What only the owner may do with keys and jobs.
const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;
/// Permission bits of anybody else.
const OTHERS: u32 = 0o077;

/// A data directory that this process alone uses.
pub struct DataDir {
    path: PathBuf,
    /// Held for as long as the process lives; the operating system releases it when it dies.
    _lock: File,
}

impl DataDir {
    /// Makes the directory if need be, and locks it.
    ///
    /// # Errors
    /// When another process has it, or it cannot be written.
    pub fn lock(path: &Path) -> anyhow::Result<DataDir> {
        make(path)?;
        let shown = path.display();
        let mut options = OpenOptions::new();
        options
            .create(true)
            .truncate(false)
            .write(true)
            .mode(PRIVATE_FILE);
        let lock = options.open(path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(DataDir {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => {
                bail!("{shown} is in use by another process; stop it, or name another data_dir")
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {shown}"))
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The embedded database.
    pub fn database(&self) -> PathBuf {
        database(&self.path)
    }

    /// A party's keys, made at first use.
    ///
    /// # Errors
    /// As [`read_identity`]; or the key file cannot be written.
    pub fn identity(&self, party: PartyId) -> anyhow::Result<Identity> {
        let path = key_file(&self.path, party);
        if path.try_exists()? {
            return read_identity(&self.path, party);
        }
        let identity = Identity::generate(&mut UnwrapErr(SysRng));
        self.keep(&path, &*identity.to_bytes())?;
        Ok(identity)
    }

    /// What tokens of the API are signed with, made at first use.
    ///
    /// # Errors
    /// When the file is malformed, others than the owner may read it, or it cannot be written.
    pub fn token_secrets(&self) -> anyhow::Result<Secrets> {
        let path = self.path.join("keys").join("token.key");
        if !path.try_exists()? {
            let secret = Secrets::generate(&mut UnwrapErr(SysRng));
            self.keep(&path, secret.as_bytes())?;
        }
        let text = read_private_file(&path)?;
        let text = std::str::from_utf8(&text).unwrap_or_default();
        Secrets::parse(text).with_context(|| path.display().to_string())
    }

    /// Writes a key to a file of its own in the folder `keys`.
    fn keep(&self, path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        let folder = self.path.join("keys");
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, Permissions::from_mode(PRIVATE_FOLDER))?;
        // Whole or not at all, also when the process dies in between.
        let half = path.with_extension("new");
        let mut options = OpenOptions::new();
        options
            .create(true)
            .truncate(true)
            .write(true)
            .mode(PRIVATE_FILE);
        let mut file = options.open(&half)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&half, path)?;
        File::open(&folder)?.sync_all()?;
        Ok(())
    }
}

/// Makes a data directory if need be, and keeps it private.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn make(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    fs::create_dir_all(path).with_context(|| format!("cannot make {shown}"))?;
    fs::set_permissions(path, Permissions::from_mode(PRIVATE_FOLDER))
        .with_context(|| format!("cannot keep {shown} private"))
}

/// The embedded database of a data directory.
pub(crate) fn database(data_dir: &Path) -> PathBuf {
    data_dir.join("concord.sqlite")
}

/// A party's ledger in a data directory.
pub fn ledger_file(data_dir: &Path, party: PartyId) -> PathBuf {
    data_dir
        .join("ledgers")
        .join(format!("party-{party}.sqlite"))
}

/// A party's keys in a data directory.
pub fn key_file(data_dir: &Path, party: PartyId) -> PathBuf {
    data_dir.join("keys").join(format!("party-{party}.key"))
}

/// Reads a party's keys.
///
/// # Errors
/// When there are none, they are malformed, or others than the owner may read them.
pub fn read_identity(data_dir: &Path, party: PartyId) -> anyhow::Result<Identity> {
    let missing = || format!("party {party} has no key there; has this federation run yet?");
    read_key_file(&key_file(data_dir, party)).with_context(missing)
}

/// Reads a key file.
///
/// # Errors
/// As [`read_identity`].
pub fn read_key_file(path: &Path) -> anyhow::Result<Identity> {
    let bytes = read_private_file(path)?;
    Identity::from_bytes(&bytes).with_context(|| format!("{} is no key file", path.display()))
}

/// Reads a file that nobody but its owner may read.
///
/// # Errors
/// When it is not there, or others may read it.
pub(crate) fn read_private_file(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let shown = path.display();
    let missing = || format!("cannot read {shown}");
    let mode = fs::metadata(path)
        .with_context(missing)?
        .permissions()
        .mode();
    ensure!(
        mode & OTHERS == 0,
        "{shown} may be read by others; run: chmod 600 {shown}"
    );
    Ok(Zeroizing::new(fs::read(path).with_context(missing)?))
}

/// Makes keys and writes them where there is no file yet.
///
/// # Errors
/// When the file is there or cannot be written.
pub fn make_key_file(path: &Path) -> anyhow::Result<Identity> {
    let shown = path.display();
    let identity = Identity::generate(&mut UnwrapErr(SysRng));
    let mut options = OpenOptions::new();
    options.create_new(true).write(true).mode(PRIVATE_FILE);
    let mut file = options
        .open(path)
        .with_context(|| format!("cannot make {shown}"))?;
    file.write_all(&*identity.to_bytes())?;
    file.sync_all()?;
    Ok(identity)
}
