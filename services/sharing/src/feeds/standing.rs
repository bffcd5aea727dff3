//! Which feeds there are (生效的数据流): one for each department, product and division that agreements in force name.

use std::collections::{BTreeMap, BTreeSet};

use civic::{DivisionCode, LocalDay};
use prost::Message as _;
use proto::eldercare::sharing::v1 as pb;
use sqlx::{AssertSqlSafe, PgExecutor, Row as _};
use uuid::Uuid;

use crate::agreement::{Stage, State, Terms};
use crate::agreement_rows::APPROVED;
use crate::book_table;
use crate::codec::read_terms;
use crate::cut::{Cut, Grants, tells_birth};
use crate::products::ProductName;

/// The first token of the subjects of all feeds.
const ROOT: &str = "feed";

/// What one department is told of one product in one division, as agreements name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Feed {
    /// The department.
    pub(crate) department: String,
    /// The product.
    pub(crate) product: ProductName,
    /// The division.
    pub(crate) division: DivisionCode,
}

impl Feed {
    /// The subject of an event: `feed.<department>.<product>.<division>.<Event>`.
    pub(crate) fn subject(&self, event: &str) -> String {
        let Self {
            department,
            product,
            division,
        } = self;
        let product = product.name();
        format!("{ROOT}.{department}.{product}.{division}.{event}")
    }

    /// The subjects of all its events.
    pub(crate) fn all(&self) -> String {
        self.subject(">")
    }

    /// The feed and the event of a subject; none where it is no feed's.
    pub(crate) fn of_subject(subject: &str) -> Option<(Self, &str)> {
        let mut tokens = subject.split('.');
        let root = tokens.next()?;
        let feed = Self {
            department: tokens.next()?.to_owned(),
            product: ProductName::parse(tokens.next()?)?,
            division: tokens.next()?.parse().ok()?,
        };
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
    let births = feeds
        .iter()
        .filter(|(feed, granted)| feed.product == elder && tells_birth(elder, &granted.grants));
    let births: Vec<Feed> = births.map(|(feed, _)| feed.clone()).collect();
    for (feed, granted) in feeds.iter_mut() {
        let beside = |other: &Feed| {
            let nested =
                other.division.contains(&feed.division) || feed.division.contains(&other.division);
            other != feed && other.department == feed.department && nested
        };
        let own = tells_birth(elder, &granted.grants);
        if feed.product == elder && !own && births.iter().any(beside) {
            granted.grants.revoke_masked(elder, "id_number");
        }
    }
    feeds.retain(|_, granted| !granted.grants.is_empty());
}

/// All feeds with what they grant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing(BTreeMap<Feed, Granted>);

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
        Self(feeds)
    }

    /// What a feed grants; none where it does not stand.
    pub(crate) fn get(&self, feed: &Feed) -> Option<&Granted> {
        self.0.get(feed)
    }

    /// All feeds, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Feed, &Granted)> {
        self.0.iter()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a department has any.
    pub(crate) fn has(&self, department: &str) -> bool {
        self.0.keys().any(|feed| feed.department == department)
    }

    /// The feeds of elders who live in a division, in their order.
    pub(crate) fn covering(&self, division: &DivisionCode) -> impl Iterator<Item = &Feed> {
        let covers = |feed: &&Feed| feed.division.contains(division);
        self.0.keys().filter(covers)
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
    let statement = format!(
        "SELECT agreement_id, terms FROM {}.agreement WHERE stage = $1 AND last_day >= $2 \
         AND ($3::text IS NULL OR department = $3) ORDER BY sequence",
        book_table::NAME
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(APPROVED)
        .bind(today.date())
        .bind(department)
        .fetch_all(db)
        .await?;
    let mut agreements = Vec::with_capacity(rows.len());
    for row in &rows {
        let agreement: Uuid = row.try_get(0)?;
        let terms = pb::AgreementTerms::decode(row.try_get::<&[u8], _>(1)?).ok();
        let Some(terms) = terms.and_then(|terms| read_terms(terms).ok()) else {
            // Of another version of the program: what is not understood grants nothing, and hinders no other.
            tracing::error!(%agreement, "the terms of an agreement can't be read: it grants nothing");
            continue;
        };
        // The statement finds them; the rule decides.
        let in_force = Stage::Approved.state_on(today, terms.until) == State::InForce;
        if in_force && is_token(&terms.department) {
            agreements.push((agreement, terms));
        }
    }
    Ok(Standing::of(&agreements))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(divisions: &[&str], grants: &[(ProductName, &'static str, Cut)]) -> Terms {
        let mut products = Grants::default();
        for (product, field, cut) in grants {
            products.grant(*product, field, *cut);
        }
        Terms {
            department: "health".to_owned(),
            purpose: "家庭医生签约".to_owned(),
            legal_basis: "川民〔2023〕100号".to_owned(),
            products,
            divisions: divisions.iter().map(|code| code.parse().unwrap()).collect(),
            until: "2024-12-31".parse().unwrap(),
        }
    }

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
        let agreements = [number, birth, elsewhere];
        let agreements: Vec<(Uuid, Terms)> = (1..).map(Uuid::from_u128).zip(agreements).collect();
        let standing = Standing::of(&agreements);
        let told = |division| {
            let granted = standing.get(&feed(ProductName::Elder, division)).unwrap();
            granted.fields(ProductName::Elder)
        };
        assert_eq!(told("350524"), fields(&[("sex", "PLAIN")]));
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
