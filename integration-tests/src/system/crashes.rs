//! What a system may go through: processes that are killed and started again, another one beside, databases that are lost.

use super::{System, databases::Urls};
use crate::{
    at,
    callers::{Caller, officer},
    lines::{Lines, line_to, ready},
    process::{Part, Process},
};

/// The databases of a process as they once were.
#[derive(Debug)]
pub struct Backup {
    part: Part,
    copies: Vec<String>,
}

impl System {
    /// Kills the processes at once, as a crash would.
    pub async fn kill(&mut self) {
        if let Some(visits) = self.visits.take() {
            visits.kill().await;
        }
        if let Some(alerts) = self.alerts.take() {
            alerts.kill().await;
        }
        if let Some(claims) = self.claims.take() {
            claims.kill().await;
        }
        if let Some(sharing) = self.sharing.take() {
            sharing.kill().await;
        }
        self.elders.take().expect("the system runs").kill().await;
    }

    /// Starts the processes again after [`System::kill`], and waits until they are ready.
    pub async fn restart(&mut self) {
        assert!(self.elders.is_none(), "it still runs");
        self.start_processes().await;
    }

    /// Starts the processes again with the clock at a later instant: they were down meanwhile.
    pub async fn restart_at(&mut self, instant: &str) {
        self.now = at(instant);
        self.restart().await;
        self.settled().await;
    }

    /// Kills visits alone; registry and tiering go on.
    pub async fn kill_visits(&mut self) {
        self.visits.take().expect("visits run").kill().await;
    }

    /// Kills registry and tiering; visits go on alone.
    pub async fn kill_all_but_visits(&mut self) {
        self.elders.take().expect("the system runs").kill().await;
    }

    /// Starts visits again after [`System::kill_visits`], and waits until they are ready.
    pub async fn restart_visits(&mut self) {
        self.restart_one(Part::Visits).await;
    }

    /// Kills alerts alone; the others go on.
    pub async fn kill_alerts(&mut self) {
        self.alerts.take().expect("alerts run").kill().await;
    }

    /// Starts alerts again after [`System::kill_alerts`], and waits until they are ready.
    pub async fn restart_alerts(&mut self) {
        self.restart_one(Part::Alerts).await;
    }

    /// Kills claims alone; the others go on.
    pub async fn kill_claims(&mut self) {
        self.claims.take().expect("claims run").kill().await;
    }

    /// Starts claims again after [`System::kill_claims`], and waits until they are ready.
    pub async fn restart_claims(&mut self) {
        self.restart_one(Part::Claims).await;
    }

    /// Kills sharing alone; the others go on.
    pub async fn kill_sharing(&mut self) {
        self.sharing.take().expect("sharing runs").kill().await;
    }

    /// Starts sharing again after [`System::kill_sharing`], and waits until it is ready.
    pub async fn restart_sharing(&mut self) {
        self.restart_one(Part::Sharing).await;
    }

    /// Kills one of the processes; the others go on.
    pub async fn kill_one(&mut self, part: Part) {
        let process = self.process_mut(part).take();
        process.expect("it runs").kill().await;
    }

    /// Starts a process again after [`System::kill_one`], and waits until it is ready.
    pub async fn restart_one(&mut self, part: Part) {
        assert!(self.process_mut(part).is_none(), "it still runs");
        self.start_one(part).await;
        ready(self.lines.to(part)).await;
    }

    /// Gives a process new, empty databases, as if the old ones had been lost. It must not run.
    pub async fn lose_databases_of(&mut self, part: Part) {
        for url in self.urls.of(part) {
            *url = self.databases.postgres().fresh_database().await.unwrap();
        }
    }

    /// Copies the databases of a process as they are. It must not run.
    pub async fn backup_of(&mut self, part: Part) -> Backup {
        let mut copies = Vec::new();
        for url in self.urls.of(part) {
            copies.push(self.databases.copy(url).await);
        }
        Backup { part, copies }
    }

    /// Puts databases back that were copied before. The process must not run.
    pub fn restore(&mut self, backup: Backup) {
        let Backup { part, copies } = backup;
        for (url, copy) in self.urls.of(part).into_iter().zip(copies) {
            *url = copy;
        }
    }

    /// Starts another replica of visits, over the same log and database: the process, and an officer who calls it.
    pub async fn replica_of_visits(&self) -> (Process, Caller) {
        let process = self.start_beside_visits().await;
        let lines = Lines {
            visits: line_to(&process),
            ..self.lines.clone()
        };
        ready(&lines.visits).await;
        (process, Caller::new(lines, &self.issuer, &officer()))
    }

    /// Gives the services new, empty databases, as if the old ones had been lost. No process may run.
    pub async fn lose_databases(&mut self) {
        assert!(self.elders.is_none(), "it still runs");
        let runs = [
            self.has_visits(),
            self.has_alerts(),
            self.has_claims(),
            self.has_sharing(),
        ];
        self.urls = Urls::fresh(&self.databases, runs).await;
    }
}
