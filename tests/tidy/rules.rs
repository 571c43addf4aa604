//! The rules; each returns what breaks it.

use super::code::{Code, name, words};

/// Lines of a file without its tests.
pub(super) const FILE_LINES_MAX: usize = 450;

/// Uses of modules that are not listed above a file's own.
pub(super) fn module_order(order: &[String], module: &str, path: &str, code: &Code) -> Vec<String> {
    let place = |wanted: &str| order.iter().position(|name| name == wanted);
    let own = place(module);
    let mut problems = Vec::new();
    for used in used_modules(code) {
        match place(&used) {
            _ if used == module => {}
            Some(place) if own.is_some_and(|own| place < own) => {}
            Some(_) => problems.push(format!(
                "{path}: {module} uses {used}, which is listed below it"
            )),
            None => problems.push(format!("{path}: there is no module {used}")),
        }
    }
    problems
}

/// First names after `crate::`, those of a group one by one.
fn used_modules(code: &Code) -> Vec<String> {
    let mut used = Vec::new();
    for range in code.words("crate") {
        let rest = code.text()[range.end..].trim_start();
        let Some(rest) = rest.strip_prefix("::").map(str::trim_start) else {
            continue;
        };
        let mut starts = Vec::new();
        if rest.starts_with('{') {
            let mut depth = 0;
            for (at, letter) in rest.char_indices() {
                match letter {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                if depth == 1 && (letter == '{' || letter == ',') && (at == 0 || letter == ',') {
                    starts.push(&rest[at + 1..]);
                }
            }
        } else {
            starts.push(rest);
        }
        used.extend(
            starts
                .into_iter()
                .filter_map(name)
                .map(|(name, _)| name.to_owned()),
        );
    }
    used
}

/// Chains of `super::` that climb out of a module of `shared`, where the order could be bypassed.
pub(super) fn reach(path: &str, code: &Code) -> Vec<String> {
    let inside = path.trim_start_matches("shared/src/");
    let text = code.text();
    let inline =
        usize::from(text.contains("mod ") && code.modules().len() < code.words("mod").len());
    let depth = inside.matches('/').count() + inline;
    let chain = ["super"].repeat(depth + 1).join("::") + "::";
    match text.contains(&chain) {
        true => vec![format!(
            "{path}: `{chain}` leaves the module; write crate::"
        )],
        false => Vec::new(),
    }
}

/// Words of input, output and clocks.
pub(super) fn pure(path: &str, code: &Code) -> Vec<String> {
    let mut problems = Vec::new();
    for word in [
        "async",
        "await",
        "tokio",
        "Instant",
        "SystemTime",
        "fs",
        "net",
        "env",
    ] {
        if !code.words(word).is_empty() {
            problems.push(format!("{path}: `{word}` in a module that does no I/O"));
        }
    }
    problems
}

/// More lines than one idea needs.
pub(super) fn length(path: &str, code: &Code) -> Vec<String> {
    let lines = code.without_tests().lines();
    match lines > FILE_LINES_MAX {
        true => vec![format!("{path}: {lines} lines, at most {FILE_LINES_MAX}")],
        false => Vec::new(),
    }
}

/// Names that say nothing.
pub(super) fn names(path: &str) -> Vec<String> {
    let banned = [
        "utils", "util", "helpers", "helper", "common", "misc", "manager",
    ];
    let parts = path.trim_end_matches(".rs").split(['/', '_', '-']);
    let found = parts.filter(|part| banned.contains(part));
    found
        .map(|part| format!("{path}: {part} is no name for an idea"))
        .collect()
}

/// Words that mislead, and leftovers.
pub(super) fn banned_words(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut found = |line: usize, word: &str| {
        problems.push(format!("{path}:{}: {word}", line + 1));
    };
    // Written apart, so that this file obeys.
    let leftovers = [
        concat!("to", "do!"),
        concat!("db", "g!"),
        concat!("#[ig", "nore"),
        concat!("#[al", "low("),
        concat!("#![al", "low("),
    ];
    let own = path.starts_with("tests/tidy") || path.starts_with("worker/src/status_aggregator");
    for (number, line) in text.lines().enumerate() {
        for word in leftovers.iter().filter(|word| line.contains(*word)) {
            found(number, word);
        }
        let lower = line.to_lowercase();
        if !own && !words(&lower, "aggregator").is_empty() && !lower.contains("status") {
            found(number, "aggregator without status");
        }
        if !words(line, concat!("ep", "och")).is_empty() {
            found(number, "say iteration");
        }
    }
    problems
}

/// Columns of tables that neither a comment on their line nor `COMMENT ON COLUMN` explains.
pub(super) fn uncommented_columns(path: &str, sql: &str) -> Vec<String> {
    let constraints = [
        "CHECK",
        "CONSTRAINT",
        "FOREIGN",
        "PRIMARY",
        "REFERENCES",
        "UNIQUE",
    ];
    let mut table = None;
    let mut problems = Vec::new();
    let mut look = |table: &str, column: &str, line: &str| {
        let explained = format!("COMMENT ON COLUMN {table}.{column} IS");
        if !line.contains("--") && !sql.contains(&explained) {
            problems.push(format!("{path}: column {table}.{column} has no comment"));
        }
    };
    for line in sql.lines() {
        if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
            table = name(rest).map(|(name, _)| name.to_owned());
            continue;
        }
        if let Some((changed, added)) = line
            .strip_prefix("ALTER TABLE ")
            .and_then(|rest| rest.split_once(" ADD COLUMN "))
            && let Some((column, _)) = name(added)
        {
            look(changed, column, line);
        }
        if line.starts_with(')') {
            table = None;
        }
        let (Some(table), Some((column, _))) = (&table, name(line)) else {
            continue;
        };
        if !constraints.contains(&column) {
            look(table, column, line);
        }
    }
    problems
}
