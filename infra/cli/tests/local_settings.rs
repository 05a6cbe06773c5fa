//! The example of `local.settings.json`: it names every setting, and works as it stands.

use std::collections::BTreeMap;

use coder_config::{Provider, Settings, VARIABLES};
use serde_json::Value;

/// The Functions host sets it for the handler that it starts.
const SET_BY_THE_HOST: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";

fn values() -> BTreeMap<String, String> {
    let example = include_str!("../../../local.settings.json.example");
    let example: Value = serde_json::from_str(example).unwrap();
    let values = example["Values"].as_object().unwrap();
    values.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

#[test]
fn it_names_every_setting_and_no_other() {
    let values = values();
    let named = |variable: &str| values.keys().any(|name| name == variable);
    let begun = |variable: &str| values.keys().any(|name| name.starts_with(variable));
    for variable in VARIABLES.iter().filter(|variable| variable.name != SET_BY_THE_HOST) {
        let there = if variable.is_prefix() { begun(variable.name) } else { named(variable.name) };
        assert!(there, "`{}` is not in the example", variable.name);
    }
    assert!(!named(SET_BY_THE_HOST));
    for name in values.keys().filter(|name| name.starts_with("CODER_")) {
        let known = |variable: &coder_config::Variable| {
            variable.name == name || variable.is_prefix() && name.starts_with(variable.name)
        };
        assert!(VARIABLES.iter().any(known), "there is no setting `{name}`");
    }
}

#[test]
fn it_works_as_it_stands_and_says_what_applies_anyway() {
    let settings = Settings::from_map(&values()).unwrap();
    let defaults = Settings::from_map(&BTreeMap::new()).unwrap();
    assert_eq!(settings.provider, Provider::Embedded);
    assert_eq!(settings.resolved(), defaults.resolved());
    let secret = |name: &&String| VARIABLES.iter().any(|variable| variable.secret && variable.name == **name);
    assert!(
        values().keys().filter(secret).all(|name| values()[name].is_empty()),
        "a secret is in the example"
    );
}
