//! Queries and the lists they share: reads them out of files and resolves the lists.

use std::collections::HashMap;

use crate::rules::parser::parse;
use crate::rules::query::Node;
use crate::rules::query::check_near;
use crate::rules::query::lists_of;
use crate::rules::query::speaking;
use crate::rules::read::Fields;
use crate::rules::read::Reader;
use crate::rules::yaml::Content;
use crate::rules::yaml::Yaml;

/// Most entries of a list.
const MAX_ENTRIES: usize = 10_000;
/// Most queries of a rule set.
const MAX_QUERIES: usize = 1_000_000;
/// Deepest nesting of lists in lists.
const MAX_NESTING: usize = 16;

/// Names of lists and what is known of them.
#[derive(Default)]
pub(crate) struct Words {
    /// Number of each list.
    pub(crate) ids: HashMap<String, usize>,
    /// Name of each list.
    pub(crate) names: Vec<String>,
    /// Entries of each list.
    pub(crate) entries: Vec<Vec<Node>>,
    /// Whether a list holds an entry with AND or NOT.
    speaks: Vec<bool>,
    queries: usize,
    /// Whether nesting that is too deep has been told.
    told_deep: bool,
}

/// A list as written: its name, and the node of its entries.
pub(crate) struct Written<'y> {
    pub(crate) id: usize,
    key: &'y Yaml,
    /// The scalar of each entry that was read.
    scalars: Vec<&'y Yaml>,
}

impl Words {
    /// Notes the names under `words:` of a file, so that lists may use lists in any order.
    pub(crate) fn declare(&mut self, fields: &Fields<'_>, reader: &mut Reader<'_, '_>) {
        for (name, key, _) in fields.iter() {
            let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
            if name.is_empty() || !name.chars().all(fits) {
                let message = format!("{name:?} is no name for a list");
                reader.error(key, "bad-value", message, "use letters, digits, - and _");
            }
            if self.ids.contains_key(name) {
                let message = format!("the list {name} is defined a second time");
                reader.error(
                    key,
                    "duplicate",
                    message,
                    "keep one of them, or give it another name",
                );
                continue;
            }
            self.ids.insert(name.to_owned(), self.names.len());
            self.names.push(name.to_owned());
            self.entries.push(Vec::new());
            self.speaks.push(false);
        }
    }

    /// Reads the lists of a file; every name is declared.
    pub(crate) fn read<'y>(
        &mut self,
        fields: &Fields<'y>,
        reader: &mut Reader<'_, '_>,
    ) -> Vec<Written<'y>> {
        let mut written = Vec::new();
        for (name, key, value) in fields.iter() {
            let Some(id) = self.ids.get(name).copied() else { continue };
            let what = format!("the list {name}");
            let texts = reader.texts(value, &what);
            if texts.len() > MAX_ENTRIES {
                let message = format!("{what} has more than {MAX_ENTRIES} entries");
                reader.error(key, "limit", message, "divide it into several lists");
                continue;
            }
            if matches!(&value.content, Content::List(entries) if entries.is_empty()) {
                reader.error(key, "missing", format!("{what} is empty"), "give it an entry");
            }
            let mut scalars = Vec::new();
            for (node, text) in texts {
                let Some(query) = self.parse(node, text, reader) else { continue };
                scalars.push(node);
                if let Some(entries) = self.entries.get_mut(id) {
                    entries.push(query);
                }
            }
            written.push(Written { id, key, scalars });
        }
        written
    }

    /// Refuses circles; all lists are read.
    pub(crate) fn resolve(&mut self, written: &[Written<'_>], reader: &mut Reader<'_, '_>) {
        let mut heights = HashMap::new();
        for list in written {
            if let Err(message) = self.height(list.id, &mut Vec::new(), &mut heights) {
                let (code, message, remedy) = match message {
                    Some(circle) => ("circle", circle, "leave one of them out"),
                    // The lists below it that are too high as well need no problem of their own.
                    None if self.told_deep => continue,
                    None => {
                        self.told_deep = true;
                        let message = format!("lists are nested deeper than {MAX_NESTING} levels");
                        ("limit", message, "write the entries into fewer lists")
                    }
                };
                reader.error(list.key, code, message, remedy);
                if let Some(entries) = self.entries.get_mut(list.id) {
                    entries.clear();
                }
            }
        }
    }

    /// Levels of lists below and with this one; `path` leads to it. The error is the circle it is
    /// in, or none where it is too deep.
    fn height(
        &self,
        id: usize,
        path: &mut Vec<usize>,
        heights: &mut HashMap<usize, usize>,
    ) -> Result<usize, Option<String>> {
        if let Some(start) = path.iter().position(|p| *p == id) {
            let name = |id: &usize| format!("${}", self.names.get(*id).map_or("", String::as_str));
            let circle: Vec<String> =
                path.iter().skip(start).chain(std::iter::once(&id)).map(name).collect();
            return Err(Some(format!("the lists go in a circle: {}", circle.join(" uses "))));
        }
        let too_deep = || Err(None);
        if let Some(height) = heights.get(&id).copied() {
            return if path.len() + height > MAX_NESTING { too_deep() } else { Ok(height) };
        }
        if path.len() >= MAX_NESTING {
            return too_deep();
        }
        path.push(id);
        let mut used = Vec::new();
        for entry in self.entries.get(id).into_iter().flatten() {
            lists_of(entry, &mut used);
        }
        used.sort_unstable();
        used.dedup();
        let mut height = 1;
        for inner in used {
            height = height.max(1 + self.height(inner, path, heights)?);
        }
        path.pop();
        heights.insert(id, height);
        Ok(height)
    }

    /// Finds which lists speak of the whole article, then refuses those inside NEAR.
    pub(crate) fn check(&mut self, written: &[Written<'_>], reader: &mut Reader<'_, '_>) {
        for list in written {
            let entries = self.entries.get(list.id).map_or(&[][..], Vec::as_slice);
            for (entry, node) in entries.iter().zip(&list.scalars) {
                if let Err(error) = check_near(entry, &|id| self.speaks(id)) {
                    let problem = reader.source.query_error(node, error);
                    reader.problem(problem);
                }
            }
        }
    }

    /// Spreads from list to list which ones hold AND or NOT; there are no circles any more.
    pub(crate) fn spread(&mut self) {
        self.speaks = speaking(&self.entries);
    }

    fn speaks(&self, id: usize) -> bool {
        self.speaks.get(id).copied().unwrap_or(false)
    }

    /// A query of a rule or place; the lists are resolved.
    pub(crate) fn query(
        &mut self,
        node: &Yaml,
        text: &str,
        reader: &mut Reader<'_, '_>,
    ) -> Option<Node> {
        let query = self.parse(node, text, reader)?;
        match check_near(&query, &|id| self.speaks(id)) {
            Ok(()) => Some(query),
            Err(error) => {
                let problem = reader.source.query_error(node, error);
                reader.problem(problem);
                None
            }
        }
    }

    fn parse(&mut self, node: &Yaml, text: &str, reader: &mut Reader<'_, '_>) -> Option<Node> {
        self.queries += 1;
        if self.queries == MAX_QUERIES + 1 {
            let message = format!("more than {MAX_QUERIES} queries");
            reader.error(node, "limit", message, "divide the rules between several Wirebells");
        }
        match parse(text, &self.ids) {
            Ok(query) => Some(query),
            Err(error) => {
                let problem = reader.source.query_error(node, error);
                reader.problem(problem);
                None
            }
        }
    }
}
