//! Texts against rational arithmetic, and everything that is no matrix.

use num_bigint::{BigInt, BigRng010, BigUint};
use num_integer::Integer as _;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::limits::{PRODUCT_DIGITS_MAX, SUM_DIGITS_MAX};

const ONE: i128 = 10i128.pow(DECIMALS_MAX);

fn read(text: &str) -> Result<(u32, u32, Vec<i128>), Error> {
    let matrix = Matrix::parse(text, SUM_DIGITS_MAX)?;
    Ok((matrix.rows, matrix.columns, matrix.values.clone()))
}

fn number(text: &str) -> i128 {
    read(text).unwrap().2[0]
}

fn refused(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

/// What a JSON number means, as a fraction: by definition, slowly.
fn fraction(text: &str) -> (BigInt, BigUint) {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.parse::<i64>().unwrap() - part.len() as i64;
    let digits: BigInt = format!("{whole}{part}").parse().unwrap();
    let power = BigUint::from(10u8).pow(exponent.unsigned_abs() as u32);
    match exponent < 0 {
        true => (digits, power),
        false => (digits * BigInt::from(power), BigUint::from(1u8)),
    }
}

#[test]
fn a_matrix_is_rows_of_numbers_and_a_bare_number_is_one_of_1_x_1() {
    let row = vec![18 * ONE, 34 * ONE, 18_200_000_000_000];
    assert_eq!(read("[[18,34,18.2]]"), Ok((1, 3, row.clone())));
    assert_eq!(read(" [ [ 18 ,\t34,\r\n18.2 ] ] \n"), Ok((1, 3, row)));
    let column = (2, 1, vec![-ONE, 0]);
    assert_eq!(read("[[-1],[-0]]"), Ok(column));
    let sample = 239_483_279_483_298_918_390 * ONE;
    assert_eq!(read("239483279483298918390"), Ok((1, 1, vec![sample])));
    assert_eq!(read(" -2.5 "), Ok((1, 1, vec![-5 * ONE / 2])));
}

#[test]
fn numbers_are_exact_in_every_way_of_writing_them() {
    assert_eq!(number("1e3"), 1_000 * ONE);
    assert_eq!(number("1.5E-2"), 15 * ONE / 1_000);
    assert_eq!(number("100e-2"), ONE);
    assert_eq!(number("0.000000000001"), 1);
    assert_eq!(number("-0.000000000001000"), -1);
    assert_eq!(number("0.00000000000000000001E+8"), 1);
    assert_eq!(number("100000000000000000000000000000e-17"), ONE * ONE);
    assert_eq!(number("-0"), 0);
    assert_eq!(number("0e999999999999999999999999"), 0);
    assert_eq!(number("0.0e-999999999999999999999999"), 0);
    let largest = "999999999999999999999999.999999999999";
    assert_eq!(number(largest), 10i128.pow(36) - 1);
    let long = format!("1{}e-1000", "0".repeat(1_000));
    assert_eq!(number(&long), ONE);
    let small = format!("0.{}1e1001", "0".repeat(1_000));
    assert_eq!(number(&small), ONE);
}

#[test]
fn too_fine_and_too_large_numbers_are_refused_without_their_digits() {
    let fine = "row 1, column 2: at most 12 decimals after the point";
    for value in [
        "1e-13",
        "0.1234567890123",
        "1e-999999999",
        "7e-99999999999999999999999",
    ] {
        assert_eq!(refused(&format!("[[1,{value}]]")), fine, "{value}");
    }
    let large = "row 2, column 1: a value has at most 24 digits before the point";
    let long = "9".repeat(10_000);
    for value in [
        "1e24",
        "-1e24",
        "1e999999999",
        "9e99999999999999999999999",
        &long,
    ] {
        assert_eq!(refused(&format!("[[1],[{value}]]")), large, "{value}");
    }
    let product = |text| Matrix::parse(text, PRODUCT_DIGITS_MAX).map(|matrix| matrix.values[0]);
    assert_eq!(product("999999999999.999999999999"), Ok(ONE * ONE - 1));
    assert!(matches!(
        product("1e12"),
        Err(Error::Digits { digits: 12, .. })
    ));
    // Both, and with more digits than a word has.
    assert!(refused(&format!("{long}.{long}")).contains("digits before"));
    assert!(refused(&format!("1.{long}")).contains("after the point"));
}

#[test]
fn what_is_no_matrix_is_refused_where_it_stops_being_one() {
    for (text, said) in [
        ("", "row 1, column 1: expected a number as JSON writes it"),
        (
            "[",
            "row 1, column 1: expected `[`, for a matrix is an array of rows",
        ),
        ("[]", "row 1: it has no values"),
        ("[[]]", "row 1: it has no values"),
        ("[[1],[]]", "row 2: it has no values"),
        (
            "[1,2]",
            "row 1, column 1: expected `[`, for a matrix is an array of rows",
        ),
        (
            "[[1],2]",
            "row 2, column 1: expected `[`, for a matrix is an array of rows",
        ),
        (
            "[[1,2],[3]]",
            "row 2: it does not have 2 values as row 1 has",
        ),
        (
            "[[1],[2,3]]",
            "row 2: it does not have 1 values as row 1 has",
        ),
        ("[[1,2]", "row 1, column 2: expected `,` or `]` after it"),
        ("[[1,2", "row 1, column 2: expected `,` or `]` after it"),
        ("[[1,2]]]", "row 1, column 2: expected the end"),
        ("[[1]] 2", "row 1, column 1: expected the end"),
        ("1 2", "row 1, column 1: expected the end"),
        (
            "[[1,],[2]]",
            "row 1, column 2: expected a number as JSON writes it",
        ),
        (
            "[[1],]",
            "row 2, column 1: expected `[`, for a matrix is an array of rows",
        ),
        (
            "[[[1]]]",
            "row 1, column 1: expected a number as JSON writes it",
        ),
    ] {
        assert_eq!(refused(text), said, "{text}");
    }
    for word in [
        "NaN",
        "nan",
        "Infinity",
        "-Infinity",
        "inf",
        "null",
        "true",
        "\"1\"",
        "+1",
        ".5",
        "1.",
        "1.e2",
        "01",
        "-",
        "--1",
        "1e",
        "1e+",
        "0x10",
        "1_000",
        "1,5e",
        "{}",
        "１",
        "\u{a0}1",
    ] {
        let error = refused(&format!("[[7,{word}]]"));
        assert!(error.starts_with("row 1, column "), "{word}: {error}");
        assert!(read(word).is_err(), "{word}");
    }
}

#[test]
fn a_matrix_has_a_bounded_number_of_values() {
    let row = format!("[{}]", vec!["0"; MATRIX_VALUES_MAX].join(","));
    assert!(read(&format!("[{row}]")).is_ok());
    let (row, column) = (2, 1);
    assert_eq!(read("[[1],[1]]").map(|read| read.0), Ok(2));
    let two = format!(
        "[{row},[0]]",
        row = &*format!("[{}]", vec!["0"; MATRIX_VALUES_MAX].join(","))
    );
    assert_eq!(read(&two), Err(Error::TooMany { row, column }));
    let wide = format!("[[{}]]", vec!["0"; MATRIX_VALUES_MAX + 1].join(","));
    let column = MATRIX_VALUES_MAX + 1;
    assert_eq!(read(&wide), Err(Error::TooMany { row: 1, column }));
}

#[test]
fn every_text_is_read_as_the_fraction_that_it_is() {
    let mut draws = StdRng::seed_from_u64(1);
    let mut taken = 0;
    for _ in 0..20_000 {
        let digits = |count: u32, draws: &mut StdRng| -> String {
            let sparse = draws.random_bool(0.3);
            (0..count)
                .map(|_| match sparse && draws.random_bool(0.8) {
                    true => '0',
                    false => char::from(b'0' + draws.random_range(0..10)),
                })
                .collect()
        };
        let mut text = String::from(if draws.random() { "-" } else { "" });
        let count = draws.random_range(0..26);
        let whole = digits(count, &mut draws);
        let whole = whole.trim_start_matches('0');
        text += if whole.is_empty() { "0" } else { whole };
        if draws.random() {
            let count = draws.random_range(1..20);
            text += &format!(".{}", digits(count, &mut draws));
        }
        if draws.random_bool(0.4) {
            text += &format!(
                "{}{}",
                ["e", "E"][draws.random_range(0..2)],
                draws.random_range(-30..30)
            );
        }
        let (numerator, denominator) = fraction(&text);
        let denominator = BigInt::from(denominator);
        let (scaled, rest) = (numerator * ONE).div_rem(&denominator);
        let large = scaled.magnitude() >= &BigUint::from(10u8).pow(SUM_DIGITS_MAX + DECIMALS_MAX);
        match Matrix::parse(&text, SUM_DIGITS_MAX).map(|matrix| matrix.values[0]) {
            Ok(value) => {
                assert_eq!(
                    (BigInt::from(value), rest),
                    (scaled, BigInt::ZERO),
                    "{text}"
                );
                taken += 1;
            }
            Err(Error::Digits { .. }) => assert!(large, "{text}"),
            Err(Error::Decimals { .. }) => assert!(!large && rest != BigInt::ZERO, "{text}"),
            Err(error) => panic!("{text}: {error}"),
        }
    }
    assert!((4_000..18_000).contains(&taken), "{taken}");
}

#[test]
fn what_is_printed_exactly_is_read_again() {
    for (value, scale, text) in [
        (0, 12, "0"),
        (0, 0, "0"),
        (54_600_000_000_000i64, 12, "54.6"),
        (-1, 12, "-0.000000000001"),
        (120, 0, "120"),
        (120, 1, "12"),
        (100, 12, "0.0000000001"),
        (-1_000, 3, "-1"),
    ] {
        assert_eq!(exact(&BigInt::from(value), scale), text);
    }
    let mut draws = StdRng::seed_from_u64(2);
    for _ in 0..20_000 {
        let bits = draws.random_range(0..119);
        let value = draws.random_bigint(bits);
        let text = exact(&value, DECIMALS_MAX);
        assert_eq!(BigInt::from(number(&text)), value, "{text}");
    }
}

#[test]
fn six_places_are_rounded_half_to_even() {
    for (value, scale, text) in [
        (0, 12, "0.000000"),
        (54_600_000_000_000i64, 12, "54.600000"),
        (1, 0, "1.000000"),
        (-25, 1, "-2.500000"),
        (123_456_789, 6, "123.456789"),
        (500_000, 12, "0.000000"),
        (500_001, 12, "0.000001"),
        (1_500_000, 12, "0.000002"),
        (2_500_000, 12, "0.000002"),
        (2_500_001, 12, "0.000003"),
        (-1_500_000, 12, "-0.000002"),
        (-1, 12, "-0.000000"),
        (999_999_999_999i64, 12, "1.000000"),
    ] {
        assert_eq!(fixed(&BigInt::from(value), scale), text, "{value}");
    }
}

/// Where a float is exact, C and we mean the same number; Rust rounds as C does.
#[test]
fn six_places_are_those_of_printf_where_a_float_is_exact() {
    let mut draws = StdRng::seed_from_u64(3);
    for _ in 0..20_000 {
        // Multiples of 2^-20: at most 20 places, often exactly between two of six.
        let numerator: i64 = draws.random_range(-(1 << 40)..1 << 40);
        let step = 1i64 << draws.random_range(0..20);
        let numerator = numerator / step * step;
        let float = numerator as f64 / f64::from(1 << 20);
        let scaled = BigInt::from(numerator) * BigInt::from(5u8).pow(20);
        assert_eq!(fixed(&scaled, 20), format!("{float:.6}"), "{numerator}");
    }
}

proptest! {
    #[test]
    fn six_places_are_the_nearest(value in any::<i128>(), scale in 7u32..30) {
        let text = fixed(&BigInt::from(value), scale);
        let printed: BigInt = text.replace('.', "").parse().unwrap();
        let unit = BigInt::from(10u8).pow(scale - 6);
        let off = (printed.clone() * &unit - value) * 2u8;
        prop_assert!(off.magnitude() <= unit.magnitude());
        prop_assert!(off.magnitude() < unit.magnitude() || printed.is_even());
    }

    #[test]
    fn no_text_makes_reading_panic(text in r#"[\[\]0-9eE.,+ \-"]{0,40}"#) {
        let _ = Matrix::parse(&text, SUM_DIGITS_MAX);
    }
}
