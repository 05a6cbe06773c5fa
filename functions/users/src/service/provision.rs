//! A new person, as the `auth` group registers them: the profile, and a first membership. Every step looks first
//! at what is there, so that a repeat after a failure goes on where the last one ended.

use coder_core::{Code, OrganizationId, Problem, Result, UserId};
use coder_database::{Partition, Record};
use coder_handler::Cause;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Users;
use super::join::FirstMembership;
use crate::model::{CONTAINER, Organization, OrganizationKind, User, UserKind};
use crate::names::{self, cleaned};

/// Who is registered.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provision {
    /// The id of the identity.
    pub user_id: UserId,
    /// Its address.
    #[schemars(length(min = 3, max = 254))]
    pub email: String,
    /// The name that others see.
    #[schemars(length(min = 1, max = 120))]
    pub display_name: String,
    /// The name of a company to make; without it and without a token the person gets a personal organization.
    #[schemars(length(min = 1, max = 100))]
    pub organization_name: Option<String>,
    /// The token of an invitation to accept instead.
    #[schemars(length(min = 1, max = 512))]
    pub invitation_token: Option<String>,
    /// A membership to start with instead.
    pub membership: Option<FirstMembership>,
    /// Whether the address was confirmed.
    #[serde(default)]
    pub email_verified: bool,
}

impl Users {
    /// Makes whatever is missing of the person and of the first membership. Answers the person and the organization
    /// that was made or joined; none if the person had memberships already.
    pub async fn provision(
        &self,
        cause: Cause<'_>,
        wanted: Provision,
    ) -> Result<(Record<User>, Option<OrganizationId>, bool)> {
        let user_id = wanted.user_id;
        let partition = Partition::user(user_id);
        let (person, created) = match self.people.find(&partition, &user_id.to_string()).await? {
            Some(person) => (person, false),
            None => (self.new_person(cause, &wanted).await?, true),
        };
        let organization_id = match (&wanted.invitation_token, &wanted.membership) {
            (Some(token), _) => {
                let verified = person.data.email.as_deref().filter(|_| wanted.email_verified);
                Some(
                    crate::routes::invitations::accept_by_token(self, cause, token, &person, verified)
                        .await?,
                )
            }
            (None, Some(membership)) => Some(self.join_by_provider(cause, &person, membership).await?),
            (None, None) if self.places(user_id).await?.is_empty() => {
                Some(self.first_organization(cause, &person, wanted.organization_name).await?)
            }
            (None, None) => None,
        };
        if let Some(organization_id) = organization_id {
            self.settle_membership(cause, organization_id, user_id).await?;
        }
        Ok((person, organization_id, created))
    }

    async fn new_person(&self, cause: Cause<'_>, wanted: &Provision) -> Result<Record<User>> {
        let Some(email) = names::email(&wanted.email) else {
            return Err(Problem::fault("/email", "invalid_format", "An e-mail address is needed.").into());
        };
        let mut person = User::new(UserKind::Human, &wanted.display_name);
        person.email = Some(email);
        person.email_verified = wanted.email_verified;
        let person = cleaned(person)?;
        let user_id = wanted.user_id;
        let mut unit = cause.begin(CONTAINER, Partition::user(user_id));
        unit.create(user_id, person)?;
        let event = json!({"userId": user_id, "kind": UserKind::Human});
        unit.emit("user.created", &user_id.to_string(), event);
        match cause.commit(unit).await {
            // The same registration came twice at once.
            Err(failure) if failure.code() == Some(Code::AlreadyExists) => {}
            outcome => outcome?,
        }
        // Read back, because only a stored record can be written again.
        self.person(user_id).await
    }

    /// The organization that a person starts with. Its id is the person's, so that a repeat finds it.
    async fn first_organization(
        &self,
        cause: Cause<'_>,
        person: &Record<User>,
        company: Option<String>,
    ) -> Result<OrganizationId> {
        let user_id: UserId = person.id()?;
        let id = OrganizationId::from(user_id.uuid());
        let organization = match company {
            Some(name) => Organization::new(OrganizationKind::Company, name, ""),
            None => {
                let name: String = person.data.display_name.chars().take(100).collect();
                Organization::new(OrganizationKind::Personal, name.trim(), "")
            }
        };
        self.create_organization(cause, id, cleaned(organization)?, person).await?;
        Ok(id)
    }
}
