//! Notices under ids of their own that withdraw other articles.

use wirebell::alerts::Run;
use wirebell::bus::Bus;
use wirebell::bus::Stream;
use wirebell::clock::Clock;
use wirebell::feed::Form;
use wirebell::feed::read_articles;
use wirebell::model::Article;
use wirebell::model::Time;
use wirebell::rules::load;
use wirebell::source;
use wirebell::source::Accepted;
use wirebell::source::Origin;
use wirebell::source::Reason;
use wirebell::source::Status;
use wiremock::Mock;
use wiremock::MockServer;
use wiremock::ResponseTemplate;
use wiremock::matchers::any;

use crate::source::Desk;
use crate::source::feed;
use crate::source::statuses;

/// Pushes a line each in one call.
async fn push(desk: &Desk, lines: &[&str]) -> Vec<Result<Accepted, Reason>> {
    let drafts = read_articles(lines.join("\n").as_bytes(), Form::Json, None);
    let drafts = drafts.into_iter().map(Result::unwrap).collect();
    let now = Time::from_millis(Clock::System.now_ms());
    source::publish_all(&desk.bus, &Origin::push(false), drafts, now).await.unwrap()
}

const CRANE: &str = r#"{"id":"w-1","title":"Crane falls in the harbour","body":"Now.",
    "url":"https://wire.example/1","published_at":"2024-01-10T07:04:05Z"}"#;

fn crane() -> String {
    CRANE.replace('\n', "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_withdraws_the_article_that_it_names() {
    for (name, notice) in [
        (
            "headline",
            r#"{"id":"k","withdrawn":true,"title":"KILL: Crane falls in the harbour","body":"Wrong."}"#,
        ),
        ("id", r#"{"id":"k","withdrawn":true,"title":"MANDATORY KILL","body":"Please kill w-1."}"#),
        (
            "link",
            r#"{"id":"k","withdrawn":true,"title":"WITHDRAWN","body":"x","url":"http://wire.example/1?utm_id=2"}"#,
        ),
        (
            "link alone",
            r#"{"id":"k","title":"Gone","body":"","withdrawn":true,"url":"https://wire.example/1"}"#,
        ),
        (
            "status",
            r#"{"id":"k","title":"Crane falls in the harbour","body":"","pubstatus":"canceled","published_at":"2024-01-10T07:04:05Z"}"#,
        ),
    ] {
        let desk = Desk::open().await;
        let first = push(&desk, &[&crane()]).await.remove(0).unwrap();
        let told = push(&desk, &[notice]).await.remove(0).unwrap();
        assert_eq!((&told.id, told.revision), (&first.id, 2), "{name}");
        let article = desk.articles(1, 1).await.remove(0).1;
        assert!(article.withdrawn && article.id == first.id, "{name}: {article:?}");
        assert_eq!(article.published_at, "2024-01-10T07:04:05Z".parse().ok(), "{name}");
        // The notice again, and the article as it was, are nothing new.
        let again = push(&desk, &[notice, &crane()]).await;
        assert_eq!(statuses(&again), [(Status::Known, 2), (Status::Known, 1)], "{name}");
        assert_eq!(desk.bus.end(Stream::Articles).await.unwrap(), 2, "{name}");
        desk.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_that_could_mean_two_articles_or_none_withdraws_nobody() {
    let desk = Desk::open().await;
    let twin = crane().replace("w-1", "w-2").replace("/1\"", "/2\"");
    let other = crane().replace("w-1", "w-3").replace("\"id\"", "\"source\":\"other\",\"id\"");
    push(&desk, &[&crane(), &twin, &other.replace("Crane falls", "Ship sinks")]).await;
    let notices = [
        r#"{"id":"k-1","withdrawn":true,"title":"KILL: Crane falls in the harbour","body":"Wrong."}"#,
        r#"{"id":"k-2","withdrawn":true,"title":"KILL: Crane","body":"Wrong."}"#,
        r#"{"id":"k-3","withdrawn":true,"title":"KILL: Ship sinks in the harbour","body":"Another's."}"#,
    ];
    let told = push(&desk, &notices).await;
    assert_eq!(statuses(&told), [(Status::New, 1); 3]);
    // It is known from then on, whatever else comes.
    assert_eq!(statuses(&push(&desk, &notices).await), [(Status::Known, 1); 3]);
    // Without the word nothing is withdrawn, whatever the title says.
    let said =
        r#"{"id":"k-4","title":"KILL: Ship sinks in the harbour","body":"x","source":"other"}"#;
    assert_eq!(statuses(&push(&desk, &[said]).await), [(Status::New, 1)]);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_that_comes_together_with_its_article_or_before_it_in_a_list_reaches_it() {
    let desk = Desk::open().await;
    let notice =
        r#"{"id":"k","withdrawn":true,"title":"KILL: Crane falls in the harbour","body":"Wrong."}"#;
    let told = push(&desk, &[notice, &crane()]).await;
    assert_eq!(statuses(&told), [(Status::Revised, 2), (Status::New, 1)]);
    // Under one id the order given counts: it is withdrawn and comes back.
    let (gone, back) = (
        r#"{"id":"w-9","withdrawn":true,"title":"KILL: Ship","body":"b"}"#,
        r#"{"id":"w-9","title":"Ship","body":"b"}"#,
    );
    let told = push(&desk, &[gone, back]).await;
    assert_eq!(statuses(&told), [(Status::New, 1), (Status::Revised, 2)]);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_is_taken_back_when_a_notice_withdraws_what_opened_it() {
    let desk = Desk::open().await;
    push(&desk, &[r#"{"id":"w-1","title":"Crane falls in the harbour","body":"Now."}"#]).await;
    let notice = r#"{"id":"k","withdrawn":true,"title":"KILL: Crane falls in the harbour","body":"It stands."}"#;
    push(&desk, &[notice]).await;
    let text = "version: 1\nrules:\n  - {id: crane, any: [crane falls]}\n".to_owned();
    let rules = load(&[("rules.yaml".to_owned(), text)]).unwrap();
    let log = desk.articles(0, 2).await;
    let mut run = Run::new(rules.context(), |a: &Article| rules.found(a), log[0].1.received_at);
    let told: Vec<&str> = log
        .into_iter()
        .flat_map(|(_, article)| run.take(article).events)
        .map(|event| event.kind.as_str())
        .collect();
    assert_eq!(told, ["alert.opened", "alert.retracted"]);
    desk.close().await;
}

fn document(items: &[(&str, &str)]) -> String {
    let item = |(id, title): &(&str, &str)| {
        format!("<item><guid isPermaLink='false'>{id}</guid><title>{title}</title></item>")
    };
    let items: String = items.iter().map(item).collect();
    format!("<rss><channel><title>Wire</title>{items}</channel></rss>")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_in_a_polled_feed_withdraws_the_entry_that_it_names() {
    let server = MockServer::start().await;
    let serve = async |body: String| {
        server.reset().await;
        let answer = ResponseTemplate::new(200).set_body_string(body);
        Mock::given(any()).respond_with(answer).mount(&server).await;
    };
    let (crane, ship) = (("w-1", "Crane falls"), ("w-2", "Ship sinks"));
    serve(document(&[crane, ship])).await;
    let mut desk = Desk::open().await;
    desk.run(vec![feed("wire", format!("{}/feed", server.uri()))], Vec::new());
    let before = desk.articles(0, 2).await;
    // The entry itself stays in the feed.
    serve(document(&[("k-1", "WITHDRAWN: Ship sinks"), crane, ship])).await;
    let (at, gone) = desk.articles(before[1].0, 1).await.remove(0);
    assert_eq!((gone.id, gone.revision, gone.withdrawn), (before[1].1.id.clone(), 2, true));
    serve(document(&[("w-3", "Bridge opens"), ("k-1", "WITHDRAWN: Ship sinks"), crane, ship]))
        .await;
    assert_eq!(desk.articles(at, 1).await[0].1.title, "Bridge opens");
    assert_eq!(desk.bus.end(Stream::Articles).await.unwrap(), 4);
    desk.close().await;
}
