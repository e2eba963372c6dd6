//! The program as its users run it: real processes, a real server, real HTTP.

mod access;
mod any_request;
mod bad_input;
mod cap_index;
mod chaos;
mod contract;
mod dates;
mod doctor;
mod endings;
mod feeds;
pub(crate) mod flow;
mod full_disk;
mod http;
mod kept;
mod keys;
mod listed;
mod live;
mod looks_on;
mod messages;
mod past;
mod refusals;
pub(crate) mod reload;
mod runs;
mod selfserve;
mod shadow;
mod sirens;
mod standstill;
mod terminal;
mod tokens;
mod traces;
mod trial;
mod versions;
mod width;

use std::collections::BTreeMap;
use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::routing::any;
use serde_json::Value;
use serde_json::json;
use wirebell::clock::Clock;
use wirebell::delivery::signature;
use wirebell::model::subscription::Secret;

/// Tests that keep every core busy run one after the other: together they would measure the
/// machine and not the program.
pub(crate) static HEAVY: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(150);

/// Three reports a source open an alert and update it twice, whatever the clock says.
pub(crate) const RULES: &str = "version: 1
rules:
  - {id: siren, any: [siren], key: source, update_every: 0s}
";

/// A running process; it is killed when the value is dropped.
pub(crate) struct Process {
    child: Child,
    address: Arc<Mutex<Option<String>>>,
    log: Arc<Mutex<String>>,
}

/// A folder with configuration and, for one process, its store.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn new(rules: &str) -> Self {
        Self::with_settings(rules, "egress: {allow: [127.0.0.0/8]}\nlease: 3s\n")
    }

    pub(crate) fn with_settings(rules: &str, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config");
        std::fs::create_dir(&config).unwrap();
        if !rules.is_empty() {
            std::fs::write(config.join("rules.yaml"), rules).unwrap();
        }
        std::fs::write(config.join("wirebell.yaml"), settings).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The command with this folder's configuration and data.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wirebell"));
        command.current_dir(self.path()).args(args).env("WIREBELL_DATA", self.path().join("data"));
        command
    }

    /// All four workers in one process.
    pub(crate) fn run(&self) -> Process {
        Process::start(self.command(&["run", "--listen", "127.0.0.1:0"]))
    }

    pub(crate) fn worker(&self, which: &str, nats: &str) -> Process {
        let mut args = vec!["worker", which, "--nats", nats];
        if which == "api" {
            args.extend(["--listen", "127.0.0.1:0"]);
        }
        Process::start(self.command(&args))
    }
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let address = Arc::new(Mutex::new(None));
        let log = Arc::new(Mutex::new(String::new()));
        let (found, kept) = (address.clone(), log.clone());
        let stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once("API listens address=") {
                    *found.lock().unwrap() = Some(rest.trim().to_owned());
                }
                let mut log = kept.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { child, address, log }
    }

    /// Base of the API, once it listens.
    pub(crate) fn api(&self) -> String {
        let address = wait_for("the API to listen", || self.address.lock().unwrap().clone());
        format!("http://{address}")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        Command::new("kill").args([name, &pid]).status().unwrap();
    }

    /// SIGTERM; answers the exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.signal("-TERM");
        let status = wait_for("the process to end", || self.child.try_wait().unwrap());
        status.code()
    }

    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        wait_for("the process to end", || self.child.try_wait().unwrap()).code()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("--- log of a process ---\n{}", self.log());
        }
    }
}

/// Asks again and again until there is an answer.
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An answer of the API: status and JSON; none while nobody answers.
pub(crate) fn ask(method: &str, url: &str, kind: &str, body: &[u8]) -> Option<(u16, Value)> {
    let (status, body) = crate::support::http::ask(method, url, kind, body)?;
    Some((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

pub(crate) fn wait_ready(api: &str) {
    wait_for("readiness", || {
        ask("GET", &format!("{api}/readyz"), "", b"").filter(|(status, _)| *status == 200)
    });
}

/// Subscribes; answers the id and the secret.
pub(crate) fn subscribe(api: &str, url: &str) -> (String, String) {
    let body = json!({"url": url, "topics": ["*"]}).to_string();
    let path = format!("{api}/v1/subscriptions");
    let (status, made) = ask("POST", &path, "application/json", body.as_bytes()).unwrap();
    assert_eq!(status, 201, "{made}");
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

/// A webhook as it came.
#[derive(Clone, Debug)]
pub(crate) struct Hook {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Hook {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn id(&self) -> String {
        self.headers["webhook-id"].to_str().unwrap().to_owned()
    }

    /// Checked by a verifier that is not ours.
    pub(crate) fn verify(&self, secret: &str) {
        assert!(self.fits(secret), "{:?}", self.headers);
    }

    /// Whether a verifier that is not ours trusts it, and ours agrees.
    pub(crate) fn fits(&self, secret: &str) -> bool {
        let judge = standardwebhooks::Webhook::new(secret).unwrap();
        let theirs = judge.verify(&self.body, &self.headers).is_ok();
        let header = |name: &str| self.headers.get(name).and_then(|v| v.to_str().ok());
        let given = signature::Headers {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
        };
        let now = Clock::System.now_ms() / 1_000;
        let key = signature::Key::parse(&Secret::new(secret.to_owned())).unwrap();
        let ours = signature::verify(&key, given, &self.body, now).is_ok();
        assert_eq!(ours, theirs, "{:?}", self.headers);
        ours
    }

    /// How many signatures it has.
    pub(crate) fn signatures(&self) -> usize {
        self.headers["webhook-signature"].to_str().unwrap().split(' ').count()
    }
}

/// A receiver that takes everything.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    hooks: Arc<Mutex<Vec<Hook>>>,
    refusals: Arc<Mutex<u32>>,
}

impl Receiver {
    /// Starts it; answers its URL.
    pub(crate) async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().fallback(any(take)).with_state(self.clone());
        let serving = async move { axum::serve(listener, router).await.unwrap() };
        tokio::runtime::Handle::current().spawn(serving);
        url
    }

    /// The next so many requests are answered 503.
    pub(crate) fn refuse(&self, count: u32) {
        *self.refusals.lock().unwrap() = count;
    }

    pub(crate) fn hooks(&self) -> Vec<Hook> {
        self.hooks.lock().unwrap().clone()
    }

    /// Waits for so many different webhooks; answers them by id.
    pub(crate) fn wait_for(&self, count: usize) -> BTreeMap<String, Vec<Hook>> {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut by_id: BTreeMap<String, Vec<Hook>> = BTreeMap::new();
            for hook in self.hooks() {
                by_id.entry(hook.id()).or_default().push(hook);
            }
            if by_id.len() >= count {
                return by_id;
            }
            assert!(Instant::now() < until, "{} of {count} webhooks came", by_id.len());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    {
        let mut refusals = receiver.refusals.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return StatusCode::SERVICE_UNAVAILABLE;
        }
    }
    receiver.hooks.lock().unwrap().push(Hook { headers, body: body.to_vec() });
    StatusCode::OK
}
