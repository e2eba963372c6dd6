//! The two-minute start of `docs/webhooks.md`, as it is written there but for the ports.

use std::io::BufRead;
use std::io::BufReader;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use crate::e2e::Desk;
use crate::e2e::Process;
use crate::e2e::RULES;
use crate::e2e::wait_ready;

const PAGE: &str = include_str!("../../../docs/webhooks.md");

/// The shell blocks below the heading.
fn blocks() -> Vec<&'static str> {
    let (_, start) = PAGE.split_once("## Start in two minutes").unwrap();
    let (start, _) = start.split_once("\n## ").unwrap();
    start.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

#[test]
fn the_two_minute_start_of_the_page_ends_with_a_verified_test_event() {
    let [run, begin, push] = blocks().try_into().unwrap();
    let desk = Desk::with_settings(RULES, "");
    let words: Vec<&str> = run.split_whitespace().skip(1).collect();
    assert_eq!(words[0], "run", "{run}");
    let process =
        Process::start(desk.command(&[&words[..], &["--listen", "127.0.0.1:0"]].concat()));
    let api = process.api();
    wait_ready(&api);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let connect = format!("import socket; socket.create_connection(('127.0.0.1', {port}))");
    let listens = format!("until python3 -c \"{connect}\" 2>/dev/null; do :; done");
    // A command that fails ends the receiver, and with it the pipe that is read below.
    let script = ["set -e\ntrap 'kill $!' EXIT\n", begin, push, "wait\n"].concat();
    let script = script.replace("127.0.0.1:9000", &format!("127.0.0.1:{port}"));
    let script = script
        .replace("examples/receivers", root.join("examples/receivers").to_str().unwrap())
        .replace("sleep 1", &listens)
        .replace("Air raid sirens", "A siren, air raid sirens");
    let binary = Path::new(env!("CARGO_BIN_EXE_wirebell")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var_os("PATH").unwrap().display());
    let mut shell = Command::new("sh");
    shell.current_dir(desk.path()).args(["-c", &script]).process_group(0);
    shell.env("PATH", path).env("WIREBELL_API", &api).env("PORT", port.to_string());
    shell.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    let mut missing = vec!["\"test.ping\"", "delivered with status 204", "\"alert.opened\""];
    let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines().map_while(Result::ok);
    while !missing.is_empty() {
        let line = lines.next().unwrap_or_else(|| panic!("nothing said {missing:?}"));
        missing.retain(|part| !line.contains(part));
    }
    let group = format!("-{}", shell.id());
    Command::new("kill").args(["-KILL", "--", &group]).status().unwrap();
    shell.wait().unwrap();
}
