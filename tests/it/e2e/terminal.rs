//! What the command line tells of itself.

use serde_json::Value;

use crate::e2e::Desk;

fn said(desk: &Desk, args: &[&str]) -> String {
    let done = desk.command(args).output().unwrap();
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn shells_and_man_know_every_command() {
    let desk = Desk::new("");
    let help = said(&desk, &["--help"]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = commands.take_while(|line| !line.is_empty());
    let names: Vec<&str> = names.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"why-not") && names.len() > 20, "{names:?}");
    said(&desk, &["man", "man"]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = said(&desk, &["completions", shell]);
        let missing: Vec<_> = names.iter().filter(|name| !script.contains(**name)).collect();
        assert!(missing.is_empty(), "{shell}: {missing:?}");
    }
    for name in names.iter().filter(|name| **name != "help") {
        let page = desk.path().join(format!("man/wirebell-{name}.1"));
        assert!(std::fs::read_to_string(page).unwrap().contains(".TH wirebell"), "{name}");
    }
}

#[test]
fn settings_are_shown_with_where_they_were_set() {
    let desk = Desk::with_settings("", "lease: 3s\nnats: {password: hush}\n");
    let text = said(&desk, &["config", "show", "--origin", "--listen", "127.0.0.1:9"]);
    let line = |key: &str| {
        let found = text.lines().find(|line| line.starts_with(&format!("{key}: "))).unwrap();
        found
            .split_once("  # ")
            .map(|(value, origin)| (value.trim_end().to_owned(), origin.to_owned()))
    };
    let row = |value: &str, origin: &str| Some((value.to_owned(), origin.to_owned()));
    assert_eq!(line("lease"), row("lease: 3s", "config/wirebell.yaml:1"));
    assert_eq!(line("listen"), row("listen: 127.0.0.1:9", "--listen"));
    assert_eq!(line("grace"), row("grace: 25s", "default"));
    assert_eq!(line("nats.password"), row("nats.password: (hidden)", "config/wirebell.yaml:2"));
    let json = said(&desk, &["config", "show", "--output", "json"]);
    let all: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        all.iter().any(|one| one["key"] == "data" && one["origin"] == "WIREBELL_DATA"),
        "{json}"
    );
}
