//! The body of `POST /model/train` as a checked specification.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use shared::id::PartyId;
use shared::job::{Cohort, TrainSpec};
use shared::limits::{ATTRIBUTES_MAX, NAME_BYTES_MAX, PARTIES_MAX, PARTY_ID_MAX};
use shared::party::Parties;
use shared::table::Label;

use crate::answer::Error;
use crate::fields::{Field, Fields, decimal};
use crate::{hyperparameters, sql};

/// What a client asked to train.
#[derive(Debug)]
pub(crate) struct TrainRequest {
    /// Checked, in our words.
    pub(crate) spec: TrainSpec,
    /// `model_params` as `/model/info` echoes it: the caller's own fields, values and spellings,
    /// with `attributes`, `label_name` and `unique_id`.
    pub(crate) echo: Value,
}

/// Reads a body. `registered` are the parties that jobs may name.
///
/// # Errors
/// `Error::Invalid` naming the first field that breaks a rule.
pub(crate) fn read(body: &Value, registered: &BTreeSet<PartyId>) -> Result<TrainRequest, Error> {
    let mut fields = Fields::of(body)?;
    let guest = party(&fields.required("user_id")?, registered)?;
    fields.required("model_type")?.word(&[("lr", ())])?;
    let params = fields.required("model_params")?;
    let sent = params.value().as_object().cloned().unwrap_or_default();
    let (hyperparameters, protection) = hyperparameters::read(params)?;
    let hosts = hosts(&fields.required("party_id")?, guest, registered)?;
    let parties = Parties { guest, hosts };
    let cohorts = cohorts(fields.required("data_info")?, &parties)?;
    let unique_id = fields.required("unique_id")?;
    let attributes = fields.required("attributes")?;
    let label_name = fields.required("label_name")?;
    let columns = columns(&unique_id, &attributes, &label_name)?;
    let value = label_value(&fields.required("label_value")?)?;
    fields.finish()?;
    let spec = TrainSpec {
        parties,
        cohorts,
        unique_id: columns.unique_id,
        attributes: columns.attributes,
        label: Label {
            column: columns.label,
            value,
        },
        hyperparameters,
        protection,
    };
    Ok(TrainRequest {
        echo: echo(sent, &spec),
        spec,
    })
}

/// A registered party with data.
///
/// # Errors
/// When the field is no id, is the server's, or is nobody's.
pub(crate) fn party(field: &Field<'_>, registered: &BTreeSet<PartyId>) -> Result<PartyId, Error> {
    let party = PartyId(field.id(PARTY_ID_MAX)?);
    if party == PartyId::ARBITER {
        return Err(field.must(format!(
            "not be {party}: that is the server, which has no data"
        )));
    }
    if !registered.contains(&party) {
        return Err(field.must("be the id of a registered party"));
    }
    Ok(party)
}

fn hosts(
    field: &Field<'_>,
    guest: PartyId,
    registered: &BTreeSet<PartyId>,
) -> Result<Vec<PartyId>, Error> {
    let mut hosts = Vec::new();
    for item in field.items(1..=PARTIES_MAX - 1)? {
        let host = party(&item, registered)?;
        if host == guest {
            return Err(item.must("not be `user_id` too: that party takes part already"));
        }
        if hosts.contains(&host) {
            return Err(item.must("not occur twice"));
        }
        hosts.push(host);
    }
    Ok(hosts)
}

fn cohorts(field: Field<'_>, parties: &Parties) -> Result<BTreeMap<PartyId, Cohort>, Error> {
    let path = field.path().to_owned();
    let expected = parties.ascending();
    let mut cohorts = BTreeMap::new();
    for (key, entry) in field.confidential().object()?.entries() {
        let party = decimal(key)
            .map(PartyId)
            .filter(|party| expected.contains(party));
        let party = party.ok_or_else(|| {
            let place = entry.path();
            Error::Invalid(format!(
                "`{place}` names no participant: the keys of `{path}` must be \
                `user_id` and the ids in `party_id`"
            ))
        })?;
        cohorts.insert(party, cohort(entry)?);
    }
    match expected.iter().find(|party| !cohorts.contains_key(party)) {
        Some(party) => Err(Error::Invalid(format!(
            "`{path}.{party}` is missing: every participant needs an entry"
        ))),
        None => Ok(cohorts),
    }
}

fn cohort(entry: Field<'_>) -> Result<Cohort, Error> {
    let mut queries = entry.object()?;
    let pos = sql::query(&queries.required("pos")?)?;
    let neg = sql::query(&queries.required("neg")?)?;
    queries.finish()?;
    Ok(Cohort { pos, neg })
}

struct Columns {
    unique_id: String,
    attributes: Vec<String>,
    label: String,
}

/// All columns of a request, no two the same.
fn columns(
    unique_id: &Field<'_>,
    attributes: &Field<'_>,
    label: &Field<'_>,
) -> Result<Columns, Error> {
    let mut seen = BTreeSet::from([unique_id.name()?]);
    if !seen.insert(label.name()?) {
        return Err(label.must("differ from `unique_id`"));
    }
    let mut names = Vec::new();
    for attribute in attributes.items(1..=ATTRIBUTES_MAX)? {
        let name = attribute.name()?;
        if !seen.insert(name) {
            return Err(attribute.must("occur once, and not as `unique_id` or `label_name`"));
        }
        names.push(name.to_owned());
    }
    Ok(Columns {
        unique_id: unique_id.name()?.to_owned(),
        attributes: names,
        label: label.name()?.to_owned(),
    })
}

fn label_value(field: &Field<'_>) -> Result<String, Error> {
    match field.value() {
        Value::Number(number) => Ok(number.to_string()),
        Value::String(text) if (1..=NAME_BYTES_MAX).contains(&text.len()) => Ok(text.clone()),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(field.must(format!(
                "be a number or a string of 1 to {NAME_BYTES_MAX} bytes"
            )))
        }
    }
}

fn echo(sent: Map<String, Value>, spec: &TrainSpec) -> Value {
    let mut echo = sent;
    echo.insert("attributes".to_owned(), json!(spec.attributes));
    echo.insert("label_name".to_owned(), json!(spec.label.column));
    echo.insert("unique_id".to_owned(), json!(spec.unique_id));
    Value::Object(echo)
}
