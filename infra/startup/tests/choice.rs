//! Which providers the settings choose.

use std::collections::BTreeMap;

use coder_config::Settings;
use coder_core::Ambient;
use coder_startup::{Providers, StartError};

const SERVICES: [(&str, &str); 5] = [
    ("CODER_COSMOS_ENDPOINT", "https://coder.documents.azure.com"),
    ("CODER_SERVICEBUS_NAMESPACE", "coder.servicebus.windows.net"),
    ("CODER_KEYVAULT_URL", "https://coder.vault.azure.net"),
    ("CODER_REDIS_HOST", "coder.region.redis.azure.net"),
    ("AZURE_CLIENT_ID", "3d6b1f0a-1111-4222-8333-444455556666"),
];

/// The settings with these services, in development, with a master key if wanted.
fn settings(services: &[(&str, &str)], key: bool) -> Settings {
    let key = key.then_some(("CODER_MASTER_KEY", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="));
    let all = services.iter().copied().chain(key);
    let map: BTreeMap<String, String> = all.map(|(name, value)| (name.into(), value.into())).collect();
    Settings::from_map(&map).unwrap()
}

#[tokio::test]
async fn no_service_of_the_cloud_means_this_machine() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { data_dir: directory.path().into(), ..settings(&[], false) };
    let providers = Providers::open(settings, Ambient::system()).unwrap();
    assert!(providers.local.is_some());
    let states = providers.health.states().await;
    assert_eq!(states.iter().map(|state| (state.name, state.up)).collect::<Vec<_>>(), [("documents", true)]);
}

#[test]
fn some_services_of_the_cloud_are_refused_by_name() {
    for missing in SERVICES {
        let given = SERVICES.into_iter().filter(|service| *service != missing);
        let map: BTreeMap<String, String> = given.map(|(name, value)| (name.into(), value.into())).collect();
        let error = Settings::from_map(&map).unwrap_err();
        assert_eq!(error.faults.len(), 1, "{error}");
        assert_eq!(error.faults[0].name, missing.0);
        assert!(error.faults[0].problem.contains("It means: "), "{error}");
    }
}

#[test]
fn with_one_service_all_the_others_are_named_with_what_they_are_for() {
    let map = BTreeMap::from([("CODER_REDIS_HOST".to_owned(), "coder.region.redis.azure.net".to_owned())]);
    let error = Settings::from_map(&map).unwrap_err();
    let named: Vec<(&str, bool)> = error
        .faults
        .iter()
        .map(|fault| (fault.name.as_str(), fault.problem.contains("`CODER_REDIS_HOST` is. It means: ")))
        .collect();
    let others =
        ["CODER_COSMOS_ENDPOINT", "CODER_SERVICEBUS_NAMESPACE", "CODER_KEYVAULT_URL", "AZURE_CLIENT_ID"];
    assert_eq!(named, others.map(|name| (name, true)));
}

#[cfg(not(feature = "azure"))]
#[test]
fn the_cloud_is_refused_by_a_program_without_it() {
    let outcome = Providers::open(settings(&SERVICES, true), Ambient::system());
    assert!(matches!(outcome, Err(StartError::NoAzure)), "{outcome:?}");
}

#[cfg(feature = "azure")]
#[tokio::test]
async fn all_services_of_the_cloud_are_used_and_none_is_called_yet() {
    let providers = Providers::open(settings(&SERVICES, true), Ambient::system()).unwrap();
    assert!(providers.local.is_none());
    let shown = format!("{:?}", providers.store);
    assert!(shown.contains("CosmosStore"), "{shown}");
    let keyless = Providers::open(settings(&SERVICES, false), Ambient::system());
    assert!(matches!(keyless, Err(StartError::NoMasterKey)), "{keyless:?}");
}
