//! Text to words: spans inside the text, in order, folded forms that fold to themselves.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wirebell::text::fold;
use wirebell::text::sentence::lead_end;
use wirebell::text::tokenize;

fuzz_target!(|text: &str| {
    let length = text.chars().count() as u32;
    let tokens = tokenize(text);
    let mut last = 0;
    for word in tokens.words() {
        assert!(last <= word.start && word.start < word.end && word.end <= length, "{word:?}");
        assert_eq!(fold(&word.folded), word.folded, "{word:?}");
        last = word.end;
    }
    for chain in tokens.chains() {
        assert!(chain.first < chain.last && (chain.last as usize) < tokens.words().len());
    }
    assert!(lead_end(text) <= text.chars().count());
});
