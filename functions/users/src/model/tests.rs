//! The stored forms: every fault is found, secrets and server fields stay apart, schemas state the limits.

use coder_core::{OrganizationId, Pattern, Scope, TeamId, Timestamp, UserId};
use serde_json::{Value, json};

use super::*;
use crate::names::cleaned;

fn id<T: From<coder_core::id::Uuid>>(n: u128) -> T {
    T::from(coder_core::id::Uuid::from_u128(n))
}

fn pointers(problem: coder_core::Problem) -> Vec<(String, &'static str)> {
    problem.errors.into_iter().map(|fault| (fault.pointer, fault.code)).collect()
}

#[test]
fn a_user_is_cleaned_and_every_fault_is_told() {
    let mut user = User::new(UserKind::Human, "  Zoe\u{301} ");
    user.title = Some("   ".into());
    user.locale = "DE-at".into();
    user.time_zone = "europe/vienna".into();
    user.bio = Some("one\ntwo".into());
    let user = cleaned(user).unwrap();
    assert_eq!((user.display_name.as_str(), user.title, user.locale.as_str()), ("Zoé", None, "de-AT"));
    assert_eq!(user.time_zone, "Europe/Vienna");

    let mut user = User::new(UserKind::Human, " \t ");
    user.last_name = Some("a\u{202E}b".into());
    user.avatar_url = Some("http://example.com/a.png".into());
    user.locale = "klingon language".into();
    user.time_zone = "Mars/Olympus".into();
    let competency =
        |name: &str| Competency { name: name.into(), level: 3, verified_by: None, verified_at: None };
    user.competencies = vec![competency("Rust"), competency(" RUST ")];
    user.preferences.insert("ide".into(), Value::String("x".repeat(33 * 1024)));
    assert_eq!(
        pointers(cleaned(user).unwrap_err()),
        [
            ("/displayName".into(), "too_short"),
            ("/lastName".into(), "refused_character"),
            ("/avatarUrl".into(), "invalid_format"),
            ("/locale".into(), "invalid_format"),
            ("/timeZone".into(), "invalid_format"),
            ("/competencies/1/name".into(), "duplicate"),
            ("/preferences".into(), "too_large"),
        ]
    );
}

#[test]
fn an_erased_user_keeps_no_person() {
    let mut user = User::new(UserKind::Human, "Ada");
    user.email = Some("ada@example.com".into());
    user.phone = Some("+4312345".into());
    user.preferences.insert("ide".into(), json!({}));
    user.last_login_at = Some(Timestamp::UNIX_EPOCH);
    user.erase();
    assert_eq!(user, User { status: UserStatus::Deleted, ..User::new(UserKind::Human, "Deleted user") });
}

#[test]
fn a_project_names_its_parts_in_faults_and_production_needs_approval() {
    let mut project = Project::new("Shop", "SHOP");
    let environment = |name: &str, kind| Environment { name: name.into(), kind, requires_approval: None };
    project.environments =
        vec![environment("prod", EnvironmentKind::Production), environment("dev", EnvironmentKind::Dev)];
    let good = cleaned(project.clone()).unwrap();
    assert_eq!(
        good.environments.iter().map(|e| e.requires_approval).collect::<Vec<_>>(),
        [Some(true), Some(false)]
    );

    project.environments.push(environment("PROD", EnvironmentKind::Test));
    project.repositories.push(Repository {
        url: "git@example.com:shop".into(),
        provider: RepositoryProvider::Other,
        default_branch: "main".into(),
    });
    project.profile.scale.insert("note".into(), Value::String("x".repeat(21 * 1024)));
    assert_eq!(
        pointers(cleaned(project).unwrap_err()),
        [
            ("/repositories/0/url".into(), "invalid_format"),
            ("/environments/2/name".into(), "duplicate"),
            ("/profile/scale".into(), "too_large"),
        ]
    );
}

#[test]
fn documents_are_written_as_documented() {
    let grant = Grant {
        subject: Subject::Team(id(1)),
        scope: Scope::Organization(id(2)),
        granted: Granted::Role("viewer".into()),
        expires_at: None,
    };
    let body = serde_json::to_value(&grant).unwrap();
    assert_eq!(
        body,
        json!({
            "subject": {"type": "team", "id": id::<TeamId>(1)},
            "scope": {"type": "organization", "id": id::<OrganizationId>(2)},
            "role": "viewer",
            "expiresAt": null,
        })
    );
    assert_eq!(serde_json::from_value::<Grant>(body).unwrap(), grant);
    let listed = Grant { granted: Granted::Permissions(vec![Pattern::parse("users.*").unwrap()]), ..grant };
    let body = serde_json::to_value(&listed).unwrap();
    assert_eq!(body["permissions"], json!(["users.*"]));
    assert_eq!(serde_json::from_value::<Grant>(body).unwrap(), listed);

    let user = id::<UserId>(7);
    assert_eq!(Membership::document_id(user), format!("membership:{user}"));
    assert_eq!(TeamMember::document_id(id(1), user), format!("team-member:{}:{user}", id::<TeamId>(1)));
    let membership = Membership::new(user, vec!["member".into()], Timestamp::UNIX_EPOCH);
    let mirror = serde_json::to_value(membership.mirror(id(2))).unwrap();
    assert!(mirror.get("organizationId").is_none(), "the server's field is not overwritten");
}

#[test]
fn older_documents_without_newer_fields_are_read() {
    let user: User = serde_json::from_value(json!({"kind": "human", "displayName": "Ada"})).unwrap();
    assert_eq!(user, User::new(UserKind::Human, "Ada"));
    let organization: Organization = serde_json::from_value(
        json!({"kind": "company", "name": "Acme", "slug": "acme", "limits": {"teams": 300}}),
    )
    .unwrap();
    assert_eq!((organization.limits.teams, organization.limits.members), (300, 1000));
    assert_eq!(organization.settings, OrganizationSettings::default());
}

#[test]
fn schemas_state_the_limits() {
    let user = schemars::schema_for!(User).to_value();
    assert_eq!(user["properties"]["displayName"]["maxLength"], 120);
    assert_eq!(user["properties"]["firstName"]["maxLength"], 80);
    assert_eq!(user["properties"]["competencies"]["maxItems"], 50);
    assert_eq!(user["properties"]["phone"]["pattern"], patterns::PHONE);
    assert_eq!(user["properties"]["deleteAfter"]["format"], "date-time");
    let role = schemars::schema_for!(Role).to_value();
    assert_eq!(role["properties"]["permissions"]["maxItems"], 300);
    assert_eq!(role["properties"]["permissions"]["items"]["type"], "string");
    let organization = schemars::schema_for!(Organization).to_value();
    assert_eq!(organization["properties"]["slug"]["pattern"], patterns::ORGANIZATION_SLUG);
    let grant = schemars::schema_for!(Grant).to_value();
    assert_eq!(grant["oneOf"].as_array().map(Vec::len), Some(2), "{grant}");
}

#[test]
fn what_ends_by_itself_stops_counting_at_that_moment() {
    let now = Timestamp::UNIX_EPOCH;
    let second = jiff::SignedDuration::from_secs(1);
    let mut membership = Membership::new(id(1), vec!["member".into()], now);
    for (end, active) in
        [(None, true), (Some(now), false), (Some(now + second), true), (Some(now - second), false)]
    {
        membership.expires_at = end;
        assert_eq!(membership.is_active(now), active, "{end:?}");
        assert_eq!(membership.mirror(id(2)).is_active(now), active, "{end:?}");
    }
    membership.expires_at = None;
    membership.status = MembershipStatus::Suspended;
    assert!(!membership.is_active(now));
}
