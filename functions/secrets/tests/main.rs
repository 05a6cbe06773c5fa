//! What the `secrets` group does over HTTP, through the gateway.
