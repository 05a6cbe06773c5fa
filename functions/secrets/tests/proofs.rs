//! Temporary.
use crate::harness::*;
use coder_handler::openapi::path_parameters;
use coder_middleware::{OperationDescription, Security};
use coder_testkit::Reply;
use http::Method;
use serde_json::{Value, json};

struct Kept {
    secret: String,
    grant: String,
}

async fn keep(w: &World, name: &str) -> Kept {
    let o = &w.team.owner;
    let secret = api_key(o, name, "first").await;
    o.post(&format!("/api/secrets/{secret}/versions"), json!({"value": {"key": "second"}})).await.expect(201);
    let grant = json!({"principal": {"kind": "user", "id": w.team.member.user_id}, "actions": ["read"]});
    let grant = o.post(&format!("/api/secrets/{secret}/grants"), grant).await.expect(201).text("/id");
    Kept { secret, grant }
}

fn address(o: &OperationDescription, k: &Kept) -> String {
    o.path.replace("{secretId}", &k.secret).replace("{n}", "1").replace("{grantId}", &k.grant)
}

#[tokio::test(flavor = "multi_thread")]
async fn all() {
    let w = World::start().await;
    let ops = coder_secrets::route_group().operations;
    let mut faults: Vec<String> = Vec::new();
    let k = keep(&w, "DEPLOY_KEY").await;
    let send =
        async |c: &coder_testkit::Client, o: &OperationDescription, k: &Kept, b: Option<Value>| -> Reply {
            c.send(o.method.clone(), &address(o, k), b.as_ref(), &[]).await
        };
    for o in &ops {
        let body = o.body.as_ref().map(|b| b.example.clone());
        let named = path_parameters(&o.path).next().is_some();
        let r = send(&w.platform.nobody(), o, &k, body.clone()).await;
        if r.status != 401 {
            faults.push(format!("nobody {} {}", o.id, r.status));
        }
        let r = send(&w.team.key, o, &k, body.clone()).await;
        if r.status != 403 && !matches!(o.access(), Security::SignedInOrService) {
            faults.push(format!("key {} {:?}", o.id, r));
        }
        if named {
            let r = send(&w.team.stranger, o, &k, body.clone()).await;
            if r.status != 404 {
                faults.push(format!("stranger {} {:?}", o.id, r));
            }
        }
        if let Security::Permission(p) = o.access() {
            if o.method != Method::GET {
                let r = send(&w.team.viewer, o, &k, body.clone()).await;
                if r.status != 403 || !r.text("/detail").contains(p.name) {
                    faults.push(format!("viewer {} {:?}", o.id, r));
                }
            }
        }
        if o.method == Method::GET {
            let r = send(&w.team.owner, o, &k, None).await;
            if r.status != 200 {
                faults.push(format!("owner {} {:?}", o.id, r));
            }
        }
        for bad in [
            json!(null),
            json!([1]),
            json!("x"),
            json!({"value": {"a": [null, 1.5, {"b": "\u{202e}"}]}, "references": [[]], "n": 9007199254740993u64}),
            json!({}),
        ] {
            for tail in ["", "?limit=0", "?cursor=%00", "?q=%ff"] {
                let r = w
                    .team
                    .owner
                    .send(
                        o.method.clone(),
                        &format!(
                            "{}{tail}",
                            address(
                                o,
                                &Kept { secret: coder_core::id::EXAMPLE.to_string(), grant: k.grant.clone() }
                            )
                        ),
                        Some(&bad),
                        &[],
                    )
                    .await;
                if r.status.as_u16() >= 500 {
                    faults.push(format!("rubbish {} {bad} {:?}", o.id, r));
                }
                let r = if o.method == Method::DELETE || o.id == "restore_secret" || o.id == "rotate_data_key"
                {
                    continue;
                } else {
                    w.team
                        .owner
                        .send(o.method.clone(), &format!("{}{tail}", address(o, &k)), Some(&bad), &[])
                        .await
                };
                if r.status.as_u16() >= 500 {
                    faults.push(format!("rubbish {} {bad} {:?}", o.id, r));
                }
            }
        }
    }
    let store = w.platform.platform.assembly.providers.store.clone();
    for (n, o) in ops.iter().enumerate().filter(|(_, o)| o.method != Method::GET) {
        let name = format!("KEPT_{n}");
        let k = keep(&w, &name).await;
        let at = format!("/api/secrets/{}", k.secret);
        let mut body = o.body.as_ref().map(|b| b.example.clone());
        match o.id {
            "restore_secret" => {
                w.team.owner.delete(&at).await.expect(204);
            }
            "purge_secret" => body = Some(json!({"confirmName": name})),
            "enable_secret_version" => {
                w.team.owner.post(&format!("{at}/versions/1/disable"), json!({})).await.expect(200);
            }
            "create_secret_grant" => {
                body = Some(
                    json!({"principal": {"kind": "user", "id": w.team.viewer.user_id}, "actions": ["read"]}),
                )
            }
            "resolve_secrets" => body = Some(json!({"references": [format!("secret:{}", k.secret)]})),
            _ => {}
        }
        let r = send(&w.team.owner, o, &k, body).await;
        if !r.status.is_success() {
            faults.push(format!("audit not tried {} {:?}", o.id, r));
            continue;
        }
        let f = coder_database::Filter::of_type("audit")
            .and(coder_database::Filter::eq("requestId", r.header("x-request-id")));
        let page = store.query_across("secrets", &coder_database::Query::new(f)).await.unwrap();
        let found: Vec<_> = page
            .items
            .iter()
            .map(|d| (d.body["action"].clone(), d.body["targets"].clone(), d.body["actor"]["id"].clone()))
            .collect();
        let ok = found.len() == 1
            && found[0].0 == o.id
            && found[0].1 != json!([])
            && found[0].2 == json!(w.team.owner.user_id);
        if !ok {
            faults.push(format!("audit {} {found:?}", o.id));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
