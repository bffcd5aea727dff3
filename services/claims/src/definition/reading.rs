//! How a definition is read from YAML: each part is checked, and all that is wrong is told by its line.

use std::collections::{BTreeMap, HashSet};

use civic::{EntitlementUnit, EvidenceKind, Fen};
use serde::Deserialize;
use serde_saphyr::Spanned;
use tier_policy::condition::Condition;
use tier_policy::policy::{Fault, not_kept};

use super::{DAY_MINUTES, Definition, Items, ItemsRule, Price, Quota, Rule};

/// The longest definition, in bytes.
const LONGEST: usize = 64 * 1024;
/// The most rules of a list, and the most items.
const MOST: usize = 64;
/// The longest name of a programme or an item, in characters.
const LONGEST_NAME: usize = 100;
/// The longest name of a rule or an item's code, in bytes.
const LONGEST_CODE: usize = 64;
/// The most that a premium or a price may be, in fen: a million yuan.
const MOST_FEN: i64 = 100_000_000;
/// The most of a year's entitlement: all minutes of a leap year.
const MOST_UNITS: i64 = 366 * 24 * 60;
/// The most days of a limit.
const MOST_DAYS: i64 = 3_650;

/// Reads a definition, and collects all that is wrong.
pub(super) fn read(yaml: &str) -> Result<Definition, Vec<Fault>> {
    if yaml.len() > LONGEST {
        return Err(vec![Fault::new(
            1,
            "DEFINITION_TOO_LONG",
            format!("the definition is longer than {LONGEST} bytes"),
            format!("项目定义超过 {LONGEST} 字节"),
        )]);
    }
    if let Some(fault) = not_kept(yaml) {
        return Err(vec![fault]);
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_aliases: 0,
            max_anchors: 0,
            max_depth: 16,
            max_documents: 1,
            max_nodes: 20_000,
        },
        with_snippet: false,
    };
    let draft: Draft = serde_saphyr::from_str_with_options(yaml, options)
        .map_err(|error| vec![unparsable(&error)])?;
    let mut reading = Reading::default();
    let definition = reading.definition(draft);
    match (definition, reading.faults) {
        (Some(definition), faults) if faults.is_empty() => Ok(definition),
        (_, mut faults) => {
            faults.sort_by_key(|fault| fault.line);
            Err(faults)
        }
    }
}

fn unparsable(error: &serde_saphyr::Error) -> Fault {
    let line = error.location().map_or(1, |location| {
        u32::try_from(location.line()).unwrap_or(u32::MAX)
    });
    let told = error.to_string();
    let told: String = told.chars().filter(|c| !c.is_control()).take(300).collect();
    Fault::new(
        line.max(1),
        "DEFINITION_UNPARSABLE",
        format!("the definition can't be read: {told}"),
        "项目定义不是有效的 YAML，或其中的字段不符合规定".to_owned(),
    )
}

/// A definition as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    name: Spanned<String>,
    effective_from: Spanned<String>,
    #[serde(default)]
    premium_fen: Option<Spanned<i64>>,
    #[serde(default)]
    requires_poverty: bool,
    enrolment: Spanned<Vec<DraftRule>>,
    entitlement: Spanned<Vec<DraftRule>>,
    quota: Spanned<DraftQuota>,
    least_minutes: Spanned<i64>,
    price: Spanned<DraftPrice>,
    items: Spanned<DraftItems>,
    evidence: Spanned<BTreeMap<String, i64>>,
    submission_days: Spanned<i64>,
    appeal_days: Spanned<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftRule {
    rule: Spanned<String>,
    when: Spanned<String>,
    source: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftQuota {
    services: Option<i64>,
    minutes: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftPrice {
    fen_a_service: Option<i64>,
    fen_an_hour: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftItems {
    #[serde(default)]
    base: BTreeMap<String, String>,
    #[serde(default)]
    optional: BTreeMap<String, String>,
    rule: Spanned<String>,
}

/// Makes a definition of what is written, and collects all that is wrong on the way.
#[derive(Default)]
struct Reading {
    faults: Vec<Fault>,
}

impl Reading {
    fn definition(&mut self, draft: Draft) -> Option<Definition> {
        let name = self.text(&draft.name, LONGEST_NAME);
        let effective_from = draft.effective_from.value.parse().ok();
        if effective_from.is_none() {
            self.fault(
                line(&draft.effective_from),
                "DAY_INVALID",
                "`effective_from` is no day of the form YYYY-MM-DD",
                "`effective_from` 应为 YYYY-MM-DD 形式的日期",
            );
        }
        let premium = draft.premium_fen.map_or(Some(0), |premium| {
            self.number("premium_fen", &premium, premium.value, 0, MOST_FEN)
        });
        let enrolment = self.rules("enrolment", draft.enrolment);
        let entitlement = self.rules("entitlement", draft.entitlement);
        let quota = self.quota(&draft.quota);
        let minutes = &draft.least_minutes;
        let least_minutes = self.number("least_minutes", minutes, minutes.value, 0, DAY_MINUTES);
        let price = self.price(&draft.price);
        let items = self.items(draft.items);
        let evidence = self.evidence(&draft.evidence);
        let days = &draft.submission_days;
        let submission_days = self.number("submission_days", days, days.value, 0, MOST_DAYS);
        let days = &draft.appeal_days;
        let appeal_days = self.number("appeal_days", days, days.value, 0, MOST_DAYS);
        Some(Definition {
            name,
            effective_from: effective_from?,
            premium: Fen(premium?),
            requires_poverty: draft.requires_poverty,
            enrolment: enrolment?,
            entitlement: entitlement?,
            quota: quota?,
            least_minutes: least_minutes?,
            price: price?,
            items: items?,
            evidence: evidence?,
            submission_days: submission_days?,
            appeal_days: appeal_days?,
        })
    }

    fn rules(&mut self, what: &str, rules: Spanned<Vec<DraftRule>>) -> Option<Vec<Rule>> {
        let at = line(&rules);
        if !(1..=MOST).contains(&rules.value.len()) {
            self.fault(
                at,
                "COUNT_OUT_OF_RANGE",
                format!("`{what}` needs 1 to {MOST} rules"),
                format!("`{what}` 应有 1 至 {MOST} 条规则"),
            );
        }
        let mut names = HashSet::new();
        let mut read = Vec::new();
        for draft in rules.value.into_iter().take(MOST) {
            self.code(line(&draft.rule), &draft.rule.value);
            if !names.insert(draft.rule.value.clone()) {
                self.fault(
                    line(&draft.rule),
                    "RULE_REPEATED",
                    "a rule of this name stands twice",
                    "规则名称重复",
                );
            }
            let source = draft
                .source
                .map_or_else(String::new, |source| self.text(&source, 10 * LONGEST_NAME));
            match Condition::compile(&draft.when.value) {
                Ok(condition) => read.push(Rule {
                    name: draft.rule.value,
                    condition,
                    source,
                    line: line(&draft.when),
                }),
                Err(fault) => {
                    self.fault(line(&draft.when), fault.reason(), fault.en(), fault.zh());
                }
            }
        }
        Some(read)
    }

    fn quota(&mut self, quota: &Spanned<DraftQuota>) -> Option<Quota> {
        let (unit, units) = match (quota.value.services, quota.value.minutes) {
            (Some(services), None) => (EntitlementUnit::Services, services),
            (None, Some(minutes)) => (EntitlementUnit::Minutes, minutes),
            (Some(_), Some(_)) | (None, None) => {
                self.fault(
                    line(quota),
                    "QUOTA_INVALID",
                    "`quota` has either `services` or `minutes`",
                    "`quota` 应为 `services` 或 `minutes` 之一",
                );
                return None;
            }
        };
        let units = self.number("quota", quota, units, 0, MOST_UNITS)?;
        Some(Quota { unit, units })
    }

    fn price(&mut self, price: &Spanned<DraftPrice>) -> Option<Price> {
        match (price.value.fen_a_service, price.value.fen_an_hour) {
            (Some(fen), None) => {
                let fen = self.number("fen_a_service", price, fen, 0, MOST_FEN)?;
                Some(Price::AService(Fen(fen)))
            }
            (None, Some(fen)) => {
                let fen = self.number("fen_an_hour", price, fen, 0, MOST_FEN)?;
                Some(Price::AnHour(Fen(fen)))
            }
            (Some(_), Some(_)) | (None, None) => {
                self.fault(
                    line(price),
                    "PRICE_INVALID",
                    "`price` has either `fen_a_service` or `fen_an_hour`",
                    "`price` 应为 `fen_a_service` 或 `fen_an_hour` 之一",
                );
                None
            }
        }
    }

    fn items(&mut self, items: Spanned<DraftItems>) -> Option<Items> {
        let at = line(&items);
        let DraftItems {
            base,
            optional,
            rule,
        } = items.value;
        if !(1..=MOST).contains(&(base.len() + optional.len())) {
            self.fault(
                at,
                "COUNT_OUT_OF_RANGE",
                format!("`items` needs 1 to {MOST} items"),
                format!("`items` 应有 1 至 {MOST} 个项目"),
            );
        }
        for (code, name) in base.iter().chain(&optional) {
            self.code(at, code);
            if name.is_empty() || name.chars().count() > LONGEST_NAME {
                self.fault(
                    at,
                    "TEXT_INVALID",
                    format!("an item's name has 1 to {LONGEST_NAME} characters"),
                    format!("项目名称应为 1 至 {LONGEST_NAME} 个字符"),
                );
            }
        }
        if base.keys().any(|code| optional.contains_key(code)) {
            self.fault(
                at,
                "ITEM_REPEATED",
                "an item is either a base or an optional one",
                "同一项目不能既是基础项目又是可选项目",
            );
        }
        let rule = match rule.value.as_str() {
            "ALL_BASE_AND_ONE_OPTIONAL" => ItemsRule::AllBaseAndOneOptional,
            "ONE_OR_MORE" => ItemsRule::OneOrMore,
            _ => {
                self.fault(
                    line(&rule),
                    "ITEMS_RULE_UNKNOWN",
                    "the rule of items is ALL_BASE_AND_ONE_OPTIONAL or ONE_OR_MORE",
                    "项目规则应为 ALL_BASE_AND_ONE_OPTIONAL 或 ONE_OR_MORE",
                );
                return None;
            }
        };
        Some(Items {
            base,
            optional,
            rule,
        })
    }

    fn evidence(
        &mut self,
        evidence: &Spanned<BTreeMap<String, i64>>,
    ) -> Option<BTreeMap<EvidenceKind, usize>> {
        let mut least = BTreeMap::new();
        for (kind, count) in &evidence.value {
            let Some(kind) = EvidenceKind::from_name(kind) else {
                self.fault(
                    line(evidence),
                    "EVIDENCE_UNKNOWN",
                    "evidence is VIDEO or PHOTO",
                    "凭证类型应为 VIDEO 或 PHOTO",
                );
                continue;
            };
            let count = self.number("evidence", evidence, *count, 0, 50)?;
            least.insert(kind, usize::try_from(count).unwrap_or_default());
        }
        Some(least)
    }

    fn number<T>(
        &mut self,
        what: &str,
        at: &Spanned<T>,
        value: i64,
        least: i64,
        most: i64,
    ) -> Option<i64> {
        if (least..=most).contains(&value) {
            return Some(value);
        }
        self.fault(
            line(at),
            "OUT_OF_RANGE",
            format!("`{what}` must be from {least} to {most}"),
            format!("`{what}` 应在 {least} 至 {most} 之间"),
        );
        None
    }

    /// UPPER_SNAKE_CASE: letters, digits and single underscores, a letter first.
    fn code(&mut self, line: u32, text: &str) {
        let upper = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
        let well_formed = text.len() <= LONGEST_CODE
            && text.starts_with(|c: char| c.is_ascii_uppercase())
            && text
                .split('_')
                .all(|part| !part.is_empty() && part.bytes().all(upper));
        if !well_formed {
            self.fault(
                line,
                "NAME_INVALID",
                format!("names are UPPER_SNAKE_CASE, of {LONGEST_CODE} characters at most"),
                format!("名称应为大写字母、数字和下划线，最多 {LONGEST_CODE} 个字符"),
            );
        }
    }

    fn text(&mut self, text: &Spanned<String>, most: usize) -> String {
        if text.value.trim().is_empty() || text.value.chars().count() > most {
            self.fault(
                line(text),
                "TEXT_INVALID",
                format!("a text has 1 to {most} characters"),
                format!("文字应为 1 至 {most} 个字符"),
            );
        }
        text.value.clone()
    }

    fn fault(
        &mut self,
        line: u32,
        reason: &'static str,
        en: impl Into<String>,
        zh: impl Into<String>,
    ) {
        self.faults.push(Fault::new(line, reason, en, zh));
    }
}

fn line<T>(spanned: &Spanned<T>) -> u32 {
    u32::try_from(spanned.referenced.line())
        .unwrap_or(u32::MAX)
        .max(1)
}
