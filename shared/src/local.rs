//! Mathematics on one table: no party, no message, no randomness but [`crate::draw::Draw`].

pub mod birch;
mod calinski_harabasz;
pub mod clustering;
pub mod decision_tree;
pub mod encoder;
pub mod frame;
pub mod k_means;
pub mod learning;
pub mod logistic_regression;
pub mod softmax_regression;
pub mod spectral;
pub mod stopping;
pub mod support_vectors;
