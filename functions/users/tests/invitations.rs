//! Invitations, from the first mail to the last answer.

use coder_database::{Filter, Partition, Query};
use coder_handler::functions::Outcome;
use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::{Person, World};
use crate::notifications::Mailbox;

/// Invites one address and answers the token.
async fn invite(world: &World, by: &Person, body: Value) -> (String, String) {
    let answer = world.post(by, "/invitations", body).await.expect(200);
    let result = &answer["results"][0];
    assert_eq!(result["outcome"], "sent", "{answer}");
    let token = result["acceptUrl"].as_str().unwrap().rsplit('=').next().unwrap().to_owned();
    (result["invitation"]["id"].as_str().unwrap().to_owned(), token)
}

fn by_token(token: &str, verb: &str) -> String {
    format!("/invitations/by-token/{token}{verb}")
}

async fn accept(world: &World, who: &Person, token: &str) -> crate::harness::Reply {
    let reply = world.call(who, Method::POST, &by_token(token, "/accept"), None).await;
    world.assembly.directory.forget_permissions(None);
    reply
}

#[tokio::test]
async fn the_invited_address_joins_with_roles_teams_and_grants_and_only_once() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let (ada, eve) = (world.person("Ada").await, world.person("Eve").await);
    let team = world.make(&owner, "/teams", json!({"name": "Core"})).await;
    let project = world.make(&owner, "/projects", json!({"name": "Shop", "key": "SHOP"})).await;
    let wanted = json!({
        "emails": ["Ada@Example.com"], "roles": ["viewer"], "teamIds": [team], "message": "Join us!",
        "projectGrants": [{"projectId": project, "role": "member"}],
    });
    let (id, token) = invite(&world, &owner, wanted).await;

    let offer = world.nobody(Method::GET, &by_token(&token, "")).await.expect(200);
    assert_eq!((&offer["organization"]["name"], &offer["inviter"]), (&json!("Olga Inc"), &json!("Olga")));
    let mine = world.get(&ada, "/me/invitations").await.expect(200);
    assert_eq!(mine["items"][0]["id"], json!(id));
    assert_eq!(world.get(&eve, "/me/invitations").await.expect(200)["items"], json!([]));

    accept(&world, &eve, &token).await.refused(403, "email_mismatch");
    world.call(&eve, Method::POST, &by_token(&token, "/decline"), None).await.refused(403, "email_mismatch");
    accept(&world, &ada, &token).await.expect(200);
    accept(&world, &ada, &token).await.refused(410, "link_expired");
    world.nobody(Method::GET, &by_token(&token, "")).await.refused(410, "link_expired");
    assert_eq!(world.get(&ada, "/me/invitations").await.expect(200)["items"], json!([]));

    let ada = ada.at(owner.organization);
    let members = world.get(&ada, &format!("/teams/{team}/members")).await.expect(200);
    assert_eq!(members["items"][0]["userId"], json!(ada.id));
    world.patch(&ada, &format!("/projects/{project}"), json!({"name": "Shop 2"})).await.expect(200);
    world.post(&ada, "/teams", json!({"name": "Mine"})).await.refused(403, "forbidden");
    let organizations = world.get(&ada, "/me/organizations").await.expect(200).to_string();
    assert!(organizations.contains(&owner.organization.to_string()), "{organizations}");
    let added = &world.organization_events(&owner, "membership.added").await[1];
    assert_eq!((&added["roles"], &added["via"]), (&json!(["viewer"]), &json!("invitation")));
    assert_eq!(world.organization_events(&owner, "invitation.accepted").await[0]["invitationId"], json!(id));
    assert_eq!(world.get(&owner, &format!("/invitations/{id}")).await.expect(200)["status"], "accepted");
}

#[tokio::test]
async fn the_token_is_in_the_mail_alone_and_forgotten_once_it_left() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let (id, token) = invite(&world, &owner, json!({"emails": ["ada@example.com"]})).await;
    let path = format!("/invitations/{id}");
    assert_eq!(world.get(&owner, &path).await.expect(200)["delivery"], "pending");
    let events = world.organization_events(&owner, "invitation.sent").await;
    assert!(!events[0].to_string().contains(&token));
    world.deliver().await;
    world.deliver().await;
    let mails = world.mailbox.mails();
    assert_eq!(
        (mails.len(), &mails[0]["recipients"], &mails[0]["sensitive"]),
        (1, &json!(["email:ada@example.com"]), &json!(true))
    );
    assert!(mails[0]["actionUrl"].as_str().unwrap().ends_with(&token));
    assert_eq!(world.get(&owner, &path).await.expect(200)["delivery"], "sent");
    let all =
        world.assembly.providers.store.query_across("users", &Query::new(None).limit(1000)).await.unwrap();
    for document in all.items {
        assert!(!document.body.to_string().contains(&token), "{}", document.id);
        assert!(document.body.get("sealedToken").is_none_or(Value::is_null));
    }
}

#[tokio::test]
async fn every_address_gets_an_outcome_of_its_own() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    invite(&world, &owner, json!({"emails": ["first@example.com"]})).await;
    let emails = ["olga@example.com", "first@example.com", "nobody", "new@example.com", "NEW@example.com"];
    let answer = world.post(&owner, "/invitations", json!({"emails": emails})).await.expect(200);
    let outcomes: Vec<_> =
        answer["results"].as_array().unwrap().iter().map(|one| one["outcome"].clone()).collect();
    assert_eq!(outcomes, ["already_member", "already_invited", "invalid_email", "sent", "duplicate"]);
    let many: Vec<String> = (0..50).map(|n| format!("p{n}@example.com")).collect();
    let answer = world.post(&owner, "/invitations", json!({"emails": many})).await.expect(200);
    let results = answer["results"].as_array().unwrap();
    assert!(results.len() == 50 && results.iter().all(|one| one["outcome"] == "sent"));
    let more: Vec<String> = (0..50).map(|n| format!("q{n}@example.com")).collect();
    let answer = world.post(&owner, "/invitations", json!({"emails": more})).await.expect(200);
    let count = |outcome: &str| {
        answer["results"].as_array().unwrap().iter().filter(|one| one["outcome"] == outcome).count()
    };
    assert_eq!((count("sent"), count("limit_reached")), (48, 2), "the limit is 100 pending ones");
    let listed = world.get(&owner, "/invitations?status=pending&limit=200").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn what_does_not_exist_or_is_not_held_cannot_be_offered() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let admin = world.member("Abe", &owner, &["admin"]).await;
    let member = world.member("Max", &owner, &["member"]).await;
    let id = coder_core::id::EXAMPLE;
    let unknown = json!({
        "emails": ["a@example.com"], "roles": ["nonsense"], "teamIds": [id],
        "projectGrants": [{"projectId": id, "role": "viewer"}],
    });
    let faults = world.post(&owner, "/invitations", unknown).await.expect(422);
    let pointers: Vec<_> =
        faults["errors"].as_array().unwrap().iter().map(|fault| fault["pointer"].clone()).collect();
    assert_eq!(pointers, ["/roles/0", "/teamIds/0", "/projectGrants/0/projectId"]);
    let as_owner = json!({"emails": ["a@example.com"], "roles": ["owner"]});
    world.post(&admin, "/invitations", as_owner).await.refused(403, "forbidden");
    world.post(&member, "/invitations", json!({"emails": ["a@example.com"]})).await.refused(403, "forbidden");
    world.post(&owner, "/invitations", json!({"emails": []})).await.refused(422, "validation_failed");
}

#[tokio::test]
async fn sent_again_it_answers_to_the_new_token_alone() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let stranger = world.founder("Eve").await;
    let ada = world.person("Ada").await;
    let (id, first) = invite(&world, &owner, json!({"emails": ["ada@example.com"]})).await;
    let path = format!("/invitations/{id}/resend");
    world.post(&owner, &path, json!({})).await.refused(429, "rate_limited");
    world.post(&stranger, &path, json!({})).await.refused(404, "not_found");
    world.clock.advance(SignedDuration::from_hours(1));
    let again = world.post(&owner, &path, json!({})).await.expect(200);
    assert_eq!((&again["sentCount"], &again["delivery"]), (&json!(2), &json!("pending")));
    let second = again["acceptUrl"].as_str().unwrap().rsplit('=').next().unwrap().to_owned();
    world.nobody(Method::GET, &by_token(&first, "")).await.refused(410, "link_expired");
    accept(&world, &ada, &first).await.refused(410, "link_expired");
    world.nobody(Method::GET, &by_token("nonsense", "")).await.refused(404, "not_found");
    accept(&world, &ada, &second).await.expect(200);
}

#[tokio::test]
async fn revoked_declined_or_lapsed_it_is_over_and_the_address_free_again() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let ada = world.person("Ada").await;
    let wanted = json!({"emails": ["ada@example.com"]});
    let (id, token) = invite(&world, &owner, wanted.clone()).await;
    world.delete(&owner, &format!("/invitations/{id}")).await.expect(204);
    world.delete(&owner, &format!("/invitations/{id}")).await.refused(409, "invalid_state");
    accept(&world, &ada, &token).await.refused(410, "link_expired");

    let (_, token) = invite(&world, &owner, wanted.clone()).await;
    world.call(&ada, Method::POST, &by_token(&token, "/decline"), None).await.expect(204);
    accept(&world, &ada, &token).await.refused(410, "link_expired");

    let (id, token) = invite(&world, &owner, wanted.clone()).await;
    world.clock.advance(SignedDuration::from_hours(7 * 24));
    accept(&world, &ada, &token).await.refused(410, "link_expired");
    assert_eq!(world.get(&owner, &format!("/invitations/{id}")).await.expect(200)["status"], "expired");
    // The address is free even before the job has noted that the last one lapsed, and the job notes it once.
    invite(&world, &owner, wanted).await;
    world.every("expire").await;
    for (name, times) in [("revoked", 1), ("declined", 1), ("expired", 1)] {
        let events = world.organization_events(&owner, &format!("invitation.{name}")).await;
        assert_eq!(events.len(), times, "{name}");
    }
}

#[tokio::test]
async fn an_acceptance_that_was_cut_off_is_finished_when_it_is_repeated() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let ada = world.person("Ada").await;
    let (_, token) = invite(&world, &owner, json!({"emails": ["ada@example.com"]})).await;
    accept(&world, &ada, &token).await.expect(200);
    // As if the process had died between the organization's batch and the mirror.
    let mirror = format!("membership-ref:{}", owner.organization);
    let key = Partition::user(ada.id).key();
    let gone = vec![coder_database::Operation::Delete { id: mirror.clone(), if_match: None }];
    world.assembly.providers.store.write("users", &key, gone).await.unwrap();
    accept(&world, &ada, &token).await.refused(410, "link_expired");
    let mirrors = Query::new(Filter::of_type("membership-ref"));
    let there = world.assembly.providers.store.query("users", &key, &mirrors).await.unwrap();
    assert!(there.items.iter().any(|document| document.id == mirror));
}

#[tokio::test]
async fn a_mail_that_does_not_leave_is_tried_again_for_a_day() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    Mailbox::close(&world.assembly.peers);
    let (id, token) = invite(&world, &owner, json!({"emails": ["ada@example.com"]})).await;
    let path = format!("/invitations/{id}");
    let outcome = world.try_event("send-invitation", &owner, "invitation.sent").await;
    assert!(matches!(outcome, Outcome::Retry(_)), "{outcome:?}");
    assert_eq!(world.get(&owner, &path).await.expect(200)["delivery"], "pending");
    world.clock.advance(SignedDuration::from_mins(10));
    world.run("expire").await;
    assert_eq!(world.get(&owner, &path).await.expect(200)["delivery"], "pending");
    world.mailbox.open(&world.assembly.peers);
    world.run("expire").await;
    assert_eq!(world.get(&owner, &path).await.expect(200)["delivery"], "sent");
    assert!(world.mailbox.mails()[0]["actionUrl"].as_str().unwrap().ends_with(&token));
    // The event, delivered after all, sends nothing more; neither does one of a closed invitation.
    let outcome = world.try_event("send-invitation", &owner, "invitation.sent").await;
    assert_eq!((outcome, world.mailbox.mails().len()), (Outcome::Done(Value::Null), 1));
}

#[tokio::test]
async fn of_two_answers_at_once_one_counts_and_of_two_invitations_one_is_made() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let ada = world.person("Ada").await;
    let body = json!({"emails": ["ada@example.com"]});
    let (one, other) = tokio::join!(
        world.post(&owner, "/invitations", body.clone()),
        world.post(&owner, "/invitations", body)
    );
    let results = [one.expect(200)["results"][0].clone(), other.expect(200)["results"][0].clone()];
    let mut outcomes = results.clone().map(|result| result["outcome"].as_str().unwrap().to_owned());
    outcomes.sort();
    assert_eq!(outcomes, ["already_invited", "sent"]);
    let url = results.iter().find_map(|result| result["acceptUrl"].as_str()).unwrap();
    let token = url.rsplit('=').next().unwrap();
    let (one, other) = tokio::join!(accept(&world, &ada, token), accept(&world, &ada, token));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 410]);
    assert_eq!(world.organization_events(&owner, "invitation.accepted").await.len(), 1);
}

#[tokio::test]
async fn who_is_suspended_does_not_come_back_by_an_invitation() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let (id, token) = invite(&world, &owner, json!({"emails": ["max@example.com"]})).await;
    let max = world.member("Max", &owner, &["viewer"]).await;
    let path = format!("/members/{}", max.id);
    world.patch(&owner, &path, json!({"status": "suspended"})).await.expect(200);
    accept(&world, &max, &token).await.refused(409, "invalid_state");
    world.patch(&owner, &path, json!({"status": "active"})).await.expect(200);
    accept(&world, &max, &token).await.expect(200);
    let member = world.users.membership(owner.organization, max.id).await.unwrap().data;
    assert_eq!(member.roles, ["viewer", "member"], "the invited role comes beside the one that was there");
    assert_eq!(world.get(&owner, &format!("/invitations/{id}")).await.expect(200)["status"], "accepted");
}
