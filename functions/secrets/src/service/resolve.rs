//! Values by reference, for services and for sets of variables: each item by itself, one refusal never undoes
//! another.

use coder_core::{Code, Failure, Problem, Result};
use coder_database::Record;
use coder_database::claim::claim_id;
use coder_middleware::NoContent;

use super::Secrets;
use super::reveal::{Opened, Wanted};
use crate::access::{Action, Asker, Standing, Trail, Verdict};
use crate::model::secret::Place;
use crate::model::{Secret, SecretScope, SecretState, claims};
use crate::reference::Reference;

/// Items whose uses are recorded in one transaction: each takes two operations of a hundred.
const RECORDED_AT_ONCE: usize = 40;

/// What is asked for.
#[derive(Debug, Clone)]
pub enum Asked {
    /// By id.
    Reference(Reference),
    /// By name, in the narrowest place that has it.
    Named(Named),
}

/// A name and where it is looked for.
#[derive(Debug, Clone)]
pub struct Named {
    /// The name.
    pub name: String,
    /// The environment; `default` is looked at after it.
    pub environment: String,
    /// The folder.
    pub folder: String,
    /// The project.
    pub project_id: Option<String>,
    /// The team.
    pub team_id: Option<String>,
    /// The version.
    pub version: Option<u32>,
    /// The field.
    pub field: Option<String>,
}

/// A resolved item.
#[derive(Debug)]
pub struct Found {
    /// The secret.
    pub secret: Record<Secret>,
    /// Its value.
    pub opened: Opened,
}

/// What came of one item, and what is to be recorded of it.
struct Item {
    secret: Option<Record<Secret>>,
    outcome: Result<Opened, Problem>,
    denied: bool,
}

impl Secrets {
    /// Resolves every item. Each use is recorded before any value leaves.
    pub(crate) async fn resolve(
        &self,
        asker: &Asker,
        wanted: Vec<Asked>,
        reason: Option<&str>,
    ) -> Result<Vec<Result<Found, Problem>>> {
        let trail = Trail::of(asker);
        let mut items = Vec::with_capacity(wanted.len());
        for one in wanted {
            items.push(self.resolve_one(asker, one, reason).await?);
        }
        for (index, chunk) in items.chunks(RECORDED_AT_ONCE).enumerate() {
            // One act, one audit entry.
            let unit = asker.aside();
            let mut unit = if index == 0 { unit } else { unit.without_audit() };
            for item in chunk {
                let Some(secret) = &item.secret else { continue };
                if item.denied {
                    Self::note_denied(&mut unit, &trail, secret, Action::Resolve)?;
                } else if let Ok(opened) = &item.outcome {
                    let reason = reason.map(str::to_owned);
                    Self::note_revealed(&mut unit, &trail, secret, Action::Resolve, opened.version, reason)?;
                }
            }
            unit.commit(NoContent).await?;
        }
        let found = |item: Item| match (item.outcome, item.secret) {
            (Ok(opened), Some(secret)) => Ok(Found { secret, opened }),
            (Err(problem), _) => Err(problem),
            (Ok(_), None) => Err(Problem::not_found("secret")),
        };
        Ok(items.into_iter().map(found).collect())
    }

    async fn resolve_one(&self, asker: &Asker, one: Asked, reason: Option<&str>) -> Result<Item> {
        let (secret, version, field) = match one {
            Asked::Reference(Reference { secret_id, version, field }) => {
                (self.secrets.find(&asker.partition(), &secret_id.to_string()).await?, version, field)
            }
            Asked::Named(named) => {
                let (version, field) = (named.version, named.field.clone());
                (self.find_named(asker, &named).await?, version, field)
            }
        };
        let absent = |secret, denied| Item { secret, outcome: Err(Problem::not_found("secret")), denied };
        let Some(secret) = secret else { return Ok(absent(None, false)) };
        match self.may_resolve(asker, &secret).await? {
            Verdict::Allowed => {}
            Verdict::Hidden => return Ok(absent(Some(secret), true)),
            Verdict::Forbidden => {
                let problem = Problem::missing_permission(Action::Resolve.permission());
                return Ok(Item { secret: Some(secret), outcome: Err(problem), denied: true });
            }
        }
        let wanted = Wanted { version, field, reason: reason.map(str::to_owned) };
        let outcome = match self.open(asker, &secret, Action::Resolve, &wanted).await {
            Ok(opened) => Ok(opened),
            Err(Failure::Problem(problem)) => Err(*problem),
            Err(Failure::Internal(cause)) => {
                tracing::error!(id = secret.meta.id, cause = %cause, "a reference does not resolve");
                Err(Problem::new(Code::Internal, "The stored value cannot be read."))
            }
            Err(other) => return Err(other),
        };
        Ok(Item { secret: Some(secret), outcome, denied: false })
    }

    /// A service needs the rights of the person for whom it acts, unless the secret is flagged for it.
    async fn may_resolve(&self, asker: &Asker, secret: &Record<Secret>) -> Result<Verdict> {
        if asker.group.is_some() && secret.data.system_use {
            return Ok(Verdict::Allowed);
        }
        if asker.user_id.is_none() {
            return Ok(Verdict::Hidden);
        }
        Standing::of(self, asker, secret).await?.verdict(Action::Resolve).await
    }

    /// The narrowest scope wins, then the environment itself before `default`. What the caller may not know of does
    /// not stand in the way of what they may.
    async fn find_named(&self, asker: &Asker, named: &Named) -> Result<Option<Record<Secret>>> {
        let mut scopes = Vec::with_capacity(4);
        if let Some(user) = asker.user_id {
            scopes.push((SecretScope::User, Some(user.to_string())));
        }
        scopes.extend(named.project_id.clone().map(|id| (SecretScope::Project, Some(id))));
        scopes.extend(named.team_id.clone().map(|id| (SecretScope::Team, Some(id))));
        scopes.push((SecretScope::Organization, None));
        let mut environments = vec![named.environment.as_str()];
        environments.extend((named.environment != "default").then_some("default"));
        let mut refused = None;
        for (scope, scope_id) in scopes {
            for environment in &environments {
                let place = Place {
                    scope,
                    scope_id: scope_id.clone(),
                    environment: (*environment).to_owned(),
                    folder: named.folder.clone(),
                    name: named.name.clone(),
                };
                let Some(secret) = self.find_at(asker, &place).await? else { continue };
                match self.may_resolve(asker, &secret).await? {
                    Verdict::Hidden => refused = refused.or(Some(secret)),
                    Verdict::Allowed | Verdict::Forbidden => return Ok(Some(secret)),
                }
            }
        }
        Ok(refused)
    }

    /// The secret that holds a place.
    pub(crate) async fn find_at(&self, asker: &Asker, place: &Place) -> Result<Option<Record<Secret>>> {
        let tuple = place.claim();
        let id = claim_id(claims::NAME, &tuple.each_ref().map(String::as_str));
        let Some(claim) = self.claims.find(&asker.partition(), &id).await? else { return Ok(None) };
        let secret = self.secrets.find(&asker.partition(), &claim.data.owner_id).await?;
        Ok(secret.filter(|secret| secret.data.state != SecretState::Deleted))
    }
}
