//! The house rules that no compiler checks: edges between modules, sizes, banned calls.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// A module and the modules it may use, each listed before it.
const MODULES: [(&str, &[&str]); 18] = [
    ("model", &[]),
    ("clock", &[]),
    ("telemetry", &[]),
    ("supervise", &[]),
    ("text", &[]),
    ("feed", &["model", "text"]),
    ("rules", &["model", "text"]),
    ("alerts", &["model", "text"]),
    ("delivery", &["model"]),
    ("store", &[]),
    ("bus", &["model", "store", "telemetry"]),
    ("egress", &["telemetry"]),
    ("source", &["model", "clock", "feed", "egress", "bus", "telemetry"]),
    (
        "worker",
        &[
            "model",
            "clock",
            "telemetry",
            "text",
            "feed",
            "rules",
            "alerts",
            "delivery",
            "store",
            "bus",
            "egress",
            "source",
        ],
    ),
    (
        "api",
        &[
            "model",
            "clock",
            "telemetry",
            "text",
            "feed",
            "rules",
            "alerts",
            "delivery",
            "store",
            "bus",
            "egress",
            "source",
        ],
    ),
    (
        "config",
        &[
            "model",
            "clock",
            "telemetry",
            "text",
            "feed",
            "rules",
            "alerts",
            "delivery",
            "store",
            "bus",
            "egress",
            "source",
            "worker",
            "api",
        ],
    ),
    (
        "app",
        &[
            "model",
            "clock",
            "telemetry",
            "supervise",
            "text",
            "feed",
            "rules",
            "alerts",
            "delivery",
            "store",
            "bus",
            "egress",
            "source",
            "worker",
            "api",
            "config",
        ],
    ),
    (
        "cli",
        &[
            "app",
            "config",
            "telemetry",
            "model",
            "text",
            "feed",
            "rules",
            "alerts",
            "delivery",
            "supervise",
        ],
    ),
];

const MAX_FILE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 70;

/// Text that product code does not contain.
const BANNED: [&str; 8] = [
    "tokio::spawn(",
    "unbounded_channel",
    "todo!(",
    "unimplemented!(",
    "dbg!(",
    ".unwrap()",
    "std::env::var(",
    "#[allow(",
];

/// What is visible at the top.
const TOP: [&str; 14] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "Dockerfile",
    "docker-compose.yml",
    "src",
    "config",
    "tests",
    "docs",
    "benches",
    "examples",
    "target",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.ends_with("tests.rs") || path.to_str().unwrap().ends_with("_tests.rs") {
            // Unit tests in a file of their own.
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The lines before the tests at the end of a file.
fn product(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|w| {
        w[0].starts_with("#[cfg(test)]") && w[1].contains("mod ") && w[1].ends_with('{')
    });
    lines.truncate(tests.unwrap_or(lines.len()));
    lines
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// The top-level module a file belongs to.
fn module(path: &Path) -> String {
    let rest = path.strip_prefix(root().join("src")).unwrap();
    let first = rest.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// Modules named behind `crate::` in a line of code.
fn used(line: &str) -> Vec<String> {
    let code = line.trim_start();
    if code.starts_with("//") {
        return Vec::new();
    }
    code.split("crate::")
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect())
        .filter(|name: &String| MODULES.iter().any(|(module, _)| module == name))
        .collect()
}

fn report(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
}

#[test]
fn a_module_uses_only_what_the_table_allows() {
    let mut faults = Vec::new();
    for path in files(&root().join("src")) {
        let module = module(&path);
        let Some((_, allowed)) = MODULES.iter().find(|(name, _)| *name == module) else {
            continue;
        };
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in product(&text).into_iter().enumerate() {
            for used in used(line) {
                if used != module && !allowed.contains(&used.as_str()) {
                    faults.push(format!("{}:{}: {module} uses {used}", name(&path), number + 1));
                }
            }
        }
    }
    report("edges that are not in the table", &faults);
}

#[test]
fn the_table_lists_a_module_after_what_it_uses_and_knows_them_all() {
    let mut seen = BTreeSet::new();
    for (module, allowed) in MODULES {
        if module != "cli" {
            assert!(allowed.iter().all(|used| seen.contains(used)), "{module}");
        }
        seen.insert(module);
    }
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let module = module(&path);
        let known = seen.contains(module.as_str()) || ["lib", "main"].contains(&module.as_str());
        assert!(known, "{module} is not in the table");
    }
}

#[test]
fn files_and_functions_stay_short() {
    let mut faults = Vec::new();
    for path in files(&root().join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        let lines = product(&text);
        if lines.len() > MAX_FILE_LINES {
            faults.push(format!("{}: {} lines", name(&path), lines.len()));
        }
        let mut open: Option<(usize, usize)> = None;
        for (number, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let code = line.trim_start();
            let words: Vec<&str> = code.split(' ').take(5).collect();
            let begins = words.contains(&"fn") && !code.starts_with("//");
            if open.is_none() && begins && !code.ends_with(';') && !code.ends_with('}') {
                open = Some((number, indent));
            }
            if let Some((_, at)) = open
                && indent == at
                && code.starts_with(')')
                && code.ends_with(';')
            {
                open = None;
            }
            if let Some((start, at)) = open
                && *line == format!("{}}}", " ".repeat(at))
            {
                let length = number - start + 1;
                if length > MAX_FUNCTION_LINES {
                    faults.push(format!("{}:{}: {length} lines", name(&path), start + 1));
                }
                open = None;
            }
        }
    }
    report("too long", &faults);
}

#[test]
fn banned_calls_and_layouts_do_not_occur() {
    let mut faults = Vec::new();
    for path in files(&root().join("src")).into_iter().chain(files(&root().join("tests"))) {
        if path.ends_with("mod.rs") {
            faults.push(format!("{}: write foo.rs and foo/", name(&path)));
        }
        let text = fs::read_to_string(&path).unwrap();
        let ignored = ["#[ign", "ore"].concat();
        let in_tests = path.starts_with(root().join("tests"));
        let lines = if in_tests { text.lines().collect() } else { product(&text) };
        for (number, line) in lines.into_iter().enumerate() {
            let code = line.trim_start();
            if code.starts_with("//") {
                continue;
            }
            let banned = BANNED.iter().find(|b| !in_tests && line.contains(**b));
            let banned =
                banned.copied().or(code.starts_with(&ignored).then_some("an ignored test"));
            if let Some(banned) = banned {
                faults.push(format!("{}:{}: {banned}", name(&path), number + 1));
            }
            if code.starts_with("use ") && code.contains('{') {
                faults.push(format!("{}:{}: one use per line", name(&path), number + 1));
            }
        }
    }
    report("banned", &faults);
}

#[test]
fn only_the_agreed_names_are_visible_at_the_top() {
    let mut faults = Vec::new();
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.starts_with('.') && !TOP.contains(&name.as_str()) {
            faults.push(name);
        }
    }
    report("not agreed", &faults);
}
