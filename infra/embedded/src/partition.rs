//! A partition key as one text, and the range of texts below a key with fewer values.

use coder_database::PartitionKey;
use serde_json::Value;

/// The partitions that a statement reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Range {
    /// One partition.
    One(String),
    /// All from the first text on and before the second.
    Below(String, String),
    /// Every one.
    All,
}

/// The text of a whole key: the value itself where there is one level, else a JSON array, in which no value
/// can look like two.
pub(crate) fn text(key: &PartitionKey) -> String {
    match key.0.as_slice() {
        [one] => one.clone(),
        many => Value::from(many).to_string(),
    }
}

/// What a key of a container with so many levels reads; the key is not empty.
pub(crate) fn range(key: &PartitionKey, levels: usize) -> Range {
    if key.0.len() == levels {
        return Range::One(text(key));
    }
    let array = Value::from(key.0.as_slice()).to_string();
    let open = array.trim_end_matches(']');
    // The next character after the comma that ends this level ends the range.
    Range::Below(format!("{open},"), format!("{open}-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(values: &[&str]) -> PartitionKey {
        PartitionKey(values.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_prefix_holds_exactly_what_is_below_it() {
        let all = [
            key(&["a", "b", "c"]),
            key(&["a", "b,", "c"]),
            key(&["a", "b\"", "c"]),
            key(&["a\"", "b", "c"]),
            key(&["a]", "b", "]"]),
            key(&["a]", "]", "]"]),
            key(&["a\",\"b", "x", "c"]),
            key(&["", "", ""]),
            key(&["\0", "\u{1F600}", "c"]),
        ];
        for prefix in all.iter().flat_map(|key| (1..=2).map(|levels| PartitionKey(key.0[..levels].to_vec())))
        {
            let Range::Below(from, to) = range(&prefix, 3) else { panic!("{prefix:?} is no prefix") };
            for key in &all {
                let inside = (from.as_str()..to.as_str()).contains(&text(key).as_str());
                assert_eq!(inside, key.0.starts_with(&prefix.0), "{key:?} below {prefix:?}");
            }
        }
        assert_eq!(range(&key(&["a"]), 1), Range::One("a".into()));
    }
}
