//! A company with a person in every built-in role, one resource of each kind, and a stranger from elsewhere.

use std::collections::BTreeMap;

use coder_core::{OrganizationId, UserId};
use serde_json::{Value, json};

use crate::client::{Client, Reply};
use crate::issuer::Issuer;
use crate::platform::TestPlatform;

/// The password of every person in tests.
pub const PASSWORD: &str = "correct horse battery staple 7";

/// A company and a stranger.
#[derive(Debug)]
pub struct Team {
    /// The company.
    pub organization_id: OrganizationId,
    /// Owns the company.
    pub owner: Client,
    /// Administers it.
    pub admin: Client,
    /// Works in it.
    pub member: Client,
    /// Looks at it.
    pub viewer: Client,
    /// Owns another company.
    pub stranger: Client,
    /// An API key of the owner's that may read projects and nothing else.
    pub key: Client,
    /// Ids of the company's resources, by the collection that they are in.
    ids: BTreeMap<&'static str, String>,
}

impl Team {
    /// A new company with five people; several can live on one platform.
    pub async fn of(platform: &TestPlatform) -> Self {
        let mark = platform.platform.assembly.providers.ambient.new_etag();
        let owner =
            platform.register(&format!("owner-{mark}@example.com"), Some(&format!("Acme {mark}"))).await;
        let stranger = platform.register(&format!("stranger-{mark}@example.com"), Some("Elsewhere")).await;
        let mut people = Vec::new();
        for role in ["admin", "member", "viewer"] {
            people.push(platform.join(&owner, &format!("{role}-{mark}@example.com"), role).await);
        }
        let [admin, member, viewer]: [Client; 3] = match people.try_into() {
            Ok(people) => people,
            Err(people) => panic!("three people were to join: {people:?}"),
        };
        let Some(organization_id) = owner.organization_id else { panic!("the owner has no organization") };
        let (key, ids) = (platform.nobody(), BTreeMap::new());
        let mut team = Self { organization_id, owner, admin, member, viewer, stranger, key, ids };
        team.fill(&mark).await;
        team
    }

    /// The same, and a login provider of the company with which the owner has linked an account.
    pub async fn with_login_provider(platform: &TestPlatform) -> Self {
        let mut team = Self::of(platform).await;
        let issuer = Issuer::start().await;
        let provider = issuer.register(&team.owner, json!({})).await;
        issuer.link(platform, &provider, &team.owner).await;
        let logins = team.owner.get("/api/auth/external/logins").await.expect(200);
        team.ids.insert("logins", logins.text("/items/0/id"));
        team.ids.insert("providers", provider.clone());
        team.ids.insert("external", provider);
        team.notify(platform).await;
        team.record(platform).await;
        team.keep().await;
        team.meter(platform).await;
        team
    }

    /// The value for a parameter of a path: the id of the company's own resource. The test fails if it has none,
    /// since a resource that is missing is refused to everybody.
    #[track_caller]
    pub fn parameter(&self, path: &str, name: &str) -> String {
        let place = format!("/{{{name}}}");
        let before = path.split(&place).next().unwrap_or_default();
        let collection = before.rsplit('/').next().unwrap_or_default();
        // Two groups may have a collection of one name.
        let of_group = format!("{}/{collection}", path.split('/').nth(2).unwrap_or_default());
        match self.ids.get(of_group.as_str()).or_else(|| self.ids.get(collection)) {
            Some(id) => id.clone(),
            None => panic!("`Team` has nothing for `{name}` of {path}"),
        }
    }

    /// A message in the owner's inbox and its mail, one that waits, and what carries messages out; switched off, since
    /// nobody listens there.
    async fn notify(&mut self, platform: &TestPlatform) {
        let ambient = &platform.platform.assembly.providers.ambient;
        let me = self.owner.user_id.map(|id: UserId| format!("user:{id}")).unwrap_or_default();
        let told = json!({"title": "Welcome", "recipients": [me]});
        self.admin.post("/api/notifications/messages", told).await.expect(202);
        let waits = json!({
            "title": "Later", "recipients": ["role:member"], "scheduledFor": ambient.after(30 * 86_400),
        });
        let waits = self.owner.post("/api/notifications/messages", waits).await.expect(202);
        platform.settle().await;
        let provider = json!({
            "kind": "smtp", "enabled": false,
            "config": {"host": "127.0.0.1", "port": 9, "protection": "plain", "from": "no-reply@example.com"},
        });
        let provider = self.owner.post("/api/notifications/providers", provider).await.expect(201);
        let webhook = json!({
            "name": "Build", "url": "https://127.0.0.1:9/hook", "topics": ["announcement"], "enabled": false,
        });
        let webhook = self.owner.post("/api/notifications/webhooks", webhook).await.expect(201);
        platform.settle().await;
        let template = json!({"title": "{{title}}", "body": "{{body}}"});
        self.owner.put("/api/notifications/templates/release.announced/en", template).await.expect(200);
        let item = self.owner.get("/api/notifications/inbox?topic=announcement").await.expect(200);
        let mail = self.owner.get("/api/notifications/outbox?topic=announcement").await.expect(200);
        let letter = mail.text("/items/0/text");
        let link = letter.split_whitespace().rfind(|word| word.contains("/unsubscribe/"));
        let token = link.and_then(|link| link.rsplit('/').next()).unwrap_or_default();
        let project = self.ids["projects"].clone();
        self.ids.extend([
            ("inbox", item.text("/items/0/id")),
            ("messages", waits.text("/id")),
            ("preferences", "project".to_owned()),
            ("{scope}", project),
            ("templates", "release.announced".to_owned()),
            ("{topic}", "en".to_owned()),
            ("outbox", mail.text("/items/0/id")),
            ("notifications/providers", provider.text("/id")),
            ("webhooks", webhook.text("/id")),
            ("unsubscribe", token.to_owned()),
        ]);
    }

    /// An entry of the audit log with all that hangs on it: a checkpoint, an export, a verification, and an alert of
    /// a rule of the company's own.
    async fn record(&mut self, platform: &TestPlatform) {
        let owner = self.owner.clone();
        let post = async |path: &str, body: Value| owner.post(&format!("/api/logging/{path}"), body).await;
        let rule = json!({"name": "Own acts", "kind": "pattern", "filter": {"category": "custom"}});
        let rule = post("alert-rules", rule).await.expect(201);
        let policy = json!({"match": {"category": "custom"}, "retentionDays": 400});
        let policy = post("retention-policies", policy).await.expect(201);
        let entry =
            post("entries", json!({"action": "release.approved", "message": "Approved"})).await.expect(202);
        let checkpoint = post("checkpoints", json!({})).await.expect(201);
        let verification = post("verify", json!({})).await.expect(200);
        let nobody = json!({"userId": coder_core::id::EXAMPLE, "reason": "Asked for"});
        let erasure = post("erasures", nobody).await.expect(202);
        // An erasure takes the exports of before with it.
        platform.settle().await;
        let export = post("exports", json!({})).await.expect(202);
        platform.settle().await;
        let groups = &platform.platform.assembly.groups;
        for group in groups.iter().filter(|group| group.name == "logging") {
            group.functions.run_timer("evaluate-alerts", "test").await;
        }
        platform.settle().await;
        let alerts = owner.get(&format!("/api/logging/alerts?ruleId={}", rule.text("/id"))).await.expect(200);
        let project = self.ids["projects"].clone();
        self.ids.extend([
            ("logging/entries", entry.text("/entryId")),
            ("logging/checkpoints", checkpoint.text("/id")),
            ("logging/verifications", verification.text("/id")),
            ("logging/exports", export.text("/id")),
            ("logging/erasures", erasure.text("/id")),
            ("logging/retention-policies", policy.text("/id")),
            ("logging/alert-rules", rule.text("/id")),
            ("logging/alerts", alerts.text("/items/0/id")),
            ("logging/resources", "project".to_owned()),
            ("logging/{resourceType}", project),
        ]);
    }

    /// A secret of two versions that is shared with the member.
    async fn keep(&mut self) {
        let owner = &self.owner;
        let secret = json!({"name": "DEPLOY_KEY", "kind": "api_key", "value": {"key": "first"}});
        let secret = owner.post("/api/secrets", secret).await.expect(201).text("/id");
        let version = json!({"value": {"key": "second"}});
        owner.post(&format!("/api/secrets/{secret}/versions"), version).await.expect(201);
        let grant = json!({"principal": {"kind": "user", "id": self.member.user_id}, "actions": ["read"]});
        let grant = owner.post(&format!("/api/secrets/{secret}/grants"), grant).await.expect(201).text("/id");
        let rotation = owner.post("/api/secrets/keys/rotate", json!({})).await.expect(202).text("/jobId");
        self.ids.extend([
            ("secrets", secret),
            ("secrets/versions", "1".to_owned()),
            ("secrets/grants", grant),
            ("secrets/rotations", rotation),
        ]);
    }

    /// A category that nothing uses, a price, a budget, a quota that was used up and its alert, and a reservation.
    async fn meter(&mut self, platform: &TestPlatform) {
        let owner = &self.owner;
        let make = async |collection: &str, body: Value| {
            owner.post(&format!("/api/usage/{collection}"), body).await.expect(201).text("/id")
        };
        let category = json!({
            "code": "acme.print", "name": "Printing", "primaryMetric": "pages",
            "metrics": [{"key": "pages", "unit": "count", "aggregation": "sum"}],
        });
        owner.post("/api/usage/categories", category).await.expect(201);
        let price = json!({
            "categoryCode": "ai.completion", "model": "free", "currency": "EUR",
            "effectiveFrom": "2020-01-01T00:00:00Z",
        });
        let budget = json!({
            "name": "All", "scope": "organization", "period": "year", "amountMinor": 1000, "currency": "EUR",
        });
        let quota = json!({
            "name": "Searches", "scope": "organization", "categoryPattern": "search.*", "metric": "queries",
            "period": "year", "limit": 10, "warnPercent": 80, "action": "warn",
        });
        let held =
            json!({"categoryCode": "search.code", "estimate": {"queries": 1}, "expiresInSeconds": 900});
        let mut ids = vec![
            ("usage/categories", "acme.print".to_owned()),
            ("prices", make("prices", price).await),
            ("budgets", make("budgets", budget).await),
            ("quotas", make("quotas", quota).await),
            ("reservations", make("reservations", held).await),
        ];
        let now = platform.platform.assembly.providers.ambient.now();
        let event = json!({
            "source": "desk", "eventId": "1", "categoryCode": "search.code", "metrics": {"queries": 8},
            "occurredAt": now,
        });
        owner.post("/api/usage/events", json!({"events": [event]})).await.expect(202);
        let alerts = owner.get("/api/usage/alerts").await.expect(200);
        ids.push(("usage/alerts", alerts.text("/items/0/id")));
        ids.push(("statements", now.to_string()[..7].to_owned()));
        self.ids.extend(ids);
    }

    async fn fill(&mut self, mark: &str) {
        let owner = self.owner.clone();
        let id = |reply: Reply| reply.expect(201).text("/id");
        let team = id(owner.post("/api/users/teams", json!({"name": "Platform"})).await);
        let project = id(owner
            .post("/api/users/projects", json!({"name": "Engine", "key": "ENG", "teamId": team}))
            .await);
        let grant = json!({
            "subject": {"type": "user", "id": self.member.user_id},
            "scope": {"type": "team", "id": team},
            "role": "viewer",
        });
        let grant = id(owner.post("/api/users/grants", grant).await);
        let role = json!({"name": "reviewer", "permissions": ["users.project.read"]});
        owner.post("/api/users/roles", role).await.expect(201);
        let agent = json!({"displayName": "Builder", "kind": "agent"});
        let agent = owner.post("/api/users/agents", agent).await.expect(201);
        let agent = agent.body["userId"].as_str().map_or_else(|| agent.text("/id"), str::to_owned);
        let invitation = json!({"emails": [format!("later-{mark}@example.com")], "roles": ["member"]});
        let sent = owner.post("/api/users/invitations", invitation).await.expect(200);
        let key = json!({"name": "Build", "permissions": ["users.project.read"]});
        let key = owner.post("/api/auth/api-keys", key).await.expect(201);
        self.key = owner.with_api_key(key.text("/key"));
        let sessions = owner.get("/api/auth/sessions").await.expect(200);
        let member = self.member.user_id.map(|id: UserId| id.to_string()).unwrap_or_default();
        let place = format!("/api/users/teams/{team}/members/{member}");
        owner.put(&place, json!({"role": "member"})).await.expect(200);
        self.ids = BTreeMap::from([
            ("teams", team),
            ("projects", project),
            ("grants", grant),
            ("roles", "reviewer".to_owned()),
            ("agents", agent),
            ("invitations", sent.text("/results/0/invitation/id")),
            ("by-token", invitation_token(&sent)),
            ("people", member.clone()),
            ("members", member.clone()),
            ("users", member.clone()),
            ("identities", member),
            ("organizations", self.organization_id.to_string()),
            ("api-keys", key.text("/keyId")),
            ("sessions", sessions.text("/items/0/id")),
        ]);
    }
}

impl TestPlatform {
    /// A new person with an organization of their own, signed in.
    pub async fn register(&self, email: &str, organization: Option<&str>) -> Client {
        self.nobody().register(email, organization).await
    }

    /// A new person who joins the organization of `owner` in a role, signed in.
    pub async fn join(&self, owner: &Client, email: &str, role: &str) -> Client {
        self.nobody().join(owner, email, role).await
    }

    /// Signs in with the password of tests.
    pub async fn login(&self, email: &str) -> Client {
        self.nobody().login(email).await
    }

    /// A client with the tokens of an answer.
    pub async fn signed_in(&self, email: &str, tokens: &Value) -> Client {
        self.nobody().signed_in(email, tokens).await
    }
}

impl Client {
    /// A new person with an organization of their own, signed in.
    pub async fn register(&self, email: &str, organization: Option<&str>) -> Client {
        let mut body = json!({"email": email, "password": PASSWORD, "displayName": display_name(email)});
        if let Some(name) = organization {
            body["organizationName"] = json!(name);
        }
        let reply = self.post("/api/auth/register", body).await.expect(201);
        self.signed_in(email, &reply.body).await
    }

    /// A new person who joins the organization of `owner` in a role, signed in.
    pub async fn join(&self, owner: &Client, email: &str, role: &str) -> Client {
        let invitation = json!({"emails": [email], "roles": [role]});
        let token = invitation_token(&owner.post("/api/users/invitations", invitation).await.expect(200));
        let body = json!({
            "email": email, "password": PASSWORD, "displayName": display_name(email), "invitationToken": token,
        });
        let reply = self.post("/api/auth/register", body).await.expect(201);
        self.signed_in(email, &reply.body).await
    }

    /// Signs in with the password of tests.
    pub async fn login(&self, email: &str) -> Client {
        let body = json!({"email": email, "password": PASSWORD});
        let reply = self.post("/api/auth/login", body).await.expect(200);
        self.signed_in(email, &reply.body).await
    }

    /// A client with the tokens of an answer.
    pub async fn signed_in(&self, email: &str, tokens: &Value) -> Client {
        let text = |name: &str| tokens[name].as_str().unwrap_or_default().to_owned();
        let mut client = self.with_token(text("accessToken"));
        let me = client.get("/api/auth/me").await.expect(200);
        let parsed = |pointer: &str| me.body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        email.clone_into(&mut client.email);
        PASSWORD.clone_into(&mut client.password);
        client.refresh_token = text("refreshToken");
        client.user_id = parsed("/userId").and_then(|id| id.parse().ok());
        client.organization_id = parsed("/organizationId").and_then(|id| id.parse().ok());
        client
    }

    /// The same person, working in another organization of theirs.
    pub async fn switched_to(mut self, organization: &str) -> Self {
        let body = json!({"organizationId": organization});
        let switched = self.post("/api/auth/switch-organization", body).await.expect(200);
        self.organization_id = organization.parse().ok();
        self.with_token(switched.text("/accessToken"))
    }
}

/// The token of the first invitation in the answer of `POST /invitations`.
#[track_caller]
pub fn invitation_token(sent: &Reply) -> String {
    let link = sent.text("/results/0/acceptUrl");
    link.rsplit(['/', '=']).next().unwrap_or_default().to_owned()
}

/// A name from an address: `Owner` for `owner-1@example.com`.
fn display_name(email: &str) -> String {
    let local = email.split(['-', '@']).next().unwrap_or("Person");
    local[..1].to_uppercase() + &local[1..]
}
