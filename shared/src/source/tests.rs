use std::fs;
use std::time::Instant;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::query::parse;

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

/// A folder with `data/blood.csv`, and one file with the same rows as text and another one with
/// them as integers and floats where they are such.
fn homes() -> (TempDir, Vec<(&'static str, Source)>) {
    let home = TempDir::new().unwrap();
    fs::create_dir(home.path().join("data")).unwrap();
    fs::write(home.path().join("data/blood.csv"), BLOOD).unwrap();
    let mut reader = ::csv::Reader::from_reader(BLOOD.as_bytes());
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    for (file, kind) in [("text.db", "text"), ("typed.db", "numeric")] {
        let connection = Connection::open(home.path().join(file)).unwrap();
        let columns = ["unique_id", "C6", "C8", "diagnosis", "city", "note"];
        let columns = columns.map(|name| format!("\"{name}\" {kind}")).join(", ");
        connection
            .execute(&format!("create table Blood ({columns})"), [])
            .unwrap();
        for row in &rows {
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
    let sources = ["csv:.", "sqlite:text.db", "sqlite:typed.db"]
        .map(|text| (text, Source::parse(text, home.path()).unwrap()));
    (home, sources.into())
}

fn bounds() -> Bounds {
    Bounds::new(1000)
}

fn read(source: &Source, sql: &str) -> Result<Selection, Error> {
    source.read_now(&parse(sql).unwrap(), &needed(), bounds())
}

fn bits(selection: &Selection) -> Vec<u64> {
    selection
        .values
        .iter()
        .map(|value| value.to_bits())
        .collect()
}

#[test]
fn every_source_gives_the_same_rows_for_the_same_query() {
    let (_home, sources) = homes();
    for (sql, expected) in SUITE {
        let first = read(&sources[0].1, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        for (name, source) in &sources {
            let found = read(source, sql).unwrap_or_else(|error| panic!("{name} {sql}: {error}"));
            let ids: Vec<_> = found.ids.iter().flatten().map(String::as_str).collect();
            assert_eq!(ids, *expected, "{name} {sql}");
            assert_eq!(found.labels, first.labels, "{name} {sql}");
            assert_eq!(bits(&found), bits(&first), "{name} {sql}");
        }
    }
}

#[test]
fn every_source_refuses_the_same_queries_for_the_same_reason() {
    let (_home, sources) = homes();
    for (sql, code, word) in [
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
    ] {
        for (name, source) in &sources {
            let error = read(source, sql).err().unwrap();
            assert_eq!(error.code(), code, "{name} {sql}");
            assert!(error.to_string().contains(word), "{name} {error}");
        }
    }
    let mut city = needed();
    city.attributes = vec!["city".into()];
    for (name, source) in &sources {
        let query = parse("select * from data.blood").unwrap();
        let error = source.read_now(&query, &city, bounds()).err().unwrap();
        assert_eq!(error.code(), ReasonCode::ColumnNotNumeric, "{name}");
        assert!(!error.to_string().contains("苏州"), "{error}");
    }
}

#[test]
fn every_source_keeps_the_bounds_on_rows_and_time() {
    let (_home, sources) = homes();
    let query = parse("select * from data.blood").unwrap();
    for (name, source) in &sources {
        let few = Bounds {
            rows_max: 5,
            ..bounds()
        };
        let error = source.read_now(&query, &needed(), few).err().unwrap();
        assert_eq!(error.code(), ReasonCode::TooManyRows, "{name}");
    }
    let over = Bounds {
        until: Instant::now(),
        ..bounds()
    };
    let error = sources[0]
        .1
        .read_now(&query, &needed(), over)
        .err()
        .unwrap();
    assert!(matches!(error, Error::Slow { .. }), "{error}");
}

#[test]
fn a_query_that_no_parser_saw_is_refused() {
    let (home, sources) = homes();
    fs::write(home.path().join("secret.csv"), BLOOD).unwrap();
    for name in [
        "../secret",
        "..",
        "",
        "a/b",
        "a\\b",
        "a\0b",
        ".hidden",
        "blood\" --",
    ] {
        for (_, source) in &sources {
            for in_schema in [false, true] {
                let mut query = parse("select * from data.blood").unwrap();
                if in_schema {
                    query.relation.schema = Some(name.to_owned());
                } else {
                    query.relation.name = name.to_owned();
                }
                let error = source.read_now(&query, &needed(), bounds()).err().unwrap();
                assert_eq!(error.code(), ReasonCode::RequestRefused, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_cohort_becomes_a_training_table() {
    let (_home, sources) = homes();
    let all = parse("select * from data.blood").unwrap();
    let cohort = Cohort {
        pos: all.clone(),
        neg: all.clone(),
    };
    let split = Cohort {
        pos: parse("select unique_id, C6, C8 from data.blood where diagnosis = 38").unwrap(),
        neg: parse("select unique_id, C6, C8 from data.blood where diagnosis = 0").unwrap(),
    };
    for (name, source) in &sources {
        let (table, dropped) = source
            .training_table(&cohort, &needed(), &label())
            .await
            .unwrap();
        assert_eq!(table.ids, ["1", "2", "A7"], "{name}");
        assert_eq!(table.positive, [true, false, true]);
        assert_eq!((dropped.missing, dropped.repeated), (3, 0));
        let (same, dropped) = source
            .training_table(&split, &needed(), &label())
            .await
            .unwrap();
        assert!(same == table);
        assert_eq!((dropped.missing, dropped.repeated), (2, 0));
        let (scored, _) = source.inference_table(&all, &needed()).await.unwrap();
        assert_eq!(scored.ids, ["1", "2", "5", "A7"]);
    }
}

#[tokio::test]
async fn a_reason_names_relation_and_column_and_no_cell() {
    let (_home, sources) = homes();
    let pos = parse("select unique_id, C6, C8 from data.blood").unwrap();
    let cohort = Cohort {
        neg: pos.clone(),
        pos,
    };
    let error = sources[0]
        .1
        .training_table(&cohort, &needed(), &label())
        .await
        .err()
        .unwrap();
    let reason = Reason::from(error);
    assert_eq!(reason.code, ReasonCode::ColumnUnknown);
    let text = "relation data.blood: there is no column \"diagnosis\", \
                and `pos` and `neg` are the same query";
    assert_eq!(reason.text, text);
}

fn folder(files: &[(&str, &[u8])]) -> (TempDir, Source) {
    let home = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(home.path().join(name), text).unwrap();
    }
    let source = Source::parse("csv:.", home.path()).unwrap();
    (home, source)
}

#[test]
fn csv_may_have_a_byte_order_mark_windows_lines_and_padded_headers() {
    let text = b"\xef\xbb\xbf unique_id ,\"C6\" ,C8\r\n 1 ,\"0.5\" , 2 \r\n\r\n2,1,3";
    let (_home, source) = folder(&[("t.csv", text)]);
    let found = read(&source, "select * from t").unwrap();
    assert_eq!(found.ids, [Some("1".into()), Some("2".into())]);
    assert_eq!(found.values, [0.5, 2.0, 1.0, 3.0]);
    assert_eq!(found.labels, None);
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
        found.ids[0].clone().unwrap()
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
    let source = Source::parse("sqlite:d.db", home.path()).unwrap();
    (home, source)
}

#[test]
fn a_schema_is_only_a_word_for_sqlite() {
    let (_home, sources) = homes();
    for name in [
        "blood",
        "data.blood",
        "anything.blood",
        "main.blood",
        "temp.blood",
    ] {
        let found = read(&sources[1].1, &format!("select * from {name}")).unwrap();
        assert_eq!(found.ids.len(), 6, "{name}");
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
    let soon = Bounds {
        until: Instant::now() + Duration::from_millis(20),
        ..bounds()
    };
    let error = source.read_now(&query, &needed(), soon).err().unwrap();
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
    let refused = Source::parse("sqlite:d.db", home.path());
    assert!(matches!(refused, Err(ConfigError::Database { .. })));
    // It may become one, or stop being one, later.
    fs::write(home.path().join("d.db"), "").unwrap();
    let source = Source::parse("sqlite:d.db", home.path()).unwrap();
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
    let (home, sources) = homes();
    let before = fs::read(home.path().join("text.db")).unwrap();
    read(&sources[1].1, "select * from blood").unwrap();
    assert_eq!(fs::read(home.path().join("text.db")).unwrap(), before);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 3);
}

#[test]
fn a_source_is_named_by_scheme_and_path() {
    let home = TempDir::new().unwrap();
    fs::create_dir(home.path().join("d")).unwrap();
    let parsed = |text: &str| Source::parse(text, home.path());
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
    let source = Source::parse("csv:.", home.path()).unwrap();
    let needed = Needed {
        attributes: names,
        ..needed()
    };
    let query = parse("select * from t where diagnosis >= 0 and C3 is not null").unwrap();
    let start = Instant::now();
    let selection = source
        .read_now(&query, &needed, Bounds::new(limits::ROWS_MAX))
        .unwrap();
    let read = start.elapsed();
    let (table, _) = Table::for_training(selection, None, &label()).unwrap();
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
