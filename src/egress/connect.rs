//! Connections to vetted addresses only.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

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
pub(super) const HANDSHAKE: Duration = Duration::from_secs(13);

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

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
    /// Connections that are open, idle ones too.
    pub(super) open: Arc<AtomicUsize>,
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
        let (host, port) = place(&uri);
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
        let local = stream.local_addr().map_err(ConnectError::Connect)?;
        if local.ip() == peer.ip() && self.policy.owns_everywhere(peer.port()) {
            return Err(ConnectError::Refused(Refusal::own(&peer.to_string())));
        }
        stream.set_nodelay(true).map_err(ConnectError::Connect)?;
        self.open.fetch_add(1, Ordering::Relaxed);
        let open = Open(Arc::clone(&self.open));
        Ok(TokioIo::new(Peer { stream, _open: open }))
    }
}

/// Host and port of an address.
fn place(uri: &Uri) -> (&str, u16) {
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(usual))
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

/// A vetted connection.
pub(super) struct Peer {
    stream: TcpStream,
    _open: Open,
}

/// Counts a connection until it is closed.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection for Peer {
    fn connected(&self) -> Connected {
        Connected::new()
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

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn checked(policy: Policy, host: &str, listen: &str) -> Result<(), String> {
        let listener = TcpListener::bind(listen).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = if listen.starts_with("0.0.0.0") {
            vec![listener.local_addr().unwrap()]
        } else {
            vec![]
        };
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let connector = Connector {
            policy: Arc::new(policy.without_own(own, None)),
            resolver: Resolver::table(&[]),
            open: Arc::default(),
        };
        match connector.check(host, stream) {
            Ok(peer) => {
                assert_eq!(connector.open.load(Ordering::Relaxed), 1);
                drop(peer);
                assert_eq!(connector.open.load(Ordering::Relaxed), 0);
                Ok(())
            }
            Err(ConnectError::Refused(refusal)) => Err(refusal.reason()),
            Err(other) => panic!("{other}"),
        }
    }

    #[tokio::test]
    async fn what_counts_is_where_the_socket_leads() {
        let shut = checked(Policy::default(), "desk.example.net", "127.0.0.1:0").await;
        assert!(shut.unwrap_err().contains("loopback"));
        let by_host = Policy::new(&["receiver.lan"]).unwrap();
        assert_eq!(checked(by_host.clone(), "Receiver.lan.", "127.0.0.1:0").await, Ok(()));
        let other = checked(by_host.clone(), "desk.example.net", "127.0.0.1:0").await;
        assert!(other.unwrap_err().contains("loopback"));
        let own = checked(by_host, "receiver.lan", "0.0.0.0:0").await;
        assert!(own.unwrap_err().contains("itself"));
    }
}
