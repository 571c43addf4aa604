//! The kernel against `num-bigint`.

use proptest::prelude::*;

use super::*;

/// A number of at most so many limbs; all ones and zeros are as likely as anything else.
fn number(limbs: usize) -> impl Strategy<Value = BigUint> {
    let limb = prop_oneof![2 => any::<u64>(), 1 => Just(0), 1 => Just(u64::MAX)];
    prop::collection::vec(limb, limbs).prop_map(|limbs| integer(&limbs))
}

/// A modulus of the given limbs with its highest bit set, and three numbers modulo its square.
fn case(limbs: usize) -> impl Strategy<Value = (BigUint, [BigUint; 3])> {
    (
        number(limbs),
        [number(2 * limbs), number(2 * limbs), number(2 * limbs)],
    )
        .prop_map(move |(mut n, numbers)| {
            n.set_bit(0, true);
            n.set_bit((limbs * LIMB_BITS) as u64 - 1, true);
            let square = &n * &n;
            (n, numbers.map(|number| number % &square))
        })
}

fn any_case() -> impl Strategy<Value = (BigUint, [BigUint; 3])> {
    prop_oneof![case(2), case(4), case(6), case(32)]
}

fn digits(modulus: &Modulus, n: &BigUint, value: &BigUint) -> Digits {
    let k = modulus.len();
    Digits {
        low: limbs(&(value % n), k),
        high: limbs(&(value / n), k),
    }
}

fn value(n: &BigUint, digits: &Digits) -> BigUint {
    integer(&digits.low) + integer(&digits.high) * n
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn products_and_squares_of_one_digit_are_those_of_num_bigint((n, [a, b, _]) in any_case()) {
        let modulus = Modulus::new(&n);
        let k = modulus.len();
        let radix = BigUint::from(1u32) << (LIMB_BITS * k);
        let (a, b) = (a % &n, b % &radix);
        let mut work = modulus.work();
        let mut out = limbs(&a, k);
        work.multiply_by(&mut out, &limbs(&b, k));
        prop_assert!(integer(&out) < n);
        prop_assert_eq!(integer(&out) * &radix % &n, &a * &b % &n);
        let mut other = limbs(&b, k);
        work.multiply(&mut other, &limbs(&a, k), &limbs(&b, k));
        prop_assert_eq!(&other, &out);
        work.square(&mut out);
        prop_assert_eq!(integer(&out) * radix.pow(3) % &n, (&a * &b).pow(2) % &n);
    }

    #[test]
    fn sums_and_differences_stay_below_the_modulus((n, [a, b, _]) in any_case()) {
        let modulus = Modulus::new(&n);
        let (a, b) = (a % &n, b % &n);
        let [mut sum, mut difference, mut double] = [(); 3].map(|()| limbs(&a, modulus.len()));
        modulus.add(&mut sum, &limbs(&b, modulus.len()));
        modulus.subtract(&mut difference, &limbs(&b, modulus.len()));
        modulus.double(&mut double);
        prop_assert_eq!(integer(&sum), (&a + &b) % &n);
        prop_assert_eq!(integer(&difference), (&a + &n - &b) % &n);
        prop_assert_eq!(integer(&double), (&a + &a) % &n);
    }

    #[test]
    fn a_wide_number_folds_to_its_residue((n, [a, _, _]) in any_case()) {
        let modulus = Modulus::new(&n);
        let k = modulus.len();
        let mut out = limbs(&BigUint::ZERO, k);
        modulus.work().fold(&mut out, &limbs(&a, 2 * k));
        prop_assert!(integer(&out) < n);
        prop_assert_eq!((integer(&out) << (LIMB_BITS * k)) % &n, a % &n);
    }

    #[test]
    fn a_product_is_added_in_full((n, [a, b, c]) in any_case()) {
        let k = Modulus::new(&n).len();
        let (a, b, c) = (a % &n, b % &n, c % &n);
        let mut sum = limbs(&c, 2 * k);
        add_product(&mut sum, &limbs(&a, k), &limbs(&b, k));
        prop_assert_eq!(integer(&sum), a * b + c);
    }

    #[test]
    fn arithmetic_on_digits_is_arithmetic_modulo_the_square((n, [a, b, c]) in any_case()) {
        let modulus = Modulus::new(&n);
        let square = &n * &n;
        let radix = BigUint::from(1u32) << (LIMB_BITS * modulus.len());
        let (c, start) = (c % &radix, digits(&modulus, &n, &a));
        let mut work = modulus.work();

        let mut x = start.clone();
        work.multiply_digits(&mut x, &digits(&modulus, &n, &b));
        prop_assert!(integer(&x.low) < n && integer(&x.high) < n);
        prop_assert_eq!(value(&n, &x) * &radix % &square, &a * &b % &square);

        let mut x = start.clone();
        work.square_digits(&mut x);
        prop_assert_eq!(value(&n, &x) * &radix % &square, &a * &a % &square);

        let mut x = start.clone();
        work.multiply_digit(&mut x, &limbs(&c, modulus.len()));
        prop_assert!(integer(&x.low) < n && integer(&x.high) < n);
        prop_assert_eq!(value(&n, &x) * &radix % &square, &a * &c % &square);

        let mut x = start;
        modulus.add_digits(&mut x, &digits(&modulus, &n, &b));
        prop_assert_eq!(value(&n, &x), (&a + &b) % &square);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn powers_are_those_of_num_bigint((n, [a, b, _]) in prop_oneof![case(2), case(6)]) {
        let modulus = Modulus::new(&n);
        let square = &n * &n;
        let k = modulus.len();
        let radix = BigUint::from(1u32) << (LIMB_BITS * k);
        let exponent = limbs(&b, 2 * k);
        let mut work = modulus.work();

        let base = limbs(&(&a * &radix % &n), k);
        let mut power = work.power(&modulus.radix_power(1), &base, &exponent);
        let unit = limbs(&BigUint::from(1u32), k);
        work.multiply_by(&mut power, &unit);
        prop_assert_eq!(integer(&power), a.modpow(&b, &n));

        let base = digits(&modulus, &n, &(&a * &radix % &square));
        let mut power = work.power_digits(&modulus.radix_power_digits(1), &base, &exponent);
        work.strip(&mut power);
        prop_assert_eq!(value(&n, &power), a.modpow(&b, &square));
    }
}

#[test]
fn bits_beyond_the_exponent_are_zero() {
    let exponent = [u64::MAX, 0b1011];
    assert_eq!(bits(&exponent, 62, 5), 0b1111);
    assert_eq!(bits(&exponent, 66, 5), 0b10);
    assert_eq!(bits(&exponent, 127, 5), 0);
    assert_eq!(bits(&exponent, 400, 5), 0);
}
