//! An element of a message to its values, as written, and what is wrong with its shape.

use crate::feed::MAX_PROBLEMS;
use crate::feed::cap::Alert;
use crate::feed::cap::Area;
use crate::feed::cap::Code;
use crate::feed::cap::Info;
use crate::feed::cap::MAX_INFOS;
use crate::feed::cap::MAX_POINTS;
use crate::feed::cap::MAX_TEXT_CHARS;
use crate::feed::cap::MAX_VALUE_CHARS;
use crate::feed::cap::MAX_VALUES;
use crate::feed::cap::references;
use crate::feed::clean;
use crate::feed::tree::Node;

/// The values of an `alert` element.
pub(super) fn alert(node: &Node) -> (Alert, Vec<String>) {
    let mut problems = Problems::default();
    let mut read = Reader { node, at: String::new(), problems: &mut problems };
    let mut alert = Alert {
        identifier: read.needed("identifier"),
        sender: read.needed("sender"),
        sent: read.needed("sent"),
        status: read.needed("status"),
        msg_type: read.needed("msgType"),
        scope: read.needed("scope"),
        source: read.one("source"),
        note: read.text("note"),
        incidents: read.one("incidents"),
        ..Alert::default()
    };
    if let Some(text) = read.text("references") {
        alert.references = references::read(&text, |problem| read.problem(problem));
    }
    let infos = read.elements("info", MAX_INFOS);
    for (number, node) in infos.iter().enumerate() {
        let at = if infos.len() > 1 { format!("info {}: ", number + 1) } else { String::new() };
        alert.infos.push(info(&mut Reader { node, at, problems: &mut problems }));
    }
    (alert, problems.0)
}

fn info(read: &mut Reader<'_, '_>) -> Info {
    let mut info = Info {
        language: read.one("language"),
        categories: read.many("category"),
        event: read.needed("event"),
        response_types: read.many("responseType"),
        urgency: read.needed("urgency"),
        severity: read.needed("severity"),
        certainty: read.needed("certainty"),
        effective: read.one("effective"),
        onset: read.one("onset"),
        expires: read.one("expires"),
        headline: read.one("headline"),
        description: read.text("description"),
        areas: Vec::new(),
        audience: read.one("audience"),
        event_codes: read.codes("eventCode"),
        sender_name: read.one("senderName"),
        instruction: read.text("instruction"),
        web: read.one("web"),
        contact: read.one("contact"),
        parameters: read.codes("parameter"),
        resources: read.node.elements().filter(|n| n.name == "resource").count(),
    };
    let areas = read.elements("area", MAX_VALUES);
    for (number, node) in areas.iter().enumerate() {
        let at = format!("{}area {}: ", read.at, number + 1);
        info.areas.push(area(&mut Reader { node, at, problems: read.problems }));
    }
    info
}

fn area(read: &mut Reader<'_, '_>) -> Area {
    let area = Area {
        description: read.needed("areaDesc"),
        polygons: read.shapes("polygon"),
        circles: read.shapes("circle"),
        geocodes: read.codes("geocode"),
        altitude: read.one("altitude"),
        ceiling: read.one("ceiling"),
    };
    for text in &area.polygons {
        let points: Vec<Option<(f64, f64)>> = text.split_whitespace().map(point).collect();
        if points.contains(&None) || points.len() < 4 || points.first() != points.last() {
            read.problem(format!("the polygon {text:.60?} is no closed line of four points"));
        }
    }
    for text in &area.circles {
        let (centre, radius) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let is_radius = radius.trim().parse::<f64>().is_ok_and(|km| km.is_finite() && km >= 0.0);
        if point(centre).is_none() || !is_radius {
            read.problem(format!("the circle {text:.60?} is no point and radius"));
        }
    }
    area
}

/// `latitude,longitude` in degrees.
fn point(text: &str) -> Option<(f64, f64)> {
    let (latitude, longitude) = text.split_once(',')?;
    let (latitude, longitude) = (latitude.parse::<f64>().ok()?, longitude.parse::<f64>().ok()?);
    (latitude.abs() <= 90.0 && longitude.abs() <= 180.0).then_some((latitude, longitude))
}

#[derive(Default)]
struct Problems(Vec<String>);

/// Reads the values in one element. `at` says which one, where there may be several.
struct Reader<'a, 'p> {
    node: &'a Node,
    at: String,
    problems: &'p mut Problems,
}

impl<'a> Reader<'a, '_> {
    fn problem(&mut self, text: String) {
        if self.problems.0.len() < MAX_PROBLEMS {
            self.problems.0.push(format!("{}{text}", self.at));
        }
    }

    /// The elements of this name, up to a limit.
    fn elements(&mut self, name: &str, most: usize) -> Vec<&'a Node> {
        let low = name.to_ascii_lowercase();
        let mut all: Vec<&Node> = self.node.elements().filter(|n| n.name == low).collect();
        if all.len() > most {
            self.problem(format!("{} {name} elements, only the first {most} were read", all.len()));
            all.truncate(most);
        }
        all
    }

    /// A value of one line that CAP wants.
    fn needed(&mut self, name: &str) -> Option<String> {
        let value = self.one(name);
        if value.is_none() {
            self.problem(format!("{name} is missing"));
        }
        value
    }

    /// A value of one line.
    fn one(&mut self, name: &str) -> Option<String> {
        self.first(name, MAX_VALUE_CHARS)
    }

    /// A longer value.
    fn text(&mut self, name: &str) -> Option<String> {
        self.first(name, MAX_TEXT_CHARS)
    }

    fn first(&mut self, name: &str, most: usize) -> Option<String> {
        let all = self.elements(name, MAX_VALUES);
        if all.len() > 1 {
            self.problem(format!("{name} is there {} times; the first was read", all.len()));
        }
        all.first().and_then(|node| self.value(name, node, most))
    }

    fn many(&mut self, name: &str) -> Vec<String> {
        let all = self.elements(name, MAX_VALUES);
        all.into_iter().filter_map(|node| self.value(name, node, MAX_VALUE_CHARS)).collect()
    }

    /// Polygons or circles; one that is too long is left out whole, half of it is another area.
    fn shapes(&mut self, name: &str) -> Vec<String> {
        let mut shapes = Vec::new();
        for node in self.elements(name, MAX_VALUES) {
            let text = node.text();
            let text = text.trim();
            if text.split_whitespace().nth(MAX_POINTS).is_some() {
                self.problem(format!(
                    "a {name} has more than {MAX_POINTS} points and was left out"
                ));
            } else if !text.is_empty() {
                shapes.push(text.to_owned());
            }
        }
        shapes
    }

    /// Pairs of `valueName` and `value`, or `name=value` as CAP 1.0 has it.
    fn codes(&mut self, name: &str) -> Vec<Code> {
        let mut codes = Vec::new();
        for node in self.elements(name, MAX_VALUES) {
            let mut part = |wanted: &str| {
                let inner = node.elements().find(|n| n.name == wanted);
                inner.and_then(|n| self.value(name, n, MAX_VALUE_CHARS))
            };
            let (key, value) = (part("valuename"), part("value"));
            if key.is_some() || value.is_some() {
                codes
                    .push(Code { name: key.unwrap_or_default(), value: value.unwrap_or_default() });
            } else if let Some(text) = self.value(name, node, MAX_VALUE_CHARS) {
                let (key, value) = text.split_once('=').unwrap_or(("", &text));
                codes.push(Code { name: key.trim().to_owned(), value: value.trim().to_owned() });
            }
        }
        codes
    }

    fn value(&mut self, name: &str, node: &Node, most: usize) -> Option<String> {
        let text = node.text();
        let mut text = text.trim().to_owned();
        if clean::cut(&mut text, most) {
            self.problem(format!("{name} is longer than {most} characters and was cut"));
        }
        (!text.is_empty()).then_some(text)
    }
}
