//! The client: one connection pool behind the vetting connector.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use http::HeaderMap;
use http::HeaderValue;
use http::header;
use http_body_util::BodyExt;
use hyper::body::Frame;
use hyper::body::Incoming;
use hyper::body::SizeHint;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioTimer;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use tokio::time::Instant;

use crate::egress::Error;
use crate::egress::Policy;
use crate::egress::Reached;
use crate::egress::Refusal;
use crate::egress::Request;
use crate::egress::Resolver;
use crate::egress::Response;
use crate::egress::Target;
use crate::egress::connect::Bounded;
use crate::egress::connect::ConnectError;
use crate::egress::connect::Connector;
use crate::egress::connect::Since;
use crate::egress::pace::Pace;
use crate::egress::policy::judge;
use crate::egress::policy::judge_again;

/// Counts how often what caused a request has passed through such a client.
pub const HOP_HEADER: &str = "wirebell-hops";
/// A request that would make more hops than this runs in a loop.
pub const MAX_HOPS: u8 = 5;

/// Largest head of a response.
const MAX_HEAD: usize = 32 << 10;
/// Most header lines of a response.
const MAX_LINES: usize = 64;
/// Connections kept alive in all.
const MAX_IDLE: usize = 4_096;
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(90);
/// What a client is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which addresses may be called.
    pub policy: Policy,
    /// How names become addresses.
    pub resolver: Resolver,
    /// Authorities that are trusted beside the public ones; see [`crate::egress::authorities`].
    pub authorities: Vec<CertificateDer<'static>>,
    /// Most new connections to one host within a second; the others wait for their turn.
    pub connects_per_host: NonZeroUsize,
    /// Connections kept alive to one host.
    pub idle_per_host: usize,
    /// How long a connection is used at most, so that changed names and rules bite.
    pub max_age: Duration,
}

impl Settings {
    /// The usual limits: 100 new connections a second and 64 kept alive to a host, for 5 min.
    pub fn new(policy: Policy, resolver: Resolver) -> Self {
        Self {
            policy,
            resolver,
            authorities: Vec::new(),
            connects_per_host: NonZeroUsize::new(100).unwrap_or(NonZeroUsize::MIN),
            idle_per_host: 64,
            max_age: Duration::from_secs(300),
        }
    }
}

/// The one outgoing HTTP client. Cheap to clone; every clone shares the connections.
#[derive(Clone)]
pub struct Client {
    http: legacy::Client<Bounded<HttpsConnector<Connector>>, Outgoing>,
    connector: Connector,
    max_age: Duration,
}

impl Client {
    /// A client under this policy, with the usual limits. Nothing is resolved or connected yet.
    pub fn new(policy: Policy, resolver: Resolver) -> Self {
        Self::with(Settings::new(policy, resolver))
    }

    /// A client of these settings. What is no certificate among the authorities is left out.
    pub fn with(settings: Settings) -> Self {
        let Settings { policy, resolver, authorities, connects_per_host, idle_per_host, max_age } =
            settings;
        let connector = Connector { policy: Arc::new(policy), resolver, open: Arc::default() };
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        roots.add_parsable_certificates(authorities);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the ciphers of TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector.clone());
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(idle_per_host)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .http1_max_buf_size(MAX_HEAD)
            .http1_max_headers(MAX_LINES)
            // A retry nobody sees would make attempts that nobody counts.
            .retry_canceled_requests(false)
            .build(Bounded { inner: https, pace: Pace::new(connects_per_host) });
        Self { http, connector, max_age }
    }

    /// Judges an address as written.
    pub fn judge(&self, text: &str) -> Result<Target, Refusal> {
        judge(text, &self.connector.policy)
    }

    /// The addresses that a target stands for now, every one of them judged.
    pub async fn vet(&self, target: &Target) -> Result<Vec<SocketAddr>, Error> {
        let vetted = self.connector.vet(target.host(), target.port()).await;
        vetted.map_err(|e| of_connect(target.host(), e))
    }

    /// Sends one request and reads the answer up to the cap. Redirects are answers. An answer
    /// whose body stalls or is too long is still an answer.
    ///
    /// Dropping the future gives the request up; it may have arrived.
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        let (cap, timeout) = (request.cap, request.timeout);
        let deadline = Instant::now() + timeout;
        let (status, headers, body) = Box::pin(self.exchange(request, deadline)).await?;
        let (body, end) = read(body, cap, deadline).await;
        Ok(Response { status, headers, body, complete: end == End::Whole })
    }

    /// Sends a request and answers the head and the open body.
    pub(super) async fn exchange(
        &self,
        request: Request,
        deadline: Instant,
    ) -> Result<(http::StatusCode, HeaderMap, Incoming), Error> {
        let host = request.target.host().to_owned();
        if request.hops >= MAX_HOPS {
            return Err(Error::Loop { host, hops: request.hops });
        }
        // The policy may be another one than when the address was stored.
        judge_again(&request.target, &self.connector.policy)
            .map_err(|refusal| Error::Refused { host: host.clone(), refusal })?;
        let timeout = request.timeout;
        let written = Arc::new(AtomicBool::new(false));
        let bodyless = request.body.is_empty();
        let mut outgoing = outgoing(request, Arc::clone(&written));
        let connection = capture_connection(&mut outgoing);
        let reached = || {
            // Without a body there is no telling when the head went out.
            let connected = connection.connection_metadata().is_some();
            let may_have = written.load(Ordering::Acquire) || (bodyless && connected);
            if may_have { Reached::Unknown } else { Reached::NotSent }
        };
        let answer = match tokio::time::timeout_at(deadline, self.http.request(outgoing)).await {
            Err(_) => return Err(Error::TimedOut { host, after: timeout, reached: reached() }),
            Ok(Err(e)) => return Err(of_client(&host, e, reached())),
            Ok(Ok(answer)) => answer,
        };
        let (head, body) = answer.into_parts();
        let is_old = |since: &Since| since.0.elapsed().saturating_add(IDLE) > self.max_age;
        let crowded = self.connector.open.load(Ordering::Relaxed) > MAX_IDLE;
        // It may lie idle before its next use, which must not come after its time.
        if (crowded || head.extensions.get::<Since>().is_some_and(is_old))
            && let Some(connected) = connection.connection_metadata().as_ref()
        {
            connected.poison();
        }
        Ok((head.status, head.headers, body))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All of it was read.
    Whole,
    /// It is longer than the cap; the connection is closed.
    Capped,
    /// It broke off or did not come in time.
    Broken,
}

/// Reads a body up to the cap.
pub(super) async fn read(mut body: Incoming, cap: usize, deadline: Instant) -> (Bytes, End) {
    let mut kept = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout_at(deadline, body.frame()).await {
            Err(_) | Ok(Some(Err(_))) => return (kept.freeze(), End::Broken),
            Ok(None) => return (kept.freeze(), End::Whole),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        let room = cap.saturating_sub(kept.len());
        if data.len() > room {
            kept.extend_from_slice(data.get(..room).unwrap_or_default());
            return (kept.freeze(), End::Capped);
        }
        kept.extend_from_slice(&data);
    }
}

fn outgoing(request: Request, written: Arc<AtomicBool>) -> http::Request<Outgoing> {
    let Request { method, target, headers, body, hops, .. } = request;
    let body = Outgoing { bytes: (!body.is_empty()).then_some(body), written };
    let mut built = http::Request::new(body);
    *built.method_mut() = method;
    *built.uri_mut() = target.uri().clone();
    *built.headers_mut() = headers;
    let headers = built.headers_mut();
    let agent = concat!("Wirebell/", env!("CARGO_PKG_VERSION"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    headers.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
    headers.insert(HOP_HEADER, HeaderValue::from(u16::from(hops) + 1));
    built
}

fn of_client(host: &str, error: legacy::Error, reached: Reached) -> Error {
    let host = host.to_owned();
    if !error.is_connect() {
        let canceled = find::<hyper::Error>(&error).is_some_and(hyper::Error::is_canceled);
        let reached = if canceled { Reached::NotSent } else { reached };
        return Error::Broken { host, reached, source: error.into() };
    }
    match find::<ConnectError>(&error) {
        Some(ConnectError::Refused(refusal)) => Error::Refused { host, refusal: refusal.clone() },
        Some(ConnectError::Dns(why)) => Error::Dns { host, why: why.clone() },
        Some(ConnectError::Connect(_)) => Error::Connect { host, source: error.into() },
        Some(ConnectError::Handshake) | None => Error::Tls { host, source: error.into() },
    }
}

fn of_connect(host: &str, error: ConnectError) -> Error {
    let host = host.to_owned();
    match error {
        ConnectError::Refused(refusal) => Error::Refused { host, refusal },
        ConnectError::Dns(why) => Error::Dns { host, why },
        other => Error::Connect { host, source: other.into() },
    }
}

/// The first cause of this type.
fn find<E: std::error::Error + 'static>(error: &legacy::Error) -> Option<&E> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(next) = cause {
        if let Some(found) = next.downcast_ref::<E>() {
            return Some(found);
        }
        cause = next.source();
    }
    None
}

/// A body that knows whether anybody has asked for it: from then on it may be on its way.
pub(super) struct Outgoing {
    bytes: Option<Bytes>,
    written: Arc<AtomicBool>,
}

impl hyper::body::Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.written.store(true, Ordering::Release);
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
