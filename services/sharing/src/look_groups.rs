//! What an answer tells of elders, as it goes on record: elders of whom the same fields are told, by the same right, stand in one
//! look, and others in another one. So what is on record of an elder is just what was told of that one.

use std::collections::{BTreeMap, BTreeSet};

use civic::ElderId;

use crate::look::Look;

/// How many elders one look names.
const IN_A_LOOK: usize = 200;

/// Elders of whom the same is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group<R> {
    /// By what right.
    pub(crate) by: R,
    /// Which fields that are personal, of each of them.
    fields: Vec<String>,
    elders: Vec<ElderId>,
}

impl<R> Group<R> {
    /// The look that tells of them; all else is as in another one.
    pub(crate) fn within(self, look: &Look) -> Look {
        Look {
            elders: self.elders,
            fields: self.fields,
            ..look.clone()
        }
    }
}

/// Groups what is told of elders: by what right, of whom, and which fields. What is told of one by the same right comes together.
pub(crate) fn groups<R: Ord + Clone>(
    told: impl IntoIterator<Item = (R, ElderId, Vec<String>)>,
) -> Vec<Group<R>> {
    let mut of_elders: BTreeMap<(R, ElderId), BTreeSet<String>> = BTreeMap::new();
    for (by, elder, fields) in told {
        of_elders.entry((by, elder)).or_default().extend(fields);
    }
    let mut of_fields: BTreeMap<(R, BTreeSet<String>), Vec<ElderId>> = BTreeMap::new();
    for ((by, elder), fields) in of_elders {
        of_fields.entry((by, fields)).or_default().push(elder);
    }
    let mut groups = Vec::with_capacity(of_fields.len());
    for ((by, fields), elders) in of_fields {
        groups.extend(elders.chunks(IN_A_LOOK).map(|elders| Group {
            by: by.clone(),
            fields: fields.iter().cloned().collect(),
            elders: elders.to_vec(),
        }));
    }
    groups
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn elder(number: u128) -> ElderId {
        ElderId(Uuid::from_u128(number))
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    /// Right, fields and elders of each group.
    fn told(all: &[(u8, u128, &[&str])]) -> Vec<(u8, Vec<String>, Vec<ElderId>)> {
        let all = all.iter();
        let told = all.map(|(by, number, fields)| (*by, elder(*number), words(fields)));
        let groups = groups(told).into_iter();
        groups.map(|one| (one.by, one.fields, one.elders)).collect()
    }

    #[test]
    fn elders_of_whom_the_same_is_told_by_the_same_right_stand_together_and_no_others() {
        let groups = told(&[
            (1, 3, &["elder.name"]),
            (1, 1, &["elder.name"]),
            (1, 2, &["elder.name", "elder.address"]),
            (2, 4, &["elder.name"]),
            (1, 5, &[]),
        ]);
        assert_eq!(
            groups,
            [
                (1, words(&[]), vec![elder(5)]),
                (1, words(&["elder.address", "elder.name"]), vec![elder(2)]),
                (1, words(&["elder.name"]), vec![elder(1), elder(3)]),
                (2, words(&["elder.name"]), vec![elder(4)]),
            ]
        );
    }

    #[test]
    fn what_is_told_of_an_elder_in_several_parts_is_one() {
        let groups = told(&[
            (1, 1, &["elder.name"]),
            (1, 2, &["elder.name", "tier.reasons"]),
            (1, 1, &["tier.reasons", "elder.name"]),
        ]);
        let both = words(&["elder.name", "tier.reasons"]);
        assert_eq!(groups, [(1, both, vec![elder(1), elder(2)])]);
    }

    #[test]
    fn one_look_names_two_hundred_elders_at_most() {
        let nothing: &[&str] = &[];
        let all: Vec<_> = (0..450).map(|number| (1, number, nothing)).collect();
        let sizes: Vec<usize> = told(&all).iter().map(|(.., elders)| elders.len()).collect();
        assert_eq!(sizes, [200, 200, 50]);
    }
}
