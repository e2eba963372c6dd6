//! Where the commands of a page run: one shell for what runs to its end, and processes beside it.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Child;
use std::process::ChildStdin;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use crate::e2e::ask;
use crate::e2e::wait_for;
use crate::guides::page::Block;
use crate::guides::page::Page;
use crate::guides::root;
use crate::support::nats;

/// Longest wait for a block.
const PATIENCE: Duration = Duration::from_secs(150);
/// Printed behind each block.
const END: &str = "--- the block is over ---";

/// A terminal in a folder of its own. What a page calls by its usual port is on a free one.
pub(super) struct Terminal {
    folder: tempfile::TempDir,
    /// What stands in a page, and what stands for it here.
    places: Vec<(String, String)>,
    api: String,
    shell: Group,
    input: ChildStdin,
    output: mpsc::Receiver<String>,
    /// The lines it printed.
    printed: Vec<String>,
    service: Option<Group>,
    beside: Vec<Group>,
}

/// A process and all that it starts; killed with this value.
struct Group {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Terminal {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports = ["8080", "4222", "9000"].map(|usual| (usual, free_port()));
        let addresses = ports
            .iter()
            .map(|(usual, port)| (format!("127.0.0.1:{usual}"), format!("127.0.0.1:{port}")));
        let mut places: Vec<(String, String)> = addresses.collect();
        places.push((
            "--secret-file secret".to_owned(),
            format!("--port {} --secret-file secret", ports[2].1),
        ));
        places.push(("examples/".to_owned(), format!("{}/examples/", root().display())));
        let config = folder.path().join("config");
        std::fs::create_dir(&config).unwrap();
        let conf = std::fs::read_to_string(root().join("config/nats.conf")).unwrap();
        let store = folder.path().join("nats").display().to_string();
        let conf = conf.replace("0.0.0.0:4222", &places[1].1).replace("/data", &store);
        std::fs::write(config.join("nats.conf"), conf).unwrap();
        link_server(folder.path());
        let api = format!("http://{}", places[0].1);
        let mut shell = command(folder.path(), &api, "exec bash -seuo pipefail 2>&1");
        shell.env("PORT", ports[2].1.to_string());
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = shell.stdin.take().unwrap();
        let (lines, output) = mpsc::channel();
        let printed = BufReader::new(shell.stdout.take().unwrap());
        std::thread::spawn(move || {
            printed.lines().map_while(Result::ok).all(|line| lines.send(line).is_ok())
        });
        let shell = Group { child: shell, said: Arc::default() };
        let (printed, beside) = (Vec::new(), Vec::new());
        Self { folder, places, api, shell, input, output, printed, service: None, beside }
    }

    /// Puts the project's own settings, rules and sources where its reader has them.
    pub(super) fn in_the_project(self) -> Self {
        for name in ["wirebell.yaml", "rules.yaml", "sources.yaml", "subscriptions.yaml"] {
            let file = Path::new("config").join(name);
            std::fs::copy(root().join(&file), self.folder.path().join(&file)).unwrap();
        }
        self
    }

    fn here(&self, text: &str) -> String {
        self.places.iter().fold(text.to_owned(), |text, (usual, here)| text.replace(usual, here))
    }

    /// Runs a block to its end; each of its commands must succeed.
    pub(super) fn run(&mut self, block: &Block) {
        let text = self.here(&block.text);
        self.input.write_all(format!("{text}\necho\necho '{END}'\n").as_bytes()).unwrap();
        let begin = self.printed.len();
        let place = format!("{} in\n{text}\n", block.place);
        while self.next_line(&place, begin) != END {}
    }

    /// The next line that the shell prints, of those from this one on.
    fn next_line(&mut self, wanted: &str, begin: usize) -> &str {
        match self.output.recv_timeout(PATIENCE) {
            Ok(line) => self.printed.push(line),
            Err(error) => {
                let said = self.printed[begin..].join("\n");
                let ended = self.shell.child.try_wait().unwrap();
                panic!("{wanted}: {error}, {ended:?}; it said\n{said}\n{}", self.logs());
            }
        }
        &self.printed[self.printed.len() - 1]
    }

    /// Waits until a block, or what it left in the background, has printed this.
    pub(super) fn wait_until_printed(&mut self, part: &str) {
        if !self.printed.iter().any(|line| line.contains(part)) {
            while !self.next_line(part, 0).contains(part) {}
        }
    }

    /// Puts a file where the commands run.
    pub(super) fn with_file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    /// Starts what serves, in place of what served before.
    pub(super) fn serve(&mut self, block: &Block) {
        if let Some(mut before) = self.service.take() {
            before.stop();
        }
        let is_server = block.text.starts_with("nats-server");
        let group = Group::start(self.folder.path(), &self.api, &self.here(&block.text));
        if is_server {
            let group = self.keep(group);
            group.wait_for("Server is ready");
            return;
        }
        self.service = Some(group);
        self.wait_until_ready(block);
    }

    fn wait_until_ready(&self, block: &Block) {
        let url = format!("{}/readyz", self.api);
        let ready = || ask("GET", &url, "", b"").filter(|(status, _)| *status == 200);
        wait_for(&format!("{}: readiness", block.place), ready);
    }

    /// Starts each line of a block; only an api listens at the page's address.
    pub(super) fn start_each(&mut self, block: &Block) {
        let (settings, commands): (Vec<&str>, Vec<&str>) =
            block.text.lines().partition(|line| line.starts_with("export "));
        for command in commands {
            let listens = command.contains(" api");
            let before = if listens { "" } else { "unset WIREBELL_LISTEN" };
            let text = [&settings[..], &[before, command]].concat().join("\n");
            let group = Group::start(self.folder.path(), &self.api, &self.here(&text));
            let begun = if command.contains(" listen ") { "listening" } else { "Wirebell starts" };
            self.keep(group).wait_for(begun);
        }
    }

    /// Waits until something beside says this.
    pub(super) fn wait_for(&self, part: &str) {
        wait_for(part, || self.beside.iter().any(|g| g.log().contains(part)).then_some(()));
    }

    /// Starts three servers as the page says, and then the block.
    pub(super) fn cluster(&mut self, block: &Block, page: &Page) {
        let names = ["n1", "n2", "n3"];
        let ports = names.map(|_| (free_port(), free_port()));
        for (name, (client, cluster)) in names.iter().zip(ports) {
            let store = self.folder.path().join(name);
            let mut conf =
                page.files[0].replace("server_name: n1", &format!("server_name: {name}"));
            conf = conf.replace("/data", store.to_str().unwrap());
            conf = conf.replace("0.0.0.0:4222", &format!("127.0.0.1:{client}"));
            conf = conf.replace("0.0.0.0:6222", &format!("127.0.0.1:{cluster}"));
            for (peer, (_, cluster)) in names.iter().zip(ports) {
                conf = conf.replace(&format!("{peer}:6222"), &format!("127.0.0.1:{cluster}"));
            }
            let file = self.folder.path().join(format!("{name}.conf"));
            std::fs::write(&file, conf).unwrap();
            let start = format!("nats-server --config {name}.conf");
            let group = Group::start(self.folder.path(), &self.api, &start);
            self.keep(group).wait_for("Server is ready");
        }
        let text = names.iter().zip(ports).fold(block.text.clone(), |text, (name, (client, _))| {
            text.replace(&format!("{name}:4222"), &format!("127.0.0.1:{client}"))
        });
        if let Some(mut before) = self.service.take() {
            before.stop();
        }
        self.start_each(&Block { text, ..block.clone() });
        self.wait_until_ready(block);
    }

    fn keep(&mut self, group: Group) -> &Group {
        self.beside.push(group);
        &self.beside[self.beside.len() - 1]
    }

    fn logs(&self) -> String {
        let groups = self.service.iter().chain(&self.beside);
        groups.map(Group::log).collect::<Vec<_>>().join("\n---\n")
    }
}

/// The server program under its own name, beside the page's files.
fn link_server(folder: &Path) {
    let programs = folder.join("programs");
    std::fs::create_dir(&programs).unwrap();
    if !nats::is_off() && nats::binary().is_absolute() {
        std::os::unix::fs::symlink(nats::binary(), programs.join("nats-server")).unwrap();
    }
}

/// A shell for this text, in the terminal's folder.
fn command(folder: &Path, api: &str, text: &str) -> Command {
    let wirebell = Path::new(env!("CARGO_BIN_EXE_wirebell")).parent().unwrap().display();
    let rest = std::env::var_os("PATH").unwrap();
    let path = format!("{}/programs:{wirebell}:{}", folder.display(), rest.display());
    let listen = api.trim_start_matches("http://");
    let mut shell = Command::new("bash");
    shell.args(["-c", text]).current_dir(folder).process_group(0).stdin(Stdio::null());
    shell.env("PATH", path).env("WIREBELL_API", api).env("WIREBELL_LISTEN", listen);
    shell
}

impl Group {
    fn start(folder: &Path, api: &str, text: &str) -> Self {
        let mut shell = command(folder, api, &format!("exec 2>&1\n{text}"));
        let mut child = shell.stdout(Stdio::piped()).spawn().unwrap();
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = said.clone();
        let printed = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            printed.lines().map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line));
        });
        Self { child, said }
    }

    fn log(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    fn wait_for(&self, part: &str) {
        wait_for(part, || self.log().contains(part).then_some(()));
    }

    fn signal(&self, name: &str) {
        let group = format!("-{}", self.child.id());
        Command::new("kill").args([name, "--", &group]).status().unwrap();
    }

    /// Ends it as an operator does.
    fn stop(&mut self) {
        self.signal("-TERM");
        wait_for("a process to end", || self.child.try_wait().unwrap());
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.signal("-KILL");
            let _ = self.child.wait();
        }
    }
}
