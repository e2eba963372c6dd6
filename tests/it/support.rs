//! What tests of more than one module need.

pub(crate) mod collector;
pub(crate) mod http;
pub(crate) mod nats;
pub(crate) mod pty;
pub(crate) mod running;
pub(crate) mod scripted;
pub(crate) mod served;
pub(crate) mod snapshot;
pub(crate) mod spied;
