//! A rolling update: each process is replaced by one of the next version of the program while callers go on, as a platform does.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{Connection as _, PgConnection};

use super::{System, processes::anywhere};
use crate::{
    balanced::Balanced,
    callers::{Caller, officer},
    lines::{line_to, readiness, ready, ready_no_more},
    process::{Part, Process},
    settings::Told,
};

/// The read models that have tables, and the version of each.
const VERSIONS: &str = "SELECT projection, version::text FROM readmodel.checkpoint \
     WHERE EXISTS (SELECT FROM pg_tables WHERE schemaname = projection)";

impl System {
    /// From now on callers reach all replicas of each part.
    pub(super) fn balance(&mut self) {
        let balanced =
            Part::ALL.map(|part| Balanced::over(self.process(part).expect("all parts run")));
        for (part, balanced) in Part::ALL.into_iter().zip(&balanced) {
            self.lines.put(part, balanced.line());
        }
        self.balanced = Some(balanced);
    }

    fn balanced(&self, part: Part) -> &Balanced {
        let balanced = self.balanced.as_ref();
        &balanced.expect("the system is set up for it")[part as usize]
    }

    /// Starts the next version of a part beside the process that runs, and waits until it is ready. Both are called from then on.
    pub async fn start_next(&self, part: Part) -> Process {
        let told = Told {
            listen: anywhere(),
            next_version: true,
            ..self.told(part)
        };
        let next = self.start_told(&told, &format!("{part}-next")).await;
        ready(&line_to(&next)).await;
        self.balanced(part).add(&next);
        next
    }

    /// Has the next version take the place of the process that runs, which is asked to go: once it is not ready any more it is
    /// called no more, what it is at it finishes, and then it ends.
    pub async fn replace(&mut self, part: Part, next: Process) {
        let former = self.process_mut(part).replace(next);
        let former = former.expect("the part runs");
        if part == Part::Elders {
            self.lead_services_to_the_registry();
        }
        let told = readiness(&line_to(&former)).await;
        former.ask_to_go_down().await;
        ready_no_more(told).await;
        self.balanced(part).remove(&former);
        former.has_gone_down().await;
    }

    /// An officer who calls one process of a part, whichever others there are.
    pub fn officer_at(&self, part: Part, process: &Process) -> Caller {
        let mut lines = self.lines.clone();
        lines.put(part, line_to(process));
        Caller::new(lines, &self.issuer, &officer())
    }

    /// The version of each read model of a part, as its tables are now.
    pub async fn versions(&self, part: Part) -> BTreeMap<String, u32> {
        let versions = self.answered(part, VERSIONS).await.into_iter();
        versions
            .map(|(read_model, version)| (read_model, version.parse().unwrap()))
            .collect()
    }

    /// What the read models of a part have passed by: which of them, events of which type.
    pub async fn passed_by(&self, part: Part) -> BTreeSet<(String, String)> {
        let statement = "SELECT DISTINCT projection, event_type FROM readmodel.parked";
        self.answered(part, statement).await.into_iter().collect()
    }

    /// What the databases of a part answer, in two columns.
    async fn answered(&self, part: Part, statement: &'static str) -> Vec<(String, String)> {
        let mut answered = Vec::new();
        for url in self.urls.of(part) {
            let mut database = PgConnection::connect(url).await.unwrap();
            let rows = sqlx::query_as(statement).fetch_all(&mut database).await;
            let mut rows: Vec<(String, String)> = rows.unwrap();
            answered.append(&mut rows);
        }
        answered
    }
}
