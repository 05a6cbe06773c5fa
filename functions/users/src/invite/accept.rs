//! Answering an invitation by its token.

use coder_core::{Code, Failure, OrganizationId, Problem, Result, Scope, TeamId, UserId};
use coder_database::{Filter, Partition, Record, Transaction};
use coder_handler::{Cause, retry_stale};
use serde_json::json;

use super::close;
use super::token::PresentedToken;
use crate::model::{
    CONTAINER, Grant, GrantId, Granted, Invitation, InvitationStatus, Membership, MembershipStatus, Subject,
    TeamMember, TeamRole, User,
};
use crate::rules::{InvitationError, Limit};
use crate::service::gift::grant_event;
use crate::service::{Snapshot, Users};

/// Roles that a membership can have.
const MAX_ROLES: usize = 5;

/// Where a token leads; `404` if nowhere.
#[derive(Debug)]
pub(crate) struct Location {
    pub(crate) organization_id: OrganizationId,
    invitation_id: String,
    presented: PresentedToken,
}

/// Finds the invitation of a token.
pub(crate) async fn locate(users: &Users, token: &str) -> Result<Location> {
    let unknown =
        || Failure::problem(Code::NotFound, "There is no such invitation; open the link of the mail again.");
    let presented = PresentedToken::parse(token).ok_or_else(unknown)?;
    let found =
        users.invitation_tokens.find(&Partition::keyed("token", &presented.id), &presented.id).await?;
    let data = found.ok_or_else(unknown)?.data;
    let (organization_id, invitation_id) = (data.invited_to, data.invitation_id.to_string());
    Ok(Location { organization_id, invitation_id, presented })
}

/// The invitation, whatever its status; `410` if the token is not the one that was sent last.
pub(crate) async fn opened(users: &Users, at: &Location) -> Result<Record<Invitation>> {
    let partition = Partition::organization(at.organization_id);
    let found = users.invitations.find(&partition, &at.invitation_id).await?;
    let answered = found.filter(|record| at.presented.answers(&record.data));
    answered.ok_or_else(|| Problem::from(InvitationError::Over).into())
}

/// Whether this person accepted the invitation before; what may be missing of that is then done again.
pub(crate) async fn accepted_before(
    users: &Users,
    cause: Cause<'_>,
    at: &Location,
    invitation: &Invitation,
    user_id: UserId,
    verified_email: Option<&str>,
) -> Result<bool> {
    let same =
        invitation.status == InvitationStatus::Accepted && verified_email == Some(invitation.email.as_str());
    if !same || users.find_membership(at.organization_id, user_id).await?.is_none() {
        return Ok(false);
    }
    users.settle_membership(cause, at.organization_id, user_id).await?;
    Ok(true)
}

/// Accepts the invitation of a token in the name of a person; one that this person accepted before is no fault.
pub(crate) async fn accept_by_token(
    users: &Users,
    cause: Cause<'_>,
    token: &str,
    person: &Record<User>,
    verified_email: Option<&str>,
) -> Result<OrganizationId> {
    let (at, user_id) = (locate(users, token).await?, person.id::<UserId>()?);
    let verified_email = verified_email.or_else(|| users.own_email(&person.data));
    retry_stale(|| async {
        let invitation = opened(users, &at).await?;
        if accepted_before(users, cause, &at, &invitation.data, user_id, verified_email).await? {
            return Ok(());
        }
        let mut unit = cause.begin(CONTAINER, Partition::organization(at.organization_id));
        accept(users, cause, &mut unit, &invitation, person, verified_email).await?;
        cause.commit(unit).await
    })
    .await?;
    users.settle_membership(cause, at.organization_id, user_id).await?;
    Ok(at.organization_id)
}

/// Accepts an invitation: membership, team places, grants, status and version in one transaction of the
/// organization. The caller settles the mirror once it is committed.
pub(crate) async fn accept(
    users: &Users,
    cause: Cause<'_>,
    unit: &mut Transaction,
    before: &Record<Invitation>,
    person: &Record<User>,
    verified_email: Option<&str>,
) -> Result<()> {
    let mut after = before.data.clone();
    after.accept(verified_email, users.now()).map_err(Problem::from)?;
    let Some(organization_id) = before.meta.organization_id else {
        return Err(Failure::internal("an invitation is in an organization"));
    };
    let user_id: UserId = person.id()?;
    if users.find_membership(organization_id, user_id).await?.is_none() {
        // What is left of an earlier membership must not come back with this one.
        users.settle_membership(cause, organization_id, user_id).await?;
    }
    let projects: Vec<Scope> =
        after.project_grants.iter().map(|one| Scope::Project(one.project_id)).collect();
    let snapshot = users.snapshot(organization_id, user_id, &projects).await?;
    // First of all, so that of two who accept at once the second finds it used, and not its membership taken.
    let after = close(unit, before, after)?.data;
    join_organization(users, unit, &snapshot, &after, person).await?;
    for team_id in &after.team_ids {
        join_team(users, unit, &snapshot, *team_id, user_id).await?;
    }
    for one in &after.project_grants {
        let scope = Scope::Project(one.project_id);
        let known = snapshot.permissions.ancestors(scope).is_some()
            && snapshot.permissions.roles().get(&one.role).is_some();
        if known {
            let granted = Granted::Role(one.role.clone());
            let grant = Grant { subject: Subject::User(user_id), scope, granted, expires_at: None };
            let record = unit.create(users.runtime.ambient.new_id::<GrantId>(), grant)?;
            unit.emit("grant.added", &record.meta.id, grant_event(&record.meta.id, &record.data));
        }
    }
    Ok(())
}

/// Adds the membership, or the roles to the one that is there.
async fn join_organization(
    users: &Users,
    unit: &mut Transaction,
    snapshot: &Snapshot,
    invitation: &Invitation,
    person: &Record<User>,
) -> Result<()> {
    let (organization, now) = (&snapshot.organization, users.now());
    // A role that is gone gives nothing and would stand in the way of later changes.
    let known = |role: &&String| snapshot.permissions.roles().get(role).is_some();
    let mut roles: Vec<String> = invitation.roles.iter().filter(known).cloned().collect();
    if roles.is_empty() {
        roles.push(organization.data.settings.default_role.clone());
    }
    let user_id: UserId = person.id()?;
    let Some(before) = users.find_membership(snapshot.organization_id(), user_id).await? else {
        let membership =
            Membership { invited_by: invitation.invited_by, ..Membership::new(user_id, roles, now) };
        users.add_member(unit, organization, membership.of(&person.data), "invitation").await?;
        return Ok(());
    };
    if before.data.status == MembershipStatus::Suspended {
        let detail = "Your membership of this organization is suspended; ask one of its admins.";
        return Err(Failure::problem(Code::InvalidState, detail));
    }
    let mut after = before.data.clone().of(&person.data);
    if before.data.is_active(now) {
        after.roles.extend(roles.into_iter().filter(|role| !before.data.roles.contains(role)));
        after.roles.truncate(MAX_ROLES);
    } else {
        (after.roles, after.joined_at, after.expires_at) = (roles, now, None);
    }
    let event = json!({"userId": user_id, "rolesBefore": before.data.roles, "rolesAfter": after.roles});
    let (_, changes) = unit.replace(&before, after)?;
    users.raise_version(unit, organization)?;
    unit.emit_changes("membership.updated", &user_id.to_string(), event, &changes);
    Ok(())
}

/// Adds a place in a team. A team that is gone or full is left out: it must not keep the person out.
async fn join_team(
    users: &Users,
    unit: &mut Transaction,
    snapshot: &Snapshot,
    team_id: TeamId,
    user_id: UserId,
) -> Result<()> {
    let partition = Partition::organization(snapshot.organization_id());
    let id = TeamMember::document_id(team_id, user_id);
    let gone = !snapshot.permissions.teams().contains(team_id);
    if gone || users.team_members.find(&partition, &id).await?.is_some() {
        return Ok(());
    }
    let of_team = Filter::eq("teamId", team_id.to_string());
    let present = users.team_members.all(&partition, of_team, usize::MAX).await?.len();
    if Limit::TeamMembers.check(&snapshot.organization.data.limits, present, 1).is_ok() {
        let place = TeamMember { team_id, user_id, role: TeamRole::Member };
        unit.emit("team-member.added", &id, crate::routes::team_members::event(&place));
        unit.create(id, place)?;
    }
    Ok(())
}

/// Declines an invitation.
pub(crate) fn decline(
    users: &Users,
    unit: &mut Transaction,
    before: &Record<Invitation>,
    verified_email: Option<&str>,
) -> Result<()> {
    let mut after = before.data.clone();
    after.decline(verified_email, users.now()).map_err(Problem::from)?;
    close(unit, before, after)?;
    Ok(())
}
