//! The service of the group: repositories, keys, and the steps that several routes, consumers and jobs share.
//!
//! A step writes one partition. Where a change stands in several, the order is such that a step that fails
//! leaves nothing that opens a door; what is missing then is made up for by a repeat, a lapse or a consumer.

pub(crate) mod addresses;
pub(crate) mod aliases;
pub(crate) mod answer;
pub(crate) mod api_keys;
pub(crate) mod bootstrap;
pub(crate) mod claims;
pub(crate) mod client_secrets;
pub(crate) mod erasure;
pub(crate) mod external;
pub(crate) mod external_accounts;
pub(crate) mod introspection;
pub(crate) mod keys;
pub(crate) mod links;
pub(crate) mod login;
pub mod mail;
pub(crate) mod networks;
pub(crate) mod organizations;
pub(crate) mod passwords;
pub(crate) mod people;
pub(crate) mod provider_roles;
pub(crate) mod providers;
pub(crate) mod refreshing;
pub(crate) mod registration;
pub(crate) mod revocations;
pub(crate) mod second_factor;
pub(crate) mod sessions;
pub(crate) mod throttling;
pub(crate) mod tokens;

use std::ops::Deref;
use std::sync::Arc;

use coder_core::{Actor, ActorKind, Code, Failure, UserId};
use coder_database::{Entity, Record, Repository};
use coder_handler::Peers;
use coder_middleware::RequestContext;
use coder_middleware::runtime::Runtime;
use coder_middleware::token::TokenVerifier;
use coder_middleware::unit::actor;
use coder_vault::Sealer;

use self::client_secrets::ClientSecrets;
use self::keys::SigningKeys;
use self::mail::Postbox;
use crate::model::{
    ApiKey, AuthPolicy, CONTAINER, EmailClaim, ExternalLogin, ExternalProvider, Identity, KnownDevice,
    OneTimeToken, Session, Throttle, TotpFactor,
};
use crate::oidc::OidcClient;
use crate::password::PasswordHasher;
use crate::refresh::RefreshTokens;
use crate::token::AccessTokenIssuer;
use coder_outbound::SafeHttp;

/// The service of the group. Clones share everything.
#[derive(Debug, Clone)]
pub struct Auth(Arc<Parts>);

/// What the service is made of.
#[derive(Debug)]
pub struct Parts {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) identities: Repository<Identity>,
    pub(crate) claims: Repository<EmailClaim>,
    pub(crate) sessions: Repository<Session>,
    pub(crate) devices: Repository<KnownDevice>,
    pub(crate) tokens: Repository<OneTimeToken>,
    pub(crate) factors: Repository<TotpFactor>,
    pub(crate) throttles: Repository<Throttle>,
    pub(crate) policies: Repository<AuthPolicy>,
    pub(crate) api_keys: Repository<ApiKey>,
    pub(crate) providers: Repository<ExternalProvider>,
    /// Both halves of links to external accounts.
    pub(crate) logins: Repository<ExternalLogin>,
    /// Where the platform's passwords at providers come from.
    pub(crate) secrets: ClientSecrets,
    /// None where no client for calls to the outside could be made.
    pub(crate) oidc_client: Option<OidcClient>,
    pub(crate) hasher: PasswordHasher,
    pub(crate) refresh_tokens: RefreshTokens,
    pub(crate) issuer: AccessTokenIssuer,
    pub(crate) keys: Arc<SigningKeys>,
    pub(crate) verifier: TokenVerifier,
    /// Seals the secrets of authenticator apps; the context is the user id.
    pub(crate) totp_sealer: Sealer,
    /// Mails that carry a link.
    pub(crate) postbox: Postbox,
}

impl Deref for Auth {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Auth {
    /// The service, before anything was read or made.
    pub fn new(runtime: Arc<Runtime>, peers: Arc<Peers>) -> Self {
        let ambient = runtime.ambient.clone();
        let issuer = AccessTokenIssuer::new(runtime.settings.public_url.as_str(), ambient.clone());
        let keys = Arc::new(SigningKeys::new(runtime.clone()));
        let verifier = TokenVerifier::new(ambient.clone(), issuer.issuer().to_owned(), keys.clone());
        Self(Arc::new(Parts {
            identities: repository(&runtime),
            claims: repository(&runtime),
            sessions: repository(&runtime),
            devices: repository(&runtime),
            tokens: repository(&runtime),
            factors: repository(&runtime),
            throttles: repository(&runtime),
            policies: repository(&runtime),
            api_keys: repository(&runtime),
            providers: repository(&runtime),
            logins: repository(&runtime),
            secrets: ClientSecrets::new(peers.clone(), ambient.clone()),
            oidc_client: oidc_client(&runtime),
            hasher: PasswordHasher::new(ambient.clone()),
            refresh_tokens: RefreshTokens::new(&runtime.master.derive("refresh-token")),
            issuer,
            keys,
            verifier,
            totp_sealer: runtime.master.sealer("totp-secret", ambient),
            postbox: Postbox::new(&runtime),
            runtime,
            peers,
        }))
    }

    /// The identity of a person, if it is still there.
    pub(crate) async fn identity(&self, user_id: UserId) -> Result<Option<Record<Identity>>, Failure> {
        self.identities.find(&Identity::partition(user_id), &user_id.to_string()).await
    }
}

/// The repository of a kind of document.
pub(crate) fn repository<T: Entity>(runtime: &Runtime) -> Repository<T> {
    Repository::new(runtime.store.clone(), CONTAINER)
}

/// The person as actor of a request that came without a credential, once they have proved who they are.
pub(crate) fn person_actor(context: &RequestContext, user_id: UserId) -> Actor {
    Actor { kind: ActorKind::User, id: user_id.to_string(), ..actor(context) }
}

/// For a document that is made where there was none: another request made it first, so this one runs again.
pub(crate) fn stale_if_taken(failure: Failure) -> Failure {
    if failure.code() == Some(Code::AlreadyExists) { Failure::Stale } else { failure }
}

/// The client for external providers; other ways to sign in go on without it.
fn oidc_client(runtime: &Runtime) -> Option<OidcClient> {
    let http = SafeHttp::new(runtime.settings.outbound_allow_loopback)
        .inspect_err(|error| tracing::error!(cause = %error, "external logins are not available"))
        .ok()?;
    Some(OidcClient::new(Arc::new(http), runtime.ambient.clone()))
}
