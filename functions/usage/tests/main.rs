//! What the `usage` group does over HTTP, through the gateway.
