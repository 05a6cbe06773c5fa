//! The caller's own profile, preferences and organizations.

use coder_core::{Code, OrganizationId, Result, Timestamp};
use coder_database::{Filter, Partition, Record};
use coder_handler::{Cause, Routes};
use coder_middleware::{
    Accepted, Access, Example, Filters, FreshSession, IfMatch, InSession, Json, List, PageOf, Patch,
    SignedIn, State,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::model::{
    CONTAINER, Competency, MAX_PREFERENCES_BYTES, MembershipStatus, OrganizationKind, OrganizationStatus,
    User, UserKind, UserStatus, patterns,
};
use crate::names::{Check, cleaned, folded};
use crate::rules::UserAct;
use crate::service::Users;
use crate::service::directory::Place;
use crate::service::mirrors::later;

/// Seconds for which an access token of a deactivated person could still be good.
const TOKEN_SECONDS: i64 = 16 * 60;

/// Adds the routes.
pub fn routes(routes: Routes<Users>) -> Routes<Users> {
    routes
        .get("/me", "get_me", "Read the own profile", get_me)
        .patch("/me", "update_me", "Change the own profile", update_me)
        .delete("/me", "delete_me", "Ask for the own deletion, in 30 days", delete_me)
        .problems([Code::LastOwner, Code::InvalidState])
        .post("/me/restore", "restore_me", "Take the request for the own deletion back", restore_me)
        .problems([Code::InvalidState])
        .post("/me/deactivate", "deactivate_me", "Deactivate the own account", deactivate_me)
        .problems([Code::LastOwner, Code::InvalidState])
        .get("/me/preferences", "get_my_preferences", "Read the own preferences", get_preferences)
        .patch("/me/preferences", "update_my_preferences", "Change the own preferences", update_preferences)
        .get("/me/organizations", "list_my_organizations", "List the own memberships", list_organizations)
}

/// What a person writes of the own profile.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProfileWrite {
    /// The name that others see.
    #[schemars(length(min = 1, max = 120))]
    pub display_name: String,
    /// Given name.
    #[schemars(length(max = 80))]
    pub first_name: Option<String>,
    /// Family name.
    #[schemars(length(max = 80))]
    pub last_name: Option<String>,
    /// Position, such as "Senior engineer".
    #[schemars(length(max = 100))]
    pub title: Option<String>,
    /// About the person; may have several lines.
    #[schemars(length(max = 2000))]
    pub bio: Option<String>,
    /// Address of a picture; `https` only.
    #[schemars(length(max = 2048))]
    pub avatar_url: Option<String>,
    /// Telephone number in E.164.
    #[schemars(regex(pattern = patterns::PHONE))]
    pub phone: Option<String>,
    /// Language tag (BCP 47); `en` if it is left out.
    #[schemars(length(min = 2, max = 100))]
    pub locale: Option<String>,
    /// Name in the IANA time zone database; `UTC` if it is left out.
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
    /// Skills.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub competencies: Vec<CompetencyWrite>,
}

/// A skill, as its holder sees it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompetencyWrite {
    /// Name of the skill.
    #[schemars(length(min = 1, max = 50))]
    pub name: String,
    /// From 1, beginner, to 5, expert.
    #[schemars(range(min = 1, max = 5))]
    pub level: u8,
}

impl Example for ProfileWrite {
    fn example() -> Self {
        let mut person = User::example();
        person.bio = Some("Builds compilers.".to_owned());
        Self::of(&person)
    }
}

impl Example for User {
    fn example() -> Self {
        let rust = Competency { name: "Rust".to_owned(), level: 4, verified_by: None, verified_at: None };
        Self {
            email: Some("ada@example.com".to_owned()),
            title: Some("Senior engineer".to_owned()),
            competencies: vec![rust],
            ..Self::new(UserKind::Human, "Ada Lovelace")
        }
    }
}

impl ProfileWrite {
    /// The writable part of a profile.
    fn of(person: &User) -> Self {
        let person = person.clone();
        let write = |one: Competency| CompetencyWrite { name: one.name, level: one.level };
        Self {
            display_name: person.display_name,
            first_name: person.first_name,
            last_name: person.last_name,
            title: person.title,
            bio: person.bio,
            avatar_url: person.avatar_url,
            phone: person.phone,
            locale: Some(person.locale),
            time_zone: Some(person.time_zone),
            competencies: person.competencies.into_iter().map(write).collect(),
        }
    }

    /// The profile as it is wanted. A skill whose level changes is no longer confirmed.
    fn onto(self, before: &User) -> User {
        let blank = User::new(before.kind, "");
        let known = |write: CompetencyWrite| {
            let same =
                |one: &&Competency| folded(&one.name) == folded(&write.name) && one.level == write.level;
            let before = before.competencies.iter().find(same);
            let (verified_by, verified_at) =
                before.map_or((None, None), |one| (one.verified_by, one.verified_at));
            Competency { name: write.name, level: write.level, verified_by, verified_at }
        };
        User {
            display_name: self.display_name,
            first_name: self.first_name,
            last_name: self.last_name,
            title: self.title,
            bio: self.bio,
            avatar_url: self.avatar_url,
            phone: self.phone,
            locale: self.locale.unwrap_or(blank.locale),
            time_zone: self.time_zone.unwrap_or(blank.time_zone),
            competencies: self.competencies.into_iter().map(known).collect(),
            ..before.clone()
        }
    }
}

async fn get_me(State(users): State<Users>, who: SignedIn) -> Result<Json<Record<User>>> {
    users.person(who.user_id).await.map(Json)
}

async fn update_me(
    State(users): State<Users>,
    who: InSession,
    if_match: IfMatch,
    patch: Patch<ProfileWrite>,
) -> Result<Json<Record<User>>> {
    let before = users.person(who.user_id).await?;
    if_match.check(&before.meta)?;
    let after = cleaned(patch.apply(&ProfileWrite::of(&before.data))?.onto(&before.data))?;
    let answer = write(&who, &before, after, "user.updated").await?;
    later(users.mirror_person(Cause::Request(who.context()), who.user_id).await);
    Ok(Json(answer))
}

async fn delete_me(State(users): State<Users>, who: FreshSession) -> Result<Accepted<Record<User>>> {
    act(&users, &who.0, UserAct::RequestDeletion, "user.deletion-requested").await.map(Accepted)
}

async fn deactivate_me(State(users): State<Users>, who: InSession) -> Result<Json<Record<User>>> {
    let person = act(&users, &who, UserAct::Deactivate, "user.deactivated").await?;
    let runtime = &users.runtime;
    runtime.revocations.revoke_user(who.user_id, users.now(), runtime.ambient.after(TOKEN_SECONDS));
    Ok(Json(person))
}

async fn restore_me(State(users): State<Users>, who: InSession) -> Result<Json<Record<User>>> {
    let act_of =
        |status| if status == UserStatus::Deactivated { UserAct::Reactivate } else { UserAct::Restore };
    let before = users.person(who.user_id).await?;
    act(&users, &who, act_of(before.data.status), "user.reactivated").await.map(Json)
}

/// Takes the caller to another state; owners of companies withdraw first where the state is no active one.
async fn act(users: &Users, who: &InSession, act: UserAct, event: &str) -> Result<Record<User>> {
    let before = users.person(who.user_id).await?;
    let mut after = before.data.clone();
    after.apply(act, users.now()).map_err(coder_core::Problem::from)?;
    let cause = Cause::Request(who.context());
    if after.status != UserStatus::Active {
        users.withdraw_ownership(cause, who.user_id, &after).await?;
    }
    let record = write(who, &before, after, event).await?;
    later(users.mirror_person(cause, who.user_id).await);
    Ok(record)
}

async fn write(who: &InSession, before: &Record<User>, after: User, event: &str) -> Result<Record<User>> {
    let mut unit = who.begin(CONTAINER, Partition::user(who.user_id)).await?;
    let (record, changes) = unit.replace(before, after)?;
    unit.emit_changes(event, &record.meta.id, json!({"userId": who.user_id}), &changes);
    Ok(unit.commit(Json(record)).await?.0)
}

/// Settings of clients: an object for each, by the client's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Preferences(Map<String, Value>);

impl Example for Preferences {
    fn example() -> Self {
        let mut clients = Map::new();
        clients.insert("editor".to_owned(), json!({"theme": "dark"}));
        Self(clients)
    }
}

async fn get_preferences(State(users): State<Users>, who: SignedIn) -> Result<Json<Preferences>> {
    Ok(Json(Preferences(users.person(who.user_id).await?.data.preferences)))
}

async fn update_preferences(
    State(users): State<Users>,
    who: InSession,
    patch: Patch<Preferences>,
) -> Result<Json<Preferences>> {
    let before = users.person(who.user_id).await?;
    let Preferences(preferences) = patch.apply(&Preferences(before.data.preferences.clone()))?;
    let mut check = Check::default();
    for (client, value) in &preferences {
        if !value.is_object() {
            let pointer = format!("/{}", client.replace('~', "~0").replace('/', "~1"));
            check.fault(&pointer, "wrong_type", "The preferences of a client are an object.");
        }
    }
    check.json_size("", &preferences, MAX_PREFERENCES_BYTES);
    check.finish()?;
    let after = User { preferences: preferences.clone(), ..before.data.clone() };
    write(&who, &before, after, "user.updated").await?;
    Ok(Json(Preferences(preferences)))
}

/// One of the caller's memberships.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnMembership {
    /// The organization.
    pub organization_id: OrganizationId,
    /// Its name.
    pub name: String,
    /// Its short name.
    pub slug: String,
    /// One person's, or a company's.
    pub kind: OrganizationKind,
    /// Where the organization is in its life.
    pub organization_status: OrganizationStatus,
    /// The caller's roles.
    pub roles: Vec<String>,
    /// Whether the membership counts.
    pub status: MembershipStatus,
    /// Since when.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub joined_at: Timestamp,
    /// When it ends by itself.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<Timestamp>,
}

impl Example for OwnMembership {
    fn example() -> Self {
        Self {
            organization_id: coder_core::id::EXAMPLE.into(),
            name: "Acme".to_owned(),
            slug: "acme".to_owned(),
            kind: OrganizationKind::Company,
            organization_status: OrganizationStatus::Active,
            roles: vec!["member".to_owned()],
            status: MembershipStatus::Active,
            joined_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
        }
    }
}

impl OwnMembership {
    fn of(place: &Place) -> Result<Self> {
        let (organization, membership) = (place.organization.data.clone(), place.membership.data.clone());
        Ok(Self {
            organization_id: place.organization_id()?,
            name: organization.name,
            slug: organization.slug,
            kind: organization.kind,
            organization_status: organization.status,
            roles: membership.roles,
            status: membership.status,
            joined_at: membership.joined_at,
            expires_at: membership.expires_at,
        })
    }
}

/// The caller's organizations, first joined one first.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct JoinedFilters {}

impl Filters for JoinedFilters {
    const SORT: &'static [&'static str] = &["joinedAt"];

    fn filter(&self) -> Option<Filter> {
        None
    }
}

async fn list_organizations(
    State(users): State<Users>,
    who: SignedIn,
    list: List<JoinedFilters>,
) -> Result<Json<PageOf<OwnMembership>>> {
    let mut places = users.places(who.user_id).await?;
    if list.order.1 == coder_database::Direction::Descending {
        places.reverse();
    }
    let items: Vec<OwnMembership> = places.iter().map(OwnMembership::of).collect::<Result<_>>()?;
    list.slice(&items, &who.user_id.to_string()).map(Json)
}
