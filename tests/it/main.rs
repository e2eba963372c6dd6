//! Everything from outside, in one binary.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may panic and speak"
)]

mod alert_size;
mod bad_rules;
mod bus;
mod cap;
mod cap_files;
mod cap_sources;
mod delivery;
mod e2e;
mod egress;
mod engine;
mod episodes;
mod exporter;
mod formats;
mod guides;
mod headlines;
mod kit;
mod life_properties;
mod lint;
mod observability;
mod odd_feeds;
mod once;
mod page_layouts;
mod page_sources;
mod pages;
mod polling;
mod query_properties;
mod query_vectors;
mod rule_commands;
mod rule_files;
mod rules_page;
mod shipped_rules;
mod source;
mod steps;
mod stories;
mod support;
mod tidy;
mod webhooks_page;
mod workers;
