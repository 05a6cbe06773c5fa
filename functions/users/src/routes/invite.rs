//! Inviting: up to 50 addresses at once, each with an outcome of its own.

use std::collections::{HashMap, HashSet};

use coder_core::{Failure, Problem, Result, Scope, TeamId};
use coder_database::{Filter, Record, Transaction};
use coder_handler::{Cause, Routes, retry_stale};
use coder_middleware::{Access as _, Allowed, Body, Example, Json, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::invitations::{InvitationView, shown_url};
use super::teams::{check_team_gift, snapshot_for_teams};
use crate::catalogue::InvitationCreate;
use crate::invite::Draft;
use crate::model::{CONTAINER, Invitation, ProjectGrant};
use crate::names::{self, Check};
use crate::rules::Limit;
use crate::service::{Snapshot, Users};

/// Invitations that one batch makes; each needs three operations of the hundred.
const BATCH: usize = 25;

/// Adds the routes.
pub(super) fn routes(routes: Routes<Users>) -> Routes<Users> {
    routes.post("/invitations", "create_invitations", "Invite up to 50 e-mail addresses", create_invitations)
}

/// Whom to invite, and to what.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Invite {
    /// The addresses.
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 254)))]
    pub emails: Vec<String>,
    /// Roles of the memberships to be; the organization's default role if left out.
    #[schemars(length(min = 1, max = 5), inner(length(max = 40)))]
    pub roles: Option<Vec<String>>,
    /// Teams to join.
    #[serde(default)]
    #[schemars(length(max = 10))]
    pub team_ids: Vec<TeamId>,
    /// Roles in single projects.
    #[serde(default)]
    #[schemars(length(max = 10))]
    pub project_grants: Vec<ProjectGrant>,
    /// A word to the invited people; may have several lines.
    #[schemars(length(max = 1000))]
    pub message: Option<String>,
}

impl Example for Invite {
    fn example() -> Self {
        Self {
            emails: vec!["ada@example.com".to_owned()],
            roles: Some(vec!["member".to_owned()]),
            team_ids: Vec::new(),
            project_grants: Vec::new(),
            message: Some("Join us!".to_owned()),
        }
    }
}

/// What came of one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InviteOutcome {
    /// Invited; the mail is on its way.
    Sent,
    /// The person is a member.
    AlreadyMember,
    /// The address has a pending invitation.
    AlreadyInvited,
    /// The address stands in the request before.
    Duplicate,
    /// This is no address.
    InvalidEmail,
    /// The organization has as many pending invitations as it may.
    LimitReached,
}

/// An address with what came of it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InviteResult {
    /// The address as it was sent.
    pub email: String,
    /// What came of it.
    pub outcome: InviteOutcome,
    /// The invitation, if one was made.
    pub invitation: Option<InvitationView>,
    /// Where the invited person answers; shown this once, and only where no mail server is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_url: Option<String>,
}

/// What came of each address, in the order of the request.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct InviteResults {
    /// A result for each address.
    pub results: Vec<InviteResult>,
}

impl Example for InviteResults {
    fn example() -> Self {
        let invitation = Some(InvitationView::example());
        let email = "ada@example.com".to_owned();
        Self {
            results: vec![InviteResult { email, outcome: InviteOutcome::Sent, invitation, accept_url: None }],
        }
    }
}

async fn create_invitations(
    State(users): State<Users>,
    who: Allowed<InvitationCreate>,
    Body(input): Body<Invite>,
) -> Result<Json<InviteResults>> {
    // A repeated request is answered before anything is looked at.
    drop(who.transaction(CONTAINER).await?);
    let addresses = addresses(&input.emails);
    let draft = draft(&users, &who, input).await?;
    let mut results = Vec::with_capacity(addresses.len());
    let mut batches = addresses.chunks(BATCH).peekable();
    while let Some(batch) = batches.next() {
        let last = batches.peek().is_none();
        // What earlier batches made stays made, so only this one runs again.
        let answer = match retry_stale(|| invite_batch(&users, &who, &draft, batch, &results, last)).await {
            Err(Failure::Stale) => {
                let detail = "The organization is being changed by many at once.";
                return Err(Problem::unavailable(detail, 1).into());
            }
            outcome => outcome?,
        };
        if last {
            return Ok(answer);
        }
        results = answer.0.results;
    }
    Ok(Json(InviteResults { results }))
}

/// Invites one batch; the last one's transaction also keeps the answer for a repeated request.
async fn invite_batch(
    users: &Users,
    who: &Allowed<InvitationCreate>,
    draft: &Draft,
    batch: &[Address],
    before: &[InviteResult],
    last: bool,
) -> Result<Json<InviteResults>> {
    let cause = Cause::Request(who.context());
    let mut results = before.to_vec();
    if last {
        let mut unit = who.transaction(CONTAINER).await?;
        results.extend(invite_each(users, cause, &mut unit, who, draft, batch).await?);
        return unit.commit(Json(InviteResults { results })).await;
    }
    let mut unit = cause.begin(CONTAINER, who.partition());
    results.extend(invite_each(users, cause, &mut unit, who, draft, batch).await?);
    cause.commit(unit).await?;
    Ok(Json(InviteResults { results }))
}

/// An address of the request in its stored form, or why there is none.
type Address = (String, Result<String, InviteOutcome>);

fn addresses(texts: &[String]) -> Vec<Address> {
    let mut seen = HashSet::new();
    let read = |text: &String| {
        let email = names::email(text).ok_or(InviteOutcome::InvalidEmail);
        let email = email.and_then(|email| {
            if seen.insert(email.clone()) { Ok(email) } else { Err(InviteOutcome::Duplicate) }
        });
        (text.clone(), email)
    };
    texts.iter().map(read).collect()
}

async fn invite_each(
    users: &Users,
    cause: Cause<'_>,
    unit: &mut Transaction,
    who: &Allowed<InvitationCreate>,
    draft: &Draft,
    batch: &[Address],
) -> Result<Vec<InviteResult>> {
    // The organization is read first and written with the batch: of two that invite at once the second runs again.
    let organization = users.organization(who.organization_id).await?;
    let members = users.all_memberships(who.organization_id).await?;
    let members: HashSet<String> =
        members.into_iter().filter_map(|member| member.data.person.email).collect();
    let pending =
        users.invitations.all(&who.partition(), Filter::eq("status", "pending"), usize::MAX).await?;
    let mut pending: HashMap<String, Record<Invitation>> =
        pending.into_iter().map(|record| (record.data.email.clone(), record)).collect();
    let mut present = pending.len();
    let addresses: Vec<&str> = batch.iter().filter_map(|(_, email)| email.as_deref().ok()).collect();
    let holders = users.account_holders(&addresses).await;
    let mut results = Vec::with_capacity(batch.len());
    let mut guarded = false;
    for (text, email) in batch {
        let mut result = InviteResult {
            email: text.clone(),
            outcome: InviteOutcome::Sent,
            invitation: None,
            accept_url: None,
        };
        match email {
            Err(outcome) => result.outcome = *outcome,
            Ok(email) if members.contains(email) => result.outcome = InviteOutcome::AlreadyMember,
            Ok(email) => {
                if let Some(lapsed) = pending.remove(email) {
                    if lapsed.data.is_open(users.now()) {
                        result.outcome = InviteOutcome::AlreadyInvited;
                        results.push(result);
                        continue;
                    }
                    crate::jobs::expire_invitation(users, cause, &lapsed).await?;
                    present = present.saturating_sub(1);
                }
                if Limit::PendingInvitations.check(&organization.data.limits, present, 1).is_err() {
                    result.outcome = InviteOutcome::LimitReached;
                } else {
                    if !guarded {
                        users.raise_version(unit, &organization)?;
                        guarded = true;
                    }
                    let sent = users
                        .invite(cause, unit, who.organization_id, draft, (email, holders.get(email).copied()))
                        .await?;
                    result.accept_url = shown_url(users, &sent);
                    result.invitation = Some(InvitationView::of(sent.invitation, users.now()));
                    present += 1;
                }
            }
        }
        results.push(result);
    }
    Ok(results)
}

/// What the invitations have in common, checked: `422` with every fault, `403` for what the caller may not give.
async fn draft(users: &Users, who: &Allowed<InvitationCreate>, input: Invite) -> Result<Draft> {
    let Invite { roles, mut team_ids, project_grants, mut message, .. } = input;
    team_ids.sort_unstable();
    team_ids.dedup();
    let projects: Vec<Scope> = project_grants.iter().map(|one| Scope::Project(one.project_id)).collect();
    let snapshot = snapshot_for_teams(users, who.organization_id, who.user_id, &team_ids, &projects).await?;
    let settings = &snapshot.organization.data.settings;
    let roles = roles.unwrap_or_else(|| vec![settings.default_role.clone()]);
    check_references(&snapshot, &roles, &team_ids, &project_grants, &mut message)?;
    users.check_roles(who.context(), &snapshot, "/roles", &roles)?;
    for team_id in &team_ids {
        check_team_gift(users, who.context(), &snapshot, *team_id, None)?;
    }
    for one in &project_grants {
        let given = snapshot.permissions.patterns_of_roles([&one.role]);
        users.check_gift(who.context(), &snapshot, Scope::Project(one.project_id), &given)?;
    }
    let expires_at = Invitation::lapses_at(users.now(), settings.invitation_days);
    Ok(Draft { roles, team_ids, project_grants, message, invited_by: who.user_id, expires_at })
}

fn check_references(
    snapshot: &Snapshot,
    roles: &[String],
    team_ids: &[TeamId],
    project_grants: &[ProjectGrant],
    message: &mut Option<String>,
) -> Result<()> {
    let mut check = Check::default();
    check.optional_text("/message", message, 1000);
    check.unique("/roles", "", roles.iter().map(String::as_str));
    let unknown = "There is no such one in this organization.";
    let has_role = |name: &String| snapshot.permissions.roles().get(name).is_some();
    for (index, _) in roles.iter().enumerate().filter(|(_, role)| !has_role(role)) {
        check.fault(&format!("/roles/{index}"), "unknown_role", unknown);
    }
    let teams = snapshot.permissions.teams();
    for (index, _) in team_ids.iter().enumerate().filter(|(_, team)| !teams.contains(**team)) {
        check.fault(&format!("/teamIds/{index}"), "unknown_team", unknown);
    }
    for (index, one) in project_grants.iter().enumerate() {
        if snapshot.permissions.ancestors(Scope::Project(one.project_id)).is_none() {
            check.fault(&format!("/projectGrants/{index}/projectId"), "unknown_project", unknown);
        }
        if !has_role(&one.role) {
            check.fault(&format!("/projectGrants/{index}/role"), "unknown_role", unknown);
        }
    }
    check.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{InviteOutcome, addresses};

    #[test]
    fn addresses_are_normalised_and_each_counts_once() {
        let texts = [" Ada@Example.com", "nobody", "ada@example.com", "grace@example.com"].map(str::to_owned);
        let outcomes: Vec<_> = addresses(&texts).into_iter().map(|(_, email)| email).collect();
        assert_eq!(
            outcomes,
            [
                Ok("ada@example.com".to_owned()),
                Err(InviteOutcome::InvalidEmail),
                Err(InviteOutcome::Duplicate),
                Ok("grace@example.com".to_owned()),
            ]
        );
    }
}
