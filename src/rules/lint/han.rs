//! Han words that stand in one of their two forms only: nothing is converted, so the other half of
//! the press would not be found.

use std::collections::HashMap;

use crate::rules::lexer::Kind;
use crate::rules::lint::Warnings;
use crate::rules::lint::code;
use crate::rules::lint::han_pairs::is_japanese_too;
use crate::rules::lint::han_pairs::is_only_japanese;
use crate::rules::lint::han_pairs::simplified;
use crate::rules::lint::han_pairs::traditional;
use crate::rules::lint::script::is_kana;
use crate::rules::lint::sheet::Query;
use crate::rules::lint::sheet::Rule;
use crate::rules::lint::spelling::written;
use crate::rules::query::Place;
use crate::rules::source::Source;

/// Whether the languages of a rule need both forms: a region has one.
pub(super) fn needs_both(rule: &Rule<'_, '_>) -> bool {
    let languages = rule.texts("lang");
    languages.is_empty() || languages.iter().any(|(_, tag)| matches!(*tag, "zh" | "yue" | "wuu"))
}

/// A word without spaces and what its form is.
struct Word<'q, 'y> {
    query: &'q Query<'y>,
    at: Place,
    text: String,
    /// All characters simplified: equal where two words are forms of one.
    key: String,
    form: Form,
}

/// Which forms of a word are there.
#[derive(Clone, Copy, Default)]
struct Known {
    simplified: bool,
    traditional: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Simplified,
    Traditional,
    Mixed,
}

/// Looks at the words of a list, a place or a rule: the other form may stand anywhere among them.
/// `kana` says that Japanese words stand among them through lists.
pub(super) fn check(
    queries: &[&Query<'_>],
    source: &Source<'_>,
    kana: bool,
    warnings: &mut Warnings,
) {
    if queries.iter().all(|query| query.text.is_ascii()) {
        return;
    }
    let japanese = |text: &str| text.chars().any(|c| is_kana(c) || is_only_japanese(c));
    let some_japanese = kana || queries.iter().any(|query| japanese(query.text));
    let mut words = Vec::new();
    let mut known: HashMap<String, Known> = HashMap::new();
    for query in queries {
        for piece in query.pieces.iter().filter(|p| matches!(p.kind, Kind::Words(_))) {
            let text = written(query, piece.at);
            if text.is_ascii() {
                continue;
            }
            let key: String = text.chars().map(|c| simplified(c).unwrap_or(c)).collect();
            let known = known.entry(key.clone()).or_default();
            known.simplified |= key == text;
            let Some(form) = form(&text) else { continue };
            known.traditional |= form == Form::Traditional;
            let may_be_japanese = some_japanese && text.chars().all(is_japanese_too);
            if !may_be_japanese && !japanese(&text) {
                words.push(Word { query, at: piece.at, text, key, form });
            }
        }
    }
    for word in &words {
        let known = known.get(&word.key).copied().unwrap_or_default();
        let (this, other, remedy) = match word.form {
            Form::Traditional if !known.simplified => {
                ("traditional", "simplified", format!("add {}", word.key))
            }
            Form::Simplified if !known.traditional => {
                let guess: String =
                    word.text.chars().map(|c| traditional(c).unwrap_or(c)).collect();
                ("simplified", "traditional", format!("add its traditional form, such as {guess}"))
            }
            _ => continue,
        };
        let message =
            format!("{} is {this}; articles in {other} characters are not found", word.text);
        warnings.inside((source, word.query, word.at), code::ONE_HAN_FORM, message, remedy);
    }
}

/// The form of a word; none where all its characters are the same in both.
fn form(text: &str) -> Option<Form> {
    let simple = text.chars().any(|c| traditional(c).is_some());
    let full = text.chars().any(|c| simplified(c).is_some());
    match (simple, full) {
        (true, true) => Some(Form::Mixed),
        (true, false) => Some(Form::Simplified),
        (false, true) => Some(Form::Traditional),
        (false, false) => None,
    }
}
