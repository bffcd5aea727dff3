//! Lists of orders: page by page, and by each field of the filter.

use proto::eldercare::claims::v1 as pb;

use crate::support::{
    Ground, OTHER_VILLAGE, Person, Running, VILLAGE, all_in, date, order, short_order,
};

/// Twelve orders of two elders in two villages, one of them of another provider; every third one is too short.
async fn a_dozen(running: &Running) -> Vec<pb::ServiceOrder> {
    let caregiver = running.insurance().await;
    running.contract("P02", "LTCI").await.unwrap();
    let others = running.caregiver("P02").await;
    let here = running.insured().await;
    let there = Person {
        village: OTHER_VILLAGE,
        handicap: Some(1),
        ..Person::default()
    };
    let there = there.on(&running.ground).await;
    running.enrolled(there).await;
    let orders: Vec<_> = (1..=12)
        .map(|number| {
            let name = format!("O{number}");
            let start = format!("2024-02-{number:02} 09:00");
            let elder = if number % 2 == 0 { here } else { there };
            let order = if number % 3 == 0 {
                short_order(&name, elder, &caregiver, &start)
            } else {
                order(&name, elder, &caregiver, &start)
            };
            if number == 12 {
                pb::ServiceOrder {
                    provider_id: "P02".to_owned(),
                    caregiver_id: others.clone(),
                    ..order
                }
            } else {
                order
            }
        })
        .collect();
    running.stream(&orders).await;
    running.settled().await;
    orders
}

#[tokio::test]
async fn pages_of_orders_walk_over_each_once_the_last_handed_in_first() {
    let running = Ground::at("2024-03-01 09:00").start().await;
    let sent = a_dozen(&running).await;
    let mut expected: Vec<_> = sent.iter().map(|one| one.order_id.as_str()).collect();
    expected.reverse();
    let mut client = running.client();
    for size in [1, 5, 12, 13] {
        let mut request = pb::ListOrdersRequest {
            filter: Some(all_in("35")),
            page_size: size,
            ..Default::default()
        };
        let mut listed = Vec::new();
        loop {
            let page = client.list_orders(request.clone()).await.unwrap();
            let page = page.into_inner();
            assert!(page.orders.len() <= usize::try_from(size).unwrap());
            listed.extend(page.orders.into_iter().map(|one| one.order_id));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(listed, expected, "pages of {size}");
    }
    // A token leads on in its own list only.
    let mut request = pb::ListOrdersRequest {
        filter: Some(all_in("35")),
        page_size: 5,
        ..Default::default()
    };
    let page = client.list_orders(request.clone()).await.unwrap();
    request.page_token = page.into_inner().next_page_token;
    request.filter.as_mut().unwrap().provider_id = "P01".to_owned();
    let refused = client.list_orders(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    running.stop().await;
}

#[tokio::test]
async fn orders_are_listed_by_each_field_of_the_filter() {
    let running = Ground::at("2024-03-01 09:00").start().await;
    let sent = a_dozen(&running).await;
    let numbers = async |change: &dyn Fn(&mut pb::OrderFilter)| {
        let mut filter = all_in("350524");
        change(&mut filter);
        let orders = running.orders(filter).await.into_iter();
        let mut numbers: Vec<u32> = orders
            .map(|one| one.order_id.trim_start_matches('O').parse().unwrap())
            .collect();
        numbers.sort_unstable();
        numbers
    };
    let none: [u32; 0] = [];
    let short = [3, 6, 9, 12];
    let even = [2, 4, 6, 8, 10, 12];
    let odd = [1, 3, 5, 7, 9, 11];
    assert_eq!(numbers(&|_| {}).await.len(), 12);
    assert_eq!(
        numbers(&|f| f.division_code = VILLAGE.to_owned()).await,
        even
    );
    assert_eq!(
        numbers(&|f| f.division_code = "350524101".to_owned()).await,
        odd
    );
    assert_eq!(
        numbers(&|f| f.division_code = "350525".to_owned()).await,
        none
    );
    assert_eq!(
        numbers(&|f| f.programme_code = "HOMECARE".to_owned()).await,
        none
    );
    assert_eq!(
        numbers(&|f| f.programme_code = "LTCI".to_owned())
            .await
            .len(),
        12
    );
    assert_eq!(numbers(&|f| f.provider_id = "P02".to_owned()).await, [12]);
    assert_eq!(
        numbers(&|f| f.elder_id.clone_from(&sent[0].elder_id)).await,
        odd
    );
    let open = pb::OrderState::AbnormalOpen.into();
    let approved = pb::OrderState::Approved.into();
    assert_eq!(numbers(&|f| f.states = vec![open]).await, short);
    assert_eq!(numbers(&|f| f.states = vec![approved]).await.len(), 8);
    assert_eq!(
        numbers(&|f| f.states = vec![open, approved]).await.len(),
        12
    );
    assert_eq!(
        numbers(&|f| f.code = pb::OrderCode::DurationShort.into()).await,
        short
    );
    assert_eq!(
        numbers(&|f| f.code = pb::OrderCode::NotEnrolled.into()).await,
        none
    );
    let from = |f: &mut pb::OrderFilter| f.first_service_day = date("2024-02-11");
    assert_eq!(numbers(&from).await, [11, 12]);
    let until = |f: &mut pb::OrderFilter| f.last_service_day = date("2024-02-02");
    assert_eq!(numbers(&until).await, [1, 2]);
    let in_march = |f: &mut pb::OrderFilter| f.approved_in_month_of = date("2024-03-31");
    assert_eq!(numbers(&in_march).await.len(), 8);
    let in_february = |f: &mut pb::OrderFilter| f.approved_in_month_of = date("2024-02-29");
    assert_eq!(numbers(&in_february).await, none);
    assert_eq!(
        numbers(&|f| f.entitled_by = "HANDICAP_1_2".to_owned()).await,
        odd
    );
    assert_eq!(
        numbers(&|f| f.entitled_by = "LOW_INCOME".to_owned()).await,
        even
    );
    running.stop().await;
}
