//! What a system may go through: processes that are killed and started again, another one beside, databases that are lost.

use eldercare::wire::from_timestamp;
use proto::eldercare::simulation::v1::GetClockRequest;

use super::{System, processes::anywhere};
use crate::{
    at,
    callers::Caller,
    lines::{line_to, ready},
    process::{Part, Process},
    settings::Told,
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
        for part in Part::ALL.into_iter().rev() {
            if let Some(process) = self.process_mut(part).take() {
                process.kill().await;
            }
        }
    }

    /// Starts the processes again after [`System::kill`], and waits until they are ready.
    pub async fn restart(&mut self) {
        assert!(self.process(Part::Elders).is_none(), "it still runs");
        self.start_processes().await;
    }

    /// Starts the processes again with the clock at a later instant: they were down meanwhile.
    pub async fn restart_at(&mut self, instant: &str) {
        self.now = at(instant);
        self.restart().await;
        self.settled().await;
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

    /// Kills one of the processes and starts it again, with its clock where it stood, and waits until it is ready.
    pub(crate) async fn kill_and_restart(&mut self, part: Part) {
        let mut clock = self.officer().simulation(part);
        let stood = clock.get_clock(GetClockRequest {}).await.unwrap();
        let stood = stood.into_inner().now.and_then(from_timestamp);
        self.kill_one(part).await;
        self.now = stood.expect("a clock shows a time");
        self.restart_one(part).await;
    }

    /// Gives a process new, empty databases, as if the old ones had been lost. It must not run.
    pub async fn lose_databases_of(&mut self, part: Part) {
        for url in self.urls.of_mut(part) {
            *url = self.databases.postgres().fresh_database().await.unwrap();
        }
    }

    /// Copies the databases of a process as they are. It must not run.
    pub async fn backup_of(&self, part: Part) -> Backup {
        let mut copies = Vec::new();
        for url in self.urls.of(part) {
            copies.push(self.databases.copy(url).await);
        }
        Backup { part, copies }
    }

    /// Puts databases back that were copied before. The process must not run.
    pub fn restore(&mut self, backup: Backup) {
        let Backup { part, copies } = backup;
        for (url, copy) in self.urls.of_mut(part).iter_mut().zip(copies) {
            *url = copy;
        }
    }

    /// Starts another replica of visits, over the same log and database: the process, and an officer who calls it.
    pub async fn replica_of_visits(&self) -> (Process, Caller) {
        let told = Told {
            listen: anywhere(),
            ..self.told(Part::Visits)
        };
        let replica = self.start_told(&told, "visits-beside").await;
        ready(&line_to(&replica)).await;
        let officer = self.officer_at(Part::Visits, &replica);
        (replica, officer)
    }

    /// Gives the services new, empty databases, as if the old ones had been lost. No process may run.
    pub async fn lose_databases(&mut self) {
        assert!(self.process(Part::Elders).is_none(), "it still runs");
        for part in Part::ALL {
            self.lose_databases_of(part).await;
        }
    }
}
