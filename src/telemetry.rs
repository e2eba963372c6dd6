//! Logs, metric names, the health board, and spans on their way out.

pub mod health;
pub mod logs;
pub mod metric;
pub mod traces;

pub use health::Board;
pub use health::Health;
