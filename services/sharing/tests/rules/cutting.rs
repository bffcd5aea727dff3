//! What is left of a document: never more than is granted, whatever stands in it.

use std::collections::HashSet;

use civic::ElderId;
use proptest::prelude::*;
use serde_json::{Value, json};
use sharing::cut::{Cut, Grants, cut, mask};
use sharing::document::Document;
use sharing::products::{FieldKind, ProductName, product};
use uuid::Uuid;

fn document(product: ProductName, fields: Value) -> Document {
    let Value::Object(fields) = fields else {
        panic!("fields are an object")
    };
    Document {
        product,
        key: "K".to_owned(),
        elder: ElderId(Uuid::from_u128(1)),
        fields,
    }
}

fn zhang() -> Document {
    document(
        ProductName::Elder,
        json!({
            "elder_id": "00000000-0000-0000-0000-000000000001",
            "division_code": "350524100001",
            "name": "张三",
            "id_number": "350524194810011234",
            "birth_date": "1948-10-01",
            "age": 75,
            "categories": ["LIVING_ALONE"],
            "address": "福建省安溪县凤城镇某某路1号",
            "contacts": [{"name": "张小明", "relation": "子", "phone": "13811178935", "call_order": 1}],
        }),
    )
}

fn granted(fields: &[(&'static str, Cut)]) -> Grants {
    let mut grants = Grants::default();
    for &(field, cut) in fields {
        grants.grant(ProductName::Elder, field, cut);
    }
    grants
}

/// A text of a kind, masked.
fn masked(kind: FieldKind, text: &str) -> Option<String> {
    let value = mask(kind, &text.into())?;
    Some(value.as_str().unwrap().to_owned())
}

#[track_caller]
fn check(kind: FieldKind, text: &str, expected: &str) {
    assert_eq!(masked(kind, text).as_deref(), Some(expected), "{text}");
}

#[test]
fn masks_hide_the_middle() {
    check(FieldKind::Name, "张三", "张*");
    check(FieldKind::Name, "张小明", "张**");
    check(FieldKind::Name, "欧阳小明", "欧***");
    check(FieldKind::Name, "张", "*");
    check(
        FieldKind::IdNumber,
        "350524194810011234",
        "350524********1234",
    );
    check(
        FieldKind::IdNumber,
        "35052419481001123X",
        "350524********123X",
    );
    check(FieldKind::IdNumber, "350524481001123", "350524*****1123");
    check(FieldKind::IdNumber, "3505244810", "***");
    check(FieldKind::Phone, "13811178935", "138****8935");
    check(FieldKind::Phone, "0595-71335677", "***********77");
    check(FieldKind::Phone, "059571335677", "**********77");
    check(FieldKind::Phone, "110", "***");
    check(
        FieldKind::Address,
        "福建省安溪县凤城镇1号",
        "福建省安溪县***",
    );
    check(FieldKind::Address, "长坑村5组", "***");
    check(FieldKind::Address, "长坑村12号", "***");
    check(FieldKind::Address, "长坑村12号楼", "长坑村12号***");
    check(FieldKind::BirthDate, "1948-10-01", "1948");
    check(FieldKind::Text, "家中无人", "***");
}

#[test]
fn what_is_no_value_of_its_kind_has_no_mask() {
    for field in product(ProductName::Elder).fields {
        for value in [json!(null), json!(17), json!(true), json!({}), json!("")] {
            assert_eq!(mask(field.kind, &value), None, "{}", field.name);
        }
    }
    assert_eq!(masked(FieldKind::BirthDate, "1948"), None);
    assert_eq!(masked(FieldKind::Code, "PRIORITY"), None);
}

#[test]
fn contacts_are_masked_one_by_one() {
    let contacts = json!([
        {"name": "张小明", "relation": "子", "phone": "13811178935", "call_order": 1},
        {"name": "李四", "relation": "邻居", "phone": ""},
        "13811178935",
    ]);
    assert_eq!(
        mask(FieldKind::Contacts, &contacts),
        Some(json!([
            {"name": "张**", "relation": "子", "phone": "138****8935"},
            {"name": "李*", "relation": "邻居"},
        ]))
    );
}

#[test]
fn a_document_holds_what_is_granted_and_no_more() {
    let grants = granted(&[
        ("name", Cut::Masked),
        ("id_number", Cut::Plain),
        ("age", Cut::Plain),
        // It has no mask, so that it is not told.
        ("categories", Cut::Masked),
        // It is not known.
        ("sex", Cut::Plain),
        // There is no such field.
        ("wealth", Cut::Plain),
    ]);
    let left = cut(&zhang(), &grants).unwrap();
    assert_eq!(
        Value::Object(left.fields),
        json!({"name": "张*", "id_number": "350524194810011234", "age": 75})
    );
    assert_eq!(left.masked, ["name"]);
    assert_eq!(left.told, ["elder.name:masked", "elder.id_number"]);
    assert_eq!((left.key.as_str(), left.elder), ("K", zhang().elder));
}

#[test]
fn beside_birth_date_or_age_a_masked_id_number_keeps_no_digits_behind() {
    for beside in ["birth_date", "age"] {
        let grants = granted(&[("id_number", Cut::Masked), (beside, Cut::Plain)]);
        let left = cut(&zhang(), &grants).unwrap();
        assert_eq!(left.fields["id_number"], "350524************", "{beside}");
    }
    let grants = granted(&[("id_number", Cut::Masked), ("birth_date", Cut::Masked)]);
    let left = cut(&zhang(), &grants).unwrap();
    assert_eq!(left.fields["id_number"], "350524********1234");
}

#[test]
fn health_and_need_are_personal_though_they_are_codes_and_have_no_mask() {
    for (name, fields) in [
        (
            ProductName::Elder,
            &[
                "categories",
                "assistance",
                "capability",
                "handicap_grade",
                "observations",
            ][..],
        ),
        (ProductName::Tier, &["reasons"]),
        (ProductName::Visit, &["findings"]),
        (ProductName::Alert, &[]),
        (ProductName::Order, &[]),
        (ProductName::Enrolment, &["basis"]),
    ] {
        let all = product(name).fields.iter();
        let sensitive: Vec<_> = all.filter(|field| field.sensitive).collect();
        let names: Vec<_> = sensitive.iter().map(|field| field.name).collect();
        assert_eq!(names, fields, "{name:?}");
        for field in sensitive {
            assert!(field.personal() && !field.maskable(), "{}", field.name);
        }
    }
    let grants = granted(&[("age", Cut::Plain), ("categories", Cut::Plain)]);
    let left = cut(&zhang(), &grants).unwrap();
    assert_eq!(left.told, ["elder.categories"]);
}

#[test]
fn a_document_of_which_nothing_is_left_is_none() {
    assert_eq!(cut(&zhang(), &Grants::default()), None);
    assert_eq!(cut(&zhang(), &granted(&[("sex", Cut::Plain)])), None);
    let mut of_visits = Grants::default();
    of_visits.grant(ProductName::Visit, "elder_id", Cut::Plain);
    assert_eq!(cut(&zhang(), &of_visits), None);
}

#[test]
fn who_owns_the_data_sees_the_whole_catalogue() {
    let mut known = zhang();
    let left = cut(&known, &Grants::all_plain()).unwrap();
    assert_eq!(left.fields, known.fields);
    assert!(left.masked.is_empty());
    // In the order of the catalogue.
    assert_eq!(
        left.told,
        [
            "elder.name",
            "elder.id_number",
            "elder.birth_date",
            "elder.categories",
            "elder.address",
            "elder.contacts"
        ]
    );
    // What is not in it is nobody's.
    known.fields.insert("wealth".to_owned(), json!("great"));
    assert_eq!(cut(&known, &Grants::all_plain()), Some(left));
}

#[test]
fn of_two_grants_the_more_generous_holds() {
    let (masked, plain) = (
        granted(&[("name", Cut::Masked), ("age", Cut::Plain)]),
        granted(&[("name", Cut::Plain)]),
    );
    for (one, other) in [(&masked, &plain), (&plain, &masked)] {
        let mut both = one.clone();
        both.merge(other);
        assert_eq!(both.get(ProductName::Elder, "name"), Some(Cut::Plain));
        assert_eq!(both.get(ProductName::Elder, "age"), Some(Cut::Plain));
        assert_eq!(both.get(ProductName::Elder, "sex"), None);
        assert_eq!(both.get(ProductName::Visit, "elder_id"), None);
        assert!(both.has(ProductName::Elder) && !both.has(ProductName::Visit));
    }
}

#[test]
fn every_product_reads_back_from_its_name_and_its_fields_have_one_name_each() {
    for name in ProductName::ALL {
        assert_eq!(ProductName::parse(name.name()), Some(*name));
        let product = product(*name);
        assert_eq!(product.name, *name);
        let names: HashSet<_> = product.fields.iter().map(|field| field.name).collect();
        assert_eq!(names.len(), product.fields.len());
        // The elder is known of each.
        assert!(product.field("elder_id").is_some());
        let schema = product.schema();
        assert_eq!(schema["additionalProperties"], json!(false));
        let described = schema["properties"].as_object().unwrap();
        assert_eq!(described.len(), names.len());
        assert!(described.keys().all(|name| names.contains(name.as_str())));
    }
    assert_eq!(ProductName::parse("wealth"), None);
}

/// Any text, and what looks like the real ones.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "\\PC{0,24}",
        "[一-龥]{0,16}",
        "[0-9X-]{0,20}",
        "1[3-9][0-9]{9}",
        "[0-9]{17}[0-9X]",
        "(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]",
    ]
}

/// Any JSON, of which some is what fields hold.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let key = prop_oneof![Just("name"), Just("relation"), Just("phone"), Just("more")];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..4).prop_map(|fields| {
                let fields = fields.into_iter();
                Value::Object(fields.map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    })
}

/// Whether a mask shows of a text its first and last characters alone, and hides at least one of it.
fn shows_at_most(text: &str, mask: &str, first: usize, last: usize) -> bool {
    let (text, mask): (Vec<char>, Vec<char>) = (text.chars().collect(), mask.chars().collect());
    let shown_first = mask.iter().position(|c| *c == '*').unwrap_or(mask.len());
    let shown_last = mask
        .iter()
        .rev()
        .position(|c| *c == '*')
        .unwrap_or(mask.len());
    let between = mask.len().saturating_sub(shown_first + shown_last);
    shown_first <= first
        && shown_last <= last
        && shown_first + shown_last < text.len()
        && text.starts_with(&mask[..shown_first])
        && text.ends_with(&mask[mask.len() - shown_last..])
        && mask
            .iter()
            .skip(shown_first)
            .take(between)
            .all(|c| *c == '*')
}

proptest! {
    #[test]
    fn masks_never_show_more_than_they_may(text in texts()) {
        // A star of the text's own is told from no other; the examples above say the rest.
        let text = text.replace('*', "x");
        for (kind, first, last) in [
            (FieldKind::Name, 1, 0),
            (FieldKind::IdNumber, 6, 4),
            (FieldKind::Phone, 3, 4),
            (FieldKind::Address, 6, 0),
            (FieldKind::Text, 0, 0),
        ] {
            match masked(kind, &text) {
                None => prop_assert!(text.is_empty()),
                Some(mask) => prop_assert!(shows_at_most(&text, &mask, first, last), "{kind:?}"),
            }
        }
        if let Some(year) = masked(FieldKind::BirthDate, &text) {
            prop_assert_eq!(year.as_str(), &text[..4]);
        }
    }

    #[test]
    fn landlines_show_their_last_two_digits_at_most(text in "0[0-9]{2,3}-?[0-9]{7,8}") {
        let mask = masked(FieldKind::Phone, &text).unwrap();
        prop_assert!(shows_at_most(&text, &mask, 0, 2));
    }

    #[test]
    fn nothing_that_is_not_granted_is_told(
        known in prop::collection::vec((0..99_usize, values()), 0..20),
        grants in prop::collection::vec((0..99_usize, prop::bool::ANY), 0..20),
        name in prop::sample::select(ProductName::ALL),
    ) {
        let fields = product(name).fields;
        let mut granted = Grants::default();
        for (place, plain) in grants {
            let field = fields[place % fields.len()].name;
            granted.grant(name, field, if plain { Cut::Plain } else { Cut::Masked });
        }
        let known: serde_json::Map<_, _> = known
            .into_iter()
            .map(|(place, value)| (fields[place % fields.len()].name.to_owned(), value))
            .collect();
        let known = document(name, Value::Object(known));
        let Some(left) = cut(&known, &granted) else { return Ok(()) };
        for (name_of_field, value) in &left.fields {
            let field = product(name).field(name_of_field).unwrap();
            let original = &known.fields[name_of_field];
            let is_masked = left.masked.contains(&field.name);
            let told = format!("{}.{}{}", name.name(), field.name, if is_masked { ":masked" } else { "" });
            prop_assert_eq!(left.told.contains(&told), field.personal());
            match granted.get(name, field.name) {
                Some(Cut::Plain) => {
                    prop_assert!(!is_masked);
                    prop_assert_eq!(value, original);
                }
                Some(Cut::Masked) => {
                    prop_assert!(is_masked && field.maskable());
                    prop_assert_eq!(Some(value.clone()), mask(field.kind, original));
                }
                None => prop_assert!(false, "{} is not granted", field.name),
            }
        }
        prop_assert_eq!(left.told.len(), left.fields.keys().filter(|name_of_field| {
            product(name).field(name_of_field).unwrap().personal()
        }).count());
    }
}
