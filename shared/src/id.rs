//! Names of things: one type each, so that the compiler tells a round from an attempt.

use std::fmt;

use num_bigint::BigUint;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An organisation: a hospital, or the platform itself (`PartyId::ARBITER`). The outside world
/// calls it `user_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartyId(pub u64);

impl PartyId {
    /// The platform's own party: adds ciphertexts, has neither data nor a Paillier key.
    pub const ARBITER: PartyId = PartyId(1);
}

impl fmt::Display for PartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A job, inside: a version 7 uuid, so that ids sort by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub Uuid);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A job, outside: one sequence over training and inference (`order_id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(pub i64);

/// A job of the panel, outside (`jobID`): a decimal of 256 random bits. Each run of it is a [`JobId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PanelId(pub [u8; 32]);

impl PanelId {
    /// Reads a decimal of at most 78 digits, without a sign or leading zeros.
    pub fn parse(text: &str) -> Option<PanelId> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        if !plain || !(1..=78).contains(&text.len()) || text.len() > 1 && text.starts_with('0') {
            return None;
        }
        let bytes = text.parse::<BigUint>().ok()?.to_bytes_be();
        let mut id = [0; 32];
        id[32usize.checked_sub(bytes.len())?..].copy_from_slice(&bytes);
        Some(PanelId(id))
    }
}

impl From<PanelId> for String {
    fn from(id: PanelId) -> String {
        id.to_string()
    }
}

impl TryFrom<String> for PanelId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<PanelId, &'static str> {
        PanelId::parse(&text).ok_or("no decimal of 256 bits")
    }
}

impl fmt::Display for PanelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        BigUint::from_bytes_be(&self.0).fmt(f)
    }
}

/// A trained model, outside (`model_id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelId(pub i64);

/// One try at a job; the first is 1. Only the sweep raises it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(pub u32);

/// One guest's sitting at one attempt. The fence everywhere is (attempt, session).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub Uuid);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One pass of all parties: a question of the guest and the sum of all answers. Counted from 0 over
/// the whole job, across attempts.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Round(pub u32);

impl Round {
    /// The round after this one.
    pub fn next(self) -> Round {
        Round(self.0 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::PanelId;

    #[test]
    fn a_panel_id_is_a_plain_decimal_of_256_bits() {
        let most = PanelId([255; 32]);
        assert_eq!(most.to_string().len(), 78);
        let seeds = "82432641958147347699879957611773176975645610459935361780929612748304054178070";
        for text in [seeds, "0", "7", &most.to_string()] {
            let id = PanelId::parse(text).expect("in range");
            assert_eq!(id.to_string(), text);
        }
        let past = format!("{}6", &most.to_string()[..77]);
        for text in [
            "",
            "-1",
            "+1",
            "07",
            "1.0",
            " 1",
            &past,
            &"9".repeat(79),
            "７",
        ] {
            assert_eq!(PanelId::parse(text), None, "{text}");
        }
    }
}
