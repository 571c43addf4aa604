//! Hostile and legitimate statements at the door of every source, and what of them a server hears.

use super::wire::Wire;
use super::*;
use crate::query::SqlError;
use crate::query::tests::refused::REFUSED;

/// Attempts at a relation that the role may read and nobody asked for.
const AT_THE_CANARY: &[&str] = &[
    "select * from data.blood union select * from data.canary",
    "select * from data.blood union all select unique_id, C6, C8, 1, 'x', 'y' from data.canary",
    "select * from data.blood except select * from data.canary",
    "select * from data.blood, data.canary",
    "select * from data.blood join data.canary on true",
    "select * from data.blood natural join data.canary",
    "select * from data.blood cross join lateral (select * from data.canary) x",
    "select * from (select * from data.canary) x",
    "select * from select * from select * from data.canary",
    "select (select C6 from data.canary) from data.blood",
    "select * from data.blood where C6 in (select C6 from data.canary)",
    "select * from data.blood where C6 = (select max(C6) from data.canary)",
    "select * from data.blood where exists (select 1 from data.canary where C6 > 1)",
    "select * from data.blood where C6 > any (select C6 from data.canary)",
    "select * from data.blood where (select count(*) from data.canary) > 5",
    "with x as (select * from data.canary) select * from x",
    "select * from data.blood; select * from data.canary",
    "select * from data.blood where note = 'a'; select * from data.canary; --'",
    "select * from data.blood where note = '\\'; select * from data.canary; --'",
    "select * from data.blood where note = E'\\'; select * from data.canary; --'",
    "select * from data.blood where note = 'a' or 1 = (select 1 from data.canary)",
    "select * from data.blood where query_to_xml('select * from data.canary', true, true, '') is null",
    "select ts_stat('select C6 from data.canary') from data.blood",
    "select * from data.blood order by (select C6 from data.canary limit 1)",
    "select * from data.blood limit (select count(*) from data.canary)",
    "select case when exists (select 1 from data.canary) then 1 end from data.blood",
    "select * from \"data\".\"blood\"\"; select * from data.canary; --\"",
    "select * from \"data.canary\"",
    "select * from \"data/canary\"",
    "select * from \"../data/canary\"",
    "select * into x from data.canary",
    "copy data.canary to stdout",
    "table data.canary",
    "explain analyze select * from data.canary",
    "select * from only data.canary",
    "select data.canary.C6 from data.blood",
    "select * from data.blood where canary.C6 = 1",
    "select * from data.blood /* , data.canary */",
    "select * from data.blood -- union select * from data.canary",
    "select * from data.blood x, data.canary y where x.C6 = y.C6",
];

/// Beside [`SUITE`]: statements on [`BLOOD`], with the ids that each one selects.
const LEGITIMATE: &[(&str, &[&str])] = &[
    (
        "select * from \"data\".\"Blood\"",
        &["1", "2", "10", "3", "A7", "5"],
    ),
    ("select*from data.blood", &["1", "2", "10", "3", "A7", "5"]),
    ("select * from data.blood where unique_id = 1", &["1"]),
    ("select * from data.blood where unique_id = '1'", &["1"]),
    ("select * from data.blood where unique_id = 'A7'", &["A7"]),
    (
        "select * from data.blood where unique_id <> 'A7'",
        &["1", "2", "10", "3", "5"],
    ),
    ("select * from data.blood where C6 = 0.50", &["1"]),
    ("select * from data.blood where C6 = '.5'", &["1"]),
    ("select * from data.blood where C6 in (0.5, 7)", &["1", "5"]),
    (
        "select * from data.blood where C6 not in (0.5, 7)",
        &["2", "3", "A7"],
    ),
    (
        "select * from data.blood where C6 between -2 and 0.25",
        &["2", "A7"],
    ),
    ("select * from data.blood where not (C6 < 1)", &["3", "5"]),
    (
        "select * from data.blood where C6 >= -2 and C6 <= 0.5 or unique_id = 5",
        &["1", "2", "A7", "5"],
    ),
    (
        "select * from data.blood where (C6 >= 1 or C8 >= 3) and diagnosis is not null",
        &["10", "3"],
    ),
    (
        "select * from data.blood where city = '苏州' and diagnosis = 38",
        &["1", "10"],
    ),
    (
        "select * from data.blood where city <> '苏州'",
        &["2", "3", "5"],
    ),
    ("select * from data.blood where city is null", &["A7"]),
    (
        "select * from data.blood where city is not null and note is not null",
        &["1", "2", "5"],
    ),
    (
        "select * from data.blood where city like '苏%'",
        &["1", "10"],
    ),
    (
        "select * from data.blood where city not like '苏%'",
        &["2", "3", "5"],
    ),
    ("select * from data.blood where note like '_'", &["1", "A7"]),
    ("select * from data.blood where note like 'x_y'", &["5"]),
    ("select * from data.blood where note = 'b, \"c\"'", &["2"]),
    ("select * from data.blood where diagnosis = true", &[]),
    (
        "select * from data.blood where C8 > 1e0 and C8 < 3.5e0",
        &["2", "10"],
    ),
    ("select * from data.blood where C8 is null", &["3"]),
    (
        "select unique_id, \"C6\", \"C8\" from data.blood where \"C8\" <= 1",
        &["1", "A7"],
    ),
    // Words that would be terrible anywhere but in a literal; what is no number compares as text.
    (
        "select * from data.blood where note = '''; drop table data.canary; --'",
        &[],
    ),
    (
        "select * from data.blood where note = '\" or 1=1; select * from data.canary'",
        &[],
    ),
    (
        "select * from data.blood where city in ('canary', ' union select * from data.canary')",
        &[],
    ),
    (
        "select * from data.blood where note like '%select * from data.canary'",
        &[],
    ),
    (
        "select * from data.blood where C6 > '1; drop table data.canary'",
        &["5"],
    ),
    (
        "select * from data.blood where C6 between '0) or (1=1' and '9; select 1'",
        &["1", "2", "3", "5"],
    ),
];

/// What would be a requester's word in a statement or a value of ours. `C6` and `blood` are names
/// that the database has.
const WORDS: &[&str] = &[
    "canary", "drop", "union", "pg_sleep", "evil", "1=1", "苏州", "--", "/*", "into", "insert",
    "delete", "copy", "lateral", "with ", "$$", "\\",
];

/// A requester's text at the door of a source.
fn ask(source: &Source, sql: &str) -> Result<Result<Vec<String>, Error>, SqlError> {
    let query = parse(sql)?;
    let needed = Needed {
        unique_id: "unique_id".into(),
        attributes: Vec::new(),
        label: None,
    };
    let rows = read_within(source, &query, &needed, (1000, soon()));
    Ok(rows.map(|rows| match Table::for_training(rows) {
        Ok((table, _)) => texts(&table.ids),
        Err(_) => Vec::new(),
    }))
}

/// Puts a relation beside [`BLOOD`] that every source could read.
fn add_canary(homes: &Homes) {
    let text = "unique_id,C6,C8\ncanary,1,2\n";
    fs::write(homes.folder.path().join("data/canary.csv"), text).unwrap();
    for file in ["text.db", "typed.db"] {
        let script =
            "create table canary (unique_id, C6, C8); insert into canary values ('canary', 1, 2);";
        let file = Connection::open(homes.folder.path().join(file)).unwrap();
        file.execute_batch(script).unwrap();
    }
    let script = "CREATE TABLE \"Data\".canary (unique_id text, \"C6\" int, \"C8\" int);
        INSERT INTO \"Data\".canary VALUES ('canary', 1, 2)";
    homes.runtime.block_on(homes.scratch.execute(script));
}

/// All sources; the database's is last, and heard by a wire.
fn with_sources(test: impl FnOnce(&[(&'static str, Source)], &Wire)) {
    with_homes(|homes| {
        add_canary(homes);
        let (_, place) = homes.scratch.url.split_once('@').unwrap();
        let (server, _) = place.split_once('/').unwrap();
        let wire = Wire::before(server);
        let place = place.replace(server, wire.address());
        let role = homes.scratch.reader_name();
        let password = format!("ALTER ROLE {role} PASSWORD 'wire'");
        homes.runtime.block_on(homes.scratch.execute(&password));
        // In the open, so that the wire understands it.
        let url = format!("postgres://{role}:wire@{place}?sslmode=disable");
        let database = Source::parse("env:URL", homes.folder.path(), &|_| Some(url.clone()));
        let mut sources = homes.sources.clone();
        sources.pop();
        sources.push(("postgres", database.unwrap()));
        test(&sources, &wire);
    });
}

#[test]
fn no_hostile_statement_passes_the_door_of_any_source() {
    with_sources(|sources, wire| {
        let refused = REFUSED.iter().flat_map(|(_, statements)| *statements);
        let refused: Vec<&&str> = refused.chain(AT_THE_CANARY).collect();
        assert!(refused.len() >= 150, "{}", refused.len());
        for (name, source) in sources {
            for sql in &refused {
                assert!(ask(source, sql).is_err(), "{name} {sql}");
            }
            // Only if it is named by itself, and then it is the policy that stands before.
            let canary = ask(source, "select * from data.canary").unwrap();
            assert_eq!(canary.unwrap(), ["canary"], "{name} has no canary");
        }
        let said = wire.said().statements;
        let asked = |said: &&String| said.contains("\"canary\"");
        // A count and the rows: the wire does hear what is asked.
        assert_eq!(said.iter().filter(asked).count(), 2, "{said:#?}");
    });
}

#[test]
fn every_legitimate_statement_reads_the_same_rows_everywhere() {
    with_sources(|sources, _| {
        let all: Vec<_> = SUITE.iter().chain(LEGITIMATE).collect();
        assert!(all.len() >= 40, "{}", all.len());
        for (sql, expected) in all {
            for (name, source) in sources {
                let ids = ask(source, sql).unwrap_or_else(|error| panic!("{name} {sql}: {error}"));
                let ids = ids.unwrap_or_else(|error| panic!("{name} {sql}: {error}"));
                assert_eq!(ids, sorted(expected), "{name} {sql}");
            }
        }
    });
}

/// A statement without its quoted names.
fn without_names(statement: &str) -> String {
    let parts = statement.split('"').enumerate();
    parts
        .filter(|(number, _)| number % 2 == 0)
        .map(|(_, part)| part)
        .collect()
}

/// What one of our own statements may consist of, beside quoted names and numbered parameters.
const OWN_WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "AND",
    "OR",
    "NULLIF",
    "IS",
    "DISTINCT",
    "NULL",
    "false",
    "=",
    "<=",
    ">=",
    "pg_catalog.count",
    "*",
    "::pg_catalog.int8",
    "::pg_catalog.int4::pg_catalog.int8",
    "::pg_catalog.float8",
    "::pg_catalog.text",
    "::pg_catalog.numeric",
    "'-Infinity'::pg_catalog.float8",
    "'-Infinity'",
    ".",
];

#[test]
fn a_server_hears_our_own_words_quoted_names_and_parameters() {
    with_sources(|sources, wire| {
        let (_, database) = sources.last().unwrap();
        for (sql, _) in SUITE.iter().chain(LEGITIMATE) {
            ask(database, sql).unwrap().unwrap();
        }
        for sql in REFUSED
            .iter()
            .flat_map(|(_, all)| *all)
            .chain(AT_THE_CANARY)
        {
            ask(database, sql).unwrap_err();
        }
        let said = wire.said();
        let (own, fixed): (Vec<_>, Vec<_>) = said
            .statements
            .iter()
            .partition(|said| said.starts_with("SELECT "));
        // The rest is the same every time: a beginning, the role, the catalogue.
        let fixed: std::collections::BTreeSet<String> = fixed
            .iter()
            .map(|text| {
                text.chars()
                    .filter(|letter| !letter.is_ascii_digit())
                    .collect()
            })
            .collect();
        assert!((2..=5).contains(&fixed.len()), "{fixed:#?}");
        assert!(own.len() >= 2 * 40, "{}", own.len());
        for statement in own {
            let text = without_names(statement);
            let words = text
                .split([' ', ',', '(', ')'])
                .filter(|word| !word.is_empty());
            for word in words {
                let word = match word.strip_prefix('$') {
                    Some(rest) => rest.trim_start_matches(|letter: char| letter.is_ascii_digit()),
                    None => word,
                };
                assert!(
                    word.is_empty() || OWN_WORDS.contains(&word),
                    "{word}: {statement}"
                );
            }
        }
        for word in WORDS {
            let is_in =
                |text: &String| text.starts_with("SELECT ") && text.to_lowercase().contains(word);
            assert!(!said.statements.iter().any(is_in), "{word}");
            let is_in = |value: &Vec<u8>| String::from_utf8_lossy(value).contains(word);
            assert!(!said.values.iter().any(is_in), "{word}");
        }
        assert!(said.values.len() > 20, "nothing was narrowed");
    });
}
