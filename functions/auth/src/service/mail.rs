//! Mails that carry a link, for every part of this group: [`Postbox::post`] in the transaction that makes the
//! token, and [`send`] as the consumer `send-mail` of `coder.auth.mail.queued`, which hands the mail to the
//! notifications group.
//!
//! A link must reach no event, log or audit entry. So the mail waits sealed in the partition of what it is about,
//! the event only says where, and the document goes when the mail was handed over, or after an hour. Until then the
//! consumer tries; what was not handed over by then is a dead letter that says so.

use coder_core::Failure;
use coder_database::{Entity, Record, Repository, Transaction};
use coder_handler::{ConsumerFault, ConsumerOptions, Event, Invocation};
use coder_middleware::Runtime;
use coder_vault::Sealer;
use http::Method;
use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::email::EmailAddress;
use crate::model::CONTAINER;
use crate::service::Auth;

/// The event that a mail waits, without its group.
const QUEUED: &str = "mail.queued";

/// Seconds in which a mail is tried to be handed over; its link is of little use later.
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

/// What a mail says beside its link.
struct Words {
    /// The topic, by which an organization finds the mail.
    topic: &'static str,
    title: &'static str,
    body: &'static str,
    /// What stands on the link.
    link: &'static str,
}

impl MailKind {
    fn words(self) -> Words {
        match self {
            Self::VerifyEmail => Words {
                topic: "account.verify-email",
                title: "Confirm your e-mail address",
                body: "Welcome to Coder IDE.\n\nOpen the link below within 24 hours to confirm your e-mail address. \
                       If you did not register, ignore this mail.",
                link: "Confirm the address",
            },
            Self::AlreadyRegistered => Words {
                topic: "account.already-registered",
                title: "You already have an account",
                body: "Somebody, probably you, tried to register with this e-mail address, which has an account \
                       already.\n\nSign in with the link below, or have a new password set there if you have \
                       forgotten yours. If it was not you, ignore this mail.",
                link: "Sign in",
            },
            Self::ResetPassword => Words {
                topic: "account.reset-password",
                title: "Set a new password",
                body: "Open the link below within 60 minutes to set a new password. It works once.\n\nIf you did not \
                       ask for it, ignore this mail; your password stays as it is.",
                link: "Set a new password",
            },
            Self::ChangeEmail => Words {
                topic: "account.change-email",
                title: "Confirm your new e-mail address",
                body: "Open the link below within 24 hours to sign in with this e-mail address from now on.\n\n\
                       If you did not ask for it, ignore this mail.",
                link: "Confirm the new address",
            },
            Self::EmailChangeRequested => Words {
                topic: "account.email-change-requested",
                title: "Your e-mail address is about to change",
                body: "Somebody, probably you, asked to change the e-mail address of your account. The change takes \
                       effect when the new address is confirmed.\n\nIf it was not you, set a new password now.",
                link: "Set a new password",
            },
        }
    }
}

/// A mail that waits to be handed over. Lives in the partition of what it is about.
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
    link: String,
}

/// Takes mails in and hands them over.
#[derive(Debug)]
pub struct Postbox {
    sealer: Sealer,
    mails: Repository<OutgoingMail>,
}

impl Postbox {
    /// The postbox of a process.
    pub fn new(runtime: &Runtime) -> Self {
        Self {
            sealer: runtime.master.sealer("auth mail", runtime.ambient.clone()),
            mails: Repository::new(runtime.store.clone(), CONTAINER),
        }
    }

    /// Adds a mail to the transaction; it is handed over soon after the commit.
    pub fn post(
        &self,
        unit: &mut Transaction,
        runtime: &Runtime,
        to: &EmailAddress,
        kind: MailKind,
        link: &SecretString,
    ) -> Result<(), Failure> {
        let id = format!("mail:{}", runtime.ambient.new_uuid());
        let content = Content { to: to.clone(), link: link.expose_secret().to_owned() };
        let content = serde_json::to_vec(&content).map_err(Failure::internal)?;
        let sealed = self.sealer.seal(&content, &id);
        let mut record = unit.record(&id, OutgoingMail { kind, sealed });
        record.expires_at = Some(runtime.ambient.after(KEPT_SECONDS));
        unit.insert(&record)?;
        let partition = unit.partition().key().0.concat();
        unit.emit(QUEUED, &id, json!({"mailId": id, "partition": partition, "kind": kind}));
        Ok(())
    }

    /// The mail as the notifications group takes it. It belongs to no organization, so that none of them can read
    /// the link or carry it by a mail server of its own; the key lets a repeat change nothing.
    fn message(&self, record: &Record<OutgoingMail>) -> Result<Value, Failure> {
        let bytes = self.sealer.open(&record.data.sealed, &record.meta.id)?;
        let Content { to, link } = serde_json::from_slice(&bytes).map_err(Failure::internal)?;
        let words = record.data.kind.words();
        Ok(json!({
            "topic": words.topic,
            "category": "security",
            "criticality": "high",
            "title": words.title,
            "body": words.body,
            "actionUrl": link,
            "actionLabel": words.link,
            "recipients": [format!("email:{}", to.as_str())],
            "sensitive": true,
            "dedupKey": record.meta.id,
        }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Queued {
    mail_id: String,
    partition: String,
}

/// Hands over a mail that waits, and erases it. One that has gone was handed over before, unless so much time has
/// passed that it must have lapsed.
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
    let (group, message) = ("notifications", postbox.message(&record)?);
    let taken = auth.peers.call(group, Method::POST, "/internal/messages", Some(&message)).await?;
    taken.success::<Value>(group)?;
    let mut unit = invocation.begin(CONTAINER, partition).without_audit();
    unit.delete(&record)?;
    Ok(invocation.commit(unit).await?)
}
