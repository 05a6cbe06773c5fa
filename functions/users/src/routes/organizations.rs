//! Being written.

use coder_handler::Routes;

use crate::service::Users;

/// Adds the routes.
pub fn routes(routes: Routes<Users>) -> Routes<Users> {
    routes
}
