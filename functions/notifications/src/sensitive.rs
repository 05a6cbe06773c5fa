//! Messages that hold a secret: encrypted until they are told, forgotten afterwards, or after a day.

use coder_core::{Failure, OrganizationId, Result, Timestamp};
use coder_database::{Record, Transaction};
use coder_handler::events::JobRun;
use coder_jobs::JobFault;
use coder_vault::Sealer;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::accept::partition;
use crate::model::mail::SENSITIVE_SECONDS;
use crate::model::message::{HIDDEN, Message, MessageStatus};
use crate::pipeline;
use crate::service::Notifications;

/// The job that forgets what could not be told.
pub const FORGET: &str = "forget";

/// What is hidden of a sensitive message until it is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Secret {
    title: String,
    body: String,
    data: Value,
    action_url: Option<String>,
}

/// What the job is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ForgetInput {
    /// Whose message; `None` is the platform's.
    organization_id: Option<OrganizationId>,
    /// The message.
    message_id: String,
}

impl Notifications {
    fn sealer(&self) -> Sealer {
        self.runtime.master.sealer("notifications.message", self.runtime.ambient.clone())
    }

    /// Encrypts what a sensitive message says, and plans that it is forgotten a day after it was to be told.
    pub(crate) fn hide(&self, unit: &mut Transaction, id: &str, message: &mut Message) -> Result<()> {
        let secret = Secret {
            title: std::mem::replace(&mut message.title, HIDDEN.to_owned()),
            body: std::mem::take(&mut message.body),
            data: std::mem::take(&mut message.data),
            action_url: message.action_url.take(),
        };
        let secret = serde_json::to_vec(&secret).map_err(Failure::internal)?;
        message.sealed = Some(self.sealer().seal(&secret, id));
        let told = message.scheduled_for.unwrap_or(Timestamp::MIN).max(self.now());
        let end = told.saturating_add(SignedDuration::from_secs(SENSITIVE_SECONDS)).unwrap_or(Timestamp::MAX);
        let organization_id = unit.partition().organization_id();
        let input = ForgetInput { organization_id, message_id: id.to_owned() };
        coder_jobs::enqueue(unit, FORGET, json!(input), Some(end))?;
        Ok(())
    }

    /// The message with what was hidden of it.
    pub fn opened(&self, record: &Record<Message>) -> Result<Message> {
        let mut message = record.data.clone();
        if let Some(sealed) = &message.sealed {
            let secret = self.sealer().open(sealed, &record.meta.id).map_err(Failure::internal)?;
            let secret: Secret = serde_json::from_slice(&secret).map_err(Failure::internal)?;
            (message.title, message.body) = (secret.title, secret.body);
            (message.data, message.action_url) = (secret.data, secret.action_url);
        }
        Ok(message)
    }
}

/// Gives up a sensitive message that nobody could be told in a day.
pub(crate) async fn forget(service: Notifications, run: JobRun, input: Value) -> Result<Value, JobFault> {
    let input =
        ForgetInput::deserialize(input).map_err(|error| JobFault::Fail(format!("the input: {error}")))?;
    let home = partition(input.organization_id, &input.message_id);
    let found = service.messages().find(&home, &input.message_id).await?;
    let forgets = found.is_some_and(|found| found.data.sealed.is_some());
    if forgets {
        let status = MessageStatus::Expired;
        pipeline::finish(&service, &run.invocation, &home, &input.message_id, status).await?;
    }
    Ok(json!({"forgotten": forgets}))
}
