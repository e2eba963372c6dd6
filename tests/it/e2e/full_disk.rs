//! A disk that is used up under a running process: what is acknowledged stays, the rest is refused
//! with a remedy, and work goes on when there is space.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use serde_json::json;

use crate::e2e::Desk;
use crate::e2e::Process;
use crate::e2e::RULES;
use crate::e2e::Receiver;
use crate::e2e::ask;
use crate::e2e::subscribe;
use crate::e2e::wait_for;
use crate::e2e::wait_ready;

/// Mounts a small disk on the folder that follows and runs the command that follows it.
const ON_A_SMALL_DISK: &str = "mount -t tmpfs -o size=24m none \"$0\" && exec \"$@\"";
/// Runs a command none of whose files can grow beyond 3 MB (6,144 blocks of 512 bytes).
const WITH_SMALL_FILES: &str = "trap '' XFSZ; ulimit -f 6144 && exec \"$@\"";

/// Pushes articles one by one, each of a source and thus an alert of its own.
struct Pusher {
    api: String,
    number: usize,
    acknowledged: BTreeSet<String>,
}

impl Pusher {
    fn new(api: String) -> Self {
        Self { api, number: 0, acknowledged: BTreeSet::new() }
    }

    /// Pushes one; answers what was said if it was refused. None where nobody answers.
    fn push(&mut self) -> Option<Result<(), (u16, Value)>> {
        let source = format!("paper-{}", self.number);
        let body = json!({
            "title": "The siren sounds",
            "body": "Nothing else was heard in the town that day. ".repeat(200),
            "source": source,
        });
        let url = format!("{}/v1/articles?as_new=true", self.api);
        let (status, said) = ask("POST", &url, "application/json", body.to_string().as_bytes())?;
        if status != 202 {
            return Some(Err((status, said)));
        }
        self.acknowledged.insert(source);
        self.number += 1;
        Some(Ok(()))
    }

    fn push_until_refused(&mut self) -> Option<(u16, Value)> {
        loop {
            match self.push()? {
                Ok(()) => assert!(self.number < 10_000, "nothing is ever refused"),
                Err(refused) => return Some(refused),
            }
        }
    }
}

/// The sources whose article rang.
fn rung(receiver: &Receiver, count: usize) -> BTreeSet<String> {
    let hooks = receiver.wait_for(count);
    let bodies = hooks.values().map(|repeats| repeats[0].json());
    bodies.map(|body| body["data"]["articles"][0]["source"].as_str().unwrap().to_owned()).collect()
}

/// How this machine lets a test mount a disk of its own; says so if it does not.
fn namespace() -> Option<&'static str> {
    let works = |flags: &&str| {
        let mut command = Command::new("unshare");
        let probe = command.args([flags, "sh", "-c", "mount -t tmpfs none /tmp"]).output();
        probe.is_ok_and(|output| output.status.success())
    };
    let found = ["-m", "-rm"].into_iter().find(works);
    if found.is_none() {
        // Not the macro, whose output the test harness hides where a test passes.
        let said = b"SKIPPED a full disk: unshare makes no mount namespace here; only files that \
                     cannot grow are tested\n";
        std::io::stderr().write_all(said).unwrap();
    }
    found
}

/// `run` below a shell that prepares its world.
fn below(shell: &[&str], desk: &Desk) -> Process {
    let run = desk.command(&["run", "--listen", "127.0.0.1:0"]);
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).arg(desk.path().join("data"));
    command.arg(run.get_program()).args(run.get_args()).current_dir(desk.path());
    for (name, value) in run.get_envs() {
        command.env(name, value.unwrap());
    }
    Process::start(command)
}

/// Takes what space is left.
fn fill(ballast: &PathBuf) {
    let mut file = std::fs::File::create(ballast).unwrap();
    for block in [vec![0; 1 << 16], vec![0; 1]] {
        while file.write_all(&block).is_ok() {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_acks_until_there_is_space_and_loses_nothing() {
    let _alone = crate::e2e::HEAVY.lock().await;
    let Some(flags) = namespace() else { return };
    let desk = Desk::new(RULES);
    std::fs::create_dir(desk.path().join("data")).unwrap();
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let mut process = below(&["unshare", flags, "sh", "-c", ON_A_SMALL_DISK], &desk);
    let api = process.api();
    wait_ready(&api);
    subscribe(&api, &url);
    let mut pusher = Pusher::new(api.clone());
    pusher.push().unwrap().unwrap();
    // The small disk as the process sees it.
    let disk = format!("/proc/{}/root{}", process.id(), desk.path().join("data").display());
    let ballast = PathBuf::from(disk).join("ballast");
    fill(&ballast);
    let (status, said) = pusher.push_until_refused().expect("the process lives");
    assert_eq!(status, 507, "{said}");
    assert!(said["detail"].as_str().unwrap().contains("free some space"), "{said}");
    let shown = wait_for("/readyz to show it", || {
        ask("GET", &format!("{api}/readyz?verbose"), "", b"").filter(|(status, _)| *status == 503)
    });
    assert!(shown.1.to_string().contains("free some space"), "{}", shown.1);
    std::fs::remove_file(&ballast).unwrap();
    wait_for("an accepted push", || pusher.push().unwrap().ok());
    wait_ready(&api);
    assert_eq!(rung(&receiver, pusher.acknowledged.len()), pusher.acknowledged);
    assert_eq!(process.stop(), Some(0), "{}", process.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_cannot_grow_ends_the_process_and_loses_nothing() {
    let _alone = crate::e2e::HEAVY.lock().await;
    let desk = Desk::new(RULES);
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let mut process = below(&["sh", "-c", WITH_SMALL_FILES], &desk);
    let api = process.api();
    wait_ready(&api);
    subscribe(&api, &url);
    let mut pusher = Pusher::new(api);
    if let Some((status, said)) = pusher.push_until_refused() {
        assert!([500, 503, 507].contains(&status), "{status} {said}");
    }
    assert_eq!(process.exit_code(), Some(1), "{}", process.log());
    assert!(process.log().contains("embedded store"), "{}", process.log());
    let process = desk.run();
    pusher.api = process.api();
    wait_ready(&pusher.api);
    pusher.push().unwrap().unwrap();
    assert_eq!(rung(&receiver, pusher.acknowledged.len()), pusher.acknowledged);
}
