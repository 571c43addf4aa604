//! Joint computations among three workers.
