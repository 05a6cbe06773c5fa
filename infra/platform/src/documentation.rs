//! The API documentation: the OpenAPI document of each group, and one page that shows them.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{Path, Request};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use coder_core::{Code, Problem};
use coder_handler::{Group, openapi};
use coder_middleware::Identity;
use coder_middleware::problem_response::problem_response;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

/// The page loads nothing from elsewhere, runs no inline script, and cannot be framed.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page and what it is made of: path, media type, text.
const FILES: [(&str, &str, &str); 8] = [
    ("/docs", "text/html; charset=utf-8", include_str!("documentation/page.html")),
    ("/docs/page.css", "text/css; charset=utf-8", include_str!("documentation/page.css")),
    ("/docs/icon.svg", "image/svg+xml", include_str!("documentation/icon.svg")),
    ("/docs/page.js", SCRIPT, include_str!("documentation/page.js")),
    ("/docs/dom.js", SCRIPT, include_str!("documentation/dom.js")),
    ("/docs/schema.js", SCRIPT, include_str!("documentation/schema.js")),
    ("/docs/operation.js", SCRIPT, include_str!("documentation/operation.js")),
    ("/docs/request.js", SCRIPT, include_str!("documentation/request.js")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The rendered documents.
#[derive(Debug)]
pub struct Documentation {
    documents: BTreeMap<String, String>,
}

impl Documentation {
    /// Renders the documents of all groups, and that of the operations that every group has.
    pub fn of(groups: &[Group], server: &str) -> Self {
        let document = |group: &Group| (group.name.to_owned(), openapi::document(group, server).to_string());
        let shared =
            (openapi::OPERATIONS.to_owned(), openapi::operations_document(groups, server).to_string());
        Self { documents: groups.iter().map(document).chain([shared]).collect() }
    }

    /// `/docs`, `/openapi` and `/openapi/<group>.json`.
    pub fn routes(&self) -> Router {
        let documents = self.documents.clone();
        let index = serde_json::json!({"groups": documents.keys().collect::<Vec<_>>()}).to_string();
        let router = Router::new()
            .route("/", get(|| async { Redirect::temporary("/docs") }))
            .route("/openapi", get(move || std::future::ready(json(index.clone()))))
            .route(
                "/openapi/{document}",
                get(move |path, request| std::future::ready(find(&documents, path, &request))),
            );
        FILES.into_iter().fold(router, |router, (path, media_type, text)| {
            router.route(path, get(move || std::future::ready(file(media_type, text))))
        })
    }
}

fn find(documents: &BTreeMap<String, String>, Path(name): Path<String>, request: &Request) -> Response {
    if let Some(document) = name.strip_suffix(".json").and_then(|group| documents.get(group)) {
        return json(document.clone());
    }
    let request_id = request.extensions().get::<Identity>().map_or("", |identity| &identity.request_id);
    let problem = Problem::new(Code::NotFound, "There is no such document; `/openapi` lists them.");
    problem_response(&problem, request_id)
}

fn json(document: String) -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], document).into_response()
}

fn file(media_type: &'static str, text: &'static str) -> Response {
    let headers =
        [(CONTENT_TYPE, media_type), (CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "no-cache")];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::FILES;

    fn text(path: &str) -> &'static str {
        FILES.iter().find(|(name, ..)| *name == path).unwrap().2
    }

    /// The paths that a file asks for: `href`, `src` and module imports.
    fn asked(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        for before in ["href=\"/docs/", "src=\"/docs/", "from \"./"] {
            let names = text.split(before).skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(names.map(|name| format!("/docs/{name}")));
        }
        found
    }

    #[test]
    fn every_file_that_the_page_asks_for_is_served() {
        let mut wanted = asked(text("/docs"));
        let mut seen = vec!["/docs".to_owned()];
        while let Some(path) = wanted.pop() {
            if !seen.contains(&path) {
                wanted.extend(asked(text(&path)));
                seen.push(path);
            }
        }
        assert_eq!(seen.len(), FILES.len(), "served but never asked for, or the other way round: {seen:?}");
    }

    #[test]
    fn every_operation_that_the_page_links_to_is_declared() {
        let groups = crate::route_groups();
        let known = |id: &str| groups.iter().any(|group| group.operations.iter().any(|one| one.id == id));
        let links = text("/docs").split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next());
        for id in links.filter(|id| !["", "main"].contains(id)) {
            assert!(known(id), "{id}");
        }
    }

    #[test]
    fn the_page_keeps_to_its_content_security_policy() {
        let page = text("/docs");
        for refused in [" style=", " onclick=", "<style", "javascript:", "http://", "https://"] {
            assert!(!page.contains(refused), "{refused}");
        }
        assert_eq!(page.matches("<script").count(), page.matches("<script type=\"module\" src=").count());
        for (path, _, script) in FILES.iter().filter(|(_, kind, _)| kind.starts_with("text/javascript")) {
            for refused in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Storage"]
            {
                assert!(!script.contains(refused), "{path}: {refused}");
            }
        }
    }
}
