//! "Did you mean": the known name closest to a mistyped one.

/// Most typing errors bridged.
const MAX_DISTANCE: usize = 2;

/// The known name at most two edits away, the closest first.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = known.into_iter().map(|k| (strsim::osa_distance(name, k), k));
    let close = distances.filter(|(d, k)| *d <= MAX_DISTANCE && *d < k.chars().count());
    close.min().map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_close_name_is_offered() {
        assert_eq!(nearest("fery", ["boat", "ferry"]), Some("ferry"));
        assert_eq!(nearest("unles", ["unless", "unless_in"]), Some("unless"));
        assert_eq!(nearest("zeppelin", ["boat", "ferry"]), None);
        assert_eq!(nearest("x", ["id"]), None);
    }
}
