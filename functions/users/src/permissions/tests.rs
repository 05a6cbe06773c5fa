//! Built-in roles, inheritance, effective permissions and escalation, case by case.

use coder_core::permission::BuiltInRole;
use coder_core::{PermissionSet, Problem, Scope, TeamId, UserId};
use jiff::SignedDuration;

use super::fixture::{
    NOW, catalogue, grant, id, member, organization_id, organization_scope, patterns, role, snapshot,
};
use super::{
    Effective, OrganizationSnapshot, Origin, Rank, RoleGraph, RoleGraphError, SnapshotParts, Source,
    escalation,
};
use crate::model::{Granted, MembershipStatus, OrganizationSettings, Role, Subject, TeamMember, TeamRole};

fn place(team: u128, user: u128) -> TeamMember {
    TeamMember { team_id: id(team), user_id: id(user), role: TeamRole::Member }
}

fn project(n: u128) -> Scope {
    Scope::Project(id(n))
}

fn team(n: u128) -> Scope {
    Scope::Team(id(n))
}

fn effective(snapshot: &OrganizationSnapshot, user: u128, scope: Scope) -> Effective<'_> {
    snapshot.access(id(user), NOW).at(scope).unwrap()
}

fn role_of(name: &str) -> Granted {
    Granted::Role(name.to_owned())
}

#[test]
fn built_in_roles_follow_from_the_catalogue() {
    let catalogue = catalogue();
    let check = |settings: &OrganizationSettings, permission: &str, holders: &[&str]| {
        let names = |roles: Vec<BuiltInRole>| roles.into_iter().map(BuiltInRole::as_str).collect::<Vec<_>>();
        assert_eq!(names(catalogue.holders(permission, settings)), holders, "{permission}");
        for role in catalogue.built_in_roles(settings) {
            let set: PermissionSet = role.permissions.into_iter().collect();
            assert_eq!(
                set.allows(permission),
                holders.contains(&role.name.as_str()),
                "{permission} {}",
                role.name
            );
        }
    };
    let settings = OrganizationSettings::default();
    check(&settings, "users.organization.delete", &["owner"]);
    check(&settings, "users.member.update", &["owner", "admin"]);
    check(&settings, "planning.task.inspect", &["owner", "admin"]);
    check(&settings, "planning.plan.approve", &["owner", "admin", "member"]);
    check(&settings, "users.team.create", &["owner", "admin", "member"]);
    check(&settings, "planning.task.read", &["owner", "admin", "member", "viewer"]);
    check(&settings, "users.project.create", &["owner", "admin", "member"]);
    check(&settings, "users.invitation.create", &["owner", "admin"]);
    let turned =
        OrganizationSettings { members_may_invite: true, members_may_create_projects: false, ..settings };
    check(&turned, "users.project.create", &["owner", "admin"]);
    check(&turned, "users.project.update", &["owner", "admin", "member"]);
    check(&turned, "users.invitation.create", &["owner", "admin", "member"]);
    assert!(
        !catalogue.contains("platform.audit.inspect"),
        "operators' permissions are not an organization's to give"
    );
}

#[test]
fn patterns_are_checked_against_the_catalogue() {
    let catalogue = catalogue();
    let parse = |texts: &[&str]| {
        let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
        catalogue.patterns("/permissions", &texts)
    };
    let good = parse(&["users.*", "*.*.read", "planning.task.read", "users.*"]).unwrap();
    assert_eq!(good, patterns(&["*.*.read", "planning.task.read", "users.*"]), "sorted, each once");
    assert_eq!(parse(&[]).unwrap(), [], "a guest role");
    let faults = |problem: Problem| {
        let faults = problem.errors.into_iter().map(|fault| (fault.pointer, fault.code)).collect::<Vec<_>>();
        (problem.code.as_str(), faults)
    };
    for unknown in ["planning.task.raed", "plannign.*", "*.*.fly", "platform.audit.inspect", "platform.*"] {
        let expected = ("unknown_permission", vec![("/permissions/1".to_owned(), "unknown_permission")]);
        assert_eq!(faults(parse(&["users.*", unknown]).unwrap_err()), expected, "{unknown}");
    }
    let mixed = parse(&["planning.task", "planning.task.raed"]).unwrap_err();
    let expected = vec![
        ("/permissions/0".to_owned(), "invalid_format"),
        ("/permissions/1".to_owned(), "unknown_permission"),
    ];
    assert_eq!(faults(mixed), ("validation_failed", expected));
}

#[test]
fn a_viewer_of_the_parent_team_reads_in_the_project_and_no_more() {
    // The first acceptance scenario: team 11 below team 10, project 20 in team 11; user 2 is a guest.
    let snapshot = snapshot(SnapshotParts {
        memberships: vec![member(1, &["owner"]), member(2, &["guest"])],
        roles: vec![role("guest", &[], &[])],
        grants: vec![grant(30, Subject::User(id(2)), team(10), role_of("viewer"))],
        teams: vec![(id(10), None), (id(11), Some(id(10)))],
        team_members: Vec::new(),
        projects: vec![(id(20), Some(id(11))), (id(21), None)],
    });
    let at_project = effective(&snapshot, 2, project(20));
    assert!(at_project.allows("planning.task.read"));
    assert!(!at_project.allows("planning.task.create"));
    let source = Source {
        origin: Origin::Grant { grant_id: id(30), scope: team(10), team_id: None },
        role: Some("viewer".into()),
        inherited_through: Vec::new(),
    };
    assert_eq!(at_project.sources_of("planning.task.read"), std::slice::from_ref(&source));
    let explained = at_project.explain(&catalogue());
    let read = explained.iter().find(|one| one.permission == "planning.task.read").unwrap();
    assert_eq!(read.sources, [source]);
    assert!(explained.iter().all(|one| one.permission.rsplit('.').next() == Some("read")));
    for elsewhere in [project(21), organization_scope()] {
        assert!(!effective(&snapshot, 2, elsewhere).allows("planning.task.read"), "{elsewhere:?}");
    }
}

#[test]
fn a_team_passes_its_grants_down_to_those_below_and_never_up() {
    // Teams 10 > 11 > 12; user 2 is in 11, user 3 in 12, user 4 in 10.
    let teams = vec![(id(10), None), (id(11), Some(id(10))), (id(12), Some(id(11)))];
    let granted = Granted::Permissions(patterns(&["planning.task.create"]));
    let snapshot = snapshot(SnapshotParts {
        memberships: [2, 3, 4].map(|n| member(n, &["guest"])).to_vec(),
        roles: vec![role("guest", &[], &[])],
        grants: vec![grant(30, Subject::Team(id(11)), project(20), granted)],
        teams,
        team_members: vec![place(11, 2), place(12, 3), place(10, 4)],
        projects: vec![(id(20), None)],
    });
    let sources = |user| effective(&snapshot, user, project(20)).sources_of("planning.task.create");
    let by_team = Origin::Grant { grant_id: id(30), scope: project(20), team_id: Some(id::<TeamId>(11)) };
    assert_eq!(sources(2)[0].origin, by_team);
    assert_eq!((sources(3)[0].origin, sources(3)[0].role.as_ref()), (by_team, None));
    assert!(sources(4).is_empty());
    assert_eq!(
        snapshot.given_by_team(id(12), NOW),
        [(project(20), patterns(&["planning.task.create"]))],
        "joining a team below brings it too"
    );
    assert!(snapshot.given_by_team(id(10), NOW).is_empty());
}

#[test]
fn inherited_roles_name_the_way() {
    let snapshot = snapshot(SnapshotParts {
        memberships: vec![member(2, &["lead"])],
        roles: vec![role("lead", &[], &["author"]), role("author", &["planning.plan.approve"], &["viewer"])],
        ..SnapshotParts::default()
    });
    let held = effective(&snapshot, 2, organization_scope());
    let check = |permission: &str, role: &str, through: &[&str]| {
        let expected = Source {
            origin: Origin::Membership,
            role: Some(role.into()),
            inherited_through: through.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(held.sources_of(permission), [expected]);
    };
    check("planning.plan.approve", "author", &["lead"]);
    check("planning.task.read", "viewer", &["lead", "author"]);
    assert_eq!(held.to_set(), patterns(&["planning.plan.approve", "*.*.read"]).into_iter().collect());
}

#[test]
fn expired_and_suspended_sources_do_not_count() {
    let second = SignedDuration::from_secs(1);
    let parts = || SnapshotParts {
        memberships: vec![member(2, &["member"])],
        grants: vec![grant(30, Subject::User(id(2)), organization_scope(), role_of("admin"))],
        ..SnapshotParts::default()
    };
    let check = |change: &dyn Fn(&mut SnapshotParts), by_role: bool, by_grant: bool| {
        let mut parts = parts();
        change(&mut parts);
        let snapshot = snapshot(parts);
        let held = effective(&snapshot, 2, organization_scope());
        assert_eq!(held.allows("planning.task.create"), by_role);
        assert_eq!(held.allows("users.member.update"), by_grant);
    };
    check(&|_| (), true, true);
    check(&|parts| parts.grants[0].1.expires_at = Some(NOW), true, false);
    check(&|parts| parts.grants[0].1.expires_at = Some(NOW + second), true, true);
    check(&|parts| parts.grants[0].1.granted = role_of("no-such-role"), true, false);
    // Without a membership that counts, nothing does.
    check(&|parts| parts.memberships[0].expires_at = Some(NOW), false, false);
    check(&|parts| parts.memberships[0].status = MembershipStatus::Suspended, false, false);
    check(&|parts| parts.memberships.clear(), false, false);
}

#[test]
fn scopes_of_others_are_none() {
    let snapshot =
        snapshot(SnapshotParts { memberships: vec![member(1, &["owner"])], ..SnapshotParts::default() });
    let access = snapshot.access(id(1), NOW);
    assert!(access.at(organization_scope()).is_some());
    for scope in [Scope::Organization(id(2000)), team(1), project(1)] {
        assert!(access.at(scope).is_none(), "{scope:?}");
    }
    let stranger = snapshot.access(id::<UserId>(99), NOW);
    assert!(!stranger.is_member() && stranger.rank() == Rank::Other);
    assert!(stranger.at_organization().to_set().iter().next().is_none());
}

#[test]
fn agents_hold_grants_by_their_id() {
    let snapshot = snapshot(SnapshotParts {
        memberships: vec![member(5, &["guest"])],
        roles: vec![role("guest", &[], &[])],
        grants: vec![grant(30, Subject::Agent(id(5)), organization_scope(), role_of("member"))],
        ..SnapshotParts::default()
    });
    assert!(effective(&snapshot, 5, organization_scope()).allows("planning.task.create"));
}

#[test]
fn an_own_role_cannot_take_the_place_of_a_built_in_one() {
    let mine = Role { built_in: false, ..role("viewer", &["*"], &[]) };
    let snapshot = snapshot(SnapshotParts {
        memberships: vec![member(2, &["viewer"])],
        roles: vec![mine],
        ..SnapshotParts::default()
    });
    assert!(!effective(&snapshot, 2, organization_scope()).allows("planning.task.create"));
}

#[test]
fn nobody_gives_more_than_they_hold() {
    let catalogue = catalogue();
    let snapshot = snapshot(SnapshotParts {
        memberships: vec![member(1, &["owner"]), member(2, &["admin"]), member(3, &["member"])],
        ..SnapshotParts::default()
    });
    let check = |user: u128, wanted: &[&str], missing: Option<&str>| {
        let held = effective(&snapshot, user, organization_scope());
        let answer = escalation::missing_for(&catalogue, |name| held.allows(name), &patterns(wanted));
        assert_eq!(answer.as_deref(), missing, "{user} gives {wanted:?}");
    };
    check(1, &["*"], None);
    check(1, &["users.organization.delete"], None);
    // The second acceptance scenario, plain and hidden in patterns.
    check(2, &["users.organization.delete"], Some("users.organization.delete"));
    check(2, &["planning.*", "users.*"], Some("users.organization.delete"));
    check(2, &["*"], Some("users.organization.delete"));
    check(2, &["*.*.delete"], Some("users.organization.delete"));
    check(2, &["planning.*", "users.team.*", "*.*.read", "*.*.create"], None);
    check(2, &[], None);
    check(3, &["*.*.read", "planning.task.create"], None);
    check(3, &["planning.*"], Some("planning.task.inspect"));
    check(3, &["users.team.update", "planning.task.inspect"], Some("planning.task.inspect"));
    // What covers nothing today must lie inside one held pattern.
    check(1, &["gone.thing.act"], None);
    check(3, &["gone.thing.read"], None);
    check(2, &["gone.*"], Some("gone.*"));
    let held = effective(&snapshot, 2, organization_scope());
    let problem =
        escalation::check(&catalogue, |name| held.allows(name), &patterns(&["users.organization.delete"]))
            .unwrap_err();
    assert_eq!(problem.code.status(), 403);
    assert!(problem.detail.contains("`users.organization.delete`"), "{}", problem.detail);
    // And the admin demotes an owner.
    assert!(snapshot.access(id(2), NOW).rank().check_change(Rank::Owner, Rank::Other).is_err());
    // Built-in roles go to whoever holds all of them.
    let give = |user: u128, name: &str| {
        let held = effective(&snapshot, user, organization_scope());
        let wanted = snapshot.patterns_of_roles(&[name.to_owned()]);
        escalation::missing_for(&catalogue, |name| held.allows(name), &wanted).is_none()
    };
    for (user, name, may) in [
        (1, "owner", true),
        (2, "owner", false),
        (2, "admin", true),
        (3, "admin", false),
        (3, "viewer", true),
    ] {
        assert_eq!(give(user, name), may, "{user} gives {name}");
    }
}

#[test]
fn roles_do_not_inherit_themselves() {
    let graph = RoleGraph::new([role("a", &[], &["b"]), role("b", &[], &[]), role("c", &[], &["a"])]);
    // The fourth acceptance scenario.
    let error = graph.check_change(&role("b", &[], &["a"])).unwrap_err();
    assert_eq!(error, RoleGraphError::Cycle { path: ["b", "a", "b"].map(String::from).to_vec() });
    let problem = Problem::from(error);
    assert_eq!((problem.code.as_str(), problem.code.status()), ("role_cycle", 422));
    assert_eq!((problem.errors[0].pointer.as_str(), problem.errors[0].code), ("/inherits", "role_cycle"));
    assert!(matches!(graph.check_change(&role("b", &[], &["c"])), Err(RoleGraphError::Cycle { .. })));
    assert!(matches!(graph.check_change(&role("d", &[], &["d"])), Err(RoleGraphError::Cycle { .. })));
    assert_eq!(graph.check_change(&role("b", &[], &[])), Ok(()));
    assert_eq!(graph.check_change(&role("d", &[], &["c", "b"])), Ok(()), "a diamond is no cycle");
    let unknown = graph.check_change(&role("d", &[], &["b", "x"])).unwrap_err();
    assert_eq!(unknown, RoleGraphError::UnknownRole { index: 1, name: "x".into() });
    assert_eq!(Problem::from(unknown).errors[0].pointer, "/inherits/1");
}

#[test]
fn chains_have_five_steps_at_most_wherever_they_are_joined() {
    // r0 → r1 → r2 → r3, and s0 → s1 → s2.
    let chain = |prefix: &str, length: usize| -> Vec<Role> {
        let link = |n: usize| role(&format!("{prefix}{n}"), &[], &[&format!("{prefix}{}", n + 1)]);
        let end = role(&format!("{prefix}{}", length - 1), &[], &[]);
        (0..length - 1).map(link).chain([end]).collect()
    };
    let graph = RoleGraph::new(chain("r", 4).into_iter().chain(chain("s", 3)));
    assert_eq!(graph.check_change(&role("r3", &[], &["s1"])), Ok(()), "3 + 1 + 1 steps");
    assert_eq!(
        graph.check_change(&role("r3", &[], &["s0"])),
        Err(RoleGraphError::TooDeep),
        "3 + 1 + 2 steps"
    );
    assert_eq!(graph.check_change(&role("top", &[], &["r0"])), Ok(()));
    assert_eq!(Problem::from(RoleGraphError::TooDeep).errors[0].code, "too_deep");
    assert!(
        graph.check_names("/roles", &["r0".into(), "x".into()]).unwrap_err().errors[0].pointer == "/roles/1"
    );
}

#[test]
fn sources_are_written_for_clients() {
    let source = Source {
        origin: Origin::Grant { grant_id: id(30), scope: organization_scope(), team_id: None },
        role: None,
        inherited_through: vec!["lead".into()],
    };
    assert_eq!(
        serde_json::to_value(source).unwrap(),
        serde_json::json!({
            "source": "grant",
            "grantId": id::<crate::model::GrantId>(30),
            "scope": {"type": "organization", "id": organization_id()},
            "teamId": null,
            "role": null,
            "inheritedThrough": ["lead"],
        })
    );
}

#[test]
fn a_lead_may_change_the_team_and_those_below_while_being_a_member() {
    let lead = TeamMember { role: TeamRole::Lead, ..place(11, 1) };
    let parts = SnapshotParts {
        memberships: vec![member(1, &["viewer"]), member(2, &["viewer"])],
        teams: vec![(id(10), None), (id(11), Some(id(10))), (id(12), Some(id(11)))],
        team_members: vec![lead.clone(), place(11, 2)],
        ..SnapshotParts::default()
    };
    let snapshot = snapshot(parts.clone());
    let may = |user, scope| effective(&snapshot, user, scope).allows("users.team.update");
    assert!(may(1, team(11)) && may(1, team(12)));
    assert!(!may(1, team(10)) && !may(1, organization_scope()) && !may(2, team(11)));
    assert!(!effective(&snapshot, 1, team(11)).allows("users.team.delete"));
    let origin = Origin::Lead { team_id: id(11) };
    let source = Source { origin, role: None, inherited_through: Vec::new() };
    assert_eq!(effective(&snapshot, 1, team(12)).sources_of("users.team.update"), [source]);
    let stranger = super::fixture::snapshot(SnapshotParts { memberships: Vec::new(), ..parts });
    assert!(!effective(&stranger, 1, team(11)).allows("users.team.update"));
}

#[test]
fn what_is_put_below_a_team_comes_under_the_grants_at_it_and_above() {
    let granted = |name: &str| Granted::Permissions(patterns(&[name]));
    let snapshot = snapshot(SnapshotParts {
        teams: vec![(id(10), None), (id(11), Some(id(10)))],
        grants: vec![
            grant(30, Subject::User(id(1)), team(10), granted("planning.task.read")),
            grant(31, Subject::User(id(1)), team(11), granted("planning.task.update")),
            grant(32, Subject::User(id(1)), organization_scope(), granted("planning.plan.read")),
        ],
        ..SnapshotParts::default()
    });
    let mut below = snapshot.given_at_team(id(11), NOW);
    below.sort();
    assert_eq!(below, patterns(&["planning.task.read", "planning.task.update"]));
    assert_eq!(snapshot.given_at_team(id(10), NOW), patterns(&["planning.task.read"]));
}
