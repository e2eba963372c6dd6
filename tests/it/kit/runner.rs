//! Finding a language, building its receiver, running it.

use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

/// Longest wait for a line.
const PATIENCE: Duration = Duration::from_secs(60);

/// A receiver that can be started.
pub(super) struct Kit {
    program: Vec<String>,
    /// What was built for it, and what it keeps.
    folder: tempfile::TempDir,
}

/// A receiver that runs; it is killed when the value is dropped.
pub(super) struct Started {
    child: Child,
    pub(super) port: u16,
    lines: mpsc::Receiver<String>,
}

impl Kit {
    fn new(program: &[&str], folder: tempfile::TempDir) -> Self {
        Self { program: program.iter().map(|part| (*part).to_owned()).collect(), folder }
    }

    fn command(&self, api: &str, secrets: &str) -> Command {
        let mut command = Command::new(&self.program[0]);
        command
            .args(&self.program[1..])
            .env("WIREBELL_SECRET", secrets)
            .env("WIREBELL_API", api)
            .env("WIREBELL_STATE", self.folder.path().join("state.json"))
            .env("PORT", "0")
            .env_remove("WIREBELL_TOKEN")
            .env_remove("HOST")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What it says where it has no secret and therefore ends.
    pub(super) fn refusal(&self) -> String {
        let mut child = self.command("http://127.0.0.1:8080", " ").spawn().unwrap();
        let talk = lines(child.stderr.take().unwrap(), true);
        let listens = |line: &String| line.contains("listening on port");
        let said: Vec<String> = talk.iter().take_while(|line| !listens(line)).collect();
        let _ = child.kill();
        let status = child.wait().unwrap();
        assert!(!status.success(), "{said:?}");
        said.join("\n")
    }

    /// Pulls from this API.
    pub(super) fn start(&self, api: &str, secrets: &str) -> Started {
        let mut command = self.command(api, secrets);
        let mut child = command.spawn().unwrap();
        let talk = lines(child.stderr.take().unwrap(), true);
        let port = loop {
            let line = talk.recv_timeout(PATIENCE).expect("the receiver says its port");
            if let Some((_, port)) = line.split_once("listening on port ") {
                break port.trim().parse().unwrap();
            }
        };
        let lines = lines(child.stdout.take().unwrap(), false);
        Started { child, port, lines }
    }
}

/// The lines of a stream as they come, for ever read so that nobody waits for us.
fn lines(stream: impl std::io::Read + Send + 'static, echo: bool) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if echo {
                eprintln!("receiver: {line}");
            }
            let _ = sender.send(line);
        }
    });
    receiver
}

impl Started {
    /// The next event it acted on.
    pub(super) fn next(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("the receiver acts");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line}: {e}"))
    }

    /// What it acts on before it acts on this one.
    pub(super) fn acted_until(&self, id: &str) -> Vec<Value> {
        let lines = std::iter::repeat_with(|| self.next());
        lines.take_while(|line| line["id"] != id).collect()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/receivers").join(path)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What a program says of its version; none where it is not here.
fn version(program: &str, arg: &str) -> Option<String> {
    let said = Command::new(program).arg(arg).output().ok()?;
    said.status.success().then(|| String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

fn done(command: &mut Command) {
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

fn skipped(what: &str) -> Option<Kit> {
    eprintln!("\n*** NOT TESTED: the {what}\n");
    None
}

pub(super) fn python() -> Option<Kit> {
    if version("python3", "--version").is_none() {
        return skipped("Python receiver: there is no python3 here");
    }
    let file = source("python/receiver.py");
    Some(Kit::new(&["python3", text(&file)], tempfile::tempdir().unwrap()))
}

/// Node runs types that can be erased from 22.18 on; before that something has to erase them.
pub(super) fn typescript() -> Option<Kit> {
    let Some(node) = version("node", "--version") else {
        return skipped("TypeScript receiver: there is no node here");
    };
    let mut numbers = node.trim_start_matches('v').split('.').map(|part| part.parse::<u32>());
    let number = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let (folder, file) = (tempfile::tempdir().unwrap(), source("typescript/receiver.mts"));
    if number >= (23, 6) || (number.0 == 22 && number.1 >= 18) {
        return Some(Kit::new(&["node", text(&file)], folder));
    }
    if version("esbuild", "--version").is_none() {
        let what = "TypeScript receiver: node before 22.18 needs esbuild to erase its types";
        return skipped(what);
    }
    let erased = folder.path().join("receiver.mjs");
    let out = format!("--outfile={}", text(&erased));
    done(Command::new("esbuild").args([text(&file), &out, "--log-level=warning"]));
    Some(Kit::new(&["node", text(&erased)], folder))
}

pub(super) fn go() -> Option<Kit> {
    if version("go", "version").is_none() {
        return skipped("Go receiver: there is no go here");
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("receiver");
    let mut build = Command::new("go");
    done(build.current_dir(source("go")).args(["build", "-o", text(&program), "."]));
    Some(Kit::new(&[text(&program)], folder))
}

/// What Go's own tools say against the receiver: nothing.
pub(super) fn check_go() {
    if version("go", "version").is_none() {
        skipped("Go receiver's form: there is no go here");
        return;
    }
    let badly = Command::new("gofmt").arg("-d").arg(source("go")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&badly.stdout), "", "not as gofmt writes it");
    done(Command::new("go").current_dir(source("go")).args(["vet", "."]));
}

/// Built as the tests are, where it is not yet.
pub(super) fn rust() -> Kit {
    let beside = Path::new(env!("CARGO_BIN_EXE_wirebell")).parent().unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    build.args(["build", "--quiet", "--locked", "--example", "receiver"]);
    if beside.ends_with("release") {
        build.arg("--release");
    }
    build.arg("--target-dir").arg(beside.parent().unwrap());
    done(&mut build);
    Kit::new(&[text(&beside.join("examples/receiver"))], tempfile::tempdir().unwrap())
}
