//! What follows from an external identity: whether the person may come, with which role, and to which account.

use serde_json::Value;

use super::ExternalIdentity;
use crate::model::{ExternalProvider, RoleMapping};

/// The role of a person: the first mapping that fits, or the provider's default.
pub fn role<'a>(provider: &'a ExternalProvider, identity: &ExternalIdentity) -> &'a str {
    let mapped = provider.role_mapping.iter().find(|mapping| fits(mapping, identity));
    mapped.map_or(&provider.default_role, |mapping| &mapping.role)
}

fn fits(mapping: &RoleMapping, identity: &ExternalIdentity) -> bool {
    match identity.claims.get(&mapping.claim) {
        Some(Value::String(value)) => *value == mapping.value,
        Some(Value::Array(values)) => values.iter().any(|value| value.as_str() == Some(&mapping.value)),
        _ => false,
    }
}

/// Whether the provider's list of domains lets the person in. An address that the provider does not vouch for
/// opens nothing, except where the provider is bound to tenants whose administrators hand out the addresses.
pub fn is_domain_allowed(provider: &ExternalProvider, identity: &ExternalIdentity) -> bool {
    let vouched = identity.email_verified || !provider.allowed_tenant_ids.is_empty();
    provider.allowed_email_domains.is_empty()
        || identity.email.as_ref().is_some_and(|email| {
            vouched && provider.allowed_email_domains.iter().any(|domain| is_domain(domain, email.domain()))
        })
}

/// Whether the identity may be linked to the user who has its e-mail address. `verified_domains` are those of the
/// organization that owns the provider. Otherwise the person must sign in and link it.
pub fn may_link_by_email(identity: &ExternalIdentity, verified_domains: &[String]) -> bool {
    identity.email_verified
        && identity
            .email
            .as_ref()
            .is_some_and(|email| verified_domains.iter().any(|domain| is_domain(domain, email.domain())))
}

/// Whether the domain of an address, which is in lower case, is this one; a subdomain is another.
fn is_domain(domain: &str, of_address: &str) -> bool {
    domain.to_lowercase() == of_address
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{is_domain_allowed, may_link_by_email, role};
    use crate::email::EmailAddress;
    use crate::model::{ExternalProvider, ProviderKind, RoleMapping};
    use crate::oidc::ExternalIdentity;

    fn provider() -> ExternalProvider {
        let mapping = |claim: &str, value: &str, role: &str| RoleMapping {
            claim: claim.into(),
            value: value.into(),
            role: role.into(),
        };
        ExternalProvider {
            display_name: "Example".into(),
            kind: ProviderKind::Oidc,
            issuer: "https://id.example.com".into(),
            client_id: "client".into(),
            client_secret_ref: None,
            scopes: ExternalProvider::DEFAULT_SCOPES.into(),
            allowed_tenant_ids: Vec::new(),
            allowed_email_domains: Vec::new(),
            auto_provision: true,
            default_role: ExternalProvider::DEFAULT_ROLE.into(),
            role_mapping: vec![
                mapping("groups", "admins", "admin"),
                mapping("department", "audit", "viewer"),
            ],
            enabled: true,
        }
    }

    fn identity(email: Option<&str>, email_verified: bool, claims: Value) -> ExternalIdentity {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        ExternalIdentity {
            issuer: "https://id.example.com".into(),
            subject: "1".into(),
            email: email.map(|email| EmailAddress::parse(email).unwrap()),
            email_verified,
            name: None,
            claims,
        }
    }

    #[test]
    fn the_first_fitting_mapping_gives_the_role() {
        for (claims, expected) in [
            (json!({}), "member"),
            (json!({"department": "audit"}), "viewer"),
            (json!({"groups": ["staff", "admins"], "department": "audit"}), "admin"),
            (json!({"groups": "admins"}), "admin"),
            (json!({"groups": "Admins"}), "member"),
            (json!({"groups": ["admins-of-nothing"]}), "member"),
            (json!({"groups": {"admins": true}, "department": 7}), "member"),
        ] {
            assert_eq!(role(&provider(), &identity(None, false, claims.clone())), expected, "{claims}");
        }
    }

    #[test]
    fn the_list_of_domains_counts_verified_addresses() {
        let mut provider = provider();
        assert!(is_domain_allowed(&provider, &identity(None, false, json!({}))));
        provider.allowed_email_domains = vec!["Example.com".into()];
        let with_email = |email, verified| identity(Some(email), verified, json!({}));
        assert!(is_domain_allowed(&provider, &with_email("ada@example.com", true)));
        assert!(!is_domain_allowed(&provider, &with_email("ada@sub.example.com", true)));
        assert!(!is_domain_allowed(&provider, &with_email("ada@notexample.com", true)));
        assert!(!is_domain_allowed(&provider, &with_email("ada@example.com", false)));
        assert!(!is_domain_allowed(&provider, &identity(None, true, json!({}))));
        provider.allowed_tenant_ids = vec!["tenant".into()];
        assert!(is_domain_allowed(&provider, &with_email("ada@example.com", false)));
    }

    #[test]
    fn only_a_verified_address_in_a_verified_domain_links() {
        let domains = ["example.com".to_owned()];
        let with_email = |email, verified| identity(Some(email), verified, json!({}));
        assert!(may_link_by_email(&with_email("ada@example.com", true), &domains));
        assert!(!may_link_by_email(&with_email("ada@example.com", false), &domains));
        assert!(!may_link_by_email(&with_email("ada@example.org", true), &domains));
        assert!(!may_link_by_email(&with_email("ada@example.com", true), &[]));
        assert!(!may_link_by_email(&identity(None, true, json!({})), &domains));
    }
}
