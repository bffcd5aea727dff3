//! The printed annexes: a summary that is printed can be taken in again as a survey, and a form shows its elder.

use calamine::{Data, Reader, Xlsx};
use civic::{
    Assistance, CapabilityLevel, Category, ConsentState, GeoPosition, HandicapGrade, IdNumber,
    LocalDay, Observation, ServiceKind, Set, Term,
};
use proptest::{option, prelude::*, sample::subsequence};
use registry::{
    annex1::{self, Form},
    annex3::{self, ContactLine, Line},
    survey::{Limits, TownVillages, candidate::Candidate, row, workbook},
};

fn on() -> LocalDay {
    LocalDay::from_ymd(2024, 11, 19).unwrap()
}

fn town() -> TownVillages {
    TownVillages::new([("350524100001".parse().unwrap(), "下西社区居委会")])
}

fn id_number(birth: LocalDay, serial: u16) -> IdNumber {
    let digits = format!("350524{}{serial:03}", birth.to_string().replace('-', ""));
    format!("{digits}{}", IdNumber::compute_check_char(&digits).unwrap())
        .parse()
        .unwrap()
}

/// 周火, about whom everything is known.
fn somebody() -> Line {
    Line {
        name: "周火".into(),
        id_number: id_number(LocalDay::from_ymd(1939, 5, 7).unwrap(), 17),
        village: "下西社区居委会".into(),
        address: "下西社区186号".into(),
        position: GeoPosition::new(24.927048, 117.725709).ok(),
        categories: [Category::LivingAlone, Category::SeverelyHandicapped].into(),
        assistance: Assistance::MinimumLiving.into(),
        handicap_grade: Some(HandicapGrade::Second),
        capability: CapabilityLevel::Severe,
        observations: Observation::Dementia.into(),
        contact: Some(ContactLine {
            name: "林明春".into(),
            relation: "女".into(),
            phone: "15977642397".into(),
        }),
        wanted_services: [ServiceKind::DailyCare, ServiceKind::Other].into(),
        consent: ConsentState::Granted,
        remarks: "听力差".into(),
    }
}

fn read_again(lines: Vec<Line>) -> Vec<Candidate> {
    let file = annex3::summary("凤城镇", on(), lines).unwrap();
    let sheet = workbook::read(&file, &Limits::DEFAULT).unwrap();
    assert_eq!(sheet.as_of(), on());
    sheet
        .rows()
        .map(|row| row::judge(&row, &town(), sheet.as_of()).unwrap())
        .collect()
}

fn assert_says_the_same(line: &Line, read: &Candidate) {
    assert_eq!(read.name.as_str(), line.name);
    assert_eq!(read.id_number, line.id_number);
    assert_eq!(read.address, line.address);
    assert_eq!(read.position, line.position);
    assert_eq!(read.categories, line.categories);
    assert_eq!(read.assistance, line.assistance);
    assert_eq!(read.handicap_grade, line.handicap_grade);
    assert_eq!(read.capability, line.capability);
    assert_eq!(read.observations, line.observations);
    assert_eq!(read.wanted_services, line.wanted_services);
    assert_eq!(read.consent, line.consent);
    assert_eq!(read.remarks, line.remarks);
    assert_eq!(read.contact.is_some(), line.contact.is_some());
    if let (Some(read), Some(line)) = (&read.contact, &line.contact) {
        assert_eq!(read.name.as_str(), line.name);
        assert_eq!(read.relation, line.relation);
        assert_eq!(
            read.phone.as_ref().map_or("", |phone| phone.as_str()),
            line.phone
        );
    }
}

fn some_of<T: Term>(least: usize) -> impl Strategy<Value = Set<T>> {
    subsequence(T::ALL, least..=T::ALL.len()).prop_map(|terms| terms.into_iter().collect())
}

prop_compose! {
    fn any_contact()(
        name in "[一-龥]{2,4}",
        relation in prop_oneof![Just("女".to_owned()), Just(String::new())],
        phone in prop_oneof![Just("13811178935".to_owned()), Just("0595-23012243".to_owned()), Just(String::new())],
    ) -> ContactLine {
        ContactLine { name, relation, phone }
    }
}

prop_compose! {
    fn any_line()(
        name in "[一-龥·]{2,8}",
        (age_in_days, serial) in (22_000_i64..43_000, 0_u16..1000),
        address in "[一-龥0-9<>&\"']{0,20}",
        position in option::of((-90.0..=90.0, -180.0..=180.0)),
        (categories, assistance) in (some_of::<Category>(1), some_of::<Assistance>(0)),
        grade in option::of(1_u8..=4),
        capability in proptest::sample::select(CapabilityLevel::ALL),
        observations in some_of::<Observation>(0),
        contact in option::of(any_contact()),
        wanted_services in some_of::<ServiceKind>(0),
        consent in proptest::sample::select(ConsentState::ALL),
        remarks in "[一-龥]{0,10}",
    ) -> Line {
        let is_handicapped = categories.contains(Category::SeverelyHandicapped);
        Line {
            name,
            id_number: id_number(on().plus_days(-age_in_days), serial),
            village: "下西社区居委会".into(),
            address,
            position: position.and_then(|(latitude, longitude)| GeoPosition::new(latitude, longitude).ok()),
            categories,
            assistance,
            handicap_grade: grade.filter(|_| is_handicapped).and_then(|grade| HandicapGrade::try_from(grade).ok()),
            capability,
            observations,
            contact,
            wanted_services,
            consent,
            remarks,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_printed_summary_is_read_as_it_was_written(lines in proptest::collection::vec(any_line(), 0..20)) {
        let read = read_again(lines.clone());
        prop_assert_eq!(read.len(), lines.len());
        for (line, read) in lines.iter().zip(&read) {
            assert_says_the_same(line, read);
        }
    }
}

/// All texts of the first sheet, from the top, by their rows.
fn texts(file: Vec<u8>) -> Vec<Vec<String>> {
    let mut book: Xlsx<_> = calamine::open_workbook_from_rs(std::io::Cursor::new(file)).unwrap();
    let range = book.worksheet_range_at(0).unwrap().unwrap();
    range
        .rows()
        .map(|row| {
            row.iter()
                .filter(|cell| **cell != Data::Empty)
                .map(ToString::to_string)
                .collect()
        })
        .collect()
}

#[test]
fn a_summary_is_headed_and_closed_as_annex_3_is() {
    let rows = texts(annex3::summary("凤城镇", on(), [somebody()]).unwrap());
    assert_eq!(rows[0], ["特殊困难老年人探访关爱服务汇总表"]);
    assert_eq!(rows[1], ["镇（办）：凤城镇", "2024年11月19日"]);
    for heading in [
        "序号",
        "姓名",
        "性别",
        "年龄",
        "身份证号",
        "家庭住址",
        "类别",
        "身体能力",
        "备注",
    ] {
        assert!(rows[2].contains(&heading.to_owned()), "{heading}");
    }
    let elder = &rows[3];
    assert_eq!(
        elder[..5],
        ["1", "周火", "男", "85", somebody().id_number.as_str()]
    );
    assert!(
        elder.contains(&"独居、重残(二级)、低保".to_owned())
            && elder.contains(&"重度失能、失智".to_owned())
    );
    assert_eq!(rows[4], ["合计：1人"]);
    assert!(rows[5][0].starts_with("填表人：") && rows[5][0].contains("分管领导："));
}

#[test]
fn the_same_summary_is_the_same_file() {
    let summary = || annex3::summary("凤城镇", on(), [somebody()]).unwrap();
    assert_eq!(summary(), summary());
}

fn form_of(line: Line, contacts: Vec<ContactLine>) -> Form {
    Form {
        name: line.name,
        id_number: line.id_number,
        address: line.address,
        categories: line.categories,
        assistance: line.assistance,
        handicap_grade: line.handicap_grade,
        capability: line.capability,
        observations: line.observations,
        contacts,
        wanted_services: line.wanted_services,
    }
}

#[test]
fn a_form_shows_its_elder_with_the_wanted_services_ticked() {
    let contact = |name: &str| ContactLine {
        name: name.into(),
        relation: "女".into(),
        phone: "15977642397".into(),
    };
    let form = form_of(somebody(), vec![contact("林明春")]);
    let id_number = form.id_number.as_str().to_owned();
    let rows = texts(annex1::form(&form, on()).unwrap());
    let filled: Vec<Vec<&str>> = rows
        .iter()
        .map(|row| {
            row.iter()
                .map(String::as_str)
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
        })
        .filter(|row| !row.is_empty())
        .collect();
    assert_eq!(
        filled,
        [
            vec!["特殊困难老年人探访关爱服务摸底表"],
            vec!["2024年11月19日"],
            vec!["姓名", "周火", "性别", "男", "年龄", "85"],
            vec!["身份证号码", &id_number],
            vec![
                "类别",
                "独居、重残(二级)、低保",
                "身体能力",
                "重度失能、失智"
            ],
            vec!["家庭住址", "下西社区186号"],
            vec!["家庭成员", "姓名", "关系", "联系方式"],
            vec!["林明春", "女", "15977642397"],
            vec![
                "探访关爱\n服务内容",
                "健康管理",
                "□",
                "精神慰藉",
                "□",
                "其他",
                "☑"
            ],
            vec!["居家安全", "□", "环境卫生", "□"],
            vec!["生活照料", "☑", "应急救援", "□"],
            vec!["康复护理", "□", "文体活动", "□"],
        ]
    );
}

#[test]
fn a_form_grows_with_the_family() {
    let contacts = (0..8)
        .map(|place| ContactLine {
            name: format!("子女{place}"),
            ..Default::default()
        })
        .collect();
    let rows = texts(annex1::form(&form_of(somebody(), contacts), on()).unwrap());
    assert!(rows.iter().any(|row| row.contains(&"子女7".to_owned())));
}
