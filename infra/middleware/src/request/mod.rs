//! The typed inputs of a handler.

mod body;
mod context;
mod if_match;
mod json;
pub(crate) mod query;

use std::future::Future;
use std::str::FromStr;

use coder_core::Failure;

pub use body::{Body, Patch};
pub use context::{Endpoint, RequestContext};
pub use if_match::IfMatch;
pub use json::parse_json;
pub use query::Query;

use crate::describe::OperationDescription;

/// An argument of a handler, in a group whose service is `S`.
pub trait Input<S>: Sized + Send {
    /// Adds the argument to the operation's description.
    fn describe(operation: &mut OperationDescription);
    /// Takes the argument out of the request.
    fn extract(context: &RequestContext, service: &S) -> impl Future<Output = Result<Self, Failure>> + Send;
}

/// The group's service.
#[derive(Debug, Clone)]
pub struct State<S>(pub S);

impl<S: Clone + Send + Sync> Input<S> for State<S> {
    fn describe(_: &mut OperationDescription) {}

    async fn extract(_: &RequestContext, service: &S) -> Result<Self, Failure> {
        Ok(Self(service.clone()))
    }
}

/// The request itself, for what no other input gives.
impl<S: Sync> Input<S> for RequestContext {
    fn describe(_: &mut OperationDescription) {}

    async fn extract(context: &RequestContext, _: &S) -> Result<Self, Failure> {
        Ok(context.clone())
    }
}

/// The only parameter of the path. One that cannot be read names nothing: `404`.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<S: Sync, T: FromStr + Send> Input<S> for Path<T> {
    fn describe(_: &mut OperationDescription) {}

    async fn extract(context: &RequestContext, _: &S) -> Result<Self, Failure> {
        context.path_value(0).map(Self)
    }
}

/// Two parameters of the path, in order.
#[derive(Debug, Clone)]
pub struct Paths<A, B>(pub A, pub B);

impl<S: Sync, A: FromStr + Send, B: FromStr + Send> Input<S> for Paths<A, B> {
    fn describe(_: &mut OperationDescription) {}

    async fn extract(context: &RequestContext, _: &S) -> Result<Self, Failure> {
        Ok(Self(context.path_value(0)?, context.path_value(1)?))
    }
}
