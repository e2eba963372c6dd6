use proptest::prelude::*;

use crate::feed::cap::MAX_POINTS;
use crate::feed::cap::MAX_VALUES;
use crate::feed::cap::Messages;
use crate::feed::cap::read;
use crate::model::cap::CapSeverity;
use crate::model::cap::CapStatus;
use crate::model::cap::MsgType;
use crate::model::cap::Scope;

const HEAD: &str = "<identifier>a</identifier><sender>b</sender><sent>2026-01-18T22:05:00-00:00</sent>\
    <status>Actual</status><msgType>Alert</msgType><scope>Public</scope>";

fn document(inner: &str) -> String {
    format!("<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\">{HEAD}{inner}</alert>")
}

fn messages(text: &str) -> Messages {
    read(text.as_bytes(), None, None).unwrap_or_else(|e| panic!("{e}: {text:.300}"))
}

/// The problems of a message whose `info` holds this beside what CAP wants.
fn problems(inner: &str) -> Vec<String> {
    let info = "<event>Storm</event><urgency>Past</urgency><severity>Minor</severity>\
        <certainty>Likely</certainty>";
    messages(&document(&format!("<info>{info}{inner}</info>"))).all_problems()
}

#[test]
fn a_value_that_is_missing_or_unknown_makes_nothing_more_severe() {
    let read = messages(
        "<alert><identifier>a</identifier><status>Urgent!</status><msgType>Shout</msgType>\
         <scope>World</scope><info><severity>EXTREME!!</severity></info></alert>",
    );
    let cap = &read.messages[0].draft.message.as_ref().unwrap().cap;
    assert_eq!((cap.status, cap.msg_type), (CapStatus::System, MsgType::Error));
    assert_eq!((cap.scope, cap.blocks[0].severity), (Scope::Private, CapSeverity::Unknown));
    assert_eq!(cap.says(), None);
    let read = messages("<alert><identifier>a</identifier><info/></alert>");
    let cap = &read.messages[0].draft.message.as_ref().unwrap().cap;
    assert_eq!((cap.status, cap.says()), (CapStatus::System, None));
}

#[test]
fn markup_that_is_not_closed_costs_no_value_behind_it() {
    for inner in [
        "<info><event>Storm<urgency>Past</urgency></info>",
        "<info><event>Storm</event></urgency></info>",
        "<info><event>Storm</event><resource><uri>x</resource></info>",
        "<info><event>Storm</event><resource><a><b>x</info>",
        "<INFO><Event>Storm</Event></INFO>",
        "<info><event>Storm & rain</event></info>",
    ] {
        let read = messages(&document(&format!("{inner}<note>kept</note>")));
        let alert = &read.messages[0].alert;
        assert_eq!((alert.infos.len(), alert.note.as_deref()), (1, Some("kept")), "{inner}");
        assert!(alert.infos[0].event.as_ref().unwrap().starts_with("Storm"), "{inner}");
    }
}

#[test]
fn a_message_without_an_identifier_is_known_by_its_text() {
    let of = |event: &str| {
        let text = format!("<alert><sender>b</sender><info><event>{event}</event></info></alert>");
        messages(&text).messages[0].draft.message.clone().unwrap().id
    };
    assert_eq!(of("Storm"), of("Storm"));
    assert_ne!(of("Storm"), of("Ice"));
}

#[test]
fn what_is_beyond_a_limit_is_left_out_and_said() {
    let polygon = "1,1 ".repeat(MAX_POINTS + 1);
    let deep = format!("{}x{}", "<a>".repeat(200_000), "</a>".repeat(200_000));
    for (name, inner, part) in [
        ("areas", "<area><areaDesc>x</areaDesc></area>".repeat(MAX_VALUES + 1), "area elements"),
        ("categories", "<category>Met</category>".repeat(MAX_VALUES + 1), "category elements"),
        (
            "points",
            format!("<area><areaDesc>x</areaDesc><polygon>{polygon}</polygon></area>"),
            "points",
        ),
        (
            "a long headline",
            format!("<headline>{}</headline>", "x".repeat(1_001)),
            "1000 characters",
        ),
        ("a long text", format!("<description>{}</description>", "я".repeat(100_001)), "was cut"),
        ("depth", deep, "levels"),
        ("elements", "<x/>".repeat(200_000), "100000 elements"),
        ("twice", "<event>Ice</event>".to_owned(), "2 times"),
    ] {
        let problems = problems(&inner);
        assert!(problems.iter().any(|p| p.contains(part)), "{name}: {problems:?}");
    }
    let infos = messages(&document(&"<info/>".repeat(101)));
    assert_eq!(infos.messages[0].alert.infos.len(), 100);
    let many = format!("<x>{}</x>", "<alert><note>n</note></alert>".repeat(5_001));
    assert_eq!(messages(&many).messages.len(), 5_000);
}

#[test]
fn blocks_point_at_their_own_text_and_equal_texts_are_there_once() {
    let one = |lang: &str, headline: &str, text: &str| {
        format!(
            "<info><language>{lang}</language><event>E</event><headline>{headline}</headline>\
             <description>{text}</description></info>"
        )
    };
    let long = "я".repeat(1_500);
    let longer = "ї".repeat(999);
    for (name, infos) in [
        ("two languages", [one("en", "Storm", "Wind."), one("zh-TW", "暴風", "陣風。")]),
        ("two areas, one text", [one("en", "Storm", "Wind."), one("en", "Storm", "Wind.")]),
        ("no headline", [one("en", "", "Wind."), one("uk", "Шторм", "")]),
        ("longer than a title", [one("en", &long, "Wind."), one("uk", &longer, "Вітер.")]),
    ] {
        let read = messages(&document(&infos.concat()));
        let draft = &read.messages[0].draft;
        let cap = &draft.message.as_ref().unwrap().cap;
        for (block, info) in cap.blocks.iter().zip(&read.messages[0].alert.infos) {
            let slice = |text: &str, (start, end): (u32, u32)| -> String {
                text.chars().skip(start as usize).take((end - start) as usize).collect()
            };
            let headline = info.headline.clone().or(info.event.clone()).unwrap();
            let title = slice(&draft.title, block.title);
            assert!(headline.starts_with(&title) && !title.is_empty(), "{name}: {title}");
            let text = info.description.clone().unwrap_or_default();
            assert!(slice(&draft.body, block.body).ends_with(&text), "{name}");
        }
        assert!(draft.title.chars().count() <= 2_000, "{name}");
    }
}

/// Pieces of documents: put together at random they are broken in most ways that there are.
fn piece() -> impl Strategy<Value = String> {
    let pieces: [&str; 38] = [
        "<alert>",
        "</alert>",
        "<info>",
        "</info>",
        "<area>",
        "</area>",
        "<resource>",
        "<event>",
        "</event>",
        "<sent>",
        "2026-01-18T22:05:00Z",
        "<references>",
        "a,b,c",
        " , ",
        "<polygon>",
        "1,2 3,4",
        "<!DOCTYPE x>",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "&nbsp;",
        "&#0;",
        "&#x110000;",
        "&",
        "<",
        "<?xml",
        "?>",
        "<geocode>",
        "<valueName>",
        "<cap:alert xmlns:cap='x'>",
        "<x/>",
        "Storm",
        "\u{0}",
        "<circle>",
        "1,2 x",
        "</cap:alert>",
        "<status>Actual</status>",
    ];
    prop_oneof![
        8 => proptest::sample::select(pieces.to_vec()).prop_map(str::to_owned),
        1 => ".{0,8}",
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes, None, None);
    }

    #[test]
    fn any_pieces_are_read_or_refused(pieces in proptest::collection::vec(piece(), 0..60)) {
        let text = pieces.concat();
        if let Ok(read) = read(text.as_bytes(), None, None) {
            prop_assert!(!read.messages.is_empty());
            for one in &read.messages {
                let cap = &one.draft.message.as_ref().unwrap().cap;
                let (title, body) =
                    (one.draft.title.chars().count(), one.draft.body.chars().count());
                for block in &cap.blocks {
                    prop_assert!(block.title.0 <= block.title.1 && block.title.1 as usize <= title);
                    prop_assert!(block.body.0 <= block.body.1 && block.body.1 as usize <= body);
                }
            }
        }
    }

    #[test]
    fn a_good_document_with_one_change_is_read_or_refused(
        at in 0_usize..900,
        cut in 0_usize..20,
        put in piece(),
    ) {
        let info = "<info><language>en</language><event>E</event><area><areaDesc>d</areaDesc>\
            <polygon>1,1 1,2 2,2 1,1</polygon></area></info>";
        let mut bytes = document(&info.repeat(2)).into_bytes();
        let at = at.min(bytes.len());
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, put.into_bytes());
        let _ = read(&bytes, None, None);
        let _ = read(bytes.get(..at).unwrap(), None, None);
    }
}
