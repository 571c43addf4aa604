//! What a policy says to a request, and to the rows that it selects.

use super::{ALL, Compute, Mode, Policy, Purpose, Relation};
use crate::id::PartyId;
use crate::job::{Cohort, InferSpec, Protection, Reason, ReasonCode, TrainSpec};
use crate::limits::PARTIES_MIN;
use crate::query::{Query, Resolved, resolve};
use crate::table::{Needed, Table};

impl Policy {
    /// Whether the party takes part in a training, as far as the request tells: before any row is
    /// read, so that a refusal says nothing about rows.
    ///
    /// # Errors
    /// The first rule that the request breaks, in the order of [`ReasonCode`].
    pub fn vet_training(&self, me: PartyId, spec: &TrainSpec) -> Result<(), Reason> {
        self.vet_written(me)?;
        self.vet_partners(me, spec)?;
        self.vet_protection(me, &spec.protection)?;
        let Some(Cohort { pos, neg }) = spec.cohorts.get(&me) else {
            let text = format!("the request does not say what party {me} reads");
            return Err(because(ReasonCode::RequestRefused, me, text));
        };
        let needed = spec.needed();
        for query in [pos, neg] {
            self.vet_query(me, Purpose::Train, query, &needed)?;
        }
        if self.spelled_needed(pos, &needed) != self.spelled_needed(neg, &needed) {
            let text = format!("party {me} spells columns of the two relations differently");
            return Err(because(ReasonCode::ColumnNotAllowed, me, text));
        }
        let (asked, most) = (spec.hyperparameters.iterations_max, self.train.rounds_max);
        if u64::from(asked) > most {
            let text = format!(
                "party {me} answers {most} rounds of one job, and {asked} iterations are asked for"
            );
            return Err(because(ReasonCode::ValueRange, me, text));
        }
        Ok(())
    }

    /// Whether the party's workers compute for a job in which accounts of these parties take part.
    /// None of the party's rows are used.
    ///
    /// # Errors
    /// [`ReasonCode::PurposeNotAllowed`].
    pub fn vet_computing(&self, me: PartyId, parties: &[PartyId]) -> Result<(), Reason> {
        let allowed = match self.compute {
            Compute::Any => true,
            Compute::Own => parties.contains(&me),
            Compute::None => false,
        };
        match allowed {
            true => Ok(()),
            false => {
                let text = format!("party {me} does not compute for the job's participants");
                Err(because(ReasonCode::PurposeNotAllowed, me, text))
            }
        }
    }

    /// Whether the rows that a training selected may be used. There is one answer to all that is
    /// wrong with them ([`cohort_refused`]), as each other one would tell something about them.
    ///
    /// # Errors
    /// [`ReasonCode::CohortPolicy`].
    pub fn vet_cohort(&self, me: PartyId, table: &Table) -> Result<(), Reason> {
        let rows = table.ids.len();
        let positive = table.positive.iter().filter(|class| **class).count();
        let is_class_small = |count: usize| count > 0 && count < self.train.nfilter_tab;
        // The intercept is one more.
        let parameters = (table.values.ncols() + 1) as f64;
        let is_fine = (self.train.nfilter_subset..=self.train.rows_max).contains(&rows)
            && !is_class_small(positive)
            && !is_class_small(rows - positive)
            && parameters <= self.train.nfilter_glm * rows as f64;
        match is_fine {
            true => Ok(()),
            false => Err(cohort_refused(me)),
        }
    }

    /// Whether the party scores rows of its own, as far as the request and the model tell.
    ///
    /// # Errors
    /// The first rule that the request breaks.
    pub fn vet_inference(
        &self,
        me: PartyId,
        spec: &InferSpec,
        needed: &Needed,
    ) -> Result<(), Reason> {
        self.vet_written(me)?;
        self.vet_query(me, Purpose::Infer, &spec.query, needed)
    }

    /// The relations that a party reads for a training, as its policy names them, each once.
    pub fn relations(&self, me: PartyId, spec: &TrainSpec) -> Vec<String> {
        let cohort = spec.cohorts.get(&me);
        let queries = cohort.into_iter().flat_map(|both| [&both.pos, &both.neg]);
        let entries = queries.filter_map(|query| self.entry(query));
        let mut names: Vec<String> = entries.map(|entry| entry.name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// A permitted query in the policy's own spelling, so that the source reads what was permitted
    /// also where a name that differs in case is there. A query that is not permitted stays as it is.
    pub fn spelled(&self, query: &Query) -> Query {
        let mut query = query.clone();
        let Some(entry) = self.entry(&query) else {
            return query;
        };
        query.relation = entry.parsed();
        for column in query.columns.iter_mut().flatten() {
            *column = entry.spelled(column);
        }
        if let Some(filter) = &mut query.filter {
            filter.rename(&mut |column| entry.spelled(column));
        }
        query
    }

    /// The needed columns of a permitted query's relation, in the policy's own spelling.
    pub fn spelled_needed(&self, query: &Query, needed: &Needed) -> Needed {
        let Some(entry) = self.entry(query) else {
            return needed.clone();
        };
        let attributes = needed.attributes.iter();
        Needed {
            unique_id: entry.spelled(&needed.unique_id),
            attributes: attributes.map(|column| entry.spelled(column)).collect(),
            label: needed.label.as_ref().map(|column| entry.spelled(column)),
        }
    }

    fn vet_written(&self, me: PartyId) -> Result<(), Reason> {
        match self.is_missing() {
            true => {
                let text = format!("party {me} has no policy that names a relation");
                Err(because(ReasonCode::PolicyMissing, me, text))
            }
            false => Ok(()),
        }
    }

    fn vet_partners(&self, me: PartyId, spec: &TrainSpec) -> Result<(), Reason> {
        let guest = spec.parties.guest;
        if guest != me && !self.partners.guests.contains(&guest) {
            let text = format!("party {me} does not let party {guest} lead a training");
            return Err(because(ReasonCode::GuestNotAllowed, me, text));
        }
        let all = spec.parties.ascending();
        let stranger = all
            .iter()
            .find(|party| **party != me && **party != guest && !self.partners.with.contains(party));
        if let Some(party) = stranger {
            let text = format!("party {me} does not train with party {party}");
            return Err(because(ReasonCode::PartnerNotAllowed, me, text));
        }
        if all.len() < PARTIES_MIN && !self.partners.two_party {
            let text = format!("party {me} does not train with only one other data party");
            return Err(because(ReasonCode::TwoPartyNotAllowed, me, text));
        }
        Ok(())
    }

    fn vet_protection(&self, me: PartyId, protection: &Protection) -> Result<(), Reason> {
        let mode = match protection {
            Protection::Paillier { .. } => Mode::Paillier,
            Protection::SecAgg => Mode::SecAgg,
            Protection::None => Mode::None,
        };
        if !self.partners.modes.contains(&mode) {
            let (code, what) = match mode {
                Mode::None => (ReasonCode::UnencryptedNotAllowed, "unencrypted"),
                Mode::Paillier | Mode::SecAgg => (ReasonCode::ModeNotAllowed, "so protected"),
            };
            let text = format!("party {me} does not allow contributions that are {what}");
            return Err(because(code, me, text));
        }
        let least = self.partners.key_bits_min;
        match protection {
            Protection::Paillier { key_bits } if *key_bits < least => {
                let text = format!("party {me} asks for {least} bits, and the key has {key_bits}");
                Err(because(ReasonCode::KeyTooShort, me, text))
            }
            Protection::Paillier { .. } | Protection::SecAgg | Protection::None => Ok(()),
        }
    }

    fn vet_query(
        &self,
        me: PartyId,
        purpose: Purpose,
        query: &Query,
        needed: &Needed,
    ) -> Result<(), Reason> {
        let relation = &query.relation;
        let Some(entry) = self.entry(query) else {
            let text = format!("party {me} does not allow relation {relation}");
            return Err(because(ReasonCode::RelationNotAllowed, me, text));
        };
        if !entry.purposes.contains(&purpose) {
            let verb = match purpose {
                Purpose::Train => "trained on",
                Purpose::Infer => "scored",
            };
            let text = format!("party {me} does not let relation {relation} be {verb}");
            return Err(because(ReasonCode::PurposeNotAllowed, me, text));
        }
        match entry.first_refused(query, needed) {
            Some((column, as_what)) => {
                let text = format!(
                    "party {me} does not allow column {column:?} of relation {relation} {as_what}"
                );
                Err(because(ReasonCode::ColumnNotAllowed, me, text))
            }
            None => Ok(()),
        }
    }

    fn entry(&self, query: &Query) -> Option<&Relation> {
        let names: Vec<&str> = self.relation.iter().map(|one| one.name.as_str()).collect();
        match resolve(&names, &query.relation.to_string()) {
            Resolved::At(index) => Some(&self.relation[index]),
            Resolved::Unknown | Resolved::Ambiguous => None,
        }
    }
}

impl Relation {
    /// The first column that may not be used as it is, and what it is used as.
    fn first_refused<'a>(
        &self,
        query: &'a Query,
        needed: &'a Needed,
    ) -> Option<(&'a str, &'static str)> {
        let own = std::slice::from_ref(&self.unique_id);
        let mut used = vec![(own, needed.unique_id.as_str(), "as `unique_id`")];
        let attributes = needed.attributes.iter();
        used.extend(attributes.map(|name| (&*self.columns, name.as_str(), "as an attribute")));
        let label = needed.label.iter();
        used.extend(label.map(|name| (&*self.labels, name.as_str(), "as the label")));
        if let Some(filter) = &query.filter {
            filter.columns(&mut |name| used.push((&*self.filters, name, "in a condition")));
        }
        let refused = |(list, name, _): &(&[String], &str, _)| !allows(list, name);
        let first = used.into_iter().find(refused);
        let listed = query.columns.iter().flatten();
        first.map(|(_, name, as_what)| (name, as_what)).or_else(|| {
            let stranger = listed.into_iter().find(|name| !self.names(name));
            stranger.map(|name| (name.as_str(), "at all"))
        })
    }

    /// Whether any of the lists has the column.
    fn names(&self, column: &str) -> bool {
        let own = std::slice::from_ref(&self.unique_id);
        let mut lists = [own, &self.columns, &self.labels, &self.filters].into_iter();
        lists.any(|list| allows(list, column))
    }

    /// The policy's spelling of a column; the request's own where `*` stands for it.
    fn spelled(&self, column: &str) -> String {
        let own = std::slice::from_ref(&self.unique_id).iter();
        let named = own
            .chain(&self.columns)
            .chain(&self.labels)
            .chain(&self.filters);
        let mut names: Vec<&String> = named.collect();
        names.sort_unstable();
        names.dedup();
        match resolve(&names, column) {
            Resolved::At(index) => names[index].clone(),
            Resolved::Unknown | Resolved::Ambiguous => column.to_owned(),
        }
    }
}

fn allows(list: &[String], column: &str) -> bool {
    list == [ALL] || matches!(resolve(list, column), Resolved::At(_))
}

/// What is said about every cohort that may not be used, whatever the cause.
pub fn cohort_refused(party: PartyId) -> Reason {
    let text = format!(
        "party {party} does not train on these rows: they are too few or too many, too few of one \
         class, too few for so many attributes, or too close to those of an earlier job"
    );
    because(ReasonCode::CohortPolicy, party, text)
}

fn because(code: ReasonCode, party: PartyId, text: String) -> Reason {
    Reason {
        code,
        text,
        party: Some(party),
    }
}
