//! Mathematics on one table: no party, no message, no randomness but [`crate::draw::Draw`].

pub mod logistic_regression;
