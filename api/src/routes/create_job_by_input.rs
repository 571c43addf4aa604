//! `POST /sdk/computation/panel/createJobByInput`: takes a joint computation over the matrices of
//! three participants; the creator's own comes with it, unless it is sealed and filled in later.

use std::time::Duration;

use axum::extract;
use axum::http::HeaderMap;
use serde_json::{Value, json};
use shared::id::PartyId;
use shared::job::{ComputeSpec, Spec};
use shared::limits::{FILES_BYTES_PER_ACCOUNT_MAX, JOB_DEADLINE_SECONDS};
use shared::store::{Created, Email, NewPanel, Run};

use crate::answer::{Answer, Data, Error, Flat};
use crate::callers::{Account, Caller};
use crate::idempotency::Idempotency;
use crate::panel::{self, Echo, Input, Joint};
use crate::request::{InFlat, WithInput};
use crate::submission::Route;
use crate::{State, jobs};

pub(super) async fn handle(
    state: extract::State<State>,
    InFlat(caller): InFlat<Caller>,
    headers: HeaderMap,
    InFlat(WithInput(body, input)): InFlat<WithInput>,
) -> Flat {
    let asked = async {
        caller.paced(&state)?;
        let account = panel::account(&state, &caller)?;
        let joint = panel::joint(&body)?;
        let input = match (input, joint.client_sealed) {
            (Some(input), false) => Some(Input::read(input)?),
            (None, true) => None,
            (None, false) => {
                return Err(Error::Invalid(
                    "`input` is missing: it is required".to_owned(),
                ));
            }
            (Some(_), true) => {
                return Err(Error::Invalid(
                    "`input` must be absent: the job is not there yet that it could be sealed \
                     for; the creator too fills it in by `concord fill`"
                        .to_owned(),
                ));
            }
        };
        // Without the input: a hash of few digits could be guessed.
        let path = Route::Compute.path();
        let name = Idempotency::of_headers(&headers, path, caller.email(), &body)?;
        let run = create(&state, account, joint, input, name).await?;
        Ok(json!({ "jobID": run.panel }))
    };
    Flat(asked.await)
}

/// From the queue, which no input may go through in the clear.
pub(crate) async fn take_queued(
    state: &State,
    caller: &Caller,
    body: &Value,
    name: Option<Idempotency>,
) -> Answer {
    let account = panel::account(state, caller)?;
    let joint = panel::queued(body)?;
    let run = create(state, account, joint, None, name).await?;
    Ok(Data(json!({ "jobID": run.panel })))
}

async fn create(
    state: &State,
    account: &Account,
    joint: Joint,
    input: Option<Input>,
    name: Option<Idempotency>,
) -> Result<Run, Error> {
    let position = joint.parties.iter().position(|own| *own == account.email);
    let position = position.ok_or_else(|| {
        let email = &account.email;
        Error::Invalid(format!(
            "`parties` must have {email} in it, who creates the job"
        ))
    })?;
    let own = own_parties(state, &joint.parties).await?;
    let spec = ComputeSpec {
        panel: panel::new_id(),
        round: 1,
        operation: joint.operation,
        workers: panel::workers(state, own).await?,
        parties: own
            .into_iter()
            .flatten()
            .fold(Vec::new(), |mut all, party| {
                if !all.contains(&party) {
                    all.push(party);
                }
                all
            }),
    };
    let fill = input
        .map(|input| panel::split(state, &spec, position, joint.client_sealed, input))
        .transpose()?;
    let (field, key) = name.map(|name| (name.field, name.key)).unzip();
    let echo = Echo {
        id: spec.panel,
        name: joint.name.clone(),
        parties: joint.parties.to_vec(),
    };
    let new = NewPanel {
        id: spec.panel,
        name: joint.name.clone(),
        creator: account.email.clone(),
        parties: joint.parties.to_vec(),
        owner: spec.workers[0],
        spec: Spec::Compute(spec),
        echo: echo.text(),
        key,
        fill,
        client_sealed: joint.client_sealed,
        upload: None,
        files_bytes_max: FILES_BYTES_PER_ACCOUNT_MAX,
    };
    let deadline = Duration::from_secs(JOB_DEADLINE_SECONDS.unsigned_abs());
    let created = state.store.create_panel(new, deadline).await;
    match created.map_err(|error| jobs::refused(error, field))? {
        Created::Run(run) => Ok(run),
        Created::NameTaken => Err(panel::name_taken(&joint.name)),
    }
}

/// The participants' own parties. Who is no account, or one that is disabled, is told apart by
/// nobody.
async fn own_parties(state: &State, parties: &[Email; 3]) -> Result<[Option<PartyId>; 3], Error> {
    let mut own = [None; 3];
    for (place, email) in parties.iter().enumerate() {
        let user = state.store.user(email).await?;
        let user = user.filter(|user| user.disabled_at.is_none());
        let user = user.ok_or_else(|| {
            Error::Invalid(format!(
                "`parties[{place}]` is \"{email}\": it must be a registered account"
            ))
        })?;
        own[place] = user.party;
    }
    Ok(own)
}
