//! What callers do, in the words of the permission policies, and which method of a service does what.

use std::{collections::HashMap, fmt};

use opentelemetry::KeyValue;
use prost::Message as _;
use prost_types::FileDescriptorSet;

use crate::caller::Identity;

/// What a call does, as policies speak of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Reads what concerns nobody in particular: divisions, policies, programmes.
    ReadReference,
    /// Reads counts over many people.
    ReadStatistics,
    /// Reads a person's data.
    ReadPersonal,
    /// Reads what was handed in about services to persons, and what became of it.
    ReadOrders,
    /// Reads what agreements grant of a person, or all where the data is the caller's own.
    ReadShared,
    /// Reads all of a person beyond all agreements, for a written reason.
    BreakGlass,
    /// Takes persons' data out as a file.
    ExportPersonal,
    /// Records facts about people.
    Write,
    /// Hands in what a provider says of its services.
    Submit,
    /// Records facts about many people at once, from a file.
    Import,
    /// Passes on what devices in homes say.
    Signal,
    /// Decides on what others recorded: duplicates, doubts, appeals.
    Review,
    /// Changes policies, divisions and other settings of the service.
    Administer,
    /// Keeps the platform running: rotates keys. Changes nothing that is recorded or decided.
    Operate,
    /// Erases a person for good.
    Erase,
    /// Says that a department has erased what it held of a person.
    ConfirmErasure,
    /// Gets the keys that unseal personal data; for services of the system.
    Unseal,
    /// Moves the clock; in local mode only.
    Simulate,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 18] = [
        Self::ReadReference,
        Self::ReadStatistics,
        Self::ReadPersonal,
        Self::ReadOrders,
        Self::ReadShared,
        Self::BreakGlass,
        Self::ExportPersonal,
        Self::Write,
        Self::Submit,
        Self::Import,
        Self::Signal,
        Self::Review,
        Self::Administer,
        Self::Operate,
        Self::Erase,
        Self::ConfirmErasure,
        Self::Unseal,
        Self::Simulate,
    ];

    /// The action's name in policies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadReference => "read_reference",
            Self::ReadStatistics => "read_statistics",
            Self::ReadPersonal => "read_personal",
            Self::ReadOrders => "read_orders",
            Self::ReadShared => "read_shared",
            Self::BreakGlass => "break_glass",
            Self::ExportPersonal => "export_personal",
            Self::Write => "write",
            Self::Submit => "submit",
            Self::Import => "import",
            Self::Signal => "signal",
            Self::Review => "review",
            Self::Administer => "administer",
            Self::Operate => "operate",
            Self::Erase => "erase",
            Self::ConfirmErasure => "confirm_erasure",
            Self::Unseal => "unseal",
            Self::Simulate => "simulate",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which method does what, and which are urgent. A method that stands in no table is refused to everybody.
#[derive(Debug, Clone, Default)]
pub struct Actions {
    declared: Vec<(String, Action)>,
    urgent: Vec<(String, Urgency)>,
}

/// Whose calls of a method have places that no others take.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Urgency {
    /// Everybody's.
    All,
    /// Those of these services of the platform, by the subjects of their tokens.
    Of(Vec<String>),
}

impl Actions {
    /// No method is declared.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares methods of a service, by its full name: `("eldercare.registry.v1.RegistryService", &[("GetElder", Action::ReadPersonal)])`.
    #[must_use]
    pub fn declare(mut self, service: &str, methods: &[(&str, Action)]) -> Self {
        self.declared.extend(
            methods
                .iter()
                .map(|(method, action)| (format!("{service}/{method}"), *action)),
        );
        self
    }

    /// Says which of the declared methods of a service are urgent: help depends on them. They have places of their own
    /// (`grpc.max_urgent_calls`, `grpc.max_urgent_streams`), so that nothing else turns them away.
    #[must_use]
    pub fn urgent(self, service: &str, methods: &[&str]) -> Self {
        self.urgent_by(service, methods, &Urgency::All)
    }

    /// As [`Actions::urgent`], where these services of the platform call, whom the subjects of their tokens name: help depends
    /// on what these ask, and whatever others ask of the same methods takes the places of all. Said more than once of a
    /// method, all of it holds.
    #[must_use]
    pub fn urgent_of(self, callers: &[&str], service: &str, methods: &[&str]) -> Self {
        let callers = callers.iter().map(|caller| (*caller).to_owned());
        self.urgent_by(service, methods, &Urgency::Of(callers.collect()))
    }

    fn urgent_by(mut self, service: &str, methods: &[&str], urgency: &Urgency) -> Self {
        let methods = methods.iter();
        self.urgent
            .extend(methods.map(|method| (format!("{service}/{method}"), urgency.clone())));
        self
    }

    /// Adds all that `other` declares.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.declared.extend(other.declared);
        self.urgent.extend(other.urgent);
        self
    }
}

/// A method that the server knows.
#[derive(Debug)]
pub(crate) struct Method {
    /// Full name, as `eldercare.registry.v1.RegistryService/GetElder`.
    pub(crate) name: String,
    /// Its place among the methods.
    pub(crate) number: usize,
    /// Whether requests or answers are streamed.
    pub(crate) streaming: bool,
    /// What it does; `None` is refused to everybody.
    pub(crate) action: Option<Action>,
    /// Health and reflection answer everybody, also under load.
    pub(crate) open: bool,
    /// Whose calls of it have places that others never take.
    urgent: Vec<Urgency>,
    /// Its labels in metrics.
    pub(crate) labels: [KeyValue; 2],
}

/// All methods of the contracts.
#[derive(Debug)]
pub(crate) struct Methods {
    all: Vec<Method>,
    by_path: HashMap<String, usize>,
    unknown: Method,
    unknown_open: Method,
}

const UNKNOWN: usize = usize::MAX;
const UNKNOWN_OPEN: usize = usize::MAX - 1;
const OPEN: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// The table of actions does not fit the contracts.
#[derive(Debug, thiserror::Error)]
pub enum ActionsError {
    /// Descriptors can't be read.
    #[error("the descriptors of the contracts can't be read: {0}")]
    Descriptors(#[from] prost::DecodeError),
    /// A declared method is in no contract.
    #[error("the method {0} has an action and stands in no contract")]
    Unknown(String),
    /// An urgent method is not declared.
    #[error("the method {0} is urgent and has no action")]
    Undeclared(String),
}

impl Methods {
    pub(crate) fn new(descriptors: &[&[u8]], actions: &Actions) -> Result<Self, ActionsError> {
        let mut all = Vec::new();
        for set in descriptors {
            for file in FileDescriptorSet::decode(*set)?.file {
                for service in &file.service {
                    for method in &service.method {
                        let name =
                            format!("{}.{}/{}", file.package(), service.name(), method.name());
                        all.push((name, method.client_streaming() || method.server_streaming()));
                    }
                }
            }
        }
        all.sort();
        all.dedup();
        if let Some((name, _)) = actions
            .declared
            .iter()
            .find(|(name, _)| !all.iter().any(|(known, _)| known == name))
        {
            return Err(ActionsError::Unknown(name.clone()));
        }
        let declared: HashMap<&str, Action> = actions
            .declared
            .iter()
            .map(|(name, action)| (name.as_str(), *action))
            .collect();
        let mut urgent = actions.urgent.iter();
        if let Some((name, _)) = urgent.find(|(name, _)| !declared.contains_key(name.as_str())) {
            return Err(ActionsError::Undeclared(name.clone()));
        }
        let all: Vec<Method> = all
            .into_iter()
            .enumerate()
            .map(|(number, (name, streaming))| {
                let action = declared.get(name.as_str()).copied();
                let urgent = actions.urgent.iter();
                let urgent = urgent.filter(|(urgent, _)| *urgent == name);
                Method {
                    urgent: urgent.map(|(_, urgency)| urgency.clone()).collect(),
                    ..Method::new(name, number, streaming, action, false)
                }
            })
            .collect();
        let by_path = all
            .iter()
            .map(|method| (format!("/{}", method.name), method.number))
            .collect();
        Ok(Self {
            by_path,
            unknown: Method::new("_OTHER".to_owned(), UNKNOWN, false, None, false),
            unknown_open: Method::new("_OPEN".to_owned(), UNKNOWN_OPEN, true, None, true),
            all,
        })
    }

    /// The method of a request's path. All unknown paths are one method, so that strangers can't fill metrics with names.
    pub(crate) fn of_path(&self, path: &str) -> &Method {
        if let Some(number) = self.by_path.get(path) {
            return &self.all[*number];
        }
        let service = path
            .trim_start_matches('/')
            .split('/')
            .next()
            .unwrap_or_default();
        if OPEN.contains(&service) {
            &self.unknown_open
        } else {
            &self.unknown
        }
    }

    pub(crate) fn number(&self, number: usize) -> &Method {
        match number {
            UNKNOWN_OPEN => &self.unknown_open,
            known => self.all.get(known).unwrap_or(&self.unknown),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Method> {
        self.all.iter()
    }

    /// Methods of a service that no table names: they are refused, which is worth a warning at the start.
    pub(crate) fn undeclared<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a str> {
        self.all
            .iter()
            .filter(move |method| {
                method.action.is_none() && method.name.split('/').next() == Some(service)
            })
            .map(|method| method.name.as_str())
    }
}

impl Method {
    fn new(
        name: String,
        number: usize,
        streaming: bool,
        action: Option<Action>,
        open: bool,
    ) -> Self {
        let labels = [
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", name.clone()),
        ];
        Self {
            name,
            number,
            streaming,
            action,
            open,
            urgent: Vec::new(),
            labels,
        }
    }

    /// Whether a call of it by somebody has places that others never take.
    pub(crate) fn is_urgent_of(&self, caller: &Identity) -> bool {
        self.urgent.iter().any(|urgency| match urgency {
            Urgency::All => true,
            Urgency::Of(callers) => {
                caller.is_of_the_platform() && callers.contains(&caller.subject)
            }
        })
    }

    /// Whether that depends on who calls it.
    pub(crate) fn may_be_urgent(&self) -> bool {
        !self.urgent.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use crate::auth::Claims;

    use super::*;

    fn caller(claims: &Claims) -> Identity {
        Identity::of_claims(claims, [0; 16]).unwrap()
    }

    #[test]
    fn a_method_may_be_urgent_of_everybody_of_some_services_or_of_nobody() {
        const VAULT: &str = "eldercare.registry.v1.VaultService";
        let methods = ["GetKeys", "CreateKeys", "RotateKeys"];
        let actions = Actions::new()
            .declare(VAULT, &methods.map(|method| (method, Action::Unseal)))
            .urgent(VAULT, &["CreateKeys"])
            .urgent_of(&["alerts"], VAULT, &["GetKeys"])
            .and(Actions::new().urgent_of(&["tiering"], VAULT, &["CreateKeys", "GetKeys"]));
        let all = Methods::new(&[proto::FILE_DESCRIPTOR_SET], &actions).unwrap();
        let service = |name: &str| caller(&Claims::system(name, "platform").role("service"));
        let urgent = |caller: &Identity| {
            let path = |method: &str| format!("/{VAULT}/{method}");
            methods.map(|method| all.of_path(&path(method)).is_urgent_of(caller))
        };
        assert_eq!(urgent(&service("alerts")), [true, true, false]);
        assert_eq!(urgent(&service("tiering")), [true, true, false]);
        assert_eq!(urgent(&service("visits")), [false, true, false]);
        // Whoever only bears the name is no service of the platform.
        let named = caller(&Claims::system("alerts", "health"));
        assert_eq!(urgent(&named), [false, true, false]);
        let officer = caller(&Claims::officer("alerts", "platform").role("service"));
        assert_eq!(urgent(&officer), [false, true, false]);
    }
}
