//! Replicated secret sharing among three.
