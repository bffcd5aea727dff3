//! Services of which a test answers one method: what else is asked of them is not there.

use std::future::Future;

use tonic::{Request, Response, Status, Streaming, async_trait, codegen::BoxStream};

use crate::eldercare::alerts::v1::{alert_service_server::AlertService, *};

/// Alerts that are raised, and nothing else: the answer to each.
pub struct Raising<F>(pub F);

macro_rules! only_raise_alert {
    ($($method:ident($request:ident) -> $response:ident),+ $(,)?) => {
        #[async_trait]
        impl<F, A> AlertService for Raising<F>
        where
            F: Fn(RaiseAlertRequest) -> A + Send + Sync + 'static,
            A: Future<Output = Result<RaiseAlertResponse, Status>> + Send + 'static,
        {
            type IngestSignalsStream = BoxStream<IngestSignalsResponse>;
            type WatchAlertsStream = BoxStream<WatchAlertsResponse>;

            async fn raise_alert(
                &self,
                request: Request<RaiseAlertRequest>,
            ) -> Result<Response<RaiseAlertResponse>, Status> {
                (self.0)(request.into_inner()).await.map(Response::new)
            }

            async fn ingest_signals(
                &self,
                _request: Request<Streaming<IngestSignalsRequest>>,
            ) -> Result<Response<Self::IngestSignalsStream>, Status> {
                Err(not_there())
            }

            async fn watch_alerts(
                &self,
                _request: Request<WatchAlertsRequest>,
            ) -> Result<Response<Self::WatchAlertsStream>, Status> {
                Err(not_there())
            }

            $(async fn $method(
                &self,
                _request: Request<$request>,
            ) -> Result<Response<$response>, Status> {
                Err(not_there())
            })+
        }
    };
}

only_raise_alert! {
    register_device(RegisterDeviceRequest) -> RegisterDeviceResponse,
    update_device(UpdateDeviceRequest) -> UpdateDeviceResponse,
    retire_device(RetireDeviceRequest) -> RetireDeviceResponse,
    list_devices(ListDevicesRequest) -> ListDevicesResponse,
    mark_away(MarkAwayRequest) -> MarkAwayResponse,
    end_away(EndAwayRequest) -> EndAwayResponse,
    list_alerts(ListAlertsRequest) -> ListAlertsResponse,
    get_alert(GetAlertRequest) -> GetAlertResponse,
    acknowledge_alert(AcknowledgeAlertRequest) -> AcknowledgeAlertResponse,
    assign_alert(AssignAlertRequest) -> AssignAlertResponse,
    dispatch_alert(DispatchAlertRequest) -> DispatchAlertResponse,
    record_arrival(RecordArrivalRequest) -> RecordArrivalResponse,
    resolve_alert(ResolveAlertRequest) -> ResolveAlertResponse,
    get_response_figures(GetResponseFiguresRequest) -> GetResponseFiguresResponse,
    publish_alert_policy(PublishAlertPolicyRequest) -> PublishAlertPolicyResponse,
    get_alert_policy(GetAlertPolicyRequest) -> GetAlertPolicyResponse,
    register_recipient(RegisterRecipientRequest) -> RegisterRecipientResponse,
    list_recipients(ListRecipientsRequest) -> ListRecipientsResponse,
}

fn not_there() -> Status {
    Status::unimplemented("a test answers RaiseAlert alone")
}
