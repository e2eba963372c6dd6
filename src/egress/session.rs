//! Requests one after the other, over the connection at hand where it leads to the same host.

use std::future::Future;
use std::future::poll_fn;
use std::pin::Pin;
use std::pin::pin;
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
use http::response::Parts;
use hyper::body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;
use tokio::time::Sleep;
use tokio::time::timeout_at;

use crate::egress::Client;
use crate::egress::Error;
use crate::egress::Reached;
use crate::egress::Request;
use crate::egress::Response;
use crate::egress::Target;
use crate::egress::client::HOP_HEADER;
use crate::egress::client::broken;
use crate::egress::line::Line;
use crate::egress::line::MAX_LINES;
use crate::egress::line::Outgoing;
use crate::egress::pool::Host;

/// A connection at hand that was used so lately needs no look before its next use.
const LATELY: Duration = Duration::from_millis(50);

/// Sends one request after the other. Its connection is everybody's again when it is dropped.
pub struct Session {
    client: Client,
    line: Option<(Host, Box<Line>)>,
    /// Used again by the next request: that costs less than another one.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the request under way may have begun to arrive: its body was asked for.
    written: Arc<AtomicBool>,
    /// Headers of an answer that nobody needs any more: room for those of a request.
    spare: HeaderMap,
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

impl Session {
    pub(super) fn new(client: Client) -> Self {
        let (written, spare) = (Arc::default(), HeaderMap::new());
        Self { client, line: None, timer: None, written, spare }
    }

    /// No headers, and room for some.
    pub fn headers(&mut self) -> HeaderMap {
        std::mem::take(&mut self.spare)
    }

    /// Takes back headers that nobody needs any more.
    pub fn take_back(&mut self, mut headers: HeaderMap) {
        headers.clear();
        self.spare = headers;
    }

    /// Sends one request and reads the answer up to the cap, as [`Client::send`] does.
    pub async fn send(&mut self, request: Request) -> Result<Response, Error> {
        let (cap, timeout, target) = (request.cap, request.timeout, request.target.clone());
        let (mut head, mut kept, mut end) = (None, BytesMut::new(), End::Broken);
        let now = Instant::now();
        let deadline = now + timeout;
        let mut timer = self.timer(deadline);
        let timed = {
            let mut answered = pin!(async {
                let (parts, mut body) = self.exchange(request, now).await?;
                head = Some(parts);
                end = self.collect(&mut body, cap, &mut kept).await;
                Ok(())
            });
            let before = poll_fn(|cx| match answered.as_mut().poll(cx) {
                Poll::Ready(answered) => Poll::Ready(Some(answered)),
                Poll::Pending => over(timer.as_mut(), deadline, cx).map(|()| None),
            });
            before.await
        };
        self.timer = Some(timer);
        match (timed, head) {
            (Some(Err(error)), _) => Err(error),
            (_, Some(Parts { status, headers, .. })) => {
                let complete = end == End::Whole;
                if !complete {
                    self.line = None;
                }
                Ok(Response { status, headers, body: kept.freeze(), complete })
            }
            (_, None) => Err(self.timed_out(&target, timeout)),
        }
    }

    /// Sends a request and answers the head and the open body, which [`Session::read`] reads.
    pub(super) async fn open(
        &mut self,
        request: Request,
        deadline: Instant,
    ) -> Result<(Parts, Incoming), Error> {
        let (after, target) = (request.timeout, request.target.clone());
        let timed = timeout_at(deadline, self.exchange(request, Instant::now())).await;
        timed.unwrap_or_else(|_| Err(self.timed_out(&target, after)))
    }

    /// Reads a body up to the cap.
    pub(super) async fn read(
        &mut self,
        mut body: Incoming,
        cap: usize,
        deadline: Instant,
    ) -> (Bytes, End) {
        let mut kept = BytesMut::new();
        let collected = timeout_at(deadline, self.collect(&mut body, cap, &mut kept)).await;
        let end = collected.unwrap_or(End::Broken);
        if end != End::Whole {
            self.line = None;
        }
        (kept.freeze(), end)
    }

    /// One that ends at this time at the latest.
    fn timer(&mut self, deadline: Instant) -> Pin<Box<Sleep>> {
        match self.timer.take() {
            Some(mut timer) => {
                if timer.deadline() > deadline {
                    timer.as_mut().reset(deadline);
                }
                timer
            }
            None => Box::pin(tokio::time::sleep_until(deadline)),
        }
    }

    async fn exchange(
        &mut self,
        request: Request,
        now: Instant,
    ) -> Result<(Parts, Incoming), Error> {
        // Whatever may have asked for a body before is gone with its connection.
        self.written.store(false, Ordering::Release);
        let written = Arc::clone(&self.written);
        self.client.permits(&request)?;
        let target = request.target.clone();
        let line = self.line_to(&target, now).await?;
        // Without a body there is no telling when the head went out.
        written.store(request.body.is_empty(), Ordering::Release);
        match line.exchange(outgoing(request, written)).await {
            Ok(answer) if answer.headers().len() > MAX_LINES => {
                self.line = None;
                let (host, reached) = (target.host().to_owned(), Reached::Unknown);
                let source = format!("the answer has more than {MAX_LINES} header lines").into();
                Err(Error::Broken { host, reached, source })
            }
            Ok(answer) => Ok(answer.into_parts()),
            Err(error) => {
                let reached = self.reached();
                self.line = None;
                Err(broken(target.host(), reached, error))
            }
        }
    }

    /// The connection at hand, if it leads there, or another one.
    async fn line_to(&mut self, target: &Target, now: Instant) -> Result<&mut Line, Error> {
        let at_hand = match self.line.take() {
            Some((host, mut line)) if host.has(target) => {
                let lately = line.idle(now) < LATELY;
                let free = if lately { line.is_ready() } else { line.is_free() };
                free.then_some((host, line))
            }
            Some((host, line)) => {
                self.client.keep(host, line);
                None
            }
            None => None,
        };
        let (host, line) = match at_hand {
            Some(at_hand) => at_hand,
            None => {
                let host = Host::of(target);
                let line = self.client.line(&host, target).await?;
                (host, line)
            }
        };
        Ok(&mut self.line.insert((host, line)).1)
    }

    async fn collect(&mut self, body: &mut Incoming, cap: usize, kept: &mut BytesMut) -> End {
        let Some((_, line)) = &mut self.line else { return End::Broken };
        while !body.is_end_stream() {
            let frame = match line.frame(body).await {
                None => break,
                Some(Err(_)) => return End::Broken,
                Some(Ok(frame)) => frame,
            };
            let Ok(data) = frame.into_data() else { continue };
            let room = cap.saturating_sub(kept.len());
            if data.len() > room {
                kept.extend_from_slice(data.get(..room).unwrap_or_default());
                return End::Capped;
            }
            kept.extend_from_slice(&data);
        }
        line.used();
        End::Whole
    }

    /// Whether a request that got no answer may have arrived.
    fn reached(&self) -> Reached {
        let may_have = self.written.load(Ordering::Acquire);
        if may_have { Reached::Unknown } else { Reached::NotSent }
    }

    /// Gives a request up that took too long, and its connection with it.
    fn timed_out(&mut self, target: &Target, after: Duration) -> Error {
        let reached = self.reached();
        self.line = None;
        Error::TimedOut { host: target.host().to_owned(), after, reached }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some((host, line)) = self.line.take() {
            self.client.keep(host, line);
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

/// Ready at the deadline. The timer may end before: it is that of an earlier request.
fn over(mut timer: Pin<&mut Sleep>, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
    // What uses up its budget must not keep the timer from its turn.
    while pin!(tokio::task::unconstrained(timer.as_mut())).poll(cx).is_ready() {
        if timer.deadline() >= deadline {
            return Poll::Ready(());
        }
        timer.as_mut().reset(deadline);
    }
    Poll::Pending
}

/// The request as it is written, with what the client sets itself.
fn outgoing(request: Request, written: Arc<AtomicBool>) -> http::Request<Outgoing> {
    let Request { method, target, mut headers, body, hops, .. } = request;
    let agent = concat!("Wirebell/", env!("CARGO_PKG_VERSION"));
    headers.insert(header::HOST, target.authority().clone());
    headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    headers.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
    let hop = match hops {
        0 => HeaderValue::from_static("1"),
        more => HeaderValue::from(u16::from(more) + 1),
    };
    headers.insert(HOP_HEADER, hop);
    let mut built = http::Request::new(Outgoing::new(body, written));
    *built.method_mut() = method;
    *built.uri_mut() = target.path().clone();
    *built.headers_mut() = headers;
    built
}
