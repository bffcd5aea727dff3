//! The terms of the trade as the APIs number them, the data sets spell them and officers say them in Chinese.

use civic::Term;
use proto::eldercare::{
    alerts::v1 as alerts,
    claims::v1 as claims,
    registry::v1::{SurveyOutcome, SurveyRejection, SurveyWarning},
    tiering::v1::Interval,
    r#type::v1 as types,
    visits::v1::{Doubt, SkipReason, UnplannedReason, VisitorKind},
};

/// A closed list of the APIs, each word of which has a number there and a name in data sets.
pub trait Word: TryFrom<i32> + Copy {
    /// What stands before the name in the contract, such as `CATEGORY_`.
    const PREFIX: &'static str;

    /// The word by its whole name in the contract.
    fn of_contract(name: &str) -> Option<Self>;

    /// The whole name in the contract.
    fn in_contract(&self) -> &'static str;

    /// The word by the name that data sets use. The unspecified word has none.
    fn named(name: &str) -> Option<Self> {
        if name == "UNSPECIFIED" {
            return None;
        }
        Self::of_contract(&format!("{}{name}", Self::PREFIX))
    }

    /// The name that data sets use.
    fn name(&self) -> &'static str {
        let whole = self.in_contract();
        whole.strip_prefix(Self::PREFIX).unwrap_or(whole)
    }
}

/// The name of a word by its number; `None` for the unspecified one and for numbers that nobody knows.
pub fn name_of<W: Word>(number: i32) -> Option<&'static str> {
    if number == 0 {
        return None;
    }
    W::try_from(number).ok().map(|word| word.name())
}

/// The names of words by their numbers; a number that nobody knows stands as `?`.
pub fn names_of<W: Word>(numbers: &[i32]) -> Vec<&'static str> {
    numbers
        .iter()
        .map(|number| name_of::<W>(*number).unwrap_or("?"))
        .collect()
}

macro_rules! words {
    ($($word:ty = $prefix:literal),+ $(,)?) => {$(
        impl Word for $word {
            const PREFIX: &'static str = $prefix;

            fn of_contract(name: &str) -> Option<Self> {
                Self::from_str_name(name)
            }

            fn in_contract(&self) -> &'static str {
                self.as_str_name()
            }
        }
    )+};
}

words! {
    types::Sex = "SEX_",
    types::Category = "CATEGORY_",
    types::Assistance = "ASSISTANCE_",
    types::CapabilityLevel = "CAPABILITY_LEVEL_",
    types::Observation = "OBSERVATION_",
    types::CircumstanceKind = "CIRCUMSTANCE_KIND_",
    types::ConsentState = "CONSENT_STATE_",
    types::ConsentGiver = "CONSENT_GIVER_",
    types::ServiceKind = "SERVICE_KIND_",
    types::VisitMode = "VISIT_MODE_",
    types::ElderStatus = "ELDER_STATUS_",
    types::DivisionLevel = "DIVISION_LEVEL_",
    SurveyOutcome = "SURVEY_OUTCOME_",
    SurveyRejection = "SURVEY_REJECTION_",
    SurveyWarning = "SURVEY_WARNING_",
    Interval = "INTERVAL_",
    VisitorKind = "VISITOR_KIND_",
    Doubt = "DOUBT_",
    SkipReason = "SKIP_REASON_",
    UnplannedReason = "UNPLANNED_REASON_",
    alerts::DeviceKind = "DEVICE_KIND_",
    alerts::SignalKind = "SIGNAL_KIND_",
    alerts::AlertKind = "ALERT_KIND_",
    alerts::Severity = "SEVERITY_",
    alerts::AlertStage = "ALERT_STAGE_",
    alerts::AlertOutcome = "ALERT_OUTCOME_",
    alerts::AwayReason = "AWAY_REASON_",
    alerts::NoticeChannel = "NOTICE_CHANNEL_",
    alerts::RecipientRole = "RECIPIENT_ROLE_",
    claims::OrderCode = "ORDER_CODE_",
    claims::OrderState = "ORDER_STATE_",
    claims::AppealState = "APPEAL_STATE_",
    claims::AppealDecision = "APPEAL_DECISION_",
    claims::NotSettledReason = "NOT_SETTLED_REASON_",
    claims::EvidenceKind = "EVIDENCE_KIND_",
    claims::EntitlementUnit = "ENTITLEMENT_UNIT_",
    claims::EnrolmentOutcomeKind = "ENROLMENT_OUTCOME_KIND_",
    claims::SettlementStage = "SETTLEMENT_STAGE_",
    claims::FundAccount = "FUND_ACCOUNT_",
    claims::HoldState = "HOLD_STATE_",
    claims::SuspicionKind = "SUSPICION_KIND_",
}

/// What officers call a name of ours; empty where they have no word for it.
pub fn chinese(name: &str) -> &'static str {
    fn term<T: Term>(name: &str) -> Option<&'static str> {
        T::from_name(name).map(T::chinese)
    }
    let of_the_trade = term::<civic::Category>(name)
        .or_else(|| term::<civic::Assistance>(name))
        .or_else(|| term::<civic::CapabilityLevel>(name))
        .or_else(|| term::<civic::Observation>(name))
        .or_else(|| term::<civic::CircumstanceKind>(name))
        .or_else(|| term::<civic::ServiceKind>(name))
        .or_else(|| term::<civic::VisitMode>(name))
        .or_else(|| term::<civic::ElderStatus>(name))
        .or_else(|| term::<civic::ConsentState>(name))
        .or_else(|| term::<civic::ConsentGiver>(name))
        .or_else(|| term::<civic::Sex>(name))
        .or_else(|| term::<civic::SkipReason>(name))
        .or_else(|| term::<civic::UnplannedReason>(name))
        .or_else(|| term::<civic::AlertKind>(name))
        .or_else(|| term::<civic::Severity>(name))
        .or_else(|| term::<civic::SignalKind>(name))
        .or_else(|| term::<civic::DeviceKind>(name))
        .or_else(|| term::<civic::AlertOutcome>(name))
        .or_else(|| term::<civic::RecipientRole>(name))
        .or_else(|| term::<civic::NoticeChannel>(name));
    of_the_trade.unwrap_or(match name {
        "RAISED" => "待响应",
        "ACKNOWLEDGED" => "已响应",
        "DISPATCHED" => "已派出",
        "RESOLVED" => "已处置",
        "PRIORITY" => "重点人群",
        "SECONDARY" => "次重点人群",
        "GENERAL" => "一般人群",
        "AGE_80" => "80周岁及以上",
        "HANDICAP_1_2" => "一二级残疾",
        "LOW_INCOME" => "低保特困",
        "SEVERE_DISABILITY" => "重度及完全失能",
        "MODERATE_DISABILITY" => "中度失能",
        "MILD_DISABILITY" => "轻度失能",
        "HEALTHY" => "能力完好",
        "ASSESSMENT_DUE" => "待评估",
        "WEEKLY" => "每周",
        "MONTHLY" => "每月",
        "ACCEPTED" => "建档",
        "DUPLICATE" => "重复",
        "REJECTED" => "退回",
        "CHANGED" => "有变更",
        "UNCHANGED" => "无变更",
        "NAME_MISSING" => "缺姓名",
        "ID_INVALID" => "身份证号有误",
        "AGE_OUT_OF_RANGE" => "年龄不符",
        "CATEGORY_MISSING" => "缺类别",
        "CATEGORY_UNKNOWN" => "类别无法识别",
        "CAPABILITY_UNKNOWN" => "身体能力无法识别",
        "VILLAGE_UNKNOWN" => "村居无法识别",
        "IDENTITY_CONFLICT" => "身份证号已属他人",
        "SEX_MISMATCH" => "性别与身份证号不符",
        "AGE_MISMATCH" => "年龄与身份证号不符",
        "CAPABILITY_BLANK" => "身体能力空白",
        "PHONE_INVALID" => "电话有误",
        "GRADE_CONFLICT" => "重残与等级不符",
        _ => "",
    })
}

/// The same as [`labelled`] for a word of one list: other lists have words of the same name and another meaning.
pub fn labelled_of<T: Term>(name: &str) -> String {
    match T::from_name(name) {
        Some(term) => format!("{name} {}", term.chinese()),
        None => name.to_owned(),
    }
}

/// A name with the Chinese term behind it, for tables.
pub fn labelled(name: &str) -> String {
    match chinese(name) {
        "" => name.to_owned(),
        term => format!("{name} {term}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_data_sets_and_numbers_of_the_api_are_the_same_words() {
        let word = types::Category::named("LIVING_ALONE").unwrap();
        assert_eq!(word, types::Category::LivingAlone);
        assert_eq!(
            name_of::<types::Category>(word as i32),
            Some("LIVING_ALONE")
        );
        assert_eq!(name_of::<types::Category>(0), None);
        assert_eq!(name_of::<types::Category>(99), None);
        assert!(types::Category::named("UNSPECIFIED").is_none());
        assert!(types::Category::named("living alone").is_none());
    }

    #[test]
    fn tables_say_the_chinese_term_too() {
        assert_eq!(labelled("PRIORITY"), "PRIORITY 重点人群");
        assert!(labelled("BEDRIDDEN").contains("卧床"));
        assert_eq!(labelled("SOMETHING_NEW"), "SOMETHING_NEW");
    }

    #[test]
    fn the_same_name_means_something_else_in_another_list() {
        assert_eq!(labelled("ACCEPTED"), "ACCEPTED 建档");
        assert_eq!(
            labelled_of::<civic::AppealState>("ACCEPTED"),
            "ACCEPTED 申诉通过"
        );
        assert_eq!(labelled_of::<civic::AppealState>("NEW"), "NEW");
    }
}
