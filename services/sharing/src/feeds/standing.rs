//! Which feeds there are (生效的数据流): one for each department, product and division that agreements in force name.

use std::collections::{BTreeMap, BTreeSet};

use civic::{DivisionCode, LocalDay};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::agreement::Terms;
use crate::cut::{Cut, Grants, tells_birth};
use crate::granting::Granting;
use crate::products::ProductName;

/// The first token of the subjects of all feeds.
const ROOT: &str = "feed";

/// What one department is told of one product in one division, as agreements name it.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Feed {
    /// The department.
    pub(crate) department: String,
    /// The product.
    pub(crate) product: ProductName,
    /// The division.
    pub(crate) division: DivisionCode,
}

impl Feed {
    /// The feed of these names; none where one of them is none.
    pub(crate) fn named(department: &str, product: &str, division: &str) -> Option<Self> {
        is_token(department).then_some(Self {
            department: department.to_owned(),
            product: ProductName::parse(product)?,
            division: division.parse().ok()?,
        })
    }

    /// Its names: `<department>.<product>.<division>`.
    fn name(&self) -> String {
        let Self {
            department,
            product,
            division,
        } = self;
        let product = product.name();
        format!("{department}.{product}.{division}")
    }

    /// The subject of an event: `feed.<department>.<product>.<division>.<Event>`.
    pub(crate) fn subject(&self, event: &str) -> String {
        let name = self.name();
        format!("{ROOT}.{name}.{event}")
    }

    /// The subjects of all its events.
    pub(crate) fn all(&self) -> String {
        self.subject(">")
    }

    /// The feed and the event of a subject; none where it is no feed's.
    pub(crate) fn of_subject(subject: &str) -> Option<(Self, &str)> {
        let mut tokens = subject.split('.');
        let root = tokens.next()?;
        let feed = Self::named(tokens.next()?, tokens.next()?, tokens.next()?)?;
        let event = tokens.next()?;
        (root == ROOT && tokens.next().is_none()).then_some((feed, event))
    }

    /// The subjects of some feeds of a department; what is not said may be any.
    pub(crate) fn some_of(
        department: &str,
        product: Option<ProductName>,
        division: Option<&DivisionCode>,
    ) -> String {
        let product = product.map_or("*", ProductName::name);
        let division = division.map_or("*", DivisionCode::as_str);
        format!("{ROOT}.{department}.{product}.{division}.*")
    }
}

impl From<Feed> for String {
    fn from(feed: Feed) -> Self {
        feed.name()
    }
}

/// A text names no feed.
#[derive(Debug, thiserror::Error)]
#[error("no feed has this name")]
pub(crate) struct NoFeed;

impl TryFrom<String> for Feed {
    type Error = NoFeed;

    fn try_from(name: String) -> Result<Self, NoFeed> {
        let mut names = name.split('.');
        let mut next = || names.next().unwrap_or_default();
        let feed = Self::named(next(), next(), next());
        feed.filter(|_| names.next().is_none()).ok_or(NoFeed)
    }
}

/// Whether a department's code is a token of a subject: those that agreements name are.
pub(crate) fn is_token(department: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    !department.is_empty() && department.chars().all(allowed)
}

/// What a feed grants, and by which agreements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Granted {
    /// The fields of its product.
    pub(crate) grants: Grants,
    /// The agreements.
    pub(crate) agreements: BTreeSet<Uuid>,
    /// What for.
    pub(crate) purposes: BTreeSet<String>,
}

impl Granted {
    /// The fields by name, with how much of each is told.
    pub(crate) fn fields(&self, product: ProductName) -> Fields {
        let fields = self.grants.fields(product);
        let named = fields.map(|(field, cut)| (field.name.to_owned(), word(cut).to_owned()));
        Fields(named.collect())
    }
}

/// Fields by name, with how much of each a feed tells, as its `FeedBegun` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Fields(BTreeMap<String, String>);

const PLAIN: &str = "PLAIN";
const MASKED: &str = "MASKED";

const fn word(cut: Cut) -> &'static str {
    match cut {
        Cut::Masked => MASKED,
        Cut::Plain => PLAIN,
    }
}

impl Fields {
    /// Whether something that was told by these is not told by others, so that what lies there may stay no longer.
    pub(crate) fn narrowed_by(&self, others: &Self) -> bool {
        let less = |(field, cut): (&String, &String)| match others.0.get(field) {
            None => true,
            Some(now) => cut == PLAIN && now == MASKED,
        };
        // The mask of an ID number hides more where the birth date is told beside it.
        let hides_more = self.0.get("id_number").is_some_and(|cut| cut == MASKED)
            && !self.tell_birth()
            && others.tell_birth();
        self.0.iter().any(less) || hides_more
    }

    fn tell_birth(&self) -> bool {
        let plain = |field| self.0.get(field).is_some_and(|cut| cut == PLAIN);
        plain("birth_date") || plain("age")
    }
}

/// Where feeds of one department lie within each other, one telling the birth date and the other a masked ID number, both together
/// would tell all of it: then the number is not told.
fn hide_numbers_beside_births(feeds: &mut BTreeMap<Feed, Granted>) {
    let elder = ProductName::Elder;
    let named = |feed: &Feed| (feed.department.clone(), feed.division);
    let births = feeds
        .iter()
        .filter(|(feed, granted)| feed.product == elder && tells_birth(elder, &granted.grants));
    let births: BTreeSet<(String, DivisionCode)> = births.map(|(feed, _)| named(feed)).collect();
    let beside = |feed: &Feed| {
        let mut around = feed.division.upwards();
        // A division comes right before all that lies in it.
        let within = births.range(named(feed)..).next();
        around.any(|division| births.contains(&(feed.department.clone(), division)))
            || within.is_some_and(|(department, division)| {
                *department == feed.department && feed.division.contains(division)
            })
    };
    for (feed, granted) in feeds.iter_mut() {
        let own = tells_birth(elder, &granted.grants);
        if feed.product == elder && !own && beside(feed) {
            granted.grants.revoke_masked(elder, "id_number");
        }
    }
    feeds.retain(|_, granted| !granted.grants.is_empty());
}

/// All feeds with what they grant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The ids of the agreements that were found, also of those whose terms can't be read.
    found: Vec<Uuid>,
    /// Those of them whose terms can't be read.
    pub(crate) unreadable: BTreeSet<Uuid>,
    feeds: BTreeMap<Feed, Granted>,
    /// The same by their divisions: of thousands a few tell of an elder.
    by_division: BTreeMap<DivisionCode, Vec<Feed>>,
}

impl Standing {
    /// The feeds of agreements in force. Of two grants of a field the more generous holds.
    pub(crate) fn of<'a>(agreements: impl IntoIterator<Item = &'a (Uuid, Terms)>) -> Self {
        let mut feeds: BTreeMap<Feed, Granted> = BTreeMap::new();
        for (agreement, terms) in agreements {
            for product in terms.products.products() {
                let mut grants = terms.products.clone();
                grants.keep(&BTreeSet::from([product]));
                for division in &terms.divisions {
                    let feed = Feed {
                        department: terms.department.clone(),
                        product,
                        division: *division,
                    };
                    let granted = feeds.entry(feed).or_default();
                    granted.grants.merge(&grants);
                    granted.agreements.insert(*agreement);
                    granted.purposes.insert(terms.purpose.clone());
                }
            }
        }
        hide_numbers_beside_births(&mut feeds);
        let mut by_division: BTreeMap<DivisionCode, Vec<Feed>> = BTreeMap::new();
        for feed in feeds.keys() {
            let of_division = by_division.entry(feed.division).or_default();
            of_division.push(feed.clone());
        }
        Self {
            found: vec![],
            unreadable: BTreeSet::new(),
            feeds,
            by_division,
        }
    }

    /// Whether these are the feeds of just these agreements, on the same day.
    pub(crate) fn is_of(&self, agreements: &[Uuid]) -> bool {
        self.found == agreements
    }

    /// What a feed grants; none where it does not stand.
    pub(crate) fn get(&self, feed: &Feed) -> Option<&Granted> {
        self.feeds.get(feed)
    }

    /// All feeds, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Feed, &Granted)> {
        self.feeds.iter()
    }

    /// By which agreements each department is told something.
    pub(crate) fn under(&self) -> BTreeMap<&str, BTreeSet<Uuid>> {
        let mut under: BTreeMap<&str, BTreeSet<Uuid>> = BTreeMap::new();
        for (feed, granted) in &self.feeds {
            let of_department = under.entry(feed.department.as_str()).or_default();
            of_department.extend(&granted.agreements);
        }
        under
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.feeds.is_empty()
    }

    /// Whether a department has any.
    pub(crate) fn has(&self, department: &str) -> bool {
        self.feeds.keys().any(|feed| feed.department == department)
    }

    /// The feeds of elders who live in a division: of it and of each one around it.
    pub(crate) fn covering<'a>(
        &'a self,
        division: &DivisionCode,
    ) -> impl Iterator<Item = &'a Feed> + use<'a> {
        let around = division.upwards();
        around.flat_map(move |division| self.by_division.get(&division).into_iter().flatten())
    }
}

/// The feeds that stand on a day, of one department or of all.
///
/// # Errors
/// The database's.
pub(crate) async fn standing(
    db: impl PgExecutor<'_>,
    today: LocalDay,
    department: Option<&str>,
) -> Result<Standing, sqlx::Error> {
    let mut granting = Granting::in_force(db, today, department).await?;
    granting
        .agreements
        .retain(|(_, terms)| is_token(&terms.department));
    Ok(Standing {
        found: granting.found,
        unreadable: granting.unreadable,
        ..Standing::of(&granting.agreements)
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::agreement::testing::terms;

    fn feed(product: ProductName, division: &str) -> Feed {
        Feed {
            department: "health".to_owned(),
            product,
            division: division.parse().unwrap(),
        }
    }

    fn fields(told: &[(&str, &str)]) -> Fields {
        let told = told.iter();
        Fields(
            told.map(|(field, cut)| ((*field).to_owned(), (*cut).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn a_subject_names_its_feed_and_event() {
        let feed = feed(ProductName::Visit, "350524100");
        let subject = feed.subject("VisitRecorded");
        assert_eq!(subject, "feed.health.visit.350524100.VisitRecorded");
        assert_eq!(Feed::of_subject(&subject), Some((feed, "VisitRecorded")));
        for other in [
            "feeds.position",
            "feed.health.visit.350524100",
            "feed.health.visit.350524100.A.B",
            "feed.health.house.350524100.A",
            "feed.health.visit.somewhere.A",
        ] {
            assert_eq!(Feed::of_subject(other), None, "{other}");
        }
    }

    #[test]
    fn agreements_of_one_product_and_division_are_one_feed_and_the_more_generous_grant_holds() {
        let one = terms(&["350524"], &[(ProductName::Elder, "name", Cut::Masked)]);
        let two = terms(
            &["350524", "350525"],
            &[
                (ProductName::Elder, "name", Cut::Plain),
                (ProductName::Tier, "tier", Cut::Plain),
            ],
        );
        let standing = Standing::of(&[(Uuid::from_u128(1), one), (Uuid::from_u128(2), two)]);
        assert_eq!(standing.iter().count(), 4);
        let elder = feed(ProductName::Elder, "350524");
        let granted = standing.get(&elder).unwrap();
        assert_eq!(granted.agreements.len(), 2);
        assert_eq!(
            granted.fields(ProductName::Elder),
            fields(&[("name", "PLAIN")])
        );
        let village = "350524100001".parse().unwrap();
        let covering: Vec<&Feed> = standing.covering(&village).collect();
        assert_eq!(covering, [&elder, &feed(ProductName::Tier, "350524")]);
    }

    #[test]
    fn of_thousands_of_feeds_those_around_an_elder_are_found_at_once() {
        // A hundred towns of a hundred counties, with as many feeds, and each county and its city one more.
        let mut divisions = vec!["3505".to_owned()];
        for county in 350_500..350_600 {
            divisions.push(county.to_string());
            divisions.extend((100..200).map(|town| format!("{county}{town}")));
        }
        let names: Vec<&str> = divisions.iter().map(String::as_str).collect();
        let all = terms(&names, &[(ProductName::Elder, "id_number", Cut::Masked)]);
        let some = terms(&names[5_000..], &[(ProductName::Tier, "tier", Cut::Plain)]);
        let agreements = [(Uuid::from_u128(1), all), (Uuid::from_u128(2), some)];
        let begun = Instant::now();
        let standing = Standing::of(&agreements);
        assert!(standing.iter().count() > 15_000);
        for _ in 0..300 {
            for town in 100..200 {
                let village = format!("350599{town}001").parse().unwrap();
                let covering: Vec<String> = standing.covering(&village).map(Feed::name).collect();
                let town = format!("350599{town}");
                let expected = [
                    format!("health.elder.{town}"),
                    format!("health.tier.{town}"),
                    "health.elder.350599".to_owned(),
                    "health.tier.350599".to_owned(),
                    "health.elder.3505".to_owned(),
                ];
                assert_eq!(covering, expected);
            }
        }
        // To look at each feed for each elder takes more than a minute.
        assert!(begun.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_masked_number_is_not_told_where_another_feed_of_the_same_elders_tells_the_birth() {
        let number = terms(
            &["350524"],
            &[
                (ProductName::Elder, "id_number", Cut::Masked),
                (ProductName::Elder, "sex", Cut::Plain),
            ],
        );
        let birth = terms(
            &["350524100"],
            &[(ProductName::Elder, "birth_date", Cut::Plain)],
        );
        let elsewhere = terms(
            &["350525"],
            &[(ProductName::Elder, "id_number", Cut::Masked)],
        );
        let within = terms(
            &["350524100001"],
            &[
                (ProductName::Elder, "id_number", Cut::Masked),
                (ProductName::Elder, "status", Cut::Plain),
            ],
        );
        let agreements = [number, birth, elsewhere, within];
        let agreements: Vec<(Uuid, Terms)> = (1..).map(Uuid::from_u128).zip(agreements).collect();
        let standing = Standing::of(&agreements);
        let told = |division| {
            let granted = standing.get(&feed(ProductName::Elder, division)).unwrap();
            granted.fields(ProductName::Elder)
        };
        assert_eq!(told("350524"), fields(&[("sex", "PLAIN")]));
        assert_eq!(told("350524100001"), fields(&[("status", "PLAIN")]));
        assert_eq!(told("350525"), fields(&[("id_number", "MASKED")]));
    }

    #[test]
    fn what_is_told_no_longer_or_masked_from_now_on_narrows() {
        let before = fields(&[("name", "PLAIN"), ("sex", "PLAIN")]);
        let more = fields(&[("name", "PLAIN"), ("sex", "PLAIN"), ("status", "PLAIN")]);
        let masked = fields(&[("name", "MASKED"), ("sex", "PLAIN")]);
        assert!(!before.narrowed_by(&more) && !before.narrowed_by(&before));
        assert!(more.narrowed_by(&before) && before.narrowed_by(&masked));
        assert!(!masked.narrowed_by(&before));
    }

    #[test]
    fn an_id_number_whose_mask_hides_more_beside_the_age_narrows() {
        let number = fields(&[("id_number", "MASKED")]);
        let beside_age = fields(&[("id_number", "MASKED"), ("age", "PLAIN")]);
        assert!(number.narrowed_by(&beside_age));
        assert!(
            !fields(&[("id_number", "PLAIN")])
                .narrowed_by(&fields(&[("id_number", "PLAIN"), ("age", "PLAIN")]))
        );
    }
}
