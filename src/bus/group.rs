//! What both backends do with a group before it is written.

use std::collections::HashMap;

/// Which entries of a group name a subject again. Entries that expect nothing may repeat one.
pub(crate) fn repeats<'a>(entries: impl Iterator<Item = (&'a str, bool)>) -> Vec<bool> {
    let mut seen: HashMap<&str, bool> = HashMap::new();
    entries
        .map(|(subject, plain)| match seen.get_mut(subject) {
            Some(all_plain) => {
                let repeated = !(plain && *all_plain);
                *all_plain &= plain;
                repeated
            }
            None => {
                seen.insert(subject, plain);
                false
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_that_is_named_again_is_a_repeat_unless_nothing_is_expected() {
        let group =
            [("a", false), ("b", true), ("a", false), ("b", true), ("b", false), ("c", false)];
        assert_eq!(repeats(group.into_iter()), [false, false, true, false, true, false]);
    }
}
