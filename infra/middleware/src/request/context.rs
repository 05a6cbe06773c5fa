//! A request on its way to its handler: what the chain found out, and what the handler may ask for.

use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use coder_core::{Failure, Problem};
use http::HeaderMap;
use jsonschema::Validator;

use crate::chain::{Authentication, Identity};
use crate::describe::OperationDescription;
use crate::runtime::Runtime;
use crate::schema;

/// An operation that is served: its description, and its validators, each made for the first request that needs it.
#[derive(Debug)]
pub struct Endpoint {
    /// The description.
    pub operation: OperationDescription,
    body: OnceLock<Result<Validator, String>>,
    query: OnceLock<Result<Validator, String>>,
}

impl Endpoint {
    /// An operation without any request yet.
    pub fn new(operation: OperationDescription) -> Self {
        Self { operation, body: OnceLock::new(), query: OnceLock::new() }
    }

    /// Checks request bodies; an error where no validator can be made from the schema.
    pub fn body_validator(&self) -> Option<&Result<Validator, String>> {
        let body = self.operation.body.as_ref()?;
        Some(self.body.get_or_init(|| schema::validator(&body.validation)))
    }

    /// Checks query strings; none where the operation declares no parameters, and so ignores them.
    pub fn query_validator(&self) -> Option<&Result<Validator, String>> {
        let query = self.operation.query.as_ref()?;
        Some(self.query.get_or_init(|| schema::validator(query)))
    }
}

#[derive(Debug)]
struct Inner {
    runtime: Arc<Runtime>,
    endpoint: Arc<Endpoint>,
    identity: Identity,
    authentication: Authentication,
    headers: HeaderMap,
    path: String,
    query: Option<String>,
    path_values: Vec<(String, String)>,
    body: Bytes,
}

/// A request, shared by all inputs of its handler.
#[derive(Debug, Clone)]
pub struct RequestContext(Arc<Inner>);

impl RequestContext {
    /// Gathers a request; the body was read within its limit.
    pub fn new(
        runtime: Arc<Runtime>,
        endpoint: Arc<Endpoint>,
        parts: http::request::Parts,
        path_values: Vec<(String, String)>,
        body: Bytes,
    ) -> Self {
        let identity = parts.extensions.get::<Identity>().cloned().unwrap_or_default();
        let authentication =
            parts.extensions.get::<Authentication>().cloned().unwrap_or(Authentication::Anonymous);
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().map(str::to_owned);
        let headers = parts.headers;
        Self(Arc::new(Inner {
            runtime,
            endpoint,
            identity,
            authentication,
            headers,
            path,
            query,
            path_values,
            body,
        }))
    }

    /// The services of the platform.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.0.runtime
    }

    /// The operation, described.
    pub fn operation(&self) -> &OperationDescription {
        &self.0.endpoint.operation
    }

    /// The operation's id.
    pub fn operation_id(&self) -> &'static str {
        self.0.endpoint.operation.id
    }

    /// Request id, trace and client.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// What came of the credential.
    pub fn authentication(&self) -> &Authentication {
        &self.0.authentication
    }

    /// A header's value, if it is visible text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.get(name)?.to_str().ok()
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The path as it was sent.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The raw query string.
    pub fn query_string(&self) -> Option<&str> {
        self.0.query.as_deref()
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// The parameter of the path with this name.
    pub fn path_parameter(&self, name: &str) -> Option<&str> {
        self.0.path_values.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn path_value<T: FromStr>(&self, position: usize) -> Result<T, Failure> {
        let value = self.0.path_values.get(position);
        let parsed = value.and_then(|(_, value)| value.parse().ok());
        parsed.ok_or_else(|| Problem::not_found("resource").into())
    }

    pub(crate) fn body_validator(&self) -> Result<Option<&Validator>, Failure> {
        usable(self.0.endpoint.body_validator())
    }

    pub(crate) fn query_validator(&self) -> Result<Option<&Validator>, Failure> {
        usable(self.0.endpoint.query_validator())
    }
}

/// A schema that no validator can be made from is a fault of ours.
fn usable(validator: Option<&Result<Validator, String>>) -> Result<Option<&Validator>, Failure> {
    validator.map(|made| made.as_ref().map_err(|fault| Failure::internal(fault.as_str()))).transpose()
}
