//! How far long work is, for whoever looks on, and for nobody else.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::process::Stdio;

use crate::e2e::Desk;
use crate::support::pty;

/// Answers one push of an article that is known already; the body is read before.
fn answer(stream: TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(given) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = given.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    let body =
        r#"{"accepted": [{"id": "art_a", "revision": 1, "status": "known"}], "rejected": []}"#;
    let head = "HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\nconnection: close";
    let mut stream = reader.into_inner();
    write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
}

/// Two files, and an API that answers the second when it may.
fn pushing() -> (Desk, TcpListener, Vec<String>) {
    let desk = Desk::new("");
    for name in ["one.txt", "two.txt"] {
        std::fs::write(desk.path().join(name), "A siren\n\nAt noon.\n").unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let api = format!("http://{}", listener.local_addr().unwrap());
    let args = ["push", "one.txt", "two.txt", "--api", &api].map(str::to_owned).to_vec();
    (desk, listener, args)
}

/// What a terminal shows, once this is part of it.
fn shown(screen: &mut impl Read, awaited: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(awaited) {
        let mut bytes = [0; 1024];
        let read = screen.read(&mut bytes).unwrap();
        seen.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    seen
}

/// What it shows until nobody writes to it any more.
fn left(mut screen: impl Read) -> String {
    let mut rest = Vec::new();
    // The end of a terminal is an error to whoever reads it.
    let _ = screen.read_to_end(&mut rest);
    String::from_utf8(rest).unwrap()
}

#[test]
fn a_count_stands_on_the_terminal_while_work_goes_on_and_is_gone_at_the_end() {
    let (desk, listener, args) = pushing();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (mut screen, theirs) = pty::terminal(80);
    let data = std::fs::File::create(desk.path().join("data")).unwrap();
    let mut command = desk.command(&args);
    command.stdin(Stdio::null()).stdout(data).stderr(theirs);
    let mut child = command.spawn().unwrap();
    drop(command);
    answer(listener.accept().unwrap().0);
    let held = listener.accept().unwrap().0;
    // The second file is not answered before its count is seen.
    let mut seen = shown(&mut screen, "1 of 2 files, 50 %, about ");
    answer(held);
    seen.push_str(&left(screen));
    assert_eq!(child.wait().unwrap().code(), Some(0), "{seen:?}");
    assert!(seen.ends_with("\r\u{1b}[K"), "{seen:?}");
    assert!(!seen.contains('\n'), "one line: {seen:?}");
    let data = std::fs::read_to_string(desk.path().join("data")).unwrap();
    assert_eq!(data, "one.txt: known art_a\ntwo.txt: known art_a\n");
}

#[test]
fn nobody_looks_on_at_a_pipe() {
    let desk = Desk::new("");
    let article =
        |n: usize| format!("{{\"id\": \"{n}\", \"title\": \"Siren {n}\", \"body\": \"\"}}\n");
    let articles: String = (0..3_000).map(article).collect();
    std::fs::write(desk.path().join("a.jsonl"), articles).unwrap();
    std::fs::write(desk.path().join("r.yaml"), crate::e2e::RULES).unwrap();
    let args = ["backtest", "--rules", "r.yaml", "--articles", "a.jsonl"];
    let done = desk.command(&args).output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(
        said.ends_with(
            " events from 3000 articles, 3000 without a date, taken after the one before\n"
        ),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    // Data that goes to another program: it may write to the same terminal.
    let (shown, data) = pty::talked(desk.command(&args), 80);
    assert!(!shown.contains('\r') && !shown.contains('%'), "{shown:?}");
    assert_eq!(data, done.stdout);
}

#[test]
fn data_on_the_same_terminal_stands_clear_of_the_count() {
    let (desk, listener, args) = pushing();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (mut screen, theirs) = pty::terminal(80);
    let mut command = desk.command(&args);
    command.stdin(Stdio::null()).stdout(theirs.try_clone().unwrap()).stderr(theirs);
    let mut child = command.spawn().unwrap();
    drop(command);
    let held = listener.accept().unwrap().0;
    let mut seen = shown(&mut screen, "0 of 2 files, 0 %");
    answer(held);
    answer(listener.accept().unwrap().0);
    seen.push_str(&left(screen));
    child.wait().unwrap();
    assert!(seen.contains("\r\u{1b}[Kone.txt: known art_a\n"), "{seen:?}");
}
