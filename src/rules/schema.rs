//! The JSON Schema of rule files, for editors. These types are never read into: the reader knows
//! places and remedies, which no derived one would. A test holds both to the same keys.

mod cap;
mod told;

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use schemars::json_schema;
use serde_json::Value;

use told::Tests;

/// The schema as it is committed.
pub fn schema() -> String {
    let schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<RuleFile>();
    let mut schema = schema.to_value();
    without_null(&mut schema);
    if let Some(top) = schema.as_object_mut() {
        top.insert("title".to_owned(), "Wirebell rule file".into());
    }
    let text = serde_json::to_string_pretty(&schema).expect("a schema has a JSON form");
    format!("{text}\n")
}

/// Takes null out: a key that is not wanted is left out, never left empty.
fn without_null(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(fields) => {
            fields.values_mut().for_each(without_null);
            if let Some(Value::Array(types)) = fields.get_mut("type") {
                types.retain(|name| name != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    fields.insert("type".to_owned(), one);
                }
            }
            if let Some(Value::Array(choices)) = fields.get_mut("anyOf") {
                choices.retain(|choice| choice != &serde_json::json!({"type": "null"}));
                if let [one] = choices.as_slice() {
                    let one = one.clone();
                    fields.remove("anyOf");
                    // A description beside a reference is ignored by draft 7.
                    fields.insert("allOf".to_owned(), Value::Array(vec![one]));
                }
            }
        }
        _ => {}
    }
}

macro_rules! plain {
    ($(#[$doc:meta])* $name:ident, $schema:tt) => {
        $(#[$doc])*
        struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}
use plain;

plain!(
    /// A query; a number counts as text.
    Query, {
        "type": ["string", "number", "boolean"],
        "description": "A query: plain words, with AND, OR, NOT, NEAR/n, BEFORE/n, parentheses, $list, title:, =Word, word*"
    }
);
plain!(Text, {"type": ["string", "number", "boolean"]});
plain!(Id, {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,63}$"});
plain!(Lang, {
    "type": ["string", "boolean"],
    "pattern": "^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$",
    "description": "A language tag such as uk or zh-TW"
});
plain!(Length, {
    "type": "string",
    "pattern": "^([0-9]+[smhd])+$",
    "description": "A duration such as 30s, 10m, 6h or 2d, at most 30d"
});
plain!(UpdateEvery, {
    "type": "string",
    "pattern": "^(never|([0-9]+[smhd])+)$",
    "description": "A duration, or never"
});
plain!(FileVersion, {"enum": [1, "1"]});

/// One, or a list of at least one.
#[expect(dead_code, reason = "only its schema is used")]
struct OneOrMany<T>(Vec<T>);

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})
    }
}

/// A map from names of one shape.
#[expect(dead_code, reason = "only its schema is used")]
struct Places(BTreeMap<String, OneOrMany<Query>>);

impl JsonSchema for Places {
    fn schema_name() -> Cow<'static, str> {
        "Places".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let spellings = generator.subschema_for::<OneOrMany<Query>>();
        json_schema!({
            "type": "object",
            "propertyNames": {"pattern": "^[a-z0-9-]{1,100}$", "not": {"const": "-"}},
            "additionalProperties": spellings,
        })
    }
}

#[expect(dead_code, reason = "only its schema is used")]
struct Words(BTreeMap<String, OneOrMany<Query>>);

impl JsonSchema for Words {
    fn schema_name() -> Cow<'static, str> {
        "Words".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let entries = generator.subschema_for::<OneOrMany<Query>>();
        json_schema!({
            "type": "object",
            "propertyNames": {"pattern": "^[\\p{L}\\p{N}_-]+$"},
            "additionalProperties": entries,
        })
    }
}

/// Rules of Wirebell: which words announce a topic, and how its alerts live.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct RuleFile {
    /// The version of this format: 1.
    version: FileVersion,
    /// Lists of queries by name, used anywhere as $name: any of its entries.
    words: Option<Words>,
    /// Places by key, each with its spellings. Choose one level: cities or countries.
    places: Option<Places>,
    /// The rules.
    rules: Option<Vec<Rule>>,
}

/// A topic by the words that announce it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(extend("anyOf" = [{"required": ["any"]}, {"required": ["all"]}, {"required": ["when"]}]))]
#[expect(dead_code, reason = "only its schema is used")]
struct Rule {
    /// A small letter, then up to 63 of a-z, 0-9 and -; unique.
    id: Id,
    /// The name shown to people; the id if left out.
    title: Option<Text>,
    /// What subscriptions ask for; the id if left out. Several rules may share one.
    topic: Option<Id>,
    /// At least one of these queries must match.
    any: Option<OneOrMany<Query>>,
    /// Every one of these must match; an item may be a list, of which one must.
    all: Option<OneOrMany<OneOrMany<Query>>>,
    /// This query must match.
    when: Option<Query>,
    /// None of these queries may match.
    unless: Option<OneOrMany<Query>>,
    /// Where to look for the words: anywhere if left out.
    r#in: Option<Scope>,
    /// Where to look for the words of unless: anywhere if left out.
    unless_in: Option<Scope>,
    /// Only articles in these languages; zh covers zh-TW.
    lang: Option<OneOrMany<Lang>>,
    /// Only articles of these sources, by id or name.
    sources: Option<OneOrMany<Text>>,
    /// No articles of these sources.
    not_sources: Option<OneOrMany<Text>>,
    /// How urgent its alerts are: warning if left out.
    severity: Option<Severity>,
    /// One alert per place, per source, or one for the rule: place if left out.
    key: Option<KeyBy>,
    /// Least time between an alert's last event and its next update: 10m if left out.
    update_every: Option<UpdateEvery>,
    /// An open alert without news for so long expires: 6h if left out.
    close_after: Option<Length>,
    /// Articles older than this open nothing: 6h if left out.
    max_age: Option<Length>,
    /// When independent sources confirm an alert.
    confirm: Option<Confirm>,
    /// Rules whose alerts this rule ends. It has no alerts of its own.
    ends: Option<OneOrMany<Id>>,
    /// Rules whose alerts this rule takes back. It has no alerts of its own.
    retracts: Option<OneOrMany<Id>>,
    /// shadow: matched, stored and shown, delivered to nobody.
    mode: Option<Mode>,
    /// Most alerts a day this rule may open.
    #[schemars(range(min = 1))]
    budget: Option<u32>,
    /// What must match, what must not, and a story. A rule set whose tests fail is not used.
    tests: Option<Tests>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum Scope {
    /// The title.
    Title,
    /// The title and the beginning of the text up to its second sentence end.
    Lead,
    /// Title and text.
    Anywhere,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum Severity {
    /// Worth knowing.
    Info,
    /// Worth acting on.
    Warning,
    /// Worth waking somebody.
    Critical,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum KeyBy {
    /// One alert for each place the article names.
    Place,
    /// One alert for each owner of sources.
    Source,
    /// One alert for the rule.
    None,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum Mode {
    /// Events are delivered.
    Live,
    /// Events are delivered to nobody.
    Shadow,
}

/// When independent reports confirm an alert.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Confirm {
    /// So many independent sources must report it.
    #[schemars(range(min = 2, max = 1000))]
    distinct_sources: u32,
    /// Within so long.
    within: Length,
    /// The severity of the alert from then on.
    severity: Option<Severity>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::cap_read;
    use crate::rules::load::TOP;
    use crate::rules::rule_read;
    use crate::rules::spec_read;

    /// The keys of the type with this name.
    fn keys(schema: &Value, name: &str) -> Vec<String> {
        let of = if name.is_empty() { schema } else { &schema["definitions"][name] };
        of["properties"].as_object().map(|p| p.keys().cloned().collect()).unwrap_or_default()
    }

    #[test]
    fn the_schema_has_the_keys_that_the_reader_knows() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        for (name, known) in [
            ("", TOP),
            ("Rule", rule_read::KEYS),
            ("Confirm", rule_read::CONFIRM),
            ("Tests", spec_read::TESTS),
            ("Article", spec_read::ARTICLE),
            ("Cap", cap_read::KEYS),
            ("Step", spec_read::STEP),
            ("Event", spec_read::EXPECTED),
        ] {
            let mut known = known.to_vec();
            known.sort_unstable();
            assert_eq!(keys(&schema, name), known, "{name}");
        }
    }
}
