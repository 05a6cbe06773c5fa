//! Counting failures and mails for an address, whether or not anybody has it.

use coder_core::{Code, Failure, Problem, UserId};
use coder_handler::{Cause, retry_stale_up_to};
use coder_middleware::RequestContext;
use serde_json::json;

use super::{Auth, stale_if_taken};
use crate::email::EmailAddress;
use crate::model::{CONTAINER, Throttle};
use crate::throttle::Wait;

/// How often a counter is tried to be written when others write it too.
const TRIES: u32 = 32;

/// What is told with a change of the counters.
struct Failed<'a> {
    user_id: Option<UserId>,
    reason: &'a str,
}

impl Auth {
    /// Whether the next password or code for the address is looked at; else `429` with the time to wait.
    pub(crate) async fn admit_try(&self, email: &EmailAddress) -> Result<(), Failure> {
        let found = self.throttles.find(&Throttle::partition(email), Throttle::ID).await?;
        let throttle = found.map(|found| found.data).unwrap_or_default();
        throttle.admit_try(self.runtime.ambient.now()).map_err(too_many)
    }

    /// Counts a wrong password or code, and tells of it.
    pub(crate) async fn count_failure(
        &self,
        context: &RequestContext,
        email: &EmailAddress,
        user_id: Option<UserId>,
        reason: &str,
    ) -> Result<(), Failure> {
        let failed = Failed { user_id, reason };
        self.change(context, email, Some(failed), |throttle| {
            throttle.count_failure(self.runtime.ambient.now());
            (true, ())
        })
        .await
    }

    /// Forgets the failures after a good login. What another counted since `before` was read stays counted.
    pub(crate) async fn reset_failures(
        &self,
        context: &RequestContext,
        email: &EmailAddress,
    ) -> Result<(), Failure> {
        self.change(context, email, None, |throttle| (throttle.reset_failures(), ())).await
    }

    /// Counts a request for a link, `429` if there were too many; answers whether a mail may go to the address.
    pub(crate) async fn admit_link(
        &self,
        context: &RequestContext,
        email: &EmailAddress,
    ) -> Result<bool, Failure> {
        let now = self.runtime.ambient.now();
        let counted = self
            .change(context, email, None, |throttle| {
                let counted = throttle.count_request(now).map(|()| throttle.count_mail(now).is_ok());
                (counted.is_ok(), counted)
            })
            .await?;
        counted.map_err(too_many)
    }

    /// Counts a mail that nobody asked for by itself; answers whether it may go.
    pub(crate) async fn admit_mail(
        &self,
        context: &RequestContext,
        email: &EmailAddress,
    ) -> Result<bool, Failure> {
        let now = self.runtime.ambient.now();
        self.change(context, email, None, |throttle| {
            let counted = throttle.count_mail(now).is_ok();
            (counted, counted)
        })
        .await
    }

    /// Reads the counters, changes them and writes them, again if others did meanwhile. `change` says whether
    /// there is anything to write.
    async fn change<T>(
        &self,
        context: &RequestContext,
        email: &EmailAddress,
        failed: Option<Failed<'_>>,
        change: impl Fn(&mut Throttle) -> (bool, T),
    ) -> Result<T, Failure> {
        let partition = Throttle::partition(email);
        retry_stale_up_to(TRIES, || async {
            let found = self.throttles.find(&partition, Throttle::ID).await?;
            let mut throttle = found.as_ref().map(|found| found.data.clone()).unwrap_or_default();
            let (changed, outcome) = change(&mut throttle);
            if !changed {
                return Ok(outcome);
            }
            let cause = Cause::Request(context);
            let mut transaction = cause.begin(CONTAINER, partition.clone());
            match &failed {
                Some(Failed { user_id, reason }) => {
                    let ip_address = context.identity().client_address;
                    let data = json!({
                        "emailHash": email.hash(), "userId": user_id, "reason": reason, "ipAddress": ip_address,
                    });
                    transaction.emit("login.failed", &email.hash(), data);
                }
                None => transaction = transaction.without_audit(),
            }
            let expires_at = Some(self.runtime.ambient.after(Throttle::LIFETIME_SECONDS));
            if let Some(before) = &found {
                let mut record = before.clone();
                (record.data, record.expires_at) = (throttle, expires_at);
                transaction.update(before, record)?;
            } else {
                let mut record = transaction.record(Throttle::ID, throttle);
                record.expires_at = expires_at;
                transaction.insert(&record)?;
            }
            cause.commit(transaction).await.map_err(stale_if_taken)?;
            Ok(outcome)
        })
        .await
    }
}

fn too_many(wait: Wait) -> Failure {
    let detail = format!("Too many tries for this address; wait {} s.", wait.seconds);
    Problem::new(Code::RateLimited, detail).retry_after(wait.seconds).into()
}
