//! What callers need for each method.

use proto::eldercare::visits::v1::visit_service_server::SERVICE_NAME;
use service::{Action, Actions};

/// What each method does, as the policies of permission speak of it.
pub fn actions() -> Actions {
    Actions::new().declare(
        SERVICE_NAME,
        &[
            ("RegisterVisitor", Action::Write),
            ("UpdateVisitor", Action::Write),
            ("RetireVisitor", Action::Write),
            ("PairElders", Action::Write),
            ("UnpairElders", Action::Write),
            ("ListVisitors", Action::ReadPersonal),
            ("GetVisitorFigures", Action::ReadPersonal),
            ("StartVisiting", Action::Administer),
            ("PlanWeek", Action::Write),
            ("GetPlan", Action::ReadPersonal),
            ("AdjustPlan", Action::Write),
            ("GetWorklist", Action::ReadPersonal),
            ("RecordVisit", Action::Write),
            ("RecordVisits", Action::Import),
            ("ConfirmRecord", Action::Review),
            ("RejectRecord", Action::Review),
            ("ListDoubtfulRecords", Action::ReadPersonal),
            ("ListDuties", Action::ReadPersonal),
            ("GetCoverage", Action::ReadStatistics),
            ("ListClosedDoors", Action::ReadPersonal),
            ("StartCampaign", Action::Administer),
            ("EndCampaign", Action::Administer),
            ("ListCampaigns", Action::ReadStatistics),
            ("GetElderVisits", Action::ReadPersonal),
            ("ExportRecords", Action::ExportPersonal),
            ("ListReferrals", Action::ReadPersonal),
            ("AnswerReferral", Action::Write),
            ("CloseReferral", Action::Write),
        ],
    )
}
