//! The benches: what is measured, and in which order.

mod adjudicate;
mod aggregates;
mod append;
mod claims;
mod coverage;
mod decide;
mod dossier;
mod entitlement;
mod feed;
mod hidden;
mod import;
mod plan;
mod query;
mod rebuild;
mod rebuild_all;
mod record;
mod register;
mod signals;
mod sos;
mod tier;
mod timers;
mod visible;

use super::Bench;

/// All benches, in the order in which `all` runs them.
pub const BENCHES: &[Bench] = &[
    Bench {
        name: "append",
        about: "assessments recorded over gRPC, each durable before it is answered",
        run: |ground| Box::pin(append::run(ground)),
    },
    Bench {
        name: "register",
        about: "elders registered over gRPC: key, sealed record, claim to the ID number",
        run: |ground| Box::pin(register::run(ground)),
    },
    Bench {
        name: "decide",
        about: "assessments of elders with ten events far apart and in no memory",
        run: |ground| Box::pin(decide::run(ground)),
    },
    Bench {
        name: "import",
        about: "380,000 rows of survey workbooks streamed in",
        run: |ground| Box::pin(import::run(ground)),
    },
    Bench {
        name: "rebuild",
        about: "the registry's read model built anew from a million events",
        run: |ground| Box::pin(rebuild::run(ground)),
    },
    Bench {
        name: "visible",
        about: "from sending a command to reading its effect, at rest",
        run: |ground| Box::pin(visible::run(ground)),
    },
    Bench {
        name: "query",
        about: "files read by id, beside a bare gRPC server with the same SQL",
        run: |ground| Box::pin(query::run(ground)),
    },
    Bench {
        name: "tier",
        about: "a draft policy tried on the 2,600,000 elders of a province",
        run: |ground| Box::pin(tier::run(ground)),
    },
    Bench {
        name: "plan",
        about: "a week of the sample county planned, beside going to the nearest each time",
        run: |ground| Box::pin(plan::run(ground)),
    },
    Bench {
        name: "record",
        about: "records of visits streamed in by phones that were off line, with all checks",
        run: |ground| Box::pin(record::run(ground)),
    },
    Bench {
        name: "coverage",
        about: "the coverage of a city's counties in a month, with a year of records",
        run: |ground| Box::pin(coverage::run(ground)),
    },
    Bench {
        name: "signals",
        about: "what the devices of 380,000 homes say, from gateways to the watch",
        run: |ground| Box::pin(signals::run(ground)),
    },
    Bench {
        name: "sos",
        about: "from the receipt for a press of the button to the notice, while other homes speak",
        run: |ground| Box::pin(sos::run(ground)),
    },
    Bench {
        name: "timers",
        about: "a million silences waited for: the start, and ten thousand that end in one second",
        run: |ground| Box::pin(timers::run(ground)),
    },
    Bench {
        name: "claims",
        about: "a year of orders of Yiwu's size handed in, judged, appealed, settled and paid",
        run: |ground| Box::pin(claims::run(ground)),
    },
    Bench {
        name: "adjudicate",
        about: "orders that come steadily, from sending each to its verdict",
        run: |ground| Box::pin(adjudicate::run(ground)),
    },
    Bench {
        name: "entitlement",
        about: "what elders may still have, asked while orders come",
        run: |ground| Box::pin(entitlement::run(ground)),
    },
    Bench {
        name: "feed",
        about: "from recording a visit to a department's own program, at 2,000 visits a second",
        run: |ground| Box::pin(feed::run(ground)),
    },
    Bench {
        name: "dossier",
        about: "dossiers of 380,000 elders under an agreement, each on record before it is told",
        run: |ground| Box::pin(dossier::run(ground)),
    },
    Bench {
        name: "hidden",
        about: "how well times of answers tell elders of another town from ids that nobody has",
        run: |ground| Box::pin(hidden::run(ground)),
    },
    Bench {
        name: "rebuild-all",
        about: "every read model of every service built anew from a million events",
        run: |ground| Box::pin(rebuild_all::run(ground)),
    },
    Bench {
        name: "aggregates",
        about: "logs of up to 3,000,000 aggregates and their read models: memory, disk, and how fast they are",
        run: |ground| Box::pin(aggregates::run(ground)),
    },
];
