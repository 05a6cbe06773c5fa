//! Something to look at on a first look: teams in a hierarchy, projects, a role, an agent. Everything is made by
//! ordinary requests of the organization's owner, so that no rule is passed over.

use async_trait::async_trait;
use coder_core::{Code, Failure, Result};
use http::Method;
use serde_json::{Value, json};

/// Sends requests in the name of an owner of the organization.
#[async_trait]
pub trait SeedClient: Send + Sync {
    /// Sends a request to `/api/users<path>`; answers status and JSON body.
    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value)>;
}

/// How many things were made, and how many were there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seeded {
    /// Made by this run.
    pub made: u32,
    /// There before.
    pub there: u32,
}

/// Fills an organization. Running it again makes what is missing.
pub async fn seed(client: &dyn SeedClient) -> Result<Seeded> {
    let mut seeding = Seeding { client, seeded: Seeded::default() };
    let engineering = seeding.team("Engineering", "Builds the product.", None).await?;
    let platform = seeding.team("Platform", "Builds what the others build on.", Some(&engineering)).await?;
    let web = seeding.team("Web", "Builds what customers see.", Some(&engineering)).await?;
    seeding.role().await?;
    let shop = json!({
        "name": "Web shop", "key": "SHOP", "teamId": web, "description": "Sells what the warehouse has.",
        "repositories": [{"url": "https://github.com/example/shop", "provider": "github"}],
        "environments": [{"name": "test", "kind": "test"}, {"name": "live", "kind": "production"}],
    });
    let shop = seeding.project(&shop).await?;
    let engine = json!({"name": "Engine", "key": "ENG", "teamId": platform, "description": "Runs all that the shop needs."});
    seeding.project(&engine).await?;
    seeding.profile(&shop).await?;
    seeding.agent().await?;
    Ok(seeding.seeded)
}

struct Seeding<'a> {
    client: &'a dyn SeedClient,
    seeded: Seeded,
}

impl Seeding<'_> {
    async fn team(&mut self, name: &str, description: &str, parent: Option<&Value>) -> Result<Value> {
        let body = json!({"name": name, "description": description, "parentTeamId": parent});
        self.make("/teams", &body, "name").await
    }

    async fn project(&mut self, body: &Value) -> Result<Value> {
        self.make("/projects", body, "key").await
    }

    async fn role(&mut self) -> Result<()> {
        let body = json!({
            "name": "maintainer",
            "description": "Looks after teams and projects.",
            "permissions": ["users.team.*", "users.project.*"],
            "inherits": ["member"],
        });
        let answer = self.client.send(Method::POST, "/roles", Some(&body)).await?;
        self.count(&answer)
    }

    /// What the shop is like; the same at every run.
    async fn profile(&mut self, project: &Value) -> Result<()> {
        let Some(id) = project.as_str() else { return Ok(()) };
        let body = json!({
            "technical": {"languages": ["Rust", "TypeScript"], "architecture": "modular monolith"},
            "scale": {"requestsPerSecond": 50},
            "regulatory": {"laws": ["GDPR"]},
        });
        let path = format!("/projects/{id}/profile");
        let (status, body) = self.client.send(Method::PATCH, &path, Some(&body)).await?;
        if status == 200 { Ok(()) } else { Err(refused(status, &body)) }
    }

    /// Agents may have one name, so it is looked for first.
    async fn agent(&mut self) -> Result<()> {
        let (_, there) = self.client.send(Method::GET, "/people?kind=agent", None).await?;
        if find(&there, "displayName", &json!("Reviewer")).is_some() {
            self.seeded.there += 1;
            return Ok(());
        }
        let title = "Reviews what others wrote";
        let body = json!({"kind": "agent", "displayName": "Reviewer", "title": title, "roles": ["viewer"]});
        let answer = self.client.send(Method::POST, "/agents", Some(&body)).await?;
        self.count(&answer)
    }

    /// Makes a thing, or finds it by the field that is unique; answers its id.
    async fn make(&mut self, path: &str, body: &Value, unique: &str) -> Result<Value> {
        let answer = self.client.send(Method::POST, path, Some(body)).await?;
        self.count(&answer)?;
        if answer.0 == 201 {
            return Ok(answer.1["id"].clone());
        }
        let (_, there) = self.client.send(Method::GET, &format!("{path}?limit=200"), None).await?;
        Ok(find(&there, unique, &body[unique]).map(|one| one["id"].clone()).unwrap_or_default())
    }

    fn count(&mut self, (status, body): &(u16, Value)) -> Result<()> {
        match status {
            201 => self.seeded.made += 1,
            409 if body["code"] == Code::AlreadyExists.as_str() => self.seeded.there += 1,
            _ => return Err(refused(*status, body)),
        }
        Ok(())
    }
}

fn find<'a>(page: &'a Value, field: &str, value: &Value) -> Option<&'a Value> {
    page["items"].as_array()?.iter().find(|one| one[field] == *value)
}

fn refused(status: u16, body: &Value) -> Failure {
    Failure::internal(format!("the seed data was refused with {status}: {}", body["detail"]))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::{Method, Result, SeedClient, Seeded, Value, async_trait, json, seed};

    /// Keeps what was made, and refuses what is there.
    #[derive(Default)]
    struct Fake(Mutex<Vec<(String, Value)>>);

    #[async_trait]
    impl SeedClient for Fake {
        async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
            let mut made = self.0.lock().unwrap();
            let list = path.split('?').next().unwrap().replace("/people", "/agents");
            let Some(body) = body.filter(|_| method == Method::POST) else {
                let of_list = made.iter().filter(|(other, _)| *other == list).map(|(_, body)| body.clone());
                return Ok((200, json!({"items": of_list.collect::<Vec<_>>()})));
            };
            let key = if body.get("key").is_some() { "key" } else { "name" };
            let same = |other: &Value| other.get(key).is_some() && other.get(key) == body.get(key);
            if made.iter().any(|(other, one)| *other == list && same(one)) {
                return Ok((409, json!({"code": "already_exists"})));
            }
            let mut body = body.clone();
            body["id"] = json!(made.len().to_string());
            made.push((list, body.clone()));
            Ok((201, body))
        }
    }

    #[tokio::test]
    async fn a_second_run_makes_nothing_twice() {
        let fake = Fake::default();
        assert_eq!(seed(&fake).await.unwrap(), Seeded { made: 7, there: 0 });
        assert_eq!(seed(&fake).await.unwrap(), Seeded { made: 0, there: 7 });
        let made = fake.0.into_inner().unwrap();
        let parent = |name: &str| {
            let one = made.iter().find(|(_, one)| one["name"] == name).unwrap();
            one.1["parentTeamId"].clone()
        };
        assert_eq!((parent("Engineering"), parent("Web")), (Value::Null, made[0].1["id"].clone()));
    }

    #[tokio::test]
    async fn a_refusal_is_told() {
        struct Refuses;
        #[async_trait]
        impl SeedClient for Refuses {
            async fn send(&self, _: Method, _: &str, _: Option<&Value>) -> Result<(u16, Value)> {
                Ok((403, json!({"code": "forbidden", "detail": "The permission is needed."})))
            }
        }
        assert!(seed(&Refuses).await.unwrap_err().to_string().contains("403"));
    }
}
