//! Wirebell watches the news and rings the people who asked.
//!
//! The data path is `source -> feed -> Article -> bus -> rules -> alerts -> Event -> bus ->
//! delivery -> egress`. `docs/ARCHITECTURE.md` has the map, the invariants and the table of which
//! module may use which.

pub mod alerts;
pub mod api;
pub mod app;
pub mod bus;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod egress;
pub mod feed;
pub mod model;
pub mod rules;
pub mod source;
pub mod spans;
pub mod store;
pub mod supervise;
pub mod telemetry;
pub mod text;
pub mod worker;
