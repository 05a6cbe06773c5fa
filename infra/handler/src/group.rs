//! The declaration of a route group, and the group that is made from it at start-up.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use axum::Router;
use coder_core::Failure;
use coder_core::permission::PermissionDeclaration;
use coder_database::Container;
use coder_jobs::JobFault;
use coder_middleware::OperationDescription;
use coder_middleware::runtime::Runtime;
use serde_json::Value;

use crate::events::{
    Consumer, ConsumerFault, ErasedConsumer, ErasedJob, ErasedTimer, Event, Invocation, Job, JobRun, Timer,
};
use crate::functions::{self, Functions};
use crate::peers::Peers;
use crate::routes::Routes;

/// A declared route group whose service is `S`.
pub struct RouteGroup<S> {
    name: &'static str,
    summary: &'static str,
    containers: Vec<Container>,
    permissions: &'static [PermissionDeclaration],
    routes: Option<Routes<S>>,
    consumers: Vec<Consumer<S>>,
    timers: Vec<Timer<S>>,
    jobs: Vec<Job<S>>,
}

/// A group with its service type erased: what the platform, the manifest and the tests work with.
pub struct Group {
    /// Its name; also the prefix `/api/<name>`.
    pub name: &'static str,
    /// One line: what the group is for.
    pub summary: &'static str,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Its permissions.
    pub permissions: &'static [PermissionDeclaration],
    /// Its operations.
    pub operations: Vec<OperationDescription>,
    /// Consumers: name and the pattern of event types.
    pub consumers: Vec<(&'static str, &'static str)>,
    /// Timers: name and NCRONTAB schedule.
    pub timers: Vec<(&'static str, &'static str)>,
    /// One-time jobs.
    pub jobs: Vec<&'static str>,
    start: Start,
}

impl fmt::Debug for Group {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Group").field("name", &self.name).finish_non_exhaustive()
    }
}

type Start = Box<dyn FnOnce(Arc<Runtime>, Arc<Peers>) -> Result<Running, String> + Send>;

/// A group that runs.
#[derive(Clone)]
pub struct Running {
    /// The group's name.
    pub name: &'static str,
    /// Serves `/api/<name>/…`, without the request chain around it.
    pub router: Router,
    /// The event functions.
    pub functions: Functions,
    service: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for Running {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Running").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Running {
    /// The group's service, for the platform's own wiring in one process.
    pub fn service<S: Clone + 'static>(&self) -> Option<S> {
        self.service.downcast_ref::<S>().cloned()
    }
}

impl<S> fmt::Debug for RouteGroup<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("RouteGroup").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<S: Clone + Send + Sync + 'static> RouteGroup<S> {
    /// A group without anything yet.
    pub fn new(name: &'static str, summary: &'static str) -> Self {
        Self {
            name,
            summary,
            containers: Vec::new(),
            permissions: &[],
            routes: None,
            consumers: Vec::new(),
            timers: Vec::new(),
            jobs: Vec::new(),
        }
    }

    /// Adds a container.
    pub fn container(mut self, container: Container) -> Self {
        self.containers.push(container);
        self
    }

    /// Names the permissions.
    pub fn permissions(mut self, permissions: &'static [PermissionDeclaration]) -> Self {
        self.permissions = permissions;
        self
    }

    /// Adds routes.
    pub fn routes(mut self, routes: Routes<S>) -> Self {
        self.routes = Some(match self.routes.take() {
            Some(before) => before.merge(routes),
            None => routes,
        });
        self
    }

    /// Adds a consumer of the events whose type matches `pattern` (a last `*` matches all that follow).
    pub fn on_event<F, R>(mut self, name: &'static str, pattern: &'static str, run: F) -> Self
    where
        F: Fn(S, Invocation, Event) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), ConsumerFault>> + Send + 'static,
    {
        let run: ErasedConsumer<S> =
            Arc::new(move |service, invocation, event| Box::pin(run(service, invocation, event)));
        self.consumers.push(Consumer { name, pattern, run });
        self
    }

    /// Adds a timer with an NCRONTAB schedule in UTC.
    pub fn timer<F, R>(mut self, name: &'static str, schedule: &'static str, run: F) -> Self
    where
        F: Fn(S, Invocation) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let run: ErasedTimer<S> = Arc::new(move |service, invocation| Box::pin(run(service, invocation)));
        self.timers.push(Timer { name, schedule, run });
        self
    }

    /// Adds a one-time job.
    pub fn job<F, R>(mut self, name: &'static str, run: F) -> Self
    where
        F: Fn(S, JobRun, Value) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value, JobFault>> + Send + 'static,
    {
        let run: ErasedJob<S> = Arc::new(move |service, of, input| Box::pin(run(service, of, input)));
        self.jobs.push(Job { name, run });
        self
    }

    /// Finishes the declaration. `service` makes the group's service when the platform starts; it must not do
    /// anything slow.
    pub fn service(self, service: impl FnOnce(Arc<Runtime>, Arc<Peers>) -> S + Send + 'static) -> Group {
        let declared = self.routes.unwrap_or_else(|| Routes::new(""));
        let (consumers, timers, jobs) = (self.consumers, self.timers, self.jobs);
        Group {
            name: self.name,
            summary: self.summary,
            containers: self.containers,
            permissions: self.permissions,
            operations: declared.operations(),
            consumers: consumers.iter().map(|consumer| (consumer.name, consumer.pattern)).collect(),
            timers: timers.iter().map(|timer| (timer.name, timer.schedule)).collect(),
            jobs: jobs.iter().map(|job| job.name).collect(),
            start: Box::new(move |runtime, peers| {
                let service = service(runtime.clone(), peers);
                let router = declared.into_router(&runtime, &service)?;
                let functions = functions::build(&runtime, &service, consumers, timers, jobs);
                Ok(Running { name: runtime.group, router, functions, service: Arc::new(service) })
            }),
        }
    }
}

impl Group {
    /// Starts the group. The error names a declaration that cannot be served.
    pub fn start(self, runtime: Arc<Runtime>, peers: Arc<Peers>) -> Result<Running, String> {
        (self.start)(runtime, peers)
    }

    /// Event-type patterns of the group, for its subscription filter.
    pub fn subscriptions(&self) -> BTreeMap<&'static str, &'static str> {
        self.consumers.iter().copied().collect()
    }
}
