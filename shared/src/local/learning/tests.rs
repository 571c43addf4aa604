//! Vectors come from `shared/testdata/learning/make_vectors.py`: scikit-learn, pandas and numpy.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::local::stopping::tests::{NEVER, NOW};

#[derive(Deserialize)]
struct Vectors {
    sets: BTreeMap<String, Set>,
    layouts: Vec<Layout>,
}

#[derive(Deserialize)]
struct Set {
    tree: Seeds,
    regression: Figures,
    coefficients: Vec<f64>,
    vectors: Figures,
}

#[derive(Deserialize)]
struct Seeds {
    mean: f64,
    least: f64,
    most: f64,
}

#[derive(Deserialize)]
struct Figures {
    accuracy: f64,
    predictions: String,
}

#[derive(Deserialize)]
struct Layout {
    learner: String,
    feature: String,
    target: String,
    testing: String,
    result: String,
}

fn vectors() -> Vectors {
    let text = include_str!("../../../testdata/learning/vectors.json");
    serde_json::from_str(text).unwrap()
}

/// A data set, cut in two.
#[derive(Default)]
struct Parts {
    feature: String,
    target: String,
    testing: String,
    truth: String,
}

impl Parts {
    fn of(name: &str) -> Parts {
        let text = match name {
            "iris" => include_str!("../../../testdata/learning/iris.csv").to_owned(),
            "wine" => include_str!("../../../testdata/learning/wine.csv").to_owned(),
            "wdbc" => include_str!("../../../testdata/learning/wdbc.csv").to_owned(),
            _ => digits(),
        };
        let mut parts = Parts {
            target: "class\n".into(),
            ..Parts::default()
        };
        for (index, line) in text.lines().enumerate() {
            let mut cells = line.rsplitn(3, ',');
            let [part, class, features] = [(); 3].map(|()| cells.next().unwrap());
            let mut to = vec![&mut parts.feature, &mut parts.testing];
            match (index, part) {
                (0, _) => {}
                (_, "0") => {
                    parts.target += &format!("{class}\n");
                    to.truncate(1);
                }
                _ => {
                    parts.truth += class;
                    to.remove(0);
                }
            }
            for file in to {
                *file += features;
                *file += "\n";
            }
        }
        parts
    }

    fn files(&self) -> Files {
        files(&self.feature, Some(&self.target), Some(&self.testing))
    }

    /// The test part's classes by a learner, a digit each.
    fn predictions(&self, learner: Learner) -> String {
        results(
            &learn(learner, self.files(), &NEVER)
                .unwrap()
                .result
                .unwrap(),
        )
        .iter()
        .map(|class| class.strip_suffix(".0").unwrap())
        .collect()
    }

    fn accuracy(&self, predictions: &str) -> f64 {
        1.0 - difference(&self.truth, predictions)
    }
}

fn digits() -> String {
    let mut text = (0..64).fold(String::new(), |names, n| names + &format!("pixel{n},"));
    text += "class,part\n";
    for line in include_str!("../../../testdata/learning/digits.txt").lines() {
        let (pixels, rest) = line.split_at(64);
        for pixel in pixels.bytes() {
            text += &format!("{},", pixel - b'a');
        }
        text += &format!("{},{}\n", &rest[..1], &rest[1..]);
    }
    text
}

fn files(feature: &str, target: Option<&str>, testing: Option<&str>) -> Files {
    let bytes = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
    Files {
        feature: bytes(feature),
        target: target.map(bytes),
        testing: testing.map(bytes),
    }
}

/// The last cell of each row but the header.
fn results(csv: &[u8]) -> Vec<String> {
    let text = str::from_utf8(csv).unwrap();
    let last = |line: &str| line.rsplit(',').next().unwrap().to_owned();
    text.lines().skip(1).map(last).collect()
}

/// The share of places in which two texts differ.
fn difference(one: &str, other: &str) -> f64 {
    assert_eq!(one.len(), other.len());
    let differ = one.bytes().zip(other.bytes()).filter(|(a, b)| a != b);
    differ.count() as f64 / one.len() as f64
}

const SETS: [&str; 4] = ["iris", "wine", "wdbc", "digits"];

#[test]
fn logistic_regression_classifies_as_scikit_learn_does() {
    let vectors = vectors();
    for name in SETS {
        let (parts, set) = (Parts::of(name), &vectors.sets[name]);
        let found = parts.predictions(Learner::LogisticRegression);
        assert_eq!(found, set.regression.predictions, "{name}");
        assert!((parts.accuracy(&found) - set.regression.accuracy).abs() < 0.005);
        let learned = learn(Learner::LogisticRegression, parts.files(), &NEVER).unwrap();
        let model: Value = serde_json::from_slice(&learned.model).unwrap();
        let coefficients = model["parameters"]["coefficients"][0].as_array().unwrap();
        assert_eq!(coefficients.len(), set.coefficients.len());
        for (found, right) in coefficients.iter().zip(&set.coefficients) {
            assert!((found.as_f64().unwrap() - right).abs() < 1e-6, "{name}");
        }
    }
}

#[test]
fn support_vectors_classify_as_scikit_learn_does() {
    let vectors = vectors();
    for name in SETS {
        let (parts, set) = (Parts::of(name), &vectors.sets[name]);
        let found = parts.predictions(Learner::Svm);
        let apart = difference(&found, &set.vectors.predictions);
        assert!(apart <= 0.01, "{name}: {apart}");
    }
}

/// Scikit-learn takes one of several equal splits at random, so that its own trees differ by more
/// than half a point on parts as small as these: from the least to the most accurate of 20 seeds.
#[test]
fn a_tree_is_as_accurate_as_some_seed_of_scikit_learn() {
    let vectors = vectors();
    for name in SETS {
        let (parts, seeds) = (Parts::of(name), &vectors.sets[name].tree);
        let found = parts.accuracy(&parts.predictions(Learner::DecisionTree));
        let within = seeds.least - 1e-9..=seeds.most + 1e-9;
        assert!(
            within.contains(&found) || (found - seeds.mean).abs() <= 0.005,
            "{name}: {found} beside {} ({} to {})",
            seeds.mean,
            seeds.least,
            seeds.most
        );
    }
}

#[test]
fn a_result_is_written_as_numpy_writes_it() {
    for layout in vectors().layouts {
        let learner = Learner::parse(&layout.learner).unwrap();
        let files = files(&layout.feature, Some(&layout.target), Some(&layout.testing));
        let learned = learn(learner, files, &NEVER).unwrap();
        let result = String::from_utf8(learned.result.unwrap()).unwrap();
        assert_eq!(result, layout.result, "{}", layout.learner);
    }
}

#[test]
fn a_job_that_nobody_waits_for_stops() {
    for learner in [Learner::DecisionTree, Learner::KMeans] {
        let stopped = learn(learner, Parts::of("iris").files(), &NOW);
        assert_eq!(stopped.err(), Some(Error::Stopped));
    }
}

#[test]
fn threads_change_no_bit() {
    let parts = Parts::of("wdbc");
    let outcome = |learner, threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let learned = pool
            .unwrap()
            .install(|| learn(learner, parts.files(), &NEVER));
        let learned = learned.unwrap();
        (learned.result, learned.model, learned.metrics)
    };
    for learner in [
        Learner::DecisionTree,
        Learner::LogisticRegression,
        Learner::Svm,
    ] {
        assert!(outcome(learner, 1) == outcome(learner, 3), "{learner:?}");
    }
}

/// Reasons and figures are kept in the clear.
#[test]
fn neither_an_error_nor_a_figure_has_a_word_of_the_files() {
    let word = |text: &str| text.to_lowercase().contains("secret");
    let (feature, target) = (
        "secretA,secretB\n1,x\n2,secretC\n",
        "secretD\nsecretE\nno\n",
    );
    let refusals = [
        refusal("secretA,secretA\n1,x\n", Some(target), None),
        refusal("secretA,b\n,x\n,y\n", Some(target), None),
        refusal("secretA\nsecretB\n\"\"\n", Some(target), None),
        refusal("secretA\n1e300\n", Some(target), None),
        refusal("secretA\nsecretB,secretC\n", Some(target), None),
        refusal(feature, Some("secretD\n1.5\n2\n"), None),
        refusal(feature, Some("secretD\nsecretE\nsecretE\n"), None),
        refusal(feature, Some(target), Some("secretA\n1\n")),
        refusal(
            feature,
            Some(target),
            Some("secretA,secretB,secretF\n1,x,1\n"),
        ),
        refusal(feature, Some(target), Some("secretA,secretB\nsecretG,x\n")),
    ];
    for refusal in refusals {
        assert!(!word(&refusal), "{refusal}");
    }
    for learner in [
        Learner::DecisionTree,
        Learner::LogisticRegression,
        Learner::Svm,
    ] {
        let learned = learn(learner, files(feature, Some(target), None), &NEVER).unwrap();
        let metrics = serde_json::to_string(&learned.metrics).unwrap();
        assert!(!word(&metrics), "{metrics}");
        assert_eq!(
            metrics.contains("converged\":true"),
            learner != Learner::DecisionTree
        );
        assert!(word(str::from_utf8(&learned.model).unwrap()));
    }
}

/// With the longest figures that files within the bounds can have.
#[test]
fn figures_of_most_classes_are_within_their_bound() {
    for count in [100, crate::limits::CLASSES_MAX] {
        let truth: Vec<u32> = (0..100_000).map(|row| row * 7919 % count as u32).collect();
        let given: Vec<u32> = (0..100_000)
            .map(|row| row * 31 / 3 % count as u32)
            .collect();
        let training = metrics::training(&truth, &given, count, Some(false));
        assert!(bounded::json(&training, METRICS_BYTES_MAX * 3 / 4).is_some());
    }
}

#[test]
fn figures_are_those_of_the_training() {
    let feature = "a\n1\n1\n1\n2\n2\n";
    let target = "class\nno\nno\nyes\nyes\nyes\n";
    let learned = learn(
        Learner::DecisionTree,
        files(feature, Some(target), None),
        &NEVER,
    )
    .unwrap();
    assert!(learned.result.is_none());
    let metrics = serde_json::to_value(&learned.metrics).unwrap();
    let (no, yes) = (2.0 / 3.0, 1.0);
    let right = serde_json::json!({
        "rows": 5, "columns": 1, "features": 1,
        "training": {
            "accuracy": 0.8,
            "classes": [
                {"class": 0, "support": 2, "precision": no, "recall": 1.0, "f1": 0.8},
                {"class": 1, "support": 3, "precision": yes, "recall": no, "f1": 0.8},
            ],
            "confusion": [[2, 0], [1, 2]],
        },
    });
    assert_eq!(metrics, right);
    let again: Metrics = serde_json::from_value(metrics).unwrap();
    assert_eq!(again, learned.metrics);
}

#[test]
fn the_testing_file_is_encoded_as_the_feature_file_was() {
    let feature = "n,city,code\n1,Ulm,1\n2,Bonn,x\n,Ulm,x\n9,Bonn,1\n";
    let target = "class\n0\n1\n0\n1\n";
    // Other columns' order, a city that nobody knows, numbers alone in a column of texts, a null.
    let testing = "city,code,n\nBonn,1,\nUlm,1,2\nRome,2,2\n";
    let learned = learn(
        Learner::DecisionTree,
        files(feature, Some(target), Some(testing)),
        &NEVER,
    );
    let learned = learned.unwrap();
    let result = String::from_utf8(learned.result.unwrap()).unwrap();
    let right = "# city,code,n,Result\nBonn,1,nan,1\nUlm,1,2.0,0\nRome,2,2.0,0\n";
    assert_eq!(result, right);
    let model: Value = serde_json::from_slice(&learned.model).unwrap();
    let right = serde_json::json!({
        "format": "concord-model-1",
        "learner": "decision_tree",
        "encoder": {
            "columns": [
                {"kind": "number", "name": "n", "at": 4, "mean": 4.0},
                {"kind": "text", "name": "city", "at": {"Bonn": 0, "Ulm": 1}},
                {"kind": "text", "name": "code", "at": {"1": 2, "x": 3}},
            ],
            "features": ["city=Bonn", "city=Ulm", "code=1", "code=x", "n"],
        },
        "classes": [0, 1],
        "parameters": {"nodes": [
            {"feature": 0, "threshold": 0.5, "left": 1, "right": 2},
            {"class": 0, "rows": 2},
            {"class": 1, "rows": 2},
        ]},
    });
    assert_eq!(model, right);
}

fn refusal(feature: &str, target: Option<&str>, testing: Option<&str>) -> String {
    let learned = learn(
        Learner::DecisionTree,
        files(feature, target, testing),
        &NEVER,
    );
    learned.err().unwrap().to_string()
}

#[test]
fn files_that_do_not_fit_are_refused_without_their_words() {
    let feature = "a,b\n1,x\n2,y\n";
    let target = Some("class\n0\n1\n");
    let cases = [
        (
            refusal(feature, None, None),
            "a classifier needs a target file",
        ),
        (
            refusal(feature, Some("class\n0\n1\n1\n"), None),
            "the target file has 3 rows, the feature file 2",
        ),
        (
            refusal(feature, Some("a,b\n0,1\n1,0\n"), None),
            "the target file has 2 columns; it must have one",
        ),
        (
            refusal(feature, Some("class\n1\n1\n"), None),
            "the target file names only one class; two at least are needed",
        ),
        (
            refusal(feature, Some("class\n1\nNA\n"), None),
            "row 2 of the target file, counted from 1 after the header, has no class",
        ),
        (
            refusal(feature, Some("class\n1\n2.5\n"), None),
            "row 2 of the target file, counted from 1 after the header, is not a whole number; a \
             class is one, or a text",
        ),
        (
            refusal(feature, target, Some("a\n1\n")),
            "the testing file lacks column 2 of the feature file",
        ),
        (
            refusal(feature, target, Some("a,b,c\n1,x,3\n")),
            "the feature file has no column of the name of column 3 of the testing file",
        ),
        (
            refusal(feature, target, Some("a,b\nsecret,x\n")),
            "column 1 of the testing file has text, that of the feature file numbers",
        ),
        (
            refusal("a,b\n1,\n2,\n", target, None),
            "column 2 of the feature file has no value at all",
        ),
    ];
    for (found, right) in cases {
        assert_eq!(found, right);
    }
}
