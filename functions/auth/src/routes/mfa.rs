//! Soon.

use coder_handler::Routes;

use crate::Auth;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes
}
