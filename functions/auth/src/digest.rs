//! Hashes of secrets that are random enough for a fast hash, and comparing them.

use aws_lc_rs::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(digest(&SHA256, bytes).as_ref())
}

/// Whether two values are the same, in a time that depends on their lengths only.
pub(crate) fn same(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}
