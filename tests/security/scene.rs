//! Where attacks happen: a company with people in every role, a stranger, and a victim that each case has anew.

use std::collections::BTreeMap;

use coder_testkit::{Client, Team, TestPlatform};
use serde_json::{Value, json};

/// What the owner can see of the company; no attack may change any of it.
const SEEN: &[&str] = &[
    "/api/users/organizations/current",
    "/api/users/members",
    "/api/users/teams",
    "/api/users/projects",
    "/api/users/roles",
    "/api/users/grants",
    "/api/users/invitations",
    "/api/auth/api-keys?scope=organization",
    "/api/auth/policy",
    "/api/auth/providers",
    "/api/notifications/webhooks",
    "/api/notifications/providers",
    "/api/secrets",
    "/api/usage/budgets",
    "/api/usage/quotas",
];

/// Fields that tell of reading, not of change.
const OF_READING: &[&str] = &["lastSeenAt", "lastUsedAt", "lastUsedIp", "useCount"];

/// A platform under attack.
pub(crate) struct Scene {
    pub(crate) platform: TestPlatform,
    team: Team,
    /// Ids of what the company has besides.
    made: Vec<(&'static str, String)>,
    victims: usize,
}

/// What a case knows by name: the `${…}` of its texts, and the callers.
pub(crate) struct Cast {
    pub(crate) names: BTreeMap<String, String>,
    victim: Client,
}

impl Scene {
    /// A platform that keeps customers' addresses to the internet, as in production, with its company.
    pub(crate) async fn set() -> Self {
        crate::log::kept();
        let platform = TestPlatform::start_with(|settings| settings.outbound_allow_loopback = false).await;
        let team = Team::of(&platform).await;
        let made = async |path: &str, body: Value| team.owner.post(path, body).await.expect(201).text("/id");
        let secret =
            json!({"name": "DEPLOY_KEY", "kind": "api_key", "value": {"key": "the company's secret"}});
        let budget = json!({
            "name": "All", "scope": "organization", "period": "year", "amountMinor": 1000, "currency": "EUR",
        });
        // Nothing is ever sent there: it is switched off.
        let hook = json!({"name": "Hook", "url": "https://1.1.1.1/", "enabled": false});
        let made = vec![
            ("secrets", made("/api/secrets", secret).await),
            ("budgets", made("/api/usage/budgets", budget).await),
            ("webhooks", made("/api/notifications/webhooks", hook).await),
        ];
        Self { platform, team, made, victims: 0 }
    }

    /// The callers of one case; a victim, which takes a while to register, only where the case has one.
    pub(crate) async fn cast(&mut self, with_victim: bool) -> Cast {
        self.victims += 1;
        let mark = self.victims;
        let victim = if with_victim {
            let organization = format!("Victims {mark}");
            self.platform.register(&format!("victim-{mark}@example.com"), Some(&organization)).await
        } else {
            self.platform.nobody()
        };
        let mut names = BTreeMap::new();
        let mut name = |key: String, value: String| names.insert(key, value);
        let team = &self.team;
        for (who, client) in [
            ("owner", &team.owner),
            ("admin", &team.admin),
            ("member", &team.member),
            ("viewer", &team.viewer),
            ("stranger", &team.stranger),
            ("victim", &victim),
        ] {
            name(format!("{who}.token"), client.token());
            name(format!("{who}.refresh"), client.refresh_token.clone());
            name(format!("{who}.email"), client.email.clone());
            name(format!("{who}.password"), client.password.clone());
            name(format!("{who}.id"), client.user_id.map(|id| id.to_string()).unwrap_or_default());
            let organization = client.organization_id.map(|id| id.to_string());
            name(format!("{who}.organization"), organization.unwrap_or_default());
        }
        for collection in ["teams", "projects", "grants", "agents", "invitations", "api-keys", "sessions"] {
            name(collection.to_owned(), team.parameter(&format!("/{collection}/{{id}}"), "id"));
        }
        for (collection, id) in &self.made {
            name((*collection).to_owned(), id.clone());
        }
        name("host".into(), self.platform.platform.address.to_string());
        Cast { names, victim }
    }

    /// The caller of this name.
    pub(crate) fn client(&self, cast: &Cast, who: &str) -> Client {
        match who {
            "" | "nobody" => self.platform.nobody(),
            "owner" => self.team.owner.clone(),
            "admin" => self.team.admin.clone(),
            "member" => self.team.member.clone(),
            "viewer" => self.team.viewer.clone(),
            "stranger" => self.team.stranger.clone(),
            "key" => self.team.key.clone(),
            "victim" => cast.victim.clone(),
            other => panic!("nobody is called `{other}`"),
        }
    }

    /// Everything that the owner sees of the company.
    pub(crate) async fn picture(&self) -> Vec<(&'static str, Value)> {
        let mut picture = Vec::new();
        for path in SEEN {
            let mut body = self.team.owner.get(path).await.expect(200).body;
            forget_reading(&mut body);
            picture.push((*path, body));
        }
        picture
    }
}

fn forget_reading(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !OF_READING.contains(&name.as_str()));
            fields.values_mut().for_each(forget_reading);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_reading),
        _ => {}
    }
}
