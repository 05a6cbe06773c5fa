//! The life of an invitation: pending, then accepted, declined, revoked or expired, once and for good.

use coder_core::{Code, Problem, Timestamp};
use jiff::SignedDuration;

use crate::model::{Invitation, InvitationStatus};

/// Mails that may be sent for one invitation.
pub const MAX_SENT: u8 = 5;
/// Seconds between two mails of one invitation.
pub const RESEND_SECONDS: i64 = 3600;

/// The invitation does not allow what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvitationError {
    /// It was answered or revoked, or it lapsed, and somebody comes with its token.
    #[error("The invitation was used, was taken back or has expired.")]
    Over,
    /// It is not pending, and the organization wants to change it.
    #[error("The invitation is `{}`; only a pending one can be revoked or sent again.", .0.as_str())]
    NotPending(InvitationStatus),
    /// The account's verified address is another one.
    #[error("Sign in with the account whose verified e-mail address was invited.")]
    EmailMismatch,
    /// It was sent too often.
    #[error("The limit `sentCount` is {MAX_SENT}; revoke the invitation and make a new one.")]
    SentTooOften,
    /// It was sent a short while ago.
    #[error("An invitation can be sent again once an hour.")]
    SentTooRecently {
        /// Seconds until it can be.
        retry_after_seconds: u64,
    },
}

impl From<InvitationError> for Problem {
    fn from(error: InvitationError) -> Self {
        let code = match error {
            InvitationError::Over => Code::LinkExpired,
            InvitationError::NotPending(_) => Code::InvalidState,
            InvitationError::EmailMismatch => Code::EmailMismatch,
            InvitationError::SentTooOften => Code::LimitReached,
            InvitationError::SentTooRecently { .. } => Code::RateLimited,
        };
        let problem = Self::new(code, error.to_string());
        match error {
            InvitationError::SentTooRecently { retry_after_seconds } => {
                problem.retry_after(retry_after_seconds)
            }
            _ => problem,
        }
    }
}

impl Invitation {
    /// Whether it waits for an answer: pending, and its time not over even if no job has noted it yet.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.status == InvitationStatus::Pending && self.expires_at > now
    }

    /// Whether it can be looked at by its token.
    pub fn check_open(&self, now: Timestamp) -> Result<(), InvitationError> {
        if self.is_open(now) { Ok(()) } else { Err(InvitationError::Over) }
    }

    /// Accepts it as the person with this verified address (in its stored form), if they have one.
    pub fn accept(&mut self, verified_email: Option<&str>, now: Timestamp) -> Result<(), InvitationError> {
        self.answer(InvitationStatus::Accepted, verified_email, now)
    }

    /// Declines it as the person with this verified address.
    pub fn decline(&mut self, verified_email: Option<&str>, now: Timestamp) -> Result<(), InvitationError> {
        self.answer(InvitationStatus::Declined, verified_email, now)
    }

    /// Takes it back.
    pub fn revoke(&mut self, now: Timestamp) -> Result<(), InvitationError> {
        self.check_pending(now)?;
        self.status = InvitationStatus::Revoked;
        Ok(())
    }

    /// Counts another mail, which answers to a new token.
    pub fn resend(
        &mut self,
        token_id: impl Into<String>,
        token_hash: impl Into<String>,
        now: Timestamp,
    ) -> Result<(), InvitationError> {
        self.check_pending(now)?;
        if self.sent_count >= MAX_SENT {
            return Err(InvitationError::SentTooOften);
        }
        let since = self.last_sent_at.map_or(RESEND_SECONDS, |last| now.duration_since(last).as_secs());
        if since < RESEND_SECONDS {
            let retry_after_seconds = u64::try_from(RESEND_SECONDS - since).unwrap_or_default();
            return Err(InvitationError::SentTooRecently { retry_after_seconds });
        }
        self.token_id = token_id.into();
        self.token_hash = token_hash.into();
        self.sent_count += 1;
        self.last_sent_at = Some(now);
        Ok(())
    }

    /// Notes that its time is over; whether that is news.
    pub fn expire(&mut self, now: Timestamp) -> bool {
        let lapsed = self.status == InvitationStatus::Pending && self.expires_at <= now;
        if lapsed {
            self.status = InvitationStatus::Expired;
        }
        lapsed
    }

    /// When an invitation made now lapses.
    pub fn lapses_at(now: Timestamp, days: u8) -> Timestamp {
        now.saturating_add(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MAX)
    }

    fn answer(
        &mut self,
        answer: InvitationStatus,
        verified_email: Option<&str>,
        now: Timestamp,
    ) -> Result<(), InvitationError> {
        self.check_open(now)?;
        if verified_email != Some(self.email.as_str()) {
            return Err(InvitationError::EmailMismatch);
        }
        self.status = answer;
        Ok(())
    }

    fn check_pending(&self, now: Timestamp) -> Result<(), InvitationError> {
        match self.status {
            InvitationStatus::Pending if self.expires_at > now => Ok(()),
            InvitationStatus::Pending => Err(InvitationError::NotPending(InvitationStatus::Expired)),
            other => Err(InvitationError::NotPending(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Invitation, InvitationError, InvitationStatus, Problem};
    use coder_core::Timestamp;
    use jiff::SignedDuration;

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    fn after(hours: i64) -> Timestamp {
        START + SignedDuration::from_hours(hours)
    }

    fn invitation() -> Invitation {
        Invitation {
            email: "ada@example.com".into(),
            roles: vec!["member".into()],
            team_ids: Vec::new(),
            project_grants: Vec::new(),
            message: None,
            status: InvitationStatus::Pending,
            invited_by: None,
            token_id: "t1".into(),
            token_hash: "h1".into(),
            sealed_token: None,
            delivery: crate::model::Delivery::Pending,
            expires_at: Invitation::lapses_at(START, 7),
            sent_count: 1,
            last_sent_at: Some(START),
        }
    }

    #[track_caller]
    fn refused(answer: Result<(), InvitationError>, status: u16, code: &str) {
        let problem = Problem::from(answer.unwrap_err());
        assert_eq!((problem.code.status(), problem.code.as_str()), (status, code));
    }

    #[test]
    fn only_the_invited_verified_address_can_answer_and_only_once() {
        let mut invitation = invitation();
        refused(invitation.accept(Some("eve@example.com"), START), 403, "email_mismatch");
        refused(invitation.accept(None, START), 403, "email_mismatch");
        refused(invitation.decline(Some("eve@example.com"), START), 403, "email_mismatch");
        assert_eq!(invitation.status, InvitationStatus::Pending);
        invitation.accept(Some("ada@example.com"), START).unwrap();
        assert_eq!(invitation.status, InvitationStatus::Accepted);
        refused(invitation.accept(Some("ada@example.com"), START), 410, "link_expired");
        refused(invitation.decline(Some("ada@example.com"), START), 410, "link_expired");
        refused(invitation.revoke(START), 409, "invalid_state");
        assert!(!invitation.expire(after(1000)));
    }

    #[test]
    fn it_lapses_on_time_even_before_the_job_has_noted_it() {
        let mut invitation = invitation();
        assert!(invitation.is_open(after(7 * 24 - 1)) && !invitation.is_open(after(7 * 24)));
        refused(invitation.accept(Some("ada@example.com"), after(7 * 24)), 410, "link_expired");
        refused(invitation.revoke(after(7 * 24)), 409, "invalid_state");
        refused(invitation.resend("t", "h", after(7 * 24)), 409, "invalid_state");
        assert!(!invitation.expire(after(1)));
        assert!(invitation.expire(after(7 * 24)));
        assert_eq!(invitation.status, InvitationStatus::Expired);
        assert!(!invitation.expire(after(7 * 24)), "it is news once");
    }

    #[test]
    fn it_is_sent_again_hourly_and_five_times_in_all() {
        let mut invitation = invitation();
        let soon = START + SignedDuration::from_mins(45);
        let error = invitation.resend("t2", "h2", soon).unwrap_err();
        assert_eq!(error, InvitationError::SentTooRecently { retry_after_seconds: 900 });
        assert_eq!(Problem::from(error).retry_after_seconds, Some(900));
        assert_eq!(invitation.token_id, "t1");
        for sent in 2..=5 {
            invitation.resend(format!("t{sent}"), "h", after(i64::from(sent) - 1)).unwrap();
            assert_eq!((invitation.sent_count, invitation.token_id.clone()), (sent, format!("t{sent}")));
        }
        refused(invitation.resend("t6", "h", after(6)), 409, "limit_reached");
        invitation.revoke(after(6)).unwrap();
        refused(invitation.accept(Some("ada@example.com"), after(6)), 410, "link_expired");
    }
}
