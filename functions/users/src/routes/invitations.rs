//! Invitations.

use coder_core::{Code, Failure, OrganizationId, Result};
use coder_database::Record;
use coder_handler::Routes;

use crate::model::User;
use crate::service::{Acting, Users};

/// Adds the routes.
pub fn routes(routes: Routes<Users>) -> Routes<Users> {
    routes
}

/// Accepts the invitation of a token in the name of a person; one that this person accepted before is no fault.
pub(crate) async fn accept_by_token(
    _users: &Users,
    _acting: Acting<'_>,
    _token: &str,
    _person: &Record<User>,
    _verified_email: Option<&str>,
) -> Result<OrganizationId> {
    Err(Failure::problem(Code::LinkExpired, "The invitation was used, was taken back or has expired."))
}
