//! The dashboard in a real browser.

use serde_json::json;

use crate::e2e::Desk;
use crate::e2e::RULES;
use crate::e2e::flow::push_all;
use crate::e2e::wait_for;
use crate::pages::PAGES;
use crate::pages::Site;
use crate::pages::axe;
use crate::pages::devtools::Browser;
use crate::pages::devtools::Tab;
use crate::pages::hostile;

/// A site with something on each page, and the addresses of its pages.
fn furnished() -> (Site, Vec<String>) {
    let settings = "egress: {allow: [127.0.0.0/8]}\nlease: 3s\ncanary: {every: 60s, within: 5s}\n";
    let site = Site::of(Desk::with_settings(RULES, settings));
    let alerts = site.alerts(&hostile(), 5);
    let subscription = site.subscription();
    let mut paths: Vec<String> = PAGES.map(str::to_owned).to_vec();
    paths.push("/signin".to_owned());
    paths.push(format!("/alerts/{}", alerts[0]));
    paths.push(format!("/subscriptions/{subscription}"));
    paths.push("/playground?article=".to_owned() + &site.article());
    (site, paths)
}

/// Nothing but this host was asked, and nothing went wrong.
fn assert_clean(tab: &Tab, site: &Site, path: &str) {
    let ours = |url: &String| url.starts_with(&site.api) || url == "about:blank";
    let foreign: Vec<String> = tab.asked().into_iter().filter(|url| !ours(url)).collect();
    assert!(foreign.is_empty(), "{path}: {foreign:?}");
    assert!(tab.errors().is_empty(), "{path}: {:?}", tab.errors());
}

/// Pictures go here where `WIREBELL_PICTURES` names a folder.
fn keep(tab: &mut Tab, name: &str) {
    if let Some(folder) = std::env::var_os("WIREBELL_PICTURES") {
        let name = name.replace(['/', '?', '='], "_");
        let path = std::path::Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(path, tab.picture()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_fits_every_width_and_asks_nobody_else() {
    let Some(browser) = Browser::start() else { return };
    let (site, paths) = furnished();
    for (width, theme) in [(360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")] {
        let mut tab = browser.tab(width, theme);
        for path in &paths {
            tab.open(&format!("{}{path}", site.api));
            let wide = tab.js("document.documentElement.scrollWidth");
            assert!(wide.as_u64().unwrap() <= u64::from(width), "{path} at {width}: {wide}");
            let ground = tab.js("getComputedStyle(document.body).backgroundColor");
            let dark = ground == "rgb(20, 22, 26)";
            assert_eq!(dark, theme == "dark", "{path}: {ground}");
            keep(&mut tab, &format!("{width}-{theme}-{path}"));
            assert_clean(&tab, &site, path);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_keeps_people_out() {
    let Some(browser) = Browser::start() else { return };
    let Some(axe) = axe::text() else { return };
    let (site, paths) = furnished();
    let mut found = Vec::new();
    for theme in ["light", "dark"] {
        let mut tab = browser.tab(1280, theme);
        for path in &paths {
            tab.open(&format!("{}{path}", site.api));
            tab.js(&format!("{axe};0"));
            let grave = tab.js(
                "axe.run(document, {resultTypes: ['violations']}).then((all) => all.violations
                   .filter((one) => ['serious', 'critical'].includes(one.impact))
                   .map((one) => [one.id, one.nodes.map((n) => n.html.slice(0, 200) + ' ' + n.failureSummary).slice(0, 3)]))",
            );
            let list = grave.as_array().unwrap();
            found.extend(list.iter().map(|one| format!("{path} {theme}: {one}")));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_appears_while_one_looks_on() {
    let Some(browser) = Browser::start() else { return };
    let site = Site::open(RULES);
    let mut tab = browser.tab(1280, "light");
    tab.open(&format!("{}/alerts", site.api));
    wait_for("the page to be live", || {
        (tab.js("document.querySelector('#live').dataset.state") == "on").then_some(())
    });
    let article = |n: usize| {
        json!({"title": format!("Siren <i>heard</i> {n}"), "body": "A siren at noon.",
            "id": n.to_string(), "source": "harbour-post"})
    };
    let began = std::time::Instant::now();
    push_all(|| site.api.clone(), &[article(1)], 1);
    let rows = "[...document.querySelectorAll('#alerts > li')].map((row) => row.innerText).join()";
    wait_for("the alert", || {
        tab.js(rows).as_str().unwrap().contains("<i>heard</i> 1").then_some(())
    });
    println!("an alert was on the page {} ms after it was pushed", began.elapsed().as_millis());
    let marked = tab.js("document.querySelector('#alerts mark').textContent");
    assert_eq!(marked, "Siren");
    let said = tab.js("document.querySelector('#said').textContent");
    assert!(said.as_str().unwrap().starts_with("opened: Siren"), "{said}");
    // An update changes the line, and does not close what one reads.
    tab.press("j");
    tab.press("e");
    assert_eq!(tab.js("document.querySelector('#alerts details').open"), true);
    push_all(|| site.api.clone(), &[article(2)], 1);
    wait_for("the update", || {
        let facts = tab.js("document.querySelector('#alerts .facts').textContent");
        facts.as_str().unwrap().contains("changed").then_some(())
    });
    assert_eq!(tab.js("document.querySelectorAll('#alerts > li').length"), 1);
    assert_eq!(tab.js("document.querySelector('#alerts details').open"), true);
    assert_eq!(tab.js("document.activeElement.closest('li')?.id !== undefined"), true);
    tab.press("?");
    assert_eq!(tab.js("document.querySelector('#keys').open"), true);
    assert_clean(&tab, &site, "/alerts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_rules_answer_while_one_types() {
    let Some(browser) = Browser::start() else { return };
    let rules: Vec<String> =
        (0..500).map(|n| format!("  - {{id: r-{n}, any: [word{n}, siren]}}\n")).collect();
    let site = Site::open(&format!("version: 1\nrules:\n{}", rules.concat()));
    let mut tab = browser.tab(1280, "light");
    tab.open(&format!("{}/playground", site.api));
    tab.js("document.querySelector('[name=title]').focus()");
    for key in ["s", "i", "r", "e", "n"] {
        tab.press(key);
    }
    let text = "document.querySelector('#answer').innerText";
    let answer = wait_for("the answer", || {
        let answer = tab.js(text).as_str().unwrap().to_owned();
        answer.contains("Matches").then_some(answer)
    });
    println!("{}", answer.lines().next().unwrap());
    assert_eq!(tab.js("document.querySelector('#answer mark').textContent"), "siren");
    assert!(answer.contains("500 rules answered"), "{answer}");
    assert_clean(&tab, &site, "/playground");
}
