//! Sessions: begun, listed, ended.

use std::collections::BTreeMap;

use coder_core::{Code, Failure, OrganizationId, Problem, SessionId, UserId};
use coder_database::{Direction, Filter, Query, Record, Transaction};
use coder_handler::{Cause, retry_stale};
use coder_middleware::{Access as _, NoContent, RequestContext, SignedIn};
use serde_json::json;

use super::Auth;
use super::answer::{Client, Delivery, SignedOut, TokenAnswer};
use super::people::Membership;
use super::revocations::Revoked;
use super::tokens::{must_enrol, session_ended};
use crate::model::{CONTAINER, ClientKind, Identity, KnownDevice, RevokedReason, Session};
use crate::refresh::new_salt;
use crate::session::{Device, ends, surplus};

/// Most live sessions that are read; more than [`crate::session::MAX_LIVE`] only where many began at once.
const MOST_LIVE: usize = 2000;

/// Most sessions that one write ends; a batch has room for 100 documents.
pub(crate) const ENDED_AT_ONCE: usize = 60;

/// A session to be begun.
#[derive(Debug)]
pub(crate) struct NewSession<'a> {
    pub(crate) user_id: UserId,
    pub(crate) identity: &'a Record<Identity>,
    pub(crate) memberships: &'a [Membership],
    /// `password`, or how else the person signed in.
    pub(crate) method: &'static str,
    pub(crate) amr: Vec<String>,
    pub(crate) client: &'a Client,
}

impl Auth {
    /// Begins a session in the person's transaction, and lets the oldest fall out where there are too many.
    /// Answers the tokens and what is revoked once the transaction is committed.
    pub(crate) async fn open_session(
        &self,
        context: &RequestContext,
        unit: &mut Transaction,
        new: NewSession<'_>,
    ) -> Result<(TokenAnswer, Vec<Revoked>), Failure> {
        let now = self.runtime.ambient.now();
        let last_used = self.last_organization(new.user_id).await?;
        let workplace = self.workplace(context, new.memberships, last_used, &new.amr).await?;
        let live = self.live_sessions(new.user_id).await?;
        let mut oldest = surplus(&live, 1, now);
        oldest.truncate(ENDED_AT_ONCE);
        let revoked = self.end_sessions(unit, &oldest, RevokedReason::SessionLimit)?;

        let identity = context.identity();
        let client_kind = kind(new.client, identity.user_agent.as_deref());
        let (idle_expires_at, absolute_expires_at) = ends(now, &workplace.policy);
        let session = Session {
            user_id: new.user_id,
            current_organization_id: workplace.organization_id(),
            roles: workplace.roles(),
            roles_read_at: Some(now),
            generation: 1,
            rotated_at: now,
            salt: new_salt(&self.runtime.ambient),
            amr: new.amr,
            auth_time: now,
            client_kind,
            device_name: new.client.device_name.clone(),
            user_agent: identity.user_agent.clone(),
            ip_address: identity.client_address.map(|address| address.to_string()),
            last_used_at: now,
            idle_expires_at,
            absolute_expires_at,
            revoked_at: None,
            revoked_reason: None,
        };
        let session_id: SessionId = self.runtime.ambient.new_id();
        let mut record = unit.record(Session::document_id(session_id), session);
        record.expires_at = Some(record.data.kept_until());
        unit.insert(&record)?;
        let session = &record.data;
        let new_device = self.note_device(unit, session, new.identity, context).await?;
        let data = json!({
            "userId": new.user_id, "sessionId": session_id, "method": new.method, "amr": session.amr,
            "newDevice": new_device, "ipAddress": session.ip_address, "userAgent": session.user_agent,
        });
        emit(unit, session.current_organization_id, "login.succeeded", &session_id.to_string(), data);

        let tokens =
            self.tokens(session_id, session, must_enrol(&new.identity.data, &workplace.policy)).await?;
        let refresh_token = Some(self.refresh_token(session_id, session));
        Ok((TokenAnswer { status: 200, tokens, refresh_token, delivery: new.client.delivery }, revoked))
    }

    /// Ends what sign-ins at the same moment have begun too much, each unseen by the others: the last one to look
    /// sees them all. The next sign-in makes up for what fails here, so a failure is only noted.
    pub(crate) async fn end_surplus(&self, context: &RequestContext, user_id: UserId) {
        let cause = Cause::Request(context);
        let ended = retry_stale(|| async {
            let live = self.live_sessions(user_id).await?;
            let oldest = surplus(&live, 0, self.runtime.ambient.now());
            self.end_in_chunks(cause, user_id, &oldest, RevokedReason::SessionLimit).await
        });
        if let Err(failure) = ended.await {
            tracing::warn!(cause = %failure, "more sessions may live than should");
        }
    }

    /// A session of a person that still lives; else `401`.
    pub(crate) async fn live_session(
        &self,
        user_id: UserId,
        session_id: SessionId,
    ) -> Result<Record<Session>, Failure> {
        let id = Session::document_id(session_id);
        let found = self.sessions.find(&Session::partition(user_id), &id).await?;
        found.filter(|session| session.data.is_live(self.runtime.ambient.now())).ok_or_else(session_ended)
    }

    /// The live sessions of a person.
    pub(crate) async fn live_sessions(&self, user_id: UserId) -> Result<Vec<Record<Session>>, Failure> {
        let now = self.runtime.ambient.now();
        let ahead = Filter::Gt("idleExpiresAt".into(), now.to_string().into());
        let filter = ahead.and(Filter::IsNull("revokedAt".into()));
        let found = self.sessions.all(&Session::partition(user_id), filter, MOST_LIVE).await?;
        Ok(found.into_iter().filter(|session| session.data.is_live(now)).collect())
    }

    /// Ends sessions in the person's transaction and tells of it. What it answers is to be published once the
    /// transaction is committed. At most [`ENDED_AT_ONCE`].
    pub(crate) fn end_sessions(
        &self,
        unit: &mut Transaction,
        sessions: &[&Record<Session>],
        reason: RevokedReason,
    ) -> Result<Vec<Revoked>, Failure> {
        let now = self.runtime.ambient.now();
        let mut revoked = Vec::new();
        let mut told = BTreeMap::<Option<OrganizationId>, (UserId, Vec<SessionId>)>::new();
        for before in sessions {
            let id: SessionId = before.id()?;
            let mut record = (*before).clone();
            record.data.revoke(reason, now);
            record.expires_at = Some(record.data.kept_until());
            let (user_id, organization_id) = (record.data.user_id, record.data.current_organization_id);
            unit.update(before, record)?;
            told.entry(organization_id).or_insert_with(|| (user_id, Vec::new())).1.push(id);
            revoked.push(Revoked::Session(id));
        }
        for (organization_id, (user_id, ids)) in told {
            let data = json!({"userId": user_id, "sessionIds": ids, "reason": reason});
            emit(unit, organization_id, "session.revoked", &user_id.to_string(), data);
        }
        Ok(revoked)
    }

    /// Ends all sessions of a person, in as many writes as it takes; for what is no one's answer.
    pub(crate) async fn end_all_sessions(
        &self,
        cause: Cause<'_>,
        user_id: UserId,
        reason: RevokedReason,
        concerned: impl Fn(&Session) -> bool,
    ) -> Result<usize, Failure> {
        let live = self.live_sessions(user_id).await?;
        let ended: Vec<_> = live.iter().filter(|session| concerned(&session.data)).collect();
        self.end_in_chunks(cause, user_id, &ended, reason).await?;
        Ok(ended.len())
    }

    /// Ends the session of the request.
    pub(crate) async fn log_out(&self, who: &SignedIn, session_id: SessionId) -> Result<SignedOut, Failure> {
        self.end_own(who, session_id, RevokedReason::Logout).await?;
        Ok(SignedOut)
    }

    /// Ends one of the caller's sessions; one that has ended stays so.
    pub(crate) async fn revoke_own_session(
        &self,
        who: &SignedIn,
        session_id: SessionId,
    ) -> Result<NoContent, Failure> {
        if !self.end_own(who, session_id, RevokedReason::RevokedByUser).await? {
            return Err(Problem::new(Code::NotFound, "You have no such session.").into());
        }
        Ok(NoContent)
    }

    /// Ends all the caller's sessions but one; answers how many.
    pub(crate) async fn revoke_other_sessions(
        &self,
        who: &SignedIn,
        own: Option<SessionId>,
    ) -> Result<usize, Failure> {
        let cause = Cause::Request(who.context());
        let own = own.map(Session::document_id);
        let live = self.live_sessions(who.user_id).await?;
        let others: Vec<_> = live.iter().filter(|session| Some(&session.meta.id) != own.as_ref()).collect();
        self.end_in_chunks(cause, who.user_id, &others, RevokedReason::RevokedByUser).await?;
        Ok(others.len())
    }

    /// Ends a session of the caller; answers whether there is such a one.
    async fn end_own(
        &self,
        who: &SignedIn,
        session_id: SessionId,
        reason: RevokedReason,
    ) -> Result<bool, Failure> {
        let partition = Session::partition(who.user_id);
        let found = self.sessions.find(&partition, &Session::document_id(session_id)).await?;
        let Some(session) = found else { return Ok(false) };
        let cause = Cause::Request(who.context());
        if session.data.is_live(self.runtime.ambient.now()) {
            let mut unit = cause.begin(CONTAINER, partition);
            self.end_sessions(&mut unit, &[&session], reason)?;
            cause.commit(unit).await?;
        }
        // Also for one that has ended: an earlier request may have got no further than that.
        self.announce(who.context(), &[Revoked::Session(session_id)]).await;
        Ok(true)
    }

    async fn end_in_chunks(
        &self,
        cause: Cause<'_>,
        user_id: UserId,
        ended: &[&Record<Session>],
        reason: RevokedReason,
    ) -> Result<(), Failure> {
        for chunk in ended.chunks(ENDED_AT_ONCE) {
            let mut unit = cause.begin(CONTAINER, Session::partition(user_id));
            let revoked = self.end_sessions(&mut unit, chunk, reason)?;
            cause.commit(unit).await?;
            self.publish_revocations(cause, &revoked).await?;
        }
        Ok(())
    }

    /// Publishes what a request has revoked. The change is durable already and its event makes up for what fails
    /// here, so a failure is only noted.
    pub(crate) async fn announce(&self, context: &RequestContext, revoked: &[Revoked]) {
        if let Err(failure) = self.publish_revocations(Cause::Request(context), revoked).await {
            tracing::warn!(cause = %failure, "revocations are published later, by their event");
        }
    }

    /// The organization of the session that was used last.
    async fn last_organization(&self, user_id: UserId) -> Result<Option<OrganizationId>, Failure> {
        let latest = Query::new(None).order_by("lastUsedAt", Direction::Descending).limit(1);
        let (latest, _) = self.sessions.page(&Session::partition(user_id), &latest).await?;
        Ok(latest.first().and_then(|session| session.data.current_organization_id))
    }

    /// Leaves the trace of the device; answers whether it is a new one. The first sign-in of an account is none from
    /// a new device: there are no others to tell it from.
    async fn note_device(
        &self,
        unit: &mut Transaction,
        session: &Session,
        identity: &Record<Identity>,
        context: &RequestContext,
    ) -> Result<bool, Failure> {
        let address = context.identity().client_address;
        let id = Device::new(session.client_kind, session.user_agent.as_deref(), address).document_id();
        let partition = KnownDevice::partition(session.user_id);
        let is_known = self.devices.find(&partition, &id).await?.is_some();
        let age = self.runtime.ambient.now().duration_since(identity.meta.created_at).as_secs();
        // Of an older account every device may have been forgotten.
        let is_first = age < KnownDevice::REMEMBERED_SECONDS
            && self.devices.page(&partition, &Query::new(None).limit(1)).await?.0.is_empty();
        let mut trace = unit.record(id, KnownDevice::default());
        trace.expires_at = Some(self.runtime.ambient.after(KnownDevice::REMEMBERED_SECONDS));
        unit.upsert(&trace)?;
        Ok(!is_known && !is_first)
    }
}

/// Records an event in the organization's name, or in the platform's where there is none.
pub(crate) fn emit(
    unit: &mut Transaction,
    organization_id: Option<OrganizationId>,
    name: &str,
    subject: &str,
    data: serde_json::Value,
) {
    match organization_id {
        Some(organization_id) => unit.emit_for(organization_id, name, subject, data),
        None => unit.emit(name, subject, data),
    }
}

fn kind(client: &Client, user_agent: Option<&str>) -> ClientKind {
    let browser =
        client.delivery == Delivery::Cookie || user_agent.is_some_and(|agent| agent.starts_with("Mozilla/"));
    client.kind.unwrap_or(if browser { ClientKind::Browser } else { ClientKind::Other })
}
