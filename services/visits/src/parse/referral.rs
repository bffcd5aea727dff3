//! Requests about referrals.

use civic::{FindingKind, ReferralOutcome};
use elders::terms::WireTerm as _;
use eventlog::Position;
use prost::Message as _;
use proto::eldercare::visits::v1 as pb;
use service::{Asked, Checks, List, Paged};
use uuid::Uuid;

use super::{LISTS, LONGEST_TEXT, Parse, Parsed, page_of};
use crate::decisions;

impl Parse {
    pub(crate) fn list_referrals(
        &self,
        mut request: pb::ListReferralsRequest,
    ) -> Parsed<Paged<(decisions::Filter, Vec<FindingKind>)>> {
        let mut checks = Checks::new();
        let filter = checks
            .division("division_code", &request.division_code)
            .map(|division| decisions::Filter {
                division,
                done_too: request.include_closed,
            });
        let to = request.referred_to.as_str();
        let all = FindingKind::ALL.iter().copied();
        let kinds: Vec<FindingKind> = all
            .filter(|kind| to.is_empty() || kind.department() == to)
            .collect();
        if kinds.is_empty() {
            checks.refuse(
                "referred_to",
                "UNKNOWN_DEPARTMENT",
                "is the code of no department to which findings go",
                "不是承接转介的部门代码",
            );
        }
        let filter = filter.map(|filter| (filter, kinds));
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListReferrals", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, filter)
    }

    pub(crate) fn answer_referral(
        &self,
        mut request: pb::AnswerReferralRequest,
    ) -> Parsed<(Asked, Uuid, String, Option<Position>)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let asked = self.asked(&mut checks, &id, &request);
        let referral = checks.id("referral_id", &request.referral_id);
        let answer = checks.string("answer", &request.answer, 1..=LONGEST_TEXT);
        checks.all((asked, referral, answer, position))
    }

    pub(crate) fn close_referral(
        &self,
        mut request: pb::CloseReferralRequest,
    ) -> Parsed<(Asked, Uuid, ReferralOutcome, Option<Position>)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let asked = self.asked(&mut checks, &id, &request);
        let referral = checks.id("referral_id", &request.referral_id);
        let outcome = checks.known::<pb::ReferralOutcome>("outcome", request.outcome);
        let outcome = outcome.and_then(|outcome| ReferralOutcome::from_wire(outcome.into()));
        checks.all((asked, referral, outcome, position))
    }
}
