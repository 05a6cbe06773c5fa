//! What Acme has from its first morning on.

use serde_json::{Value, json};

use super::books::Books;
use super::burst;
use super::people::People;
use super::receiver::Receiver;

/// Runs of tools that the quota allows in a day.
pub(super) const TOOL_RUNS: usize = 10;
/// Minor units that a second of building costs.
pub(super) const SECOND_COSTS: u64 = 2;

/// What is asked about later.
pub(super) struct Office {
    pub(super) webhook: String,
    pub(super) signing_secret: String,
}

impl Office {
    /// A team, a project, a quota, a price, an API key, a webhook, an audit entry and a secret.
    pub(super) async fn furnish(people: &mut People, receiver: &Receiver, books: &mut Books) -> Self {
        let olga = people.olga.clone();
        books.written.push(("users.organization.created", olga.organization_id.unwrap().to_string()));
        let make = async |path: &str, body: Value| olga.post(path, body).await.expect(201);
        let team = make("/api/users/teams", json!({"name": "Core"})).await;
        let team = books.wrote("users.team.created", &team);
        let project = json!({"name": "Engine", "key": "ENG", "teamId": team});
        books.wrote("users.project.created", &make("/api/users/projects", project).await);
        let quota = json!({
            "name": "Tool runs", "scope": "organization", "categoryPattern": "mcp.*", "metric": "executions",
            "period": "month", "limit": TOOL_RUNS, "action": "block",
        });
        books.wrote("usage.quota.created", &make("/api/usage/quotas", quota).await);
        let price = json!({
            "categoryCode": "compute.build", "model": "components", "currency": "EUR",
            "components": [{"metric": "seconds", "amount": SECOND_COSTS.to_string(), "per": 1}],
            "effectiveFrom": "2020-01-01T00:00:00Z",
        });
        books.wrote("usage.price.created", &make("/api/usage/prices", price).await);
        let key = json!({"name": "Build server", "permissions": ["usage.event.create"]});
        people.key = make("/api/auth/api-keys", key).await.text("/key");
        people.meter = people.meter.with_api_key(&people.key);
        let webhook = json!({"name": "Chat", "url": receiver.url, "topics": ["announcement"]});
        let webhook = make("/api/notifications/webhooks", webhook).await;
        books.wrote("notifications.webhook.created", &webhook);
        burst::send(people, vec![burst::entry(0), burst::secret(0)], books).await;
        Self { webhook: webhook.text("/id"), signing_secret: webhook.text("/secret") }
    }

    /// Olga shares a secret with Max, who looks at it; Vera is refused.
    pub(super) async fn share_the_first_secret(&self, people: &People, books: &mut Books) {
        let (id, value) = books.secrets.first_key_value().unwrap();
        let (id, value) = (id.clone(), value.clone());
        let reveal = format!("/api/secrets/{id}/reveal");
        people.max.post(&reveal, json!({})).await.expect_problem(403, "forbidden");
        let grant = json!({
            "principal": {"kind": "user", "id": people.max.user_id}, "actions": ["read", "reveal"],
        });
        let grant = people.olga.post(&format!("/api/secrets/{id}/grants"), grant).await;
        books.wrote("secrets.grant.created", &grant);
        let seen = people.max.post(&reveal, json!({})).await.expect(200);
        assert_eq!((&seen.body["value"], seen.header("cache-control")), (&value, "no-store"));
        books.written.push(("secrets.secret.revealed", id));
        people.vera.post(&reveal, json!({})).await.expect_problem(403, "forbidden");
    }
}
