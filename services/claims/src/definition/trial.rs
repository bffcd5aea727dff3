//! Whether the conditions of a programme can be computed for whomever they may be asked about: tried on everybody whom they can
//! tell apart, before the programme is defined. Later a condition that fails would hold for nobody, and nobody would notice.

use tier_policy::abstraction::{Abstraction, MOST_EVALUATIONS, Undefined};
use tier_policy::policy::Fault;

use super::{Definition, Rule};

impl Definition {
    /// Tries the conditions of a definition that is to be defined: each for persons of any age, whatever rule stands before it.
    /// This may take a second.
    ///
    /// # Errors
    /// Everything that is wrong, by line.
    pub fn tried(&self) -> Result<(), Vec<Fault>> {
        let lists = [
            ("enrolment", &self.enrolment),
            ("entitlement", &self.entitlement),
        ];
        let placed = lists.into_iter().flat_map(|(list, rules)| {
            let rules = rules.iter().enumerate();
            rules.map(move |(place, rule)| (format!("{list}[{place}].when"), rule))
        });
        let mut left = MOST_EVALUATIONS;
        let faults = placed.filter_map(|(path, rule)| tried(&path, rule, &mut left).err());
        let mut faults: Vec<Fault> = faults.collect();
        if faults.is_empty() {
            return Ok(());
        }
        faults.sort_by_key(|fault| fault.line);
        Err(faults)
    }
}

/// Tries a rule's condition, where there are no more persons to try it on than are left.
fn tried(path: &str, rule: &Rule, left: &mut u64) -> Result<(), Fault> {
    let condition = &rule.condition;
    let persons = Abstraction::of_anybody(condition.mentions());
    let count = persons
        .as_ref()
        .map_or_else(|many| many.count, |persons| persons.evaluations(condition));
    let rest = left.checked_sub(count);
    let (Ok(persons), Some(rest)) = (persons, rest) else {
        return Err(Fault::new(
            rule.line,
            "PROGRAMME_TOO_COMPLEX",
            format!(
                "`{path}`: the condition tells apart {count} cases; of the {MOST_EVALUATIONS} that can be checked for a programme {left} are left: use fewer facts or compare with fewer numbers"
            ),
            format!(
                "`{path}`：该条件区分的情形有 {count} 种，一个项目最多可核验 {MOST_EVALUATIONS} 种，尚余 {left} 种，请减少条件中的事项或数值"
            ),
        ));
    };
    *left = rest;
    let failed = persons.tabulate(condition).err();
    failed.map_or(Ok(()), |undefined| {
        let (en, zh) = undefined.texts(condition);
        Err(Fault::new(
            rule.line,
            Undefined::REASON,
            format!("`{path}`: {en}"),
            format!("`{path}`：{zh}"),
        ))
    })
}
