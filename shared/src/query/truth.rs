//! What a predicate means, for every source.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::{Comparison, Literal, Number, Predicate};

impl Predicate {
    /// Whether a row is selected. `cell` gives the text of a column of the row, `None` where it is
    /// missing.
    ///
    /// A cell and a constant are compared as numbers when both are numbers (exactly, so `38`
    /// equals `'38.0'`), else as text in binary order. `true`, `t` and 1 are TRUE, `false`, `f` and
    /// 0 are FALSE, in any case. A comparison with a missing cell is unknown, `NOT`, `AND` and `OR`
    /// carry the unknown on as in SQL, and only a row for which the whole is true is selected.
    pub fn holds<'c>(&self, cell: &dyn Fn(&str) -> Option<Cow<'c, str>>) -> bool {
        self.truth(cell) == Some(true)
    }

    fn truth<'c>(&self, cell: &dyn Fn(&str) -> Option<Cow<'c, str>>) -> Option<bool> {
        let tested = |column: &str, test: &dyn Fn(&str) -> bool| Some(test(&cell(column)?));
        match self {
            Predicate::And(parts) => settle(parts.iter().map(|part| part.truth(cell)), false),
            Predicate::Or(parts) => settle(parts.iter().map(|part| part.truth(cell)), true),
            Predicate::Not(part) => part.truth(cell).map(|truth| !truth),
            Predicate::Compare {
                column,
                operator,
                literal,
            } => tested(column, &|text| operator.accepts(literal.compared(text))),
            Predicate::In { column, literals } => tested(column, &|text| {
                let mut literals = literals.iter();
                literals.any(|literal| literal.compared(text) == Ordering::Equal)
            }),
            Predicate::Between { column, low, high } => tested(column, &|text| {
                low.compared(text) != Ordering::Less && high.compared(text) != Ordering::Greater
            }),
            Predicate::IsNull { column } => Some(cell(column).is_none()),
            Predicate::Like { column, pattern } => tested(column, &|text| is_like(text, pattern)),
        }
    }
}

/// `AND` (ended by false) and `OR` (ended by true) over three values.
fn settle(parts: impl Iterator<Item = Option<bool>>, ended_by: bool) -> Option<bool> {
    let mut unknown = false;
    for part in parts {
        match part {
            Some(truth) if truth == ended_by => return Some(ended_by),
            Some(_) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(!ended_by)
}

impl Comparison {
    fn accepts(self, ordering: Ordering) -> bool {
        match self {
            Comparison::Equal => ordering.is_eq(),
            Comparison::NotEqual => ordering.is_ne(),
            Comparison::Less => ordering.is_lt(),
            Comparison::LessOrEqual => ordering.is_le(),
            Comparison::Greater => ordering.is_gt(),
            Comparison::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Literal {
    /// How a cell's text stands to the constant.
    fn compared(&self, text: &str) -> Ordering {
        match self {
            Literal::Number(literal) | Literal::Text(literal) => compare(text, literal),
            Literal::Boolean(literal) => match boolean(text) {
                Some(truth) => truth.cmp(literal),
                None => text.cmp(if *literal { "true" } else { "false" }),
            },
        }
    }
}

/// Compares as numbers when both are numbers, else as text in binary order.
pub(crate) fn compare(left: &str, right: &str) -> Ordering {
    match (Number::parse(left), Number::parse(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => left.cmp(right),
    }
}

fn boolean(text: &str) -> Option<bool> {
    let is = |word: &str, number: &str| {
        text.eq_ignore_ascii_case(word)
            || text.eq_ignore_ascii_case(&word[..1])
            || Number::parse(text).is_some_and(|value| Some(value) == Number::parse(number))
    };
    if is("true", "1") {
        Some(true)
    } else if is("false", "0") {
        Some(false)
    } else {
        None
    }
}

/// Takes the shortest run for each `%` first and lengthens only the last one, which is enough
/// (the usual greedy match), so the time is at most the product of both lengths.
fn is_like(text: &str, pattern: &str) -> bool {
    let (mut text, mut pattern) = (text.chars(), pattern.chars());
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let (rest, expected) = (text.clone(), pattern.next());
        let found = match expected {
            Some('%') => {
                retry = Some((rest, pattern.clone()));
                continue;
            }
            _ => text.next(),
        };
        match (expected, found) {
            (None, None) => return true,
            (Some('_'), Some(_)) => continue,
            (Some(expected), Some(found)) if expected == found => continue,
            _ => {}
        }
        let Some((skipped, after)) = &mut retry else {
            return false;
        };
        if skipped.next().is_none() {
            return false;
        }
        (text, pattern) = (skipped.clone(), after.clone());
    }
}
