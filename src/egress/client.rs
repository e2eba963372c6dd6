//! The client: kept connections behind the vetting connector.

use std::error::Error as Cause;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::HttpsConnector;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use tower_service::Service;

use crate::egress::Error;
use crate::egress::Policy;
use crate::egress::Reached;
use crate::egress::Refusal;
use crate::egress::Request;
use crate::egress::Resolver;
use crate::egress::Response;
use crate::egress::Target;
use crate::egress::connect::ConnectError;
use crate::egress::connect::Connector;
use crate::egress::connect::HANDSHAKE;
use crate::egress::line::Line;
use crate::egress::pace::Pace;
use crate::egress::policy::judge;
use crate::egress::policy::judge_again;
use crate::egress::pool::Host;
use crate::egress::pool::Pool;
use crate::egress::session::Session;

/// Counts how often what caused a request has passed through such a client.
pub const HOP_HEADER: &str = "wirebell-hops";
/// A request that would make more hops than this runs in a loop.
pub const MAX_HOPS: u8 = 5;

type BoxError = Box<dyn Cause + Send + Sync>;

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
pub struct Client(Arc<Parts>);

struct Parts {
    https: HttpsConnector<Connector>,
    connector: Connector,
    pace: Pace,
    pool: Pool,
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
        let pace = Pace::new(connects_per_host);
        let pool = Pool::new(idle_per_host, max_age, Arc::clone(&connector.open));
        Self(Arc::new(Parts { https, connector, pace, pool }))
    }

    /// Judges an address as written.
    pub fn judge(&self, text: &str) -> Result<Target, Refusal> {
        judge(text, &self.0.connector.policy)
    }

    /// The addresses that a target stands for now, every one of them judged.
    pub async fn vet(&self, target: &Target) -> Result<Vec<SocketAddr>, Error> {
        let vetted = self.0.connector.vet(target.host(), target.port()).await;
        vetted.map_err(|e| of_connect(target.host(), e))
    }

    /// Sends one request and reads the answer up to the cap. Redirects are answers. An answer
    /// whose body stalls or is too long is still an answer.
    ///
    /// Dropping the future gives the request up; it may have arrived.
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        Box::pin(self.session().send(request)).await
    }

    /// For requests one after the other, which share a connection as long as they go to one host.
    pub fn session(&self) -> Session {
        Session::new(self.clone())
    }

    /// Closes kept connections that nobody has used for a while. Sending does so by itself; this
    /// is for when nothing is sent.
    pub fn close_idle(&self) {
        self.0.pool.look();
    }

    /// Keeps a connection for its next use.
    pub(super) fn keep(&self, host: Host, line: Box<Line>) {
        self.0.pool.put(host, line);
    }

    /// Whether a request to this target may be made at all.
    pub(super) fn permits(&self, request: &Request) -> Result<(), Error> {
        let host = || request.target.host().to_owned();
        if request.hops >= MAX_HOPS {
            return Err(Error::Loop { host: host(), hops: request.hops });
        }
        // The policy may be another one than when the address was stored.
        judge_again(&request.target, &self.0.connector.policy)
            .map_err(|refusal| Error::Refused { host: host(), refusal })
    }

    /// A connection to a target: one that is free, or a new one once it is its host's turn.
    pub(super) async fn line(&self, host: &Host, target: &Target) -> Result<Box<Line>, Error> {
        if let Some(line) = self.0.pool.take(host) {
            return Ok(line);
        }
        tokio::select! {
            biased;
            line = self.0.pool.wait(host) => return Ok(line),
            () = self.0.pace.turn(target.host(), target.port()) => {}
        }
        let connecting = self.0.https.clone().call(target.uri().clone());
        let stream = match tokio::time::timeout(HANDSHAKE, connecting).await {
            Ok(stream) => stream,
            Err(_) => Err(ConnectError::Handshake.into()),
        };
        let stream = stream.map_err(|error| of_connecting(target.host(), error))?;
        let host = target.host();
        let line = Line::over(stream).await;
        line.map(Box::new).map_err(|error| broken(host, Reached::NotSent, error))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

/// What is said of an exchange that broke.
pub(super) fn broken(host: &str, reached: Reached, error: hyper::Error) -> Error {
    let reached = if error.is_canceled() { Reached::NotSent } else { reached };
    Error::Broken { host: host.to_owned(), reached, source: error.into() }
}

fn of_connecting(host: &str, error: BoxError) -> Error {
    match find(&*error) {
        Some(ConnectError::Refused(refusal)) => {
            Error::Refused { host: host.to_owned(), refusal: refusal.clone() }
        }
        Some(ConnectError::Dns(why)) => Error::Dns { host: host.to_owned(), why: why.clone() },
        Some(ConnectError::Connect(_)) => Error::Connect { host: host.to_owned(), source: error },
        Some(ConnectError::Handshake) | None => Error::Tls { host: host.to_owned(), source: error },
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

/// Why there is no connection, if that is among the causes.
fn find<'e>(error: &'e (dyn Cause + 'static)) -> Option<&'e ConnectError> {
    let mut cause = Some(error);
    while let Some(next) = cause {
        if let Some(found) = next.downcast_ref::<ConnectError>() {
            return Some(found);
        }
        cause = next.source();
    }
    None
}
