//! Logs, metric names, the health board, and how far long work is.

pub mod health;
pub mod logs;
pub mod metric;
pub mod progress;

pub use health::Board;
pub use health::Canary;
pub use health::Health;
pub use health::Reload;
pub use health::Stage;
pub use progress::Progress;
