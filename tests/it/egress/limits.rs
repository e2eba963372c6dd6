//! What the client does to others at most, and whom it trusts.

use std::num::NonZeroUsize;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use base64::Engine;
use rcgen::CertificateParams;
use rcgen::KeyPair;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use wirebell::config;
use wirebell::config::Files;
use wirebell::config::Overrides;
use wirebell::egress::Client;
use wirebell::egress::Error;
use wirebell::egress::Fetch;
use wirebell::egress::Policy;
use wirebell::egress::Reached;
use wirebell::egress::Request;
use wirebell::egress::Resolver;
use wirebell::egress::Settings;
use wiremock::Mock;
use wiremock::MockServer;
use wiremock::ResponseTemplate;
use wiremock::matchers::path;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn settings() -> Settings {
    Settings::new(Policy::new(&["127.0.0.0/8"]).unwrap(), Resolver::table(&[]))
}

/// A receiver that says when each connection came, and answers every request on it.
struct Counting {
    url: String,
    accepted: Arc<std::sync::Mutex<Vec<Instant>>>,
    _serving: JoinSet<()>,
}

impl Counting {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let accepted = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (mut serving, counted) = (JoinSet::new(), Arc::clone(&accepted));
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                counted.lock().unwrap().push(Instant::now());
                connections.spawn(async move {
                    let mut buffer = [0; 4_096];
                    while socket.read(&mut buffer).await.is_ok_and(|n| n > 0) {
                        let _ = socket.write_all(ANSWER).await;
                    }
                });
            }
        });
        Self { url, accepted, _serving: serving }
    }

    fn connections(&self) -> usize {
        self.accepted.lock().unwrap().len()
    }
}

fn post(client: &Client, url: &str, timeout: Duration) -> Request {
    // Without a body a request is one packet, which the receiver takes for one request.
    let mut request = Request::post(client.judge(url).unwrap(), "".into());
    request.timeout = timeout;
    request
}

#[tokio::test]
async fn new_connections_to_a_host_wait_for_their_turn_and_do_not_fail() {
    let receiver = Counting::start().await;
    let client = Client::with(Settings {
        connects_per_host: NonZeroUsize::new(5).unwrap(),
        // Every request needs a connection of its own.
        max_age: Duration::ZERO,
        ..settings()
    });
    let long = Duration::from_secs(60);
    let began = Instant::now();
    let mut requests = JoinSet::new();
    for _ in 0..12 {
        let (client, request) = (client.clone(), post(&client, &receiver.url, long));
        requests.spawn(async move { client.send(request).await.unwrap().status.as_u16() });
    }
    assert_eq!(requests.join_all().await, [200; 12]);
    // The eleventh comes after two full seconds, however slow the machine is.
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(receiver.connections(), 12);
}

#[tokio::test]
async fn a_turn_that_does_not_come_in_time_ends_the_request_unsent() {
    let receiver = Counting::start().await;
    let client = Client::with(Settings {
        connects_per_host: NonZeroUsize::MIN,
        max_age: Duration::ZERO,
        ..settings()
    });
    client.send(post(&client, &receiver.url, Duration::from_secs(60))).await.unwrap();
    let mut short = JoinSet::new();
    for _ in 0..20 {
        let (client, request) =
            (client.clone(), post(&client, &receiver.url, Duration::from_millis(50)));
        short.spawn(async move { client.send(request).await });
    }
    let unsent = |got: &Result<_, Error>| {
        matches!(got, Err(Error::TimedOut { reached: Reached::NotSent, .. }))
    };
    let got = short.join_all().await;
    // On a slow machine a turn or two come in time.
    assert!(got.iter().filter(|got| unsent(got)).count() >= 10, "{got:?}");
}

#[tokio::test]
async fn a_connection_is_kept_until_its_age_is_reached() {
    for (max_age, expected) in [(Duration::from_secs(300), 1), (Duration::ZERO, 5)] {
        let receiver = Counting::start().await;
        let client = Client::with(Settings { max_age, ..settings() });
        for _ in 0..5 {
            client.send(post(&client, &receiver.url, Duration::from_secs(60))).await.unwrap();
        }
        assert_eq!(receiver.connections(), expected, "{max_age:?}");
    }
}

#[tokio::test]
async fn a_connection_that_comes_free_is_not_waited_past() {
    let receiver = Counting::start().await;
    let client = Client::with(Settings { connects_per_host: NonZeroUsize::MIN, ..settings() });
    let began = Instant::now();
    let mut requests = JoinSet::new();
    for _ in 0..20 {
        let (client, request) =
            (client.clone(), post(&client, &receiver.url, Duration::from_secs(60)));
        requests.spawn(async move { client.send(request).await.unwrap().status.as_u16() });
    }
    assert_eq!(requests.join_all().await, [200; 20]);
    // One begins in each second; the others go over those that are there.
    let most = usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    assert!(receiver.connections() <= most, "{} of {most}", receiver.connections());
}

/// Answers each connection once and closes it then, without a word about that.
async fn closing() -> (String, tokio::sync::mpsc::Receiver<()>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/in", listener.local_addr().unwrap());
    let (closed, heard) = tokio::sync::mpsc::channel(1);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4_096];
            assert!(socket.read(&mut buffer).await.unwrap() > 0);
            socket.write_all(ANSWER).await.unwrap();
            drop(socket);
            closed.send(()).await.unwrap();
        }
    });
    (url, heard, serving)
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_not_used_again() {
    let (url, mut closed, _serving) = closing().await;
    let (other, client) = (Counting::start().await, Client::with(settings()));
    let long = Duration::from_secs(60);
    for _ in 0..20 {
        client.send(post(&client, &url, long)).await.unwrap();
        closed.recv().await.unwrap();
        // By the time another exchange is over, the end of this connection has come, too.
        client.send(post(&client, &other.url, long)).await.unwrap();
    }
    assert_eq!(other.connections(), 1);
}

#[tokio::test]
async fn a_session_keeps_to_its_connection_and_leaves_it_to_others() {
    let (here, there) = (Counting::start().await, Counting::start().await);
    let (client, long) = (Client::with(settings()), Duration::from_secs(60));
    let mut session = client.session();
    for url in [&here.url, &here.url, &there.url, &here.url] {
        session.send(post(&client, url, long)).await.unwrap();
    }
    drop(session);
    client.send(post(&client, &here.url, long)).await.unwrap();
    client.send(post(&client, &there.url, long)).await.unwrap();
    assert_eq!((here.connections(), there.connections()), (1, 1));
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

/// A receiver under an authority of its own; answers its URL and the authority in PEM.
async fn encrypted() -> (String, String, JoinSet<()>) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["desk.example.net".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let authority = pem("CERTIFICATE", certificate.der());
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://desk.example.net:{}/in", listener.local_addr().unwrap().port());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let Ok(mut socket) = acceptor.accept(socket).await else { continue };
            let mut buffer = [0; 4_096];
            let _ = socket.read(&mut buffer).await;
            let _ = socket.write_all(ANSWER).await;
            let _ = socket.shutdown().await;
        }
    });
    (url, authority, serving)
}

#[tokio::test]
async fn authorities_of_the_operator_are_trusted_by_webhooks_and_feeds() {
    let (url, authority, _serving) = encrypted().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority).unwrap();
    for trusted in [false, true] {
        let mut overrides = Overrides::default();
        overrides.flags.insert("egress.allow".to_owned(), "desk.example.net".to_owned());
        if trusted {
            overrides.flags.insert("egress.ca_file".to_owned(), file.display().to_string());
        }
        let config = config::load(&Files::default(), &overrides).unwrap();
        let resolver = Resolver::table(&[("desk.example.net", &["127.0.0.1".parse().unwrap()])]);
        let client = Client::with(Settings { resolver, ..config.settings.egress() });
        let sent = client.send(post(&client, &url, Duration::from_secs(60))).await;
        let fetched = client.fetch(Fetch::new(url.as_str())).await;
        if trusted {
            assert_eq!(sent.unwrap().status, 200);
            assert_eq!(&fetched.unwrap().body[..], b"ok");
        } else {
            assert!(matches!(sent, Err(Error::Tls { .. })), "{sent:?}");
            assert!(matches!(fetched, Err(Error::Tls { .. })), "{fetched:?}");
        }
    }
}

#[tokio::test]
async fn each_redirect_of_a_feed_is_judged() {
    let server = MockServer::start().await;
    let port = server.address().port();
    let policy = Policy::new(&["127.0.0.1", "receiver.lan"]).unwrap();
    let resolver = Resolver::table(&[
        ("receiver.lan", &["127.0.0.1".parse().unwrap()]),
        ("turncoat.example.net", &["127.0.0.2".parse().unwrap()]),
    ]);
    let client = Client::new(policy, resolver);
    for (n, (location, expected)) in [
        ("http://10.0.0.1/".to_owned(), "refused"),
        ("http://0x0a000001/".to_owned(), "refused"),
        ("//169.254.169.254/latest/".to_owned(), "refused"),
        ("http:\\\\127.0.0.2\\".to_owned(), "refused"),
        ("http://[::ffff:10.0.0.1]/".to_owned(), "refused"),
        ("http://127.0.0.1:22/".to_owned(), "refused"),
        ("http://me:pw@receiver.lan/".to_owned(), "refused"),
        ("http://receiver/".to_owned(), "refused"),
        ("file:///etc/passwd".to_owned(), "refused"),
        (format!("http://turncoat.example.net:{port}/end"), "refused"),
        (format!("http://receiver.lan:{port}/end#top"), "fetched"),
        ("/end".to_owned(), "fetched"),
        ("end?x=1".to_owned(), "fetched"),
        (String::new(), "redirect"),
    ]
    .into_iter()
    .enumerate()
    {
        let from = format!("/{n}");
        let moved = ResponseTemplate::new(302);
        // Without the header nobody is told where to go.
        let moved = if location.is_empty() {
            moved
        } else {
            moved.insert_header("location", location.as_str())
        };
        Mock::given(path(from.as_str())).respond_with(moved).mount(&server).await;
        Mock::given(path("/end"))
            .respond_with(ResponseTemplate::new(200).set_body_string("x"))
            .mount(&server)
            .await;
        let got = client.fetch(Fetch::new(format!("{}{from}", server.uri()))).await;
        let got = got.as_ref().map_or_else(|e| e.label(), |_| "fetched");
        assert_eq!(got, expected, "{location}");
    }
}

/// A proxy resolves names by itself and would void every check. The demonstration polls feeds and
/// sends webhooks by the client of all workers.
#[test]
fn a_proxy_in_the_environment_is_not_asked() {
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let nowhere = tempfile::tempdir().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_wirebell"));
    demo.args(["demo", "--once"]).current_dir(nowhere.path());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        demo.env(name, &url).env(name.to_lowercase(), &url);
    }
    demo.env_remove("NO_PROXY").env_remove("no_proxy");
    let done = demo.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let asked = proxy.accept().map(|(_, from)| from);
    assert_eq!(asked.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}
