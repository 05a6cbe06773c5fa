//! JSON Merge Patch (RFC 7396).

use serde_json::Value;

/// Applies a merge patch.
pub fn merge(target: &mut Value, patch: &Value) {
    json_patch::merge(target, patch);
}
