//! Do not disturb: nothing but the inbox for a while.

use coder_core::{Problem, Result, Timestamp};
use coder_handler::Routes;
use coder_middleware::{Body, Example, Json, NoContent, SignedIn, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::preferences::{own, write};
use crate::model::preference::{Preference, PreferenceScope};
use crate::service::Notifications;

/// Adds the routes.
pub fn routes(routes: Routes<Notifications>) -> Routes<Notifications> {
    routes.put("/dnd", "mute_notifications", "Be left in peace for a while", mute).delete(
        "/dnd",
        "unmute_notifications",
        "Be told again",
        unmute,
    )
}

/// Seconds for which somebody can be left in peace.
const LONGEST: i64 = 30 * 86_400;

/// For how long: one of the two.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mute {
    /// Until this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub until_time: Option<Timestamp>,
    /// For so many seconds; at most 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_592_000))]
    pub duration_seconds: Option<i64>,
}

impl Example for Mute {
    fn example() -> Self {
        Self { until_time: None, duration_seconds: Some(3600) }
    }
}

async fn mute(
    State(service): State<Notifications>,
    who: SignedIn,
    Body(input): Body<Mute>,
) -> Result<Json<Preference>> {
    let until = match (input.until_time, input.duration_seconds) {
        (Some(until), None) => until,
        (None, Some(seconds)) => service.runtime.ambient.after(seconds),
        _ => {
            let message = "Send either `untilTime` or `durationSeconds`.";
            return Err(Problem::fault("", "one_of", message).into());
        }
    };
    if !(1..=LONGEST).contains(&until.duration_since(service.now()).as_secs()) {
        let message = "This must be in the future, at most 30 days from now.";
        return Err(Problem::fault("/untilTime", "out_of_range", message).into());
    }
    set(&service, &who, Some(until)).await
}

async fn unmute(State(service): State<Notifications>, who: SignedIn) -> Result<NoContent> {
    if own(&service, &who).await?.1.is_some_and(|own| own.data.dnd_until.is_some()) {
        set(&service, &who, None).await?;
    }
    Ok(NoContent)
}

async fn set(
    service: &Notifications,
    who: &SignedIn,
    dnd_until: Option<Timestamp>,
) -> Result<Json<Preference>> {
    let (partition, before) = own(service, who).await?;
    let present = before.as_ref().map(|found| found.data.clone());
    let present = present.unwrap_or_else(|| Preference::empty(PreferenceScope::User, who.user_id));
    write(who, partition, before, Preference { dnd_until, ..present }).await
}
