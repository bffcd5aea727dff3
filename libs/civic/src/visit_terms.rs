//! The terms in which visits are recorded, as the plans for visiting use them.

use crate::term::terms;

terms! {
    /// Who visits (探访力量).
    pub enum VisitorKind ("kind of visitor") {
        VillageCommittee = "VILLAGE_COMMITTEE" "村居委会",
        CareInstitution = "CARE_INSTITUTION" "养老服务机构",
        SocialWorker = "SOCIAL_WORKER" "社会工作者",
        FamilyDoctor = "FAMILY_DOCTOR" "家庭医生",
        ElderAssociation = "ELDER_ASSOCIATION" "老年协会",
        PropertyCompany = "PROPERTY_COMPANY" "物业",
        Volunteer = "VOLUNTEER" "志愿者",
        StudentVolunteer = "STUDENT_VOLUNTEER" "在校生志愿者",
        GridWorker = "GRID_WORKER" "网格员",
        PartyVeteran = "PARTY_VETERAN" "老党员",
        YoungerElder = "YOUNGER_ELDER" "低龄健康老年人",
        NeighbourOrRelative = "NEIGHBOUR_OR_RELATIVE" "邻里亲属",
        Courier = "COURIER" "物流快递人员",
    }

    /// What came of a visit (探访结果). Only one at which the elder was met counts.
    pub enum VisitResult ("result of a visit") {
        Met = "MET" "已见到",
        NotAtHome = "NOT_AT_HOME" "不在家",
        RefusedAtDoor = "REFUSED_AT_DOOR" "拒绝探访",
    }

    /// Why a record counts only once a supervisor confirms it (存疑).
    pub enum Doubt ("doubt") {
        /// The same visitor was with another elder at that time.
        Overlap = "OVERLAP" "时间重叠",
        /// Over 80 km/h between two consecutive check-ins.
        ImpossibleTravel = "IMPOSSIBLE_TRAVEL" "行程异常",
        /// Over 500 m from home.
        LocationMismatch = "LOCATION_MISMATCH" "位置不符",
        /// A photo of an earlier record.
        EvidenceReused = "EVIDENCE_REUSED" "照片重复",
        /// The 41st or later record of a day.
        ImplausibleVolume = "IMPLAUSIBLE_VOLUME" "数量异常",
        /// Under 5 minutes.
        TooShort = "TOO_SHORT" "时长过短",
    }

    /// What a visitor found that a department should know (发现问题).
    pub enum FindingKind ("kind of finding") {
        HousingHazard = "HOUSING_HAZARD" "住房安全隐患",
        /// May qualify for a benefit: told to apply.
        PolicyEntitlement = "POLICY_ENTITLEMENT" "政策链接",
        Medical = "MEDICAL" "医疗",
        MentalHealth = "MENTAL_HEALTH" "心理健康",
        /// The duty to support the elder is not met.
        LegalSupport = "LEGAL_SUPPORT" "法律援助",
        DailyCare = "DAILY_CARE" "生活照料",
        Rehabilitation = "REHABILITATION" "康复护理",
        HomeAdaptation = "HOME_ADAPTATION" "适老化改造",
        FraudRisk = "FRAUD_RISK" "养老诈骗风险",
    }

    /// How a referral ended (办结情况).
    pub enum ReferralOutcome ("outcome of a referral") {
        Solved = "SOLVED" "已解决",
        Declined = "DECLINED" "本人放弃",
        Unfounded = "UNFOUNDED" "不属实",
        Unsolved = "UNSOLVED" "无法解决",
    }

    /// Why a campaign is held (专项探访事由).
    pub enum CampaignKind ("kind of campaign") {
        ExtremeWeather = "EXTREME_WEATHER" "极端天气",
        Festival = "FESTIVAL" "节日",
        Other = "OTHER" "其他",
    }

    /// Why a planned visit is left out for a week (暂缓原因). None says anything about health.
    pub enum SkipReason ("reason to leave a visit out") {
        /// All week.
        Away = "AWAY" "外出",
        /// The elder or the family did.
        AskedForAnotherWeek = "ASKED_FOR_ANOTHER_WEEK" "本人或家属要求改期",
        /// Somebody else sees the elder this week.
        ArrangedOtherwise = "ARRANGED_OTHERWISE" "已另行安排",
        WayNotSafe = "WAY_NOT_SAFE" "天气恶劣或道路不通",
    }

    /// Why a duty is given to nobody in a plan (未安排原因).
    pub enum UnplannedReason ("reason to plan no visit") {
        /// Only visits at home are allowed, and nobody is there who could talk about consent.
        ConsentMissing = "CONSENT_MISSING" "未取得入户同意",
        NoVisitorForMode = "NO_VISITOR_FOR_MODE" "没有适合探访方式的探访人员",
        NoVisitorOnDays = "NO_VISITOR_ON_DAYS" "期限内没有可安排的探访人员",
        CapacityExhausted = "CAPACITY_EXHAUSTED" "探访人员工作量已满",
        PinMode = "PIN_MODE" "固定的探访方式不再适用",
        PinConsent = "PIN_CONSENT" "固定的入户探访未取得同意",
        PinDay = "PIN_DAY" "固定的日期不在期限内",
        PinVisitor = "PIN_VISITOR" "固定的探访人员当日不在岗",
        PinCapacity = "PIN_CAPACITY" "固定的探访人员工作量已满",
        /// It was left out, and is no more.
        AwaitsPlanning = "AWAITS_PLANNING" "待重新安排",
    }
}

impl FindingKind {
    /// The department whose business it is (责任部门), by its code in tokens and policies of permission.
    ///
    /// [zichuan] names the departments and leaves open which finding goes to whom; this is who deals with it by its office.
    #[must_use]
    pub const fn department(self) -> &'static str {
        match self {
            Self::PolicyEntitlement | Self::DailyCare | Self::HomeAdaptation => "civil_affairs",
            Self::Medical | Self::MentalHealth => "health",
            Self::Rehabilitation => "disability_federation",
            Self::LegalSupport => "political_legal_committee",
            Self::FraudRisk => "public_security",
            Self::HousingHazard => "urban_management",
        }
    }
}
