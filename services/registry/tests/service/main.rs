//! The service of the elders' files, as its callers see it. One program for all: they share a PostgreSQL, and link once.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod a_file_is_opened_and_read;
mod a_person_is_erased;
mod a_position_never_reached;
mod a_survey_is_imported;
mod accesses;
mod annexes;
mod any_sequence_of_commands;
mod commands_change_a_file;
mod elder_file;
mod elders_are_listed_and_counted;
mod files_are_merged;
mod files_follow_a_model;
mod hostile_workbooks;
mod keys_for_other_services;
mod lookup_keys_are_changed;
mod support;
mod survey_of_the_sample_county;
mod the_read_model_follows_the_log;
mod who_works_elsewhere;
