//! `GET /sdk/computation/user/userInfo`: the account behind a token.
//!
//! There is no chain and no money here: `address` is made of the e-mail address, and the balances
//! are 0, so that clients of the API documents find the fields they know.

use axum::extract;
use serde_json::json;
use sha2::{Digest, Sha256};
use shared::store::Email;

use crate::State;
use crate::answer::{Error, Flat};
use crate::callers::Caller;

/// Bytes of an address.
const ADDRESS_BYTES: usize = 20;

pub(super) async fn handle(state: extract::State<State>, caller: Result<Caller, Error>) -> Flat {
    let asked = || {
        state.callers.of_accounts()?;
        let caller = caller?;
        let email = caller.email().ok_or(Error::Internal)?;
        Ok(json!({
            "address": address(email),
            "balanceCCD": "0",
            "balancePHB": "0",
            "email": email.as_str(),
        }))
    };
    Flat(asked())
}

/// The form of an address of the documents' chain, and always the same one of an account.
fn address(email: &Email) -> String {
    let mut hash = Sha256::new();
    hash.update(b"concord account address");
    hash.update(email.as_str());
    let hash = hash.finalize();
    let digits = hash[..ADDRESS_BYTES].iter();
    let digits: String = digits.map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}
