//! Patterns and what they cover, beside a reader that follows the definition word for word.

use std::sync::LazyLock;

use coder_core::Pattern;
use coder_queue::cloud_event;
use coder_usage::pattern::{CODE, covers, is_code};
use regex::Regex;

use crate::target;

/// Segments are equal or `*`; a last `*` stands for one and all that follow.
fn model(pattern: &[&str], name: &[&str]) -> bool {
    match (pattern, name) {
        ([], []) | (["*"], [_, ..]) => true,
        (["*", pattern @ ..], [_, name @ ..]) => model(pattern, name),
        ([first, pattern @ ..], [same, name @ ..]) if first == same => model(pattern, name),
        _ => false,
    }
}

fn segments(text: &str) -> Vec<&str> {
    text.split('.').collect()
}

target! {
    /// Patterns of event types.
    event_types(material) {
        let (pattern, kind) = material.halves(' ');
        assert_eq!(cloud_event::matches(pattern, kind), model(&segments(pattern), &segments(kind)), "{pattern} {kind}");
        assert!(cloud_event::matches(kind, kind) && cloud_event::matches("*", kind));
    }
}

static PERMISSION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(\*|[a-z0-9-]+)(\.(\*|[a-z0-9-]+)){0,2}$").unwrap());

static CATEGORY: LazyLock<Regex> = LazyLock::new(|| Regex::new(CODE).unwrap());

target! {
    /// Patterns of permissions: at most three segments, of which a shorter one ends in a star.
    permissions(material) {
        let (pattern, permission) = material.halves(' ');
        let parts = segments(pattern);
        let fits = PERMISSION.is_match(pattern) && pattern.len() <= 120 && (parts.len() == 3 || parts.last() == Some(&"*"));
        let read = Pattern::parse(pattern);
        assert_eq!(read.is_some(), fits, "{pattern:?}");
        if let Some(read) = read {
            assert_eq!(read.as_str(), pattern);
            assert_eq!(read.matches(permission), model(&parts, &segments(permission)), "{pattern} {permission}");
        }
    }
}

target! {
    /// Category codes, as the published pattern has them, and the patterns over them.
    categories(material) {
        let (pattern, code) = material.halves(' ');
        assert_eq!(is_code(code), CATEGORY.is_match(code) && code.len() <= 64, "{code:?}");
        if is_code(code) && (pattern == "*" || pattern.strip_suffix(".*").is_some_and(is_code) || is_code(pattern)) {
            assert_eq!(covers(pattern, code), model(&segments(pattern), &segments(code)), "{pattern} {code}");
        }
    }
}
