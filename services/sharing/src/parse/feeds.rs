//! Requests about feeds: their credentials, the erasures that departments confirm, and their events.

use civic::ElderId;
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::sharing::v1::{query_feed_request, subscribe_feed_request};
use service::{Asked, Checks, List, Paged};

use super::{LISTS, Parse, Parsed, department, known_product, maybe_department, page_of, reason};
use crate::erasures::ErasureFilter;
use crate::feeds::{FeedAsked, Start, stream};

impl Parse {
    pub(crate) fn issue_credential(
        &self,
        mut request: pb::IssueFeedCredentialRequest,
    ) -> Parsed<(Asked, String)> {
        let id = std::mem::take(&mut request.request_id);
        let (mut checks, asked) = self.command(&id, &request);
        let department = department(&mut checks, &request.department);
        checks.all((asked, department))
    }

    pub(crate) fn revoke_credential(
        &self,
        mut request: pb::RevokeFeedCredentialRequest,
    ) -> Parsed<(Asked, String, String)> {
        let id = std::mem::take(&mut request.request_id);
        let (mut checks, asked) = self.command(&id, &request);
        let department = department(&mut checks, &request.department);
        let reason = reason(&mut checks, &request.reason);
        checks.all((asked, department, reason))
    }

    pub(crate) fn list_erasures(
        &self,
        mut request: pb::ListErasuresRequest,
    ) -> Parsed<Paged<ErasureFilter>> {
        let mut checks = Checks::new();
        let department = maybe_department(&mut checks, &request.department);
        let outstanding = request.outstanding;
        let filter = department.map(|department| ErasureFilter {
            department,
            outstanding,
        });
        let page = page_of(&mut request.page_size, &mut request.page_token);
        let paging = (page, std::mem::take(&mut request.min_position));
        self.paged(checks, ("ListErasures", &request), paging, filter)
    }

    pub(crate) fn confirm_erasure(
        &self,
        mut request: pb::ConfirmErasureRequest,
    ) -> Parsed<(Asked, ElderId)> {
        let id = std::mem::take(&mut request.request_id);
        let (mut checks, asked) = self.command(&id, &request);
        let elder = checks.id("elder_id", &request.elder_id).map(ElderId);
        checks.all((asked, elder))
    }
}

/// Which events of feeds are asked for, and how many at most.
pub(crate) fn query_feed(request: &pb::QueryFeedRequest) -> Parsed<(FeedAsked, u32)> {
    use query_feed_request::Start as From;
    let mut checks = Checks::new();
    let start = match &request.start {
        None => Some(None),
        Some(From::AfterPosition(position)) => after_position(&mut checks, position).map(Some),
        Some(From::StartTime(time)) => start_time(&mut checks, *time).map(Some),
    };
    let feeds = feeds(&mut checks, &request.product, &request.division_code, start);
    // Of no list: a position says where to go on.
    let page = List::new("QueryFeed", &[]).page(request.page_size, "", LISTS);
    let size = match page {
        Ok(page) => Some(page.size),
        Err(violation) => {
            checks.add(violation);
            None
        }
    };
    checks.all((feeds, size))
}

/// Which events of feeds are asked for, and all that come after.
pub(crate) fn subscribe_feed(request: &pb::SubscribeFeedRequest) -> Parsed<FeedAsked> {
    use subscribe_feed_request::Start as From;
    let mut checks = Checks::new();
    let start = match &request.start {
        None => Some(None),
        Some(From::AfterPosition(position)) => after_position(&mut checks, position).map(Some),
        Some(From::StartTime(time)) => start_time(&mut checks, *time).map(Some),
    };
    let feeds = feeds(&mut checks, &request.product, &request.division_code, start);
    checks.all(feeds)
}

fn feeds(
    checks: &mut Checks,
    product: &str,
    division: &str,
    start: Option<Option<Start>>,
) -> Option<FeedAsked> {
    let product = if product.is_empty() {
        Some(None)
    } else {
        known_product(checks, "product", product).map(Some)
    };
    let division = if division.is_empty() {
        Some(None)
    } else {
        checks.division("division_code", division).map(Some)
    };
    Some(FeedAsked {
        product: product?,
        division: division?,
        start: start?,
    })
}

fn after_position(checks: &mut Checks, text: &str) -> Option<Start> {
    let field = "after_position";
    if text.is_empty() {
        checks.refuse(field, "REQUIRED", "is required", "不能为空");
        return None;
    }
    let (en, zh) = ("must lie in the stream of feeds", "必须是数据流的位置");
    let position = checks.position_in(&[stream::STREAM], field, text, en, zh)??;
    Some(Start::After(position.sequence))
}

fn start_time(checks: &mut Checks, time: prost_types::Timestamp) -> Option<Start> {
    let time = checks.instant("start_time", Some(time))??;
    Some(Start::At(time))
}
