//! Soon.

use coder_handler::RouteGroup;

use crate::Auth;

pub(crate) fn declare(group: RouteGroup<Auth>) -> RouteGroup<Auth> {
    group
}
