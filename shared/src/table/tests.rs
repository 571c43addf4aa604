use proptest::prelude::*;

use super::*;

type Given<'a> = (Option<&'a str>, Option<&'a str>, &'a [f64]);

/// What a query selects: each row's id, label and values.
struct Selection<'a> {
    has_label: bool,
    rows: &'a [Given<'a>],
}

fn selection<'a>(has_label: bool, rows: &'a [Given<'a>]) -> Selection<'a> {
    Selection { has_label, rows }
}

/// Reads a selection as a source does.
fn take(
    selection: &Selection<'_>,
    classes: Classes<'_>,
    rows: &mut Rows,
    attributes: usize,
) -> Result<(), DataError> {
    let names: Vec<String> = (0..attributes).map(|index| format!("x{index}")).collect();
    let query = crate::query::parse("select * from t").unwrap();
    let needed = Needed {
        unique_id: "id".into(),
        attributes: names.clone(),
        label: None,
    };
    let wanted = Wanted {
        query: &query,
        needed: &needed,
        classes,
        rows_max: 100,
    };
    let label = selection.has_label.then(|| "diagnosis".to_owned());
    let columns: Vec<String> = names
        .into_iter()
        .chain(["id".into()])
        .chain(label)
        .collect();
    let mut selecting = Selecting::new(&columns, wanted, rows)?;
    for (id, label, values) in selection.rows {
        selecting.row(&|column| match column.checked_sub(attributes) {
            None => Cell::Real(values[column]),
            Some(0) => id.map_or(Cell::Missing, Cell::Text),
            Some(_) => label.map_or(Cell::Missing, Cell::Text),
        })?;
    }
    Ok(())
}

fn for_training(
    pos: Selection<'_>,
    neg: Option<Selection<'_>>,
    label: &Label,
) -> Result<(Table, Dropped), DataError> {
    let all = pos.rows.iter().chain(neg.iter().flat_map(|neg| neg.rows));
    let attributes = all.map(|row| row.2.len()).max().unwrap_or_default();
    let mut rows = Rows::new(attributes);
    let classes = |otherwise| Classes::Label { label, otherwise };
    match neg {
        Some(neg) => {
            take(&pos, classes(Some(true)), &mut rows, attributes)?;
            take(&neg, classes(Some(false)), &mut rows, attributes)?;
        }
        None => take(&pos, classes(None), &mut rows, attributes)?,
    }
    Table::for_training(rows)
}

fn for_inference(
    selection: Selection<'_>,
    attributes: usize,
) -> Result<(Table, Dropped), DataError> {
    let mut rows = Rows::new(attributes);
    take(&selection, Classes::Unneeded, &mut rows, attributes)?;
    Table::for_inference(rows)
}

fn diagnosis() -> Label {
    Label {
        column: "diagnosis".into(),
        value: "38".into(),
    }
}

fn ids(table: &Table) -> Vec<&str> {
    table.ids.iter().collect()
}

fn failure<T>(result: Result<T, DataError>) -> Option<DataError> {
    result.err()
}

#[test]
fn the_label_column_decides_the_class() {
    let rows: &[Given<'_>] = &[
        (Some("10"), Some("38.0"), &[1.0, 2.0]),
        (Some("9"), Some("0"), &[3.0, 4.0]),
        (Some("8"), Some("38"), &[5.0, 6.0]),
    ];
    let (table, dropped) = for_training(selection(true, rows), None, &diagnosis()).unwrap();
    assert_eq!(ids(&table), ["8", "9", "10"]);
    assert_eq!(table.positive, [true, false, true]);
    assert_eq!(
        table.values,
        ndarray::arr2(&[[5.0, 6.0], [3.0, 4.0], [1.0, 2.0]])
    );
    assert_eq!(dropped, Dropped::default());
}

#[test]
fn a_textual_label_is_compared_as_text() {
    let rows: &[Given<'_>] = &[
        (Some("1"), Some("PKU"), &[1.0]),
        (Some("2"), Some("pku"), &[1.0]),
    ];
    let label = Label {
        column: "diagnosis".into(),
        value: "PKU".into(),
    };
    let (table, _) = for_training(selection(true, rows), None, &label).unwrap();
    assert_eq!(table.positive, [true, false]);
}

#[test]
fn without_a_label_column_the_query_decides() {
    let pos = selection(false, &[(Some("b"), None, &[1.0])]);
    let neg = selection(false, &[(Some("a"), None, &[2.0])]);
    let (table, _) = for_training(pos, Some(neg), &diagnosis()).unwrap();
    assert_eq!(ids(&table), ["a", "b"]);
    assert_eq!(table.positive, [false, true]);
}

#[test]
fn one_query_without_a_label_column_names_the_column() {
    let pos = selection(false, &[(Some("1"), None, &[1.0])]);
    let error = failure(for_training(pos, None, &diagnosis())).unwrap();
    assert_eq!(
        error,
        DataError::LabelUnknown {
            column: "diagnosis".into()
        }
    );
    assert!(error.to_string().contains("diagnosis"));
}

#[test]
fn an_id_that_both_queries_claim_is_an_error() {
    let pos = || selection(false, &[(Some("1"), None, &[1.0])]);
    let result = for_training(pos(), Some(pos()), &diagnosis());
    assert_eq!(failure(result), Some(DataError::TwoClasses));
}

#[test]
fn rows_in_both_selections_are_one_row_where_a_label_column_decides() {
    let both: &[Given<'_>] = &[
        (Some("1"), Some("38"), &[1.0]),
        (Some("2"), Some("0"), &[2.0]),
    ];
    let result = for_training(
        selection(true, both),
        Some(selection(true, both)),
        &diagnosis(),
    );
    let (table, dropped) = result.unwrap();
    assert_eq!(ids(&table), ["1", "2"]);
    assert_eq!(table.positive, [true, false]);
    assert_eq!((dropped.repeated, dropped.missing), (2, 0));
}

#[test]
fn one_id_with_different_values_or_classes_is_an_error() {
    let values: &[Given<'_>] = &[
        (Some("1"), Some("38"), &[1.0]),
        (Some("1"), Some("38"), &[2.0]),
    ];
    let result = for_training(selection(true, values), None, &diagnosis());
    assert_eq!(failure(result), Some(DataError::TwoRows));
    let classes: &[Given<'_>] = &[
        (Some("1"), Some("38"), &[1.0]),
        (Some("1"), Some("3"), &[1.0]),
    ];
    let result = for_training(selection(true, classes), None, &diagnosis());
    assert_eq!(failure(result), Some(DataError::TwoClasses));
    let result = for_inference(selection(false, values), 1);
    assert_eq!(failure(result), Some(DataError::TwoRows));
}

#[test]
fn rows_with_anything_missing_are_dropped_and_counted() {
    let rows: &[Given<'_>] = &[
        (None, Some("38"), &[1.0]),
        (Some("2"), None, &[1.0]),
        (Some("3"), Some("38"), &[f64::NAN]),
        (Some("4"), Some("38"), &[1.0]),
        (Some("4"), Some("38"), &[1.0]),
    ];
    let (table, dropped) = for_training(selection(true, rows), None, &diagnosis()).unwrap();
    assert_eq!(ids(&table), ["4"]);
    assert_eq!((dropped.missing, dropped.repeated), (3, 1));
    let (table, dropped) = for_inference(selection(true, rows), 1).unwrap();
    assert_eq!(ids(&table), ["2", "4"]);
    assert!(table.positive.is_empty());
    assert_eq!((dropped.missing, dropped.repeated), (2, 1));
}

#[test]
fn nothing_left_is_an_error() {
    let none = failure(for_inference(selection(false, &[]), 3));
    assert_eq!(none, Some(DataError::NoRows));
    let gap = selection(true, &[(Some("1"), Some("38"), &[f64::NAN])]);
    let none = failure(for_training(gap, Some(selection(true, &[])), &diagnosis()));
    assert_eq!(none, Some(DataError::NoRows));
}

#[test]
fn ids_are_sorted_as_numbers_only_when_all_are() {
    let sorted = |names: &[&'static str]| {
        let rows: Vec<Given<'_>> = names
            .iter()
            .map(|id| (Some(*id), None, &[0.0][..]))
            .collect();
        let (table, _) = for_inference(selection(false, &rows), 1).unwrap();
        table.ids.iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(sorted(&["10", "9", "-1", "1.5"]), ["-1", "1.5", "9", "10"]);
    assert_eq!(sorted(&["10", "9", "x"]), ["10", "9", "x"]);
    assert_eq!(sorted(&["7", "07", "007"]), ["007", "07", "7"]);
    let long = ["110101199003077778", "110101199003077777"];
    assert_eq!(sorted(&long), ["110101199003077777", "110101199003077778"]);
}

fn needed() -> Needed {
    Needed {
        unique_id: "id".into(),
        attributes: vec!["a".into(), "b".into()],
        label: Some("c".into()),
    }
}

fn table(ids: &[&str], values: &[f64], positive: &[bool]) -> Table {
    Table {
        ids: ids.iter().collect(),
        values: Array2::from_shape_vec((ids.len(), 2), values.to_vec()).unwrap(),
        positive: positive.to_vec(),
    }
}

#[test]
fn a_digest_changes_with_every_part_of_a_table() {
    let key = [7; 32];
    let base = || table(&["1", "23"], &[1.0, 2.0, 3.0, 4.0], &[true, false]);
    let of = |table: &Table| table.digest(&key, &needed());
    let renamed = |rename: fn(&mut Needed)| {
        let mut needed = needed();
        rename(&mut needed);
        base().digest(&key, &needed)
    };
    let all = [
        of(&base()),
        base().digest(&[8; 32], &needed()),
        of(&table(&["12", "3"], &[1.0, 2.0, 3.0, 4.0], &[true, false])),
        of(&table(&["1", "23"], &[2.0, 1.0, 3.0, 4.0], &[true, false])),
        of(&table(
            &["1", "23"],
            &[1.0, 2.0, 3.0, 4.000_000_000_000_001],
            &[true, false],
        )),
        of(&table(&["1", "23"], &[1.0, 2.0, 3.0, 4.0], &[false, true])),
        of(&table(&["1", "23"], &[1.0, 2.0, 3.0, 4.0], &[])),
        of(&table(&["1"], &[1.0, 2.0], &[true])),
        renamed(|needed| needed.unique_id = "no".into()),
        renamed(|needed| needed.attributes.reverse()),
        renamed(|needed| needed.attributes = vec!["ab".into(), String::new()]),
        renamed(|needed| needed.label = None),
    ];
    assert_eq!(of(&base()), all[0]);
    for (i, left) in all.iter().enumerate() {
        assert!(all[i + 1..].iter().all(|right| left != right), "{i}");
    }
}

#[test]
fn a_mark_recognises_its_row_and_shows_its_edit() {
    let key = [7; 32];
    let base = || table(&["1", "23"], &[1.0, 2.0, 3.0, 4.0], &[true, false]);
    let of = |table: &Table| table.marks(&key, &needed());
    let marks = of(&base());
    assert!(marks.is_sorted_by_key(|mark| mark.id));
    let positive: Vec<bool> = marks.iter().map(|mark| mark.is_positive()).collect();
    assert_eq!(positive.iter().filter(|class| **class).count(), 1);

    let edited = of(&table(&["1", "23"], &[1.0, 2.0, 3.0, 5.0], &[true, false]));
    let ids = |marks: &[Mark]| marks.iter().map(|mark| mark.id).collect::<Vec<_>>();
    assert_eq!(ids(&edited), ids(&marks));
    assert_eq!(
        marks
            .iter()
            .zip(&edited)
            .filter(|(one, other)| one != other)
            .count(),
        1
    );
    let relabelled = of(&table(&["1", "23"], &[1.0, 2.0, 3.0, 4.0], &[false, false]));
    let values = |marks: &[Mark]| marks.iter().map(|mark| mark.values()).collect::<Vec<_>>();
    assert_eq!(values(&relabelled), values(&marks));
    assert_ne!(relabelled, marks);

    // Rows that swap their values are two edited rows.
    let swapped = of(&table(&["1", "23"], &[3.0, 4.0, 1.0, 2.0], &[true, false]));
    assert!(
        values(&swapped)
            .iter()
            .all(|value| !values(&marks).contains(value))
    );
    let foreign = base().marks(&[8; 32], &needed());
    assert!(ids(&foreign).iter().all(|id| !ids(&marks).contains(id)));
}

#[test]
fn marks_are_the_same_whatever_the_order_and_case_of_the_columns() {
    let key = [7; 32];
    let base = table(&["1", "23"], &[1.0, 2.0, 3.0, 4.0], &[true, false]);
    let turned = table(&["1", "23"], &[2.0, 1.0, 4.0, 3.0], &[true, false]);
    let renamed = Needed {
        attributes: vec!["B".into(), "a".into()],
        ..needed()
    };
    assert_eq!(turned.marks(&key, &renamed), base.marks(&key, &needed()));
}

fn class() -> Label {
    Label {
        column: "c".into(),
        value: "38".into(),
    }
}

/// At most 3 rows; positive where the columns lack the label.
fn selected(
    columns: &[&str],
    sql: &str,
    rows: &[&[Cell<'_>]],
) -> Result<(Table, Dropped), DataError> {
    let query = crate::query::parse(sql).unwrap();
    let mut found = Rows::new(2);
    let wanted = Wanted {
        query: &query,
        needed: &needed(),
        classes: Classes::Label {
            label: &class(),
            otherwise: Some(true),
        },
        rows_max: 3,
    };
    let mut selecting = Selecting::new(columns, wanted, &mut found)?;
    for row in rows {
        selecting.row(&|column| row[column])?;
    }
    Table::for_training(found)
}

#[test]
fn cells_of_every_kind_become_ids_labels_and_numbers() {
    use Cell::{Integer, Real, Text};
    let rows: &[&[Cell<'_>]] = &[
        &[Integer(1), Text(" 38 "), Real(0.5), Text(" -1.5e1 ")],
        &[Text(" 2 "), Real(38.0), Integer(1 << 53), Real(-0.0)],
        &[Real(1.5), Integer(3), Text("0.1"), Text("-0")],
    ];
    let (table, dropped) = selected(&["ID", "C", "a", "B"], "select * from t", rows).unwrap();
    assert_eq!(ids(&table), ["1", "1.5", "2"]);
    assert_eq!(table.positive, [true, false, true]);
    let expected = [[0.5, -15.0], [0.1, 0.0], [9_007_199_254_740_992.0, 0.0]];
    assert_eq!(table.values, ndarray::arr2(&expected));
    assert!(
        table
            .values
            .column(1)
            .iter()
            .skip(1)
            .all(|zero| zero.is_sign_positive())
    );
    assert_eq!(dropped, Dropped::default());
}

#[test]
fn whatever_means_missing_drops_its_row() {
    let missing = ["", "  ", "NaN", "None", "nA", " null "].map(Cell::Text);
    for cell in missing
        .into_iter()
        .chain([Cell::Missing, Cell::Real(f64::NAN)])
    {
        for place in 0..4 {
            let whole = [Cell::Integer(1); 4];
            let mut row = whole;
            row[place] = cell;
            let columns = ["id", "c", "a", "b"];
            let (table, dropped) = selected(&columns, "select * from t", &[&row, &whole]).unwrap();
            assert_eq!(
                (table.ids.len(), table.values.dim()),
                (1, (1, 2)),
                "{cell:?}"
            );
            assert_eq!((dropped.missing, dropped.repeated), (1, 0), "{cell:?}");
        }
    }
}

#[test]
fn what_is_no_finite_exact_number_is_an_error_that_names_the_column() {
    let column = || "b".to_owned();
    for (cell, expected) in [
        (Cell::Text("x"), DataError::NotNumeric { column: column() }),
        (
            Cell::Text("1,5"),
            DataError::NotNumeric { column: column() },
        ),
        (
            Cell::Text("true"),
            DataError::NotNumeric { column: column() },
        ),
        (Cell::Text("inf"), DataError::NotFinite { column: column() }),
        (
            Cell::Text("-Infinity"),
            DataError::NotFinite { column: column() },
        ),
        (
            Cell::Text("1e999"),
            DataError::NotFinite { column: column() },
        ),
        (
            Cell::Real(f64::INFINITY),
            DataError::NotFinite { column: column() },
        ),
        (
            Cell::Integer(i64::MIN),
            DataError::NotExact { column: column() },
        ),
        (
            Cell::Text("-9007199254740993"),
            DataError::NotExact { column: column() },
        ),
        (Cell::Bytes, DataError::NotText { column: column() }),
    ] {
        let row = [Cell::Integer(1), Cell::Integer(2), Cell::Integer(3), cell];
        let result = selected(&["id", "c", "a", "b"], "select * from t", &[&row]);
        assert_eq!(failure(result), Some(expected), "{cell:?}");
    }
    let large = [
        Cell::Integer(1),
        Cell::Integer(38),
        Cell::Text("1e20"),
        Cell::Text("0.1"),
    ];
    assert!(selected(&["id", "c", "a", "b"], "select * from t", &[&large]).is_ok());
}

#[test]
fn bytes_in_an_id_a_label_or_a_tested_column_are_an_error() {
    let columns = ["id", "c", "a", "b", "t"];
    for place in [0, 1, 4] {
        let mut row = [Cell::Integer(1); 5];
        row[place] = Cell::Bytes;
        let result = selected(&columns, "select * from t where t is not null", &[&row]);
        let column = columns[place].to_owned();
        assert_eq!(failure(result), Some(DataError::NotText { column }));
    }
}

#[test]
fn columns_are_looked_for_by_name_and_named_when_they_are_not_there() {
    let all = ["id", "a", "b", "c", "d"];
    let error = |columns: &[&str], sql: &str| {
        failure(selected(columns, sql, &[])).filter(|error| *error != DataError::NoRows)
    };
    let column = |name: &str| name.to_owned();
    assert_eq!(error(&all, "select * from t where d = 1"), None);
    assert_eq!(error(&all, "select ID, A, B from t where d = 1"), None);
    for (columns, sql, name) in [
        (&all[1..], "select * from t", "id"),
        (&["id", "a", "c"][..], "select * from t", "b"),
        (&all, "select id, a, b, x from t", "x"),
        (&all, "select * from t where x = 1", "x"),
    ] {
        let expected = DataError::ColumnUnknown {
            column: name.into(),
        };
        assert_eq!(error(columns, sql), Some(expected));
    }
    assert_eq!(
        error(&all, "select id, a, c from t"),
        Some(DataError::ColumnNotSelected {
            column: column("b")
        })
    );
    assert_eq!(
        error(&["id", "A", "A", "b"], "select * from t"),
        Some(DataError::ColumnRepeated {
            column: column("A")
        })
    );
    assert_eq!(
        error(&["ID", "Id", "a", "b"], "select * from t"),
        Some(DataError::ColumnAmbiguous {
            column: column("id")
        })
    );
    assert_eq!(
        error(&["id", "ID", "a", "b", "", ""], "select * from t"),
        None
    );
}

#[test]
fn a_label_column_that_is_absent_or_not_listed_is_no_error() {
    let row: &[Cell<'_>] = &[Cell::Integer(1); 4];
    let positive = |columns: &[&str], sql: &str| {
        let (table, _) = selected(columns, sql, &[row]).unwrap();
        table.positive
    };
    assert_eq!(positive(&["id", "a", "b", "d"], "select * from t"), [true]);
    assert_eq!(
        positive(&["id", "a", "b", "c"], "select id, a, b from t where c = 1"),
        [true]
    );
    assert_eq!(positive(&["id", "a", "b", "c"], "select * from t"), [false]);
}

#[test]
fn rows_are_counted_after_the_filter_and_before_any_is_dropped() {
    let row = |id: i64| {
        let label = if id % 2 == 0 {
            Cell::Missing
        } else {
            Cell::Integer(38)
        };
        [Cell::Integer(id), label, Cell::Real(0.0), Cell::Real(-0.0)]
    };
    let rows: Vec<_> = (0..9).map(row).collect();
    let rows: Vec<&[Cell<'_>]> = rows.iter().map(|row| &row[..]).collect();
    let columns = ["id", "c", "a", "b"];
    let (table, dropped) = selected(&columns, "select * from t where id < 3", &rows).unwrap();
    assert_eq!((table.ids.len(), dropped.missing), (1, 2));
    assert!(table.values.iter().all(|value| value.is_sign_positive()));
    let many = selected(&columns, "select * from t where id < 4", &rows);
    assert_eq!(failure(many), Some(DataError::TooManyRows { rows_max: 3 }));
}

#[test]
fn an_id_that_no_hospital_has_is_an_error() {
    let row = |id| {
        [
            Cell::Text(id),
            Cell::Integer(38),
            Cell::Integer(1),
            Cell::Integer(1),
        ]
    };
    let columns = ["id", "c", "a", "b"];
    let longest = "x".repeat(limits::ID_BYTES_MAX);
    assert!(selected(&columns, "select * from t", &[&row(&longest)]).is_ok());
    let longer = format!("{longest}x");
    let error = failure(selected(&columns, "select * from t", &[&row(&longer)]));
    let column = "id".to_owned();
    assert_eq!(error, Some(DataError::IdTooLong { column }));
}

#[test]
fn only_columns_that_matter_are_read() {
    let query = crate::query::parse("select * from t where y = 1 or a = 2").unwrap();
    let columns = ["x", "b", "y", "id", "z", "a"];
    let (needed, label, mut rows) = (needed(), class(), Rows::new(2));
    let mut wanted = Wanted {
        query: &query,
        needed: &needed,
        classes: Classes::Unneeded,
        rows_max: 1,
    };
    let selecting = Selecting::new(&columns, wanted, &mut rows).ok();
    assert_eq!(selecting.map(|s| s.reads()), Some(vec![1, 2, 3, 5]));
    wanted.classes = Classes::Label {
        label: &label,
        otherwise: None,
    };
    let columns = ["x", "b", "c", "id", "y", "a"];
    let selecting = Selecting::new(&columns, wanted, &mut rows).ok();
    assert_eq!(selecting.map(|s| s.reads()), Some(vec![1, 2, 3, 4, 5]));
}

proptest! {
    #[test]
    fn the_order_of_rows_does_not_matter(
        mut rows in prop::collection::vec((0_u8..20, any::<bool>()), 1..30),
        seed in any::<prop::sample::Index>(),
    ) {
        let build = |rows: &[(u8, bool)]| {
            let names: Vec<_> = rows.iter().map(|(id, _)| id.to_string()).collect();
            let values: Vec<_> = rows.iter().map(|(id, _)| [f64::from(*id)]).collect();
            let given: Vec<Given<'_>> = (0..rows.len())
                .map(|i| (Some(&*names[i]), Some(if rows[i].1 { "38" } else { "1" }), &values[i][..]))
                .collect();
            for_training(selection(true, &given), None, &diagnosis())
        };
        let before = build(&rows);
        let middle = seed.index(rows.len());
        rows.rotate_left(middle);
        rows.reverse();
        match (before, build(&rows)) {
            (Ok(before), Ok(after)) => prop_assert!(before == after),
            (before, after) => prop_assert_eq!(failure(before), failure(after)),
        }
    }
}
