//! Commands by chance: about few persons and days, so that they meet.

use civic::Fen;
use eventlog::Fault;
use proptest::prelude::*;
use proptest::{collection::vec, option, sample::select};

use crate::support::{HOMECARE, LTCI};

/// The providers; each has two caregivers.
pub(super) const PROVIDERS: [&str; 2] = ["P01", "P02"];
/// How many elders there are.
pub(super) const ELDERS: usize = 4;

/// A programme of the county.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Programme {
    /// By the service, with a premium.
    Insurance,
    /// By the minute, with none.
    HomeCare,
}

impl Programme {
    pub(super) const ALL: [Self; 2] = [Self::Insurance, Self::HomeCare];

    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Insurance => "LTCI",
            Self::HomeCare => "HOMECARE",
        }
    }

    /// With so little for a year that it is used up.
    pub(super) fn definition(self) -> String {
        match self {
            Self::Insurance => LTCI.replace("services: 12", "services: 3"),
            Self::HomeCare => HOMECARE.replace("minutes: 2880", "minutes: 300"),
        }
    }

    pub(super) fn a_year(self) -> i64 {
        match self {
            Self::Insurance => 3,
            Self::HomeCare => 300,
        }
    }

    pub(super) fn premium(self) -> Fen {
        match self {
            Self::Insurance => Fen(30_000),
            Self::HomeCare => Fen::ZERO,
        }
    }

    /// What a service takes of a year's entitlement.
    pub(super) fn units(self, minutes: i64) -> i64 {
        match self {
            Self::Insurance => 1,
            Self::HomeCare => minutes,
        }
    }

    pub(super) fn costs(self, minutes: i64) -> Fen {
        match self {
            Self::Insurance => Fen(20_000),
            Self::HomeCare => Fen(4_000 * minutes / 60),
        }
    }

    pub(super) fn least_minutes(self) -> i64 {
        match self {
            Self::Insurance => 120,
            Self::HomeCare => 30,
        }
    }

    pub(super) fn submission_days(self) -> i64 {
        match self {
            Self::Insurance => 30,
            Self::HomeCare => 7,
        }
    }
}

/// What is wrong with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    NoItems,
    NoEvidence,
    /// The files of the first order of all.
    UsedEvidence,
    FarFromHome,
    /// The caregiver is the other provider's.
    BorrowedCaregiver,
    /// The check-out lies before the check-in.
    EndsFirst,
    UnknownProgramme,
    UnknownVersion,
    UnknownElder,
}

impl Flaw {
    /// Whether such an order leaves no trace.
    pub(super) fn is_refused(self) -> bool {
        match self {
            Self::EndsFirst
            | Self::UnknownProgramme
            | Self::UnknownVersion
            | Self::UnknownElder => true,
            Self::NoItems
            | Self::NoEvidence
            | Self::UsedEvidence
            | Self::FarFromHome
            | Self::BorrowedCaregiver => false,
        }
    }
}

/// A service as its provider tells of it.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) programme: Programme,
    pub(super) elder: usize,
    /// Of all caregivers.
    pub(super) caregiver: usize,
    /// The service day: so long ago.
    pub(super) days_ago: i64,
    /// The beginning: so many quarters of an hour after midnight.
    pub(super) quarters: i64,
    pub(super) minutes: i64,
    pub(super) flaw: Option<Flaw>,
}

/// A command. Whatever it is about is named by its place among what suits by then, or among all of it where nothing suits.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Enrol {
        programme: Programme,
        elder: usize,
        first: &'static str,
    },
    EndEnrolment {
        which: usize,
        days_ago: i64,
    },
    /// By itself, or several in a stream.
    Submit(Vec<Service>),
    /// An order that is there already, word for word.
    SubmitAgain {
        which: usize,
    },
    /// Another one under the number of one that is there.
    ReuseNumber {
        which: usize,
    },
    Appeal {
        which: usize,
    },
    DecideAppeal {
        which: usize,
        accept: bool,
    },
    DecideHold {
        which: usize,
        withdraw: bool,
    },
    Deposit {
        programme: Programme,
        fen: i64,
    },
    Draft {
        programme: Programme,
        provider: usize,
        days_ago: i64,
    },
    /// With a sum that is not the settlement's, where it is not what was read.
    Confirm {
        programme: Programme,
        which: usize,
        as_read: bool,
    },
    Pay {
        programme: Programme,
        which: usize,
        as_read: bool,
    },
    Adjust {
        programme: Programme,
        which: usize,
        fen: i64,
        names_order: bool,
    },
    /// A death is recorded.
    Dies {
        elder: usize,
        days_ago: i64,
    },
    /// It is recorded that somebody was not poor any more from a day on.
    NoLongerPoor {
        elder: usize,
        days_ago: i64,
    },
    /// Time passes.
    Wait {
        hours: i64,
    },
    Restart {
        loses_database: bool,
    },
}

/// A command, and what befalls it.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) command: Command,
    /// It is sent once more when it is answered.
    pub(super) twice: bool,
    /// What befalls whoever appends to our log next.
    pub(super) fault: Option<Fault>,
}

fn programme() -> impl Strategy<Value = Programme> {
    select(Programme::ALL.as_slice())
}

/// One of them has most services.
fn elder() -> impl Strategy<Value = usize> {
    prop_oneof![2 => Just(0), 3 => 0..ELDERS]
}

fn flaw() -> impl Strategy<Value = Flaw> {
    select(
        &[
            Flaw::NoItems,
            Flaw::NoEvidence,
            Flaw::UsedEvidence,
            Flaw::FarFromHome,
            Flaw::BorrowedCaregiver,
            Flaw::EndsFirst,
            Flaw::UnknownProgramme,
            Flaw::UnknownVersion,
            Flaw::UnknownElder,
        ][..],
    )
}

fn service() -> impl Strategy<Value = Service> {
    let minutes = prop_oneof![3 => Just(120_i64), 2 => select(&[29_i64, 30, 95, 119, 150][..])];
    // Beginnings are few, so that services meet now and then.
    let times = (
        0_i64..13,
        (28_i64..64).prop_map(|quarters| quarters / 3 * 3),
    );
    let who = (programme(), elder(), 0..2 * PROVIDERS.len());
    (who, times, minutes, option::weighted(0.2, flaw())).prop_map(
        |((programme, elder, caregiver), (days_ago, quarters), minutes, flaw)| Service {
            programme,
            elder,
            caregiver,
            days_ago,
            quarters,
            minutes,
            flaw,
        },
    )
}

fn about_persons() -> impl Strategy<Value = Command> {
    let first = select(&["2024-01-01", "2024-12-12", "2025-01-01"][..]);
    prop_oneof![
        4 => (programme(), elder(), first).prop_map(|(programme, elder, first)| Command::Enrol {
            programme,
            elder,
            first,
        }),
        1 => (0_usize..8, 0_i64..15)
            .prop_map(|(which, days_ago)| Command::EndEnrolment { which, days_ago }),
        1 => (elder(), 0_i64..10).prop_map(|(elder, days_ago)| Command::Dies { elder, days_ago }),
        1 => (elder(), 0_i64..10)
            .prop_map(|(elder, days_ago)| Command::NoLongerPoor { elder, days_ago }),
    ]
}

fn about_orders() -> impl Strategy<Value = Command> {
    let which = || 0_usize..20;
    prop_oneof![
        10 => vec(service(), 1..4).prop_map(Command::Submit),
        1 => which().prop_map(|which| Command::SubmitAgain { which }),
        1 => which().prop_map(|which| Command::ReuseNumber { which }),
        3 => which().prop_map(|which| Command::Appeal { which }),
        3 => (which(), prop::bool::weighted(0.7))
            .prop_map(|(which, accept)| Command::DecideAppeal { which, accept }),
        2 => (which(), any::<bool>())
            .prop_map(|(which, withdraw)| Command::DecideHold { which, withdraw }),
    ]
}

fn about_money() -> impl Strategy<Value = Command> {
    let which = || 0_usize..6;
    let as_read = || prop::bool::weighted(0.9);
    prop_oneof![
        2 => (programme(), 1_i64..60_000)
            .prop_map(|(programme, fen)| Command::Deposit { programme, fen }),
        4 => (programme(), 0..PROVIDERS.len(), select(&[0_i64, 0, 0, 30][..]))
            .prop_map(|(programme, provider, days_ago)| Command::Draft {
                programme,
                provider,
                days_ago,
            }),
        3 => (programme(), which(), as_read()).prop_map(|(programme, which, as_read)| {
            Command::Confirm { programme, which, as_read }
        }),
        3 => (programme(), which(), as_read())
            .prop_map(|(programme, which, as_read)| Command::Pay { programme, which, as_read }),
        2 => (programme(), which(), select(&[-20_000_i64, -1, 1, 4_000][..]), any::<bool>())
            .prop_map(|(programme, which, fen, names_order)| Command::Adjust {
                programme,
                which,
                fen,
                names_order,
            }),
    ]
}

/// A command of any kind.
pub(super) fn step() -> impl Strategy<Value = Step> {
    let command = prop_oneof![
        4 => about_persons(),
        14 => about_orders(),
        14 => about_money(),
        2 => select(&[1_i64, 24, 24 * 16][..]).prop_map(|hours| Command::Wait { hours }),
        1 => any::<bool>().prop_map(|loses_database| Command::Restart { loses_database }),
    ];
    let fault = select(&[Fault::BeforeWriting, Fault::AfterWriting][..]);
    (
        command,
        prop::bool::weighted(0.2),
        option::weighted(0.08, fault),
    )
        .prop_map(|(command, twice, fault)| Step {
            command,
            twice,
            fault,
        })
}
