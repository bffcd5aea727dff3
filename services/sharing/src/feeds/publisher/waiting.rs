//! What was read of the logs and is not published yet, and how much of it can be: what the read models hold.

use std::collections::VecDeque;

use eventlog::{Aggregate as _, Delivery, Record};

use crate::agreement::Agreement;
use crate::sharing::Logs;

/// What was read of a log.
pub(super) struct Waiting {
    /// The log, by its place among all.
    pub(super) log: usize,
    pub(super) sequence: u64,
    /// None where it can't be read: the read models have parked it where an operator sees it.
    pub(super) record: Option<Record>,
}

impl Waiting {
    /// What came of a log.
    pub(super) fn of(log: usize, delivery: Delivery) -> Self {
        let sequence = delivery.sequence();
        let record = match delivery {
            Delivery::Record(record) => Some(record),
            Delivery::Unreadable { .. } => None,
        };
        Self {
            log,
            sequence,
            record,
        }
    }

    /// Whether it tells of an agreement.
    pub(super) fn is_agreement(&self) -> bool {
        let record = self.record.as_ref();
        record.is_some_and(|record| record.subject.aggregate() == Agreement::NAME)
    }

    /// Whether the read models must hold it before anything follows from it. From our own records nothing does, of which most say
    /// what went out by feeds, unless they tell of agreements.
    pub(super) fn needs_read_models(&self) -> bool {
        self.log != Logs::OWN || self.is_agreement()
    }
}

/// How many of those who wait can be published, in their order, where the read models hold each log up to these sequences.
pub(super) fn ready(waiting: &VecDeque<Waiting>, held: [u64; 6], most: usize) -> usize {
    let ready = |one: &&Waiting| !one.needs_read_models() || one.sequence <= held[one.log];
    waiting.iter().take(most).take_while(ready).count()
}

#[cfg(test)]
mod tests {
    use eventlog::Subject;

    use super::*;

    const VISITS: usize = 2;

    fn waiting(log: usize, sequence: u64, subject: &str) -> Waiting {
        let now = "2024-10-01T09:00:00+08:00".parse().unwrap();
        let record = Record {
            sequence,
            subject: Subject::parse(subject).unwrap(),
            metadata: service::testing::metadata(now, "350524100001"),
            events: vec![],
        };
        Waiting::of(log, Delivery::Record(record))
    }

    fn visit(sequence: u64) -> Waiting {
        waiting(VISITS, sequence, "eldercare.visits.year.1-2024")
    }

    fn look(sequence: u64) -> Waiting {
        waiting(Logs::OWN, sequence, "eldercare.sharing.looks.1")
    }

    #[test]
    fn what_the_read_models_hold_is_ready_and_nothing_overtakes_what_they_do_not() {
        let all = VecDeque::from([visit(4), visit(5), look(9), visit(6), look(10)]);
        let held = |visits| {
            let mut held = [0; 6];
            held[VISITS] = visits;
            held
        };
        assert_eq!(ready(&all, held(3), 256), 0);
        assert_eq!(ready(&all, held(4), 256), 1);
        // Looks are waited for by nobody.
        assert_eq!(ready(&all, held(5), 256), 3);
        assert_eq!(ready(&all, held(7), 256), 5);
        assert_eq!(ready(&all, held(7), 2), 2);
    }

    #[test]
    fn an_agreement_is_ready_once_the_table_has_it_and_so_is_what_cannot_be_read() {
        let agreement = waiting(Logs::OWN, 9, "eldercare.sharing.agreement.1");
        assert!(agreement.is_agreement() && agreement.needs_read_models());
        assert_eq!(ready(&VecDeque::from([agreement]), [8; 6], 256), 0);
        let unreadable = Waiting {
            record: None,
            ..visit(9)
        };
        assert_eq!(ready(&VecDeque::from([unreadable]), [8; 6], 256), 0);
        assert!(!look(9).needs_read_models());
    }
}
