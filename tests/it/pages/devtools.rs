//! A browser without a window, told what to do over its DevTools protocol.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::TcpStream;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tungstenite::Message;
use tungstenite::WebSocket;

use crate::e2e::wait_for;

/// Names that a browser may have here.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// Longest wait for an answer of the browser.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with a profile of its own; it is killed when this is dropped.
pub(crate) struct Browser {
    child: Child,
    /// Host and path of the browser's own socket.
    address: String,
    _profile: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// One browser at a time: together they would measure the machine.
static ALONE: Mutex<()> = Mutex::new(());

/// An open page; it is closed when this is dropped, and with it what it listens to.
pub(crate) struct Tab {
    socket: WebSocket<TcpStream>,
    last: u64,
    /// What the page told by itself.
    told: Vec<Value>,
}

impl Browser {
    /// Starts one; none where there is none, which is said, and an error where `CI` is set.
    pub(crate) fn start() -> Option<Self> {
        let Some(name) = NAMES.into_iter().find(|name| runs(name)) else {
            let ci = std::env::var_os("CI").is_some();
            assert!(!ci, "no browser on the PATH: install chromium, or leave CI unset");
            // Not the macro, whose output the test harness hides where a test passes.
            let said = b"SKIPPED a browser test: there is no chromium on the PATH\n";
            std::io::stderr().write_all(said).unwrap();
            return None;
        };
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new(name)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-sync"])
            .args(["--disable-component-update", "--disable-dev-shm-usage"])
            .arg("--remote-debugging-port=0")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, rest) = line.split_once("listening on ws://")?;
                Some(rest.trim().to_owned())
            })
            .expect("the browser says where it listens");
        // Read on: a full pipe would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { child, address, _profile: profile, _alone: alone })
    }

    /// A new page, as wide as asked, light or dark.
    pub(crate) fn tab(&self, width: u32, theme: &str) -> Tab {
        let made = Tab::at(&self.address).ask("Target.createTarget", json!({"url": "about:blank"}));
        let (host, _) = self.address.split_once('/').unwrap();
        let mut tab =
            Tab::at(&format!("{host}/devtools/page/{}", made["targetId"].as_str().unwrap()));
        for domain in ["Page", "Network", "Runtime", "Log"] {
            tab.ask(&format!("{domain}.enable"), json!({}));
        }
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        tab.ask("Emulation.setDeviceMetricsOverride", size);
        tab.ask("Emulation.setScrollbarsHidden", json!({"hidden": true}));
        let features = json!([{"name": "prefers-color-scheme", "value": theme}]);
        tab.ask("Emulation.setEmulatedMedia", json!({"features": features}));
        tab
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        let close = json!({"id": 0, "method": "Page.close", "params": {}});
        let _ = self.socket.send(Message::text(close.to_string()));
    }
}

fn runs(name: &str) -> bool {
    let mut command = Command::new(name);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Tab {
    fn at(address: &str) -> Self {
        let (host, _) = address.split_once('/').unwrap();
        let stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) = tungstenite::client(format!("ws://{address}"), stream).unwrap();
        Self { socket, last: 0, told: Vec::new() }
    }

    /// Asks the browser; what the page tells meanwhile is kept.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let message = json!({"id": self.last, "method": method, "params": params});
        self.socket.send(Message::text(message.to_string())).unwrap();
        loop {
            let heard = self.hear();
            if heard["id"] == self.last {
                assert!(heard.get("error").is_none(), "{method}: {heard}");
                return heard["result"].clone();
            }
            self.told.push(heard);
        }
    }

    fn hear(&mut self) -> Value {
        loop {
            match self.socket.read().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                _ => continue,
            }
        }
    }

    /// Opens an address and waits until it is loaded.
    pub(crate) fn open(&mut self, url: &str) {
        let gone = self.ask("Page.navigate", json!({"url": url}));
        assert!(gone.get("errorText").is_none(), "{url}: {gone}");
        wait_for("the page to load", || {
            let done = self.js("document.readyState === 'complete' && location.href");
            (done == url).then_some(())
        });
    }

    /// What an expression is worth in the page, once it is known.
    pub(crate) fn js(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.ask("Runtime.evaluate", params);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Presses and lets go of a key.
    pub(crate) fn press(&mut self, key: &str) {
        let text = if key.chars().count() == 1 { key } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let params = json!({"type": kind, "key": key, "text": text});
            self.ask("Input.dispatchKeyEvent", params);
        }
    }

    /// Addresses that were asked for so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        let all = self.told.iter().filter(|told| told["method"] == "Network.requestWillBeSent");
        all.map(|told| told["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }

    /// Errors that the console would show.
    pub(crate) fn errors(&self) -> Vec<&Value> {
        let is_error = |told: &&Value| match told["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => told["params"]["type"] == "error",
            Some("Log.entryAdded") => told["params"]["entry"]["level"] == "error",
            _ => false,
        };
        self.told.iter().filter(is_error).collect()
    }

    /// The whole page as a picture.
    pub(crate) fn picture(&mut self) -> Vec<u8> {
        let params = json!({"format": "png", "captureBeyondViewport": true});
        let answer = self.ask("Page.captureScreenshot", params);
        data_encoding::BASE64.decode(answer["data"].as_str().unwrap().as_bytes()).unwrap()
    }
}
