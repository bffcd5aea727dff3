//! The columns of annex 3, known by the text of their header however it is spaced or bracketed.

use super::cells::{half_width, is_blank};

/// A column of the survey sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum Column {
    /// 序号: the running number, which says nothing about the elder.
    Serial,
    /// 姓名.
    Name,
    /// 性别.
    Sex,
    /// 年龄.
    Age,
    /// 身份证号.
    IdNumber,
    /// 村(社区).
    Village,
    /// 家庭住址.
    Address,
    /// 类别.
    Category,
    /// 身体能力.
    Capability,
    /// 联系人.
    ContactName,
    /// 关系.
    ContactRelation,
    /// 联系电话.
    ContactPhone,
    /// 需要的服务.
    WantedServices,
    /// 同意入户.
    Consent,
    /// 经度.
    Longitude,
    /// 纬度.
    Latitude,
    /// 备注.
    Remarks,
}

/// Headers that span the three columns of a contact, in the first of two header rows.
const CONTACT_GROUPS: &[&str] = &["联系人信息", "联系人", "家庭成员"];

impl Column {
    /// All columns, in the order of the sheet.
    pub const ALL: [Self; 17] = [
        Self::Serial,
        Self::Name,
        Self::Sex,
        Self::Age,
        Self::IdNumber,
        Self::Village,
        Self::Address,
        Self::Category,
        Self::Capability,
        Self::ContactName,
        Self::ContactRelation,
        Self::ContactPhone,
        Self::WantedServices,
        Self::Consent,
        Self::Longitude,
        Self::Latitude,
        Self::Remarks,
    ];

    /// How many columns there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The columns without which no row can be judged. Of the others, a missing one is as good as a blank one.
    pub const REQUIRED: [Self; 5] = [
        Self::Name,
        Self::IdNumber,
        Self::Village,
        Self::Category,
        Self::Capability,
    ];

    /// The header as annex 3 prints it.
    #[must_use]
    pub const fn header(self) -> &'static str {
        match self {
            Self::Serial => "序号",
            Self::Name => "姓名",
            Self::Sex => "性别",
            Self::Age => "年龄",
            Self::IdNumber => "身份证号",
            Self::Village => "村(社区)",
            Self::Address => "家庭住址",
            Self::Category => "类别",
            Self::Capability => "身体能力",
            Self::ContactName => "联系人",
            Self::ContactRelation => "关系",
            Self::ContactPhone => "联系电话",
            Self::WantedServices => "需要的服务",
            Self::Consent => "同意入户",
            Self::Longitude => "经度",
            Self::Latitude => "纬度",
            Self::Remarks => "备注",
        }
    }

    /// The column under a header, if it is one of annex 3. Other columns are nobody's concern.
    #[must_use]
    pub fn under(header: &str) -> Option<Self> {
        let header = tidied(header);
        Self::ALL
            .into_iter()
            .find(|column| column.header() == header || column.also_headed(&header))
    }

    /// Other ways in which offices head the same column.
    fn also_headed(self, header: &str) -> bool {
        match self {
            Self::IdNumber => matches!(header, "身份证号码" | "公民身份号码"),
            Self::Village => matches!(header, "村(居)" | "村居" | "村社区"),
            Self::Serial
            | Self::Name
            | Self::Sex
            | Self::Age
            | Self::Address
            | Self::Category
            | Self::Capability
            | Self::ContactName
            | Self::ContactRelation
            | Self::ContactPhone
            | Self::WantedServices
            | Self::Consent
            | Self::Longitude
            | Self::Latitude
            | Self::Remarks => false,
        }
    }

    /// Whether a cell of this column holds its own header, as in a header row repeated on a new page.
    pub(super) fn is_headed(self, cell: &str) -> bool {
        Self::under(cell) == Some(self)
            || (matches!(
                self,
                Self::ContactName | Self::ContactRelation | Self::ContactPhone
            ) && is_contact_group(cell))
    }
}

/// Whether the header spans the columns of a contact.
pub(super) fn is_contact_group(header: &str) -> bool {
    CONTACT_GROUPS.contains(&tidied(header).as_str())
}

/// Half-width, and without the white space that narrow columns need.
fn tidied(header: &str) -> String {
    header
        .chars()
        .map(half_width)
        .filter(|c| !is_blank(*c))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_known_however_it_is_written() {
        for (header, column) in [
            ("姓名", Column::Name),
            ("性\n别", Column::Sex),
            (" 年\u{3000}龄 ", Column::Age),
            ("村（社区）", Column::Village),
            ("村(社区)", Column::Village),
            ("身份证号码", Column::IdNumber),
        ] {
            assert_eq!(Column::under(header), Some(column), "{header}");
        }
        assert_eq!(Column::under("原编号"), None);
        assert_eq!(Column::under("联系人信息"), None);
        assert_eq!(Column::under(""), None);
    }

    #[test]
    fn each_column_knows_its_place_and_header() {
        for (place, column) in Column::ALL.into_iter().enumerate() {
            assert_eq!(column as usize, place);
            assert_eq!(Column::under(column.header()), Some(column));
        }
    }
}
