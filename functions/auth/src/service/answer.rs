//! What a sign-in answers: tokens in the body, or the refresh token in a cookie, or the next step.

use coder_core::{Code, Failure, OrganizationId, Problem, SessionId, StoredAnswer, UserId};
use coder_middleware::answer::{Answer, describe_json, render_json};
use coder_middleware::{Example, OperationDescription, RequestContext};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::model::ClientKind;
use crate::session::ABSOLUTE_SECONDS;

/// The cookie of refresh tokens.
const COOKIE: &str = "__Secure-coder_rt";

/// How the refresh token goes to the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Delivery {
    /// In the body.
    #[default]
    Body,
    /// In a cookie that no script can read; for allowed origins only.
    Cookie,
}

/// What a client says of itself at sign-in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Client {
    pub(crate) delivery: Delivery,
    pub(crate) kind: Option<ClientKind>,
    pub(crate) device_name: Option<String>,
}

/// Tokens of a session.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tokens {
    /// Goes into `Authorization: Bearer …`.
    pub(crate) access_token: String,
    /// Always `Bearer`.
    pub(crate) token_type: &'static str,
    /// Seconds that the access token is good.
    pub(crate) expires_in_seconds: i64,
    /// Gets the next tokens, once; null if it is in the cookie or if it did not change.
    pub(crate) refresh_token: Option<String>,
    /// The session.
    pub(crate) session_id: SessionId,
    /// The person.
    pub(crate) user_id: UserId,
    /// The organization that the access token is for; null before the person has one.
    pub(crate) organization_id: Option<OrganizationId>,
    /// The organization demands a second factor that the person has yet to set up; nothing else is open.
    pub(crate) mfa_enrolment_required: bool,
}

/// A second factor is due.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MfaDue {
    /// Goes to `POST /api/auth/login/mfa` with a code.
    pub(crate) mfa_token: String,
    /// What is accepted there.
    pub(crate) methods: [&'static str; 2],
    /// Seconds to show the code in.
    pub(crate) expires_in_seconds: i64,
}

/// A link was sent, if there was anything to send.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LinkSent {
    /// Always `mail_sent`, whether or not the address is known.
    pub(crate) status: &'static str,
}

/// Tokens, and where the refresh token goes.
#[derive(Debug, Clone)]
pub(crate) struct TokenAnswer {
    pub(crate) status: u16,
    pub(crate) tokens: Tokens,
    pub(crate) refresh_token: Option<SecretString>,
    pub(crate) delivery: Delivery,
}

/// The answer of a login.
#[derive(Debug, Clone)]
pub(crate) enum LoginAnswer {
    /// The person is signed in.
    Tokens(TokenAnswer),
    /// The next step.
    MfaDue(MfaDue),
}

/// The answer of a registration.
#[derive(Debug, Clone)]
pub(crate) enum RegisterAnswer {
    /// The person is signed in.
    Tokens(TokenAnswer),
    /// The address must be confirmed first.
    LinkSent,
}

impl LinkSent {
    pub(crate) const NEW: Self = Self { status: "mail_sent" };
}

impl Answer for TokenAnswer {
    fn describe(operation: &mut OperationDescription) {
        describe_json::<Tokens>(operation, 200, "Signed in.", &["Set-Cookie", "Cache-Control"]);
    }

    fn render(&self) -> Result<StoredAnswer, Failure> {
        let mut headers = vec![("cache-control".to_owned(), "no-store".to_owned())];
        let mut tokens = self.tokens.clone();
        if let Some(token) = &self.refresh_token {
            match self.delivery {
                Delivery::Body => tokens.refresh_token = Some(token.expose_secret().to_owned()),
                Delivery::Cookie => headers.push(cookie(token.expose_secret(), ABSOLUTE_SECONDS)),
            }
        }
        render_json(self.status, &tokens, headers)
    }
}

impl Answer for LoginAnswer {
    fn describe(operation: &mut OperationDescription) {
        TokenAnswer::describe(operation);
        describe_json::<MfaDue>(operation, 202, "A second factor is due.", &["Cache-Control"]);
    }

    fn render(&self) -> Result<StoredAnswer, Failure> {
        match self {
            Self::Tokens(tokens) => tokens.render(),
            Self::MfaDue(due) => render_json(202, due, vec![("cache-control".into(), "no-store".into())]),
        }
    }
}

impl Answer for RegisterAnswer {
    fn describe(operation: &mut OperationDescription) {
        describe_json::<Tokens>(
            operation,
            201,
            "Registered and signed in.",
            &["Set-Cookie", "Cache-Control"],
        );
        describe_json::<LinkSent>(operation, 202, "A link was sent to the address.", &[]);
    }

    fn render(&self) -> Result<StoredAnswer, Failure> {
        match self {
            Self::Tokens(tokens) => tokens.render(),
            Self::LinkSent => render_json(202, &LinkSent::NEW, Vec::new()),
        }
    }
}

/// `204` that clears the cookie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignedOut;

impl Answer for SignedOut {
    fn describe(operation: &mut OperationDescription) {
        coder_middleware::NoContent::describe(operation);
    }

    fn render(&self) -> Result<StoredAnswer, Failure> {
        Ok(StoredAnswer { status: 204, headers: vec![cookie("", 0)], body: String::new() })
    }
}

fn cookie(value: &str, max_age_seconds: i64) -> (String, String) {
    let attributes = "Path=/api/auth; HttpOnly; Secure; SameSite=Strict";
    ("set-cookie".into(), format!("{COOKIE}={value}; {attributes}; Max-Age={max_age_seconds}"))
}

/// The refresh token in the request's cookies.
pub(crate) fn cookie_token(context: &RequestContext) -> Option<String> {
    let lines = context.headers().get_all("cookie").iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned())
}

/// Cookies are set and read for allowed origins only, so that no foreign page can use a browser's.
pub(crate) fn demand_origin(context: &RequestContext) -> Result<(), Failure> {
    let allowed = &context.runtime().settings.allowed_origins;
    if context.header("origin").is_some_and(|origin| allowed.contains(origin)) {
        return Ok(());
    }
    let detail = "Refresh tokens in cookies are for allowed origins only; ask for `delivery: body`.";
    Err(Problem::new(Code::Forbidden, detail).into())
}

impl Example for Tokens {
    fn example() -> Self {
        let id = coder_core::id::EXAMPLE;
        Self {
            access_token: "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9…".into(),
            token_type: "Bearer",
            expires_in_seconds: 900,
            refresh_token: Some("rt_AZkMOn46fBGdL1tqfI2eD…".into()),
            session_id: id.into(),
            user_id: id.into(),
            organization_id: Some(id.into()),
            mfa_enrolment_required: false,
        }
    }
}

impl Example for MfaDue {
    fn example() -> Self {
        Self::new("AZkMOn46fBGdL1tqfI2eD…".into())
    }
}

impl MfaDue {
    /// The step with its token.
    pub(crate) fn new(mfa_token: String) -> Self {
        Self { mfa_token, methods: ["totp", "recovery_code"], expires_in_seconds: 300 }
    }
}

impl Example for LinkSent {
    fn example() -> Self {
        Self::NEW
    }
}
