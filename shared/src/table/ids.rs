//! The ids of many rows in one piece of memory.

use std::ops::Index;

/// The `unique_id` of each row: 8 bytes and its text, where a `String` would take 24, its text and
/// what the allocator adds.
#[derive(Clone, Default)]
pub struct Ids {
    text: String,
    /// Where each id starts and ends in `text`, so that sorting moves no text.
    places: Vec<(u32, u32)>,
}

impl Ids {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.places.iter().map(|place| self.at(*place))
    }

    /// Adds one.
    ///
    /// # Panics
    /// When all texts together reach 4 GiB, which [`crate::limits::ID_BYTES_MAX`] rules out for
    /// what a source reads.
    pub(super) fn push(&mut self, id: &str) {
        let offset = |at: usize| u32::try_from(at).expect("ROWS_MAX times ID_BYTES_MAX fits");
        let start = offset(self.text.len());
        self.text.push_str(id);
        self.places.push((start, offset(self.text.len())));
    }

    pub(super) fn reserve(&mut self, rows: usize) {
        self.places.reserve_exact(rows);
    }

    pub(super) fn swap(&mut self, one: usize, other: usize) {
        self.places.swap(one, other);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.places.truncate(rows);
    }

    fn at(&self, (start, end): (u32, u32)) -> &str {
        &self.text[start as usize..end as usize]
    }
}

impl Index<usize> for Ids {
    type Output = str;

    fn index(&self, row: usize) -> &str {
        self.at(self.places[row])
    }
}

impl PartialEq for Ids {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<S: AsRef<str>> FromIterator<S> for Ids {
    /// # Panics
    /// When all texts together reach 4 GiB.
    fn from_iter<I: IntoIterator<Item = S>>(texts: I) -> Ids {
        let mut ids = Ids::default();
        texts.into_iter().for_each(|id| ids.push(id.as_ref()));
        ids
    }
}
