//! Who carries mail: an organization's own providers by priority, then the platform's mail server.

mod carry;
mod secret;

use coder_config::Smtp;
use coder_core::{Failure, OrganizationId, Result, Timestamp};
use coder_database::{Filter, Query, Repository};
use coder_handler::{Invocation, retry_stale};
use serde_json::json;

pub(crate) use carry::{CarryFault, check_target};

use crate::CONTAINER;
use crate::deliver::is_taken;
use crate::model::provider::{MAX_PROVIDERS, OPEN_AFTER, Provider, ProviderState};
use crate::service::Notifications;

/// The name of the mail server that the platform's settings name.
pub const PLATFORM: &str = "platform-smtp";

/// Seconds for which a provider rests after too many failures.
const OPEN_SECONDS: i64 = 60;

/// Seconds after which a success is noted again, so that health has a recent time.
const NOTED_SECONDS: i64 = 300;

/// Somebody who carries mail.
#[derive(Debug)]
pub(crate) struct Carrier {
    /// The provider's id, or [`PLATFORM`].
    pub(crate) id: String,
    /// Whose it is; `None` is the platform's.
    organization_id: Option<OrganizationId>,
    way: Way,
    daily_limit: Option<u32>,
    state: ProviderState,
}

#[derive(Debug)]
enum Way {
    Own(Provider),
    Platform(Smtp),
}

/// Everybody who carries an organization's mail, the first first.
pub(crate) async fn carriers(
    service: &Notifications,
    organization_id: Option<OrganizationId>,
) -> Result<Vec<Carrier>> {
    let mut carriers = Vec::new();
    if organization_id.is_some() {
        let partition = ProviderState::partition(organization_id);
        let mut own = providers(service).all(&partition, Filter::eq("enabled", true), MAX_PROVIDERS).await?;
        own.sort_by(|a, b| (a.data.priority, &a.meta.id).cmp(&(b.data.priority, &b.meta.id)));
        for record in own {
            let state = state(service, organization_id, &record.meta.id).await?;
            carriers.push(Carrier::own(organization_id, record.meta.id, record.data, state));
        }
    }
    if let Some(smtp) = &service.runtime.settings.smtp {
        let state = state(service, None, PLATFORM).await?;
        let (id, way) = (PLATFORM.to_owned(), Way::Platform(smtp.clone()));
        carriers.push(Carrier { id, organization_id: None, way, daily_limit: None, state });
    }
    Ok(carriers)
}

pub(crate) fn providers(service: &Notifications) -> Repository<Provider> {
    Repository::new(service.runtime.store.clone(), CONTAINER)
}

fn states(service: &Notifications) -> Repository<ProviderState> {
    Repository::new(service.runtime.store.clone(), CONTAINER)
}

/// How a provider has done of late.
pub(crate) async fn state(
    service: &Notifications,
    organization_id: Option<OrganizationId>,
    id: &str,
) -> Result<ProviderState> {
    let partition = ProviderState::partition(organization_id);
    let found = states(service).find(&partition, &ProviderState::id(id)).await?;
    Ok(found.map_or_else(ProviderState::default, |found| found.data))
}

fn day(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

impl Carrier {
    pub(crate) fn own(
        organization_id: Option<OrganizationId>,
        id: String,
        provider: Provider,
        state: ProviderState,
    ) -> Self {
        let daily_limit = provider.daily_limit;
        Self { id, organization_id, way: Way::Own(provider), daily_limit, state }
    }

    /// For how many seconds nothing may be given to it, if so: after too many failures, or for the rest of a day
    /// whose limit is reached.
    pub(crate) fn rests(&self, now: Timestamp) -> Option<i64> {
        if let Some(until) = self.state.open_until.filter(|until| *until > now) {
            return Some(until.duration_since(now).as_secs().max(1));
        }
        let limit = self.daily_limit.filter(|limit| self.state.sent_on(&day(now)) >= *limit)?;
        tracing::debug!(provider.id = self.id, limit, "the daily limit is reached");
        Some(86_400 - now.as_second().rem_euclid(86_400))
    }

    /// Notes how it did: failures in a row, mails of the day, and whether it must rest. A dead address is no fault of
    /// the provider's.
    pub(crate) async fn note(
        &self,
        service: &Notifications,
        run: &Invocation,
        result: &Result<(), CarryFault>,
    ) -> Result<()> {
        let failure = match result {
            Ok(()) | Err(CarryFault::Address(_)) => None,
            Err(CarryFault::Waits(_)) => return Ok(()),
            Err(CarryFault::Refused(reason) | CarryFault::Later(reason)) => Some(reason),
        };
        let now = service.now();
        let fresh =
            self.state.last_success_at.is_some_and(|at| now.duration_since(at).as_secs() < NOTED_SECONDS);
        if failure.is_none() && self.state.failures == 0 && self.daily_limit.is_none() && fresh {
            return Ok(());
        }
        let partition = ProviderState::partition(self.organization_id);
        let id = ProviderState::id(&self.id);
        retry_stale(|| async {
            let before = states(service).find(&partition, &id).await?;
            let old = before.as_ref().map_or_else(ProviderState::default, |found| found.data.clone());
            let state = noted(&old, &self.id, failure, now);
            let mut unit = run.begin(CONTAINER, partition.clone()).without_audit();
            let about = json!({"providerId": self.id});
            if old.failures < OPEN_AFTER && state.failures >= OPEN_AFTER {
                unit.emit("provider.degraded", &self.id, about);
            } else if old.failures >= OPEN_AFTER && state.failures == 0 {
                unit.emit("provider.recovered", &self.id, about);
            }
            match before {
                Some(before) => drop(unit.replace(&before, state)?),
                None => drop(unit.create(&id, state)?),
            }
            match run.commit(unit).await {
                Err(failure) if is_taken(&failure) => Err(Failure::Stale),
                other => other,
            }
        })
        .await
    }
}

fn noted(old: &ProviderState, id: &str, failure: Option<&String>, now: Timestamp) -> ProviderState {
    let today = day(now);
    let mut state = ProviderState { provider_id: id.to_owned(), ..old.clone() };
    match failure {
        Some(reason) => {
            state.failures = state.failures.saturating_add(1);
            state.last_error = Some(reason.chars().take(500).collect());
            let rest = jiff::SignedDuration::from_secs(OPEN_SECONDS);
            state.open_until =
                (state.failures >= OPEN_AFTER).then(|| now.saturating_add(rest).unwrap_or(now));
        }
        None => {
            state.sent = state.sent_on(&today) + 1;
            state.day = today;
            (state.failures, state.open_until, state.last_error) = (0, None, None);
            state.last_success_at = Some(now);
        }
    }
    state
}

/// Asks every provider that is down whether it answers again.
pub async fn check_health(service: Notifications, run: Invocation) -> Result<()> {
    let mut query = Query::new(Filter::Ge("failures".to_owned(), OPEN_AFTER.into())).limit(100);
    loop {
        let (down, next) = states(&service).page_across(&run.job, &query).await?;
        for (partition, record) in down {
            let organization_id = partition.organization_id();
            let id = &record.data.provider_id;
            let Some(carrier) = find(&service, organization_id, id).await? else { continue };
            if carrier.probe(&service).await.is_ok() {
                carrier.note(&service, &run, &Ok(())).await?;
            }
        }
        match next {
            Some(next) => query.continuation = Some(next),
            None => return Ok(()),
        }
    }
}

async fn find(
    service: &Notifications,
    organization_id: Option<OrganizationId>,
    id: &str,
) -> Result<Option<Carrier>> {
    let carriers = carriers(service, organization_id).await?;
    Ok(carriers.into_iter().find(|carrier| carrier.id == id))
}

#[cfg(test)]
mod tests {
    use coder_core::Timestamp;

    use super::noted;
    use crate::model::provider::{Health, ProviderState};

    #[test]
    fn five_failures_in_a_row_open_the_circuit_for_a_minute() {
        let now = Timestamp::UNIX_EPOCH;
        let reason = "no answer".to_owned();
        let mut state = ProviderState::default();
        assert_eq!(state.health(), Health::Unknown);
        for failures in 1..=6 {
            state = noted(&state, "p", Some(&reason), now);
            assert_eq!((state.failures, state.open_until.is_some()), (failures, failures >= 5));
            assert_eq!(state.health(), if failures < 5 { Health::Degraded } else { Health::Down });
        }
        assert_eq!(state.open_until.unwrap().as_second(), 60);
        let state = noted(&state, "p", None, now);
        assert_eq!((state.failures, state.open_until, state.health()), (0, None, Health::Healthy));
        assert_eq!((state.sent_on("1970-01-01"), state.sent_on("1970-01-02")), (1, 0));
    }
}
