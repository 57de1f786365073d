//! Which page a path means. The whole table is one `match`, but for its first line.

use memchr::memchr_iter;

/// What a path asks for; the pieces are still percent-encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `/v1/lookup/{lookup}/{key}`
    Lookup {
        /// The lookup's name.
        lookup: &'a str,
        /// The key.
        key: &'a str,
    },
    /// `/v1/call`
    Calls,
    /// `/v1/call/{bundle}`
    Call(&'a str),
    /// `/v1/health`
    Flags,
    /// `/v1/health/{lookup}`
    Flag(&'a str),
    /// `/v1/db/{lookup}/`
    Rows(&'a str),
    /// There is no such page.
    Nowhere,
}

/// The page of this path (without its query).
pub fn route(path: &str) -> Route<'_> {
    let Some(path) = path.strip_prefix("/v1/") else { return Route::Nowhere };
    // What nearly everybody asks for comes first.
    if let Some(rest) = path.strip_prefix("lookup/") {
        let mut slashes = memchr_iter(b'/', rest.as_bytes());
        return match (slashes.next(), slashes.next()) {
            (Some(end), None) => Route::Lookup { lookup: &rest[..end], key: &rest[end + 1..] },
            _ => Route::Nowhere,
        };
    }
    let mut steps = path.splitn(4, '/');
    match (steps.next(), steps.next(), steps.next(), steps.next()) {
        (Some("call"), None, None, None) => Route::Calls,
        (Some("call"), Some(bundle), None, None) if !bundle.is_empty() => Route::Call(bundle),
        (Some("db"), Some(lookup), None | Some(""), None) if !lookup.is_empty() => Route::Rows(lookup),
        (Some("health"), None, None, None) => Route::Flags,
        (Some("health"), Some(lookup), None, None) if !lookup.is_empty() => Route::Flag(lookup),
        _ => Route::Nowhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        assert_eq!(route("/v1/lookup/lrn/+1303"), Route::Lookup { lookup: "lrn", key: "+1303" });
        assert_eq!(route("/v1/lookup/lrn/"), Route::Lookup { lookup: "lrn", key: "" });
        assert_eq!(route("/v1/call"), Route::Calls);
        assert_eq!(route("/v1/call/inbound"), Route::Call("inbound"));
        assert_eq!(route("/v1/health"), Route::Flags);
        assert_eq!(route("/v1/health/lrn"), Route::Flag("lrn"));
        assert_eq!(route("/v1/db/lrn/"), Route::Rows("lrn"));
        let nowhere = [
            "",
            "/",
            "*",
            "/v1",
            "/v1/",
            "/v1/lookup",
            "/v1/lookup/lrn",
            "/v1/lookup/lrn/1/2",
            "/v1/call/",
            "/v1/call/a/b",
            "/v1/health/",
            "/v1/db/",
            "/v1/db/lrn/x",
            "/v1/health/a/b",
            "/v2/health",
            "v1/health",
            "/V1/health",
        ];
        for path in nowhere {
            assert_eq!(route(path), Route::Nowhere, "{path}");
        }
    }
}
