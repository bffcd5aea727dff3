//! The processes of a system: which there are, how each is started, and where it listens.

use std::net::{Ipv4Addr, SocketAddr};

use backing_services::Syncing;

use super::System;
use crate::{
    front::Front,
    lines::{line_to, ready},
    process::{Part, Process},
    settings::Told,
};

impl System {
    /// Where clients that are no programs of ours call a part.
    pub fn address_of(&self, part: Part) -> &str {
        self.running(part).address()
    }

    /// The process of a part.
    pub fn running(&self, part: Part) -> &Process {
        self.process(part).expect("the part runs")
    }

    /// Whether all processes still run.
    pub fn is_running(&mut self) -> bool {
        Part::ALL.into_iter().all(|part| {
            let belongs = self.has(part);
            let process = self.process_mut(part).as_mut();
            process.map_or(!belongs, Process::is_running)
        })
    }

    /// Whether a part belongs to the system.
    pub fn has(&self, part: Part) -> bool {
        !self.urls.of(part).is_empty()
    }

    /// The process of a part, where it runs.
    pub(super) fn process(&self, part: Part) -> Option<&Process> {
        self.processes[part as usize].as_ref()
    }

    /// Where the process of a part is kept.
    pub(super) fn process_mut(&mut self, part: Part) -> &mut Option<Process> {
        &mut self.processes[part as usize]
    }

    /// What a process of a part is told when it starts.
    pub(super) fn told(&self, part: Part) -> Told<'_> {
        Told {
            part,
            nats: self.log_server.urls().join(","),
            copies: self.log_server.copies(),
            sync_always: self.syncing == Syncing::Always,
            trust: self.trust.as_ref(),
            listen: self.places.of(part),
            databases: self.urls.of(part),
            // The registry looks for nobody.
            registry: (part != Part::Elders).then(|| self.registry_for_services()),
            alerts: self.told_of_missed(),
            // Two versions share the server's connections while they stand side by side.
            pool: if self.front.is_some() { 4 } else { 8 },
            issuer: &self.issuer,
            doors: self.doors.as_ref(),
            now: self.now,
            collector: self.collector.as_deref(),
            calls: self.calls,
            next_version: false,
            replayed: self.replayed,
        }
    }

    /// Where visits tell of those who were missed, if anybody is there.
    fn told_of_missed(&self) -> Option<SocketAddr> {
        let alerts = self.replayed.then(|| self.places.of(Part::Alerts));
        self.told_of_missed.or(alerts)
    }

    /// Where services find the registry: where it runs, or at an address that stays.
    fn registry_for_services(&self) -> String {
        self.front
            .as_ref()
            .map_or_else(|| self.address_of(Part::Elders).to_owned(), Front::address)
    }

    /// Starts a process of a part by what it is told, which goes into the file of this name.
    pub(super) async fn start_told(&self, told: &Told<'_>, name: &str) -> Process {
        let file = self.settings_file(name);
        told.write(&file);
        Process::start(told.part, &file, &self.log_file()).await
    }

    /// Starts the process of a part at its place.
    pub(super) async fn start_one(&mut self, part: Part) {
        let process = self.start_told(&self.told(part), &part.to_string()).await;
        self.lines.put(part, line_to(&process));
        *self.process_mut(part) = Some(process);
        if part == Part::Elders {
            self.lead_services_to_the_registry();
        }
    }

    /// From now on services that look for the registry find the process that runs.
    pub(super) fn lead_services_to_the_registry(&self) {
        if let Some(front) = &self.front {
            front.lead_to(self.running(Part::Elders));
        }
    }

    pub(super) async fn start_processes(&mut self) {
        self.start_one(Part::Elders).await;
        for part in Part::ALL {
            if part != Part::Elders && self.has(part) {
                self.start_one(part).await;
                ready(self.lines.to(part)).await;
            }
        }
        ready(self.lines.to(Part::Elders)).await;
    }
}

/// A free port of this machine.
pub(super) fn anywhere() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}
