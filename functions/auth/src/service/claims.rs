//! Claims of e-mail addresses: taken before an account is made, lasting once it is there, given back with it. What
//! a process that died has left half done is put right by whoever comes across it, and by a job.

use coder_core::{Code, Failure, Timestamp, UserId};
use coder_database::{Record, Transaction};
use coder_handler::Cause;

use super::Auth;
use crate::email::EmailAddress;
use crate::model::{CONTAINER, ClaimState, EmailClaim, Identity};

/// Seconds after which no request that made a claim can still be at work on it.
const LEFT_SECONDS: i64 = 120;

impl Auth {
    /// Claims an address for a while; answers whether it was free, or this person's already.
    pub(crate) async fn claim_email(
        &self,
        cause: Cause<'_>,
        email: &EmailAddress,
        user_id: UserId,
    ) -> Result<bool, Failure> {
        if self.try_claim(cause, email, user_id, ClaimState::Pending).await? {
            return Ok(true);
        }
        if let Some(claim) = self.mended_claim(cause, email).await? {
            if claim.data.user_id == user_id || !self.is_forsaken(&claim, email).await? {
                return Ok(claim.data.user_id == user_id);
            }
            let mut unit = cause.begin(CONTAINER, EmailClaim::partition(email)).without_audit();
            unit.delete(&claim)?;
            cause.commit(unit).await?;
        }
        self.try_claim(cause, email, user_id, ClaimState::Pending).await
    }

    /// Whether a lasting claim was left behind by an account that is gone or has moved to another address.
    async fn is_forsaken(&self, claim: &Record<EmailClaim>, email: &EmailAddress) -> Result<bool, Failure> {
        if claim.data.state == ClaimState::Pending || !self.is_left(claim.meta.updated_at) {
            return Ok(false);
        }
        let identity = self.identity(claim.data.user_id).await?;
        Ok(identity.is_none_or(|identity| identity.data.email != *email))
    }

    async fn try_claim(
        &self,
        cause: Cause<'_>,
        email: &EmailAddress,
        user_id: UserId,
        state: ClaimState,
    ) -> Result<bool, Failure> {
        let mut unit = cause.begin(CONTAINER, EmailClaim::partition(email)).without_audit();
        let mut record = unit.record(EmailClaim::id(email), EmailClaim { user_id, state });
        if state == ClaimState::Pending {
            record.expires_at = Some(self.runtime.ambient.after(EmailClaim::PENDING_SECONDS));
        }
        unit.insert(&record)?;
        match cause.commit(unit).await {
            Ok(()) => Ok(true),
            Err(failure) if failure.code() == Some(Code::AlreadyExists) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Makes a claim last, in a transaction on its partition.
    pub(crate) async fn activate_claim(
        &self,
        unit: &mut Transaction,
        email: &EmailAddress,
    ) -> Result<(), Failure> {
        let before = self.claim(email).await?.ok_or(Failure::Stale)?;
        activate(unit, &before)
    }

    /// Gives an address back, if it is still this person's.
    pub(crate) async fn release_claim(
        &self,
        cause: Cause<'_>,
        email: &EmailAddress,
        user_id: UserId,
    ) -> Result<(), Failure> {
        let found = self.claim(email).await?;
        if let Some(claim) = found.filter(|claim| claim.data.user_id == user_id) {
            let mut unit = cause.begin(CONTAINER, EmailClaim::partition(email)).without_audit();
            unit.delete(&claim)?;
            cause.commit(unit).await?;
        }
        Ok(())
    }

    /// The person who holds an address. For one that nobody holds the same is read, so that the time tells
    /// nothing.
    pub(crate) async fn find_by_email(
        &self,
        cause: Cause<'_>,
        email: &EmailAddress,
    ) -> Result<Option<(UserId, Record<Identity>)>, Failure> {
        let claim = self.mended_claim(cause, email).await?;
        let user_id = claim.map_or_else(|| self.runtime.ambient.new_id(), |claim| claim.data.user_id);
        let identity = self.identity(user_id).await?;
        // An account that has moved to another address leaves its old claim for a moment.
        Ok(identity.filter(|identity| identity.data.email == *email).map(|identity| (user_id, identity)))
    }

    /// Makes sure that an account has its address: a claim that was never finished may have lapsed.
    pub(crate) async fn restore_claim(
        &self,
        cause: Cause<'_>,
        identity: &Record<Identity>,
    ) -> Result<(), Failure> {
        let (user_id, email) = (identity.id::<UserId>()?, &identity.data.email);
        if !self.is_left(identity.meta.created_at) {
            return Ok(());
        }
        if self.mended_claim(cause, email).await?.is_none() {
            self.try_claim(cause, email, user_id, ClaimState::Active).await?;
        }
        match self.claim(email).await? {
            Some(claim) if claim.data.user_id != user_id => {
                tracing::error!(user.id = %user_id, "another account has taken the address of this one");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The claim of an address; one that a request has left pending lasts from now on if its account is there.
    async fn mended_claim(
        &self,
        cause: Cause<'_>,
        email: &EmailAddress,
    ) -> Result<Option<Record<EmailClaim>>, Failure> {
        let Some(claim) = self.claim(email).await? else { return Ok(None) };
        if claim.data.state == ClaimState::Active || !self.is_left(claim.meta.updated_at) {
            return Ok(Some(claim));
        }
        let identity = self.identity(claim.data.user_id).await?;
        if identity.is_none_or(|identity| identity.data.email != *email) {
            return Ok(Some(claim));
        }
        let mut unit = cause.begin(CONTAINER, EmailClaim::partition(email)).without_audit();
        activate(&mut unit, &claim)?;
        match cause.commit(unit).await {
            // Somebody else has just done it.
            Ok(()) | Err(Failure::Stale) => self.claim(email).await,
            Err(failure) => Err(failure),
        }
    }

    async fn claim(&self, email: &EmailAddress) -> Result<Option<Record<EmailClaim>>, Failure> {
        self.claims.find(&EmailClaim::partition(email), &EmailClaim::id(email)).await
    }

    fn is_left(&self, since: Timestamp) -> bool {
        self.runtime.ambient.now().duration_since(since).as_secs() > LEFT_SECONDS
    }
}

fn activate(unit: &mut Transaction, before: &Record<EmailClaim>) -> Result<(), Failure> {
    let mut record = before.clone();
    record.data.state = ClaimState::Active;
    record.expires_at = None;
    unit.update(before, record).map(|_| ())
}
