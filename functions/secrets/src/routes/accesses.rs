//! Who did what with secrets.

use coder_core::{Permission as _, Result, Scope, Timestamp};
use coder_database::{Filter, Record};
use coder_handler::Routes;
use coder_middleware::{Allowed, Filters, Json, List, PageOf, State};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::access::Action;
use crate::catalogue::{AccessInspect, AccessRead};
use crate::model::{AccessRecord, Outcome, SecretId, SecretScope};
use crate::service::Secrets;

pub(super) fn routes(routes: Routes<Secrets>) -> Routes<Secrets> {
    routes.get("/accesses", "list_secret_accesses", "List uses of secrets: the own, or everybody's", list)
}

/// Filters of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessFilters {
    /// Only uses of this secret.
    pub secret_id: Option<SecretId>,
    /// Only those by this person, key, group or job.
    #[schemars(length(min = 1, max = 80))]
    pub actor: Option<String>,
    /// Only those of this kind.
    pub action: Option<Action>,
    /// Only those that ended so.
    pub outcome: Option<Outcome>,
    /// Not before this time.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub from: Option<Timestamp>,
    /// Before this time.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub to: Option<Timestamp>,
}

impl Filters for AccessFilters {
    const SORT: &'static [&'static str] = &["-at"];

    fn filter(&self) -> Option<Filter> {
        let by = |actor: &String| {
            Filter::Or(vec![Filter::eq("actor", actor.as_str()), Filter::eq("userId", actor.as_str())])
        };
        let parts = [
            self.secret_id.map(|id| Filter::eq("secretId", id.to_string())),
            self.actor.as_ref().map(by),
            self.action.map(|action| Filter::Eq("action".to_owned(), json!(action))),
            self.outcome.map(|outcome| Filter::Eq("outcome".to_owned(), json!(outcome))),
            self.from.map(|from| Filter::Ge("at".to_owned(), json!(from))),
            self.to.map(|to| Filter::Lt("at".to_owned(), json!(to))),
        ];
        Some(Filter::And(parts.into_iter().flatten().collect()))
    }
}

async fn list(
    State(secrets): State<Secrets>,
    who: Allowed<AccessRead>,
    list: List<AccessFilters>,
) -> Result<Json<PageOf<Record<AccessRecord>>>> {
    let everywhere = Scope::Organization(who.organization_id);
    let me = who.user_id.to_string();
    let of_own_secrets = Filter::eq("ownerId", me.as_str());
    let also = if who.holds(AccessInspect::DECLARATION.name, everywhere).await? {
        // Of somebody's own secrets nobody else learns.
        Filter::Ne("scope".to_owned(), json!(SecretScope::User))
    } else {
        // What was refused is left out: of a secret that is hidden not even the name may come back.
        let refused = Filter::Eq("outcome".to_owned(), json!(Outcome::Denied));
        Filter::eq("userId", me.as_str()).and(Filter::Not(Box::new(refused)))
    };
    let visible = Filter::Or(vec![of_own_secrets, also]);
    list.page(&secrets.accesses, &who.partition(), Some(visible)).await.map(Json)
}
