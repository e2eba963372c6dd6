//! The commands of `README.md` and of all pages of `docs`, run as they are written but for ports. What
//! a block is for stands behind its `sh`.

mod page;
mod terminal;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::support::nats;
use page::Block;
use page::Kind;
use page::Page;
use terminal::Terminal;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs every block of a page, one after the other.
fn follow(page: &Page, terminal: &mut Terminal) {
    for block in &page.blocks {
        match block.kind {
            Kind::Run => terminal.run(block),
            Kind::Service => terminal.serve(block),
            Kind::Beside => terminal.start_each(block),
            Kind::Cluster => terminal.cluster(block, page),
            // Seen by the test of the containers, where there is an engine.
            Kind::Containers => {}
            Kind::Build => terminal.run(&built(block)),
        }
    }
}

/// A block with the program as it was built, which this test is a part of; the demonstration ends.
fn built(block: &Block) -> Block {
    let text = block.text.replace("cargo run --release --", "wirebell");
    let text = text.replace(" demo ", " demo --once ").replace("cargo test", "true");
    assert!(text.contains("wirebell demo --once "), "{text}");
    Block { text, ..block.clone() }
}

#[test]
fn the_guide_to_one_machine_is_true() {
    let page = Page::read("docs/run.md");
    assert!(page.blocks.len() > 8, "{} blocks", page.blocks.len());
    follow(&page, &mut Terminal::new());
}

#[test]
fn the_page_about_security_is_true() {
    follow(&Page::read("docs/security.md"), &mut Terminal::new());
}

#[test]
fn the_guide_to_a_cluster_is_true() {
    if nats::is_off() {
        return;
    }
    let page = Page::read("docs/cluster.md");
    assert!(page.blocks.len() > 5, "{} blocks", page.blocks.len());
    follow(&page, &mut Terminal::new());
}

#[test]
fn the_readme_is_true() {
    let page = Page::read("README.md");
    assert!(page.blocks.len() > 5, "{} blocks", page.blocks.len());
    let mut terminal = Terminal::new().in_the_project();
    follow(&page, &mut terminal);
    for ring in ["#1 air-raid-alert", "#2 harbour-closed"] {
        terminal.wait_for(&format!("verified alert.opened {ring}"));
    }
}

#[test]
fn the_page_about_rules_is_true() {
    let page = Page::read("docs/rules.md");
    assert!(page.blocks.len() > 4, "{} blocks", page.blocks.len());
    let mut terminal = Terminal::new()
        .with_file("config/rules.yaml", &page.rules)
        .with_file("article.txt", "Ferries suspended at Dover\n");
    follow(&page, &mut terminal);
    terminal.wait_until_printed("ferry-stop");
}

#[test]
fn the_page_about_webhooks_is_true() {
    let page = Page::read("docs/webhooks.md");
    assert!(page.blocks.len() > 4, "{} blocks", page.blocks.len());
    let mut terminal = Terminal::new().with_file("body.json", "{}");
    // What the look at a signature looks at.
    let request = "SECRET=whsec_b2xk WEBHOOK_ID=evt_a-sub_a WEBHOOK_TIMESTAMP=1789000000\n";
    terminal.run(&Block { text: request.to_owned(), ..page.blocks[0].clone() });
    follow(&page, &mut terminal);
    let [ping, opened] = ["{\"type\": \"test.ping\"", "{\"type\": \"alert.opened\""];
    let pulled = "{\"data\":[],\"next_cursor\":null}";
    for part in [ping, "delivered with status 204 after ", opened, pulled] {
        terminal.wait_until_printed(part);
    }
}

/// `README.md` and the pages of `docs`.
fn pages() -> Vec<String> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap();
    let names = docs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}"));
    std::iter::once("README.md".to_owned()).chain(names).collect()
}

#[test]
fn every_page_that_has_commands_is_followed() {
    let tests = include_str!("guides.rs");
    let is_followed = |name: &String| tests.contains(&format!("Page::read(\"{name}\")"));
    let (mut followed, mut forgotten) = (0, Vec::new());
    for name in pages() {
        match (Page::read(&name).blocks.is_empty(), is_followed(&name)) {
            (false, false) => forgotten.push(name),
            (_, is) => followed += usize::from(is),
        }
    }
    assert_eq!((followed, forgotten), (6, Vec::new()), "a test of its own follows each page");
}

/// Commands and flags, as `--help` tells them.
fn help(words: &[&str]) -> Option<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wirebell"));
    let done = command.args(words).arg("--help").output().unwrap();
    done.status.success().then(|| String::from_utf8(done.stdout).unwrap())
}

/// What is wrong with a command named in a text: a subcommand or a flag that there is not.
fn fault(command: &str) -> Option<String> {
    let words: Vec<&str> = command.split_whitespace().skip(1).collect();
    let is_name = |word: &&&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    let mut path: Vec<&str> = words.iter().take_while(is_name).copied().collect();
    path.retain(|word| !word.starts_with('-'));
    // What follows a command's name may be a plain word that is no command.
    let known = loop {
        match help(&path) {
            Some(known) => break known,
            None if path.len() > 1 => drop(path.pop()),
            None => return Some(format!("`{command}`: there is no such command")),
        }
    };
    let flags = words.iter().filter_map(|word| word.strip_prefix("--"));
    let is_end = |c: char| !c.is_ascii_lowercase() && c != '-';
    let names = flags.filter_map(|flag| flag.split(is_end).next());
    let missing: Vec<&str> = names.filter(|name| !known.contains(&format!("--{name}"))).collect();
    (!missing.is_empty()).then(|| format!("`{command}`: no flag {missing:?}"))
}

#[test]
fn every_command_that_a_page_names_is_there() {
    let mut pages = pages();
    pages.push("examples/observability/README.md".to_owned());
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for page in pages {
        for command in page::named(&page) {
            if seen.insert(command.clone()) {
                faults.extend(fault(&command).map(|fault| format!("{page}: {fault}")));
            }
        }
    }
    assert!(seen.len() > 40, "only {} commands found", seen.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_command_that_is_not_there_is_found() {
    for wrong in ["wirebell bakctest --rules F", "wirebell check --konfig DIR"] {
        assert!(fault(wrong).is_some(), "{wrong}");
    }
    assert_eq!(fault("wirebell subscriptions test ID --wait 30s"), None);
}
