//! The first owner and organization of an empty platform, made with a token that only who starts it sees.

use coder_core::{Actor, ActorKind, Code, Failure, Problem};
use coder_database::transaction::Act;
use coder_database::{Entity, Partition, PlatformJob, Query, Record, Repository, Transaction};
use coder_handler::Cause;
use coder_middleware::{Access as _, Anyone};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::answer::RegisterAnswer;
use super::links::put_token;
use super::registration::{Applicant, check_password};
use super::tokens::invalid_credentials;
use super::{Auth, repository};
use crate::model::{CONTAINER, EmailClaim, OneTimeToken, Purpose};
use crate::one_time_token::NewToken;

/// Whether the platform has been set up; one in the platform's partition.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Setup {
    done: bool,
    /// The one token that is good; each start makes a new one.
    token_id: Option<String>,
}

impl Entity for Setup {
    const TYPE: &'static str = "setup";
}

impl Setup {
    const ID: &'static str = "setup";
}

impl Auth {
    /// A new setup token for `POST /bootstrap` while nobody has an account, to be shown on the console and
    /// nowhere else. Earlier ones hold no longer. For the platform's start, not for a caller's request.
    pub async fn setup_token(&self) -> Result<Option<String>, Failure> {
        let job = PlatformJob::begin();
        let before = self.setup().await?;
        if before.as_ref().is_some_and(|setup| setup.data.done) {
            return Ok(None);
        }
        let (someone, _) = self.identities.page_across(&job, &Query::new(None).limit(1)).await?;
        if !someone.is_empty() {
            self.write_setup(before, Setup { done: true, token_id: None }).await?;
            return Ok(None);
        }
        let ambient = &self.runtime.ambient;
        let token = NewToken::generate(ambient, Purpose::Bootstrap, None, serde_json::Value::Null);
        let mut unit = self.start_transaction(OneTimeToken::partition(&token.id));
        put_token(&mut unit, &token)?;
        unit.commit().await.map(drop)?;
        match self.write_setup(before, Setup { done: false, token_id: Some(token.id.clone()) }).await {
            Ok(()) => Ok(Some(token.token.expose_secret().to_owned())),
            // Another process has just shown one.
            Err(failure) if is_lost_race(&failure) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Makes the first owner; `409` once that was done.
    pub(crate) async fn bootstrap(
        &self,
        who: &Anyone,
        setup_token: &str,
        applicant: &Applicant,
    ) -> Result<RegisterAnswer, Failure> {
        let context = who.context();
        let cause = Cause::Request(context);
        let unit = who.begin(CONTAINER, EmailClaim::partition(&applicant.email)).await?;
        let setup = self.setup().await?.filter(|setup| !setup.data.done).ok_or_else(done)?;
        let token = self.open_token(setup_token, Purpose::Bootstrap).await?;
        let token = token.filter(|token| setup.data.token_id.as_deref() == Some(token.meta.id.as_str()));
        let token = token.ok_or_else(invalid_credentials)?;
        check_password(applicant)?;
        let hash = self.hasher.hash(&applicant.password).await?;
        let user_id = self.runtime.ambient.new_id();
        // Of two at once, one uses the token up; it gets it back if it does not come to an end.
        self.consume(cause, &token).await?;
        let made = async {
            if !self.claim_email(cause, &applicant.email, user_id).await? {
                return Err(
                    Problem::new(Code::AlreadyExists, "There is an account with this address.").into()
                );
            }
            self.make_account(context, applicant, user_id, hash, true).await
        };
        let answer = match made.await {
            Ok(answer) => answer,
            Err(failure) => {
                self.give_back(cause, &token).await?;
                return Err(failure);
            }
        };
        let mut unit = unit;
        self.activate_claim(&mut unit, &applicant.email).await?;
        let answer = unit.commit(answer).await?;
        self.write_setup(Some(setup), Setup { done: true, token_id: None }).await?;
        Ok(answer)
    }

    async fn setup(&self) -> Result<Option<Record<Setup>>, Failure> {
        let setups: Repository<Setup> = repository(&self.runtime);
        setups.find(&Partition::platform(), Setup::ID).await
    }

    async fn write_setup(&self, before: Option<Record<Setup>>, setup: Setup) -> Result<(), Failure> {
        let mut unit = self.start_transaction(Partition::platform());
        match before {
            Some(before) => unit.replace(&before, setup).map(|_| ())?,
            None => unit.create(Setup::ID, setup).map(|_| ())?,
        }
        unit.commit().await.map(|_| ())
    }

    /// Makes a token usable again.
    async fn give_back(&self, cause: Cause<'_>, token: &Record<OneTimeToken>) -> Result<(), Failure> {
        let partition = OneTimeToken::partition(&token.meta.id);
        if let Some(used) = self.tokens.find(&partition, &token.meta.id).await? {
            let mut unit = cause.begin(CONTAINER, partition).without_audit();
            unit.replace(&used, OneTimeToken { consumed_at: None, ..used.data.clone() })?;
            cause.commit(unit).await?;
        }
        Ok(())
    }

    fn start_transaction(&self, partition: Partition) -> Transaction {
        let runtime = &self.runtime;
        let act = Act {
            actor: Actor::new(ActorKind::Service, "auth"),
            action: "start".into(),
            request_id: format!("start-{}", runtime.ambient.new_etag()),
            group: "auth",
            traceparent: None,
        };
        Transaction::new(runtime.store.clone(), runtime.ambient.clone(), CONTAINER, partition, act)
            .without_audit()
    }
}

fn is_lost_race(failure: &Failure) -> bool {
    matches!(failure, Failure::Stale) || failure.code() == Some(Code::AlreadyExists)
}

fn done() -> Failure {
    Problem::new(Code::Conflict, "The platform has been set up already; register or ask for an invitation.")
        .into()
}
