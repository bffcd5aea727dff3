//! The catalogue (数据目录): which products there are, with their fields, owners and legal bases.
//!
//! Names stand in agreements and in the log for ever: a product or a field is added, and never renamed or taken away.

mod catalogue;
mod schema;

use self::catalogue::{ALERT, ELDER, ENROLMENT, ORDER, TIER, VISIT};

/// A product that departments can be granted, in the order of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProductName {
    /// The registry's file (老年人档案).
    Elder,
    /// Tier, interval and modes (分级).
    Tier,
    /// A visit on record (探访记录).
    Visit,
    /// A call for help (呼援预警).
    Alert,
    /// A service order (服务工单).
    Order,
    /// Enrolment in a programme (参保).
    Enrolment,
}

impl ProductName {
    /// All products, in the order of the catalogue.
    pub const ALL: &'static [Self] = &[
        Self::Elder,
        Self::Tier,
        Self::Visit,
        Self::Alert,
        Self::Order,
        Self::Enrolment,
    ];

    /// The name in agreements and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Elder => "elder",
            Self::Tier => "tier",
            Self::Visit => "visit",
            Self::Alert => "alert",
            Self::Order => "order",
            Self::Enrolment => "enrolment",
        }
    }

    /// The product of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|product| product.name() == name)
    }
}

/// What a field holds, and so how it is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldKind {
    /// A code of a closed list (代码).
    Code,
    /// A list of codes (代码列表).
    Codes,
    /// An identifier of ours (标识).
    Id,
    /// A day, `2024-10-01` (日期).
    Day,
    /// An instant, RFC 3339 (时间).
    Instant,
    /// A whole number (数量).
    Number,
    /// Yuan with two decimals, as text (金额).
    Money,
    /// Yes or no (是否).
    Flag,
    /// A person's name (姓名).
    Name,
    /// An ID number (身份证号).
    IdNumber,
    /// A telephone number (电话).
    Phone,
    /// An address (地址).
    Address,
    /// A birth date (出生日期).
    BirthDate,
    /// Free words (文字).
    Text,
    /// Persons with name, relation and telephone (联系人).
    Contacts,
}

impl FieldKind {
    /// Whether such a field is personal by what it holds, whatever it means.
    #[must_use]
    pub const fn personal(self) -> bool {
        match self {
            Self::Code
            | Self::Codes
            | Self::Id
            | Self::Day
            | Self::Instant
            | Self::Number
            | Self::Money
            | Self::Flag => false,
            Self::Name
            | Self::IdNumber
            | Self::Phone
            | Self::Address
            | Self::BirthDate
            | Self::Text
            | Self::Contacts => true,
        }
    }

    /// Whether such a field can be granted masked.
    #[must_use]
    pub const fn maskable(self) -> bool {
        // What is personal has a mask, and there is nothing to hide of the rest.
        self.personal()
    }
}

/// A field of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, as in grants and documents.
    pub name: &'static str,
    /// The Chinese term.
    pub title: &'static str,
    /// What it holds.
    pub kind: FieldKind,
    /// What it means.
    pub description: &'static str,
    /// Whether it tells of somebody's health or need, which is sensitive by law, also as a code (敏感个人信息：个人信息保护法
    /// 第二十八条).
    pub sensitive: bool,
}

impl Field {
    /// Whether it is personal: each time it is told goes on record.
    #[must_use]
    pub const fn personal(&self) -> bool {
        self.sensitive || self.kind.personal()
    }

    /// Whether it can be granted masked; else it is granted plain or not at all. What is sensitive as a code has no mask.
    #[must_use]
    pub const fn maskable(&self) -> bool {
        self.kind.maskable()
    }
}

/// What departments can be granted (数据产品).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// Its name.
    pub name: ProductName,
    /// The Chinese term.
    pub title: &'static str,
    /// The service whose log it comes from.
    pub owner: &'static str,
    /// Which department answers for the data.
    pub department: &'static str,
    /// By which document it is kept.
    pub legal_basis: &'static str,
    /// What stands in the log is told within so many milliseconds, as a rule.
    pub freshness_ms: i32,
    /// Its fields, in the order of documents.
    pub fields: &'static [Field],
}

impl Product {
    /// A field by its name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// A product of the catalogue.
#[must_use]
pub fn product(name: ProductName) -> &'static Product {
    match name {
        ProductName::Elder => &ELDER,
        ProductName::Tier => &TIER,
        ProductName::Visit => &VISIT,
        ProductName::Alert => &ALERT,
        ProductName::Order => &ORDER,
        ProductName::Enrolment => &ENROLMENT,
    }
}
