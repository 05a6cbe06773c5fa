//! The shape of the value of each kind, as a table, and what a value that has another is told. Messages and codes are
//! fixed texts: none can quote a value.

use coder_core::{Code, Fault, Timestamp};
use serde_json::{Map, Value};

use super::{Kind, certificate};

/// Most variables of an environment set.
const MOST_VARIABLES: usize = 200;

/// Most certificates of a chain.
const LONGEST_CHAIN: usize = 10;

/// What a field holds.
#[derive(Clone, Copy)]
enum Shape {
    /// Text that is not empty.
    Text,
    /// A PEM block that holds a certificate.
    Certificate,
    /// A list of PEM blocks that hold certificates.
    Chain,
    /// A time.
    Time,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Any object.
    Object,
    /// Names of variables with texts.
    Variables,
}

struct Field(&'static str, bool, Shape);

const REQUIRED: bool = true;
const OPTIONAL: bool = false;

fn fields(kind: Kind) -> &'static [Field] {
    use Shape::{Certificate, Chain, Object, OneOf, Text, Time, Variables};
    match kind {
        Kind::Generic => &[Field("value", REQUIRED, Text)],
        Kind::ApiKey => &[Field("key", REQUIRED, Text)],
        Kind::UsernamePassword => &[Field("username", REQUIRED, Text), Field("password", REQUIRED, Text)],
        Kind::Oauth2Token => &[
            Field("accessToken", REQUIRED, Text),
            Field("refreshToken", OPTIONAL, Text),
            Field("tokenType", REQUIRED, Text),
            Field("expiresAt", OPTIONAL, Time),
            Field("scope", OPTIONAL, Text),
        ],
        Kind::Certificate => &[
            Field("certificatePem", REQUIRED, Certificate),
            Field("privateKeyPem", OPTIONAL, Text),
            Field("chainPem", OPTIONAL, Chain),
            Field("passphrase", OPTIONAL, Text),
        ],
        Kind::SshKey => &[
            Field("privateKey", REQUIRED, Text),
            Field("publicKey", OPTIONAL, Text),
            Field("passphrase", OPTIONAL, Text),
            Field("algorithm", REQUIRED, OneOf(&["ed25519", "rsa", "ecdsa"])),
        ],
        Kind::ConnectionString => &[Field("connectionString", REQUIRED, Text)],
        Kind::Json => &[Field("document", REQUIRED, Object)],
        Kind::EnvSet => &[Field("variables", REQUIRED, Variables)],
    }
}

/// Everything that is wrong with the shape.
pub(super) fn faults(kind: Kind, value: &Value, pointer: &str) -> Vec<Fault> {
    let Some(object) = value.as_object() else {
        return vec![Fault::new(
            pointer,
            "wrong_type",
            "The value is an object with the fields of its kind.",
        )];
    };
    let known = fields(kind);
    let mut faults: Vec<Fault> = object
        .keys()
        .filter(|name| !known.iter().any(|field| field.0 == name.as_str()))
        .map(|name| {
            let message = "A value of this kind has no such field.";
            Fault::new(below(pointer, name), Code::UnknownField.as_str(), message)
        })
        .collect();
    for Field(name, required, shape) in known {
        let at = below(pointer, name);
        match object.get(*name) {
            None if *required => faults.push(Fault::new(at, "required", "This field is required.")),
            None => {}
            Some(part) => check(*shape, part, &at, &mut faults),
        }
    }
    faults
}

fn check(shape: Shape, value: &Value, at: &str, faults: &mut Vec<Fault>) {
    let mut wrong = |code: &'static str, message: &'static str| faults.push(Fault::new(at, code, message));
    let text = value.as_str();
    match shape {
        Shape::Text if text.is_none() => wrong("wrong_type", "This is a text."),
        Shape::Text if text == Some("") => wrong("too_short", "This must not be empty."),
        Shape::Certificate if text.and_then(certificate::not_after).is_none() => {
            wrong("invalid_format", "This is no certificate in PEM.");
        }
        Shape::Chain => {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            let certificates =
                items.iter().all(|item| item.as_str().and_then(certificate::not_after).is_some());
            if !value.is_array() || !certificates {
                wrong("invalid_format", "This is a list of certificates in PEM.");
            } else if items.len() > LONGEST_CHAIN {
                wrong("too_many", "At most 10 certificates are accepted.");
            }
        }
        Shape::Time if text.is_none_or(|text| text.parse::<Timestamp>().is_err()) => {
            wrong("invalid_format", "This is a time such as 2026-01-31T09:30:00Z.");
        }
        Shape::OneOf(words) if text.is_none_or(|text| !words.contains(&text)) => {
            faults.push(Fault::new(at, "invalid_value", format!("One of {} is needed.", words.join(", "))));
        }
        Shape::Object if !value.is_object() => wrong("wrong_type", "This is an object."),
        Shape::Text | Shape::Certificate | Shape::Time | Shape::OneOf(_) | Shape::Object => {}
        Shape::Variables => match value.as_object() {
            Some(variables) => check_variables(variables, at, faults),
            None => wrong("wrong_type", "This is an object of names and texts."),
        },
    }
}

fn check_variables(variables: &Map<String, Value>, at: &str, faults: &mut Vec<Fault>) {
    if variables.len() > MOST_VARIABLES {
        faults.push(Fault::new(at, "too_many", "At most 200 variables are accepted."));
        return;
    }
    for (name, value) in variables {
        if !is_variable_name(name) {
            let message = "A name of letters, digits and `_` is needed that does not begin with a digit.";
            faults.push(Fault::new(below(at, name), "invalid_format", message));
        }
        if !value.is_string() {
            faults.push(Fault::new(below(at, name), "wrong_type", "This is a text."));
        }
    }
}

/// Whether a variable of an environment can have this name.
pub(crate) fn is_variable_name(name: &str) -> bool {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(part) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::certificate::tests::PEM;
    use super::*;

    #[track_caller]
    fn check_kind(kind: Kind, value: Value, expected: &[(&str, &str)]) {
        let faults = faults(kind, &value, "/value");
        let found: Vec<_> = faults.iter().map(|fault| (fault.pointer.as_str(), fault.code)).collect();
        assert_eq!(found, expected, "{kind:?}");
        for fault in &faults {
            assert!(!fault.message.contains("hunter2"), "{fault:?}");
        }
    }

    #[test]
    fn every_kind_accepts_its_shape() {
        for (kind, value) in [
            (Kind::Generic, json!({"value": "x"})),
            (Kind::ApiKey, json!({"key": "x"})),
            (Kind::UsernamePassword, json!({"username": "a", "password": "b"})),
            (Kind::Oauth2Token, json!({"accessToken": "a", "tokenType": "Bearer"})),
            (
                Kind::Oauth2Token,
                json!({"accessToken": "a", "tokenType": "Bearer", "refreshToken": "r", "scope": "s",
                    "expiresAt": "2026-01-31T09:30:00Z"}),
            ),
            (Kind::Certificate, json!({"certificatePem": PEM, "chainPem": [PEM]})),
            (Kind::SshKey, json!({"privateKey": "k", "algorithm": "ed25519"})),
            (Kind::ConnectionString, json!({"connectionString": "Server=x"})),
            (Kind::Json, json!({"document": {"a": [1, {"b": null}]}})),
            (Kind::EnvSet, json!({"variables": {"PATH": "/bin", "_A1": ""}})),
        ] {
            check_kind(kind, value, &[]);
        }
    }

    #[test]
    fn every_fault_is_named_and_none_quotes_the_value() {
        check_kind(Kind::ApiKey, json!("hunter2"), &[("/value", "wrong_type")]);
        check_kind(
            Kind::ApiKey,
            json!({"kay": "hunter2"}),
            &[("/value/kay", "unknown_field"), ("/value/key", "required")],
        );
        check_kind(Kind::Generic, json!({"value": ["hunter2"]}), &[("/value/value", "wrong_type")]);
        check_kind(
            Kind::UsernamePassword,
            json!({"username": "", "password": 7}),
            &[("/value/username", "too_short"), ("/value/password", "wrong_type")],
        );
        check_kind(
            Kind::Oauth2Token,
            json!({"accessToken": "a", "tokenType": "b", "expiresAt": "hunter2"}),
            &[("/value/expiresAt", "invalid_format")],
        );
        check_kind(
            Kind::Certificate,
            json!({"certificatePem": "hunter2", "chainPem": ["hunter2"]}),
            &[("/value/certificatePem", "invalid_format"), ("/value/chainPem", "invalid_format")],
        );
        check_kind(
            Kind::SshKey,
            json!({"privateKey": "k", "algorithm": "hunter2"}),
            &[("/value/algorithm", "invalid_value")],
        );
        check_kind(Kind::Json, json!({"document": "hunter2"}), &[("/value/document", "wrong_type")]);
        check_kind(
            Kind::EnvSet,
            json!({"variables": {"1A": "hunter2", "B": 7}}),
            &[("/value/variables/1A", "invalid_format"), ("/value/variables/B", "wrong_type")],
        );
        let many: Map<String, Value> = (0..201).map(|n| (format!("V{n}"), json!("x"))).collect();
        check_kind(Kind::EnvSet, json!({"variables": many}), &[("/value/variables", "too_many")]);
    }
}
