//! Whole systems: what a client, an operator and an eavesdropper see of a running federation.
//!
//! `support` starts federations, in this process or as the executable. Nothing here waits for a
//! fixed time: every wait is for something that a client can see, and has an end.
#![cfg(test)]

mod bad_data;
mod callers;
mod canary;
mod distributed;
mod faults;
mod panel;
mod parity;
mod privacy;
mod seed;
mod support;
mod survival;
mod tidy;
mod trust;
