//! What each format sends: as it is on file, within each service's limits, with nothing of what
//! others wrote taken for markup, and as the services take it.

mod golden;
mod limits;
mod made;
mod refusals;
mod services;
mod taken;
