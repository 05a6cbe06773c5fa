//! What a caller is told when a request fails: RFC 9457 problems and the one table of their codes.

use std::fmt;

/// One row for every code a caller can meet.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, $status:literal, $title:literal;)+) => {
        /// The stable code of a problem. The wording of a problem may change, its code does not.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant),+ }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The code as it is written in a problem.
            pub fn as_str(self) -> &'static str { match self { $(Self::$variant => $name),+ } }

            /// The HTTP status that goes with the code.
            pub fn status(self) -> u16 { match self { $(Self::$variant => $status),+ } }

            /// A short description that is the same for every problem of this code.
            pub fn title(self) -> &'static str { match self { $(Self::$variant => $title),+ } }
        }
    };
}

codes! {
    /// The body is no JSON.
    MalformedJson, "malformed_json", 400, "The request body is not valid JSON";
    /// A query parameter is unknown or cannot be read.
    InvalidQuery, "invalid_query", 400, "The query string is not valid";
    /// A header that the request needs cannot be read.
    InvalidHeader, "invalid_header", 400, "A request header is not valid";
    /// The path of the request is written in a way that could be read as another path.
    InvalidPath, "invalid_path", 400, "The path of the request is not valid";
    /// The body breaks off, or is not framed as HTTP says.
    InvalidBody, "invalid_body", 400, "The request body did not arrive as announced";
    /// No credential, or one that does not hold.
    Unauthenticated, "unauthenticated", 401, "Sign in first";
    /// The access token was good once.
    TokenExpired, "token_expired", 401, "The access token has expired";
    /// A refresh token came a second time.
    TokenReused, "token_reused", 401, "The refresh token was used before";
    /// E-mail and password (or code) do not go together.
    InvalidCredentials, "invalid_credentials", 401, "The credentials are not right";
    /// The action needs a recent sign-in (RFC 9470).
    ReauthenticationRequired, "reauthentication_required", 401, "Sign in again to go on";
    /// The caller is known and lacks the permission.
    Forbidden, "forbidden", 403, "You may not do this";
    /// The address of the account was never confirmed.
    EmailUnverified, "email_unverified", 403, "Confirm your e-mail address first";
    /// An invitation is for another address.
    EmailMismatch, "email_mismatch", 403, "The invitation is for another e-mail address";
    /// The organization demands a second factor.
    MfaRequired, "mfa_required", 403, "Set up a second factor first";
    /// Nobody can register here at present.
    RegistrationClosed, "registration_closed", 403, "Registration is not open";
    /// Absent, or in another organization.
    NotFound, "not_found", 404, "There is no such resource";
    /// The path exists, the method does not.
    MethodNotAllowed, "method_not_allowed", 405, "The method is not allowed here";
    /// No offered representation is accepted.
    NotAcceptable, "not_acceptable", 406, "The answer is available as JSON only";
    /// The request took too long to arrive.
    RequestTimeout, "request_timeout", 408, "The request took too long to arrive";
    /// The state of the resource conflicts with the request.
    Conflict, "conflict", 409, "The request conflicts with the state of the resource";
    /// A state machine has no such transition.
    InvalidState, "invalid_state", 409, "The resource is not in a state that allows this";
    /// A unique value is taken.
    AlreadyExists, "already_exists", 409, "Such a resource exists already";
    /// The idempotency key was used with another request.
    IdempotencyConflict, "idempotency_conflict", 409, "The idempotency key was used for another request";
    /// The last owner cannot go.
    LastOwner, "last_owner", 409, "An organization needs an active owner";
    /// No checkpoint covers the audit entry yet.
    NotCheckpointed, "not_checkpointed", 409, "No checkpoint covers the entry yet";
    /// The work that makes the thing is not done.
    NotReady, "not_ready", 409, "It is not ready yet";
    /// A limit of the organization is reached.
    LimitReached, "limit_reached", 409, "A limit is reached";
    /// Something still hangs on the resource.
    NotEmpty, "not_empty", 409, "The resource is not empty";
    /// Something still uses the resource.
    InUse, "in_use", 409, "The resource is in use";
    /// What the platform ships cannot be changed.
    Immutable, "immutable", 409, "The resource cannot be changed";
    /// The last way to sign in cannot go.
    LastLoginMethod, "last_login_method", 409, "This is the last way to sign in";
    /// The secret, or this version of it, is switched off.
    SecretDisabled, "secret_disabled", 409, "The secret is disabled";
    /// The secret's time is over.
    SecretExpired, "secret_expired", 409, "The secret has expired";
    /// Another version is current than the caller expected.
    VersionConflict, "version_conflict", 409, "Another version is current";
    /// Gone for good.
    Gone, "gone", 410, "The resource is gone";
    /// A link was used, or is too old.
    LinkExpired, "link_expired", 410, "The link was used or has expired";
    /// The version's value was destroyed.
    VersionDestroyed, "version_destroyed", 410, "The version was destroyed";
    /// The resource changed since it was read.
    EtagMismatch, "etag_mismatch", 412, "The resource has changed since it was read";
    /// The body is larger than allowed.
    BodyTooLarge, "body_too_large", 413, "The request body is too large";
    /// The address of the request is longer than allowed.
    UriTooLong, "uri_too_long", 414, "The request address is too long";
    /// The body is of another media type.
    UnsupportedMediaType, "unsupported_media_type", 415, "The media type of the request body is not supported";
    /// One or more fields do not hold.
    ValidationFailed, "validation_failed", 422, "One or more fields are not valid";
    /// The body has a key that nobody reads.
    UnknownField, "unknown_field", 422, "The request body has an unknown field";
    /// A permission is not in the catalogue.
    UnknownPermission, "unknown_permission", 422, "There is no such permission";
    /// A search would read too much.
    NarrowTheRange, "narrow_the_range", 422, "The search takes too long; narrow its range";
    /// The answer would have more rows than it may.
    TooManyRows, "too_many_rows", 422, "The answer would have too many rows";
    /// A role inherits itself.
    RoleCycle, "role_cycle", 422, "A role cannot inherit itself";
    /// The action is recorded with a reason, which is missing.
    ReasonRequired, "reason_required", 422, "A reason is required";
    /// Too many requests in a short time.
    RateLimited, "rate_limited", 429, "Too many requests";
    /// A quota is used up.
    QuotaExceeded, "quota_exceeded", 429, "A quota is used up";
    /// The header section is larger than allowed.
    HeadersTooLarge, "headers_too_large", 431, "The request headers are too large";
    /// A fault of the platform.
    Internal, "internal", 500, "Something went wrong on our side";
    /// The method is none of HTTP's.
    NotImplemented, "not_implemented", 501, "The method is not supported";
    /// A service behind the platform answered badly.
    UpstreamFailed, "upstream_failed", 502, "A service behind this one failed";
    /// A part of the platform is away.
    Unavailable, "unavailable", 503, "The service is not available at the moment";
    /// The key that encrypts the organization's secrets cannot be used at present.
    KeyUnavailable, "key_unavailable", 503, "The encryption key is not available at the moment";
    /// A service behind the platform did not answer in time.
    UpstreamTimeout, "upstream_timeout", 504, "A service behind this one did not answer in time";
}

impl fmt::Display for Code {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// One fault in a request body.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// Where: a JSON pointer (RFC 6901); empty for the whole body.
    pub pointer: String,
    /// What kind of fault, for programs.
    pub code: &'static str,
    /// What is wrong, for people.
    pub message: String,
}

impl Fault {
    /// A fault at `pointer`.
    pub fn new(pointer: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, message: message.into() }
    }
}

/// A failed request, as the caller is told. Holds nothing that a caller must not see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The stable code; it decides status and title.
    pub code: Code,
    /// What happened this time and what to do about it.
    pub detail: String,
    /// Every fault of the body, for 422.
    pub errors: Vec<Fault>,
    /// When a retry makes sense, in seconds.
    pub retry_after_seconds: Option<u64>,
    /// The `WWW-Authenticate` challenge that replaces the usual one of 401.
    pub challenge: Option<String>,
    /// The limit that was reached, for 429.
    pub rate_limit: Option<RateLimit>,
}

/// Where a caller stands with a limit, as the `RateLimit-*` headers say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// The most requests at once.
    pub limit: u32,
    /// How many of them are left.
    pub remaining: u32,
    /// Seconds until all are there again.
    pub reset_seconds: u64,
}

impl Problem {
    /// A problem of this code with its particulars.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_seconds: None,
            challenge: None,
            rate_limit: None,
        }
    }

    /// `404 not_found`; the same words whether the thing is absent or another tenant's.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("There is no such {what} in this organization."))
    }

    /// `403 forbidden`, naming the missing permission.
    pub fn missing_permission(name: &str) -> Self {
        Self::new(Code::Forbidden, format!("The permission `{name}` is needed."))
    }

    /// `422` with every fault. The code is the faults' own where all are `unknown_field`.
    pub fn invalid(errors: Vec<Fault>) -> Self {
        let unknown = errors.iter().all(|fault| fault.code == Code::UnknownField.as_str());
        let code = if unknown && !errors.is_empty() { Code::UnknownField } else { Code::ValidationFailed };
        let detail = match errors.as_slice() {
            [one] if one.pointer.is_empty() => one.message.clone(),
            [one] => format!("{}: {}", one.pointer, one.message),
            many => format!("{} faults were found; `errors` names each.", many.len()),
        };
        Self { errors, ..Self::new(code, detail) }
    }

    /// `422` with a single fault.
    pub fn fault(pointer: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self::invalid(vec![Fault::new(pointer, code, message)])
    }

    /// `503 unavailable` with the time after which a retry makes sense.
    pub fn unavailable(detail: impl Into<String>, retry_after_seconds: u64) -> Self {
        Self::new(Code::Unavailable, detail).retry_after(retry_after_seconds)
    }

    /// Says when a retry makes sense.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// `401 reauthentication_required` with the challenge of RFC 9470.
    pub fn reauthenticate(max_age_seconds: u64) -> Self {
        let mut problem = Self::new(
            Code::ReauthenticationRequired,
            "This needs a recent sign-in: call `POST /api/auth/reauthenticate` and repeat the request.",
        );
        problem.challenge = Some(format!(
            "Bearer realm=\"coder\", error=\"insufficient_user_authentication\", max_age={max_age_seconds}"
        ));
        problem
    }

    /// The problem as RFC 9457 writes it.
    pub fn to_json(&self, request_id: &str) -> serde_json::Value {
        let mut json = serde_json::json!({
            "type": format!("https://coder.dev/problems/{}", self.code),
            "title": self.code.title(),
            "status": self.code.status(),
            "detail": self.detail,
            "code": self.code.as_str(),
            "requestId": request_id,
        });
        if !self.errors.is_empty() {
            json["errors"] = serde_json::json!(self.errors);
        }
        json
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.code, self.detail)
    }
}
