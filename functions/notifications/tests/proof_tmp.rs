use coder_handler::openapi::path_parameters;
use coder_middleware::{OperationDescription, Security};
use coder_testkit::{Team, TestPlatform};
use coder_database::audit::AuditEntry;
use coder_database::{Entity as _, Filter, Query};
use http::Method;

fn address(team: &Team, one: &OperationDescription) -> String {
    let mut address = one.path.clone();
    for name in path_parameters(&one.path) {
        address = address.replace(&format!("{{{name}}}"), &team.parameter(&one.path, name));
    }
    if one.id == "resolve_preferences" { format!("{address}?topic=example") } else { address }
}

#[tokio::test(flavor = "multi_thread")]
async fn tmp_proofs() {
    let platform = TestPlatform::start().await;
    let mut team = Team::with_login_provider(&platform).await;
    let group = coder_notifications::route_group();
    let mut faults = Vec::new();
    for one in &group.operations {
        if matches!(one.access(), Security::Service) || one.id == "stream_inbox" { continue }
        let body = one.body.as_ref().map(|body| body.example.clone());
        let at = address(&team, one);
        let named = one.path.contains('{');
        if one.access() != Security::Anyone {
            let r = platform.nobody().send(one.method.clone(), &at, body.as_ref(), &[]).await;
            if r.status != 401 { faults.push(format!("nobody {} {}", one.id, r.status)); }
        }
        if named && one.access() != Security::Anyone {
            let r = team.stranger.send(one.method.clone(), &at, body.as_ref(), &[]).await;
            let perm = matches!(one.access(), Security::Permission(_));
            if !matches!(r.status.as_u16(), 403 | 404) || (perm && r.status != 404) {
                faults.push(format!("stranger {} {} {}", one.id, r.status, r.body));
            }
        }
        if matches!(one.access(), Security::Permission(_)) && one.method != Method::GET {
            let r = team.viewer.send(one.method.clone(), &at, body.as_ref(), &[]).await;
            if r.status != 403 { faults.push(format!("viewer {} {} {}", one.id, r.status, r.body)); }
        }
        let r = team.owner.send(one.method.clone(), &at, body.as_ref(), &[]).await;
        if matches!(r.status.as_u16(), 401 | 404) || r.status.as_u16() >= 500 {
            faults.push(format!("owner {} {} {}", one.id, r.status, r.body));
        }
        if one.method != Method::GET {
            if !r.status.is_success() {
                faults.push(format!("audit-not-tried {} {} {}", one.id, r.status, r.body));
            } else {
                let store = &platform.platform.assembly.providers.store;
                let filter = Filter::of_type(AuditEntry::TYPE).and(Filter::eq("requestId", r.header("x-request-id")));
                let page = store.query_across("notifications", &Query::new(filter)).await.unwrap();
                if page.items.len() != 1 { faults.push(format!("audit {} {}", one.id, page.items.len())); }
            }
            for rubbish in [&b"{"[..], b"[]", b"{\"\\u0000\": 1}", b"\"x\"", b"{\"x\":1}"] {
                if body.is_none() { continue }
                let r = team.owner.send_bytes(one.method.clone(), &at, Some(rubbish.to_vec()), &[]).await;
                if r.status.as_u16() >= 500 { faults.push(format!("rubbish {} {}", one.id, r.status)); }
            }
        }
        if one.method == Method::DELETE { team = Team::with_login_provider(&platform).await; }
    }
    panic!("{}", faults.join("\n"));
}
