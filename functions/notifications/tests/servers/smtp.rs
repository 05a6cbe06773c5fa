//! A mail server that speaks as much SMTP as a sender needs.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with a mail.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Does {
    /// Takes it.
    Takes,
    /// Answers this to the recipient.
    AnswersRecipient(&'static str),
    /// Answers this to the whole mail.
    AnswersMail(&'static str),
    /// Closes the connection in the middle of the mail.
    Drops,
}

/// A mail that was taken.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) from: String,
    pub(crate) to: String,
    /// Headers and body as they came, with line breaks of one character.
    pub(crate) data: String,
}

impl Taken {
    /// The value of a header, unfolded.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let (head, _) = self.data.split_once("\n\n")?;
        let unfolded = head.replace("\n ", " ").replace("\n\t", " ");
        unfolded.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }
}

/// The server.
#[derive(Debug, Clone)]
pub(crate) struct SmtpServer {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    plan: VecDeque<Does>,
    taken: Vec<Taken>,
    conversations: usize,
}

impl SmtpServer {
    /// Takes every mail unless told otherwise.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self { address, state: Arc::default() };
        let state = server.state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let does = {
                    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                    state.conversations += 1;
                    state.plan.pop_front().unwrap_or(Does::Takes)
                };
                let state = state.clone();
                tokio::spawn(async move {
                    if let Some(taken) = converse(stream, does).await {
                        state.lock().unwrap_or_else(PoisonError::into_inner).taken.push(taken);
                    }
                });
            }
        });
        server
    }

    /// Says what it does with the next mails, in order.
    pub(crate) fn will(&self, plan: impl IntoIterator<Item = Does>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).plan.extend(plan);
    }

    /// What it took.
    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).taken.clone()
    }

    /// How often somebody connected.
    pub(crate) fn conversations(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).conversations
    }
}

/// One conversation; the mail is noted before it is confirmed.
async fn converse(stream: TcpStream, does: Does) -> Option<Taken> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let (mut from, mut to) = (String::new(), String::new());
    writer.write_all(b"220 test\r\n").await.ok()?;
    while let Some(line) = lines.next_line().await.ok()? {
        let address = || line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let answer = match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" => "250-test\r\n250 8BITMIME",
            "MAIL" => {
                from = address();
                "250 fine"
            }
            "RCPT" => {
                to = address();
                match does {
                    Does::AnswersRecipient(answer) => answer,
                    _ => "250 fine",
                }
            }
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await.ok()?;
                let mut data = String::new();
                while let Some(line) = lines.next_line().await.ok()?.filter(|line| line != ".") {
                    if matches!(does, Does::Drops) {
                        return None;
                    }
                    data.push_str(line.strip_prefix('.').unwrap_or(&line));
                    data.push('\n');
                }
                if let Does::AnswersMail(answer) = does {
                    writer.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
                    return None;
                }
                writer.write_all(b"250 taken\r\n").await.ok()?;
                return Some(Taken { from, to, data });
            }
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        writer.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
    None
}
