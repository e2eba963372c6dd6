//! Webhook delivery as decisions: who gets what, in which bytes, signed how, and when again. Pure.

pub mod admission;
pub mod body;
pub mod breaker;
pub mod contract;
pub mod credentials;
pub mod diagnosis;
pub mod endpoint;
pub mod example;
pub mod format;
pub mod lanes;
pub mod latency;
pub mod ledger;
pub mod pace;
pub mod rehearsal;
pub mod schedule;
pub mod signature;
pub mod spans;
pub mod walk;

pub use admission::Earlier;
pub use admission::Facts;
pub use admission::Logged;
pub use endpoint::Endpoint;
pub use ledger::Delivery;
pub use schedule::Reply;
pub use signature::Key;
