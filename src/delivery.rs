//! Webhook delivery as decisions: who gets what, in which bytes, signed how, and when again. Pure.

pub mod admission;
pub mod body;
pub mod ledger;
pub mod schedule;
pub mod signature;

pub use admission::Facts;
pub use admission::Logged;
pub use ledger::Delivery;
pub use schedule::Reply;
pub use signature::Key;
