//! The words that made a rule match, quoted from the article.

use std::collections::BTreeSet;

use crate::model::Evidence;
use crate::model::Field;
use crate::rules::eval::Reading;
use crate::rules::page::Page;
use crate::rules::query::Node;
use crate::rules::query::Scope;
use crate::rules::value::Interval;
use crate::rules::value::minimal;

/// Most spans reported of one field.
pub(crate) const MAX_SPANS: usize = 20;

/// A query of a rule and how evidence names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) term: String,
    pub(crate) query: Node,
}

/// The evidence of items that look in one place: minimal spans of each item, in order, each span
/// under the first item that has it.
pub(crate) fn collect<'i>(
    reading: &Reading<'_, '_>,
    names: &[String],
    items: impl IntoIterator<Item = &'i Item>,
    scope: Scope,
) -> Vec<Evidence> {
    let mut spans = Spans { reading, names, scope, title: Vec::new(), body: Vec::new() };
    let mut opened = BTreeSet::new();
    for item in items {
        spans.add(&item.term, &item.query, &mut opened);
    }
    let mut evidence = quote(Field::Title, &reading.title, spans.title);
    evidence.extend(quote(Field::Body, &reading.body, spans.body));
    evidence
}

struct Spans<'a, 't, 'r> {
    reading: &'a Reading<'t, 'r>,
    names: &'a [String],
    scope: Scope,
    title: Vec<(Interval, String)>,
    body: Vec<(Interval, String)>,
}

impl Spans<'_, '_, '_> {
    /// A list is opened into its entries, once: its second mention would add nothing.
    fn add(&mut self, term: &str, query: &Node, opened: &mut BTreeSet<usize>) {
        if let Node::List(id) = query {
            if !opened.insert(*id) {
                return;
            }
            let name = self.names.get(*id).map_or("", String::as_str);
            let entries = self.reading.lists.get(*id).map_or(&[][..], Vec::as_slice);
            for (number, entry) in entries.iter().enumerate() {
                self.add(&format!("words.{name}[{number}]"), entry, opened);
            }
            return;
        }
        // A query that is given up is no evidence; the rule matched by another one.
        let Ok(value) = self.reading.evaluate(query, self.scope) else { return };
        let named = |interval| (interval, term.to_owned());
        self.title.extend(minimal(&value.title).into_iter().map(named));
        self.body.extend(minimal(&value.body).into_iter().map(named));
    }
}

fn quote(field: Field, page: &Page<'_>, mut spans: Vec<(Interval, String)>) -> Vec<Evidence> {
    // Stable: of equal spans the first item's stays in front.
    spans.sort_by_key(|(interval, _)| *interval);
    spans.dedup_by_key(|(interval, _)| *interval);
    let quoted = spans.into_iter().take(MAX_SPANS).map(|(interval, term)| {
        let (start, end) = page.span(interval);
        Evidence { field, start, end, text: page.tokens().quote(start, end), term, lang: None }
    });
    quoted.collect()
}
