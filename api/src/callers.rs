//! Who calls, and what of the federation is theirs.
//!
//! A caller shows a token; the account behind it is looked up on every call, so that one that is
//! disabled is out at once. What a caller takes no part in is not there for it: the answer is that
//! for an unknown id, byte by byte, so that nobody learns which jobs there are.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use shared::id::{OrderId, PartyId};
use shared::job::Spec;
use shared::limits::{
    ACCOUNT_JOB_MILLISECONDS, ACCOUNT_JOBS_BURST_MAX, ACCOUNT_TOKEN_MILLISECONDS,
    ACCOUNT_TOKENS_BURST_MAX, ADDRESS_TOKEN_MILLISECONDS, ADDRESS_TOKENS_BURST_MAX,
};
use shared::store::{Email, Job};
use zeroize::Zeroizing;

use crate::State;
use crate::answer::Error;
use crate::panel::{Echo, Turns};
use crate::password::Passwords;
use crate::rate::Rate;
use crate::token::{Refusal, Secrets};

/// Where HTTP has the token.
const HEADER: &str = "token";

/// Whose word counts.
#[derive(Clone)]
pub enum Callers {
    /// Everybody's: for one machine alone, before there are accounts.
    Open,
    /// That of accounts, each for its party.
    Accounts(Arc<Accounts>),
}

/// What accounts are checked with, in this process.
pub struct Accounts {
    pub(crate) secrets: Secrets,
    pub(crate) passwords: Passwords,
    /// Of tokens asked for, by account and by address.
    account_tokens: Rate,
    address_tokens: Rate,
    /// Of jobs asked for, by account.
    jobs: Rate,
    /// Of forms with files that are on their way in.
    pub(crate) uploads: Turns,
}

impl Callers {
    /// Accounts whose tokens are signed with these secrets.
    pub fn accounts(secrets: Secrets) -> Callers {
        Callers::Accounts(Arc::new(Accounts {
            secrets,
            passwords: Passwords::new(),
            account_tokens: Rate::new(ACCOUNT_TOKENS_BURST_MAX, ACCOUNT_TOKEN_MILLISECONDS),
            address_tokens: Rate::new(ADDRESS_TOKENS_BURST_MAX, ADDRESS_TOKEN_MILLISECONDS),
            jobs: Rate::new(ACCOUNT_JOBS_BURST_MAX, ACCOUNT_JOB_MILLISECONDS),
            uploads: Turns::default(),
        }))
    }

    /// The accounts, for the routes that are about them.
    pub(crate) fn of_accounts(&self) -> Result<&Accounts, Error> {
        match self {
            Callers::Accounts(accounts) => Ok(accounts),
            Callers::Open => Err(Error::Conflict(
                "this server has no accounts and asks for no token".to_owned(),
            )),
        }
    }
}

impl Accounts {
    /// A token for whoever knows the password of an account, asked for from `address`.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], the same and after the same work whether there is no such account,
    /// it is disabled, or the password is another; [`Error::Busy`]; an outage.
    pub(crate) async fn token(
        &self,
        state: &State,
        address: Option<IpAddr>,
        email: &Email,
        password: Zeroizing<String>,
    ) -> Result<String, Error> {
        let now = (state.now)();
        self.address_tokens
            .ask(address.map(network), now)
            .and_then(|()| self.account_tokens.ask(email, now))
            .map_err(Error::Busy)?;
        let user = state.store.user(email).await?;
        let hash = user.as_ref().map(|user| user.password.clone());
        let right = self.passwords.check(password, hash).await?;
        if !right || user.is_none_or(|user| user.disabled_at.is_some()) {
            return Err(Error::Unauthorized("`email` or `passwd` is wrong"));
        }
        Ok(self.secrets.issue(email, now))
    }
}

/// Of an address what its owner cannot change at will: all of IPv4, the network of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}

/// Who asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Nobody asked who: callers are open.
    Anyone,
    /// An account.
    Account(Account),
}

/// An account that may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) email: Email,
    /// The party it speaks for, if any.
    pub(crate) party: Option<PartyId>,
}

/// Who shows a token; `None` and an empty text are none.
///
/// # Errors
/// [`Error::Unauthorized`], which tells a missing token from an expired and from any other one; an
/// outage.
pub(crate) async fn identify(state: &State, token: Option<&str>) -> Result<Caller, Error> {
    let Callers::Accounts(accounts) = &state.callers else {
        return Ok(Caller::Anyone);
    };
    let token = token.filter(|token| !token.is_empty()).ok_or(MISSING)?;
    let email = accounts.secrets.verify(token, (state.now)());
    let email = email.map_err(|refusal| match refusal {
        Refusal::Invalid => INVALID,
        Refusal::Expired => Error::Unauthorized("token expired: ask genToken for a new one"),
    })?;
    match state.store.user(&email).await? {
        Some(user) if user.disabled_at.is_none() => Ok(Caller::Account(Account {
            email: user.email,
            party: user.party,
        })),
        Some(_) | None => Err(INVALID),
    }
}

const MISSING: Error = Error::Unauthorized(
    "token missing: send the header `token`, with what POST /sdk/computation/user/genToken gives",
);
const INVALID: Error =
    Error::Unauthorized("invalid token: it is not one of ours, or its account is disabled");

/// Before any body is read.
impl FromRequestParts<State> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Caller, Error> {
        identify(state, token(&parts.headers)?).await
    }
}

fn token(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let mut values = headers.get_all(HEADER).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| INVALID),
        (Some(_), Some(_)) => Err(INVALID),
    }
}

impl Caller {
    /// The account, where callers have one.
    pub(crate) fn email(&self) -> Option<&Email> {
        match self {
            Caller::Anyone => None,
            Caller::Account(account) => Some(&account.email),
        }
    }

    /// Whether it may know of a job: its party takes part in it, or itself in the panel's job that
    /// it is a run of.
    pub(crate) fn sees(&self, job: &Job) -> bool {
        let Caller::Account(account) = self else {
            return true;
        };
        match &job.spec {
            Spec::Train(_) | Spec::Infer(_) => account
                .party
                .is_some_and(|party| job.spec.participants().contains(&party)),
            Spec::Compute(_) | Spec::Learn(_) => Echo::of(job).parties.contains(&account.email),
        }
    }

    /// Whether it may ask for something in the name of `party`, which `field` says.
    ///
    /// # Errors
    /// [`Error::Forbidden`], naming the field.
    pub(crate) fn speaks_for(&self, field: &str, party: PartyId) -> Result<(), Error> {
        let Caller::Account(account) = self else {
            return Ok(());
        };
        match account.party {
            Some(own) if own == party => Ok(()),
            Some(own) => Err(Error::Forbidden(format!(
                "`{field}` is {party}: it must be {own}, the party of the token's account"
            ))),
            None => Err(Error::Forbidden(format!(
                "`{field}` is {party}: the token's account speaks for no party"
            ))),
        }
    }

    /// Whether it may end a job that it sees.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub(crate) fn may_cancel(&self, job: &Job) -> Result<(), Error> {
        let OrderId(order) = job.order;
        match self {
            Caller::Account(account) if job.creator.as_ref() != Some(&account.email) => {
                Err(Error::Forbidden(format!(
                    "`order_id` is {order}: only the account that asked for that job may cancel it"
                )))
            }
            Caller::Account(_) | Caller::Anyone => Ok(()),
        }
    }

    /// Counts one more job asked for by HTTP. The queue of batches has its own pace: its readers'.
    ///
    /// # Errors
    /// [`Error::Busy`] when there were too many of late.
    pub(crate) fn paced(&self, state: &State) -> Result<(), Error> {
        match (self, &state.callers) {
            (Caller::Account(account), Callers::Accounts(accounts)) => {
                let asked = accounts.jobs.ask(&account.email, (state.now)());
                asked.map_err(Error::Busy)
            }
            (Caller::Anyone | Caller::Account(_), _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_counts_as_far_as_its_owner_cannot_change_it() {
        for (address, counted) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(network(address).to_string(), counted);
        }
    }
}
