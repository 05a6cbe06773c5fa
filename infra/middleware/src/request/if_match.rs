//! The `If-Match` header (RFC 9110, 13.1.1): a change is made only to the resource that the caller knows.

use coder_core::{Code, Failure, Problem};
use coder_database::Meta;
use http::header::IF_MATCH;

use super::{Input, RequestContext};
use crate::describe::{OperationDescription, Parameter, ParameterPlace};

/// What is documented. More is borne with: see [`IfMatch::read`].
const PATTERN: &str = r#"^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)$"#;

/// What may stand around a tag.
const SPACE: [char; 2] = [' ', '\t'];

/// The entity tags that the caller believes are current.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IfMatch(Condition);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Condition {
    /// There is none, or the resource only has to exist.
    #[default]
    Any,
    /// The tag is one of these.
    OneOf(Vec<String>),
}

impl IfMatch {
    /// `412 etag_mismatch` unless the resource is as the caller knows it.
    pub fn check(&self, meta: &Meta) -> Result<(), Failure> {
        match &self.0 {
            Condition::OneOf(tags) if !tags.contains(&meta.etag) => {
                let detail = "Read the resource again and repeat the change with its new `ETag`.";
                Err(Problem::new(Code::EtagMismatch, detail).into())
            }
            _ => Ok(()),
        }
    }

    /// Reads `*` or a list of entity tags; none if it is neither.
    fn read(value: &str) -> Option<Self> {
        if value.trim_matches(SPACE) == "*" {
            return Some(Self(Condition::Any));
        }
        let mut tags = Vec::new();
        let mut rest = value;
        loop {
            // A list may have empty places.
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                return Some(Self(Condition::OneOf(tags)));
            }
            let (tag, after) = entity_tag(rest)?;
            tags.push(tag.to_owned());
            rest = after.trim_start_matches(SPACE);
            if !rest.is_empty() && !rest.starts_with(',') {
                return None;
            }
        }
    }
}

/// The tag at the beginning of the text, and what follows. It may stand without its quotes, as it does in a resource's
/// `etag`. A weak one never matches strongly, so it keeps its mark and its quotes, which no other has.
fn entity_tag(text: &str) -> Option<(&str, &str)> {
    if let Some(weak) = text.strip_prefix("W/\"") {
        let end = weak.find('"')? + "W/\"\"".len();
        return Some(text.split_at(end));
    }
    let (tag, after) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => text.split_at(text.find([',', ' ', '\t']).unwrap_or(text.len())),
    };
    let is_tag = tag.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
    (is_tag && !text.starts_with('*')).then_some((tag, after))
}

impl<S: Sync> Input<S> for IfMatch {
    fn describe(operation: &mut OperationDescription) {
        operation.parameters.push(Parameter {
            name: "If-Match".into(),
            place: ParameterPlace::Header,
            required: false,
            schema: serde_json::json!({"type": "string", "maxLength": 200, "pattern": PATTERN}),
            description: "The `ETag` that the resource must still have.".into(),
        });
    }

    async fn extract(context: &RequestContext, _: &S) -> Result<Self, Failure> {
        let lines: Result<Vec<&str>, _> =
            context.headers().get_all(IF_MATCH).iter().map(|line| line.to_str()).collect();
        let read = match lines.as_deref() {
            Ok([]) => Some(Self::default()),
            Ok(lines) => Self::read(&lines.join(",")),
            Err(_) => None,
        };
        read.ok_or_else(|| {
            let detail =
                "`If-Match` is `*`, or the `ETag` of the resource, or several with commas between them.";
            Failure::problem(Code::InvalidHeader, detail)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_documented_is_read() {
        let documented_as = crate::schema::validator(&serde_json::json!({"pattern": PATTERN})).unwrap();
        for (value, documented) in
            [("*", true), (r#""a""#, true), (r#"W/"a", "b""#, true), ("a", false), (r#""a", *"#, false)]
        {
            assert_eq!(documented_as.is_valid(&value.into()), documented, "{value}");
            assert!(!documented || IfMatch::read(value).is_some(), "{value}");
        }
    }

    fn tags(tags: &[&str]) -> IfMatch {
        IfMatch(Condition::OneOf(tags.iter().map(|tag| (*tag).to_owned()).collect()))
    }

    #[test]
    fn conditions_are_read_as_the_grammar_says() {
        let any = Some(IfMatch(Condition::Any));
        let cases = [
            ("*", any.clone()),
            (" *\t", any),
            (r#""a""#, Some(tags(&["a"]))),
            ("a", Some(tags(&["a"]))),
            (r#""a", b ,"c""#, Some(tags(&["a", "b", "c"]))),
            (r#", "a",, "#, Some(tags(&["a"]))),
            (r#""a,b""#, Some(tags(&["a,b"]))),
            (r#"W/"a", "b""#, Some(tags(&[r#"W/"a""#, "b"]))),
            (r#""*""#, Some(tags(&["*"]))),
            ("", Some(tags(&[]))),
            ("*,", None),
            (r#""a", *"#, None),
            (r#"*, "a""#, None),
            ("**", None),
            ("a b", None),
            (r#""a" "b""#, None),
            (r#""a""b""#, None),
            (r#""a"#, None),
            (r#"a""#, None),
            (r#"W/"a"#, None),
            (r#""a b""#, None),
        ];
        for (value, expected) in cases {
            assert_eq!(IfMatch::read(value), expected, "{value}");
        }
    }
}
