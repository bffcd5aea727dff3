//! Messages of every method of every contract, put together at random of what fits and what does not: each is answered, or
//! refused with a reason of ours that repeats nothing personal. No handler fails by any of them.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::uri::PathAndQuery;
use integration_tests::{
    Setup, System, an_elder, callers::Authorised, elders::VILLAGE, new_id, process::Part, reason,
    visiting::visitor,
};
use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint},
};
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use tonic::{Code, Request, Status};
use tonic_types::{ErrorDetail, StatusExt as _};

use super::{AsTheyAre, still_works};

/// How often each method is tried in a short run.
const EACH: u32 = 30;

/// How many are on their way at once.
const AT_ONCE: usize = 24;

/// How long a stream that may be silent is listened to.
const LISTENED: Duration = Duration::from_millis(300);

/// How deep messages lie in each other at the most.
const DEEPEST: usize = 5;

/// What stands in messages and must not come back in a refusal, nor get into a log.
const ID_NUMBER: &str = "350524195207209372";
const PHONE: &str = "13811178935";

/// A method of one of the six services.
#[derive(Clone, Debug)]
struct Method {
    service: String,
    path: PathAndQuery,
    input: String,
    reads_a_stream: bool,
    answers_a_stream: bool,
}

/// All contracts.
struct Contracts {
    messages: HashMap<String, DescriptorProto>,
    methods: Vec<Method>,
}

impl Contracts {
    fn read() -> Self {
        let set = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
        let mut contracts = Self {
            messages: HashMap::new(),
            methods: Vec::new(),
        };
        for file in &set.file {
            let package = file.package();
            for message in &file.message_type {
                contracts.add(format!(".{package}"), message);
            }
            for one in &file.service {
                let service = format!("{package}.{}", one.name());
                // The clock stands still in this story.
                if !package.starts_with("eldercare.") || package == "eldercare.simulation.v1" {
                    continue;
                }
                contracts.methods.extend(one.method.iter().map(|method| {
                    let path = format!("/{service}/{}", method.name());
                    Method {
                        service: service.clone(),
                        path: path.parse().unwrap(),
                        input: method.input_type().to_owned(),
                        reads_a_stream: method.client_streaming(),
                        answers_a_stream: method.server_streaming(),
                    }
                }));
            }
        }
        contracts
    }

    fn add(&mut self, scope: String, message: &DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        for inner in &message.nested_type {
            self.add(name.clone(), inner);
        }
        self.messages.insert(name, message.clone());
    }

    /// A message of a kind, as bytes; where nobody knows the kind, none.
    fn message(&self, kind: &str, words: &[String], depth: usize, random: &mut StdRng) -> Vec<u8> {
        let mut bytes = Vec::new();
        let fields = self.messages.get(kind).map(|message| &message.field);
        for field in fields.into_iter().flatten() {
            // Messages within messages have less in them: otherwise they grow without end.
            let (most, share) = match (field.label(), depth) {
                (Label::Repeated, 0) => (3, (4, 5)),
                (_, 0) => (1, (4, 5)),
                (_, _) => (1, (1, 2)),
            };
            for _ in 0..most {
                if random.random_ratio(share.0, share.1) {
                    self.field(field, words, depth, random, &mut bytes);
                }
            }
        }
        bytes
    }

    fn field(
        &self,
        field: &FieldDescriptorProto,
        words: &[String],
        depth: usize,
        random: &mut StdRng,
        into: &mut Vec<u8>,
    ) {
        let number = u32::try_from(field.number()).unwrap();
        let content = match field.r#type() {
            Type::Message if depth == DEEPEST => return,
            Type::Message => self.message(field.type_name(), words, depth + 1, random),
            Type::String => words.choose(random).unwrap().clone().into_bytes(),
            Type::Bytes => vec![random.random(); random.random_range(0..80)],
            Type::Double | Type::Fixed64 | Type::Sfixed64 => {
                encode_key(number, WireType::SixtyFourBit, into);
                let doubles = [0.0, 1.5, -1.0, 25.06, 1e308, f64::NAN, f64::INFINITY];
                into.extend(doubles.choose(random).unwrap().to_le_bytes());
                return;
            }
            Type::Float | Type::Fixed32 | Type::Sfixed32 => {
                encode_key(number, WireType::ThirtyTwoBit, into);
                into.extend(random.random::<u32>().to_le_bytes());
                return;
            }
            Type::Bool
            | Type::Enum
            | Type::Int32
            | Type::Int64
            | Type::Uint32
            | Type::Uint64
            | Type::Sint32
            | Type::Sint64
            | Type::Group => {
                encode_key(number, WireType::Varint, into);
                let numbers = [0, 1, 1, 2, 3, 4, 9, 30, 2_024, u64::MAX, 1 << 31, 1 << 62];
                encode_varint(*numbers.choose(random).unwrap(), into);
                return;
            }
        };
        encode_key(number, WireType::LengthDelimited, into);
        encode_varint(u64::try_from(content.len()).unwrap(), into);
        into.extend(content);
    }
}

/// What stands in texts: ids that there are and that there are not, words of all kinds, and what nobody would write.
fn words(elder: &str, visitor: &str) -> Vec<String> {
    let mut words: Vec<String> = [
        elder,
        elder,
        visitor,
        VILLAGE,
        VILLAGE,
        "350524",
        "350524100",
        "37",
        "health",
        "elder",
        "ltci",
        "LTCI",
        "B0001",
        "SB0001",
        "REGISTRY:1",
        "signals",
        "2024-10-01",
        "2024-W40",
        "2024-10",
        "name",
        "zh-CN",
        "王秀英",
        ID_NUMBER,
        PHONE,
        "ASSESSMENT_AGENCY",
        "",
        "",
        " ",
        "0",
        "-1",
        "\0",
        "\u{202e}",
        "'; --",
        "%s%n",
        "../../etc",
        "{{x}}",
        "*",
        ">",
        "a.b.*",
    ]
    .map(str::to_owned)
    .to_vec();
    words.extend([new_id(), new_id(), "长".repeat(70), "x".repeat(3_000)]);
    words.push(include_str!("../../../libs/tier-policy/policies/default.yaml").to_owned());
    words
}

/// Sends messages, and hears how the answer begins.
async fn outcome(channel: Authorised, method: &Method, messages: Vec<Bytes>) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(channel).max_decoding_message_size(64 << 20);
    grpc.ready().await.unwrap();
    let request = Request::new(stream::iter(messages));
    let asking = grpc.streaming(request, method.path.clone(), AsTheyAre);
    if !method.answers_a_stream {
        return asking.await?.into_inner().message().await.map(|_| ());
    }
    let listening = async { asking.await?.into_inner().message().await.map(|_| ()) };
    // Who watches may hear nothing for long.
    let heard = tokio::time::timeout(LISTENED, listening).await;
    heard.unwrap_or(Ok(()))
}

/// A refusal as it must be: the caller's doing, with a reason of ours, and without what is personal.
fn is_ours(status: &Status, method: &Method) {
    let path = &method.path;
    let fits = [
        Code::InvalidArgument,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::OutOfRange,
        Code::ResourceExhausted,
    ];
    assert!(fits.contains(&status.code()), "{path}: {status}");
    assert!(!reason(status).is_empty(), "{path}: {status}");
    let mut told = vec![status.message().to_owned()];
    told.extend(
        status
            .get_error_details_vec()
            .into_iter()
            .filter_map(|detail| {
                if let ErrorDetail::LocalizedMessage(text) = detail {
                    Some(text.message)
                } else {
                    None
                }
            }),
    );
    for text in told {
        fuzzing::assert_untold(&text, &[ID_NUMBER, PHONE]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_sent_to_any_method_is_answered_or_refused_with_a_reason() {
    let mut system = System::start_with(Setup::with_sharing()).await;
    let elder = system.register(an_elder("林一")).await;
    let words = words(&elder, &visitor(&system, "王一").await);
    let contracts = Contracts::read();
    assert!(
        contracts.methods.len() > 100,
        "{} methods",
        contracts.methods.len()
    );
    // Always the same messages: what fails can be looked at again.
    let mut random = StdRng::seed_from_u64(20_241_001);
    let mut requests = Vec::new();
    for _ in 0..fuzzing::times(EACH) {
        for method in &contracts.methods {
            let messages = if method.reads_a_stream { 2 } else { 1 };
            let messages: Vec<Bytes> = (0..messages)
                .map(|_| contracts.message(&method.input, &words, 0, &mut random))
                .map(Bytes::from)
                .collect();
            requests.push((method.clone(), messages));
        }
    }
    let officer = system.officer();
    let refusals = stream::iter(requests)
        .map(|(method, messages)| {
            let channel = officer.channel(Part::serving(&method.service));
            async move {
                let refused = outcome(channel, &method, messages).await.err();
                refused.inspect(|status| is_ours(status, &method))
            }
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect::<Vec<_>>()
        .await;
    assert!(
        refusals.len() > contracts.methods.len(),
        "nearly nothing was refused"
    );
    let logged = system.logged();
    fuzzing::assert_untold(&logged, &[ID_NUMBER, PHONE]);
    still_works(&mut system).await;
}
