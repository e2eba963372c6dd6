//! Makes rule files and texts that share their words, so that much matches and much nearly does.

use fastrand::Rng;
use wirebell::model::Article;
use wirebell::model::Lang;

/// Words as queries write them.
const QUERY_WORDS: &[&str] = &[
    "ferry",
    "ferr*",
    "sea-wall",
    "seawall",
    "wall",
    "sea",
    "swing bridge",
    "bridge",
    "closed",
    "=WHO",
    "who",
    "=Ferry",
    "=Łódź",
    "Łódź",
    "lodz",
    "straß*",
    "=Straße",
    "defen*e",
    "12000",
    "U.N.",
    "=UN",
    "well-known fact",
    "sea-wal*",
    "=sea-wall",
    "порт",
    "порт*",
    "=Порт",
    "п'ять",
    "закрито",
    "Київ",
    "київ-порт",
    "λιμάνι",
    "λιμ*",
    "=Λιμάνι",
    "משרד",
    "משרד*",
    "נמל",
    "מנכ\"ל",
    "הנמל נסגר",
    "ميناء",
    "مينا*",
    "مغلق",
    "ميناء مغلق",
    "港",
    "港口",
    "口",
    "港口關閉",
    "ガス",
    "ガス漏れ",
    "LNG船",
    "=LNG",
    "เรือ",
    "ท่าเรือ",
    "ເຮືອ",
    "កំពង់",
    "ဆိပ်",
    "항구",
    "항구*",
    "항구 폐쇄",
    "ferry bridge",
    "car ferry",
    "a",
    "the ferry",
    "2031",
    "wall ferry closed",
    "ـ",
    "café",
];

/// Pieces of texts: the same words in other dress, their neighbours, and what is hard to read.
const TEXT_WORDS: &[&str] = &[
    "ferry",
    "Ferry",
    "FERRIES",
    "ferry's",
    "sea-wall",
    "Sea‑Wall",
    "seawall",
    "sea",
    "wall",
    "swing",
    "bridge",
    "closed",
    "WHO",
    "who",
    "W.H.O.",
    "Łódź",
    "LODZ",
    "Straße",
    "STRASSE",
    "strasse",
    "defence",
    "DEFENSE",
    "12,000",
    "12.000",
    "1,2",
    "U.N.",
    "UN",
    "well-known",
    "fact",
    "порт",
    "Порт",
    "порти",
    "п'ять",
    "пʼять",
    "закрито",
    "КИЇВ",
    "Київ-порт",
    "Λιμάνι",
    "ΛΙΜΑΝΙ",
    "λιμένας",
    "משרד",
    "והמשרד",
    "שבמשרדים",
    "ו-משרד",
    "נמל",
    "הנמל",
    "נסגר",
    "מנכ״ל",
    "המנכ\"ל",
    "ميناء",
    "والميناء",
    "بالميناء",
    "مِيناء",
    "مغلق",
    "ב ميناء",
    "港",
    "港口",
    "口",
    "新港",
    "關閉",
    "ガス",
    "ｶﾞｽ",
    "カ\u{3099}ス",
    "漏れ",
    "LNG船",
    "lng",
    "船",
    "ท่าเรือ",
    "เรือ",
    "ເຮືອ",
    "កំពង់ផែ",
    "ဆိပ်ကမ်း",
    "항구",
    "항구가",
    "폐쇄",
    "car",
    "a",
    "the",
    "٢٠٣١",
    "2031",
    "２０３１",
    "har\u{AD}bour",
    "fer\u{AD}ry",
    "cafe\u{301}",
    "café",
    "Ａ",
    "ـ",
    "ferry-ferry",
    "sea-wall-bridge",
    "🚢",
    "—",
    "x",
    "не",
    "במ",
    "ف",
];

const BETWEEN: &[&str] = &[
    " ", " ", " ", " ", " ", " ", ", ", ". ", "-", "", "\n\n", "’", " – ", "\u{200B}", "/", "\n",
    "!\n\n\n",
];

pub(super) struct Making(Rng);

impl Making {
    pub(super) fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    fn one_of(&mut self, of: &[&str]) -> String {
        of[self.0.usize(..of.len())].to_owned()
    }

    fn word(&mut self) -> String {
        self.one_of(QUERY_WORDS)
    }

    fn unit(&mut self, depth: usize, lists: usize) -> String {
        match self.0.u8(..10) {
            0 if lists > 0 => format!("$l{}", self.0.usize(..lists)),
            1 if depth > 0 => format!("({})", self.places(depth - 1, lists)),
            2 => {
                let field = self.one_of(&["title", "lead", "body"]);
                format!("{field}:({})", self.word())
            }
            3 => format!("{} {}", self.word(), self.word()),
            _ => self.word(),
        }
    }

    /// A query about places: no AND, no NOT.
    fn places(&mut self, depth: usize, lists: usize) -> String {
        let n = self.0.u8(..9);
        match self.0.u8(..8) {
            0 | 1 => format!("{} OR {}", self.unit(depth, lists), self.unit(depth, lists)),
            2 => format!("{} NEAR/{n} {}", self.unit(depth, lists), self.unit(depth, lists)),
            3 => format!("{} BEFORE/{n} {}", self.unit(depth, lists), self.unit(depth, lists)),
            4 => format!("{} NOT NEAR/{n} {}", self.unit(depth, lists), self.unit(depth, lists)),
            5 if depth > 0 => {
                format!("({}) {}", self.places(depth - 1, lists), self.unit(depth, lists))
            }
            _ => self.unit(depth, lists),
        }
    }

    fn query(&mut self, lists: usize) -> String {
        let (a, b) = (self.places(2, lists), self.places(2, lists));
        match self.0.u8(..8) {
            0 | 1 => format!("({a}) AND ({b})"),
            2 => format!("({a}) NOT ({b})"),
            3 => format!("(({a}) AND ({b})) OR ({})", self.word()),
            4 => format!("title:(({a}) NOT ({b}))"),
            _ => a,
        }
    }

    fn queries(&mut self, most: usize, lists: usize) -> String {
        let count = self.0.usize(1..=most);
        let queries: Vec<String> = (0..count).map(|_| quoted(&self.query(lists))).collect();
        format!("[{}]", queries.join(", "))
    }

    fn all(&mut self, lists: usize) -> String {
        let items: Vec<String> = (0..self.0.usize(1..4))
            .map(|_| match self.0.bool() {
                true => self.queries(3, lists),
                false => quoted(&self.query(lists)),
            })
            .collect();
        format!("[{}]", items.join(", "))
    }

    fn rule(&mut self, number: usize, lists: usize) -> String {
        let mut keys = vec![format!("id: r{number}")];
        // A third of the rules is simple, as most real ones are; some have long lists.
        match self.0.u8(..9) {
            0..3 => keys.push(format!("any: [{}, {}]", quoted(&self.word()), quoted(&self.word()))),
            3 => {
                let words: Vec<String> = (0..20).map(|_| quoted(&self.query(lists))).collect();
                keys.push(format!("any: [{}]", words.join(", ")));
            }
            4 => keys.push(format!("when: {}", quoted(&self.query(lists)))),
            5 | 6 => keys.push(format!("all: {}", self.all(lists))),
            7 => {
                keys.push(format!("any: {}", self.queries(3, lists)));
                keys.push(format!("all: {}", self.all(lists)));
            }
            _ => keys.push(format!("any: {}", self.queries(4, lists))),
        }
        if self.0.u8(..4) == 0 {
            let most = if self.0.u8(..4) == 0 { 24 } else { 3 };
            keys.push(format!("unless: {}", self.queries(most, lists)));
            if self.0.bool() {
                keys.push(format!("unless_in: {}", self.one_of(&["title", "lead", "anywhere"])));
            }
        }
        if self.0.u8(..4) == 0 {
            keys.push(format!("in: {}", self.one_of(&["title", "lead", "anywhere"])));
        }
        if self.0.u8(..8) == 0 {
            keys.push(self.one_of(&[
                "lang: zh",
                "lang: [en, uk]",
                "sources: skylark",
                "not_sources: The Skylark",
            ]));
        }
        if number > 2 && self.0.u8(..6) == 0 {
            let key = self.one_of(&["ends", "retracts"]);
            keys.push(format!("{key}: [r0, r1, r2]"));
        } else if self.0.u8(..3) > 0 {
            keys.push(format!("key: {}", self.one_of(&["none", "source"])));
        }
        format!("  - {{{}}}\n", keys.join(", "))
    }

    /// A rule file that loads.
    pub(super) fn rule_file(&mut self, rules: usize) -> String {
        let mut out = "version: 1\nplaces:\n".to_owned();
        for number in 0..5 {
            let spellings: Vec<String> = (0..3).map(|_| quoted(&self.places(1, 0))).collect();
            out.push_str(&format!("  p{number}: [{}]\n", spellings.join(", ")));
        }
        out.push_str("words:\n");
        // AND and NOT may not come to stand inside NEAR, so lists hold places only.
        for number in 0..4_usize {
            let count = self.0.usize(1..6);
            let entries: Vec<String> =
                (0..count).map(|_| quoted(&self.places(1, number))).collect();
            out.push_str(&format!("  l{number}: [{}]\n", entries.join(", ")));
        }
        out.push_str("rules:\n");
        (0..rules).for_each(|number| out.push_str(&self.rule(number, 4)));
        out
    }

    fn text(&mut self, most: usize, lines: bool) -> String {
        let mut out = String::new();
        for _ in 0..self.0.usize(..=most) {
            out.push_str(&self.one_of(TEXT_WORDS));
            let between = self.one_of(BETWEEN);
            out.push_str(if lines { &between } else { between.trim_matches('\n') });
        }
        out
    }

    /// A title and a body.
    pub(super) fn texts(&mut self) -> (String, String) {
        let most = if self.0.u8(..4) == 0 { 120 } else { 25 };
        (self.text(6, false), self.text(most, true))
    }

    /// The article with a language, another source or an owner, or none of them.
    pub(super) fn labelled(&mut self, mut article: Article) -> Article {
        let langs = ["zh-TW", "en", "de"];
        article.lang = langs.get(self.0.usize(..5)).map(|lang| Lang::new(*lang).unwrap());
        if self.0.bool() {
            article.source_name = None;
            article.owner = Some("Owner".to_owned());
        }
        article
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}
