//! Reading variables one by one, and collecting what is wrong with them.

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::error::SettingFault;
use crate::variable::{VARIABLES, Variable};

/// Gives typed values of variables. A value that cannot be read leaves a fault and counts as not set.
pub(crate) struct Reader<'a> {
    map: &'a BTreeMap<String, String>,
    pub(crate) faults: Vec<SettingFault>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(map: &'a BTreeMap<String, String>) -> Self {
        Self { map, faults: Vec::new() }
    }

    /// The value without surrounding space. An empty one counts as not set: a cloud's template can leave it so.
    pub(crate) fn text(&self, variable: Variable) -> Option<&'a str> {
        self.map.get(variable.name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    pub(crate) fn fault(&mut self, name: impl Display, problem: impl Display, fix: impl Display) {
        let (name, problem, fix) = (name.to_string(), problem.to_string(), fix.to_string());
        self.faults.push(SettingFault { name, problem, fix });
    }

    /// The value as `parse` reads it. `parse` says what is wrong, `fix` what would be right.
    pub(crate) fn parse<T, E: Display>(
        &mut self,
        variable: Variable,
        fix: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let parsed = parse(self.text(variable)?);
        parsed.map_err(|problem| self.fault(variable.name, problem, fix)).ok()
    }

    /// The value as one of these words.
    pub(crate) fn choice<T: Copy>(&mut self, variable: Variable, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        self.parse(variable, &format!("use {}", names.join(" or ")), |text| {
            let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
            found.ok_or_else(|| format!("`{text}` is not known"))
        })
    }

    /// The comma-separated values; each that cannot be read leaves its own fault.
    pub(crate) fn list<T, E: Display>(
        &mut self,
        variable: Variable,
        fix: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let items = self.text(variable)?.split(',').map(str::trim).filter(|item| !item.is_empty());
        let read = |item| parse(item).map_err(|problem| self.fault(variable.name, problem, fix)).ok();
        Some(items.filter_map(read).collect())
    }

    /// The variables of a family that are set: what follows the prefix, and the value.
    pub(crate) fn family(&self, prefix: Variable) -> Vec<(&'a str, &'a str)> {
        let members =
            self.map.iter().filter_map(|(name, value)| Some((name.strip_prefix(prefix.name)?, value.trim())));
        members.filter(|(_, value)| !value.is_empty()).collect()
    }

    /// Finds names that look like ours but are not.
    pub(crate) fn refuse_unknown(&mut self) {
        let known = |name: &str| {
            VARIABLES.iter().any(|known| {
                if known.is_prefix() { name.starts_with(known.name) } else { name == known.name }
            })
        };
        let unknown: Vec<&str> = self
            .map
            .keys()
            .map(String::as_str)
            .filter(|name| name.starts_with("CODER_") && !known(name))
            .collect();
        for name in unknown {
            let fix = match nearest(name) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "remove it; `coder config` lists the settings that exist".to_owned(),
            };
            self.fault(name, "there is no such setting", fix);
        }
    }
}

/// The known name that differs least, if it does so by a quarter of its length at most.
fn nearest(name: &str) -> Option<&'static str> {
    let distances = VARIABLES.iter().map(|known| (strsim::damerau_levenshtein(name, known.name), known.name));
    distances.filter(|(distance, known)| distance * 4 <= known.len()).min().map(|(_, known)| known)
}
