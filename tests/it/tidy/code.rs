//! Rust text with its comments and strings made blank: enough to find calls, paths and sizes.

/// A file, line by line.
pub(super) struct Code {
    lines: Vec<String>,
    /// Lines before the first module for tests.
    product: usize,
}

/// A function and its size.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) at: usize,
    /// Lines of its body that are neither empty nor comments.
    pub(super) lines: usize,
}

impl Code {
    pub(super) fn of(text: &str) -> Self {
        let lines: Vec<String> = blank(text).lines().map(str::to_owned).collect();
        // An inline module for tests ends the file; one in a file of its own is no part of it.
        let product = lines
            .windows(2)
            .position(|pair| {
                let begins = pair[1].starts_with("mod ") || pair[1].starts_with("pub(crate) mod ");
                pair[0] == "#[cfg(test)]" && begins && pair[1].ends_with('{')
            })
            .unwrap_or(lines.len());
        Self { lines, product }
    }

    /// Every line with its number.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines.iter().enumerate().map(|(n, line)| (n + 1, line.as_str()))
    }

    /// The lines before the unit tests.
    pub(super) fn product(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().take(self.product)
    }

    /// Modules in files of their own that are for tests only.
    pub(super) fn test_modules(&self) -> Vec<&str> {
        let pairs = self.lines.windows(2).filter(|pair| pair[0].trim() == "#[cfg(test)]");
        pairs.filter_map(|pair| pair[1].trim().strip_prefix("mod ")?.strip_suffix(';')).collect()
    }

    /// Functions of the product.
    pub(super) fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for (at, text) in self.product() {
            let words: Vec<&str> = text.split_whitespace().collect();
            let Some(n) = words.iter().position(|w| *w == "fn") else { continue };
            let name = words.get(n + 1).and_then(|w| w.split(['(', '<']).next());
            found.push(Function {
                name: name.unwrap_or_default().into(),
                at,
                lines: self.body(at),
            });
        }
        found
    }

    /// Lines between the braces of the function that begins at a line.
    fn body(&self, at: usize) -> usize {
        let (mut depth, mut lines, mut round) = (0_usize, 0, 0_usize);
        for (_, line) in self.lines().skip(at - 1) {
            let was_inside = depth > 0;
            for c in line.chars() {
                match c {
                    '(' | '[' => round += 1,
                    ')' | ']' => round = round.saturating_sub(1),
                    '{' => depth += 1,
                    '}' => depth = depth.saturating_sub(1),
                    ';' if depth == 0 && round == 0 => return 0,
                    _ => {}
                }
            }
            if was_inside && depth > 0 && !line.trim().is_empty() {
                lines += 1;
            }
            if depth == 0 && (was_inside || (line.contains('{') && line.trim().ends_with('}'))) {
                return lines;
            }
        }
        lines
    }
}

/// The names that follow a prefix, such as the modules after `crate::`.
pub(super) fn paths<'t>(text: &'t str, prefix: &'t str) -> impl Iterator<Item = &'t str> {
    text.match_indices(prefix)
        .filter(|(at, _)| {
            let before = text.get(..*at).and_then(|t| t.chars().next_back());
            !before.is_some_and(|c| c.is_alphanumeric() || "_:$".contains(c))
        })
        .filter_map(move |(at, _)| {
            let rest = text.get(at + prefix.len()..)?;
            rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
        })
}

/// Comments become spaces, what is inside of strings and characters becomes the letter x.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let rest = &chars[at..];
        let (taken, shown) = if rest.starts_with(&['/', '/']) {
            (rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()), ' ')
        } else if rest.starts_with(&['/', '*']) {
            (comment(rest), ' ')
        } else if c == '"' {
            (string(rest), 'x')
        } else if c == 'r' && !is_word(at.checked_sub(1).and_then(|n| chars.get(n))) {
            (raw_string(rest), 'x')
        } else if c == '\'' {
            (character(rest), 'x')
        } else {
            (0, ' ')
        };
        if taken == 0 {
            out.push(c);
            at += 1;
            continue;
        }
        out.extend(rest[..taken].iter().map(|c| if *c == '\n' { '\n' } else { shown }));
        at += taken;
    }
    out
}

fn is_word(c: Option<&char>) -> bool {
    // The b of a raw byte string is no word of its own.
    c.is_some_and(|c| (c.is_alphanumeric() && *c != 'b') || *c == '_')
}

fn comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(&['/', '*']) {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(&['*', '/']) {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn string(rest: &[char]) -> usize {
    let mut at = 1;
    while let Some(c) = rest.get(at) {
        match c {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of a raw string; 0 if none begins here.
fn raw_string(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let mut end = vec!['"'];
    end.resize(1 + hashes, '#');
    let from = 2 + hashes;
    let found = rest[from..].windows(end.len()).position(|w| w == end);
    found.map_or(rest.len(), |n| from + n + end.len())
}

/// The length of a character; 0 for a lifetime.
fn character(rest: &[char]) -> usize {
    if rest.get(1) == Some(&'\\') {
        let end = rest.iter().skip(3).position(|c| *c == '\'');
        return end.map_or(0, |n| n + 4);
    }
    if rest.get(2) == Some(&'\'') { 3 } else { 0 }
}

#[test]
fn comments_and_strings_are_blank() {
    let text = "let a = \"tokio::spawn // \\\" x\"; // dbg!\nlet b: &'a str = r#\"todo!\"\"#; '\"' /* { */ }\n";
    let blank = blank(text);
    assert_eq!(blank.chars().count(), text.chars().count());
    for gone in ["tokio", "dbg", "todo", "{"] {
        assert!(!blank.contains(gone), "{gone} in {blank}");
    }
    assert!(blank.contains("let b: &'a str = x"), "{blank}");
    assert!(blank.trim_end().ends_with('}'), "{blank}");
}

#[test]
fn paths_name_the_module_after_the_prefix() {
    let found: Vec<&str> =
        paths("x(crate::bus::Error, pub(crate) mycrate::no, $crate::no, crate::model)", "crate::")
            .collect();
    assert_eq!(found, ["bus", "model"]);
}

#[test]
fn sizes_and_test_modules_are_told() {
    let text = "fn a() {\n    b();\n\n    // c\n    d();\n}\nfn e() {}\n#[cfg(test)]\nmod tests {\n    fn f() {\n    }\n}\n";
    let code = Code::of(text);
    let sizes: Vec<(String, usize)> =
        code.functions().into_iter().map(|f| (f.name, f.lines)).collect();
    assert_eq!(sizes, [("a".to_owned(), 2), ("e".to_owned(), 0)]);
    assert_eq!(code.product().count(), 7);
    assert_eq!(Code::of("#[cfg(test)]\nmod tests;\n").test_modules(), ["tests"]);
}
