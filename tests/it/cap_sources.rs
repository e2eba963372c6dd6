//! CAP messages from indexes, documents and folders into the log.

use std::collections::BTreeSet;

use wirebell::bus::Bus;
use wirebell::bus::Stream;
use wirebell::clock::Clock;
use wirebell::model::Article;
use wirebell::model::Time;
use wirebell::source::poll::State;
use wiremock::Mock;
use wiremock::MockServer;
use wiremock::Request;
use wiremock::ResponseTemplate;
use wiremock::matchers::path;

use crate::source::Desk;
use crate::source::appears;
use crate::source::feed;
use crate::source::folder;

/// A message about a storm; `refers` are the numbers of those it takes the place of.
fn message(number: usize, kind: &str, refers: &[usize]) -> String {
    let references: Vec<String> =
        refers.iter().map(|n| format!("office,m{n},2026-01-18T22:05:00+02:00")).collect();
    let references = references.join(" ");
    format!(
        "<alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'><identifier>m{number}</identifier>\
         <sender>office</sender><sent>2026-01-18T22:05:00+02:00</sent><status>Actual</status>\
         <msgType>{kind}</msgType><scope>Public</scope><references>{references}</references><info>\
         <language>en</language><category>Met</category><event>Storm</event>\
         <urgency>Expected</urgency><severity>Severe</severity><certainty>Likely</certainty>\
         <headline>Storm {number}</headline></info></alert>"
    )
}

fn entry(number: usize) -> String {
    format!(
        "<entry><id>e{number}</id><title>Storm {number}</title>\
         <updated>2026-01-18T22:05:00+02:00</updated>\
         <link type='application/cap+xml' href='/cap/{number}'/></entry>"
    )
}

fn index(numbers: impl IntoIterator<Item = usize>) -> ResponseTemplate {
    let entries: String = numbers.into_iter().map(entry).collect();
    let text = format!("<feed xmlns='http://www.w3.org/2005/Atom'>{entries}</feed>");
    ResponseTemplate::new(200).insert_header("etag", "\"all\"").set_body_string(text)
}

fn file(text: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_string(text)
}

/// Serves this at a path, so many times at most.
async fn serve(server: &MockServer, at: &str, answer: ResponseTemplate, times: Option<u64>) {
    let mock = Mock::given(path(at)).respond_with(answer);
    match times {
        Some(times) => mock.up_to_n_times(times).mount(server).await,
        None => mock.mount(server).await,
    }
}

async fn asked(server: &MockServer, at: &str) -> usize {
    let requests = server.received_requests().await.unwrap();
    requests.iter().filter(|request: &&Request| request.url.path() == at).count()
}

fn titles(articles: &[(u64, Article)]) -> BTreeSet<&str> {
    articles.iter().map(|(_, article)| article.title.as_str()).collect()
}

fn is_whole(state: &State) -> bool {
    state.etag.is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_file_of_an_index_is_fetched_once_and_a_failing_one_again() {
    let server = MockServer::start().await;
    serve(&server, "/index", index([1, 2, 3, 4]), None).await;
    serve(&server, "/cap/1", file(&message(1, "Alert", &[])), None).await;
    serve(&server, "/cap/2", ResponseTemplate::new(500), Some(2)).await;
    serve(&server, "/cap/2", file(&message(2, "Alert", &[])), None).await;
    serve(&server, "/cap/3", file("<html>gone</html>"), None).await;
    serve(&server, "/cap/4", file(&message(4, "Alert", &[])), None).await;
    let mut desk = Desk::open().await;
    desk.run(vec![feed("office", format!("{}/index", server.uri()))], Vec::new());
    let troubled = desk.state("office", |s| s.last_error.is_some()).await;
    let error = troubled.last_error.unwrap();
    assert!(error.contains("2 files are missing") && error.contains("/cap/2"), "{error}");
    assert!(troubled.first_poll_done && troubled.failures == 0 && troubled.etag.is_none());
    let read = desk.articles(0, 3).await;
    assert_eq!(titles(&read), BTreeSet::from(["Storm 1", "Storm 2", "Storm 4"]));
    // All were there when the index was read first: they ring nobody, whenever they come.
    assert!(read.iter().all(|(_, a)| a.first_poll && a.cap.is_some() && a.official));
    assert_eq!(read[0].1.source.as_str(), "office");
    assert!(read[0].1.url.as_ref().unwrap().ends_with("/cap/1"));
    // What is no message is given up at last; only then the index is asked for changes.
    let state = desk.state("office", is_whole).await;
    assert_eq!(state.last_error, None);
    for (at, times) in [("/cap/1", 1), ("/cap/2", 3), ("/cap/3", 10), ("/cap/4", 1)] {
        assert_eq!(asked(&server, at).await, times, "{at}");
    }
    assert_eq!(desk.bus.end(Stream::Articles).await.unwrap(), 3);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_index_is_read_in_parts_and_its_first_reading_rings_nobody() {
    let server = MockServer::start().await;
    serve(&server, "/index", index(0..120), Some(3)).await;
    serve(&server, "/index", index(0..121), None).await;
    for n in 0..121 {
        serve(&server, &format!("/cap/{n}"), file(&message(n, "Alert", &[])), None).await;
    }
    let mut desk = Desk::open().await;
    desk.run(vec![feed("office", format!("{}/index", server.uri()))], Vec::new());
    let first = desk.articles(0, 50).await;
    assert_eq!(first[0].1.title, "Storm 0");
    let all = desk.articles(0, 121).await;
    assert_eq!(titles(&all).len(), 121);
    let ringing: Vec<&str> =
        all.iter().filter(|(_, a)| !a.first_poll).map(|(_, a)| a.title.as_str()).collect();
    assert_eq!(ringing, ["Storm 120"]);
    desk.state("office", is_whole).await;
    for n in 0..121 {
        assert_eq!(asked(&server, &format!("/cap/{n}")).await, 1, "{n}");
    }
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_asks_for_a_pause_is_asked_for_no_other_file() {
    let server = MockServer::start().await;
    serve(&server, "/index", index([1, 2, 3]), None).await;
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "3600");
    for at in ["/cap/1", "/cap/2", "/cap/3"] {
        serve(&server, at, busy.clone(), None).await;
    }
    let mut desk = Desk::open().await;
    desk.run(vec![feed("office", format!("{}/index", server.uri()))], Vec::new());
    let state = desk.state("office", |s| s.last_error.is_some()).await;
    let wait = state.next_poll.since(Time::from_millis(Clock::System.now_ms()));
    assert!(wait.as_secs() > 3_000, "{wait:?}");
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_fail_again_and_again_keep_no_other_waiting_for_ever() {
    let server = MockServer::start().await;
    serve(&server, "/index", index(1..=6), None).await;
    for n in 1..=3 {
        serve(&server, &format!("/cap/{n}"), ResponseTemplate::new(500), None).await;
    }
    for n in 4..=6 {
        serve(&server, &format!("/cap/{n}"), file(&message(n, "Alert", &[])), None).await;
    }
    let mut desk = Desk::open().await;
    desk.run(vec![feed("office", format!("{}/index", server.uri()))], Vec::new());
    // Three failures in a row, and the host is left alone until the next poll.
    desk.state("office", |s| s.last_error.is_some()).await;
    let read = desk.articles(0, 3).await;
    assert_eq!(titles(&read), BTreeSet::from(["Storm 4", "Storm 5", "Storm 6"]));
    let requests = server.received_requests().await.unwrap();
    let order: Vec<&str> = requests.iter().map(|request| request.url.path()).take(6).collect();
    assert_eq!(order, ["/index", "/cap/1", "/cap/2", "/cap/3", "/index", "/cap/4"]);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_comes_after_its_successor_is_marked() {
    let server = MockServer::start().await;
    serve(&server, "/index", index([3, 1, 2]), None).await;
    serve(&server, "/cap/1", file(&message(1, "Alert", &[])), None).await;
    serve(&server, "/cap/2", file(&message(2, "Ack", &[3])), None).await;
    serve(&server, "/cap/3", file(&message(3, "Update", &[1])), None).await;
    let mut desk = Desk::open().await;
    desk.run(vec![feed("office", format!("{}/index", server.uri()))], Vec::new());
    let read = desk.articles(0, 3).await;
    let marks: Vec<(&str, bool)> =
        read.iter().map(|(_, a)| (a.title.as_str(), a.cap.as_ref().unwrap().replaced)).collect();
    assert_eq!(marks, [("Storm 3", false), ("Storm 1", true), ("Storm 2", false)]);
    // From another source it is the same message, and as old.
    let inbox = tempfile::tempdir().unwrap();
    std::fs::write(inbox.path().join("m1.cap"), message(1, "Alert", &[])).unwrap();
    desk.run(Vec::new(), vec![folder(inbox.path())]);
    let again = desk.articles(3, 1).await;
    assert_eq!(again[0].1.id, read[1].1.id);
    assert!(again[0].1.cap.as_ref().unwrap().replaced);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_polled_address_may_be_a_message_and_links_may_be_said_to_lead_to_some() {
    let server = MockServer::start().await;
    serve(&server, "/now.cap", file(&message(1, "Alert", &[])), None).await;
    let links = "<rss><channel><item><title>Storm</title><guid isPermaLink='false'>5</guid>\
        <link>/cap/5</link></item></channel></rss>";
    serve(&server, "/links", file(links), None).await;
    serve(&server, "/cap/5", file(&message(5, "Alert", &[])), None).await;
    let mut desk = Desk::open().await;
    let mut said = feed("said", format!("{}/links", server.uri()));
    said.cap = Some(true);
    let plain = feed("plain", format!("{}/links", server.uri()));
    let one = feed("one", format!("{}/now.cap", server.uri()));
    desk.run(vec![one, said, plain], Vec::new());
    let read = desk.articles(0, 3).await;
    let found: BTreeSet<(&str, &str, bool)> =
        read.iter().map(|(_, a)| (a.source.as_str(), a.title.as_str(), a.cap.is_some())).collect();
    let wanted = [("one", "Storm 1", true), ("plain", "Storm", false), ("said", "Storm 5", true)];
    assert_eq!(found, BTreeSet::from(wanted));
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_takes_messages_and_says_what_is_none() {
    let inbox = tempfile::tempdir().unwrap();
    let root = inbox.path();
    let two =
        format!("<envelope>{}{}</envelope>", message(1, "Alert", &[]), message(2, "Cancel", &[1]));
    std::fs::write(root.join("two.xml"), two).unwrap();
    let declared = format!("<!DOCTYPE alert>{}", message(3, "Alert", &[]));
    std::fs::write(root.join("declared.cap"), declared).unwrap();
    let mut desk = Desk::open().await;
    desk.run(Vec::new(), vec![folder(root)]);
    appears(root.join("done/two.xml")).await;
    appears(root.join("failed/declared.cap")).await;
    let told = std::fs::read_to_string(root.join("failed/declared.cap.error.txt")).unwrap();
    assert!(told.contains("DOCTYPE"), "{told}");
    let read = desk.articles(0, 2).await;
    assert_eq!(titles(&read), BTreeSet::from(["Storm 1", "Storm 2"]));
    assert!(read.iter().all(|(_, a)| !a.cap.as_ref().unwrap().replaced));
    desk.close().await;
}
