//! The messages and services of every context, generated from the contracts in `proto/`.
//!
//! The modules mirror the packages: the message `eldercare.log.v1.Record` is
//! [`eldercare::log::v1::Record`]. Each message knows its full name
//! (`prost::Name::full_name()`), by which events are told apart in the log.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::wildcard_enum_match_arm,
    rustdoc::all,
    reason = "generated code keeps the rules of its generator; its comments are those of the contracts"
)]

include!(concat!(env!("OUT_DIR"), "/packages.rs"));

#[cfg(feature = "testing")]
pub mod testing;

/// The descriptors of all contracts and of what they import, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/file_descriptor_set.bin"));
