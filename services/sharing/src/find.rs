//! Elders found by what all services know of them (跨部门查询): each cut to what the caller may see, and on record before it
//! is told.

mod candidates;
mod reach;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use civic::{Category, DivisionCode, ElderId, LocalDay, Set, VillageCode};
use elders::FactsOnDay;
use proto::eldercare::sharing::v1 as pb;
use service::{Action, Caller, Refusal, Violation, errors, person_keys};
use tonic::{Code, Status};
use uuid::Uuid;

use self::candidates::candidates;
use self::reach::{Places, SearchedBy, granted, searchable};
use crate::agreement::Terms;
use crate::cut::{CutDocument, Grants, cut};
use crate::document::Document;
use crate::dossier::document;
use crate::look_groups::groups;
use crate::products::ProductName;
use crate::right::{Right, fields_of, look_by, recorded};
use crate::sharing::Sharing;
use crate::{cards_table, elders_table, tiers_table};

/// How many elders are looked at for one page, where the database alone can't tell who is meant.
const LOOKED_AT: u32 = 2_000;

/// By what elders are searched; what is not said does not matter.
#[derive(Clone, Debug, Default)]
pub(crate) struct FindAsked {
    /// Who live in one of these; none: in the caller's.
    pub(crate) divisions: BTreeSet<DivisionCode>,
    /// Who have one of these today.
    pub(crate) tiers: BTreeSet<String>,
    /// Who have one of these today.
    pub(crate) categories: Set<Category>,
    /// Who were not met on this day or after it.
    pub(crate) not_visited_since: Option<LocalDay>,
    /// Who have an alert that is not over.
    pub(crate) open_alert: bool,
    /// Who were missed lately, and not met since.
    pub(crate) missed_visit: bool,
    /// Who are enrolled in it today.
    pub(crate) programme: Option<String>,
}

impl FindAsked {
    fn by(&self) -> Vec<SearchedBy> {
        let all = [
            (!self.divisions.is_empty(), SearchedBy::Divisions),
            (!self.tiers.is_empty(), SearchedBy::Tiers),
            (!self.categories.is_empty(), SearchedBy::Categories),
            (
                self.not_visited_since.is_some(),
                SearchedBy::NotVisitedSince,
            ),
            (self.open_alert, SearchedBy::OpenAlert),
            (self.missed_visit, SearchedBy::MissedVisit),
            (self.programme.is_some(), SearchedBy::Programme),
        ];
        let said = all.into_iter().filter(|(said, _)| *said);
        said.map(|(_, by)| by).collect()
    }
}

/// A page of elders who were found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) elders: Vec<pb::FoundElder>,
    /// Under which agreements they are told.
    pub(crate) agreements: BTreeSet<Uuid>,
    /// Where the page ends; none where it is the last one.
    pub(crate) next: Option<ElderId>,
}

/// The rights in villages; where there is none the village is missing.
type Rights = BTreeMap<VillageCode, Arc<Right>>;

/// An elder who is about to be told.
struct Told {
    elder: ElderId,
    right: Arc<Right>,
    left: Vec<CutDocument>,
}

impl Sharing {
    /// A page of elders in the order of their ids, after one of them.
    pub(crate) async fn find_elders(
        &self,
        caller: &Caller,
        asked: &FindAsked,
        after: Option<ElderId>,
        size: u32,
        address: String,
    ) -> Result<Found, Status> {
        let agreements = self.agreements_of(&caller.department).await;
        let agreements = agreements.map_err(errors::of_database)?;
        let by = asked.by();
        let places = places(caller, asked, &agreements, &by)?;
        let (mut elders, next) = self.page(&places, asked, after, size).await?;
        let rights = rights(caller, &agreements, &elders, &by);
        elders.retain(|(_, facts)| rights.contains_key(facts.village()));
        let mut told = self.cut_all(&elders, &rights).await?;
        self.record_all(caller, &told, &address).await?;
        // Whatever ended a right, or an elder's data, while this was put together has ended it before it is told.
        let still = self.still(caller, &told, &by).await?;
        told.retain(|one| still.get(&one.elder) == Some(&one.right));
        let by_agreements = told.iter().filter_map(|one| one.right.agreements.as_ref());
        Ok(Found {
            agreements: by_agreements.flatten().copied().collect(),
            elders: told.into_iter().map(found).collect(),
            next,
        })
    }

    /// Who is found, whatever the caller may see of them, and where the page ends.
    async fn page(
        &self,
        places: &Places,
        asked: &FindAsked,
        after: Option<ElderId>,
        size: u32,
    ) -> Result<(Vec<(ElderId, FactsOnDay)>, Option<ElderId>), Status> {
        if *places == Places::Within(vec![]) {
            return Ok((vec![], None));
        }
        let today = self.clock.today();
        let most = if asked.categories.is_empty() {
            size
        } else {
            LOOKED_AT.max(size)
        };
        let some = i64::from(most) + 1;
        let candidates = candidates(&self.pool, places, asked, after, some, today).await;
        let candidates = candidates.map_err(errors::of_database)?;
        let (mut found, mut last) = (Vec::new(), None);
        for (looked_at, (elder, facts)) in candidates.into_iter().enumerate() {
            if found.len() == size as usize || looked_at == most as usize {
                return Ok((found, last));
            }
            last = Some(elder);
            let facts = facts.on(today);
            let one_of = facts.categories.intersection(asked.categories);
            if asked.categories.is_empty() || !one_of.is_empty() {
                found.push((elder, facts));
            }
        }
        Ok((found, None))
    }

    /// What is left of elders' documents for somebody with these rights.
    async fn cut_all(
        &self,
        elders: &[(ElderId, FactsOnDay)],
        rights: &Rights,
    ) -> Result<Vec<Told>, Status> {
        let granted = |product: ProductName| {
            elders.iter().filter(move |(_, facts)| {
                let right = rights.get(facts.village());
                right.is_some_and(|right| right.grants.has(product))
            })
        };
        let of_files = granted(ProductName::Elder).map(|(elder, _)| *elder);
        let of_files: Vec<ElderId> = of_files.collect();
        let persons: Vec<Uuid> = of_files.iter().map(ElderId::as_uuid).collect();
        let of_tiers = granted(ProductName::Tier).map(|(elder, facts)| (*elder, facts.day));
        let of_tiers: Vec<(ElderId, LocalDay)> = of_tiers.collect();
        let (keys, cards, tiers) = tokio::join!(
            self.keys.vault.keys(&persons),
            cards_table::TABLE.of(&self.pool, &of_files),
            tiers_table::at_all(&self.pool, &of_tiers),
        );
        let keys = keys.map_err(|error| person_keys::away(&error))?;
        let cards = cards.map_err(errors::of_database)?;
        let tiers = tiers.map_err(errors::of_database)?;
        let tiers = tiers.iter().map(tiers_table::TierRow::document);
        let mut tiers: BTreeMap<ElderId, Document> = tiers.map(|tier| (tier.elder, tier)).collect();
        let told = elders.iter().filter_map(|(elder, facts)| {
            let right = Arc::clone(rights.get(facts.village())?);
            let mut documents = Vec::with_capacity(2);
            if right.grants.has(ProductName::Elder) {
                let key = keys.get(&elder.as_uuid()).map(|key| &**key);
                let card = cards.get(elder);
                documents.push(elders_table::document(*elder, facts, card, key));
            }
            documents.extend(tiers.remove(elder));
            let left = documents.iter();
            let left = left.filter_map(|document| cut(document, &right.grants));
            Some(Told {
                elder: *elder,
                left: left.collect(),
                right,
            })
        });
        Ok(told.collect())
    }

    /// Puts on record what is told of whom, by which agreements: of each elder just that.
    async fn record_all(
        &self,
        caller: &Caller,
        told: &[Told],
        address: &str,
    ) -> Result<(), Status> {
        let now = self.clock.now();
        let look = look_by(caller, "FindElders", address.to_owned(), now);
        let of_elders = told
            .iter()
            .map(|one| (&one.right.agreements, one.elder, fields_of(&one.left)));
        let looks = groups(of_elders).into_iter().map(|group| {
            let agreements = group.by.clone();
            recorded(group.within(&look), agreements)
        });
        self.recorder.record_all(looks.collect()).await
    }

    /// By what right the caller may be told of these elders now.
    async fn still(
        &self,
        caller: &Caller,
        told: &[Told],
        by: &[SearchedBy],
    ) -> Result<BTreeMap<ElderId, Arc<Right>>, Status> {
        if told.is_empty() {
            return Ok(BTreeMap::new());
        }
        let elders: Vec<ElderId> = told.iter().map(|one| one.elder).collect();
        let facts = elders_table::facts_of_all(&self.pool, &elders).await;
        let facts = facts.map_err(errors::of_database)?;
        let agreements = self.agreements_of(&caller.department).await;
        let agreements = agreements.map_err(errors::of_database)?;
        let today = self.clock.today();
        let facts = facts.into_iter();
        let elders: Vec<(ElderId, FactsOnDay)> = facts
            .map(|(elder, facts)| (elder, facts.on(today)))
            .collect();
        let rights = rights(caller, &agreements, &elders, by);
        let still = elders.iter().filter_map(|(elder, facts)| {
            let right = rights.get(facts.village())?;
            Some((*elder, Arc::clone(right)))
        });
        Ok(still.collect())
    }
}

/// Where is searched: wherever the caller asked, as far as it may see there what it searches by.
fn places(
    caller: &Caller,
    asked: &FindAsked,
    agreements: &[(Uuid, Terms)],
    by: &[SearchedBy],
) -> Result<Places, Status> {
    let (owned, others) = match reached(caller, asked)? {
        Places::Everywhere if caller.may_do_everywhere(Action::ReadPersonal).is_ok() => {
            return Ok(Places::Everywhere);
        }
        Places::Everywhere => (BTreeSet::new(), Places::Everywhere),
        Places::Within(divisions) => {
            let owns = |one: &DivisionCode| caller.may(Action::ReadPersonal, one).is_ok();
            let (owned, others): (Vec<_>, Vec<_>) = divisions.into_iter().partition(owns);
            if others.is_empty() {
                return Ok(Places::Within(owned));
            }
            (owned.into_iter().collect(), Places::Within(others))
        }
    };
    // Of its own divisions everybody knows that the elders whom they are told of live there.
    let mut picked = asked.divisions.clone();
    picked.retain(|division| !caller.divisions.contains(division));
    match searchable(agreements, &others, &picked, by) {
        Ok(granted) => Ok(Places::within(&(&owned | &granted))),
        Err(refused) if owned.is_empty() => Err(not_granted(&refused)),
        Err(_refused) => Ok(Places::within(&owned)),
    }
}

/// The divisions that the caller asked for, or all of the caller's.
fn reached(caller: &Caller, asked: &FindAsked) -> Result<Places, Status> {
    if !asked.divisions.is_empty() {
        let mut divisions = asked.divisions.iter();
        divisions.try_for_each(|division| caller.may_where_asked(division))?;
        return Ok(Places::within(&asked.divisions));
    }
    let own = caller.divisions.iter().copied();
    let own: BTreeSet<DivisionCode> = own.filter(|one| caller.reaches(one)).collect();
    if caller.everywhere || own.is_empty() {
        caller.may_everywhere()?;
        return Ok(Places::Everywhere);
    }
    Ok(Places::within(&own))
}

/// By what right the caller is told of elders where they live, as a dossier would tell of them.
fn rights(
    caller: &Caller,
    agreements: &[(Uuid, Terms)],
    elders: &[(ElderId, FactsOnDay)],
    by: &[SearchedBy],
) -> Rights {
    let villages: BTreeSet<VillageCode> =
        elders.iter().map(|(_, facts)| *facts.village()).collect();
    let rights = villages.into_iter().filter_map(|village| {
        let division = village.division();
        if !caller.reaches(&division) {
            return None;
        }
        let right = if caller.may(Action::ReadPersonal, &division).is_ok() {
            Right {
                grants: Grants::all_plain(),
                agreements: None,
            }
        } else {
            let (grants, ids) = granted(agreements, &division);
            // Where it may pick out divisions was decided as these were chosen.
            let mut by = by.iter().filter(|by| **by != SearchedBy::Divisions);
            if grants.is_empty() || !by.all(|by| by.granted(&grants)) {
                return None;
            }
            Right {
                grants,
                agreements: Some(ids),
            }
        };
        Some((village, Arc::new(right)))
    });
    rights.collect()
}

/// Nothing lets the caller search by this.
fn not_granted(refused: &[SearchedBy]) -> Status {
    let fields: Vec<&str> = refused.iter().map(|by| by.field()).collect();
    let violations = fields.iter().map(|field| {
        Violation::new(
            *field,
            "SEARCH_NOT_GRANTED",
            "searches by what no agreement grants the caller's department in plain",
            "没有协议以明文向调用方部门提供此项条件所依据的数据",
        )
    });
    let violations: Vec<Violation> = violations.collect();
    let names = fields.join(", ");
    Refusal::new(
        Code::PermissionDenied,
        "SEARCH_NOT_GRANTED",
        format!("no agreement lets the caller's department search by {names}"),
        format!("没有协议允许调用方部门按此条件查询：{names}"),
    )
    .violations(&violations)
    .into()
}

fn found(told: Told) -> pb::FoundElder {
    pb::FoundElder {
        elder_id: told.elder.to_string(),
        documents: told.left.into_iter().map(document).collect(),
    }
}
