//! The live stream of a person's inbox.

use coder_core::{Code, Failure, Problem, Result};
use coder_handler::Routes;
use coder_middleware::{Access as _, Authentication, EventStream, Query, SignedIn, State};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::of_user;
use crate::service::Notifications;
use crate::stream::{self, Opening, STREAMS};

/// Adds the routes.
pub fn routes(routes: Routes<Notifications>) -> Routes<Notifications> {
    routes.get("/stream", "stream_inbox", "Follow your inbox as it changes", open)
}

/// What else is followed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Following {
    /// Hints for open views, separated by commas: `run.*,gate.opened`.
    #[schemars(length(max = 400))]
    pub topics: Option<String>,
}

async fn open(
    State(service): State<Notifications>,
    who: SignedIn,
    Query(following): Query<Following>,
) -> Result<EventStream> {
    let context = who.context().clone();
    let Authentication::Verified(caller) = context.authentication().clone() else {
        return Err(Failure::problem(Code::Unauthenticated, "Sign in first."));
    };
    let Some(place) = service.hub.open(who.user_id) else {
        let detail = format!("You have {STREAMS} streams open; close one first.");
        return Err(Problem::new(Code::RateLimited, detail).retry_after(1).into());
    };
    let partition = of_user(who.organization_id, who.user_id);
    service.note_presence(&context, &partition, who.user_id).await;
    let topics = following.topics.unwrap_or_default();
    let opening = Opening {
        caller,
        user_id: who.user_id,
        organization_id: who.organization_id,
        partition,
        topics: topics
            .split(',')
            .map(|topic| topic.trim().to_owned())
            .filter(|topic| !topic.is_empty())
            .collect(),
        last_event_id: context.header("last-event-id").map(str::to_owned),
        context,
    };
    Ok(EventStream::new(stream::open(&service, place, opening).await?))
}
