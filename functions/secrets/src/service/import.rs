//! Many secrets from one text, each in a transaction of its own. The text itself is never stored, which is why the
//! whole import happens within the request.

use coder_core::{Code, Failure, Problem, Result};
use coder_handler::retry_stale;
use coder_middleware::NoContent;
use coder_vault::Zeroizing;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Secrets;
use super::input::{Target, blank};
use super::write::NewVersion;
use crate::access::{Action, Asker, Standing, Trail, Verdict};
use crate::dotenv;
use crate::model::version::Cause;
use crate::value::{Kind, SecretValue};

/// Items of one import.
pub const MOST_ITEMS: usize = 500;

/// How the text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A variable a line.
    Dotenv,
    /// An object of names and texts, or of names and `{kind, value}`.
    Json,
}

/// What happens to a name that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// It stays as it is.
    Skip,
    /// It gets a new version.
    NewVersion,
    /// The line is an error.
    Fail,
}

/// What came of the lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// New secrets.
    pub created: u32,
    /// Secrets with a new version.
    pub updated: u32,
    /// Secrets that stayed as they were.
    pub skipped: u32,
    /// Lines that were not imported.
    pub failed: u32,
    /// Why; no message quotes a value.
    pub errors: Vec<LineFault>,
    /// Whether nothing was written.
    pub dry_run: bool,
}

/// A line that was not imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LineFault {
    /// The line, or the position of the item, counted from 1.
    pub line: usize,
    /// The name, where it could be read.
    pub name: Option<String>,
    /// What kind of fault, for programs.
    pub code: &'static str,
    /// What is wrong, for people.
    pub message: String,
}

/// One secret of the text.
#[derive(Debug)]
struct Item {
    line: usize,
    name: String,
    kind: Kind,
    value: SecretValue,
}

/// Where everything goes.
#[derive(Debug, Clone)]
pub struct Destination {
    /// For whom.
    pub target: Target,
    /// The environment.
    pub environment: String,
    /// The folder.
    pub folder: String,
    /// What happens to a name that is taken.
    pub on_conflict: OnConflict,
    /// Whether nothing is written.
    pub dry_run: bool,
}

enum Done {
    Created,
    Updated,
    Skipped,
}

impl Secrets {
    /// Imports every line that can be; a bad one does not stop the others.
    pub(crate) async fn import(
        &self,
        asker: &Asker,
        format: Format,
        content: &str,
        to: &Destination,
    ) -> Result<Summary> {
        let (items, errors) = read(format, content)?;
        if items.len() + errors.len() > MOST_ITEMS {
            let message = format!("At most {MOST_ITEMS} items are accepted at once.");
            return Err(Problem::fault("/content", "too_many", message).into());
        }
        let mut summary = Summary { dry_run: to.dry_run, errors, ..Summary::default() };
        for item in items {
            let (line, name) = (item.line, item.name.clone());
            match self.import_one(asker, &item, to).await {
                Ok(Done::Created) => summary.created += 1,
                Ok(Done::Updated) => summary.updated += 1,
                Ok(Done::Skipped) => summary.skipped += 1,
                Err(Failure::Problem(problem)) if problem.code.status() < 500 => {
                    let (code, message) = (problem.code.as_str(), problem.detail);
                    summary.errors.push(LineFault { line, name: Some(name), code, message });
                }
                Err(other) => return Err(other),
            }
        }
        summary.errors.sort_by_key(|error| error.line);
        summary.failed = u32::try_from(summary.errors.len()).unwrap_or(u32::MAX);
        Ok(summary)
    }

    async fn import_one(&self, asker: &Asker, item: &Item, to: &Destination) -> Result<Done> {
        retry_stale(|| self.try_import(asker, item, to)).await
    }

    async fn try_import(&self, asker: &Asker, item: &Item, to: &Destination) -> Result<Done> {
        let mut secret = blank(&to.target, item.name.clone(), item.kind);
        secret.environment.clone_from(&to.environment);
        secret.folder.clone_from(&to.folder);
        let faults = item.value.faults(item.kind, "/value");
        if !is_name(&item.name) {
            let message = "A name begins with a letter and has letters, digits, `_`, `.` and `-`.";
            return Err(Problem::fault("/name", "invalid_format", message).into());
        }
        if !faults.is_empty() {
            return Err(Problem::invalid(faults).into());
        }
        let value = SecretValue::from_bytes(&item.value.to_bytes());
        let value = value.ok_or_else(|| Failure::internal("a value cannot be copied"))?;
        let new = NewVersion { cause: Cause::Import, ..NewVersion::manual(value, None) };
        let (trail, mut unit) = (Trail::of(asker), asker.aside());
        let Some(present) = self.find_at(asker, &secret.place()).await? else {
            if !to.dry_run {
                self.create(&mut unit, &trail, secret, new).await?;
                unit.commit(NoContent).await?;
            }
            return Ok(Done::Created);
        };
        match to.on_conflict {
            OnConflict::Skip => return Ok(Done::Skipped),
            OnConflict::Fail => return Err(super::write::name_is_taken().into()),
            OnConflict::NewVersion => {}
        }
        if Standing::of(self, asker, &present).await?.verdict(Action::Update).await? != Verdict::Allowed {
            return Err(Problem::missing_permission(Action::Update.permission()).into());
        }
        if present.data.kind != item.kind {
            let detail = "The secret of this name is of another kind.";
            return Err(Problem::new(Code::Conflict, detail).into());
        }
        if !to.dry_run {
            self.add_version(&mut unit, &trail, &present, new).await?;
            unit.commit(NoContent).await?;
        }
        Ok(Done::Updated)
    }
}

/// As [`super::input::NAME`] says.
fn is_name(name: &str) -> bool {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    name.len() <= 128 && name.bytes().all(part) && name.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn read(format: Format, content: &str) -> Result<(Vec<Item>, Vec<LineFault>)> {
    match format {
        Format::Dotenv => Ok(read_dotenv(content)),
        Format::Json => read_json(content),
    }
}

fn read_dotenv(content: &str) -> (Vec<Item>, Vec<LineFault>) {
    let (variables, errors) = dotenv::parse(content);
    let item = |variable: dotenv::Variable| {
        let value = SecretValue::new(json!({"value": variable.value.as_str()}));
        Item { line: variable.line, name: variable.name, kind: Kind::Generic, value }
    };
    let fault = |error: dotenv::LineError| {
        let message = error.message.to_owned();
        LineFault { line: error.line, name: None, code: "invalid_format", message }
    };
    (variables.into_iter().map(item).collect(), errors.into_iter().map(fault).collect())
}

fn read_json(content: &str) -> Result<(Vec<Item>, Vec<LineFault>)> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Typed {
        kind: Kind,
        value: SecretValue,
    }
    let wrong = || Problem::fault("/content", "invalid_format", "This is no JSON object of names.");
    let parsed = Zeroizing::new(content.to_owned());
    let Ok(Value::Object(fields)) = serde_json::from_str(&parsed) else { return Err(wrong().into()) };
    let (mut items, mut errors) = (Vec::new(), Vec::new());
    for (index, (name, value)) in fields.into_iter().enumerate() {
        let line = index + 1;
        let (kind, value) = match value {
            Value::String(text) => (Kind::Generic, SecretValue::new(json!({"value": text}))),
            // The parser's own words could quote the value.
            other => match Typed::deserialize(other) {
                Ok(Typed { kind, value }) => (kind, value),
                Err(_) => {
                    let message = "A text, or an object of `kind` and `value`, is needed.".to_owned();
                    errors.push(LineFault { line, name: Some(name), code: "wrong_type", message });
                    continue;
                }
            },
        };
        items.push(Item { line, name, kind, value });
    }
    Ok((items, errors))
}

#[cfg(test)]
mod tests {
    use super::{Format, is_name, read};

    #[test]
    fn names_are_those_of_the_schema() {
        for (name, good) in
            [("A", true), ("a.b-C_1", true), ("", false), ("_A", false), ("1A", false), ("A B", false)]
        {
            assert_eq!(is_name(name), good, "{name}");
        }
        assert!(is_name(&"a".repeat(128)) && !is_name(&"a".repeat(129)));
    }

    #[test]
    fn json_has_texts_and_typed_values() {
        let content = r#"{"A": "x", "B": {"kind": "api_key", "value": {"key": "hunter2"}}, "C": 7, "D": {"kind": "hunter2"}}"#;
        let (items, errors) = read(Format::Json, content).unwrap();
        assert_eq!(items.iter().map(|item| item.name.as_str()).collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(errors.iter().map(|error| error.line).collect::<Vec<_>>(), [3, 4]);
        assert!(!format!("{items:?}{errors:?}").contains("hunter2"));
        for wrong in ["", "[]", "hunter2"] {
            let failure = read(Format::Json, wrong).unwrap_err();
            assert!(!failure.to_string().contains("hunter2"));
        }
    }
}
