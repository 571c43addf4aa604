//! Whether a policy as it is written can be meant.

use super::{ALL, Policy, Relation};
use crate::id::PartyId;
use crate::limits::{
    APPROVAL_HOURS_MAX, BATCH_OWN_ROWS_MIN, COHORT_ROWS_MIN, KEY_BITS_ALLOWED, PARTY_ID_MAX,
    ROUNDS_MAX, ROWS_MAX, SCORED_ROWS_MAX,
};
use crate::query::{self, Rule};

/// A value that no policy has.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A number outside of its range.
    #[error("policy.{field} = {value}: it lies from {low} to {high}")]
    Range {
        /// The field, with its table.
        field: &'static str,
        /// What was written.
        value: u64,
        /// The least value.
        low: u64,
        /// The greatest.
        high: u64,
    },
    /// `nfilter_glm` is no proportion.
    #[error("policy.train.nfilter_glm = {value}: it is above 0 and finite")]
    Proportion {
        /// What was written.
        value: f64,
    },
    /// No request can ask for such a key.
    #[error("policy.partners.key_bits_min = {value}: no key is so long")]
    KeyBits {
        /// What was written.
        value: u32,
    },
    /// An id that no hospital has.
    #[error("policy.partners.{field}: {party} is no hospital's id")]
    Party {
        /// `guests` or `with`.
        field: &'static str,
        /// What was written.
        party: PartyId,
    },
    /// A list that allows nothing.
    #[error("policy.{field} is empty: leave its table out, or name what is allowed")]
    Empty {
        /// The field, with its table.
        field: &'static str,
    },
    /// A relation's name is none that a query can spell.
    #[error("policy.relation {name:?}: {rule}")]
    RelationName {
        /// What was written.
        name: String,
        /// What a name is.
        rule: Rule,
    },
    /// A relation is there twice.
    #[error("policy.relation {name:?} is there twice")]
    RelationRepeated {
        /// Its name.
        name: String,
    },
    /// `*` stands beside names.
    #[error("policy.relation {name:?}: in {field}, \"*\" stands alone or not at all")]
    AllAndMore {
        /// The relation.
        name: String,
        /// `columns`, `labels` or `filters`.
        field: &'static str,
    },
    /// A column's name is none that a query can spell.
    #[error("policy.relation {name:?}: in {field}, {column:?} is no column's name")]
    ColumnName {
        /// The relation.
        name: String,
        /// `unique_id`, `columns`, `labels` or `filters`.
        field: &'static str,
        /// What was written.
        column: String,
    },
}

impl Policy {
    /// Whether every value can be meant; a missing policy is in order, and refuses everything.
    ///
    /// # Errors
    /// Names the field, its value and the rule: a number outside of its range or below the floor of
    /// every party, an id of no hospital, a malformed or repeated name.
    pub fn check(&self) -> Result<(), Error> {
        let range = |field, value, (low, high)| match (low..=high).contains(&value) {
            true => Ok(()),
            false => Err(Error::Range {
                field,
                value,
                low,
                high,
            }),
        };
        let (train, most) = (&self.train, u64::from(u32::MAX));
        for (field, value, bounds) in [
            (
                "approval_hours",
                u64::from(self.approval_hours),
                (1, u64::from(APPROVAL_HOURS_MAX)),
            ),
            (
                "train.nfilter_subset",
                train.nfilter_subset as u64,
                (COHORT_ROWS_MIN as u64, most),
            ),
            ("train.nfilter_tab", train.nfilter_tab as u64, (1, most)),
            (
                "train.batch_rows_min",
                u64::from(train.batch_rows_min),
                (u64::from(BATCH_OWN_ROWS_MIN), most),
            ),
            (
                "train.rows_max",
                train.rows_max as u64,
                (1, ROWS_MAX as u64),
            ),
            ("train.ndiff", train.ndiff as u64, (1, most)),
            ("train.rounds_max", train.rounds_max, (1, ROUNDS_MAX)),
            (
                "infer.rows_max",
                self.infer.rows_max as u64,
                (1, SCORED_ROWS_MAX as u64),
            ),
        ] {
            range(field, value, bounds)?;
        }
        if !(train.nfilter_glm.is_finite() && train.nfilter_glm > 0.0) {
            let value = train.nfilter_glm;
            return Err(Error::Proportion { value });
        }
        self.check_partners()?;
        for (index, relation) in self.relation.iter().enumerate() {
            relation.check()?;
            let name = || relation.name.clone();
            let earlier = &self.relation[..index];
            if earlier.iter().any(|other| other.name == relation.name) {
                return Err(Error::RelationRepeated { name: name() });
            }
        }
        Ok(())
    }

    fn check_partners(&self) -> Result<(), Error> {
        let partners = &self.partners;
        for (field, list) in [("guests", &partners.guests), ("with", &partners.with)] {
            let stranger = list.iter().find(|party| {
                **party == PartyId::ARBITER || !(1..=PARTY_ID_MAX).contains(&party.0)
            });
            if let Some(party) = stranger {
                let party = *party;
                return Err(Error::Party { field, party });
            }
        }
        if partners.modes.is_empty() {
            let field = "partners.modes";
            return Err(Error::Empty { field });
        }
        let value = partners.key_bits_min;
        match KEY_BITS_ALLOWED.iter().any(|bits| *bits >= value) {
            true => Ok(()),
            false => Err(Error::KeyBits { value }),
        }
    }
}

impl Relation {
    /// The name in two parts, as queries have it.
    pub(super) fn parsed(&self) -> query::Relation {
        match self.name.split_once('.') {
            Some((schema, name)) => query::Relation {
                schema: Some(schema.to_owned()),
                name: name.to_owned(),
            },
            None => query::Relation {
                schema: None,
                name: self.name.clone(),
            },
        }
    }

    fn check(&self) -> Result<(), Error> {
        let name = || self.name.clone();
        let spelled = query::Query {
            relation: self.parsed(),
            columns: None,
            filter: None,
        };
        if let Err(rule) = spelled.check() {
            return Err(Error::RelationName { name: name(), rule });
        }
        if self.purposes.is_empty() {
            let field = "relation.purposes";
            return Err(Error::Empty { field });
        }
        let own = std::slice::from_ref(&self.unique_id);
        for (field, list) in [
            ("unique_id", own),
            ("columns", &self.columns),
            ("labels", &self.labels),
            ("filters", &self.filters),
        ] {
            if list.len() > 1 && list.iter().any(|column| column == ALL) {
                return Err(Error::AllAndMore {
                    name: name(),
                    field,
                });
            }
            let spelled = query::Query {
                columns: Some(list.to_vec()),
                ..spelled.clone()
            };
            let malformed = list.iter().find(|column| {
                column.trim() != column.as_str() || (field == "unique_id" && *column == ALL)
            });
            if malformed.is_some() || spelled.check().is_err() {
                let column = malformed.cloned().unwrap_or_default();
                return Err(Error::ColumnName {
                    name: name(),
                    field,
                    column,
                });
            }
        }
        Ok(())
    }
}
