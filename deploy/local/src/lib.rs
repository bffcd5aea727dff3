//! The whole elder-care platform on one machine, and the operator's commands.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

pub mod alerting;
pub mod bench;
pub mod claiming;
pub mod cli;
pub mod client;
pub mod commands;
pub mod connection;
pub mod county;
pub mod data_folder;
pub mod demo;
pub mod elder;
pub mod export;
pub mod import;
pub mod keys;
pub mod load;
pub mod output;
pub mod plans;
mod read_models;
pub mod rebuild;
pub mod replay;
pub mod rotate_keys;
pub mod sample;
pub mod servers;
mod signals;
pub mod simulation;
pub mod status;
pub mod summary;
pub mod system;
pub mod tier;
pub mod up;
pub mod verify;
pub mod visiting;
pub mod wire;
pub mod words;
pub mod workplace;
