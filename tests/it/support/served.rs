//! The API in this process, on a bus of the test's choice.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wirebell::api;
use wirebell::bus::Bus;
use wirebell::clock::Clock;
use wirebell::egress::Policy;
use wirebell::spans::Tracer;
use wirebell::telemetry::Board;
use wirebell::telemetry::metric;

/// An API that is served until this is dropped: then it is gone as a process is that died.
pub(crate) struct Served {
    pub(crate) address: String,
    _tasks: JoinSet<()>,
}

impl Served {
    /// Serves on a free port. `sole` says that nobody else writes to the bus; `limit` is the time
    /// that a request may take.
    pub(crate) async fn start<B: Bus>(bus: B, sole: bool, limit: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = listener.local_addr().unwrap();
        let rules = [(
            "rules.yaml".to_owned(),
            "version: 1\nrules:\n  - {id: siren, any: [siren]}\n".to_owned(),
        )];
        // Nobody changes the file.
        let definitions = tokio::sync::watch::channel(None).1;
        let settings = api::Settings {
            access: api::Access::new(listen, false, "").unwrap(),
            rules: Arc::new(ArcSwap::from_pointee(wirebell::rules::load(&rules).unwrap())),
            clock: Clock::System,
            board: Board::default(),
            tracer: Tracer::default(),
            policy: Arc::new(Policy::default()),
            metrics: metric::install(),
            definitions,
            public_url: "http://127.0.0.1:8080".to_owned(),
            request_timeout: limit,
            sole,
        };
        let mut tasks = JoinSet::new();
        let stop = CancellationToken::new();
        tasks.spawn(async move {
            let _ = api::run(bus, listener, settings, stop).await;
        });
        Self { address: listen.to_string(), _tasks: tasks }
    }
}
