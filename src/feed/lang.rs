//! Which language a text is in, as far as its letters and words tell.

mod words;

use whatlang::Lang as Found;

use crate::model::Lang;

/// Characters that are looked at.
const LOOKED_AT: usize = 2_000;
/// Letters below which nothing is said.
const FEWEST: usize = 12;
/// The same where a letter is about a word.
const FEWEST_OF_HAN: usize = 4;
/// A Chinese text of so many signs is no Japanese one without a single syllable.
const MANY_OF_HAN: usize = 30;
/// Letters of another script from which on a language that was named is not believed.
const CONTRADICTION: usize = 20;
/// Letters that only a neighbour has, from which on a language that was named is not believed.
const OF_A_NEIGHBOUR: usize = 3;

/// Signs of Chinese that Japanese writes in another way, simplified ones first.
const CHINESE: &str = "们这说对时为发过还让从给谁吗么没东车马鸟鱼见风飞云间门问闻长张开义习乡书买乱争产亲亿仅仓众优传伤伦价侦侧债偿储儿况冻净减几击划刘则刚创剂剧劝办务动励劳势华协单卖卫厂厅历厉压县双叶听启员响团园围图圆圣场坏块坚坛坝坠墙壮处备复够头夺奖妇妈孙宁宝实审宪宽导寻尝层岁岗岛币师带帮库应庙废异弃弹强归录态总恶惊惨愿戏战户扑扩扫扬扰抢护报拟拥择挡挤挥损换摄摆敌无显晓暂术杀杂权杨极构枪标树样桥检楼欢欧毁气汇汉沟泪泽洁浅测济浓润涨渐渔湾满滚滩灭灯灵灾炉炸烧热爱牵犹狱独猎环现电画疗监盖盘盗矿码砖础确离种积称稳穷竞笔筑签简粮紧红约级纪纯纲纳纵纷纸线练组细织终绍经结绕绘络绝统继绩续维综绿缓编缘缩罢罗罚职联胜脑脸舰艺节苏药获蓝虑虽袭装观规视览觉计订认讨训议讯记讲许论设访证评识诉诊词译试话询该详语误请诸读课调谈谋谢负贡财责败货质购贵贷贸费资赏赔赛赞赢赵赶转轮软轻载较辆辉输边达迁迈运进远违连迟适选递遗邮邻郑针钟钢钱铁铜银链销锁错键镇闭闲队阳阴阵阶际陆陈险随隐难雾页顶项顺须顾顿预领频题额飘饭饮馆驱驶驻驾验骗鲁鲜鸡麦龙兩們這說對嗎麼沒與會國區學點戰鐵關團圖廣應當權檢歲氣灣狀獨發縣總續經聲聽號觀變讀賣醫雙靈驗嚴證顯歷歐擊圍壓實寫屬帶廢彈惡戲舉據擴收數斷樂樓樣橫歡殘淺溫滿澤濟燒爐爭產畫盜禮稱穩絕舊藝藥處裝覺觸豐輕轉辭遲邊鄰釋錢隱險雜顏驅鹽麥黃黨還將僅從來您她你";
/// Signs of Japanese that Chinese writes in another way.
const JAPANESE: &str = "気駅県売読円広圧検権続総対発図団関単戦歳働込畑峠労満済価帯応楽歩毎黒竜験険剣圏塩壊変恵悪拠拡挙揺摂撃効暁栄桜渋渓渇焼犠獣畳稲穂粋絵縄繊聴脳臓芸蔵薬覚訳説豊転軽辺遅鉄鉱銭録陥隠隣霊頼顕騒髪鶏麺黙齢仏仮伝処両児払沢浜滝択抜収庁弾巣実専乗亜偽剰勧営厳囲奨様桟歴";

/// Small words of Yiddish that are none of Hebrew.
const YIDDISH: [&str; 8] = ["און", "דער", "פון", "איז", "פאר", "אויף", "מיט", "נישט"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Cyrillic,
    Arabic,
    Hebrew,
    Greek,
    Eastern,
}

/// The language of a text; none where that is a guess.
///
/// Languages that share a script are told apart by letters that only some of them have, then by
/// small words, before the frequency of letters is looked at: that holds for headlines, too.
pub fn detect(text: &str) -> Option<Lang> {
    let text: String = text.chars().take(LOOKED_AT).collect();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    if let Some(code) = eastern(&text, letters) {
        return code.and_then(|code| Lang::new(code).ok());
    }
    if letters < FEWEST {
        return None;
    }
    if let Some(code) = by_letters(&text).map(|(code, _)| code).or_else(|| semitic(&text)) {
        return Lang::new(code).ok();
    }
    let often = whatlang::detect(&text);
    let guess = often.as_ref().and_then(|found| code(found.lang()));
    let is_latin = count(&text, Script::Latin) * 2 > letters;
    let small = words::by_small_words(&text, guess.filter(|_| is_latin));
    let is_sure = often.is_some_and(|found| found.is_reliable() || found.confidence() > 0.5);
    let often = guess.filter(|_| is_sure);
    let code = match (small, often) {
        (Some(small), Some(often)) if small.code == often => small.code,
        (Some(small), _) if small.sure => small.code,
        (Some(small), None) => small.code,
        (Some(_), Some(_)) => return None,
        (None, Some(often)) => often,
        (None, None) => return None,
    };
    Lang::new(code).ok()
}

/// The language that a publisher names, where the text can be in it; else, and where none is
/// named, that of the text. Feeds carry the language of the software that makes them, and outlets
/// of two languages often name one for both.
pub fn settle(said: Option<Lang>, text: &str) -> Option<Lang> {
    match said {
        Some(said) if !contradicts(text, &said) => Some(said),
        _ => detect(text),
    }
}

fn contradicts(text: &str, said: &Lang) -> bool {
    let text: String = text.chars().take(LOOKED_AT).collect();
    let base = said.as_str().split('-').next().unwrap_or_default().to_ascii_lowercase();
    let Some(script) = script(&base) else { return false };
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    if letters >= CONTRADICTION && count(&text, script) * 10 < letters {
        return true;
    }
    let is_one_of = matches!(base.as_str(), "ru" | "uk" | "be");
    let neighbour = by_letters(&text).filter(|_| is_one_of);
    neighbour.is_some_and(|(code, letters)| code != base && letters >= OF_A_NEIGHBOUR)
}

/// The script of a language that is written in one.
fn script(base: &str) -> Option<Script> {
    Some(match base {
        "en" | "de" | "fr" | "es" | "pt" | "it" | "pl" | "cs" | "sk" | "ro" | "hu" | "nl"
        | "sv" | "da" | "no" | "nb" | "fi" | "et" | "lv" | "lt" | "tr" | "vi" | "id" => {
            Script::Latin
        }
        "ru" | "uk" | "be" | "bg" | "mk" => Script::Cyrillic,
        "ar" | "fa" | "ur" => Script::Arabic,
        "he" | "yi" => Script::Hebrew,
        "el" => Script::Greek,
        "zh" | "ja" | "ko" => Script::Eastern,
        _ => return None,
    })
}

fn count(text: &str, script: Script) -> usize {
    let is_in = |c: char| match script {
        Script::Latin => c.is_alphabetic() && c < '\u{250}',
        Script::Cyrillic => ('\u{400}'..'\u{530}').contains(&c),
        Script::Arabic => ('\u{600}'..'\u{780}').contains(&c) && c.is_alphabetic(),
        Script::Hebrew => ('\u{5D0}'..'\u{5F5}').contains(&c),
        Script::Greek => ('\u{370}'..'\u{400}').contains(&c),
        Script::Eastern => is_kana(c) || is_hangul(c) || is_han(c),
    };
    text.chars().filter(|c| is_in(*c)).count()
}

fn is_kana(c: char) -> bool {
    ('\u{3041}'..='\u{30FA}').contains(&c)
}

fn is_hangul(c: char) -> bool {
    ('\u{AC00}'..='\u{D7A3}').contains(&c)
}

fn is_han(c: char) -> bool {
    ('\u{4E00}'..='\u{9FFF}').contains(&c) || ('\u{3400}'..='\u{4DBF}').contains(&c)
}

/// Chinese, Japanese or Korean, or none of them for certain; nothing where the script is another.
fn eastern(text: &str, letters: usize) -> Option<Option<&'static str>> {
    let among = |signs: &str| text.chars().filter(|c| signs.contains(*c)).count();
    let of = |is: fn(char) -> bool| text.chars().filter(|c| is(*c)).count();
    let (kana, hangul, han) = (of(is_kana), of(is_hangul), of(is_han));
    // A few signs of Japanese stand in Chinese names, and the other way round.
    if kana > 2 {
        return Some(Some("ja"));
    }
    if hangul > 2 {
        return Some(Some("ko"));
    }
    if han < FEWEST_OF_HAN || han * 2 < letters {
        return None;
    }
    let (chinese, japanese) = (among(CHINESE), among(JAPANESE));
    Some(match (kana, chinese, japanese) {
        (0, 1.., 0) => Some("zh"),
        (_, 0, 1..) => Some("ja"),
        (1.., 0, 0) => Some("ja"),
        (0, ..) if han >= MANY_OF_HAN && chinese > japanese => Some("zh"),
        _ => None,
    })
}

/// Arabic or Hebrew, where neither a letter nor a word is that of another language in the same
/// script.
fn semitic(text: &str) -> Option<&'static str> {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let words = || text.split(|c: char| !c.is_alphabetic());
    if count(text, Script::Arabic) * 2 > letters {
        let is_foreign =
            text.chars().any(|c| ('\u{671}'..='\u{6D3}').contains(&c) || c == '\u{6D5}');
        let is_own = text.chars().any(|c| ['ة', 'أ', 'إ', 'ى'].contains(&c))
            || words().any(|word| word.starts_with("ال") && word.chars().count() > 4);
        return (!is_foreign && is_own).then_some("ar");
    }
    if count(text, Script::Hebrew) * 2 > letters {
        let is_foreign = text.contains(['װ', 'ױ', 'ײ']);
        let is_foreign = is_foreign || words().any(|word| YIDDISH.contains(&word));
        return (!is_foreign).then_some("he");
    }
    None
}

/// One of three neighbours, and how many letters say so that the others do not have.
fn by_letters(text: &str) -> Option<(&'static str, usize)> {
    let count = |letters: &[char]| text.chars().filter(|c| letters.contains(c)).count();
    let belarusian = count(&['ў', 'Ў']);
    let ukrainian = count(&['ї', 'Ї', 'є', 'Є', 'ґ', 'Ґ']);
    let russian = count(&['ы', 'Ы', 'э', 'Э', 'ё', 'Ё', 'ъ', 'Ъ']);
    let dotted = count(&['і', 'І']);
    // Bulgarian has one of them, too, and none of the others.
    let hard = count(&['ъ', 'Ъ']);
    match () {
        () if belarusian > 0 && belarusian >= ukrainian => Some(("be", belarusian)),
        () if ukrainian + dotted > russian => Some(("uk", ukrainian + dotted)),
        () if russian > hard && ukrainian + dotted == 0 => Some(("ru", russian)),
        () => None,
    }
}

/// The two-letter code of the languages that are told apart well.
fn code(lang: Found) -> Option<&'static str> {
    Some(match lang {
        Found::Eng => "en",
        Found::Ukr => "uk",
        Found::Rus => "ru",
        Found::Bel => "be",
        Found::Bul => "bg",
        Found::Srp => "sr",
        Found::Deu => "de",
        Found::Fra => "fr",
        Found::Spa => "es",
        Found::Por => "pt",
        Found::Ita => "it",
        Found::Pol => "pl",
        Found::Ces => "cs",
        Found::Slk => "sk",
        Found::Ron => "ro",
        Found::Hun => "hu",
        Found::Nld => "nl",
        Found::Swe => "sv",
        Found::Dan => "da",
        Found::Nob => "no",
        Found::Fin => "fi",
        Found::Est => "et",
        Found::Lav => "lv",
        Found::Lit => "lt",
        Found::Tur => "tr",
        Found::Ell => "el",
        Found::Heb => "he",
        Found::Ara => "ar",
        Found::Pes => "fa",
        Found::Hin => "hi",
        Found::Cmn => "zh",
        Found::Jpn => "ja",
        Found::Kor => "ko",
        Found::Kat => "ka",
        Found::Hye => "hy",
        Found::Vie => "vi",
        Found::Tha => "th",
        Found::Ind => "id",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_language_is_believed_where_the_text_can_be_in_it() {
        const UK: &str = "Повітряну тривогу оголошено в кількох областях України";
        const RU: &str = "Взрывы были слышны в центре города, сообщили жители";
        const EN: &str = "The ferry was halted after an engine fire in the harbour";
        for (said, text, want) in [
            ("en-US", EN, Some("en-US")),
            ("en-US", UK, Some("uk")),
            ("uk", UK, Some("uk")),
            ("ru", UK, Some("uk")),
            ("uk", RU, Some("ru")),
            ("ru", "Взрывы", Some("ru")),
            ("uk", EN, Some("en")),
            ("de", EN, Some("de")),
            ("en", "Тривога", Some("en")),
            ("sr", EN, Some("sr")),
            ("ar", "港口渡轮因火灾停航，市长宣布大桥重新开放，学校停课", Some("zh")),
            ("", EN, Some("en")),
        ] {
            let named = Lang::new(said).ok();
            let found = settle(named, text);
            assert_eq!(found.as_ref().map(Lang::as_str), want, "{said}: {text}");
        }
    }

    #[test]
    fn signs_of_one_language_are_none_of_the_other() {
        for sign in JAPANESE.chars() {
            assert!(!CHINESE.contains(sign), "{sign}");
        }
    }

    #[test]
    fn languages_of_headlines_are_told_apart_or_left_open() {
        for (text, want) in [
            ("У Києві оголошено повітряну тривогу", Some("uk")),
            ("Рада порту обговорила старий кран", None),
            ("Взрывы слышны в центре города", Some("ru")),
            ("Савет порта абмеркаваў стары кран", Some("be")),
            ("The harbour council talks about the old crane for three hours", Some("en")),
            ("Der Hafenrat spricht drei Stunden lang über den alten Kran", Some("de")),
            ("Le conseil du port parle pendant trois heures de la vieille grue", Some("fr")),
            ("港の議会は古いクレーンについて三時間話し合った", Some("ja")),
            ("항구 의회가 오래된 크레인에 대해 세 시간 동안 논의했다", Some("ko")),
            ("מועצת הנמל דנה במשך שלוש שעות במנוף הישן", Some("he")),
            ("Ok", None),
            ("", None),
        ] {
            let found = detect(text);
            let found = found.as_ref().map(Lang::as_str);
            // A guess between neighbours may be right, and is never another one's letters.
            assert!(found == want || (want.is_none() && found != Some("ru")), "{text}: {found:?}");
        }
    }
}
