//! How often a server is asked, and with which validators.

use std::time::Duration;

use wirebell::source::Feed;
use wiremock::Mock;
use wiremock::MockServer;
use wiremock::Request;
use wiremock::ResponseTemplate;
use wiremock::matchers::any;

use crate::source::Desk;
use crate::source::document;
use crate::source::feed;

/// Serves each answer once, and the last one ever after.
async fn serve(server: &MockServer, answers: Vec<ResponseTemplate>) {
    let last = answers.len() - 1;
    for (n, answer) in answers.into_iter().enumerate() {
        let mock = Mock::given(any()).respond_with(answer);
        let mock = if n == last { mock } else { mock.up_to_n_times(1) };
        mock.mount(server).await;
    }
}

fn answer(titles: &[&str], etag: Option<&str>) -> ResponseTemplate {
    let answer = ResponseTemplate::new(200).set_body_string(document(titles));
    match etag {
        Some(etag) => answer.insert_header("etag", etag),
        None => answer,
    }
}

fn validators(request: &Request) -> (Option<&str>, Option<&str>) {
    let of = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap());
    (of("if-none-match"), of("if-modified-since"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validators_are_those_of_the_last_answer_and_never_invented() {
    let server = MockServer::start().await;
    let dated = answer(&["A"], None).insert_header("last-modified", "as it was written");
    serve(
        &server,
        vec![
            answer(&["A"], None),
            // The body stays, its validator changes, and goes.
            answer(&["A"], Some("\"1\"")),
            answer(&["A"], Some("\"2\"")),
            answer(&["A"], None),
            dated,
            ResponseTemplate::new(304).insert_header("etag", "\"3\""),
            answer(&["A", "last"], None),
        ],
    )
    .await;
    let mut desk = Desk::open().await;
    desk.run(vec![feed("skylark", server.uri())], Vec::new());
    assert_eq!(desk.articles(0, 2).await[1].1.title, "last");
    desk.close().await;
    let asked = server.received_requests().await.unwrap();
    let found: Vec<_> = asked.iter().take(7).map(validators).collect();
    let date = Some("as it was written");
    assert_eq!(
        found,
        [
            (None, None),
            (None, None),
            (Some("\"1\""), None),
            (Some("\"2\""), None),
            (None, None),
            (None, date),
            (Some("\"3\""), date),
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_answer_is_read_although_its_validator_says_that_nothing_changed() {
    let server = MockServer::start().await;
    let one = Some("\"1\"");
    serve(&server, vec![answer(&["A"], one), answer(&["A", "B"], one)]).await;
    let mut desk = Desk::open().await;
    desk.run(vec![feed("skylark", server.uri())], Vec::new());
    assert_eq!(desk.articles(0, 2).await[1].1.title, "B");
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_feed_is_read_with_one_request() {
    let server = MockServer::start().await;
    serve(&server, vec![answer(&["A"], None)]).await;
    let mut desk = Desk::open().await;
    let hourly = Feed { interval: Duration::from_secs(3_600), ..feed("skylark", server.uri()) };
    desk.run(vec![hourly], Vec::new());
    let state = desk.state("skylark", |state| state.first_poll_done).await;
    assert!(state.last_error.is_none());
    desk.close().await;
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}
