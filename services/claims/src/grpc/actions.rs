//! What callers need for each method.

use proto::eldercare::claims::v1::claims_service_server::SERVICE_NAME;
use service::{Action, Actions};

/// What each method does, as the policies of permission speak of it.
pub fn actions() -> Actions {
    Actions::new().declare(
        SERVICE_NAME,
        &[
            ("DefineProgramme", Action::Administer),
            ("GetProgramme", Action::ReadReference),
            ("ListProgrammes", Action::ReadReference),
            ("EnrolPersons", Action::Write),
            ("EndEnrolment", Action::Write),
            ("ListEnrolments", Action::ReadPersonal),
            ("GetEntitlement", Action::ReadPersonal),
            ("ContractProvider", Action::Write),
            ("EndContract", Action::Write),
            ("RegisterCaregiver", Action::Write),
            ("RetireCaregiver", Action::Write),
            ("SubmitOrder", Action::Submit),
            ("SubmitOrders", Action::Submit),
            ("GetOrder", Action::ReadOrders),
            ("ListOrders", Action::ReadOrders),
            ("AppealOrder", Action::Submit),
            ("DecideAppeal", Action::Review),
            ("ListAppeals", Action::ReadPersonal),
            ("ListHeldOrders", Action::ReadPersonal),
            ("DecideHold", Action::Review),
            ("DraftSettlement", Action::Write),
            ("ConfirmSettlement", Action::Review),
            ("RecordPayment", Action::Review),
            ("AdjustSettlement", Action::Review),
            ("GetSettlement", Action::ReadPersonal),
            ("ListSettlements", Action::ReadStatistics),
            ("ExportSettlement", Action::ExportPersonal),
            ("ListSuspicions", Action::ReadPersonal),
            ("FundDeposit", Action::Write),
            ("GetFund", Action::ReadStatistics),
            ("GetFundLedger", Action::ReadStatistics),
            ("GetFigures", Action::ReadStatistics),
        ],
    )
}
