//! The processes of a system: which there are, how each is started, and where it listens.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use super::System;
use crate::{
    front::Front,
    lines::{line_to, ready},
    process::{Part, Process},
    settings::Told,
};

impl System {
    /// Where clients that are no programs of ours call.
    pub fn address(&self) -> &str {
        self.running().address()
    }

    /// The same of visits.
    pub fn address_of_visits(&self) -> &str {
        self.running_visits().address()
    }

    /// The same of alerts.
    pub fn address_of_alerts(&self) -> &str {
        self.running_alerts().address()
    }

    /// The same of claims.
    pub fn address_of_claims(&self) -> &str {
        self.running_claims().address()
    }

    /// The same of sharing.
    pub fn address_of_sharing(&self) -> &str {
        self.running_sharing().address()
    }

    /// The process of registry and tiering.
    pub fn running(&self) -> &Process {
        self.elders.as_ref().expect("the system runs")
    }

    /// The process of visits.
    pub fn running_visits(&self) -> &Process {
        self.visits.as_ref().expect("visits run")
    }

    /// The process of alerts.
    pub fn running_alerts(&self) -> &Process {
        self.alerts.as_ref().expect("alerts run")
    }

    /// The process of claims.
    pub fn running_claims(&self) -> &Process {
        self.claims.as_ref().expect("claims run")
    }

    /// The process of sharing.
    pub fn running_sharing(&self) -> &Process {
        self.sharing.as_ref().expect("sharing runs")
    }

    /// Whether all processes still run.
    pub fn is_running(&mut self) -> bool {
        let visits = self.visits.as_mut().map(Process::is_running);
        let alerts = self.alerts.as_mut().map(Process::is_running);
        let claims = self.claims.as_mut().map(Process::is_running);
        let sharing = self.sharing.as_mut().map(Process::is_running);
        visits.unwrap_or(!self.has_visits())
            && alerts.unwrap_or(!self.has_alerts())
            && claims.unwrap_or(!self.has_claims())
            && sharing.unwrap_or(!self.has_sharing())
            && self.elders.as_mut().is_some_and(Process::is_running)
    }

    /// Whether visits belong to the system.
    pub fn has_visits(&self) -> bool {
        self.urls.visits.is_some()
    }

    /// Whether alerts belong to the system.
    pub fn has_alerts(&self) -> bool {
        self.urls.alerts.is_some()
    }

    /// Whether claims belong to the system.
    pub fn has_claims(&self) -> bool {
        self.urls.claims.is_some()
    }

    /// Whether sharing belongs to the system.
    pub fn has_sharing(&self) -> bool {
        self.urls.sharing.is_some()
    }

    /// The process of a part, where it runs.
    pub(super) fn process(&self, part: Part) -> Option<&Process> {
        let process = match part {
            Part::Elders => &self.elders,
            Part::Visits => &self.visits,
            Part::Alerts => &self.alerts,
            Part::Claims => &self.claims,
            Part::Sharing => &self.sharing,
        };
        process.as_ref()
    }

    /// Where the process of a part is kept.
    pub(super) fn process_mut(&mut self, part: Part) -> &mut Option<Process> {
        match part {
            Part::Elders => &mut self.elders,
            Part::Visits => &mut self.visits,
            Part::Alerts => &mut self.alerts,
            Part::Claims => &mut self.claims,
            Part::Sharing => &mut self.sharing,
        }
    }

    /// What a process of a part is told when it starts.
    pub(super) fn told(&self, part: Part) -> Told<'_> {
        let urls = &self.urls;
        let database = match part {
            Part::Elders => Some(&urls.registry),
            Part::Visits => urls.visits.as_ref(),
            Part::Alerts => urls.alerts.as_ref(),
            Part::Claims => urls.claims.as_ref(),
            Part::Sharing => urls.sharing.as_ref(),
        };
        Told {
            nats: self.log_server.urls().join(","),
            copies: self.log_server.copies(),
            listen: self.places.of(part),
            database: database.expect("the part runs"),
            // Two versions share the server's connections while they stand side by side.
            pool: if self.front.is_some() { 4 } else { 8 },
            issuer: &self.issuer,
            doors: self.doors.as_ref(),
            now: self.now,
            collector: self.collector.as_deref(),
            calls: self.calls,
            next_version: false,
        }
    }

    /// Where services find the registry: where it runs, or at an address that stays.
    fn registry_for_services(&self) -> String {
        self.front
            .as_ref()
            .map_or_else(|| self.address().to_owned(), Front::address)
    }

    /// Starts a process of a part by what it is told, which goes into this file.
    pub(super) async fn start_told(&self, part: Part, told: &Told<'_>, file: &Path) -> Process {
        match part {
            Part::Elders => told.write_for_elders(file, &self.urls.tiering),
            Part::Visits => {
                told.write_for_visits(file, &self.registry_for_services(), self.told_of_missed);
            }
            Part::Alerts => told.write_for_alerts(file, &self.registry_for_services()),
            Part::Claims => told.write_for_claims(file, &self.registry_for_services()),
            Part::Sharing => told.write_for_sharing(file, &self.registry_for_services()),
        }
        Process::start(part, file, &self.log_file()).await
    }

    /// Starts another process of visits beside the one that runs, at a place of its own.
    pub(super) async fn start_beside_visits(&self) -> Process {
        let file = self.folder.path().join("visits-beside.toml");
        let told = Told {
            listen: anywhere(),
            ..self.told(Part::Visits)
        };
        self.start_told(Part::Visits, &told, &file).await
    }

    /// Starts the process of a part at its place.
    pub(super) async fn start_one(&mut self, part: Part) {
        let file = self.settings_file(part);
        let process = self.start_told(part, &self.told(part), &file).await;
        *self.lines.to(part) = line_to(&process);
        *self.process_mut(part) = Some(process);
        if part == Part::Elders {
            self.lead_services_to_the_registry();
        }
    }

    /// From now on services that look for the registry find the process that runs.
    pub(super) fn lead_services_to_the_registry(&self) {
        if let Some(front) = &self.front {
            front.lead_to(self.running());
        }
    }

    pub(super) async fn start_processes(&mut self) {
        self.start_one(Part::Elders).await;
        let others = [
            (Part::Visits, self.has_visits()),
            (Part::Alerts, self.has_alerts()),
            (Part::Claims, self.has_claims()),
            // After all others, whose streams it reads.
            (Part::Sharing, self.has_sharing()),
        ];
        for (part, runs) in others {
            if runs {
                self.start_one(part).await;
                ready(self.lines.to(part)).await;
            }
        }
        ready(&self.lines.elders).await;
    }
}

/// A free port of this machine.
pub(super) fn anywhere() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}
