//! One connection, driven by whoever uses it: no other task takes part in an exchange.

use std::convert::Infallible;
use std::future::Future;
use std::future::poll_fn;
use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use hyper::body::Body;
use hyper::body::Frame;
use hyper::body::Incoming;
use hyper::body::SizeHint;
use hyper::client::conn::http1;
use hyper::client::conn::http1::Connection;
use hyper::client::conn::http1::SendRequest;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use crate::egress::connect::Peer;

/// Largest head of a response.
const MAX_HEAD: usize = 32 << 10;
/// Most header lines of a response.
pub(super) const MAX_LINES: usize = 64;

type Stream = MaybeHttpsStream<TokioIo<Peer>>;

/// A connection that speaks HTTP/1.1.
pub(super) struct Line {
    sender: SendRequest<Outgoing>,
    /// None once it has ended.
    connection: Option<Connection<Stream, Outgoing>>,
    since: Instant,
    used: Instant,
}

impl Line {
    /// Speaks over a new connection.
    pub(super) async fn over(stream: Stream) -> Result<Self, hyper::Error> {
        let mut builder = http1::Builder::new();
        // Lines are counted by whoever reads the answer: a limit here costs each answer more than
        // its reading.
        builder.max_buf_size(MAX_HEAD);
        let (sender, connection) = builder.handshake(stream).await?;
        let now = Instant::now();
        let mut line = Self { sender, connection: Some(connection), since: now, used: now };
        line.look();
        Ok(line)
    }

    /// Sends a request and reads the head of the answer.
    pub(super) async fn exchange(
        &mut self,
        request: http::Request<Outgoing>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let mut answer = pin!(self.sender.send_request(request));
        let connection = &mut self.connection;
        poll_fn(|cx| {
            drive(connection, cx);
            // What wakes is the connection: the answer comes of nothing else.
            answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
    }

    /// The next frame of an answer's body.
    pub(super) async fn frame(
        &mut self,
        body: &mut Incoming,
    ) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        poll_fn(|cx| {
            let mut quiet = Context::from_waker(Waker::noop());
            // Asked for first: the connection reads no more than is wanted.
            if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(&mut quiet) {
                return Poll::Ready(frame);
            }
            drive(&mut self.connection, cx);
            Pin::new(&mut *body).poll_frame(&mut quiet)
        })
        .await
    }

    /// Whether it takes another request, as far as was seen when it was last driven: it has not
    /// ended, and nothing is under way.
    pub(super) fn is_ready(&self) -> bool {
        self.connection.is_some() && self.sender.is_ready()
    }

    /// Whether it takes another request, now that it was looked at.
    pub(super) fn is_free(&mut self) -> bool {
        self.look();
        self.is_ready()
    }

    /// Notices what happened to it while nobody drove it.
    fn look(&mut self) {
        let mut quiet = Context::from_waker(Waker::noop());
        let looked = pin!(tokio::task::unconstrained(poll_fn(|cx| {
            drive(&mut self.connection, cx);
            Poll::Ready(())
        })));
        let _: Poll<()> = looked.poll(&mut quiet);
    }

    /// It was used just now.
    pub(super) fn used(&mut self) {
        self.used = Instant::now();
    }

    /// How long it has not been used.
    pub(super) fn idle(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.used)
    }

    /// How long it has been there.
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }
}

/// Lets a connection do what it can.
fn drive(connection: &mut Option<Connection<Stream, Outgoing>>, cx: &mut Context<'_>) {
    if let Some(driven) = connection
        && Pin::new(driven).poll(cx).is_ready()
    {
        // Whoever waits for an answer hears of its end by this.
        *connection = None;
    }
}

/// A body that knows whether anybody has asked for it: from then on it may be on its way.
pub(super) struct Outgoing {
    bytes: Option<Bytes>,
    written: Arc<AtomicBool>,
}

impl Outgoing {
    pub(super) fn new(bytes: Bytes, written: Arc<AtomicBool>) -> Self {
        Self { bytes: (!bytes.is_empty()).then_some(bytes), written }
    }
}

impl Body for Outgoing {
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
