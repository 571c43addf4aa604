//! Patients as the first seed's hospitals have them, drawn from a seed.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Hospital;

/// The columns of `data.blooddata_small`.
const HEADER: &str = "unique_id,姓名,医院,C6,C6DC,C8,diagnosis";
const FAMILY_NAMES: [&str; 6] = ["王", "李", "张", "刘", "陈", "欧阳"];
const GIVEN_NAMES: [&str; 6] = ["伟", "秀英", "娜", "敏", "静怡", "强"];
/// The seed's three hospitals and how many rows each brings.
const SEED_HOSPITALS: [(u64, &str, usize); 3] = [
    (2, "苏州市立医院", 592),
    (3, "浙大儿院", 702),
    (4, "西北妇幼保健院", 554),
];
/// What `diagnosis` says of the cases and of some of the others.
const CASE: u32 = 38;
const OTHERS: [u32; 3] = [12, 7, 0];

/// One newborn's screening: acylcarnitines in µmol/l.
#[derive(Clone)]
pub(crate) struct Patient {
    pub(crate) unique_id: String,
    pub(crate) name: String,
    pub(crate) c6: f64,
    pub(crate) c6dc: f64,
    pub(crate) c8: f64,
    pub(crate) diagnosis: u32,
}

/// `count` patients with ids from `first_id` on, about one in five a case.
pub(crate) fn patients(seed: u64, first_id: u64, count: usize) -> Vec<Patient> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut pick = |words: &[&str]| words[rng.random_range(0..words.len())].to_owned();
    let names: Vec<String> = (0..count)
        .map(|_| pick(&FAMILY_NAMES) + &pick(&GIVEN_NAMES))
        .collect();
    let patient = |(unique_id, name): (u64, String)| {
        let case = rng.random_bool(0.2);
        let raised = if case { 2.5 } else { 1.0 };
        // Skewed to the right, as concentrations are; three decimals, as laboratories report.
        let mut level = |usual: f64| {
            let spread = rng.random::<f64>() + rng.random::<f64>() + rng.random::<f64>();
            (1000.0 * usual * (0.6 * (spread - 1.5)).exp()).round() / 1000.0
        };
        Patient {
            unique_id: unique_id.to_string(),
            name,
            c6: level(0.08 * raised),
            c6dc: level(0.12),
            c8: level(0.1 * raised),
            diagnosis: match case {
                true => CASE,
                false => OTHERS[rng.random_range(0..OTHERS.len())],
            },
        }
    };
    (first_id..).zip(names).map(patient).collect()
}

/// The patients as a CSV file of a hospital.
pub(crate) fn csv(hospital: &str, patients: &[Patient]) -> String {
    let mut text = format!("{HEADER}\n");
    for patient in patients {
        let Patient {
            unique_id,
            name,
            c6,
            c6dc,
            c8,
            diagnosis,
        } = patient;
        text += &format!("{unique_id},{name},{hospital},{c6},{c6dc},{c8},{diagnosis}\n");
    }
    text
}

/// The seed's hospitals with `data.blooddata_small`; no id is at two of them.
pub(crate) fn seed_hospitals() -> Vec<Hospital> {
    let hospital = |(id, name, count): (u64, &str, usize)| {
        let rows = csv(name, &patients(id, 10_000 * id + 1, count));
        Hospital::new(id, name).file("data/blooddata_small.csv", rows)
    };
    SEED_HOSPITALS.into_iter().map(hospital).collect()
}
