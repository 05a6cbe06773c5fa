//! Reservations: use is held before it happens, so that many at once cannot pass a limit together.

use std::collections::BTreeMap;

use coder_core::{Code, Failure, Problem, Result, Timestamp};
use coder_database::Record;
use coder_handler::{Cause, Routes, retry_stale_up_to};
use coder_middleware::{Access as _, Body, Created, Example, Json, Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{Intent, THROTTLE_SECONDS, refuse_blocked};
use super::events::{NewEvent, RESERVED};
use super::faults::Faults;
use crate::access::AllowedOrService;
use crate::catalogue::QuotaReserve;
use crate::decimal::Quantity;
use crate::model::{
    Action, CONTAINER, Dimensions, Reservation, ReservationId, ReservationState, Subject, config,
};
use crate::service::{Ask, Outcome, TRIES, Usage, hold, taken_is_stale, verdict};

/// How long a reservation lasts unless said otherwise, in seconds.
const LASTS_SECONDS: u32 = 300;

/// Adds the routes.
pub fn routes(routes: Routes<Usage>) -> Routes<Usage> {
    routes
        .post("/reservations", "create_reservation", "Check quotas and hold the use in one step", reserve)
        .problems([Code::QuotaExceeded, Code::LimitReached])
        .post(
            "/reservations/{reservationId}/commit",
            "commit_reservation",
            "Report the use that was held",
            commit,
        )
        .problems([Code::InvalidState])
        .post("/reservations/{reservationId}/release", "release_reservation", "Let go of held use", release)
        .problems([Code::InvalidState])
}

/// Use to hold.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reserve {
    /// The category.
    #[schemars(length(min = 1, max = 64))]
    pub category_code: String,
    /// How much of each metric at most.
    #[schemars(extend("maxProperties" = 20))]
    pub estimate: BTreeMap<String, Quantity>,
    /// Particulars, such as the model.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 10))]
    pub dimensions: Dimensions,
    /// Who or what; people reserve for themselves.
    pub subject: Option<Subject>,
    /// How long it is held.
    #[serde(default = "lasts")]
    #[schemars(range(min = 1, max = 900))]
    pub expires_in_seconds: u32,
}

/// What was used in the end.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommitReservation {
    /// The final event; left out by a group of the platform whose events are metered anyway.
    pub event: Option<NewEvent>,
}

/// A reservation.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReservationView {
    /// Its id.
    pub id: ReservationId,
    /// What kind of use.
    pub category_code: String,
    /// How much at most.
    pub estimate: BTreeMap<String, Quantity>,
    /// Who or what will use it.
    pub subject: Subject,
    /// Where it stands.
    pub state: ReservationState,
    /// When it ends by itself.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub expires_at: Timestamp,
}

fn lasts() -> u32 {
    LASTS_SECONDS
}

impl Example for Reserve {
    fn example() -> Self {
        let Intent { category_code, estimate, dimensions, subject } = Intent::example();
        Self { category_code, estimate, dimensions, subject, expires_in_seconds: LASTS_SECONDS }
    }
}

impl Example for CommitReservation {
    fn example() -> Self {
        Self { event: None }
    }
}

impl Example for ReservationView {
    fn example() -> Self {
        let intent = Intent::example();
        Self {
            id: coder_core::id::EXAMPLE.into(),
            category_code: intent.category_code,
            estimate: intent.estimate,
            subject: Subject::default(),
            state: ReservationState::Held,
            expires_at: Timestamp::UNIX_EPOCH,
        }
    }
}

fn view(record: Record<Reservation>) -> Result<ReservationView> {
    Ok(ReservationView {
        id: record.id()?,
        category_code: record.data.category_code,
        estimate: record.data.estimate,
        subject: record.data.subject,
        state: record.data.state,
        expires_at: record.data.expires_at,
    })
}

async fn reserve(
    State(usage): State<Usage>,
    who: AllowedOrService<QuotaReserve>,
    Body(input): Body<Reserve>,
) -> Result<Created<ReservationView>> {
    let setup = usage.setup(who.organization_id).await?;
    let subject = who.subject(input.subject);
    let Reserve { category_code, estimate, dimensions, subject: _, expires_in_seconds } = input;
    let ask = Intent { category_code, estimate, dimensions, subject: None }.checked(&setup, subject)?;
    let now = usage.now();
    let reservation = Reservation {
        category_code: ask.category_code.clone(),
        estimate: ask.estimate.iter().map(|(key, value)| (key.clone(), Quantity(*value))).collect(),
        dimensions: ask.dimensions.clone(),
        subject,
        state: ReservationState::Held,
        expires_at: usage.runtime.ambient.after(i64::from(expires_in_seconds)),
        holder: who.key(),
        holds: Vec::new(),
    };
    let mut throttled = false;
    for _ in 0..TRIES {
        // The idempotency key is looked at first: a repeat is answered whatever the quotas say by now.
        let mut unit = who.begin(CONTAINER, config(who.organization_id)).await?;
        let standings = usage.standings(who.organization_id, &setup, &ask, now).await?;
        refuse_blocked(&standings, now)?;
        if verdict(&standings) == Some(Action::Throttle) && !throttled {
            throttle(&usage, &who, &ask).await?;
            throttled = true;
        }
        let id = unit.new_id();
        let record = hold(&mut unit, &standings, reservation.clone(), &id, now)?;
        let location = format!("{}/{id}", who.context().path());
        match unit
            .without_audit()
            .commit(Created { location, body: view(record)? })
            .await
            .map_err(taken_is_stale)
        {
            Err(Failure::Stale) => {}
            outcome => return outcome,
        }
    }
    Err(Failure::Stale)
}

/// Above a limit that throttles, each person has one request in ten seconds.
async fn throttle(usage: &Usage, who: &AllowedOrService<QuotaReserve>, ask: &Ask) -> Result<()> {
    let person = ask.subject.user_id.map_or_else(|| who.key(), |id| id.to_string());
    let key = format!("usage:{}:{person}", who.organization_id);
    let per_minute = u32::try_from(60 / THROTTLE_SECONDS).unwrap_or(1);
    let limit = coder_cache::Limit { per_minute, burst: 1 };
    let decision = usage.runtime.limiter.take(&key, limit, 1).await;
    if decision.allowed {
        return Ok(());
    }
    let detail = "A quota is used up; one request in ten seconds is let through.";
    Err(Problem::new(Code::QuotaExceeded, detail).retry_after(decision.retry_after_seconds.max(1)).into())
}

async fn commit(
    State(usage): State<Usage>,
    who: AllowedOrService<QuotaReserve>,
    Path(id): Path<ReservationId>,
    Body(input): Body<CommitReservation>,
) -> Result<Json<ReservationView>> {
    let unit = who.begin(CONTAINER, config(who.organization_id)).await?.without_audit();
    let before = own(&usage, &who, id).await?;
    if before.data.state == ReservationState::Committed {
        return unit.commit(Json(view(before)?)).await;
    }
    // The use happened, whatever became of the reservation. It is counted before the hold goes.
    if let Some(event) = input.event {
        let event = held_use(&who, &before.data, event)?.into();
        let outcomes = usage.ingest(Cause::Request(who.context()), who.organization_id, vec![event]).await?;
        if let Some(Outcome::Rejected(code)) = outcomes.first() {
            return Err(Problem::fault("/event", code, format!("The event does not count: {code}.")).into());
        }
    }
    let record = end(&usage, &who, id, ReservationState::Committed).await?;
    unit.commit(Json(view(record)?)).await
}

async fn release(
    State(usage): State<Usage>,
    who: AllowedOrService<QuotaReserve>,
    Path(id): Path<ReservationId>,
) -> Result<Json<ReservationView>> {
    let unit = who.begin(CONTAINER, config(who.organization_id)).await?.without_audit();
    own(&usage, &who, id).await?;
    let record = end(&usage, &who, id, ReservationState::Released).await?;
    unit.commit(Json(view(record)?)).await
}

/// The event as it counts: use of what was held, by whom it was held for. Whoever may only reserve reports nothing
/// else with it.
fn held_use(
    who: &AllowedOrService<QuotaReserve>,
    reservation: &Reservation,
    event: NewEvent,
) -> Result<NewEvent, Problem> {
    let mut faults = Faults::default();
    let same = event.category_code == reservation.category_code;
    faults.unless(same, "/event/categoryCode", "invalid_value", "The reservation is of another category.");
    let free = who.service.is_some() || !event.source.starts_with(RESERVED);
    faults.unless(free, "/event/source", "reserved", "Sources of this kind are the platform's own.");
    faults.dimensions("/event/dimensions", &event.dimensions);
    faults.finish()?;
    let (told, held) = (event.subject, reservation.subject);
    let subject = match who.service {
        Some(_) => Subject {
            user_id: told.user_id.or(held.user_id),
            team_id: told.team_id.or(held.team_id),
            project_id: told.project_id.or(held.project_id),
        },
        None => held,
    };
    Ok(NewEvent { subject, ..event })
}

/// The caller's own reservation.
async fn own(
    usage: &Usage,
    who: &AllowedOrService<QuotaReserve>,
    id: ReservationId,
) -> Result<Record<Reservation>> {
    let found = usage.reservations.get(&config(who.organization_id), &id.to_string()).await?;
    if found.data.holder != who.key() {
        let detail = "Only who made a reservation commits or releases it.";
        return Err(Failure::problem(Code::Forbidden, detail));
    }
    Ok(found)
}

/// Ends a reservation; `409` if it ended otherwise before.
async fn end(
    usage: &Usage,
    who: &AllowedOrService<QuotaReserve>,
    id: ReservationId,
    state: ReservationState,
) -> Result<Record<Reservation>> {
    let (by, id) = (Cause::Request(who.context()), id.to_string());
    let now = usage.now();
    let ended = retry_stale_up_to(TRIES, || async {
        let before = usage.reservations.get(&config(who.organization_id), &id).await?;
        let over = before.data.expires_at <= now;
        let state = if over { ReservationState::Expired } else { state };
        usage.end_reservation(by, who.organization_id, &id, state).await
    });
    let record = ended.await?.ok_or_else(|| Problem::not_found("reservation"))?;
    if record.data.state == state {
        return Ok(record);
    }
    let detail = format!("The reservation was {} before.", state_word(record.data.state));
    Err(Failure::problem(Code::InvalidState, detail))
}

fn state_word(state: ReservationState) -> &'static str {
    match state {
        ReservationState::Held => "held",
        ReservationState::Committed => "committed",
        ReservationState::Released => "released",
        ReservationState::Expired => "ended by its time",
    }
}
