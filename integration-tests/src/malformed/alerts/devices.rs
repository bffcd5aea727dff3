//! Malformed commands about what watches a home, and about who is away from it.

use proto::eldercare::alerts::v1 as alerts;

use super::no_device_id;
use crate::{
    homes::a_device,
    malformed::{Break, Known, Maker, maker, wrong_values::*},
    new_id,
};

pub(super) fn about_devices(known: &Known) -> Vec<Maker> {
    use alerts::*;
    let elder = || known.elder.clone();
    vec![
        maker(
            method!("RegisterDevice"),
            a_device("SB0001", &known.elder),
            asked!(RegisterDeviceRequest:
                "no device" => |m, _| m.device = None,
                "device_id" => |m, r| m.device.as_mut().expect("there").device_id = no_device_id(r),
                "kind" => |m, r| m.device.as_mut().expect("there").kind = no_word(r),
                "no kind" => |m, _| m.device.as_mut().expect("there").kind = 0,
                "elder_id" => |m, r| m.device.as_mut().expect("there").elder_id = no_uuid(r),
                "maintainer_id" => |m, r| m.device.as_mut().expect("there").maintainer_id = wrong_uuid(r),
            ),
        ),
        maker(
            method!("UpdateDevice"),
            UpdateDeviceRequest {
                request_id: new_id(),
                device: a_device("SB0001", &known.elder).device,
                update_mask: Some(prost_types::FieldMask {
                    paths: vec!["elder_id".to_owned(), "maintainer_id".to_owned()],
                }),
            },
            asked!(UpdateDeviceRequest:
                "no device" => |m, _| m.device = None,
                "device_id" => |m, r| m.device.as_mut().expect("there").device_id = no_device_id(r),
                "etag" => |m, r| m.device.as_mut().expect("there").etag = no_etag(r),
                "elder_id" => |m, r| m.device.as_mut().expect("there").elder_id = no_uuid(r),
                "maintainer_id" => |m, r| m.device.as_mut().expect("there").maintainer_id = wrong_uuid(r),
                "no mask" => |m, _| m.update_mask = None,
                "a mask of nothing" => |m, _| m.update_mask = Some(prost_types::FieldMask::default()),
                "a mask of a field that there isn't" => |m, r| m.update_mask = Some(prost_types::FieldMask { paths: vec![garbage(r, 200)] }),
                "a mask of a field that it may not name" => |m, _| m.update_mask = Some(prost_types::FieldMask { paths: vec!["kind".to_owned()] }),
            ),
        ),
        maker(
            method!("RetireDevice"),
            RetireDeviceRequest {
                request_id: new_id(),
                device_id: "SB0001".to_owned(),
            },
            asked!(RetireDeviceRequest: "device_id" => |m, r| m.device_id = no_device_id(r)),
        ),
        maker(
            method!("MarkAway"),
            MarkAwayRequest {
                request_id: new_id(),
                elder_id: elder(),
                reason: AwayReason::Family.into(),
            },
            asked!(MarkAwayRequest:
                "elder_id" => |m, r| m.elder_id = no_uuid(r),
                "reason" => |m, r| m.reason = no_word(r),
                "no reason" => |m, _| m.reason = 0,
            ),
        ),
        maker(
            method!("EndAway"),
            EndAwayRequest {
                request_id: new_id(),
                elder_id: elder(),
            },
            asked!(EndAwayRequest: "elder_id" => |m, r| m.elder_id = no_uuid(r)),
        ),
    ]
}
