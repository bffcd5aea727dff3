//! What becomes of tiers.

use civic::VisitMode;
use elders::codec;
use elders::terms::wire_set;
use eventlog::{RawEvent, Subject};
use proto::eldercare::tiering::v1 as tiering;

use super::{Life, VILLAGES};

impl Life<'_> {
    pub(super) async fn tier_changes(&mut self, who: usize) {
        let elder = self.people[who].elder.to_string();
        let intervals = [tiering::Interval::Weekly, tiering::Interval::Monthly];
        let reasons = ["LIVING_ALONE", "AGE_80", "MILD_DISABILITY"];
        let assignment = Some(tiering::Assignment {
            tier: self
                .dice
                .pick(&["PRIORITY", "SECONDARY", "GENERAL"])
                .to_owned(),
            reasons: vec![self.dice.pick(&reasons).to_owned()],
            interval: self.dice.pick(&intervals).into(),
            modes: wire_set(self.dice.words::<VisitMode>()),
            policy_division_code: "0".to_owned(),
            policy_version: 1,
            division_code: self.dice.pick(&VILLAGES).to_owned(),
        });
        let on = Some(codec::write_day(self.past_day()));
        let subject = Subject::new("tiering", "tier", &elder).unwrap();
        let elder_id = elder;
        let changed = match self.dice.below(5) {
            0 => RawEvent::of(&tiering::TierEnded { elder_id, on }),
            1 => RawEvent::of(&tiering::TierChanged {
                elder_id,
                assignment,
                on,
            }),
            _ => RawEvent::of(&tiering::TierAssigned {
                elder_id,
                assignment,
                on,
            }),
        };
        self.write(|ground| &ground.logs.tiering, subject, vec![changed])
            .await;
    }
}
