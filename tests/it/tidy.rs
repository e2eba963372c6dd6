//! House rules that no compiler knows: the module table, sizes, names of files, banned calls.

mod code;

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use code::Code;

/// What a module may use; each names only rows above it.
const TABLE: [(&str, Uses); 19] = [
    ("model", Uses::Only(&[])),
    ("clock", Uses::Only(&[])),
    ("telemetry", Uses::Only(&[])),
    ("spans", Uses::Only(&["model", "telemetry"])),
    ("supervise", Uses::Only(&[])),
    ("text", Uses::Only(&[])),
    ("feed", Uses::Only(&["model", "text"])),
    ("rules", Uses::Only(&["model", "text"])),
    ("alerts", Uses::Only(&["model", "text"])),
    ("delivery", Uses::Only(&["model"])),
    ("store", Uses::Only(&[])),
    ("bus", Uses::Only(&["model", "store", "telemetry"])),
    ("egress", Uses::Only(&["telemetry"])),
    ("source", Uses::Only(&["model", "clock", "feed", "egress", "bus", "telemetry", "spans"])),
    ("worker", Uses::AllAboveBut(&["supervise"])),
    ("api", Uses::AllAboveBut(&["supervise", "worker"])),
    ("config", Uses::AllAboveBut(&["supervise"])),
    ("app", Uses::AllAboveBut(&[])),
    (
        "cli",
        Uses::Only(&[
            "app",
            "config",
            "telemetry",
            "supervise",
            "model",
            "text",
            "feed",
            "rules",
            "alerts",
            "delivery",
        ]),
    ),
];

/// What may be seen at the top of the repository.
const TOP: [&str; 13] = [
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
];

/// Calls that appear nowhere, and what to write instead.
const BANNED: [(&str, &str); 7] = [
    ("tokio::spawn", "spawn on a JoinSet or TaskTracker"),
    ("unbounded_channel", "every queue has a limit"),
    ("todo!", "finish it"),
    ("unimplemented!", "finish it"),
    ("dbg!", "remove it"),
    ("#[ignore", "every test runs"),
    ("#![ignore", "every test runs"),
];

/// Calls that do not appear in the product.
const BANNED_IN_PRODUCT: [(&str, &str); 2] = [
    (".unwrap()", "return an error, or expect with the reason why it holds"),
    ("env::var", "only main reads the environment"),
];

/// What makes an outgoing connection or resolves a name. Beside the one client, only the command
/// line's calls to the API, the floor that `bench` measures against, and the NATS library do.
const OUTGOING: [&str; 7] = [
    "reqwest",
    "hyper::client",
    "hyper_util::client",
    "hyper_rustls",
    "hickory_resolver",
    "TcpStream::connect",
    "lookup_host",
];
const MAY_CALL_OUT: [&str; 3] = ["src/egress/", "src/cli/client.rs", "src/app/bench/"];

const MAX_FILE: usize = 400;
const MAX_FUNCTION: usize = 70;

#[derive(Clone, Copy)]
enum Uses {
    Only(&'static [&'static str]),
    AllAboveBut(&'static [&'static str]),
}

impl Uses {
    fn allow(self, row: usize, used: &str) -> bool {
        match self {
            Self::Only(names) => names.contains(&used),
            Self::AllAboveBut(names) => {
                TABLE[..row].iter().any(|(name, _)| *name == used) && !names.contains(&used)
            }
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Rust files under a folder, by path below the repository.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.map(|e| e.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> Code {
    Code::of(&std::fs::read_to_string(root().join(path)).unwrap())
}

/// The top-level module a file under src/ belongs to.
fn module(path: &Path) -> String {
    let part = path.components().nth(1).unwrap().as_os_str().to_string_lossy();
    part.trim_end_matches(".rs").to_owned()
}

/// Files whose module is declared for tests only.
fn test_files(sources: &[(PathBuf, Code)]) -> BTreeSet<PathBuf> {
    let mut tests = BTreeSet::new();
    for (path, code) in sources {
        let stem = path.file_stem().unwrap();
        let own = path.parent().unwrap().to_owned();
        let folder = if stem == "lib" { own } else { own.join(stem) };
        for name in code.test_modules() {
            tests.insert(folder.join(format!("{name}.rs")));
        }
    }
    tests
}

fn edges(path: &Path, code: &Code, bad: &mut Vec<String>) {
    let module = module(path);
    if ["lib", "main"].contains(&module.as_str()) {
        return;
    }
    let Some(row) = TABLE.iter().position(|(name, _)| *name == module) else {
        bad.push(format!("{}:1: the module {module} is not in the table", path.display()));
        return;
    };
    for (line, text) in code.product() {
        for used in code::paths(text, "crate::") {
            if used != module && !TABLE[row].1.allow(row, used) {
                bad.push(format!("{}:{line}: {module} may not use {used}", path.display()));
            }
        }
    }
}

fn sizes(path: &Path, code: &Code, bad: &mut Vec<String>) {
    let lines = code.product().count();
    if lines > MAX_FILE {
        bad.push(format!("{}:{lines}: more than {MAX_FILE} product lines", path.display()));
    }
    for function in code.functions() {
        if function.lines > MAX_FUNCTION {
            bad.push(format!(
                "{}:{}: {} has {} lines, more than {MAX_FUNCTION}",
                path.display(),
                function.at,
                function.name,
                function.lines
            ));
        }
    }
}

fn calls(path: &Path, code: &Code, is_product: bool, bad: &mut Vec<String>) {
    let mut look = |line: usize, text: &str, banned: &[(&str, &str)]| {
        for (call, instead) in banned.iter().filter(|(call, _)| text.contains(call)) {
            bad.push(format!("{}:{line}: {call}: {instead}", path.display()));
        }
    };
    for (line, text) in code.lines() {
        look(line, text, &BANNED);
    }
    let is_main = path == Path::new("src/main.rs");
    for (line, text) in code.product().filter(|_| is_product && !is_main) {
        look(line, text, &BANNED_IN_PRODUCT);
    }
}

fn outgoing(path: &Path, code: &Code, bad: &mut Vec<String>) {
    if MAY_CALL_OUT.iter().any(|place| path.to_string_lossy().starts_with(place)) {
        return;
    }
    for (line, text) in code.product() {
        for call in OUTGOING.iter().filter(|call| text.contains(**call)) {
            bad.push(format!("{}:{line}: {call}: egress is the one client", path.display()));
        }
    }
}

fn layout(path: &Path, code: &Code, bad: &mut Vec<String>) {
    if path.file_name().is_some_and(|name| name == "mod.rs") {
        bad.push(format!("{}:1: a submodule is foo.rs beside foo/", path.display()));
    }
    for (line, text) in code.lines() {
        let text = text.trim_start();
        let is_use = ["use ", "pub use ", "pub(crate) use ", "pub(super) use "]
            .iter()
            .any(|start| text.starts_with(start));
        if is_use && (text.contains('{') || !text.trim_end().ends_with(';')) {
            bad.push(format!("{}:{line}: one use a line, one name a use", path.display()));
        }
    }
}

fn top_level(bad: &mut Vec<String>) {
    let ignored = std::fs::read_to_string(root().join(".gitignore")).unwrap();
    let ignored: Vec<&str> = ignored.lines().map(|l| l.trim_matches('/')).collect();
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let is_known = TOP.contains(&name.as_str()) || ignored.contains(&name.as_str());
        if !name.starts_with('.') && !is_known {
            bad.push(format!("{name}:1: not one of the names at the top of the repository"));
        }
    }
}

fn module_list(bad: &mut Vec<String>) {
    let lib = read(Path::new("src/lib.rs"));
    let listed: Vec<String> = lib
        .lines()
        .filter_map(|(_, text)| Some(text.strip_prefix("pub mod ")?.trim_end_matches(';').into()))
        .collect();
    if !listed.is_sorted() {
        bad.push("src/lib.rs:1: modules are listed alphabetically".into());
    }
    for name in listed.iter().filter(|name| TABLE.iter().all(|(row, _)| row != name)) {
        bad.push(format!("src/lib.rs:1: the module {name} is not in the table"));
    }
}

#[test]
fn the_house_rules_hold() {
    let sources: Vec<(PathBuf, Code)> =
        files("src").into_iter().map(|path| (path.clone(), read(&path))).collect();
    let tests = test_files(&sources);
    let mut bad = Vec::new();
    for (path, code) in &sources {
        let is_product = !tests.contains(path) && !path.to_string_lossy().ends_with("_tests.rs");
        if is_product {
            edges(path, code, &mut bad);
            sizes(path, code, &mut bad);
            outgoing(path, code, &mut bad);
        }
        calls(path, code, is_product, &mut bad);
        layout(path, code, &mut bad);
    }
    for path in ["tests", "benches", "examples"].into_iter().flat_map(files) {
        let code = read(&path);
        calls(&path, &code, false, &mut bad);
        layout(&path, &code, &mut bad);
    }
    module_list(&mut bad);
    top_level(&mut bad);
    assert!(bad.is_empty(), "{} house rules are broken:\n{}", bad.len(), bad.join("\n"));
}

#[test]
fn the_table_names_only_rows_above() {
    for (row, (name, uses)) in TABLE.iter().enumerate() {
        let (Uses::Only(names) | Uses::AllAboveBut(names)) = uses;
        for used in *names {
            let above = TABLE[..row].iter().any(|(other, _)| other == used);
            assert!(above, "{name} names {used}");
        }
    }
}
