//! `auth = { … }`: how we show who we are. Secrets by reference only.

use super::http::is_token;
use super::upstream::Around;
use super::{Check, at};
use crate::policy::file::{AuthFile, AuthWord};
use crate::policy::{Auth, Secret};
use crate::written::{Field, Span, Spanned};

/// What each type is written like.
const fn example(auth: AuthWord) -> &'static str {
    match auth {
        AuthWord::None => "auth = { type = \"none\" }",
        AuthWord::Basic => "auth = { type = \"basic\", user = \"env:NAME\", password = \"env:NAME\" }",
        AuthWord::Bearer => "auth = { type = \"bearer\", token = \"env:NAME\" }",
        AuthWord::Scheme => "auth = { type = \"scheme\", scheme = \"Token\", token = \"env:NAME\" }",
        AuthWord::Header => "auth = { type = \"header\", name = \"X-Api-Key\", value = \"env:NAME\" }",
        AuthWord::Headers => "auth = { type = \"headers\", headers = { X-Id = \"env:ID\", X-Key = \"env:KEY\" } }",
        AuthWord::Oauth2 => {
            "auth = { type = \"oauth2\", token_url = \"https://…\", client_id = \"env:ID\", client_secret = \"env:NAME\" }"
        }
        AuthWord::Hmac => {
            "auth = { type = \"hmac\", secret = \"env:NAME\", string = \"{{ method }}{{ path }}{{ timestamp }}{{ body }}\", headers = { X-Sign = \"{{ signature }}\", X-Time = \"{{ timestamp }}\" } }"
        }
        AuthWord::Query => "auth = { type = \"query\", name = \"api_key\", value = \"env:NAME\" }",
    }
}

/// Which keys each type has.
pub(in crate::policy) const fn keys(auth: AuthWord) -> &'static [&'static str] {
    match auth {
        AuthWord::None | AuthWord::Headers => &[],
        AuthWord::Basic => &["user", "password"],
        AuthWord::Bearer => &["token"],
        AuthWord::Scheme => &["scheme", "token"],
        AuthWord::Header | AuthWord::Query => &["name", "value"],
        AuthWord::Oauth2 => &["token_url", "client_id", "client_secret"],
        AuthWord::Hmac => &["secret", "string"],
    }
}

/// Which keys each type may have beside those.
pub(in crate::policy) const fn further_keys(auth: AuthWord) -> &'static [&'static str] {
    match auth {
        AuthWord::Oauth2 => &["client_auth", "scope", "audience", "form", "timeout"],
        AuthWord::Hmac => &["algorithm", "encoding", "headers"],
        AuthWord::Headers => &["headers"],
        _ => &[],
    }
}

impl Check<'_> {
    /// `None` when it is wrong.
    pub(super) fn auth(&mut self, file: Spanned<AuthFile>, around: &Around<'_>) -> Option<Auth> {
        let table = file.span();
        let mut file = file.into_inner();
        let given = file.auth.is_some();
        let auth = self.faults.value(file.auth.take());
        let mend = "add `type`: none, basic, bearer, scheme, header, headers, query, oauth2 or hmac";
        let auth = self.required(auth, &table, "type", given, mend)?.into_inner();

        self.foreign_auth_keys(auth, &file);
        let fields = [
            ("user", file.user.take()),
            ("password", file.password.take()),
            ("scheme", file.scheme.take()),
            ("token", file.token.take()),
            ("name", file.name.take()),
            ("value", file.value.take()),
            ("token_url", file.token_url.take()),
            ("client_id", file.client_id.take()),
            ("client_secret", file.client_secret.take()),
            ("secret", file.secret.take()),
            ("string", file.string.take()),
        ];
        let mut values: Vec<(&str, Spanned<String>)> = Vec::new();
        for (key, field) in fields {
            values.extend(self.auth_value(auth, key, field, &table).map(|value| (key, value)));
        }
        let mut take = |key: &str| {
            let at = values.iter().position(|(name, _)| *name == key)?;
            Some(values.swap_remove(at).1)
        };
        match auth {
            AuthWord::None => Some(Auth::None),
            AuthWord::Basic => {
                let (user, password) = (take("user"), take("password"));
                let (user, password) = (self.auth_secret(user), self.auth_secret(password));
                Some(Auth::Basic { user: user?, password: password? })
            }
            AuthWord::Bearer => {
                let token = take("token");
                Some(Auth::Scheme { scheme: "Bearer".to_owned(), token: self.auth_secret(token)? })
            }
            AuthWord::Scheme => {
                let (scheme, token) = (take("scheme"), take("token"));
                let (scheme, token) = (self.auth_name(scheme), self.auth_secret(token));
                Some(Auth::Scheme { scheme: scheme?, token: token? })
            }
            AuthWord::Header => {
                let (name, value) = (take("name"), take("value"));
                let (name, value) = (self.auth_name(name), self.auth_secret(value));
                Some(Auth::Header { name: name?, value: value? })
            }
            AuthWord::Headers => self.secret_headers(file.headers, &table).map(Auth::Headers),
            AuthWord::Oauth2 => {
                let (url, id, secret) = (take("token_url"), take("client_id"), take("client_secret"));
                self.oauth2(file, url, id, secret).map(Auth::OAuth2)
            }
            AuthWord::Hmac => {
                let (secret, string) = (take("secret"), take("string"));
                self.hmac(file, secret, string, around, &table).map(|hmac| Auth::Hmac(Box::new(hmac)))
            }
            AuthWord::Query => {
                let (name, value) = (take("name"), take("value"));
                let value = self.auth_secret(value);
                Some(Auth::Query { name: name?.into_inner(), value: value? })
            }
        }
    }

    /// One key: it must be there if the type has it, and must not if not.
    fn auth_value(&mut self, auth: AuthWord, key: &str, field: Field<String>, table: &Span) -> Option<Spanned<String>> {
        let given = field.is_some();
        let value = self.faults.value(field);
        if keys(auth).contains(&key) {
            return self.required(value, table, key, given, &format!("write `{}`", example(auth)));
        }
        if let Some(value) = value {
            let what = format!("`{key}` means nothing for `type = \"{}\"`", auth.as_str());
            self.faults.at(&value.span(), what, format!("write `{}`", example(auth)));
        }
        None
    }

    /// Keys of other types that are no plain text.
    fn foreign_auth_keys(&mut self, auth: AuthWord, file: &AuthFile) {
        for (key, span) in [
            ("headers", at(&file.headers)),
            ("client_auth", at(&file.client_auth)),
            ("scope", at(&file.scope)),
            ("audience", at(&file.audience)),
            ("form", at(&file.form)),
            ("timeout", at(&file.timeout)),
            ("algorithm", at(&file.algorithm)),
            ("encoding", at(&file.encoding)),
        ] {
            if let Some(span) = span.filter(|_| !further_keys(auth).contains(&key)) {
                let what = format!("`{key}` means nothing for `type = \"{}\"`", auth.as_str());
                self.faults.at(&span, what, format!("write `{}`", example(auth)));
            }
        }
    }

    pub(super) fn auth_secret(&mut self, reference: Option<Spanned<String>>) -> Option<Secret> {
        reference.and_then(|reference| self.secret(&reference))
    }

    /// A scheme or a header's name.
    pub(super) fn auth_name(&mut self, name: Option<Spanned<String>>) -> Option<String> {
        let name = name?;
        if !is_token(name.get_ref()) {
            self.faults.at(
                &name.span(),
                format!("`{}` cannot stand in a header", name.get_ref()),
                "write letters, digits and `-`",
            );
        }
        Some(name.into_inner())
    }
}
