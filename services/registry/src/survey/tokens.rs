//! The words that a survey writes into its cells for categories, assistance, capability and services.

use civic::{Assistance, CapabilityLevel, Category, HandicapGrade, Observation, ServiceKind, Set};

use super::cells::{half_width, is_blank};

/// What a cell of categories says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Categories {
    pub(super) categories: Set<Category>,
    pub(super) assistance: Set<Assistance>,
    pub(super) handicap_grade: Option<HandicapGrade>,
}

/// What a cell of capability says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Capability {
    /// The level; `None` where no word gives one.
    pub(super) level: Option<CapabilityLevel>,
    pub(super) observations: Set<Observation>,
}

/// A word that is none of the known ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnknownWord;

/// Reads a cell of categories, which may carry assistance too.
pub(super) fn categories(cell: &str) -> Result<Categories, UnknownWord> {
    let mut found = Categories::default();
    for word in words(cell) {
        if let Some(category) = category(&word) {
            found.categories.insert(category);
        } else if let Some(grade) = graded_handicap(&word) {
            found.categories.insert(Category::SeverelyHandicapped);
            // The first grade is the most severe, and that counts.
            found.handicap_grade =
                Some(found.handicap_grade.map_or(grade, |known| known.min(grade)));
        } else {
            found
                .assistance
                .insert(assistance(&word).ok_or(UnknownWord)?);
        }
    }
    Ok(found)
}

/// Reads a cell of capability, which may carry observations too.
pub(super) fn capability(cell: &str) -> Result<Capability, UnknownWord> {
    let mut found = Capability::default();
    for word in words(cell) {
        if let Some(level) = level(&word) {
            // Levels are ordered by severity.
            found.level = found.level.max(Some(level));
        } else {
            found
                .observations
                .insert(observation(&word).ok_or(UnknownWord)?);
        }
    }
    Ok(found)
}

/// Reads a cell of wanted services. What is none of the nine is wanted all the same: 其他.
pub(super) fn services(cell: &str) -> Set<ServiceKind> {
    words(cell)
        .filter(|word| {
            !matches!(
                word.as_str(),
                "无" | "没有" | "暂无" | "不需要" | "无需" | "无需求"
            )
        })
        .map(|word| {
            ServiceKind::ALL
                .iter()
                .copied()
                .find(|service| service.chinese() == word)
                .unwrap_or(ServiceKind::Other)
        })
        .collect()
}

/// Whether a cell holds no word at all.
pub(super) fn is_empty(cell: &str) -> bool {
    words(cell).next().is_none()
}

fn words(cell: &str) -> impl Iterator<Item = String> {
    cell.split(|c: char| matches!(c, '、' | '，' | ',' | '；' | ';' | '/' | '／') || is_blank(c))
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().map(half_width).collect())
}

fn category(word: &str) -> Option<Category> {
    Some(match word {
        "独居" => Category::LivingAlone,
        "空巢" => Category::EmptyNest,
        "留守" => Category::LeftBehind,
        "失能" => Category::Disabled,
        "重残" => Category::SeverelyHandicapped,
        "失独" | "计生特殊家庭" | "计划生育特殊家庭" => Category::SpecialFamily,
        _ => return None,
    })
}

/// `重残(二级)` or `重残(2级)`, the brackets half-width by now.
fn graded_handicap(word: &str) -> Option<HandicapGrade> {
    Some(match word.strip_prefix("重残(")?.strip_suffix("级)")? {
        "一" | "1" => HandicapGrade::First,
        "二" | "2" => HandicapGrade::Second,
        "三" | "3" => HandicapGrade::Third,
        "四" | "4" => HandicapGrade::Fourth,
        _ => return None,
    })
}

fn assistance(word: &str) -> Option<Assistance> {
    Some(match word {
        "特困" => Assistance::ExtremePoverty,
        "低保" => Assistance::MinimumLiving,
        "低保边缘" => Assistance::MinimumLivingMarginal,
        "优抚" | "重点优抚" => Assistance::PreferentialTreatment,
        "五老" => Assistance::FiveVeterans,
        _ => return None,
    })
}

fn level(word: &str) -> Option<CapabilityLevel> {
    Some(match word {
        "完好" | "能力完好" | "健康" | "自理" | "能自理" => CapabilityLevel::Intact,
        "轻度" | "轻度失能" => CapabilityLevel::Mild,
        "中度" | "中度失能" | "半失能" => CapabilityLevel::Moderate,
        "重度" | "重度失能" => CapabilityLevel::Severe,
        "完全失能" | "全失能" => CapabilityLevel::Total,
        _ => return None,
    })
}

fn observation(word: &str) -> Option<Observation> {
    Some(match word {
        "卧床" | "长期卧床" => Observation::Bedridden,
        "行动不便" => Observation::MobilityImpaired,
        "失智" | "痴呆" | "认知障碍" => Observation::Dementia,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_separated_in_many_ways() {
        let expected = Set::from([
            Category::LivingAlone,
            Category::EmptyNest,
            Category::LeftBehind,
        ]);
        for cell in [
            "独居、空巢、留守",
            "独居，空巢,留守",
            "独居；空巢;留守",
            "独居/空巢／留守",
            " 独居 空巢\u{3000}留守、",
        ] {
            assert_eq!(
                categories(cell).map(|found| found.categories),
                Ok(expected),
                "{cell}"
            );
        }
    }

    #[test]
    fn a_handicap_may_carry_its_grade() {
        for (cell, grade) in [
            ("重残", None),
            ("重残(二级)", Some(HandicapGrade::Second)),
            ("重残（1级）", Some(HandicapGrade::First)),
            ("重残（四级)", Some(HandicapGrade::Fourth)),
            ("重残、重残(三级)、重残（2级）", Some(HandicapGrade::Second)),
        ] {
            let found = categories(cell).unwrap();
            assert_eq!(
                (found.categories, found.handicap_grade),
                (Category::SeverelyHandicapped.into(), grade),
                "{cell}"
            );
        }
        for cell in [
            "重残(五级)",
            "重残(0级)",
            "重残()",
            "重残(二级",
            "重残二级",
            "重残(二)",
            "独居(一级)",
        ] {
            assert_eq!(categories(cell), Err(UnknownWord), "{cell}");
        }
    }

    #[test]
    fn assistance_stands_among_the_categories() {
        let found = categories("低保边缘、优抚、五老").unwrap();
        assert!(found.categories.is_empty());
        assert_eq!(
            found.assistance,
            [
                Assistance::MinimumLivingMarginal,
                Assistance::PreferentialTreatment,
                Assistance::FiveVeterans
            ]
            .into()
        );
        assert_eq!(categories("独居、高龄"), Err(UnknownWord));
    }

    #[test]
    fn of_several_levels_the_most_severe_counts_and_observations_give_none() {
        assert_eq!(
            capability("轻度、重度失能 完好").unwrap().level,
            Some(CapabilityLevel::Severe)
        );
        let bedridden = capability("长期卧床、痴呆").unwrap();
        assert_eq!(bedridden.level, None);
        assert_eq!(
            bedridden.observations,
            [Observation::Bedridden, Observation::Dementia].into()
        );
        assert_eq!(capability("一般"), Err(UnknownWord));
        assert!(is_empty(" 、 ") && !is_empty("一般"));
    }

    #[test]
    fn a_wish_beyond_the_nine_services_is_another_one() {
        assert_eq!(
            services("健康管理、助餐"),
            [ServiceKind::HealthManagement, ServiceKind::Other].into()
        );
        assert_eq!(services("无"), Set::EMPTY);
    }
}
