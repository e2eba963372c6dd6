//! What records spans in this process, and what hands them over.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Settings;
use crate::egress::Client;
use crate::spans::Tracer;
use crate::telemetry::Board;
use crate::telemetry::traces::Span;
use crate::telemetry::traces::queue;
use crate::worker::traces;
use crate::worker::traces::Collector;

/// The exporter before it runs.
pub(super) struct Exporting {
    client: Client,
    collector: Collector,
    spans: mpsc::Receiver<Span>,
    grace: Duration,
    last: CancellationToken,
    stop: CancellationToken,
}

/// A tracer and the exporter of its spans; one that records nothing where no collector is named.
/// `embedded`: messages go over the store of this process.
pub(super) fn start(
    settings: &Settings,
    embedded: bool,
    stop: &CancellationToken,
) -> (Tracer, Option<Exporting>) {
    let (Some(wanted), Some(egress)) = (&settings.traces, settings.traces_egress()) else {
        return (Tracer::default(), None);
    };
    let (sink, spans) = queue();
    let last = CancellationToken::new();
    let bus = if embedded { "wirebell" } else { "nats" };
    let tracer = Tracer::new(sink, wanted.share, bus, last.clone());
    let exporting = Exporting {
        client: Client::with(egress),
        collector: wanted.collector.clone(),
        spans,
        grace: settings.grace,
        last,
        stop: stop.clone(),
    };
    (tracer, Some(exporting))
}

impl Exporting {
    /// Runs it, as this process and this worker.
    pub(super) async fn run(
        self,
        (process, worker): (String, &'static str),
        clock: Clock,
        board: Board,
    ) {
        let Self { client, mut collector, spans, grace, last, stop } = self;
        let of_process = [("service.instance.id", process), ("wirebell.worker", worker.to_owned())];
        for (key, value) in of_process {
            if collector.resource.iter().all(|(known, _)| known != key) {
                collector.resource.push((key.to_owned(), value));
            }
        }
        tracing::info!(endpoint.host = collector.target.host(), "Traces are recorded");
        let settings = traces::Settings { collector, clock, board, grace, last };
        traces::run(client, spans, settings, stop).await;
    }
}
