//! Accounts: who may call the API, and for which party.

use std::fmt;

use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};

use super::read::read;
use super::row::{corrupt, integer, unsigned};
use super::schema::users;
use super::{Error, Store, postgres, sqlite, write};
use crate::id::PartyId;
use crate::limits;

/// An account's name, in lower case: two that differ in case alone are one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);

impl Email {
    /// An address with one `@` between two texts, without spaces, of at most
    /// [`limits::EMAIL_BYTES_MAX`] bytes. Whether anybody reads its mail is not asked.
    pub fn parse(text: &str) -> Option<Email> {
        let (name, host) = text.split_once('@')?;
        let sound = !name.is_empty() && !host.is_empty() && !host.contains('@');
        let visible = !text.chars().any(|c| c.is_whitespace() || c.is_control());
        let email = text.to_lowercase();
        (sound && visible && email.len() <= limits::EMAIL_BYTES_MAX).then_some(Email(email))
    }

    /// As it is kept.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An account to be made.
pub struct NewUser {
    /// Its name.
    pub email: Email,
    /// Its password's hash, a PHC string.
    pub password: String,
    /// The party it speaks for, if any.
    pub party: Option<PartyId>,
}

/// An account. Not to be printed: it has a password's hash.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub email: Email,
    /// Its password's hash, a PHC string.
    pub password: String,
    /// The party it speaks for, if any.
    pub party: Option<PartyId>,
    /// When it was made: Unix milliseconds of the database's clock.
    pub created_at: i64,
    /// Since when it may not call; `None`: it may.
    pub disabled_at: Option<i64>,
}

type UserTuple = (String, String, Option<i64>, i64, Option<i64>);

fn user((email, password, party, created_at, disabled_at): UserTuple) -> Result<User, Error> {
    let party = party.map(|party| unsigned(party, "user", "party").map(PartyId));
    Ok(User {
        email: Email::parse(&email).ok_or_else(|| corrupt("user".to_owned(), "email"))?,
        password,
        party: party.transpose()?,
        created_at,
        disabled_at,
    })
}

impl Store {
    /// Makes an account. False: there is one of that name, which stays as it is.
    ///
    /// # Errors
    /// An outage; a party id beyond the database's numbers.
    pub async fn add_user(&self, new: NewUser) -> Result<bool, Error> {
        let party = new
            .party
            .map(|party| integer("party", party.0))
            .transpose()?;
        let added = write!(self, async |connection, now| {
            let added = diesel::insert_into(users::table)
                .values((
                    users::email.eq(new.email.as_str()),
                    users::password.eq(&new.password),
                    users::party.eq(party),
                    users::created_at.eq(now),
                ))
                .on_conflict_do_nothing()
                .execute(connection)
                .await?;
            Ok(added)
        })?;
        Ok(added == 1)
    }

    /// Changes a password's hash. False: there is no such account.
    ///
    /// # Errors
    /// An outage.
    pub async fn set_password(&self, email: Email, password: String) -> Result<bool, Error> {
        let changed = write!(self, async |connection, _now| {
            let changed = diesel::update(users::table.find(email.as_str()))
                .set(users::password.eq(&password))
                .execute(connection)
                .await?;
            Ok(changed)
        })?;
        Ok(changed == 1)
    }

    /// Keeps an account from calling, from now on. False: there is no such account.
    ///
    /// # Errors
    /// An outage.
    pub async fn disable_user(&self, email: Email) -> Result<bool, Error> {
        let changed = write!(self, async |connection, now| {
            let changed = diesel::update(users::table.find(email.as_str()))
                .set(users::disabled_at.eq(now))
                .execute(connection)
                .await?;
            Ok(changed)
        })?;
        Ok(changed == 1)
    }

    /// An account by its name.
    ///
    /// # Errors
    /// An outage; a row that cannot be read.
    pub async fn user(&self, email: &Email) -> Result<Option<User>, Error> {
        let found = read!(self, readers, |connection, _now| {
            users::table
                .find(email.as_str())
                .first::<UserTuple>(connection)
                .await
                .optional()?
        });
        found.map(user).transpose()
    }

    /// Every account, by name.
    ///
    /// # Errors
    /// As [`Store::user`].
    pub async fn users(&self) -> Result<Vec<User>, Error> {
        let found = read!(self, readers, |connection, _now| {
            users::table
                .order(users::email)
                .load::<UserTuple>(connection)
                .await?
        });
        found.into_iter().map(user).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_has_one_form() {
        let email = Email::parse("Dr.Wei@Hospital.CN").unwrap();
        assert_eq!(email.as_str(), "dr.wei@hospital.cn");
        assert_eq!(Email::parse(email.as_str()), Some(email));
        let longest = format!("{}@b", "a".repeat(limits::EMAIL_BYTES_MAX - 2));
        assert!(Email::parse(&longest).is_some());
        let long = format!("a{longest}");
        for text in [
            "", "@", "a", "a@", "@b", "a@b@c", "a @b", "a@b\n", "a@b\0", &long,
        ] {
            assert_eq!(Email::parse(text), None, "{text:?}");
        }
    }
}
