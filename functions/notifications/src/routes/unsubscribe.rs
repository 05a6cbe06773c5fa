//! The page behind the link of a mail, and the click that mail programs make by themselves (RFC 8058).

use coder_core::{Problem, Result, StoredAnswer};
use coder_handler::Routes;
use coder_middleware::describe::{AnswerDescription, lazily};
use coder_middleware::{Access as _, Answer, Anyone, OperationDescription, Path, State};
use serde_json::json;

use crate::render::escape_html;
use crate::service::Notifications;
use crate::{preferences, unsubscribe};

/// Adds the routes.
pub fn routes(routes: Routes<Notifications>) -> Routes<Notifications> {
    routes
        .get("/unsubscribe/{token}", "show_unsubscription", "Show what the link of a mail switches off", show)
        .described(|operation| operation.guarded = true)
        .post("/unsubscribe/{token}", "unsubscribe", "Switch the mail of a topic off", act)
        .described(|operation| operation.guarded = true)
}

/// A page for a browser, without scripts and without anything from elsewhere.
#[derive(Debug, Clone)]
pub struct Page {
    title: String,
    body: String,
}

impl Answer for Page {
    fn describe(operation: &mut OperationDescription) {
        let schema = lazily(|| json!({"type": "string"}));
        let body = Some(("text/html", schema, lazily(|| json!("<!DOCTYPE html><title>Mail</title>"))));
        let (status, description, headers) = (200, "A page for a browser.", &[][..]);
        operation.answers.push(AnswerDescription { status, description, body, headers });
    }

    fn render(&self) -> Result<StoredAnswer> {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Ok(StoredAnswer {
            status: 200,
            headers: vec![
                header("content-type", "text/html; charset=utf-8"),
                header(
                    "content-security-policy",
                    "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
                ),
                header("cache-control", "no-store"),
                header("referrer-policy", "no-referrer"),
            ],
            body: format!(
                "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
                 <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title></head>\
                 <body><h1>{title}</h1>{body}</body></html>",
                title = escape_html(&self.title),
                body = self.body,
            ),
        })
    }
}

async fn show(State(service): State<Notifications>, _: Anyone, Path(token): Path<String>) -> Result<Page> {
    let (_, topic) = unsubscribe::read(&service, &token).ok_or_else(|| Problem::not_found("link"))?;
    Ok(Page {
        title: "Stop this mail?".to_owned(),
        body: format!(
            "<p>You will get no more mail on <strong>{}</strong>. The inbox still shows it.</p>\
             <form method=\"post\"><button type=\"submit\">Stop this mail</button></form>",
            escape_html(&topic)
        ),
    })
}

async fn act(State(service): State<Notifications>, who: Anyone, Path(token): Path<String>) -> Result<Page> {
    let (user_id, topic) = unsubscribe::read(&service, &token).ok_or_else(|| Problem::not_found("link"))?;
    preferences::mute_mail(&service, who.context(), user_id, &topic).await?;
    Ok(Page {
        title: "Done".to_owned(),
        body: format!(
            "<p>You will get no more mail on <strong>{}</strong>. Your settings can bring it back.</p>",
            escape_html(&topic)
        ),
    })
}
