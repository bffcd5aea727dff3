//! `sharing feeds`: which feeds the agreements in force make, what each tells, and where it stands.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proto::eldercare::sharing::v1::{FeedEvent, QueryFeedRequest};
use serde::Serialize;

use super::agreements::{Agreement, Cut, agreements};
use super::feed::each_page;
use super::{PAGE, instant};
use crate::{
    cli::FeedName,
    client::Client,
    output::{Report, number, table},
};

/// How the state of an agreement reads that makes feeds.
const IN_FORCE: &str = "IN_FORCE";

/// The source of what a feed says by itself.
const OWN: &str = "/eldercare/sharing";

/// Feeds, by department, product and division.
#[derive(Debug, Serialize)]
pub struct Feeds {
    /// The feeds.
    pub feeds: Vec<Feed>,
}

/// A feed of agreements in force.
#[derive(Debug, Serialize)]
pub struct Feed {
    /// Its name, as `sharing feed` takes it.
    pub name: String,
    /// The department that it is for.
    pub department: String,
    /// The fields that agreements grant, and how much of each.
    pub fields: BTreeMap<String, Cut>,
    /// The agreements.
    pub agreement_ids: BTreeSet<String>,
    /// Where it stands; none where no officer of the department is known here, who could ask.
    pub standing: Option<Standing>,
}

/// Where a feed stands.
#[derive(Debug, Default, Serialize)]
pub struct Standing {
    /// How far it has come.
    pub state: State,
    /// How many documents somebody holds who has followed it.
    pub documents: usize,
    /// How many events lie on it.
    pub events: u64,
    /// Where the last one lies.
    pub position: Option<String>,
    /// When that happened, local time.
    pub last_at: Option<String>,
    /// The elder of each document, by key.
    #[serde(skip)]
    held: HashMap<String, String>,
}

/// How far a feed has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Nothing lies on it yet.
    #[default]
    NotBegun,
    /// What was there at its beginning is being told.
    Begun,
    /// It tells what happens.
    CaughtUp,
    /// It has ended, and begins anew with the agreement that is in force now.
    Ended,
}

impl State {
    /// What people read.
    fn words(self) -> &'static str {
        match self {
            Self::NotBegun => "未开始 not begun",
            Self::Begun => "初始化 begun",
            Self::CaughtUp => "实时 caught up",
            Self::Ended => "已结束 ended",
        }
    }
}

impl Standing {
    /// Takes an event into account, as somebody does who follows the feed.
    fn take(&mut self, event: FeedEvent) {
        self.events += 1;
        self.last_at = Some(instant(event.time));
        self.position = Some(event.position);
        match event.event.as_str() {
            "FeedBegun" => {
                self.held.clear();
                self.state = State::Begun;
            }
            "FeedCaughtUp" => self.state = State::CaughtUp,
            "FeedEnded" => {
                self.held.clear();
                self.state = State::Ended;
            }
            "ElderWithdrawn" | "ElderErased" if event.source == OWN => {
                self.held.retain(|_, elder| *elder != event.elder_id);
            }
            _ if event.fields.is_some() => {
                self.held.insert(event.key, event.elder_id);
            }
            _ => {
                self.held.remove(&event.key);
            }
        }
        self.documents = self.held.len();
    }
}

/// The feeds of agreements in force, with all departments or with one.
///
/// # Errors
/// Sharing's refusal.
pub async fn feeds(client: &Client, department: Option<&str>) -> anyhow::Result<Feeds> {
    let agreements = agreements(client, department).await?.agreements;
    let mut feeds = of_agreements(&agreements);
    let departments: BTreeSet<String> = feeds.values().map(|one| one.department.clone()).collect();
    for department in departments {
        let Ok(officer) = client.department(&department) else {
            continue;
        };
        let of_department = feeds
            .values_mut()
            .filter(|one| one.department == department);
        for feed in of_department {
            feed.standing = Some(Standing::default());
        }
        let all = QueryFeedRequest {
            page_size: PAGE,
            ..Default::default()
        };
        each_page(&officer, all, |page| {
            for event in page {
                let name = FeedName {
                    department: department.clone(),
                    product: event.product.clone(),
                    division: event.division_code.clone(),
                };
                // An agreement may have come meanwhile.
                let feed = feeds.get_mut(&name);
                if let Some(standing) = feed.and_then(|feed| feed.standing.as_mut()) {
                    standing.take(event);
                }
            }
            Ok(true)
        })
        .await?;
    }
    Ok(Feeds {
        feeds: feeds.into_values().collect(),
    })
}

/// The feed of each department, product and division that agreements in force name; of two grants of a field the more
/// generous holds.
pub(super) fn of_agreements(agreements: &[Agreement]) -> BTreeMap<FeedName, Feed> {
    let mut feeds: BTreeMap<FeedName, Feed> = BTreeMap::new();
    for agreement in agreements.iter().filter(|one| one.state == IN_FORCE) {
        let terms = &agreement.terms;
        for (product, fields) in &terms.products {
            for division in &terms.divisions {
                let name = FeedName {
                    department: terms.department.clone(),
                    product: product.clone(),
                    division: division.clone(),
                };
                let feed = feeds.entry(name).or_insert_with_key(|name| Feed {
                    name: name.to_string(),
                    department: name.department.clone(),
                    fields: BTreeMap::new(),
                    agreement_ids: BTreeSet::new(),
                    standing: None,
                });
                feed.agreement_ids.insert(agreement.agreement_id.clone());
                for (field, cut) in fields {
                    let granted = feed.fields.entry(field.clone()).or_insert(*cut);
                    if *cut == Cut::Plain {
                        *granted = Cut::Plain;
                    }
                }
            }
        }
    }
    feeds
}

impl Report for Feeds {
    fn text(&self) -> String {
        let mut rows = table([
            "数据流 feed",
            "字段 fields",
            "状态 state",
            "文档 documents",
            "事件 events",
            "位置 position",
            "最近 last",
        ]);
        for feed in &self.feeds {
            let fields = feed.fields.iter().map(|(field, cut)| match cut {
                Cut::Plain => field.clone(),
                Cut::Masked => format!("{field}*"),
            });
            let fields: Vec<String> = fields.collect();
            let standing = feed.standing.as_ref();
            let told = |of: fn(&Standing) -> String| standing.map(of).unwrap_or_default();
            rows.add_row([
                feed.name.as_str().into(),
                fields.join(" ").into(),
                told(|one| one.state.words().to_owned()).into(),
                number(told(|one| one.documents.to_string())),
                number(told(|one| one.events.to_string())),
                told(|one| one.position.clone().unwrap_or_default()).into(),
                told(|one| one.last_at.clone().unwrap_or_default()).into(),
            ]);
        }
        format!("{rows}\n* 脱敏 masked")
    }
}

#[cfg(test)]
mod tests {
    use super::super::agreements::Terms;
    use super::*;

    fn agreement(id: &str, state: &str, divisions: &[&str], name: Cut) -> Agreement {
        let fields = BTreeMap::from([("name".to_owned(), name)]);
        Agreement {
            agreement_id: id.to_owned(),
            state: state.to_owned(),
            terms: Terms {
                department: "health".to_owned(),
                purpose: String::new(),
                legal_basis: String::new(),
                divisions: divisions.iter().map(|one| (*one).to_owned()).collect(),
                until: "2024-12-31".to_owned(),
                products: BTreeMap::from([("elder".to_owned(), fields)]),
            },
            proposed_by: String::new(),
            proposed_at: String::new(),
            approved_by: String::new(),
            approved_at: String::new(),
            reason: String::new(),
        }
    }

    fn event(name: &str, key: &str, elder: &str) -> FeedEvent {
        FeedEvent {
            event: name.to_owned(),
            source: OWN.to_owned(),
            key: key.to_owned(),
            elder_id: elder.to_owned(),
            fields: (!key.is_empty()).then(prost_types::Struct::default),
            ..Default::default()
        }
    }

    #[test]
    fn agreements_of_the_same_make_one_feed_and_those_not_in_force_none() {
        let feeds = of_agreements(&[
            agreement("a", IN_FORCE, &["350524"], Cut::Plain),
            agreement("b", IN_FORCE, &["350524", "350525"], Cut::Masked),
            agreement("c", "SUSPENDED", &["350526"], Cut::Plain),
        ]);
        let told = feeds.values().map(|one| {
            (
                one.name.as_str(),
                one.fields["name"],
                one.agreement_ids.len(),
            )
        });
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                ("health.elder.350524", Cut::Plain, 2),
                ("health.elder.350525", Cut::Masked, 1),
            ]
        );
    }

    #[test]
    fn documents_are_those_that_a_follower_holds() {
        let mut standing = Standing::default();
        assert_eq!(standing.state, State::NotBegun);
        let mut take = |events: &[FeedEvent]| {
            for one in events {
                standing.take(one.clone());
            }
            (standing.state, standing.documents)
        };
        let shared = [
            event("FeedBegun", "", ""),
            event("DocumentShared", "1", "a"),
            event("DocumentShared", "2", "a"),
            event("DocumentShared", "3", "b"),
        ];
        assert_eq!(take(&shared), (State::Begun, 3));
        assert_eq!(take(&[event("FeedCaughtUp", "", "")]), (State::CaughtUp, 3));
        assert_eq!(take(&[event("ElderErased", "", "a")]), (State::CaughtUp, 1));
        let gone = FeedEvent {
            fields: None,
            ..event("TierEnded", "3", "b")
        };
        assert_eq!(take(&[gone]), (State::CaughtUp, 0));
        assert_eq!(take(&[event("FeedEnded", "", "")]), (State::Ended, 0));
        assert_eq!(standing.events, 8);
    }
}
