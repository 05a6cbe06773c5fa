//! The event as `coder dead-letters edit` leaves it.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use coder_database::merge::merge;
use serde_json::{Map, Value};

use super::arguments::Edit;

/// Applies the file, then each `--set` in turn.
pub(super) fn edited(event: Option<Value>, wanted: &Edit) -> anyhow::Result<Value> {
    let mut event = event.unwrap_or_else(|| Value::Object(Map::new()));
    if let Some(path) = &wanted.file {
        let patch: Value =
            serde_json::from_str(&read(path)?).with_context(|| format!("`{}` is no JSON", path.display()))?;
        if !patch.is_object() {
            bail!("`{}` is no JSON object, so it cannot be a patch of an event", path.display());
        }
        merge(&mut event, &patch);
    }
    for assignment in &wanted.set {
        set(&mut event, assignment)?;
    }
    Ok(event)
}

fn read(path: &Path) -> anyhow::Result<String> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}

fn set(event: &mut Value, assignment: &str) -> anyhow::Result<()> {
    let usage = || anyhow!("`--set {assignment}` is not POINTER=JSON, such as /data/amount=3");
    let (pointer, text) = assignment.split_once('=').ok_or_else(usage)?;
    let (parent, name) = pointer.rsplit_once('/').ok_or_else(usage)?;
    let value: Value = serde_json::from_str(text).with_context(|| {
        format!(
            "the value of `{pointer}` is no JSON: `{text}`; a text needs quotes, such as '{pointer}=\"text\"'"
        )
    })?;
    let name = name.replace("~1", "/").replace("~0", "~");
    let missing = || anyhow!("the event has nothing at `{parent}` that could hold `{name}`");
    match event.pointer_mut(parent).ok_or_else(missing)? {
        Value::Object(fields) => {
            fields.insert(name, value);
        }
        Value::Array(items) => {
            let item = name.parse().ok().and_then(|at: usize| items.get_mut(at));
            *item.ok_or_else(missing)? = value;
        }
        _ => return Err(missing()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::set;
    use serde_json::json;

    #[test]
    fn values_are_set_by_pointer_and_refused_where_nothing_is() {
        let mut event = json!({"data": {"a": 1, "list": [{"b": 2}]}});
        for assignment in ["/data/a=\"x=y\"", "/data/new=null", "/data/list/0/b=[3]", "/data/a~1b=true"] {
            set(&mut event, assignment).unwrap();
        }
        let expected = json!({"data": {"a": "x=y", "new": null, "list": [{"b": [3]}], "a/b": true}});
        assert_eq!(event, expected);
        for bad in ["data", "x=1", "/data/a=text", "/none/a=1", "/data/list/7=1", "/data/a/b=1"] {
            assert!(set(&mut event, bad).is_err(), "{bad}");
        }
        assert_eq!(event, expected);
    }
}
