//! The tokens in force. They change while the API runs, and what is taken back ends at once.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Instant;

use axum::body::Body;
use axum::body::HttpBody;
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::watch;

use crate::api::limit::Limit;
use crate::model::token::Token;
use crate::model::token::Tokens;

/// Tokens, and how much each has asked. Every clone is the same.
#[derive(Clone, Debug)]
pub(super) struct Held(watch::Sender<Arc<Now>>);

/// Those of one time.
#[derive(Debug, Default)]
pub(super) struct Now {
    pub(super) tokens: Tokens,
    /// One for each token; none where there is no limit.
    limits: Vec<Arc<Limit>>,
    /// There were some: where none is left, nobody may ask.
    pub(super) asks: bool,
}

impl Default for Held {
    fn default() -> Self {
        Self(watch::Sender::new(Arc::default()))
    }
}

impl Held {
    pub(super) fn now(&self) -> Arc<Now> {
        self.0.borrow().clone()
    }

    /// Puts others in force, each with at most `rate` requests a second, 0 for no limit. A token that
    /// stays goes on where it was.
    pub(super) fn replace(&self, tokens: Tokens, rate: u32) {
        let (old, at) = (self.now(), Instant::now());
        let limit = |token: &Token| {
            let known = old.limit(token).cloned();
            known.unwrap_or_else(|| Arc::new(Limit::new(rate, at)))
        };
        let limits = tokens.iter().filter(|_| rate > 0).map(limit).collect();
        let asks = old.asks || !tokens.is_empty();
        self.0.send_replace(Arc::new(Now { tokens, limits, asks }));
    }

    /// The body for whoever has the token; it ends when the token is taken back.
    pub(super) fn body(&self, token: Token, body: Body) -> Body {
        let mut changes = self.0.subscribe();
        let gone = Box::pin(async move {
            let lacks = |now: &Arc<Now>| !now.tokens.iter().any(|one| *one == token);
            if changes.wait_for(lacks).await.is_err() {
                std::future::pending::<()>().await;
            }
        });
        Body::new(Lent { body, gone: Some(gone) })
    }
}

impl Now {
    pub(super) fn limit(&self, token: &Token) -> Option<&Arc<Limit>> {
        self.limits.get(self.tokens.iter().position(|one| one == token)?)
    }
}

/// A body, and the end of the right to it.
struct Lent {
    body: Body,
    /// None once it is over.
    gone: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(gone) = &mut self.gone else { return Poll::Ready(None) };
        if gone.as_mut().poll(context).is_ready() {
            self.gone = None;
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.gone.is_none() || self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use futures_util::stream;

    use super::*;

    fn tokens(text: &str) -> Tokens {
        Tokens::listed(text).unwrap()
    }

    #[tokio::test]
    async fn a_stream_ends_when_its_token_is_taken_back_and_no_other_does() {
        let held = Held::default();
        held.replace(tokens("desk:read:first-token,ci:read:second-token"), 0);
        let stream = |name: &str| {
            let now = held.now();
            let token = now.tokens.iter().find(|token| token.name() == name).unwrap().clone();
            let items = stream::iter([Ok::<_, axum::Error>(Bytes::from("a"))]);
            held.body(token, Body::from_stream(items.chain(stream::pending()))).into_data_stream()
        };
        let (mut desk, mut ci) = (stream("desk"), stream("ci"));
        assert_eq!(desk.next().await.unwrap().unwrap(), "a");
        assert_eq!(ci.next().await.unwrap().unwrap(), "a");
        held.replace(tokens("ci:read:second-token,desk:read:other-token"), 0);
        assert!(desk.next().await.is_none(), "another token of its name is not it");
        assert!(futures_util::poll!(ci.next()).is_pending());
    }

    #[test]
    fn a_token_that_stays_keeps_its_count_and_without_any_left_nobody_may_ask() {
        let held = Held::default();
        assert!(!held.now().asks);
        held.replace(tokens("desk:read:first-token"), 1);
        let now = held.now();
        let token = now.tokens.iter().next().unwrap();
        let at = Instant::now();
        while now.limit(token).unwrap().take(at).is_ok() {}
        held.replace(tokens("ci:read:second-token,desk:read:first-token"), 1);
        assert!(held.now().limit(token).unwrap().take(at).is_err());
        held.replace(Tokens::default(), 1);
        assert!(held.now().asks && held.now().tokens.is_empty());
    }
}
