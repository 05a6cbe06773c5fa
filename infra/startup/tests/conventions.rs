//! Create, read, list, update, delete, and what the conventions say of each.

use coder_database::{AuditEntry, Filter, OutboxRecord, Partition, Query, Repository};
use serde_json::{Value, json};

use crate::notes::{Fixture, person};

#[tokio::test]
async fn a_resource_lives_through_its_life() {
    let fixture = Fixture::start().await;
    let (member, admin) = (person(2, 1), person(3, 1));
    let body = json!({"title": "Milk", "text": "two"});
    let created = fixture.call(&member, "POST", "/api/notes", Some(body), &[]).await.is(201, "");
    let path = created.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(path, format!("/api/notes/{}", created.body["id"].as_str().unwrap()));
    assert_eq!(created.etag(), format!("\"{}\"", created.body["etag"].as_str().unwrap()));
    assert_eq!(created.body["type"], "note");
    assert_eq!(created.body["createdBy"], member.user_id.unwrap().to_string());

    let read = fixture.call(&member, "GET", &path, None, &[]).await.is(200, "");
    assert_eq!(read.body, created.body);
    let patched =
        fixture.call(&member, "PATCH", &path, Some(json!({"text": null, "stars": 3})), &[]).await.is(200, "");
    assert_eq!((&patched.body["text"], &patched.body["stars"]), (&Value::Null, &json!(3)));
    assert_ne!(patched.etag(), created.etag());

    let stale = [("if-match", created.headers["etag"].to_str().unwrap())];
    fixture.call(&member, "PATCH", &path, Some(json!({"stars": 1})), &stale).await.is(412, "etag_mismatch");
    fixture.call(&admin, "DELETE", &path, None, &stale).await.is(412, "etag_mismatch");
    fixture.call(&member, "DELETE", &path, None, &[]).await.is(403, "forbidden");
    let current = patched.etag();
    fixture.call(&admin, "DELETE", &path, None, &[("if-match", &current)]).await.is(204, "");
    fixture.call(&member, "GET", &path, None, &[]).await.is(404, "not_found");
    fixture.call(&admin, "DELETE", &path, None, &[]).await.is(404, "not_found");
}

#[tokio::test]
async fn every_fault_is_in_one_problem() {
    let fixture = Fixture::start().await;
    let body = json!({"title": "", "text": "x".repeat(51), "stars": "many", "titel": 1, "a/b": {"c": 1}});
    let refused =
        fixture.call(&person(2, 1), "POST", "/api/notes", Some(body), &[]).await.is(422, "validation_failed");
    let expected = [
        ("/a~1b", "unknown_field"),
        ("/stars", "wrong_type"),
        ("/text", "too_long"),
        ("/titel", "unknown_field"),
        ("/title", "too_short"),
    ];
    assert_eq!(refused.faults(), expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned())));
    let unknown = json!({"title": "Milk", "titel": 1});
    fixture.call(&person(2, 1), "POST", "/api/notes", Some(unknown), &[]).await.is(422, "unknown_field");
    let huge = json!({"title": "Milk\u{0}", "stars": 9_007_199_254_740_993_u64});
    let refused =
        fixture.call(&person(2, 1), "POST", "/api/notes", Some(huge), &[]).await.is(422, "validation_failed");
    assert!(refused.faults().contains(&("/title".into(), "refused_character".into())));
    let other = [("content-type", "text/plain")];
    fixture.call(&person(2, 1), "GET", "/api/notes?limit=0", None, &other).await.is(400, "invalid_query");
    for query in [
        "limit=x",
        "limit=201",
        "color=red",
        "limit=1&limit=2",
        "sort=stars",
        "sort=--title",
        "cursor=AAAA",
        "stars=%f",
    ] {
        fixture
            .call(&person(2, 1), "GET", &format!("/api/notes?{query}"), None, &[])
            .await
            .is(400, "invalid_query");
    }
    fixture.call(&person(2, 1), "PUT", "/api/notes", None, &[]).await.is(405, "method_not_allowed");
    fixture.call(&person(2, 1), "GET", "/api/notes/not-an-id", None, &[]).await.is(404, "not_found");
}

#[tokio::test]
async fn a_list_is_paged_without_gaps_and_its_cursor_is_for_it_alone() {
    let fixture = Fixture::start().await;
    let (member, stranger) = (person(2, 1), person(3, 2));
    for n in 0..7 {
        let body = json!({"title": format!("note {n}"), "stars": n % 2});
        fixture.call(&member, "POST", "/api/notes", Some(body), &[]).await.is(201, "");
    }
    let mut titles = Vec::new();
    let mut path = "/api/notes?limit=3&sort=-title".to_owned();
    let mut second = String::new();
    loop {
        let page = fixture.call(&member, "GET", &path, None, &[]).await.is(200, "");
        titles.extend(
            page.body["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["title"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page.body["nextCursor"].as_str() else { break };
        second = cursor.to_owned();
        path = format!("/api/notes?limit=3&sort=-title&cursor={cursor}");
    }
    let expected: Vec<_> = (0..7).rev().map(|n| format!("note {n}")).collect();
    assert_eq!(titles, expected);
    for query in ["sort=title", "sort=-title&stars=1"] {
        let path = format!("/api/notes?limit=3&{query}&cursor={second}");
        fixture.call(&member, "GET", &path, None, &[]).await.is(400, "invalid_query");
    }
    let path = format!("/api/notes?limit=3&sort=-title&cursor={second}");
    fixture.call(&stranger, "GET", &path, None, &[]).await.is(400, "invalid_query");
    let page = fixture.call(&stranger, "GET", "/api/notes", None, &[]).await.is(200, "");
    assert_eq!(page.body, json!({"items": [], "nextCursor": null}));
    let starred = fixture.call(&member, "GET", "/api/notes?stars=1", None, &[]).await.is(200, "");
    assert_eq!(starred.body["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_repeated_key_gets_the_first_answer_and_changes_nothing() {
    let fixture = Fixture::start().await;
    let member = person(2, 1);
    let key = [("idempotency-key", "key-1")];
    let body = || Some(json!({"title": "Milk"}));
    let first = fixture.call(&member, "POST", "/api/notes", body(), &key).await.is(201, "");
    let again = fixture.call(&member, "POST", "/api/notes", body(), &key).await.is(201, "");
    assert_eq!((&again.body, again.etag()), (&first.body, first.etag()));
    assert_eq!(again.headers["location"], first.headers["location"]);
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let other = Some(json!({"title": "Bread"}));
    fixture.call(&member, "POST", "/api/notes", other, &key).await.is(409, "idempotency_conflict");
    // Another person's key of the same name is another key.
    let theirs = Some(json!({"title": "Bread"}));
    fixture.call(&person(3, 1), "POST", "/api/notes", theirs, &key).await.is(201, "");
    for bad in ["", &"x".repeat(129), "with space"] {
        fixture
            .call(&member, "POST", "/api/notes", body(), &[("idempotency-key", bad)])
            .await
            .is(400, "invalid_header");
    }
    fixture.clock.advance(jiff::SignedDuration::from_hours(25));
    fixture.call(&member, "POST", "/api/notes", body(), &key).await.is(409, "already_exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_requests_with_one_key_make_one_resource() {
    let fixture = std::sync::Arc::new(Fixture::start().await);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let fixture = fixture.clone();
            tokio::spawn(async move {
                let key = [("idempotency-key", "key-1")];
                fixture
                    .call(&person(2, 1), "POST", "/api/notes", Some(json!({"title": "Milk"})), &key)
                    .await
                    .is(201, "")
                    .body
            })
        })
        .collect();
    let mut bodies = Vec::new();
    for task in tasks {
        bodies.push(task.await.unwrap());
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_patches_of_different_fields_lose_nothing() {
    let fixture = std::sync::Arc::new(Fixture::start().await);
    let created = fixture
        .call(&person(2, 1), "POST", "/api/notes", Some(json!({"title": "Milk"})), &[])
        .await
        .is(201, "");
    let path = created.headers["location"].to_str().unwrap().to_owned();
    for round in 0..10 {
        let patches = [json!({"text": format!("round {round}")}), json!({"stars": round % 5})];
        let tasks = patches.map(|patch| {
            let (fixture, path) = (fixture.clone(), path.clone());
            tokio::spawn(async move {
                fixture.call(&person(2, 1), "PATCH", &path, Some(patch), &[]).await.is(200, "")
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
        let note = fixture.call(&person(2, 1), "GET", &path, None, &[]).await.body;
        assert_eq!((&note["text"], &note["stars"]), (&json!(format!("round {round}")), &json!(round % 5)));
    }
}

#[tokio::test]
async fn every_write_leaves_an_event_and_an_audit_entry_without_secrets() {
    let fixture = Fixture::start().await;
    let (member, admin) = (person(2, 1), person(3, 1));
    let body = json!({"title": "Milk", "text": "first secret"});
    let created = fixture.call(&member, "POST", "/api/notes", Some(body), &[]).await.is(201, "");
    let path = created.headers["location"].to_str().unwrap().to_owned();
    fixture
        .call(&member, "PATCH", &path, Some(json!({"text": "second secret", "stars": 2})), &[])
        .await
        .is(200, "");
    fixture.call(&admin, "DELETE", &path, None, &[]).await.is(204, "");
    fixture
        .call(&member, "POST", "/api/notes", Some(json!({"title": ""})), &[])
        .await
        .is(422, "validation_failed");

    let store = fixture.assembly.providers.store.clone();
    let partition = Partition::organization(member.organization_id.unwrap());
    let query = Query::new(None::<Filter>).limit(100);
    let (events, _) =
        Repository::<OutboxRecord>::new(store.clone(), "notes").page(&partition, &query).await.unwrap();
    let kinds: Vec<_> = events.iter().map(|record| record.data.event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["coder.notes.note.created", "coder.notes.note.updated", "coder.notes.note.deleted"]);
    let updated = &events[1].data.event;
    assert_eq!(updated["data"]["changes"][0]["path"], "/text");
    assert_eq!(updated["data"]["changes"][1], json!({"path": "/stars", "from": 0, "to": 2}));
    assert_eq!(updated["data"]["actor"]["id"], member.user_id.unwrap().to_string());
    assert_eq!(updated["organizationid"], member.organization_id.unwrap().to_string());

    let (entries, _) = Repository::<AuditEntry>::new(store, "notes").page(&partition, &query).await.unwrap();
    let actions: Vec<_> = entries.iter().map(|entry| entry.data.action.as_str()).collect();
    assert_eq!(actions, ["create_note", "update_note", "delete_note"]);
    let everything = serde_json::to_string(&(&events, &entries)).unwrap();
    assert!(!everything.contains("first secret") && !everything.contains("second secret"), "{everything}");
}

#[tokio::test]
async fn tenants_and_roles_are_kept_apart() {
    let fixture = Fixture::start().await;
    let (member, stranger, viewer, outsider) = (person(2, 1), person(3, 2), person(1, 1), person(0, 1));
    let created =
        fixture.call(&member, "POST", "/api/notes", Some(json!({"title": "Milk"})), &[]).await.is(201, "");
    let path = created.headers["location"].to_str().unwrap().to_owned();
    fixture.call(&stranger, "GET", &path, None, &[]).await.is(404, "not_found");
    fixture.call(&stranger, "PATCH", &path, Some(json!({"stars": 1})), &[]).await.is(404, "not_found");
    fixture.call(&stranger, "DELETE", &path, None, &[]).await.is(404, "not_found");
    fixture.call(&viewer, "GET", &path, None, &[]).await.is(200, "");
    let refused =
        fixture.call(&viewer, "PATCH", &path, Some(json!({"stars": 1})), &[]).await.is(403, "forbidden");
    assert!(refused.body["detail"].as_str().unwrap().contains("notes.note.update"));
    fixture.call(&outsider, "GET", &path, None, &[]).await.is(403, "forbidden");
    // The same title is free in another organization.
    fixture.call(&stranger, "POST", "/api/notes", Some(json!({"title": "Milk"})), &[]).await.is(201, "");
    fixture
        .call(&member, "POST", "/api/notes", Some(json!({"title": "Milk"})), &[])
        .await
        .is(409, "already_exists");
}

#[tokio::test]
async fn changes_to_one_organization_are_limited_and_reading_is_not() {
    let fixture = Fixture::start().await;
    let (member, stranger) = (person(2, 1), person(3, 2));
    let body = || Some(json!({"title": ""}));
    for _ in 0..60 {
        fixture.call(&member, "POST", "/api/notes", body(), &[]).await.is(422, "validation_failed");
    }
    let limited = fixture.call(&member, "POST", "/api/notes", body(), &[]).await.is(429, "rate_limited");
    assert_eq!(limited.headers["retry-after"], "1");
    fixture.call(&member, "GET", "/api/notes", None, &[]).await.is(200, "");
    fixture.call(&stranger, "POST", "/api/notes", body(), &[]).await.is(422, "validation_failed");
    fixture.clock.advance(jiff::SignedDuration::from_secs(1));
    for _ in 0..20 {
        fixture.call(&member, "POST", "/api/notes", body(), &[]).await.is(422, "validation_failed");
    }
    fixture.call(&member, "POST", "/api/notes", body(), &[]).await.is(429, "rate_limited");
}
