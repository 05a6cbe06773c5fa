//! The endpoints, one file for each resource.

pub mod accesses;
pub mod grants;
pub mod import;
pub mod keys;
pub mod resolve;
pub mod reveal;
pub mod rotate;
pub mod secrets;
pub mod versions;

use coder_handler::Routes;

use crate::service::Secrets;

/// Every route of the group.
pub fn routes() -> Routes<Secrets> {
    let routes = Routes::new("/api/secrets");
    let routes = accesses::routes(import::routes(keys::routes(resolve::routes(routes))));
    rotate::routes(grants::routes(versions::routes(reveal::routes(secrets::routes(routes)))))
}
