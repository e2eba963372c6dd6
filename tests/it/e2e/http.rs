//! What surrounds every answer: problems, ids of requests, limits of time, compression.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;

use serde_json::Value;
use serde_json::json;

use crate::e2e::Desk;
use crate::e2e::Process;
use crate::e2e::RULES;
use crate::e2e::ask;
use crate::e2e::wait_for;
use crate::e2e::wait_ready;
use crate::support::http::exchange;

struct Asked {
    _desk: Desk,
    process: Process,
    address: String,
}

impl Asked {
    fn start(settings: &str) -> Self {
        let desk = Desk::with_settings(RULES, settings);
        let process = desk.run();
        let api = process.api();
        wait_ready(&api);
        let address = api.strip_prefix("http://").unwrap().to_owned();
        Self { _desk: desk, process, address }
    }

    fn send(
        &self,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (u16, String, Vec<u8>) {
        let headers = [&[("host", self.address.as_str())], headers].concat();
        exchange(&self.address, method, path, &headers, body)
            .unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    /// Sends bytes as they are and reads until the connection is closed.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// Method and path, headers, body, and the status it is answered with.
type Row<'r> = ((&'r str, &'r str), &'r [(&'r str, &'r str)], &'r [u8], u16);

#[test]
fn whatever_is_wrong_with_a_request_is_told_with_a_problem() {
    let asked = Asked::start("");
    let json = [("content-type", "application/json")];
    let zipped = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let large = vec![b' '; 2 << 20];
    let rows: Vec<Row<'_>> = vec![
        (("GET", "/v1/alerts/%ff"), &[], b"", 404),
        (("GET", "/v1/subscriptions/%00%2f..%2f"), &[], b"", 404),
        (("GET", "/subscriptions/%ff"), &[("accept", "application/json")], b"", 404),
        (("GET", "/assets/%ff"), &[], b"", 404),
        (("GET", "/assets/nothing.css"), &[], b"", 404),
        (("GET", "/v1/alerts?limit=%ff"), &[], b"", 400),
        (("GET", "/v1/alerts?limit=1&limit=2"), &[], b"", 400),
        (("GET", "/v1/alerts?limit=99999999999999999999999"), &[], b"", 400),
        (("GET", "/nowhere"), &[], b"", 404),
        (("GET", "/v1/alerts/"), &[], b"", 404),
        (("OPTIONS", "/v1/alerts"), &[], b"", 405),
        (("POST", "/v1/subscriptions"), &json, b"{\"url\": ", 400),
        (("POST", "/v1/subscriptions"), &json, b"\xff\xfe", 400),
        (("POST", "/v1/subscriptions"), &[("content-type", "\u{e9}")], b"{}", 422),
        (("POST", "/v1/subscriptions"), &[("content-type", "text/html")], b"{}", 415),
        (("POST", "/v1/subscriptions"), &zipped, b"{}", 415),
        (("POST", "/v1/subscriptions"), &json, &large, 413),
        (("POST", "/v1/rules/try"), &json, &large, 413),
        (("POST", "/signin"), &json, b"{}", 415),
        (("POST", "/theme"), &[], b"theme=none", 415),
    ];
    for ((method, path), headers, body, wanted) in rows {
        let (status, head, told) = asked.send((method, path), headers, body);
        assert_eq!(status, wanted, "{method} {path}: {head}");
        let kind = header(&head, "content-type").unwrap_or_default();
        let page = path.starts_with("/subscriptions") || path == "/theme";
        if page {
            assert!(kind.starts_with("text/html"), "{method} {path}: {head}");
            continue;
        }
        assert_eq!(kind, "application/problem+json", "{method} {path}: {head}");
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!(told["status"], wanted, "{method} {path}: {told}");
        assert_eq!(header(&head, "allow").is_some(), wanted == 405, "{method} {path}: {head}");
    }
    let (_, head, _) = asked.send(("DELETE", "/v1/subscriptions"), &[], b"");
    assert_eq!(header(&head, "allow"), Some("post,get,head"), "{head}");
}

#[test]
fn what_is_no_request_is_told_with_a_problem_too() {
    let asked = Asked::start("");
    let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(70_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200));
    for (bytes, status) in [
        (&b"NO REQUEST AT ALL\r\n\r\n"[..], 400),
        (b"GET /livez HTTP/1.1\r\nhost: a\r\nbad header: x\r\n\r\n", 400),
        (b"POST /v1/articles HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nhost: \0\r\n\r\n", 400),
        (long.as_bytes(), 414),
        (many.as_bytes(), 431),
    ] {
        let answer = asked.raw(bytes);
        let shown = bytes.get(..60).unwrap_or(bytes).escape_ascii();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown}: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("content-type: application/problem+json"), "{shown}: {head}");
        let told: Value = serde_json::from_str(body).unwrap();
        assert_eq!(told["status"], status, "{shown}: {told}");
    }
}

#[test]
fn each_answer_names_its_request_and_the_log_names_it_too() {
    let asked = Asked::start("tokens: [\"desk:admin:a-token-of-the-desk\"]\n");
    let token = ("authorization", "Bearer a-token-of-the-desk");
    let (status, head, _) = asked.send(("GET", "/livez"), &[], b"");
    assert_eq!((status, header(&head, "x-request-id").unwrap().len()), (200, 32), "{head}");
    let (status, head, _) = asked.send(("GET", "/v1/alerts"), &[("x-request-id", "nobody")], b"");
    assert_eq!((status, header(&head, "x-request-id")), (401, Some("nobody")), "{head}");
    let id = "desk-7.b_c";
    let body = json!({"url": "https://desk.example/hook", "topics": ["*"]}).to_string();
    let headers = [token, ("x-request-id", id), ("content-type", "application/json")];
    let made = asked.send(("POST", "/v1/subscriptions"), &headers, body.as_bytes());
    assert_eq!((made.0, header(&made.1, "x-request-id")), (201, Some(id)), "{}", made.1);
    let line = wait_for("the line of the change", || {
        let log = asked.process.log();
        log.lines().find(|line| line.contains("Changed by hand")).map(str::to_owned)
    });
    assert!(line.contains(id), "{line}");
    let long = "x".repeat(65);
    for bad in ["a b", long.as_str()] {
        let (_, head, _) = asked.send(("GET", "/livez"), &[("x-request-id", bad)], b"");
        assert_eq!(header(&head, "x-request-id").unwrap().len(), 32, "{bad}: {head}");
    }
}

#[test]
fn a_body_that_stops_is_not_waited_for_longer_than_a_request_may_take() {
    let asked = Asked::start("request_timeout: 1s\n");
    let head = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             content-length: 100\r\n\r\n{{\"article\": ",
            asked.address
        )
    };
    let answer = asked.raw(head("/v1/rules/try").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(ask("GET", &format!("{}/livez", asked.process.api()), "", b"").unwrap().0, 200);
}

#[test]
fn a_long_answer_is_compressed_for_those_who_take_it() {
    let asked = Asked::start("");
    let plain = asked.send(("GET", "/openapi.json"), &[], b"");
    assert!(header(&plain.1, "content-encoding").is_none(), "{}", plain.1);
    assert!(header(&plain.1, "vary").unwrap().contains("accept-encoding"), "{}", plain.1);
    let zipped = asked.send(("GET", "/openapi.json"), &[("accept-encoding", "gzip")], b"");
    assert_eq!(header(&zipped.1, "content-encoding"), Some("gzip"), "{}", zipped.1);
    assert!(zipped.2.len() * 4 < plain.2.len(), "{} of {}", zipped.2.len(), plain.2.len());
    let mut read = Vec::new();
    flate2::read::GzDecoder::new(&zipped.2[..]).read_to_end(&mut read).unwrap();
    assert!(read == plain.2);
    let small = asked.send(("GET", "/v1/sources"), &[("accept-encoding", "gzip")], b"");
    assert!(header(&small.1, "content-encoding").is_none(), "{}", small.1);
}
