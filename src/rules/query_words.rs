//! The words of a query: `=`, `*` and hyphens.

use crate::rules::query::Joined;
use crate::rules::query::Phrase;
use crate::rules::query::Place;
use crate::rules::query::QueryError;
use crate::rules::word::Word;
use crate::rules::word::may_precede_star;
use crate::text::tokens::Chain;
use crate::text::tokens::Tokens;
use crate::text::tokens::tokenize_pattern;

/// Adds the words of a piece without white space to a phrase.
pub(crate) fn read(piece: &str, at: Place, phrase: &mut Phrase) -> Result<(), QueryError> {
    let tokens = tokenize_pattern(piece);
    let exact = is_exact(piece, &tokens);
    check_stars(&tokens, exact, at)?;
    let offset = phrase.words.len();
    for token in tokens.words() {
        phrase.words.push(match exact {
            true => Word::Exact(tokens.exact(token)),
            false => Word::folded(&token.folded),
        });
    }
    for chain in tokens.chains() {
        phrase.joined.push(Joined {
            first: offset + chain.first as usize,
            last: offset + chain.last as usize,
            word: match exact {
                true => Word::Exact(tokens.exact_joined(*chain)),
                false => Word::folded(&tokens.joined(*chain)),
            },
        });
    }
    Ok(())
}

/// Whether a `=` stands right before the first word.
fn is_exact(piece: &str, tokens: &Tokens) -> bool {
    let Some(first) = tokens.words().first() else { return false };
    let before = (first.start as usize).checked_sub(1);
    before.and_then(|at| piece.chars().nth(at)) == Some('=')
}

fn check_stars(tokens: &Tokens, exact: bool, at: Place) -> Result<(), QueryError> {
    let refuse = |message: &str, remedy: &str| Err(QueryError::new(at, message, remedy));
    for (index, token) in tokens.words().iter().enumerate() {
        let Some((head, _)) = token.folded.split_once('*') else { continue };
        if exact {
            return refuse("= and * exclude each other", "leave one of them out");
        }
        let previous = index.checked_sub(1).and_then(|i| tokens.words().get(i));
        let touches = previous.is_some_and(|p| p.spaceless && p.end == token.start);
        if head.is_empty() && touches {
            return refuse(
                "* is not needed where a script writes no spaces",
                "leave it out: such text is found anywhere",
            );
        }
        if !may_precede_star(head) {
            return refuse(
                "* needs three letters before it (two Hangul syllables)",
                "write more of the word, or list its forms",
            );
        }
        if stars_around(tokens, index) > 1 {
            return refuse("a word takes one *", "leave one of them out, or list the forms");
        }
    }
    Ok(())
}

/// Stars in the hyphenated word that a position belongs to.
fn stars_around(tokens: &Tokens, index: usize) -> usize {
    let holds = |c: &&Chain| (c.first as usize..=c.last as usize).contains(&index);
    let (first, last) = match tokens.chains().iter().find(holds) {
        Some(chain) => (chain.first as usize, chain.last as usize),
        None => (index, index),
    };
    let words = tokens.words().get(first..=last).unwrap_or_default();
    words.iter().map(|t| t.folded.matches('*').count()).sum()
}
