//! Reads configuration files.

use serde::Deserialize;

/// Reads a configuration's text. Its errors name a line, its field and a rule, and never quote the
/// line, which may hold a secret in the wrong place.
///
/// # Errors
/// When the text is no TOML, or has other fields than asked for.
pub(crate) fn parse<T: for<'de> Deserialize<'de>>(text: &str) -> anyhow::Result<T> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = 1 + text
            .bytes()
            .take(start)
            .filter(|byte| *byte == b'\n')
            .count();
        let field = text
            .lines()
            .nth(line - 1)
            .and_then(field)
            .unwrap_or_default();
        anyhow::anyhow!("line {line}: {field}{}", error.message())
    })
}

/// The name before the `=` of a line, as an error begins with it.
fn field(line: &str) -> Option<String> {
    let (name, _) = line.split_once('=')?;
    let name = name.trim();
    let is_name = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then(|| format!("{name}: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_line_and_quotes_nothing() {
        for text in [
            "a = 1\nsource = postgres://u:hunter2@h/d\n",
            "a = 1\nb = \"hunter2\"\n",
        ] {
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            struct File {
                #[serde(rename = "a")]
                _a: u8,
            }
            let error = parse::<File>(text).err().expect("it is refused");
            let said = format!("{error:#}");
            assert!(said.starts_with("line 2: source: ") || said.starts_with("line 2: b: "));
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
