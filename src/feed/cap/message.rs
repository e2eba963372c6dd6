//! A message to the article that it is: the texts of all languages, and what its fields decide.

use std::collections::HashMap;

use url::Url;

use crate::feed::Draft;
use crate::feed::cap::Alert;
use crate::feed::cap::Info;
use crate::feed::cap::Message;
use crate::feed::cap::time;
use crate::feed::clean;
use crate::feed::entry;
use crate::feed::html;
use crate::model::ArticleId;
use crate::model::Cap;
use crate::model::Time;
use crate::model::article::MAX_BODY_CHARS;
use crate::model::article::MAX_TITLE_CHARS;
use crate::model::cap::ALL_CLEAR_BY_RESPONSE;
use crate::model::cap::Block;
use crate::model::cap::CapSeverity;
use crate::model::cap::CapStatus;
use crate::model::cap::MsgType;
use crate::model::cap::Scope;
use crate::model::cap::Urgency;

/// `Very Likely` is CAP 1.0.
const CERTAINTIES: [(&str, ()); 6] = [
    ("Observed", ()),
    ("Very Likely", ()),
    ("Likely", ()),
    ("Possible", ()),
    ("Unlikely", ()),
    ("Unknown", ()),
];
/// The article of a message. `problems` are those of its shape; `url` is where it was found.
pub(super) fn draft(alert: &Alert, problems: Vec<String>, url: Option<&Url>) -> Draft {
    let mut draft = Draft { problems, ..Draft::default() };
    let sent = alert.sent.as_deref().unwrap_or_default();
    draft.published_at = moment("sent", alert.sent.as_deref(), &mut draft);
    let blocks = text(alert, &mut draft);
    draft.lang = blocks.iter().find_map(|block| block.lang.clone());
    let webs = alert.infos.iter().filter_map(|info| info.web.as_deref());
    let web = webs.filter_map(|web| entry::web_link(web, None)).next();
    draft.link = web.or_else(|| entry::web_link(url?.as_str(), None));
    let name = alert.infos.iter().find_map(|info| info.sender_name.as_ref());
    draft.author = name.or(alert.sender.as_ref()).map(|name| clean::squeezed(name));
    let cap = cap(alert, blocks, &mut draft);
    // Without its sender's name for it, a message is known by its text.
    let identifier = match &alert.identifier {
        Some(identifier) => identifier.clone(),
        None => format!("{}\n\n{}", draft.title, draft.body),
    };
    let id = ArticleId::of_message(&cap.sender, &identifier, &time::identity(sent));
    draft.message = Some(Message { id, cap });
    draft
}

fn cap(alert: &Alert, blocks: Vec<Block>, draft: &mut Draft) -> Cap {
    let msg_type = alert.msg_type.as_deref();
    let msg_type = match msg_type {
        None => MsgType::Alert,
        // What it does is unknown, so it does nothing.
        Some(text) => known("msgType", text, MsgType::WORDS, draft).unwrap_or(MsgType::Error),
    };
    let status = alert.status.as_deref();
    let scope = alert.scope.as_deref();
    let cap = Cap {
        identifier: alert.identifier.clone().unwrap_or_default(),
        sender: alert.sender.clone().unwrap_or_default(),
        // One that does not say that it is meant rings nobody.
        status: status
            .and_then(|text| known("status", text, CapStatus::WORDS, draft))
            .unwrap_or(CapStatus::System),
        msg_type,
        scope: match scope {
            None => Scope::Public,
            Some(text) => known("scope", text, Scope::WORDS, draft).unwrap_or(Scope::Private),
        },
        references: alert
            .references
            .iter()
            .map(|r| ArticleId::of_message(&r.sender, &r.identifier, &time::identity(&r.sent)))
            .collect(),
        replaced: false,
        blocks,
    };
    if matches!(msg_type, MsgType::Update | MsgType::Cancel) && cap.references.is_empty() {
        draft.problem(format!("the {msg_type:?} refers to no message"));
    }
    if msg_type != MsgType::Cancel && alert.infos.is_empty() && cap.says().is_some() {
        draft.problem("it has no info and says nothing");
    }
    if cap.says().is_none() {
        draft.problem("it takes no part in alerts and is stored only");
    }
    cap
}

/// A value of a list, whatever its case; what is not in the list is said.
fn known<T: Copy>(name: &str, text: &str, list: &[(&str, T)], draft: &mut Draft) -> Option<T> {
    let found = list.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    match found {
        Some((word, _)) if *word != text => {
            draft.problem(format!("{name} {text:.60?} was read as {word}"));
        }
        None => draft.problem(format!("{name} {text:.60?} is no value of CAP")),
        _ => {}
    }
    found.map(|(_, value)| *value)
}

/// A time that may be missing; one that cannot be read is said and is none.
fn moment(name: &str, text: Option<&str>, draft: &mut Draft) -> Option<Time> {
    let (at, problem) = time::read(name, text?);
    if let Some(problem) = problem {
        draft.problem(problem);
    }
    at
}

/// Writes title and body; answers what each block says and where its text is.
fn text(alert: &Alert, draft: &mut Draft) -> Vec<Block> {
    let mut title = Text::new(" / ", MAX_TITLE_CHARS);
    let mut body = Text::new("\n\n", MAX_BODY_CHARS);
    let mut blocks = Vec::with_capacity(alert.infos.len());
    for info in &alert.infos {
        let heading = heading(info);
        blocks.push(Block {
            title: title.add(&heading),
            body: body.add(&paragraphs(info, &heading)),
            ..block(info, draft)
        });
    }
    if let Some(note) = &alert.note {
        body.add(&prose(note));
    }
    for (name, text) in [("title", &title), ("body", &body)] {
        if text.is_cut {
            draft.problem(format!("the {name} of all languages is too long and was cut"));
        }
    }
    draft.title = title.out;
    draft.body = body.out;
    blocks
}

fn block(info: &Info, draft: &mut Draft) -> Block {
    let lang = info.language.as_deref().and_then(|text| {
        let lang = entry::lang(text);
        if lang.is_none() {
            draft.problem(format!("language {text:.60?} is no language tag and was left out"));
        }
        lang
    });
    let (urgency, severity) = (info.urgency.as_deref(), info.severity.as_deref());
    let urgency = urgency.and_then(|text| known("urgency", text, Urgency::WORDS, draft));
    let severity = severity.and_then(|text| known("severity", text, CapSeverity::WORDS, draft));
    let certainty = info.certainty.as_deref();
    certainty.and_then(|text| known("certainty", text, &CERTAINTIES, draft));
    let responses = &info.response_types;
    let responses: Vec<Option<bool>> = responses
        .iter()
        .map(|text| known("responseType", text, ALL_CLEAR_BY_RESPONSE, draft))
        .collect();
    moment("effective", info.effective.as_deref(), draft);
    moment("onset", info.onset.as_deref(), draft);
    Block {
        lang,
        urgency: urgency.unwrap_or_default(),
        severity: severity.unwrap_or_default(),
        all_clear: responses.contains(&Some(true)),
        expires: moment("expires", info.expires.as_deref(), draft),
        areas: info
            .areas
            .iter()
            .filter_map(|area| area.description.as_deref())
            .map(clean::squeezed)
            .collect(),
        ..Block::default()
    }
}

/// What stands in the title: the headline, else the event.
fn heading(info: &Info) -> String {
    let text = info.headline.as_ref().or(info.event.as_ref());
    text.map(|text| html::to_line(text)).unwrap_or_default()
}

/// The event where the title does not name it, the description, what to do.
fn paragraphs(info: &Info, heading: &str) -> String {
    let event = info.event.as_deref().map(html::to_line).unwrap_or_default();
    let is_named = heading.to_lowercase().contains(&event.to_lowercase());
    let event = Some(event).filter(|_| !is_named);
    let long = [&info.description, &info.instruction].into_iter().flatten();
    let parts: Vec<String> = event.into_iter().chain(long.map(|text| prose(text))).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|p| !p.is_empty()).collect();
    parts.join("\n\n")
}

/// A longer text; some senders write it in HTML.
fn prose(text: &str) -> String {
    let is_markup = ["</", "<br", "<BR", "<p>", "<P>"].iter().any(|tag| text.contains(tag));
    if is_markup { html::to_text(text) } else { clean::joined(&html::unescape(text)) }
}

/// A text in the making, and where its pieces are. A piece that is there already is not repeated.
struct Text {
    between: &'static str,
    most: usize,
    out: String,
    chars: usize,
    pieces: HashMap<String, (u32, u32)>,
    is_cut: bool,
}

impl Text {
    fn new(between: &'static str, most: usize) -> Self {
        let (out, pieces) = (String::new(), HashMap::new());
        Self { between, most, out, chars: 0, pieces, is_cut: false }
    }

    /// Adds a piece; answers its first code point and the one past its last.
    fn add(&mut self, piece: &str) -> (u32, u32) {
        if let Some(at) = self.pieces.get(piece) {
            return *at;
        }
        let between = if self.out.is_empty() || piece.is_empty() { "" } else { self.between };
        let start = self.chars + between.chars().count();
        let mut piece_as_fits = piece.to_owned();
        if start >= self.most || clean::cut(&mut piece_as_fits, self.most - start) {
            self.is_cut = true;
        }
        if start >= self.most || piece_as_fits.is_empty() {
            let end = u32::try_from(self.chars).unwrap_or(u32::MAX);
            return (end, end);
        }
        self.out.push_str(between);
        self.out.push_str(&piece_as_fits);
        self.chars = start + piece_as_fits.chars().count();
        let [start, end] = [start, self.chars].map(|at| u32::try_from(at).unwrap_or(u32::MAX));
        self.pieces.insert(piece.to_owned(), (start, end));
        (start, end)
    }
}
