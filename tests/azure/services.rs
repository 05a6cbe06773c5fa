//! What the process says of its services, what it asks tokens for, and what callers meet when a service is away.

use std::collections::BTreeSet;
use std::sync::Arc;

use azure_data_cosmos::fault_injection::{
    FaultInjectionConditionBuilder, FaultInjectionErrorType, FaultInjectionResultBuilder,
    FaultInjectionRuleBuilder, FaultOperationType,
};
use coder_azure::cosmos::Account;
use coder_cli::doctor::{self, Examined, Verdict};
use coder_config::Settings;
use coder_core::Ambient;
use coder_database::{PartitionKey, StoreError};
use coder_platform::{Options, Platform, route_groups};
use coder_testkit::{Client, Team, TestPlatform};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn every_service_answers_and_each_token_is_for_one() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let secret = json!({"name": "DEPLOY_KEY", "kind": "api_key", "value": {"key": "first"}});
    team.owner.post("/api/secrets", secret).await.expect(201);
    platform.settle().await;
    let ready = platform.nobody().get("/health/ready").await.expect(200);
    let states = ready.body["dependencies"].as_array().unwrap();
    let names: Vec<&str> = states.iter().map(|state| state["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["documents", "messages", "cache", "vault"]);
    for state in states {
        let is_up = platform.has_redis() || state["name"] != "cache";
        assert_eq!(state["up"], is_up, "{state}");
        assert!(state["latencyMs"].is_u64(), "{state}");
    }
    let asked: BTreeSet<String> = platform.scopes();
    let wanted = ["cosmos.azure.com", "servicebus.azure.net", "vault.azure.net"];
    assert_eq!(asked, wanted.map(|host| format!("https://{host}/.default")).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_with_another_master_key_is_told_and_keeps_nobody_out() {
    let platform = TestPlatform::start().await;
    platform.change_master_key();
    let ready = platform.nobody().get("/health/ready").await.expect(200);
    let vault = ready.body["dependencies"].as_array().unwrap().iter().find(|one| one["name"] == "vault");
    assert_eq!(vault.unwrap()["up"], false, "{}", ready.body);
    let examined = platform.platform.assembly.providers.health.examine().await;
    let cause = examined.into_iter().find(|(state, _)| state.name == "vault").unwrap().1.unwrap();
    assert!(cause.contains("is not the `CODER_MASTER_KEY` of this process"), "{cause}");
    Team::of(&platform).await;
}

/// Nothing is contacted before it is needed, so that the process starts; then it says what is away, and for how long.
#[tokio::test(flavor = "multi_thread")]
async fn without_documents_callers_are_told_to_come_back() {
    let beside = TestPlatform::start().await;
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings::for_tests(directory.path());
    let options =
        Options { settings, ambient: Ambient::system(), groups: route_groups(), only: BTreeSet::new() };
    let nowhere =
        Account { endpoint: "https://localhost:1/".parse().unwrap(), credential: beside.identity() };
    let platform =
        Platform::start_on(options, |settings, ambient| beside.open_with(nowhere, settings, ambient));
    let platform = platform.await.unwrap();
    let nobody = Client::nobody(platform.url(), reqwest::Client::new());
    let ready = nobody.get("/health/ready").await.expect_problem(503, "unavailable");
    assert!(ready.text("/detail").contains("documents") && !ready.text("/detail").contains("messages"));
    assert_eq!(ready.header("retry-after"), "5");
    let login = json!({"email": "ada@example.com", "password": "correct horse battery staple 7"});
    let refused = nobody.post("/api/auth/login", login).await.expect_problem(503, "unavailable");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    platform.stop().await;
}

/// What Cosmos DB adds to its status says what the fault is: a way that is cut, here.
#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_name_each_failure_of_the_store_by_its_sub_status() {
    let platform = TestPlatform::start().await;
    let cut = FaultInjectionResultBuilder::new().with_error(FaultInjectionErrorType::ConnectionError).build();
    let reads =
        FaultInjectionConditionBuilder::new().with_operation_type(FaultOperationType::ReadItem).build();
    let rule = FaultInjectionRuleBuilder::new("cut", cut).with_condition(reads).build();
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings::for_tests(directory.path());
    let account = platform.account().meeting(vec![Arc::new(rule)]);
    let providers = platform.open_with(account, settings, Ambient::system()).unwrap();
    let groups = route_groups();
    let container = &groups.iter().find(|group| group.name == "users").unwrap().containers[0];
    providers.store.prepare(std::slice::from_ref(container)).await.unwrap();
    let (key, failed) = (PartitionKey::single("nobody"), "store_failures_total{");
    assert!(!providers.metrics.render().contains(failed));
    let error = providers.store.read(container.name, &key, "nothing").await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    let page = providers.metrics.render();
    let told: Vec<&str> = page.lines().filter(|line| line.starts_with(failed)).collect();
    assert_eq!(told, [r#"store_failures_total{status="503",sub_status="20003"} 1"#]);
}

/// On a machine that is no part of the cloud.
#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tries_each_service_and_says_what_leads_there() {
    let folder = tempfile::tempdir().unwrap();
    let values = json!({
        "CODER_MASTER_KEY": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
        "CODER_COSMOS_ENDPOINT": "https://localhost:1",
        "CODER_SERVICEBUS_NAMESPACE": "localhost",
        "CODER_KEYVAULT_URL": "https://localhost:1",
        "CODER_REDIS_HOST": "localhost",
        "AZURE_CLIENT_ID": "3d6b1f0a-1111-4222-8333-444455556666",
    });
    let file = json!({"IsEncrypted": false, "Values": values});
    std::fs::write(folder.path().join("local.settings.json"), file.to_string()).unwrap();
    let examined = Examined { folder: folder.path().to_owned(), ..Examined::default() };
    let findings = doctor::examine(&examined).await;
    let of = |check: &str| findings.iter().find(|finding| finding.check == check).unwrap();
    for (check, verdict, setting) in [
        ("documents", Verdict::Faulty, "CODER_COSMOS_ENDPOINT"),
        ("messages", Verdict::Faulty, "CODER_SERVICEBUS_NAMESPACE"),
        ("cache", Verdict::Poor, "CODER_REDIS_HOST"),
        ("vault", Verdict::Poor, "CODER_KEYVAULT_URL"),
    ] {
        let finding = of(check);
        assert_eq!((finding.verdict, finding.setting), (verdict, Some(setting)), "{finding:?}");
        let place = finding.set_in.as_deref().unwrap();
        assert!(place.contains("local.settings.json") && place.contains(setting), "{finding:?}");
        assert!(finding.mend.is_some() && finding.latency_ms.is_some(), "{finding:?}");
    }
}
