//! Everything dated that a data set holds, in the order in which it happened.

use chrono::{DateTime, Utc};
use civic::LocalDay;

use crate::county::{
    APPEALS, Appeal, Away, Change, Confirmation, County, DECISIONS, Decision, Device, Line, ORDERS,
    Order, Problem, Response, Signal, Visit,
};

/// Something that happens at an instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// When.
    pub at: DateTime<Utc>,
    /// The file's place in the README, which orders what happens at one instant.
    place: usize,
    /// What.
    pub what: Happening,
}

/// What can happen: one kind of line for each dated file that the services in place understand. A file that a further
/// service understands gets its kind here, its reader in `county`, and its player beside this.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// A line of `changes.ndjson`.
    Change(Line<Change>),
    /// A line of the visits of a month.
    Visit(Line<Visit>),
    /// A line of `confirmations.ndjson`.
    Confirmation(Line<Confirmation>),
    /// All rows of `devices.csv`, at the beginning of the day of the first signal.
    Devices(DateTime<Utc>, Vec<Line<Device>>),
    /// The lines of `signals.ndjson` that arrived at one instant.
    Signals(DateTime<Utc>, Vec<Line<Signal>>),
    /// The beginning of a spell of `away.ndjson`.
    Away(Line<Away>),
    /// Its end.
    Back(DateTime<Utc>, Line<Away>),
    /// A line of `acknowledgements.ndjson`.
    Response(Line<Response>),
    /// Lines of `claims/orders.ndjson`, with the instant at which the last of them was handed in: one line as the file is
    /// read, those of a day that nothing comes between once [`Happening::join`] has put them together.
    Orders(DateTime<Utc>, Vec<Line<Order>>),
    /// A line of `claims/appeals.ndjson`.
    Appeal(Line<Appeal>),
    /// A line of `claims/decisions.ndjson`.
    Decision(Line<Decision>),
}

impl Happening {
    /// The file whose line it is, and the line's number.
    pub fn origin(&self) -> (&'static str, u64) {
        match self {
            Self::Change(line) => ("changes.ndjson", line.number),
            Self::Visit(line) => ("visits", line.number),
            Self::Confirmation(line) => ("confirmations.ndjson", line.number),
            Self::Devices(..) => ("devices.csv", 0),
            Self::Signals(_, lines) => {
                let first = lines.first().map_or(0, |line| line.number);
                ("signals.ndjson", first)
            }
            Self::Away(line) | Self::Back(_, line) => ("away.ndjson", line.number),
            Self::Response(line) => ("acknowledgements.ndjson", line.number),
            Self::Orders(_, lines) => {
                let first = lines.first().map_or(0, |line| line.number);
                (ORDERS, first)
            }
            Self::Appeal(line) => (APPEALS, line.number),
            Self::Decision(line) => (DECISIONS, line.number),
        }
    }

    /// Joins what comes next where both are orders of one local day: they are handed in over one stream at the instant of
    /// the last. Nothing comes out otherwise than one by one: their order in the log is that of the file, and all that
    /// depends on the instant (limits, the month of approval) goes by the calendar day. What can't be joined is given back.
    #[must_use]
    pub fn join(&mut self, next: Self) -> Option<Self> {
        match (self, next) {
            (Self::Orders(at, lines), Self::Orders(later, more))
                if LocalDay::of(*at) == LocalDay::of(later) =>
            {
                *at = later;
                lines.extend(more);
                None
            }
            (_, next) => Some(next),
        }
    }

    /// When it happens.
    fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Change(line) => line.what.recorded_at,
            Self::Visit(line) => line.what.submitted_at,
            Self::Confirmation(line) => line.what.at,
            Self::Devices(at, _)
            | Self::Signals(at, _)
            | Self::Back(at, _)
            | Self::Orders(at, _) => *at,
            Self::Away(line) => line.what.from,
            Self::Response(line) => line.what.at,
            Self::Appeal(line) => line.what.appealed_at,
            Self::Decision(line) => line.what.decided_at,
        }
    }
}

/// The dated files in the order of the README.
const README_ORDER: [&str; 10] = [
    "changes.ndjson",
    "visits",
    "confirmations.ndjson",
    "devices.csv",
    "signals.ndjson",
    "away.ndjson",
    "acknowledgements.ndjson",
    ORDERS,
    APPEALS,
    DECISIONS,
];

/// Reads all dated lines that can be played.
///
/// # Errors
/// [`Problem`] for the first line that can't be understood.
pub fn read(county: &County) -> Result<Vec<Moment>, Problem> {
    let changes = county.changes()?.map(|line| line.map(Happening::Change));
    let mut happenings = changes.collect::<Result<Vec<_>, _>>()?;
    happenings.extend(county.visits()?.into_iter().map(Happening::Visit));
    let confirmations = county.confirmations()?;
    happenings.extend(confirmations.into_iter().map(Happening::Confirmation));
    if let Some(day) = county.signals_begin_on()? {
        happenings.push(Happening::Devices(day.start(), county.devices()?));
    }
    let signals = county.signals()?;
    let together = signals.chunk_by(|one, next| one.what.arrived_at == next.what.arrived_at);
    happenings.extend(together.filter_map(|lines| {
        let at = lines.first()?.what.arrived_at;
        Some(Happening::Signals(at, lines.to_vec()))
    }));
    for line in county.away()? {
        let back = line.what.to.map(|to| Happening::Back(to, line.clone()));
        happenings.extend([Happening::Away(line)].into_iter().chain(back));
    }
    happenings.extend(county.responses()?.into_iter().map(Happening::Response));
    let orders = county.orders()?.into_iter();
    happenings.extend(orders.map(|line| Happening::Orders(line.what.submitted_at, vec![line])));
    happenings.extend(county.appeals()?.into_iter().map(Happening::Appeal));
    happenings.extend(county.decisions()?.into_iter().map(Happening::Decision));
    Ok(in_order(happenings))
}

/// By instant; at one instant by the file's place in the README, and within a file by line.
fn in_order(happenings: Vec<Happening>) -> Vec<Moment> {
    let place = |file: &str| {
        README_ORDER
            .iter()
            .position(|known| *known == file)
            .unwrap_or(README_ORDER.len())
    };
    let moment = |what: Happening| Moment {
        at: what.at(),
        place: place(what.origin().0),
        what,
    };
    let mut moments: Vec<_> = happenings.into_iter().map(moment).collect();
    moments.sort_by_key(|moment| (moment.at, moment.place, moment.what.origin().1));
    moments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::county::ChangeKind;

    fn change(number: u64, at: &str) -> Happening {
        Happening::Change(Line {
            number,
            request_id: uuid::Uuid::nil(),
            what: Change {
                change_id: format!("c{number}"),
                recorded_at: at.parse().unwrap(),
                id_number: String::new(),
                kind: ChangeKind::Deceased {
                    on: "2024-10-01".parse().unwrap(),
                },
            },
        })
    }

    #[test]
    fn lines_are_played_by_instant_and_at_one_instant_by_line() {
        let moments = in_order(vec![
            change(1, "2024-10-02T00:00:00Z"),
            change(2, "2024-10-01T00:00:00Z"),
            change(4, "2024-10-01T08:00:00+08:00"),
            change(3, "2024-10-01T00:00:00Z"),
        ]);
        let lines: Vec<_> = moments
            .iter()
            .map(|moment| moment.what.origin().1)
            .collect();
        assert_eq!(lines, [2, 3, 4, 1]);
    }
}
