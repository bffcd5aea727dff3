//! Fills the log of the registry as the registry would have, with keys and sealed records, and faster than it could.

use std::sync::Arc;

use civic::{Assistance, ElderId, LocalDay, Set, VillageCode};
use elders::{
    Event,
    event::{Capability, Consent, Registered, Residence, Source, Spoken},
    purpose,
};
use eventlog::{
    Aggregate as _, EventLog as _, Gather, JetStreamLog, Metadata, NewRecord, RawEvent,
    StreamSettings, Subject,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::eldercare::{registry::v1 as pb, r#type::v1 as types};
use registry::identity::{self, Claim};
use service::settings::Settings;
use uuid::Uuid;
use vault::{BlindIndex, DataKey, JetStreamKeyStore, KeyStream, Vault, VaultOptions};

use super::{
    people::{AS_OF, Person, day},
    stage::Stage,
};
use crate::output::Progress;

/// How many elders are made at a time.
const CHUNK: u64 = 5_000;

/// How many messages are on their way at a time.
const IN_FLIGHT: usize = 1_000;

/// The domain of digests of ID numbers, as the registry has it.
const ID_NUMBER: &str = "id_number";

/// Elders in the log.
#[derive(Debug)]
pub(super) struct Seeded {
    /// Each with the sequence of the last record.
    elders: Vec<(ElderId, u64)>,
    log: JetStreamLog,
    /// How many events there are.
    pub(super) events: u64,
}

impl Seeded {
    /// Registers the first `count` made-up elders.
    pub(super) async fn registered(
        stage: &Stage,
        count: u64,
        progress: Progress,
    ) -> anyhow::Result<Self> {
        Self::assisted(stage, count, Set::EMPTY, progress).await
    }

    /// The same with all of them assisted so.
    pub(super) async fn assisted(
        stage: &Stage,
        count: u64,
        assistance: Set<Assistance>,
        progress: Progress,
    ) -> anyhow::Result<Self> {
        let nothing = |_: Person, _: &DataKey| ();
        let sealing = Self::sealing::<()>(stage, count, assistance, nothing, progress);
        let (seeded, _) = sealing.await?;
        Ok(seeded)
    }

    /// The same with what is sealed for each of them beside, under their own keys, in their order.
    pub(super) async fn sealing<S: Send + 'static>(
        stage: &Stage,
        count: u64,
        assistance: Set<Assistance>,
        seal: fn(Person, &DataKey) -> S,
        progress: Progress,
    ) -> anyhow::Result<(Self, Vec<S>)> {
        let config = stage.settings()?;
        let settings: &Settings = &config;
        let client = stage.nats_client().await?;
        let log = log_of(stage, "registry").await?;
        let gather = if settings.nats.sync_always {
            vault::Gather::Always
        } else {
            vault::Gather::Never
        };
        let keys = KeyStream {
            gather,
            ..KeyStream::default()
        };
        let store = JetStreamKeyStore::open(async_nats::jetstream::new(client), keys).await?;
        let options = VaultOptions {
            remembered: 1,
            ..VaultOptions::default()
        };
        let vault = Vault::new(Arc::new(store), registry::key_ring(settings)?, options);
        let index = registry::blind_index(settings)?;
        let step = progress.begin("elders in the log", count);
        let (mut elders, mut beside) = (Vec::new(), Vec::new());
        for first in (0..count).step_by(usize::try_from(CHUNK)?) {
            let persons: Vec<_> = (first..(first + CHUNK).min(count)).map(Person).collect();
            let ids: Vec<_> = persons.iter().map(|person| person.id()).collect();
            let keys = vault.create_all(&ids).await?;
            let index = index.clone();
            let sealing = tokio::task::spawn_blocking(move || -> Vec<_> {
                persons
                    .iter()
                    .zip(keys)
                    .map(|(person, key)| {
                        let records = records(*person, &key, &index, assistance);
                        (records, seal(*person, &key))
                    })
                    .collect()
            });
            let (records, sealed): (Vec<_>, Vec<_>) = sealing.await?.into_iter().unzip();
            beside.extend(sealed);
            let written: Vec<_> = stream::iter(records)
                .map(|(elder, claim, file)| {
                    let log = &log;
                    async move {
                        let (claimed, registered) =
                            tokio::join!(log.append(claim), log.append(file));
                        claimed?;
                        anyhow::Ok((elder, registered?))
                    }
                })
                .buffered(IN_FLIGHT / 2)
                .try_collect()
                .await?;
            elders.extend(written);
            step.advance(CHUNK);
        }
        step.done(&format!("{count} registered"));
        let seeded = Self {
            elders,
            log,
            events: 2 * count,
        };
        Ok((seeded, beside))
    }

    /// Records one more change of each of the first `of` elders, so that each elder's records lie far apart in the log.
    pub(super) async fn change(
        &mut self,
        round: u64,
        of: usize,
        progress: Progress,
    ) -> anyhow::Result<()> {
        let step = progress.begin("changes in the log", of as u64);
        let log = &self.log;
        let some = self.elders.get_mut(..of).unwrap_or_default();
        let mut written = stream::iter(some.iter().copied().enumerate())
            .map(|(place, (elder, last))| async move {
                let record = record(
                    subject("elder", &elder.to_string()),
                    last,
                    vec![change(round, place as u64)],
                );
                anyhow::Ok((place, log.append(record).await?))
            })
            .buffer_unordered(IN_FLIGHT);
        let mut sequences = Vec::with_capacity(of);
        while let Some((place, sequence)) = written.try_next().await? {
            sequences.push((place, sequence));
            if sequences.len().is_multiple_of(1_000) {
                step.advance(1_000);
            }
        }
        drop(written);
        for (place, sequence) in sequences {
            some[place].1 = sequence;
        }
        self.events += some.len() as u64;
        step.done("");
        Ok(())
    }

    /// The elders' ids, in the order of their registration.
    pub(super) fn ids(&self) -> Vec<String> {
        self.elders
            .iter()
            .map(|(elder, _)| elder.to_string())
            .collect()
    }
}

/// The log of a service, made if it is not there yet.
pub(super) async fn log_of(stage: &Stage, context: &str) -> anyhow::Result<JetStreamLog> {
    let gather = if stage.settings()?.common.nats.sync_always {
        Gather::Always
    } else {
        Gather::GroupsOnly
    };
    let settings = StreamSettings::of(context, gather);
    Ok(JetStreamLog::open(stage.nats_client().await?, settings).await?)
}

/// Writes records, of which none rests on another, many at a time; their sequences.
pub(super) async fn write(log: &JetStreamLog, records: Vec<NewRecord>) -> anyhow::Result<Vec<u64>> {
    let written = stream::iter(records).map(|record| log.append(record));
    Ok(written.buffered(IN_FLIGHT).try_collect().await?)
}

/// The file of an elder of some village, without a claim to the ID number, for those who read files alone.
pub(super) fn file(person: Person, key: &DataKey, village: VillageCode) -> NewRecord {
    let elder = ElderId(person.id());
    let registered = registered(person, key, "", village, Set::EMPTY);
    let event = elders::codec::encode(&Event::Registered(Box::new(registered)));
    record(subject("elder", &elder.to_string()), 0, vec![event])
}

/// The records of a registration: the claim to the ID number, and the file.
fn records(
    person: Person,
    key: &DataKey,
    index: &BlindIndex,
    assistance: Set<Assistance>,
) -> (ElderId, NewRecord, NewRecord) {
    let elder = ElderId(person.id());
    let claim = index
        .digest(ID_NUMBER, person.id_number().as_str())
        .subject_token();
    let claimed = Claim::encode(&identity::Event::Claimed(elder));
    let village = person.village_code().parse().expect("a village");
    let registered = elders::codec::encode(&Event::Registered(Box::new(registered(
        person, key, &claim, village, assistance,
    ))));
    (
        elder,
        record(subject("identity", &claim), 0, vec![claimed]),
        record(subject("elder", &elder.to_string()), 0, vec![registered]),
    )
}

fn registered(
    person: Person,
    key: &DataKey,
    claim: &str,
    village: VillageCode,
    assistance: Set<Assistance>,
) -> Registered {
    let id = person.id();
    let (name, relation, phone) = person.contact();
    let contact = types::Contact {
        name,
        relation: relation.to_owned(),
        phone,
        call_order: 0,
        supporter: false,
    };
    let identity = pb::Identity {
        name: person.name(),
        id_number: person.id_number().as_str().to_owned(),
    };
    let home = pb::Home {
        address: person.address(),
        position: Some(person.position()),
    };
    let word =
        |place: u64, of: &[civic::Category]| of[usize::try_from(place).expect("small") % of.len()];
    Registered {
        elder: ElderId(id),
        source: Source::Survey,
        identity: key.seal(purpose::IDENTITY, id, &identity),
        identity_claim: claim.to_owned(),
        birth_date: person.id_number().birth_date(),
        sex: person.id_number().sex(),
        residence: Residence {
            village,
            home: Some(key.seal(purpose::HOME, id, &home)),
        },
        categories: word(person.0, civic::Category::ALL).into(),
        assistance,
        capability: Capability {
            level: level(person.0),
            assessed_on: None,
            source: "SURVEY".to_owned(),
        },
        observations: Set::EMPTY,
        handicap_grade: None,
        circumstances: Vec::new(),
        contacts: Some(key.seal(
            purpose::CONTACTS,
            id,
            &pb::ContactList {
                contacts: vec![contact],
            },
        )),
        consent: Consent {
            state: civic::ConsentState::Granted,
            spoken: Spoken { by: None, at: None },
        },
        wanted_services: Set::EMPTY,
        remarks: None,
        import: Some(Uuid::from_u128(1)),
    }
}

/// What is recorded of an elder in a round: each round brings something else.
fn change(round: u64, elder: u64) -> RawEvent {
    let on = day_of(round);
    let said = Spoken {
        by: Some(civic::ConsentGiver::Elder),
        at: Some(on.start()),
    };
    elders::codec::encode(&match round % 5 {
        0 => Event::CapabilityAssessed(
            Capability {
                level: level(elder + round),
                assessed_on: Some(on),
                source: "ASSESSMENT_AGENCY".to_owned(),
            },
            None,
        ),
        1 => Event::ConsentRefused(said),
        2 => Event::CapabilityAssessed(
            Capability {
                level: level(elder + round + 1),
                assessed_on: Some(on),
                source: "ASSESSMENT_AGENCY".to_owned(),
            },
            None,
        ),
        3 => Event::ConsentGranted(said),
        _ => Event::HandicapRecorded {
            grade: None,
            on: Some(on),
        },
    })
}

fn day_of(round: u64) -> LocalDay {
    // Before the day of the surveys, so that the assessments of a bench are the latest.
    day(AS_OF).plus_days(-300 + 20 * round.cast_signed())
}

fn level(number: u64) -> civic::CapabilityLevel {
    let all = civic::CapabilityLevel::ALL;
    all[usize::try_from(number).expect("a small number") % all.len()]
}

fn subject(aggregate: &str, id: &str) -> Subject {
    Subject::new("registry", aggregate, id).expect("ids are tokens of subjects")
}

/// A record as a service would have written it now.
pub(super) fn record(subject: Subject, expected: u64, events: Vec<RawEvent>) -> NewRecord {
    let request_id = Uuid::new_v4();
    NewRecord {
        subject,
        expected,
        metadata: Metadata {
            id: Uuid::now_v7(),
            time: chrono::Utc::now(),
            actor: "OFFICER:bench".to_owned(),
            request_id,
            request_digest: *request_id.as_bytes(),
            correlation_id: request_id,
            causation_id: None,
            division: None,
            traceparent: None,
            answers: None,
            purpose: None,
        },
        events,
    }
}
