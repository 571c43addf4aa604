//! Request text as JSON, read strictly: every field once, shallow, numbers finite.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::answer::Error;
use crate::fields::shortened;

/// Objects and arrays inside one another.
const DEPTH_MAX: usize = 8;

/// Reads one JSON value.
///
/// # Errors
/// `Error::Invalid` when the bytes are no UTF-8, no JSON, repeat a field, nest deeper than
/// `DEPTH_MAX`, or hold a number beyond the doubles.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Error> {
    read(bytes).map_err(|problem| {
        let hint = if bytes.trim_ascii_start().starts_with(b"{") {
            ""
        } else {
            "; it must be a JSON object (with curl, the content of a file is -d @FILE)"
        };
        Error::Invalid(format!("the body is not usable: {problem}{hint}"))
    })
}

/// As [`parse`], for JSON that is no body.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("byte {} is not UTF-8", error.valid_up_to() + 1))?;
    if text.trim_ascii().is_empty() {
        return Err("it is empty, and must be a JSON object".to_owned());
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Strict { depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| error.to_string())
}

/// Builds a `Value` as serde_json does, except that it refuses a repeated field and depth.
struct Strict {
    depth: usize,
}

impl Strict {
    fn inside<E: serde::de::Error>(&self) -> Result<Strict, E> {
        if self.depth == DEPTH_MAX {
            return Err(E::custom(format!(
                "it nests deeper than {DEPTH_MAX} levels"
            )));
        }
        Ok(Strict {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(self.inside()?)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if map.contains_key(&name) {
                let name = shortened(&name);
                return Err(A::Error::custom(format!("the field `{name}` occurs twice")));
            }
            let value = entries.next_value_seed(self.inside()?)?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &[u8]) -> String {
        parse(text).expect_err("must be refused").to_string()
    }

    #[test]
    fn numbers_keep_their_spelling_as_far_as_json_has_one() {
        let value = parse(br#"{"decay": 1, "eps": 1e-4, "rate": 0.15, "name": "\u8bca"}"#);
        let text = value.expect("valid").to_string();
        assert_eq!(text, r#"{"decay":1,"eps":0.0001,"name":"诊","rate":0.15}"#);
    }

    #[test]
    fn a_repeated_field_is_refused_by_name_at_every_level() {
        assert!(refusal(br#"{"a": 1, "a": 1}"#).contains("`a` occurs twice"));
        assert!(refusal(br#"{"a": {"b": [{"c": 1, "c": 2}]}}"#).contains("`c` occurs twice"));
    }

    #[test]
    fn depth_is_bounded_by_our_own_limit() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert!(refusal(nested(DEPTH_MAX + 1).as_bytes()).contains("deeper than 8 levels"));
        assert!(refusal("[".repeat(1_000_000).as_bytes()).contains("deeper than 8 levels"));
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        assert!(refusal(b"").contains("empty"));
        assert!(refusal(b"{\"a\": \"\xff\"}").contains("byte 8 is not UTF-8"));
        assert!(refusal(b"{\"a\": NaN}").contains("line 1 column"));
        assert!(refusal(b"{\"a\": 1e400}").contains("out of range"));
        assert!(refusal(b"{\"a\": 1} {}").contains("trailing characters"));
        assert!(refusal(br#"{"a": "\ud800"}"#).contains("line 1 column"));
    }
}
