//! The same of claims: who hands in, who decides, and who reads.

use integration_tests::{
    Setup, System,
    callers::reviewer,
    claiming::{
        self, PROGRAMME, a_caregiver, a_confirmation, a_contract, a_draft, a_grant, a_payment,
        a_programme, an_enrolment, an_order, drafted, enrol, enrolled, enrolment_in_words,
        programme, provider, standing_in_words, submit_alone,
    },
    county, date, new_id, officer,
    process::Part,
    reason,
};
use proto::eldercare::{
    claims::v1::{
        AdjustSettlementRequest, AppealDecision, AppealOrderRequest, DecideAppealRequest,
        DecideHoldRequest, EndContractRequest, EndEnrolmentRequest, ExportSettlementRequest,
        GetEntitlementRequest, GetFiguresRequest, GetFundLedgerRequest, GetFundRequest,
        GetOrderRequest, GetSettlementRequest, HoldDecision, ListAppealsRequest,
        ListEnrolmentsRequest, ListHeldOrdersRequest, ListOrdersRequest, ListSettlementsRequest,
        ListSuspicionsRequest, OrderFilter, RetireCaregiverRequest, ServiceOrder, SettlementFormat,
        claims_service_client::ClaimsServiceClient,
    },
    registry::v1::GetElderRequest,
};
use service::{Claims, TokenIssuer};
use tonic::{Code, Status};

use super::{
    bare_line, bearing, by_id, clerk, is_no_method, is_unknown, who_may_not, without_purpose,
};
use crate::bad_input::{is_typed, still_works};

/// What the callers of claims ask about: an approved order, an abnormal one, and a draft.
struct Claimed {
    system: System,
    elder: String,
    caregiver: String,
    contract: String,
}

impl Claimed {
    const APPROVED: [&str; 2] = ["P01", "1"];
    const ABNORMAL: [&str; 2] = ["P01", "2"];

    async fn of() -> Self {
        let system = System::start_with(Setup::with_claims()).await;
        programme(&system, PROGRAMME).await;
        let caregiver = provider(&system, "P01").await;
        let contract = a_contract("P02", PROGRAMME);
        let contract = system.claims().contract_provider(contract).await.unwrap();
        let elder = enrolled(&system, "林九").await;
        let claimed = Self {
            caregiver,
            contract: contract.into_inner().contract_id,
            elder,
            system,
        };
        let mut claims = claimed.system.claims();
        for (name, day) in [(Self::APPROVED, 20), (Self::ABNORMAL, 21)] {
            let mut order = claimed.order(name, day);
            if name == Self::ABNORMAL {
                order.items.clear();
            }
            submit_alone(claims.clone(), &order).await.unwrap();
        }
        drafted(&claimed.system, "P01").await;
        claims.fund_deposit(a_grant(1)).await.unwrap();
        claimed.system.settled().await;
        claimed
    }

    fn order(&self, name: [&str; 2], day: u32) -> ServiceOrder {
        let start = format!("2024-09-{day:02}T08:00:00+08:00");
        an_order(name, &self.caregiver, &self.elder, &start)
    }
}

/// Told to whoever names a division or a programme of elsewhere.
const OUT_OF_REACH: &str = "DIVISION_OUT_OF_REACH";

/// The refusal of somebody who may not, for a reason of their own; whoever works elsewhere is told what is said there.
fn is_refused(refused: &Status, expected: &'static str, elsewhere: &'static str) {
    is_typed(refused, "a call to claims");
    let told = match elsewhere {
        OUT_OF_REACH => (Code::PermissionDenied, expected),
        unknown => by_id(expected, unknown),
    };
    assert_eq!((refused.code(), reason(refused).as_str()), told);
}

fn an_appeal([provider, number]: [&str; 2]) -> AppealOrderRequest {
    AppealOrderRequest {
        request_id: new_id(),
        provider_id: provider.to_owned(),
        order_id: number.to_owned(),
        statement: "项目已补录".to_owned(),
        evidence: vec![],
    }
}

fn a_decision([provider, number]: [&str; 2]) -> DecideAppealRequest {
    DecideAppealRequest {
        request_id: new_id(),
        provider_id: provider.to_owned(),
        order_id: number.to_owned(),
        decision: AppealDecision::Accept.into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_known_or_may_not_changes_nothing_in_claims() {
    let mut claimed = Claimed::of().await;
    let system = &claimed.system;
    let before = system.written().await;
    let fresh = claimed.order(["P01", "3"], 22);

    // Without a token, or with one of somebody else's.
    let mut nobody = ClaimsServiceClient::new(bare_line(system.address_of(Part::Claims)));
    let stranger = format!("Bearer {}", TokenIssuer::generate().issue(&officer()));
    for words in [None, Some(stranger.as_str()), Some("Bearer x")] {
        let grant = bearing(a_grant(1), words);
        is_unknown(&nobody.fund_deposit(grant).await.unwrap_err());
        let orders = bearing(tokio_stream::iter([]), words);
        is_unknown(&nobody.submit_orders(orders).await.unwrap_err());
    }

    // Known, but not for this.
    let end_contract = || EndContractRequest {
        request_id: new_id(),
        provider_id: "P02".to_owned(),
        contract_id: claimed.contract.clone(),
        last_day: Some(date("2024-12-31")),
    };
    let retire = || RetireCaregiverRequest {
        request_id: new_id(),
        caregiver_id: claimed.caregiver.clone(),
        last_day: Some(date("2024-12-31")),
    };
    let end_enrolment = || EndEnrolmentRequest {
        request_id: new_id(),
        programme_code: PROGRAMME.to_owned(),
        elder_id: claimed.elder.clone(),
        enrolment_id: new_id(),
        last_day: Some(date("2024-10-31")),
    };
    for (claims, expected) in who_may_not() {
        let mut claims = system.caller(&claims).claims();
        // Beside each how it is refused elsewhere: what is asked for by its id is not there.
        let refusals = [
            (
                claims
                    .contract_provider(a_contract("P03", PROGRAMME))
                    .await
                    .err(),
                OUT_OF_REACH,
            ),
            (
                claims.end_contract(end_contract()).await.err(),
                "CONTRACT_NOT_FOUND",
            ),
            (
                claims
                    .register_caregiver(a_caregiver("P01", "王五"))
                    .await
                    .err(),
                "PROVIDER_NOT_FOUND",
            ),
            (
                claims.retire_caregiver(retire()).await.err(),
                "CAREGIVER_NOT_FOUND",
            ),
            (
                claims.end_enrolment(end_enrolment()).await.err(),
                "ENROLMENT_NOT_FOUND",
            ),
            (
                submit_alone(claims.clone(), &fresh).await.err(),
                "ELDER_NOT_FOUND",
            ),
            (
                claims
                    .appeal_order(an_appeal(Claimed::ABNORMAL))
                    .await
                    .err(),
                "ORDER_NOT_FOUND",
            ),
            (
                claims.draft_settlement(a_draft("P01")).await.err(),
                OUT_OF_REACH,
            ),
            (claims.fund_deposit(a_grant(1)).await.err(), OUT_OF_REACH),
        ];
        for (refused, elsewhere) in refusals {
            let refused = refused.expect("it is not theirs");
            is_refused(&refused, expected, elsewhere);
        }
    }
    // Whoever knows its number learns nothing of an order of elsewhere, be it the same order or another one.
    let elsewhere = system.caller(&clerk().division("350525"));
    let known = claimed.order(Claimed::APPROVED, 20);
    let another = claimed.order(Claimed::APPROVED, 23);
    for order in [known, another] {
        let refused = submit_alone(elsewhere.claims(), &order).await.unwrap_err();
        assert_eq!(reason(&refused), "ELDER_NOT_FOUND", "{refused}");
    }
    // In a stream each order and each enrolment of another county is refused by itself.
    let sent = [fresh.clone(), fresh];
    let outcomes = claiming::submit(elsewhere.claims(), &sent, "").await;
    for outcome in outcomes.unwrap() {
        assert_eq!(claiming::in_words(&outcome), "INVALID ELDER_NOT_FOUND");
    }
    let enrolment = an_enrolment(PROGRAMME, &claimed.elder);
    let sent = [enrolment.clone(), enrolment];
    for outcome in enrol(elsewhere.claims(), &sent, "").await.unwrap() {
        assert_eq!(enrolment_in_words(&outcome), "INVALID ELDER_NOT_FOUND");
    }

    // A clerk hands in, and neither decides nor pays; a supervisor defines no programmes.
    let settlement = GetSettlementRequest {
        programme_code: PROGRAMME.to_owned(),
        provider_id: "P01".to_owned(),
        number: 1,
        min_position: String::new(),
    };
    let settlement = system.claims().get_settlement(settlement).await.unwrap();
    let settlement = settlement.into_inner().settlement.unwrap();
    let hold = DecideHoldRequest {
        request_id: new_id(),
        provider_id: "P01".to_owned(),
        order_id: "1".to_owned(),
        decision: HoldDecision::Withdraw.into(),
        etag: String::new(),
    };
    let adjust = AdjustSettlementRequest {
        request_id: new_id(),
        programme_code: PROGRAMME.to_owned(),
        provider_id: "P01".to_owned(),
        number: 1,
        amount_fen: -1,
        order_id: String::new(),
        reason: "多付一分".to_owned(),
    };
    let mut clerk = system.caller(&clerk().division("*")).claims();
    let refusals = [
        clerk
            .decide_appeal(a_decision(Claimed::ABNORMAL))
            .await
            .err(),
        clerk.decide_hold(hold).await.err(),
        clerk
            .confirm_settlement(a_confirmation(&settlement))
            .await
            .err(),
        clerk.record_payment(a_payment(&settlement)).await.err(),
        clerk.adjust_settlement(adjust).await.err(),
        clerk.define_programme(a_programme("OTHER")).await.err(),
        system
            .review()
            .define_programme(a_programme("OTHER"))
            .await
            .err(),
    ];
    for refused in refusals {
        let refused = refused.expect("it is not theirs");
        is_typed(&refused, "what a clerk may not");
        assert_eq!(reason(&refused), "ACTION_NOT_PERMITTED", "{refused}");
    }

    for path in [
        "/eldercare.claims.v1.ClaimsService/DropClaims",
        "/eldercare.registry.v1.RegistryService/ListDivisions",
    ] {
        is_no_method(system.officer().channel(Part::Claims), path).await;
    }
    assert_eq!(system.written().await, before);
    still_works(&mut claimed.system).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_not_learns_nothing_of_claims_but_figures() {
    let claimed = Claimed::of().await;
    let system = &claimed.system;
    let division_code = || county::COUNTY.to_owned();
    let programme_code = || PROGRAMME.to_owned();
    let filter = || OrderFilter {
        division_code: division_code(),
        ..OrderFilter::default()
    };

    // Figures and funds are everybody's there; who stands behind them is told to civil affairs, who say what for.
    let planner = Claims::officer("zhao", "finance").role("viewer");
    let here = system.caller(&planner.clone().division(county::COUNTY));
    let away = system.caller(&planner.division("350525"));
    let figures = GetFiguresRequest {
        filter: Some(filter()),
        ..GetFiguresRequest::default()
    };
    let fund = GetFundRequest {
        programme_code: programme_code(),
        ..GetFundRequest::default()
    };
    let ledger = GetFundLedgerRequest {
        programme_code: programme_code(),
        ..GetFundLedgerRequest::default()
    };
    let settlements = ListSettlementsRequest {
        programme_code: programme_code(),
        ..ListSettlementsRequest::default()
    };
    let mut claims = here.claims();
    assert!(claims.get_figures(figures.clone()).await.is_ok());
    assert!(claims.get_fund(fund.clone()).await.is_ok());
    assert!(claims.get_fund_ledger(ledger.clone()).await.is_ok());
    assert!(claims.list_settlements(settlements.clone()).await.is_ok());
    let mut claims = away.claims();
    let refusals = [
        claims.get_figures(figures).await.err(),
        claims.get_fund(fund).await.err(),
        claims.get_fund_ledger(ledger).await.err(),
        claims.list_settlements(settlements).await.err(),
    ];
    for refused in refusals {
        let refused = refused.expect("it is not theirs");
        is_typed(&refused, "figures of claims");
        assert_eq!(reason(&refused), OUT_OF_REACH, "{refused}");
    }

    let silent = without_purpose(system);
    let elsewhere = system.caller(&clerk().division("350525").role("supervisor"));
    for (caller, expected) in [
        (here, "ACTION_NOT_PERMITTED"),
        (silent, "PURPOSE_REQUIRED"),
        (elsewhere, OUT_OF_REACH),
    ] {
        let mut claims = caller.claims();
        let entitlement = GetEntitlementRequest {
            programme_code: programme_code(),
            elder_id: claimed.elder.clone(),
            ..GetEntitlementRequest::default()
        };
        let enrolments = ListEnrolmentsRequest {
            division_code: division_code(),
            programme_code: programme_code(),
            ..ListEnrolmentsRequest::default()
        };
        let get = GetOrderRequest {
            provider_id: "P01".to_owned(),
            order_id: "1".to_owned(),
            ..GetOrderRequest::default()
        };
        let list = ListOrdersRequest {
            filter: Some(filter()),
            ..ListOrdersRequest::default()
        };
        let appeals = ListAppealsRequest {
            division_code: division_code(),
            ..ListAppealsRequest::default()
        };
        let held = ListHeldOrdersRequest {
            division_code: division_code(),
            ..ListHeldOrdersRequest::default()
        };
        let suspicions = ListSuspicionsRequest {
            division_code: division_code(),
            first_day: Some(date("2024-09-01")),
            last_day: Some(date("2024-09-30")),
            ..ListSuspicionsRequest::default()
        };
        let settlement = GetSettlementRequest {
            programme_code: programme_code(),
            provider_id: "P01".to_owned(),
            number: 1,
            ..GetSettlementRequest::default()
        };
        let export = ExportSettlementRequest {
            programme_code: programme_code(),
            provider_id: "P01".to_owned(),
            number: 1,
            format: SettlementFormat::Csv.into(),
            ..ExportSettlementRequest::default()
        };
        let refusals = [
            (
                claims.get_entitlement(entitlement).await.err(),
                "ELDER_NOT_FOUND",
            ),
            (claims.list_enrolments(enrolments).await.err(), OUT_OF_REACH),
            (claims.get_order(get).await.err(), "ORDER_NOT_FOUND"),
            (claims.list_orders(list).await.err(), OUT_OF_REACH),
            (claims.list_appeals(appeals).await.err(), OUT_OF_REACH),
            (claims.list_held_orders(held).await.err(), OUT_OF_REACH),
            (claims.list_suspicions(suspicions).await.err(), OUT_OF_REACH),
            (
                claims.get_settlement(settlement).await.err(),
                "SETTLEMENT_NOT_FOUND",
            ),
            (
                claims.export_settlement(export).await.err(),
                "SETTLEMENT_NOT_FOUND",
            ),
        ];
        for (place, (refused, elsewhere)) in refusals.into_iter().enumerate() {
            let refused = refused.unwrap_or_else(|| panic!("{expected}: {place} is told"));
            is_refused(&refused, expected, elsewhere);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_providers_own_system_sees_its_orders_and_knows_of_no_others() {
    let claimed = Claimed::of().await;
    let system = &claimed.system;
    let own_system = |provider: &str| {
        let claims = Claims::system(format!("system-of-{provider}"), "provider")
            .division(county::COUNTY)
            .role("provider")
            .provider(provider)
            .purpose("settlement");
        system.caller(&claims)
    };
    let (own, other) = (own_system("P01"), own_system("P02"));
    let fresh = claimed.order(["P01", "3"], 22);
    let told = submit_alone(own.claims(), &fresh).await.unwrap();
    let standing = told.standing.unwrap();
    assert_eq!(standing_in_words(&standing), "APPROVED");
    assert_eq!(standing.entitled_by, "", "what it needs not know");
    let before = system.written().await;
    for order in [fresh, claimed.order(["P01", "4"], 23)] {
        let refused = submit_alone(other.claims(), &order).await.unwrap_err();
        is_typed(&refused, "an order of another provider");
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::PermissionDenied, "PROVIDER_OUT_OF_REACH")
        );
    }
    let get = |number: &str| GetOrderRequest {
        provider_id: "P01".to_owned(),
        order_id: number.to_owned(),
        ..GetOrderRequest::default()
    };
    let shown = own.claims().get_order(get("3")).await.unwrap().into_inner();
    assert_eq!(
        (shown.facts, shown.order.unwrap().order_id),
        (None, "3".to_owned())
    );
    for number in ["3", "4"] {
        let refused = other.claims().get_order(get(number)).await.unwrap_err();
        assert_eq!(reason(&refused), "ORDER_NOT_FOUND", "{number}: {refused}");
    }
    // Nor has it anything to do with elders' files, or with what the county decides.
    let elder = GetElderRequest {
        elder_id: claimed.elder.clone(),
        ..GetElderRequest::default()
    };
    let refusals = [
        own.registry().get_elder(elder).await.err(),
        own.claims().draft_settlement(a_draft("P01")).await.err(),
        own.claims()
            .decide_appeal(a_decision(Claimed::ABNORMAL))
            .await
            .err(),
        own.claims()
            .register_caregiver(a_caregiver("P01", "王五"))
            .await
            .err(),
    ];
    for refused in refusals {
        let refused = refused.expect("it is not theirs");
        assert_eq!(reason(&refused), "ACTION_NOT_PERMITTED", "{refused}");
    }
    assert_eq!(system.written().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_decides_on_an_appeal_of_an_order_of_their_own() {
    let claimed = Claimed::of().await;
    let system = &claimed.system;
    // The officer handed the order in, and somebody else files the appeal.
    let advocate = Claims::officer("sun", "civil_affairs")
        .division(county::COUNTY)
        .role("supervisor")
        .purpose("appeals");
    let advocate = system.caller(&advocate);
    let appeal = an_appeal(Claimed::ABNORMAL);
    advocate.claims().appeal_order(appeal).await.unwrap();
    let before = system.written().await;
    for caller in [system.officer(), advocate] {
        let decision = a_decision(Claimed::ABNORMAL);
        let refused = caller.claims().decide_appeal(decision).await;
        let refused = refused.expect_err("it is their own");
        is_typed(&refused, "an appeal of their own");
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::PermissionDenied, "SAME_PERSON")
        );
    }
    // A reviewer of another county does not decide either.
    let elsewhere = Claims {
        divisions: vec!["350525".to_owned()],
        ..reviewer()
    };
    let mut elsewhere = system.caller(&elsewhere).claims();
    let refused = elsewhere.decide_appeal(a_decision(Claimed::ABNORMAL)).await;
    assert_eq!(reason(&refused.unwrap_err()), "ORDER_NOT_FOUND");
    assert_eq!(system.written().await, before);
    let decision = a_decision(Claimed::ABNORMAL);
    let decided = system.review().decide_appeal(decision).await.unwrap();
    assert_eq!(
        standing_in_words(&decided.into_inner().standing.unwrap()),
        "APPROVED ITEMS_INVALID"
    );
}
