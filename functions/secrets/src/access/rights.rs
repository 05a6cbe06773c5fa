//! Whether somebody may do something with a secret: a role permission at its scope or wider, an unexpired grant that
//! names the action, or being the person whose own it is. Nobody else knows of a person's own secrets.

use coder_core::{Problem, Result, Scope};
use coder_database::{Filter, Record};
use coder_middleware::effective::Effective;

use super::{Action, Asker, Note, Trail};
use crate::model::{Grant, GrantAction, Outcome, PrincipalKind, Secret};
use crate::service::Secrets;

/// Grants that a secret can have.
pub const MAX_GRANTS: usize = 200;

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Allowed,
    /// No, and the caller may know that the secret is there.
    Forbidden,
    /// No, and the caller learns nothing.
    Hidden,
}

/// How somebody stands to a secret. What costs most is looked up only where the roles do not decide.
#[derive(Debug)]
pub struct Standing<'a> {
    secrets: &'a Secrets,
    asker: &'a Asker,
    secret: &'a Record<Secret>,
    scope: Option<Scope>,
    effective: Effective,
    beyond: Option<Beyond>,
}

/// What somebody has beyond the permissions of their roles.
#[derive(Debug, Clone, Default)]
struct Beyond {
    granted: Vec<GrantAction>,
    member_here: bool,
}

impl<'a> Standing<'a> {
    /// The standing of a person.
    pub async fn of(secrets: &'a Secrets, asker: &'a Asker, secret: &'a Record<Secret>) -> Result<Self> {
        let scope = secret.data.permission_scope(asker.organization_id);
        let effective = asker.effective(scope.unwrap_or(Scope::Organization(asker.organization_id))).await?;
        Ok(Self { secrets, asker, secret, scope, effective, beyond: None })
    }

    /// Whether the person may do this.
    pub async fn verdict(&mut self, action: Action) -> Result<Verdict> {
        let permission = action.permission();
        let by_key = self.effective.key().is_none_or(|key| key.allows(permission));
        let Some(scope) = self.scope else {
            let own = self.secret.data.owner().is_some() && self.secret.data.owner() == self.asker.user_id;
            return Ok(match (own, by_key) {
                (false, _) => Verdict::Hidden,
                (true, true) => Verdict::Allowed,
                (true, false) => Verdict::Forbidden,
            });
        };
        if self.effective.allows(permission) {
            return Ok(Verdict::Allowed);
        }
        let reads = self.effective.person().allows(Action::Read.permission());
        let beyond = self.beyond(scope).await?;
        let granted = action.by_grant().is_some_and(|wanted| beyond.granted.contains(&wanted));
        if by_key && (granted || (action.by_granted_role() && beyond.member_here)) {
            return Ok(Verdict::Allowed);
        }
        let visible = reads || !beyond.granted.is_empty();
        Ok(if visible { Verdict::Forbidden } else { Verdict::Hidden })
    }

    async fn beyond(&mut self, scope: Scope) -> Result<&Beyond> {
        let beyond = match self.beyond.take() {
            Some(known) => known,
            None => self.look_up(scope).await?,
        };
        Ok(self.beyond.insert(beyond))
    }

    async fn look_up(&self, scope: Scope) -> Result<Beyond> {
        let (asker, user_id) = (self.asker, self.asker.person()?);
        let works_here = self.effective.person().allows(Action::Update.permission());
        let member_here =
            works_here && self.secrets.is_member_by_grant(asker.organization_id, user_id, scope).await?;
        let of_secret = Filter::eq("secretId", self.secret.meta.id.as_str());
        let grants = self.secrets.grants.all(&asker.partition(), of_secret, 2 * MAX_GRANTS).await?;
        let granted = self.secrets.counting(asker, &grants).await?;
        let granted = granted.iter().flat_map(|grant| grant.data.actions.iter().copied()).collect();
        Ok(Beyond { granted, member_here })
    }
}

impl Secrets {
    /// Those of the grants that count now and are the person's.
    pub(crate) async fn counting<'g>(
        &self,
        asker: &Asker,
        grants: &'g [Record<Grant>],
    ) -> Result<Vec<&'g Record<Grant>>> {
        let (organization_id, user_id) = (asker.organization_id, asker.person()?);
        let now = self.now();
        let active: Vec<_> = grants.iter().filter(|grant| grant.data.is_active(now)).collect();
        if active.is_empty() {
            return Ok(active);
        }
        // Without a membership that counts a grant is nothing.
        let Some(roles) = self.roles_of(organization_id, user_id).await? else { return Ok(Vec::new()) };
        let mut theirs = Vec::new();
        for grant in active {
            let id = &grant.data.principal.id;
            let matches = match grant.data.principal.kind {
                PrincipalKind::User | PrincipalKind::Service => *id == user_id.to_string(),
                PrincipalKind::Role => roles.contains(id),
                PrincipalKind::Team => self.is_in_team(organization_id, user_id, id).await?,
            };
            if matches {
                theirs.push(grant);
            }
        }
        Ok(theirs)
    }

    /// Goes on only if the person may do this; else records the attempt and refuses.
    pub(crate) async fn demand(&self, asker: &Asker, secret: &Record<Secret>, action: Action) -> Result<()> {
        let verdict = Standing::of(self, asker, secret).await?.verdict(action).await?;
        if verdict == Verdict::Allowed {
            return Ok(());
        }
        if action != Action::Read {
            let mut unit = asker.aside().without_audit();
            Self::note_denied(&mut unit, &Trail::of(asker), secret, action)?;
            unit.commit(coder_middleware::NoContent).await?;
        }
        Err(match verdict {
            Verdict::Hidden => Problem::not_found("secret").into(),
            _ => Problem::missing_permission(action.permission()).into(),
        })
    }

    /// Records an attempt that is refused, and tells everybody.
    pub(crate) fn note_denied(
        unit: &mut coder_database::Transaction,
        trail: &Trail,
        secret: &Record<Secret>,
        action: Action,
    ) -> Result<()> {
        trail.note(unit, secret, Note::of(action).outcome(Outcome::Denied))?;
        let id = &secret.meta.id;
        unit.emit("access.denied", id, serde_json::json!({"secretId": id, "action": action}));
        Ok(())
    }

    /// What the person may do with the secret.
    pub(crate) async fn actions(&self, asker: &Asker, secret: &Record<Secret>) -> Result<Vec<Action>> {
        let mut standing = Standing::of(self, asker, secret).await?;
        let mut actions = Vec::new();
        for action in Action::TOLD {
            if standing.verdict(action).await? == Verdict::Allowed {
                actions.push(action);
            }
        }
        Ok(actions)
    }
}
