//! Words from a closed set.

use super::leaf::{Leaf, Wrong};
use super::near::suggest;

/// A closed set of words an operator may choose from.
pub(crate) trait Word: Copy + 'static {
    /// What the words are, with its article: `an outcome`.
    const WHAT: &'static str;
    /// The words and what they stand for. A word may have several spellings; the first is the canonical one.
    const WORDS: &'static [(&'static str, Self)];
}

impl<W: Word> Leaf for W {
    const EXPECTED: &'static str = W::WHAT;
    const EXAMPLE: &'static str = "\"word\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        W::WORDS.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
            Wrong::new(format!("`{text}` is not {}", W::WHAT), suggest(text, &words::<W>(), "there are"))
        })
    }

    fn unexpected(found: &str) -> Wrong {
        Wrong::new(
            format!("expected {} in quotes, found {found}", W::WHAT),
            format!("there are {}", words::<W>().join(", ")),
        )
    }
}

fn words<W: Word>() -> Vec<&'static str> {
    W::WORDS.iter().map(|(word, _)| *word).collect()
}
