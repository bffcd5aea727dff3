//! registry

pub mod survey;
