//! Receivers that mean harm: each attempt ends in time, says truly whether the request may have
//! arrived, and keeps no memory and no connection.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use wirebell::egress::Client;
use wirebell::egress::Error;
use wirebell::egress::Fetch;
use wirebell::egress::Policy;
use wirebell::egress::RESPONSE_CAP;
use wirebell::egress::Reached;
use wirebell::egress::Request;
use wirebell::egress::Resolver;
use wirebell::egress::Response;
use wirebell::egress::Settings;

use Ends::Answered;
use Ends::Failed;
use Reached::NotSent;
use Reached::Unknown;

/// The attempt's own limit.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Nothing takes so long on any machine, unless it never ends.
const NEVER: Duration = Duration::from_secs(120);
/// Between two bytes of a receiver that drips.
const DRIP: Duration = Duration::from_millis(100);
/// Attempts on each receiver, under way at once, while memory is watched.
const ATTEMPTS: usize = 20;
const ROUNDS: usize = 2;
/// Most memory that all of these may add. What one of them could be made to keep is far more.
const GROWTH: usize = 24 << 20;
const INSIDE: &str = "WIREBELL_TEST_HOSTILE";

/// What a receiver does to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    DripsHead,
    DripsBody,
    NeverEndsBody,
    NeverEndsTrailers,
    NeverEndsChunk,
    SendsBomb,
    SendsLargeHead,
    /// So many header lines.
    SendsLines(usize),
    NeverEndsHead,
    ResetsBody,
    ResetsInstead,
    SaysNothing,
    GarbageForHttp,
    GarbageForTls,
    ContinuesThenStalls,
    ContinuesForever,
    AnswersBeforeBody,
    AnswersAtOnce,
    NeverReads,
}

/// How an attempt ends.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ends {
    /// With status 200, the body whole or not.
    Answered(bool),
    /// With an error of this label.
    Failed(&'static str, Reached),
}

/// What it does, the scheme it is called by, the size of the body sent, how that ends.
const RECEIVERS: &[(Does, &str, usize, Ends)] = &[
    (Does::DripsHead, "http", 10, Failed("timeout", Unknown)),
    (Does::DripsBody, "http", 10, Answered(false)),
    (Does::NeverEndsBody, "http", 10, Answered(false)),
    (Does::NeverEndsTrailers, "http", 10, Answered(false)),
    (Does::NeverEndsChunk, "http", 10, Answered(false)),
    (Does::SendsBomb, "http", 10, Answered(false)),
    (Does::SendsLargeHead, "http", 10, Failed("broken", Unknown)),
    (Does::SendsLines(64), "http", 10, Answered(true)),
    (Does::SendsLines(65), "http", 10, Failed("broken", Unknown)),
    (Does::SendsLines(1_000), "http", 10, Failed("broken", Unknown)),
    (Does::NeverEndsHead, "http", 10, Failed("broken", Unknown)),
    (Does::ResetsBody, "http", 10, Answered(false)),
    (Does::ResetsInstead, "http", 10, Failed("broken", Unknown)),
    (Does::SaysNothing, "http", 10, Failed("timeout", Unknown)),
    (Does::SaysNothing, "https", 10, Failed("timeout", NotSent)),
    (Does::GarbageForHttp, "http", 10, Failed("broken", Unknown)),
    (Does::GarbageForTls, "https", 10, Failed("tls", NotSent)),
    (Does::ContinuesThenStalls, "http", 10, Failed("timeout", Unknown)),
    (Does::ContinuesForever, "http", 10, Failed("timeout", Unknown)),
    (Does::AnswersBeforeBody, "http", 8 << 20, Answered(true)),
    (Does::NeverReads, "http", 10, Failed("timeout", Unknown)),
    (Does::NeverReads, "http", 8 << 20, Failed("timeout", Unknown)),
];

/// A receiver and the connections it has open.
struct Receiver {
    url: String,
    open: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Receiver {
    async fn start(does: Does, scheme: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}://{}/in", listener.local_addr().unwrap());
        let open = Arc::new(AtomicUsize::new(0));
        let (mut serving, counted) = (JoinSet::new(), Arc::clone(&open));
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let counted = Arc::clone(&counted);
                connections.spawn(async move {
                    // Both ends of a broken connection are an error here, which is what is waited
                    // for.
                    let _ = serve(does, socket).await;
                    counted.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, open, _serving: serving }
    }
}

/// Serves a connection until the other side closes it.
async fn serve(does: Does, mut socket: TcpStream) -> std::io::Result<()> {
    let ok = "HTTP/1.1 200 OK\r\n";
    match does {
        Does::AnswersAtOnce | Does::SaysNothing | Does::NeverReads | Does::GarbageForTls => {}
        _ => {
            let mut head = [0; 16];
            socket.read_exact(&mut head).await?;
        }
    }
    match does {
        Does::DripsHead => drip(&mut socket, ok).await,
        Does::DripsBody => drip(&mut socket, &format!("{ok}content-length: 1000\r\n\r\n")).await,
        Does::NeverEndsBody => flood(&mut socket, &chunked(""), "4\r\nxxxx\r\n").await,
        Does::NeverEndsTrailers => flood(&mut socket, &chunked("0\r\n"), "x-trailer: x\r\n").await,
        Does::NeverEndsChunk => flood(&mut socket, &chunked("1;"), "extension=x;").await,
        Does::SendsBomb => {
            let body = bomb();
            let head = format!("content-encoding: gzip\r\ncontent-length: {}\r\n\r\n", body.len());
            socket.write_all(format!("{ok}{head}").as_bytes()).await?;
            socket.write_all(body).await?;
            gone(&mut socket).await
        }
        Does::SendsLargeHead => {
            let head = format!("{ok}x-large: {}\r\n\r\n", "x".repeat(1 << 20));
            socket.write_all(head.as_bytes()).await?;
            gone(&mut socket).await
        }
        Does::SendsLines(lines) => {
            let more = "x-line: x\r\n".repeat(lines - 2);
            let head = format!("{ok}content-length: 0\r\nconnection: close\r\n{more}\r\n");
            socket.write_all(head.as_bytes()).await?;
            gone(&mut socket).await
        }
        Does::NeverEndsHead => flood(&mut socket, ok, "x-line: x\r\n").await,
        Does::ResetsBody => {
            let head = format!("{ok}content-length: 1000\r\n\r\nxxxx");
            socket.write_all(head.as_bytes()).await?;
            reset(socket)
        }
        Does::ResetsInstead => reset(socket),
        Does::SaysNothing => gone(&mut socket).await,
        Does::GarbageForHttp | Does::GarbageForTls => flood(&mut socket, "", "garbage\0").await,
        Does::ContinuesThenStalls => {
            socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            gone(&mut socket).await
        }
        Does::ContinuesForever => flood(&mut socket, "", "HTTP/1.1 100 Continue\r\n\r\n").await,
        Does::AnswersBeforeBody | Does::AnswersAtOnce => {
            socket.write_all(format!("{ok}content-length: 2\r\n\r\nok").as_bytes()).await?;
            closed(&socket).await
        }
        Does::NeverReads => closed(&socket).await,
    }
}

fn chunked(start: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{start}")
}

/// A gzip of 64 MiB, made once.
fn bomb() -> &'static [u8] {
    static BOMB: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    BOMB.get_or_init(|| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![0; 1 << 20];
        for _ in 0..64 {
            std::io::Write::write_all(&mut packed, &zeros).unwrap();
        }
        packed.finish().unwrap()
    })
}

async fn drip(socket: &mut TcpStream, start: &str) -> std::io::Result<()> {
    socket.write_all(start.as_bytes()).await?;
    let mut pace = tokio::time::interval(DRIP);
    loop {
        pace.tick().await;
        socket.write_all(b"x").await?;
    }
}

async fn flood(socket: &mut TcpStream, start: &str, again: &str) -> std::io::Result<()> {
    socket.write_all(start.as_bytes()).await?;
    let block = again.repeat((16 << 10) / again.len());
    loop {
        socket.write_all(block.as_bytes()).await?;
    }
}

/// Reads on until the other side has gone.
async fn gone(socket: &mut TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 1_024];
    while socket.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// Waits until the other side has gone, and reads nothing.
async fn closed(socket: &TcpStream) -> std::io::Result<()> {
    loop {
        let ready = socket.ready(tokio::io::Interest::READABLE).await?;
        if ready.is_read_closed() || ready.is_error() {
            return Ok(());
        }
        tokio::time::sleep(DRIP).await;
    }
}

/// Lets the system answer the next packet with a reset: what has come is not read.
fn reset(socket: TcpStream) -> std::io::Result<()> {
    socket.set_zero_linger()?;
    drop(socket);
    Ok(())
}

fn settings(resolver: Resolver) -> Settings {
    Settings::new(Policy::new(&["127.0.0.0/8"]).unwrap(), resolver)
}

fn client(resolver: Resolver) -> Client {
    Client::with(settings(resolver))
}

async fn attempt(client: &Client, url: &str, size: usize) -> Result<Response, Error> {
    let mut request = Request::post(client.judge(url).unwrap(), vec![b'x'; size].into());
    request.timeout = TIMEOUT;
    tokio::time::timeout(NEVER, client.send(request)).await.expect("an attempt ends by itself")
}

fn ends(got: &Result<Response, Error>) -> Ends {
    match got {
        Ok(answer) => {
            assert_eq!(answer.status, 200);
            assert!(answer.body.len() <= RESPONSE_CAP, "{} bytes were read", answer.body.len());
            Answered(answer.complete)
        }
        Err(error) => Failed(error.label(), error.reached()),
    }
}

async fn wait_until_closed(receiver: &Receiver, name: &str) {
    let waited = tokio::time::timeout(NEVER, async {
        while receiver.open.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{name}: a connection stays open"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_on_a_hostile_receiver_ends_and_says_what_may_have_arrived() {
    let client = client(Resolver::table(&[]));
    for (does, scheme, size, expected) in RECEIVERS {
        let name = format!("{does:?} by {scheme} with {size} bytes");
        let receiver = Receiver::start(*does, scheme).await;
        let got = attempt(&client, &receiver.url, *size).await;
        assert_eq!(ends(&got), *expected, "{name}: {got:?}");
        drop(got);
        // Where a full buffer is never read, its reader does not learn that the other side closed.
        if *size < 1 << 20 {
            wait_until_closed(&receiver, &name).await;
        }
    }
}

/// Which comes first is chance: the answer is taken, or the connection was never good for one.
#[tokio::test]
async fn an_answer_before_any_request_is_an_answer_or_nothing_was_sent() {
    // It answers each connection once.
    let client =
        Client::with(Settings { max_age: Duration::ZERO, ..settings(Resolver::table(&[])) });
    let receiver = Receiver::start(Does::AnswersAtOnce, "http").await;
    for _ in 0..20 {
        let got = attempt(&client, &receiver.url, 10).await;
        match &got {
            Ok(answer) => assert_eq!((&answer.body[..], answer.complete), (&b"ok"[..], true)),
            Err(error) => assert_eq!(error.label(), "broken", "{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_resolver_that_never_answers_ends_the_attempt_and_nothing_was_sent() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let client = client(Resolver::asking(silent.local_addr().unwrap()));
    let url = "http://desk.example.net:8088/in";
    let got = attempt(&client, url, 10).await;
    assert_eq!(ends(&got), Failed("timeout", NotSent), "{got:?}");
    // With more time than the resolver has, its own limit ends it.
    let request = Request::post(client.judge(url).unwrap(), "x".into());
    let got = tokio::time::timeout(NEVER, client.send(request)).await.unwrap();
    assert_eq!(ends(&got), Failed("dns", NotSent), "{got:?}");
}

#[tokio::test]
async fn a_feed_is_unpacked_to_its_limit_and_no_further() {
    let client = client(Resolver::table(&[]));
    let receiver = Receiver::start(Does::SendsBomb, "http").await;
    let mut fetch = Fetch::new(receiver.url.as_str());
    fetch.cap = 1 << 20;
    let error = client.fetch(fetch).await.unwrap_err();
    assert_eq!(error.label(), "too_large", "{error}");
}

/// Memory is that of the process, so this one has a process of its own.
#[test]
fn hundreds_of_hostile_attempts_keep_no_memory() {
    if std::env::var_os(INSIDE).is_some() {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build().unwrap();
        return runtime.block_on(watch_memory());
    }
    let test = "egress::hostile::hundreds_of_hostile_attempts_keep_no_memory";
    let done = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

async fn watch_memory() {
    let client = client(Resolver::table(&[]));
    let mut receivers = Vec::new();
    // The large bodies are the sender's own and not what is watched.
    for (does, scheme, size, expected) in RECEIVERS.iter().filter(|r| r.2 < 1 << 20) {
        let receiver = Receiver::start(*does, scheme).await;
        receivers.push((receiver, *size, expected, format!("{does:?} by {scheme}")));
    }
    bomb();
    // As many at once as later: what so many need is not growth.
    round(&client, &receivers, ATTEMPTS).await;
    let before = resident();
    for _ in 0..ROUNDS {
        round(&client, &receivers, ATTEMPTS).await;
    }
    let grown = resident().saturating_sub(before);
    let attempts = ROUNDS * ATTEMPTS * receivers.len();
    println!("{attempts} attempts, {} KiB more", grown >> 10);
    assert!(grown < GROWTH, "{attempts} attempts took {grown} bytes");
}

/// Attempts on every receiver at once.
async fn round(
    client: &Client,
    receivers: &[(Receiver, usize, &'static Ends, String)],
    times: usize,
) {
    let mut attempts = JoinSet::new();
    for (receiver, size, expected, name) in receivers {
        for _ in 0..times {
            let (client, url) = (client.clone(), receiver.url.clone());
            let (size, expected, name) = (*size, *expected, name.clone());
            attempts.spawn(async move {
                let got = attempt(&client, &url, size).await;
                // On a busy machine time may be up before the harm is done.
                if !matches!(got, Err(Error::TimedOut { .. })) {
                    assert_eq!(ends(&got), *expected, "{name}: {got:?}");
                }
            });
        }
    }
    attempts.join_all().await;
    for (receiver, _, _, name) in receivers {
        wait_until_closed(receiver, name).await;
    }
}

/// Resident memory in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}
