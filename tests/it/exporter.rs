//! Spans on their way to a collector.

use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wirebell::clock::Clock;
use wirebell::egress;
use wirebell::egress::Client;
use wirebell::egress::Policy;
use wirebell::egress::Resolver;
use wirebell::spans::Tracer;
use wirebell::telemetry::Board;
use wirebell::telemetry::Health;
use wirebell::telemetry::traces::Kind;
use wirebell::telemetry::traces::queue;
use wirebell::worker::traces;
use wirebell::worker::traces::Collector;
use wirebell::worker::traces::Settings;
use wiremock::Mock;
use wiremock::MockServer;
use wiremock::ResponseTemplate;
use wiremock::matchers::header;
use wiremock::matchers::method;
use wiremock::matchers::path;

/// An exporter at work, and what records for it.
struct Exporter {
    tracer: Tracer,
    board: Board,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Exporter {
    fn start(server: &MockServer) -> Self {
        let policy = Policy::new(&["127.0.0.1"]).unwrap();
        let address = format!("{}/v1/traces", server.uri());
        let target = egress::judge(&address, &policy).unwrap();
        let (board, stop) = (Board::default(), CancellationToken::new());
        let last = CancellationToken::new();
        let (sink, spans) = queue();
        let headers = [(http::header::AUTHORIZATION, "Bearer hush".parse().unwrap())];
        let collector = Collector {
            target,
            headers: headers.into_iter().collect(),
            resource: vec![("service.name".to_owned(), "bell".to_owned())],
        };
        let tracer = Tracer::new(sink, 1.0, "wirebell", last.clone());
        let (clock, grace) = (Clock::System, Duration::from_secs(60));
        let settings = Settings { collector, clock, board: board.clone(), grace, last };
        let mut tasks = JoinSet::new();
        let client = Client::new(policy, Resolver::system());
        tasks.spawn(traces::run(client, spans, settings, stop.clone()));
        Self { tracer, board, stop, tasks }
    }

    fn record(&self, name: &'static str) {
        self.tracer.begin(Kind::Internal, name, None).end();
    }

    /// Ends everything that could record, and waits for the exporter.
    async fn end(mut self) {
        drop(self.tracer);
        self.stop.cancel();
        self.tasks.join_next().await.unwrap().unwrap();
    }
}

fn answers(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status)
}

async fn answer(server: &MockServer, answer: ResponseTemplate, times: Option<u64>) {
    let mock = Mock::given(method("POST"))
        .and(path("/v1/traces"))
        .and(header("content-type", "application/json"))
        .and(header("authorization", "Bearer hush"))
        .respond_with(answer);
    match times {
        Some(times) => mock.up_to_n_times(times).mount(server).await,
        None => mock.mount(server).await,
    }
}

/// The names of the spans of each request.
async fn names(server: &MockServer) -> Vec<Vec<String>> {
    let requests = server.received_requests().await.unwrap();
    let name = |span: &Value| span["name"].as_str().unwrap().to_owned();
    let of_request = |request: &wiremock::Request| {
        let body: Value = request.body_json().unwrap();
        let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone();
        spans.iter().map(name).collect()
    };
    requests.iter().map(of_request).collect()
}

async fn until(server: &MockServer, count: usize) -> Vec<Vec<String>> {
    loop {
        let names = names(server).await;
        if names.len() >= count {
            return names;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn health(board: &Board) -> Health {
    board.parts().into_iter().find(|(part, _)| *part == "traces").unwrap().1
}

#[tokio::test]
async fn a_collector_without_capacity_is_asked_again_with_the_same_spans() {
    let server = MockServer::start().await;
    answer(&server, answers(429).insert_header("retry-after", "0"), Some(1)).await;
    answer(&server, answers(502), Some(1)).await;
    answer(&server, answers(200), None).await;
    let exporter = Exporter::start(&server);
    exporter.record("one");
    assert_eq!(until(&server, 3).await, [["one"], ["one"], ["one"]]);
    let board = exporter.board.clone();
    exporter.end().await;
    assert_eq!((health(&board), names(&server).await.len()), (Health::Ready, 3));
}

#[tokio::test]
async fn what_a_collector_refuses_is_dropped_and_what_follows_is_sent() {
    let server = MockServer::start().await;
    answer(&server, answers(400), Some(1)).await;
    let rejecting = r#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}}"#;
    answer(&server, answers(200).set_body_string(rejecting), None).await;
    let exporter = Exporter::start(&server);
    exporter.record("one");
    until(&server, 1).await;
    exporter.record("two");
    assert_eq!(until(&server, 2).await, [["one"], ["two"]]);
    let board = exporter.board.clone();
    exporter.end().await;
    let Health::Degraded(why) = health(&board) else { panic!("{:?}", health(&board)) };
    assert!(why.contains("too old"), "{why}");
    assert_eq!(names(&server).await.len(), 2);
}

#[tokio::test]
async fn what_is_left_is_handed_over_at_the_end_in_requests_of_512() {
    let server = MockServer::start().await;
    answer(&server, answers(200), None).await;
    let exporter = Exporter::start(&server);
    (0..1_100).for_each(|_| exporter.record("one"));
    exporter.stop.cancel();
    exporter.record("the last");
    exporter.end().await;
    let sizes: Vec<usize> = names(&server).await.iter().map(Vec::len).collect();
    assert_eq!(sizes, [512, 512, 77]);
    assert_eq!(names(&server).await[2].last().unwrap(), "the last");
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_up_no_end() {
    let server = MockServer::start().await;
    answer(&server, answers(200).set_delay(Duration::from_secs(3_600)), None).await;
    let exporter = Exporter::start(&server);
    exporter.record("one");
    until(&server, 1).await;
    exporter.record("two");
    exporter.end().await;
    assert_eq!(names(&server).await, [["one"]]);
}
