//! Logs, metric names and the health board.

pub mod health;
pub mod logs;
pub mod metric;

pub use health::Board;
pub use health::Health;
