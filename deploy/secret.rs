//! Secrets of a configuration: never in the file itself, only where to find them.

use std::path::Path;

use anyhow::{Context, bail};
use zeroize::Zeroizing;

use crate::data_dir::read_private_file;

/// Reads `env:NAME` or `file:PATH` (relative to `folder`); surrounding white space is dropped.
///
/// # Errors
/// When the reference is neither, leads nowhere, or to a file that others may read. Never shows what it refers to.
pub fn read(
    field: &str,
    reference: &str,
    folder: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> anyhow::Result<Zeroizing<String>> {
    let text = match reference.split_once(':') {
        Some(("env", name)) => environment(name)
            .with_context(|| format!("{field}: the environment variable {name} is not set"))?,
        Some(("file", path)) => {
            let path = folder.join(path);
            let bytes = read_private_file(&path).with_context(|| field.to_owned())?;
            let text = std::str::from_utf8(&bytes);
            let text = text.with_context(|| format!("{field}: {} is no text", path.display()))?;
            text.to_owned()
        }
        _ => bail!("{field}: write env:NAME or file:PATH; a secret does not stand in the file"),
    };
    let text = Zeroizing::new(text);
    Ok(Zeroizing::new(text.trim().to_owned()))
}
