//! The life of an organization: active, then pending deletion with 30 days to restore. Suspending is the
//! operator's; a suspended organization is neither deleted nor restored by its own people.

use coder_core::{Code, Problem, Timestamp};

use crate::model::{Organization, OrganizationStatus};

/// What its owners do with an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrganizationAct {
    /// Deletion in 30 days.
    RequestDeletion,
    /// Back from pending deletion, within the grace.
    Restore,
}

/// The organization's state does not allow the act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OrganizationStateError {
    /// Deletion is for active organizations.
    #[error("Only an active organization can be deleted.")]
    NotActive,
    /// There is nothing to restore, or it is too late.
    #[error("The organization is not waiting for its deletion, or its time to be restored is over.")]
    NotRestorable,
}

impl From<OrganizationStateError> for Problem {
    fn from(error: OrganizationStateError) -> Self {
        Self::new(Code::InvalidState, error.to_string())
    }
}

impl Organization {
    /// Takes the organization to the next state, or leaves it untouched.
    pub fn apply(&mut self, act: OrganizationAct, now: Timestamp) -> Result<(), OrganizationStateError> {
        use OrganizationStatus::{Active, PendingDeletion};
        match (act, self.status) {
            (OrganizationAct::RequestDeletion, Active) => {
                self.status = PendingDeletion;
                self.delete_after = Some(super::end_of_grace(now));
                Ok(())
            }
            (OrganizationAct::RequestDeletion, _) => Err(OrganizationStateError::NotActive),
            (OrganizationAct::Restore, PendingDeletion) if !self.is_due_for_purge(now) => {
                self.status = Active;
                self.delete_after = None;
                Ok(())
            }
            (OrganizationAct::Restore, _) => Err(OrganizationStateError::NotRestorable),
        }
    }

    /// Whether the grace of a deletion is over.
    pub fn is_due_for_purge(&self, now: Timestamp) -> bool {
        self.status == OrganizationStatus::PendingDeletion && self.delete_after.is_none_or(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::OrganizationAct::{RequestDeletion, Restore};
    use super::{Organization, OrganizationStateError, OrganizationStatus};
    use crate::model::OrganizationKind;
    use coder_core::Timestamp;
    use jiff::SignedDuration;

    #[test]
    fn a_deletion_can_be_undone_for_thirty_days() {
        let start = Timestamp::UNIX_EPOCH;
        let day = |n: i64| start + SignedDuration::from_hours(24 * n);
        let mut organization = Organization::new(OrganizationKind::Company, "Acme", "acme");
        let as_it_was = organization.clone();
        assert_eq!(organization.apply(Restore, start), Err(OrganizationStateError::NotRestorable));
        organization.apply(RequestDeletion, start).unwrap();
        assert_eq!(organization.apply(RequestDeletion, start), Err(OrganizationStateError::NotActive));
        assert!(!organization.is_due_for_purge(day(29)) && organization.is_due_for_purge(day(30)));
        let mut late = organization.clone();
        assert_eq!(late.apply(Restore, day(30)), Err(OrganizationStateError::NotRestorable));
        organization.apply(Restore, day(29)).unwrap();
        assert_eq!(organization, as_it_was);
        organization.status = OrganizationStatus::Suspended;
        assert!(organization.apply(RequestDeletion, start).is_err(), "restoring would lift the suspension");
    }
}
