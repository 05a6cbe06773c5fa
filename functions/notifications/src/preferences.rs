//! Reading the preferences that apply to a message, and switching mail off from a link in it.

use coder_core::{OrganizationId, ProjectId, Result, TeamId, UserId};
use coder_database::{Record, Repository};
use coder_handler::retry_stale;
use coder_middleware::{NoContent, RequestContext, Unit};
use serde_json::json;

use crate::CONTAINER;
use crate::accept::taken_is_stale;
use crate::deliver::of_tenant;
use crate::model::preference::{ByChannel, ChannelPreference, Preference, PreferenceScope, TopicPreference};
use crate::model::{CONFIG, of_user};
use crate::service::Notifications;

impl Notifications {
    /// The preferences.
    pub fn preferences(&self) -> Repository<Preference> {
        Repository::new(self.runtime.store.clone(), CONTAINER)
    }

    /// The defaults that hold for everybody who is told: organization, team, project.
    pub async fn shared_layers(
        &self,
        organization_id: Option<OrganizationId>,
        team_id: Option<TeamId>,
        project_id: Option<ProjectId>,
    ) -> Result<Vec<Preference>> {
        let partition = of_tenant(organization_id).bucket(CONFIG);
        let scopes = [
            (PreferenceScope::Organization, organization_id.map(|id| id.to_string())),
            (PreferenceScope::Team, team_id.map(|id| id.to_string())),
            (PreferenceScope::Project, project_id.map(|id| id.to_string())),
        ];
        let mut layers = Vec::new();
        for (scope, id) in scopes {
            let Some(id) = id else { continue };
            let found = self.preferences().find(&partition, &Preference::document_id(scope, &id)).await?;
            layers.extend(found.map(|found| found.data));
        }
        Ok(layers)
    }

    /// A person's own preferences, if they have set any.
    pub async fn own_layer(
        &self,
        organization_id: Option<OrganizationId>,
        user_id: UserId,
    ) -> Result<Option<Record<Preference>>> {
        let id = Preference::document_id(PreferenceScope::User, &user_id.to_string());
        self.preferences().find(&of_user(organization_id, user_id), &id).await
    }
}

/// Switches mail on a topic off for a person, in every organization of theirs, since the link in a mail names none; for
/// somebody without any, above organizations.
pub(crate) async fn mute_mail(
    service: &Notifications,
    context: &RequestContext,
    user_id: UserId,
    topic: &str,
) -> Result<()> {
    let organizations = service.directory.organizations(user_id).await?;
    if organizations.is_empty() {
        return retry_stale(|| mute_mail_in(service, context, None, user_id, topic)).await;
    }
    for organization_id in organizations {
        retry_stale(|| mute_mail_in(service, context, Some(organization_id), user_id, topic)).await?;
    }
    Ok(())
}

async fn mute_mail_in(
    service: &Notifications,
    context: &RequestContext,
    organization_id: Option<OrganizationId>,
    user_id: UserId,
    topic: &str,
) -> Result<()> {
    let before = service.own_layer(organization_id, user_id).await?;
    let present = before.as_ref().map(|found| found.data.clone());
    let mut preference = present.unwrap_or_else(|| Preference::empty(PreferenceScope::User, user_id));
    if !mute_topic(&mut preference, topic) {
        return Ok(());
    }
    let id = Preference::document_id(PreferenceScope::User, &user_id.to_string());
    let mut unit = Unit::aside(context, CONTAINER, of_user(organization_id, user_id));
    let event = json!({"scope": preference.scope, "scopeId": preference.scope_id});
    match &before {
        Some(before) => {
            let (_, changes) = unit.replace(before, preference)?;
            unit.emit_changes("preference.updated", &id, event, &changes);
        }
        None => {
            unit.create(&id, preference)?;
            unit.emit("preference.updated", &id, event);
        }
    }
    taken_is_stale(unit.commit(NoContent).await).map(|_| ())
}

/// Whether anything was to be changed. The rule for exactly this topic goes first, so that a full list takes it.
fn mute_topic(preference: &mut Preference, topic: &str) -> bool {
    let topics = &mut preference.set.topics;
    let position = topics.iter().position(|one| one.pattern == topic).unwrap_or_else(|| {
        let rule = TopicPreference { pattern: topic.to_owned(), enabled: None, channels: None, locked: None };
        topics.insert(0, rule);
        0
    });
    topics.truncate(200);
    let channels = topics[position].channels.get_or_insert_with(ByChannel::default);
    let email = channels.email.get_or_insert_with(ChannelPreference::default);
    email.enabled.replace(false) != Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_muted_once_and_other_wishes_stay() {
        let mut preference = Preference::empty(PreferenceScope::User, "u");
        assert!(mute_topic(&mut preference, "task.assigned"));
        assert!(!mute_topic(&mut preference, "task.assigned"));
        preference.set.topics[0].enabled = Some(true);
        assert!(mute_topic(&mut preference, "task.overdue"));
        assert_eq!(preference.set.topics.len(), 2);
        let first = preference.set.topics.iter().find(|one| one.pattern == "task.assigned").unwrap();
        assert_eq!(first.enabled, Some(true));
        assert_eq!(first.channels.as_ref().unwrap().email.as_ref().unwrap().enabled, Some(false));
    }
}
