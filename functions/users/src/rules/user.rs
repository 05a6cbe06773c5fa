//! The life of a user: active and deactivated, back and forth; then pending deletion, with 30 days to restore;
//! then deleted.

use coder_core::{Code, Problem, Timestamp};

use crate::model::{User, UserStatus};

/// What happens to a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserAct {
    /// No signing in from now on.
    Deactivate,
    /// Back from deactivation.
    Reactivate,
    /// Deletion in 30 days.
    RequestDeletion,
    /// Back from pending deletion, within the grace.
    Restore,
    /// The erasure, once the grace is over.
    Purge,
}

/// The user's state does not allow the act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("A user that is `{}` cannot {}.", status.as_str(), act.in_words())]
pub struct UserStateError {
    /// The state.
    pub status: UserStatus,
    /// The act.
    pub act: UserAct,
}

impl From<UserStateError> for Problem {
    fn from(error: UserStateError) -> Self {
        Self::new(Code::InvalidState, error.to_string())
    }
}

impl UserAct {
    fn in_words(self) -> &'static str {
        match self {
            Self::Deactivate => "be deactivated",
            Self::Reactivate => "be reactivated",
            Self::RequestDeletion => "ask for deletion",
            Self::Restore => "be restored, or its time for that is over",
            Self::Purge => "be purged, or not yet",
        }
    }
}

impl User {
    /// Takes the user to the next state, or leaves it untouched.
    pub fn apply(&mut self, act: UserAct, now: Timestamp) -> Result<(), UserStateError> {
        use UserStatus::{Active, Deactivated, PendingDeletion};
        let over = self.delete_after.is_none_or(|end| end <= now);
        match (self.status, act) {
            (Active, UserAct::Deactivate) => self.status = Deactivated,
            (Deactivated, UserAct::Reactivate) => self.status = Active,
            (Active | Deactivated, UserAct::RequestDeletion) => {
                self.status = PendingDeletion;
                self.delete_after = Some(super::end_of_grace(now));
            }
            (PendingDeletion, UserAct::Restore) if !over => {
                self.status = Active;
                self.delete_after = None;
            }
            (PendingDeletion, UserAct::Purge) if over => self.erase(),
            (status, act) => return Err(UserStateError { status, act }),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::UserAct::{Deactivate, Purge, Reactivate, RequestDeletion, Restore};
    use super::{Problem, User};
    use crate::model::UserKind;
    use crate::model::UserStatus::{self, Active, Deactivated, Deleted, PendingDeletion};
    use coder_core::Timestamp;
    use jiff::SignedDuration;

    #[test]
    fn every_state_takes_exactly_its_acts() {
        let now = Timestamp::UNIX_EPOCH;
        let allowed: [(UserStatus, &[(super::UserAct, UserStatus)]); 4] = [
            (Active, &[(Deactivate, Deactivated), (RequestDeletion, PendingDeletion)]),
            (Deactivated, &[(Reactivate, Active), (RequestDeletion, PendingDeletion)]),
            (PendingDeletion, &[(Restore, Active)]),
            (Deleted, &[]),
        ];
        for (status, acts) in allowed {
            for act in [Deactivate, Reactivate, RequestDeletion, Restore, Purge] {
                let mut user = User::new(UserKind::Human, "Ada");
                user.status = status;
                user.delete_after = (status == PendingDeletion).then(|| super::super::end_of_grace(now));
                let before = user.clone();
                let expected = acts.iter().find(|(one, _)| *one == act).map(|(_, after)| *after);
                match (user.apply(act, now), expected) {
                    (Ok(()), Some(after)) => assert_eq!(user.status, after, "{status:?} {act:?}"),
                    (Err(error), None) => {
                        assert_eq!(user, before, "{status:?} {act:?} changes nothing");
                        assert_eq!(Problem::from(error).code.as_str(), "invalid_state");
                    }
                    (answer, expected) => panic!("{status:?} {act:?}: {answer:?}, expected {expected:?}"),
                }
            }
        }
    }

    #[test]
    fn a_deletion_can_be_undone_for_thirty_days_and_is_then_final() {
        let start = Timestamp::UNIX_EPOCH;
        let day = |n: i64| start + SignedDuration::from_hours(24 * n);
        let mut user = User::new(UserKind::Human, "Ada");
        user.bio = Some("Mathematician".into());
        let as_it_was = user.clone();
        user.apply(RequestDeletion, start).unwrap();
        assert_eq!(user.delete_after, Some(day(30)));
        assert!(user.apply(Purge, day(29)).is_err());
        let mut restored = user.clone();
        restored.apply(Restore, day(29)).unwrap();
        assert_eq!(restored, as_it_was);
        assert!(user.apply(Restore, day(30)).is_err());
        user.apply(Purge, day(31)).unwrap();
        assert_eq!((user.status, user.display_name.as_str(), user.bio), (Deleted, "Deleted user", None));
    }
}
