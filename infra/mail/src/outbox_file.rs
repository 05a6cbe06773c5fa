//! Mail without a mail server: a file in the data directory, one JSON object a line, for development.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{Letter, MailError};

/// The file's name in the data directory.
pub const FILE_NAME: &str = "mail-outbox.jsonl";

/// Keeps letters in a file that only its owner can read, since they carry tokens.
#[derive(Debug, Clone)]
pub struct OutboxFile {
    path: PathBuf,
}

impl OutboxFile {
    /// Letters go to [`FILE_NAME`] in this directory, which must exist.
    pub fn new(data_directory: &Path) -> Self {
        Self { path: data_directory.join(FILE_NAME) }
    }

    /// Where the letters are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a letter on a topic.
    pub async fn keep(&self, letter: &Letter, topic: &str) -> Result<(), MailError> {
        let line = json!({
            "at": letter.date.to_string(),
            "to": letter.to,
            "subject": letter.subject,
            "topic": topic,
            "text": letter.text.expose_secret(),
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
    use serde_json::{Value, json};

    use super::OutboxFile;
    use crate::MailError;
    use crate::letter::tests::letter;

    #[tokio::test]
    async fn appends_a_line_a_mail() {
        let directory = tempfile::tempdir().unwrap();
        let mut letter = letter();
        letter.text = "two\nlines".into();
        for subject in ["first", "second"] {
            letter.subject = subject.into();
            OutboxFile::new(directory.path()).keep(&letter, "account.verify-email").await.unwrap();
        }
        let text = std::fs::read_to_string(directory.path().join("mail-outbox.jsonl")).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            lines[0],
            json!({
                "at": "1970-01-01T00:00:00Z", "to": "ada@example.com", "subject": "first",
                "topic": "account.verify-email", "text": "two\nlines",
            })
        );
        assert_eq!((lines.len(), &lines[1]["subject"]), (2, &json!("second")));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_the_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let file = OutboxFile::new(directory.path());
        file.keep(&letter(), "account.verify-email").await.unwrap();
        let mode = std::fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_missing_directory_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let file = OutboxFile::new(&directory.path().join("absent"));
        let result = file.keep(&letter(), "account.verify-email").await;
        assert!(matches!(result, Err(MailError::File(_))));
    }
}
