//! As whom a story calls, and each service as an officer sees it.

use super::System;
use crate::{
    Registry, Tiering, Visits,
    callers::{Alerts, Caller, Care, Sharing, officer, reviewer, service_of_the_system},
    lines::{Lines, line_to},
    process::Part,
};

impl System {
    /// An officer of civil affairs with every role, for all divisions.
    pub fn officer(&self) -> Caller {
        self.caller(&officer())
    }

    /// Whoever the claims say.
    pub fn caller(&self, claims: &service::Claims) -> Caller {
        Caller::new(self.lines.clone(), &self.issuer, claims)
    }

    /// The same on connections of its own: what others send does not hold it up.
    pub fn caller_apart(&self, claims: &service::Claims) -> Caller {
        Caller::new(self.lines_apart(), &self.issuer, claims)
    }

    /// Lines to the processes that run, on connections of their own.
    pub(crate) fn lines_apart(&self) -> Lines {
        let mut lines = self.lines.clone();
        for part in Part::ALL {
            if let Some(process) = self.process(part) {
                lines.put(part, line_to(process));
            }
        }
        lines
    }

    /// A service of the system, which may ask for keys.
    pub fn service(&self) -> Caller {
        self.caller(&service_of_the_system())
    }

    /// A token for these claims.
    pub fn token(&self, claims: &service::Claims) -> String {
        self.issuer.issue(claims)
    }

    /// The registry, as an officer sees it.
    pub fn registry(&self) -> Registry {
        self.officer().registry()
    }

    /// Tiering, as an officer sees it.
    pub fn tiering(&self) -> Tiering {
        self.officer().tiering()
    }

    /// Visits, as an officer sees them.
    pub fn visits(&self) -> Visits {
        self.officer().visits()
    }

    /// Alerts, as an officer sees them.
    pub fn alerts(&self) -> Alerts {
        self.officer().alerts()
    }

    /// Claims, as an officer sees them.
    pub fn claims(&self) -> Care {
        self.officer().claims()
    }

    /// Claims, as the officer sees them who decides on what the other one hands in.
    pub fn review(&self) -> Care {
        self.caller(&reviewer()).claims()
    }

    /// Sharing, as an officer sees it.
    pub fn sharing(&self) -> Sharing {
        self.officer().sharing()
    }

    /// Sharing, as the officer sees it who approves what the other one proposes.
    pub fn sharing_review(&self) -> Sharing {
        self.caller(&reviewer()).sharing()
    }
}
