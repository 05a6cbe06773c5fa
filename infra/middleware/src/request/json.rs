//! JSON as it must be written: a key that stands twice in one object is refused, because two readers could
//! believe two different values.

use std::fmt;

use coder_core::{Code, Failure, Problem};
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads JSON; what cannot be parsed is `400 malformed_json` with the place.
pub fn parse_json(bytes: &[u8]) -> Result<Value, Failure> {
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let parsed = Strict.deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
    parsed.map_err(|error| {
        // The parser's own words can quote the body; line and column cannot.
        let detail =
            format!("The JSON breaks off or is wrong at line {}, column {}.", error.line(), error.column());
        Problem::new(Code::MalformedJson, detail).into()
    })
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        serde_json::Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("no finite number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            let value = fields.next_value_seed(Strict)?;
            if object.insert(key, value).is_some() {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::parse_json;

    #[test]
    fn reads_what_serde_json_reads() {
        for text in [
            "null",
            "true",
            "-3",
            "18446744073709551615",
            "1.5e3",
            "\"a\\u0000b\"",
            "[1,[2,{}]]",
            "{\"a\":{\"b\":[]}}",
        ] {
            let expected: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(parse_json(text.as_bytes()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_two_readers_could_read_differently() {
        let deep = "[".repeat(100_000);
        let bad = [
            "",
            "{",
            "{\"a\":1,\"a\":1}",
            "{\"b\":[{\"a\":1,\"a\":2}]}",
            "1 2",
            "NaN",
            "{a:1}",
            "\u{feff}{}",
            &deep,
        ];
        for text in bad {
            let failure = parse_json(text.as_bytes()).unwrap_err();
            assert_eq!(failure.code().unwrap().as_str(), "malformed_json", "{text:.20}");
        }
    }
}
