//! Nobody gives what they do not hold.

use coder_core::{Pattern, Problem};

use super::Catalogue;

/// The first permission, by name, that is wanted and not held; `None` if everything wanted may be given.
///
/// A pattern is taken for the permissions of the catalogue that it covers, each of which must be held: what is
/// given is then never more than what the giver holds. A pattern that covers none at present could come to
/// cover some later, so that it must lie inside a single held pattern; its text stands for the missing name.
///
/// `held` says whether a permission is held, in the giver's effective set and in the API key's if one was used.
pub fn missing_for<'a>(
    catalogue: &Catalogue,
    held: impl Fn(&str) -> bool,
    wanted: impl IntoIterator<Item = &'a Pattern>,
) -> Option<String> {
    let mut missing = Vec::new();
    for pattern in wanted {
        let mut names = catalogue.matching(pattern).peekable();
        if names.peek().is_none() && !held(pattern.as_str()) {
            missing.push(pattern.to_string());
        }
        missing.extend(names.find(|name| !held(name)).map(str::to_owned));
    }
    missing.into_iter().min()
}

/// `403`, naming the first missing permission, unless everything wanted may be given.
pub fn check<'a>(
    catalogue: &Catalogue,
    held: impl Fn(&str) -> bool,
    wanted: impl IntoIterator<Item = &'a Pattern>,
) -> Result<(), Problem> {
    missing_for(catalogue, held, wanted).map_or(Ok(()), |name| Err(Problem::missing_permission(&name)))
}
