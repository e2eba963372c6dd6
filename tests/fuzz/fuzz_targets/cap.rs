//! A document of CAP messages: articles whose languages lie inside their texts, or a refusal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wirebell::feed::cap;

fuzz_target!(|bytes: &[u8]| {
    let Ok(read) = cap::read(bytes, None, None) else { return };
    assert!(!read.messages.is_empty());
    for one in &read.messages {
        let message = one.draft.message.as_ref().expect("every draft is a message");
        let length = |text: &str| text.chars().count() as u32;
        let (title, body) = (length(&one.draft.title), length(&one.draft.body));
        for block in &message.cap.blocks {
            assert!(block.title.0 <= block.title.1 && block.title.1 <= title, "{block:?}");
            assert!(block.body.0 <= block.body.1 && block.body.1 <= body, "{block:?}");
        }
    }
});
