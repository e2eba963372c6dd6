//! Links as identities: what only tracks readers makes no second article.

use wirebell::bus::Bus;
use wirebell::bus::Stream;
use wirebell::feed::Draft;
use wirebell::feed::Form;
use wirebell::feed::read_articles;
use wirebell::model::Time;
use wirebell::source;
use wirebell::source::Accepted;
use wirebell::source::Origin;
use wirebell::source::Status;
use wiremock::Mock;
use wiremock::MockServer;
use wiremock::ResponseTemplate;
use wiremock::matchers::any;

use crate::source::Desk;
use crate::source::feed;

async fn push(desk: &Desk, url: &str, body: &str) -> Accepted {
    let text = format!("{{\"title\":\"Crane\",\"body\":\"{body}\",\"url\":\"{url}\"}}");
    let draft = read_articles(text.as_bytes(), Form::Json, None).remove(0).unwrap();
    let origin = Origin::push(false);
    let answer = source::publish(&desk.bus, &origin, draft, Time::from_millis(0)).await;
    answer.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pushed_link_is_the_same_article_whatever_tracks_its_readers() {
    let desk = Desk::open().await;
    let first = push(&desk, "https://paper.example/a?id=7&utm_source=one", "It stays.").await;
    for (url, body, status, revision) in [
        ("https://paper.example/a?id=7&utm_source=two", "It stays.", Status::Known, 1),
        ("http://paper.example/a/?id=7&fbclid=x#", "It stays.", Status::Known, 1),
        ("https://paper.example/a?gclid=y&id=7", "It falls.", Status::Revised, 2),
    ] {
        let got = push(&desk, url, body).await;
        assert_eq!((got.id, got.status, got.revision), (first.id.clone(), status, revision));
    }
    for url in ["https://paper.example/a?id=8", "https://paper.example/a?id=7#note-2"] {
        let got = push(&desk, url, "It stays.").await;
        assert_eq!((got.status, got.id == first.id), (Status::New, false), "{url}");
    }
    let shown = desk.articles(0, 2).await;
    assert_eq!(shown[0].1.url.as_deref(), Some("https://paper.example/a?id=7&utm_source=one"));
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_under_a_link_as_it_was_written_keeps_its_id() {
    let desk = Desk::open().await;
    let written = "http://paper.example/a/?utm_source=feed&id=7";
    // An id is taken as it is written, as links once were.
    let old = Draft {
        id: Some(written.to_owned()),
        title: "Crane".to_owned(),
        body: "It stays.".to_owned(),
        ..Draft::default()
    };
    let origin = Origin::push(false);
    let old = source::publish(&desk.bus, &origin, old, Time::from_millis(0)).await;
    let old = old.unwrap().unwrap();
    let same = push(&desk, written, "It stays.").await;
    assert_eq!((&same.id, same.status), (&old.id, Status::Known));
    let revised = push(&desk, written, "It falls.").await;
    assert_eq!((&revised.id, revised.status), (&old.id, Status::Revised));
    assert_eq!(desk.bus.end(Stream::Articles).await.unwrap(), 2);
    desk.close().await;
}

fn edition(items: &[(&str, &str)]) -> String {
    let item = |(link, title): &(&str, &str)| {
        let link = link.replace('&', "&amp;");
        format!("<item><link>https://paper.example/{link}</link><title>{title}</title></item>")
    };
    let items: String = items.iter().map(item).collect();
    format!("<rss><channel><title>Paper</title>{items}</channel></rss>")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_without_an_id_are_known_again_under_other_tracking() {
    let server = MockServer::start().await;
    let serve = async |body: String| {
        server.reset().await;
        let answer = ResponseTemplate::new(200).set_body_string(body);
        Mock::given(any()).respond_with(answer).mount(&server).await;
    };
    serve(edition(&[("a?utm_content=1", "Crane"), ("b?id=7&mc_cid=1", "Ship")])).await;
    let mut desk = Desk::open().await;
    desk.run(vec![feed("paper", format!("{}/feed", server.uri()))], Vec::new());
    let before = desk.articles(0, 2).await;
    serve(edition(&[
        ("a?utm_content=2", "Crane"),
        ("b?id=7&mc_cid=2", "Ship leaves"),
        ("b?id=8&mc_cid=2", "Ferry"),
    ]))
    .await;
    let after = desk.articles(before[1].0, 2).await;
    let told: Vec<(&str, u32)> =
        after.iter().map(|(_, a)| (a.title.as_str(), a.revision)).collect();
    assert_eq!(told, [("Ship leaves", 2), ("Ferry", 1)]);
    assert_eq!(after[0].1.id, before[1].1.id);
    assert_eq!(desk.bus.end(Stream::Articles).await.unwrap(), 4);
    desk.close().await;
}
