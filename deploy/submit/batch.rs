//! A file of jobs: what its lines ask for, checked by the server's own rules.

use std::collections::BTreeMap;

use anyhow::bail;
use api::check;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use shared::limits::BATCH_LINES_MAX;

/// Problems that are shown of a bad file.
const PROBLEMS_SHOWN: usize = 5;
/// Bytes of a file's hash in its keys.
const HASH_BYTES: usize = 8;

/// One job to submit.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    /// Its place in the file, from 1.
    pub(super) number: usize,
    /// Path of the request.
    pub(super) route: String,
    /// The request's name.
    pub(super) key: String,
    /// The request, as JSON.
    pub(super) body: String,
}

/// Reads a file; empty lines are passed over. A line without a key is named after the whole file
/// and its place in it, so that the same file names the same jobs; `again` names every line anew.
///
/// # Errors
/// The first problems, each with its line and the rule.
pub(super) fn read(text: &[u8], again: Option<&str>) -> anyhow::Result<Vec<Line>> {
    let hash = hexadecimal(&Sha256::digest(text)[..HASH_BYTES]);
    let (mut lines, mut problems) = (Vec::new(), Vec::new());
    let mut named: BTreeMap<String, usize> = BTreeMap::new();
    for (index, bytes) in text.split(|byte| *byte == b'\n').enumerate() {
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let number = index + 1;
        let default = format!("{}-{number}", again.unwrap_or(&hash));
        let line = line(number, bytes, &default, again.is_some()).and_then(|line| {
            match named.insert(line.key.clone(), number) {
                None => Ok(line),
                Some(first) => Err(format!("`key` is that of line {first}: each must differ")),
            }
        });
        match line {
            Ok(line) => lines.push(line),
            Err(problem) => problems.push(format!("line {number}: {problem}")),
        }
    }
    if !problems.is_empty() {
        let shown = problems.len().min(PROBLEMS_SHOWN);
        let mut told = problems[..shown].join("\n");
        if problems.len() > shown {
            told += &format!("\nand {} more", problems.len() - shown);
        }
        bail!("{told}");
    }
    match lines.len() {
        0 => bail!("there is no job in it: write one per line"),
        1..=BATCH_LINES_MAX => Ok(lines),
        count => bail!("it has {count} jobs: at most {BATCH_LINES_MAX} go into a file"),
    }
}

fn line(number: usize, bytes: &[u8], default: &str, again: bool) -> Result<Line, String> {
    let Value::Object(mut fields) = check::parse(bytes)? else {
        return Err("it must be a JSON object, with `type` and `body`".to_owned());
    };
    let route = text(&mut fields, "type")?
        .ok_or("`type` is missing: it must be the path of a request that makes a job")?;
    let own = text(&mut fields, "key")?;
    let body = fields
        .remove("body")
        .ok_or("`body` is missing: it must be what is posted to the path in `type`")?;
    if let Some(name) = fields.keys().next() {
        return Err(format!(
            "`{name}` is unknown: a line has `type`, `body` and maybe `key`"
        ));
    }
    let key = own.filter(|_| !again).unwrap_or_else(|| default.to_owned());
    check::request(&route, &key, &body)?;
    Ok(Line {
        number,
        route,
        key,
        body: body.to_string(),
    })
}

fn text(fields: &mut Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match fields.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{name}` must be a string")),
    }
}

/// Two digits for each byte.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
