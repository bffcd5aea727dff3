//! Requests for what is on record: who has looked at what, and the export of it all.

use civic::ElderId;
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::sharing::v1::get_access_history_request as history_request;
use service::{Checks, Paged};

use super::{Parse, Parsed, maybe_day, page_of};
use crate::history::{self, Whose};

/// The longest name of a caller.
const LONGEST_CALLER: usize = 300;

impl Parse {
    pub(crate) fn history(
        &self,
        mut request: pb::GetAccessHistoryRequest,
    ) -> Parsed<Paged<history::Filter>> {
        let mut checks = Checks::new();
        let whose = match &request.whose {
            Some(history_request::Whose::ElderId(elder)) => {
                let elder = checks.id("elder_id", elder);
                elder.map(|elder| Whose::Elder(ElderId(elder)))
            }
            Some(history_request::Whose::Caller(caller)) => checks
                .string("caller", caller, 1..=LONGEST_CALLER)
                .map(Whose::Caller),
            None => {
                checks.refuse(
                    "whose",
                    "REQUIRED",
                    "needs either `elder_id` or `caller`",
                    "须填写 elder_id 或 caller",
                );
                None
            }
        };
        let first = maybe_day(&mut checks, "first_day", request.first_day);
        let last = maybe_day(&mut checks, "last_day", request.last_day);
        let days = first.flatten().zip(last.flatten());
        checks.that(
            days.is_none_or(|(first, last)| first <= last),
            "last_day",
            "DAYS_INVALID",
            "must not lie before the first day",
            "不得早于起始日",
        );
        let filter = whose.zip(first).zip(last);
        let filter = filter.map(|((whose, first), last)| history::Filter { whose, first, last });
        let page = page_of(&mut request.page_size, &mut request.page_token);
        let paging = (page, std::mem::take(&mut request.min_position));
        self.paged(checks, ("GetAccessHistory", &request), paging, filter)
    }
}

/// The first sequence of an export.
pub(crate) fn export(request: &pb::ExportAuditRequest) -> Parsed<u64> {
    let mut checks = Checks::new();
    let first = checks.number("first_sequence", request.first_sequence, 0..=i64::MAX);
    let first = checks.all(first)?;
    Ok(first.cast_unsigned().max(1))
}
