//! The declaration of a route group, and the group that is made from it at start-up.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use axum::Router;
use coder_core::Failure;
use coder_core::permission::PermissionDeclaration;
use coder_database::Container;
use coder_jobs::{JobFault, JobPolicy};
use coder_middleware::OperationDescription;
use coder_middleware::runtime::Runtime;
use serde_json::Value;

use crate::events::{
    Consumer, ConsumerFault, ConsumerOptions, ErasedConsumer, ErasedJob, ErasedTimer, Event, Invocation, Job,
    JobRun, Timer,
};
use crate::functions::{self, Functions};
use crate::operate::desk::{Declared, JobDesk};
use crate::operate::{self, Operate};
use crate::peers::Peers;
use crate::routes::Routes;
use crate::upkeep;

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
    places: Places,
}

/// A line of the source.
pub type Place = &'static Location<'static>;

/// Where a group and its parts are declared; the parts in the order of the group's own lists, without those that
/// every group has.
#[derive(Debug, Clone)]
pub struct Places {
    /// The group itself.
    pub group: Place,
    /// Its containers.
    pub containers: Vec<Place>,
    /// Its consumers.
    pub consumers: Vec<Place>,
    /// Its timers.
    pub timers: Vec<Place>,
    /// Its jobs.
    pub jobs: Vec<Place>,
}

impl Places {
    fn of_group(group: Place) -> Self {
        Self { group, containers: vec![], consumers: vec![], timers: vec![], jobs: vec![] }
    }
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
    /// How each consumer is given events, in the same order.
    pub consumer_options: Vec<ConsumerOptions>,
    /// Timers: name and NCRONTAB schedule; those that every group has come last.
    pub timers: Vec<(&'static str, &'static str)>,
    /// One-time jobs.
    pub jobs: Vec<&'static str>,
    /// Where all that is written.
    pub places: Places,
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
    /// Its jobs and timers, for operators.
    pub jobs: JobDesk,
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
    #[track_caller]
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
            places: Places::of_group(Location::caller()),
        }
    }

    /// Adds a container.
    #[track_caller]
    pub fn container(mut self, container: Container) -> Self {
        self.places.containers.push(Location::caller());
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

    /// Adds a consumer of the events whose type matches `pattern` (`*` matches one segment, a last one all that
    /// follow).
    #[track_caller]
    pub fn on_event<F, R>(self, name: &'static str, pattern: &'static str, run: F) -> Self
    where
        F: Fn(S, Invocation, Event) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), ConsumerFault>> + Send + 'static,
    {
        self.on_event_with(ConsumerOptions::default(), name, pattern, run)
    }

    /// The same, with another deadline, number of attempts or order.
    #[track_caller]
    pub fn on_event_with<F, R>(
        mut self,
        options: ConsumerOptions,
        name: &'static str,
        pattern: &'static str,
        run: F,
    ) -> Self
    where
        F: Fn(S, Invocation, Event) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), ConsumerFault>> + Send + 'static,
    {
        let run: ErasedConsumer<S> =
            Arc::new(move |service, invocation, event| Box::pin(run(service, invocation, event)));
        self.places.consumers.push(Location::caller());
        self.consumers.push(Consumer { name, pattern, options, run });
        self
    }

    /// Adds a timer with an NCRONTAB schedule in UTC.
    #[track_caller]
    pub fn timer<F, R>(mut self, name: &'static str, schedule: &'static str, run: F) -> Self
    where
        F: Fn(S, Invocation) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let run: ErasedTimer<S> = Arc::new(move |service, invocation| Box::pin(run(service, invocation)));
        self.places.timers.push(Location::caller());
        self.timers.push(Timer { name, schedule, run });
        self
    }

    /// Adds a one-time job with the usual retry policy.
    #[track_caller]
    pub fn job<F, R>(self, name: &'static str, run: F) -> Self
    where
        F: Fn(S, JobRun, Value) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value, JobFault>> + Send + 'static,
    {
        self.job_with(JobPolicy::default(), name, run)
    }

    /// Adds a one-time job with a retry policy of its own.
    #[track_caller]
    pub fn job_with<F, R>(mut self, policy: JobPolicy, name: &'static str, run: F) -> Self
    where
        F: Fn(S, JobRun, Value) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value, JobFault>> + Send + 'static,
    {
        let run: ErasedJob<S> = Arc::new(move |service, of, input| Box::pin(run(service, of, input)));
        self.places.jobs.push(Location::caller());
        self.jobs.push(Job { name, policy, run });
        self
    }

    /// Finishes the declaration. `service` makes the group's service when the platform starts; it must not do
    /// anything slow.
    pub fn service(self, service: impl FnOnce(Arc<Runtime>, Arc<Peers>) -> S + Send + 'static) -> Group {
        let declared = self.routes.unwrap_or_else(|| Routes::new(""));
        let operate = operate::routes(self.name);
        let mut operations = declared.operations();
        if !self.containers.is_empty() {
            operations.extend(operate.operations());
        }
        let (consumers, mut timers, jobs) = (self.consumers, self.timers, self.jobs);
        let mut runs = Declared {
            group: self.name,
            containers: self.containers.clone().into(),
            jobs: jobs.iter().map(|job| job.name).collect(),
            timers: timers.iter().map(|timer| (timer.name, timer.schedule)).collect(),
        };
        if !runs.containers.is_empty() {
            runs.timers.extend(upkeep::TIMERS);
            timers.extend(upkeep::timers(&runs));
        }
        Group {
            name: self.name,
            summary: self.summary,
            containers: self.containers,
            permissions: self.permissions,
            operations,
            consumers: consumers.iter().map(|consumer| (consumer.name, consumer.pattern)).collect(),
            consumer_options: consumers.iter().map(|consumer| consumer.options).collect(),
            timers: runs.timers.clone(),
            jobs: runs.jobs.clone(),
            places: self.places,
            start: Box::new(move |runtime, peers| {
                let service = service(runtime.clone(), peers);
                let mut router = declared.into_router(&runtime, &service)?;
                let desk = JobDesk::new(runtime.store.clone(), runtime.ambient.clone(), runs);
                if let Some(service) = Operate::new(&runtime, desk.clone()) {
                    router = router.merge(operate.into_router(&runtime, &service)?);
                }
                let functions = functions::build(&runtime, &service, consumers, timers, jobs)?;
                let service = Arc::new(service);
                Ok(Running { name: runtime.group, router, functions, jobs: desk, service })
            }),
        }
    }
}

impl Group {
    /// Starts the group. The error names a declaration that cannot be served.
    pub fn start(self, runtime: Arc<Runtime>, peers: Arc<Peers>) -> Result<Running, String> {
        (self.start)(runtime, peers)
    }

    /// What the group's subscription lets through; `None` if it consumes nothing.
    pub fn subscription(&self) -> Option<Subscription> {
        let patterns: BTreeSet<&'static str> = self.consumers.iter().map(|(_, pattern)| *pattern).collect();
        let ordered = self.consumer_options.iter().any(|options| options.ordered);
        (!patterns.is_empty()).then(|| Subscription { patterns: patterns.into_iter().collect(), ordered })
    }

    /// The names of [`Group::app`].
    pub fn functions(&self) -> Vec<String> {
        self.app().into_iter().map(|function| function.name).collect()
    }
}

/// The one subscription of a group.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Subscription {
    /// Patterns of event types; those of all consumers.
    pub patterns: Vec<&'static str>,
    /// Whether messages about one subject come one after the other.
    pub ordered: bool,
}
