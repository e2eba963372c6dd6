//! A page and its shell blocks.

use crate::guides::root;

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
}

impl Page {
    pub(super) fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        let (mut blocks, mut files) = (Vec::new(), Vec::new());
        let mut lines = text.lines().enumerate();
        while let Some((at, line)) = lines.next() {
            let Some(kind) = line.strip_prefix("```") else { continue };
            let inner: Vec<&str> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
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
                other => {
                    assert!(!other.starts_with("sh"), "{place}: a block of an unknown kind");
                    continue;
                }
            };
            blocks.push(Block { kind, text, place });
        }
        Self { blocks, files }
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
