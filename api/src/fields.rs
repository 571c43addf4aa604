//! Fields of a request, taken out one by one, so that every refusal names field, value and rule.

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};
use shared::limits::NAME_BYTES_MAX;

use crate::answer::Error;

/// Characters of a caller's value that a message repeats.
const SHOWN_CHARS_MAX: usize = 64;

/// One value of a request and its path, such as `model_params.max_iter`.
pub(crate) struct Field<'a> {
    path: String,
    value: &'a Value,
    confidential: bool,
}

/// An object of a request; remembers which of its fields were asked for.
pub(crate) struct Fields<'a> {
    path: Option<String>,
    map: &'a Map<String, Value>,
    asked: Vec<&'static str>,
    confidential: bool,
}

impl<'a> Fields<'a> {
    /// The whole request.
    ///
    /// # Errors
    /// When it is no object.
    pub(crate) fn of(request: &'a Value) -> Result<Fields<'a>, Error> {
        let map = request.as_object().ok_or_else(|| {
            Error::Invalid(format!(
                "the body is {}: it must be an object",
                shown(request)
            ))
        })?;
        Ok(Fields::new(None, map, false))
    }

    fn new(path: Option<String>, map: &'a Map<String, Value>, confidential: bool) -> Fields<'a> {
        Fields {
            path,
            map,
            asked: Vec::new(),
            confidential,
        }
    }

    fn path_of(&self, name: &str) -> String {
        match &self.path {
            Some(path) => format!("{path}.{name}"),
            None => name.to_owned(),
        }
    }

    /// Takes a field that may be absent.
    pub(crate) fn optional(&mut self, name: &'static str) -> Option<Field<'a>> {
        self.asked.push(name);
        let value = self.map.get(name)?;
        Some(Field {
            path: self.path_of(name),
            value,
            confidential: self.confidential,
        })
    }

    /// Takes a field that goes by two names; both may be there when they agree.
    ///
    /// # Errors
    /// When they differ.
    pub(crate) fn either(
        &mut self,
        name: &'static str,
        alias: &'static str,
    ) -> Result<Option<Field<'a>>, Error> {
        match (self.optional(name), self.optional(alias)) {
            (Some(one), Some(other)) if one.value != other.value => Err(one.must(format!(
                "equal its other name `{}`, or stand alone",
                other.path
            ))),
            (Some(field), _) | (None, Some(field)) => Ok(Some(field)),
            (None, None) => Ok(None),
        }
    }

    /// Takes a field.
    ///
    /// # Errors
    /// When it is absent.
    pub(crate) fn required(&mut self, name: &'static str) -> Result<Field<'a>, Error> {
        self.optional(name).ok_or_else(|| {
            Error::Invalid(format!(
                "`{}` is missing: it is required",
                self.path_of(name)
            ))
        })
    }

    /// Takes every field, whatever its name.
    pub(crate) fn entries(self) -> impl Iterator<Item = (&'a str, Field<'a>)> {
        self.map.iter().map(move |(name, value)| {
            let path = self.path_of(&shortened(name));
            (
                name.as_str(),
                Field {
                    path,
                    value,
                    confidential: self.confidential,
                },
            )
        })
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When a field is left that nobody asked for.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let unknown = self
            .map
            .keys()
            .find(|name| !self.asked.contains(&name.as_str()));
        let Some(name) = unknown else { return Ok(()) };
        let known: Vec<String> = self.asked.iter().map(|name| format!("`{name}`")).collect();
        Err(Error::Invalid(format!(
            "`{}` is unknown: the fields here are {}",
            self.path_of(&shortened(name)),
            known.join(", ")
        )))
    }
}

impl<'a> Field<'a> {
    /// The same field, whose value no message repeats.
    pub(crate) fn confidential(self) -> Field<'a> {
        Field {
            confidential: true,
            ..self
        }
    }

    /// Where it stands.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// What the caller sent.
    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    /// A refusal: path, value, and `rule`, which continues "it must ...".
    pub(crate) fn must(&self, rule: impl Display) -> Error {
        Error::Invalid(format!(
            "`{}` is {}: it must {rule}",
            self.path,
            self.shown()
        ))
    }

    /// The value as a message may repeat it.
    pub(crate) fn shown(&self) -> String {
        if self.confidential {
            kind(self.value).to_owned()
        } else {
            shown(self.value)
        }
    }

    /// The object inside.
    pub(crate) fn object(self) -> Result<Fields<'a>, Error> {
        match self.value {
            Value::Object(map) => Ok(Fields::new(Some(self.path), map, self.confidential)),
            _ => Err(self.must("be an object")),
        }
    }

    /// The fields of the array inside, whose length must be in `length`.
    pub(crate) fn items(&self, length: RangeInclusive<usize>) -> Result<Vec<Field<'a>>, Error> {
        let (min, max) = (length.start(), length.end());
        let rule = || self.must(format!("be an array of {min} to {max} values"));
        let items = self.value.as_array().ok_or_else(rule)?;
        if !length.contains(&items.len()) {
            return Err(rule());
        }
        let field = |(place, value)| Field {
            path: format!("{}[{place}]", self.path),
            value,
            confidential: self.confidential,
        };
        Ok(items.iter().enumerate().map(field).collect())
    }

    /// A positive integer, as a JSON number or as a decimal string.
    pub(crate) fn id(&self, max: u64) -> Result<u64, Error> {
        let id = match self.value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => decimal(text),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        id.filter(|id| (1..=max).contains(id)).ok_or_else(|| {
            self.must(format!(
                "be an integer from 1 to {max}, as a number or a decimal string"
            ))
        })
    }

    /// An id that the store gave out: an `order_id` or a `model_id`.
    pub(crate) fn outside_id(&self) -> Result<i64, Error> {
        let id = self.id(i64::MAX.unsigned_abs())?;
        Ok(i64::try_from(id).expect("at most i64::MAX, as the line above checks"))
    }

    /// An integer that is a JSON number.
    pub(crate) fn integer(&self, range: RangeInclusive<i64>) -> Result<i64, Error> {
        let integer = self
            .value
            .as_i64()
            .filter(|integer| range.contains(integer));
        let (min, max) = (range.start(), range.end());
        integer.ok_or_else(|| self.must(format!("be an integer from {min} to {max}")))
    }

    /// A JSON number for which `holds`; `rule` says so in words.
    pub(crate) fn number(&self, rule: &str, holds: fn(f64) -> bool) -> Result<f64, Error> {
        let number = self
            .value
            .as_f64()
            .filter(|number| number.is_finite() && holds(*number));
        number.ok_or_else(|| self.must(format!("be a number {rule}")))
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self) -> Result<bool, Error> {
        self.value
            .as_bool()
            .ok_or_else(|| self.must("be true or false"))
    }

    /// A string.
    pub(crate) fn text(&self) -> Result<&'a str, Error> {
        self.value.as_str().ok_or_else(|| self.must("be a string"))
    }

    /// A name: of a column, or a job.
    pub(crate) fn name(&self) -> Result<&'a str, Error> {
        let fits = |name: &&str| {
            (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains(char::is_control)
        };
        self.value.as_str().filter(fits).ok_or_else(|| {
            let rule = "bytes without control characters";
            self.must(format!("be a string of 1 to {NAME_BYTES_MAX} {rule}"))
        })
    }

    /// One of `words`, in any case.
    pub(crate) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, Error> {
        let text = self.value.as_str();
        let found = words
            .iter()
            .find(|(word, _)| text.is_some_and(|text| text.eq_ignore_ascii_case(word)));
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let names: Vec<String> = words
                .iter()
                .map(|(word, _)| format!("\"{word}\""))
                .collect();
            self.must(format!("be one of {}, in any case", names.join(", ")))
        })
    }
}

/// A positive decimal without sign, blanks or leading zeros.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// A caller's text, cut to what a message repeats.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("\"{}\"", shortened(text)),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with<T>(value: Value, read: impl Fn(&Field<'_>) -> Result<T, Error>) -> Result<T, String> {
        let request = json!({ "x": value });
        let mut fields = Fields::of(&request).expect("an object");
        let field = fields.required("x").expect("there");
        read(&field).map_err(|error| error.to_string())
    }

    #[test]
    fn ids_are_numbers_or_plain_decimals() {
        for value in [json!(137), json!("137")] {
            assert_eq!(with(value, |field| field.id(200)), Ok(137));
        }
        let refused = [
            json!(0),
            json!(-1),
            json!(201),
            json!(1.0),
            json!("0"),
            json!("007"),
            json!("+7"),
            json!(" 7"),
            json!(""),
            json!("7.0"),
            json!("99999999999999999999"),
            json!(null),
            json!(true),
            json!([7]),
            json!("７"),
        ];
        for value in refused {
            let error = with(value.clone(), |field| field.id(200)).expect_err("refused");
            assert!(
                error.contains("an integer from 1 to 200"),
                "{value}: {error}"
            );
        }
    }

    #[test]
    fn an_integer_is_neither_a_string_nor_a_boolean_nor_a_fraction() {
        assert_eq!(with(json!(-1), |field| field.integer(-1..=5)), Ok(-1));
        for value in [
            json!("1"),
            json!(true),
            json!(1.5),
            json!(6),
            json!(1e300),
            json!(null),
        ] {
            assert!(with(value, |field| field.integer(-1..=5)).is_err());
        }
        assert!(with(json!(1), |field| field.boolean()).is_err());
        assert!(with(json!("1.5"), |field| field.number("", |_| true)).is_err());
    }

    #[test]
    fn a_refusal_names_the_path_the_value_and_the_rule() {
        let request = json!({ "a": { "b": [1, "no"] } });
        let mut fields = Fields::of(&request).expect("an object");
        let mut inner = fields
            .required("a")
            .and_then(Field::object)
            .expect("an object");
        let items = inner
            .required("b")
            .and_then(|field| field.items(1..=2))
            .expect("an array");
        let error = items[1].integer(0..=9).expect_err("a string").to_string();
        assert_eq!(
            error,
            r#"`a.b[1]` is "no": it must be an integer from 0 to 9"#
        );
    }

    #[test]
    fn a_confidential_value_is_never_repeated_not_even_from_inside() {
        let request = json!({ "sql": { "pos": "select secret" } });
        let mut fields = Fields::of(&request).expect("an object");
        let field = fields.required("sql").expect("there").confidential();
        let mut inner = field.object().expect("an object");
        let error = inner
            .required("pos")
            .and_then(|field| field.boolean())
            .expect_err("a string");
        assert_eq!(
            error.to_string(),
            "`sql.pos` is a string: it must be true or false"
        );
    }

    #[test]
    fn unknown_fields_are_named_with_what_is_known() {
        let request = json!({ "a": 1, "bb": 2 });
        let mut fields = Fields::of(&request).expect("an object");
        fields.required("a").expect("there");
        assert!(fields.optional("b").is_none());
        let error = fields.finish().expect_err("bb is left").to_string();
        assert_eq!(error, "`bb` is unknown: the fields here are `a`, `b`");
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let error = with(json!("诊".repeat(100)), |field| field.boolean()).expect_err("a string");
        assert!(error.contains(&format!("{}...\"", "诊".repeat(64))));
    }
}
