//! What the registry knows of an elder, in the words that a survey uses, so that what is printed can be read again.

use civic::{
    Assistance, CapabilityLevel, Category, ConsentState, HandicapGrade, Observation, ServiceKind,
    Set,
};

/// The cell of categories: categories, the handicap with its grade, then assistance.
///
/// A grade without the category 重残 has no word there.
#[must_use]
pub fn categories(
    categories: Set<Category>,
    handicap_grade: Option<HandicapGrade>,
    assistance: Set<Assistance>,
) -> String {
    let categories = categories
        .iter()
        .map(|category| match (category, handicap_grade) {
            (Category::SeverelyHandicapped, Some(grade)) => {
                format!("{}({})", category.chinese(), grade.chinese())
            }
            (category, _) => category.chinese().to_owned(),
        });
    joined(
        categories.chain(
            assistance
                .iter()
                .map(|assistance| assistance.chinese().to_owned()),
        ),
    )
}

/// The cell of capability: the level, then observations. A level that was not assessed has no word there.
#[must_use]
pub fn capability(level: CapabilityLevel, observations: Set<Observation>) -> String {
    let level = (level != CapabilityLevel::Unassessed).then(|| level.chinese().to_owned());
    joined(
        level.into_iter().chain(
            observations
                .iter()
                .map(|observation| observation.chinese().to_owned()),
        ),
    )
}

/// The cell of wanted services.
#[must_use]
pub fn services(services: Set<ServiceKind>) -> String {
    joined(services.iter().map(|service| service.chinese().to_owned()))
}

/// The cell of consent to visits at home.
#[must_use]
pub const fn consent(consent: ConsentState) -> &'static str {
    match consent {
        ConsentState::Granted => "是",
        ConsentState::Refused => "否",
        ConsentState::Unknown => "",
    }
}

fn joined(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join("、")
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::subsequence};

    use super::*;
    use crate::survey::tokens;

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            of_category in subsequence(Category::ALL, 0..=6),
            of_assistance in subsequence(Assistance::ALL, 0..=5),
            grade in 0_u8..=4,
            level in proptest::sample::select(CapabilityLevel::ALL),
            of_observation in subsequence(Observation::ALL, 0..=3),
            of_service in subsequence(ServiceKind::ALL, 0..=9),
        ) {
            let written: Set<Category> = of_category.into_iter().collect();
            let is_handicapped = written.contains(Category::SeverelyHandicapped);
            let grade = HandicapGrade::try_from(grade).ok().filter(|_| is_handicapped);
            let assistance: Set<Assistance> = of_assistance.into_iter().collect();
            let read = tokens::categories(&categories(written, grade, assistance)).unwrap();
            prop_assert_eq!((read.categories, read.handicap_grade, read.assistance), (written, grade, assistance));

            let observations: Set<Observation> = of_observation.into_iter().collect();
            let read = tokens::capability(&capability(level, observations)).unwrap();
            prop_assert_eq!((read.level.unwrap_or_default(), read.observations), (level, observations));

            let wanted: Set<ServiceKind> = of_service.into_iter().collect();
            prop_assert_eq!(tokens::services(&services(wanted)), wanted);
        }
    }
}
