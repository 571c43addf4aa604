//! Whose workers do a job of the panel. Anybody's may compute on shares, which tell it nothing; files
//! are in the clear to the worker that learns from them.

use std::collections::BTreeSet;

use shared::id::PartyId;

use crate::State;
use crate::answer::Error;
use crate::callers::Account;

/// Chooses a worker for each of `own`, the participants' own parties: those where they are
/// different, and else the parties with the lowest numbers.
///
/// # Errors
/// [`Error::Conflict`] when there are not as many parties; an outage.
pub(crate) async fn workers<const N: usize>(
    state: &State,
    own: [Option<PartyId>; N],
) -> Result<[PartyId; N], Error> {
    choose(own, &working(state).await?).ok_or_else(|| {
        Error::Conflict(format!(
            "the job needs the workers of {N} parties, and this federation has fewer"
        ))
    })
}

/// The worker that learns from an account's files, and so sees them: that of its own party. No other
/// party's takes its place.
///
/// # Errors
/// [`Error::Conflict`] when the account has no party, or one without a worker; an outage.
pub(crate) async fn own_worker(state: &State, account: &Account) -> Result<PartyId, Error> {
    let Some(party) = account.party else {
        return Err(Error::Conflict(
            "the token's account speaks for no party: files are learned from by the worker of the \
             account's own party alone, which sees them"
                .to_owned(),
        ));
    };
    match working(state).await?.contains(&party) {
        true => Ok(party),
        false => Err(Error::Conflict(format!(
            "the token's account speaks for party {party}, which is not registered: files are \
             learned from by the worker of the account's own party alone, which sees them"
        ))),
    }
}

/// The parties whose workers may be asked.
async fn working(state: &State) -> Result<BTreeSet<PartyId>, Error> {
    let registered = state.store.parties().await?.into_keys();
    Ok(registered
        .filter(|party| *party != PartyId::ARBITER && state.directory.contains_key(party))
        .collect())
}

fn choose<const N: usize>(
    own: [Option<PartyId>; N],
    working: &BTreeSet<PartyId>,
) -> Option<[PartyId; N]> {
    let mut taken = BTreeSet::new();
    let firsts =
        own.map(|party| party.filter(|party| working.contains(party) && taken.insert(*party)));
    let mut free = working.difference(&taken);
    let mut chosen = [PartyId::ARBITER; N];
    for (place, first) in chosen.iter_mut().zip(firsts) {
        *place = match first {
            Some(party) => party,
            None => *free.next()?,
        };
    }
    Some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn participants_own_parties_work_where_they_differ() {
        let working = BTreeSet::from([2, 3, 4, 5].map(PartyId));
        for (own, chosen) in [
            ([Some(4), Some(2), Some(3)], Some([4, 2, 3])),
            ([None, None, None], Some([2, 3, 4])),
            ([Some(2), Some(2), Some(2)], Some([2, 3, 4])),
            ([None, Some(2), None], Some([3, 2, 4])),
            ([Some(9), Some(5), Some(5)], Some([2, 5, 3])),
        ] {
            let own = own.map(|party: Option<u64>| party.map(PartyId));
            assert_eq!(
                choose(own, &working),
                chosen.map(|all: [u64; 3]| all.map(PartyId))
            );
        }
        let few = BTreeSet::from([2, 3].map(PartyId));
        assert_eq!(choose([None; 3], &few), None);
    }
}
