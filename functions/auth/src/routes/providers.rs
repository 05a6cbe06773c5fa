//! The organization's external login providers: an ordinary resource whose issuer is asked who it is.

use coder_core::{Fault, Problem, Result};
use coder_database::{Filter, Record};
use coder_handler::{Cause, Crud as _, Resource, Routes, crud::Words, words};
use coder_middleware::{Access as _, Allowed, Example, Filters, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Auth;
use crate::catalogue::{ProviderCreate, ProviderDelete, ProviderRead, ProviderUpdate};
use crate::model::{CONTAINER, ExternalProvider, ProviderId, ProviderKind, RoleMapping};

/// Most providers of an organization.
const MOST: usize = 20;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes.crud::<ExternalProvider>()
}

/// What a client may write.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderFields {
    /// What people see on the button.
    #[schemars(length(min = 1, max = 80))]
    display_name: String,
    /// The protocol.
    #[serde(default)]
    kind: ProviderKind,
    /// The `https` address that identifies the provider, exactly as it names itself.
    #[schemars(length(min = 9, max = 2048))]
    issuer: String,
    /// How the provider knows this platform.
    #[schemars(length(min = 1, max = 255))]
    client_id: String,
    /// Reference to the platform's password there, `secret:<secretId>#<field>`; none for a public client.
    #[schemars(regex(pattern = r"^secret:[0-9a-f-]{36}(@[1-9][0-9]{0,9})?(#[^#]{1,200})?$"))]
    client_secret_ref: Option<String>,
    /// What to ask for; `openid` must be among it.
    #[serde(default = "default_scopes")]
    #[schemars(length(min = 6, max = 500), regex(pattern = r"^([!#-\[\]-~]+ )*openid( [!#-\[\]-~]+)*$"))]
    scopes: String,
    /// Entra ID tenants whose people may come.
    #[serde(default)]
    #[schemars(inner(length(min = 1, max = 64)), extend("maxItems" = 50))]
    allowed_tenant_ids: Vec<String>,
    /// E-mail domains whose people may come; empty is any.
    #[serde(default)]
    #[schemars(inner(regex(pattern = r"^[^@\s]{1,253}$")), extend("maxItems" = 50))]
    allowed_email_domains: Vec<String>,
    /// Whether an unknown person gets an account.
    #[serde(default)]
    auto_provision: bool,
    /// The role of such a person.
    #[serde(default = "default_role")]
    #[schemars(regex(pattern = r"^[a-z][a-z0-9-]{1,39}$"))]
    default_role: String,
    /// Roles by claim; the first match wins.
    #[serde(default)]
    #[schemars(extend("maxItems" = 50))]
    role_mapping: Vec<RoleMapping>,
    /// Whether it is offered.
    #[serde(default = "yes")]
    enabled: bool,
}

fn default_scopes() -> String {
    ExternalProvider::DEFAULT_SCOPES.to_owned()
}

fn default_role() -> String {
    ExternalProvider::DEFAULT_ROLE.to_owned()
}

fn yes() -> bool {
    true
}

impl Example for ProviderFields {
    fn example() -> Self {
        ExternalProvider::example().writable()
    }
}

impl Example for ExternalProvider {
    fn example() -> Self {
        Self {
            display_name: "Acme".into(),
            kind: ProviderKind::Oidc,
            issuer: "https://login.example.com".into(),
            client_id: "coder".into(),
            client_secret_ref: None,
            scopes: default_scopes(),
            allowed_tenant_ids: Vec::new(),
            allowed_email_domains: vec!["example.com".into()],
            auto_provision: false,
            default_role: default_role(),
            role_mapping: Vec::new(),
            enabled: true,
        }
    }
}

impl ProviderFields {
    fn provider(self) -> Result<ExternalProvider> {
        let display_name = self.display_name.trim().to_owned();
        if display_name.is_empty() || coder_core::text::has_refused_characters(&display_name, false) {
            let message = "A name has visible characters only, at least one.";
            return Err(Problem::fault("/displayName", "invalid_name", message).into());
        }
        Ok(ExternalProvider {
            display_name,
            kind: self.kind,
            issuer: self.issuer,
            client_id: self.client_id,
            client_secret_ref: self.client_secret_ref,
            scopes: self.scopes,
            allowed_tenant_ids: self.allowed_tenant_ids,
            allowed_email_domains: self
                .allowed_email_domains
                .iter()
                .map(|domain| domain.to_lowercase())
                .collect(),
            auto_provision: self.auto_provision,
            default_role: self.default_role,
            role_mapping: self.role_mapping,
            enabled: self.enabled,
        })
    }
}

/// Filters of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ProviderFilters {
    /// Whether it is offered.
    enabled: Option<bool>,
}

impl Filters for ProviderFilters {
    const SORT: &'static [&'static str] = &["createdAt"];

    fn filter(&self) -> Option<Filter> {
        self.enabled.map(|enabled| Filter::eq("enabled", enabled))
    }
}

impl Resource for ExternalProvider {
    type Service = Auth;
    type Write = ProviderFields;
    type View = Record<Self>;
    type Filters = ProviderFilters;
    type Id = ProviderId;
    type Read = ProviderRead;
    type Create = ProviderCreate;
    type Update = ProviderUpdate;
    type Delete = ProviderDelete;

    const CONTAINER: &'static str = CONTAINER;
    const WORDS: Words =
        words!("provider", "providers", "/providers", "providerId", login_provider, login_providers);

    fn writable(&self) -> ProviderFields {
        let provider = self.clone();
        ProviderFields {
            display_name: provider.display_name,
            kind: provider.kind,
            issuer: provider.issuer,
            client_id: provider.client_id,
            client_secret_ref: provider.client_secret_ref,
            scopes: provider.scopes,
            allowed_tenant_ids: provider.allowed_tenant_ids,
            allowed_email_domains: provider.allowed_email_domains,
            auto_provision: provider.auto_provision,
            default_role: provider.default_role,
            role_mapping: provider.role_mapping,
            enabled: provider.enabled,
        }
    }

    fn view(record: Record<Self>) -> Record<Self> {
        record
    }

    fn event(record: &Record<Self>) -> Value {
        json!({"providerId": record.meta.id, "displayName": record.data.display_name, "issuer": record.data.issuer})
    }

    async fn create(
        auth: &Auth,
        who: &Allowed<ProviderCreate>,
        _: &mut Unit,
        id: ProviderId,
        write: ProviderFields,
    ) -> Result<Self> {
        let provider = write.provider()?;
        let present = auth.providers.count(&who.partition(), None).await?;
        if present >= MOST {
            let detail = format!("An organization has at most {MOST} providers; remove one first.");
            return Err(Problem::new(coder_core::Code::LimitReached, detail).into());
        }
        let giver = auth.giver(who.user_id, who.organization_id).await?;
        auth.check_provider_roles(who, &provider, None, &giver).await?;
        auth.check_provider(&provider, who.organization_id).await?;
        let cause = Cause::Request(who.context());
        auth.set_provider_owner(cause, id, who.organization_id).await?;
        auth.set_alias(cause, crate::model::Alias::Slug(&giver.slug), who.organization_id).await?;
        Ok(provider)
    }

    async fn update(
        auth: &Auth,
        who: &Allowed<ProviderUpdate>,
        _: &mut Unit,
        before: &Record<Self>,
        write: ProviderFields,
    ) -> Result<Self> {
        let provider = write.provider()?;
        if provider.issuer != before.data.issuer {
            // Accounts are known by issuer and subject: those of another issuer are other people's.
            let fault =
                Fault::new("/issuer", "immutable", "The issuer cannot be changed; add another provider.");
            return Err(Problem::invalid(vec![fault]).into());
        }
        let giver = auth.giver(who.user_id, who.organization_id).await?;
        auth.check_provider_roles(who, &provider, Some(&before.data), &giver).await?;
        auth.check_provider(&provider, who.organization_id).await?;
        Ok(provider)
    }

    async fn delete(
        auth: &Auth,
        who: &Allowed<ProviderDelete>,
        _: &mut Unit,
        before: &Record<Self>,
    ) -> Result<()> {
        auth.drop_provider_owner(Cause::Request(who.context()), before.id()?).await
    }
}
