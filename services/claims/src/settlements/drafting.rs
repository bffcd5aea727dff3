//! What a draft puts together: the orders of a month that may be settled and are in no other settlement, and the adjustments that
//! wait.

use std::collections::HashSet;

use civic::{CalendarMonth, Fen, SettlementStage};
use uuid::Uuid;

use super::{Event, Line, Refusal, Settlements};

impl Settlements {
    pub(super) fn draft(
        &self,
        month: CalendarMonth,
        approved: &[Line],
        most: usize,
    ) -> Result<Vec<Event>, Refusal> {
        let numbers = 1..=u32::try_from(self.settlements.len()).unwrap_or(u32::MAX);
        let mut numbered = numbers.zip(&self.settlements);
        let draft = numbered.find(|(_, settlement)| {
            settlement.month == month && settlement.stage == SettlementStage::Draft
        });
        let number = match draft {
            Some((number, _)) => number,
            None => u32::try_from(self.settlements.len() + 1).unwrap_or(u32::MAX),
        };
        let others = self.settlements.iter().zip(1_u32..);
        let others = others.filter(|(_, other)| *other != number);
        let elsewhere: HashSet<Uuid> = others
            .flat_map(|(settlement, _)| settlement.lines.iter().map(|line| line.order))
            .collect();
        let mut once = HashSet::new();
        let lines: Vec<Line> = approved
            .iter()
            .filter(|line| self.may_settle(&line.order))
            .filter(|line| !elsewhere.contains(&line.order) && once.insert(line.order))
            .copied()
            .take(most)
            .collect();
        let waiting = self.adjustments.iter().filter(|(_, adjustment)| {
            adjustment
                .borne_by
                .is_none_or(|borne_by| borne_by == number)
        });
        let (adjustments, amounts): (Vec<Uuid>, Vec<Fen>) = waiting
            .map(|(id, adjustment)| (*id, adjustment.amount))
            .unzip();
        if lines.is_empty() && adjustments.is_empty() {
            return Err(Refusal::NothingToSettle);
        }
        let mut sums = lines.iter().map(|line| line.amount).chain(amounts);
        let total = sums.try_fold(Fen::ZERO, Fen::checked_add);
        let total = total.ok_or(Refusal::TooLarge)?;
        if let Some((_, draft)) = draft
            && draft.lines == lines
            && draft.adjustments == adjustments
        {
            return Ok(vec![]);
        }
        Ok(vec![Event::Drafted {
            number,
            month,
            lines,
            adjustments,
            total,
        }])
    }
}
