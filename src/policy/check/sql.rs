//! `type = "sql"`: one read-only statement whose parameters are bound and never pasted.

use super::Check;
use super::parts::is_plain;
use super::upstream::Around;
use crate::policy::file::{Named, UpstreamFile};
use crate::policy::{Expr, Secret, SqlPolicy, TransportPolicy};
use crate::written::{Node, Span, Spanned, nearest};

const DATABASE_MEND: &str = "write `database = \"env:NAME\"`, and set NAME to a URL such as postgres://user:password@host/db, mysql://… or sqlite:///path";
const SCHEMES: [&str; 5] = ["postgres", "postgresql", "mysql", "mariadb", "sqlite"];

/// The first words that a statement which only reads can have.
const READING: [&str; 4] = ["select", "with", "values", "table"];

impl Check<'_> {
    /// The transport's part of an upstream.
    pub(super) fn sql(&mut self, file: UpstreamFile, around: &Around<'_>) -> Option<TransportPolicy> {
        let (has_database, has_query) = (file.database.is_some(), file.query.is_some());
        let database = self.faults.value(file.database);
        let database = self.required(database, &around.table, "database", has_database, DATABASE_MEND);
        let database = database.and_then(|database| self.database(&database));
        let query = file.query.and_then(|query| self.statement_text(query));
        let mend = "add the statement, such as `query = \"select rate from rates where prefix = :key\"`";
        let query = self.required(query, &around.table, "query", has_query, mend);
        let parameters = match &query {
            Some(query) => self.parameters(query, file.parameters, around),
            None => Vec::new(),
        };
        let pool = self.at_least_one(file.pool, 8);
        let max_rows = self.at_least_one(file.max_rows, 100);
        Some(TransportPolicy::Sql(SqlPolicy {
            database: database?,
            query: query?.into_inner(),
            parameters,
            pool,
            max_rows: usize::try_from(max_rows).unwrap_or(usize::MAX),
        }))
    }

    pub(super) fn statement_text(&mut self, query: Spanned<Node>) -> Option<Spanned<String>> {
        let span = query.span();
        if let Node::Text(text) = query.into_inner() {
            return Some(Spanned::new(span, text));
        }
        let mend = "write it as text, such as `query = \"select rate from rates where prefix = :key\"`";
        self.faults.at(&span, "the query of `type = \"sql\"` is a statement", mend);
        None
    }

    pub(super) fn database(&mut self, reference: &Spanned<String>) -> Option<Secret> {
        if has_no_password(reference.get_ref()) {
            return Some(Secret::open(reference.get_ref()));
        }
        let secret = self.secret(reference)?;
        let scheme = secret.expose().split(':').next().unwrap_or_default().to_owned();
        if !secret.expose().is_empty() && !SCHEMES.contains(&scheme.as_str()) {
            // The value may be a secret whatever is wrong with it, so it is not shown.
            let what = format!("what `{}` refers to is no database URL", reference.get_ref());
            let mend = "it must start with postgres://, mysql://, mariadb:// or sqlite:";
            self.faults.at(&reference.span(), what, mend);
            return None;
        }
        Some(secret)
    }

    /// Every `:name` of the query, with its value: a declared parameter, else the key or input of that name.
    fn parameters(
        &mut self,
        query: &Spanned<String>,
        declared: Option<Spanned<Named>>,
        around: &Around<'_>,
    ) -> Vec<(String, Expr)> {
        let scan = scan(query.get_ref());
        self.statement(query, &scan);
        let names = around.names.question();
        let mut parameters = Vec::new();
        let mut written = Vec::new();
        for (name, source) in declared.map(Spanned::into_inner).unwrap_or_default() {
            if !scan.parameters.iter().any(|(used, _)| used == name.get_ref()) {
                let what = format!("the query has no `:{}`", name.get_ref());
                self.faults.at(&name.span(), what, "take the parameter out, or use it in the query");
            }
            let source = self.faults.value(Some(source));
            let expr = source.and_then(|source| self.expr(&source, names.clone()));
            written.push(name.get_ref().clone());
            parameters.extend(expr.map(|expr| (name.into_inner(), expr)));
        }
        for (name, at) in scan.parameters {
            if written.contains(&name) {
                continue;
            }
            written.push(name.clone());
            if !names.contains(&name.as_str()) {
                self.unknown_parameter(&query.span(), &name, at, &names);
            } else if let Some(expr) = self.expr(&Spanned::new(query.span(), name.clone()), names.clone()) {
                parameters.push((name, expr));
            }
        }
        parameters
    }

    /// A statement whose whole result is wanted: it takes no parameters, since nobody has asked yet.
    pub(super) fn whole_statement(&mut self, query: &Spanned<String>) {
        let scan = scan(query.get_ref());
        self.statement(query, &scan);
        if let Some((name, at)) = scan.parameters.first() {
            let what = format!("`:{name}` has no value when a table is loaded: nobody has asked yet");
            let mend = "select all rows; `key_column` and `keys` say how one is found among them";
            self.faults.within(&query.span(), *at, what, mend);
        }
    }

    fn unknown_parameter(&mut self, query: &Span, name: &str, at: usize, names: &[&str]) {
        let near =
            nearest(name, names.iter().copied()).map_or(String::new(), |near| format!("did you mean `:{near}`? "));
        let what = format!("nothing gives `:{name}` a value");
        let mend = format!(
            "{near}there are {}; any other needs `parameters = {{ {name} = \"an expression\" }}`",
            names.iter().map(|name| format!("`:{name}`")).collect::<Vec<_>>().join(", ")
        );
        self.faults.within(query, at, what, mend);
    }

    fn statement(&mut self, query: &Spanned<String>, scan: &Scan) {
        let text = query.get_ref();
        let span = query.span();
        if !is_plain(text) {
            let at = text.find('{').unwrap_or_default();
            let mend = "write `:name` where the value goes, and its expression under `parameters`";
            self.faults.within(&span, at, "a query is no template: values are bound, never pasted", mend);
        }
        if let Some(at) = scan.second_statement {
            self.faults.within(&span, at, "there is a second statement behind the `;`", "keep one");
        }
        if !READING.contains(&scan.first_word.to_ascii_lowercase().as_str()) {
            let what = format!("the statement starts with `{}`: it must only read", scan.first_word);
            self.faults.at(&span, what, "write a SELECT; what must write belongs into the database's own procedures");
        }
    }
}

/// True for a database URL that may stand in the open: SQLite, or a server that asks for no password.
fn has_no_password(text: &str) -> bool {
    let scheme = text.split(':').next().unwrap_or_default();
    if !SCHEMES.contains(&scheme) {
        return false;
    }
    let has_parameter = text.to_ascii_lowercase().contains("password=");
    scheme == "sqlite" || reqwest::Url::parse(text).is_ok_and(|url| url.password().is_none() && !has_parameter)
}

/// What there is to know of a statement without knowing SQL.
#[derive(Debug, Default)]
struct Scan {
    first_word: String,
    /// `:name` and where it stands, in bytes; each as often as it is used.
    parameters: Vec<(String, usize)>,
    /// Where a second statement starts.
    second_statement: Option<usize>,
}

/// Finds `:name` outside of quotes and comments; `::type` is PostgreSQL's cast.
fn scan(query: &str) -> Scan {
    let mut scan = Scan::default();
    let mut at = 0;
    let mut ended = false;
    while let Some(c) = query[at..].chars().next() {
        let rest = &query[at..];
        let length = match c {
            '\'' | '"' | '`' => rest[1..].find(c).map_or(rest.len(), |end| end + 2),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            ':' if rest.starts_with("::") || rest.starts_with(":=") => 2,
            ':' => {
                let name = word(&rest[1..]);
                if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                    scan.parameters.push((name.to_owned(), at));
                }
                1 + name.len()
            }
            ';' => {
                ended = true;
                1
            }
            c if c.is_whitespace() || c == '(' => c.len_utf8(),
            c => {
                if ended && scan.second_statement.is_none() {
                    scan.second_statement = Some(at);
                }
                let word = word(rest);
                if scan.first_word.is_empty() {
                    scan.first_word = word.to_owned();
                }
                word.len().max(c.len_utf8())
            }
        };
        at += length;
    }
    scan
}

/// The name at the front.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::scan;

    #[test]
    fn parameters_are_found_outside_quotes_comments_and_casts() {
        let query = "select ':no', l[1:2], a::text /* :no */ from t -- :no\n where k = :key and \"x:no\" = :ani";
        let found: Vec<_> = scan(query).parameters.into_iter().map(|(name, at)| (name, &query[at..=at])).collect();
        assert_eq!(found, [("key".to_owned(), ":"), ("ani".to_owned(), ":")]);
    }

    #[test]
    fn a_semicolon_at_the_end_is_no_second_statement() {
        assert_eq!(scan("select 1; -- done").second_statement, None);
        assert_eq!(scan("select 1; drop table t").second_statement, Some(10));
        assert_eq!(scan("(select 1)").first_word, "select");
    }

    #[test]
    fn an_unclosed_quote_reaches_to_the_end() {
        assert!(scan("select 'a :key").parameters.is_empty());
    }
}
