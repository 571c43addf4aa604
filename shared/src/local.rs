//! Mathematics on one table: no party, no message, no randomness but [`crate::draw::Draw`].

pub mod birch;
mod calinski_harabasz;
pub mod clustering;
pub mod k_means;
pub mod logistic_regression;
pub mod spectral;
