//! Who may do what: policies in a file that an auditor can read, and the answer for one caller, action and division.
//!
//! The policies are Cedar, checked against a schema when they are loaded; the built-in ones are
//! `deploy/policies/permissions.cedar`. What no policy permits is refused.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    path::Path,
    str::FromStr as _,
    sync::Arc,
};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, RestrictedExpression, Schema, ValidationMode, Validator,
};
use civic::DivisionCode;

use crate::{
    action::{Action, Method, Methods},
    caller::Identity,
    errors,
};

/// The policies that hold where configuration names none.
pub const DEFAULT_POLICIES: &str = include_str!("../../../deploy/policies/permissions.cedar");

const SCHEMA: &str = include_str!("../../../deploy/policies/schema.cedarschema");

/// The division that all others lie in.
const EVERYWHERE: &str = "*";

/// How many answers are remembered.
const REMEMBERED: u64 = 100_000;

/// Policies can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file can't be read.
    #[error("policy file {0}: {1}")]
    File(std::path::PathBuf, std::io::Error),
    /// A policy is not written in Cedar.
    #[error("policies: {0}")]
    Syntax(String),
    /// A policy speaks of what there isn't.
    #[error("policies don't fit the schema: {0}")]
    Invalid(String),
}

/// What is asked for: a method with the group it belongs to, or a group alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Asked {
    /// A method by its number.
    Method(usize),
    /// A group of actions.
    Group(Action),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    caller: [u8; 16],
    purpose: Option<Arc<str>>,
    asked: Asked,
    division: Option<DivisionCode>,
}

/// The policies in force, and the answers given so far.
#[derive(Debug)]
pub(crate) struct Permits {
    policies: PolicySet,
    authorizer: Authorizer,
    methods: Arc<Methods>,
    local: bool,
    types: Types,
    answers: moka::sync::Cache<Question, bool>,
}

#[derive(Debug)]
struct Types {
    action: EntityTypeName,
    caller: EntityTypeName,
    department: EntityTypeName,
    division: EntityTypeName,
    role: EntityTypeName,
}

impl Permits {
    /// Loads the policies of a file, or the built-in ones, for a service with these methods.
    pub(crate) fn load(
        file: Option<&Path>,
        methods: Arc<Methods>,
        local: bool,
    ) -> Result<Self, PolicyError> {
        match file {
            None => Self::new(DEFAULT_POLICIES, methods, local),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|e| PolicyError::File(path.to_owned(), e))?;
                Self::new(&text, methods, local)
            }
        }
    }

    pub(crate) fn new(
        policies: &str,
        methods: Arc<Methods>,
        local: bool,
    ) -> Result<Self, PolicyError> {
        let (schema, _) = Schema::from_cedarschema_str(&schema_text(&methods))
            .map_err(|e| PolicyError::Invalid(errors::with_causes(&e)))?;
        let policies = PolicySet::from_str(policies)
            .map_err(|e| PolicyError::Syntax(errors::with_causes(&e)))?;
        let result = Validator::new(schema).validate(&policies, ValidationMode::Strict);
        if !result.validation_passed() {
            let errors: Vec<String> = result
                .validation_errors()
                .map(ToString::to_string)
                .collect();
            return Err(PolicyError::Invalid(errors.join("; ")));
        }
        let name =
            |name: &str| EntityTypeName::from_str(name).expect("the schema's names are names");
        Ok(Self {
            policies,
            authorizer: Authorizer::new(),
            methods,
            local,
            types: Types {
                action: name("Action"),
                caller: name("Caller"),
                department: name("Department"),
                division: name("Division"),
                role: name("Role"),
            },
            answers: moka::sync::Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_idle(std::time::Duration::from_secs(600))
                .build(),
        })
    }

    /// Whether the policies permit it; `None` is everywhere.
    pub(crate) fn permit(
        &self,
        caller: &Identity,
        purpose: Option<&Arc<str>>,
        asked: Asked,
        division: Option<DivisionCode>,
    ) -> bool {
        let question = Question {
            caller: caller.token_fingerprint,
            purpose: purpose.cloned(),
            asked,
            division,
        };
        if let Some(answer) = self.answers.get(&question) {
            return answer;
        }
        let answer = self.decide(
            caller,
            purpose.map_or("", |purpose| &**purpose),
            asked,
            division,
        );
        self.answers.insert(question, answer);
        answer
    }

    /// Whether there is any place at all where the caller may do this. A handler that knew no more
    /// than that would still give nothing to those who may not do it anywhere.
    pub(crate) fn permit_somewhere(
        &self,
        caller: &Identity,
        purpose: Option<&Arc<str>>,
        asked: Asked,
    ) -> bool {
        self.permit(caller, purpose, asked, None)
            || caller
                .divisions
                .iter()
                .any(|division| self.permit(caller, purpose, asked, Some(*division)))
    }

    fn decide(
        &self,
        caller: &Identity,
        purpose: &str,
        asked: Asked,
        division: Option<DivisionCode>,
    ) -> bool {
        // A fault here is ours (names and attributes are all checked), and refuses.
        self.request(caller, purpose, asked, division)
            .is_some_and(|(request, entities)| {
                let response = self
                    .authorizer
                    .is_authorized(&request, &self.policies, &entities);
                response.decision() == Decision::Allow
            })
    }

    fn request(
        &self,
        caller: &Identity,
        purpose: &str,
        asked: Asked,
        division: Option<DivisionCode>,
    ) -> Option<(Request, Entities)> {
        let mut entities = HashMap::new();
        let principal = uid(
            &self.types.caller,
            &format!("{}:{}", caller.kind.name(), caller.subject),
        );
        let mut parents = HashSet::from([uid(&self.types.department, &caller.department)]);
        parents.extend(caller.roles.iter().map(|role| uid(&self.types.role, role)));
        let mut own: Vec<EntityUid> = caller
            .divisions
            .iter()
            .map(|division| self.place(*division, &mut entities))
            .collect();
        if caller.everywhere {
            own.push(uid(&self.types.division, EVERYWHERE));
        }
        let attributes = HashMap::from([
            (
                "kind".to_owned(),
                RestrictedExpression::new_string(caller.kind.name().to_owned()),
            ),
            (
                "provider".to_owned(),
                RestrictedExpression::new_string(caller.provider.clone().unwrap_or_default()),
            ),
            (
                "divisions".to_owned(),
                RestrictedExpression::new_set(
                    own.into_iter().map(RestrictedExpression::new_entity_uid),
                ),
            ),
        ]);
        entities.insert(
            principal.clone(),
            Entity::new(principal.clone(), attributes, parents).ok()?,
        );

        let group = |action: Action| uid(&self.types.action, action.name());
        let action = match asked {
            Asked::Group(action) => group(action),
            Asked::Method(number) => {
                let method = self.methods.number(number);
                let action = uid(&self.types.action, &method.name);
                let parents = HashSet::from([group(method.action?)]);
                entities.insert(
                    action.clone(),
                    Entity::new_no_attrs(action.clone(), parents),
                );
                action
            }
        };
        let resource = match division {
            Some(division) => self.place(division, &mut entities),
            None => uid(&self.types.division, EVERYWHERE),
        };
        let context = Context::from_pairs([
            (
                "purpose".to_owned(),
                RestrictedExpression::new_string(purpose.to_owned()),
            ),
            (
                "local".to_owned(),
                RestrictedExpression::new_bool(self.local),
            ),
        ])
        .ok()?;
        let request = Request::new(principal, action, resource, context, None).ok()?;
        Some((
            request,
            Entities::from_entities(entities.into_values(), None).ok()?,
        ))
    }

    /// A division, with those that it lies in.
    fn place(
        &self,
        division: DivisionCode,
        entities: &mut HashMap<EntityUid, Entity>,
    ) -> EntityUid {
        for code in division.upwards() {
            let place = uid(&self.types.division, code.as_str());
            let around = code.parent();
            let around = uid(
                &self.types.division,
                around.as_ref().map_or(EVERYWHERE, DivisionCode::as_str),
            );
            entities
                .entry(place.clone())
                .or_insert_with(|| Entity::new_no_attrs(place, HashSet::from([around])));
        }
        uid(&self.types.division, division.as_str())
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn schema_text(methods: &Methods) -> String {
    let mut text = SCHEMA.to_owned();
    for method in methods.iter() {
        let groups = method
            .action
            .map(|action| format!(" in [\"{action}\"]"))
            .unwrap_or_default();
        let Method { name, .. } = method;
        writeln!(
            text,
            "action \"{name}\"{groups} appliesTo {{ principal: [Caller], resource: [Division], context: Circumstances }};"
        )
        .expect("writing to a string does not fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{action::Actions, auth::Claims};

    fn permits(policies: &str) -> Result<Permits, PolicyError> {
        let methods = Methods::new(&[], &Actions::new()).unwrap();
        Permits::new(policies, Arc::new(methods), false)
    }

    fn officer(department: &str, roles: &[&str], divisions: &[&str]) -> Identity {
        let mut claims = Claims::officer("o-1", department);
        for role in roles {
            claims = claims.role(*role);
        }
        for division in divisions {
            claims = claims.division(*division);
        }
        Identity::of_claims(&claims, [0; 16]).unwrap()
    }

    fn may(caller: &Identity, action: Action, division: &str) -> bool {
        let purpose = Arc::from("home visits");
        permits(DEFAULT_POLICIES).unwrap().permit(
            caller,
            Some(&purpose),
            Asked::Group(action),
            Some(division.parse().unwrap()),
        )
    }

    #[test]
    fn an_officer_reaches_what_lies_in_its_divisions() {
        let clerk = officer("civil_affairs", &["clerk"], &["370303105"]);
        assert!(may(&clerk, Action::ReadPersonal, "370303105"));
        assert!(may(&clerk, Action::Write, "370303105201"));
        assert!(!may(&clerk, Action::Write, "370303106201"));
        assert!(
            !may(&clerk, Action::ReadStatistics, "370303"),
            "a county is more than one of its towns"
        );
        assert!(!may(&clerk, Action::Erase, "370303105201"));
        let everywhere = officer("civil_affairs", &["clerk"], &["*"]);
        assert!(may(&everywhere, Action::Write, "110101"));
    }

    #[test]
    fn other_departments_see_figures_and_no_files() {
        let health = officer("health", &["supervisor"], &["370303"]);
        assert!(may(&health, Action::ReadStatistics, "370303105"));
        assert!(!may(&health, Action::ReadPersonal, "370303105"));
    }

    #[test]
    fn other_departments_look_where_they_work_and_supervisors_break_glass() {
        let viewer = officer("health", &["viewer"], &["370303"]);
        assert!(may(&viewer, Action::ReadShared, "370303105"));
        assert!(!may(&viewer, Action::ReadShared, "370304"));
        assert!(!may(&viewer, Action::BreakGlass, "370303105"));
        let supervisor = officer("health", &["supervisor"], &["370303"]);
        assert!(may(&supervisor, Action::BreakGlass, "370303105"));
        assert!(!may(&supervisor, Action::BreakGlass, "370304"));
        let nobody = officer("health", &["operator"], &["370303"]);
        assert!(!may(&nobody, Action::ReadShared, "370303105"));
        let permits = permits(DEFAULT_POLICIES).unwrap();
        let town = Some("370303105".parse().unwrap());
        for action in [Action::ReadShared, Action::BreakGlass] {
            let silent = permits.permit(&supervisor, None, Asked::Group(action), town);
            assert!(!silent, "{action} without a purpose");
        }
    }

    #[test]
    fn operators_keep_it_running_and_civil_affairs_decides() {
        let operator = officer("platform", &["operator"], &["*"]);
        assert!(may(&operator, Action::Operate, "370303"));
        let administrator = officer("civil_affairs", &["administrator"], &["*"]);
        assert!(may(&administrator, Action::Administer, "370303"));
        assert!(!may(&administrator, Action::Operate, "370303"));
        // An operator of whatever department sets neither policies nor divisions, and reads nobody's data.
        for department in ["platform", "finance", "civil_affairs"] {
            let operator = officer(department, &["operator"], &["*"]);
            for action in [
                Action::Administer,
                Action::ReadPersonal,
                Action::Write,
                Action::Erase,
                Action::Unseal,
            ] {
                assert!(
                    !may(&operator, action, "370303"),
                    "{action} by {department}"
                );
            }
        }
    }

    #[test]
    fn a_providers_system_does_what_providers_do_whatever_roles_it_has() {
        let all = [
            "provider",
            "service",
            "supervisor",
            "administrator",
            "privacy_officer",
            "operator",
        ];
        let system = all.into_iter().fold(
            Claims::system("s-1", "civil_affairs").division("370303"),
            Claims::role,
        );
        let identity = |claims: &Claims| Identity::of_claims(claims, [0; 16]).unwrap();
        let bound = identity(&system.clone().provider("P01"));
        for action in Action::ALL {
            let theirs = [Action::ReadReference, Action::ReadOrders, Action::Submit];
            let expected = theirs.contains(&action);
            assert_eq!(may(&bound, action, "370303105"), expected, "{action}");
        }
        assert!(!may(&bound, Action::Submit, "370304"));
        // The role is worth nothing without a provider, nor to an officer.
        let nobodys = Claims::system("s-1", "provider")
            .division("370303")
            .role("provider");
        let officer = Claims {
            kind: crate::caller::Kind::Officer,
            ..nobodys.clone().provider("P01")
        };
        for claims in [nobodys.clone(), nobodys.provider(""), officer] {
            for action in [Action::Submit, Action::ReadOrders] {
                assert!(!may(&identity(&claims), action, "370303105"), "{claims:?}");
            }
        }
    }

    #[test]
    fn who_reads_of_persons_says_what_for_whether_officer_or_system() {
        let permits = permits(DEFAULT_POLICIES).unwrap();
        let system = |department: &str, role: &str| Claims::system("s-1", department).role(role);
        let county = Some("370303".parse().unwrap());
        let callers = [
            (
                Claims::officer("o-1", "civil_affairs").role("clerk"),
                Action::ReadPersonal,
            ),
            (system("civil_affairs", "viewer"), Action::ReadPersonal),
            (
                system("civil_affairs", "supervisor"),
                Action::ExportPersonal,
            ),
            (system("health", "viewer"), Action::ReadShared),
            (
                system("provider", "provider").provider("P01"),
                Action::ReadOrders,
            ),
            (system("platform", "service"), Action::ReadPersonal),
            (system("platform", "service"), Action::Unseal),
        ];
        for (number, (claims, action)) in (0..).zip(callers) {
            let caller = Identity::of_claims(&claims.division("3703"), [number; 16]).unwrap();
            let purpose = Arc::from("review of tiers");
            for (purpose, expected) in [(None, false), (Some(&purpose), true)] {
                let permitted = permits.permit(&caller, purpose, Asked::Group(action), county);
                assert_eq!(permitted, expected, "{action} of {caller:?}");
            }
        }
        // What tells of nobody needs none.
        let service = system("platform", "service").division("*");
        let service = Identity::of_claims(&service, [u8::MAX; 16]).unwrap();
        assert!(permits.permit(&service, None, Asked::Group(Action::Write), county));
    }

    #[test]
    fn officers_never_hold_keys_and_the_clock_stands_outside_local_mode() {
        let all = officer(
            "civil_affairs",
            &["service", "simulator", "administrator"],
            &["*"],
        );
        assert!(!may(&all, Action::Unseal, "370303"));
        assert!(!may(&all, Action::Simulate, "370303"));
    }

    #[test]
    fn each_policy_has_a_name_of_its_own_and_says_why() {
        let policies = PolicySet::from_str(DEFAULT_POLICIES).unwrap();
        let mut names = HashSet::new();
        for policy in policies.policies() {
            let id = policy.annotation("id").unwrap_or_default().trim();
            let reason = policy.annotation("reason").unwrap_or_default().trim();
            assert!(!id.is_empty(), "without @id: {policy}");
            assert!(!reason.is_empty(), "without @reason: {policy}");
            assert!(names.insert(id), "the second one so called: {policy}");
        }
        assert_eq!(policies.templates().count(), 0);
    }

    #[test]
    fn a_policy_that_speaks_of_what_there_is_not_is_refused_at_load() {
        let unknown_action = r#"permit (principal, action == Action::"read_minds", resource);"#;
        assert!(matches!(
            permits(unknown_action),
            Err(PolicyError::Invalid(_))
        ));
        assert!(matches!(
            permits("permit everything;"),
            Err(PolicyError::Syntax(_))
        ));
    }
}
