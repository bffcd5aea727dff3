//! The processes of a system: which there are, how each is started, and where it listens.

use super::System;
use crate::{
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

    fn told<'a>(&'a self, database: &'a str) -> Told<'a> {
        Told {
            nats: self.nats.url(),
            database,
            issuer: &self.issuer,
            doors: self.doors.as_ref(),
            now: self.now,
        }
    }

    pub(super) async fn start_processes(&mut self) {
        let file = self.settings_file(Part::Elders);
        self.told(&self.urls.registry)
            .write_for_elders(&file, &self.urls.tiering);
        let elders = Process::start(Part::Elders, &file, &self.log_file()).await;
        self.lines.elders = line_to(&elders);
        self.elders = Some(elders);
        if self.has_visits() {
            self.start_visits().await;
            ready(&self.lines.visits).await;
        }
        if self.has_alerts() {
            self.start_alerts().await;
            ready(&self.lines.alerts).await;
        }
        if self.has_claims() {
            self.start_claims().await;
            ready(&self.lines.claims).await;
        }
        // After all others, whose streams it reads.
        if self.has_sharing() {
            self.start_sharing().await;
            ready(&self.lines.sharing).await;
        }
        ready(&self.lines.elders).await;
    }

    pub(super) async fn start_visits(&mut self) {
        let file = self.settings_file(Part::Visits);
        self.told(self.visits_database()).write_for_visits(
            &file,
            self.address(),
            self.told_of_missed,
        );
        let visits = Process::start(Part::Visits, &file, &self.log_file()).await;
        self.lines.visits = line_to(&visits);
        self.visits = Some(visits);
    }

    pub(super) async fn start_alerts(&mut self) {
        let file = self.settings_file(Part::Alerts);
        let database = self.urls.alerts.as_deref().expect("alerts run");
        self.told(database).write_for_alerts(&file, self.address());
        let alerts = Process::start(Part::Alerts, &file, &self.log_file()).await;
        self.lines.alerts = line_to(&alerts);
        self.alerts = Some(alerts);
    }

    pub(super) async fn start_claims(&mut self) {
        let file = self.settings_file(Part::Claims);
        let database = self.urls.claims.as_deref().expect("claims run");
        self.told(database).write_for_claims(&file, self.address());
        let claims = Process::start(Part::Claims, &file, &self.log_file()).await;
        self.lines.claims = line_to(&claims);
        self.claims = Some(claims);
    }

    pub(super) async fn start_sharing(&mut self) {
        let file = self.settings_file(Part::Sharing);
        let database = self.urls.sharing.as_deref().expect("sharing runs");
        self.told(database).write_for_sharing(&file, self.address());
        let sharing = Process::start(Part::Sharing, &file, &self.log_file()).await;
        self.lines.sharing = line_to(&sharing);
        self.sharing = Some(sharing);
    }
}
