//! JSON and what is made of it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use coder_core::{Ambient, Fault};
use coder_database::{Container, DocumentStore as _, Operation, PartitionKey, Query, StoreError, merge};
use coder_embedded::{Options, SqliteStore};
use coder_handler::Event;
use coder_middleware::request::parse_json;
use coder_middleware::schema;
use coder_notifications::routes::messages::SendMessage;
use coder_queue::cloud_event;
use coder_usage::routes::events::ReportEvents;
use regex::Regex;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::target;

/// Whether a key stands twice in one object of a JSON text.
struct Twice(bool);

impl<'de> Deserialize<'de> for Twice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Looking)
    }
}

struct Looking;

impl<'de> Visitor<'de> for Looking {
    type Value = Twice;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Twice, E> {
        Ok(Twice(false))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Twice, E> {
        Ok(Twice(false))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Twice, E> {
        Ok(Twice(false))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Twice, E> {
        Ok(Twice(false))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Twice, E> {
        Ok(Twice(false))
    }

    fn visit_str<E>(self, _: &str) -> Result<Twice, E> {
        Ok(Twice(false))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Twice, A::Error> {
        let mut twice = false;
        while let Some(Twice(inside)) = items.next_element()? {
            twice |= inside;
        }
        Ok(Twice(twice))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Twice, A::Error> {
        let (mut twice, mut keys) = (false, BTreeSet::new());
        while let Some((key, Twice(inside))) = fields.next_entry::<String, Twice>()? {
            twice |= inside | !keys.insert(key);
        }
        Ok(Twice(twice))
    }
}

/// Where the detail of a problem says that it is.
static PLACE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"at line (\d+), column \d+\.$").unwrap());

target! {
    /// What is read is what everybody else reads; nothing that two readers could read differently is; and a fault has
    /// its place.
    json_texts(material) {
        let text = material.text.as_str();
        match parse_json(text.as_bytes()) {
            Ok(value) => {
                assert_eq!(serde_json::from_str::<Value>(text).ok(), Some(value));
                assert!(!serde_json::from_str::<Twice>(text).unwrap().0, "{text}");
            }
            Err(failure) => {
                let twice = serde_json::from_str::<Twice>(text);
                assert!(twice.map_or(true, |Twice(twice)| twice), "{text} should be read");
                let detail = failure.to_string();
                let line = PLACE.captures(&detail).and_then(|found| found[1].parse::<usize>().ok());
                assert!(line.is_some_and(|line| line <= text.matches('\n').count() + 1), "{detail}");
            }
        }
    }
}

/// RFC 7396, section 2, word for word.
fn merged(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut target = match target {
        Value::Object(target) => target,
        _ => Map::new(),
    };
    for (name, value) in patch {
        let present = target.remove(name).unwrap_or_default();
        if !value.is_null() {
            target.insert(name.clone(), merged(present, value));
        }
    }
    target.into()
}

target! {
    /// A patch does what the standard says, and done twice it changes nothing more.
    merge_patches(material) {
        let (target, patch) = material.halves('\n');
        let (Ok(mut target), Ok(patch)) = (parse_json(target.as_bytes()), parse_json(patch.as_bytes())) else { return };
        let expected = merged(target.clone(), &patch);
        merge::merge(&mut target, &patch);
        assert_eq!(target, expected);
        merge::merge(&mut target, &patch);
        assert_eq!(target, expected);
    }
}

/// RFC 3339, section 5.6.
static TIME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$").unwrap());

target! {
    /// An event is whole or has a fault at a place.
    cloud_events(material) {
        let Ok(value) = parse_json(material.text.as_bytes()) else { return };
        let faults = cloud_event::faults(&value);
        let places: BTreeSet<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(places.len(), faults.len());
        assert_eq!(Event::parse(&value).is_ok(), faults.is_empty());
        for name in ["specversion", "id", "type", "source", "subject", "time", "organizationid"] {
            let text = value.get(name).and_then(Value::as_str);
            let good = text.is_some_and(|text| {
                (1..=256).contains(&text.chars().count())
                    && !text.chars().any(char::is_control)
                    && (name != "specversion" || text == "1.0")
                    && (name != "time" || TIME.is_match(text))
            });
            let named = places.contains(format!("/{name}").as_str()) || places.contains("");
            assert!(good || named, "{name} of {value} is wrong and no fault");
        }
        assert!(!cloud_event::sentence(&faults).chars().any(char::is_control));
    }
}

/// What requests with many forms of fault are checked against.
static VALIDATORS: LazyLock<Vec<(Value, jsonschema::Validator)>> = LazyLock::new(|| {
    [schema::for_validation::<SendMessage>(), schema::for_validation::<ReportEvents>()]
        .map(|schema| {
            let validator = schema::validator(&schema).unwrap();
            (schema, validator)
        })
        .into()
});

/// RFC 6901: a pointer leads to a value, or to where one should be.
fn leads_somewhere(body: &Value, fault: &Fault) -> bool {
    let pointer = &fault.pointer;
    if pointer.is_empty() || body.pointer(pointer).is_some() {
        return fault.code != "required";
    }
    let Some((parent, _)) = pointer.rsplit_once('/') else { return false };
    fault.code == "required" && body.pointer(parent).is_some_and(Value::is_object)
}

target! {
    /// A body has no fault exactly when the schema takes it, and every fault leads to its place.
    problem_pointers(material) {
        let Ok(body) = parse_json(material.text.as_bytes()) else { return };
        for (_, validator) in &*VALIDATORS {
            let faults = schema::faults(validator, &body);
            assert_eq!(faults.is_empty(), validator.is_valid(&body), "{body}");
            assert!(faults.len() <= schema::MAX_FAULTS);
            for fault in faults.iter().chain(&schema::storable(&body)) {
                assert!(leads_somewhere(&body, fault), "{fault:?} of {body}");
            }
        }
    }
}

/// Three documents, and where the page after the first one begins.
struct Shelf {
    runtime: Runtime,
    store: SqliteStore,
    next: String,
    _directory: TempDir,
}

const CONTAINER: &str = "shelf";

static SHELF: LazyLock<Shelf> = LazyLock::new(|| {
    let (runtime, directory) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap());
    let store = SqliteStore::open(directory.path(), &Options::default(), Ambient::system()).unwrap();
    let next = runtime.block_on(async {
        store.prepare(&[Container::new(CONTAINER)]).await.unwrap();
        let put = |id: &str| {
            let body = json!({"id": id, "partitionKey": "p"});
            Operation::Create { id: id.to_owned(), body, expires_at: None }
        };
        let all = ["a", "b", "c"].map(put).to_vec();
        store.write(CONTAINER, &PartitionKey::single("p"), all).await.unwrap();
        let first = store.query(CONTAINER, &PartitionKey::single("p"), &Query::new(None).limit(1)).await;
        first.unwrap().next.unwrap()
    });
    Shelf { runtime, store, next, _directory: directory }
});

target! {
    /// A place in a list is taken as it was given, or not at all.
    continuations(material, std::slice::from_ref(&SHELF.next)) {
        let mut query = Query::new(None).limit(1);
        query.continuation = Some(material.text.clone());
        let page = SHELF.runtime.block_on(SHELF.store.query(CONTAINER, &PartitionKey::single("p"), &query));
        match page {
            Ok(page) => assert_eq!((&material.text, page.items[0].id.as_str()), (&SHELF.next, "b")),
            Err(error) => {
                assert!(matches!(error, StoreError::Invalid { .. }), "{error:?}");
                assert_ne!(material.text, SHELF.next);
            }
        }
    }
}
