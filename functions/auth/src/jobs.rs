//! What happens by the clock.

mod end_keys;
mod mend_claims;
mod rotate_keys;
mod warn_of_ends;

use coder_handler::RouteGroup;

use crate::Auth;

pub(crate) fn declare(group: RouteGroup<Auth>) -> RouteGroup<Auth> {
    group
        .timer("rotate-signing-keys", "0 */15 * * * *", rotate_keys::run)
        .timer("mend-email-claims", "0 */15 * * * *", mend_claims::run)
        .timer("warn-of-api-key-ends", "0 0 6 * * *", warn_of_ends::run)
        .timer("end-api-keys", "0 30 * * * *", end_keys::run)
}
