//! What callers ask of all services all the time, whatever happens to the servers, and what they were told.
//!
//! Each caller asks one thing after another, and each again under its own id until it is answered, as the contract bids
//! them: patiently, or no oftener and no longer than the published service configuration has it ([`Manner`]). What was answered is in
//! the log for good: [`Told::holds`] looks.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use eventlog::Record;
use proto::eldercare::{
    claims::v1::{OrderSubmitted, SubmitOrderRequest},
    registry::v1::RecordAssessmentRequest,
    sharing::v1::{self as sharing, DataProvided},
    visits::v1::RecordVisitRequest,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::{
    System,
    agreements::{agreed, doctor, grant, terms},
    an_elder, asked_to_wait,
    callers::Caller,
    claiming::{PROGRAMME, an_order, enrolled, programme, provider},
    date,
    homes::a_call,
    new_id,
    published::Published,
    visiting::{a_visit, in_words, visitor},
};

/// Of each service so many callers ask at once, about the same persons.
const CALLERS: usize = 2;

/// The elders whom they ask about.
const ELDERS: usize = 6;

/// Before a caller asks the next thing: all of them are always at something, and leave the servers under fire some of the machine.
const BETWEEN: Duration = Duration::from_millis(50);

/// The longest that one try may take before the caller tries again.
const ONE_TRY: Duration = Duration::from_secs(10);

/// The longest that anything may go unanswered, however often it is tried.
const PATIENCE: Duration = Duration::from_secs(180);

/// So many more answers of each kind show that all goes on.
const SOME: u64 = 3;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An elder is registered.
    Registration,
    /// An elder is assessed anew; callers race for the same file.
    Assessment,
    /// A visit is recorded.
    Visit,
    /// Somebody calls for help.
    Call,
    /// A service order is handed in, and has its verdict.
    Order,
    /// A department looks at a dossier.
    Look,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Registration,
        Self::Assessment,
        Self::Visit,
        Self::Call,
        Self::Order,
        Self::Look,
    ];

    fn place(self) -> usize {
        self as usize
    }

    /// The method that is called, by its full name.
    fn method(self) -> &'static str {
        match self {
            Self::Registration => "eldercare.registry.v1.RegistryService/RegisterElder",
            Self::Assessment => "eldercare.registry.v1.RegistryService/RecordAssessment",
            Self::Visit => "eldercare.visits.v1.VisitService/RecordVisit",
            Self::Call => "eldercare.alerts.v1.AlertService/RaiseAlert",
            Self::Order => "eldercare.claims.v1.ClaimsService/SubmitOrder",
            Self::Look => "eldercare.sharing.v1.SharingService/GetDossier",
        }
    }
}

/// How callers ask again what was refused.
#[derive(Debug, Clone)]
pub enum Manner {
    /// As long as the refusals bid it.
    Patient,
    /// As the published service configuration has gRPC do by itself. Beyond that they do what the contract bids programs: who lost
    /// against others waits for the time that the refusal names, and asks again, and so does who had no answer in time while the
    /// machine itself stood still. Whatever else is refused fails the story.
    Published(Arc<Published>),
}

/// Something that was answered: the id under which it was asked.
#[derive(Debug)]
struct Answered {
    kind: Kind,
    id: String,
    /// Where the answer says that it stands; empty where it does not say.
    position: String,
    /// How it was refused before that.
    refused: Vec<Status>,
}

/// What all of them ask about.
#[derive(Debug, Clone)]
struct Ground {
    officer: Caller,
    doctor: Caller,
    elders: Vec<String>,
    visitor: String,
    caregiver: String,
    enrolled: String,
}

/// Callers at work.
#[derive(Debug)]
pub struct Load {
    over: watch::Sender<bool>,
    counts: watch::Receiver<[u64; 6]>,
    callers: JoinSet<Vec<Answered>>,
}

/// All that was answered.
#[derive(Debug)]
pub struct Told(Vec<Answered>);

const PROVIDER: &str = "P01";

impl Load {
    /// Prepares what they ask about, and sets patient callers to work. All services must run.
    pub async fn begin(system: &System) -> Self {
        Self::begin_as(system, Manner::Patient).await
    }

    /// The same with callers who ask again in a manner.
    pub async fn begin_as(system: &System, manner: Manner) -> Self {
        let ground = Ground::prepared(system).await;
        let (over, stop) = watch::channel(false);
        let (count, counts) = watch::channel([0; 6]);
        let mut callers = JoinSet::new();
        for kind in Kind::ALL {
            for caller in 0..CALLERS {
                callers.spawn(ask(
                    (kind, caller),
                    manner.clone(),
                    ground.clone(),
                    stop.clone(),
                    count.clone(),
                ));
            }
        }
        Self {
            over,
            counts,
            callers,
        }
    }

    /// Waits until anything more was answered than before.
    pub async fn moves(&mut self) {
        let before = *self.counts.borrow();
        let moved = timeout(PATIENCE, self.counts.wait_for(|now| *now != before)).await;
        moved.expect("nobody is answered any more").unwrap();
    }

    /// Waits until more of each kind was answered than before.
    pub async fn goes_on(&mut self) {
        let before = *self.counts.borrow();
        let more = |counts: &[u64; 6]| {
            counts
                .iter()
                .zip(before)
                .all(|(now, then)| *now >= then + SOME)
        };
        let went_on = timeout(PATIENCE, self.counts.wait_for(more)).await.is_ok();
        if !went_on {
            let now = *self.counts.borrow();
            let of_each: Vec<_> = Kind::ALL
                .into_iter()
                .map(|kind| (kind, now[kind.place()] - before[kind.place()]))
                .collect();
            panic!("somebody is no longer answered: {of_each:?}");
        }
    }

    /// Has all of them finish what they are at: what they were told in all.
    pub async fn end(self) -> Told {
        self.over.send_replace(true);
        let told = self.callers.join_all().await;
        Told(told.into_iter().flatten().collect())
    }
}

impl Ground {
    async fn prepared(system: &System) -> Self {
        let mut elders = Vec::with_capacity(ELDERS);
        for number in 0..ELDERS {
            elders.push(system.register(an_elder(&format!("林{number}"))).await);
        }
        let visitor = visitor(system, "王网格").await;
        programme(system, PROGRAMME).await;
        let caregiver = provider(system, PROVIDER).await;
        let enrolled = enrolled(system, "林护理").await;
        agreed(
            system,
            terms(vec![grant("elder", &["elder_id"], &["name"])]),
        )
        .await;
        system.settled().await;
        Self {
            officer: system.officer(),
            doctor: system.caller(&doctor()),
            elders,
            visitor,
            caregiver,
            enrolled,
        }
    }

    /// Asks one thing, under this id, within this time if there is any: where it stands.
    async fn once(
        &self,
        (kind, turn): (Kind, usize),
        id: &str,
        time: Option<Duration>,
    ) -> Result<String, Status> {
        let elder = &self.elders[turn % self.elders.len()];
        match kind {
            Kind::Registration => {
                let mut elder = an_elder("林新");
                // The same person each time that it is asked: the number follows from the turn alone.
                elder.id_number = crate::id_number(
                    crate::day("1949-01-01").plus_days(i64::try_from(turn / 900).unwrap()),
                    u32::try_from(turn % 900).unwrap(),
                );
                elder.request_id = id.to_owned();
                let request = within(time, elder);
                let answer = self.officer.registry().register_elder(request).await?;
                Ok(answer.into_inner().committed.unwrap().position)
            }
            Kind::Assessment => {
                // Each says something else than the one before, or nothing would be written.
                let score = i32::try_from(turn % 4).unwrap();
                let request = RecordAssessmentRequest {
                    request_id: id.to_owned(),
                    elder_id: elder.clone(),
                    assessed_on: Some(date("2024-09-30")),
                    source: "ASSESSMENT_AGENCY".to_owned(),
                    item_scores: vec![score; 26],
                    ..RecordAssessmentRequest::default()
                };
                let request = within(time, request);
                let answer = self.officer.registry().record_assessment(request).await?;
                let committed = answer.into_inner().committed.unwrap();
                Ok(if committed.changed {
                    committed.position
                } else {
                    String::new()
                })
            }
            Kind::Visit => {
                let mut visit = a_visit(&self.visitor, elder, &minute("2024-09-30", turn));
                id.clone_into(&mut visit.record_id);
                let request = RecordVisitRequest {
                    record: Some(visit),
                    min_position: String::new(),
                };
                let request = within(time, request);
                let answer = self.officer.visits().record_visit(request).await?;
                let outcome = answer.into_inner().outcome.unwrap();
                let words = in_words(&outcome);
                assert!(!outcome.position.is_empty(), "a visit is refused: {words}");
                Ok(outcome.position)
            }
            Kind::Call => {
                let mut call = a_call(elder);
                id.clone_into(&mut call.request_id);
                let request = within(time, call);
                self.officer.alerts().raise_alert(request).await?;
                Ok(String::new())
            }
            Kind::Order => {
                let order = an_order(
                    [PROVIDER, id],
                    &self.caregiver,
                    &self.enrolled,
                    &minute("2024-09-20", turn),
                );
                let request = SubmitOrderRequest {
                    order: Some(order),
                    min_position: String::new(),
                };
                let request = within(time, request);
                self.officer.claims().submit_order(request).await?;
                Ok(String::new())
            }
            Kind::Look => {
                let request = sharing::GetDossierRequest {
                    elder_id: elder.clone(),
                    ..sharing::GetDossierRequest::default()
                };
                let mut request = within(time, request);
                let purpose = id.parse().expect("an id is ASCII");
                request.metadata_mut().insert("eldercare-purpose", purpose);
                self.doctor.sharing().get_dossier(request).await?;
                Ok(String::new())
            }
        }
    }
}

/// A request, with what is left of its time.
fn within<T>(time: Option<Duration>, request: T) -> Request<T> {
    let mut request = Request::new(request);
    if let Some(time) = time {
        request.set_timeout(time);
    }
    request
}

/// An instant of a day, a minute later with each turn.
fn minute(day: &str, turn: usize) -> String {
    format!("{day}T{:02}:{:02}:00+08:00", turn / 60 % 20, turn % 60)
}

/// One caller, until it is over.
async fn ask(
    (kind, caller): (Kind, usize),
    manner: Manner,
    ground: Ground,
    over: watch::Receiver<bool>,
    count: watch::Sender<[u64; 6]>,
) -> Vec<Answered> {
    let mut answered = Vec::new();
    let mut turn = caller;
    while !*over.borrow() {
        let id = new_id();
        let what = (kind, turn);
        let (position, refused) = match &manner {
            Manner::Patient => until_answered(kind, || ground.once(what, &id, None)).await,
            Manner::Published(published) => {
                let asking = |time| ground.once(what, &id, time);
                as_published(kind, published, asking).await
            }
        };
        answered.push(Answered {
            kind,
            id,
            position,
            refused,
        });
        count.send_modify(|counts| counts[kind.place()] += 1);
        sleep(BETWEEN).await;
        turn += CALLERS;
    }
    answered
}

/// Asks again and again, as long as the refusals bid it: the answer, and these.
async fn until_answered<F>(kind: Kind, asking: impl Fn() -> F) -> (String, Vec<Status>)
where
    F: Future<Output = Result<String, Status>>,
{
    let deadline = Instant::now() + PATIENCE;
    let mut refused = Vec::new();
    loop {
        let status = match timeout(ONE_TRY, asking()).await {
            Ok(Ok(position)) => return (position, refused),
            Ok(Err(status)) => {
                asked_to_wait(&status).await;
                status
            }
            Err(_) => Status::deadline_exceeded(format!("no answer within {ONE_TRY:?}")),
        };
        assert!(
            Instant::now() < deadline,
            "{kind:?} is never answered; the last time: {status}"
        );
        refused.push(status);
    }
}

/// Asks as the service configuration and the contract have it: the answer, and how it was refused before.
async fn as_published<F>(
    kind: Kind,
    published: &Published,
    asking: impl Fn(Option<Duration>) -> F,
) -> (String, Vec<Status>)
where
    F: Future<Output = Result<String, Status>>,
{
    let deadline = Instant::now() + PATIENCE;
    let mut refused = Vec::new();
    loop {
        let began = Instant::now();
        let outcome = published.call(kind.method(), &asking, &mut refused).await;
        let status = match outcome {
            Ok(position) => return (position, refused),
            Err(status) => status,
        };
        let lost = status.code() == Code::Aborted && status.get_details_retry_info().is_some();
        let late = status.code() == Code::DeadlineExceeded;
        let again = lost || (late && published.machine_stalled_since(began));
        assert!(
            again && Instant::now() < deadline,
            "{kind:?} fails, though it is asked as is published: {status}; before that: {refused:?}"
        );
        asked_to_wait(&status).await;
        refused.push(status);
    }
}

impl Told {
    /// How much was answered.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was answered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How what was answered in the end was refused before.
    pub fn refused(&self) -> impl Iterator<Item = (Kind, &Status)> {
        let answered = self.0.iter();
        answered.flat_map(|one| one.refused.iter().map(|status| (one.kind, status)))
    }

    /// Looks into the log: what was answered stands there, and once; what stands where an answer said is what was asked.
    /// Of each aggregate each record rests on the one before it.
    pub async fn holds(&self, system: &System) {
        let mut records = BTreeMap::new();
        for context in [
            "registry", "tiering", "visits", "alerts", "claims", "sharing",
        ] {
            let of_it = system.records(context).await;
            nothing_twice(context, &of_it);
            records.insert(context, of_it);
            system.chains_are_whole(context).await;
        }
        let by_request = |context: &str| -> BTreeMap<String, Vec<u64>> {
            let mut by_request: BTreeMap<_, Vec<u64>> = BTreeMap::new();
            for record in &records[context] {
                let id = record.metadata.request_id.to_string();
                by_request.entry(id).or_default().push(record.sequence);
            }
            by_request
        };
        let requests =
            ["registry", "visits", "alerts"].map(|context| (context, by_request(context)));
        let requests = BTreeMap::from(requests);
        let orders: BTreeSet<String> = each::<OrderSubmitted>(&records["claims"])
            .map(|order| order.order_id)
            .collect();
        let looks: BTreeSet<String> = each::<DataProvided>(&records["sharing"])
            .filter_map(|provided| provided.look)
            .map(|look| look.purpose)
            .collect();
        for Answered {
            kind, id, position, ..
        } in &self.0
        {
            let found = match kind {
                Kind::Order => orders.contains(id),
                Kind::Look => looks.contains(id),
                // An assessment that changed nothing leaves no trace.
                Kind::Assessment if position.is_empty() => true,
                Kind::Registration | Kind::Assessment => {
                    stands(&requests["registry"], id, position)
                }
                Kind::Visit => stands(&requests["visits"], id, position),
                Kind::Call => stands(&requests["alerts"], id, position),
            };
            assert!(found, "{kind:?} {id} was answered, and is not in the log");
        }
    }
}

/// Whether a request left its record, and that where the answer said, if it said.
fn stands(requests: &BTreeMap<String, Vec<u64>>, id: &str, position: &str) -> bool {
    let said = position
        .rsplit(':')
        .next()
        .and_then(|said| said.parse().ok());
    requests
        .get(id)
        .is_some_and(|stood| said.is_none_or(|said| stood.contains(&said)))
}

/// No aggregate has two records for one request.
fn nothing_twice(context: &str, records: &[Record]) {
    let mut seen = BTreeSet::new();
    for record in records {
        let of = (record.subject.to_string(), record.metadata.request_id);
        assert!(
            seen.insert(of),
            "{context}:{} was written before",
            record.sequence
        );
    }
    let orders: Vec<_> = each::<OrderSubmitted>(records)
        .map(|order| order.order_id)
        .collect();
    let distinct: BTreeSet<_> = orders.iter().collect();
    assert_eq!(orders.len(), distinct.len(), "an order is there twice");
}

/// The events of one type.
fn each<E: prost::Message + prost::Name + Default>(records: &[Record]) -> impl Iterator<Item = E> {
    let name = E::full_name();
    let events = records.iter().flat_map(|record| &record.events);
    let events = events.filter(move |event| event.event_type == name);
    events.map(|event| E::decode(event.data.clone()).unwrap())
}
