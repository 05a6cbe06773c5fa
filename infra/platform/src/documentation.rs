//! The API documentation: the OpenAPI document of each group, and one page that shows them.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use coder_core::{Code, Problem};
use coder_handler::{Group, openapi};
use coder_middleware::problem_response::problem_response;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

/// The page; it loads nothing from elsewhere.
const PAGE: &str = include_str!("documentation.html");
const SCRIPT: &str = include_str!("documentation.js");
const STYLE: &str = include_str!("documentation.css");

/// The rendered documents.
#[derive(Debug)]
pub struct Documentation {
    documents: BTreeMap<String, String>,
}

impl Documentation {
    /// Renders the documents of all groups.
    pub fn of(groups: &[Group], server: &str) -> Self {
        let document = |group: &Group| (group.name.to_owned(), openapi::document(group, server).to_string());
        Self { documents: groups.iter().map(document).collect() }
    }

    /// `/docs`, `/openapi` and `/openapi/<group>.json`.
    pub fn routes(&self) -> Router {
        let documents = self.documents.clone();
        let index = serde_json::json!({"groups": documents.keys().collect::<Vec<_>>()}).to_string();
        Router::new()
            .route("/", get(|| async { Redirect::temporary("/docs") }))
            .route("/docs", get(|| async { asset("text/html; charset=utf-8", PAGE) }))
            .route("/docs/page.js", get(|| async { asset("text/javascript; charset=utf-8", SCRIPT) }))
            .route("/docs/page.css", get(|| async { asset("text/css; charset=utf-8", STYLE) }))
            .route("/openapi", get(move || std::future::ready(json(index.clone()))))
            .route("/openapi/{document}", get(move |Path(name): Path<String>| std::future::ready(find(&documents, &name))))
    }
}

fn find(documents: &BTreeMap<String, String>, name: &str) -> Response {
    let group = name.strip_suffix(".json").unwrap_or(name);
    match documents.get(group) {
        Some(document) => json(document.clone()),
        None => problem_response(&Problem::new(Code::NotFound, "There is no such document; `/openapi` lists them."), ""),
    }
}

fn json(document: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], document).into_response()
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    let policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let headers = [(CONTENT_TYPE, content_type), (CONTENT_SECURITY_POLICY, policy), (CACHE_CONTROL, "no-cache")];
    (headers, text).into_response()
}
