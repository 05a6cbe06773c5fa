//! Argon2id on a bounded number of blocking threads.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use coder_core::{Ambient, Failure};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

use super::normalised;
use super::policy::MAX_BYTES;

/// Hashes at once: each takes 19 MiB and a core for some 20 ms.
const AT_ONCE: usize = 4;
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const TAG_BYTES: usize = 32;

/// Checked when there is no hash to check, so that an unknown account costs the same time. Nobody knows a
/// password for this tag, and the answer is no whatever comes out.
const DUMMY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$R1sN0k7yW4bq0PZc8mJvFg$3q2fXo0mUu0bqv8kz1rj5Qd2hYwC7nT9sLxEaVgKpMI";

/// Hashes and checks passwords.
#[derive(Debug, Clone)]
pub struct PasswordHasher {
    ambient: Ambient,
    permits: Arc<Semaphore>,
}

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The password is another, or there is none.
    Wrong,
    /// The password is right.
    Right {
        /// The hash was made with older parameters: make a new one now that the password is at hand.
        needs_rehash: bool,
    },
}

impl Verdict {
    /// Whether the password is right.
    pub fn is_right(self) -> bool {
        matches!(self, Self::Right { .. })
    }
}

impl PasswordHasher {
    /// A hasher that takes its salts from `ambient`. Clones share the limit.
    pub fn new(ambient: Ambient) -> Self {
        Self { ambient, permits: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The PHC string of a password, with a new salt.
    pub async fn hash(&self, password: &SecretString) -> Result<String, Failure> {
        let salt = self.ambient.random::<16>();
        self.run(password, move |password| {
            let hash = argon2()?.hash_password_with_salt(password, &salt).map_err(Failure::internal)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Checks a password. Without a hash the work is the same and the answer is no.
    pub async fn verify(&self, password: &SecretString, phc: Option<&str>) -> Result<Verdict, Failure> {
        let phc = phc.map(str::to_owned);
        self.run(password, move |password| verify(password, phc.as_deref())).await
    }

    /// Whether the password is one of those that were hashed here.
    pub async fn is_any_of(&self, password: &SecretString, history: &[String]) -> Result<bool, Failure> {
        let history = history.to_vec();
        self.run(password, move |password| {
            for phc in &history {
                if verify(password, Some(phc))?.is_right() {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }

    /// Runs the work on a blocking thread. The permit goes with it, so that a request that is dropped does not
    /// make room for more work than the limit.
    async fn run<T: Send + 'static>(
        &self,
        password: &SecretString,
        work: impl FnOnce(&[u8]) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(Failure::internal)?;
        let password = password.clone();
        let job = move || {
            let _permit = permit;
            work(accepted_form(password.expose_secret()).expose_secret().as_bytes())
        };
        tokio::task::spawn_blocking(job).await.map_err(Failure::internal)?
    }
}

/// The normalised password. One that no rule lets through is cut to a form that is as wrong, so that its length
/// buys no work.
fn accepted_form(password: &str) -> SecretString {
    normalised(&password[..password.floor_char_boundary(MAX_BYTES + 4)]).into()
}

fn verify(password: &[u8], phc: Option<&str>) -> Result<Verdict, Failure> {
    let hash = PasswordHash::new(phc.unwrap_or(DUMMY)).map_err(Failure::internal)?;
    match argon2()?.verify_password(password, &hash) {
        Ok(()) if phc.is_some() => Ok(Verdict::Right { needs_rehash: !is_current(&hash) }),
        Ok(()) | Err(argon2::password_hash::Error::PasswordInvalid) => Ok(Verdict::Wrong),
        Err(error) => Err(Failure::internal(error)),
    }
}

/// Whether a hash was made with today's parameters.
fn is_current(hash: &PasswordHash) -> bool {
    let parameters = Params::try_from(hash).ok();
    hash.algorithm == Algorithm::Argon2id.ident()
        && hash.version == Some(Version::V0x13.into())
        && hash.hash.is_some_and(|tag| tag.as_bytes().len() == TAG_BYTES)
        && parameters.is_some_and(|is| (is.m_cost(), is.t_cost(), is.p_cost()) == (MEMORY_KIB, PASSES, LANES))
}

fn argon2() -> Result<Argon2<'static>, Failure> {
    let parameters = Params::new(MEMORY_KIB, PASSES, LANES, Some(TAG_BYTES)).map_err(Failure::internal)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}

#[cfg(test)]
mod tests {
    use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
    use coder_core::Ambient;

    use super::{PasswordHasher, Verdict};

    const RIGHT: Verdict = Verdict::Right { needs_rehash: false };

    fn hasher() -> PasswordHasher {
        PasswordHasher::new(Ambient::system())
    }

    #[tokio::test]
    async fn makes_the_documented_form_with_a_new_salt() {
        let hasher = hasher();
        let first = hasher.hash(&"correct horse".into()).await.unwrap();
        let second = hasher.hash(&"correct horse".into()).await.unwrap();
        assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");
        let lengths: Vec<_> = first.split('$').skip(4).map(str::len).collect();
        assert_eq!(lengths, [22, 43], "16 bytes of salt and 32 of tag");
        assert_ne!(first, second);
    }

    #[tokio::test]
    async fn tells_right_from_wrong() {
        let hasher = hasher();
        let phc = hasher.hash(&"cafe\u{301} au lait".into()).await.unwrap();
        assert_eq!(hasher.verify(&"caf\u{e9} au lait".into(), Some(&phc)).await.unwrap(), RIGHT);
        assert_eq!(hasher.verify(&"cafe au lait".into(), Some(&phc)).await.unwrap(), Verdict::Wrong);
        assert_eq!(hasher.verify(&"".into(), Some(&phc)).await.unwrap(), Verdict::Wrong);
        assert_eq!(hasher.verify(&"x".repeat(1_000_000).into(), Some(&phc)).await.unwrap(), Verdict::Wrong);
    }

    #[tokio::test]
    async fn nobodys_password_is_wrong() {
        assert_eq!(hasher().verify(&"anything".into(), None).await.unwrap(), Verdict::Wrong);
    }

    #[tokio::test]
    async fn older_parameters_are_renewed() {
        let weak =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8192, 1, 1, Some(32)).unwrap());
        let phc = weak.hash_password_with_salt(b"correct horse", &[7; 16]).unwrap().to_string();
        let verdict = hasher().verify(&"correct horse".into(), Some(&phc)).await.unwrap();
        assert_eq!(verdict, Verdict::Right { needs_rehash: true });
    }

    #[tokio::test]
    async fn finds_earlier_passwords() {
        let hasher = hasher();
        let history = vec![
            hasher.hash(&"the newest one".into()).await.unwrap(),
            hasher.hash(&"an older one".into()).await.unwrap(),
        ];
        assert!(hasher.is_any_of(&"an older one".into(), &history).await.unwrap());
        assert!(!hasher.is_any_of(&"a new one".into(), &history).await.unwrap());
        assert!(!hasher.is_any_of(&"a new one".into(), &[]).await.unwrap());
    }

    #[tokio::test]
    async fn a_broken_hash_is_a_fault_of_ours() {
        let failure = hasher().verify(&"anything".into(), Some("plain")).await.unwrap_err();
        assert_eq!(failure.code(), None);
    }
}
