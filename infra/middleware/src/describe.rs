//! What an operation says of itself. It is read off the handler's signature: each input and the answer add
//! their part, so that the documentation cannot differ from the code.

use std::sync::{Arc, LazyLock};

use coder_core::Code;
use coder_core::permission::PermissionDeclaration;
use http::Method;
use serde_json::Value;

/// An example value, shown in the API documentation and used by tests as a valid request.
pub trait Example {
    /// The example.
    fn example() -> Self;
}

impl<T: Example + coder_database::Entity> Example for coder_database::Record<T> {
    fn example() -> Self {
        Self::example(T::example())
    }
}

/// JSON that is made when it is first read. Schemas and examples of all operations are megabytes that take
/// milliseconds to make, and a process that serves requests reads few of them.
pub type Lazily = Arc<LazyLock<Value>>;

/// Makes it when it is first read.
pub fn lazily(make: fn() -> Value) -> Lazily {
    Arc::new(LazyLock::new(make))
}

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Anybody, without a credential.
    Anyone,
    /// Any signed-in caller, on what is their own.
    SignedIn,
    /// A caller with a session; API keys are refused.
    Session,
    /// A caller whose session was authenticated in the last 15 minutes.
    FreshSession,
    /// A caller who holds the permission.
    Permission(&'static PermissionDeclaration),
    /// Other parts of the platform.
    Service,
    /// Any signed-in caller, on what is their own, and other parts of the platform.
    SignedInOrService,
    /// Platform operators, who are named by configuration.
    Operator,
}

/// Where a parameter is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterPlace {
    /// In the query string.
    Query,
    /// In a header.
    Header,
}

/// A query or header parameter.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Where it is sent.
    pub place: ParameterPlace,
    /// Whether it must be there.
    pub required: bool,
    /// Its schema, in the dialect of OpenAPI 3.0.
    pub schema: Value,
    /// What it means.
    pub description: String,
}

/// A request body.
#[derive(Debug, Clone)]
pub struct BodyDescription {
    /// Accepted media types, the usual one first.
    pub media_types: &'static [&'static str],
    /// The schema in the dialect of OpenAPI 3.0.
    pub schema: Lazily,
    /// The schema that requests are checked with, in the dialect of JSON Schema 2020-12.
    pub validation: Lazily,
    /// A valid body.
    pub example: Lazily,
    /// Whether the body is a merge patch: what it leaves out stays as it is.
    pub patch: bool,
}

impl BodyDescription {
    /// Whether the body may be left out: its schema demands nothing.
    pub fn optional(&self) -> bool {
        let required = self.validation.get("required").and_then(Value::as_array);
        !self.patch && self.validation["type"] == "object" && required.is_none_or(Vec::is_empty)
    }
}

/// An answer of success.
#[derive(Debug, Clone)]
pub struct AnswerDescription {
    /// HTTP status.
    pub status: u16,
    /// What it means.
    pub description: &'static str,
    /// Media type, schema (OpenAPI 3.0) and example; `None` for an answer without a body.
    pub body: Option<(&'static str, Lazily, Lazily)>,
    /// Names of the headers that come with it.
    pub headers: &'static [&'static str],
}

/// An operation, described.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, off unless a route says otherwise"
)]
pub struct OperationDescription {
    /// Unique in the platform: `<verb>_<resource>`.
    pub id: &'static str,
    /// HTTP method.
    pub method: Method,
    /// The whole path, with `{name}` for parameters.
    pub path: String,
    /// One line: what it does.
    pub summary: String,
    /// Who may call it; set by the one access argument of every handler.
    pub security: Vec<Security>,
    /// Query and header parameters.
    pub parameters: Vec<Parameter>,
    /// The request body.
    pub body: Option<BodyDescription>,
    /// The query string's schema, for validation.
    pub query: Option<Value>,
    /// Answers of success.
    pub answers: Vec<AnswerDescription>,
    /// Problems particular to the operation; the usual ones are derived.
    pub problems: Vec<Code>,
    /// Largest accepted body, in bytes.
    pub body_limit: usize,
    /// Whether a member who must first set up a second factor may call it.
    pub during_enrolment: bool,
    /// Whether calls without a credential count against the strict limit for each address.
    pub guarded: bool,
    /// Whether calls count against the limit of changes to one organization.
    pub write_limited: bool,
    /// Whether the answer holds what must not be kept: an idempotency key is then not looked at.
    pub never_kept: bool,
    /// Whether every group has this operation: its id repeats over the groups, and one document describes it for
    /// all of them.
    pub built_in: bool,
}

/// The usual body limit: 1 MiB.
pub const BODY_LIMIT: usize = 1024 * 1024;

impl OperationDescription {
    /// A bare description.
    pub fn new(id: &'static str, method: Method, path: String, summary: String) -> Self {
        Self {
            id,
            method,
            path,
            summary,
            security: Vec::new(),
            parameters: Vec::new(),
            body: None,
            query: None,
            answers: Vec::new(),
            problems: Vec::new(),
            body_limit: BODY_LIMIT,
            during_enrolment: false,
            guarded: false,
            write_limited: false,
            never_kept: false,
            built_in: false,
        }
    }

    /// Who may call it. A handler without an access argument is for nobody; tests refuse such a declaration.
    pub fn access(&self) -> Security {
        self.security.first().copied().unwrap_or(Security::Operator)
    }

    /// Whether the operation changes something.
    pub fn writes(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD)
    }

    /// Every problem code that the operation can answer with, in the order of the code table.
    pub fn problem_codes(&self) -> Vec<Code> {
        let mut codes = vec![
            Code::RateLimited,
            Code::Internal,
            Code::Unavailable,
            Code::UpstreamTimeout,
            Code::NotAcceptable,
        ];
        match self.access() {
            Security::Anyone => {}
            Security::FreshSession => {
                codes.extend([
                    Code::Unauthenticated,
                    Code::TokenExpired,
                    Code::ReauthenticationRequired,
                    Code::Forbidden,
                ]);
            }
            _ => codes.extend([Code::Unauthenticated, Code::TokenExpired, Code::Forbidden]),
        }
        if self.path.contains('{') {
            codes.push(Code::NotFound);
        }
        if self.query.is_some() {
            codes.push(Code::InvalidQuery);
        }
        if self.body.is_some() {
            codes.extend([
                Code::MalformedJson,
                Code::BodyTooLarge,
                Code::UnsupportedMediaType,
                Code::ValidationFailed,
                Code::UnknownField,
            ]);
        }
        if self.method == Method::POST && !self.never_kept {
            codes.push(Code::IdempotencyConflict);
        }
        if self.writes() {
            codes.push(Code::Conflict);
        }
        if self.parameters.iter().any(|parameter| parameter.name == "If-Match") {
            codes.extend([Code::InvalidHeader, Code::EtagMismatch]);
        }
        codes.extend(&self.problems);
        Code::ALL.iter().copied().filter(|code| codes.contains(code)).collect()
    }
}
