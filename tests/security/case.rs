//! What a case is. The words of the format are explained at the top of `cases.json`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct File {
    #[serde(rename = "format")]
    _format: BTreeMap<String, String>,
    pub(crate) cases: Vec<Case>,
}

/// One attack.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) family: String,
    pub(crate) name: String,
    pub(crate) attack: String,
    /// What comes first; the company may change by it.
    #[serde(default)]
    pub(crate) before: Vec<Step>,
    /// The attack itself; the company must not change by it.
    pub(crate) request: Step,
    /// What must be so afterwards, besides.
    #[serde(default)]
    pub(crate) afterwards: Vec<Step>,
    /// Further values of `${try}`; the attack is made with each.
    #[serde(default)]
    pub(crate) tries: Vec<String>,
}

/// One request, and what it must be answered.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Step {
    /// Whose credential is sent.
    #[serde(rename = "as")]
    pub(crate) who: String,
    pub(crate) bearer: Option<String>,
    pub(crate) api_key: Option<String>,
    pub(crate) token: Option<Forgery>,
    pub(crate) method: Option<String>,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Value>,
    pub(crate) text: Option<String>,
    pub(crate) raw: Option<String>,
    /// Seconds by which the clock moves first.
    pub(crate) later: i64,
    pub(crate) answer: Expected,
    /// Names for parts of the answer.
    pub(crate) save: BTreeMap<String, String>,
}

/// A token that nobody was given, made from the owner's.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Forgery {
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
    pub(crate) sign: String,
    pub(crate) append: String,
}

/// What is expected of an answer; nothing said is anything allowed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Expected {
    pub(crate) status: Option<Status>,
    pub(crate) code: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) absent: Vec<String>,
    pub(crate) has: Vec<String>,
    pub(crate) lacks: Vec<String>,
    pub(crate) at: BTreeMap<String, Value>,
    /// How many answers came over the connection.
    pub(crate) answers: Option<usize>,
}

/// One status, or any of several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Status {
    One(u16),
    Any(Vec<u16>),
}

impl Status {
    pub(crate) fn allows(&self, status: u16) -> bool {
        match self {
            Self::One(one) => *one == status,
            Self::Any(several) => several.contains(&status),
        }
    }
}

/// The cases as they stand in the file.
pub(crate) fn all() -> Vec<Case> {
    let file: File = serde_json::from_str(include_str!("cases.json")).unwrap();
    file.cases
}
