//! Moves the signing keys through their states.

use coder_core::{Failure, Timestamp};
use coder_database::{Record, Transaction};
use coder_handler::Invocation;
use serde_json::json;

use crate::Auth;
use crate::model::{CONTAINER, KeyState, SigningKey};
use crate::token::{GeneratedKey, Step, due};

pub(crate) async fn run(auth: Auth, run: Invocation) -> Result<(), Failure> {
    let stored = auth.keys.all().await?;
    let keys: Vec<SigningKey> = stored.iter().map(|key| key.data.clone()).collect();
    let now = auth.runtime.ambient.now();
    let steps = due(&keys, now);
    if steps.is_empty() {
        return Ok(());
    }
    let mut unit = run.begin(CONTAINER, SigningKey::partition());
    for step in &steps {
        apply(&auth, &mut unit, &stored, step, now).await?;
    }
    run.commit(unit).await?;
    auth.keys.forget().await;
    Ok(())
}

async fn apply(
    auth: &Auth,
    unit: &mut Transaction,
    stored: &[Record<SigningKey>],
    step: &Step,
    now: Timestamp,
) -> Result<(), Failure> {
    let find = |kid: &str| {
        let found = stored.iter().find(|key| key.data.kid == kid);
        found.ok_or_else(|| Failure::internal(format!("the signing key {kid} is gone")))
    };
    match step {
        Step::CreateActive => {
            let key = generate(auth, KeyState::Active, now).await?;
            tell(unit, &key.kid);
            unit.create(key.kid.clone(), key)?;
        }
        Step::CreateNext => {
            let key = generate(auth, KeyState::Next, now).await?;
            unit.create(key.kid.clone(), key)?;
        }
        Step::Activate(kid) => {
            let before = find(kid)?;
            let mut key = before.data.clone();
            key.activate(now);
            tell(unit, kid);
            unit.replace(before, key)?;
        }
        Step::Retire(kid) => {
            let before = find(kid)?;
            let mut key = before.data.clone();
            key.retire(now);
            unit.replace(before, key)?;
        }
        Step::Delete(kid) => unit.delete(find(kid)?)?,
    }
    Ok(())
}

/// Another key signs from now on.
fn tell(unit: &mut Transaction, kid: &str) {
    unit.emit("signing-key.rotated", kid, json!({"kid": kid}));
}

async fn generate(auth: &Auth, state: KeyState, now: Timestamp) -> Result<SigningKey, Failure> {
    let made = tokio::task::spawn_blocking(GeneratedKey::generate).await.map_err(Failure::internal)?;
    let made = made.map_err(Failure::internal)?;
    made.document(state, &auth.keys.sealer, now).map_err(Failure::internal)
}
