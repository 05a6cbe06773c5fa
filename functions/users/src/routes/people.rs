//! The people of the organization, as their colleagues see them, and what each may do.

use coder_core::{Code, Failure, OrganizationId, Permission as _, Problem, Result, Scope, Timestamp, UserId};
use coder_database::{Filter, Record};
use coder_handler::Routes;
use coder_middleware::{
    Access as _, Allowed, Example, Filters, Json, List, PageOf, Path, Query, SignedIn, State,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::search::{all_of, begins, by_stored_field};
use crate::catalogue::{GrantRead, MemberRead, PersonRead};
use crate::model::{Competency, Membership, PersonMirror, User, UserKind, UserStatus};
use crate::names::folded;
use crate::permissions::{EffectivePermission, Origin, Source};
use crate::service::Users;
use crate::service::gift::Giver;

/// Adds the routes.
pub fn routes(routes: Routes<Users>) -> Routes<Users> {
    let permissions = "/people/{userId}/permissions";
    routes
        .get("/people", "list_people", "List the people of the organization", list_people)
        .get("/people/{userId}", "get_person", "Read a person's profile", get_person)
        .get(permissions, "get_person_permissions", "Say what a person may do, and why", get_permissions)
}

/// A person in a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonSummary {
    /// The person.
    pub user_id: UserId,
    /// What kind of identity.
    pub kind: UserKind,
    /// The name.
    pub display_name: String,
    /// The address; only for those who may read memberships.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Position.
    pub title: Option<String>,
    /// Address of a picture.
    pub avatar_url: Option<String>,
    /// Skills.
    pub competencies: Vec<Competency>,
    /// Where the identity is in its life.
    pub status: UserStatus,
    /// Member since.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub joined_at: Timestamp,
}

/// A person's profile.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonView {
    /// What lists show too.
    #[serde(flatten)]
    pub summary: PersonSummary,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// About the person.
    pub bio: Option<String>,
    /// Telephone number; only for those who may read memberships.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Language tag.
    pub locale: String,
    /// IANA time zone.
    pub time_zone: String,
}

impl PersonSummary {
    fn of(membership: &Membership, person: PersonMirror, with_email: bool) -> Self {
        Self {
            user_id: membership.user_id,
            kind: person.kind,
            display_name: person.display_name,
            email: person.email.filter(|_| with_email),
            title: person.title,
            avatar_url: person.avatar_url,
            competencies: person.competencies,
            status: person.status,
            joined_at: membership.joined_at,
        }
    }
}

impl PersonView {
    fn of(membership: &Membership, person: User, with_contact: bool) -> Self {
        Self {
            summary: PersonSummary::of(membership, PersonMirror::from(&person), with_contact),
            first_name: person.first_name,
            last_name: person.last_name,
            bio: person.bio,
            phone: person.phone.filter(|_| with_contact),
            locale: person.locale,
            time_zone: person.time_zone,
        }
    }
}

impl Example for PersonSummary {
    fn example() -> Self {
        let membership = Membership::example();
        Self::of(&membership, membership.person.clone(), true)
    }
}

impl Example for PersonView {
    fn example() -> Self {
        Self::of(&Membership::example(), User::example(), true)
    }
}

/// Filters of the list of people.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeopleFilters {
    /// How the name or the e-mail address begins, whatever its case.
    #[schemars(length(min = 1, max = 120))]
    pub q: Option<String>,
    /// Only members of this team.
    pub team_id: Option<coder_core::TeamId>,
    /// Only those with this skill.
    #[schemars(length(min = 1, max = 50))]
    pub competency: Option<String>,
    /// Only this kind of identity.
    pub kind: Option<UserKind>,
    /// Only identities in this state.
    pub status: Option<UserStatus>,
}

impl Filters for PeopleFilters {
    const SORT: &'static [&'static str] = &["displayName", "joinedAt"];

    fn filter(&self) -> Option<Filter> {
        let eq = |field: &str, value: serde_json::Value| Filter::Eq(field.to_owned(), value);
        let skill = |name: &String| {
            Filter::ArrayContains("person.foldedCompetencies".to_owned(), folded(name).into())
        };
        all_of([
            self.competency.as_ref().map(skill),
            self.kind.map(|kind| eq("person.kind", json!(kind))),
            self.status.map(|status| eq("person.status", json!(status))),
        ])
    }
}

async fn list_people(
    State(users): State<Users>,
    who: Allowed<PersonRead>,
    list: List<PeopleFilters>,
) -> Result<Json<PageOf<PersonSummary>>> {
    let with_email = sees_email(&who).await?;
    let of_team = match list.filters.team_id {
        Some(team) => {
            let places = Filter::eq("teamId", team.to_string());
            let places = users.team_members.all(&who.partition(), places, usize::MAX).await?;
            let ids = places.iter().map(|place| json!(place.data.user_id)).collect();
            Some(Filter::In("userId".to_owned(), ids))
        }
        None => None,
    };
    let search = list.filters.q.as_deref().map(|q| begins(q, with_email));
    let list = by_stored_field(list);
    let page = list.page(&users.memberships, &who.partition(), all_of([of_team, search])).await?;
    let item = |record: Record<Membership>| {
        let person = record.data.person.clone();
        PersonSummary::of(&record.data, person, with_email)
    };
    let items = page.items.into_iter().map(item).collect();
    Ok(Json(PageOf { items, next_cursor: page.next_cursor }))
}

async fn get_person(
    State(users): State<Users>,
    who: Allowed<PersonRead>,
    Path(user_id): Path<UserId>,
) -> Result<Json<PersonView>> {
    let membership = users.membership(who.organization_id, user_id).await?;
    let person = users.person(user_id).await?;
    Ok(Json(PersonView::of(&membership.data, person.data, sees_email(&who).await?)))
}

async fn sees_email(who: &Allowed<PersonRead>) -> Result<bool> {
    who.holds(MemberRead::DECLARATION.name, Scope::Organization(who.organization_id)).await
}

/// The scope that is asked about.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScopeQuery {
    /// The kind of scope; the organization if it is left out.
    #[serde(default)]
    pub scope_type: ScopeType,
    /// The team's or project's id.
    #[schemars(length(max = 36))]
    pub scope_id: Option<String>,
}

/// Kinds of scope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScopeType {
    /// The whole organization.
    #[default]
    Organization,
    /// A team.
    Team,
    /// A project.
    Project,
}

impl ScopeQuery {
    fn scope(&self, organization_id: OrganizationId) -> Result<Scope> {
        let id = self.scope_id.as_deref().unwrap_or_default();
        let unknown = || Failure::from(Problem::not_found("scope"));
        match self.scope_type {
            ScopeType::Organization if id.is_empty() => Ok(Scope::Organization(organization_id)),
            ScopeType::Organization => id.parse().map(Scope::Organization).map_err(|_| unknown()),
            ScopeType::Team => id.parse().map(Scope::Team).map_err(|_| unknown()),
            ScopeType::Project => id.parse().map(Scope::Project).map_err(|_| unknown()),
        }
    }
}

/// What a person may do at a scope.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonPermissions {
    /// The person.
    pub user_id: UserId,
    /// Where.
    pub scope: Scope,
    /// Each permission with where it comes from.
    pub permissions: Vec<EffectivePermission>,
    /// The patterns behind them, which can cover permissions that are yet to come.
    #[schemars(with = "Vec<String>")]
    pub patterns: coder_core::PermissionSet,
    /// Rises with every change.
    pub permission_version: u64,
}

impl Example for PersonPermissions {
    fn example() -> Self {
        let source = Source {
            origin: Origin::Membership,
            role: Some("viewer".to_owned()),
            inherited_through: Vec::new(),
        };
        Self {
            user_id: coder_core::id::EXAMPLE.into(),
            scope: Scope::Organization(coder_core::id::EXAMPLE.into()),
            permissions: vec![EffectivePermission {
                permission: PersonRead::DECLARATION.name,
                sources: vec![source],
            }],
            patterns: coder_core::Pattern::parse("*.*.read").into_iter().collect(),
            permission_version: 7,
        }
    }
}

async fn get_permissions(
    State(users): State<Users>,
    who: SignedIn,
    Path(user_id): Path<UserId>,
    Query(query): Query<ScopeQuery>,
) -> Result<Json<PersonPermissions>> {
    let Some(organization_id) = who.organization_id else {
        return Err(Failure::problem(Code::Forbidden, "The access token is for no organization."));
    };
    if user_id != who.user_id {
        check_may_look(&users, &who, organization_id).await?;
    }
    let scope = query.scope(organization_id)?;
    users.membership(organization_id, user_id).await?;
    let snapshot = users.snapshot(organization_id, user_id, &[scope]).await?;
    let access = snapshot.access(&users, user_id);
    let held = access.at(scope).ok_or_else(|| Problem::not_found("scope"))?;
    Ok(Json(PersonPermissions {
        user_id,
        scope,
        permissions: held.explain(&users.catalogue),
        patterns: held.to_set(),
        permission_version: snapshot.permissions.permission_version(),
    }))
}

async fn check_may_look(users: &Users, who: &SignedIn, organization_id: OrganizationId) -> Result<()> {
    let name = GrantRead::DECLARATION.name;
    let snapshot = users.snapshot(organization_id, who.user_id, &[]).await?;
    let held = snapshot.access(users, who.user_id).at_organization().allows(name);
    if held && Giver::of(who.context())?.key_allows(&snapshot, snapshot.scope(), name) {
        Ok(())
    } else {
        Err(Problem::missing_permission(name).into())
    }
}
