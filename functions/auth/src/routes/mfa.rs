//! The second factor: set up, replaced, removed.

use coder_core::{Code, Failure, Problem, Result, Timestamp, UserId};
use coder_database::Record;
use coder_handler::Routes;
use coder_middleware::{Access as _, Body, Created, Example, FreshSession, Json, NoContent, State};
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Auth;
use crate::model::{CONTAINER, FactorState, Identity, Mfa, RevokedReason, Session, TotpFactor};
use crate::recovery_code;
use crate::routes::fields::Secret;
use crate::service::sessions::{ENDED_AT_ONCE, emit};
use crate::service::tokens::session_ended;
use crate::totp::TotpSecret;

/// What authenticator apps call the platform.
const ISSUER: &str = "Coder IDE";

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes
        .get("/mfa", "get_mfa", "Read the state of the second factor", status)
        .described(|operation| operation.during_enrolment = true)
        .post("/mfa/totp", "enrol_totp", "Begin to set up an authenticator app", enrol)
        .described(|operation| operation.during_enrolment = true)
        .problems([Code::InvalidState])
        .delete("/mfa/totp", "remove_totp", "Remove the second factor", remove)
        .post("/mfa/totp/confirm", "confirm_totp", "Finish setting up an authenticator app", confirm)
        .described(|operation| operation.during_enrolment = true)
        .problems([Code::InvalidState])
        .post("/mfa/recovery-codes", "replace_recovery_codes", "Make new recovery codes", replace_codes)
        .described(|operation| operation.during_enrolment = true)
        .problems([Code::InvalidState])
}

/// The state of the second factor.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct MfaStatus {
    /// The factor in use.
    method: Mfa,
    /// Whether an authenticator app waits for its first code.
    pending: bool,
    /// Recovery codes that were not used yet.
    recovery_codes_left: usize,
    /// Whether one of the person's organizations demands a second factor.
    required: bool,
}

impl Example for MfaStatus {
    fn example() -> Self {
        Self { method: Mfa::Totp, pending: false, recovery_codes_left: 9, required: true }
    }
}

/// What an authenticator app needs; shown once.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Enrolment {
    /// The secret in base 32, for typing.
    secret: String,
    /// The secret as a link, for scanning.
    otpauth_uri: String,
    /// The first code must be shown before.
    #[schemars(with = "String", extend("format" = "date-time"))]
    expires_at: Timestamp,
}

impl Example for Enrolment {
    fn example() -> Self {
        let otpauth_uri = "otpauth://totp/Coder%20IDE:ada@example.com?secret=…&issuer=Coder%20IDE";
        Self { secret: "…".into(), otpauth_uri: otpauth_uri.into(), expires_at: Timestamp::UNIX_EPOCH }
    }
}

/// A code of the authenticator app.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConfirmTotp {
    /// Six digits.
    code: Secret,
}

impl Example for ConfirmTotp {
    fn example() -> Self {
        Self { code: "287082".into() }
    }
}

/// Recovery codes; shown once.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RecoveryCodes {
    /// Each works once, in place of a code of the app.
    recovery_codes: Vec<String>,
}

impl Example for RecoveryCodes {
    fn example() -> Self {
        Self { recovery_codes: vec!["ABCDEFGH-IJKLMNOP".into()] }
    }
}

async fn status(State(auth): State<Auth>, who: FreshSession) -> Result<Json<MfaStatus>> {
    let user_id = who.0.user_id;
    let (identity, factor) = (identity(&auth, user_id).await?, factor(&auth, user_id).await?);
    let state = factor.as_ref().map(|factor| factor.data.state);
    Ok(Json(MfaStatus {
        method: identity.data.mfa,
        pending: state == Some(FactorState::Pending),
        recovery_codes_left: factor.map_or(0, |factor| recovery_code::unused(&factor.data.recovery_codes)),
        required: demanded_by(&auth, user_id).await?.is_some(),
    }))
}

async fn enrol(State(auth): State<Auth>, who: FreshSession) -> Result<Created<Enrolment>> {
    let user_id = who.0.user_id;
    let mut unit = who.begin(CONTAINER, TotpFactor::partition(user_id)).await?;
    let identity = identity(&auth, user_id).await?;
    let before = factor(&auth, user_id).await?;
    if before.as_ref().is_some_and(|factor| factor.data.state == FactorState::Active) {
        return Err(
            Problem::new(Code::InvalidState, "There is a second factor already; remove it first.").into()
        );
    }
    let secret = TotpSecret::generate(&auth.runtime.ambient);
    let pending = TotpFactor {
        secret: auth.seal_totp_secret(user_id, &secret),
        state: FactorState::Pending,
        last_accepted_step: None,
        recovery_codes: Vec::new(),
    };
    let expires_at = auth.runtime.ambient.after(TotpFactor::PENDING_SECONDS);
    if let Some(before) = &before {
        let mut record = before.clone();
        (record.data, record.expires_at) = (pending, Some(expires_at));
        unit.update(before, record)?;
    } else {
        let mut record = unit.record(TotpFactor::ID, pending);
        record.expires_at = Some(expires_at);
        unit.insert(&record)?;
    }
    let body = Enrolment {
        secret: secret.to_base32().expose_secret().to_owned(),
        otpauth_uri: secret.otpauth_uri(ISSUER, identity.data.email.as_str()).expose_secret().to_owned(),
        expires_at,
    };
    unit.commit(Created { location: "/api/auth/mfa".into(), body }).await
}

async fn confirm(
    State(auth): State<Auth>,
    who: FreshSession,
    Body(input): Body<ConfirmTotp>,
) -> Result<Json<RecoveryCodes>> {
    let user_id = who.0.user_id;
    let mut unit = who.begin(CONTAINER, TotpFactor::partition(user_id)).await?;
    let identity = identity(&auth, user_id).await?;
    let before = factor(&auth, user_id).await?.filter(|factor| factor.data.state == FactorState::Pending);
    let Some(before) = before else {
        let detail = "No authenticator app waits for its first code; call `POST /api/auth/mfa/totp`.";
        return Err(Problem::new(Code::InvalidState, detail).into());
    };
    let secret = auth.open_totp_secret(user_id, &before.data)?;
    let Some(step) = secret.accept(input.code.expose().trim(), auth.runtime.ambient.now(), None) else {
        let message = "This is not the present code; check the clock of the device.";
        return Err(Problem::fault("/code", "wrong_code", message).into());
    };
    let (shown, recovery_codes) = recovery_code::generate(&auth.runtime.ambient);
    let mut active = before.clone();
    active.expires_at = None;
    active.data = TotpFactor {
        state: FactorState::Active,
        last_accepted_step: Some(step),
        recovery_codes,
        ..active.data
    };
    unit.update(&before, active)?;
    unit.replace(&identity, Identity { mfa: Mfa::Totp, ..identity.data.clone() })?;
    let data = json!({"userId": user_id});
    emit(&mut unit, who.0.organization_id, "mfa.enabled", &user_id.to_string(), data);
    unit.commit(Json(RecoveryCodes::of(&shown))).await
}

async fn replace_codes(State(auth): State<Auth>, who: FreshSession) -> Result<Json<RecoveryCodes>> {
    let user_id = who.0.user_id;
    let mut unit = who.begin(CONTAINER, TotpFactor::partition(user_id)).await?;
    let active = factor(&auth, user_id).await?.filter(|factor| factor.data.state == FactorState::Active);
    let Some(before) = active else {
        let detail = "There is no second factor; call `POST /api/auth/mfa/totp`.";
        return Err(Problem::new(Code::InvalidState, detail).into());
    };
    let (shown, recovery_codes) = recovery_code::generate(&auth.runtime.ambient);
    unit.replace(&before, TotpFactor { recovery_codes, ..before.data.clone() })?;
    unit.commit(Json(RecoveryCodes::of(&shown))).await
}

async fn remove(State(auth): State<Auth>, who: FreshSession) -> Result<NoContent> {
    let user_id = who.0.user_id;
    let mut unit = who.begin(CONTAINER, TotpFactor::partition(user_id)).await?;
    let identity = identity(&auth, user_id).await?;
    let before = factor(&auth, user_id).await?;
    let Some(before) = before else {
        return Err(Problem::new(Code::NotFound, "There is no second factor.").into());
    };
    let is_active = before.data.state == FactorState::Active;
    if is_active && let Some(name) = demanded_by(&auth, user_id).await? {
        let detail = format!("The organization {name} demands a second factor.");
        return Err(Problem::new(Code::Conflict, detail).into());
    }
    unit.delete(&before)?;
    unit.replace(&identity, Identity { mfa: Mfa::None, ..identity.data.clone() })?;
    let live = auth.live_sessions(user_id).await?;
    let own = Session::document_id(who.0.session_id);
    let others: Vec<_> = live.iter().filter(|session| session.meta.id != own).take(ENDED_AT_ONCE).collect();
    let revoked = auth.end_sessions(&mut unit, &others, RevokedReason::MfaRemoved)?;
    if is_active {
        let data = json!({"userId": user_id});
        emit(&mut unit, who.0.organization_id, "mfa.disabled", &user_id.to_string(), data);
    }
    let answer = unit.commit(NoContent).await?;
    auth.announce(who.context(), &revoked).await;
    Ok(answer)
}

impl RecoveryCodes {
    fn of(codes: &[secrecy::SecretString]) -> Self {
        Self { recovery_codes: codes.iter().map(|code| code.expose_secret().to_owned()).collect() }
    }
}

async fn identity(auth: &Auth, user_id: UserId) -> Result<Record<Identity>> {
    auth.identity(user_id).await?.ok_or_else(session_ended)
}

async fn factor(auth: &Auth, user_id: UserId) -> Result<Option<Record<TotpFactor>>> {
    auth.factors.find(&TotpFactor::partition(user_id), TotpFactor::ID).await
}

/// The name of an organization of the person's that demands a second factor.
async fn demanded_by(auth: &Auth, user_id: UserId) -> Result<Option<String>, Failure> {
    let memberships = auth.person(user_id).await?.map(|person| person.memberships).unwrap_or_default();
    for membership in memberships {
        if auth.policy(Some(membership.organization_id)).await?.mfa_required {
            return Ok(Some(membership.name));
        }
    }
    Ok(None)
}
