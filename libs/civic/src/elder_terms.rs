//! The terms in which the registry describes an elder, as the plans for visiting and care use them.

use serde::{Deserialize, Serialize};

use crate::term::terms;

terms! {
    /// Sex, as the ID number tells it.
    pub enum Sex ("sex") {
        Male = "MALE" "男",
        Female = "FEMALE" "女",
    }

    /// Why an elder is visited (类别): who has none of these is out of scope.
    pub enum Category ("category") {
        LivingAlone = "LIVING_ALONE" "独居",
        EmptyNest = "EMPTY_NEST" "空巢",
        LeftBehind = "LEFT_BEHIND" "留守",
        Disabled = "DISABLED" "失能",
        SeverelyHandicapped = "SEVERELY_HANDICAPPED" "重残",
        /// Also written 失独.
        SpecialFamily = "SPECIAL_FAMILY" "计划生育特殊家庭",
    }

    /// The relief that somebody is given (救助身份).
    pub enum Assistance ("assistance") {
        ExtremePoverty = "EXTREME_POVERTY" "特困",
        MinimumLiving = "MINIMUM_LIVING" "低保",
        MinimumLivingMarginal = "MINIMUM_LIVING_MARGINAL" "低保边缘",
        PreferentialTreatment = "PREFERENTIAL_TREATMENT" "重点优抚",
        FiveVeterans = "FIVE_VETERANS" "五老",
    }

    /// How far somebody can look after themselves (身体能力, GB/T 42195).
    ///
    /// Ordered by severity, with the unassessed first: the greater of two levels is the more severe.
    #[derive(Default)]
    pub enum CapabilityLevel ("capability level") {
        #[default]
        Unassessed = "UNASSESSED" "未评估",
        Intact = "INTACT" "完好",
        Mild = "MILD" "轻度失能",
        Moderate = "MODERATE" "中度失能",
        Severe = "SEVERE" "重度失能",
        Total = "TOTAL" "完全失能",
    }

    /// What was seen of somebody's health without an assessment; it stays until it is ended.
    pub enum Observation ("observation") {
        Bedridden = "BEDRIDDEN" "长期卧床",
        MobilityImpaired = "MOBILITY_IMPAIRED" "行动不便",
        Dementia = "DEMENTIA" "失智",
    }

    /// What befell somebody for a time, so that they are visited at home.
    pub enum CircumstanceKind ("circumstance") {
        FamilyChange = "FAMILY_CHANGE" "家庭变故",
        NaturalDisaster = "NATURAL_DISASTER" "自然灾害",
        Accident = "ACCIDENT" "事故灾害",
        PublicHealthEvent = "PUBLIC_HEALTH_EVENT" "公共卫生事件",
        LifeDifficulty = "LIFE_DIFFICULTY" "生活困难",
        PoorHealth = "POOR_HEALTH" "健康状况欠佳",
    }

    /// Whether visits at home are agreed to (入户同意).
    #[derive(Default)]
    pub enum ConsentState ("state of consent") {
        Granted = "GRANTED" "同意",
        Refused = "REFUSED" "拒绝",
        #[default]
        Unknown = "UNKNOWN" "未知",
    }

    /// Who agreed to visits at home, or refused them.
    pub enum ConsentGiver ("giver of consent") {
        Elder = "ELDER" "老年人本人",
        Supporter = "SUPPORTER" "赡养人",
    }

    /// Where an elder stands in the registry.
    #[derive(Default)]
    pub enum ElderStatus ("status of an elder") {
        #[default]
        Active = "ACTIVE" "在册",
        MovedOut = "MOVED_OUT" "迁出",
        Deceased = "DECEASED" "死亡",
        Erased = "ERASED" "已删除",
    }

    /// A service given at a visit or wanted by an elder (服务内容).
    pub enum ServiceKind ("service") {
        HealthManagement = "HEALTH_MANAGEMENT" "健康管理",
        HomeSafety = "HOME_SAFETY" "居家安全",
        DailyCare = "DAILY_CARE" "生活照料",
        RehabilitationNursing = "REHABILITATION_NURSING" "康复护理",
        SpiritualComfort = "SPIRITUAL_COMFORT" "精神慰藉",
        EnvironmentSanitation = "ENVIRONMENT_SANITATION" "环境卫生",
        EmergencyRescue = "EMERGENCY_RESCUE" "应急救援",
        RecreationSports = "RECREATION_SPORTS" "文体活动",
        Other = "OTHER" "其他",
    }

    /// How a visit is made (探访方式).
    pub enum VisitMode ("mode of visit") {
        /// Always allowed, subject to consent.
        Home = "HOME" "入户",
        Phone = "PHONE" "电话",
        Online = "ONLINE" "线上",
        Encounter = "ENCOUNTER" "路遇",
    }
}

/// The grade on a disability certificate (残疾等级), 1 to 4, of which the first is the most severe. Serde writes the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum HandicapGrade {
    /// 一级.
    First = 1,
    /// 二级.
    Second = 2,
    /// 三级.
    Third = 3,
    /// 四级.
    Fourth = 4,
}

/// A number that is no grade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a handicap grade is from 1 to 4")]
pub struct HandicapGradeError;

impl HandicapGrade {
    /// All grades, the most severe first.
    pub const ALL: &'static [Self] = &[Self::First, Self::Second, Self::Third, Self::Fourth];

    /// The number of the grade, 1 to 4.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The Chinese term.
    #[must_use]
    pub const fn chinese(self) -> &'static str {
        match self {
            Self::First => "一级",
            Self::Second => "二级",
            Self::Third => "三级",
            Self::Fourth => "四级",
        }
    }

    /// Whether this counts as a severe handicap (重残): grade 1 or 2.
    #[must_use]
    pub const fn is_severe(self) -> bool {
        matches!(self, Self::First | Self::Second)
    }
}

impl TryFrom<u8> for HandicapGrade {
    type Error = HandicapGradeError;

    fn try_from(number: u8) -> Result<Self, HandicapGradeError> {
        Self::ALL
            .iter()
            .copied()
            .find(|grade| grade.number() == number)
            .ok_or(HandicapGradeError)
    }
}

impl From<HandicapGrade> for u8 {
    fn from(grade: HandicapGrade) -> Self {
        grade.number()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greater_of_two_levels_is_the_more_severe() {
        assert_eq!(
            CapabilityLevel::Mild.max(CapabilityLevel::Total),
            CapabilityLevel::Total
        );
        assert_eq!(
            CapabilityLevel::Unassessed.max(CapabilityLevel::Intact),
            CapabilityLevel::Intact
        );
        assert!(CapabilityLevel::ALL.is_sorted());
    }

    #[test]
    fn grades_are_numbers_from_1_to_4() {
        assert_eq!(
            serde_json::from_str::<HandicapGrade>("2").unwrap(),
            HandicapGrade::Second
        );
        assert_eq!(serde_json::to_string(&HandicapGrade::Fourth).unwrap(), "4");
        assert_eq!(HandicapGrade::try_from(0), Err(HandicapGradeError));
        assert_eq!(HandicapGrade::try_from(5), Err(HandicapGradeError));
        assert_eq!(HandicapGrade::Second.chinese(), "二级");
    }

    #[test]
    fn grades_1_and_2_are_severe() {
        let severe: Vec<u8> = HandicapGrade::ALL
            .iter()
            .filter(|grade| grade.is_severe())
            .map(|grade| grade.number())
            .collect();
        assert_eq!(severe, [1, 2]);
    }
}
