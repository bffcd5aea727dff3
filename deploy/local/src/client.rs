//! Calls to the system's gRPC APIs in the operator's name, and its refusals in words.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use anyhow::Context as _;
use backon::{ExponentialBuilder, Retryable as _};
use futures::stream;
use proto::eldercare::{
    alerts::v1::alert_service_client::AlertServiceClient,
    claims::v1::claims_service_client::ClaimsServiceClient,
    registry::v1::{
        registry_service_client::RegistryServiceClient, vault_service_client::VaultServiceClient,
    },
    sharing::v1::sharing_service_client::SharingServiceClient,
    simulation::v1::{
        AdvanceClockRequest, GetClockRequest, simulation_service_client::SimulationServiceClient,
    },
    tiering::v1::tiering_service_client::TieringServiceClient,
    visits::v1::visit_service_client::VisitServiceClient,
};
use tonic::{
    Code, Request, Status, Streaming,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Endpoint,
};
use tonic_types::StatusExt as _;

use crate::{
    connection::Connection,
    simulation::{CLOCK_IS_MOVING, CLOCK_IS_PAST},
    wire,
};

/// The largest answer that is taken: pages of a thousand files are a few megabytes.
const LARGEST_ANSWER: usize = 64 << 20;

/// How long a unary call may take.
const CALL: Duration = Duration::from_secs(60);

/// The channel that generated clients work on.
pub type Channel = InterceptedService<tonic::transport::Channel, Credentials>;

/// What each call shows: the operator's token, and what it is for.
#[derive(Debug, Clone)]
pub struct Credentials {
    bearer: MetadataValue<Ascii>,
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.bearer.clone());
        request.metadata_mut().insert(
            "eldercare-purpose",
            MetadataValue::from_static("operation by the launcher"),
        );
        Ok(request)
    }
}

/// A caller of the system. Cheap to clone; all clones share one connection.
#[derive(Debug, Clone)]
pub struct Client {
    operator: Channel,
    gateway: Option<Channel>,
    reviewer: Option<Channel>,
    departments: BTreeMap<String, Channel>,
}

impl Client {
    /// A caller with the token of a connection. It connects with its first call.
    ///
    /// # Errors
    /// Where the address or the token is none.
    pub fn new(connection: &Connection) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(connection.endpoint.clone())
            .ok()
            .filter(|endpoint| endpoint.uri().scheme().is_some())
            .with_context(|| {
                format!(
                    "`{}` is no address of a system: give one like http://127.0.0.1:7000 / 地址应形如 http://127.0.0.1:7000",
                    connection.endpoint
                )
            })?;
        let channel = endpoint
            .connect_timeout(Duration::from_secs(5))
            .http2_adaptive_window(true)
            .tcp_nodelay(true)
            .connect_lazy();
        let other = |token: &Option<service::Secret>| {
            let token = token.as_ref();
            token
                .map(|token| showing(channel.clone(), token))
                .transpose()
        };
        Ok(Self {
            gateway: other(&connection.gateway)?,
            reviewer: other(&connection.reviewer)?,
            departments: connection
                .departments
                .iter()
                .map(|(name, token)| Ok((name.clone(), showing(channel.clone(), token)?)))
                .collect::<anyhow::Result<_>>()?,
            operator: showing(channel, &connection.token)?,
        })
    }

    /// The registry.
    pub fn registry(&self) -> RegistryServiceClient<Channel> {
        RegistryServiceClient::new(self.operator.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    /// Tiering.
    pub fn tiering(&self) -> TieringServiceClient<Channel> {
        TieringServiceClient::new(self.operator.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    /// The vault.
    pub fn vault(&self) -> VaultServiceClient<Channel> {
        VaultServiceClient::new(self.operator.clone())
    }

    /// Visits.
    pub fn visits(&self) -> VisitServiceClient<Channel> {
        VisitServiceClient::new(self.operator.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    /// Alerts.
    pub fn alerts(&self) -> AlertServiceClient<Channel> {
        AlertServiceClient::new(self.operator.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    /// Alerts, as a gateway of devices speaks with them.
    ///
    /// # Errors
    /// Where no gateway's token is known.
    pub fn gateway(&self) -> anyhow::Result<AlertServiceClient<Channel>> {
        let gateway = self.gateway.clone();
        let gateway = gateway.context("no token of a gateway is known here")?;
        Ok(AlertServiceClient::new(gateway))
    }

    /// Claims.
    pub fn claims(&self) -> ClaimsServiceClient<Channel> {
        ClaimsServiceClient::new(self.operator.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    /// Claims, as somebody speaks with them who handed in nothing and decides on appeals.
    ///
    /// # Errors
    /// Where no reviewer's token is known.
    pub fn reviewer(&self) -> anyhow::Result<ClaimsServiceClient<Channel>> {
        let reviewer = self.reviewer.clone();
        let reviewer = reviewer.context("no token of a reviewer is known here")?;
        Ok(ClaimsServiceClient::new(reviewer))
    }

    /// Sharing.
    pub fn sharing(&self) -> SharingServiceClient<Channel> {
        SharingServiceClient::new(self.operator.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    /// Sharing, as somebody speaks with it who approves what the operator proposed.
    ///
    /// # Errors
    /// Where no reviewer's token is known.
    pub fn sharing_reviewer(&self) -> anyhow::Result<SharingServiceClient<Channel>> {
        let reviewer = self.reviewer.clone();
        let reviewer = reviewer.context("no token of a reviewer is known here")?;
        Ok(SharingServiceClient::new(reviewer).max_decoding_message_size(LARGEST_ANSWER))
    }

    /// Sharing, as an officer of a department speaks with it.
    ///
    /// # Errors
    /// Where no token of such an officer is known.
    pub fn department(&self, name: &str) -> anyhow::Result<SharingServiceClient<Channel>> {
        let channel = self.departments.get(name).cloned();
        let channel = channel.with_context(|| {
            let known: Vec<&str> = self.departments.keys().map(String::as_str).collect();
            format!(
                "no token of an officer of `{name}` is known here, but of: {} / 本机没有该部门人员的令牌",
                known.join(", ")
            )
        })?;
        Ok(SharingServiceClient::new(channel).max_decoding_message_size(LARGEST_ANSWER))
    }

    /// Sharing, as an officer of this department speaks with it, or as the operator does.
    ///
    /// # Errors
    /// Where no token of such an officer is known.
    pub fn sharing_as(
        &self,
        department: Option<&str>,
    ) -> anyhow::Result<SharingServiceClient<Channel>> {
        match department {
            Some(department) => self.department(department),
            None => Ok(self.sharing()),
        }
    }

    /// Sharing, as an officer of a department reads its feeds; as the caller, where somebody came with a token of their own.
    ///
    /// # Errors
    /// Where tokens of officers are known, and none of this department's.
    pub fn reader_of(&self, department: &str) -> anyhow::Result<SharingServiceClient<Channel>> {
        if self.departments.is_empty() {
            return Ok(self.sharing());
        }
        self.department(department)
    }

    /// The simulated clock.
    pub fn simulation(&self) -> SimulationServiceClient<Channel> {
        SimulationServiceClient::new(self.operator.clone())
    }

    /// What the system's clock says.
    ///
    /// # Errors
    /// The call's.
    pub async fn now(&self) -> anyhow::Result<chrono::DateTime<chrono::Utc>> {
        let answer = call(GetClockRequest {}, async |request| {
            self.simulation().get_clock(request).await
        })
        .await?;
        answer
            .now
            .and_then(wire::from_timestamp)
            .context("the system's clock shows no time")
    }

    /// What the system's clock says; ours where the system goes by real time and shows none.
    pub async fn present(&self) -> chrono::DateTime<chrono::Utc> {
        self.now().await.unwrap_or_else(|_| chrono::Utc::now())
    }

    /// Moves the system's clock, and waits until all that falls due up to then is done. A clock that is past it already
    /// stays.
    ///
    /// # Errors
    /// The call's.
    pub async fn advance_to(&self, instant: chrono::DateTime<chrono::Utc>) -> anyhow::Result<()> {
        let request = AdvanceClockRequest {
            to: Some(wire::timestamp(instant)),
        };
        loop {
            let moved = try_call(request, async |request| {
                self.simulation().advance_clock(request).await
            });
            match moved.await {
                Ok(_) => return Ok(()),
                Err(status) if reason(&status) == CLOCK_IS_PAST => return Ok(()),
                // As long as something is done, the end is worth waiting for.
                Err(status) if reason(&status) == CLOCK_IS_MOVING => {}
                Err(status) => return Err(in_words(&status)),
            }
        }
    }
}

fn showing(channel: tonic::transport::Channel, token: &service::Secret) -> anyhow::Result<Channel> {
    let mut bearer: MetadataValue<Ascii> = format!("Bearer {}", token.expose())
        .parse()
        .map_err(|_| anyhow::anyhow!("the token holds characters that no token has"))?;
    bearer.set_sensitive(true);
    Ok(InterceptedService::new(channel, Credentials { bearer }))
}

/// Makes a unary call, and makes it again while the system is too busy, not there, does not answer in time, or is not yet where the
/// request wants it. Requests bear a request id, so a call that was made twice acts once.
///
/// # Errors
/// The refusal, in words.
pub async fn call<T, A>(
    message: T,
    make: impl AsyncFn(Request<T>) -> Result<tonic::Response<A>, Status>,
) -> anyhow::Result<A>
where
    T: Clone,
{
    try_call(message, make)
        .await
        .map_err(|status| in_words(&status))
}

/// As [`call`], with the refusal as it came.
///
/// # Errors
/// The refusal.
pub async fn try_call<T, A>(
    message: T,
    make: impl AsyncFn(Request<T>) -> Result<tonic::Response<A>, Status>,
) -> Result<A, Status>
where
    T: Clone,
{
    let attempt = async || {
        let mut request = Request::new(message.clone());
        request.set_timeout(CALL);
        make(request).await.map(tonic::Response::into_inner)
    };
    attempt.retry(patience()).when(is_passing).await
}

/// Sends messages over one stream, and takes the answer to each, in their order; `tell` hears how many came. Where the
/// stream is cut all are sent again, so it is for calls that know what they were sent before.
///
/// # Errors
/// The refusal of the stream as a whole.
pub async fn try_stream<T, A>(
    messages: &[T],
    open: impl AsyncFn(Messages<T>) -> Result<tonic::Response<Streaming<A>>, Status>,
    tell: impl Fn(u64),
) -> Result<Vec<A>, Status>
where
    T: Clone,
{
    let attempt = async || {
        let mut coming = open(stream::iter(messages.to_vec())).await?.into_inner();
        let mut answers = Vec::with_capacity(messages.len());
        while let Some(answer) = coming.message().await? {
            answers.push(answer);
            tell(answers.len() as u64);
        }
        if answers.len() < messages.len() {
            return Err(Status::unavailable(
                "the stream ended before all was answered",
            ));
        }
        Ok(answers)
    };
    attempt.retry(patience()).when(is_passing).await
}

/// Messages on their way over a stream.
pub type Messages<T> = stream::Iter<std::vec::IntoIter<T>>;

/// How often and how long after one another a call is made again.
pub(crate) fn patience() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_secs(2))
        .with_max_times(8)
        .with_jitter()
}

/// Whether the same call may succeed later.
fn is_passing(status: &Status) -> bool {
    match status.code() {
        Code::ResourceExhausted | Code::Unavailable | Code::Aborted | Code::DeadlineExceeded => {
            true
        }
        Code::Cancelled => was_given_up(status),
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

/// Whether nobody has answered in time. Our library calls it CANCELLED when the time of a call is up, and so does one on the way;
/// the system itself never does, and nobody here cancels a call.
fn was_given_up(status: &Status) -> bool {
    status.code() == Code::Cancelled && status.get_details_error_info().is_none()
}

/// Whether a stream is lost and may be asked for again: the same may succeed later, or the connection was torn under it.
pub(crate) fn is_lost(status: &Status) -> bool {
    is_passing(status)
        || matches!(
            status.code(),
            Code::Unknown | Code::Cancelled | Code::Internal
        )
}

/// A refusal as a person reads it: reason, English, Chinese, and the fields concerned.
pub fn in_words(status: &Status) -> anyhow::Error {
    anyhow::anyhow!(words(status))
}

/// The reason of a refusal, or the name of its code where it gives none.
pub fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.map_or_else(|| format!("{:?}", status.code()), |info| info.reason)
}

fn words(status: &Status) -> String {
    if status.code() == Code::Unavailable && status.get_details_error_info().is_none() {
        return format!(
            "the system does not answer ({}): is it still running? / 系统无应答，请确认其仍在运行",
            status.message()
        );
    }
    if was_given_up(status) {
        return format!(
            "the system does not answer in time ({}) / 系统未在时限内应答",
            status.message()
        );
    }
    let mut text = format!("{}: {}", reason(status), status.message());
    let chinese = status
        .get_error_details_vec()
        .into_iter()
        .find_map(|detail| {
            if let tonic_types::ErrorDetail::LocalizedMessage(message) = detail
                && message.locale.starts_with("zh")
            {
                Some(message.message)
            } else {
                None
            }
        });
    if let Some(chinese) = chinese {
        let _ = write!(text, " / {chinese}");
    }
    for violation in status
        .get_details_bad_request()
        .map(|bad| bad.field_violations)
        .unwrap_or_default()
    {
        // The message of a refusal for one field's sake says as much.
        if status.message().contains(&violation.description) {
            continue;
        }
        let _ = write!(text, "\n  {}: {}", violation.field, violation.description);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use service::Refusal;
    use tonic::{Response, TimeoutExpired};

    use super::*;

    /// What the library makes of a call whose time is up.
    fn time_is_up() -> Status {
        Status::from_error(Box::new(TimeoutExpired(())))
    }

    #[tokio::test]
    async fn a_call_whose_time_was_up_is_made_again_as_it_was() {
        let asked = RefCell::new(Vec::new());
        let answer = try_call("a request".to_owned(), async |request: Request<String>| {
            asked.borrow_mut().push(request.into_inner());
            if asked.borrow().len() == 1 {
                return Err(time_is_up());
            }
            Ok(Response::new("an answer"))
        });
        assert_eq!(answer.await.unwrap(), "an answer");
        assert_eq!(*asked.borrow(), ["a request"; 2]);
    }

    #[test]
    fn time_that_was_up_is_told_from_a_refusal() {
        assert!(is_passing(&time_is_up()));
        let told = in_words(&time_is_up()).to_string();
        assert!(
            told.starts_with("the system does not answer in time"),
            "{told}"
        );
        let refusal = Refusal::new(Code::Cancelled, "NOT_WANTED", "not any more", "不再需要");
        let refused = Status::from(refusal);
        assert!(!is_passing(&refused));
        assert!(in_words(&refused).to_string().starts_with("NOT_WANTED"));
    }
}
