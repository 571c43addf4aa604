//! Sealed letters: everything that leaves a party is signed by its writer and sealed to its reader.
//!
//! The platform carries and stores envelopes and checkpoints without being able to read them, and
//! can't change, re-address or replay one into another place without being noticed
//! (privacy-protocols 1.2 and 1.3).

mod checkpoint;
mod content;
mod envelope;
mod identity;
mod input;
#[cfg(test)]
mod tests;

use thiserror::Error;

use crate::id::PartyId;
use crate::limits::MESSAGE_BYTES_MAX;

pub use checkpoint::{open_checkpoint, seal_checkpoint};
pub use content::{ContentKey, WrappingKey};
pub use envelope::{Header, OVERHEAD_BYTES, open, peek, seal};
pub use identity::{Identity, PublicIdentity, SealPublic, SealSecret};
pub use input::{open_input, seal_input};

/// Why something was not sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Shorter than an empty envelope, or longer than a message may be.
    #[error("envelope: {bytes} bytes are not within {OVERHEAD_BYTES}..={MESSAGE_BYTES_MAX}")]
    Length {
        /// The bytes received or to be made.
        bytes: usize,
    },
    /// Not our format at all.
    #[error("envelope: magic is not \"CND1\"")]
    Magic,
    /// Made with primitives that this version doesn't have.
    #[error("envelope: suite {suite} is not 1")]
    Suite {
        /// The one it names.
        suite: u8,
    },
    /// Set bytes that mean nothing yet.
    #[error("envelope: reserved bytes are not zero")]
    Reserved,
    /// The payload does not end where the signature begins.
    #[error("envelope: payload_len {said} is not the {found} bytes it has")]
    PayloadLength {
        /// As the header says.
        said: u32,
        /// As the length of the whole says.
        found: usize,
    },
    /// A letter of another job, round, kind, writer or reader than the one to be opened.
    #[error("envelope: its header is not the expected one")]
    Header,
    /// Not signed by its writer, or changed since.
    #[error("envelope: signature of party {from} is not valid")]
    Signature {
        /// The writer that the header names.
        from: PartyId,
    },
    /// Sealed to another reader, or under another header, than its signature covers.
    #[error("envelope: it is not sealed to this reader")]
    Sealed,
    /// Nothing can be sealed to this key: it is a point of small order.
    #[error("sealing key: a point of small order")]
    Reader,
    /// A key file of another length.
    #[error("identity: {bytes} bytes are not 96")]
    Identity {
        /// How long it is.
        bytes: usize,
    },
    /// Not a piece of a file under this key and in this place, or changed since.
    #[error("content: it does not open under this key and this context")]
    Content,
    /// Not a checkpoint of this party and this context, or changed since.
    #[error("checkpoint: it does not open under this party's secret and this context")]
    Checkpoint,
    /// Not a part of an input for this worker and this context, or changed since.
    #[error("input: it does not open under this worker's key and this context")]
    Input,
}
