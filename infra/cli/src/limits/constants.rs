//! The constants in the source that are numbers or times, read with a parser of Rust.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use syn::{Attribute, Block, Expr, ImplItem, Item, Meta, Stmt, Type};

use super::value::{Number, evaluate, shown};

/// Types whose constants are numbers or times.
const TYPES: &[&str] =
    &["u8", "u16", "u32", "u64", "usize", "i16", "i32", "i64", "isize", "f64", "Duration", "SignedDuration"];

/// What is no limit: units, formats, versions and numbers that others have fixed. `*` in a file's place is any file.
const NO_LIMITS: &[(&str, &str)] = &[
    ("*", "DAY"),
    ("*", "HOUR"),
    ("*", "KIB"),
    ("*", "MIB"),
    ("*", "SAFE"),
    ("*", "SCHEMA"),
    ("functions/auth/src/recovery_code.rs", "GROUP"),
    ("functions/notifications/src/webhooks/deliver.rs", "GONE"),
    ("infra/cache/src/limiter.rs", "UNITS_PER_TOKEN"),
    ("infra/embedded/src/broker/shared.rs", "AT_ONCE"),
    ("infra/embedded/src/continuation.rs", "CHECK"),
    ("infra/embedded/src/key.rs", "ARRAY"),
    ("infra/embedded/src/key.rs", "BOOLEAN"),
    ("infra/embedded/src/key.rs", "NULL"),
    ("infra/embedded/src/key.rs", "NUMBER"),
    ("infra/embedded/src/key.rs", "OBJECT"),
    ("infra/embedded/src/key.rs", "STRING"),
    ("infra/embedded/src/open.rs", "OLDEST_SQLITE"),
    ("infra/embedded/src/vector/codes.rs", "WIDTH"),
    ("infra/embedded/src/vector/copy.rs", "BLOCK"),
    ("infra/embedded/src/vector/mod.rs", "FIRST"),
    ("infra/embedded/src/vector/mod.rs", "LANES"),
    ("infra/embedded/src/vector/mod.rs", "MORE"),
    ("infra/embedded/src/vector/mod.rs", "PART"),
    ("infra/startup/src/azure.rs", "REDIS_PORT"),
];

/// Packages and folders that are for tests alone.
const FOR_TESTS: &[&str] = &["testkit", "contract", "tests"];

/// A constant of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constant {
    /// The folder of its package, such as `infra/gateway`.
    pub package: String,
    /// Its name.
    pub name: String,
    /// Its value for people; where it depends on more than constants beside it, as it is written.
    pub value: String,
    /// The first sentence of its documentation, or its name in words.
    pub meaning: String,
    /// The file, from the project's root.
    pub place: String,
}

/// Every constant below `root` that is a number or a time, but for tests and for what is no limit, by package and file.
pub fn constants(root: &Path) -> anyhow::Result<Vec<Constant>> {
    let mut all = Vec::new();
    let mut used = vec![false; NO_LIMITS.len()];
    for folder in ["infra", "functions"] {
        for package in entries(&root.join(folder))?.iter().filter(|path| path.join("src").is_dir()) {
            if !is_for_tests(package) {
                read_package(root, package, &mut used, &mut all)?;
            }
        }
    }
    let stale = NO_LIMITS.iter().zip(&used).filter(|(_, used)| !**used);
    let stale: Vec<String> = stale.map(|((file, name), _)| format!("`{name}` of `{file}`")).collect();
    if !stale.is_empty() {
        anyhow::bail!("left out of the limits, but not there: {}", stale.join(", "));
    }
    Ok(all)
}

fn read_package(
    root: &Path,
    package: &Path,
    used: &mut [bool],
    all: &mut Vec<Constant>,
) -> anyhow::Result<()> {
    let mut files = Vec::new();
    sources(&package.join("src"), &mut files)?;
    let mut found = Vec::new();
    for file in files {
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
        let parsed = syn::parse_file(&text).with_context(|| format!("`{}` is no Rust", file.display()))?;
        let place = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        gather(&parsed.items, &place, &mut found);
    }
    let known = known(&found);
    let package = package.strip_prefix(root).unwrap_or(package).display().to_string();
    for Found { name, expression, meaning, place } in found {
        let excused = |(file, excused): &(&str, &str)| name == *excused && (*file == "*" || place == *file);
        if let Some(index) = NO_LIMITS.iter().position(excused) {
            used[index] = true;
            continue;
        }
        let beside = known.get(&place).into_iter().chain(known.get("")).flatten();
        let mut values = BTreeMap::new();
        for (name, value) in beside {
            values.entry(name.clone()).or_insert(*value);
        }
        let value =
            evaluate(&expression, &values).map_or_else(|| written(&expression), |value| shown(&name, value));
        all.push(Constant { package: package.clone(), name, value, meaning, place });
    }
    Ok(())
}

struct Found {
    name: String,
    expression: Expr,
    meaning: String,
    place: String,
}

/// The constants of a file, those of its types and inner modules among them.
fn gather(items: &[Item], place: &str, found: &mut Vec<Found>) {
    let mut add = |name: String, kind: &Type, expression: &Expr, attributes: &[Attribute]| {
        let Type::Path(kind) = kind else { return };
        if kind.path.segments.last().is_some_and(|last| TYPES.contains(&last.ident.to_string().as_str())) {
            let meaning = meaning(attributes).unwrap_or_else(|| in_words(&name));
            found.push(Found { name, expression: expression.clone(), meaning, place: place.to_owned() });
        }
    };
    for item in items {
        match item {
            Item::Const(item) => add(item.ident.to_string(), &item.ty, &item.expr, &item.attrs),
            Item::Impl(block) => {
                for item in &block.items {
                    if let ImplItem::Const(item) = item {
                        add(item.ident.to_string(), &item.ty, &item.expr, &item.attrs);
                    }
                }
            }
            _ => {}
        }
    }
    for item in items {
        gather(&inner(item), place, found);
    }
}

/// The items inside of another: in a module, in a function.
fn inner(item: &Item) -> Vec<Item> {
    let of_block = |block: &Block| -> Vec<Item> {
        let items = block.stmts.iter().filter_map(|statement| match statement {
            Stmt::Item(item) => Some(item.clone()),
            _ => None,
        });
        items.collect()
    };
    match item {
        Item::Mod(module) if module.attrs.iter().any(is_test) => Vec::new(),
        Item::Mod(module) => module.content.clone().map(|(_, items)| items).unwrap_or_default(),
        Item::Fn(function) => of_block(&function.block),
        Item::Impl(block) => {
            let functions = block.items.iter().filter_map(|item| match item {
                ImplItem::Fn(function) => Some(of_block(&function.block)),
                _ => None,
            });
            functions.flatten().collect()
        }
        _ => Vec::new(),
    }
}

/// The values of constants, by file; under the empty name those that the package has once.
fn known(found: &[Found]) -> BTreeMap<String, BTreeMap<String, Number>> {
    let mut known: BTreeMap<String, BTreeMap<String, Number>> = BTreeMap::new();
    // A constant may stand before those that it is made of.
    for _ in 0..3 {
        for Found { name, expression, place, .. } in found {
            let values: BTreeMap<String, Number> = known
                .get("")
                .into_iter()
                .chain(known.get(place))
                .flatten()
                .map(|(name, value)| (name.clone(), *value))
                .collect();
            if let Some(value) = evaluate(expression, &values) {
                known.entry(place.clone()).or_default().insert(name.clone(), value);
                if found.iter().filter(|other| other.name == *name).count() == 1 {
                    known.entry(String::new()).or_default().insert(name.clone(), value);
                }
            }
        }
    }
    known
}

fn is_test(attribute: &Attribute) -> bool {
    match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string().contains("test"),
        _ => false,
    }
}

/// The first sentence of the documentation.
fn meaning(attributes: &[Attribute]) -> Option<String> {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                syn::Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let text = lines.join(" ").replace("[`", "`").replace("`]", "`");
    let first = text.split_inclusive(". ").next().map(str::trim)?.to_owned();
    (!first.is_empty()).then_some(first)
}

/// `HEAD_BYTES` as `Head bytes.`
fn in_words(name: &str) -> String {
    let words = name.to_lowercase().replace('_', " ");
    let (first, rest) = words.split_at(1);
    format!("{}{rest}.", first.to_uppercase())
}

fn written(expression: &Expr) -> String {
    let tokens = quote::ToTokens::to_token_stream(expression).to_string();
    format!(
        "`{}`",
        tokens
            .replace(" :: ", "::")
            .replace(" . ", ".")
            .replace(" (", "(")
            .replace("( ", "(")
            .replace(" )", ")")
    )
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read `{}`; run this in the project's root", folder.display()))?;
    let mut paths = read.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

fn is_for_tests(path: &Path) -> bool {
    path.file_stem().and_then(|name| name.to_str()).is_some_and(|name| FOR_TESTS.contains(&name))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for path in entries(folder)?.into_iter().filter(|path| !is_for_tests(path)) {
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"
        //! A file.
        use std::time::Duration;
        /// The longest. More of it.
        const LONGEST: Duration = Duration::from_secs(2 * HALF_MINUTE);
        const HALF_MINUTE: u64 = 30;
        pub const NAME: &str = "x";
        struct Page;
        impl Page {
            /// The most
            /// items.
            pub(crate) const MOST: usize = 1 << 3;
        }
        mod inner {
            const AGAIN: i64 = super::HALF_MINUTE + elsewhere();
        }
        #[cfg(test)]
        mod tests {
            const IN_TESTS: u32 = 1;
        }
        fn local() {
            const INSIDE: u32 = 1;
        }
    "#;

    #[test]
    fn numbers_and_times_are_found_and_those_of_tests_are_not() {
        let root = tempfile::tempdir().unwrap();
        let package = root.path().join("infra/one");
        std::fs::create_dir_all(package.join("src/contract")).unwrap();
        std::fs::write(package.join("src/lib.rs"), SOURCE).unwrap();
        std::fs::write(package.join("src/tests.rs"), SOURCE).unwrap();
        std::fs::write(package.join("src/contract/mod.rs"), SOURCE).unwrap();
        let (mut used, mut all) = (vec![false; NO_LIMITS.len()], Vec::new());
        read_package(root.path(), &package, &mut used, &mut all).unwrap();
        let found: Vec<_> =
            all.iter().map(|one| (one.name.as_str(), one.value.as_str(), one.meaning.as_str())).collect();
        assert_eq!(
            found,
            [
                ("LONGEST", "1 min", "The longest."),
                ("HALF_MINUTE", "30", "Half minute."),
                ("MOST", "8", "The most items."),
                ("AGAIN", "`super::HALF_MINUTE + elsewhere()`", "Again."),
                ("INSIDE", "1", "Inside."),
            ]
        );
        assert!(all.iter().all(|one| one.package == "infra/one" && one.place == "infra/one/src/lib.rs"));
        // What is left out by name has to be there.
        std::fs::create_dir_all(root.path().join("functions")).unwrap();
        let stale = constants(root.path()).unwrap_err().to_string();
        assert!(stale.contains("not there: `DAY` of `*`"), "{stale}");
        let elsewhere = constants(&root.path().join("nowhere")).unwrap_err().to_string();
        assert!(elsewhere.contains("project's root"), "{elsewhere}");
    }

    #[test]
    fn the_limits_of_this_project_are_among_them() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let all = constants(root).unwrap();
        let value = |place: &str, name: &str| {
            let found = all.iter().find(|one| one.place == place && one.name == name);
            found.map(|one| one.value.clone()).unwrap_or_default()
        };
        assert!(all.len() > 300, "{}", all.len());
        assert_eq!(value("infra/gateway/src/hygiene.rs", "TARGET_LIMIT"), "8,192");
        assert_eq!(value("infra/gateway/src/body.rs", "IDLE"), "15 s");
        assert_eq!(value("infra/middleware/src/describe.rs", "BODY_LIMIT"), "1,048,576");
        assert!(!all.iter().any(|one| one.name == "SAMPLES" || one.place.contains("testkit")));
    }
}
