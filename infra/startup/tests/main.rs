//! What every route group gets for nothing, shown on a small one: the conventions of the API.

mod conventions;
mod host;
mod notes;
