//! The services behind the providers that the settings name, each tried as a process of the platform would use it.

use coder_config::{Provider, Settings};
use coder_core::Ambient;
use coder_startup::{Providers, StartError};

use super::{Finding, Verdict};

/// What to say when a service does not do its part: the name that health checks have for it, the setting that leads
/// there, and how to mend it.
const ADVICE: [(&str, &str, &str); 4] = [
    (
        "documents",
        "CODER_COSMOS_ENDPOINT",
        "see that the address is the Cosmos DB account's, that its network rules let this app in, and that the \
         identity has its data role on the group's container",
    ),
    (
        "messages",
        "CODER_SERVICEBUS_NAMESPACE",
        "see that `AZURE_CLIENT_ID` is an identity of this app, and that it may send to the namespace",
    ),
    (
        "cache",
        "CODER_REDIS_HOST",
        "see that the host is the Managed Redis, that port 10000 is open to this app, and that the identity has an \
         access policy there; until then limits count for each instance alone",
    ),
    (
        "vault",
        "CODER_KEYVAULT_URL",
        "see that the address is the Key Vault's, that the identity may read the secret `coder-master-key`, and \
         restart the app after the secret was changed",
    ),
];

/// Opens the providers and tries each service.
pub(super) async fn all(settings: Settings, ambient: Ambient) -> Vec<Finding> {
    let embedded = settings.provider == Provider::Embedded;
    if embedded && !settings.data_dir.exists() {
        // Trying would make it.
        return Vec::new();
    }
    let providers = match Providers::open(settings, ambient) {
        Ok(providers) => providers,
        Err(error) => return vec![unopened(&error)],
    };
    let groups = coder_platform::route_groups();
    let containers: Vec<_> = groups.into_iter().flat_map(|group| group.containers).collect();
    if let Err(error) = providers.store.prepare(&containers).await {
        return vec![Finding::faulty("documents", error.to_string(), "see what the message names")];
    }
    let examined = providers.health.examine().await;
    let findings = examined.into_iter().map(|(state, cause)| {
        let verdict = match (&cause, state.needed) {
            (None, _) => Verdict::Good,
            (Some(_), true) => Verdict::Faulty,
            (Some(_), false) => Verdict::Poor,
        };
        let what = cause.clone().unwrap_or_else(|| "it answers".to_owned());
        let finding = Finding::new(state.name, verdict, what);
        let finding = Finding { latency_ms: Some(state.latency_ms), ..finding };
        match (cause, embedded) {
            (None, _) => finding,
            (Some(_), true) => finding.set_by("CODER_DATA_DIR"),
            (Some(_), false) => with_advice(finding, state.name),
        }
    });
    findings.collect()
}

/// The finding with what is known of the service of this name.
pub(super) fn with_advice(finding: Finding, name: &str) -> Finding {
    let Some((_, setting, mend)) = ADVICE.into_iter().find(|(known, ..)| *known == name) else {
        return finding;
    };
    Finding { mend: Some(mend.to_owned()), ..finding.set_by(setting) }
}

/// Why the providers cannot be opened. The sentence says what to do after its last colon or semicolon.
fn unopened(error: &StartError) -> Finding {
    let (check, setting) = match error {
        StartError::Store(_) => ("documents", "CODER_DATA_DIR"),
        StartError::MasterKey { .. } | StartError::NoMasterKey => ("master key", "CODER_MASTER_KEY"),
        StartError::NoAzure => ("services of Azure", "CODER_COSMOS_ENDPOINT"),
        _ => ("providers", "AZURE_CLIENT_ID"),
    };
    if matches!(error, StartError::NoAzure) {
        let what = "this program was built without them, so they cannot be tried from here";
        let mend = "`cargo run --features azure -- doctor` tries them as the identity of this machine; \
                    `--at ADDRESS` asks a handler that runs with them";
        return Finding::faulty(check, what, mend).set_by(setting);
    }
    let sentence = error.to_string();
    let (what, mend) = match sentence.rfind(['\u{3b}', ':']) {
        Some(at) => (sentence[..at].to_owned(), sentence[at + 1..].trim().to_owned()),
        None => (sentence.clone(), "see what the message names".to_owned()),
    };
    Finding::faulty(check, what, mend).set_by(setting)
}
