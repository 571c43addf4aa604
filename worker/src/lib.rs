//! Concord's processes behind the queues: thin shells that hand sessions what they need.

mod desk;
pub mod party_worker;
mod seat;
pub mod status_aggregator;
