//! Requests about devices, and about who is away.

use civic::{AwayReason, DeviceKind, ElderId};
use prost::Message as _;
use proto::eldercare::alerts::v1 as pb;
use service::{Asked, Checks, List, Paged};
use uuid::Uuid;

use super::{LISTS, Parse, Parsed, device_id, page_of, term};
use crate::devices::{self, Change};
use crate::signal::DeviceId;

impl Parse {
    #[allow(clippy::type_complexity, reason = "it is taken apart where it is used")]
    pub(crate) fn register_device(
        &self,
        mut request: pb::RegisterDeviceRequest,
    ) -> Parsed<(Asked, DeviceId, (DeviceKind, ElderId, Option<Uuid>))> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let device = checks.present("device", request.device);
        let parts = device.and_then(|device| {
            checks.within("device", |checks| {
                let id = device_id(checks, "device_id", &device.device_id);
                let kind = term::<DeviceKind>(checks, "kind", device.kind);
                let elder = checks.id("elder_id", &device.elder_id).map(ElderId);
                let maintainer = checks.maybe_id("maintainer_id", &device.maintainer_id);
                Some((id?, (kind?, elder?, maintainer?)))
            })
        });
        let (asked, (device, said)) = checks.all((asked, parts))?;
        Ok((asked, device, said))
    }

    pub(crate) fn update_device(
        &self,
        mut request: pb::UpdateDeviceRequest,
    ) -> Parsed<(Asked, (DeviceId, Option<u64>), Change)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let fields = ["elder_id", "maintainer_id"];
        let mask = checks.field_mask("update_mask", request.update_mask.as_ref(), &fields);
        let device = checks.present("device", request.device);
        let parts = device.zip(mask).and_then(|(device, mask)| {
            checks.within("device", |checks| {
                let id = device_id(checks, "device_id", &device.device_id);
                let etag = checks.etag(&device.etag);
                let mut change = Change::default();
                if mask.contains(&"elder_id") {
                    change.elder = checks.id("elder_id", &device.elder_id).map(ElderId);
                }
                if mask.contains(&"maintainer_id") {
                    change.maintainer = checks.maybe_id("maintainer_id", &device.maintainer_id);
                }
                Some(((id?, etag?), change))
            })
        });
        let (asked, (which, change)) = checks.all((asked, parts))?;
        Ok((asked, which, change))
    }

    pub(crate) fn retire_device(
        &self,
        mut request: pb::RetireDeviceRequest,
    ) -> Parsed<(Asked, DeviceId)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let device = device_id(&mut checks, "device_id", &request.device_id);
        checks.all((asked, device))
    }

    pub(crate) fn list_devices(
        &self,
        mut request: pb::ListDevicesRequest,
    ) -> Parsed<Paged<devices::Filter>> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        let elder = checks.maybe_id("elder_id", &request.elder_id);
        let state = pb::DeviceState::try_from(request.state).ok();
        if state.is_none() {
            checks.unknown("state");
        }
        let filter = division.zip(elder).zip(state);
        let filter = filter.map(|((division, elder), state)| devices::Filter {
            division,
            elder: elder.map(ElderId),
            state: Some(state).filter(|state| *state != pb::DeviceState::Unspecified),
        });
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListDevices", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, filter)
    }

    pub(crate) fn mark_away(
        &self,
        mut request: pb::MarkAwayRequest,
    ) -> Parsed<(Asked, ElderId, AwayReason)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let elder = checks.id("elder_id", &request.elder_id).map(ElderId);
        let reason = term::<AwayReason>(&mut checks, "reason", request.reason);
        checks.all((asked, elder, reason))
    }

    pub(crate) fn end_away(&self, mut request: pb::EndAwayRequest) -> Parsed<(Asked, ElderId)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let elder = checks.id("elder_id", &request.elder_id).map(ElderId);
        checks.all((asked, elder))
    }
}
