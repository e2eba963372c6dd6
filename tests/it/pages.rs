//! The dashboard as a browser without script sees it.

mod axe;
mod browser;
mod devtools;

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;
use wirebell::model::token::Scopes;
use wirebell::model::token::make;

use crate::e2e::Desk;
use crate::e2e::Process;
use crate::e2e::RULES;
use crate::e2e::ask;
use crate::e2e::flow::push_all;
use crate::e2e::wait_for;
use crate::e2e::wait_ready;
use crate::support::http::exchange;

/// Every page without a name in its address.
pub(crate) const PAGES: [&str; 7] =
    ["/", "/alerts", "/playground", "/subscriptions", "/sources", "/pipeline", "/backtest"];

/// Largest page of a small store.
const MAX_PAGE: usize = 60_000;

const FORM: &str = "application/x-www-form-urlencoded";

/// A process and its pages.
pub(crate) struct Site {
    _process: Process,
    pub(crate) api: String,
    pub(crate) desk: Desk,
}

/// An answer: status, head in small letters, text.
type Page = (u16, String, String);

impl Site {
    pub(crate) fn open(rules: &str) -> Self {
        Self::of(Desk::new(rules))
    }

    fn of(desk: Desk) -> Self {
        let process = desk.run();
        let api = process.api();
        wait_ready(&api);
        Self { _process: process, api, desk }
    }

    pub(crate) fn call(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Page {
        let address = self.api.strip_prefix("http://").unwrap();
        let (method, path) = line.split_once(' ').unwrap();
        let mut all = vec![("host", address), ("content-type", FORM)];
        all.extend_from_slice(headers);
        let (status, head, body) =
            wait_for("an answer", || exchange(address, method, path, &all, body.as_bytes()));
        (status, head, String::from_utf8_lossy(&body).into_owned())
    }

    fn page(&self, path: &str) -> String {
        let (status, head, text) = self.call(&format!("GET {path}"), &[], "");
        assert_eq!(status, 200, "{path}: {text}");
        assert_dressed(path, &head);
        text
    }

    /// A form sent from a page of our own.
    fn send(&self, path: &str, form: &str) -> Page {
        self.call(&format!("POST {path}"), &[("origin", &self.api)], form)
    }

    fn json(&self, path: &str) -> Value {
        let (status, answer) = ask("GET", &format!("{}{path}", self.api), "", b"").unwrap();
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Pushes articles; answers the ids of the alerts once there are so many.
    pub(crate) fn alerts(&self, articles: &[Value], count: usize) -> Vec<String> {
        push_all(|| self.api.clone(), articles, articles.len());
        wait_for("the alerts", || {
            let listed = self.json("/v1/alerts?limit=1000");
            let all = listed["data"].as_array().unwrap().iter();
            let ids: Vec<String> = all.map(|a| a["id"].as_str().unwrap().to_owned()).collect();
            (ids.len() >= count).then_some(ids)
        })
    }

    /// The newest article.
    pub(crate) fn article(&self) -> String {
        self.json("/v1/articles")["data"][0]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn subscription(&self) -> String {
        crate::e2e::subscribe(&self.api, "http://127.0.0.1:9000/hook").0
    }
}

fn assert_dressed(path: &str, head: &str) {
    for wanted in [
        "content-security-policy: default-src 'self'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'; object-src 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: same-origin",
        "cache-control: no-store",
    ] {
        assert!(head.contains(wanted), "{path}: no {wanted} in {head}");
    }
}

/// Nothing that the policy forbids: it would not work, and hides that somebody got in.
fn assert_plain(path: &str, page: &str) {
    // What others write may say so too, but then its quotation marks are escaped.
    for banned in ["\" style=", "<style", "javascript:", "\" onclick=", "\" onload=", "' onload="] {
        assert!(!page.contains(banned), "{path}: {banned} in {page}");
    }
    let scripts = page.matches("<script").count();
    let ours = page.matches("<script type=\"module\" src=\"/assets/").count();
    assert_eq!(scripts, ours, "{path}: a script of its own in {page}");
    for wanted in ["<main id=\"main\"", "class=\"skip\"", "<h1>", "lang=\"en\"", "<nav "] {
        assert!(page.contains(wanted), "{path}: no {wanted}");
    }
    assert_eq!(page.matches("<h1").count(), 1, "{path}: one first heading");
}

pub(crate) fn hostile() -> Vec<Value> {
    let titles = [
        "Siren <script>alert(1)</script>".to_owned(),
        "Siren \" onload=x '>&amp;".to_owned(),
        "Siren \u{202e}gpj.exe\u{202c} \u{2067}x\u{2069}".to_owned(),
        format!("Siren {}", "x".repeat(1_900)),
        "Siren {{ frame }} {% include %}".to_owned(),
    ];
    let article = |(n, title): (usize, &String)| {
        json!({"title": title, "id": n.to_string(), "source": format!("<b>paper-{n}"),
            "url": "javascript:alert(1)",
            "body": format!("</textarea><script>alert(2)</script> siren {}", "y".repeat(10_000))})
    };
    titles.iter().enumerate().map(article).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_shows_an_empty_store_and_a_hostile_one_as_text() {
    let site = Site::open(RULES);
    for path in PAGES {
        let page = site.page(path);
        assert_plain(path, &page);
        assert!(page.len() <= MAX_PAGE, "{path}: {} bytes", page.len());
    }
    let alerts = site.alerts(&hostile(), 5);
    let subscription = site.subscription();
    let article = site.article();
    let mut paths: Vec<String> = PAGES.map(str::to_owned).to_vec();
    paths.extend(alerts.iter().map(|id| format!("/alerts/{id}")));
    paths.push(format!("/subscriptions/{subscription}"));
    paths.push(format!("/playground?article={article}"));
    for path in &paths {
        let page = site.page(path);
        assert_plain(path, &page);
        assert!(!page.contains("alert(1)</script>"), "{path}");
        let outside = page.split("<textarea").map(|part| match part.split_once("</textarea>") {
            Some((_, after)) => after,
            None => part,
        });
        assert!(outside.clone().all(|text| !text.contains('\u{202e}')), "{path}");
    }
    let list = site.page("/alerts");
    for wanted in [
        "<mark>Siren</mark> &lt;script&gt;alert(1)&lt;/script&gt;",
        "[U+202E]gpj.exe[U+202C]",
        "&lt;b&gt;paper-0",
        "{{ frame }}",
    ] {
        assert!(list.contains(wanted), "{wanted} in {list}");
    }
    let row = site.call(&format!("GET /alerts/{}/row?q=nowhere", alerts[0]), &[], "");
    assert_eq!((row.0, row.2.as_str()), (204, ""));
    let row = site.page(&format!("/alerts/{}/row", alerts[0]));
    assert!(row.trim_start().starts_with("<li class=\"alert") && row.contains("<mark>"), "{row}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pipeline_tells_where_the_canary_is_and_how_files_were_read() {
    let plain = Site::open(RULES);
    let page = plain.page("/pipeline");
    assert!(!page.contains("id=\"canary\""), "none flies: {page}");
    for file in ["rules", "sources", "subscriptions"] {
        let read = format!("<dt>{file}</dt><dd><span class=\"good\">✓ read</span> <time ");
        assert!(page.contains(&read), "{file}: {page}");
    }
    assert!(!page.contains("<dt>tokens</dt>"), "no file of tokens is named: {page}");
    crate::e2e::reload::replace(&plain.desk, "rules.yaml", "version: 1\nrules: [{id: <b>}]\n");
    let page = wait_for("the refusal", || {
        Some(plain.page("/pipeline")).filter(|page| page.contains("✗ refused</span> <time "))
    });
    for part in ["rules.yaml:2:", "&lt;b&gt;", "What runs was read <time "] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let settings = "egress: {allow: [127.0.0.0/8]}\ncanary: {every: 60s, within: 5s}\n";
    let site = Site::of(Desk::with_settings(RULES, settings));
    assert!(site.page("/pipeline").contains("<dt>Next one</dt><dd><time "));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let body =
        json!({"url": format!("http://{nobody}/"), "topics": ["canary"], "natures": ["test"]});
    let url = format!("{}/v1/subscriptions", site.api);
    let (status, made) =
        ask("POST", &url, "application/json", body.to_string().as_bytes()).unwrap();
    assert_eq!(status, 201, "{made}");
    let late =
        "<span class=\"bad\">✗</span> late: it hangs at the notifier: 1 endpoint has not got it";
    let page = wait_for("a canary that hangs", || {
        Some(site.page("/pipeline")).filter(|page| page.contains(late))
    });
    assert!(page.contains("<dt>Last sent</dt><dd><time "), "{page}");
    let board = ask("GET", &format!("{}/readyz?verbose", site.api), "", b"").unwrap().1;
    assert!(board.to_string().contains("it did not reach 1 of 1 endpoints"), "{board}");
}

/// Addresses of this host that a page leads to.
fn links(page: &str) -> BTreeSet<String> {
    let targets = ["href=\"/", "src=\"/"].into_iter().flat_map(|start| {
        page.match_indices(start).filter_map(move |(at, _)| {
            let rest = page.get(at + start.len() - 1..)?;
            rest.split('"').next().map(|target| target.replace("&amp;", "&"))
        })
    });
    targets.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_link_leads_somewhere() {
    let site = Site::open(RULES);
    site.alerts(&hostile()[..2], 2);
    site.subscription();
    let (mut known, mut open) = (BTreeSet::new(), vec!["/".to_owned()]);
    while let Some(path) = open.pop() {
        let (status, head, page) = site.call(&format!("GET {path}"), &[], "");
        assert_eq!(status, 200, "{path}: {page}");
        if head.contains("content-type: text/html") {
            open.extend(links(&page).into_iter().filter(|link| known.insert(link.clone())));
        }
    }
    for wanted in ["/alerts/alr_", "/subscriptions/sub_", "/playground?article=", "/assets/live.js"]
    {
        assert!(known.iter().any(|link| link.starts_with(wanted)), "{wanted} among {known:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_work_without_script_and_not_from_another_site() {
    let site = Site::open(RULES);
    let (status, head, made) =
        site.send("/subscriptions", "url=http%3A%2F%2F127.0.0.1%3A9000%2Fhook&topics=*&keys=");
    assert_eq!(status, 201, "{made}");
    assert!(made.contains("whsec_"), "the secret is shown this once: {made}");
    let place = head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    let page = site.page(place);
    assert!(!page.contains("whsec_") && page.contains("http://127.0.0.1:9000/hook"), "{page}");
    for (action, shown) in
        [("pause", "paused by its owner"), ("resume", "Resumed"), ("test", "test")]
    {
        let foreign = [("origin", "https://evil.example")];
        let refused = site.call(&format!("POST {place}/{action}"), &foreign, "");
        assert_eq!(refused.0, 403, "{action} from another site");
        let (status, head, _) = site.send(&format!("{place}/{action}"), "");
        assert_eq!(status, 303, "{action}");
        let back = head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
        assert!(site.page(back).contains(shown), "{action}");
    }
    let (status, _, page) = site.send(&format!("{place}/rotate"), "");
    assert_eq!(status, 200);
    assert!(page.contains("whsec_") && page.contains("signs along"), "{page}");
    let (status, _, page) = site.send(&format!("{place}/replay"), "since=2h&only_failed=on");
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("nothing to send again"), "{page}");
    let (status, head, page) = site.send(&format!("{place}/replay"), "since=yesterday");
    assert_eq!(status, 422, "{page}");
    assert_dressed("a refusal", &head);
    assert!(page.contains("<h1>") && page.contains("is no time"), "{page}");
    let (status, _, page) = site.send("/subscriptions", "url=nonsense%22%3E&topics=sirn");
    assert_eq!(status, 422);
    assert!(page.contains("/url") && page.contains("did you mean"), "{page}");
    assert!(page.contains("nonsense&#34;&#62;") || page.contains("nonsense&quot;&gt;"), "{page}");
    assert_eq!(site.call("GET /alerts/alr_x", &[], "").0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_ends_an_alert_with_a_reason_and_is_written_down() {
    let site = Site::open(RULES);
    let alert = site.alerts(&hostile()[..1], 1).remove(0);
    let refused = site.send(&format!("/alerts/{alert}/end"), "reason=+");
    assert_eq!(refused.0, 422, "{}", refused.2);
    let (status, ..) = site.send(&format!("/alerts/{alert}/end"), "reason=Over+%3Cb%3E");
    assert_eq!(status, 303);
    let page = wait_for("the end", || {
        let page = site.page(&format!("/alerts/{alert}"));
        page.contains("2. ended").then_some(page)
    });
    assert!(page.contains("Over &lt;b&gt;"), "{page}");
    assert!(!page.contains(&format!("/alerts/{alert}/end")), "it cannot be ended twice: {page}");
    let audit = site.json("/v1/audit");
    let rows: Vec<&Value> = audit["data"].as_array().unwrap().iter().collect();
    assert_eq!(rows.len(), 1, "{audit}");
    assert_eq!(rows[0]["action"], "POST /alerts/{id}/end");
    assert_eq!(rows[0]["target"], format!("/alerts/{alert}/end"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_tried_on_a_text_and_over_the_archive() {
    let site = Site::open(RULES);
    site.alerts(&hostile()[..2], 2);
    let (status, _, page) = site.send("/playground", "title=Siren+%3Ci%3E&body=&lang=&rules=");
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("<mark>Siren</mark> &lt;i&gt;"), "{page}");
    let (_, _, part) =
        site.send("/playground/answer", "title=x&rules=version%3A+1%0D%0Arulez%3A+%5B%5D");
    assert!(part.contains("draft") && part.contains("line 2"), "{part}");
    assert!(!part.contains("<html"), "a part and no page: {part}");
    let edited = "version: 1\nrules:\n  - {id: bell, any: [alert]}\n";
    let form: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("days", "1"), ("name", "rules.yaml"), ("rules", edited)])
        .finish();
    let (status, head, page) = site.send("/backtest", &form);
    assert_eq!(status, 200, "{page}");
    assert_dressed("/backtest", &head);
    for wanted in ["Gained: 1", "Lost: 2", "<svg", "Siren &lt;script&gt;"] {
        assert!(page.contains(wanted), "{wanted} in {page}");
    }
    let (status, _, page) = site.send("/backtest", "days=1&name=a&rules=version%3A+2");
    assert_eq!(status, 422, "{page}");
    assert!(page.contains("line 1"), "{page}");
    assert!(site.json("/v1/audit")["data"].as_array().unwrap().is_empty(), "nothing was changed");
}

#[test]
fn pages_ask_for_the_scopes_of_what_they_do() {
    let token = |n: u8| make("any", &Scopes::all(), [n; 32]).unwrap().token;
    let settings = format!(
        "egress: {{allow: [127.0.0.0/8]}}\ntokens:\n  - eye:read:{}\n  - desk:subscribe:{}\n  \
         - boss:admin:{}\n",
        token(1),
        token(2),
        token(3)
    );
    let site = Site::of(Desk::with_settings(RULES, &settings));
    let (status, head, page) = site.call("GET /signin", &[], "");
    assert_eq!(status, 200);
    assert_dressed("/signin", &head);
    assert_plain("/signin", &page);
    let session = |n: u8| {
        let (status, head, _) = site.call("POST /signin", &[], &format!("token={}", token(n)));
        assert_eq!(status, 303, "{head}");
        let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        cookie.split(';').next().unwrap().to_owned()
    };
    let made = ("POST /subscriptions", "url=http%3A%2F%2F127.0.0.1%3A9000%2F&topics=*");
    let end = format!("POST /alerts/alr_{}/end", "a".repeat(26));
    let rows: [(&str, &str, [u16; 3]); 6] = [
        ("GET /", "", [200, 403, 200]),
        ("GET /subscriptions", "", [403, 200, 200]),
        (made.0, made.1, [403, 201, 201]),
        ("POST /playground", "title=Siren", [200, 403, 200]),
        (&end, "reason=over", [403, 403, 404]),
        ("GET /assets/wirebell.css", "", [200, 200, 200]),
    ];
    let cookies = [1, 2, 3].map(session);
    for (line, body, wanted) in rows {
        for (cookie, status) in cookies.iter().zip(wanted) {
            let headers = [("cookie", cookie.as_str()), ("origin", site.api.as_str())];
            let (got, _, page) = site.call(line, &headers, body);
            assert_eq!(got, status, "{line} with {cookie}: {page}");
        }
    }
    let (_, _, page) = site.call("GET /", &[("cookie", &cookies[0])], "");
    assert!(page.contains("Signed in as <b><bdi>eye") && page.contains("/signout"), "{page}");
    let foreign = [("cookie", cookies[1].as_str()), ("origin", "null")];
    assert_eq!(site.call(made.0, &foreign, made.1).0, 403);
}

#[test]
fn the_theme_is_kept_by_the_browser_and_assets_for_a_year() {
    let site = Site::open(RULES);
    let from = format!("{}/sources?health=ok", site.api);
    let (status, head, _) =
        site.call("POST /theme", &[("origin", &site.api), ("referer", &from)], "theme=dark");
    assert_eq!(status, 303);
    assert!(head.contains("location: /sources?health=ok"), "{head}");
    assert!(head.contains("set-cookie: wirebell_theme=dark;"), "{head}");
    let (_, _, page) = site.call("GET /", &[("cookie", "wirebell_theme=dark")], "");
    assert!(page.contains("data-theme=\"dark\""), "{page}");
    let mut first_load = 0;
    for link in links(&site.page("/")).into_iter().filter(|link| link.starts_with("/assets/")) {
        let zip = [("accept-encoding", "gzip")];
        let address = site.api.strip_prefix("http://").unwrap();
        let headers = [("host", address), zip[0]];
        let (status, head, body) = exchange(address, "GET", &link, &headers, b"").unwrap();
        assert_eq!(status, 200, "{link}");
        for wanted in ["content-encoding: gzip", "max-age=31536000, immutable", "nosniff"] {
            assert!(head.contains(wanted), "{link}: {wanted} in {head}");
        }
        first_load += body.len();
    }
    let address = site.api.strip_prefix("http://").unwrap();
    let headers = [("host", address), ("accept-encoding", "gzip")];
    let (_, head, body) = exchange(address, "GET", "/", &headers, b"").unwrap();
    assert!(head.contains("content-encoding: gzip"), "{head}");
    first_load += body.len();
    assert!((1_000..=150_000).contains(&first_load), "{first_load} bytes of a first load");
    assert_eq!(site.call("GET /assets/other.js", &[], "").0, 404);
}
