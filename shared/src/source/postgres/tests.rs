use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::runtime::Runtime;

use super::*;
use crate::job::Cohort;
use crate::query::{Comparison, Literal, Predicate, parse};
use crate::source::Source;
use crate::source::scratch::{self, Scratch};
use crate::table::{Classes, DataError, Dropped, Label, Needed, Table};

/// The database at this address, which stands in the environment, as one with a password must.
fn source(url: &str) -> Source {
    Source::parse("env:URL", Path::new(""), &|_| Some(url.to_owned())).unwrap()
}

/// Runs a test within a runtime, on a database that a script filled; the source is of a role that
/// may read all tables.
fn with_database(script: &str, test: impl FnOnce(&Runtime, &Scratch, &Source)) {
    let runtime = Runtime::new().unwrap();
    let (scratch, source) = runtime.block_on(async {
        let scratch = Scratch::new().await;
        scratch.execute(script).await;
        let source = source(&scratch.reader().await);
        (scratch, source)
    });
    let inside = runtime.enter();
    test(&runtime, &scratch, &source);
    drop(inside);
    runtime.block_on(scratch.remove());
}

fn soon() -> std::time::Instant {
    std::time::Instant::now() + Duration::from_secs(60)
}

fn read_until(
    source: &Source,
    sql: &str,
    attributes: &[&str],
    until: std::time::Instant,
) -> Result<(Table, Dropped), Error> {
    let needed = Needed {
        unique_id: "unique_id".into(),
        attributes: attributes.iter().map(|name| (*name).to_owned()).collect(),
        label: None,
    };
    let query = parse(sql).unwrap();
    let wanted = Wanted {
        query: &query,
        needed: &needed,
        classes: Classes::Unneeded,
        rows_max: 1000,
    };
    let rows = source.read(&[wanted], until)?;
    let relation = query.relation.to_string();
    Table::for_inference(rows).map_err(|error| Error::Data { relation, error })
}

fn read(source: &Source, sql: &str, attributes: &[&str]) -> Result<(Table, Dropped), Error> {
    read_until(source, sql, attributes, soon())
}

fn ids(source: &Source, sql: &str) -> Vec<String> {
    let (table, _) = read(source, sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error}"));
    table.ids.iter().map(str::to_owned).collect()
}

fn failure(source: &Source, sql: &str, attributes: &[&str]) -> Error {
    read(source, sql, attributes).err().unwrap()
}

#[test]
fn every_type_of_number_is_read_exactly() {
    let script = "
        CREATE DOMAIN weight AS numeric CHECK (value > 0);
        CREATE TABLE t (unique_id int, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8,
            n numeric, b bool, w weight, x text);
        INSERT INTO t VALUES (1, -2, 4, 9007199254740992, 0.1, 1e-320, 123456789.000000001, true,
            7.50, ' 2.5 ');
        INSERT INTO t VALUES (2, 0, 0, 0, 3e38, -0.0, -0.0, false, 1e-400, '1e3');";
    with_database(script, |_, _, source| {
        let all = ["i2", "i4", "i8", "f4", "f8", "n", "b", "w", "x"];
        let (table, dropped) = read(source, "select * from t", &all).unwrap();
        let first = [-2.0, 4.0, 9_007_199_254_740_992.0, 0.1, 1e-320];
        assert_eq!(table.values.row(0).as_slice().unwrap()[..5], first);
        let first = [123_456_789.000_000_001, 1.0, 7.5, 2.5];
        assert_eq!(table.values.row(0).as_slice().unwrap()[5..], first);
        let second = [0.0, 0.0, 0.0, 3e38, 0.0, 0.0, 0.0, 0.0, 1000.0];
        assert_eq!(table.values.row(1).as_slice().unwrap(), second);
        assert!(
            table
                .values
                .row(1)
                .iter()
                .all(|value| value.is_sign_positive())
        );
        assert_eq!(dropped, Dropped::default());
    });
}

#[test]
fn an_id_is_the_text_of_whatever_type() {
    let cases = [
        ("int8", "110101199003077777", "110101199003077777"),
        (
            "numeric(30)",
            "110101199003077777123",
            "110101199003077777123",
        ),
        ("bool", "true", "1"),
        ("char(9)", "A7", "A7"),
        ("name", "苏州", "苏州"),
        ("date", "2024-01-31", "2024-01-31"),
        ("timestamp", "2024-01-31 10:00", "2024-01-31 10:00:00"),
        ("mood", "calm", "calm"),
        (
            "uuid",
            "0194D0A0-0000-7000-8000-000000000000",
            "0194d0a0-0000-7000-8000-000000000000",
        ),
    ];
    let mut script = "CREATE TYPE mood AS ENUM ('calm');".to_owned();
    for (index, (kind, text, _)) in cases.iter().enumerate() {
        script += &format!(
            "CREATE TABLE t{index} (unique_id {kind}); INSERT INTO t{index} VALUES ('{text}');"
        );
    }
    with_database(&script, |_, _, source| {
        for (index, (kind, _, id)) in cases.iter().enumerate() {
            assert_eq!(
                ids(source, &format!("select * from t{index}")),
                [*id],
                "{kind}"
            );
            let sql = format!("select * from t{index} where unique_id = '{id}'");
            assert_eq!(ids(source, &sql), [*id], "{kind}");
        }
    });
}

#[test]
fn what_is_missing_drops_its_row_and_what_is_no_number_is_an_error() {
    let script = "
        CREATE TABLE t (unique_id int, f8 float8, f4 float4, n numeric, i8 int8, x text, y bytea,
            j json, a int[]);
        INSERT INTO t (unique_id) VALUES (1);
        INSERT INTO t (unique_id, f8, f4, n, x) VALUES (2, 'NaN', 'NaN', 'NaN', 'nan');
        INSERT INTO t VALUES (3, 'Infinity', '-Infinity', '-Infinity', 9007199254740993, 'abc',
            '\\x00', '{}', '{1}');
        INSERT INTO t (unique_id, n) VALUES (4, 9007199254740993);";
    with_database(script, |_, _, source| {
        for column in ["f8", "f4", "n", "x", "i8", "y", "j", "a"] {
            for id in [1, 2] {
                let sql = format!("select * from t where unique_id = {id}");
                let error = failure(source, &sql, &[column]);
                assert_eq!(error.code(), ReasonCode::NoRows, "{column} {error}");
                let missing = format!("{sql} and {column} is null");
                assert_eq!(ids(source, &missing), [id.to_string()], "{column}");
            }
        }
        for (id, column, code) in [
            (3, "f8", ReasonCode::ValueRange),
            (3, "f4", ReasonCode::ValueRange),
            (3, "n", ReasonCode::ValueRange),
            (3, "i8", ReasonCode::ValueRange),
            (4, "n", ReasonCode::ValueRange),
            (3, "x", ReasonCode::ColumnNotNumeric),
            (3, "y", ReasonCode::ColumnNotNumeric),
            (3, "j", ReasonCode::ColumnNotNumeric),
            (3, "a", ReasonCode::ColumnNotNumeric),
        ] {
            let sql = format!("select * from t where unique_id = {id}");
            let error = failure(source, &sql, &[column]);
            assert_eq!(error.code(), code, "{column} {error}");
            assert!(error.to_string().contains(column), "{error}");
        }
    });
}

#[test]
fn a_schema_counts_and_public_comes_first_without_one() {
    let script = "
        CREATE SCHEMA \"Data\"; CREATE SCHEMA other;
        CREATE TABLE \"Data\".blood (unique_id int); INSERT INTO \"Data\".blood VALUES (1);
        CREATE TABLE other.blood (unique_id int); INSERT INTO other.blood VALUES (2);
        CREATE TABLE other.single (unique_id int); INSERT INTO other.single VALUES (3);
        CREATE TABLE public.\"Both\" (unique_id int); INSERT INTO public.\"Both\" VALUES (4);
        CREATE TABLE other.both (unique_id int); INSERT INTO other.both VALUES (5);";
    with_database(script, |_, _, source| {
        for (name, id) in [
            ("data.blood", "1"),
            ("other.Blood", "2"),
            ("single", "3"),
            ("BOTH", "4"),
            ("other.both", "5"),
        ] {
            assert_eq!(
                ids(source, &format!("select * from {name}")),
                [id],
                "{name}"
            );
        }
        let error = failure(source, "select * from blood", &[]);
        assert!(matches!(error, Error::RelationAmbiguous { .. }), "{error}");
        for name in ["public.single", "nothing.single", "data.single", "nothing"] {
            let error = failure(source, &format!("select * from {name}"), &[]);
            assert!(matches!(error, Error::RelationUnknown { .. }), "{error}");
        }
    });
}

#[test]
fn tables_and_views_are_shown_and_nothing_else() {
    let script = "
        CREATE TABLE t (unique_id int, x int); INSERT INTO t VALUES (1, 2);
        CREATE VIEW plain AS SELECT * FROM t WHERE x = 2;
        CREATE MATERIALIZED VIEW kept AS SELECT * FROM t;
        CREATE TABLE parts (unique_id int) PARTITION BY LIST (unique_id);
        CREATE TABLE part PARTITION OF parts FOR VALUES IN (1); INSERT INTO parts VALUES (1);
        CREATE SEQUENCE numbers; CREATE INDEX t_index ON t (x);
        CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
        CREATE FOREIGN TABLE away (unique_id int) SERVER far;";
    with_database(script, |_, _, source| {
        for name in ["t", "plain", "kept", "parts", "part"] {
            assert_eq!(
                ids(source, &format!("select * from {name}")),
                ["1"],
                "{name}"
            );
        }
        for name in [
            "numbers",
            "t_index",
            "away",
            "pg_class",
            "pg_catalog.pg_authid",
            "information_schema.tables",
        ] {
            let error = failure(source, &format!("select * from {name}"), &[]);
            assert!(
                matches!(error, Error::RelationUnknown { .. }),
                "{name} {error}"
            );
        }
        let error = failure(source, "select unique_id, ctid from t", &[]);
        assert_eq!(error.code(), ReasonCode::ColumnUnknown);
    });
}

#[test]
fn a_role_sees_what_it_may_select() {
    let script = "
        CREATE TABLE t (unique_id int, x int, secret int); INSERT INTO t VALUES (1, 2, 3);
        CREATE TABLE closed (unique_id int);";
    with_database(script, |runtime, scratch, source| {
        runtime.block_on(async {
            let role = scratch.reader_name();
            let grant = format!(
                "REVOKE pg_read_all_data FROM {role}; GRANT SELECT (unique_id, x) ON t TO {role}"
            );
            scratch.execute(&grant).await;
        });
        let (table, _) = read(source, "select * from t", &["x"]).unwrap();
        assert_eq!(table.values[[0, 0]], 2.0);
        let error = failure(source, "select * from t where secret = 3", &[]);
        assert_eq!(error.code(), ReasonCode::ColumnUnknown);
        let error = failure(source, "select * from closed", &[]);
        assert_eq!(error.code(), ReasonCode::RelationUnknown);
    });
}

#[test]
fn names_of_any_script_and_hostile_ones_are_quoted() {
    let script = r#"
        CREATE SCHEMA "数据"; CREATE TABLE x (unique_id int); INSERT INTO x VALUES (9);
        CREATE TABLE "数据"."血液-1" (unique_id int, "C5:1" int, "$1" float8, "值" numeric,
            "a""; drop table x; --" int, "int4" int);
        INSERT INTO "数据"."血液-1" VALUES (1, 2, 3, 4, 5, 6);"#;
    with_database(script, |_, _, source| {
        let from = "select * from \"数据\".\"血液-1\"";
        let sql = format!("{from} where \"c5:1\" = 2 and \"$1\" >= 3 and \"值\" < 4.5");
        let hostile = "a\"; drop table x; --";
        let (table, _) = read(source, &sql, &["值", hostile, "int4"]).unwrap();
        assert_eq!(table.values, ndarray::arr2(&[[4.0, 5.0, 6.0]]));
        assert_eq!(ids(source, "select * from x"), ["9"]);
        let sql = format!("{from} where \"$1\" = '3; drop table x'");
        assert_eq!(failure(source, &sql, &[]).code(), ReasonCode::NoRows);
        assert_eq!(ids(source, "select * from x"), ["9"]);
    });
}

#[test]
fn a_role_that_reaches_beyond_tables_reads_nothing() {
    let script = "CREATE TABLE t (unique_id int); INSERT INTO t VALUES (1);";
    with_database(script, |runtime, scratch, reader| {
        let grant = |statement: &str| {
            let statement = statement.replace('$', &scratch.reader_name());
            runtime.block_on(scratch.execute(&statement));
        };
        let refused = |source: &Source| {
            let error = failure(source, "select * from t", &[]);
            assert!(matches!(error, Error::RoleRefused), "{error}");
            assert_eq!(error.code(), ReasonCode::SourceUnavailable);
        };
        refused(&source(&scratch.url));
        for powerful in [
            "pg_read_server_files",
            "pg_write_server_files",
            "pg_execute_server_program",
            "postgres",
        ] {
            grant(&format!("GRANT {powerful} TO $"));
            refused(reader);
            grant(&format!("REVOKE {powerful} FROM $"));
            assert_eq!(ids(reader, "select * from t"), ["1"]);
        }
        grant("ALTER ROLE $ SUPERUSER");
        refused(reader);
    });
}

#[test]
fn a_view_that_writes_cannot() {
    let script = "
        CREATE TABLE log (unique_id int);
        CREATE FUNCTION note() RETURNS int LANGUAGE sql SECURITY DEFINER
            AS 'INSERT INTO public.log VALUES (7) RETURNING unique_id';
        CREATE VIEW t AS SELECT note() AS unique_id;";
    with_database(script, |runtime, scratch, source| {
        let error = failure(source, "select * from t", &[]);
        assert_eq!(error.code(), ReasonCode::SourceUnavailable, "{error}");
        let count = runtime.block_on(async {
            let client = scratch::connect(&scratch.url).await;
            let row = client.query_one("SELECT count(*) FROM log", &[]).await;
            row.unwrap().get::<_, i64>(0)
        });
        assert_eq!(count, 0);
    });
}

#[test]
fn both_queries_of_a_job_see_one_moment() {
    // One transaction, one time: one id for both classes.
    let script = "CREATE VIEW t AS SELECT transaction_timestamp()::text AS unique_id;";
    with_database(script, |runtime, _, source| {
        let cohort = Cohort {
            pos: parse("select * from t").unwrap(),
            neg: parse("select unique_id from t").unwrap(),
        };
        let needed = Needed {
            unique_id: "unique_id".into(),
            attributes: Vec::new(),
            label: Some("diagnosis".into()),
        };
        let label = Label {
            column: "diagnosis".into(),
            value: "1".into(),
        };
        let read = runtime.block_on(source.training_table(&cohort, &needed, &label));
        let error = read.err().unwrap();
        let expected = DataError::TwoClasses;
        assert!(
            matches!(&error, Error::Data { error, .. } if *error == expected),
            "{error}"
        );
    });
}

#[test]
fn reading_ends_when_its_time_is_over_and_the_server_stops_too() {
    let script = "CREATE VIEW t AS SELECT pg_sleep(50)::text AS unique_id;";
    with_database(script, |runtime, scratch, source| {
        let until = std::time::Instant::now() + Duration::from_millis(300);
        let error = read_until(source, "select * from t", &[], until)
            .err()
            .unwrap();
        assert!(matches!(error, Error::Slow { .. }), "{error}");
        assert!(until.elapsed() < Duration::from_secs(5));
        runtime.block_on(async {
            let client = scratch::connect(&scratch.url).await;
            let sql = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'concord'";
            let mut left = 1;
            while left > 0 && until.elapsed() < Duration::from_secs(20) {
                left = client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
            }
            assert_eq!(left, 0);
        });
    });
}

#[test]
fn trouble_with_the_server_is_told_without_names() {
    with_database("CREATE TABLE t (unique_id int);", |_, scratch, _| {
        let (_, place) = scratch.url.split_once('@').unwrap();
        let (server, _) = scratch.url.rsplit_once('/').unwrap();
        for (url, word) in [
            (format!("postgres://mallory:x@{place}"), "refuses the role"),
            (format!("{server}/gone_x"), "lacks the database"),
            (
                "postgres://mallory@127.0.0.1:1/gone_x".to_owned(),
                "connection",
            ),
        ] {
            let error = failure(&source(&url), "select * from t", &[]);
            let text = error.to_string();
            assert_eq!(error.code(), ReasonCode::SourceUnavailable, "{text}");
            assert!(text.contains(word), "{text}");
            assert!(
                !text.contains("mallory") && !text.contains("gone_x"),
                "{text}"
            );
        }
    });
}

#[test]
fn rows_travel_encrypted_from_a_server_that_is_vouched_for() {
    let script = "CREATE VIEW t AS SELECT 1 AS unique_id,
        (SELECT ssl::int FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS encrypted";
    with_database(script, |runtime, scratch, _| {
        let reader = scratch.url.replace("127.0.0.1", "localhost");
        let sql = format!(
            "CREATE ROLE {0}_reader LOGIN PASSWORD 'x' IN ROLE pg_read_all_data",
            scratch.reader_name()
        );
        runtime.block_on(scratch.execute(&sql));
        let (_, place) = scratch.url.split_once('@').unwrap();
        let role = format!("postgres://{}_reader:x@{place}", scratch.reader_name());
        let by = |url: &str, authority: &str| {
            let file = scratch::variable(authority);
            source(&format!("{url}?sslmode=verify-full&sslrootcert={file}"))
        };
        let (right, other) = ("CONCORD_TEST_POSTGRES_CA", "CONCORD_TEST_AMQPS_CA");
        for (source, encrypted) in [(source(&role), 0.0), (by(&role, right), 1.0)] {
            let (table, _) = read(&source, "select * from t", &["encrypted"]).unwrap();
            assert_eq!(table.values[[0, 0]], encrypted);
        }
        for (source, cause) in [
            (by(&role, other), "invalid peer certificate"),
            (by(&reader, right), "invalid peer certificate"),
        ] {
            let error = failure(&source, "select * from t", &[]);
            assert_eq!(error.code(), ReasonCode::SourceUnavailable);
            let text = error.to_string();
            assert!(text.contains("TLS: ") && text.contains(cause), "{text}");
        }
        let sql = format!("DROP ROLE {}_reader", scratch.reader_name());
        runtime.block_on(scratch.execute(&sql));
    });
}

#[test]
fn a_password_stands_elsewhere_and_is_never_shown() {
    let home = tempfile::TempDir::new().unwrap();
    let url = "postgres://reader:hunter2@db.example:5433/blood";
    std::fs::write(home.path().join("url"), format!("{url}\n")).unwrap();
    let environment = |name: &str| match name {
        "URL" => Some(url.to_owned()),
        "BROKEN" => Some("postgres://reader:hunter2@db:x/blood".to_owned()),
        "TLS" => Some(format!("{url}?sslmode=require")),
        "NONE" => Some("hunter2:hunter2".to_owned()),
        _ => None,
    };
    let parsed = |text: &str| Source::parse(text, home.path(), &environment);
    let open = parsed("postgresql://reader@db.example/blood").unwrap();
    assert_eq!(
        format!("{open:?}"),
        "Postgres(Database(db.example:5432/blood))"
    );
    for text in ["env:URL", "file:url"] {
        let shown = format!("{:?}", parsed(text).unwrap());
        assert_eq!(shown, "Postgres(Database(db.example:5433/blood))");
    }
    for (text, word) in [
        (url, "env:NAME"),
        (
            "postgres://db/blood?user=reader&password=hunter2",
            "env:NAME",
        ),
        ("env:GONE", "GONE"),
        ("file:gone", "gone"),
        ("env:BROKEN", "HOST:PORT"),
        ("env:TLS", "sslmode"),
        ("env:NONE", "postgres://"),
        ("postgres://reader@db", "DATABASE"),
    ] {
        let error = parsed(text).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(error.to_string().contains(word), "{error}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("reader"),
            "{shown}"
        );
    }
}

const NUMBERS: &str = "
    CREATE TABLE t (unique_id int, i int8, s int2, f float8, n numeric, r float4, x text, b bool);
    INSERT INTO t VALUES
        (1, -9223372036854775808, -5, '-Infinity', '-Infinity', '-Infinity', '-5', true),
        (2, 9223372036854775807, 7, 'Infinity', 'Infinity', 'Infinity', '7', false),
        (3, 9007199254740993, 38, 'NaN', 'NaN', 'NaN', 'abc', NULL),
        (4, 38, 38, 0.1, 0.1, 0.1, '0.1', true),
        (5, -5, -5, 0.30000000000000004, 0.10000000000000000001, 0.3, '38.0', false),
        (6, 0, 0, 9007199254740992, 9007199254740993, -0.0, ' 38', true),
        (7, 1, 1, 5e-324, 1e-400, 1e-45, '1e-400', false),
        (8, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (9, -38, -38, -1e300, -1e400, -3e38, '', true),
        (10, 7, 7, 1e300, 1e400, 3e38, '-inf', false);";

const LITERALS: [&str; 22] = [
    "0",
    "-0.0",
    "0.1",
    "0.3",
    "0.30000000000000004",
    "0.10000000000000000001",
    "-5",
    "-5.5",
    "+7",
    "38",
    "38.0",
    "37.9",
    ".5",
    "-.5",
    "9007199254740993",
    "9223372036854775808",
    "1e300",
    "-1e309",
    "1e-400",
    "abc",
    "Infinity",
    "-inf",
];

fn literal() -> impl Strategy<Value = Literal> {
    let text = prop::sample::select(&LITERALS[..]);
    (text, any::<bool>()).prop_map(|(text, quoted)| match quoted {
        true => Literal::Text(text.to_owned()),
        false => Literal::Number(text.to_owned()),
    })
}

fn predicate() -> impl Strategy<Value = Predicate> {
    let column =
        || prop::sample::select(&["i", "S", "f", "n", "r", "x", "b"][..]).prop_map(str::to_owned);
    let operator = prop::sample::select(
        &[
            Comparison::Equal,
            Comparison::NotEqual,
            Comparison::Less,
            Comparison::LessOrEqual,
            Comparison::Greater,
            Comparison::GreaterOrEqual,
        ][..],
    );
    let leaf = prop_oneof![
        4 => (column(), operator, literal()).prop_map(|(column, operator, literal)| {
            Predicate::Compare { column, operator, literal }
        }),
        1 => (column(), literal(), literal())
            .prop_map(|(column, low, high)| Predicate::Between { column, low, high }),
        1 => (column(), prop::collection::vec(literal(), 1..4))
            .prop_map(|(column, literals)| Predicate::In { column, literals }),
        1 => column().prop_map(|column| Predicate::IsNull { column }),
        1 => column().prop_map(|column| Predicate::Like { column, pattern: "-%".to_owned() }),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Predicate::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Predicate::Or),
            inner.prop_map(|part| Predicate::Not(Box::new(part))),
        ]
    })
}

#[test]
fn a_narrowed_query_loses_no_row_that_the_predicate_selects() {
    with_database(NUMBERS, |runtime, scratch, _| {
        let client = runtime.block_on(scratch::connect(&scratch.url));
        let (columns, rows) = runtime.block_on(async {
            let mut tables = catalog::relations(&client).await.unwrap();
            let columns = catalog::columns(&client, &tables.remove(0)).await.unwrap();
            let list: Vec<_> = columns.iter().map(catalog::Column::sql).collect();
            let select = format!("SELECT {} FROM t ORDER BY unique_id", list.join(", "));
            (columns, client.query(&select, &[]).await.unwrap())
        });
        assert_eq!(rows.len(), 10);
        let kept = |filter: &Predicate| -> Vec<i32> {
            let Narrowed { clause, values } = narrowed(Some(filter), &columns);
            let sql = format!("SELECT unique_id FROM t{clause}");
            let typed: Vec<_> = values.iter().map(narrowing::Value::typed).collect();
            let found = runtime.block_on(client.query_typed(&sql, &typed)).unwrap();
            found.iter().map(|row| row.get(0)).collect()
        };
        let check = |filter: Predicate| {
            let kept = kept(&filter);
            for (row, id) in rows.iter().zip(1..) {
                let cell = |name: &str| {
                    let found = columns.iter().zip(0..);
                    let mut found =
                        found.filter(|(column, _)| column.as_ref().eq_ignore_ascii_case(name));
                    let (column, place) = found.next()?;
                    column.cell(row, place).text()
                };
                prop_assert!(!filter.holds(&cell) || kept.contains(&id), "row {}", id);
            }
            Ok(())
        };
        let config = ProptestConfig::with_cases(1000);
        TestRunner::new(config).run(&predicate(), check).unwrap();

        // It does narrow: conditions of every kind, and what is left of the ten rows.
        for (sql, expected) in [
            ("i = 38", &[4][..]),
            ("i >= 38 and x like 'a%'", &[2, 3, 4]),
            ("n = 0.1", &[4]),
            ("f in (0.1, 0.3)", &[4]),
            ("f between 0 and 1", &[1, 4, 5, 7]),
            ("s < -4 or s > 7", &[1, 2, 3, 4, 5, 9, 10]),
            ("s < -4 or not s > 7", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
            ("x = 38", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ] {
            let query = parse(&format!("select * from t where {sql}")).unwrap();
            assert_eq!(kept(&query.filter.unwrap()), expected, "{sql}");
        }
    });
}
