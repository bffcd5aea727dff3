//! What stands in the catalogue: each product with its fields.

use super::{Field, FieldKind, Product, ProductName};

/// Civil affairs answers for all that there is so far.
const CIVIL_AFFAIRS: &str = "civil_affairs";

/// Read models follow their logs within a fraction of this.
const FRESHNESS_MS: i32 = 1_000;

const fn field(
    name: &'static str,
    title: &'static str,
    kind: FieldKind,
    description: &'static str,
) -> Field {
    Field {
        name,
        title,
        kind,
        description,
        sensitive: false,
    }
}

/// A field that tells of somebody's health or need.
const fn sensitive(
    name: &'static str,
    title: &'static str,
    kind: FieldKind,
    description: &'static str,
) -> Field {
    Field {
        sensitive: true,
        ..field(name, title, kind, description)
    }
}

const ELDER_ID: Field = field(
    "elder_id",
    "老年人标识",
    FieldKind::Id,
    "The elder, by the registry's id.",
);

const LIVES_IN: Field = field(
    "division_code",
    "行政区划",
    FieldKind::Code,
    "The village or community where the elder lives.",
);

const HAPPENED_IN: Field = field(
    "division_code",
    "行政区划",
    FieldKind::Code,
    "The village or community where the elder lived then.",
);

pub(super) static ELDER: Product = Product {
    name: ProductName::Elder,
    title: "老年人档案",
    owner: "registry",
    department: CIVIL_AFFAIRS,
    legal_basis: concat!(
        "川民〔2023〕100号 二(一)；安民函〔2024〕16号 二.1（一人一档）；",
        "个人信息保护法第十三条第一款第三项、第三十四条",
    ),
    freshness_ms: FRESHNESS_MS,
    fields: &[
        ELDER_ID,
        LIVES_IN,
        field(
            "status",
            "在册状态",
            FieldKind::Code,
            "Where the elder stands in the registry.",
        ),
        field("name", "姓名", FieldKind::Name, "The elder's name."),
        field(
            "id_number",
            "身份证号",
            FieldKind::IdNumber,
            "The resident's ID number.",
        ),
        field("sex", "性别", FieldKind::Code, "As the ID number tells it."),
        field(
            "birth_date",
            "出生日期",
            FieldKind::BirthDate,
            "The day of birth.",
        ),
        field(
            "age",
            "年龄",
            FieldKind::Number,
            "Completed years of life, today.",
        ),
        sensitive(
            "categories",
            "类别",
            FieldKind::Codes,
            "Why the elder is visited.",
        ),
        sensitive(
            "assistance",
            "救助身份",
            FieldKind::Codes,
            "The relief that the elder is given.",
        ),
        sensitive(
            "capability",
            "身体能力",
            FieldKind::Code,
            "How far the elder can look after themselves (GB/T 42195).",
        ),
        sensitive(
            "handicap_grade",
            "残疾等级",
            FieldKind::Number,
            "1 to 4, of which 1 is the most severe; 0: none.",
        ),
        sensitive(
            "observations",
            "身体状况",
            FieldKind::Codes,
            "What was seen of the elder's health without an assessment.",
        ),
        field(
            "consent",
            "入户同意",
            FieldKind::Code,
            "Whether visits at home are agreed to.",
        ),
        field("address", "住址", FieldKind::Address, "Where the home is."),
        field(
            "contacts",
            "联系人",
            FieldKind::Contacts,
            "Whom to call, in the order of calling.",
        ),
    ],
};

pub(super) static TIER: Product = Product {
    name: ProductName::Tier,
    title: "分类分级",
    owner: "tiering",
    department: CIVIL_AFFAIRS,
    legal_basis: concat!(
        "川民〔2023〕100号 二(一)、二(四)1；",
        "个人信息保护法第十三条第一款第三项、第三十四条",
    ),
    freshness_ms: FRESHNESS_MS,
    fields: &[
        ELDER_ID,
        LIVES_IN,
        field("tier", "级别", FieldKind::Code, "The tier of visiting."),
        field(
            "since",
            "起始日期",
            FieldKind::Day,
            "The day from which it holds.",
        ),
        sensitive(
            "reasons",
            "分级依据",
            FieldKind::Codes,
            "The rules of the policy that led to it.",
        ),
        field(
            "interval",
            "探访频次",
            FieldKind::Code,
            "How often the elder is visited at least.",
        ),
        field(
            "modes",
            "探访方式",
            FieldKind::Codes,
            "How visits may be made.",
        ),
    ],
};

pub(super) static VISIT: Product = Product {
    name: ProductName::Visit,
    title: "探访记录",
    owner: "visits",
    department: CIVIL_AFFAIRS,
    legal_basis: concat!(
        "川民〔2023〕100号 二(三)、二(四)；",
        "个人信息保护法第十三条第一款第三项、第三十四条",
    ),
    freshness_ms: FRESHNESS_MS,
    fields: &[
        field("record_id", "记录标识", FieldKind::Id, "The record."),
        ELDER_ID,
        HAPPENED_IN,
        field(
            "start_time",
            "开始时间",
            FieldKind::Instant,
            "When the visit began.",
        ),
        field(
            "end_time",
            "结束时间",
            FieldKind::Instant,
            "When it was over.",
        ),
        field("mode", "探访方式", FieldKind::Code, "How it was made."),
        field("result", "探访结果", FieldKind::Code, "What came of it."),
        field(
            "services",
            "服务内容",
            FieldKind::Codes,
            "The services that were given.",
        ),
        sensitive(
            "findings",
            "发现问题",
            FieldKind::Codes,
            "What the visitor found.",
        ),
        field(
            "doubts",
            "存疑",
            FieldKind::Codes,
            "Why a supervisor has to confirm it before it counts.",
        ),
        field(
            "counted",
            "计入",
            FieldKind::Flag,
            "Whether it counts for coverage.",
        ),
        field(
            "visitor_id",
            "探访人标识",
            FieldKind::Id,
            "Who visited, by the id of the visitor.",
        ),
        field(
            "remarks",
            "备注",
            FieldKind::Text,
            "What the visitor wrote.",
        ),
    ],
};

pub(super) static ALERT: Product = Product {
    name: ProductName::Alert,
    title: "呼援预警",
    owner: "alerts",
    department: CIVIL_AFFAIRS,
    legal_basis: concat!(
        "粤民函〔2019〕1308号 一、二；安民函〔2024〕16号 一(二)；",
        "个人信息保护法第十三条第一款第三、四项、第三十四条",
    ),
    freshness_ms: FRESHNESS_MS,
    fields: &[
        field("alert_id", "预警标识", FieldKind::Id, "The alert."),
        ELDER_ID,
        HAPPENED_IN,
        field("kind", "预警类型", FieldKind::Code, "What it is about."),
        field("severity", "预警级别", FieldKind::Code, "How urgent it is."),
        field(
            "raised_at",
            "发生时间",
            FieldKind::Instant,
            "When it was raised.",
        ),
        field(
            "level",
            "通知层级",
            FieldKind::Number,
            "How far it has escalated, from 0.",
        ),
        field(
            "state",
            "处置状态",
            FieldKind::Code,
            "OPEN, ACKNOWLEDGED, DISPATCHED, ARRIVED or RESOLVED.",
        ),
        field(
            "acknowledged_at",
            "接警时间",
            FieldKind::Instant,
            "When somebody answered.",
        ),
        field(
            "dispatched_at",
            "派单时间",
            FieldKind::Instant,
            "When somebody was sent.",
        ),
        field(
            "arrived_at",
            "到场时间",
            FieldKind::Instant,
            "When somebody was there.",
        ),
        field(
            "resolved_at",
            "办结时间",
            FieldKind::Instant,
            "When it ended.",
        ),
        field("outcome", "处置结果", FieldKind::Code, "How it ended."),
    ],
};

pub(super) static ORDER: Product = Product {
    name: ProductName::Order,
    title: "服务工单",
    owner: "claims",
    department: CIVIL_AFFAIRS,
    legal_basis: concat!(
        "安民函〔2024〕16号 一(四)；义乌市2022年建议第179号答复；",
        "个人信息保护法第十三条第一款第三项、第三十四条",
    ),
    freshness_ms: FRESHNESS_MS,
    fields: &[
        field("order_key", "工单标识", FieldKind::Id, "The order."),
        field("provider_id", "服务机构", FieldKind::Id, "The provider."),
        field(
            "order_id",
            "工单号",
            FieldKind::Id,
            "The provider's number of it.",
        ),
        field("programme_code", "项目", FieldKind::Id, "The programme."),
        ELDER_ID,
        HAPPENED_IN,
        field(
            "service_day",
            "服务日期",
            FieldKind::Day,
            "The day of the service.",
        ),
        field(
            "state",
            "审核状态",
            FieldKind::Code,
            "WAITING, APPROVED, ABNORMAL, APPEALED, NOT_SETTLED or PAID.",
        ),
        field(
            "codes",
            "异常代码",
            FieldKind::Codes,
            "What stands against it.",
        ),
        field(
            "amount",
            "金额",
            FieldKind::Money,
            "What it costs, in yuan.",
        ),
        field(
            "paid_on",
            "支付日期",
            FieldKind::Day,
            "The day on which it was paid.",
        ),
    ],
};

pub(super) static ENROLMENT: Product = Product {
    name: ProductName::Enrolment,
    title: "参保信息",
    owner: "claims",
    department: CIVIL_AFFAIRS,
    legal_basis: concat!(
        "安民函〔2024〕16号 一(四)；",
        "个人信息保护法第十三条第一款第三项、第三十四条",
    ),
    freshness_ms: FRESHNESS_MS,
    fields: &[
        field("enrolment_id", "参保标识", FieldKind::Id, "The enrolment."),
        field("programme_code", "项目", FieldKind::Id, "The programme."),
        ELDER_ID,
        field(
            "first_day",
            "起始日期",
            FieldKind::Day,
            "The first day, included.",
        ),
        field(
            "last_day",
            "截止日期",
            FieldKind::Day,
            "The last day, included.",
        ),
        field(
            "units_used",
            "已用次数",
            FieldKind::Number,
            "Units used in the calendar year of the first day.",
        ),
        sensitive(
            "basis",
            "参保依据",
            FieldKind::Code,
            "The programme's rule by which the elder was admitted.",
        ),
        field(
            "premium",
            "保费",
            FieldKind::Money,
            "The premium of the calendar year, in yuan, where it was charged with this enrolment.",
        ),
        field(
            "unit",
            "额度单位",
            FieldKind::Code,
            "What the entitlement is counted in: SERVICES or MINUTES.",
        ),
        field(
            "units_a_year",
            "年度额度",
            FieldKind::Number,
            "The entitlement of a calendar year, by the programme's newest version that holds on one of the days.",
        ),
        field(
            "units_left",
            "剩余额度",
            FieldKind::Number,
            "What of it is not used yet.",
        ),
    ],
};
