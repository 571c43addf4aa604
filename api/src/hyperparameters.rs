//! `model_params` of a training request, in FATE 1.x's spellings, as checked words of ours.
//!
//! What FATE knows and Concord did not build is taken at the value that changes nothing, and refused
//! otherwise: no setting is accepted that does nothing.

use serde_json::{Value, json};
use shared::hyperparameters::{Convergence, Hyperparameters, Optimizer, Penalty, Start};
use shared::job::Protection;
use shared::limits::{BATCH_ROWS_MIN, ITERATIONS_MAX, KEY_BITS_ALLOWED, KEY_BITS_DEFAULT};

use crate::answer::Error;
use crate::fields::{Field, Fields};

/// How a cohort's positive rows are told apart when the request names no threshold.
const THRESHOLD_DEFAULT: f64 = 0.5;

/// Reads `model_params`; absent fields take the defaults of FATE 1.1.1 as shipped, except
/// `batch_size` (-1: every row) and `init_method` (zeros).
///
/// # Errors
/// `Error::Invalid` naming the first field that is unknown, of a wrong type, out of range or not
/// supported.
pub(crate) fn read(params: Field<'_>) -> Result<(Hyperparameters, Protection), Error> {
    let mut params = params.object()?;
    let (start, intercept, random_seed) = start(params.optional("init_param"))?;
    let hyperparameters = Hyperparameters {
        penalty: penalty(&mut params)?,
        optimizer: or(params.optional("optimizer"), Optimizer::Sgd, optimizer)?,
        convergence: or(
            params.either("converge_func", "early_stop")?,
            Convergence::Diff,
            convergence,
        )?,
        tolerance: or(params.either("eps", "tol")?, 1e-5, not_negative)?,
        iterations_max: or(params.optional("max_iter"), 100, iterations)?,
        batch_rows: or(params.optional("batch_size"), None, batch_rows)?,
        learning_rate: or(params.optional("learning_rate"), 0.01, positive)?,
        decay: or(params.optional("decay"), 1.0, not_negative)?,
        decay_sqrt: or(params.optional("decay_sqrt"), true, Field::boolean)?,
        start,
        intercept,
        random_seed,
        standardize: or(params.optional("standardize"), false, Field::boolean)?,
        threshold: threshold(params.optional("predict_param"))?,
    };
    let protection = protection(params.optional("encrypt_param"))?;
    no_cross_validation(params.optional("cv_param"))?;
    neutral_only(&mut params)?;
    params.finish()?;
    Ok((hyperparameters, protection))
}

/// `default`, or what `read` makes of the field that is there.
fn or<'a, T>(
    field: Option<Field<'a>>,
    default: T,
    read: impl FnOnce(&Field<'a>) -> Result<T, Error>,
) -> Result<T, Error> {
    field.map_or(Ok(default), |field| read(&field))
}

fn not_negative(field: &Field<'_>) -> Result<f64, Error> {
    field.number("of at least 0", |number| number >= 0.0)
}

fn positive(field: &Field<'_>) -> Result<f64, Error> {
    field.number("above 0", |number| number > 0.0)
}

fn finite(field: &Field<'_>) -> Result<f64, Error> {
    field.number("that is finite", |_| true)
}

fn seed(field: &Field<'_>) -> Result<Option<i64>, Error> {
    match field.value() {
        Value::Null => Ok(None),
        _ => field.integer(i64::MIN..=i64::MAX).map(Some),
    }
}

fn iterations(field: &Field<'_>) -> Result<u32, Error> {
    let iterations = field.integer(1..=i64::from(ITERATIONS_MAX))?;
    Ok(u32::try_from(iterations).expect("at most ITERATIONS_MAX, which is a u32"))
}

fn batch_rows(field: &Field<'_>) -> Result<Option<u64>, Error> {
    let rows = field
        .value()
        .as_i64()
        .filter(|rows| *rows == -1 || *rows >= BATCH_ROWS_MIN);
    let rule = || {
        field.must(format!(
            "be -1 (every row) or an integer of at least {BATCH_ROWS_MIN}"
        ))
    };
    Ok(u64::try_from(rows.ok_or_else(rule)?).ok())
}

fn optimizer(field: &Field<'_>) -> Result<Optimizer, Error> {
    field.word(&[
        ("sgd", Optimizer::Sgd),
        ("rmsprop", Optimizer::Rmsprop),
        ("adam", Optimizer::Adam),
        ("adagrad", Optimizer::Adagrad),
        ("nesterov_momentum_sgd", Optimizer::NesterovMomentumSgd),
    ])
}

fn convergence(field: &Field<'_>) -> Result<Convergence, Error> {
    field.word(&[
        ("diff", Convergence::Diff),
        ("abs", Convergence::Abs),
        ("weight_diff", Convergence::WeightDiff),
    ])
}

fn penalty(params: &mut Fields<'_>) -> Result<Penalty, Error> {
    let alpha = or(params.optional("alpha"), 0.01, not_negative)?;
    let [none, l1, l2] = [Penalty::None, Penalty::L1 { alpha }, Penalty::L2 { alpha }];
    or(params.optional("penalty"), l2, |field| {
        match field.value() {
            Value::Null => Ok(none),
            _ => field.word(&[("L1", l1), ("L2", l2), ("none", none)]),
        }
    })
}

fn start(field: Option<Field<'_>>) -> Result<(Start, bool, Option<i64>), Error> {
    let Some(field) = field else {
        return Ok((Start::Zeros, true, None));
    };
    let mut init = field.object()?;
    let constant = init.optional("init_const");
    let value = constant.as_ref().map_or(Ok(1.0), finite)?;
    let start = or(init.optional("init_method"), Start::Zeros, |method| {
        method.word(&[
            ("zeros", Start::Zeros),
            ("ones", Start::Ones),
            ("const", Start::Constant { value }),
            ("random_uniform", Start::RandomUniform),
            ("random_normal", Start::RandomNormal),
        ])
    })?;
    if let Some(constant) = constant
        && value != 1.0
        && !matches!(start, Start::Constant { .. })
    {
        return Err(constant.must("be absent or 1 unless `init_method` is \"const\""));
    }
    let intercept = or(init.optional("fit_intercept"), true, Field::boolean)?;
    let random_seed = or(init.optional("random_seed"), None, seed)?;
    init.finish()?;
    Ok((start, intercept, random_seed))
}

fn threshold(field: Option<Field<'_>>) -> Result<f64, Error> {
    let Some(field) = field else {
        return Ok(THRESHOLD_DEFAULT);
    };
    let mut predict = field.object()?;
    let threshold = or(predict.optional("threshold"), THRESHOLD_DEFAULT, |field| {
        field.number("between 0 and 1, both excluded", |number| {
            number > 0.0 && number < 1.0
        })
    })?;
    predict.finish()?;
    Ok(threshold)
}

fn protection(field: Option<Field<'_>>) -> Result<Protection, Error> {
    let paillier = Protection::Paillier {
        key_bits: KEY_BITS_DEFAULT,
    };
    let Some(field) = field else {
        return Ok(paillier);
    };
    let mut encrypt = field.object()?;
    let method = or(
        encrypt.optional("method"),
        paillier,
        |method| match method.value() {
            Value::Null => Ok(Protection::None),
            _ => method.word(&[
                ("Paillier", paillier),
                ("SecAgg", Protection::SecAgg),
                ("None", Protection::None),
            ]),
        },
    )?;
    let length = encrypt.optional("key_length");
    encrypt.finish()?;
    match (method, length) {
        (method, None) => Ok(method),
        (Protection::Paillier { .. }, Some(length)) => {
            let bits = length
                .value()
                .as_u64()
                .and_then(|bits| u32::try_from(bits).ok());
            let key_bits = bits.filter(|bits| KEY_BITS_ALLOWED.contains(bits));
            let rule = || length.must(format!("be one of {KEY_BITS_ALLOWED:?}"));
            Ok(Protection::Paillier {
                key_bits: key_bits.ok_or_else(rule)?,
            })
        }
        (Protection::SecAgg | Protection::None, Some(length)) => {
            Err(length.must("be absent unless `method` is \"Paillier\""))
        }
    }
}

/// The other fields are checked although nothing is done with them, so that a slip shows.
fn no_cross_validation(field: Option<Field<'_>>) -> Result<(), Error> {
    let Some(field) = field else { return Ok(()) };
    let mut folds = field.object()?;
    if let Some(wanted) = folds.optional("need_cv")
        && wanted.boolean()?
    {
        return Err(wanted.must("be false: cross-validation is not supported"));
    }
    or(folds.optional("n_splits"), 5, |field| {
        field.integer(2..=i64::MAX)
    })?;
    or(folds.optional("shuffle"), true, Field::boolean)?;
    or(folds.optional("random_seed"), None, seed)?;
    folds.finish()
}

/// FATE's neighbours that are not built, each with the value that changes nothing.
fn neutral_only(params: &mut Fields<'_>) -> Result<(), Error> {
    let neutral = [
        ("re_encrypt_batches", json!(2)),
        ("aggregate_iters", json!(1)),
        ("multi_class", json!("ovr")),
        ("validation_freqs", Value::Null),
        ("early_stopping_rounds", Value::Null),
        ("metrics", Value::Null),
        ("use_first_metric_only", json!(false)),
        ("class_weight", Value::Null),
        ("class_weights", Value::Null),
        ("use_proximal", json!(false)),
        ("mu", json!(0.1)),
    ];
    for (name, value) in neutral {
        if let Some(field) = params.optional(name)
            && *field.value() != value
        {
            return Err(field.must(format!(
                "be absent or {value}: anything else is not supported"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(params: Value) -> Result<(Hyperparameters, Protection), String> {
        let request = json!({ "model_params": params });
        let mut fields = Fields::of(&request).expect("an object");
        let params = fields.required("model_params").expect("there");
        read(params).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_sent_means_the_documented_defaults() {
        let (hyperparameters, protection) = of(json!({})).expect("all optional");
        let expected = Hyperparameters {
            penalty: Penalty::L2 { alpha: 0.01 },
            optimizer: Optimizer::Sgd,
            convergence: Convergence::Diff,
            tolerance: 1e-5,
            iterations_max: 100,
            batch_rows: None,
            learning_rate: 0.01,
            decay: 1.0,
            decay_sqrt: true,
            start: Start::Zeros,
            intercept: true,
            random_seed: None,
            standardize: false,
            threshold: 0.5,
        };
        assert_eq!(hyperparameters, expected);
        assert_eq!(protection, Protection::Paillier { key_bits: 3072 });
    }

    #[test]
    fn every_field_reaches_its_place() {
        let (hyperparameters, protection) = of(json!({
            "penalty": "l1", "optimizer": "ADAM", "tol": 0, "alpha": 2, "max_iter": 7,
            "early_stop": "Weight_Diff", "batch_size": 10, "learning_rate": 1, "decay": 0.5,
            "decay_sqrt": false, "standardize": true, "predict_param": { "threshold": 0.25 },
            "init_param": { "init_method": "CONST", "init_const": -3, "fit_intercept": false,
                            "random_seed": -9 },
            "encrypt_param": { "method": "paillier", "key_length": 2048 },
        }))
        .expect("valid");
        let expected = Hyperparameters {
            penalty: Penalty::L1 { alpha: 2.0 },
            optimizer: Optimizer::Adam,
            convergence: Convergence::WeightDiff,
            tolerance: 0.0,
            iterations_max: 7,
            batch_rows: Some(10),
            learning_rate: 1.0,
            decay: 0.5,
            decay_sqrt: false,
            start: Start::Constant { value: -3.0 },
            intercept: false,
            random_seed: Some(-9),
            standardize: true,
            threshold: 0.25,
        };
        assert_eq!(hyperparameters, expected);
        assert_eq!(protection, Protection::Paillier { key_bits: 2048 });
    }

    #[test]
    fn every_optimiser_can_be_asked_for_by_its_own_word() {
        for optimizer in Optimizer::ALL {
            let word = serde_json::to_value(optimizer).expect("a word");
            let (hyperparameters, _) = of(json!({ "optimizer": word })).expect("known");
            assert_eq!(hyperparameters.optimizer, optimizer);
        }
    }

    #[test]
    fn no_protection_goes_by_three_spellings_and_has_no_key() {
        for method in [Value::Null, json!("None"), json!("none")] {
            let (_, protection) = of(json!({ "encrypt_param": { "method": method } })).expect("ok");
            assert_eq!(protection, Protection::None);
        }
        let error = of(json!({ "encrypt_param": { "method": "SecAgg", "key_length": 2048 } }));
        assert!(
            error
                .expect_err("no key")
                .contains("key_length` is 2048: it must be absent")
        );
    }

    #[test]
    fn two_names_of_one_field_may_agree_and_not_differ() {
        let (agreed, _) = of(json!({ "eps": 0.5, "tol": 0.5 })).expect("the same");
        assert_eq!(agreed.tolerance, 0.5);
        let error = of(json!({ "eps": 0.5, "tol": 0.25 })).expect_err("which one?");
        assert!(error.contains("`model_params.eps` is 0.5: it must equal its other name"));
    }

    #[test]
    fn unbuilt_neighbours_pass_only_at_their_neutral_value() {
        let neutral = json!({
            "re_encrypt_batches": 2, "aggregate_iters": 1, "multi_class": "ovr",
            "validation_freqs": null, "use_proximal": false, "mu": 0.1, "class_weights": null,
            "cv_param": { "need_cv": false, "n_splits": 5, "shuffle": true, "random_seed": 1 },
        });
        assert_eq!(
            of(neutral).expect("neutral"),
            of(json!({})).expect("absent")
        );
        for (name, value) in [("aggregate_iters", json!(2)), ("use_proximal", json!(true))] {
            let error = of(json!({ name: value })).expect_err("does something");
            assert!(error.contains("not supported"), "{error}");
        }
    }
}
