//! The list of what was revoked, from which every process learns that a token does not hold any more although
//! its signature does.

use coder_core::{Failure, OrganizationId, Problem, SessionId, Timestamp, UserId};
use coder_database::{Direction, Entity, Filter, Partition, Query};
use coder_handler::{Cause, ConsumerFault, Event, Invocation};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Auth, repository};
use crate::model::CONTAINER;

/// Seconds that a revocation is kept: longer than any access token lives.
const KEPT_SECONDS: i64 = 20 * 60;

/// A reader starts this much before where it ended: documents become visible a little out of order.
const OVERLAP: SignedDuration = SignedDuration::from_secs(30);

/// Revocations a page of the list.
const PAGE: u32 = 500;

/// A credential that does not hold any more; in the platform's partition.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Revocation {
    /// The session.
    pub(crate) session_id: Option<SessionId>,
    /// The person; with an organization, only what they have there.
    pub(crate) user_id: Option<UserId>,
    /// The organization.
    pub(crate) revoked_in: Option<OrganizationId>,
    /// The API key.
    pub(crate) key_id: Option<String>,
    /// What was issued earlier does not hold.
    pub(crate) before: Timestamp,
    /// When the entry has no meaning any more.
    pub(crate) until: Timestamp,
}

impl Entity for Revocation {
    const TYPE: &'static str = "revocation";
}

/// What does not hold any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// A session, with all its tokens.
    Session(SessionId),
    /// Everything that a person has.
    User(UserId),
    /// What a person has in one organization.
    Membership(UserId, OrganizationId),
    /// An API key.
    Key(String),
}

/// A page of the list.
#[derive(Debug)]
pub(crate) struct RevocationPage {
    pub(crate) items: Vec<Revocation>,
    pub(crate) cursor: String,
    pub(crate) more: bool,
}

/// Where a reader is: all from this time on, and how far it has come.
#[derive(Debug, Serialize, Deserialize)]
struct Position {
    from: Timestamp,
    started: Timestamp,
    next: Option<String>,
}

impl Revoked {
    fn id(&self) -> String {
        match self {
            Self::Session(id) => format!("session:{id}"),
            Self::User(id) => format!("user:{id}"),
            Self::Membership(user, organization) => format!("member:{user}:{organization}"),
            Self::Key(id) => format!("key:{id}"),
        }
    }

    fn entry(&self, before: Timestamp, until: Timestamp) -> Revocation {
        let empty =
            Revocation { session_id: None, user_id: None, revoked_in: None, key_id: None, before, until };
        match self.clone() {
            Self::Session(id) => Revocation { session_id: Some(id), ..empty },
            Self::User(id) => Revocation { user_id: Some(id), ..empty },
            Self::Membership(user, organization) => {
                Revocation { user_id: Some(user), revoked_in: Some(organization), ..empty }
            }
            Self::Key(id) => Revocation { key_id: Some(id), ..empty },
        }
    }
}

impl Auth {
    /// Makes known what was revoked, here at once and elsewhere by the list. To be called when the change itself
    /// is durable; calling it again is harmless.
    pub(crate) async fn publish_revocations(
        &self,
        cause: Cause<'_>,
        revoked: &[Revoked],
    ) -> Result<(), Failure> {
        let (now, until) = (self.runtime.ambient.now(), self.runtime.ambient.after(KEPT_SECONDS));
        let here = &self.runtime.revocations;
        for one in revoked {
            match one {
                Revoked::Session(id) => here.revoke_session(*id, until),
                Revoked::User(id) => here.revoke_user(*id, now, until),
                Revoked::Membership(user, organization) => {
                    here.revoke_membership(*user, *organization, now, until);
                }
                Revoked::Key(id) => here.revoke_key(id, until),
            }
        }
        for chunk in revoked.chunks(50) {
            let mut transaction = cause.begin(CONTAINER, Partition::platform()).without_audit();
            for one in chunk {
                let mut record =
                    transaction.record(format!("revocation:{}", one.id()), one.entry(now, until));
                record.expires_at = Some(until);
                transaction.upsert(&record)?;
            }
            cause.commit(transaction).await?;
        }
        Ok(())
    }

    /// The revocations since a cursor, or all that still matter.
    pub(crate) async fn revocations_since(&self, cursor: Option<&str>) -> Result<RevocationPage, Failure> {
        const FINGERPRINT: &str = "revocations";
        let now = self.runtime.ambient.now();
        let position = match cursor {
            Some(cursor) => {
                let opened = self.runtime.cursors.open(cursor, FINGERPRINT);
                let position = opened.and_then(|text| serde_json::from_str::<Position>(&text).ok());
                position.ok_or_else(|| {
                    Problem::new(coder_core::Code::InvalidQuery, "`since` is no cursor of this list.")
                })?
            }
            None => Position {
                from: earlier(now, SignedDuration::from_secs(KEPT_SECONDS)),
                started: now,
                next: None,
            },
        };
        let filter = Filter::Ge("createdAt".into(), position.from.to_string().into());
        let query = Query::new(filter).order_by("createdAt", Direction::Ascending).limit(PAGE);
        let query = query.continue_from(position.next.clone());
        let started = if position.next.is_some() { position.started } else { now };
        let (items, next) =
            repository::<Revocation>(&self.runtime).page(&Partition::platform(), &query).await?;
        let more = next.is_some();
        let from = if more { position.from } else { earlier(started, OVERLAP) };
        let position = serde_json::to_string(&Position { from, started, next }).map_err(Failure::internal)?;
        let cursor = self.runtime.cursors.seal(&position, FINGERPRINT);
        Ok(RevocationPage { items: items.into_iter().map(|item| item.data).collect(), cursor, more })
    }
}

fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionsRevoked {
    session_ids: Vec<SessionId>,
}

/// The list once more, for the process that ended between the change and its list entry.
pub(crate) async fn republish(auth: Auth, invocation: Invocation, event: Event) -> Result<(), ConsumerFault> {
    let SessionsRevoked { session_ids } = event.payload()?;
    let revoked: Vec<_> = session_ids.into_iter().map(Revoked::Session).collect();
    Ok(auth.publish_revocations(Cause::Job(&invocation), &revoked).await?)
}
