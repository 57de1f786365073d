//! Who may change something.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::admin::Admin;
use crate::config::AdminRights;

/// Lets a changing call through, or says what it lacks.
pub(super) async fn require(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let refused = refusal(&admin.rights.load(), given);
    match refused {
        None => next.run(request).await,
        // RFC 9110 section 11.6.1: a 401 says by which scheme.
        Some((StatusCode::UNAUTHORIZED, why)) => {
            (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], why).into_response()
        }
        Some((status, why)) => (status, why).into_response(),
    }
}

/// Why a caller with this `Authorization` may change nothing; `None` when it may.
fn refusal(rights: &AdminRights, given: Option<&str>) -> Option<(StatusCode, &'static str)> {
    match rights {
        AdminRights::Open => None,
        AdminRights::Refused => Some((
            StatusCode::FORBIDDEN,
            "changes are off: set `[admin] token = \"env:NAME\"` in the config and reload\n",
        )),
        AdminRights::Token(token) => {
            // The scheme's name has no case (RFC 9110 section 11.1).
            let given = given.and_then(|given| given.split_once(' '));
            let given = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            let right = given.is_some_and(|(_, given)| same(given.as_bytes(), token.expose().as_bytes()));
            (!right).then_some((
                StatusCode::UNAUTHORIZED,
                "this call changes something: send `Authorization: Bearer` and the config's token\n",
            ))
        }
    }
}

/// Compares in a time that does not depend on where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_in_the_config_means_no_changes() {
        assert_eq!(refusal(&AdminRights::Refused, Some("Bearer x")).unwrap().0, StatusCode::FORBIDDEN);
        assert!(refusal(&AdminRights::Open, None).is_none());
        assert!(same(b"abc", b"abc") && !same(b"abc", b"abd") && !same(b"abc", b"ab"));
    }
}
