//! Login with an external provider, and the accounts there that belong to a person.

use std::str::FromStr;

use coder_core::{Code, Failure, Problem, Result, StoredAnswer, Timestamp};
use coder_database::Record;
use coder_handler::{Cause, Routes};
use coder_middleware::describe::AnswerDescription;
use coder_middleware::{
    Access as _, Answer, Anyone, Body, Example, FreshSession, Json, NoContent, OperationDescription, PageOf,
    Path, Query, State,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::{Url, form_urlencoded};

use crate::Auth;
use crate::email::EmailAddress;
use crate::model::{Alias, CONTAINER, ClientKind, ExternalLogin, ProviderId};
use crate::routes::fields::Secret;
use crate::service::answer::{Client, Delivery, LoginAnswer, demand_origin};
use crate::service::external::{Destination, Return};
use crate::service::sessions::emit;
use crate::service::tokens::session_ended;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes
        .get("/external/providers", "offer_login_providers", "List the login providers to offer", offer)
        .described(|operation| operation.guarded = true)
        .get(
            "/external/{providerId}/start",
            "start_external_login",
            "Go to a provider to sign in there",
            start,
        )
        .described(|operation| operation.guarded = true)
        .problems([Code::UpstreamFailed])
        .post(
            "/external/{providerId}/start",
            "start_external_link",
            "Begin to link an account of a provider",
            link,
        )
        .problems([Code::InvalidQuery, Code::UpstreamFailed])
        .get(
            "/external/{providerId}/callback",
            "finish_external_login",
            "Come back from a provider",
            callback,
        )
        .described(|operation| operation.guarded = true)
        .problems([Code::InvalidCredentials, Code::Forbidden, Code::AlreadyExists, Code::UpstreamFailed])
        .post(
            "/external/exchange",
            "exchange_external_code",
            "Exchange the code of a login for tokens",
            exchange,
        )
        .described(|operation| operation.guarded = true)
        .problems([Code::InvalidCredentials, Code::Forbidden])
        .get("/external/logins", "list_external_logins", "List own accounts at providers", list)
        .delete(
            "/external/logins/{loginId}",
            "unlink_external_login",
            "Unlink an account of a provider",
            unlink,
        )
        .problems([Code::LastLoginMethod])
}

/// For whom providers are offered.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct OfferQuery {
    /// The organization's short name.
    #[schemars(length(max = 40))]
    organization: Option<String>,
    /// The address that somebody wants to sign in with; only its domain counts.
    #[schemars(length(max = 254))]
    email: Option<String>,
}

/// A provider to offer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Offer {
    /// Goes into the path of `/external/{providerId}/start`.
    id: String,
    /// What people see on the button.
    name: String,
}

impl Example for Offer {
    fn example() -> Self {
        Self { id: coder_core::id::EXAMPLE.to_string(), name: "Acme".into() }
    }
}

async fn offer(
    State(auth): State<Auth>,
    _: Anyone,
    Query(query): Query<OfferQuery>,
) -> Result<Json<PageOf<Offer>>> {
    let email = query.email.as_deref().and_then(|email| EmailAddress::parse(email).ok());
    let organization_id = match (&query.organization, &email) {
        (Some(slug), _) => auth.organization_of(Alias::Slug(slug)).await?,
        (None, Some(email)) => auth.organization_of(Alias::Domain(email.domain())).await?,
        (None, None) => None,
    };
    let offered = auth.offered_providers(organization_id).await?.into_iter();
    let items = offered.map(|found| Offer { id: found.meta.id, name: found.data.display_name }).collect();
    Ok(Json(PageOf { items, next_cursor: None }))
}

/// Where a login is to end.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Start {
    /// The application's address; one that the platform allows.
    #[schemars(length(min = 1, max = 2048))]
    redirect_uri: String,
    /// Comes back as `state`, so that the application knows a login that it began itself.
    #[schemars(length(max = 200))]
    state: Option<String>,
}

impl Example for Start {
    fn example() -> Self {
        Self { redirect_uri: "http://localhost:3000/auth/callback".into(), state: Some("af0ifjsldkj".into()) }
    }
}

impl Start {
    fn destination(self) -> Result<Destination> {
        let detail = "`redirectUri` is not one that the platform allows.";
        let redirect_uri =
            Url::parse(&self.redirect_uri).map_err(|_| Problem::new(Code::InvalidQuery, detail))?;
        Ok(Destination { redirect_uri, client_state: self.state, link_user_id: None })
    }
}

/// `302`: the browser goes on elsewhere.
#[derive(Debug)]
struct Redirect(Url);

impl Answer for Redirect {
    fn describe(operation: &mut OperationDescription) {
        let description = "The browser goes on to `Location`.";
        operation.answers.push(AnswerDescription {
            status: 302,
            description,
            body: None,
            headers: &["Location"],
        });
    }

    fn render(&self) -> Result<StoredAnswer, Failure> {
        let headers = [
            ("location", self.0.as_str()),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Ok(StoredAnswer { status: 302, headers, body: String::new() })
    }
}

async fn start(
    State(auth): State<Auth>,
    who: Anyone,
    Path(id): Path<ProviderId>,
    Query(start): Query<Start>,
) -> Result<Redirect> {
    auth.start_external(who.context(), id, start.destination()?).await.map(Redirect)
}

/// Where to go for linking an account.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Started {
    /// The provider's address; the browser is to go there.
    authorization_url: String,
}

impl Example for Started {
    fn example() -> Self {
        Self { authorization_url: "https://login.example.com/authorize?response_type=code&…".into() }
    }
}

async fn link(
    State(auth): State<Auth>,
    who: FreshSession,
    Path(id): Path<ProviderId>,
    Body(start): Body<Start>,
) -> Result<Json<Started>> {
    let to = Destination { link_user_id: Some(who.0.user_id), ..start.destination()? };
    let url = auth.start_external(who.context(), id, to).await?;
    Ok(Json(Started { authorization_url: url.into() }))
}

/// Providers add parameters of their own, so the query string is read here and not against a schema.
async fn callback(State(auth): State<Auth>, who: Anyone, Path(id): Path<ProviderId>) -> Result<Redirect> {
    let mut back = Return::default();
    let query = who.context().query_string().unwrap_or_default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let slot = match name.as_ref() {
            "state" => &mut back.state,
            "code" => &mut back.code,
            "iss" => &mut back.iss,
            "error" => &mut back.error,
            _ => continue,
        };
        *slot = Some(value.into_owned());
    }
    auth.return_external(who.context(), id, back).await.map(Redirect)
}

/// The code of a login, and where the tokens go.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Exchange {
    /// The `code` that came with the application's address.
    code: Secret,
    /// How the refresh token is delivered.
    #[serde(default)]
    delivery: Delivery,
    /// The kind of program that signs in.
    client_kind: Option<ClientKind>,
    /// What the person calls the device.
    #[schemars(length(max = 100))]
    device_name: Option<String>,
}

impl Example for Exchange {
    fn example() -> Self {
        Self {
            code: "AZkMOn46fBGdL1tqfI2eDw".into(),
            delivery: Delivery::Body,
            client_kind: None,
            device_name: None,
        }
    }
}

async fn exchange(State(auth): State<Auth>, who: Anyone, Body(input): Body<Exchange>) -> Result<LoginAnswer> {
    if input.delivery == Delivery::Cookie {
        demand_origin(who.context())?;
    }
    let client = Client { delivery: input.delivery, kind: input.client_kind, device_name: input.device_name };
    auth.exchange_external(&who, input.code.expose(), &client).await
}

/// An account at a provider.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ExternalLoginView {
    /// Names the link.
    id: String,
    /// The provider.
    provider_id: String,
    /// The provider's own name.
    issuer: String,
    /// When it was linked.
    #[schemars(with = "String", extend("format" = "date-time"))]
    linked_at: Timestamp,
}

impl Example for ExternalLoginView {
    fn example() -> Self {
        Self {
            id: ExternalLogin::key("https://login.example.com", "248289761001"),
            provider_id: coder_core::id::EXAMPLE.to_string(),
            issuer: "https://login.example.com".into(),
            linked_at: Timestamp::UNIX_EPOCH,
        }
    }
}

async fn list(State(auth): State<Auth>, who: FreshSession) -> Result<Json<PageOf<ExternalLoginView>>> {
    let view = |found: Record<ExternalLogin>| ExternalLoginView {
        id: found.meta.id,
        provider_id: found.data.provider_id,
        issuer: found.data.issuer,
        linked_at: found.data.linked_at,
    };
    let items = auth.external_logins(who.0.user_id).await?.into_iter().map(view).collect();
    Ok(Json(PageOf { items, next_cursor: None }))
}

/// The id of a link: a hash in hexadecimal.
struct LoginId(String);

impl FromStr for LoginId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let fits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if fits { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

async fn unlink(
    State(auth): State<Auth>,
    who: FreshSession,
    Path(LoginId(id)): Path<LoginId>,
) -> Result<NoContent> {
    let user_id = who.0.user_id;
    let identity = auth.identity(user_id).await?.ok_or_else(session_ended)?;
    let logins = auth.external_logins(user_id).await?;
    let Some(before) = logins.iter().find(|login| login.meta.id == id) else {
        return Err(Problem::new(Code::NotFound, "You have no such login.").into());
    };
    if identity.data.password_hash.is_none() && logins.len() == 1 {
        let detail = "You could not sign in any more; set a password or link another login first.";
        return Err(Problem::new(Code::LastLoginMethod, detail).into());
    }
    let mut unit = who.begin(CONTAINER, ExternalLogin::mirror_partition(user_id)).await?;
    unit.delete(before)?;
    // Guards the count: of two that unlink at once, one runs again.
    unit.replace(&identity, identity.data.clone())?;
    let data = json!({"userId": user_id, "providerId": before.data.provider_id});
    emit(&mut unit, who.0.organization_id, "external-login.unlinked", &user_id.to_string(), data);
    let answer = unit.commit(NoContent).await?;
    auth.drop_external_account(Cause::Request(who.context()), &before.data).await?;
    Ok(answer)
}
