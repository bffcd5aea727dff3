//! Signals that are none, in batches among good ones: each is refused by itself with its reason, and the good ones are stored;
//! and whoever is no gateway passes nothing on.

use bytes::Bytes;
use integration_tests::{
    Setup, System, an_elder,
    callers::{Authorised, gateway, service_of_the_system},
    county::COUNTY,
    homes::{a_signal, device, say},
    malformed, new_id, officer,
    process::Part,
    reason, timestamp, wrong_fields,
};
use prost::Message as _;
use proto::eldercare::alerts::v1::{
    AlertRaised, GeoPoint, IngestSignalsRequest, IngestSignalsResponse, ListAlertsRequest,
    RefusedSignal, Signal, SignalKind,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use service::Claims;
use tonic::{Code, Status};

use super::{NO_MESSAGES, is_typed, still_works, stream};

const STREAM: &str = "/eldercare.alerts.v1.AlertService/IngestSignals";

/// Batches in one stream, and signals in each.
const BATCHES: usize = 40;
const SIGNALS: usize = 100;

/// The most signals of a batch.
const MOST: usize = 1_000;

fn message(signals: Vec<Signal>) -> Bytes {
    IngestSignalsRequest { signals }.encode_to_vec().into()
}

/// Sends bytes as a stream of batches: the receipts, and why it ended if it did not end well.
async fn receipts(
    channel: Authorised,
    batches: Vec<Bytes>,
) -> (Vec<IngestSignalsResponse>, Option<Status>) {
    stream(channel, STREAM, batches).await
}

/// The line of a gateway of all divisions.
fn line(system: &System) -> Authorised {
    system.caller(&gateway()).channel(Part::Alerts)
}

/// A refusal of one signal as each must be: with a reason, in words of both languages.
fn is_told(refused: &RefusedSignal) {
    let code = |letter: char| letter.is_ascii_uppercase() || letter == '_';
    let reason = &refused.reason;
    assert!(
        !reason.is_empty() && reason.chars().all(code),
        "{refused:?}"
    );
    let (en, zh) = (&refused.message_en, &refused.message_zh);
    assert!(!en.is_empty() && en.is_ascii(), "{refused:?}");
    assert!(!zh.is_empty() && !zh.is_ascii(), "{refused:?}");
}

/// What the receipt of one batch says was refused: place, field and reason of each.
fn refused(receipt: &IngestSignalsResponse) -> Vec<(i32, &str, &str)> {
    let refused = receipt.refused.iter().inspect(|refused| is_told(refused));
    let told = refused.map(|one| (one.index, one.field.as_str(), one.reason.as_str()));
    told.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_signals_are_refused_one_by_one_and_the_good_ones_of_their_batches_are_stored() {
    let mut system = System::start_with(Setup::with_alerts()).await;
    let elder = system.register(an_elder("林一")).await;
    device(&system, "SB0001", &elder).await;
    let before = system.written().await;
    let broken = malformed::signals("SB0001");
    let mut random = StdRng::seed_from_u64(20_241_001);
    let mut batches = Vec::new();
    let mut wrong = Vec::new();
    let mut good = Vec::new();
    for _ in 0..BATCHES {
        let mut signals = Vec::new();
        let mut fields = Vec::new();
        for place in 0..SIGNALS {
            if random.random() {
                let (signal, field) = broken(&mut random);
                signals.push(signal);
                fields.push((i32::try_from(place).unwrap(), field));
            } else {
                let signal = a_signal("SB0001");
                good.push((signal.device_id.clone(), signal.signal_id.clone()));
                signals.push(signal);
            }
        }
        batches.push(message(signals));
        wrong.push(fields);
    }
    let (told, end) = receipts(line(&system), batches).await;
    assert!(end.is_none(), "{end:?}");
    assert_eq!(told.len(), BATCHES, "each batch has a receipt");
    for (receipt, wrong) in told.iter().zip(&wrong) {
        let refused = refused(receipt).into_iter();
        let refused: Vec<_> = refused.map(|(index, field, _)| (index, field)).collect();
        assert_eq!(&refused, wrong);
        assert_eq!(
            receipt.stored,
            i32::try_from(SIGNALS - wrong.len()).unwrap()
        );
        assert!(receipt.position.starts_with("SIGNALS:"), "{receipt:?}");
    }
    assert_eq!(system.signals_stored().await, good);
    let mut after = system.written().await;
    after.signals -= u64::try_from(good.len()).unwrap();
    assert_eq!(after, before, "a device that works calls for nobody");

    // Somebody calls for help in the midst of it, and is heard.
    let press = Signal {
        kind: SignalKind::Press.into(),
        ..a_signal("SB0001")
    };
    let signals = vec![broken(&mut random).0, press, broken(&mut random).0];
    let receipt = say(system.caller(&gateway()).alerts(), signals).await;
    assert_eq!(receipt.unwrap().stored, 1);
    system.settled().await;
    let raised = system.events::<AlertRaised>("alerts").await;
    assert_eq!(raised.len(), 1);
    assert_eq!(raised[0].elder_id, elder);
    still_works(&mut system).await;
    system.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_signal_is_told_with_its_reason_and_what_is_odd_is_taken() {
    let system = System::start_with(Setup::with_alerts()).await;
    let elder = system.register(an_elder("林二")).await;
    device(&system, "SB0001", &elder).await;
    let with = |change: &dyn Fn(&mut Signal)| {
        let mut signal = a_signal("SB0001");
        change(&mut signal);
        signal
    };
    let named = |id: &str| with(&|signal| signal.signal_id = id.to_owned());
    let of = |device: &str| with(&|signal| signal.device_id = device.to_owned());
    let saying = |kind| with(&|signal| signal.kind = kind);
    let running = |litres| with(&|signal| signal.litres = litres);
    let at = |latitude, longitude| {
        let point = GeoPoint {
            latitude,
            longitude,
        };
        with(&|signal| signal.position = Some(point))
    };
    let when = |seconds, nanos| {
        let time = prost_types::Timestamp { seconds, nanos };
        with(&|signal| signal.device_time = Some(time))
    };
    let wrong = [
        (named(""), "signal_id", "REQUIRED"),
        (named(" \t"), "signal_id", "REQUIRED"),
        (named(&"1".repeat(65)), "signal_id", "TOO_LONG"),
        (named("1\u{7}"), "signal_id", "CONTROL_CHARACTERS"),
        (of(""), "device_id", "DEVICE_ID_INVALID"),
        (of("SB.0001"), "device_id", "DEVICE_ID_INVALID"),
        (of("*"), "device_id", "DEVICE_ID_INVALID"),
        (of("呼叫器"), "device_id", "DEVICE_ID_INVALID"),
        (of(&"S".repeat(65)), "device_id", "DEVICE_ID_INVALID"),
        (saying(0), "kind", "VALUE_UNKNOWN"),
        (saying(9), "kind", "VALUE_UNKNOWN"),
        (saying(-1), "kind", "VALUE_UNKNOWN"),
        (when(i64::MAX, 0), "device_time", "TIMESTAMP_INVALID"),
        // The last second of the year before the first, and the first of the year 10000.
        (when(-62_135_596_801, 0), "device_time", "TIMESTAMP_INVALID"),
        (when(253_402_300_800, 0), "device_time", "TIMESTAMP_INVALID"),
        (when(1_727_740_800, -1), "device_time", "TIMESTAMP_INVALID"),
        (running(f64::NAN), "litres", "OUT_OF_RANGE"),
        (running(-0.1), "litres", "OUT_OF_RANGE"),
        (running(f64::INFINITY), "litres", "OUT_OF_RANGE"),
        (running(f64::NEG_INFINITY), "litres", "OUT_OF_RANGE"),
        (running(1e6), "litres", "OUT_OF_RANGE"),
        (at(90.1, 0.0), "position", "OUT_OF_RANGE"),
        (at(-90.1, 0.0), "position", "OUT_OF_RANGE"),
        (at(0.0, 180.1), "position", "OUT_OF_RANGE"),
        (at(f64::NAN, 0.0), "position", "OUT_OF_RANGE"),
        (at(0.0, f64::NEG_INFINITY), "position", "OUT_OF_RANGE"),
    ];
    // Clocks that were never set, or run ahead; ends of ranges; a device that nobody has registered.
    let odd = [
        named(&"信".repeat(64)),
        of(&"S".repeat(64)),
        of("SB9999"),
        when(-62_135_596_800, 0),
        when(0, 0),
        when(4_102_444_800, 999_999_999),
        when(253_402_300_799, 0),
        running(0.0),
        running(999_999.9),
        at(90.0, -180.0),
        at(-90.0, 180.0),
    ];
    let good: Vec<_> = odd
        .iter()
        .map(|signal| (signal.device_id.clone(), signal.signal_id.clone()))
        .collect();
    let before = system.written().await;
    let expected: Vec<_> = (0..)
        .zip(&wrong)
        .map(|(index, (_, field, reason))| (index, *field, *reason))
        .collect();
    let wrong = wrong.iter().map(|(signal, ..)| signal.clone());
    let receipt = say(
        system.caller(&gateway()).alerts(),
        wrong.chain(odd).collect(),
    );
    let receipt = receipt.await.unwrap();
    assert_eq!(refused(&receipt), expected);
    assert_eq!(receipt.stored, i32::try_from(good.len()).unwrap());
    assert_eq!(system.signals_stored().await, good);
    let mut after = system.written().await;
    after.signals -= u64::try_from(good.len()).unwrap();
    assert_eq!(after, before, "what devices say that work calls for nobody");

    // Whatever its clock says, a button that is pressed is heard.
    for (raised, (seconds, nanos)) in [(-62_135_596_800, 0), (253_402_300_799, 999_999_999)]
        .into_iter()
        .enumerate()
    {
        let elder = system.register(an_elder("林某")).await;
        let button = format!("SB100{raised}");
        device(&system, &button, &elder).await;
        let press = Signal {
            device_id: button,
            kind: SignalKind::Press.into(),
            ..when(seconds, nanos)
        };
        let receipt = say(system.caller(&gateway()).alerts(), vec![press]).await;
        assert_eq!(receipt.unwrap().stored, 1);
        system.settled().await;
        let alerts = system.events::<AlertRaised>("alerts").await;
        assert_eq!(alerts.len(), raised + 1, "nobody heard the call");
        let last = alerts.last().unwrap();
        let now = timestamp("2024-10-01T09:00:00+08:00");
        assert_eq!((&last.elder_id, last.raised_at), (&elder, Some(now)));
    }
    system.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_none_ends_the_stream_after_the_receipts_of_those_before_it() {
    let mut system = System::start_with(Setup::with_alerts()).await;
    let elder = system.register(an_elder("林三")).await;
    device(&system, "SB0001", &elder).await;
    let before = system.written().await;
    let many = |count: usize| -> Vec<_> { (0..count).map(|_| a_signal("SB0001")).collect() };
    let long = Signal {
        signal_id: "1".repeat(5 << 20),
        ..a_signal("SB0001")
    };
    let ends = [
        (message(many(MOST + 1)), "TOO_MANY"),
        (message(vec![long]), "MESSAGE_TOO_LARGE"),
    ];
    let broken = NO_MESSAGES.map(|bytes| (Bytes::from_static(bytes), "MESSAGE_MALFORMED"));
    let mut stored = 0;
    for (batch, expected) in ends.into_iter().chain(broken) {
        let sent = vec![message(many(2)), batch, message(many(1))];
        let (told, end) = receipts(line(&system), sent).await;
        let told: Vec<_> = told.iter().map(|receipt| receipt.stored).collect();
        assert_eq!(told, [2], "{expected}");
        let end = end.expect("the stream is refused");
        is_typed(&end, expected);
        let fields = wrong_fields(&end);
        if expected == "TOO_MANY" {
            assert_eq!(end.code(), Code::InvalidArgument, "{end}");
            assert_eq!(fields, ["signals"]);
        } else {
            assert_eq!(reason(&end), expected);
        }
        stored += 2;
    }
    // As many as may be; and nothing at all, which is no fault.
    let (told, end) = receipts(line(&system), vec![message(many(MOST)), message(vec![])]).await;
    assert!(end.is_none(), "{end:?}");
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].stored, i32::try_from(MOST).unwrap());
    assert_eq!(told[1], IngestSignalsResponse::default());
    stored += u64::try_from(MOST).unwrap();
    assert!(matches!(receipts(line(&system), vec![]).await, (none, None) if none.is_empty()));

    let mut after = system.written().await;
    after.signals -= stored;
    assert_eq!(after, before, "a batch that was refused left a trace");
    still_works(&mut system).await;
    system.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_a_gateway_passes_signals_on_and_each_only_those_of_its_divisions() {
    let system = System::start_with(Setup::with_alerts()).await;
    let elder = system.register(an_elder("林四")).await;
    device(&system, "SB0001", &elder).await;
    let before = system.written().await;
    let press = |device: &str| Signal {
        kind: SignalKind::Press.into(),
        ..a_signal(device)
    };

    // Officers of every role, one who calls himself a gateway, and the services themselves.
    let no_gateways = [
        officer(),
        officer().role("device_gateway"),
        service_of_the_system(),
    ];
    for claims in no_gateways {
        let refused = say(system.caller(&claims).alerts(), vec![press("SB0001")]).await;
        let refused = refused.expect_err("no gateway");
        is_typed(&refused, "signals");
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::PermissionDenied, "ACTION_NOT_PERMITTED")
        );
    }
    // A gateway of another county passes on nothing of this one, and is not told which devices there are.
    let of = |division: &str| {
        Claims::system("gateway", "platform")
            .division(division)
            .role("device_gateway")
    };
    let strange = [press("SB0001"), press("SB9999"), press("呼叫器")];
    let elsewhere = system.caller(&of("350525")).alerts();
    let receipt = say(elsewhere, strange.to_vec()).await.unwrap();
    let not_theirs = |index| (index, "device_id", "DEVICE_NOT_YOURS");
    assert_eq!(refused(&receipt), [0, 1, 2].map(not_theirs));
    assert_eq!((receipt.stored, receipt.position.as_str()), (0, ""));
    assert_eq!(system.written().await, before);

    // That of this county passes on what its own devices say; whatever it does, it learns nothing of anybody.
    let county = system.caller(&of(COUNTY));
    let signals = vec![press("SB9999"), press("SB0001"), named_nothing("SB0001")];
    let receipt = say(county.alerts(), signals).await.unwrap();
    assert_eq!(
        refused(&receipt),
        [not_theirs(0), (2, "signal_id", "REQUIRED")]
    );
    assert_eq!(receipt.stored, 1);
    let list = ListAlertsRequest {
        division_code: COUNTY.to_owned(),
        ..ListAlertsRequest::default()
    };
    let refused = county.alerts().list_alerts(list).await.unwrap_err();
    assert_eq!(reason(&refused), "ACTION_NOT_PERMITTED");
    // Of a device that nobody has registered nothing follows, whoever passes its signals on.
    let unknown = say(system.caller(&gateway()).alerts(), vec![press(&new_id())]).await;
    assert_eq!(unknown.unwrap().stored, 1);
    system.settled().await;
    let raised = system.events::<AlertRaised>("alerts").await;
    let raised: Vec<_> = raised.iter().map(|alert| &alert.elder_id).collect();
    assert_eq!(raised, [&elder]);
    system.verify().await;
}

fn named_nothing(device: &str) -> Signal {
    Signal {
        signal_id: String::new(),
        ..a_signal(device)
    }
}
