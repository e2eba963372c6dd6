//! Makes rules from the words of articles: much is nearly found, some is found.

use std::collections::HashMap;

use fastrand::Rng;

use crate::model::Article;
use crate::text::Tokens;
use crate::text::tokenize;

/// Places of which the rarest word is taken.
const TILT: u32 = 12;

/// Kinds of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Single words 20 %, phrases 30 %, AND of ORs 25 %, AND NOT 15 %, NEAR 10 %.
    Mixed,
    /// What stands at two to five positions side by side.
    Literals,
}

/// Words of an article, as positions.
struct Words {
    tokens: Vec<Tokens>,
    /// Number of articles that have a word.
    articles: HashMap<String, u32>,
    rng: Rng,
}

/// Queries, the same for the same seed and articles. Words are tilted to rare ones: of several
/// places the one whose word fewest articles have. A quarter of the words is in no article.
pub(super) fn queries(articles: &[Article], count: u32, (seed, mix): (u64, Mix)) -> Vec<String> {
    let tokens: Vec<Tokens> = articles
        .iter()
        .map(|a| tokenize(&a.body))
        .filter(|tokens| tokens.words().len() >= 12)
        .collect();
    let mut frequency: HashMap<String, u32> = HashMap::new();
    for text in &tokens {
        let mut words: Vec<&str> = text.words().iter().map(|t| t.folded.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        words.into_iter().for_each(|word| *frequency.entry(word.to_owned()).or_default() += 1);
    }
    let mut words = Words { tokens, articles: frequency, rng: Rng::with_seed(seed) };
    (0..count).map(|_| words.query(mix)).collect()
}

impl Words {
    fn query(&mut self, mix: Mix) -> String {
        if mix == Mix::Literals {
            let length = self.rng.usize(2..=5);
            return self.run(length);
        }
        match self.rng.u8(..100) {
            0..20 => self.word(),
            20..50 => {
                let length = self.rng.usize(2..=3);
                self.run(length)
            }
            50..75 => {
                let groups: Vec<String> = (0..self.rng.usize(2..=3))
                    .map(|_| {
                        let count = self.rng.usize(2..=4);
                        let words: Vec<String> = (0..count).map(|_| self.word()).collect();
                        format!("({})", words.join(" OR "))
                    })
                    .collect();
                groups.join(" AND ")
            }
            75..90 => format!("{} NOT {}", self.word(), self.word()),
            _ => self.near(),
        }
    }

    /// An article and a position at least four before its end.
    fn place(&mut self) -> (usize, usize) {
        let mut best = (u32::MAX, (0, 0));
        for _ in 0..TILT {
            if self.tokens.is_empty() {
                break;
            }
            let text = self.rng.usize(..self.tokens.len());
            let words = self.tokens.get(text).map_or(&[][..], Tokens::words);
            let at = self.rng.usize(..words.len().saturating_sub(8).max(1));
            let count = words.get(at).and_then(|t| self.articles.get(&t.folded)).copied();
            let count = count.unwrap_or(u32::MAX - 1);
            if count < best.0 {
                best = (count, (text, at));
            }
        }
        best.1
    }

    fn at(&self, (text, at): (usize, usize)) -> String {
        let word = self.tokens.get(text).and_then(|t| t.words().get(at));
        word.map_or_else(|| "word".to_owned(), |t| t.folded.clone())
    }

    fn word(&mut self) -> String {
        if self.rng.u8(..4) == 0 {
            return self.made_up();
        }
        let place = self.place();
        self.at(place)
    }

    /// Words side by side as an article has them; one in four has one made up.
    fn run(&mut self, length: usize) -> String {
        let (text, at) = self.place();
        let mut words: Vec<String> = (at..at + length).map(|at| self.at((text, at))).collect();
        if self.rng.u8(..4) == 0 {
            let made_up = self.made_up();
            let at = self.rng.usize(..length);
            if let Some(word) = words.get_mut(at) {
                *word = made_up;
            }
        }
        words.join(" ")
    }

    /// Two words that stand near one another, or nearly.
    fn near(&mut self) -> String {
        let (text, at) = self.place();
        let distance = self.rng.usize(1..8);
        let right = match self.rng.u8(..4) {
            0 => self.made_up(),
            _ => self.at((text, at + distance)),
        };
        let left = self.at((text, at));
        format!("{left} NEAR/{} {right}", self.rng.usize(1..10))
    }

    fn made_up(&mut self) -> String {
        let length = self.rng.usize(5..12);
        (0..length).map(|_| self.rng.lowercase()).collect()
    }
}
