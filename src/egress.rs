//! The one outgoing HTTP client: an address policy that is asked at every step, and limits on
//! everything.
//!
//! An address is judged three times: as text ([`judge`]), as the resolver's answers
//! ([`judge_answers`]), and as the peer of the open socket. No proxy, no cookies, no referer.

pub mod net;
pub mod policy;
pub mod resolve;

mod client;
mod connect;
mod fetch;
mod line;
mod pace;
mod pool;
mod session;
mod trust;
mod unpack;

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::Method;
use http::StatusCode;

pub use client::Client;
pub use client::HOP_HEADER;
pub use client::MAX_HOPS;
pub use client::Settings;
pub use fetch::Fetch;
pub use fetch::Fetched;
pub use policy::BadAllow;
pub use policy::MAX_URL;
pub use policy::Policy;
pub use policy::Refusal;
pub use policy::Target;
pub use policy::judge;
pub use policy::judge_addr;
pub use policy::judge_answers;
pub use resolve::Resolver;
pub use session::Session;
pub use trust::BadAuthorities;
pub use trust::authorities;

/// Longest time for a whole request, if nothing else is said.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// Longest response body read, if nothing else is said. An endpoint that streams forever would
/// hold a slot until its timeout.
pub const RESPONSE_CAP: usize = 16 << 10;

/// One request to one judged address. Redirects are not followed.
#[derive(Clone, Debug)]
pub struct Request {
    /// Usually POST.
    pub method: Method,
    /// Where to.
    pub target: Target,
    /// Headers; what the client sets itself is left out.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Longest time from the call to the end of the body.
    pub timeout: Duration,
    /// Longest response body read.
    pub cap: usize,
    /// How many times what caused this has passed through such a client.
    pub hops: u8,
}

/// An answer. What the status says holds even where the body stalled or was too long.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, up to the cap.
    pub body: Bytes,
    /// The whole body was read in time and within the cap.
    pub complete: bool,
}

/// Whether the other side may have got the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Certainly not.
    NotSent,
    /// It may have.
    Unknown,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The policy forbids it.
    #[error("calling {host} is not allowed")]
    Refused {
        /// The host as written.
        host: String,
        /// Why.
        #[source]
        refusal: Refusal,
    },
    /// The name has no address, or no answer came in time.
    #[error("the name {host} cannot be resolved: {why}")]
    Dns {
        /// The name.
        host: String,
        /// The resolver's words.
        why: String,
    },
    /// No connection.
    #[error("connecting to {host} failed")]
    Connect {
        /// The host.
        host: String,
        /// The system's words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A connection, but no encryption.
    #[error("the TLS handshake with {host} failed")]
    Tls {
        /// The host.
        host: String,
        /// The library's words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Time is up.
    #[error("{host} did not answer within {after:?}")]
    TimedOut {
        /// The host.
        host: String,
        /// The limit.
        after: Duration,
        /// Whether the request may have arrived.
        reached: Reached,
    },
    /// The connection broke, or what came was no HTTP.
    #[error("the exchange with {host} broke")]
    Broken {
        /// The host.
        host: String,
        /// Whether the request may have arrived.
        reached: Reached,
        /// The library's words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A redirect that is not followed.
    #[error("{host} redirects where nobody follows: {why}")]
    Redirect {
        /// The host that redirects.
        host: String,
        /// Why not.
        why: String,
    },
    /// The body is larger than the limit, on the wire or unpacked.
    #[error("the body from {host} is larger than {limit} bytes")]
    TooLarge {
        /// The host.
        host: String,
        /// The limit.
        limit: usize,
    },
    /// The body is packed in a way that is not read.
    #[error(
        "the answer of {host} is packed as {encoding:?}, which is not read; gzip, br, zstd and deflate are"
    )]
    Encoding {
        /// The host.
        host: String,
        /// What the server calls it.
        encoding: String,
    },
    /// The same request has passed through such clients too often.
    #[error("the request to {host} has made {hops} hops: it runs in a loop")]
    Loop {
        /// The host.
        host: String,
        /// How many.
        hops: u8,
    },
}

impl Request {
    /// A POST with the usual limits.
    pub fn post(target: Target, body: Bytes) -> Self {
        Self {
            method: Method::POST,
            target,
            headers: HeaderMap::new(),
            body,
            timeout: TIMEOUT,
            cap: RESPONSE_CAP,
            hops: 0,
        }
    }
}

impl Error {
    /// Whether the other side may have got the request.
    pub fn reached(&self) -> Reached {
        match self {
            Self::TimedOut { reached, .. } | Self::Broken { reached, .. } => *reached,
            Self::Redirect { .. } | Self::TooLarge { .. } | Self::Encoding { .. } => {
                Reached::Unknown
            }
            _ => Reached::NotSent,
        }
    }

    /// One word for metrics and attempt records.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::Dns { .. } => "dns",
            Self::Connect { .. } => "connect",
            Self::Tls { .. } => "tls",
            Self::TimedOut { .. } => "timeout",
            Self::Broken { .. } => "broken",
            Self::Redirect { .. } => "redirect",
            Self::TooLarge { .. } => "too_large",
            Self::Encoding { .. } => "encoding",
            Self::Loop { .. } => "loop",
        }
    }
}
