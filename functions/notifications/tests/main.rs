//! What the `notifications` group does over HTTP, through the gateway.
