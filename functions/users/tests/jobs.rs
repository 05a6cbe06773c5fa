//! What runs by the clock and by events.

use coder_core::UserId;
use coder_database::{Filter, Operation, Partition, Query};
use coder_handler::functions::Outcome;
use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::World;

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

async fn documents(world: &World, partition: &Partition) -> Vec<String> {
    let query = Query::new(None).limit(1000);
    let page = world.assembly.providers.store.query("users", &partition.key(), &query).await.unwrap();
    let kinds = page.items.into_iter().map(|document| document.body["type"].as_str().unwrap().to_owned());
    kinds.filter(|kind| !matches!(kind.as_str(), "outbox" | "audit")).collect()
}

#[tokio::test]
async fn a_person_is_erased_after_the_grace_and_leaves_only_an_id() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let max = world.member("Max", &owner, &["member"]).await;
    world.delete(&max, "/me").await.expect(202);
    world.clock.advance(days(29));
    world.every("purge").await;
    assert_eq!(world.users.person(max.id).await.unwrap().data.display_name, "Max");
    world.clock.advance(days(2));
    world.every("purge").await;
    let person = world.users.person(max.id).await.unwrap().data;
    assert_eq!((person.display_name.as_str(), person.email), ("Deleted user", None));
    assert!(world.users.find_membership(owner.organization, max.id).await.unwrap().is_none());
    let removed = world.organization_events(&owner, "membership.removed").await;
    assert_eq!(removed[0]["reason"], "purged");
    assert_eq!(documents(&world, &Partition::user(max.id)).await, ["user"]);
    // The personal organization goes with its only person: told on the next night, gone on the one after.
    for _ in 0..3 {
        world.clock.advance(days(1));
        world.every("purge").await;
    }
    let own = Partition::organization(max.id.uuid().into());
    assert_eq!(documents(&world, &own).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_organization_goes_a_day_after_everybody_was_told() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    world.make(&owner, "/teams", json!({"name": "Core"})).await;
    let agent = world.make(&owner, "/agents", json!({"kind": "agent", "displayName": "Builder"})).await;
    let organization = world.users.organization(owner.organization).await.unwrap().data;
    let body = Some(json!({"confirm": organization.slug}));
    let path = format!("/organizations/{}", owner.organization);
    world.call(&owner, Method::DELETE, &path, body).await.expect(202);
    world.clock.advance(days(30));
    world.every("purge").await;
    let partition = Partition::organization(owner.organization);
    assert_eq!(documents(&world, &partition).await, ["organization"]);
    let agent: UserId = agent.parse().unwrap();
    assert_eq!(world.users.person(agent).await.unwrap().data.display_name, "Deleted user");
    world.every("purge").await;
    assert_eq!(world.organization_events(&owner, "organization.purged").await.len(), 1);
    world.clock.advance(days(1));
    world.every("purge").await;
    assert_eq!(documents(&world, &partition).await, Vec::<String>::new());
    assert_eq!(documents(&world, &Partition::keyed("slug", &organization.slug)).await, Vec::<String>::new());
}

#[tokio::test]
async fn grants_and_memberships_end_on_time() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let max = world.member("Max", &owner, &["member"]).await;
    let end = (world.ambient.now() + SignedDuration::from_hours(1)).to_string();
    let scope = json!({"type": "organization", "id": owner.organization});
    let grant = json!({"subject": {"type": "user", "id": max.id}, "scope": scope, "role": "viewer", "expiresAt": end});
    world.make(&owner, "/grants", grant).await;
    world.patch(&owner, &format!("/members/{}", max.id), json!({"expiresAt": end})).await.expect(200);
    world.every("expire").await;
    assert_eq!(world.organization_events(&owner, "grant.expired").await.len(), 0);
    world.clock.advance(SignedDuration::from_hours(2));
    world.every("expire").await;
    assert_eq!(world.organization_events(&owner, "grant.expired").await.len(), 1);
    assert_eq!(world.organization_events(&owner, "membership.removed").await[0]["reason"], "expired");
    world.every("expire").await;
    assert_eq!(world.organization_events(&owner, "membership.removed").await.len(), 1);
}

#[tokio::test]
async fn mirrors_are_repaired_and_what_was_never_finished_is_dropped() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let max = world.member("Max", &owner, &["member"]).await;
    let store = &world.assembly.providers.store;
    let key = Partition::user(max.id).key();
    let id = format!("membership-ref:{}", owner.organization);
    store.write("users", &key, vec![Operation::Delete { id: id.clone(), if_match: None }]).await.unwrap();
    // A mirror without a membership, and a slug without an organization.
    let (lost, slug) = (world.person("Lost").await, Partition::keyed("slug", "ghost"));
    let membership = Partition::organization(lost.organization).key();
    let operation = Operation::Delete { id: format!("membership:{}", lost.id), if_match: None };
    store.write("users", &membership, vec![operation]).await.unwrap();
    let claims = Query::new(Filter::of_type("claim").and(Filter::eq("kind", "organization-slug"))).limit(1);
    let mut claim = store.query_across("users", &claims).await.unwrap().items.remove(0).body;
    claim["partitionKey"] = json!("slug:ghost");
    claim["ownerId"] = json!(world.ambient.new_uuid());
    let claim_id = claim["id"].as_str().unwrap().to_owned();
    store
        .write("users", &slug.key(), vec![Operation::Create { id: claim_id, body: claim, expires_at: None }])
        .await
        .unwrap();

    world.clock.advance(SignedDuration::from_hours(2));
    world.every("repair").await;
    assert!(store.read("users", &key, &id).await.unwrap().is_some());
    assert_eq!(documents(&world, &Partition::user(lost.id)).await, ["user"]);
    assert_eq!(documents(&world, &slug).await, Vec::<String>::new());
}

#[tokio::test]
async fn sign_ins_and_addresses_are_mirrored() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let of = |more: Value| {
        let mut data = json!({"userId": owner.id});
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        data
    };
    world.tell("login", "coder.auth.login.succeeded", of(json!({}))).await;
    world
        .tell("identity", "coder.auth.identity.email-changed", of(json!({"email": "New@Example.com"})))
        .await;
    world.tell("identity", "coder.auth.identity.registered", of(json!({"email": "other@example.com"}))).await;
    let stranger = json!({"userId": world.ambient.new_uuid(), "email": "x@example.com"});
    world.tell("identity", "coder.auth.identity.email-verified", stranger.clone()).await;
    world.tell("login", "coder.auth.login.succeeded", stranger).await;
    // Without an address in the event `auth` is asked, which is not here: the event is kept, and nothing changes.
    let data = json!({"userId": owner.id});
    let outcome = world.try_telling("identity", "coder.auth.identity.email-changed", data).await;
    assert!(matches!(outcome, Outcome::Retry(_)), "{outcome:?}");
    let person = world.users.person(owner.id).await.unwrap().data;
    assert_eq!(person.last_login_at, Some(world.ambient.now()));
    assert_eq!((person.email.as_deref(), person.email_verified), (Some("new@example.com"), true));
    let membership = world.users.membership(owner.organization, owner.id).await.unwrap().data;
    assert_eq!(membership.person.email.as_deref(), Some("new@example.com"));
    assert_eq!(world.events(format!("user:{}", owner.id), "user.updated").await.len(), 1);
}
