//! Reading and creating teams through gateway, chain and store, beside the same service written with Fastify.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::compare::{Figure, Subject, alternate};
use crate::load::{Message, Until, first_answer, get, post};
use crate::peers::{Fastify, free_port};
use crate::process::Process;
use crate::table::Table;

/// Organizations. A team counts against its organization's limit, and each round makes some more.
const OWNERS: usize = 40;
const ROUNDS: usize = 7;
const READS: Until = Until::Time(std::time::Duration::from_millis(500));
const CREATES: Until = Until::Count(500);
/// How many times as much the peer should use.
const AIM: f64 = 8.0;

/// Makes the request of a number.
type Make = fn(&Site, usize) -> Message;

/// A server with owners of organizations, each of whom has a team.
pub(crate) struct Site {
    /// Ours, the one that clients reach first.
    pub(crate) processes: Vec<Process>,
    /// Their access tokens.
    pub(crate) tokens: Vec<String>,
    /// Their teams.
    pub(crate) teams: Vec<String>,
    pub(crate) directory: TempDir,
}

impl Site {
    /// Everything in one process.
    pub(crate) async fn whole(owners: usize) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let platform = Process::own(&["platform", text(directory.path())?])?;
        Self::populated(vec![platform], directory, owners).await
    }

    /// The gateway in one process, the service in another.
    async fn apart(owners: usize) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let (data, port) = (text(directory.path())?, free_port()?.to_string());
        let gateway = Process::own(&["gateway", data, &format!("http://127.0.0.1:{port}")])?;
        let handler = Process::own(&["handler", data, &port, gateway.url()])?;
        first_answer(handler.url(), || get("/health/ready", "")).await?;
        Self::populated(vec![gateway, handler], directory, owners).await
    }

    /// The peer. It takes the tokens of a site of ours.
    async fn fastify(fastify: &Fastify, ours: &Site) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        ours.write_keys(directory.path()).await?;
        let service = Process::start(&mut fastify.service(directory.path(), 0))?;
        let gateway = Process::start(&mut fastify.gateway(directory.path(), &service))?;
        let tokens = ours.tokens.clone();
        let mut site = Self { processes: vec![gateway, service], tokens, teams: Vec::new(), directory };
        site.populate().await?;
        Ok(site)
    }

    async fn populated(processes: Vec<Process>, directory: TempDir, owners: usize) -> anyhow::Result<Self> {
        let mut site = Self { processes, tokens: Vec::new(), teams: Vec::new(), directory };
        let nobody = Client::nobody(site.url());
        for number in 0..owners {
            site.tokens.push(nobody.new_owner(number).await?);
        }
        site.populate().await?;
        Ok(site)
    }

    /// Makes a team for each owner.
    pub(crate) async fn populate(&mut self) -> anyhow::Result<()> {
        for token in &self.tokens {
            let made = first_answer(self.url(), || create(token, "The first")).await?;
            let made: Value = serde_json::from_slice(&made)?;
            self.teams.push(made["id"].as_str().context("a team without an id")?.to_owned());
        }
        Ok(())
    }

    /// Where clients reach it.
    pub(crate) fn url(&self) -> &str {
        self.processes.first().map_or("", Process::url)
    }

    /// Who issues its tokens.
    pub(crate) fn issuer(&self) -> String {
        format!("{}/api/auth", self.url())
    }

    /// Writes the keys of its tokens for the peer.
    pub(crate) async fn write_keys(&self, directory: &Path) -> anyhow::Result<()> {
        let keys = first_answer(self.url(), || get("/api/auth/.well-known/jwks.json", "")).await?;
        Ok(std::fs::write(Fastify::keys(directory), keys)?)
    }

    /// The request for a team, of one owner after the other.
    pub(crate) fn read(&self, number: usize) -> Message {
        let owner = number % self.tokens.len();
        get(&format!("/api/users/teams/{}", self.teams[owner]), &self.tokens[owner])
    }

    fn create(&self, number: usize) -> Message {
        create(&self.tokens[number % self.tokens.len()], &format!("Team {number}"))
    }

    fn subject(&self, message: Make) -> Subject<'_> {
        Subject::new(self.url(), &self.processes, move |number| message(self, number))
    }
}

fn create(token: &str, name: &str) -> Message {
    let body = json!({"name": name, "description": "Builds what the others build on."});
    post("/api/users/teams", token, body.to_string())
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path that is no text")
}

/// Both requests, in one process, in two, and at the peer.
pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let (whole, apart) = (Site::whole(OWNERS).await?, Site::apart(OWNERS).await?);
    let found = Fastify::find(&whole.issuer());
    let fastify = match &found {
        Ok(fastify) => Some(Site::fastify(fastify, &whole).await?),
        Err(why) => {
            table.skipped("a team read, beside Fastify", why);
            None
        }
    };
    let kinds: [(&str, Until, Make, Option<f64>); 2] =
        [("a team read", READS, Site::read, Some(AIM)), ("a team created", CREATES, Site::create, None)];
    for (what, until, message, aim) in kinds {
        if let Some(fastify) = &fastify {
            let subjects = [&whole, &apart, fastify].map(|site| site.subject(message));
            let [whole, apart, peer] = alternate(subjects, ROUNDS, until).await?;
            beside(table, &format!("{what}, one process"), whole, peer, aim);
            beside(table, &format!("{what}, gateway and service apart"), apart, peer, None);
        } else {
            let subjects = [&whole, &apart].map(|site| site.subject(message));
            let [whole, apart] = alternate(subjects, ROUNDS, until).await?;
            table.row(format!("{what}, one process"), whole.to_string());
            table.row(format!("{what}, gateway and service apart"), apart.to_string());
        }
    }
    Ok(())
}

fn beside(table: &mut Table, what: &str, ours: Figure, peer: Figure, aim: Option<f64>) {
    let ratio = peer.microseconds / ours.microseconds;
    let row =
        table.row(what, ours.to_string()).beside(format!("Fastify {peer}")).figure(ratio, " × less CPU");
    if let Some(aim) = aim {
        row.at_least(aim);
    }
}
