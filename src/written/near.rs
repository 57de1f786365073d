//! The word that was probably meant.

/// The known word nearest to `typed`, if it is near enough that it was probably meant.
pub(crate) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    known
        .into_iter()
        .map(|word| {
            (strsim::jaro_winkler(&typed, &word.to_lowercase()), strsim::damerau_levenshtein(&typed, word), word)
        })
        // Two slips in a word of six letters are a slip; two in a word of three are another word.
        .filter(|(likeness, slips, word)| *slips <= 1 + word.chars().count() / 5 || *likeness > 0.9)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, _, word)| word)
}

/// `did you mean x? ` where a word is near, and the list of all.
pub(crate) fn suggest(typed: &str, known: &[&str], these_are: &str) -> String {
    let list = known.join(", ");
    match nearest(typed, known.iter().copied()) {
        Some(word) => format!("did you mean `{word}`? {these_are} {list}"),
        None => format!("{these_are} {list}"),
    }
}
