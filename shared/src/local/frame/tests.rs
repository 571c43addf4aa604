use super::*;
use crate::local::stopping::tests::NEVER;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn of(text: &str) -> Result<Frame, FrameError> {
    read(FileKind::Feature, text.as_bytes(), &BTreeSet::new(), &NEVER)
}

fn texts(cells: &[&str]) -> Column {
    Column::Texts(Texts::of(cells.iter().copied()))
}

fn refusal(text: &str) -> String {
    of(text).unwrap_err().to_string()
}

#[test]
fn columns_are_numbers_when_every_cell_that_is_not_null_is() {
    let frame = of("i,f,g,t,u\n1,1,1.5,1,True\n-2,NA,2e3,x,False\n+3, .5 ,-1.,3,1\n").unwrap();
    assert_eq!(frame.names, ["i", "f", "g", "t", "u"]);
    assert_eq!((frame.rows, frame.columns.len()), (3, 5));
    assert_eq!(frame.columns[0], Column::Integers(vec![1, -2, 3]));
    let Column::Floats(nulls) = &frame.columns[1] else {
        panic!("a null makes floats of whole numbers");
    };
    assert!(nulls[1].is_nan() && (nulls[0], nulls[2]) == (1.0, 0.5));
    assert_eq!(frame.columns[2], Column::Floats(vec![1.5, 2000.0, -1.0]));
    assert_eq!(frame.columns[3], texts(&["1", "x", "3"]));
    assert_eq!(frame.columns[4], texts(&["True", "False", "1"]));
}

#[test]
fn byte_order_marks_line_ends_and_quotes_change_nothing() {
    let plain = of("a,b\n1,x\n2,y z\n").unwrap();
    for same in [
        "\u{feff}a,b\n1,x\n2,y z\n",
        "a,b\r\n1,x\r\n2,y z\r\n",
        "\"a\",\"b\"\n\"1\",\"x\"\n2,\"y z\"",
        "\n\na,b\n\n1,x\n2,y z\n\n",
        "\u{feff}\"a\",b\r\n1,x\r\n2,y z",
    ] {
        assert_eq!(of(same).unwrap(), plain, "{same:?}");
    }
    let quoted = of("\"a,\"\"1\"\"\",b\n\"1\n2\",ü\n").unwrap();
    assert_eq!(quoted.names, ["a,\"1\"", "b"]);
    assert_eq!(quoted.columns, [texts(&["1\n2"]), texts(&["ü"])]);
}

#[test]
fn a_column_can_be_read_as_text() {
    let frame = read(
        FileKind::Testing,
        b"a,b\n01,2\n",
        &BTreeSet::from(["a"]),
        &NEVER,
    )
    .unwrap();
    assert_eq!(frame.columns, [texts(&["01"]), Column::Integers(vec![2])]);
}

#[test]
fn what_is_wrong_is_told_by_line_and_column_without_a_cell() {
    let long = "n".repeat(60);
    let wide = vec!["c"; FILE_COLUMNS_MAX + 1].join(",");
    let cases = [
        ("", "the feature file is empty; it must have a header row"),
        (
            " \n\r\n",
            "the feature file is empty; it must have a header row",
        ),
        ("a,b\n\n", "the feature file has a header row and no other"),
        (
            "a,b,a\n1,2,3\n",
            "columns 1 and 3 of the feature file have the same name",
        ),
        (
            "a,b\n1,2\n3\n",
            "line 3 of the feature file has 1 cells, the header 2",
        ),
        (
            "a,b\n1,2\n3,4,5\n",
            "line 3 of the feature file has 3 cells, the header 2",
        ),
        (
            "a\n\"1\n2\"\nx\0\n",
            "line 4 of the feature file is not UTF-8 text",
        ),
        (
            "a,b\nx,1\n,secret\n",
            "line 3, column 1 of the feature file: text is missing",
        ),
        (
            "a,b\n1,1\n2,-inf\n",
            "line 3, column 2 of the feature file: a number must lie below 1e100 in magnitude",
        ),
        (
            "a,b\n1,1\n2,1e999\n",
            "line 3, column 2 of the feature file: a number must lie below 1e100 in magnitude",
        ),
        (
            &wide,
            "the feature file has a row of more than 4096 columns",
        ),
        (
            &format!("a,b\n\"1\n\"\"\",2\n3\",{wide}\n"),
            "the feature file has a row of more than 4096 columns",
        ),
        (
            &format!("a,b\n1,\"{}\n", "secret\n".repeat(600)),
            "line 2 of the feature file has more than 4096 bytes in cell 2; a quote may be missing",
        ),
        (
            &format!("{long},{long}\n1,2\n"),
            "columns 1 and 2 of the feature file have the same name",
        ),
    ];
    for (text, right) in cases {
        assert_eq!(refusal(text), right);
    }
    let latin = read(
        FileKind::Target,
        b"a\nx\n\xe9t\xe9\n",
        &BTreeSet::new(),
        &NEVER,
    );
    let said = "line 3 of the target file is not UTF-8 text";
    assert_eq!(latin.unwrap_err().to_string(), said);
    let large = vec![b'\n'; FILE_BYTES_MAX + 1];
    let large = read(FileKind::Target, &large, &BTreeSet::new(), &NEVER);
    assert!(matches!(large, Err(FrameError::Bytes { .. })));
}

#[test]
fn many_cells_inside_of_quotes_or_of_many_rows_are_fine() {
    let commas = ",".repeat(CELL_BYTES_MAX);
    let text = format!(
        "a,b\n\"{commas}\",5\" wide\n\"\"\"{}\"\"\",x\n",
        &commas[4..]
    );
    assert_eq!(of(&text).unwrap().rows, 2);
    assert_eq!(
        of(&format!("a,b\n{}", "1,2\n".repeat(9000))).unwrap().rows,
        9000
    );
}

#[test]
fn columns_without_a_name_are_numbered() {
    assert_eq!(
        of(",a,\n0,1,2\n").unwrap().names,
        ["Unnamed: 0", "a", "Unnamed: 2"]
    );
}

#[test]
fn a_text_that_would_break_the_file_is_quoted_and_a_formula_is_not() {
    let frame = of("\"a,b\",c\n\"x\"\"y\",=1+1\n\"1\n2\",@z\n").unwrap();
    let names = texts(&["p,q", "r"]);
    let written = write(&frame, &names, &[0, 1]).unwrap();
    let right = "# \"a,b\",c,Result\n\"x\"\"y\",=1+1,\"p,q\"\n\"1\n2\",@z,r\n";
    assert_eq!(String::from_utf8(written).unwrap(), right);
}

proptest! {
    #[test]
    fn texts_come_back_as_they_were(rows in prop::collection::vec(("\\PC{1,12}", any::<i64>()), 1..20)) {
        let mut text = String::from("word,number\n");
        for (word, number) in &rows {
            text += &format!("\"{}\",{number}\n", word.replace('"', "\"\""));
        }
        // As a text whatever the words are: some may all be numbers, or null.
        text += "\"a word\",0\n";
        let null = rows.iter().any(|(word, _)| ["NA", "nan", "null"].contains(&word.as_str()));
        prop_assume!(!null);
        let frame = of(&text).unwrap();
        let Column::Texts(words) = &frame.columns[0] else { panic!("text") };
        let Column::Integers(numbers) = &frame.columns[1] else { panic!("numbers") };
        for (index, (word, number)) in rows.iter().enumerate() {
            prop_assert_eq!(words.get(index), word);
            prop_assert_eq!(numbers[index], *number);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(prop::sample::select(b"a1,\"\n\r. \xc3\xa9-e\0".to_vec()), 0..60)) {
        let _ = read(FileKind::Feature, &bytes, &BTreeSet::new(), &NEVER);
    }

    #[test]
    fn floats_are_read_back_as_they_were(value in prop::num::f64::NORMAL) {
        prop_assume!(value.abs() < FILE_NUMBER_MAX);
        let frame = of(&format!("a\n{value:e}\n0.5\n")).unwrap();
        let written = write(&frame, &Column::Integers(vec![0]), &[0, 0]).unwrap();
        let line = String::from_utf8(written).unwrap().lines().nth(1).unwrap().to_owned();
        prop_assert_eq!(line.split(',').next().unwrap().parse::<f64>().unwrap(), value);
    }
}
