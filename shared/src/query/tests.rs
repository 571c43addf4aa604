use std::borrow::Cow;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

pub(crate) mod refused;

const ACCEPTED: &[&str] = &[
    "select * from data.blooddata_small;",
    "SELECT * FROM select * from data.blooddata_small;",
    "select * from select * from data.blooddata_small",
    "Select  *\r\n\tFrom t ;",
    "select*from t",
    "select C6, C6DC, C8 from data.blooddata_small",
    "select C6,C6DC,C8,unique_id from data.blooddata_small where diagnosis=38",
    "select \"C5:1\", \"C3/C2\", \"C16:1-OH\" from t",
    "select \"select\" from t",
    "select 编号, 诊断 from 数据.血液_小 where 诊断 = '高苯丙氨酸血症'",
    "select \"年龄（岁）\" from t",
    "select größe from übersicht",
    "select * from \"data\".\"blooddata_small\"",
    "select * from \"blood-data\"",
    "select date, type, name, value, id, count from t",
    "select * from t where diagnosis = 38",
    "select * from t where diagnosis <> 38",
    "select * from t where diagnosis != 38",
    "select * from t where C6 < 0.5",
    "select * from t where C6<=0.5",
    "select * from t where C6 > .5",
    "select * from t where C6>=-1.5e-3",
    "select * from t where C6 > +2",
    "select * from t where name = 'O''Brien'",
    "select * from t where note = 'a -- b /* c */ ; drop table t'",
    "select * from t where note = '100%'",
    "select * from t where note = ''",
    "select * from t where born >= '2019-01-01' and born < '2020-01-01'",
    "select * from t where born between '2019-01-01' and '2019-12-31'",
    "select * from t where a between 1 and 2 and b between 3 and 4",
    "select * from t where a not between 1 and 2",
    "select * from t where diagnosis in (38, 39)",
    "select * from t where diagnosis in(38)",
    "select * from t where diagnosis NOT IN ('38', 'none')",
    "select * from t where C6 is null",
    "select * from t where C6 IS NOT NULL",
    "select * from t where city like 'Su%'",
    "select * from t where city like '%zh%'",
    "select * from t where city not like '_u%'",
    "select * from t where sick = true",
    "select * from t where sick <> FALSE;",
    "select * from t where a = 1 or b = 2 and c = 3",
    "select * from t where (a = 1 or b = 2) and c = 3",
    "select * from t where not a = 1",
    "select * from t where not (a = 1 or not b = 2)",
    "select * from t where ((((a = 1))))",
    "select * from t where \"C5:1\" > 0.1",
    "select * from t where id = 110101199003077777",
    "select a, a from t",
    "select * from \"select\"",
];

#[test]
fn every_legitimate_statement_is_a_query() {
    assert!(ACCEPTED.len() >= 40);
    for statement in ACCEPTED {
        let query = parse(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
        assert_eq!(query.check(), Ok(()), "{statement}");
    }
}

fn filter(condition: &str) -> Predicate {
    let query = parse(&format!("select * from t where {condition}"));
    query.unwrap().filter.unwrap()
}

#[test]
fn the_seeds_doubled_prefix_is_unwrapped() {
    let plain = Query {
        relation: Relation {
            schema: Some("data".into()),
            name: "blooddata_small".into(),
        },
        columns: None,
        filter: None,
    };
    assert_eq!(
        parse("SELECT * FROM select * from data.blooddata_small;"),
        Ok(plain)
    );
}

#[test]
fn and_binds_tighter_than_or_and_not_tightest() {
    let test = |column: &str| Predicate::Compare {
        column: column.into(),
        operator: Comparison::Equal,
        literal: Literal::Number("1".into()),
    };
    assert_eq!(
        filter("a = 1 or not b = 1 and c = 1"),
        Predicate::Or(vec![
            test("a"),
            Predicate::And(vec![Predicate::Not(Box::new(test("b"))), test("c")]),
        ])
    );
}

#[test]
fn an_error_names_the_character_and_never_the_text() {
    let error = parse("select * from 血液 where 姓名 = 王小明").unwrap_err();
    assert_eq!((error.position, error.rule), (29, Rule::Literal));
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("王小明") && !shown.contains("血液"));
    assert_eq!(parse("select a from t limit 1").unwrap_err().position, 17);
    assert_eq!(parse("select *").unwrap_err().position, 9);
}

#[test]
fn every_bound_is_kept() {
    let rule = |condition: String| {
        let error = parse(&format!("select * from t where {condition}")).unwrap_err();
        error.rule
    };
    let fits = |condition: String| parse(&format!("select * from t where {condition}")).is_ok();
    let nested = |depth| format!("{}a = 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(fits(nested(limits::CONDITION_DEPTH_MAX)));
    assert_eq!(rule(nested(limits::CONDITION_DEPTH_MAX + 1)), Rule::Depth);
    assert_eq!(rule(nested(1500)), Rule::Depth);
    assert_eq!(rule(format!("{}a = 1", "not ".repeat(500))), Rule::Depth);
    let conditions = |count| vec!["a = 1"; count].join(" or ");
    assert!(fits(conditions(limits::CONDITIONS_MAX)));
    assert_eq!(
        rule(conditions(limits::CONDITIONS_MAX + 1)),
        Rule::Conditions
    );
    let list = |count| format!("a in ({})", vec!["1"; count].join(","));
    assert!(fits(list(limits::IN_LITERALS_MAX)));
    assert_eq!(rule(list(limits::IN_LITERALS_MAX + 1)), Rule::InList);
    let text = |bytes| format!("a = '{}'", "x".repeat(bytes));
    assert!(fits(text(limits::LITERAL_BYTES_MAX)));
    assert_eq!(
        rule(text(limits::LITERAL_BYTES_MAX + 1)),
        Rule::LiteralLength
    );
    let name = |bytes| format!("{} = 1", "n".repeat(bytes));
    assert!(fits(name(limits::NAME_BYTES_MAX)));
    assert_eq!(rule(name(limits::NAME_BYTES_MAX + 1)), Rule::NameLength);
    assert_eq!(rule(" ".repeat(limits::SQL_BYTES_MAX)), Rule::TooLong);
}

#[test]
fn a_query_that_no_parser_saw_is_checked() {
    let mut query = parse("select * from t where a = 1").unwrap();
    query.relation.name = "../t".into();
    assert_eq!(query.check(), Err(Rule::RelationName));
    query.relation.name = "t".into();
    query.filter = Some(Predicate::Like {
        column: "a".into(),
        pattern: "%".repeat(3),
    });
    assert_eq!(query.check(), Err(Rule::Pattern));
}

fn truth_of(cells: &[(&str, &str)], condition: &str) -> bool {
    let cells: BTreeMap<&str, &str> = cells.iter().copied().collect();
    filter(condition).holds(&|column| cells.get(column).map(|cell| Cow::Borrowed(*cell)))
}

#[test]
fn comparisons_are_numeric_between_numbers_and_textual_otherwise() {
    let cells = [("n", "38.0"), ("t", "abc"), ("d", "2019-12-16"), ("b", "T")];
    for condition in [
        "n = 38",
        "n = '38'",
        "n in (1, 38)",
        "n > 9",
        "n < '100'",
        "n between 38 and 38",
        "n <> 38.1",
        "t = 'abc'",
        "t > 'abb'",
        "t > 38",
        "t not in ('x', 'ab')",
        "d between '2019-01-01' and '2019-12-31'",
        "b = true",
        "b <> false",
        "n <> true",
    ] {
        assert!(truth_of(&cells, condition), "{condition}");
    }
    for condition in ["n = 380", "n > '9x'", "t = 'ABC'", "b = false", "t = true"] {
        assert!(!truth_of(&cells, condition), "{condition}");
    }
}

#[test]
fn a_missing_cell_makes_a_comparison_unknown() {
    let cells = [("a", "1")];
    for condition in [
        "gone is null",
        "not gone is not null",
        "a = 1 or gone = 1",
        "not (a = 2 and gone = 1)",
    ] {
        assert!(truth_of(&cells, condition), "{condition}");
    }
    for condition in [
        "gone = 1",
        "gone <> 1",
        "not gone = 1",
        "gone in (1)",
        "gone not in (1)",
        "gone not like 'x'",
        "not gone between 1 and 2",
        "a = 1 and gone = 1",
        "not (a = 1 and gone = 1)",
        "gone = 1 or not gone = 1",
        "gone is not null",
    ] {
        assert!(!truth_of(&cells, condition), "{condition}");
    }
}

#[test]
fn like_knows_runs_and_single_characters() {
    let cells = [("c", "苏州市立医院"), ("e", ""), ("x", "aXbXc")];
    for condition in [
        "c like '苏州%'",
        "c like '%医院'",
        "c like '%市立%'",
        "c like '苏_市%院'",
        "c like '______'",
        "e like ''",
        "e like '%'",
        "x like '%X_'",
        "x like 'a%Xc'",
    ] {
        assert!(truth_of(&cells, condition), "{condition}");
    }
    for condition in [
        "c like '苏州'",
        "c like '%苏'",
        "e like '_'",
        "x like '%x%'",
        "x like 'b%'",
    ] {
        assert!(!truth_of(&cells, condition), "{condition}");
    }
}

#[test]
fn numbers_compare_exactly_whatever_their_spelling() {
    let ascending = [
        "-1e9999",
        "-110101199003077778",
        "-110101199003077777",
        "-1.5",
        "-1e-9999",
        "0",
        "0.00099",
        "1e-3",
        "0.1",
        "1",
        "1.0000000000000000000001",
        "9",
        "10",
        "38.5",
        "110101199003077777",
        "110101199003077778",
        "1e18",
        "1e9999",
    ];
    for (i, left) in ascending.iter().enumerate() {
        for (j, right) in ascending.iter().enumerate() {
            let numbers = (Number::parse(left).unwrap(), Number::parse(right).unwrap());
            assert_eq!(numbers.0.cmp(&numbers.1), i.cmp(&j), "{left} {right}");
        }
    }
    for same in ["38", "+38", "038.", "38.000", "3.8e1", "0.38E+2", "3800e-2"] {
        assert_eq!(Number::parse(same), Number::parse("38"), "{same}");
    }
    for zero in ["0", "-0", ".0", "0e9", "+0.00"] {
        assert_eq!(Number::parse(zero), Number::parse("0"), "{zero}");
    }
    for text in [
        "", "-", ".", "e5", "1e", "1e99999", "1 ", "inf", "NaN", "0x1", "1,5", "１",
    ] {
        assert!(Number::parse(text).is_none(), "{text}");
    }
}

#[test]
fn a_name_is_resolved_exactly_or_by_its_only_likeness() {
    let names = ["C6", "c6", "Age", "ÄRZTE"];
    assert_eq!(resolve(&names, "c6"), Resolved::At(1));
    assert_eq!(resolve(&names, "AGE"), Resolved::At(2));
    assert_eq!(resolve(&names, "ärzte"), Resolved::At(3));
    assert_eq!(resolve(&names, "x"), Resolved::Unknown);
    assert_eq!(resolve(&names[..2], "C6"), Resolved::At(0));
    assert_eq!(resolve(&["Ab", "aB"], "ab"), Resolved::Ambiguous);
}

/// Writes a query as text, for the law that parsing brings it back.
fn written(query: &Query) -> String {
    let quoted = |name: &String| format!("\"{name}\"");
    let columns = match &query.columns {
        None => "*".into(),
        Some(names) => names.iter().map(quoted).collect::<Vec<_>>().join(", "),
    };
    let schema = query
        .relation
        .schema
        .iter()
        .map(|name| format!("\"{name}\"."));
    let filter = query
        .filter
        .iter()
        .map(|filter| format!(" WHERE {}", condition(filter)));
    format!(
        "SELECT {columns} FROM {}\"{}\"{}",
        schema.collect::<String>(),
        query.relation.name,
        filter.collect::<String>(),
    )
}

fn condition(predicate: &Predicate) -> String {
    let text = |text: &String| format!("'{}'", text.replace('\'', "''"));
    let literal = |literal: &Literal| match literal {
        Literal::Number(number) => number.clone(),
        Literal::Text(words) => text(words),
        Literal::Boolean(value) => value.to_string(),
    };
    let all = |parts: &[Predicate], word: &str| {
        let parts: Vec<_> = parts
            .iter()
            .map(|part| format!("({})", condition(part)))
            .collect();
        parts.join(word)
    };
    match predicate {
        Predicate::And(parts) => all(parts, " AND "),
        Predicate::Or(parts) => all(parts, " or "),
        Predicate::Not(part) => format!("NOT ({})", condition(part)),
        Predicate::Compare {
            column,
            operator,
            literal: value,
        } => {
            let sign = match operator {
                Comparison::Equal => "=",
                Comparison::NotEqual => "<>",
                Comparison::Less => "<",
                Comparison::LessOrEqual => "<=",
                Comparison::Greater => ">",
                Comparison::GreaterOrEqual => ">=",
            };
            format!("\"{column}\"{sign}{}", literal(value))
        }
        Predicate::In { column, literals } => {
            let literals: Vec<_> = literals.iter().map(literal).collect();
            format!("\"{column}\" IN ({})", literals.join(","))
        }
        Predicate::Between { column, low, high } => {
            format!(
                "\"{column}\" BETWEEN {} AND {}",
                literal(low),
                literal(high)
            )
        }
        Predicate::IsNull { column } => format!("\"{column}\" IS NULL"),
        Predicate::Like { column, pattern } => format!("\"{column}\" LIKE {}", text(pattern)),
    }
}

fn some_literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        "-?[0-9]{1,6}(\\.[0-9]{1,4})?(e-?[0-9])?".prop_map(Literal::Number),
        "[a-z%_'; -]{0,8}|[血液数据]{1,4}".prop_map(Literal::Text),
        any::<bool>().prop_map(Literal::Boolean),
    ]
}

fn some_predicate() -> impl Strategy<Value = Predicate> {
    let column = || "[a-zA-Z][a-z :/]{0,5}|[诊断编号]{1,3}";
    let comparison = prop::sample::select(vec![
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ]);
    let leaf = prop_oneof![
        (column(), comparison, some_literal()).prop_map(|(column, operator, literal)| {
            Predicate::Compare {
                column,
                operator,
                literal,
            }
        }),
        (column(), prop::collection::vec(some_literal(), 1..4))
            .prop_map(|(column, literals)| Predicate::In { column, literals }),
        (column(), some_literal(), some_literal())
            .prop_map(|(column, low, high)| Predicate::Between { column, low, high }),
        column().prop_map(|column| Predicate::IsNull { column }),
        (column(), "[a-z_']{0,3}%?[a-z]{0,3}%?")
            .prop_map(|(column, pattern)| Predicate::Like { column, pattern }),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Predicate::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Predicate::Or),
            inner.prop_map(|part| Predicate::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #[test]
    fn parsing_never_panics(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn parsing_never_panics_on_what_looks_like_sql(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "select", "*", "from", "where", "and", "or", "not", "in", "between", "is", "null",
            "like", "a", "\"b\"", "'c'", "'", "\"", "(", ")", ",", ".", ";", "=", "<", ">", "!",
            "-", "1", "2.5e3", "e", "血", "\\", "$", "--", "/*", "::", " ", "\n", "true", "limit",
        ]), 0..24),
        joint in prop::sample::select(vec!["", " "]),
    ) {
        if let Ok(query) = parse(&pieces.join(joint)) {
            prop_assert_eq!(query.check(), Ok(()));
            prop_assert_eq!(parse(&written(&query)), Ok(query));
        }
    }

    #[test]
    fn a_written_query_is_read_back(
        schema in prop::option::of("[a-z_]{1,8}"),
        name in "[a-z0-9_-]{1,8}|[血液]{1,3}",
        columns in prop::option::of(prop::collection::vec("[A-Z][a-z:/ ]{0,4}", 1..4)),
        filter in prop::option::of(some_predicate()),
    ) {
        let query = Query { relation: Relation { schema, name }, columns, filter };
        prop_assume!(query.check().is_ok());
        prop_assert_eq!(parse(&written(&query)), Ok(query));
    }

    #[test]
    fn numbers_compare_as_integers_do(left in any::<i64>(), right in any::<i64>()) {
        let (a, b) = (left.to_string(), right.to_string());
        prop_assert_eq!(Number::parse(&a).cmp(&Number::parse(&b)), left.cmp(&right));
    }

    #[test]
    fn like_agrees_with_the_definition(text in "[ab]{0,6}", pattern in "[ab_%]{0,5}") {
        fn defined(text: &[u8], pattern: &[u8]) -> bool {
            match (pattern, text) {
                ([], _) => text.is_empty(),
                ([b'%', rest @ ..], _) => {
                    (0..=text.len()).any(|taken| defined(&text[taken..], rest))
                }
                ([b'_', rest @ ..], [_, after @ ..]) => defined(after, rest),
                ([letter, rest @ ..], [found, after @ ..]) => {
                    letter == found && defined(after, rest)
                }
                (_, []) => false,
            }
        }
        let predicate = Predicate::Like { column: "c".into(), pattern: pattern.clone() };
        prop_assert_eq!(
            predicate.holds(&|_| Some(Cow::Borrowed(text.as_str()))),
            defined(text.as_bytes(), pattern.as_bytes())
        );
    }
}
