//! Logs, metric names, the health board, how far long work is, and spans on their way out.

pub mod health;
pub mod logs;
pub mod metric;
pub mod progress;
pub mod traces;

pub use health::Board;
pub use health::Canary;
pub use health::Health;
pub use health::Reload;
pub use health::Stage;
pub use progress::Progress;
