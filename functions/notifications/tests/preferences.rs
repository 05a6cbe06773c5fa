//! Preferences, locks, quiet hours and digests, from the setting to the mail.

use coder_testkit::{Team, TestPlatform};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{assign, inbox, later, mail_delivery, mails, publish};

const MINE: &str = "/api/notifications/preferences/me";

fn channel<'a>(resolved: &'a Value, name: &str) -> &'a Value {
    resolved["channels"].as_array().unwrap().iter().find(|one| one["channel"] == name).unwrap()
}

#[tokio::test]
async fn a_lock_of_the_organization_beats_a_persons_wish() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let off = json!({"topics": [{"pattern": "task.*", "channels": {"email": {"enabled": false}}}]});
    team.member.patch(MINE, off).await.expect(200);
    assign(&platform, &team, &team.admin, &[&team.member], "ENG-1").await;
    assert!(mails(&team, &team.member, "task.assigned").await.is_empty());
    assert_eq!(mail_delivery(&team, &team.member, "task.assigned").await["reason"], "topicChannel");

    let organization = format!("/api/notifications/preferences/organization/{}", team.organization_id);
    let locks = json!({"topics": [{"pattern": "task.assigned", "locked": true}]});
    team.member.put(&organization, locks.clone()).await.expect_problem(403, "forbidden");
    team.stranger.put(&organization, locks.clone()).await.expect_problem(404, "not_found");
    team.admin.put(&organization, locks).await.expect(200);
    assign(&platform, &team, &team.admin, &[&team.member], "ENG-2").await;
    assert_eq!(mails(&team, &team.member, "task.assigned").await.len(), 1);

    let path = "/api/notifications/preferences/resolved?topic=task.assigned";
    let resolved = team.member.get(path).await.expect(200).body;
    let email = channel(&resolved, "email");
    assert_eq!((&email["enabled"], &email["wouldBe"]), (&json!(true), &json!("pending")));
    assert_eq!(email["rule"]["layer"], "organization");
    assert_eq!(email["rule"]["scopeId"], json!(team.organization_id));
    assert_eq!(
        (&email["rule"]["setting"], &email["rule"]["pattern"]),
        (&json!("locked"), &json!("task.assigned"))
    );
    let other =
        team.member.get("/api/notifications/preferences/resolved?topic=task.overdue").await.expect(200).body;
    assert_eq!(channel(&other, "email")["rule"]["layer"], "user");
    assert_eq!(channel(&other, "inbox")["rule"]["layer"], "platform");
}

#[tokio::test]
async fn quiet_hours_hold_mail_and_let_it_go_at_their_end() {
    let platform = TestPlatform::start().await;
    let mut team = Team::of(&platform).await;
    // It is Monday, 12:01 in UTC.
    let quiet = json!({"quietHours": {
        "timeZone": "UTC", "windows": [{"days": ["mon"], "start": "11:00", "end": "13:00"}],
    }});
    team.member.patch(MINE, quiet).await.expect(200);
    assign(&platform, &team, &team.admin, &[&team.member], "ENG-1").await;
    let items = inbox(&team.member, "?topic=task.assigned").await;
    assert_eq!((items.len(), &items[0]["silent"]), (1, &json!(true)));
    let held = mail_delivery(&team, &team.member, "task.assigned").await;
    assert_eq!((&held["status"], &held["nextAttemptAt"]), (&json!("held"), &json!("2026-01-05T13:00:00Z")));
    assert!(mails(&team, &team.member, "task.assigned").await.is_empty());
    let resolved =
        team.member.get("/api/notifications/preferences/resolved?topic=task.assigned").await.expect(200);
    assert_eq!(channel(&resolved.body, "email")["wouldBe"], "held");
    assert_eq!(resolved.body["quietUntil"], "2026-01-05T13:00:00Z");

    let data = json!({"approvers": [team.member.user_id], "gateId": "g"});
    publish(&platform, &team, &team.admin, ("workflow", "gate.escalated"), "g", data).await;
    assert_eq!(mails(&team, &team.member, "workflow.gate-escalated").await.len(), 1);

    later(&platform, &mut team, SignedDuration::from_mins(58)).await;
    assert!(mails(&team, &team.member, "task.assigned").await.is_empty());
    later(&platform, &mut team, SignedDuration::from_mins(2)).await;
    assert_eq!(mails(&team, &team.member, "task.assigned").await.len(), 1);
    assert_ne!(mail_delivery(&team, &team.member, "task.assigned").await["status"], "held");
    // Nothing is left to go again.
    later(&platform, &mut team, SignedDuration::from_mins(1)).await;
    assert_eq!(mails(&team, &team.member, "task.assigned").await.len(), 1);
}

#[tokio::test]
async fn more_than_three_held_mails_go_as_one() {
    let platform = TestPlatform::start().await;
    let mut team = Team::of(&platform).await;
    team.member.put("/api/notifications/dnd", json!({"durationSeconds": 1800})).await.expect(200);
    for key in ["ENG-1", "ENG-2", "ENG-3", "ENG-4"] {
        assign(&platform, &team, &team.admin, &[&team.member], key).await;
    }
    assert_eq!(inbox(&team.member, "?topic=task.assigned").await.len(), 4);
    later(&platform, &mut team, SignedDuration::from_mins(31)).await;
    assert!(mails(&team, &team.member, "task.assigned").await.is_empty());
    let merged = mails(&team, &team.member, "digest").await;
    assert_eq!(merged.len(), 1);
    let text = merged[0]["text"].as_str().unwrap();
    assert!(["ENG-1", "ENG-2", "ENG-3", "ENG-4"].iter().all(|key| text.contains(key)), "{text}");
    later(&platform, &mut team, SignedDuration::from_mins(31)).await;
    assert_eq!(mails(&team, &team.member, "digest").await.len(), 1);
}

#[tokio::test]
async fn a_daily_digest_gathers_until_the_persons_morning() {
    let platform = TestPlatform::start().await;
    let mut team = Team::of(&platform).await;
    let daily = json!({"channels": {"email": {"digest": "daily"}}, "digestAt": "14:00"});
    team.member.patch(MINE, daily).await.expect(200);
    assign(&platform, &team, &team.admin, &[&team.member], "ENG-1").await;
    assign(&platform, &team, &team.admin, &[&team.member], "ENG-2").await;
    let gathered = mail_delivery(&team, &team.member, "task.assigned").await;
    assert_eq!((&gathered["status"], &gathered["reason"]), (&json!("digested"), &json!("daily")));
    assert_eq!(gathered["nextAttemptAt"], "2026-01-05T14:00:00Z");
    later(&platform, &mut team, SignedDuration::from_mins(100)).await;
    assert!(mails(&team, &team.member, "digest").await.is_empty());
    later(&platform, &mut team, SignedDuration::from_mins(20)).await;
    assert_eq!(mails(&team, &team.member, "digest").await.len(), 1);
    later(&platform, &mut team, SignedDuration::from_mins(15)).await;
    assert_eq!(mails(&team, &team.member, "digest").await.len(), 1);
}

#[tokio::test]
async fn bad_preferences_are_refused_with_every_fault_and_good_ones_are_merged() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let bad = json!({
        "topics": [{"pattern": "a.*", "locked": true}, {"pattern": "a.*"}],
        "quietHours": {"timeZone": "Mars/Olympus", "windows": [{"days": ["mon"], "start": "10:00", "end": "10:00"}]},
    });
    let refused = team.member.patch(MINE, bad).await.expect_problem(422, "validation_failed");
    let pointers: Vec<&str> = refused.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["pointer"].as_str().unwrap())
        .collect();
    let expected =
        ["/topics/0/locked", "/topics/1/pattern", "/quietHours/timeZone", "/quietHours/windows/0/end"];
    assert_eq!(pointers, expected);
    team.member.patch(MINE, json!({"colour": 1})).await.expect_problem(422, "unknown_field");

    team.member.patch(MINE, json!({"minCriticality": "high", "digestAt": "07:30"})).await.expect(200);
    team.member.put("/api/notifications/dnd", json!({"durationSeconds": 60})).await.expect(200);
    let merged = team.member.patch(MINE, json!({"digestAt": null})).await.expect(200).body;
    assert_eq!((&merged["minCriticality"], merged.get("digestAt")), (&json!("high"), None));
    assert_eq!(merged["dndUntil"], "2026-01-05T12:02:00Z");
    team.member.delete("/api/notifications/dnd").await.expect(204);
    assert_eq!(team.member.get(MINE).await.expect(200).body["dndUntil"], json!(null));
    let both = json!({"durationSeconds": 60, "untilTime": "2026-01-06T12:00:00Z"});
    team.member.put("/api/notifications/dnd", both).await.expect_problem(422, "validation_failed");
    let past = json!({"untilTime": "2026-01-04T12:00:00Z"});
    team.member.put("/api/notifications/dnd", past).await.expect_problem(422, "validation_failed");
}

#[tokio::test]
async fn leads_set_the_defaults_of_their_team_and_nobody_those_of_another_organization() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let id = team.parameter("/api/users/teams/{teamId}", "teamId");
    let path = format!("/api/notifications/preferences/team/{id}");
    team.member.put(&path, json!({"enabled": false})).await.expect_problem(403, "forbidden");
    let place = format!("/api/users/teams/{id}/members/{}", team.member.user_id.unwrap());
    team.owner.put(&place, json!({"role": "lead"})).await.expect(200);
    team.member.put(&path, json!({"enabled": false})).await.expect(200);
    assert_eq!(team.member.get(&path).await.expect(200).body["enabled"], json!(false));
    team.stranger.get(&path).await.expect_problem(404, "not_found");
    let nothing = format!("/api/notifications/preferences/planet/{id}");
    team.owner.get(&nothing).await.expect_problem(404, "not_found");
}
