//! The format of a definition and what belongs to it.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::api::history::broken;
use crate::api::problem::Fault;
use crate::api::problem::Problem;
use crate::api::subscriptions::written::Judge;
use crate::api::subscriptions::written::Written;
use crate::delivery::format::ntfy;
use crate::delivery::format::template;
use crate::model::Subscription;
use crate::model::subscription::Format;
use crate::model::subscription::Secret;
use crate::model::subscription::Template;

/// Length of a routing key; PagerDuty refuses others.
const KEY: usize = 32;
/// Most different templates of one request: each is rendered for many events.
const MAX_TEMPLATES: usize = 100;

/// A format, with what it needs and nothing that it does not.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shape {
    pub(super) format: Format,
    pub(super) routing_key: Option<Secret>,
    pub(super) template: Option<Template>,
}

/// What became of templates, so that none is looked at twice for one request.
#[derive(Debug, Default)]
pub(super) struct Checked(Mutex<Vec<(Template, Result<(), String>)>>);

impl Checked {
    fn check(&self, template: &Template) -> Result<(), String> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = lock().iter().find(|(known, _)| known == template) {
            return known.clone();
        }
        if lock().len() >= MAX_TEMPLATES {
            return Err(format!("at most {MAX_TEMPLATES} different templates a request"));
        }
        let found = template::check(template).map_err(|refusal| refusal.to_string());
        lock().push((template.clone(), found.clone()));
        found
    }
}

impl Shape {
    fn of(subscription: &Subscription) -> Self {
        Self {
            format: subscription.format,
            routing_key: subscription.routing_key.clone(),
            template: subscription.template.clone(),
        }
    }

    pub(super) fn put_into(self, subscription: &mut Subscription) {
        subscription.format = self.format;
        subscription.routing_key = self.routing_key;
        subscription.template = self.template;
    }
}

impl Written {
    /// Whether it says anything of the format, or of the address, which a format may judge.
    pub(super) fn shapes(&self) -> bool {
        self.format.is_some()
            || self.routing_key.is_some()
            || self.template.is_some()
            || self.template_content_type.is_some()
            || self.url.is_some()
    }

    fn template(&self, old: Option<&Template>) -> Option<Template> {
        let text = match &self.template {
            Some(text) => text.clone(),
            None => old.map(|old| old.text.clone()),
        };
        let content_type = match &self.template_content_type {
            Some(content_type) => content_type.clone(),
            None => old.map(|old| old.content_type.clone()),
        };
        let content_type = content_type.unwrap_or_else(|| template::CONTENT_TYPE.to_owned());
        text.map(|text| Template { text, content_type })
    }
}

/// Renders what a change would make the template, away from the threads that serve; the change
/// itself then finds it checked.
pub(super) async fn check_ahead(
    judge: &Arc<Judge>,
    written: &Arc<Written>,
    subscription: Subscription,
) -> Result<(), Problem> {
    let (judge, written) = (judge.clone(), written.clone());
    let checking = move || {
        judge.reshape(&written, &subscription, &mut Vec::new());
    };
    let checked = tokio::task::spawn_blocking(checking).await;
    checked.map_err(|_| broken("judging the definition failed"))
}

impl Judge {
    /// The shape that a change gives a subscription.
    pub(super) fn reshape(
        &self,
        written: &Written,
        subscription: &Subscription,
        faults: &mut Vec<Fault>,
    ) -> Shape {
        let old = Shape::of(subscription);
        if !written.shapes() {
            return old;
        }
        let url = written.url.as_deref().unwrap_or(&subscription.url);
        self.shape(written, url, old, faults)
    }

    /// The shape with what is written of it. What belonged to another format goes with it.
    pub(super) fn shape(
        &self,
        written: &Written,
        url: &str,
        old: Shape,
        faults: &mut Vec<Fault>,
    ) -> Shape {
        let format = match written.format.as_deref().map(format).transpose() {
            Ok(format) => format.unwrap_or(old.format),
            Err(message) => {
                faults.push(Fault::new("/format", message));
                return old;
            }
        };
        let mut shape = Shape { format, ..Shape::default() };
        if format == Format::Ntfy && !url.is_empty() && ntfy::Place::of(url).is_none() {
            let message = "the format ntfy needs the address of a topic, such as \
                https://ntfy.example/desk: up to 64 of A-Z, a-z, 0-9, - and _ after the last slash";
            faults.push(Fault::new("/url", message));
        }
        if format == Format::Pagerduty {
            let key = written.routing_key.clone().unwrap_or(old.routing_key);
            if let Err(message) = routing_key(key.as_ref()) {
                faults.push(Fault::new("/routing_key", message));
            }
            shape.routing_key = key;
        } else if matches!(written.routing_key, Some(Some(_))) {
            faults.push(foreign("routing_key", Format::Pagerduty));
        }
        if format == Format::Template {
            shape.template = self.template(written, old.template.as_ref(), faults);
        } else {
            for (name, is_written) in [
                ("template", matches!(written.template, Some(Some(_)))),
                ("template_content_type", matches!(written.template_content_type, Some(Some(_)))),
            ] {
                if is_written {
                    faults.push(foreign(name, Format::Template));
                }
            }
        }
        shape
    }

    fn template(
        &self,
        written: &Written,
        old: Option<&Template>,
        faults: &mut Vec<Fault>,
    ) -> Option<Template> {
        let Some(template) = written.template(old) else {
            let message = "the format template needs a template: the text over the event";
            faults.push(Fault::new("/template", message));
            return None;
        };
        if let Err(refusal) = template::judge_type(&template.content_type) {
            faults.push(Fault::new("/template_content_type", refusal.to_string()));
        } else if old != Some(&template)
            && let Err(message) = self.checked.check(&template)
        {
            faults.push(Fault::new("/template", message));
        }
        Some(template)
    }
}

fn foreign(name: &str, format: Format) -> Fault {
    let format = format.as_str();
    let message = format!(
        "{name} belongs to the format {format}: write \"format\": \"{format}\", or leave it out"
    );
    Fault::new(format!("/{name}"), message)
}

fn format(name: &str) -> Result<Format, String> {
    let known = Format::ALL.into_iter().find(|format| format.as_str() == name);
    known.ok_or_else(|| {
        let names = Format::ALL.map(Format::as_str);
        let nearest =
            names.into_iter().min_by_key(|known| strsim::damerau_levenshtein(known, name));
        let nearest = nearest.filter(|near| strsim::damerau_levenshtein(near, name) <= 3);
        let hint = nearest.map(|near| format!("did you mean {near}? ")).unwrap_or_default();
        let name: String = name.chars().take(60).collect();
        format!("{name:?} is no format: {hint}There are {}", names.join(", "))
    })
}

/// Whether a key can be PagerDuty's; its words do not repeat it.
fn routing_key(key: Option<&Secret>) -> Result<(), String> {
    const REMEDY: &str = "write the integration key of a service's Events API v2 integration";
    let Some(key) = key else {
        return Err(format!("the format pagerduty needs a routing_key: {REMEDY}"));
    };
    let key = key.expose();
    if key.len() == KEY && key.bytes().all(|b| b.is_ascii_alphanumeric()) {
        Ok(())
    } else {
        Err(format!("this is no routing_key, which has {KEY} letters and digits: {REMEDY}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::Policy;

    fn judge() -> Judge {
        Judge::with(Arc::new(Policy::default()))
    }

    fn shaped(json: &str, old: Shape) -> Result<Shape, Vec<(String, String)>> {
        let written: Written = serde_json::from_str(json).unwrap();
        let url = written.url.clone().unwrap_or_else(|| "https://desk.example/in".to_owned());
        let mut faults = Vec::new();
        let shape = judge().shape(&written, &url, old, &mut faults);
        let said: Vec<_> = faults.into_iter().map(|f| (f.pointer, f.message)).collect();
        if said.is_empty() { Ok(shape) } else { Err(said) }
    }

    fn with_template(text: &str) -> Shape {
        let content_type = "application/json".to_owned();
        let template = Some(Template { text: text.to_owned(), content_type });
        Shape { format: Format::Template, routing_key: None, template }
    }

    #[test]
    fn what_a_format_needs_or_does_not_know_is_told_with_its_remedy() {
        for (json, pointer, words) in [
            (r#"{"format":"slak"}"#, "/format", "did you mean slack?"),
            (r#"{"format":"Slack"}"#, "/format", "did you mean slack?"),
            (r#"{"format":"carrier-pigeon"}"#, "/format", "There are wirebell, slack"),
            (r#"{"format":"pagerduty"}"#, "/routing_key", "needs a routing_key"),
            (r#"{"format":"pagerduty","routing_key":""}"#, "/routing_key", "32 letters and digits"),
            (r#"{"format":"pagerduty","routing_key":null}"#, "/routing_key", "needs a routing_key"),
            (r#"{"format":"slack","routing_key":"k1"}"#, "/routing_key", "the format pagerduty"),
            (r#"{"routing_key":"k1"}"#, "/routing_key", "the format pagerduty"),
            (r#"{"template":"{{ lead }}"}"#, "/template", "\"format\": \"template\""),
            (r#"{"format":"template"}"#, "/template", "needs a template"),
            (r#"{"template_content_type":"text/plain"}"#, "/template_content_type", "template"),
            (
                r#"{"format":"template","template":"{{ headline }}","template_content_type":"x"}"#,
                "/template_content_type",
                "no content type",
            ),
            (
                r#"{"format":"template","template":"{{ headlin }}"}"#,
                "/template",
                "line 1, column 4: headlin is no field: did you mean headline?",
            ),
            (r#"{"format":"ntfy","url":"https://ntfy.example/"}"#, "/url", "address of a topic"),
        ] {
            let faults = shaped(json, Shape::default()).unwrap_err();
            assert_eq!(faults.len(), 1, "{json}: {faults:?}");
            assert_eq!(faults[0].0, pointer, "{json}");
            assert!(faults[0].1.contains(words), "{json}: {faults:?}");
        }
        let faults = shaped(r#"{"format":"pagerduty","routing_key":"se-cret"}"#, Shape::default());
        assert!(!format!("{faults:?}").contains("se-cret"));
    }

    #[test]
    fn a_change_of_format_drops_what_belonged_to_the_old_one() {
        let old = with_template("{{ headline }}");
        assert_eq!(shaped("{}", old.clone()).unwrap(), old);
        let slack = shaped(r#"{"format":"slack"}"#, old.clone()).unwrap();
        assert_eq!(slack, Shape { format: Format::Slack, ..Shape::default() });
        let retyped = shaped(r#"{"template_content_type":"text/plain"}"#, old.clone()).unwrap();
        assert_eq!(retyped.template.as_ref().unwrap().content_type, "text/plain");
        let again = shaped(r#"{"template_content_type":null}"#, retyped).unwrap();
        assert_eq!(again, old);
        let key = r#"{"format":"pagerduty","routing_key":"R0UT1NGK3YR0UT1NGK3YR0UT1NGK3Y00"}"#;
        let paged = shaped(key, old).unwrap();
        assert_eq!(shaped(r#"{"format":"pagerduty"}"#, paged.clone()).unwrap(), paged);
    }

    #[test]
    fn one_request_has_its_fill_of_templates() {
        let judge = judge();
        let template = |n: usize| Template {
            text: format!("{{{{ headline }}}}{n}"),
            content_type: "text/plain".to_owned(),
        };
        for n in 0..MAX_TEMPLATES {
            judge.checked.check(&template(n)).unwrap();
        }
        judge.checked.check(&template(0)).unwrap();
        assert!(judge.checked.check(&template(MAX_TEMPLATES)).unwrap_err().contains("at most"));
    }
}
