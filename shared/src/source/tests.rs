mod hostile;
mod wire;

use std::fs;
use std::time::Instant;

use rusqlite::Connection;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::scratch::Scratch;
use super::*;
use crate::query::parse;
use crate::table::Ids;

fn needed() -> Needed {
    Needed {
        unique_id: "unique_id".into(),
        attributes: vec!["C6".into(), "C8".into()],
        label: Some("diagnosis".into()),
    }
}

fn label() -> Label {
    Label {
        column: "diagnosis".into(),
        value: "38".into(),
    }
}

/// One relation as CSV text, and as the cells of each row.
const BLOOD: &str = "\
unique_id,C6,C8,diagnosis,city,note
1,0.5,1,38,苏州,a
2,0.25,2,0,杭州,\"b, \"\"c\"\"\"
10,,3,38,苏州,
3,1.5,NULL,0,西安,na
A7,-2,4e-1,38,,%
5,7,8,,上海,x_y
";

/// Queries on [`BLOOD`] and the ids that each one selects, in the relation's order.
const SUITE: &[(&str, &[&str])] = &[
    (
        "select * from data.blood",
        &["1", "2", "10", "3", "A7", "5"],
    ),
    (
        "select * from DATA.Blood;",
        &["1", "2", "10", "3", "A7", "5"],
    ),
    (
        "SELECT * FROM select * from data.blood;",
        &["1", "2", "10", "3", "A7", "5"],
    ),
    (
        "select unique_id, c6, c8 from data.blood",
        &["1", "2", "10", "3", "A7", "5"],
    ),
    (
        "select * from data.blood where diagnosis = 38",
        &["1", "10", "A7"],
    ),
    (
        "select * from data.blood where diagnosis = '38.0'",
        &["1", "10", "A7"],
    ),
    (
        "select * from data.blood where diagnosis <> 38",
        &["2", "3"],
    ),
    (
        "select * from data.blood where not diagnosis = 38",
        &["2", "3"],
    ),
    ("select * from data.blood where diagnosis is null", &["5"]),
    (
        "select * from data.blood where diagnosis is not null and C6 is null",
        &["10"],
    ),
    ("select * from data.blood where C6 > 0.25", &["1", "3", "5"]),
    (
        "select * from data.blood where c6 >= 0.25",
        &["1", "2", "3", "5"],
    ),
    ("select * from data.blood where C6 < 0", &["A7"]),
    (
        "select * from data.blood where C8 between 0.4 and 2",
        &["1", "2", "A7"],
    ),
    (
        "select * from data.blood where C8 not between 0.4 and 2",
        &["10", "5"],
    ),
    ("select * from data.blood where C8 = 0.4", &["A7"]),
    (
        "select * from data.blood where unique_id > 2",
        &["10", "3", "A7", "5"],
    ),
    (
        "select * from data.blood where unique_id > '2'",
        &["10", "3", "A7", "5"],
    ),
    (
        "select * from data.blood where unique_id in (10, 'A7', 99)",
        &["10", "A7"],
    ),
    (
        "select * from data.blood where city in ('苏州', '上海')",
        &["1", "10", "5"],
    ),
    (
        "select * from data.blood where city not in ('苏州')",
        &["2", "3", "5"],
    ),
    (
        "select * from data.blood where city like '_州'",
        &["1", "2", "10"],
    ),
    ("select * from data.blood where note like '%\"c\"'", &["2"]),
    ("select * from data.blood where note = '%'", &["A7"]),
    ("select * from data.blood where NOTE is null", &["10", "3"]),
    (
        "select * from data.blood where city = 'x' or note = 'a'",
        &["1"],
    ),
    (
        "select * from data.blood where not (city = '苏州' and C6 = 1)",
        &["1", "2", "3", "A7", "5"],
    ),
    (
        "select * from data.blood where diagnosis = false",
        &["2", "3"],
    ),
    ("select * from data.blood where city = 'nowhere'", &[]),
];

/// The source of this text; nothing stands elsewhere.
fn source(text: &str, base: &Path) -> Source {
    Source::parse(text, base, &|_| None).unwrap()
}

/// The same rows in every kind of source: a folder with `data/blood.csv`, and databases that have
/// them as text and others that have them as integers and floats where they are such.
struct Homes {
    folder: TempDir,
    scratch: Scratch,
    runtime: Runtime,
    sources: Vec<(&'static str, Source)>,
}

const COLUMNS: [&str; 6] = ["unique_id", "C6", "C8", "diagnosis", "city", "note"];

/// Runs a test on all sources, within a runtime.
fn with_homes(test: impl FnOnce(&Homes)) {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/blood.csv"), BLOOD).unwrap();
    let mut reader = ::csv::Reader::from_reader(BLOOD.as_bytes());
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    for (file, kind) in [("text.db", "text"), ("typed.db", "numeric")] {
        fill_sqlite(&folder.path().join(file), kind, &rows);
    }
    let runtime = Runtime::new().unwrap();
    let (scratch, url) = runtime.block_on(async {
        let scratch = Scratch::new().await;
        let typed = ["text", "float8", "numeric", "int4", "varchar(9)", "char(9)"];
        scratch
            .execute(&postgres_script("Data", ["text"; 6], &rows))
            .await;
        scratch
            .execute(&postgres_script("typed", typed, &rows))
            .await;
        let url = scratch.reader().await;
        (scratch, url)
    });
    let names = ["csv:.", "sqlite:text.db", "sqlite:typed.db"];
    let mut sources: Vec<_> = names.map(|text| (text, source(text, folder.path()))).into();
    let database = Source::parse("env:URL", folder.path(), &|_| Some(url.clone()));
    sources.push(("postgres", database.unwrap()));
    let homes = Homes {
        folder,
        scratch,
        runtime,
        sources,
    };
    let inside = homes.runtime.enter();
    test(&homes);
    drop(inside);
    homes.runtime.block_on(homes.scratch.remove());
}

fn fill_sqlite(file: &Path, kind: &str, rows: &[::csv::StringRecord]) {
    let connection = Connection::open(file).unwrap();
    let columns = COLUMNS.map(|name| format!("\"{name}\" {kind}")).join(", ");
    connection
        .execute(&format!("create table Blood ({columns})"), [])
        .unwrap();
    for row in rows {
        let cells: Vec<_> = row
            .iter()
            .map(|cell| (!cell.is_empty()).then_some(cell))
            .collect();
        let insert = "insert into Blood values (?, ?, ?, ?, ?, ?)";
        connection
            .execute(insert, rusqlite::params_from_iter(cells))
            .unwrap();
    }
}

fn postgres_script(schema: &str, kinds: [&str; 6], rows: &[::csv::StringRecord]) -> String {
    let columns = COLUMNS.iter().zip(kinds);
    let columns: Vec<_> = columns
        .map(|(name, kind)| format!("\"{name}\" {kind}"))
        .collect();
    let cell = |cell: &str| match cell {
        "" | "NULL" => "NULL".to_owned(),
        text => format!("'{}'", text.replace('\'', "''")),
    };
    let row = |row: &::csv::StringRecord| {
        format!("({})", row.iter().map(cell).collect::<Vec<_>>().join(", "))
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    format!(
        "CREATE SCHEMA \"{schema}\"; CREATE TABLE \"{schema}\".\"Blood\" ({});
         INSERT INTO \"{schema}\".\"Blood\" VALUES {}",
        columns.join(", "),
        rows.join(", ")
    )
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Reads at most `rows_max` rows until a moment; the query decides where no label column does.
fn read_within(
    source: &Source,
    query: &Query,
    needed: &Needed,
    (rows_max, until): (usize, Instant),
) -> Result<Rows, Error> {
    let label = label();
    let classes = match needed.label {
        Some(_) => Classes::Label {
            label: &label,
            otherwise: Some(true),
        },
        None => Classes::Unneeded,
    };
    let wanted = Wanted {
        query,
        needed,
        classes,
        rows_max,
    };
    source.read(&[wanted], until)
}

/// What a training finds, which may be nothing.
#[derive(Default)]
struct Found {
    ids: Vec<String>,
    values: Vec<f64>,
    positive: Vec<bool>,
    missing: u64,
}

fn texts(ids: &Ids) -> Vec<String> {
    ids.iter().map(str::to_owned).collect()
}

fn read_columns(source: &Source, sql: &str, needed: &Needed) -> Result<Found, Error> {
    let rows = read_within(source, &parse(sql).unwrap(), needed, (1000, soon()))?;
    Ok(match Table::for_training(rows) {
        Ok((table, dropped)) => Found {
            ids: texts(&table.ids),
            values: table.values.into_iter().collect(),
            positive: table.positive,
            missing: dropped.missing,
        },
        Err(DataError::NoRows) => Found::default(),
        Err(error) => panic!("{error}"),
    })
}

fn read(source: &Source, sql: &str) -> Result<Found, Error> {
    read_columns(source, sql, &needed())
}

/// All rows that a query selects, whatever they lack.
fn read_ids(source: &Source, sql: &str) -> Result<Vec<String>, Error> {
    let needed = Needed {
        unique_id: "unique_id".into(),
        attributes: Vec::new(),
        label: None,
    };
    Ok(read_columns(source, sql, &needed)?.ids)
}

fn bits(found: &Found) -> Vec<u64> {
    found.values.iter().map(|value| value.to_bits()).collect()
}

fn sorted(ids: &[&str]) -> Vec<String> {
    let ids = ids.iter().map(|id| (Some(*id), Some(true)));
    let mut rows = Rows::new(0);
    ids.for_each(|(id, class)| rows.push(id, class, []).unwrap());
    Table::for_training(rows).map_or(Vec::new(), |(table, _)| texts(&table.ids))
}

#[test]
fn every_source_gives_the_same_rows_for_the_same_query() {
    with_homes(|homes| {
        for (sql, expected) in SUITE {
            let first =
                read(&homes.sources[0].1, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            for (name, source) in &homes.sources {
                let ids = read_ids(source, sql);
                let ids = ids.unwrap_or_else(|error| panic!("{name} {sql}: {error}"));
                assert_eq!(ids, sorted(expected), "{name} {sql}");
                let found = read(source, sql).unwrap();
                assert_eq!(found.ids, first.ids, "{name} {sql}");
                assert_eq!(found.positive, first.positive, "{name} {sql}");
                assert_eq!(found.missing, first.missing, "{name} {sql}");
                assert_eq!(bits(&found), bits(&first), "{name} {sql}");
            }
        }
    });
}

/// PostgreSQL knows a schema, and types: the suite over `typed` is the one over `data`.
#[test]
fn postgresql_gives_the_same_rows_for_columns_of_every_type() {
    with_homes(|homes| {
        let [.., (_, source)] = &homes.sources[..] else {
            panic!("there are sources")
        };
        for (sql, expected) in SUITE {
            let typed = sql
                .replace("data.blood", "typed.blood")
                .replace("DATA.", "Typed.");
            let ids = read_ids(source, &typed);
            let ids = ids.unwrap_or_else(|error| panic!("{typed}: {error}"));
            assert_eq!(ids, sorted(expected), "{typed}");
            let (found, first) = (read(source, &typed).unwrap(), read(source, sql).unwrap());
            assert_eq!(found.ids, first.ids, "{sql}");
            assert_eq!(found.positive, first.positive, "{sql}");
            assert_eq!(bits(&found), bits(&first), "{sql}");
        }
    });
}

#[test]
fn every_source_refuses_the_same_queries_for_the_same_reason() {
    let cases = [
        (
            "select * from data.nothing",
            ReasonCode::RelationUnknown,
            "data.nothing",
        ),
        (
            "select C6, C8 from data.blood",
            ReasonCode::ColumnUnknown,
            "unique_id",
        ),
        (
            "select x from data.blood",
            ReasonCode::ColumnUnknown,
            "\"x\"",
        ),
        (
            "select * from data.blood where x = 1",
            ReasonCode::ColumnUnknown,
            "\"x\"",
        ),
    ];
    with_homes(|homes| {
        let mut city = needed();
        city.attributes = vec!["city".into()];
        for (name, source) in &homes.sources {
            for (sql, code, word) in cases {
                let error = read(source, sql).err().unwrap();
                assert_eq!(error.code(), code, "{name} {sql}");
                assert!(error.to_string().contains(word), "{name} {error}");
            }
            let error = read_columns(source, "select * from data.blood", &city);
            let error = error.err().unwrap();
            assert_eq!(error.code(), ReasonCode::ColumnNotNumeric, "{name}");
            assert!(!error.to_string().contains("苏州"), "{error}");
        }
    });
}

#[test]
fn every_source_keeps_the_bounds_on_rows_and_time() {
    let query = parse("select * from data.blood").unwrap();
    with_homes(|homes| {
        for (name, source) in &homes.sources {
            let few = read_within(source, &query, &needed(), (5, soon()));
            let error = few.err().unwrap();
            assert_eq!(error.code(), ReasonCode::TooManyRows, "{name}");
            // SQLite looks at the clock after some work only: a test of its own.
            if !name.starts_with("sqlite") {
                let over = read_within(source, &query, &needed(), (1000, Instant::now()));
                let error = over.err().unwrap();
                assert!(matches!(error, Error::Slow { .. }), "{name} {error}");
            }
        }
    });
}

#[test]
fn a_query_that_no_parser_saw_is_refused() {
    let names = [
        "../secret",
        "..",
        "",
        "a/b",
        "a\\b",
        "a\0b",
        ".hidden",
        "blood\" --",
    ];
    with_homes(|homes| {
        fs::write(homes.folder.path().join("secret.csv"), BLOOD).unwrap();
        for name in names {
            for (_, source) in &homes.sources {
                for in_schema in [false, true] {
                    let mut query = parse("select * from data.blood").unwrap();
                    if in_schema {
                        query.relation.schema = Some(name.to_owned());
                    } else {
                        query.relation.name = name.to_owned();
                    }
                    let error = read_within(source, &query, &needed(), (1000, soon()));
                    let error = error.err().unwrap();
                    assert_eq!(error.code(), ReasonCode::RequestRefused, "{name}");
                }
            }
        }
    });
}

#[test]
fn a_cohort_becomes_a_training_table() {
    let all = parse("select * from data.blood").unwrap();
    let cohort = Cohort {
        pos: all.clone(),
        neg: all.clone(),
    };
    let split = Cohort {
        pos: parse("select unique_id, C6, C8 from data.blood where diagnosis = 38").unwrap(),
        neg: parse("select unique_id, C6, C8 from data.blood where diagnosis = 0").unwrap(),
    };
    let (needed, label) = (needed(), label());
    with_homes(|homes| {
        for (name, source) in &homes.sources {
            homes.runtime.block_on(async {
                let read = source.training_table(&cohort, &needed, &label).await;
                let (table, dropped) = read.unwrap();
                assert_eq!(texts(&table.ids), ["1", "2", "A7"], "{name}");
                assert_eq!(table.positive, [true, false, true]);
                assert_eq!((dropped.missing, dropped.repeated), (3, 0));
                let read = source.training_table(&split, &needed, &label).await;
                let (same, dropped) = read.unwrap();
                assert!(same == table);
                assert_eq!((dropped.missing, dropped.repeated), (2, 0));
                let (scored, _) = source.inference_table(&all, &needed).await.unwrap();
                assert_eq!(texts(&scored.ids), ["1", "2", "5", "A7"]);
            });
        }
    });
}

#[tokio::test]
async fn a_reason_names_relation_and_column_and_no_cell() {
    let (_home, source) = folder(&[("blood.csv", BLOOD.as_bytes())]);
    let pos = parse("select unique_id, C6, C8 from blood").unwrap();
    let cohort = Cohort {
        neg: pos.clone(),
        pos,
    };
    let read = source.training_table(&cohort, &needed(), &label()).await;
    let reason = Reason::from(read.err().unwrap());
    assert_eq!(reason.code, ReasonCode::ColumnUnknown);
    let text = "relation blood: there is no column \"diagnosis\", \
                and `pos` and `neg` are the same query";
    assert_eq!(reason.text, text);
}

fn folder(files: &[(&str, &[u8])]) -> (TempDir, Source) {
    let home = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(home.path().join(name), text).unwrap();
    }
    let source = source("csv:.", home.path());
    (home, source)
}

#[test]
fn csv_may_have_a_byte_order_mark_windows_lines_and_padded_headers() {
    let text = b"\xef\xbb\xbf unique_id ,\"C6\" ,C8\r\n 1 ,\"0.5\" , 2 \r\n\r\n2,1,3";
    let (_home, source) = folder(&[("t.csv", text)]);
    let found = read(&source, "select * from t").unwrap();
    assert_eq!(found.ids, ["1", "2"]);
    assert_eq!(found.values, [0.5, 2.0, 1.0, 3.0]);
    assert_eq!(found.positive, [true, true]);
}

#[test]
fn a_malformed_csv_line_is_named() {
    let files: &[(&str, &[u8])] = &[
        ("short.csv", b"unique_id,C6,C8\n1,2,3\n4,5\n"),
        ("long.csv", b"unique_id,C6,C8\n1,2,3\n4,5,6,7\n"),
        ("bytes.csv", b"unique_id,C6,C8\n1,2,3\n\xcb\xd5,5,6\n"),
    ];
    let (_home, source) = folder(files);
    for name in ["short", "long", "bytes"] {
        let error = read(&source, &format!("select * from {name}"))
            .err()
            .unwrap();
        assert_eq!(error.code(), ReasonCode::DataError);
        assert!(matches!(error, Error::Line { line: 3, .. }), "{error}");
    }
}

#[test]
fn an_empty_or_ambiguous_header_is_an_error() {
    let files: &[(&str, &[u8])] = &[
        ("empty.csv", b""),
        ("twins.csv", b"unique_id,C6,C8, C6\n1,2,3,4\n"),
    ];
    let (_home, source) = folder(files);
    for (name, word) in [("empty", "unique_id"), ("twins", "C6")] {
        let error = read(&source, &format!("select * from {name}"))
            .err()
            .unwrap();
        assert_eq!(error.code(), ReasonCode::ColumnUnknown);
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn file_names_match_exactly_or_else_without_case() {
    let row = |id: u8| format!("unique_id,C6,C8\n{id},2,3\n").into_bytes();
    let (low, high, other) = (row(1), row(2), row(3));
    let (_home, source) = folder(&[("t.csv", &low), ("T.csv", &high), ("血液.CSV", &other)]);
    let id = |name: &str| {
        let found = read(&source, &format!("select * from {name}")).unwrap();
        found.ids[0].clone()
    };
    assert_eq!(
        (id("t"), id("T"), id("血液")),
        ("1".into(), "2".into(), "3".into())
    );
    let (_home, source) = folder(&[("Tab.csv", &low), ("tAb.csv", &high)]);
    let error = read(&source, "select * from tab").err().unwrap();
    assert!(matches!(error, Error::RelationAmbiguous { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_is_no_relation() {
    use std::os::unix::fs::symlink;
    let (outside, _) = folder(&[("secret.csv", BLOOD.as_bytes())]);
    let (home, source) = folder(&[("t.csv", BLOOD.as_bytes())]);
    symlink(
        outside.path().join("secret.csv"),
        home.path().join("link.csv"),
    )
    .unwrap();
    symlink(outside.path(), home.path().join("schema")).unwrap();
    symlink(home.path().join("t.csv"), home.path().join("inside.csv")).unwrap();
    fs::create_dir(home.path().join("folder.csv")).unwrap();
    for name in ["link", "schema.secret", "folder"] {
        let error = read(&source, &format!("select * from {name}"))
            .err()
            .unwrap();
        assert_eq!(error.code(), ReasonCode::RelationUnknown, "{name}");
    }
    assert!(read(&source, "select * from inside").is_ok());
}

fn database(script: &str) -> (TempDir, Source) {
    let home = TempDir::new().unwrap();
    let connection = Connection::open(home.path().join("d.db")).unwrap();
    connection.execute_batch(script).unwrap();
    let source = source("sqlite:d.db", home.path());
    (home, source)
}

#[test]
fn a_schema_is_only_a_word_for_sqlite() {
    let (_home, source) =
        database("create table Blood (unique_id, C6, C8); insert into Blood values (1, 2, 3);");
    for name in [
        "blood",
        "data.blood",
        "anything.blood",
        "main.blood",
        "temp.blood",
    ] {
        let found = read(&source, &format!("select * from {name}")).unwrap();
        assert_eq!(found.ids.len(), 1, "{name}");
    }
}

#[test]
fn sqlite_shows_views_of_columns_and_nothing_that_does_more() {
    let (_home, source) = database(
        "create table t (unique_id, C6, C8);
         insert into t values (1, 2, 3);
         create view plain as select unique_id, C6 as \"C6\", C8 from t where C6 = 2;
         create view calls as select unique_id, abs(C6) as C6, C8 from t;
         create view deep as with recursive n(i) as (select 1 union all select i + 1 from n)
             select i as unique_id, i as C6, i as C8 from n;",
    );
    assert_eq!(
        read(&source, "select * from plain").unwrap().values,
        [2.0, 3.0]
    );
    for name in ["calls", "deep"] {
        let error = read(&source, &format!("select * from {name}"))
            .err()
            .unwrap();
        assert!(
            matches!(error, Error::RelationRefused { .. }),
            "{name} {error}"
        );
    }
    for name in ["sqlite_schema", "sqlite_master", "pragma_table_info"] {
        let error = read(&source, &format!("select * from {name}"))
            .err()
            .unwrap();
        assert!(
            matches!(error, Error::RelationUnknown { .. }),
            "{name} {error}"
        );
    }
    let error = read(&source, "select unique_id, C6, C8, rowid from t")
        .err()
        .unwrap();
    assert_eq!(error.code(), ReasonCode::ColumnUnknown);
}

#[test]
fn sqlite_reading_ends_when_its_time_is_over() {
    let (_home, source) = database(
        "create table d (i); insert into d values (1),(2),(3),(4),(5),(6),(7),(8),(9),(0);
         create view t as select a.i as unique_id, b.i as C6, c.i as C8
             from d a, d b, d c, d d, d e, d f, d g, d h, d i, d j 
             where a.i + b.i + c.i + d.i + e.i + f.i + g.i + h.i + i.i + j.i < 0;",
    );
    let query = parse("select * from t").unwrap();
    let until = Instant::now() + Duration::from_millis(20);
    let error = read_within(&source, &query, &needed(), (1000, until));
    let error = error.err().unwrap();
    assert!(matches!(error, Error::Slow { .. }), "{error}");
}

#[test]
fn odd_names_in_a_sqlite_file_are_quoted() {
    let (_home, source) = database(
        "create table \"blood-1\" (unique_id, \"C6\", \"C8\", \"a\"\"; drop table x\", \"C5:1\");
         insert into \"blood-1\" values (1, 2, 3, 4, 5);",
    );
    let found = read(&source, "select * from \"blood-1\" where \"c5:1\" = 5").unwrap();
    assert_eq!(found.values, [2.0, 3.0]);
}

#[test]
fn sqlite_values_that_are_no_exact_number_name_their_column() {
    for (value, code) in [
        ("9007199254740993", ReasonCode::ValueRange),
        ("1e999", ReasonCode::ValueRange),
        ("x'00ff'", ReasonCode::ColumnNotNumeric),
        ("'abc'", ReasonCode::ColumnNotNumeric),
    ] {
        let script =
            format!("create table t (unique_id, C6, C8); insert into t values (1, 2, {value})");
        let (_home, source) = database(&script);
        let error = read(&source, "select * from t").err().unwrap();
        assert_eq!(error.code(), code, "{value}");
        assert!(error.to_string().contains("C8"), "{error}");
    }
}

#[test]
fn what_is_no_database_cannot_be_read() {
    let home = TempDir::new().unwrap();
    fs::write(home.path().join("d.db"), "x".repeat(4096)).unwrap();
    let refused = Source::parse("sqlite:d.db", home.path(), &|_| None);
    assert!(matches!(refused, Err(ConfigError::Database { .. })));
    // It may become one, or stop being one, later.
    fs::write(home.path().join("d.db"), "").unwrap();
    let source = source("sqlite:d.db", home.path());
    fs::write(home.path().join("d.db"), "x".repeat(4096)).unwrap();
    let error = read(&source, "select * from t").err().unwrap();
    assert_eq!(error.code(), ReasonCode::SourceUnavailable);
    fs::remove_file(home.path().join("d.db")).unwrap();
    let error = read(&source, "select * from t").err().unwrap();
    assert_eq!(error.code(), ReasonCode::SourceUnavailable);
    assert!(
        !error.to_string().to_lowercase().contains("select"),
        "{error}"
    );
}

#[test]
fn reading_leaves_no_trace_in_the_sqlite_file() {
    let (home, source) =
        database("create table t (unique_id, C6, C8); insert into t values (1, 2, 3);");
    let before = fs::read(home.path().join("d.db")).unwrap();
    read(&source, "select * from t").unwrap();
    assert_eq!(fs::read(home.path().join("d.db")).unwrap(), before);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn a_source_is_named_by_scheme_and_path() {
    let home = TempDir::new().unwrap();
    fs::create_dir(home.path().join("d")).unwrap();
    let parsed = |text: &str| Source::parse(text, home.path(), &|_| None);
    assert!(matches!(parsed("csv:d"), Ok(Source::Csv(_))));
    let absolute = format!("csv:{}", home.path().display());
    assert!(matches!(parsed(&absolute), Ok(Source::Csv(_))));
    assert!(matches!(
        parsed("csv:gone"),
        Err(ConfigError::Folder { .. })
    ));
    assert!(matches!(
        parsed("sqlite:gone.db"),
        Err(ConfigError::File { .. })
    ));
    assert!(matches!(parsed("sqlite:d"), Err(ConfigError::File { .. })));
    assert!(matches!(parsed("d"), Err(ConfigError::Scheme { .. })));
    let error = parsed("mysql://root:secret@host/d")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("mysql") && !error.contains("secret"),
        "{error}"
    );
}

#[test]
fn a_hundred_thousand_rows_load_in_a_moment() {
    use std::io::Write;
    let home = TempDir::new().unwrap();
    let mut file = io_writer(home.path().join("t.csv"));
    let names: Vec<_> = (0..30).map(|column| format!("C{column}")).collect();
    writeln!(file, "unique_id,diagnosis,{}", names.join(",")).unwrap();
    for row in 0..100_000_u64 {
        write!(file, "{},{}", row * 7919 % 100_000, row % 40).unwrap();
        for column in 0..30 {
            let value = (row * 31 + column * 17) % 9973;
            write!(file, ",{}.{:05}", value % 10, value * 10).unwrap();
        }
        writeln!(file).unwrap();
    }
    drop(file);
    let source = source("csv:.", home.path());
    let needed = Needed {
        attributes: names,
        ..needed()
    };
    let query = parse("select * from t where diagnosis >= 0 and C3 is not null").unwrap();
    let start = Instant::now();
    let rows = read_within(&source, &query, &needed, (limits::ROWS_MAX, soon())).unwrap();
    let read = start.elapsed();
    let (table, _) = Table::for_training(rows).unwrap();
    let built = start.elapsed() - read;
    let digest = table.digest(&[0; 32], &needed);
    let digested = start.elapsed() - read - built;
    assert_eq!(table.values.dim(), (100_000, 30));
    assert_ne!(digest, [0; 32]);
    println!("read {read:?}, built {built:?}, digested {digested:?}");
    assert!(read + built + digested < Duration::from_secs(8));
}

fn io_writer(path: PathBuf) -> std::io::BufWriter<fs::File> {
    std::io::BufWriter::new(fs::File::create(path).unwrap())
}
