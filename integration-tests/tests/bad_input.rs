//! Ten thousand malformed requests: each is refused with a reason, nothing is written, and the service stays as it was.

use std::{collections::BTreeMap, sync::Arc};

use bytes::{Buf as _, BufMut as _, Bytes};
use futures::{StreamExt as _, stream};
use http::uri::PathAndQuery;
use integration_tests::{
    System, an_elder,
    callers::{Authorised, Caller},
    county, import,
    malformed::{self, Known, Malformed},
    officer, reason, survey, workbook, wrong_fields,
};
use prost::Message as _;
use proto::eldercare::registry::v1::{
    EraseElderRequest, GetElderRequest, ImportSurveyOptions, ImportSurveyRequest,
    ListDivisionsRequest, ListEldersRequest, RecordHandicapRequest, RegisterElderRequest,
    SurveyOutcome, SurveyRejection, import_survey_request::Part,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use service::{Claims, TokenIssuer};
use tonic::{
    Code, Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};
use tonic_types::{ErrorDetail, StatusExt as _};
use uuid::Uuid;

/// Malformed messages beside tokens and workbooks.
const MESSAGES: usize = 10_000;

/// How many are on their way at once.
const AT_ONCE: usize = 48;

/// Sends bytes as they are, so that they may be no message at all.
#[derive(Clone, Copy, Default)]
struct AsTheyAre;

impl Codec for AsTheyAre {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AsTheyAre {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for AsTheyAre {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// Sends a request and hears the answer to its end.
async fn send(
    channel: Authorised,
    path: &'static str,
    messages: Vec<Bytes>,
) -> Result<usize, Status> {
    let mut grpc = tonic::client::Grpc::new(channel).max_decoding_message_size(64 << 20);
    grpc.ready()
        .await
        .map_err(|error| Status::unknown(error.to_string()))?;
    let request = Request::new(tokio_stream::iter(messages));
    let mut answers = grpc
        .streaming(request, PathAndQuery::from_static(path), AsTheyAre)
        .await?
        .into_inner();
    let mut heard = 0;
    while answers.message().await?.is_some() {
        heard += 1;
    }
    Ok(heard)
}

/// A refusal as every refusal must be: a code that fits, a reason of ours, texts in both languages.
fn is_typed(status: &Status, wrong: &str) {
    let fits = [
        Code::InvalidArgument,
        Code::Unauthenticated,
        Code::PermissionDenied,
        Code::FailedPrecondition,
        Code::NotFound,
    ];
    assert!(fits.contains(&status.code()), "{wrong}: {status}");
    assert!(
        !reason(status).is_empty(),
        "{wrong}: no reason of ours in {status}"
    );
    let details = status.get_error_details_vec();
    let mut spoken: Vec<_> = details
        .iter()
        .filter_map(|detail| {
            if let ErrorDetail::LocalizedMessage(text) = detail {
                Some(text.locale.as_str())
            } else {
                None
            }
        })
        .collect();
    spoken.sort_unstable();
    assert_eq!(spoken, ["en", "zh-CN"], "{wrong}: {status}");
}

/// What must not change whatever is sent.
#[derive(Debug, PartialEq, Eq)]
struct Written {
    registry: u64,
    tiering: u64,
    keys: u64,
}

async fn written(system: &System) -> Written {
    system.settled().await;
    let vault = system
        .jetstream()
        .await
        .get_stream("VAULT")
        .await
        .unwrap()
        .get_info()
        .await
        .unwrap();
    Written {
        registry: system.last_sequence("registry").await,
        tiering: system.last_sequence("tiering").await,
        keys: vault.state.last_sequence,
    }
}

async fn still_works(system: &mut System) {
    assert!(system.is_running());
    assert!(!system.logged().contains("panicked"), "a handler panicked");
    let elder_id = system.register(an_elder("林好人")).await;
    let handicap = RecordHandicapRequest {
        request_id: Uuid::new_v4().to_string(),
        elder_id,
        grade: 3,
        ..Default::default()
    };
    assert!(
        system
            .registry()
            .record_handicap(handicap)
            .await
            .unwrap()
            .into_inner()
            .committed
            .unwrap()
            .changed
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_malformed_messages_are_refused_each_with_its_reason() {
    let mut system = System::start().await;
    let known = Known {
        elder: system.register(an_elder("林一")).await,
        other: system.register(an_elder("林二")).await,
        policy: include_str!("../../services/tiering/policies/default.yaml"),
    };
    let makers = malformed::makers(&known);
    let before = written(&system).await;
    let memory = system.running().peak_resident_bytes();

    // Always the same requests: what fails can be looked at again.
    let mut random = StdRng::seed_from_u64(20_241_001);
    let requests: Vec<Malformed> = (0..MESSAGES)
        .map(|number| makers[number % makers.len()](&mut random))
        .collect();
    let channel = system.officer().channel();
    let refusals = stream::iter(requests)
        .map(|request| {
            let channel = channel.clone();
            async move {
                let outcome = send(channel, request.path, request.messages).await;
                let wrong = format!("{} with wrong {}", request.path, request.wrong);
                let status = outcome.expect_err(&wrong);
                is_typed(&status, &wrong);
                assert_eq!(status.code(), Code::InvalidArgument, "{wrong}: {status}");
                if request.names_fields {
                    assert!(
                        !wrong_fields(&status).is_empty(),
                        "{wrong}: no field is named in {status}"
                    );
                } else {
                    assert_eq!(reason(&status), "MESSAGE_MALFORMED", "{wrong}: {status}");
                }
                (request.path, reason(&status))
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    let mut by_path: BTreeMap<_, usize> = BTreeMap::new();
    for (path, _) in &refusals {
        *by_path.entry(path).or_default() += 1;
    }
    assert_eq!(refusals.len(), MESSAGES);
    assert_eq!(by_path.len(), makers.len(), "every method was tried");

    assert_eq!(
        written(&system).await,
        before,
        "a malformed request wrote something"
    );
    let grown = system.running().peak_resident_bytes() - memory;
    assert!(grown < 256 << 20, "memory grew by {} MiB", grown >> 20);
    still_works(&mut system).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_known_or_may_not_is_turned_away() {
    let mut system = System::start().await;
    let elder_id = system.register(an_elder("林三")).await;
    let before = written(&system).await;
    let stranger = TokenIssuer::generate();
    let expired = Claims {
        exp: 1_700_000_000,
        ..officer()
    };
    let too_early = Claims {
        nbf: Some(4_102_444_800),
        exp: 4_102_448_400,
        ..officer()
    };
    let elsewhere = Claims {
        iss: "somebody".to_owned(),
        ..officer()
    };
    let mut random = StdRng::seed_from_u64(7);
    let good = system.token(&officer());
    let mut tokens = vec![
        stranger.issue(&officer()),
        system.token(&expired),
        system.token(&too_early),
        system.token(&elsewhere),
        String::new(),
        "Bearer".to_owned(),
        "e30.e30.".to_owned(),
        "x".repeat(12_000),
    ];
    // A good token with one letter changed.
    tokens.extend((0..400).map(|_| {
        let mut bytes = good.clone().into_bytes();
        let place = random.random_range(0..bytes.len() - 2);
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    }));
    let address = format!("http://{}", system.address());
    let channel = tonic::transport::Endpoint::from_shared(address)
        .unwrap()
        .connect_lazy();
    for token in tokens
        .iter()
        .map(|token| Some(format!("Bearer {token}")))
        .chain([None, Some("Basic eDp5".to_owned())])
    {
        let mut client =
            proto::eldercare::registry::v1::registry_service_client::RegistryServiceClient::new(
                channel.clone(),
            );
        let mut request = Request::new(RegisterElderRequest {
            ..an_elder("林四")
        });
        if let Some(token) = &token {
            request
                .metadata_mut()
                .insert("authorization", token.parse().unwrap());
        }
        let refused = client.register_elder(request).await.unwrap_err();
        is_typed(&refused, "a token");
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    }

    // Known, but not for this.
    let clerk = || {
        Claims::officer("li", "civil_affairs")
            .role("clerk")
            .purpose("visits")
    };
    let callers = [
        (clerk().division("350525"), "DIVISION_OUT_OF_REACH"),
        (
            Claims::officer("wang", "health")
                .division("*")
                .role("clerk")
                .purpose("x"),
            "ACTION_NOT_PERMITTED",
        ),
        (clerk(), "ACTION_NOT_PERMITTED"),
    ];
    for (claims, expected) in callers {
        let caller: Caller = system.caller(&claims);
        let refused = caller
            .registry()
            .register_elder(an_elder("林五"))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
        is_typed(&refused, expected);
    }
    let clerk = system.caller(&clerk().division("*"));
    let erase = EraseElderRequest {
        request_id: Uuid::new_v4().to_string(),
        elder_id: elder_id.clone(),
        reason: "ASKED".to_owned(),
        ..Default::default()
    };
    let refused = clerk.registry().erase_elder(erase).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::PermissionDenied, "ACTION_NOT_PERMITTED")
    );
    let silent = system.caller(&Claims {
        purpose: None,
        ..officer()
    });
    let get = GetElderRequest {
        elder_id: elder_id.clone(),
        ..Default::default()
    };
    let refused = silent.registry().get_elder(get).await.unwrap_err();
    assert_eq!(reason(&refused), "PURPOSE_REQUIRED");
    let keys = proto::eldercare::registry::v1::GetKeysRequest {
        elder_ids: vec![elder_id],
    };
    let refused = system.officer().vault().get_keys(keys).await.unwrap_err();
    assert_eq!(
        refused.code(),
        Code::PermissionDenied,
        "no officer ever holds a key"
    );

    // Methods that there aren't, and a message beyond all bounds.
    for path in [
        "/eldercare.registry.v1.RegistryService/DropElders",
        "/x/y",
        "/eldercare.visits.v1.VisitsService/GetVisit",
    ] {
        let refused = send(system.officer().channel(), path, vec![Bytes::new()])
            .await
            .unwrap_err();
        assert!(
            [Code::PermissionDenied, Code::Unimplemented].contains(&refused.code()),
            "{path}: {refused}"
        );
        assert!(!reason(&refused).is_empty(), "{path}: {refused}");
    }
    let huge = ListEldersRequest {
        division_code: "3".repeat(5 << 20),
        ..Default::default()
    };
    let refused = system.registry().list_elders(huge).await.unwrap_err();
    is_typed(&refused, "a message of 5 MiB");
    assert_eq!(reason(&refused), "MESSAGE_TOO_LARGE");
    assert!(
        system
            .registry()
            .list_divisions(ListDivisionsRequest::default())
            .await
            .is_ok()
    );
    assert_eq!(written(&system).await, before);
    still_works(&mut system).await;
}

/// A workbook that can't be taken, and the reason that must be given.
fn hostile_workbooks() -> Vec<(&'static str, Vec<u8>)> {
    let good = workbook::of_elders(0, 3);
    let mut books = vec![
        ("WORKBOOK_NOT_XLSX", Vec::new()),
        ("WORKBOOK_NOT_XLSX", "序号,姓名".as_bytes().to_vec()),
        (
            "WORKBOOK_NOT_XLSX",
            workbook::packed(&[("word/document.xml", b"<document/>")]),
        ),
        (
            "WORKBOOK_OLD_FORMAT",
            b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec(),
        ),
        (
            "SHEET_MISSING",
            workbook::packed(&[("xl/workbook.xml", b"<workbook><sheets/></workbook>")]),
        ),
        (
            "SHEET_NOT_A_WORKSHEET",
            workbook::of_sheet(b"<chartsheet/>"),
        ),
        (
            "HEADER_MISSING",
            workbook::of_sheet(b"<worksheet><sheetData/></worksheet>"),
        ),
        (
            "DATE_MISSING",
            workbook::of_sheet(
                workbook::sheet("")
                    .replace("2024年9月20日", "某日")
                    .as_bytes(),
            ),
        ),
        (
            "COLUMN_MISSING",
            workbook::of_sheet(workbook::sheet("").replace("身份证号", "电话").as_bytes()),
        ),
        (
            "COLUMN_TWICE",
            workbook::of_sheet(workbook::sheet("").replace("家庭住址", "姓名").as_bytes()),
        ),
        (
            "WORKBOOK_DAMAGED",
            workbook::of_sheet(workbook::sheet("<row></sheetData>").as_bytes()),
        ),
        (
            "WORKBOOK_DAMAGED",
            workbook::of_sheet(workbook::sheet(&"<a>".repeat(100_000)).as_bytes()),
        ),
    ];
    // Bombs: packed small, unpacked beyond all bounds; entities that grow; a thousand parts.
    let blanks = vec![b' '; 64 << 20];
    let bomb = [blanks.as_slice(); 9].concat();
    books.push((
        "WORKBOOK_UNPACKS_TOO_LARGE",
        workbook::packed(&[("xl/workbook.xml", &bomb)]),
    ));
    let entities = r#"<!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>"#;
    books.push((
        "WORKBOOK_DAMAGED",
        workbook::of_sheet(format!("{entities}{}", workbook::sheet("")).as_bytes()),
    ));
    let names: Vec<String> = (0..1_001).map(|number| format!("part{number}")).collect();
    let parts: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    books.push(("WORKBOOK_TOO_MANY_PARTS", workbook::packed(&parts)));
    let rows: String = (4..200_010)
        .map(|row| format!(r#"<row r="{row}"><c r="A{row}"><v>1</v></c></row>"#))
        .collect();
    books.push((
        "TOO_MANY_ROWS",
        workbook::of_sheet(workbook::sheet(&rows).as_bytes()),
    ));
    let far = r#"<row r="9"><c r="XFD9"><v>1</v></c></row>"#;
    books.push((
        "TOO_MANY_COLUMNS",
        workbook::of_sheet(workbook::sheet(far).as_bytes()),
    ));
    // Cut short at any place.
    let mut random = StdRng::seed_from_u64(350_524);
    for _ in 0..200 {
        let end = random.random_range(1..good.len() - 30);
        books.push(("WORKBOOK_", good[..end].to_vec()));
    }
    books
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workbooks_made_to_do_harm_are_refused_and_memory_stays_bounded() {
    let mut system = System::start().await;
    let before = written(&system).await;
    let memory = system.running().peak_resident_bytes();
    let books = hostile_workbooks();
    let system_seen = Arc::new(&system);
    stream::iter(books)
        .for_each_concurrent(4, |(expected, book)| {
            let system = Arc::clone(&system_seen);
            async move {
                let options = survey::options(Uuid::new_v4());
                let refused = import(&mut system.registry(), options, &book)
                    .await
                    .expect_err(expected);
                is_typed(&refused, expected);
                assert_eq!(
                    refused.code(),
                    Code::InvalidArgument,
                    "{expected}: {refused}"
                );
                assert!(
                    reason(&refused).starts_with(expected),
                    "{expected}: {refused}"
                );
            }
        })
        .await;
    // A file beyond 64 MiB is not taken in to its end.
    let refused = import(
        &mut system.registry(),
        survey::options(Uuid::new_v4()),
        &vec![7; 65 << 20],
    )
    .await;
    let refused = refused.unwrap_err();
    is_typed(&refused, "65 MiB");
    assert_eq!(reason(&refused), "WORKBOOK_TOO_LARGE");
    assert_eq!(
        written(&system).await,
        before,
        "a workbook that was refused wrote something"
    );
    let grown = system.running().peak_resident_bytes() - memory;
    assert!(grown < 768 << 20, "memory grew by {} MiB", grown >> 20);
    still_works(&mut system).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_breaks_the_rules_of_the_stream_is_refused() {
    let mut system = System::start().await;
    let before = written(&system).await;
    let book = workbook::of_elders(0, 3);
    let options = || survey::options(Uuid::new_v4());
    let message = |part| ImportSurveyRequest { part };
    let chunk = |bytes: &[u8]| message(Some(Part::Chunk(bytes.to_vec().into())));
    let with = |options: ImportSurveyOptions| message(Some(Part::Options(options)));
    let streams: Vec<(&str, Vec<ImportSurveyRequest>)> = vec![
        ("nothing at all", vec![]),
        ("an empty message first", vec![message(None)]),
        ("no options first", vec![chunk(&book)]),
        (
            "options twice",
            vec![with(options()), with(options()), chunk(&book)],
        ),
        (
            "an empty message between",
            vec![with(options()), message(None), chunk(&book)],
        ),
        (
            "a piece of over 1 MiB",
            vec![with(options()), chunk(&vec![0; (1 << 20) + 1])],
        ),
        (
            "no import id",
            vec![
                with(ImportSurveyOptions {
                    import_id: String::new(),
                    ..options()
                }),
                chunk(&book),
            ],
        ),
        (
            "no town",
            vec![
                with(ImportSurveyOptions {
                    town_code: VILLAGE_AS_TOWN.to_owned(),
                    ..options()
                }),
                chunk(&book),
            ],
        ),
        (
            "a town that nobody knows",
            vec![
                with(ImportSurveyOptions {
                    town_code: "350524999".to_owned(),
                    ..options()
                }),
                chunk(&book),
            ],
        ),
        ("no workbook", vec![with(options())]),
    ];
    for (wrong, messages) in streams {
        let bytes = messages
            .iter()
            .map(|message| Bytes::from(message.encode_to_vec()))
            .collect();
        let path = "/eldercare.registry.v1.RegistryService/ImportSurvey";
        let refused = send(system.officer().channel(), path, bytes)
            .await
            .expect_err(wrong);
        is_typed(&refused, wrong);
    }
    let mut random = StdRng::seed_from_u64(99);
    for _ in 0..200 {
        let garbage: Vec<u8> = (0..random.random_range(2..200)).map(|_| 0xFF).collect();
        let messages = vec![
            Bytes::from(with(options()).encode_to_vec()),
            Bytes::from(garbage),
        ];
        let path = "/eldercare.registry.v1.RegistryService/ImportSurvey";
        let refused = send(system.officer().channel(), path, messages)
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::InvalidArgument, "MESSAGE_MALFORMED")
        );
    }
    assert_eq!(written(&system).await, before);
    still_works(&mut system).await;
}

/// Twelve digits, where a town has nine.
const VILLAGE_AS_TOWN: &str = integration_tests::elders::VILLAGE;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_with_formulas_or_of_another_town_are_rejected_one_by_one() {
    let mut system = System::start().await;
    let before = written(&system).await;
    // Formulas count by their last value, and there is none; the sheet of another town names villages that this one lacks.
    let row = |number: u32, id: &str, village: &str| {
        let text = |column: char, text: &str| {
            format!(r#"<c r="{column}{number}" t="inlineStr"><is><t>{text}</t></is></c>"#)
        };
        format!(
            r#"<row r="{number}">{}<c r="C{number}">{id}</c>{}{}{}</row>"#,
            text('B', "林表格"),
            text('D', village),
            text('F', "独居"),
            text('G', "完好"),
        )
    };
    let number = integration_tests::id_number(integration_tests::day("1940-01-01"), 1);
    let rows = [
        row(
            4,
            "<f>HYPERLINK(&quot;http://x&quot;)</f>",
            "下西社区居委会",
        ),
        row(5, "<f>1/0</f>", "下西社区居委会"),
        row(6, "<v>123</v>", "下西社区居委会"),
        row(7, &format!("<v>{number}</v>"), "别处村"),
    ]
    .concat();
    let book = workbook::of_sheet(workbook::sheet(&rows).as_bytes());
    let imported = import(
        &mut system.registry(),
        survey::options(Uuid::new_v4()),
        &book,
    )
    .await
    .unwrap();
    assert!(
        imported
            .rows
            .iter()
            .all(|row| row.outcome() == SurveyOutcome::Rejected),
        "{:?}",
        imported.rows
    );
    let rejections: Vec<_> = imported.rows.iter().map(|row| row.rejection()).collect();
    assert_eq!(rejections[..3], [SurveyRejection::IdInvalid; 3]);
    assert_eq!(rejections.len(), 4);

    let other_town = county::workbook("350524101-蓬莱镇");
    let options = ImportSurveyOptions {
        dry_run: true,
        ..survey::options(Uuid::new_v4())
    };
    let imported = import(&mut system.registry(), options, &other_town)
        .await
        .unwrap();
    // A few villages of both towns have the same name.
    let unknown = imported
        .rows
        .iter()
        .filter(|row| row.rejection() == SurveyRejection::VillageUnknown)
        .count();
    assert!(
        unknown > imported.rows.len() / 10 * 8,
        "only {unknown} of {} rows",
        imported.rows.len()
    );
    assert_eq!(
        written(&system).await,
        before,
        "a rejected row wrote something"
    );
    still_works(&mut system).await;
}
