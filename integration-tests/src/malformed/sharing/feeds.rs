//! Malformed requests about feeds, their credentials, and the erasures that departments confirm.

use proto::eldercare::sharing::v1 as sharing;

use super::{no_department, no_reason, wrong_department};
use crate::{
    agreements::DEPARTMENT,
    malformed::{Break, Known, Maker, maker, wrong_values::*},
    new_id,
};

pub(super) fn about_feeds(known: &Known) -> Vec<Maker> {
    use sharing::{
        query_feed_request::Start as Query, subscribe_feed_request::Start as Subscribe, *,
    };
    vec![
        maker(
            method!("QueryFeed"),
            QueryFeedRequest::default(),
            breaks!(QueryFeedRequest:
                "product" => |m, _| m.product = "income".to_owned(),
                "division_code" => |m, r| m.division_code = no_division(r),
                "after_position" => |m, r| m.start = Some(Query::AfterPosition(no_position(r))),
                "no position" => |m, _| m.start = Some(Query::AfterPosition(String::new())),
                "start_time" => |m, r| m.start = no_time(r).map(Query::StartTime),
                "page_size" => |m, r| m.page_size = no_page(r),
            ),
        ),
        maker(
            method!("SubscribeFeed"),
            SubscribeFeedRequest::default(),
            breaks!(SubscribeFeedRequest:
                "product" => |m, _| m.product = "income".to_owned(),
                "division_code" => |m, r| m.division_code = no_division(r),
                "after_position" => |m, r| m.start = Some(Subscribe::AfterPosition(no_position(r))),
                "start_time" => |m, r| m.start = no_time(r).map(Subscribe::StartTime),
            ),
        ),
        maker(
            method!("IssueFeedCredential"),
            IssueFeedCredentialRequest {
                request_id: new_id(),
                department: DEPARTMENT.to_owned(),
            },
            asked!(IssueFeedCredentialRequest:
                "department" => |m, r| m.department = no_department(r),
            ),
        ),
        maker(
            method!("RevokeFeedCredential"),
            RevokeFeedCredentialRequest {
                request_id: new_id(),
                department: DEPARTMENT.to_owned(),
                reason: "LEAK".to_owned(),
            },
            asked!(RevokeFeedCredentialRequest:
                "department" => |m, r| m.department = no_department(r),
                "reason" => |m, r| m.reason = no_reason(r),
            ),
        ),
        maker(
            method!("ListErasures"),
            ListErasuresRequest::default(),
            paged!(ListErasuresRequest:
                "department" => |m, r| m.department = wrong_department(r),
            ),
        ),
        maker(
            method!("ConfirmErasure"),
            ConfirmErasureRequest {
                request_id: new_id(),
                elder_id: known.elder.clone(),
            },
            asked!(ConfirmErasureRequest:
                "elder_id" => |m, r| m.elder_id = no_uuid(r),
            ),
        ),
    ]
}
