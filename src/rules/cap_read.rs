//! Reads the CAP part of a story's article.

use crate::model::cap::ALL_CLEAR_BY_RESPONSE;
use crate::model::cap::CapSeverity;
use crate::model::cap::CapStatus;
use crate::model::cap::MsgType;
use crate::model::cap::Scope;
use crate::model::cap::Urgency;
use crate::rules::read::Fields;
use crate::rules::read::Reader;
use crate::rules::spec::StoryCap;
use crate::rules::yaml::Yaml;

pub(crate) const KEYS: &[&str] = &[
    "id",
    "references",
    "status",
    "msg_type",
    "scope",
    "urgency",
    "severity",
    "response_type",
    "expires_in",
    "note",
    "areas",
];

pub(crate) fn cap(node: &Yaml, reader: &mut Reader<'_, '_>) -> StoryCap {
    let fields = reader.fields(node, "cap", KEYS);
    let mut text = |name: &str| {
        let text = fields.get(name).and_then(|node| reader.text(node, name));
        text.map(str::to_owned)
    };
    let (id, note) = (text("id"), text("note"));
    let mut texts = |name: &str| {
        let texts = fields.get(name).map(|node| reader.texts(node, name)).unwrap_or_default();
        texts.into_iter().map(|(_, text)| text.to_owned()).collect()
    };
    let (references, areas) = (texts("references"), texts("areas"));
    let response = chosen(&fields, "response_type", ALL_CLEAR_BY_RESPONSE, reader);
    StoryCap {
        id,
        references,
        status: chosen(&fields, "status", CapStatus::WORDS, reader),
        msg_type: chosen(&fields, "msg_type", MsgType::WORDS, reader),
        scope: chosen(&fields, "scope", Scope::WORDS, reader),
        urgency: chosen(&fields, "urgency", Urgency::WORDS, reader),
        severity: chosen(&fields, "severity", CapSeverity::WORDS, reader),
        all_clear: response,
        areas,
        note,
        expires_in: fields.get("expires_in").and_then(|n| reader.duration(n, "expires_in")),
    }
}

fn chosen<T: Copy + Default>(
    fields: &Fields<'_>,
    name: &str,
    known: &[(&str, T)],
    reader: &mut Reader<'_, '_>,
) -> T {
    fields.get(name).and_then(|node| reader.choice(node, name, known)).unwrap_or_default()
}
