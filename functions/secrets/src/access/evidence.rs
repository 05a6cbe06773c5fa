//! What handlers take as evidence: a secret on which the caller may do what the operation does.

use std::marker::PhantomData;

use coder_core::{Permission, Problem, Result};
use coder_database::Record;
use coder_middleware::request::Input;
use coder_middleware::{Access as _, OperationDescription, RequestContext, Security};

use super::{Asker, AtSecret, Trail};
use crate::model::{Secret, SecretId};
use crate::service::Secrets;

/// The secret that the path names, and the evidence that the caller may do with it what permission `P` is for: by a
/// role at its scope, by a grant, or as its owner.
#[derive(Debug, Clone)]
pub struct OnSecret<P> {
    /// Who asks.
    pub asker: Asker,
    /// The secret.
    pub secret: Record<Secret>,
    permission: PhantomData<fn() -> P>,
}

impl<P> OnSecret<P> {
    /// The trail of the request.
    pub fn trail(&self) -> Trail {
        Trail::of(&self.asker)
    }
}

impl<P: AtSecret> Input<Secrets> for OnSecret<P> {
    fn describe(operation: &mut OperationDescription) {
        operation.security.push(Security::Permission(&P::DECLARATION));
    }

    async fn extract(context: &RequestContext, secrets: &Secrets) -> Result<Self> {
        let asker = Asker::admit(context).await?;
        asker.person()?;
        let id = context.path_parameter("secretId").and_then(|id| id.parse::<SecretId>().ok());
        let id = id.ok_or_else(|| Problem::not_found("secret"))?;
        let Some(secret) = secrets.secrets.find(&asker.partition(), &id.to_string()).await? else {
            // A purge that is repeated under its key is answered as it was the first time, though nothing is left.
            drop(asker.transaction().await?);
            return Err(Problem::not_found("secret").into());
        };
        secrets.demand(&asker, &secret, P::ACTION).await?;
        Ok(Self { asker, secret, permission: PhantomData })
    }
}

/// A person of the organization, for operations that look at each secret, or at the scope that the body names, for
/// permission `P`.
#[derive(Debug, Clone)]
pub struct InOrganization<P> {
    /// Who asks.
    pub asker: Asker,
    permission: PhantomData<fn() -> P>,
}

impl<P: Permission> Input<Secrets> for InOrganization<P> {
    fn describe(operation: &mut OperationDescription) {
        operation.security.push(Security::Permission(&P::DECLARATION));
    }

    async fn extract(context: &RequestContext, _: &Secrets) -> Result<Self> {
        let asker = Asker::admit(context).await?;
        asker.person()?;
        Ok(Self { asker, permission: PhantomData })
    }
}
