//! The service of the group: typed repositories, the state that decides permissions, and the steps that several
//! routes, consumers and jobs share.
//!
//! Writes to one organization that can change what somebody may do go through [`Users::raise_version`], which
//! guards them all with the organization document's tag: of two at a time the second runs again on what the
//! first left. What stands in two partitions is written truth first; its mirror follows ([`mirrors`]), once at
//! once and once more by the consumer of the event, and is repaired every night.

mod access_time;
pub mod create;
pub mod directory;
pub mod gift;
pub mod join;
pub mod members;
pub mod membership_change;
pub mod mirrors;
pub mod provision;
pub mod recipients;
pub mod role_use;
pub mod snapshot;
pub mod withdrawal;

use std::ops::Deref;
use std::sync::Arc;

use coder_core::{Code, Failure, OrganizationId, Problem, Timestamp, UserId};
use coder_database::claim::Claim;
use coder_database::{Partition, Record, Repository, Transaction};
use coder_handler::Peers;
use coder_middleware::runtime::Runtime;

pub use snapshot::Snapshot;

use crate::model::{
    CONTAINER, Grant, Invitation, InvitationRef, InvitationToken, Membership, MembershipRef, Organization,
    Project, Role, Team, TeamMember, User,
};
use crate::permissions::Catalogue;
use crate::rules::LimitReached;

/// Own roles that an organization can have; every check of a permission reads them all.
pub const MAX_ROLES: usize = 200;
/// Grants that an organization can have; every check of a permission reads them all.
pub const MAX_GRANTS: usize = 5000;

/// The service of the group.
#[derive(Debug, Clone)]
pub struct Users(Arc<Parts>);

/// What the service is made of.
#[derive(Debug)]
pub struct Parts {
    /// The services of the platform.
    pub runtime: Arc<Runtime>,
    /// Other groups.
    pub peers: Arc<Peers>,
    /// Every permission that an organization can give.
    pub catalogue: Catalogue,
    /// People, agents and services; in `user:`.
    pub people: Repository<User>,
    /// Mirrors of memberships beside their person; in `user:`.
    pub membership_refs: Repository<MembershipRef>,
    /// Organizations; this and all that follow in `org:`.
    pub organizations: Repository<Organization>,
    /// Memberships.
    pub memberships: Repository<Membership>,
    /// Teams.
    pub teams: Repository<Team>,
    /// Who is in which team.
    pub team_members: Repository<TeamMember>,
    /// Projects.
    pub projects: Repository<Project>,
    /// Own roles.
    pub roles: Repository<Role>,
    /// Grants.
    pub grants: Repository<Grant>,
    /// Invitations.
    pub invitations: Repository<Invitation>,
    /// Claims, wherever they stand.
    pub claims: Repository<Claim>,
    /// Look-ups of invitations; in `token:`.
    pub invitation_tokens: Repository<InvitationToken>,
    /// Look-ups of pending invitations by address; in `invited:`.
    pub invitation_refs: Repository<InvitationRef>,
}

impl Deref for Users {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Users {
    /// The service over the platform's store.
    pub fn new(runtime: Arc<Runtime>, peers: Arc<Peers>) -> Self {
        let store = &runtime.store;
        Self(Arc::new(Parts {
            catalogue: Catalogue::new(&runtime.catalogue),
            people: Repository::new(store.clone(), CONTAINER),
            membership_refs: Repository::new(store.clone(), CONTAINER),
            organizations: Repository::new(store.clone(), CONTAINER),
            memberships: Repository::new(store.clone(), CONTAINER),
            teams: Repository::new(store.clone(), CONTAINER),
            team_members: Repository::new(store.clone(), CONTAINER),
            projects: Repository::new(store.clone(), CONTAINER),
            roles: Repository::new(store.clone(), CONTAINER),
            grants: Repository::new(store.clone(), CONTAINER),
            invitations: Repository::new(store.clone(), CONTAINER),
            claims: Repository::new(store.clone(), CONTAINER),
            invitation_tokens: Repository::new(store.clone(), CONTAINER),
            invitation_refs: Repository::new(store.clone(), CONTAINER),
            peers,
            runtime,
        }))
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.runtime.ambient.now()
    }

    /// The organization's document; `404` if there is none.
    pub async fn organization(&self, id: OrganizationId) -> Result<Record<Organization>, Failure> {
        self.organizations.get(&Partition::organization(id), &id.to_string()).await
    }

    /// The person's document; `404` if there is none.
    pub async fn person(&self, id: UserId) -> Result<Record<User>, Failure> {
        self.people.get(&Partition::user(id), &id.to_string()).await
    }

    /// The person's membership in the organization; `404` if there is none.
    pub async fn membership(
        &self,
        organization_id: OrganizationId,
        user_id: UserId,
    ) -> Result<Record<Membership>, Failure> {
        let found = self.find_membership(organization_id, user_id).await?;
        found.ok_or_else(|| Problem::not_found("person").into())
    }

    /// The person's membership in the organization, if there is one.
    pub async fn find_membership(
        &self,
        organization_id: OrganizationId,
        user_id: UserId,
    ) -> Result<Option<Record<Membership>>, Failure> {
        let partition = Partition::organization(organization_id);
        self.memberships.find(&partition, &Membership::document_id(user_id)).await
    }

    /// Every membership of the organization.
    pub async fn all_memberships(&self, id: OrganizationId) -> Result<Vec<Record<Membership>>, Failure> {
        self.memberships.all(&Partition::organization(id), None, usize::MAX).await
    }

    /// Raises the organization's `permissionVersion` in the transaction, under the organization document's tag: if
    /// the document was changed since it was read, the transaction is stale. Answers the document as it will be.
    pub fn raise_version(
        &self,
        unit: &mut Transaction,
        organization: &Record<Organization>,
    ) -> Result<Record<Organization>, Failure> {
        let data = Organization {
            permission_version: organization.data.permission_version.saturating_add(1),
            ..organization.data.clone()
        };
        Ok(unit.replace(organization, data)?.0)
    }
}

/// `409` for a limit that every organization has alike.
pub fn fixed_limit(name: &str, present: usize, most: usize) -> Result<(), Problem> {
    if present < most {
        return Ok(());
    }
    Err(Problem::new(Code::LimitReached, format!("The limit `{name}` is {most}; remove some first.")))
}

/// Turns a reached limit into the failure of a handler.
impl From<LimitReached> for Failure {
    fn from(error: LimitReached) -> Self {
        Problem::from(error).into()
    }
}
