//! Spans: whose child each is, whether its trace is recorded, and when it began and ended.
//!
//! Without a recorder a span is nothing but the context that came in: it is handed on as it is, so
//! that those before and behind Wirebell see each other.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;

use crate::model::TraceContext;
use crate::telemetry::traces::Kind;
use crate::telemetry::traces::Sink;
use crate::telemetry::traces::Span;

/// Begins spans. Cheap to clone; the default records nothing.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Recorder>>);

#[derive(Debug)]
struct Recorder {
    sink: Sink,
    share: f64,
    bus: &'static str,
    /// Says when the last tracer and the last span are gone.
    _last: DropGuard,
}

/// A span under way. One that is dropped before its end is not recorded.
#[derive(Debug)]
pub struct Begun {
    context: Option<TraceContext>,
    open: Option<Box<Open>>,
}

#[derive(Debug)]
struct Open {
    span: Span,
    began: Instant,
    recorder: Arc<Recorder>,
}

impl Tracer {
    /// Records, and of the traces that begin here this share, from 0 to 1. `bus` is what messages
    /// go over. `last` is cancelled when nothing is left that could record.
    pub fn new(sink: Sink, share: f64, bus: &'static str, last: CancellationToken) -> Self {
        Self(Some(Arc::new(Recorder { sink, share, bus, _last: last.drop_guard() })))
    }

    /// Begins a span below the one that caused it; without one, a trace. Whoever began the trace
    /// has decided whether it is recorded.
    pub fn begin(&self, kind: Kind, name: &'static str, parent: Option<TraceContext>) -> Begun {
        let Some(recorder) = &self.0 else { return Begun { context: parent, open: None } };
        let id = fastrand::u64(..).to_be_bytes();
        let context = parent.map(|parent| parent.child(id)).unwrap_or_else(|| {
            let trace = fastrand::u128(..).to_be_bytes();
            TraceContext::root(trace, id, TraceContext::is_in_share(trace, recorder.share))
        });
        let open = context.is_sampled().then(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let at = since.unwrap_or_default();
            let span = Span {
                name,
                kind,
                trace: context.trace().bytes(),
                id: context.span().bytes(),
                parent: parent.map(|parent| parent.span().bytes()),
                flags: context.flags(),
                began: at,
                ended: at,
                attributes: Vec::new(),
                links: Vec::new(),
                error: None,
            };
            Box::new(Open { span, began: Instant::now(), recorder: recorder.clone() })
        });
        Begun { context: Some(context), open }
    }

    /// Begins the span of work on a message of a stream.
    pub fn receive(
        &self,
        name: &'static str,
        stream: &'static str,
        parent: Option<TraceContext>,
    ) -> Begun {
        let mut begun = self.begin(Kind::Consumer, name, parent);
        if let Some(open) = &mut begun.open {
            open.span.text("messaging.system", open.recorder.bus);
            open.span.text("messaging.destination.name", stream);
            open.span.text("messaging.operation.type", "process");
            open.span.text("messaging.operation.name", name);
        }
        begun
    }
}

impl Begun {
    /// Where what it causes belongs; none where nothing is recorded and nothing came in.
    pub fn context(&self) -> Option<TraceContext> {
        self.context
    }

    /// Notes something, where it is recorded.
    pub fn note(&mut self, note: impl FnOnce(&mut Span)) {
        if let Some(open) = &mut self.open {
            note(&mut open.span);
        }
    }

    /// Links it to a span that has to do with it too, beside the one that caused it.
    pub fn link(&mut self, other: TraceContext) {
        self.note(|span| {
            let link = (other.trace().bytes(), other.span().bytes());
            let is_near =
                link.0 == span.trace && [Some(span.id), span.parent].contains(&Some(link.1));
            if !is_near && !span.links.contains(&link) {
                span.links.push(link);
            }
        });
    }

    /// Ends it.
    pub fn end(self) {
        let Some(open) = self.open else { return };
        let Open { mut span, began, recorder } = *open;
        // The clock may be set meanwhile: a span never ends before it began.
        span.ended = span.began + began.elapsed().max(Duration::from_nanos(1));
        recorder.sink.put(span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::traces::queue;

    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn without_a_recorder_what_came_in_is_handed_on() {
        let parent: TraceContext = SAMPLED.parse().unwrap();
        let tracer = Tracer::default();
        assert_eq!(tracer.begin(Kind::Client, "x", Some(parent)).context(), Some(parent));
        let mut none = tracer.begin(Kind::Client, "x", None);
        none.note(|_| unreachable!("nothing is recorded"));
        assert_eq!(none.context(), None);
    }

    #[tokio::test]
    async fn who_began_a_trace_has_decided_whether_it_is_recorded() {
        let parent: TraceContext = SAMPLED.parse().unwrap();
        let silent: TraceContext = SAMPLED.replace("-01", "-00").parse().unwrap();
        for (name, share, parent, recorded) in [
            ("recorded above", 0.0, Some(parent), true),
            ("not recorded above", 1.0, Some(silent), false),
            ("all that begin here", 1.0, None, true),
            ("none that begin here", 0.0, None, false),
        ] {
            let last = CancellationToken::new();
            let (sink, mut spans) = queue();
            let tracer = Tracer::new(sink, share, "wirebell", last.clone());
            let first = tracer.receive("article.match", "articles", parent);
            let context = first.context().unwrap();
            let second = tracer.begin(Kind::Client, "event.deliver", Some(context));
            assert_eq!(second.context().unwrap().trace(), context.trace(), "{name}");
            assert_eq!(second.context().unwrap().is_sampled(), recorded, "{name}");
            drop(tracer);
            second.end();
            assert!(!recorded || !last.is_cancelled(), "{name}: a span is under way");
            first.end();
            assert!(last.is_cancelled(), "{name}");
            let mut all = Vec::new();
            while let Some(span) = spans.recv().await {
                all.push(span);
            }
            assert_eq!(all.len(), if recorded { 2 } else { 0 }, "{name}");
            if let [second, first] = &all[..] {
                assert_eq!(second.parent, Some(first.id), "{name}");
                assert_eq!(first.parent, parent.map(|p| p.span().bytes()), "{name}");
                assert!(first.began < first.ended, "{name}");
            }
        }
    }

    #[tokio::test]
    async fn a_link_leads_elsewhere_than_to_its_cause_and_is_made_once() {
        let (sink, mut spans) = queue();
        let tracer = Tracer::new(sink, 1.0, "wirebell", CancellationToken::new());
        let parent: TraceContext = SAMPLED.parse().unwrap();
        let other = TraceContext::root([7; 16], [8; 8], true);
        let mut span = tracer.begin(Kind::Internal, "alert.timer", Some(parent));
        let own = span.context().unwrap();
        [parent, own, other, other].into_iter().for_each(|one| span.link(one));
        span.end();
        assert_eq!(spans.recv().await.unwrap().links, [([7; 16], [8; 8])]);
    }
}
