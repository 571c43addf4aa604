//! One party's rules: whom it works with, what of its rows may be used, and how far. They stand in
//! the party's own configuration, are never sent, and are asked by the party's own sessions.
//!
//! Names and defaults of thresholds are DataSHIELD's where they mean the same (A. Gaye et al.,
//! "DataSHIELD: taking the analysis to the data, not the data to the analysis", 2014, and the
//! options `nfilter.*` of its server packages).

mod check;
mod vet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

pub use self::check::Error;
pub use self::vet::cohort_refused;
use crate::id::PartyId;
use crate::limits;
use crate::seal::SealPublic;

/// Alone in a list of columns it means all of them.
pub const ALL: &str = "*";

/// One party's rules. The default names no relation and so refuses everything.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Who says yes to a training that keeps every other rule.
    pub approval: Approval,
    /// Hours after which a job that nobody decided on is refused; from 1 to
    /// [`limits::APPROVAL_HOURS_MAX`].
    pub approval_hours: u32,
    /// With whom, and how protected.
    pub partners: Partners,
    /// What may be read. Without any, the policy is as good as missing.
    pub relation: Vec<Relation>,
    /// Limits of trainings.
    pub train: Train,
    /// Limits of inferences.
    pub infer: Infer,
    /// What is told beside results.
    pub disclose: Disclose,
    /// Whose joint computations and files its workers take.
    pub compute: Compute,
}

/// For whom a party's workers compute, where none of its rows are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compute {
    /// For everybody's accounts.
    Any,
    /// For jobs in which an account of the party takes part.
    #[default]
    Own,
    /// For nobody.
    None,
}

/// Who says yes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// The policy itself.
    #[default]
    Auto,
    /// A person, for every training.
    Manual,
}

/// With whom a party works, and how its sums are protected.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Partners {
    /// Who may lead a training on this party's rows, beside the party itself.
    pub guests: Vec<PartyId>,
    /// Who may take part in a training beside the party and its guest.
    pub with: Vec<PartyId>,
    /// Whether one other data party is enough, where each learns the other's part of every sum.
    pub two_party: bool,
    /// Allowed protections; by default all but `None`.
    pub modes: Vec<Mode>,
    /// Bits of the guest's Paillier modulus at least.
    pub key_bits_min: u32,
}

/// A [`crate::job::Protection`] without its numbers, spelled as in requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Mode {
    /// Pairwise masks, then Paillier.
    Paillier,
    /// Pairwise masks only.
    SecAgg,
    /// No protection from the guest.
    None,
}

/// A relation that may be read, and what of it. Names are resolved as a source does: spelled
/// exactly so, else the only one that differs in case.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relation {
    /// `schema.table` or `table`, as requests must name it.
    pub name: String,
    /// The column that names a row.
    pub unique_id: String,
    /// Columns that may be attributes; `"*"` alone is all.
    pub columns: Vec<String>,
    /// Columns that may tell the class. A request's label must be among them also where the
    /// relation lacks it and the queries tell the class.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Columns that a query may ask about.
    #[serde(default)]
    pub filters: Vec<String>,
    /// What the rows may be used for.
    pub purposes: Vec<Purpose>,
}

/// What rows are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Sums over them shape a model.
    Train,
    /// They are scored.
    Infer,
}

/// Limits of trainings.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Train {
    /// Rows at least; not below [`limits::COHORT_ROWS_MIN`].
    pub nfilter_subset: usize,
    /// Rows at least of a class that has any; at least 1.
    pub nfilter_tab: usize,
    /// Parameters of the model for each row, at most; above 0, finite.
    pub nfilter_glm: f64,
    /// Own rows at least of a mini-batch that has any; not below [`limits::BATCH_OWN_ROWS_MIN`].
    pub batch_rows_min: u32,
    /// Rows at most; from 1 to [`limits::ROWS_MAX`].
    pub rows_max: usize,
    /// Rows in which a cohort must differ from each earlier one, unless it is equal; at least 1,
    /// which sets the rule aside.
    pub ndiff: usize,
    /// Rounds of one job that are answered at most; from 1 to [`limits::ROUNDS_MAX`].
    pub rounds_max: u64,
}

/// Limits of inferences.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Infer {
    /// Rows at most of one inference; from 1 to [`limits::SCORED_ROWS_MAX`].
    pub rows_max: usize,
    /// How scores leave the party.
    pub release: Release,
    /// Keys beside the party's own that scores may be sealed to: X25519, 32 bytes, in base64.
    #[serde(deserialize_with = "result_keys")]
    pub result_keys: Vec<SealPublic>,
}

/// How results leave a party.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// For the holder of a pinned key only.
    #[default]
    Sealed,
    /// Readable for the platform and whoever may poll it.
    Clear,
}

/// What is told beside results.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Disclose {
    /// How many rows the party uses.
    pub row_counts: RowCounts,
}

/// Who learns how many rows a party uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowCounts {
    /// The job's report tells the count.
    #[default]
    Exact,
    /// Nobody outside the party.
    Hidden,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            approval: Approval::default(),
            approval_hours: 24,
            partners: Partners::default(),
            relation: Vec::new(),
            train: Train::default(),
            infer: Infer::default(),
            disclose: Disclose::default(),
            compute: Compute::default(),
        }
    }
}

impl Default for Partners {
    fn default() -> Partners {
        Partners {
            guests: Vec::new(),
            with: Vec::new(),
            two_party: false,
            modes: vec![Mode::Paillier, Mode::SecAgg],
            key_bits_min: limits::KEY_BITS_DEFAULT,
        }
    }
}

impl Default for Train {
    fn default() -> Train {
        Train {
            nfilter_subset: 50,
            nfilter_tab: 5,
            nfilter_glm: 0.33,
            batch_rows_min: 20,
            rows_max: limits::ROWS_MAX,
            ndiff: 10,
            rounds_max: 2_000,
        }
    }
}

impl Default for Infer {
    fn default() -> Infer {
        Infer {
            rows_max: limits::SCORED_ROWS_MAX,
            release: Release::default(),
            result_keys: Vec::new(),
        }
    }
}

impl Policy {
    /// Whether nothing is allowed because nobody wrote down what is.
    pub fn is_missing(&self) -> bool {
        self.relation.is_empty()
    }
}

fn result_keys<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<SealPublic>, D::Error> {
    let key = |text: String| {
        let bytes = STANDARD.decode(text).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        let rule = "result_keys: a key is 32 bytes in base64";
        bytes.map(SealPublic).ok_or_else(|| D::Error::custom(rule))
    };
    let texts = Vec::<String>::deserialize(source)?;
    texts.into_iter().map(key).collect()
}

#[cfg(test)]
mod tests;
