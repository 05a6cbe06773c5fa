//! Login with an external provider: out, and back.

use coder_core::{Code, Failure, OrganizationId, Problem, UserId};
use coder_database::Record;
use coder_handler::Cause;
use coder_middleware::{Access, Anyone, RequestContext};
use secrecy::ExposeSecret as _;
use serde_json::json;
use url::Url;

use super::answer::{Client, LoginAnswer};
use super::external_accounts::refused;
use super::links::put_token;
use super::login::SignIn;
use super::providers::LoginProvider;
use super::tokens::invalid_credentials;
use super::{Auth, repository};
use crate::model::{
    CONTAINER, ExternalProvider, LoginMethod, LoginTransaction, OneTimeToken, ProviderId, Purpose,
};
use crate::oidc::account::is_domain_allowed;
use crate::oidc::{AuthorizationRequest, Expected, ExternalIdentity, Redemption};
use crate::one_time_token::NewToken;

/// Most providers that are offered at once.
const OFFERED: usize = 100;

/// Characters of a `state`.
const STATE_CHARACTERS: usize = 43;

/// Where a login is to end.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) redirect_uri: Url,
    pub(crate) client_state: Option<String>,
    /// The person to whom the account is to be linked, instead of signing in.
    pub(crate) link_user_id: Option<UserId>,
}

/// What the provider sends back with the person.
#[derive(Debug, Default)]
pub(crate) struct Return {
    pub(crate) state: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) iss: Option<String>,
    pub(crate) error: Option<String>,
}

impl Auth {
    /// The providers to offer for an organization, the platform's own included.
    pub(crate) async fn offered_providers(
        &self,
        organization_id: Option<OrganizationId>,
    ) -> Result<Vec<Record<ExternalProvider>>, Failure> {
        let enabled = || coder_database::Filter::eq("enabled", true);
        let mut offered = self.providers.all(&ExternalProvider::partition(None), enabled(), OFFERED).await?;
        if let Some(id) = organization_id
            && self.policy(Some(id)).await?.login_methods.contains(&LoginMethod::External)
        {
            offered.extend(
                self.providers.all(&ExternalProvider::partition(Some(id)), enabled(), OFFERED).await?,
            );
        }
        Ok(offered)
    }

    /// Notes that somebody goes out, and answers where to.
    pub(crate) async fn start_external(
        &self,
        context: &RequestContext,
        id: ProviderId,
        to: Destination,
    ) -> Result<Url, Failure> {
        let provider = self.login_provider(id).await?;
        if !self.runtime.settings.redirect_uris.contains(&to.redirect_uri) {
            let detail = "`redirectUri` is not one that the platform allows.";
            return Err(Problem::new(Code::InvalidQuery, detail).into());
        }
        let metadata = self.oidc()?.discover(&provider.settings.issuer).await?;
        let request = AuthorizationRequest::generate(&self.runtime.ambient);
        let expires_at = self.runtime.ambient.after(LoginTransaction::LIFETIME_SECONDS);
        let transaction = LoginTransaction {
            provider_id: id.to_string(),
            provider_organization_id: provider.owner,
            nonce: request.nonce.clone(),
            code_verifier: request.code_verifier.clone(),
            redirect_uri: to.redirect_uri.into(),
            client_state: to.client_state,
            link_user_id: to.link_user_id,
            expires_at,
        };
        let cause = Cause::Request(context);
        let mut unit = cause.begin(CONTAINER, LoginTransaction::partition(&request.state)).without_audit();
        let mut record = unit.record(&request.state, transaction);
        record.expires_at = Some(expires_at);
        unit.insert(&record)?;
        cause.commit(unit).await?;
        Ok(request.url(
            &metadata,
            &provider.settings.client_id,
            &self.callback(id)?,
            &provider.settings.scopes,
        ))
    }

    /// Takes a person back from a provider. Answers the application's address, with a code that works once, or
    /// with the reason why the person did not sign in there.
    pub(crate) async fn return_external(
        &self,
        context: &RequestContext,
        id: ProviderId,
        back: Return,
    ) -> Result<Url, Failure> {
        let login = self.take_login(context, id, back.state.as_deref()).await?;
        let mut target = Url::parse(&login.redirect_uri).map_err(Failure::internal)?;
        if let Some(state) = &login.client_state {
            target.query_pairs_mut().append_pair("state", state);
        }
        let Some(code) = back.code.filter(|_| back.error.is_none()) else {
            target.query_pairs_mut().append_pair("error", "access_denied");
            return Ok(target);
        };
        let provider = self.login_provider(id).await?;
        let identity = self.identify_external(&provider, &login, &code, back.iss.as_deref()).await?;
        if !is_domain_allowed(&provider.settings, &identity) {
            return Err(refused());
        }
        if let Some(user_id) = login.link_user_id {
            self.link(context, &provider, &identity, user_id).await?;
            target.query_pairs_mut().append_pair("linked", &provider.id.to_string());
            return Ok(target);
        }
        let user_id = self.external_account(context, &provider, &identity).await?;
        let data = json!({"providerId": provider.id});
        let token = NewToken::generate(&self.runtime.ambient, Purpose::ExternalExchange, Some(user_id), data);
        let cause = Cause::Request(context);
        let mut unit = cause.begin(CONTAINER, OneTimeToken::partition(&token.id)).without_audit();
        put_token(&mut unit, &token)?;
        cause.commit(unit).await?;
        target.query_pairs_mut().append_pair("code", token.token.expose_secret());
        Ok(target)
    }

    /// Exchanges the code of a login for tokens, or for the second step.
    pub(crate) async fn exchange_external(
        &self,
        who: &Anyone,
        code: &str,
        client: &Client,
    ) -> Result<LoginAnswer, Failure> {
        let token =
            self.open_token(code, Purpose::ExternalExchange).await?.ok_or_else(invalid_credentials)?;
        let user_id = token.data.user_id.ok_or_else(invalid_credentials)?;
        let identity = self.identity(user_id).await?.ok_or_else(invalid_credentials)?;
        self.consume(Cause::Request(who.context()), &token).await?;
        let sign_in = SignIn {
            user_id,
            identity: &identity,
            method: "external",
            amr: vec!["fed".to_owned()],
            client,
            factor: None,
            renewed_hash: None,
        };
        self.pass_first_factor(who, sign_in).await
    }

    /// The login that was begun with this `state`; it is gone from then on. `401` if there is none.
    async fn take_login(
        &self,
        context: &RequestContext,
        id: ProviderId,
        state: Option<&str>,
    ) -> Result<LoginTransaction, Failure> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let state = state.filter(|state| state.len() == STATE_CHARACTERS && state.bytes().all(fits));
        let state = state.ok_or_else(invalid_credentials)?;
        let partition = LoginTransaction::partition(state);
        let found = repository::<LoginTransaction>(&self.runtime).find(&partition, state).await?;
        let now = self.runtime.ambient.now();
        let found = found.filter(|one| one.data.expires_at > now && one.data.provider_id == id.to_string());
        let login = found.ok_or_else(invalid_credentials)?;
        let cause = Cause::Request(context);
        let mut unit = cause.begin(CONTAINER, partition).without_audit();
        unit.delete(&login)?;
        cause.commit(unit).await?;
        Ok(login.data)
    }

    /// Redeems the code and checks the ID token.
    async fn identify_external(
        &self,
        provider: &LoginProvider,
        login: &LoginTransaction,
        code: &str,
        iss: Option<&str>,
    ) -> Result<ExternalIdentity, Failure> {
        let LoginProvider { owner, settings, .. } = provider;
        let oidc = self.oidc()?;
        let metadata = oidc.discover(&settings.issuer).await?;
        metadata.check_response_issuer(iss)?;
        let secret = match &settings.client_secret_ref {
            None => None,
            Some(reference) => match self.secrets.resolve(*owner, reference).await? {
                Some(secret) => Some(secret),
                None => {
                    tracing::error!(provider.id = %provider.id, "the provider's secret is missing");
                    return Err(Failure::problem(
                        Code::UpstreamFailed,
                        "The login provider is not set up completely.",
                    ));
                }
            },
        };
        let redemption = Redemption {
            code,
            callback: &self.callback(provider.id)?,
            code_verifier: &login.code_verifier,
            client_id: &settings.client_id,
            client_secret: secret.as_deref(),
        };
        let id_token = oidc.redeem(&metadata, redemption).await?;
        let expected = Expected {
            issuer: &settings.issuer,
            client_id: &settings.client_id,
            nonce: &login.nonce,
            allowed_tenant_ids: &settings.allowed_tenant_ids,
        };
        Ok(oidc.identify(&metadata, &id_token, expected).await?)
    }

    fn callback(&self, id: ProviderId) -> Result<Url, Failure> {
        let base = self.runtime.settings.public_url.as_str().trim_end_matches('/').to_owned();
        Url::parse(&format!("{base}/api/auth/external/{id}/callback")).map_err(Failure::internal)
    }
}
