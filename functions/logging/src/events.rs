//! Consumers: every event becomes an entry, and the end of people and organizations is carried out here too. All of
//! them can be repeated.

use coder_core::{Result, Timestamp, UserId};
use coder_handler::{ConsumerFault, Event, Invocation};
use coder_jobs::enqueue;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::draft::Draft;
use crate::mapping;
use crate::model::{CONTAINER, Purged, Trail};
use crate::service::Logging;

/// Records an event.
pub(crate) async fn record(logging: Logging, _: Invocation, event: Event) -> Result<(), ConsumerFault> {
    logging.ingest(&event).await?;
    Ok(())
}

impl Logging {
    /// Records an event in the chain that it belongs to; one that was recorded before is dropped.
    pub(crate) async fn ingest(&self, event: &Event) -> Result<()> {
        let mut draft = mapping::draft(event);
        let trail = self.trail_of(event, &draft).await?;
        if mapping::is_plain_read(&draft.action) && !self.settings_of(trail).await?.capture.reads {
            return Ok(());
        }
        if let Some(id) = once_a_day(&draft.action, event.time) {
            draft.event_id = id;
        }
        self.append(trail, vec![draft]).await.map(|_| ())
    }

    /// The chain of an event: its organization's, else the platform's. An act on somebody's account that names no
    /// organization, such as a failed login, belongs where that person works by default, as their sign-in would.
    async fn trail_of(&self, event: &Event, draft: &Draft) -> Result<Trail> {
        if event.kind == "coder.users.organization.purged" {
            return Ok(Trail::Platform);
        }
        let user_id = event.data.get("userId").and_then(Value::as_str);
        let (None, "auth", Some(user_id)) = (event.organization_id, draft.source.as_str(), user_id) else {
            return Ok(Trail::of(event.organization_id));
        };
        if user_id.parse::<UserId>().is_err() {
            return Ok(Trail::Platform);
        }
        let path = format!("/internal/memberships?userId={user_id}");
        let answer = self.peers.call("users", Method::GET, &path, None).await?;
        let memberships = answer.body["memberships"].as_array().into_iter().flatten();
        let mut default = memberships.filter(|one| one["isDefault"] == true);
        let organization = default.next().and_then(|one| one["organizationId"].as_str()?.parse().ok());
        Ok(Trail::of(organization))
    }
}

/// What the log says of itself every hour makes one entry a day and no more.
fn once_a_day(action: &str, time: Timestamp) -> Option<String> {
    let own = action.starts_with("logging.chain.") || action.starts_with("logging.checkpoint.");
    own.then(|| format!("{action}@{}", time.to_string().get(..10).unwrap_or_default()))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfPerson {
    user_id: UserId,
}

/// Has a purged person's payloads erased, in every chain that has some.
pub(crate) async fn erase_person(
    logging: Logging,
    run: Invocation,
    event: Event,
) -> Result<(), ConsumerFault> {
    let OfPerson { user_id } = event.payload()?;
    for trail in logging.trails_concerning(&run.job, user_id).await? {
        let mut transaction = run.begin(CONTAINER, trail.config()).without_audit();
        let input = json!({"userId": user_id, "reason": "purged", "trail": trail.name()});
        enqueue(&mut transaction, "erase", input, None)?;
        run.commit(transaction).await?;
    }
    Ok(())
}

/// Has everything of a purged organization removed but checkpoints and segments.
pub(crate) async fn purge_organization(
    logging: Logging,
    run: Invocation,
    event: Event,
) -> Result<(), ConsumerFault> {
    let Some(organization_id) = event.organization_id else {
        return Err(ConsumerFault::Reject("the event names no organization".to_owned()));
    };
    let trail = Trail::Organization(organization_id);
    // From here on, what arrives late goes to the platform's chain.
    if logging.purged.find(&trail.config(), Purged::ID).await?.is_none() {
        let mut transaction = run.begin(CONTAINER, trail.config()).without_audit();
        transaction.mirror(Purged::ID, Purged {})?;
        enqueue(&mut transaction, "purge", json!({"trail": trail.name()}), None)?;
        run.commit(transaction).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::once_a_day;

    #[test]
    fn only_the_logs_own_noise_is_thinned() {
        let time = "2026-01-05T12:00:00Z".parse().unwrap();
        let id = once_a_day("logging.checkpoint.created", time);
        assert_eq!(id.as_deref(), Some("logging.checkpoint.created@2026-01-05"));
        assert!(once_a_day("logging.chain.verified", time).is_some());
        for action in ["logging.alert.raised", "logging.settings.updated", "users.project.created"] {
            assert_eq!(once_a_day(action, time), None);
        }
    }
}
