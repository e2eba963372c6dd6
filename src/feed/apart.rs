//! Which entries of one document are the same, and what makes them different where they share an
//! id or a link.

use std::collections::HashMap;
use std::collections::HashSet;

use crate::feed::Document;
use crate::feed::Draft;
use crate::feed::link;

/// Ids as they compare: a feed that moves to https keeps its articles.
pub(super) fn comparable(id: &str) -> String {
    match id.split_at_checked(7) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http://") => format!("https://{rest}"),
        _ => id.to_owned(),
    }
}

/// The link that names an entry, where nothing else does.
fn link_only(draft: &Draft) -> Option<String> {
    let other = draft.message.is_some() || draft.id.is_some();
    draft.link.as_deref().filter(|_| !other).map(link::identity)
}

/// The first entry keeps a shared id, later ones add their link, then their title. One that
/// shares all three is the same entry again. Entries without an id that share a link all add their
/// text: a link to the front page would make each new one a revision of the last.
pub(super) fn tell_apart(document: &mut Document) {
    let mut names: HashSet<String> = HashSet::new();
    let mut whole: HashSet<String> = HashSet::new();
    let mut kept = Vec::with_capacity(document.entries.len());
    let mut links: HashMap<String, usize> = HashMap::new();
    for link in document.entries.iter().filter_map(link_only) {
        *links.entry(link).or_default() += 1;
    }
    for mut draft in std::mem::take(&mut document.entries) {
        if draft.is_nothing() {
            kept.push(draft);
            continue;
        }
        let shared = link_only(&draft).filter(|link| links.get(link).is_some_and(|n| *n > 1));
        draft.distinct = shared.map(|link| format!("{link} {}\n\n{}", draft.title, draft.body));
        let plain = draft.identity();
        let named = draft.distinct.is_none()
            && (draft.message.is_some() || draft.id.is_some() || draft.link.is_some());
        let first = if named { comparable(plain.trim()) } else { plain.clone() };
        let link = draft.link.as_deref().map(link::identity).unwrap_or_default();
        let second = format!("{first} {link}");
        let third = format!("{second} {}", draft.title);
        // A message is the same one wherever it is linked from.
        let one = draft.message.is_some() || draft.distinct.is_some();
        let again = !whole.insert(if one { &first } else { &third }.clone());
        let own = [first, second, third].into_iter().find(|name| !names.contains(name));
        let Some(own) = own.filter(|_| !again) else {
            document.problems.push(format!("the entry {plain:.100?} is in the document twice"));
            continue;
        };
        if own != plain {
            draft.distinct = Some(own.clone());
        }
        names.insert(own);
        kept.push(draft);
    }
    document.entries = kept;
}
