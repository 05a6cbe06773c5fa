//! Memberships of the organization.

use coder_core::{Code, OrganizationId, Permission as _, Problem, Result, Scope, Timestamp, UserId};
use coder_database::{Filter, Record};
use coder_handler::{Cause, Routes};
use coder_middleware::{
    Access as _, Allowed, Example, Filters, IfMatch, Json, List, NoContent, PageOf, Patch, Path, SignedIn,
    State,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::search::{all_of, begins, by_stored_field};
use crate::catalogue::{MemberDelete, MemberRead, MemberUpdate};
use crate::model::{CONTAINER, Membership, MembershipStatus, User, UserKind};
use crate::service::Users;
use crate::service::gift::Giver;
use crate::service::membership_change::MemberWrite;
use crate::service::mirrors::later;

/// How long an access token could still name an organization that its person left, in seconds.
const TOKEN_SECONDS: i64 = 16 * 60;

/// Adds the routes.
pub fn routes(routes: Routes<Users>) -> Routes<Users> {
    let one = "/members/{userId}";
    routes
        .get("/members", "list_members", "List memberships", list_members)
        .get(one, "get_member", "Read a membership", get_member)
        .patch(one, "update_member", "Change a member's roles, suspend or reinstate", update_member)
        .problems([Code::LastOwner])
        .delete(one, "remove_member", "Remove a member, or leave", remove_member)
        .problems([Code::LastOwner])
}

/// A membership.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberView {
    /// Who.
    pub user_id: UserId,
    /// The person's name.
    pub display_name: String,
    /// The person's address; only for those who may read memberships.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What kind of identity.
    pub kind: UserKind,
    /// Names of roles.
    pub roles: Vec<String>,
    /// Whether it counts.
    pub status: MembershipStatus,
    /// Since when.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub joined_at: Timestamp,
    /// Who asked them in.
    pub invited_by: Option<UserId>,
    /// When it ends by itself.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<Timestamp>,
    /// Last use, noted at most once an hour.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub last_access_at: Option<Timestamp>,
    /// Changes with the membership.
    pub etag: String,
}

impl MemberView {
    fn of(record: Record<Membership>, with_email: bool) -> Self {
        let Membership { user_id, roles, status, joined_at, invited_by, expires_at, last_access_at, person } =
            record.data;
        Self {
            user_id,
            display_name: person.display_name,
            email: person.email.filter(|_| with_email),
            kind: person.kind,
            roles,
            status,
            joined_at,
            invited_by,
            expires_at,
            last_access_at,
            etag: record.meta.etag,
        }
    }
}

impl Example for Membership {
    fn example() -> Self {
        let id = coder_core::id::EXAMPLE;
        Self::new(id.into(), vec!["member".to_owned()], Timestamp::UNIX_EPOCH).of(&User::example())
    }
}

impl Example for MemberView {
    fn example() -> Self {
        Self::of(Record::example(Membership::example()), true)
    }
}

/// Filters of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberFilters {
    /// How the name or the e-mail address begins, whatever its case.
    #[schemars(length(min = 1, max = 120))]
    pub q: Option<String>,
    /// Only those with this role.
    #[schemars(length(min = 1, max = 40))]
    pub role: Option<String>,
    /// Only memberships in this state.
    pub status: Option<MembershipStatus>,
}

impl Filters for MemberFilters {
    const SORT: &'static [&'static str] = &["joinedAt", "displayName"];

    fn filter(&self) -> Option<Filter> {
        all_of([
            self.q.as_deref().map(|q| begins(q, true)),
            self.role.as_deref().map(|role| Filter::ArrayContains("roles".to_owned(), role.into())),
            self.status.map(|status| Filter::Eq("status".to_owned(), json!(status))),
        ])
    }
}

async fn list_members(
    State(users): State<Users>,
    who: Allowed<MemberRead>,
    list: List<MemberFilters>,
) -> Result<Json<PageOf<MemberView>>> {
    let page = by_stored_field(list).page(&users.memberships, &who.partition(), None).await?;
    let items = page.items.into_iter().map(|record| MemberView::of(record, true)).collect();
    Ok(Json(PageOf { items, next_cursor: page.next_cursor }))
}

async fn get_member(
    State(users): State<Users>,
    who: Allowed<MemberRead>,
    Path(user_id): Path<UserId>,
) -> Result<Json<MemberView>> {
    let membership = users.membership(who.organization_id, user_id).await?;
    Ok(Json(MemberView::of(membership, true)))
}

async fn update_member(
    State(users): State<Users>,
    who: Allowed<MemberUpdate>,
    Path(user_id): Path<UserId>,
    if_match: IfMatch,
    patch: Patch<MemberWrite>,
) -> Result<Json<MemberView>> {
    let snapshot = users.snapshot(who.organization_id, who.user_id, &[]).await?;
    let before = users.membership(who.organization_id, user_id).await?;
    if_match.check(&before.meta)?;
    let write = patch.apply(&MemberWrite::of(&before.data))?;
    let mut unit = who.transaction(CONTAINER).await?;
    let record = users.change_member(who.context(), &snapshot, &mut unit, &before, write).await?;
    let scope = Scope::Organization(who.organization_id);
    let with_email = who.holds(MemberRead::DECLARATION.name, scope).await?;
    let answer = unit.commit(Json(MemberView::of(record, with_email))).await?;
    later(users.settle_membership(Cause::Request(who.context()), who.organization_id, user_id).await);
    Ok(answer)
}

async fn remove_member(
    State(users): State<Users>,
    who: SignedIn,
    Path(user_id): Path<UserId>,
    if_match: IfMatch,
) -> Result<NoContent> {
    let Some(organization_id) = who.organization_id else {
        return Err(coder_core::Failure::problem(
            Code::Forbidden,
            "The access token is for no organization.",
        ));
    };
    let organization = users.organization(organization_id).await?;
    let leaves = user_id == who.user_id;
    if !leaves {
        check_may_remove(&users, &who, organization_id, user_id).await?;
    }
    let membership = users.membership(organization_id, user_id).await?;
    if_match.check(&membership.meta)?;
    let partition = coder_database::Partition::organization(organization_id);
    let mut unit = who.begin(CONTAINER, partition).await?;
    let reason = if leaves { "left" } else { "removed" };
    users.remove_member(&mut unit, &organization, &membership, reason).await?;
    let answer = unit.commit(NoContent).await?;
    let runtime = &users.runtime;
    let until = runtime.ambient.after(TOKEN_SECONDS);
    runtime.revocations.revoke_membership(user_id, organization_id, users.now(), until);
    later(users.settle_membership(Cause::Request(who.context()), organization_id, user_id).await);
    Ok(answer)
}

/// `403` unless the caller may remove this member, by permission and by rank.
async fn check_may_remove(
    users: &Users,
    who: &SignedIn,
    organization_id: OrganizationId,
    user_id: UserId,
) -> Result<()> {
    let name = MemberDelete::DECLARATION.name;
    let snapshot = users.snapshot(organization_id, who.user_id, &[]).await?;
    let access = snapshot.access(users, who.user_id);
    let by_key = Giver::of(who.context())?.key_allows(&snapshot, snapshot.scope(), name);
    if !by_key || !access.at_organization().allows(name) {
        return Err(Problem::missing_permission(name).into());
    }
    let membership = users.membership(organization_id, user_id).await?;
    let rank = crate::permissions::Rank::of(&membership.data.roles);
    access.rank().check_change(rank, crate::permissions::Rank::Other)?;
    Ok(())
}
