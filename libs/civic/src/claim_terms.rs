//! The terms in which care is claimed and paid for.

use crate::term::terms;

terms! {
    /// Why a service order is abnormal (异常代码), in the order in which reasons are given (section 5).
    pub enum OrderCode ("order code") {
        /// Not enrolled in the programme on the service day.
        NotEnrolled = "NOT_ENROLLED" "未参保",
        /// Not entitled to service on that day.
        NotEntitled = "NOT_ENTITLED" "不符合待遇条件",
        /// Deceased or moved out before that day.
        NotAliveOrPresent = "NOT_ALIVE_OR_PRESENT" "已故或迁出",
        /// No contract, or the caregiver not on the list, on that day.
        ProviderInvalid = "PROVIDER_INVALID" "机构或人员无效",
        /// Under the least length.
        DurationShort = "DURATION_SHORT" "时长不足",
        /// The items break the programme's rule.
        ItemsInvalid = "ITEMS_INVALID" "项目不符",
        /// Over 500 m from home.
        LocationMismatch = "LOCATION_MISMATCH" "位置不符",
        /// Less evidence than the programme asks for.
        EvidenceMissing = "EVIDENCE_MISSING" "凭证缺失",
        /// Evidence of an earlier order.
        EvidenceReused = "EVIDENCE_REUSED" "凭证重复",
        /// The caregiver was with another elder at that time.
        CaregiverOverlap = "CAREGIVER_OVERLAP" "人员时间重叠",
        /// The elder has an earlier order that overlaps in time.
        DuplicateService = "DUPLICATE_SERVICE" "重复服务",
        /// Handed in after the limit.
        LateSubmission = "LATE_SUBMISSION" "逾期提交",
        /// The year's entitlement is used up.
        QuotaExceeded = "QUOTA_EXCEEDED" "超出额度",
    }

    /// Where a service order stands (工单状态).
    pub enum OrderState ("state of an order") {
        Waiting = "WAITING" "待审核",
        Approved = "APPROVED" "审核通过",
        AbnormalOpen = "ABNORMAL_OPEN" "异常待处理",
        NotSettled = "NOT_SETTLED" "不予结算",
    }

    /// How far a service order has come, up to its payment (工单进度).
    pub enum OrderStage ("stage of an order") {
        Waiting = "WAITING" "待审核",
        Approved = "APPROVED" "审核通过",
        Abnormal = "ABNORMAL" "异常待处理",
        Appealed = "APPEALED" "申诉中",
        NotSettled = "NOT_SETTLED" "不予结算",
        Paid = "PAID" "已支付",
    }

    /// Where an appeal stands (申诉状态).
    pub enum AppealState ("state of an appeal") {
        Pending = "PENDING" "待处理",
        Accepted = "ACCEPTED" "申诉通过",
        /// Accepted when the year's entitlement was used up.
        AcceptedOverQuota = "ACCEPTED_OVER_QUOTA" "通过但超额",
        Refused = "REFUSED" "申诉驳回",
    }

    /// Why an order is never paid (不予结算原因).
    pub enum NotSettledReason ("reason not to settle") {
        NoAppeal = "NO_APPEAL" "逾期未申诉",
        AppealRefused = "APPEAL_REFUSED" "申诉驳回",
        QuotaExceeded = "QUOTA_EXCEEDED" "额度已用完",
        /// It was approved, and a fact recorded later stands against it.
        Withdrawn = "WITHDRAWN" "复核撤销",
    }

    /// What follows from a fact that was recorded after an order was approved (复核状态).
    pub enum HoldState ("state of a hold") {
        /// Not settled until a reviewer decides.
        OnHold = "ON_HOLD" "暂缓结算",
        Kept = "KEPT" "复核通过",
        Withdrawn = "WITHDRAWN" "复核撤销",
        /// It was paid before.
        ForRecovery = "FOR_RECOVERY" "待追回",
        /// What was paid for it was taken back.
        Recovered = "RECOVERED" "已追回",
    }

    /// What shows that a service took place (凭证类型).
    pub enum EvidenceKind ("kind of evidence") {
        Video = "VIDEO" "视频",
        Photo = "PHOTO" "照片",
    }

    /// Where money of a fund comes from (入账类型).
    pub enum DepositKind ("kind of deposit") {
        Premium = "PREMIUM" "保费",
        Grant = "GRANT" "财政补助",
    }

    /// Where a settlement stands (结算状态).
    pub enum SettlementStage ("stage of a settlement") {
        Draft = "DRAFT" "草稿",
        Confirmed = "CONFIRMED" "已确认",
        Paid = "PAID" "已支付",
    }

    /// What a year's entitlement is counted in (额度单位).
    pub enum EntitlementUnit ("unit of entitlement") {
        Services = "SERVICES" "次",
        Minutes = "MINUTES" "分钟",
    }

    /// An account of the double entries of a fund (科目).
    pub enum FundAccount ("account of a fund") {
        /// The money that is there.
        Cash = "CASH" "银行存款",
        Premiums = "PREMIUMS" "保费收入",
        Grants = "GRANTS" "补助收入",
        /// What approved orders cost.
        Benefits = "BENEFITS" "待遇支出",
        /// What is owed for approved orders.
        Payable = "PAYABLE" "应付待遇",
    }
}
