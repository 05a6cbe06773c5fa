//! The one form in which other groups keep a secret: `secret:<secretId>[@<version>][#<field>]`.

use std::fmt;
use std::str::FromStr;

use crate::model::SecretId;

const SCHEME: &str = "secret:";

/// Longest field name of a reference, in bytes.
const LONGEST_FIELD: usize = 200;

/// A reference to a secret, to one of its versions, to one field of its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The secret.
    pub secret_id: SecretId,
    /// The version; the current one if there is none.
    pub version: Option<u32>,
    /// The field; the whole value if there is none.
    pub field: Option<String>,
}

/// The text is no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reference is `secret:<secretId>[@<version>][#<field>]`")]
pub struct NoReference;

impl FromStr for Reference {
    type Err = NoReference;

    fn from_str(text: &str) -> Result<Self, NoReference> {
        let rest = text.strip_prefix(SCHEME).ok_or(NoReference)?;
        let (rest, field) = match rest.split_once('#') {
            Some((rest, field)) => (rest, Some(field)),
            None => (rest, None),
        };
        let (id, version) = match rest.split_once('@') {
            Some((id, version)) => (id, Some(version)),
            None => (rest, None),
        };
        let number = |text: &str| {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
            text.parse::<u32>().ok().filter(|_| plain).ok_or(NoReference)
        };
        let name = |text: &str| {
            let fits = !text.is_empty() && text.len() <= LONGEST_FIELD && !text.contains('#');
            if fits { Ok(text.to_owned()) } else { Err(NoReference) }
        };
        Ok(Self {
            secret_id: id.parse().map_err(|_| NoReference)?,
            version: version.map(number).transpose()?,
            field: field.map(name).transpose()?,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{SCHEME}{}", self.secret_id)?;
        if let Some(version) = self.version {
            write!(out, "@{version}")?;
        }
        match &self.field {
            Some(field) => write!(out, "#{field}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NoReference, Reference};

    const ID: &str = "01990c3a-7e3a-7c11-9d2f-5b6a7c8d9e0f";

    #[test]
    fn every_part_but_the_id_may_be_left_out() {
        for (tail, version, field) in [
            ("", None, None),
            ("@7", Some(7), None),
            ("#password", None, Some("password")),
            ("@12#DB_URL", Some(12), Some("DB_URL")),
            ("#a@b", None, Some("a@b")),
        ] {
            let text = format!("secret:{ID}{tail}");
            let reference: Reference = text.parse().unwrap();
            assert_eq!((reference.version, reference.field.as_deref()), (version, field), "{text}");
            assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn nothing_else_is_a_reference() {
        let upper = ID.to_uppercase();
        for text in [
            String::new(),
            ID.to_owned(),
            "secret:".to_owned(),
            "secret:name".to_owned(),
            format!("Secret:{ID}"),
            format!("secret:{upper}"),
            format!("secret:{ID}@"),
            format!("secret:{ID}@0"),
            format!("secret:{ID}@01"),
            format!("secret:{ID}@+1"),
            format!("secret:{ID}@4294967296"),
            format!("secret:{ID}@1@2"),
            format!("secret:{ID}#"),
            format!("secret:{ID}#a#b"),
            format!(" secret:{ID}"),
            format!("secret:{ID} "),
            format!("secret:{ID}#{}", "x".repeat(201)),
        ] {
            assert_eq!(text.parse::<Reference>(), Err(NoReference), "{text}");
        }
    }
}
