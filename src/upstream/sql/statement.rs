//! A policy's statement: one, reading, with `:name` parameters in the places where a database takes them.
//!
//! This is no parser of SQL. It knows just enough to tell a parameter from what only looks like one: text
//! in quotes, comments, `::casts` and `:=`. Each occurrence of a parameter becomes a placeholder of its own, so that a
//! database may infer a type for each place by itself.

use crate::upstream::sql::connection::Dialect;
use crate::upstream::{Failure, FailureKind};

/// A statement, cut where its parameters are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// The text around the parameters: one piece more than there are occurrences.
    pieces: Vec<String>,
    /// Which parameter stands at each occurrence.
    occurrences: Vec<usize>,
}

impl Statement {
    /// Cuts a statement up.
    ///
    /// # Errors
    /// [`FailureKind::Policy`] for a parameter that the policy gives no value, an open quote or comment, a second
    /// statement, a placeholder of the database's own, or a statement that does not read.
    pub(super) fn parse(query: &str, dialect: Dialect, names: &[String]) -> Result<Self, Failure> {
        let mut statement = Self { pieces: Vec::new(), occurrences: Vec::new() };
        let mut piece = String::new();
        let mut rest = query;
        while let Some(first) = rest.chars().next() {
            let skipped = opaque(rest, dialect)?;
            if skipped > 0 {
                piece.push_str(&rest[..skipped]);
                rest = &rest[skipped..];
                continue;
            }
            if first == ';' {
                if has_code(&rest[1..], dialect)? {
                    return Err(fault("`query` holds more than one statement: keep one, and no `;` in it".to_owned()));
                }
                break;
            }
            if (first == '?' && dialect != Dialect::Postgres) || starts_numbered(rest, &piece) {
                return Err(fault("`query` holds a `?` or `$1`: write parameters as `:name`".to_owned()));
            }
            if let Some(name) = parameter(rest) {
                let place = names.iter().position(|known| known == name).ok_or_else(|| unknown(name, names))?;
                statement.pieces.push(std::mem::take(&mut piece));
                statement.occurrences.push(place);
                rest = &rest[1 + name.len()..];
                continue;
            }
            // Two colons and a colon with an equals sign go together, or the second colon would start a name.
            let length = if rest.starts_with("::") || rest.starts_with(":=") { 2 } else { first.len_utf8() };
            piece.push_str(&rest[..length]);
            rest = &rest[length..];
        }
        statement.pieces.push(piece);
        if reads(&statement.pieces[0], dialect)? { Ok(statement) } else { Err(does_not_read()) }
    }

    /// The statement with a placeholder at each occurrence, which is counted from 1.
    pub(super) fn text(&self, mut placeholder: impl FnMut(usize) -> String) -> String {
        let mut text = self.pieces[0].clone();
        for (place, piece) in self.pieces[1..].iter().enumerate() {
            text.push_str(&placeholder(place + 1));
            text.push_str(piece);
        }
        text
    }

    /// Which parameter stands at each occurrence.
    pub(super) fn occurrences(&self) -> &[usize] {
        &self.occurrences
    }
}

/// The name behind a colon, if a parameter starts here.
fn parameter(rest: &str) -> Option<&str> {
    let name = rest.strip_prefix(':')?;
    let length = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts.then(|| &name[..length])
}

/// True for `$1`, which is not part of a name such as `a$1`.
fn starts_numbered(rest: &str, before: &str) -> bool {
    let in_a_name = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    !in_a_name && rest.strip_prefix('$').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// How many bytes from here are quoted text or a comment; 0 when it is neither.
fn opaque(rest: &str, dialect: Dialect) -> Result<usize, Failure> {
    let end_of_line = || rest.find('\n').unwrap_or(rest.len());
    if rest.starts_with("--") || (dialect == Dialect::MySql && rest.starts_with('#')) {
        return Ok(end_of_line());
    }
    if rest.starts_with("/*") {
        return comment(rest, dialect);
    }
    if dialect == Dialect::Postgres {
        if let Some(escaped) = rest.strip_prefix(['E', 'e']).filter(|text| text.starts_with('\'')) {
            return Ok(1 + quoted(escaped, '\'', true)?);
        }
        if let Some(tag) = dollar_tag(rest) {
            let inside = &rest[tag.len()..];
            let end = inside.find(tag).ok_or_else(|| open(tag))?;
            return Ok(2 * tag.len() + end);
        }
    }
    match rest.chars().next() {
        Some(quote @ ('\'' | '"' | '`')) => quoted(rest, quote, dialect == Dialect::MySql && quote != '`'),
        _ => Ok(0),
    }
}

/// The length of quoted text: a doubled quote is one quote in it, and where the database says so a backslash escapes.
fn quoted(rest: &str, quote: char, backslash: bool) -> Result<usize, Failure> {
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if backslash && character == '\\' {
            characters.next();
        } else if character == quote {
            if characters.peek().is_some_and(|(_, next)| *next == quote) {
                characters.next();
            } else {
                return Ok(at + 1);
            }
        }
    }
    Err(open(&quote.to_string()))
}

/// The length of a comment; PostgreSQL's nest.
fn comment(rest: &str, dialect: Dialect) -> Result<usize, Failure> {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") && (depth == 0 || dialect == Dialect::Postgres) {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Ok(at);
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    Err(open("/*"))
}

/// `$$` or `$tag$`, if one starts here.
fn dollar_tag(rest: &str) -> Option<&str> {
    let inside = rest.strip_prefix('$')?;
    let end = inside.find('$')?;
    let word = inside[..end].chars().all(|c| c.is_alphanumeric() || c == '_');
    (word && !inside.starts_with(|c: char| c.is_ascii_digit())).then(|| &rest[..end + 2])
}

/// True when something other than white space and comments is left.
fn has_code(mut rest: &str, dialect: Dialect) -> Result<bool, Failure> {
    loop {
        rest = rest.trim_start();
        if !(rest.starts_with("--") || rest.starts_with("/*") || rest.starts_with('#')) {
            return Ok(!rest.is_empty());
        }
        let skipped = opaque(rest, dialect)?;
        if skipped == 0 {
            return Ok(true);
        }
        rest = &rest[skipped..];
    }
}

/// True when the first word is one that reads. The session is read-only besides: this is for a clear message.
fn reads(text: &str, dialect: Dialect) -> Result<bool, Failure> {
    let mut rest = text.trim_start();
    while rest.starts_with("--") || rest.starts_with("/*") || rest.starts_with('#') {
        let skipped = opaque(rest, dialect)?;
        if skipped == 0 {
            return Ok(false);
        }
        rest = rest[skipped..].trim_start();
    }
    let rest = rest.trim_start_matches(['(', ' ', '\n', '\t']);
    let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    Ok(matches!(word.to_ascii_lowercase().as_str(), "select" | "with" | "values" | "table"))
}

fn fault(what: String) -> Failure {
    Failure::new(FailureKind::Policy, what)
}

fn open(what: &str) -> Failure {
    fault(format!("`query` has a {what} that is never closed"))
}

fn does_not_read() -> Failure {
    fault("`query` does not begin with `select`, `with`, `values` or `table`: a lookup only reads".to_owned())
}

fn unknown(name: &str, names: &[String]) -> Failure {
    let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    fault(format!("`query` uses `:{name}`, which has no value; `parameters` has {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str, dialect: Dialect) -> Result<(String, Vec<usize>), Failure> {
        let names = ["key".to_owned(), "ani".to_owned()];
        let statement = Statement::parse(query, dialect, &names)?;
        Ok((statement.text(|n| format!("${n}")), statement.occurrences().to_vec()))
    }

    #[test]
    fn each_occurrence_is_a_placeholder_of_its_own() {
        let (text, places) = parse("select :ani, :key where a=:key;\n-- done", Dialect::Postgres).expect("a statement");
        assert_eq!((text.as_str(), places), ("select $1, $2 where a=$3", vec![1, 0, 0]));
    }

    #[test]
    fn what_only_looks_like_a_parameter_stays() {
        for query in [
            "select ':key', \":key\", a::text, '12:30:00', 'it''s :key', b := 1",
            "select 1 -- :key\n, 2 /* :key ' */",
            "select '\u{e4}:key' as \"\u{fc}\"",
        ] {
            for dialect in [Dialect::Postgres, Dialect::MySql, Dialect::Sqlite] {
                assert_eq!(parse(query, dialect).expect(query), (query.to_owned(), vec![]), "{dialect:?}");
            }
        }
        let query = "select $$ :key ' $$, $a$ :key $$ $a$, E'\\' :key', /* a /* :key */ :key */ a[1:2], x ? 'y'";
        assert_eq!(parse(query, Dialect::Postgres).expect(query), (query.to_owned(), vec![]));
        let query = "select 'it\\'s :key', `:key` # :key";
        assert_eq!(parse(query, Dialect::MySql).expect(query), (query.to_owned(), vec![]));
    }

    #[test]
    fn parameters_stand_next_to_anything() {
        for (query, expected) in [
            ("select :key::bigint", "select $1::bigint"),
            ("select '\\':key", "select '\\'$1"),
            ("select (:key||:ani)", "select ($1||$2)"),
            ("select 'a':key'b'", "select 'a'$1'b'"),
        ] {
            assert_eq!(parse(query, Dialect::Postgres).expect(query).0, expected);
        }
    }

    #[test]
    fn what_is_not_one_reading_statement_is_refused_with_a_reason() {
        for (query, reason) in [
            ("select :who", "`:who`"),
            ("select 1; drop table x", "more than one"),
            ("delete from x", "only reads"),
            ("  /* a */ update x set y=1", "only reads"),
            ("select 'open", "never closed"),
            ("select 1 /* open", "never closed"),
            ("select $1", ":name"),
            ("", "only reads"),
        ] {
            let failure = parse(query, Dialect::Postgres).expect_err(query);
            assert!(failure.kind == FailureKind::Policy && failure.detail.contains(reason), "{query}: {failure}");
        }
        assert!(parse("select ?", Dialect::Sqlite).is_err());
        for query in ["(select 1)", "-- why\nwith a as (select 1) select * from a", "VALUES (1)"] {
            parse(query, Dialect::Postgres).expect(query);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(query in "[ -~\u{e4}\n$'\"`/*:;#-]{0,60}") {
            for dialect in [Dialect::Postgres, Dialect::MySql, Dialect::Sqlite] {
                let _ = parse(&format!("select {query}"), dialect);
            }
        }
    }
}
