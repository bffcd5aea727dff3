//! Why a code applies to an order, in words for people (异常说明). Nothing personal stands in them.

use civic::OrderCode;

use crate::definition::{Definition, ItemsRule};
use crate::order::Submitted;

/// The explanation in English and in Chinese.
pub(crate) fn explain(
    code: OrderCode,
    order: &Submitted,
    definition: Option<&Definition>,
) -> (String, String) {
    let day = order.day();
    let minutes = (order.check_out_at - order.check_in_at).num_minutes();
    match code {
        OrderCode::NotEnrolled => (
            format!("the elder was not enrolled in {} on {day}", order.programme),
            format!("{day} 未参加 {}", order.programme),
        ),
        OrderCode::NotEntitled => (
            format!("no rule of the programme entitles somebody of these facts on {day}"),
            format!("{day} 的情况不符合任何一条待遇条件"),
        ),
        OrderCode::NotAliveOrPresent => (
            format!("the elder had died or moved out before {day}"),
            format!("{day} 之前已故或迁出"),
        ),
        OrderCode::ProviderInvalid => (
            format!("the provider had no contract, or the caregiver was not on its list, on {day}"),
            format!("{day} 机构无有效合同，或护理人员不在其名单内"),
        ),
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
            let metres = order.facts.metres_from_home.unwrap_or_default();
            (
                format!("the check-in is {metres} m from home, 500 are the most"),
                format!("签到位置距住所 {metres} 米，超过 500 米"),
            )
        }
        OrderCode::EvidenceMissing => {
            let evidence = definition.map(|definition| &definition.evidence);
            let evidence = evidence.into_iter().flatten();
            let (en, zh): (Vec<String>, Vec<String>) = evidence
                .map(|(kind, least)| {
                    (
                        format!("{least} {}", kind.name()),
                        format!("{}{least}份", kind.chinese()),
                    )
                })
                .unzip();
            (
                format!("the programme asks for {}", en.join(", ")),
                format!("本项目要求{}", zh.join("、")),
            )
        }
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
        OrderCode::QuotaExceeded => (
            format!(
                "approving it would pass the {} of the year {}",
                order.units_a_year,
                day.year()
            ),
            format!(
                "通过后将超出 {} 年度额度 {}",
                day.year(),
                order.units_a_year
            ),
        ),
    }
}
