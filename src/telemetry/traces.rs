//! Spans on their way out: plain data, and a queue that never holds anybody up.

pub mod otlp;

use std::time::Duration;

use tokio::sync::mpsc;

use crate::telemetry::metric;

/// Most spans that wait for the exporter; beyond, they are dropped and counted.
pub const QUEUE: usize = 4_096;

/// A span that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// What was done, one of few words.
    pub name: &'static str,
    /// Which side of an exchange it is.
    pub kind: Kind,
    /// Its trace.
    pub trace: [u8; 16],
    /// Its own id.
    pub id: [u8; 8],
    /// The span that caused it.
    pub parent: Option<[u8; 8]>,
    /// The flags of its trace context.
    pub flags: u8,
    /// When it began, since 1970.
    pub began: Duration,
    /// When it ended, since 1970.
    pub ended: Duration,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// Spans of other traces that it has to do with.
    pub links: Vec<([u8; 16], [u8; 8])>,
    /// Why it failed.
    pub error: Option<String>,
}

/// Which side of an exchange a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// None.
    Internal,
    /// It answers a request.
    Server,
    /// It asks.
    Client,
    /// It works on a message.
    Consumer,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Words.
    Text(String),
    /// A number.
    Number(i64),
}

/// Where spans go once they have ended. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sink(mpsc::Sender<Span>);

/// Why spans were never seen by a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// More came than went.
    QueueFull,
    /// The collector does not take them.
    Refused,
    /// The collector took the rest of their batch.
    Rejected,
    /// The collector was away for too long.
    Unreachable,
    /// The process ended.
    Stopping,
}

/// A queue of spans and its end.
pub fn queue() -> (Sink, mpsc::Receiver<Span>) {
    let (sender, spans) = mpsc::channel(QUEUE);
    (Sink(sender), spans)
}

/// Counts spans that are lost.
pub fn count_lost(why: Lost, spans: u64) {
    metrics::counter!(metric::TRACES_LOST, "reason" => why.as_str()).increment(spans);
}

impl Span {
    /// Notes words.
    pub fn text(&mut self, key: &'static str, value: impl Into<String>) {
        self.attributes.push((key, Value::Text(value.into())));
    }

    /// Notes a number.
    pub fn number(&mut self, key: &'static str, value: i64) {
        self.attributes.push((key, Value::Number(value)));
    }
}

impl Sink {
    /// Hands a span over; one for which there is no room is dropped.
    pub fn put(&self, span: Span) {
        match self.0.try_send(span) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => count_lost(Lost::QueueFull, 1),
            Err(mpsc::error::TrySendError::Closed(_)) => count_lost(Lost::Stopping, 1),
        }
    }
}

impl Lost {
    /// The word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Unreachable => "unreachable",
            Self::Stopping => "stopping",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_loses_what_is_new_and_holds_nobody_up() {
        let (sink, mut spans) = queue();
        for id in 0..QUEUE as u64 + 10 {
            sink.put(otlp::tests::span(id.to_be_bytes()));
        }
        drop(sink);
        let mut all = Vec::new();
        spans.recv_many(&mut all, 2 * QUEUE).await;
        assert_eq!(all.len(), QUEUE);
        assert_eq!(all.last().unwrap().id, (QUEUE as u64 - 1).to_be_bytes());
        assert!(spans.recv().await.is_none());
    }
}
