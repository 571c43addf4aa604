//! The whole pipeline in one thread: real sessions, participants, letters and row moves, over a bus
//! that loses, repeats, delays and reorders, with processes that die. Everything follows from a seed.
//!
//! A run fails when the job does not end, ends otherwise than finished, or ends with other bits than
//! training on the pooled rows. Crashes are bounded below the number that may fail a job; loss and
//! repetition are not. `adversary` makes the bus and the platform hostile, `equivocation` the guest.
//! Not covered here: SQL, sockets, threads (the tests of `tests/` do those).

mod adversary;
mod answers;
mod books;
mod equivocation;
mod faults;
mod federation;
mod named;
mod panel;
mod partition;
mod requests;
mod world;
