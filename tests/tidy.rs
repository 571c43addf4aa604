//! The rules that the compiler does not check, each with a proof that it can be broken.

mod code;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use code::Code;
use rules::{
    FILE_LINES_MAX, banned_words, length, module_order, names, pure, reach, uncommented_columns,
};

/// Folders with code of ours.
const FOLDERS: [&str; 6] = ["api", "deploy", "migrations", "shared", "tests", "worker"];
/// Where the outside world begins in `shared/src/lib.rs`.
const FIRST_DOOR: &str = "tls";

/// Every file under the root with one of these endings: its path from there, and its text.
fn files(endings: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(|name| root.join(name)).collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root).expect("below").to_str();
            let name = name.expect("UTF-8").to_owned();
            if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push((name, fs::read_to_string(path).expect("readable")));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "nothing to check");
    found
}

/// The modules of `shared`, in their order, and those that exist for tests alone.
fn modules() -> (Vec<String>, Vec<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("shared/src/lib.rs");
    let lib = Code::read(&fs::read_to_string(path).expect("readable"));
    let all = lib.modules();
    let kept = lib.without_tests().modules();
    let tests = all.into_iter().filter(|name| !kept.contains(name));
    (kept.clone(), tests.collect())
}

/// The module of `shared` that a file belongs to.
fn module_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("shared/src/")?.strip_suffix(".rs")?;
    inside.split('/').next().filter(|name| *name != "lib")
}

/// Whether a file is there for tests alone.
fn is_test(path: &str, test_modules: &[String]) -> bool {
    path.starts_with("tests/")
        || path.contains("/tests/")
        || path.ends_with("/tests.rs")
        || module_of(path).is_some_and(|module| test_modules.iter().any(|test| test == module))
}

#[test]
fn a_module_uses_only_modules_listed_above_it() {
    let (order, test_modules) = modules();
    assert!(order.len() > 10, "{order:?}");
    let mut problems = Vec::new();
    for (path, text) in files(&[".rs"]) {
        let Some(module) = module_of(&path).filter(|_| !is_test(&path, &test_modules)) else {
            continue;
        };
        let code = Code::read(&text).without_tests();
        problems.extend(module_order(&order, module, &path, &code));
        problems.extend(reach(&path, &code));
        let door = order.iter().position(|name| name == FIRST_DOOR);
        if order.iter().position(|name| name == module) < door {
            problems.extend(pure(&path, &code));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_file_holds_one_idea() {
    let (_, test_modules) = modules();
    let mut problems = Vec::new();
    for (path, text) in files(&[".rs"]) {
        problems.extend(names(&path));
        if !is_test(&path, &test_modules) {
            problems.extend(length(&path, &Code::read(&text)));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn no_banned_word_is_anywhere() {
    let mut problems = Vec::new();
    for (path, text) in files(&[".rs", ".sql", ".html", ".js", ".css", ".toml"]) {
        problems.extend(banned_words(&path, &text));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_column_is_explained() {
    let mut problems = Vec::new();
    for (path, text) in files(&["up.sql"]) {
        assert!(text.contains("TABLE"), "{path}");
        problems.extend(uncommented_columns(&path, &text));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

// --- each rule can be broken

fn order() -> Vec<String> {
    ["low", "middle", "high"].map(String::from).to_vec()
}

/// What the order of modules finds in a file of the module in the middle.
fn in_the_middle(text: &str) -> Vec<String> {
    let code = Code::read(text).without_tests();
    module_order(&order(), "middle", "middle.rs", &code)
}

#[test]
fn a_use_of_a_higher_module_is_found() {
    for text in [
        "use crate::high::Thing;",
        "use crate::{low::Thing, high};",
        "use crate::{\n    low::{A, B},\n    high::C,\n};",
        "fn f() -> crate :: high::Thing { todo() }",
        "macro_rules! m { () => { $crate::high::f() } }",
        "use crate::unknown::Thing;",
        "const QUOTE: char = '\"'; use crate::high::Thing; const END: char = '\"';",
        "#[cfg(test)]\nmod tests;\nuse crate::high::Thing;",
        "#[cfg(test)] fn f() { g(\"}\") }\nuse crate::high::Thing;",
        "fn f<'a>(text: &'a str) -> &'a str { crate::high::g(text) }",
    ] {
        assert_eq!(in_the_middle(text).len(), 1, "{text}");
    }
    assert_eq!(in_the_middle("use crate::{high::A, high::B};").len(), 2);
}

#[test]
fn a_use_of_a_lower_module_or_of_tests_is_no_problem() {
    for text in [
        "use crate::low::Thing;",
        "use crate::middle::part::Thing; pub(crate) fn f() {}",
        "use crate::{low::{high, A}, middle};",
        "//! Like [`crate::high`].\n/* crate::high::f() /* nested */ crate::high */",
        "const TEXT: &str = \"crate::high\"; const RAW: &str = r#\"\"crate::high\"#;",
        "#[cfg(test)]\nmod tests {\n    use crate::high::Thing;\n    fn f() { {} }\n}",
        "fn f() { #[cfg(test)] if crate::high::is_off() { return; } }",
        "#[cfg(test)]\n#[derive(Clone)]\nstruct A(crate::high::Thing);",
        "use superb_crate::high::Thing;",
    ] {
        assert_eq!(in_the_middle(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_path_that_climbs_out_of_its_module_is_found() {
    let reach = |path: &str, text: &str| reach(path, &Code::read(text)).len();
    assert_eq!(reach("shared/src/job.rs", "use super::message::Event;"), 1);
    assert_eq!(
        reach("shared/src/store/row.rs", "use super::super::bus::Bus;"),
        1
    );
    assert_eq!(reach("shared/src/store/row.rs", "use super::Error;"), 0);
    assert_eq!(reach("shared/src/a/b/c.rs", "use super::super::Error;"), 0);
    assert_eq!(
        reach("shared/src/message.rs", "mod queue { use super::PartyId; }"),
        0
    );
}

#[test]
fn input_and_output_below_the_doors_are_found() {
    for text in [
        "async fn f() {}",
        "use tokio::sync::Notify;",
        "let text = std::fs::read(path);",
        "use std::net::TcpStream;",
        "use std::{fs, io};",
        "let now = Instant::now();",
        "let now = SystemTime::now();",
    ] {
        assert_eq!(pure("x.rs", &Code::read(text)).len(), 1, "{text}");
    }
    let fine = "// async, tokio\nfn asynchronous(offset: usize) { std::mem::drop(offset) }";
    assert!(pure("x.rs", &Code::read(fine)).is_empty());
}

#[test]
fn a_long_file_is_found_and_its_tests_do_not_count() {
    let long = "fn f() {}\n".repeat(FILE_LINES_MAX + 1);
    assert_eq!(length("x.rs", &Code::read(&long)).len(), 1);
    let short = "fn f() {}\n".repeat(FILE_LINES_MAX);
    assert!(length("x.rs", &Code::read(&short)).is_empty());
    let tested = format!("{short}#[cfg(test)]\nmod tests {{\n{short}}}\n");
    assert!(length("x.rs", &Code::read(&tested)).is_empty());
}

#[test]
fn a_file_for_everything_is_found() {
    for name in [
        "utils",
        "helpers",
        "common",
        "misc",
        "manager",
        "job_manager",
    ] {
        assert_eq!(names(&format!("shared/src/{name}.rs")).len(), 1, "{name}");
        assert_eq!(
            names(&format!("shared/src/{name}/part.rs")).len(),
            1,
            "{name}"
        );
    }
    assert!(names("shared/src/commoner.rs").is_empty());
}

#[test]
fn a_banned_word_is_found() {
    for text in [
        "the aggregator adds",
        "let aggregator = 1;",
        concat!("to", "do!()"),
        concat!("db", "g!(x)"),
        concat!("#[ig", "nore]"),
        concat!("#[ig", "nore = \"slow\"]"),
        concat!("#[al", "low(dead_code)]"),
        concat!("#![al", "low(dead_code)]"),
        concat!("each ep", "och"),
    ] {
        assert_eq!(banned_words("x.rs", text).len(), 1, "{text}");
    }
    for text in [
        "the status aggregator folds",
        "status_aggregator::run(AGGREGATOR_PREFETCH)",
        "#[expect(dead_code, reason = \"\")]",
        "SystemTime::UNIX_EPOCH",
    ] {
        assert!(banned_words("x.rs", text).is_empty(), "{text}");
    }
}

#[test]
fn a_column_without_a_comment_is_found() {
    let table = "CREATE TABLE t (\n    id BIGINT NOT NULL, -- its name\n    n TEXT NOT NULL,\n    \
                 CHECK (n != ''),\n    FOREIGN KEY (id) REFERENCES u (id)\n);\nCREATE INDEX i ON t (n);\n";
    let problems = uncommented_columns("up.sql", table);
    assert_eq!(problems, ["up.sql: column t.n has no comment"]);
    let added = "ALTER TABLE t ADD COLUMN n TEXT;";
    let problems = uncommented_columns("up.sql", added);
    assert_eq!(problems, ["up.sql: column t.n has no comment"]);
    let explained = format!("{added}\nCOMMENT ON COLUMN t.n IS 'what it is';");
    assert!(uncommented_columns("up.sql", &explained).is_empty());
}
