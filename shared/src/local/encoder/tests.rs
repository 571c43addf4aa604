use super::*;
use crate::computation::FileKind;
use crate::local::frame;
use crate::local::stopping::tests::NEVER;
use ndarray::array;

fn frame(file: FileKind, text: &str, texts: &BTreeSet<&str>) -> Frame {
    frame::read(file, text.as_bytes(), texts, &NEVER).unwrap()
}

fn feature(text: &str) -> Frame {
    frame(FileKind::Feature, text, &BTreeSet::new())
}

#[test]
fn columns_are_sorted_by_code_points_and_texts_spread() {
    let (encoder, rows) = Encoder::fit(&feature("b,Z,a\n1,x,7\n2,ä,8\n3,x,9\n"), false).unwrap();
    assert_eq!(encoder.features, ["Z=x", "Z=ä", "a", "b"]);
    assert_eq!(
        rows,
        array![[1., 0., 7., 1.], [0., 1., 8., 2.], [1., 0., 9., 3.]]
    );
}

#[test]
fn nulls_become_the_training_mean_in_both_files() {
    let (encoder, rows) = Encoder::fit(&feature("a,b\n1,1\n,2\n5,3\n"), false).unwrap();
    assert_eq!(rows.column(0).to_vec(), [1.0, 3.0, 5.0]);
    let testing = frame(FileKind::Testing, "b,a\n9,\nNA,100\n", &encoder.texts());
    assert_eq!(
        encoder.transform(&testing).unwrap(),
        array![[3., 9.], [100., 2.]]
    );
}

#[test]
fn scaling_divides_by_the_training_deviation_and_never_by_nothing() {
    // The mean of ten times 0.1, as it is rounded, is another number.
    let text = format!("a,b\n{}", "1,0.1\n5,0.1\n".repeat(5));
    let (encoder, rows) = Encoder::fit(&feature(&text), true).unwrap();
    assert_eq!(encoder.scale, Some(vec![2.0, 1.0]));
    assert_eq!(rows.row(1).to_vec(), [2.5, 0.1]);
    let testing = frame(FileKind::Testing, "a,b\n8,4\n", &encoder.texts());
    assert_eq!(encoder.transform(&testing).unwrap(), array![[4., 4.]]);
}

#[test]
fn too_many_values_are_refused_before_a_matrix_is_made() {
    let mut text = String::from("key,a\n");
    for row in 0..=ENCODED_COLUMNS_MAX {
        text += &format!("k{row},1\n");
    }
    let refused = Encoder::fit(&feature(&text), false).unwrap_err();
    assert_eq!(refused, EncodeError::Columns { column: 1 });
    let mut text = String::from("key\n");
    for row in 0..9000 {
        text += &format!("k{row}\n");
    }
    let refused = Encoder::fit(&feature(&text), false).unwrap_err();
    assert!(matches!(
        refused,
        EncodeError::Values {
            rows: 9000,
            columns: 9000,
            ..
        }
    ));
}
