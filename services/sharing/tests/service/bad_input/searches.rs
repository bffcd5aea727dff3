//! Searches and situations that are asked for wrongly.

use proto::eldercare::sharing::v1 as pb;

use super::{NO_DAY, faults};
use crate::support::{Ground, date, reader};

#[tokio::test]
async fn searches_that_are_asked_for_wrongly_are_refused_by_their_fields() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let many = |word: &str, count: usize| vec![word.to_owned(); count];
    let of_divisions = |division_codes| pb::FindEldersRequest {
        division_codes,
        ..Default::default()
    };
    let of_tiers = |tiers| pb::FindEldersRequest {
        tiers,
        ..Default::default()
    };
    let of_categories = |categories| pb::FindEldersRequest {
        categories,
        ..Default::default()
    };
    let since = |not_visited_since| pb::FindEldersRequest {
        not_visited_since,
        ..Default::default()
    };
    for (bad, expected) in [
        (
            of_divisions(many("35052", 1)),
            "division_codes[0] DIVISION_INVALID",
        ),
        (
            of_divisions(many("350524", 2)),
            "division_codes[1] DIVISION_TWICE",
        ),
        (
            of_divisions(many("350524", 101)),
            "division_codes COUNT_OUT_OF_RANGE",
        ),
        (of_tiers(many("", 1)), "tiers[0] REQUIRED"),
        (of_tiers(many(&"A".repeat(65), 1)), "tiers[0] TOO_LONG"),
        (of_tiers(many("PRIORITY", 21)), "tiers COUNT_OUT_OF_RANGE"),
        (
            of_categories(many("ALONE", 1)),
            "categories[0] VALUE_UNKNOWN",
        ),
        (
            of_categories(many("LIVING_ALONE", 21)),
            "categories COUNT_OUT_OF_RANGE",
        ),
        (since(NO_DAY), "not_visited_since DAY_INVALID"),
        (
            since(date("2024-03-02")),
            "not_visited_since DAY_IN_THE_FUTURE",
        ),
        (
            pb::FindEldersRequest {
                programme_code: "L".repeat(65),
                ..Default::default()
            },
            "programme_code TOO_LONG",
        ),
        (
            pb::FindEldersRequest {
                page_size: -1,
                ..Default::default()
            },
            "page_size PAGE_SIZE_INVALID",
        ),
        (
            pb::FindEldersRequest {
                page_token: "x".to_owned(),
                ..Default::default()
            },
            "page_token PAGE_TOKEN_INVALID",
        ),
        (
            pb::FindEldersRequest {
                min_position: "PRIVATE:1".to_owned(),
                ..Default::default()
            },
            "min_position POSITION_INVALID",
        ),
    ] {
        assert_eq!(faults(running.find(&reader(), bad).await), [expected]);
    }
    let nowhere = pb::WatchSituationRequest::default();
    let outcome = running.client_of(&reader()).watch_situation(nowhere).await;
    assert_eq!(faults(outcome.map(|_| ())), ["division_code REQUIRED"]);
    assert_eq!(ground.written().await, 0);
    running.stop().await;
}
