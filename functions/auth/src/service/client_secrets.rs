//! Where this platform's passwords at external providers come from. A provider only names one
//! (`secret:<name>`); its value is never in this group's documents, answers or logs.
//!
//! Until a store of secrets stands behind [`SecretResolver`], values are files that the operator puts into the
//! data directory: `login-secrets/<organization id>/<name>`, readable by the platform's user only. The
//! platform's own providers have theirs in `login-secrets/platform/<name>`.

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use coder_core::{Failure, OrganizationId};
use secrecy::SecretString;

/// What every reference begins with.
const SCHEME: &str = "secret:";

/// Longest value, in bytes.
const MAX_BYTES: usize = 4096;

/// Finds the value that a reference names.
#[async_trait]
pub(crate) trait SecretResolver: Send + Sync + fmt::Debug {
    /// The value, if the owner has such a secret.
    async fn resolve(
        &self,
        owner: Option<OrganizationId>,
        reference: &str,
    ) -> Result<Option<SecretString>, Failure>;
}

/// Secrets in files of the data directory.
#[derive(Debug)]
pub(crate) struct SecretFiles {
    directory: PathBuf,
}

impl SecretFiles {
    /// The files below this data directory.
    pub(crate) fn new(data_dir: &std::path::Path) -> Self {
        Self { directory: data_dir.join("login-secrets") }
    }
}

#[async_trait]
impl SecretResolver for SecretFiles {
    async fn resolve(
        &self,
        owner: Option<OrganizationId>,
        reference: &str,
    ) -> Result<Option<SecretString>, Failure> {
        let Some(name) = name(reference) else { return Ok(None) };
        let owner = owner.map_or_else(|| "platform".to_owned(), |id| id.to_string());
        let path = self.directory.join(owner).join(name);
        let text = match tokio::fs::read_to_string(path).await {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::internal(error)),
        };
        let value = text.trim();
        Ok((1..=MAX_BYTES).contains(&value.len()).then(|| value.into()))
    }
}

/// The name of a well-formed reference; no name leads out of the directory.
fn name(reference: &str) -> Option<&str> {
    let name = reference.strip_prefix(SCHEME)?;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    ((1..=63).contains(&name.len()) && name.bytes().all(fits)).then_some(name)
}

#[cfg(test)]
mod tests {
    use coder_core::id::EXAMPLE;
    use secrecy::ExposeSecret as _;

    use super::{SecretFiles, SecretResolver as _, name};

    #[test]
    fn no_name_leads_out_of_the_directory() {
        assert_eq!(name("secret:entra-1"), Some("entra-1"));
        for reference in
            ["", "entra", "secret:", "secret:..", "secret:a/b", "secret:A", "secret:a.b", "secret:/etc"]
        {
            assert_eq!(name(reference), None, "{reference}");
        }
        assert_eq!(name(&format!("secret:{}", "a".repeat(64))), None);
    }

    #[tokio::test]
    async fn each_owner_has_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let own = directory.path().join("login-secrets").join(EXAMPLE.to_string());
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(own.join("entra"), "hunter2\n").unwrap();
        std::fs::write(own.join("empty"), " \n").unwrap();
        let secrets = SecretFiles::new(directory.path());
        let found = secrets.resolve(Some(EXAMPLE.into()), "secret:entra").await.unwrap().unwrap();
        assert_eq!(found.expose_secret(), "hunter2");
        assert!(secrets.resolve(Some(EXAMPLE.into()), "secret:empty").await.unwrap().is_none());
        assert!(secrets.resolve(Some(EXAMPLE.into()), "secret:other").await.unwrap().is_none());
        assert!(secrets.resolve(None, "secret:entra").await.unwrap().is_none());
    }
}
