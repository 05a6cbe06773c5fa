//! What the `logging` group does over HTTP, through the gateway.
