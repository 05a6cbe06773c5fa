//! The routes of a group: each a method, a path, an operation id, one line of summary and a handler.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawPathParams, Request};
use axum::routing::{MethodFilter, MethodRouter, on};
use coder_core::Code;
use coder_middleware::request::Endpoint;
use coder_middleware::runtime::Runtime;
use coder_middleware::{Identity, OperationDescription};
use http::Method;

use crate::endpoint::{Erased, Handler, erase, serve};

/// The routes of a group whose service is `S`, below one base path.
pub struct Routes<S> {
    base: &'static str,
    routes: Vec<Route<S>>,
}

struct Route<S> {
    operation: OperationDescription,
    handler: Erased<S>,
}

impl<S> std::fmt::Debug for Routes<S> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids = self.routes.iter().map(|route| route.operation.id);
        out.debug_struct("Routes")
            .field("base", &self.base)
            .field("operations", &ids.collect::<Vec<_>>())
            .finish()
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident = $method:ident;)+) => {
        $(
            $(#[$doc])*
            pub fn $name<I, H: Handler<S, I>>(self, path: &str, id: &'static str, summary: &str, handler: H) -> Self {
                self.route(Method::$method, path, id, summary, handler)
            }
        )+
    };
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes yet, below `/api/<group>`.
    pub fn new(base: &'static str) -> Self {
        Self { base, routes: Vec::new() }
    }

    methods! {
        /// Adds a `GET`.
        get = GET;
        /// Adds a `POST`.
        post = POST;
        /// Adds a `PUT`.
        put = PUT;
        /// Adds a `PATCH`.
        patch = PATCH;
        /// Adds a `DELETE`.
        delete = DELETE;
    }

    fn route<I, H: Handler<S, I>>(
        mut self,
        method: Method,
        path: &str,
        id: &'static str,
        summary: &str,
        handler: H,
    ) -> Self {
        let path = format!("{}{path}", self.base);
        let mut operation = OperationDescription::new(id, method, path, summary.to_owned());
        H::describe(&mut operation);
        self.routes.push(Route { operation, handler: erase(handler) });
        self
    }

    /// Changes the description of the route added last.
    pub fn described(mut self, change: impl FnOnce(&mut OperationDescription)) -> Self {
        if let Some(last) = self.routes.last_mut() {
            change(&mut last.operation);
        }
        self
    }

    /// Changes the description of every route added so far.
    pub fn each(mut self, change: impl Fn(&mut OperationDescription)) -> Self {
        self.routes.iter_mut().for_each(|route| change(&mut route.operation));
        self
    }

    /// Names problems particular to the route added last.
    pub fn problems<const N: usize>(self, codes: [Code; N]) -> Self {
        self.described(|operation| operation.problems.extend(codes))
    }

    /// Adds all routes of another list.
    pub fn merge(mut self, other: Self) -> Self {
        self.routes.extend(other.routes);
        self
    }

    /// The operations, described.
    pub fn operations(&self) -> Vec<OperationDescription> {
        self.routes.iter().map(|route| route.operation.clone()).collect()
    }

    /// The router that serves them.
    pub(crate) fn into_router(self, runtime: &Arc<Runtime>, service: &S) -> Result<Router, String> {
        let mut paths: BTreeMap<String, (MethodRouter, Vec<Method>)> = BTreeMap::new();
        for route in self.routes {
            let endpoint = Arc::new(Endpoint::new(route.operation));
            let method = endpoint.operation.method.clone();
            let path = endpoint.operation.path.clone();
            let filter = MethodFilter::try_from(method.clone()).map_err(|error| error.to_string())?;
            let served = served(endpoint, runtime.clone(), service.clone(), route.handler);
            let entry = paths.entry(path).or_insert_with(|| (MethodRouter::new(), Vec::new()));
            let methods = std::mem::take(&mut entry.0);
            entry.0 = methods.on(filter, served);
            entry.1.push(method);
        }
        let mut router = Router::new();
        for (path, (methods, allowed)) in paths {
            router = router.route(&path, methods.fallback(method_not_allowed(allowed)));
        }
        Ok(router)
    }
}

type AxumHandler = std::pin::Pin<Box<dyn Future<Output = axum::response::Response> + Send>>;

fn served<S: Clone + Send + Sync + 'static>(
    endpoint: Arc<Endpoint>,
    runtime: Arc<Runtime>,
    service: S,
    handler: Erased<S>,
) -> impl Fn(RawPathParams, Request) -> AxumHandler + Clone + Send + Sync + 'static {
    move |parameters: RawPathParams, request: Request| {
        let values = parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Box::pin(serve(endpoint.clone(), runtime.clone(), service.clone(), handler.clone(), values, request))
    }
}

fn method_not_allowed(mut methods: Vec<Method>) -> MethodRouter {
    methods.sort_by_key(|method| method.as_str().to_owned());
    let allowed = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let answer = move |request: Request| {
        let identity = request.extensions().get::<Identity>().cloned().unwrap_or_default();
        let response = coder_middleware::problem_response::method_not_allowed(&allowed, &identity.request_id);
        std::future::ready(response)
    };
    // `on` with every method that has no handler would shadow `HEAD`; a fallback sees what is left.
    on(MethodFilter::TRACE, answer.clone()).fallback(answer)
}
