//! The settings in force, and where each was set.

use serde::Serialize;

use crate::config::Overrides;
use crate::config::settings::KEYS;
use crate::config::settings::Origin;
use crate::config::settings::SHIPPED;
use crate::config::settings::layers;
use crate::rules::Problem;

/// Settings whose values nobody is shown.
const SECRET: [&str; 2] = ["nats.password", "tokens"];
/// What is shown in their place.
const HIDDEN: &str = "(hidden)";

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Its path.
    pub key: &'static str,
    /// Its value; a list is divided by commas.
    pub value: String,
    /// `default`, a flag, a variable, or a place in a file.
    pub origin: String,
}

/// Every setting in the order of the file, as written: what is wrong with a value is said by a check.
/// A file that cannot be read as settings is refused.
pub fn show(
    file: Option<&(String, String)>,
    overrides: &Overrides,
) -> Result<Vec<Shown>, Vec<Problem>> {
    let mut problems = Vec::new();
    let values = layers(file, overrides, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let shown = |key: &&'static str| {
        let value = values.get(key)?;
        let text = value.texts.join(",");
        let hide = SECRET.contains(key) && !text.is_empty();
        let value_shown = if hide { HIDDEN.to_owned() } else { text };
        Some(Shown { key, value: value_shown, origin: origin(&value.origin) })
    };
    Ok(KEYS.iter().filter_map(shown).collect())
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Flag(name) | Origin::Variable(name) => name.clone(),
        Origin::File(place) if place.file == SHIPPED => "default".to_owned(),
        Origin::File(place) => format!("{}:{}", place.file, place.line),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_setting_names_where_it_was_set_and_no_secret_is_told() {
        let file = ("wirebell.yaml".to_owned(), "lease: 3s\nnats:\n  password: hush\n".to_owned());
        let env = [("WIREBELL_TOKENS", "secret-token"), ("WIREBELL_GRACE", "9s")];
        let env = env.map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect();
        let flags = BTreeMap::from([("listen".to_owned(), "127.0.0.1:1".to_owned())]);
        let shown = show(Some(&file), &Overrides { flags, env }).unwrap();
        assert_eq!(shown.len(), KEYS.len());
        let of = |key: &str| {
            let one = shown.iter().find(|one| one.key == key).unwrap();
            (one.value.as_str(), one.origin.as_str())
        };
        assert_eq!(of("listen"), ("127.0.0.1:1", "--listen"));
        assert_eq!(of("grace"), ("9s", "WIREBELL_GRACE"));
        assert_eq!(of("lease"), ("3s", "wirebell.yaml:1"));
        assert_eq!(of("data"), ("data", "default"));
        assert_eq!(of("nats.password"), (HIDDEN, "wirebell.yaml:3"));
        assert_eq!(of("tokens"), (HIDDEN, "WIREBELL_TOKENS"));
        let bad = ("wirebell.yaml".to_owned(), "leese: 3s\n".to_owned());
        assert_eq!(show(Some(&bad), &Overrides::default()).unwrap_err().len(), 1);
    }
}
