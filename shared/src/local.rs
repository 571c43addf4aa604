//! Mathematics on one table: no party, no message, no randomness but [`crate::draw::Draw`].

pub mod decision_tree;
pub mod encoder;
pub mod frame;
pub mod learning;
pub mod logistic_regression;
pub mod softmax_regression;
pub mod support_vectors;
