//! Stands in for the clusterings until they are merged.

#![allow(unreachable_pub)]

pub mod clustering {
    //! As `local::clustering`.

    /// As there.
    pub struct Found<M> {
        /// As there.
        pub model: M,
        /// As there.
        pub labels: Vec<usize>,
        /// As there.
        pub score: f64,
    }

    /// As there.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
    pub enum Error {
        /// Not yet merged.
        #[error("clusterings are not merged yet")]
        Unmerged,
    }
}

macro_rules! unmerged {
    ($($name:ident)*) => { $(
        pub mod $name {
            //! As `local`'s.

            /// As there.
            #[derive(serde::Serialize)]
            pub struct Model;

            /// As there.
            pub fn search(
                _: ndarray::ArrayView2<'_, f64>,
            ) -> Result<super::clustering::Found<Model>, super::clustering::Error> {
                Err(super::clustering::Error::Unmerged)
            }
        }
    )* };
}

unmerged!(birch k_means spectral);
