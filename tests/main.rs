//! Whole systems, and the laws of the tree.
