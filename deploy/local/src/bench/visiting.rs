//! Visits and visitors as the log of visits tells of them.

use chrono::{DateTime, TimeDelta, Utc};
use civic::{
    ElderId, LocalDay, ServiceKind, Set, VillageCode, VisitMode, VisitResult, VisitorKind,
};
use eventlog::{Aggregate as _, NewRecord, Subject};
use proto::eldercare::visits::v1 as pb;
use uuid::Uuid;
use vault::{Algorithm, DataKey, Sealed};
use visits::{
    codec::{CONTEXT, purpose},
    elder_year::{ElderYear, Recorded},
    visitor::{self, Profile, Visitor},
};

use super::{
    people::{Person, day},
    seed,
};

/// The registration of a visitor, who is called and at home as somebody else.
pub(super) fn registration(visitor: Uuid, like: Person) -> NewRecord {
    let village = like.village_code();
    // Nobody reads the name here.
    let key = DataKey::generate(Algorithm::default());
    let name = pb::VisitorName {
        name: like.name(),
        phone: String::new(),
    };
    let registered = visitor::Event::Registered {
        visitor,
        profile: Box::new(Profile {
            kind: VisitorKind::GridWorker,
            home: village.parse().expect("a village"),
            weekly_capacity: 100,
            modes: Set::from(VisitMode::Home),
            name: key.seal(purpose::VISITOR, visitor, &name),
        }),
        active_from: day("2024-01-01"),
    };
    let subject = Subject::new(CONTEXT, Visitor::NAME, &visitor.to_string());
    let subject = subject.expect("an id is a token");
    seed::record(subject, 0, vec![Visitor::encode(&registered)])
}

/// Half an hour's visit at home, where the elder was met.
pub(super) fn visit(
    record: Uuid,
    elder: ElderId,
    visitor: Uuid,
    start: DateTime<Utc>,
    village: VillageCode,
) -> Recorded {
    Recorded {
        record,
        elder,
        visitor,
        mode: VisitMode::Home,
        result: VisitResult::Met,
        start,
        end: start + TimeDelta::minutes(30),
        services: Set::from(ServiceKind::HealthManagement),
        signed: true,
        check_in: None,
        remarks: None,
        photos: Vec::new(),
        village,
    }
}

/// What is remarked at each visit of an elder, sealed.
pub(super) fn remarks(of: Person, key: &DataKey) -> Sealed<pb::Remarks> {
    let remarks = pb::Remarks {
        text: "身体状况良好，家中整洁".to_owned(),
    };
    key.seal(purpose::REMARKS, of.id(), &remarks)
}

/// The year of an elder's visits in which a day lies.
pub(super) fn year(elder: ElderId, day: LocalDay) -> Subject {
    let id = ElderYear::id(elder, day);
    Subject::new(CONTEXT, ElderYear::NAME, &id).expect("an id is a token")
}
