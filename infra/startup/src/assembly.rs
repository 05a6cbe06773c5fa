//! Groups started in one process, knowing each other.

use std::sync::Arc;
use std::time::Duration;

use coder_core::cursor::CursorSealer;
use coder_core::permission::PermissionDeclaration;
use coder_embedded::broker::Subscription;
use coder_handler::{Group, Peer, Peers, Running};
use coder_middleware::chain::{Authenticator, CallerCache, Chain};
use coder_middleware::runtime::Runtime;
use coder_middleware::token::{ServiceTokens, TokenVerifier};
use coder_queue::OutboxNotifier;

use crate::catalogue;
use crate::directory::Directory;
use crate::outbox::PermissionWatch;
use crate::providers::{Providers, StartError};

/// Longest time for an answer of one group to begin; below the host's limit, which would kill the process.
pub const DEADLINE: Duration = Duration::from_secs(100);

/// How often the list of revocations is renewed.
const REVOCATIONS_EVERY: Duration = Duration::from_secs(15);

/// How soon it is tried again; the first time the other side may just be starting, too.
const REVOCATIONS_AGAIN: Duration = Duration::from_secs(1);

/// Groups that run in this process.
#[derive(Debug)]
pub struct Assembly {
    /// What they share.
    pub providers: Providers,
    /// The groups, in the order they were given.
    pub groups: Vec<Running>,
    /// Keys, permissions, revocations.
    pub directory: Arc<Directory>,
    /// Calls between groups.
    pub peers: Arc<Peers>,
    authenticator: Arc<Authenticator>,
}

impl Assembly {
    /// Prepares containers and subscriptions, and starts the groups. `outbox` is told of committed events.
    pub async fn start(
        providers: Providers,
        groups: Vec<Group>,
        outbox: Arc<dyn OutboxNotifier>,
    ) -> Result<Self, StartError> {
        let containers: Vec<_> = groups.iter().flat_map(|group| group.containers.clone()).collect();
        let other = |error: coder_database::StoreError| StartError::Other(error.to_string());
        providers.store.prepare(&containers).await.map_err(other)?;
        // In the cloud the deployment makes them.
        if let Some(local) = &providers.local {
            local.broker.subscribe(&subscriptions(&groups)).await.map_err(other)?;
        }
        let peers = Arc::new(peers(&providers)?);
        let directory = Directory::new(providers.ambient.clone(), peers.clone());
        let directory = Arc::new(match &providers.cache {
            Some(cache) => directory.sharing(cache.clone(), &providers.master),
            None => directory,
        });
        let outbox = Arc::new(PermissionWatch { next: outbox, directory: directory.clone() });
        let mut permissions: Vec<PermissionDeclaration> =
            groups.iter().flat_map(|group| group.permissions.iter().copied()).collect();
        // Those of groups that run elsewhere, too: roles and keys may name them.
        let others = catalogue::others(&permissions);
        permissions
            .extend(others.map_err(|error| StartError::Other(format!("the manifest is damaged: {error}")))?);
        let catalogue: Arc<[PermissionDeclaration]> = permissions.into();
        let mut running = Vec::with_capacity(groups.len());
        for group in groups {
            let runtime = Arc::new(runtime(
                &providers,
                &group,
                directory.clone(),
                outbox.clone() as Arc<dyn OutboxNotifier>,
                catalogue.clone(),
            ));
            let own = Arc::new(peers.seen_by(group.name));
            let group = group.start(runtime, own).map_err(StartError::Declaration)?;
            peers.register(group.name, Peer::InProcess(coder_handler::server::api(&group)));
            running.push(group);
        }
        // In the cloud there are several instances of `auth`, and each has to hear what the others revoked.
        let revokes_here = providers.local.is_some() && running.iter().any(|group| group.name == "auth");
        let authenticator = Arc::new(authenticator(&providers, directory.clone(), revokes_here));
        Ok(Self { providers, groups: running, directory, peers, authenticator })
    }

    /// Brings the list of revocations up to date every 15 seconds, and between processes at once where there is a
    /// relay, for ever.
    pub async fn keep_revocations(self: Arc<Self>) {
        let relayed = self.providers.relay.run(self.providers.revocations.clone());
        tokio::join!(self.poll_revocations(), relayed);
    }

    async fn poll_revocations(&self) {
        let mut cursor = None;
        let mut pause = tokio::time::interval(REVOCATIONS_EVERY);
        loop {
            pause.tick().await;
            match self.directory.poll_revocations(&self.providers.revocations, cursor.clone()).await {
                Ok(next) => cursor = next,
                Err(failure) => {
                    tracing::warn!(cause = %failure, "the list of revocations could not be renewed");
                    pause.reset_after(REVOCATIONS_AGAIN);
                }
            }
        }
    }

    /// The request chain of one group, or of the gateway.
    pub fn chain(&self, group: &'static str, body_limit: usize, deadline: Duration) -> Arc<Chain> {
        Arc::new(Chain {
            group,
            ambient: self.providers.ambient.clone(),
            settings: self.providers.settings.clone(),
            metrics: self.providers.metrics.clone(),
            limiter: self.providers.limiter.clone(),
            authenticator: self.authenticator.clone(),
            deadline,
            body_limit,
        })
    }
}

/// One subscription for each group that consumes events, with the patterns of all its consumers.
fn subscriptions(groups: &[Group]) -> Vec<Subscription> {
    let of = |group: &Group| {
        let declared = group.subscription()?;
        Some(Subscription { sessions: declared.ordered, ..Subscription::new(group.name, declared.patterns) })
    };
    groups.iter().filter_map(of).collect()
}

fn peers(providers: &Providers) -> Result<Peers, StartError> {
    let client = coder_outbound::client_builder()
        .connect_timeout(Duration::from_secs(3))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| StartError::Other(format!("the HTTP client cannot be made: {error}")))?;
    let tokens = Arc::new(service_tokens(providers));
    let peers = Peers::new("platform", tokens, client).admitted_by(providers.admission.clone());
    let settings = &providers.settings;
    // Every process asks these two, behind the gateway if nothing else is known.
    let asked = ["auth", "users"].map(|group| (group, &settings.public_url));
    let named = settings.upstreams.iter().map(|(group, address)| (group.as_str(), address));
    for (group, address) in asked.into_iter().chain(named) {
        peers.register(group, Peer::Remote(address.as_str().trim_end_matches('/').to_owned()));
    }
    Ok(peers)
}

fn service_tokens(providers: &Providers) -> ServiceTokens {
    ServiceTokens::new(providers.ambient.clone(), &providers.master.derive("service-token"))
}

fn authenticator(providers: &Providers, directory: Arc<Directory>, revokes_here: bool) -> Authenticator {
    let issuer = format!("{}/api/auth", providers.settings.public_url.as_str().trim_end_matches('/'));
    Authenticator {
        ambient: providers.ambient.clone(),
        verifier: TokenVerifier::new(providers.ambient.clone(), issuer, directory.clone()),
        services: service_tokens(providers),
        api_keys: directory,
        revocations: providers.revocations.clone(),
        revokes_here,
        cache: CallerCache::default(),
        operators: providers.settings.operators.clone(),
    }
}

fn runtime(
    providers: &Providers,
    group: &Group,
    directory: Arc<Directory>,
    outbox: Arc<dyn OutboxNotifier>,
    catalogue: Arc<[PermissionDeclaration]>,
) -> Runtime {
    Runtime {
        group: group.name,
        container: group.containers.first().map_or("", |container| container.name),
        containers: group.containers.clone().into(),
        ambient: providers.ambient.clone(),
        settings: providers.settings.clone(),
        store: providers.store.clone(),
        authorizer: directory,
        outbox,
        publisher: providers.publisher.clone(),
        limiter: providers.limiter.clone(),
        revocations: providers.revocations.clone(),
        cursors: CursorSealer::new(&providers.master.derive("page-cursor")),
        sealer: providers.master.sealer("stored-answer", providers.ambient.clone()),
        request_mac_key: *providers.master.derive("request-mac"),
        catalogue,
        vault: providers.vault.clone(),
        master: providers.master.clone(),
        metrics: providers.metrics.clone(),
    }
}
