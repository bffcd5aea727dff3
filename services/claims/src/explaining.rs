//! Why a code applies to an order, in words for people (异常说明). Of an elder they tell no more than the days of enrolments, and
//! these not to everybody.

use std::collections::{BTreeMap, HashSet};

use civic::{EvidenceKind, LocalDay, OrderCode};

use crate::adjudication::Registers;
use crate::definition::{Definition, ItemsRule};
use crate::order::Submitted;

/// What a code may follow from.
pub(crate) struct Behind<'a> {
    pub(crate) order: &'a Submitted,
    /// The version of the programme by which the order is judged.
    pub(crate) definition: Option<&'a Definition>,
    /// What they say of whom the order is about, where the code follows from them.
    pub(crate) registers: &'a Registers,
    /// From check-in to home, where it is known.
    pub(crate) metres: Option<i64>,
    /// Whether it may be told when the elder was enrolled.
    pub(crate) enrolments: bool,
}

/// The explanation in English and in Chinese.
pub(crate) fn explain(code: OrderCode, behind: &Behind<'_>) -> (String, String) {
    let (order, definition) = (behind.order, behind.definition);
    let day = order.day();
    let minutes = (order.check_out_at - order.check_in_at).num_minutes();
    match code {
        OrderCode::NotEnrolled => not_enrolled(behind),
        OrderCode::NotEntitled => (
            format!("no rule of the programme entitles somebody of these facts on {day}"),
            format!("{day} 的情况不符合任何一条待遇条件"),
        ),
        OrderCode::NotAliveOrPresent => (
            format!("the elder had died or moved out before {day}"),
            format!("{day} 之前已故或迁出"),
        ),
        OrderCode::ProviderInvalid => provider_invalid(behind),
        OrderCode::DurationShort => {
            let least = definition.map_or(0, |definition| definition.least_minutes);
            (
                format!("the service took {minutes} minutes, {least} are the least"),
                format!("服务时长 {minutes} 分钟，少于 {least} 分钟"),
            )
        }
        OrderCode::ItemsInvalid => match definition.map(|definition| definition.items.rule) {
            Some(ItemsRule::AllBaseAndOneOptional) | None => (
                "the items are not all base items and exactly one optional one, each once"
                    .to_owned(),
                "项目应为全部基础项目加一个可选项目，且不得重复".to_owned(),
            ),
            Some(ItemsRule::OneOrMore) => (
                "the items are not one or more of the programme's, each once".to_owned(),
                "项目应为本项目规定的一项或多项，且不得重复".to_owned(),
            ),
        },
        OrderCode::LocationMismatch => {
            if let Some(metres) = behind.metres {
                (
                    format!("the check-in is {metres} m from home, 500 are the most"),
                    format!("签到位置距住所 {metres} 米，超过 500 米"),
                )
            } else {
                (
                    "the check-in is over 500 m from home".to_owned(),
                    "签到位置距住所超过 500 米".to_owned(),
                )
            }
        }
        OrderCode::EvidenceMissing => evidence_missing(behind),
        OrderCode::EvidenceReused => (
            "a file was handed in with an earlier order already".to_owned(),
            "凭证已用于更早的工单".to_owned(),
        ),
        OrderCode::CaregiverOverlap => (
            "by an earlier order the caregiver was with another elder at that time".to_owned(),
            "更早的工单显示该护理人员同一时间在为他人服务".to_owned(),
        ),
        OrderCode::DuplicateService => (
            "by an earlier order the elder was served at that time already".to_owned(),
            "更早的工单显示该老年人同一时间已接受服务".to_owned(),
        ),
        OrderCode::LateSubmission => {
            let days = definition.map_or(0, |definition| definition.submission_days);
            (
                format!("it was handed in more than {days} days after {day}"),
                format!("提交时间晚于服务日 {day} 后 {days} 天"),
            )
        }
        OrderCode::QuotaExceeded => quota_exceeded(behind),
    }
}

fn not_enrolled(behind: &Behind<'_>) -> (String, String) {
    let order = behind.order;
    let (day, programme) = (order.day(), &order.programme);
    let spells = behind
        .registers
        .enrolments
        .get(&(programme.clone(), order.elder));
    let spells = spells.into_iter().flatten().filter(|_| behind.enrolments);
    let (en, zh) = but(
        "参保期",
        spells.map(|spell| (spell.first, Some(spell.last))),
    );
    (
        format!("the elder was not enrolled in {programme} on {day}{en}"),
        format!("{day} 未参加 {programme}{zh}"),
    )
}

fn provider_invalid(behind: &Behind<'_>) -> (String, String) {
    let (registers, served) = (behind.registers, behind.order.served());
    let (day, programme) = (served.day, &served.programme);
    let (mut en, mut zh) = (Vec::new(), Vec::new());
    if !registers.contracted(&served) {
        let contract = (served.provider.clone(), programme.clone());
        let contracts = registers.contracts.get(&contract);
        let contracts = contracts.into_iter().flat_map(BTreeMap::values);
        let but = but("合同期", contracts.map(|days| (days.first, days.last)));
        en.push(format!(
            "the provider had no contract for {programme} on {day}{}",
            but.0
        ));
        zh.push(format!("{day} 机构无 {programme} 有效合同{}", but.1));
    }
    if !registers.listed(&served) {
        let listed = registers.caregivers.get(&served.caregiver);
        let own = listed.filter(|(provider, _)| *provider == served.provider);
        let own = own.map(|(_, days)| (days.first, days.last));
        let but = but("在册期", own.into_iter());
        en.push(format!(
            "the caregiver was not on its list on {day}{}",
            but.0
        ));
        zh.push(format!("{day} 护理人员不在其名单内{}", but.1));
    }
    if en.is_empty() {
        // What stood against the order has been put right since.
        en.push(format!(
            "the provider had no contract, or the caregiver was not on its list, on {day}"
        ));
        zh.push(format!("{day} 机构无有效合同，或护理人员不在其名单内"));
    }
    (en.join("; "), zh.join("；"))
}

/// The days that there are instead, in brackets; nothing where there are none.
fn but(
    label: &str,
    spells: impl Iterator<Item = (LocalDay, Option<LocalDay>)>,
) -> (String, String) {
    // What ended before it began never held.
    let spells = spells.filter(|(first, last)| last.is_none_or(|last| *first <= last));
    let (en, zh): (Vec<String>, Vec<String>) = spells
        .map(|(first, last)| match last {
            Some(last) => (format!("{first} to {last}"), format!("{first} 至 {last}")),
            None => (format!("from {first} on"), format!("{first} 起")),
        })
        .unzip();
    if en.is_empty() {
        return (String::new(), String::new());
    }
    (
        format!(" (but {})", en.join(", ")),
        format!("（{label}：{}）", zh.join("、")),
    )
}

fn evidence_missing(behind: &Behind<'_>) -> (String, String) {
    let asked = behind.definition.map(|definition| &definition.evidence);
    let asked = asked.into_iter().flatten();
    let asked = in_words(asked.map(|(kind, least)| (*kind, *least)));
    let mut files: BTreeMap<EvidenceKind, HashSet<&[u8]>> = BTreeMap::new();
    for file in &behind.order.evidence {
        files.entry(file.kind).or_default().insert(&file.hash);
    }
    let came = if files.is_empty() {
        ("nothing".to_owned(), "0份".to_owned())
    } else {
        in_words(files.iter().map(|(kind, files)| (*kind, files.len())))
    };
    (
        format!("the programme asks for {}; {} came", asked.0, came.0),
        format!("本项目要求{}，实收{}", asked.1, came.1),
    )
}

fn in_words(files: impl Iterator<Item = (EvidenceKind, usize)>) -> (String, String) {
    let (en, zh): (Vec<String>, Vec<String>) = files
        .map(|(kind, number)| {
            (
                format!("{number} {}", kind.name()),
                format!("{}{number}份", kind.chinese()),
            )
        })
        .unzip();
    (en.join(", "), zh.join("、"))
}

fn quota_exceeded(behind: &Behind<'_>) -> (String, String) {
    let order = behind.order;
    let (takes, quota, year) = (order.units, order.units_a_year, order.day().year());
    let unit = behind
        .definition
        .map(|definition| definition.quota.unit.chinese());
    let unit = unit.unwrap_or_default();
    // That much is certain of what was used when it was judged: what is used by now is GetEntitlement's to tell.
    let bearing = quota.saturating_sub(takes);
    let (en, zh) = if bearing < 0 {
        (String::new(), String::new())
    } else {
        (
            format!(", of which more than {bearing} were used"),
            format!("，其中已用超过 {bearing} {unit}"),
        )
    };
    (
        format!("approving it takes {takes}; the year {year} has {quota}{en}"),
        format!("通过需用 {takes} {unit}；{year} 年度额度为 {quota} {unit}{zh}"),
    )
}
