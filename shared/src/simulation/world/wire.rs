//! What is under way in a world.

use crate::computation::FileKind;
use crate::id::{Attempt, PartyId};
use crate::job::Fence;
use crate::message::{Beat, EventBody, Grant};

/// A message under way.
#[derive(Clone)]
pub(in crate::simulation) enum Wire {
    /// To whichever process of a party takes it: a job to claim.
    Invitation { attempt: Attempt },
    /// To whichever process of a party takes it: a guest's offer.
    Offer { party: PartyId, envelope: Vec<u8> },
    /// To one process' queue.
    Letter {
        queue: String,
        envelope: Vec<u8>,
        sender: String,
        fence: Fence,
    },
    /// To one process' queue: a claim was granted.
    Granted { queue: String, grant: Grant },
    /// To one process' queue: a session is over.
    Ended { queue: String, fence: Fence },
    /// To one process' queue: an answer about a piece of a file.
    Answer {
        queue: String,
        fence: Fence,
        about: About,
    },
    /// Back to its sender: the queue is gone.
    Returned {
        sender: String,
        fence: Fence,
        queue: String,
    },
    /// To the platform.
    Event {
        fence: Fence,
        party: PartyId,
        reply_to: String,
        event: EventBody,
    },
    /// To the platform.
    Beat { beat: Beat },
}

/// A piece of a file, as the platform answers about it.
#[derive(Clone)]
pub(in crate::simulation) enum About {
    /// That was asked for.
    Piece(FileKind, u32, Option<Vec<u8>>),
    /// That is on disk.
    Kept(FileKind, u32),
}
