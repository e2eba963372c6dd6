//! Wirebell watches the news and rings the people who asked.
//!
//! The data path is `source -> feed -> Article -> bus -> rules -> alerts -> Event -> bus ->
//! delivery -> egress`. `docs/ARCHITECTURE.md` has the map and the invariants; the order of the
//! modules below is the order in which they may use one another.

pub mod bus;
pub mod clock;
pub mod egress;
pub mod feed;
pub mod model;
pub mod store;
pub mod supervise;
pub mod telemetry;
