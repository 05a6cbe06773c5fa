//! Everything that reads what strangers send, on texts that a fuzzing engine makes. Each target asserts what must hold
//! of every text, not only that nothing panics.
//!
//! The seeds of a target are the files in `__fuzz__/<module>__<target>/corpus`; a file of its own in `crashes` beside it
//! is tried first. A longer run is `BOLERO_RANDOM_TEST_TIME_MS=600000 cargo test -p coder-tests --test fuzz <target>`,
//! one that is led by coverage `cargo bolero test --package coder-tests --sanitizer NONE <module>::<target>`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod credentials;
mod documents;
mod material;
mod patterns;
mod providers;
mod requests;
mod texts;

/// How long a target runs in the gate.
pub(crate) const TIME: std::time::Duration = std::time::Duration::from_millis(1500);

/// A target: a test that is given one text after the other.
macro_rules! target {
    ($(#[$doc:meta])* $name:ident($material:ident) $check:block) => {
        target!($(#[$doc])* $name($material, &[]) $check);
    };
    ($(#[$doc:meta])* $name:ident($material:ident, $more:expr) $check:block) => {
        $(#[$doc])*
        #[test]
        fn $name() {
            let seeds = crate::material::Seeds::of(module_path!(), stringify!($name), $more);
            bolero::check!().with_test_time(crate::TIME).with_max_len(96).for_each(|input: &[u8]| {
                let $material = crate::material::Material::new(input, &seeds);
                $check
            });
        }
    };
}
pub(crate) use target;
