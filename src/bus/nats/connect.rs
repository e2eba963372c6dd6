//! The connection: how it comes back, what it reports, and requests with a time limit.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::Client;
use async_nats::ConnectOptions;
use async_nats::Event;
use async_nats::HeaderMap;
use async_nats::Message;
use async_nats::Request;
use async_nats::ServerAddr;
use async_nats::connection::State;
use bytes::Bytes;
use tokio::sync::watch;

use super::NatsSettings;
use crate::bus::Error;
use crate::telemetry::metric;

/// Longest wait for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_DELAY_MS: u64 = 50;
const LONGEST_DELAY_MS: u64 = 1_000;
const CLOSING: Duration = Duration::from_secs(5);

/// How to prove who one is.
#[derive(Clone)]
pub enum Credentials {
    /// A user of the server's configuration.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token.
    Token(String),
    /// An nkey seed.
    Seed(String),
    /// A credentials file with a JWT and its seed.
    File(PathBuf),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "Password({user}, …)"),
            Self::Token(_) => f.write_str("Token(…)"),
            Self::Seed(_) => f.write_str("Seed(…)"),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

/// Whether the connection is up, how often it went down, and whether that was its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) up: bool,
    pub(super) losses: u64,
    pub(super) closed: bool,
}

/// A connection that comes back by itself.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) link: watch::Receiver<Link>,
    refusals: Arc<AtomicU64>,
}

/// Why a request brought no answer.
#[derive(Debug)]
pub(super) enum Silence {
    /// Nobody listens on the subject: the stream is not there, or not yet.
    Nobody,
    /// Whether it was carried out is not known.
    Unknown(Box<dyn std::error::Error + Send + Sync>),
    /// It was not sent, because there is no connection.
    Down,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("there is no connection to the NATS server")]
    Down,
    #[error("the connection was lost before the answer came")]
    Lost,
    #[error("no answer within {} seconds", PATIENCE.as_secs())]
    Late,
    #[error("nobody answers on the subject: JetStream is not enabled, or not ready yet")]
    Nobody,
}

impl Silence {
    /// The failure of what was attempted.
    pub(super) fn during(self, what: &str) -> Error {
        let source = match self {
            Self::Nobody => Cause::Nobody.into(),
            Self::Unknown(source) => source,
            Self::Down => Cause::Down.into(),
        };
        Error::Away { what: what.into(), source }
    }
}

impl Connection {
    /// Starts connecting; a server that is away is tried until it is there.
    pub(super) async fn open(settings: &NatsSettings) -> Result<Self, Error> {
        let (sender, link) = watch::channel(Link::default());
        let refusals = Arc::new(AtomicU64::new(0));
        let seen = refusals.clone();
        let mut options = authenticate(settings)
            .await?
            .name(format!("wirebell {}", settings.role))
            .custom_inbox_prefix(format!("_INBOX_{}", settings.role))
            .retry_on_initial_connect()
            .ping_interval(Duration::from_secs(10))
            .connection_timeout(PATIENCE)
            .request_timeout(Some(PATIENCE))
            .reconnect_delay_callback(delay)
            .event_callback(move |event| {
                note(&event, &sender, &seen);
                std::future::ready(())
            });
        if let Some(ca) = &settings.ca {
            options = options.add_root_certificates(ca.clone()).require_tls(true);
        }
        let refused = |e: &dyn std::error::Error| {
            Error::Refused(format!("cannot use the NATS address {:?}: {e}", settings.url))
        };
        let addresses = settings
            .url
            .split(',')
            .map(|url| url.trim().parse::<ServerAddr>())
            .collect::<Result<Vec<ServerAddr>, _>>()
            .map_err(|e| refused(&e))?;
        let client = options.connect(addresses).await.map_err(|e| refused(&e))?;
        Ok(Self { client, link, refusals })
    }

    pub(super) fn is_up(&self) -> bool {
        // A client that was drained goes on to say that it is connected.
        self.client.connection_state() == State::Connected && !self.link.borrow().closed
    }

    /// Errors the server reported apart from any answer, such as missing permissions.
    pub(super) fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// Waits until the connection is up.
    pub(super) async fn wait_up(&self) {
        let mut link = self.link.clone();
        while !self.is_up() {
            // The state runs ahead of the report of it, so it is looked at again by itself too.
            let report = tokio::time::timeout(Duration::from_millis(100), link.changed());
            if let Ok(Err(_)) = report.await {
                return std::future::pending().await;
            }
        }
    }

    /// Asks and waits for the answer, not longer than [`PATIENCE`] or than the connection lives.
    pub(super) async fn ask(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) -> Result<Message, Silence> {
        if !self.is_up() {
            return Err(Silence::Down);
        }
        let mut request = Request::new().payload(payload).timeout(Some(PATIENCE));
        if let Some(headers) = headers {
            request = request.headers(headers);
        }
        let answer = async {
            self.client.send_request(subject, request).await.map_err(|error| match error.kind() {
                async_nats::RequestErrorKind::NoResponders => Silence::Nobody,
                async_nats::RequestErrorKind::TimedOut => Silence::Unknown(Cause::Late.into()),
                _ => Silence::Unknown(Box::new(error)),
            })
        };
        self.while_up(answer).await
    }

    /// Sends without waiting for an answer.
    pub(super) async fn send(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<(), Silence> {
        let sent = async {
            let sent = self.client.publish_with_headers(subject, headers, payload).await;
            sent.map_err(|error| Silence::Unknown(Box::new(error)))
        };
        self.while_up(sent).await
    }

    /// Runs a call until it ends, the connection is lost, or time is up. A queue that is full
    /// while disconnected would else wait without limit.
    pub(super) async fn while_up<T>(
        &self,
        call: impl Future<Output = Result<T, Silence>>,
    ) -> Result<T, Silence> {
        let mut link = self.link.clone();
        let losses = link.borrow().losses;
        tokio::select! {
            biased;
            answer = tokio::time::timeout(PATIENCE, call) => {
                answer.unwrap_or_else(|_| Err(Silence::Unknown(Cause::Late.into())))
            }
            _ = link.wait_for(|link| link.losses != losses) => {
                Err(Silence::Unknown(Cause::Lost.into()))
            }
        }
    }

    /// Lets what was sent go out, then ends the connection; bounded in time.
    pub(super) async fn close(&self) {
        let closing = async {
            // Without a connection there is nothing to flush, and nothing that could fail worse.
            if self.is_up() {
                let _ = self.client.flush().await;
            }
            let mut link = self.link.clone();
            let losses = link.borrow().losses;
            let _ = self.client.drain().await;
            if self.is_up() {
                let _ = link.wait_for(|link| link.losses != losses).await;
            }
        };
        let _ = tokio::time::timeout(CLOSING, closing).await;
    }
}

async fn authenticate(settings: &NatsSettings) -> Result<ConnectOptions, Error> {
    let options = ConnectOptions::new();
    Ok(match &settings.credentials {
        None => options,
        Some(Credentials::Password { user, password }) => {
            options.user_and_password(user.clone(), password.clone())
        }
        Some(Credentials::Token(token)) => options.token(token.clone()),
        Some(Credentials::Seed(seed)) => options.nkey(seed.clone()),
        Some(Credentials::File(path)) => options.credentials_file(path).await.map_err(|e| {
            Error::Refused(format!("cannot read the NATS credentials {}: {e}", path.display()))
        })?,
    })
}

/// Doubles from 50 ms to 1 s, with jitter: a fleet must not come back in step.
fn delay(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts).unwrap_or(u32::MAX).min(10);
    let longest = (FIRST_DELAY_MS << doublings).min(LONGEST_DELAY_MS);
    Duration::from_millis(fastrand::u64(longest / 2..=longest))
}

fn note(event: &Event, link: &watch::Sender<Link>, refusals: &AtomicU64) {
    match event {
        Event::Connected => {
            if link.borrow().losses > 0 {
                metrics::counter!(metric::RECONNECTS).increment(1);
            }
            tracing::info!("Connected to the NATS server");
            link.send_modify(|link| link.up = true);
        }
        Event::Disconnected => {
            down(link, false);
            tracing::warn!("Connection to the NATS server ended");
        }
        Event::Closed => {
            down(link, true);
            tracing::info!("Connection to the NATS server closed");
        }
        // The call that caused it only times out: this is the one place that has the reason.
        Event::ServerError(error) => {
            refusals.fetch_add(1, Ordering::Relaxed);
            metrics::counter!(metric::BUS_REFUSALS).increment(1);
            tracing::error!(error = %error, "NATS server refused a request");
        }
        Event::SlowConsumer(_) | Event::ClientError(_) => {
            tracing::warn!(event = %event, "NATS client reported a problem");
        }
        Event::LameDuckMode | Event::Draining => {
            tracing::info!(event = %event, "NATS connection is about to end");
        }
    }
}

fn down(link: &watch::Sender<Link>, closed: bool) {
    link.send_modify(|link| *link = Link { up: false, losses: link.losses + 1, closed });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_second_and_are_jittered() {
        for attempts in [0, 1, 4, 5, 100, usize::MAX] {
            let longest = (50_u64 << attempts.min(10)).min(1_000);
            let delays: Vec<u64> =
                (0..50).map(|_| u64::try_from(delay(attempts).as_millis()).unwrap()).collect();
            assert!(delays.iter().all(|d| (longest / 2..=longest).contains(d)), "{delays:?}");
            assert!(delays.iter().any(|d| d != &delays[0]), "{delays:?}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secrets = [
            Credentials::Password { user: "rules".into(), password: "s3cret".into() },
            Credentials::Token("s3cret".into()),
            Credentials::Seed("s3cret".into()),
        ];
        for secret in secrets {
            assert!(!format!("{secret:?}").contains("s3cret"));
        }
    }
}
