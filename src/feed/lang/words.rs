//! Small words that tell languages of one script apart.

/// What small words say.
pub(super) struct Verdict {
    pub(super) code: &'static str,
    /// Several say so.
    pub(super) sure: bool,
}

/// Small words of each language. Those that several share stand in each of them.
const WORDS: [(&str, &str); 17] = [
    (
        "en",
        "the of and to in for on with at by from as is are was were be been has have had will would \
         could after over into that this its it his her their they who what why how not no more than \
         about against before near up out says say said amid off all two three back across between \
         without but again still while when through until under during may could can",
    ),
    (
        "de",
        "der die das den dem des ein eine einen einem einer und ist sind war wird werden wurde nach \
         vor mit von für im in am an auf aus bei bis durch gegen über unter um zu zum zur wegen \
         wieder weiter nicht neue neuen neuer mehr sich als auch hat haben es zurück zwei drei",
    ),
    (
        "fr",
        "le la les l d un une des du de et est sont a au aux en dans par pour sur avec sans après \
         avant contre près chez sous vers ses son sa leur plus pas ne que qui se ce cette entre \
         selon encore deux trois",
    ),
    (
        "es",
        "el la los las un una unos unas de del al y e en por para con sin sobre tras contra entre \
         desde hasta su sus se es son ha han más no que lo como ante este esta a dos tres varios \
         varias",
    ),
    (
        "pl",
        "w we z ze na do po o od za przed przy pod nad przez dla i a się nie jest są to że jak co u \
         oraz bez bo już czy który znów nowy dwie trzech przeciw",
    ),
    (
        "it",
        "il lo la i gli le l d un una di del della dei delle da dal in nel nella con su sul per tra \
         e è non che si al alla ai più dopo contro sono ha due tre",
    ),
    (
        "pt",
        "o a os as um uma de do da dos das em no na nos nas por para com sem sobre e é que se não \
         ao à após mais foi são contra entre dois três",
    ),
    (
        "nl",
        "de het een en van in op te voor met na bij door over uit aan is zijn wordt niet naar tegen \
         om als dat die ook meer nog tot onder twee drie",
    ),
    ("sv", "och i på av för med till från att är en ett den det som efter vid om inte mot har nya"),
    ("da", "og i på af for med til fra at er en et den det som efter ved om ikke mod har nye to"),
    ("no", "og i på av for med til fra at er en et den det som etter ved om ikke mot har nye to"),
    ("ro", "și de la în cu pe din pentru a al ale o un este sunt nu mai după prin se"),
    ("cs", "a v na s z do po za se je že pro od ve při o nové byl byla podle to u i"),
    ("tr", "ve bir bu için ile de da en sonra"),
    (
        "ru",
        "что это как его из после они был была были уже чтобы кто который которые об о к со при \
         из-за до для но и в на с по за у от",
    ),
    ("uk", "і й та що після від із до про вже було буде на в у з зі за під над між як це його по"),
    ("bg", "на за от се да ще със във че след през е при до и в с по няколко"),
];
/// Letters that only one of these languages has; names carry them abroad.
const LETTERS: [(&str, &str); 8] = [
    ("pl", "łęąśźż"),
    ("de", "ß"),
    ("es", "ñ¿¡"),
    ("pt", "ãõ"),
    ("cs", "řěů"),
    ("ro", "șță"),
    ("tr", "şğı"),
    ("fr", "œ"),
];
/// Ends of long words that among these languages only one has.
const ENDS: [(&str, &str); 4] = [
    ("de", "ungen schaft keit heit ungs"),
    ("es", "ciones ción"),
    ("en", "ing ght"),
    ("pl", "ości ował owano"),
];
/// Letters that stand double in some of the languages that share their small words.
const DOUBLES: [&str; 7] = ["bb", "ff", "gg", "nn", "pp", "tt", "zz"];
const DOUBLED: [&str; 2] = ["it", "fr"];
const LONG_ENOUGH: usize = 6;

/// The language whose small words a text has, where no other one has nearly as many. Where several
/// have as many, `guess` decides between them.
pub(super) fn by_small_words(text: &str, guess: Option<&str>) -> Option<Verdict> {
    let lower = text.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphabetic() && c != '-').filter(|w| !w.is_empty()).collect();
    let mut scores: Vec<Score> =
        WORDS.iter().map(|(code, small)| score(&words, code, small)).collect();
    scores.sort_by_key(|one| std::cmp::Reverse(one.points));
    let best = scores.first().filter(|best| best.points > 0)?;
    let second = scores.get(1).map_or(0, |one| one.points);
    let stands_out = best.points > second && best.points >= second * 2;
    if stands_out && (best.points >= 2 || best.is_telling) {
        return Some(Verdict { code: best.code, sure: best.points >= 2 });
    }
    let ties = scores.iter().filter(|one| one.points == best.points);
    let guessed = ties.into_iter().find(|one| Some(one.code) == guess)?;
    (guessed.points >= 2 || guessed.is_telling)
        .then_some(Verdict { code: guessed.code, sure: false })
}

struct Score {
    code: &'static str,
    points: usize,
    /// More than a word of two letters says it.
    is_telling: bool,
}

fn score(words: &[&str], code: &'static str, small: &str) -> Score {
    let is_small = |word: &&&str| small.split_whitespace().any(|one| one == **word);
    let found: Vec<&&str> = words.iter().filter(is_small).collect();
    let whole = found.iter().any(|word| word.chars().count() > 2);
    let marks = of(&LETTERS, code);
    let marked = words.iter().filter(|word| word.contains(|c| marks.contains(c))).count();
    let ends = of(&ENDS, code);
    let is_ended = |word: &&&str| {
        word.chars().count() >= LONG_ENOUGH
            && ends.split_whitespace().any(|end| word.ends_with(end))
    };
    let ended = words.iter().filter(is_ended).count();
    let doubled = DOUBLED.contains(&code)
        && words.iter().any(|word| DOUBLES.iter().any(|double| word.contains(double)));
    let is_telling = whole || marked > 1 || ended > 0;
    Score { code, points: found.len() + marked + ended + usize::from(doubled), is_telling }
}

fn of(table: &[(&'static str, &'static str)], code: &str) -> &'static str {
    table.iter().find(|(one, _)| *one == code).map_or("", |(_, text)| *text)
}
