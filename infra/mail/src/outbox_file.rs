//! Mail without a mail server: a file in the data directory, one JSON object a line, for development.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use coder_core::Ambient;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{Mail, MailError, Mailer};

/// The file's name in the data directory.
pub const FILE_NAME: &str = "mail-outbox.jsonl";

/// Appends mails to a file that only its owner can read, since mails carry tokens.
#[derive(Debug, Clone)]
pub struct OutboxFileMailer {
    path: PathBuf,
    ambient: Ambient,
}

impl OutboxFileMailer {
    /// Mails go to [`FILE_NAME`] in this directory, which must exist.
    pub fn new(data_directory: &Path, ambient: Ambient) -> Self {
        Self { path: data_directory.join(FILE_NAME), ambient }
    }

    /// Where the mails are.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[async_trait]
impl Mailer for OutboxFileMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let line = json!({
            "at": self.ambient.now().to_string(),
            "to": mail.to,
            "subject": mail.subject,
            "kind": mail.kind,
            "text": mail.text.expose_secret(),
        });
        let (path, line) = (self.path.clone(), format!("{line}\n"));
        tokio::task::spawn_blocking(move || append(&path, line.as_bytes()))
            .await
            .map_err(io::Error::other)??;
        Ok(())
    }
}

/// Appends the line with a single call, so that several processes do not mix theirs, and waits for the disk.
fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    let is_new = !path.exists();
    let mut file = open(path)?;
    file.write_all(line)?;
    file.sync_data()?;
    match path.parent() {
        // A new file's name is in the directory, which has its own way to the disk.
        Some(directory) if is_new => File::open(directory)?.sync_all(),
        _ => Ok(()),
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use coder_core::{Ambient, ManualClock, OsEntropy, Timestamp};
    use serde_json::{Value, json};

    use super::OutboxFileMailer;
    use crate::{Mail, MailError, Mailer as _};

    fn mail(subject: &str) -> Mail {
        Mail {
            to: "ada@example.com".into(),
            subject: subject.into(),
            text: "two\nlines".into(),
            kind: "verify_email",
        }
    }

    fn mailer(directory: &std::path::Path) -> OutboxFileMailer {
        OutboxFileMailer::new(directory, Ambient::new(ManualClock::at(Timestamp::UNIX_EPOCH), OsEntropy))
    }

    #[tokio::test]
    async fn appends_a_line_a_mail() {
        let directory = tempfile::tempdir().unwrap();
        mailer(directory.path()).send(&mail("first")).await.unwrap();
        mailer(directory.path()).send(&mail("second")).await.unwrap();
        let text = std::fs::read_to_string(directory.path().join("mail-outbox.jsonl")).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            lines[0],
            json!({
                "at": "1970-01-01T00:00:00Z", "to": "ada@example.com", "subject": "first",
                "kind": "verify_email", "text": "two\nlines",
            })
        );
        assert_eq!((lines.len(), &lines[1]["subject"]), (2, &json!("second")));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_the_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let mailer = mailer(directory.path());
        mailer.send(&mail("first")).await.unwrap();
        let mode = std::fs::metadata(mailer.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_missing_directory_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let result = mailer(&directory.path().join("absent")).send(&mail("lost")).await;
        assert!(matches!(result, Err(MailError::File(_))));
    }
}
