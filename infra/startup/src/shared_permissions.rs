//! Resolved permissions that the processes of a platform share, so that a fresh instance need not ask `users` for each
//! of its first requests what another has just been told.
//!
//! What lies in the shared cache is sealed under a key of the platform, for this very person, organization and scope,
//! and says until when it holds: who can write there can make it be asked again, and nothing else. It holds no longer
//! than what a process keeps for itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use coder_cache::Cache;
use coder_core::{Ambient, OrganizationId, PermissionSet, Scope, Timestamp, UserId};
use coder_vault::{MasterKey, Sealer};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// Whose permissions.
pub(crate) type Holder = (OrganizationId, UserId, Scope);

/// How far the clocks of two processes may be apart.
const SKEW: SignedDuration = SignedDuration::from_secs(5);

/// A set, and when it was resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Resolved {
    pub(crate) permissions: PermissionSet,
    pub(crate) resolved_at: Timestamp,
}

/// The shared cache, as far as permissions go.
pub(crate) struct SharedPermissions {
    cache: Arc<dyn Cache>,
    sealer: Sealer,
    ambient: Ambient,
}

impl fmt::Debug for SharedPermissions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SharedPermissions").field("cache", &self.cache).finish_non_exhaustive()
    }
}

impl SharedPermissions {
    pub(crate) fn new(cache: Arc<dyn Cache>, master: &MasterKey, ambient: Ambient) -> Self {
        Self { cache, sealer: master.sealer("shared-permissions", ambient.clone()), ambient }
    }

    /// What another process was told less than `age` ago, and surely after `after`, when this process changed some.
    pub(crate) async fn find(&self, holder: &Holder, age: Duration, after: Timestamp) -> Option<Resolved> {
        let key = key(holder);
        let sealed = self.cache.get(&key).await?;
        let opened = self.sealer.open(std::str::from_utf8(&sealed).ok()?, &key);
        let Ok(text) = opened else {
            tracing::warn!("the shared cache has permissions that nobody of this platform put there");
            return None;
        };
        let found: Resolved = serde_json::from_slice(&text).ok()?;
        let now = self.ambient.now();
        let held_for = now.duration_since(found.resolved_at);
        let is_young = held_for >= -SKEW && held_for < SignedDuration::try_from(age).unwrap_or_default();
        (is_young && found.resolved_at.duration_since(after) > SKEW).then_some(found)
    }

    /// Tells the others, for as long as it holds.
    pub(crate) async fn tell(&self, holder: &Holder, resolved: &Resolved, age: Duration) {
        let key = key(holder);
        let Ok(text) = serde_json::to_vec(resolved) else { return };
        self.cache.put(&key, self.sealer.seal(&text, &key).into_bytes().into(), age).await;
    }
}

fn key((organization, user, scope): &Holder) -> String {
    let scope = match scope {
        Scope::Organization(id) => format!("organization/{id}"),
        Scope::Team(id) => format!("team/{id}"),
        Scope::Project(id) => format!("project/{id}"),
    };
    format!("permissions/{organization}/{user}/{scope}")
}

#[cfg(test)]
mod tests {
    use coder_cache::MemoryCache;
    use coder_core::{ManualClock, OsEntropy};

    use super::*;

    const AGE: Duration = Duration::from_mins(1);

    struct World {
        clock: ManualClock,
        cache: Arc<MemoryCache>,
        ambient: Ambient,
        holder: Holder,
    }

    fn world() -> World {
        let clock = ManualClock::at(Timestamp::from_second(1_790_000_000).unwrap());
        let ambient = Ambient::new(clock.clone(), OsEntropy);
        let organization: OrganizationId = ambient.new_id();
        let holder = (organization, ambient.new_id(), Scope::Organization(organization));
        World { clock, cache: Arc::new(MemoryCache::new(ambient.clone())), ambient, holder }
    }

    impl World {
        fn process(&self, master: u8) -> SharedPermissions {
            SharedPermissions::new(self.cache.clone(), &MasterKey::new([master; 32]), self.ambient.clone())
        }

        fn resolved(&self) -> Resolved {
            let permissions = serde_json::from_value(serde_json::json!(["users.team.*"])).unwrap();
            Resolved { permissions, resolved_at: self.ambient.now() }
        }
    }

    #[tokio::test]
    async fn another_process_finds_it_for_as_long_as_it_holds() {
        let world = world();
        let (told, resolved) = (world.process(1), world.resolved());
        told.tell(&world.holder, &resolved, AGE).await;
        let other = world.process(1);
        assert_eq!(other.find(&world.holder, AGE, Timestamp::MIN).await, Some(resolved));
        world.clock.advance(SignedDuration::from_secs(60));
        assert_eq!(other.find(&world.holder, AGE, Timestamp::MIN).await, None);
    }

    #[tokio::test]
    async fn it_is_of_no_use_for_another_person_scope_or_platform() {
        let world = world();
        world.process(1).tell(&world.holder, &world.resolved(), AGE).await;
        let moved = (world.holder.0, world.ambient.new_id(), world.holder.2);
        let sealed = world.cache.get(&key(&world.holder)).await.unwrap();
        world.cache.put(&key(&moved), sealed, AGE).await;
        assert_eq!(world.process(1).find(&moved, AGE, Timestamp::MIN).await, None, "a copy");
        assert_eq!(world.process(2).find(&world.holder, AGE, Timestamp::MIN).await, None, "another key");
        let text = br#"{"permissions":["*"],"resolved_at":"2026-09-21T14:13:20Z"}"#.as_slice();
        world.cache.put(&key(&world.holder), text.into(), AGE).await;
        assert_eq!(world.process(1).find(&world.holder, AGE, Timestamp::MIN).await, None, "a forgery");
    }

    #[tokio::test]
    async fn what_was_resolved_before_a_change_here_is_not_believed() {
        let world = world();
        let process = world.process(1);
        process.tell(&world.holder, &world.resolved(), AGE).await;
        let changed_at = world.ambient.now();
        assert_eq!(process.find(&world.holder, AGE, changed_at).await, None);
        world.clock.advance(SignedDuration::from_secs(6));
        let again = world.resolved();
        process.tell(&world.holder, &again, AGE).await;
        assert_eq!(process.find(&world.holder, AGE, changed_at).await, Some(again));
    }
}
