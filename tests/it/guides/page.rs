//! A page and its shell blocks.

use crate::guides::root;

/// Blocks that are no commands. `text said` and those in YAML with a word behind it are held to the
/// code by `rules_page`, those in JSON and in other languages by `webhooks_page`; the rest is shown.
const OTHERS: [&str; 21] = [
    "",
    "go",
    "ini",
    "json",
    "json alert.confirmed",
    "json alert.corrected",
    "json alert.ended",
    "json alert.expired",
    "json alert.opened",
    "json alert.retracted",
    "json alert.updated",
    "json test.ping",
    "python",
    "rust",
    "text said",
    "typescript",
    "yaml",
    "yaml bad",
    "yaml rules",
    "yaml rules quick",
    "yaml warned",
];

/// What to do with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It runs to its end.
    Run,
    /// It serves, in place of what served before; what follows waits until it is ready.
    Service,
    /// Each line goes on beside the rest.
    Beside,
    /// Three servers run before it.
    Cluster,
    /// It builds and tests this package.
    Build,
    /// It needs a container engine.
    Containers,
}

/// A shell block.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) kind: Kind,
    pub(super) text: String,
    /// The page and the line where it begins.
    pub(super) place: String,
}

/// A page.
#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) blocks: Vec<Block>,
    /// Its blocks of configuration.
    pub(super) files: Vec<String>,
    /// Its first file of rules.
    pub(super) rules: String,
}

impl Page {
    pub(super) fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        let (mut blocks, mut files, mut rules) = (Vec::new(), Vec::new(), String::new());
        let mut lines = text.lines().enumerate();
        while let Some((at, line)) = lines.next() {
            // A block of a list is indented as the list is.
            let (indent, kind) = match line.trim_start().strip_prefix("```") {
                Some(kind) => (line.len() - line.trim_start().len(), kind),
                None => continue,
            };
            let inner = lines.by_ref().map(|(_, line)| line.get(indent..).unwrap_or_default());
            let inner: Vec<&str> = inner.take_while(|line| *line != "```").collect();
            let text = inner.join("\n") + "\n";
            let place = format!("{name}:{}", at + 1);
            let kind = match kind {
                "sh" => Kind::Run,
                "sh service" => Kind::Service,
                "sh beside" => Kind::Beside,
                "sh build" => Kind::Build,
                "sh cluster" => Kind::Cluster,
                "sh containers" => Kind::Containers,
                "conf" => {
                    files.push(text);
                    continue;
                }
                "yaml rules" if rules.is_empty() => {
                    rules = text;
                    continue;
                }
                other => {
                    assert!(OTHERS.contains(&other), "{place}: a block of an unknown kind");
                    continue;
                }
            };
            blocks.push(Block { kind, text, place });
        }
        Self { blocks, files, rules }
    }
}

/// The commands that a page names in a line of text, and in its blocks.
pub(super) fn named(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(name)).unwrap();
    // Inside of a table a bar is escaped.
    let text = text.replace("\\|", " | ");
    let mut found = Vec::new();
    for line in text.lines() {
        let inline = line.split('`').skip(1).step_by(2);
        let whole = std::iter::once(line).filter(|line| line.starts_with("wirebell "));
        for command in inline.chain(whole).filter(|part| part.starts_with("wirebell ")) {
            let command = command.split([';', '|', '#', '>']).next().unwrap_or_default();
            found.push(command.trim().to_owned());
        }
    }
    found
}
