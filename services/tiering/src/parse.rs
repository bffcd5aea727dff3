//! Requests become domain types, here and nowhere else.

use civic::{DivisionCode, DivisionLevel, ElderId, LocalDay};
use elders::codec::read_day;
use eventlog::Position;
use prost::Message as _;
use proto::eldercare::tiering::v1 as pb;
use service::{Checks, List, PageBounds, Paged};
use tonic::Status;
use uuid::Uuid;

use crate::evaluate::{Jurisdiction, PolicyRef};
use crate::policy::LONGEST;
use crate::tiers_queries::Filter;

/// The most elders asked for at once.
const MOST_ELDERS: usize = 1_000;
/// The most tiers and reasons that a list is narrowed to.
const MOST_NAMES: usize = 64;

const TIER_PAGES: PageBounds = PageBounds {
    default: 100,
    most: 5_000,
};
/// So many of the longest policies fit into one message.
const POLICY_PAGES: PageBounds = PageBounds {
    default: 50,
    most: 50,
};

/// Reads requests: knows the names of the streams that positions may lie in.
#[derive(Clone, Debug)]
pub struct Parse {
    /// The registry's.
    pub registry: String,
    /// Our own.
    pub tiering: String,
}

impl Parse {
    /// One elder's tier.
    pub fn get_tier(
        &self,
        request: &pb::GetTierRequest,
    ) -> Result<(ElderId, Option<Position>), Status> {
        let mut checks = Checks::new();
        let elder = elder(&mut checks, "elder_id", &request.elder_id);
        let position = self.position(&mut checks, &request.min_position);
        checks.all((elder, position))
    }

    /// Many elders' tiers, each once, in the order asked.
    pub fn batch_get_tiers(
        &self,
        request: &pb::BatchGetTiersRequest,
    ) -> Result<(Vec<ElderId>, Option<Position>), Status> {
        let mut checks = Checks::new();
        let mut elders = Vec::new();
        if checks
            .count("elder_ids", request.elder_ids.len(), 1..=MOST_ELDERS)
            .is_some()
        {
            for (place, id) in request.elder_ids.iter().enumerate() {
                if let Some(elder) = elder(&mut checks, &format!("elder_ids[{place}]"), id)
                    && !elders.contains(&elder)
                {
                    elders.push(elder);
                }
            }
        }
        let position = self.position(&mut checks, &request.min_position);
        checks.all((Some(elders), position))
    }

    /// The tiers of a subtree.
    pub fn list_tiers(&self, mut request: pb::ListTiersRequest) -> Result<Paged<Filter>, Status> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        names(&mut checks, "tiers", &request.tiers);
        names(&mut checks, "reasons", &request.reasons);
        let position = self.position(&mut checks, &request.min_position);
        let (size, token) = (
            std::mem::take(&mut request.page_size),
            std::mem::take(&mut request.page_token),
        );
        request.min_position.clear();
        let list = List::new("ListTiers", &request.encode_to_vec());
        let filter = division.map(|division| Filter {
            division,
            tiers: request.tiers,
            reasons: request.reasons,
        });
        checks.paged(list, (size, &token, TIER_PAGES), position, filter)
    }

    /// Counts of a subtree.
    pub fn count_tiers(
        &self,
        request: &pb::CountTiersRequest,
    ) -> Result<(DivisionCode, Option<Position>), Status> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        let position = self.position(&mut checks, &request.min_position);
        checks.all((division, position))
    }

    /// An elder's tier, explained for a day.
    pub fn explain_tier(
        &self,
        request: &pb::ExplainTierRequest,
        today: LocalDay,
    ) -> Result<(ElderId, LocalDay, Option<Position>), Status> {
        let mut checks = Checks::new();
        let elder = elder(&mut checks, "elder_id", &request.elder_id);
        let day = match request.on {
            None => Some(today),
            Some(date) => {
                let day = checks.present("on", read_day(date));
                checks.that(
                    day.is_none_or(|day| day <= today),
                    "on",
                    "DAY_IN_THE_FUTURE",
                    "must not be after today",
                    "不能晚于今天",
                );
                day
            }
        };
        let position = self.position(&mut checks, &request.min_position);
        checks.all((elder, day, position))
    }

    /// A policy to be published: request id, division, YAML.
    pub fn publish_policy(
        &self,
        request: &pb::PublishPolicyRequest,
    ) -> Result<(Uuid, DivisionCode), Status> {
        let mut checks = Checks::new();
        let request_id = checks.request_id(&request.request_id);
        let division = governed(&mut checks, &request.division_code);
        yaml(&mut checks, &request.yaml);
        checks.all((request_id, division))
    }

    /// A policy: whose, which version (none: the one in force, also from above).
    pub fn get_policy(
        &self,
        request: &pb::GetPolicyRequest,
    ) -> Result<(Jurisdiction, Option<u64>, Option<Position>), Status> {
        let mut checks = Checks::new();
        let jurisdiction = jurisdiction(&mut checks, &request.division_code);
        let version = checks.number("version", request.version, 0..=i64::MAX);
        let position = self.position(&mut checks, &request.min_position);
        let (jurisdiction, version, position) = checks.all((jurisdiction, version, position))?;
        Ok((
            jurisdiction,
            Some(version.cast_unsigned()).filter(|version| *version > 0),
            position,
        ))
    }

    /// The policies of a division and those above it, or of all divisions.
    pub fn list_policies(
        &self,
        mut request: pb::ListPoliciesRequest,
    ) -> Result<Paged<Option<Jurisdiction>>, Status> {
        let mut checks = Checks::new();
        let filter = match request.division_code.as_str() {
            "" => Some(None),
            code => jurisdiction(&mut checks, code).map(Some),
        };
        let position = self.position(&mut checks, &request.min_position);
        let (size, token) = (
            std::mem::take(&mut request.page_size),
            std::mem::take(&mut request.page_token),
        );
        request.min_position.clear();
        let list = List::new("ListPolicies", &request.encode_to_vec());
        checks.paged(list, (size, &token, POLICY_PAGES), position, filter)
    }

    /// A draft to be tried.
    pub fn simulate_policy(
        &self,
        request: &pb::SimulatePolicyRequest,
    ) -> Result<(DivisionCode, Option<Position>), Status> {
        let mut checks = Checks::new();
        let division = governed(&mut checks, &request.division_code);
        yaml(&mut checks, &request.yaml);
        let position = self.position(&mut checks, &request.min_position);
        checks.all((division, position))
    }

    /// A subtree to be watched, from a sequence of our own log on (none: from now on).
    pub fn watch_tiers(
        &self,
        request: &pb::WatchTiersRequest,
    ) -> Result<(DivisionCode, Option<u64>), Status> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        let after = checks.position("after_position", &request.after_position);
        let own = after
            .iter()
            .flatten()
            .all(|after| after.stream == self.tiering);
        checks.that(
            own,
            "after_position",
            "POSITION_INVALID",
            "must lie in the log of tiering",
            "必须是分级服务日志的位置",
        );
        let (division, after) = checks.all((division, after))?;
        Ok((division, after.map(|after| after.sequence)))
    }

    fn position(&self, checks: &mut Checks, text: &str) -> Option<Option<Position>> {
        checks.position_in(
            &[&self.registry, &self.tiering],
            "min_position",
            text,
            "must lie in the log of the registry or of tiering",
            "必须是台账或分级服务日志的位置",
        )
    }
}

/// The cursor of a list of policies.
#[must_use]
pub fn policy_cursor(policy: &PolicyRef) -> Vec<u8> {
    format!("{} {}", policy.jurisdiction, policy.version).into_bytes()
}

/// The policy of a cursor that we gave.
#[must_use]
pub fn policy_of_cursor(cursor: &[u8]) -> Option<PolicyRef> {
    let (jurisdiction, version) = std::str::from_utf8(cursor).ok()?.split_once(' ')?;
    Some(PolicyRef {
        jurisdiction: jurisdiction.parse().ok()?,
        version: version.parse().ok()?,
    })
}

fn elder(checks: &mut Checks, field: &str, text: &str) -> Option<ElderId> {
    checks.id(field, text).map(ElderId)
}

/// A division that may have a policy of its own.
fn governed(checks: &mut Checks, text: &str) -> Option<DivisionCode> {
    let division = checks.division("division_code", text)?;
    checks.that(
        division.level() != DivisionLevel::Village,
        "division_code",
        "DIVISION_HAS_NO_POLICY",
        "a village has no policy of its own: take a town, county, city or province",
        "村（社区）不单独制定政策，应为乡镇、县、市或省",
    );
    Some(division)
}

fn jurisdiction(checks: &mut Checks, text: &str) -> Option<Jurisdiction> {
    if text == Jurisdiction::National.as_str() {
        return Some(Jurisdiction::National);
    }
    checks
        .division("division_code", text)
        .map(Jurisdiction::Division)
}

fn yaml(checks: &mut Checks, yaml: &str) {
    checks.that(
        !yaml.trim().is_empty(),
        "yaml",
        "REQUIRED",
        "is required",
        "不能为空",
    );
    checks.that(
        yaml.len() <= LONGEST,
        "yaml",
        "TOO_LONG",
        format!("may have {LONGEST} bytes at most"),
        format!("最多 {LONGEST} 字节"),
    );
}

fn names(checks: &mut Checks, field: &str, names: &[String]) {
    checks.count(field, names.len(), 0..=MOST_NAMES);
    for (place, name) in names.iter().enumerate().take(MOST_NAMES) {
        checks.string(&format!("{field}[{place}]"), name, 1..=64);
    }
}
