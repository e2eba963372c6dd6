//! Words that are hardly meant as written: mixed letters, short words, operators in small letters.

use crate::rules::lexer::Kind;
use crate::rules::lexer::Lexeme;
use crate::rules::lint::Warnings;
use crate::rules::lint::code;
use crate::rules::lint::script::is_latin_letter;
use crate::rules::lint::sheet::Query;
use crate::rules::query::Node;
use crate::rules::query::Phrase;
use crate::rules::query::Place;
use crate::rules::source::Source;
use crate::rules::word::Word;
use crate::text::class::class;
use crate::text::class::is_cyrillic_letter;
use crate::text::class::is_hangul_syllable;
use crate::text::class::is_spaceless;
use crate::text::tokens::tokenize_pattern;

/// Mixed letters and small operators, everywhere.
pub(super) fn check(queries: &[Query<'_>], source: &Source<'_>, warnings: &mut Warnings) {
    for query in queries {
        for (number, piece) in query.pieces.iter().enumerate() {
            if matches!(piece.kind, Kind::Words(_)) {
                mixed(query, piece, source, warnings);
                small_operator(query, number, source, warnings);
            }
        }
    }
}

/// Words of one or two letters that are enough for a match, without anything beside them.
pub(super) fn check_short(queries: &[Query<'_>], source: &Source<'_>, warnings: &mut Warnings) {
    for query in queries {
        let mut alone = Vec::new();
        sufficient(&query.tree, &mut alone);
        for phrase in alone.into_iter().filter(|phrase| is_short(phrase)) {
            let same = |piece: &&Lexeme| matches!(&piece.kind, Kind::Words(p) if p == phrase);
            let Some(piece) = query.pieces.iter().find(same) else { continue };
            let written = written(query, piece.at);
            let message = format!("{written} is so short that it stands in unrelated articles");
            let capitals = written.trim_matches('"').to_uppercase();
            let remedy = format!(
                "write ={capitals} if only capitals are meant, or add a word: {written} NEAR/5 …"
            );
            let place = (source, query, piece.at);
            warnings.inside(place, code::SHORT_WORD, message, remedy);
        }
    }
}

/// The query's text at a place.
pub(super) fn written(query: &Query<'_>, at: Place) -> String {
    query.text.chars().skip(at.column as usize - 1).take(at.width as usize).collect()
}

fn mixed(query: &Query<'_>, piece: &Lexeme, source: &Source<'_>, warnings: &mut Warnings) {
    let text = written(query, piece.at);
    if text.is_ascii() {
        return;
    }
    for token in tokenize_pattern(&text).words() {
        let width = token.end - token.start;
        let letters: Vec<char> =
            text.chars().skip(token.start as usize).take(width as usize).collect();
        let of = |is: fn(char) -> bool| letters.iter().filter(|c| is(**c)).count();
        let (latin, cyrillic) = (of(is_latin_letter), of(is_cyrillic_letter));
        if latin == 0 || cyrillic == 0 {
            continue;
        }
        let word: String = letters.iter().collect();
        let (few, name, other): (fn(char) -> bool, _, _) = match latin > cyrillic {
            true => (is_cyrillic_letter, "Cyrillic", "Latin"),
            false => (is_latin_letter, "Latin", "Cyrillic"),
        };
        let strange: Vec<String> = letters
            .iter()
            .enumerate()
            .filter(|(_, c)| few(**c))
            .map(|(n, c)| format!("{c} (letter {})", n + 1))
            .collect();
        let message = format!(
            "{word} mixes alphabets: {} {} {name}, so it is found nowhere",
            strange.join(", "),
            if strange.len() == 1 { "is" } else { "are" }
        );
        let remedy = format!("type the word anew with {other} letters only");
        let place = Place { column: piece.at.column + token.start, width };
        warnings.inside((source, query, place), code::MIXED_SCRIPTS, message, remedy);
    }
}

fn small_operator(query: &Query<'_>, number: usize, source: &Source<'_>, warnings: &mut Warnings) {
    let kind = |at: Option<usize>| at.and_then(|at| query.pieces.get(at)).map(|p| &p.kind);
    let before =
        matches!(kind(number.checked_sub(1)), Some(Kind::Words(_) | Kind::List(_) | Kind::Close));
    let after = matches!(
        kind(Some(number + 1)),
        Some(Kind::Words(_) | Kind::List(_) | Kind::Open | Kind::Field(_))
    );
    let Some(piece) = query.pieces.get(number).filter(|_| before && after) else { return };
    let word = written(query, piece.at);
    let operator = match word.as_str() {
        "and" => "AND",
        "or" => "OR",
        "not" => "NOT",
        "near" => "NEAR/3",
        _ => return,
    };
    let message = format!("{word} in small letters is a word that the text must contain");
    let remedy = format!("write {operator} if an operator is meant, or \"{word}\" in quotes");
    warnings.inside((source, query, piece.at), code::SMALL_OPERATOR, message, remedy);
}

/// The phrases that make a query match without any other.
fn sufficient<'q>(tree: &'q Node, out: &mut Vec<&'q Phrase>) {
    match tree {
        Node::Phrase(phrase) => out.push(phrase),
        Node::Or(parts) => parts.iter().for_each(|part| sufficient(part, out)),
        Node::Not(left, _) => sufficient(left, out),
        Node::Field(_, inner) => sufficient(inner, out),
        // The entries of a list are looked at where they stand.
        Node::List(_) | Node::And(_) | Node::Near(_) => {}
    }
}

fn is_short(phrase: &Phrase) -> bool {
    let [Word::Plain(form, _)] = phrase.words.as_slice() else { return false };
    let mut letters = form.chars();
    let count = letters.clone().count() + form.chars().filter(|c| is_hangul_syllable(*c)).count();
    // A word of digits is told apart by its digits; a character without spaces by its neighbours.
    count <= 2 && letters.all(|c| class(c).starts_word() && !c.is_ascii_digit() && !is_spaceless(c))
}
