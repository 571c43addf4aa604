//! `concord export`: a trained model as JSON, opened with a party's own key.

use anyhow::Context;
use serde_json::{Value, json};
use shared::id::{ModelId, PartyId};
use shared::model::Model;
use shared::session::{Directory, open_model};
use shared::store::Store;

use crate::data_dir::read_identity;
use crate::federation::Federation;

/// The model as its own party opens it. The process that runs the federation may be running.
///
/// # Errors
/// When there is no such party or model, or the party has no part in it.
pub async fn model(
    federation: &Federation,
    party: PartyId,
    model: ModelId,
) -> anyhow::Result<Model> {
    let known = federation
        .parties
        .keys()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    federation
        .parties
        .get(&party)
        .with_context(|| format!("party {party} is not in the file; it has {known}"))?;
    let directory = directory(federation)?;
    let identity = read_identity(&federation.data_dir, party)?;
    let store = Store::open(&federation.data_dir.join("concord.sqlite")).await?;
    let job = store
        .model(model)
        .await?
        .with_context(|| format!("there is no model {}", model.0))?;
    let part = store.model_part(model, party).await?.with_context(|| {
        format!(
            "party {party} has no model {}: it is not trained yet, or not its own",
            model.0
        )
    })?;
    Ok(open_model(&identity, &directory, party, job.job.id, &part)?)
}

fn directory(federation: &Federation) -> anyhow::Result<Directory> {
    let public = |party: &PartyId| {
        let identity = read_identity(&federation.data_dir, *party)?;
        Ok((*party, identity.public()))
    };
    federation.parties.keys().map(public).collect()
}

/// A model as JSON; numbers have all their digits, so that reading them gives the same bits.
pub fn to_json(id: ModelId, model: &Model) -> Value {
    let space = if model.standardization.is_some() {
        "standardized"
    } else {
        "original"
    };
    let standardization = model
        .standardization
        .as_ref()
        .map(|by| json!({ "mean": by.mean, "deviation": by.deviation }));
    json!({
        "model_id": id.0,
        "model_type": "logistic_regression",
        "unique_id": model.unique_id,
        "attributes": model.attributes,
        "coefficients": model.coefficients,
        "intercept": model.intercept,
        "space": space,
        "standardization": standardization,
        "formula": match space {
            "standardized" => "p = 1 / (1 + exp(-(intercept + sum_j coefficients_j (x_j - mean_j) / deviation_j)))",
            _ => "p = 1 / (1 + exp(-(intercept + sum_j coefficients_j x_j)))",
        },
        "iterations": model.iterations,
        "converged": model.converged,
        "losses": model.losses,
        "classes": {
            "column": model.label.column,
            "positive": model.label.value,
            "threshold": model.threshold,
        },
    })
}
