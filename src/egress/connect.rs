//! Connections to vetted addresses only.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;

use http::Uri;
use hyper_util::client::legacy::connect::Connected;
use hyper_util::client::legacy::connect::Connection;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::egress::Policy;
use crate::egress::Refusal;
use crate::egress::Resolver;
use crate::egress::policy::judge_peer;

/// Longest time for a TCP connection, over all addresses of a name.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest time for name, connection and TLS handshake together.
const HANDSHAKE: Duration = Duration::from_secs(13);

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("the address is not allowed")]
    Refused(#[source] Refusal),
    #[error("the name cannot be resolved: {0}")]
    Dns(String),
    #[error("no connection")]
    Connect(#[source] io::Error),
    #[error("the TLS handshake took too long")]
    Handshake,
}

/// Resolves, judges every answer, connects, and judges the far end.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) policy: Arc<Policy>,
    pub(super) resolver: Resolver,
}

impl Connector {
    /// The addresses of a host that may be connected to.
    pub(super) async fn vet(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        let answers = match host.parse::<IpAddr>() {
            Ok(literal) => vec![literal],
            Err(_) => self.resolver.lookup(&host).await.map_err(ConnectError::Dns)?,
        };
        let peers: Vec<SocketAddr> =
            answers.into_iter().map(|addr| SocketAddr::new(addr, port)).collect();
        for peer in &peers {
            judge_peer(&host, *peer, &self.policy).map_err(ConnectError::Refused)?;
        }
        Ok(peers)
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<Peer>, ConnectError> {
        let host = uri.host().unwrap_or_default();
        let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(usual);
        let peers = self.vet(host, port).await?;
        let share = CONNECT / u32::try_from(peers.len()).unwrap_or(u32::MAX).max(1);
        let mut last = io::Error::from(io::ErrorKind::TimedOut);
        for peer in peers {
            match tokio::time::timeout(share, TcpStream::connect(peer)).await {
                Ok(Ok(stream)) => return self.check(host, stream),
                Ok(Err(e)) => last = e,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(ConnectError::Connect(last))
    }

    /// What counts is where the socket really leads.
    fn check(&self, host: &str, stream: TcpStream) -> Result<TokioIo<Peer>, ConnectError> {
        let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        let peer = stream.peer_addr().map_err(ConnectError::Connect)?;
        judge_peer(&host, peer, &self.policy).map_err(ConnectError::Refused)?;
        stream.set_nodelay(true).map_err(ConnectError::Connect)?;
        Ok(TokioIo::new(Peer { stream, since: Instant::now() }))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Peer>;
    type Error = ConnectError;
    type Future = Boxed<Result<Self::Response, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// Gives a connector, with its handshake, a limit in time.
#[derive(Clone)]
pub(super) struct Bounded<C>(pub(super) C);

impl<C> Service<Uri> for Bounded<C>
where
    C: Service<Uri, Error = BoxError>,
    C::Response: Send + 'static,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Boxed<Result<C::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let work = self.0.call(uri);
        Box::pin(async move {
            match tokio::time::timeout(HANDSHAKE, work).await {
                Ok(done) => done,
                Err(_) => Err(ConnectError::Handshake.into()),
            }
        })
    }
}

/// When a connection was made.
#[derive(Clone, Copy)]
pub(super) struct Since(pub(super) Instant);

/// A vetted connection.
pub(super) struct Peer {
    stream: TcpStream,
    since: Instant,
}

impl Connection for Peer {
    fn connected(&self) -> Connected {
        Connected::new().extra(Since(self.since))
    }
}

impl AsyncRead for Peer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Peer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
