//! A system whose servers speak TLS: what they show, and what a process says that does not start.

use serde_json::Value;

use super::System;
use crate::{
    process::{Part, Process},
    trust::{Base, Issued, Trust},
};

impl System {
    /// Whom the services trust, and who trusts them.
    pub fn trust(&self) -> &Trust {
        self.trust.as_ref().expect("the system is set up for it")
    }

    /// Starts a server again, which shows this from then on.
    pub async fn shows(&self, base: Base, issued: &Issued) {
        self.trust().lay_for(base, issued);
        self.restart_server(base).await;
    }

    /// Starts a server again, which shows what was laid down for it.
    pub async fn restart_server(&self, base: Base) {
        let restarted = match base {
            Base::Log => self.nats().restart().await,
            Base::Databases => self.postgres().restart().await,
        };
        restarted.unwrap();
    }

    /// Starts a part with its settings changed, which must not come about: what it said before it ended.
    pub async fn refused(&self, part: Part, change: impl FnOnce(&mut Value)) -> String {
        let file = self.settings_file("refused");
        self.told(part).write_changed(&file, change);
        Process::refused(part, &file).await
    }
}
