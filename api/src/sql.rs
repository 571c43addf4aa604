//! SQL texts of requests: parsed into small typed queries here, executed nowhere.

use shared::query::{self, Query};

use crate::answer::Error;
use crate::fields::Field;

/// The query a field asks for.
///
/// # Errors
/// `Error::Invalid` with the place and the rule, and without the text.
pub(crate) fn query(field: &Field<'_>) -> Result<Query, Error> {
    query::parse(field.text()?)
        .map_err(|error| Error::Invalid(format!("`{}` is refused: {error}", field.path())))
}
