//! `POST /sdk/computation/user/genToken`: a token for an e-mail address and its password.

use axum::{Extension, extract};
use serde_json::json;
use shared::limits::{EMAIL_BYTES_MAX, PASSWORD_BYTES_MAX};
use shared::store::Email;
use zeroize::Zeroizing;

use crate::State;
use crate::answer::{Error, Flat};
use crate::fields::Fields;
use crate::request::Body;
use crate::serve::Peer;

/// The header `token`, which the documents' own client sends empty here, is not looked at.
pub(super) async fn handle(
    state: extract::State<State>,
    peer: Option<Extension<Peer>>,
    body: Result<Body, Error>,
) -> Flat {
    let asked = async {
        let accounts = state.callers.of_accounts()?;
        let (email, password) = credentials(&body?)?;
        let address = peer.map(|Extension(Peer(address))| address);
        let token = accounts.token(&state, address, &email, password).await?;
        Ok(json!({ "token": token }))
    };
    Flat(asked.await)
}

fn credentials(Body(body): &Body) -> Result<(Email, Zeroizing<String>), Error> {
    let mut fields = Fields::of(body)?;
    let email = fields.required("email")?;
    let password = fields.required("passwd")?.confidential();
    fields.finish()?;
    let email = Email::parse(email.text()?).ok_or_else(|| {
        email.must(format!(
            "be an e-mail address of at most {EMAIL_BYTES_MAX} bytes"
        ))
    })?;
    let text = password.text()?;
    if !(1..=PASSWORD_BYTES_MAX).contains(&text.len()) {
        return Err(password.must(format!("have 1 to {PASSWORD_BYTES_MAX} bytes")));
    }
    Ok((email, Zeroizing::new(text.to_owned())))
}
