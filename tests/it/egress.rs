//! The outgoing client against real sockets.

mod addresses;
mod hostile;
mod limits;

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use http::HeaderValue;
use http::StatusCode;
use http::header;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use wirebell::egress::Client;
use wirebell::egress::Error;
use wirebell::egress::Fetch;
use wirebell::egress::Policy;
use wirebell::egress::Reached;
use wirebell::egress::Request;
use wirebell::egress::Resolver;
use wiremock::Mock;
use wiremock::MockServer;
use wiremock::ResponseTemplate;
use wiremock::matchers::any;
use wiremock::matchers::path;

fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn local() -> Client {
    Client::new(Policy::new(&["127.0.0.0/8"]).unwrap(), Resolver::table(&[]))
}

fn post(client: &Client, url: &str) -> Request {
    Request::post(client.judge(url).unwrap(), "{\"a\":1}".into())
}

/// A server that reads a request and then does what `answer` says, once a connection.
async fn raw(answer: &'static [u8], close: bool) -> (String, tokio::task::JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/in", listener.local_addr().unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut buffer = [0; 4_096];
            let _ = socket.read(&mut buffer).await;
            let _ = socket.write_all(answer).await;
            if !close {
                open.push(socket);
            }
        }
    });
    (url, tasks)
}

#[tokio::test]
async fn a_post_arrives_with_its_headers_and_nothing_else() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(202).set_body_string("ok"))
        .mount(&server)
        .await;
    let client = local();
    let mut request = post(&client, &format!("{}/in?x=1", server.uri()));
    request.headers.insert("webhook-id", HeaderValue::from_static("evt_1"));
    let answer = client.send(request).await.unwrap();
    assert_eq!(
        (answer.status, &answer.body[..], answer.complete),
        (StatusCode::ACCEPTED, &b"ok"[..], true)
    );
    let got = server.received_requests().await.unwrap().remove(0);
    assert_eq!(got.body, b"{\"a\":1}");
    let mut names: Vec<&str> = got.headers.keys().map(|n| n.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["accept-encoding", "content-length", "host", "user-agent", "webhook-id", "wirebell-hops"]
    );
    assert_eq!(got.headers["accept-encoding"], "identity");
    assert!(got.headers["user-agent"].to_str().unwrap().starts_with("Wirebell/"));
}

#[tokio::test]
async fn a_webhook_follows_no_redirect_and_a_loop_is_stopped() {
    let server = MockServer::start().await;
    let moved = ResponseTemplate::new(302).insert_header("location", "/elsewhere");
    Mock::given(path("/in")).respond_with(moved).mount(&server).await;
    let client = local();
    let answer = client.send(post(&client, &format!("{}/in", server.uri()))).await.unwrap();
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
    let mut request = post(&client, &format!("{}/in", server.uri()));
    request.hops = 5;
    assert!(matches!(client.send(request).await, Err(Error::Loop { .. })));
}

#[tokio::test]
async fn a_body_beyond_the_cap_leaves_the_status_as_it_is() {
    let server = MockServer::start().await;
    let long = ResponseTemplate::new(200).set_body_string("x".repeat(100_000));
    Mock::given(any()).respond_with(long).mount(&server).await;
    let client = local();
    let answer = client.send(post(&client, &server.uri())).await.unwrap();
    assert_eq!(
        (answer.status, answer.body.len(), answer.complete),
        (StatusCode::OK, 16 << 10, false)
    );
    let (url, _server) = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", false).await;
    let mut request = post(&client, &url);
    request.timeout = Duration::from_millis(300);
    let answer = client.send(request).await.unwrap();
    assert_eq!(
        (answer.status, &answer.body[..], answer.complete),
        (StatusCode::OK, &b"abc"[..], false)
    );
}

#[tokio::test]
async fn an_error_says_whether_the_request_may_have_arrived() {
    let client = local();
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let error = client.send(post(&client, &gone)).await.unwrap_err();
    assert_eq!((error.label(), error.reached()), ("connect", Reached::NotSent), "{error}");
    let (silent, _one) = raw(b"", false).await;
    let mut request = post(&client, &silent);
    request.timeout = Duration::from_millis(300);
    let error = client.send(request).await.unwrap_err();
    assert_eq!((error.label(), error.reached()), ("timeout", Reached::Unknown), "{error}");
    let (closing, _two) = raw(b"", true).await;
    let error = client.send(post(&client, &closing)).await.unwrap_err();
    assert_eq!((error.label(), error.reached()), ("broken", Reached::Unknown), "{error}");
    let (garbage, _three) = raw(b"SSH-2.0-server\r\n\r\n", true).await;
    let error = client.send(post(&client, &garbage)).await.unwrap_err();
    assert_eq!((error.label(), error.reached()), ("broken", Reached::Unknown), "{error}");
    let tls = closing.replace("http://", "https://");
    let error = client.send(post(&client, &tls)).await.unwrap_err();
    assert_eq!((error.label(), error.reached()), ("tls", Reached::NotSent), "{error}");
    let unknown = client.judge("http://nowhere.example.net/").unwrap();
    let error = client.send(Request::post(unknown, "x".into())).await.unwrap_err();
    assert_eq!((error.label(), error.reached()), ("dns", Reached::NotSent), "{error}");
}

#[tokio::test]
async fn a_head_beyond_its_limit_is_refused() {
    let head: &'static [u8] =
        format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(1 << 20)).into_bytes().leak();
    let (url, _server) = raw(head, false).await;
    let client = local();
    let error = client.send(post(&client, &url)).await.unwrap_err();
    assert_eq!(error.label(), "broken", "{error}");
}

#[tokio::test]
async fn every_answer_is_judged_at_each_connection() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(204)).mount(&server).await;
    let port = server.address().port();
    let resolver = Resolver::table(&[
        ("turncoat.example.net", &[addr("93.184.215.14")]),
        ("twofaced.example.net", &[addr("93.184.215.14"), addr("10.2.3.4")]),
        ("receiver.lan", &[addr("127.0.0.1")]),
    ]);
    let client = Client::new(Policy::new(&["receiver.lan"]).unwrap(), resolver.clone());
    let turncoat = client.judge(&format!("http://turncoat.example.net:{port}/")).unwrap();
    assert!(client.vet(&turncoat).await.is_ok());
    resolver.set("turncoat.example.net", &[addr("127.0.0.1")]);
    let error = client.send(Request::post(turncoat, "x".into())).await.unwrap_err();
    assert_eq!((error.label(), error.reached()), ("refused", Reached::NotSent), "{error}");
    let twofaced = client.judge("http://twofaced.example.net/").unwrap();
    assert!(matches!(client.vet(&twofaced).await, Err(Error::Refused { .. })));
    let open = client.judge(&format!("http://receiver.lan:{port}/")).unwrap();
    assert_eq!(
        client.send(Request::post(open, "x".into())).await.unwrap().status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_feed_follows_judged_redirects_and_drops_credentials_on_the_way() {
    let (one, two) = (MockServer::start().await, MockServer::start().await);
    let to = |url: String| ResponseTemplate::new(301).insert_header("location", url.as_str());
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(b"<rss/>").unwrap();
    let packed = ResponseTemplate::new(200).set_body_bytes(gz.finish().unwrap());
    Mock::given(path("/a")).respond_with(to("/b".into())).mount(&one).await;
    Mock::given(path("/b")).respond_with(to(format!("{}/c", two.uri()))).mount(&one).await;
    Mock::given(path("/bad")).respond_with(to("http://10.0.0.1/".into())).mount(&one).await;
    Mock::given(path("/loop")).respond_with(to("/loop".into())).mount(&one).await;
    Mock::given(path("/c")).respond_with(packed).mount(&two).await;
    let mislabelled = ResponseTemplate::new(200).insert_header("content-encoding", "gzip");
    let plain = mislabelled.set_body_string("<feed/>");
    Mock::given(path("/plain")).respond_with(plain).mount(&two).await;
    let client = local();
    let mut fetch = Fetch::new(format!("{}/a", one.uri()));
    fetch.headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"));
    let got = client.fetch(fetch).await.unwrap();
    assert_eq!((&got.body[..], got.complete, got.redirects.len()), (&b"<rss/>"[..], true, 2));
    assert_eq!(got.url.as_str(), format!("{}/c", two.uri()));
    let first = one.received_requests().await.unwrap();
    assert!(first.iter().all(|r| r.headers.contains_key("authorization")));
    assert!(!two.received_requests().await.unwrap()[0].headers.contains_key("authorization"));
    let error = client.fetch(Fetch::new(format!("{}/bad", one.uri()))).await.unwrap_err();
    assert_eq!(error.label(), "refused");
    let error = client.fetch(Fetch::new(format!("{}/loop", one.uri()))).await.unwrap_err();
    assert_eq!(error.label(), "redirect");
    let got = client.fetch(Fetch::new(format!("{}/plain", two.uri()))).await.unwrap();
    assert_eq!(&got.body[..], b"<feed/>", "the label says gzip");
    let mut small = Fetch::new(format!("{}/c", two.uri()));
    small.cap = 3;
    assert_eq!(client.fetch(small).await.unwrap_err().label(), "too_large");
}

#[tokio::test]
async fn a_feed_that_is_packed_in_another_way_than_asked_for_is_read() {
    let server = MockServer::start().await;
    let serve = async |at: &str, status: u16, label: &str, body: &[u8]| {
        let answer = ResponseTemplate::new(status).insert_header("content-encoding", label);
        let answer = answer.set_body_bytes(body.to_vec());
        Mock::given(path(at)).respond_with(answer).mount(&server).await;
    };
    // `<rss/>`, whole and stored, as brotli and zstd write what they do not pack.
    serve("/br", 200, "br", b"\x8b\x02\x80<rss/>\x03").await;
    serve("/zstd", 200, "zstd", b"\x28\xB5\x2F\xFD\x20\x06\x31\x00\x00<rss/>").await;
    serve("/deflate", 200, "deflate", b"\x01\x06\x00\xF9\xFF<rss/>").await;
    serve("/odd", 200, "compress", b"\x1F\x9D\x90").await;
    serve("/gone", 404, "compress", b"\x1F\x9D\x90").await;
    let client = local();
    let get = async |at: &str| client.fetch(Fetch::new(format!("{}{at}", server.uri()))).await;
    for at in ["/br", "/zstd", "/deflate"] {
        let got = get(at).await.unwrap();
        assert_eq!((&got.body[..], got.complete), (&b"<rss/>"[..], true), "{at}");
    }
    let error = get("/odd").await.unwrap_err();
    assert_eq!(error.label(), "encoding");
    assert!(error.to_string().contains("packed as \"compress\""), "{error}");
    assert_eq!(get("/gone").await.unwrap().status, 404, "a failure is told as what it is");
    let asked = server.received_requests().await.unwrap();
    assert!(asked.iter().all(|request| request.headers["accept-encoding"] == "gzip"));
}
