//! Tokens that change while Wirebell runs.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;

use crate::e2e::Desk;
use crate::e2e::Process;
use crate::e2e::RULES;
use crate::e2e::reload::wait_for_part;
use crate::e2e::wait_for;
use crate::e2e::wait_ready;
use crate::support::http::exchange;

const BOSS: &str = "the-token-of-the-boss";
const FIRST: &str = "the-first-token-of-the-desk";
const SECOND: &str = "the-second-token-of-the-desk";

struct Followed {
    desk: Desk,
    process: Process,
}

impl Followed {
    /// The boss stands in the settings, the desk in a file.
    fn start() -> Self {
        let settings = format!("tokens: [\"boss:admin:{BOSS}\"]\ntokens_file: tokens\n");
        let desk = Desk::with_settings(RULES, &settings);
        std::fs::write(desk.path().join("tokens"), format!("desk:read:{FIRST}\n")).unwrap();
        let process = desk.run();
        wait_ready(&process.api());
        Self { desk, process }
    }

    fn write(&self, text: &str) {
        let beside = self.desk.path().join("beside");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, self.desk.path().join("tokens")).unwrap();
    }

    fn address(&self) -> String {
        self.process.api().strip_prefix("http://").unwrap().to_owned()
    }

    fn call(&self, path: &str, header: (&str, &str)) -> (u16, String, String) {
        let address = self.address();
        let headers = [("host", address.as_str()), header];
        let (status, head, body) =
            wait_for("an answer", || exchange(&address, "GET", path, &headers, b""));
        (status, head, String::from_utf8(body).unwrap())
    }

    fn by(&self, token: &str) -> u16 {
        self.call("/v1/topics", ("authorization", &format!("Bearer {token}"))).0
    }

    /// The cookie of who signs in.
    fn sign_in(&self, token: &str) -> String {
        let address = self.address();
        let headers =
            [("host", address.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        let form = format!("token={token}");
        let (status, head, _) =
            exchange(&address, "POST", "/signin", &headers, form.as_bytes()).unwrap();
        assert_eq!(status, 303, "{head}");
        let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    /// Listens to events, once somebody answers.
    fn listen(&self, token: &str) -> TcpStream {
        let address = self.address();
        let mut stream = TcpStream::connect(&address).unwrap();
        let head = format!(
            "GET /v1/events HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             accept: text/event-stream\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        stream
    }

    fn metric(&self) -> String {
        let boss = format!("Bearer {BOSS}");
        let text = self.call("/metrics", ("authorization", &boss)).2;
        let name = "wirebell_config_last_reload_successful{file=\"tokens\"} ";
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned()
    }
}

#[test]
fn tokens_follow_their_file_and_what_is_taken_back_ends_at_once() {
    let followed = Followed::start();
    let api = followed.process.api();
    let cookie = followed.sign_in(FIRST);
    let mut listening = followed.listen(FIRST);
    let mut boss = followed.listen(BOSS);
    assert_eq!((followed.by(FIRST), followed.by(SECOND), followed.by(BOSS)), (200, 401, 200));
    assert_eq!(followed.call("/v1/topics", ("cookie", &cookie)).0, 200);
    assert_eq!(followed.metric(), "1");

    followed.write(&format!("desk:read:{SECOND}\n"));
    wait_for("the new token", || (followed.by(SECOND) == 200).then_some(()));
    assert_eq!((followed.by(FIRST), followed.by(BOSS)), (401, 200));
    assert_eq!(followed.call("/v1/topics", ("cookie", &cookie)).0, 401, "its sessions end too");
    let mut rest = Vec::new();
    listening.read_to_end(&mut rest).unwrap();
    assert!(String::from_utf8(rest).unwrap().ends_with("0\r\n\r\n"), "what it listens to ends");

    followed.write("desk:reed:a-secret-that-nobody-tells\n");
    let part = wait_for_part(&api, "config.tokens", "reed").to_string();
    assert!(part.contains("the running tokens stay") && part.contains("degraded"), "{part}");
    assert_eq!((followed.by(SECOND), followed.metric().as_str()), (200, "0"));
    std::fs::remove_file(followed.desk.path().join("tokens")).unwrap();
    wait_for_part(&api, "config.tokens", "cannot read tokens");
    assert_eq!((followed.by(SECOND), followed.by(BOSS)), (200, 200));

    followed.write(&format!("boss:read:{FIRST}\n"));
    wait_for_part(&api, "config.tokens", "two tokens have the name");
    assert_eq!((followed.by(FIRST), followed.by(BOSS)), (401, 200));

    followed.write("# nobody\n");
    wait_for_part(&api, "config.tokens", "\"ready\"");
    assert_eq!((followed.by(SECOND), followed.by(BOSS)), (401, 200));
    assert_eq!(followed.metric(), "1");
    assert!(boss.set_nonblocking(true).is_ok());
    let mut some = [0; 4096];
    while let Ok(read) = boss.read(&mut some) {
        assert!(read > 0, "whoever stays listens on");
    }
    let log = followed.process.log();
    assert!(log.contains("Tokens reloaded") && !log.contains("nobody-tells"), "{log}");
}

#[test]
fn where_the_last_token_is_taken_back_nobody_may_ask_and_the_first_one_closes_the_door() {
    let desk = Desk::with_settings(RULES, "tokens_file: tokens\n");
    let path = desk.path().join("tokens");
    std::fs::write(&path, "").unwrap();
    let process = desk.run();
    let api = process.api();
    wait_ready(&api);
    let followed = Followed { desk, process };
    let open = ("accept", "application/json");
    assert_eq!(followed.call("/v1/topics", open).0, 200);
    followed.write(&format!("desk:read:{FIRST}\n"));
    wait_for("the door to close", || (followed.call("/v1/topics", open).0 == 401).then_some(()));
    assert_eq!(followed.by(FIRST), 200);
    followed.write("");
    wait_for("nobody", || (followed.by(FIRST) == 401).then_some(()));
    assert_eq!(followed.call("/v1/topics", open).0, 401, "it does not open again");
    let log = followed.process.log();
    assert!(log.contains("No token is left: nobody may ask the API"), "{log}");
}
