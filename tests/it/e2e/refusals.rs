//! What a browser sees where it is refused, and what other clients get.

use serde_json::Value;

use crate::e2e::Desk;
use crate::e2e::Process;
use crate::e2e::RULES;
use crate::e2e::wait_for;
use crate::e2e::wait_ready;
use crate::support::http::exchange;

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const TOKENS: &str = "tokens: [\"desk:read:the-token-of-the-desk\"]\n";
const DESK: (&str, &str) = ("authorization", "Bearer the-token-of-the-desk");

struct Refusing {
    _desk: Desk,
    process: Process,
}

/// What is asked for, who asks, the status, and what the page says.
type Row<'r> = (&'r str, &'r [(&'r str, &'r str)], u16, &'r [&'r str]);

impl Refusing {
    fn start(settings: &str) -> Self {
        let desk = Desk::with_settings(RULES, settings);
        let process = desk.run();
        wait_ready(&process.api());
        Self { _desk: desk, process }
    }

    fn ask(&self, line: &str, accept: &str, headers: &[(&str, &str)]) -> (u16, String, String) {
        let api = self.process.api();
        let address = api.strip_prefix("http://").unwrap();
        let (method, path) = line.split_once(' ').unwrap();
        let mut all = vec![("accept", accept)];
        if !headers.iter().any(|(name, _)| *name == "host") {
            all.push(("host", address));
        }
        all.extend_from_slice(headers);
        let answer = wait_for("an answer", || exchange(address, method, path, &all, b""));
        (answer.0, answer.1, String::from_utf8(answer.2).unwrap())
    }

    fn check(&self, rows: &[Row<'_>]) {
        for (line, headers, wanted, parts) in rows {
            let (status, head, page) = self.ask(line, BROWSER, headers);
            assert_eq!(status, *wanted, "{line}: {page}");
            assert!(head.contains("content-type: text/html"), "{line}: {head}");
            assert!(head.contains("content-security-policy: default-src 'self'"), "{line}: {head}");
            assert!(page.contains("<h1>") && page.contains("</html>"), "{line}: {page}");
            for part in *parts {
                assert!(page.contains(part), "{line}: no {part} in {page}");
            }
            let linked = parts.iter().any(|part| part.contains("/signin"));
            assert_eq!(page.contains("href=\"/signin"), linked, "{line}: {page}");
            for accept in ["application/json", "*/*", ""] {
                let (status, head, body) = self.ask(line, accept, headers);
                assert_eq!(status, *wanted, "{line}: {body}");
                assert!(head.contains("application/problem+json"), "{line} for {accept}: {head}");
                let body: Value = serde_json::from_str(&body).unwrap();
                assert_eq!(body["status"], *wanted);
            }
        }
    }
}

#[test]
fn a_browser_is_refused_with_a_page_that_says_what_is_missing() {
    let refusing = Refusing::start(TOKENS);
    refusing.check(&[
        (
            "GET /alerts?topic=a",
            &[],
            401,
            &[
                "a token with the scope read",
                "href=\"/signin?next=%2Falerts%3Ftopic%3Da\">Sign in<",
            ],
        ),
        ("GET /alerts", &[("authorization", "Bearer odd-odd-odd")], 401, &["not among", "/signin"]),
        (
            "GET /nowhere",
            &[],
            401,
            &["a token with the scope read", "href=\"/signin?next=%2Fnowhere\""],
        ),
        ("GET /nowhere", &[DESK], 404, &["there is nothing at /nowhere", "Signed in as"]),
        ("DELETE /signin", &[], 405, &["cannot be asked with DELETE"]),
    ]);
    let (status, _, page) = refusing.ask("GET /subscriptions", BROWSER, &[DESK]);
    assert_eq!(status, 403, "{page}");
    for part in ["lacks the scope subscribe", "Sign in with another token", "next=%2Fsubscriptions"]
    {
        assert!(page.contains(part), "{part} in {page}");
    }
    for path in ["/v1/alerts", "/v1/nowhere", "/metrics"] {
        let (status, head, _) = refusing.ask(&format!("GET {path}"), BROWSER, &[]);
        assert_eq!(status, 401, "{path}: {head}");
        assert!(head.contains("application/problem+json"), "{path}: {head}");
        assert!(head.contains("www-authenticate: bearer"), "{path}: {head}");
    }
}

#[test]
fn without_tokens_there_is_nothing_to_sign_in_to() {
    let refusing = Refusing::start("");
    refusing.check(&[
        ("GET /alerts", &[("host", "other.example")], 421, &["this name is not served"]),
        ("GET /nowhere%3Cb%3E", &[], 404, &["there is nothing at /nowhere"]),
        (
            "POST /alerts/alr_x/end",
            &[("origin", "https://evil.example")],
            403,
            &["a page of another site"],
        ),
    ]);
}
