//! worker

pub mod status_aggregator;
