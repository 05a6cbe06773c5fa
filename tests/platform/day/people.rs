//! Who works at Acme, and who operates the platform.

use coder_core::UserId;
use coder_testkit::{Client, KillablePlatform};

/// The people and the build server.
pub(super) struct People {
    /// Owns Acme.
    pub(super) olga: Client,
    /// Is a member.
    pub(super) max: Client,
    /// Is a viewer.
    pub(super) vera: Client,
    /// Operates the platform, from its first restart on.
    pub(super) otto: Client,
    /// The build server, with an API key that reports use.
    pub(super) meter: Client,
    /// That key.
    pub(super) key: String,
}

/// Who sends a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Who {
    Olga,
    Max,
    Meter,
}

impl People {
    pub(super) async fn gather(process: &KillablePlatform) -> Self {
        let nobody = process.nobody();
        let olga = nobody.register("olga@example.com", Some("Acme")).await;
        let max = nobody.join(&olga, "max@example.com", "member").await;
        let vera = nobody.join(&olga, "vera@example.com", "viewer").await;
        let otto = nobody.register("otto@example.com", Some("Platform")).await;
        assert!([&max, &vera].iter().all(|one| one.organization_id == olga.organization_id));
        Self { olga, max, vera, otto, meter: nobody, key: String::new() }
    }

    /// Everybody signs in to the process that runs now.
    pub(super) async fn sign_in(&mut self, process: &KillablePlatform) {
        let nobody = process.nobody();
        for person in [&mut self.olga, &mut self.max, &mut self.vera, &mut self.otto] {
            *person = nobody.login(&person.email.clone()).await;
        }
        self.meter = nobody.with_api_key(&self.key);
    }

    pub(super) fn client(&self, who: Who) -> &Client {
        match who {
            Who::Olga => &self.olga,
            Who::Max => &self.max,
            Who::Meter => &self.meter,
        }
    }

    pub(super) fn operators(&self) -> Vec<UserId> {
        self.otto.user_id.into_iter().collect()
    }
}
