//! Mails that carry a link, for every part of this group: [`Postbox::post`] in the transaction that makes the
//! token, and [`send`] as the consumer `send-mail` of `coder.auth.mail.queued`.
//!
//! A link must reach no event, log or audit entry. So the mail waits sealed in the partition of what it is about,
//! the event only says where, and the document goes when the mail has left, or after an hour. Until then the consumer
//! tries; what did not leave by then is a dead letter that says so.

use std::sync::Arc;

use coder_core::Failure;
use coder_database::{Entity, Record, Repository, Transaction};
use coder_handler::{ConsumerFault, ConsumerOptions, Event, Invocation};
use coder_mail::{Mail, MailError, Mailer};
use coder_middleware::Runtime;
use coder_vault::Sealer;
use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::email::EmailAddress;
use crate::model::CONTAINER;
use crate::service::Auth;

/// The event that a mail waits, without its group.
const QUEUED: &str = "mail.queued";

/// Seconds that a mail is tried to be sent; its link is of little use later.
const KEPT_SECONDS: i64 = 3600;

/// Attempts of the consumer [`send`]: it is the end of the mail that ends them. They come every ten minutes at most and
/// every five on average, so that the usual ten would soon be used up.
pub(crate) const ATTEMPTS: ConsumerOptions = ConsumerOptions { max_attempts: 100, ..ConsumerOptions::USUAL };

/// What a mail is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailKind {
    /// Confirms the address of a new account.
    VerifyEmail,
    /// Somebody tried to register with an address that has an account.
    AlreadyRegistered,
    /// Sets a new password.
    ResetPassword,
    /// Confirms a new address; goes to the new one.
    ChangeEmail,
    /// Warns of a new address; goes to the old one.
    EmailChangeRequested,
}

impl MailKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::AlreadyRegistered => "already_registered",
            Self::ResetPassword => "reset_password",
            Self::ChangeEmail => "change_email",
            Self::EmailChangeRequested => "email_change_requested",
        }
    }

    fn subject(self) -> &'static str {
        match self {
            Self::VerifyEmail => "Confirm your e-mail address",
            Self::AlreadyRegistered => "You already have an account",
            Self::ResetPassword => "Set a new password",
            Self::ChangeEmail => "Confirm your new e-mail address",
            Self::EmailChangeRequested => "Your e-mail address is about to change",
        }
    }

    /// What the mail says; every kind but the warnings needs a link.
    fn text(self, link: &str) -> String {
        match self {
            Self::VerifyEmail => format!(
                "Welcome to Coder IDE.\n\nOpen this link within 24 hours to confirm your e-mail address:\n{link}\n\n\
                 If you did not register, ignore this mail.\n"
            ),
            Self::AlreadyRegistered => format!(
                "Somebody, probably you, tried to register with this e-mail address, which has an account \
                 already.\n\nSign in here, or have a new password set if you have forgotten yours:\n{link}\n\n\
                 If it was not you, ignore this mail.\n"
            ),
            Self::ResetPassword => format!(
                "Open this link within 60 minutes to set a new password:\n{link}\n\nIt works once. If you did not \
                 ask for it, ignore this mail; your password stays as it is.\n"
            ),
            Self::ChangeEmail => format!(
                "Open this link within 24 hours to sign in with this e-mail address from now on:\n{link}\n\n\
                 If you did not ask for it, ignore this mail.\n"
            ),
            Self::EmailChangeRequested => format!(
                "Somebody, probably you, asked to change the e-mail address of your account. The change takes effect \
                 when the new address is confirmed.\n\nIf it was not you, set a new password now:\n{link}\n"
            ),
        }
    }
}

/// A mail that waits to be sent. Lives in the partition of what it is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutgoingMail {
    /// What it is about.
    pub kind: MailKind,
    /// [`Content`], sealed.
    sealed: String,
}

impl Entity for OutgoingMail {
    const TYPE: &'static str = "outgoing-mail";
    const SECRET: &'static [&'static str] = &["sealed"];
}

#[derive(Serialize, Deserialize)]
struct Content {
    to: EmailAddress,
    text: String,
}

/// Takes mails in and sends them.
#[derive(Debug)]
pub struct Postbox {
    sealer: Sealer,
    mails: Repository<OutgoingMail>,
    mailer: Result<Arc<dyn Mailer>, MailError>,
}

impl Postbox {
    /// The postbox of a process; mails leave as its settings say.
    pub fn new(runtime: &Runtime) -> Self {
        let mailer = coder_mail::choose(&runtime.settings, runtime.ambient.clone());
        if let Err(error) = &mailer {
            tracing::error!(cause = %error, "no mail can leave until the mail server's settings are corrected");
        }
        Self {
            sealer: runtime.master.sealer("auth mail", runtime.ambient.clone()),
            mails: Repository::new(runtime.store.clone(), CONTAINER),
            mailer,
        }
    }

    /// Adds a mail to the transaction; it is sent soon after the commit.
    pub fn post(
        &self,
        unit: &mut Transaction,
        runtime: &Runtime,
        to: &EmailAddress,
        kind: MailKind,
        link: &SecretString,
    ) -> Result<(), Failure> {
        let id = format!("mail:{}", runtime.ambient.new_uuid());
        let content = Content { to: to.clone(), text: kind.text(link.expose_secret()) };
        let content = serde_json::to_vec(&content).map_err(Failure::internal)?;
        let sealed = self.sealer.seal(&content, &id);
        let mut record = unit.record(&id, OutgoingMail { kind, sealed });
        record.expires_at = Some(runtime.ambient.after(KEPT_SECONDS));
        unit.insert(&record)?;
        let partition = unit.partition().key().0.concat();
        unit.emit(QUEUED, &id, json!({"mailId": id, "partition": partition, "kind": kind}));
        Ok(())
    }

    fn open(&self, record: &Record<OutgoingMail>) -> Result<Mail, Failure> {
        let bytes = self.sealer.open(&record.data.sealed, &record.meta.id)?;
        let content: Content = serde_json::from_slice(&bytes).map_err(Failure::internal)?;
        let kind = record.data.kind;
        Ok(Mail {
            to: content.to.as_str().to_owned(),
            subject: kind.subject().to_owned(),
            text: content.text.into(),
            kind: kind.as_str(),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Queued {
    mail_id: String,
    partition: String,
}

/// Sends a mail that waits, and erases it. One that has gone was sent before, unless so much time has passed that it
/// must have lapsed.
pub async fn send(auth: Auth, invocation: Invocation, event: Event) -> Result<(), ConsumerFault> {
    let queued: Queued = event.payload()?;
    let place = json!({"partitionKey": queued.partition});
    let partition = coder_database::Partition::of_document(&invocation.job, &place)
        .ok_or_else(|| ConsumerFault::Reject("the event names no partition".into()))?;
    let postbox = &auth.postbox;
    let Some(record) = postbox.mails.find(&partition, &queued.mail_id).await? else {
        let age = auth.runtime.ambient.now().duration_since(event.time);
        let lapsed = age >= SignedDuration::from_secs(KEPT_SECONDS);
        let reason = "the mail could not leave within an hour; whoever waits for it can ask for another";
        return if lapsed { Err(ConsumerFault::Reject(reason.into())) } else { Ok(()) };
    };
    let mailer = postbox.mailer.as_ref().map_err(|error| Failure::internal(error.to_string()))?;
    let sent = match mailer.send(&postbox.open(&record)?).await {
        Ok(()) => Ok(()),
        Err(MailError::Address(_)) => {
            Err(ConsumerFault::Reject("the mail server takes no such address".into()))
        }
        Err(error) => return Err(Failure::internal(error).into()),
    };
    let mut unit = invocation.begin(CONTAINER, partition).without_audit();
    unit.delete(&record)?;
    invocation.commit(unit).await?;
    sent
}
