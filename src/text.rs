//! Text as rules see it: folding, words and their positions, sentences, and what makes two texts
//! copies of one another. Pure.
//!
//! Rules and articles go through the same functions, so a word of a rule and the same word of a
//! text cannot fold differently. Offsets are Unicode code points of the unfolded text.

pub mod class;
pub mod fold;
pub(crate) mod letters;
pub mod sentence;
pub mod shingles;
pub(crate) mod stream;
pub mod tokens;

pub use fold::fold;
pub use tokens::Tokens;
pub use tokens::tokenize;
