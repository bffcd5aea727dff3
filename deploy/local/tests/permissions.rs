//! Who may do what, by the policies that are shipped and what the methods of all services do: for each method somebody who
//! may and somebody who may not, and the tables in ARCHITECTURE.md, which say the same.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use civic::DivisionCode;
use eldercare::simulation::Simulation;
use service::{
    Action, Claims, TokenIssuer,
    gate::Gate,
    settings::Mode,
    testing::{reason, settings, somebody},
};

const TOWN: &str = "350524100";
const VILLAGE: &str = "350524100001";
const OTHER_TOWN: &str = "350524101";

const CIVIL_AFFAIRS: &str = "civil_affairs";

/// All roles, in the order in which the tables name them.
const ROLES: [&str; 10] = [
    "viewer",
    "clerk",
    "supervisor",
    "administrator",
    "privacy_officer",
    "service",
    "device_gateway",
    "provider",
    "operator",
    "simulator",
];

/// A caller without a role, and what the tables call it.
type Named = (&'static str, fn() -> Claims);

/// Whom the tables tell apart beside roles: a column for each.
const CALLERS: [Named; 5] = [
    ("officers of civil affairs", || {
        Claims::officer("somebody", CIVIL_AFFAIRS)
    }),
    ("officers of other departments", || {
        Claims::officer("somebody", "health")
    }),
    ("systems of civil affairs", || {
        Claims::system("something", CIVIL_AFFAIRS)
    }),
    ("other systems", || Claims::system("something", "platform")),
    ("systems of providers", || {
        Claims::system("something", "provider").provider("P01")
    }),
];

const BEGIN: &str = "<!-- permissions: what stands here is compared with the policies by a test, which prints it -->";
const END: &str = "<!-- end of permissions -->";

/// The policies that are shipped, checked against their schema with the methods of all services.
fn gate(mode: Mode) -> Gate {
    let mut settings = settings(&TokenIssuer::generate());
    settings.auth.mode = mode;
    let actions = registry::actions()
        .and(tiering::actions())
        .and(visits::actions())
        .and(alerts::actions())
        .and(claims::actions())
        .and(sharing::actions())
        .and(Simulation::actions());
    Gate::new(&settings, &[proto::FILE_DESCRIPTOR_SET], &actions).unwrap()
}

fn place(code: &str) -> DivisionCode {
    code.parse().unwrap()
}

/// An officer of the town, for a purpose.
fn officer(department: &str, role: &str) -> Claims {
    Claims::officer("officer", department)
        .division(TOWN)
        .role(role)
        .purpose("探访")
}

/// A system that works for all, for a purpose.
fn system(role: &str) -> Claims {
    Claims::system("system", "platform")
        .division("*")
        .role(role)
        .purpose("平台运行")
}

/// Somebody who may do this in the town.
fn who_may(action: Action) -> Claims {
    match action {
        Action::ReadReference => Claims::officer("officer", "fire_service"),
        Action::ReadStatistics => Claims::officer("officer", "finance").division(TOWN),
        Action::ReadPersonal | Action::ReadOrders => officer(CIVIL_AFFAIRS, "viewer"),
        Action::ReadShared => officer("health", "viewer"),
        Action::BreakGlass => officer("health", "supervisor"),
        Action::ExportPersonal | Action::Review => officer(CIVIL_AFFAIRS, "supervisor"),
        Action::Write | Action::Submit | Action::Import => officer(CIVIL_AFFAIRS, "clerk"),
        Action::Signal => system("device_gateway"),
        Action::Administer => officer(CIVIL_AFFAIRS, "administrator"),
        Action::Operate => officer("platform", "operator"),
        Action::Erase => officer(CIVIL_AFFAIRS, "privacy_officer"),
        Action::ConfirmErasure => officer("health", "privacy_officer"),
        Action::Unseal => system("service"),
        Action::Simulate => officer("platform", "simulator"),
    }
}

/// Somebody who may not do it there; none where whoever is known may.
fn who_may_not(action: Action) -> Option<Claims> {
    Some(match action {
        Action::ReadReference => return None,
        Action::ReadStatistics => Claims::officer("officer", CIVIL_AFFAIRS)
            .division(OTHER_TOWN)
            .role("administrator"),
        Action::ReadPersonal | Action::ReadOrders => officer("health", "administrator"),
        Action::ReadShared => officer("platform", "operator"),
        Action::BreakGlass | Action::ExportPersonal | Action::Review => {
            officer(CIVIL_AFFAIRS, "clerk")
        }
        Action::Write | Action::Submit | Action::Import => officer(CIVIL_AFFAIRS, "viewer"),
        Action::ConfirmErasure => officer("health", "viewer"),
        Action::Signal => system("service"),
        Action::Administer => officer(CIVIL_AFFAIRS, "supervisor"),
        Action::Operate | Action::Erase | Action::Simulate => {
            officer(CIVIL_AFFAIRS, "administrator")
        }
        Action::Unseal => officer(CIVIL_AFFAIRS, "service"),
    })
}

/// Whether it is the same everywhere who may do this.
fn holds_anywhere(action: Action) -> bool {
    matches!(action, Action::ReadReference | Action::Simulate)
}

/// Whether whoever does it says what for.
fn is_for_a_purpose(action: Action) -> bool {
    matches!(
        action,
        Action::ReadPersonal
            | Action::ReadOrders
            | Action::ReadShared
            | Action::BreakGlass
            | Action::ExportPersonal
            | Action::Unseal
    )
}

#[test]
fn each_method_of_every_contract_has_an_action() {
    let gate = gate(Mode::Local);
    let methods = gate.methods();
    let undeclared = methods.filter(|(_, action)| action.is_none());
    let undeclared: Vec<_> = undeclared.map(|(method, _)| method).collect();
    assert!(undeclared.is_empty(), "nobody may call {undeclared:?}");
}

#[test]
fn each_action_is_what_some_method_does() {
    let gate = gate(Mode::Local);
    for action in Action::ALL {
        let mut methods = gate.methods();
        assert!(methods.any(|(_, does)| does == Some(action)), "{action}");
    }
}

#[test]
fn each_method_may_be_called_by_somebody_and_not_by_somebody_else() {
    let gate = gate(Mode::Local);
    let may = |claims: &Claims, method: &str| {
        let caller = somebody(&gate, claims, method);
        // With a division go those that lie within it.
        let (town, village) = (place(TOWN), place(VILLAGE));
        let there = caller.reaches(&town);
        assert_eq!(there, caller.reaches(&village), "{method}: {claims:?}");
        there
    };
    for (method, action) in gate.methods() {
        let action = action.unwrap();
        let one = who_may(action);
        assert!(may(&one, method), "{method}: {one:?} may not");
        if let Some(other) = who_may_not(action) {
            assert!(!may(&other, method), "{method}: {other:?} may");
        }
        if !holds_anywhere(action) {
            let elsewhere = Claims {
                divisions: vec![OTHER_TOWN.to_owned()],
                ..one.clone()
            };
            assert!(!may(&elsewhere, method), "{method}: {elsewhere:?} may");
            let nowhere = Claims {
                divisions: vec![],
                ..one.clone()
            };
            assert!(!may(&nowhere, method), "{method}: {nowhere:?} may");
        }
        if !one.roles.is_empty() {
            let without_role = Claims {
                roles: vec![],
                ..one.clone()
            };
            assert!(!may(&without_role, method), "{method}: without a role");
        }
        let silent = Claims {
            purpose: None,
            ..one
        };
        let expected = !is_for_a_purpose(action);
        assert_eq!(may(&silent, method), expected, "{method}: {silent:?}");
    }
}

#[test]
fn whoever_reads_of_persons_or_asks_for_keys_says_what_for_systems_as_officers_do() {
    let gate = gate(Mode::Local);
    let mut asked = 0;
    for (method, action) in gate.methods() {
        let action = action.unwrap();
        let there = |claims: &Claims| somebody(&gate, claims, method).may_here(&place(TOWN));
        for (_, caller) in CALLERS {
            // Who speaks for a provider does nothing else by other roles.
            let all = ROLES.into_iter().fold(caller(), Claims::role);
            let silent = all.division(TOWN);
            let stated = silent.clone().purpose("探访");
            if there(&stated).is_err() {
                continue;
            }
            let refused = there(&silent).err();
            let refused = refused.map(|status| reason(&status));
            let expected = is_for_a_purpose(action).then_some("PURPOSE_REQUIRED");
            assert_eq!(refused.as_deref(), expected, "{method}: {silent:?}");
            asked += 1;
        }
    }
    assert!(asked > 200, "{asked}");
}

#[test]
fn a_division_is_more_than_one_of_its_towns() {
    let gate = gate(Mode::Local);
    for (method, action) in gate.methods() {
        let action = action.unwrap();
        let mut one = who_may(action);
        one.divisions = vec![TOWN.to_owned()];
        let caller = somebody(&gate, &one, method);
        let county = caller.reaches(&place("350524"));
        let everywhere = caller.may_everywhere().is_ok();
        let expected = holds_anywhere(action);
        assert_eq!((county, everywhere), (expected, expected), "{method}");
    }
}

#[test]
fn a_providers_system_hands_in_reads_what_became_of_it_and_calls_nothing_else() {
    let gate = gate(Mode::Local);
    // Whatever other roles somebody gave it by mistake.
    let all = ROLES.into_iter().fold(
        Claims::system("something", CIVIL_AFFAIRS)
            .division(TOWN)
            .purpose("结算"),
        Claims::role,
    );
    let bound = all.provider("P01");
    let unbound = Claims::system("something", "provider")
        .division(TOWN)
        .role("provider")
        .purpose("结算");
    for (method, action) in gate.methods() {
        let action = action.unwrap();
        let there = |claims: &Claims| somebody(&gate, claims, method).reaches(&place(TOWN));
        let theirs = [Action::ReadReference, Action::ReadOrders, Action::Submit];
        assert_eq!(there(&bound), theirs.contains(&action), "{method}");
        // Of no provider, it is no more than anybody.
        let for_all = [Action::ReadReference, Action::ReadStatistics];
        assert_eq!(there(&unbound), for_all.contains(&action), "{method}");
    }
}

#[test]
fn nobody_moves_the_clock_in_production() {
    let gate = gate(Mode::Production);
    let all = ROLES.into_iter().fold(system("simulator"), Claims::role);
    for claims in [who_may(Action::Simulate), all] {
        let method = "eldercare.simulation.v1.SimulationService/AdvanceClock";
        let caller = somebody(&gate, &claims, method);
        assert!(!caller.reaches(&place(TOWN)), "{claims:?}");
        assert!(caller.may_everywhere().is_err(), "{claims:?}");
    }
}

#[test]
fn the_tables_of_who_may_do_what_say_what_the_policies_say() {
    let gate = gate(Mode::Local);
    let right = format!("{}\n{}", who_may_do_what(&gate), methods_of_actions(&gate));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ARCHITECTURE.md");
    let text = fs::read_to_string(file).unwrap();
    let told = text
        .split_once(BEGIN)
        .and_then(|(_, rest)| rest.split_once(END))
        .map(|(told, _)| told.trim());
    assert!(
        told == Some(right.trim()),
        "in ARCHITECTURE.md belongs:\n\n{BEGIN}\n\n{right}\n{END}\n"
    );
}

/// For each action the roles that may do it, by who has them.
fn who_may_do_what(gate: &Gate) -> String {
    let mut table = "| action |".to_owned();
    for (callers, _) in CALLERS {
        write!(table, " {callers} |").unwrap();
    }
    table.push_str(" where | says what for |\n");
    table.push_str(&"| --- ".repeat(CALLERS.len() + 3));
    table.push_str("|\n");
    for action in Action::ALL {
        write!(table, "| `{action}` |").unwrap();
        let (mut anywhere, mut silently) = (false, true);
        for (_, caller) in CALLERS {
            let caller = caller().division(TOWN).purpose("探访");
            let may = |claims: &Claims, at: &str| {
                let caller = somebody(gate, claims, "");
                caller.may(action, &place(at)).is_ok()
            };
            let mut roles = Vec::new();
            for role in ROLES {
                let caller = caller.clone().role(role);
                if may(&caller, TOWN) {
                    roles.push(role.replace('_', " "));
                    anywhere |= may(&caller, OTHER_TOWN);
                    let silent = Claims {
                        purpose: None,
                        ..caller
                    };
                    silently &= may(&silent, TOWN);
                }
            }
            let told = if may(&caller, TOWN) {
                "all".to_owned()
            } else {
                roles.join(", ")
            };
            write!(table, " {told} |").unwrap();
        }
        let place = if anywhere {
            "anywhere"
        } else {
            "in their divisions"
        };
        let purpose = if silently { "" } else { "yes" };
        writeln!(table, " {place} | {purpose} |").unwrap();
    }
    table
}

/// What each action is, and the methods that do it.
fn methods_of_actions(gate: &Gate) -> String {
    let mut table = "| action | what it is | RPCs |\n| --- | --- | --- |\n".to_owned();
    for action in Action::ALL {
        let mut contexts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, does) in gate.methods() {
            if does == Some(action) {
                // eldercare.registry.v1.RegistryService/GetElder
                let context = name.split('.').nth(1).unwrap();
                let (_, method) = name.split_once('/').unwrap();
                contexts.entry(context).or_default().push(method);
            }
        }
        let methods = contexts
            .into_iter()
            .map(|(context, methods)| format!("{context}: {}", methods.join(", ")));
        let methods: Vec<String> = methods.collect();
        let (what, methods) = (in_words(action), methods.join("; "));
        writeln!(table, "| `{action}` | {what} | {methods} |").unwrap();
    }
    table
}

fn in_words(action: Action) -> &'static str {
    match action {
        Action::ReadReference => "reads what concerns nobody in particular",
        Action::ReadStatistics => "reads counts over many people",
        Action::ReadPersonal => "reads a person's data",
        Action::ReadOrders => "reads service orders, and what became of them",
        Action::ReadShared => {
            "reads what agreements grant of a person, or all where it is their own"
        }
        Action::BreakGlass => "reads all of a person beyond all agreements",
        Action::ExportPersonal => "takes persons' data out as a file",
        Action::Write => "records facts about people",
        Action::Submit => "hands in what a provider says of its services",
        Action::Import => "records facts about many people at once",
        Action::Signal => "passes on what devices in homes say",
        Action::Review => "decides on what others recorded",
        Action::Administer => "changes policies, divisions, programmes, agreements",
        Action::Operate => "keeps the platform running",
        Action::Erase => "erases a person for good",
        Action::ConfirmErasure => "says that a department has erased what it held of a person",
        Action::Unseal => "gets the keys of sealed data",
        Action::Simulate => "moves the clock, in local mode only",
    }
}
