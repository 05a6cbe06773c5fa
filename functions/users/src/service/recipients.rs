//! Who stands behind `user:`, `team:`, `role:` and `lead:` at this moment.

use std::collections::BTreeSet;

use coder_core::{Failure, OrganizationId, Permission as _, ProjectId, Result, Scope, TeamId, UserId};
use coder_database::{Filter, Partition};
use schemars::JsonSchema;
use serde::Serialize;

use super::Users;
use crate::catalogue::ProjectRead;
use crate::model::{OrganizationStatus, UserKind, UserStatus};

/// A person who can be told something.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecipientPerson {
    /// The person.
    pub user_id: UserId,
    /// The name that others see.
    pub display_name: String,
    /// The address.
    pub email: Option<String>,
    /// Language tag.
    pub locale: String,
    /// IANA time zone.
    pub time_zone: String,
}

/// The people behind recipients.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Recipients {
    /// Everybody once; agents and services are left out.
    pub people: Vec<RecipientPerson>,
    /// Recipients that the organization does not have.
    pub unknown: Vec<String>,
}

impl Users {
    /// Expands recipients; with a project to those who may read it. Without an organization only single people are
    /// known.
    pub async fn expand_recipients(
        &self,
        organization_id: Option<OrganizationId>,
        recipients: &[String],
        project_id: Option<ProjectId>,
    ) -> Result<Recipients> {
        let (mut found, mut unknown) = (BTreeSet::new(), Vec::new());
        for recipient in recipients {
            match self.behind(organization_id, recipient).await? {
                Some(people) => found.extend(people),
                None => unknown.push(recipient.clone()),
            }
        }
        if let (Some(organization_id), Some(project_id)) = (organization_id, project_id) {
            found = self.readers(organization_id, project_id, found).await?;
        }
        let mut people = Vec::with_capacity(found.len());
        for user_id in found {
            let Some(person) = self.people.find(&Partition::user(user_id), &user_id.to_string()).await?
            else {
                continue;
            };
            let person = person.data;
            if person.kind == UserKind::Human && person.status == UserStatus::Active {
                let (display_name, email) = (person.display_name, person.email);
                let (locale, time_zone) = (person.locale, person.time_zone);
                people.push(RecipientPerson { user_id, display_name, email, locale, time_zone });
            }
        }
        Ok(Recipients { people, unknown })
    }

    /// The members behind one recipient; `None` if there is no such thing.
    async fn behind(
        &self,
        organization_id: Option<OrganizationId>,
        recipient: &str,
    ) -> Result<Option<Vec<UserId>>> {
        let Some((kind, id)) = recipient.split_once(':') else { return Ok(None) };
        let Some(organization_id) = organization_id else {
            let person = id.parse::<UserId>().ok().filter(|_| kind == "user");
            return match person {
                Some(user_id) if self.is_there(user_id).await? => Ok(Some(vec![user_id])),
                _ => Ok(None),
            };
        };
        let partition = Partition::organization(organization_id);
        let organization = self.organizations.find(&partition, &organization_id.to_string()).await?;
        if organization.is_none_or(|one| one.data.status != OrganizationStatus::Active) {
            return Ok(None);
        }
        let candidates = match kind {
            "user" => id.parse().ok().map(|user_id| vec![user_id]),
            "team" => self.members_of_team(&partition, id).await?,
            "role" => return self.holders_of_role(organization_id, id).await,
            "lead" => match self.projects.find(&partition, id).await? {
                Some(project) => Some(project.data.lead_user_id.into_iter().collect()),
                None => None,
            },
            _ => None,
        };
        let Some(candidates) = candidates else { return Ok(None) };
        let mut members = Vec::with_capacity(candidates.len());
        for user_id in candidates {
            let membership = self.find_membership(organization_id, user_id).await?;
            if membership.is_some_and(|one| one.data.is_active(self.now())) {
                members.push(user_id);
            }
        }
        // A person who is no member is not known here; a team without members is a team.
        Ok((kind != "user" || !members.is_empty()).then_some(members))
    }

    async fn is_there(&self, user_id: UserId) -> Result<bool, Failure> {
        let person = self.people.find(&Partition::user(user_id), &user_id.to_string()).await?;
        Ok(person.is_some_and(|one| one.data.status == UserStatus::Active))
    }

    async fn members_of_team(&self, partition: &Partition, id: &str) -> Result<Option<Vec<UserId>>> {
        let known = match id.parse::<TeamId>() {
            Ok(team) => self.teams.find(partition, &team.to_string()).await?.is_some(),
            Err(_) => false,
        };
        if !known {
            return Ok(None);
        }
        let places = self.team_members.all(partition, Filter::eq("teamId", id), usize::MAX).await?;
        Ok(Some(places.into_iter().map(|place| place.data.user_id).collect()))
    }

    async fn holders_of_role(&self, id: OrganizationId, name: &str) -> Result<Option<Vec<UserId>>> {
        let snapshot = self.role_snapshot(id).await?;
        if snapshot.permissions.roles().get(name).is_none() {
            return Ok(None);
        }
        let now = self.now();
        let memberships = self.all_memberships(id).await?.into_iter().map(|record| record.data);
        let holds = |held: &Vec<String>| held.iter().any(|role| role == name);
        let holders = memberships.filter(|one| one.is_active(now) && holds(&one.roles));
        Ok(Some(holders.map(|one| one.user_id).collect()))
    }

    /// Those who may read a project.
    async fn readers(
        &self,
        organization_id: OrganizationId,
        project_id: ProjectId,
        people: BTreeSet<UserId>,
    ) -> Result<BTreeSet<UserId>> {
        if people.is_empty() {
            return Ok(people);
        }
        let snapshot = self.whole_snapshot(organization_id).await?;
        let reads = |user_id: &UserId| {
            let held = snapshot.access(self, *user_id).at(Scope::Project(project_id));
            held.is_some_and(|held| held.allows(ProjectRead::DECLARATION.name))
        };
        Ok(people.into_iter().filter(reads).collect())
    }
}
