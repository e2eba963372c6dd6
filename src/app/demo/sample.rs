//! The articles of the demonstration: invented papers, invented events.

/// The feed an article appears in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paper {
    /// English and Ukrainian, RSS.
    Skylark,
    /// Several languages, JSON Feed.
    Borough,
}

/// One article and what the rules are to make of it.
pub(super) struct Sample {
    pub(super) paper: Paper,
    pub(super) lang: &'static str,
    pub(super) title: &'static str,
    pub(super) body: &'static str,
    /// Type and topic of each delivery it causes.
    pub(super) rings: &'static [(&'static str, &'static str)],
}

/// In the feeds from the beginning: a first poll is a baseline and rings nobody.
pub(super) const BASELINE: &[Sample] = &[
    Sample {
        paper: Paper::Skylark,
        lang: "en",
        title: "Air raid sirens sounded in Kharkiv last week",
        body: "Air raid sirens sounded in Kharkiv for two hours last week. This is an old report \
               that the feed still lists.",
        rings: &[],
    },
    Sample {
        paper: Paper::Borough,
        lang: "en",
        title: "Harbour museum opens a second hall",
        body: "The harbour museum of Port Marrow opened its second hall to visitors on Sunday.",
        rings: &[],
    },
];

/// They appear one after the other.
pub(super) const NEWS: &[Sample] = &[
    Sample {
        paper: Paper::Borough,
        lang: "ja",
        title: "港の朝市、週末に再開",
        body: "港の朝市が週末に再開した。地元の漁師や家族連れでにぎわった。",
        rings: &[],
    },
    Sample {
        paper: Paper::Skylark,
        lang: "en",
        title: "Military talks resume after a nine-month pause",
        body: "Delegations of Marland and Osterby resumed military talks in Port Marrow on Tuesday, \
               nine months after they had broken off.\n\nThe first day was about a hotline between \
               the two general staffs.",
        rings: &[("alert.opened", "military-talks")],
    },
    Sample {
        paper: Paper::Skylark,
        lang: "en",
        title: "Air raid sirens sound in Odesa",
        body: "Air raid sirens sounded in Odesa shortly after ten in the evening. Residents were \
               told to go to shelters.",
        rings: &[("alert.opened", "air-raid-alert")],
    },
    Sample {
        paper: Paper::Borough,
        lang: "en",
        title: "Island-wide air raid alert issued in Taiwan after a satellite launch",
        body: "An island-wide air raid alert was issued in Taiwan on Tuesday afternoon after a rocket had \
               carried a satellite over it. The English text on the phones spoke of a missile flyover.",
        rings: &[("alert.opened", "air-raid-alert"), ("alert.opened", "missile-launch")],
    },
    Sample {
        paper: Paper::Skylark,
        lang: "en",
        title: "Town rehearses: siren test on Wednesday",
        body: "The town of Elmsford holds its monthly siren test on Wednesday at noon. It is a \
               drill; nobody has to do anything.",
        rings: &[],
    },
    Sample {
        paper: Paper::Borough,
        lang: "en",
        title: "Correction: Taiwan air raid alert named a missile by mistake, it was a satellite",
        body: "The ministry corrected its message: the air raid alert in Taiwan wrongly said \
               missile. What flew over was a rocket with a satellite.",
        rings: &[("alert.retracted", "air-raid-alert"), ("alert.retracted", "missile-launch")],
    },
    Sample {
        paper: Paper::Borough,
        lang: "zh-TW",
        title: "夜市週末恢復營業",
        body: "港邊夜市整修後，本週末恢復營業，攤商準備了許多小吃。",
        rings: &[],
    },
    Sample {
        paper: Paper::Skylark,
        lang: "en",
        title: "All clear given in Odesa",
        body: "The all clear was given in Odesa at twenty past eleven. The air raid alert is over.",
        rings: &[("alert.ended", "air-raid-alert")],
    },
    Sample {
        paper: Paper::Skylark,
        lang: "uk",
        title: "У парку відкрили нову алею",
        body: "У міському парку відкрили нову алею з липами. Її висадили школярі.",
        rings: &[],
    },
];
