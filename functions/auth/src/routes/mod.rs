//! The routes of the group: one file for each resource, handlers thin.

pub(crate) mod admin;
pub(crate) mod api_keys;
pub(crate) mod bootstrap;
pub(crate) mod checkpoints;
pub(crate) mod email;
pub(crate) mod external;
pub(crate) mod fields;
pub(crate) mod identities;
pub(crate) mod introspect;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod me;
pub(crate) mod mfa;
pub(crate) mod password;
pub(crate) mod policy;
pub(crate) mod providers;
pub(crate) mod reauthenticate;
pub(crate) mod refresh;
pub(crate) mod register;
pub(crate) mod revocations;
pub(crate) mod sessions;
pub(crate) mod verify_email;
pub(crate) mod well_known;

use coder_handler::Routes;

use crate::Auth;

/// Every route of the group.
pub(crate) fn all() -> Routes<Auth> {
    [
        register::routes,
        verify_email::routes,
        login::routes,
        refresh::routes,
        logout::routes,
        me::routes,
        sessions::routes,
        password::routes,
        email::routes,
        reauthenticate::routes,
        mfa::routes,
        api_keys::routes,
        well_known::routes,
        external::routes,
        providers::routes,
        policy::routes,
        introspect::routes,
        identities::routes,
        revocations::routes,
        bootstrap::routes,
        admin::routes,
        checkpoints::routes,
    ]
    .into_iter()
    .fold(Routes::new("/api/auth"), |routes, add| add(routes))
}
