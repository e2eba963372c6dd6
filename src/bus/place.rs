//! The streams and the buckets.

/// A stream of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// `wb.article.>`: what came in.
    Articles,
    /// `wb.event.>`: what happened to alerts.
    Events,
    /// `wb.verdict.>`: what matched and what came of it.
    Verdicts,
    /// `wb.attempt.>`: what was tried.
    Attempts,
    /// `wb.buried.>`: what could not be processed.
    Buried,
    /// `wb.audit.>`: who changed what by hand.
    Audit,
    /// `wb.call.>`: what keys of requests were used for.
    Calls,
}

/// A bucket of records by key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bucket {
    /// Life-cycle state of alerts.
    Alerts,
    /// What subscribers want.
    Subscriptions,
    /// What the notifier has done for them.
    Deliveries,
    /// Validators, backoff and health of feeds.
    Feeds,
    /// Who owns which shard.
    Leases,
}

impl Stream {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Articles,
        Self::Events,
        Self::Verdicts,
        Self::Attempts,
        Self::Buried,
        Self::Audit,
        Self::Calls,
    ];

    /// The stream's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Articles => "articles",
            Self::Events => "events",
            Self::Verdicts => "verdicts",
            Self::Attempts => "attempts",
            Self::Buried => "buried",
            Self::Audit => "audit",
            Self::Calls => "calls",
        }
    }

    /// What every subject of the stream begins with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Articles => "wb.article.",
            Self::Events => "wb.event.",
            Self::Verdicts => "wb.verdict.",
            Self::Attempts => "wb.attempt.",
            Self::Buried => "wb.buried.",
            Self::Audit => "wb.audit.",
            Self::Calls => "wb.call.",
        }
    }
}

impl Bucket {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Alerts, Self::Subscriptions, Self::Deliveries, Self::Feeds, Self::Leases];

    /// The bucket's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Subscriptions => "subscriptions",
            Self::Deliveries => "deliveries",
            Self::Feeds => "feeds",
            Self::Leases => "leases",
        }
    }
}
