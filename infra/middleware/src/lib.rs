//! The request chain and what handlers are made of: the order in which every request is looked at
//! ([`chain`]), the typed inputs of a handler ([`request`]), the evidence that it may run ([`access`]), the
//! transaction that it writes with ([`mod@unit`]) and the answers that it gives ([`answer`]).
//!
//! It does not know any route group. Entry points: [`Chain`] for servers, [`Input`] and [`Access`] for handlers.

pub mod access;
pub mod answer;
pub mod chain;
pub mod describe;
pub mod effective;
pub mod list;
pub mod problem_response;
pub mod request;
pub mod runtime;
pub mod schema;
pub mod stream;
pub mod token;
pub mod unit;

pub use access::{
    Access, Allowed, Anyone, FreshSession, FromService, InSession, Operator, SignedIn, SignedInOrService,
};
pub use answer::{Accepted, Answer, Created, Json, NoContent, PageOf, Started};
pub use chain::{Authentication, Authenticator, Chain, Identity};
pub use describe::{Example, OperationDescription, Security};
pub use list::{Filters, List};
pub use request::{Body, IfMatch, Input, Patch, Path, Paths, Query, RequestContext, State};
pub use runtime::{Authorizer, Runtime};
pub use stream::{Download, EventStream, ServerSentEvent};
pub use unit::Unit;
