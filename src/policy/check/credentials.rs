//! Credentials that are made of more than one value: pairs of headers, OAuth2, signatures, and several sets of them.

use std::time::Duration;

use indexmap::IndexMap;

use super::Check;
use super::http::is_token;
use super::upstream::Around;
use super::wire::is_reference;
use crate::policy::expr::Place;
use crate::policy::file::{AlgorithmWord, AuthFile, ClientAuthWord, EncodingWord, Named};
use crate::policy::request::{SIGNATURE, SIGNED_NAMES};
use crate::policy::{Algorithm, Chosen, Hmac, OAuth2, Secret, Template};
use crate::written::{Field, Span, Spanned};

const HEADERS_MEND: &str = "write `headers = { X-Id = \"env:ID\", X-Key = \"env:KEY\" }`";
const SIGNED_MEND: &str = "write `headers = { X-Sign = \"{{ signature }}\", X-Time = \"{{ timestamp }}\" }`";

impl Check<'_> {
    /// `headers = { X-Id = "env:ID", X-Key = "env:KEY" }`
    pub(super) fn secret_headers(
        &mut self,
        file: Option<Spanned<Named>>,
        table: &Span,
    ) -> Option<Vec<(String, Secret)>> {
        let Some(file) = file.filter(|file| !file.get_ref().is_empty()) else {
            self.faults.missing(table, "headers", "`headers` is missing", HEADERS_MEND);
            return None;
        };
        let mut headers = Vec::new();
        for (name, reference) in file.into_inner() {
            let reference = self.faults.value(Some(reference));
            let secret = self.auth_secret(reference);
            let name = self.auth_name(Some(name));
            headers.extend(name.zip(secret));
        }
        Some(headers)
    }

    pub(super) fn oauth2(
        &mut self,
        file: AuthFile,
        url: Option<Spanned<String>>,
        id: Option<Spanned<String>>,
        secret: Option<Spanned<String>>,
    ) -> Option<OAuth2> {
        let url = url.map(|url| self.fixed_url(&url));
        let id = match id {
            Some(id) if is_reference(id.get_ref()) => self.secret(&id),
            // A client's name is no secret.
            Some(id) => Some(Secret::open(id.get_ref())),
            None => None,
        };
        let secret = self.auth_secret(secret);
        let basic = self.faults.or(file.client_auth, ClientAuthWord::Basic) == ClientAuthWord::Basic;
        let mut form = Vec::new();
        for (name, value) in [("scope", file.scope), ("audience", file.audience)] {
            form.extend(self.faults.value(value).map(|value| (name.to_owned(), value.into_inner())));
        }
        for (name, value) in file.form.map(Spanned::into_inner).unwrap_or_default() {
            form.extend(self.faults.value(Some(value)).map(|value| (name.into_inner(), value.into_inner())));
        }
        let timeout = self.faults.value(file.timeout);
        if let Some(timeout) = timeout.as_ref().filter(|timeout| timeout.get_ref().is_zero()) {
            self.faults.at(&timeout.span(), "this duration must not be zero", "write how long, such as \"3s\"");
        }
        Some(OAuth2 {
            token_url: url?,
            client_id: id?,
            client_secret: secret?,
            basic,
            form,
            timeout: timeout.map_or(Duration::from_secs(3), Spanned::into_inner),
        })
    }

    pub(super) fn hmac(
        &mut self,
        file: AuthFile,
        secret: Option<Spanned<String>>,
        string: Option<Spanned<String>>,
        around: &Around<'_>,
        table: &Span,
    ) -> Option<Hmac> {
        let secret = self.auth_secret(secret);
        let signed: Vec<&str> = around.names.request().into_iter().chain(SIGNED_NAMES).collect();
        let string = string.and_then(|string| self.template(&string, signed.clone(), Place::Plain));
        let algorithm = self.faults.or(file.algorithm, AlgorithmWord(Algorithm::Sha256)).0;
        let base64 = self.faults.or(file.encoding, EncodingWord::Hex) == EncodingWord::Base64;
        if file.headers.is_none() {
            self.faults.missing(
                table,
                "headers",
                "`headers` is missing: nothing would carry the signature",
                SIGNED_MEND,
            );
        }
        let headers = self.signed_headers(file.headers, signed.into_iter().chain([SIGNATURE]).collect());
        Some(Hmac { secret: secret?, algorithm, base64, string: string?, headers })
    }

    fn signed_headers(&mut self, file: Option<Spanned<Named>>, names: Vec<&str>) -> Vec<(String, Template)> {
        let mut headers = Vec::new();
        let Some(file) = file else { return headers };
        let span = file.span();
        for (name, value) in file.into_inner() {
            if !is_token(name.get_ref()) {
                let what = format!("`{}` cannot be a header's name", name.get_ref());
                self.faults.at(&name.span(), what, "write letters, digits and `-`");
            }
            let value = self.faults.value(Some(value));
            let value = value.and_then(|value| self.template(&value, names.clone(), Place::Header));
            headers.extend(value.map(|value| (name.into_inner(), value)));
        }
        if !headers.iter().any(|(_, value)| value.source().contains(SIGNATURE)) {
            self.faults.at(&span, "no header carries the signature", SIGNED_MEND);
        }
        headers
    }

    /// `auth_by` and `[upstream.auths.NAME]`
    pub(super) fn chosen(
        &mut self,
        by: Field<String>,
        auths: Option<Spanned<IndexMap<Spanned<String>, Spanned<AuthFile>>>>,
        around: &Around<'_>,
    ) -> Option<Chosen> {
        const MEND: &str = "write `auth_by = \"tenant\"` and an [upstream.auths.NAME] for each value of that input";
        let given = by.is_some();
        let by = self.faults.value(by);
        let Some(auths) = auths else {
            if let Some(by) = &by {
                self.faults.at(&by.span(), "there are no `auths` to choose from", MEND);
            }
            return None;
        };
        let by = self.required(by, &auths.span(), "auth_by", given, MEND);
        if let Some(by) = &by
            && (by.get_ref() == "key" || !around.names.question().contains(&by.get_ref().as_str()))
        {
            let what = format!("there is no input `{}`", by.get_ref());
            self.faults.at(&by.span(), what, "declare it in [input], such as `tenant = { type = \"text\" }`");
        }
        let mut checked = Vec::new();
        for (name, auth) in auths.into_inner() {
            checked.extend(self.auth(auth, around).map(|auth| (name.into_inner(), auth)));
        }
        Some(Chosen { by: by?.into_inner().into(), auths: checked })
    }
}
