//! The erasure of an elder, as departments are told of it (删除通知与回执): who was asked to erase what they hold, and who has.

use std::collections::BTreeSet;

use decider::Decider;

/// The word of an elder's erasure, as the events leave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erasure {
    /// Which departments were asked.
    pub asked: BTreeSet<String>,
    /// Which have confirmed.
    pub confirmed: BTreeSet<String>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// Ask departments to erase what they hold.
    Ask {
        /// The departments.
        departments: BTreeSet<String>,
    },
    /// A department has done so.
    Confirm {
        /// The department.
        department: String,
        /// Who says so.
        by: String,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Departments were asked.
    Asked {
        /// The departments.
        departments: BTreeSet<String>,
    },
    /// A department has confirmed.
    Confirmed {
        /// The department.
        department: String,
        /// Who says so.
        by: String,
    },
}

/// Why the rules refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// All of them were asked before, or there is none.
    NobodyToAsk,
    /// The department was not asked.
    NotAsked,
    /// It has confirmed.
    AlreadyConfirmed,
}

impl Decider for Erasure {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Ask { departments } => {
                let departments: BTreeSet<String> =
                    departments.difference(&self.asked).cloned().collect();
                match departments.is_empty() {
                    true => Err(Refusal::NobodyToAsk),
                    false => Ok(vec![Event::Asked { departments }]),
                }
            }
            Command::Confirm { department, by } => {
                if self.confirmed.contains(department) {
                    return Err(Refusal::AlreadyConfirmed);
                }
                if !self.asked.contains(department) {
                    return Err(Refusal::NotAsked);
                }
                Ok(vec![Event::Confirmed {
                    department: department.clone(),
                    by: by.clone(),
                }])
            }
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::Asked { departments } => self.asked.extend(departments.iter().cloned()),
            Event::Confirmed { department, .. } => {
                self.confirmed.insert(department.clone());
            }
        }
        self
    }
}
